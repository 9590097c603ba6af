"""What a protocol finds in a folder: which views count, and their truth, one view at a time.

A *view* is one camera's video of one recording. A protocol lists its views without reading the
poses of all of them into tensors; :attr:`ProtocolData.load` makes one when it is needed, so memory
does not grow with the number of views.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float
from torch import Tensor

from hypopose.errors import OptionError
from hypopose.types import Keypoints2D, Poses3D, Skeleton

Cell = tuple[str, str]
"""An action and a sequence."""

Detail = Literal["keypoints", "camera", "root", "scale", "action", "choice"]
"""What a method may take from the ground truth before it answers."""

GROUND_TRUTH = "ground truth"
"""How a detail begins that was taken from the ground truth."""


@dataclass(frozen=True, eq=False)
class ProtocolView:
    """One view with its truth.

    Args:
        truth: Camera frame, meters, root-relative with root; every frame and joint of the source
            skeleton.
        keypoints: What a sampler is given; None if the folder has none.
        rotation: World to camera, ``(3, 3)`` or one a frame; None if unknown.
    """

    truth: Poses3D
    keypoints: Keypoints2D | None = None
    rotation: Float[Tensor, "*frames 3 3"] | None = None


@dataclass(frozen=True, eq=False)
class ViewEntry:
    """A view in the list of a protocol.

    Args:
        name: Unique, ``S9/Directions 1/54138969``.
        sequence: Unit of resampling; all cameras of a recording share it.
        n_frames: Frames of the video.
        parts: Action -> frames that count, rising; most protocols have one action a view.
        aliases: Other names that files of predictions give the view.
    """

    name: str
    sequence: str
    n_frames: int
    parts: Mapping[str, np.ndarray]
    aliases: tuple[str, ...] = ()

    @cached_property
    def counted(self) -> np.ndarray:
        """All frames that count, rising."""
        return np.sort(np.concatenate(list(self.parts.values())))

    @property
    def cells(self) -> list[Cell]:
        """Action and sequence of every part."""
        return [(action, self.sequence) for action in self.parts]


@dataclass(frozen=True)
class PublishedBatches:
    """How the released code of D3DP batches clips, of which P-Best takes one hypothesis.

    Args:
        clips: Of one video in a batch.
        stitched: Later clips replace earlier ones and every frame counts once, as in its files for
            MPI-INF-3DHP; frames count as often as clips have them otherwise.
    """

    clips: int
    stitched: bool = False


@dataclass(frozen=True, eq=False)
class SurfaceTruth:
    """True surfaces, for predictions of vertices.

    Args:
        regressor: ``(J, V)``, vertices to the joints of the source skeleton.
        load: The vertices of some frames of a view, ``(F, V, 3)`` meters from the true root, camera
            frame.
    """

    regressor: Float[Tensor, "J V"]
    load: Callable[[ViewEntry, np.ndarray], Tensor]


@dataclass(frozen=True, eq=False)
class ProtocolData:
    """The views of a protocol in a folder, and what numbers on them mean.

    Args:
        protocol: Its name.
        entries: The views, in the order of published code.
        load: Makes the view of an entry.
        source_skeleton: Of the truth.
        joints: The joints of it that are evaluated.
        files: What was read; their hashes identify the data.
        variant: The options of the protocol.
        consumed: What samplers are given, detail -> words; see :data:`Detail`.
        groupings: Title of a table -> its rows -> the cells of each.
        headline: The grouping whose unweighted mean is the published number; empty for none.
        exclude_root: Whether the root only aligns, and is not a joint of the errors.
        pck_joints: Joints of PCK and AUC among :attr:`skeleton`; None if they are not customary.
        gaps: Whether frames that count do not follow each other, so that velocity and clips are
            not defined.
        batches: How published tables choose P-Best; None where none do.
        surface: True surfaces, where there are any.
        joint_set: Name of the evaluated skeleton where it is not the source's.
        notes: What a reader of the numbers must know.
    """

    protocol: str
    entries: tuple[ViewEntry, ...]
    load: Callable[[ViewEntry], ProtocolView]
    source_skeleton: Skeleton
    joints: tuple[int, ...]
    files: tuple[Path, ...]
    variant: Mapping[str, Any]
    consumed: Mapping[Detail, str]
    groupings: Mapping[str, Mapping[str, frozenset[Cell]]] = field(default_factory=dict)
    headline: str = ""
    exclude_root: bool = False
    pck_joints: tuple[int, ...] | None = None
    gaps: bool = False
    batches: PublishedBatches | None = None
    surface: SurfaceTruth | None = None
    joint_set: str = ""
    notes: tuple[str, ...] = ()

    @cached_property
    def skeleton(self) -> Skeleton:
        """The evaluated joints."""
        source = self.source_skeleton
        return subset(source, self.joints, self.joint_set or source.name)

    @property
    def n_joints(self) -> int:
        """Joints that errors are averaged over."""
        return len(self.joints) - self.exclude_root

    def hashes(self) -> dict[str, str]:
        """File name -> SHA-256 of every file that was read."""
        return {file_label(path): sha256_of(path) for path in self.files}


@runtime_checkable
class EvaluationProtocol(Protocol):
    """A published way to evaluate; a frozen dataclass whose fields are its variants."""

    name: ClassVar[str]
    title: ClassVar[str]

    def open(self, folder: str | Path, *, keypoints_needed: bool = True) -> ProtocolData:
        """List the views of a folder, or refuse it with what is missing."""
        ...


def subset(skeleton: Skeleton, joints: tuple[int, ...], name: str) -> Skeleton:
    """A skeleton of some joints; a joint's parent is its nearest ancestor among them.

    Args:
        skeleton: The whole.
        joints: Which, in the order wanted; the root among them.
        name: Of the new skeleton.

    Raises:
        OptionError: If the root is left out.

    Example:
        >>> from hypopose.skeletons import H36M16, H36M17
        >>> subset(H36M17, tuple(j for j in range(17) if j != 9), "h36m16") == H36M16
        True
    """
    if skeleton.root not in joints:
        raise OptionError(f"A joint set needs its root, {skeleton.joint_names[skeleton.root]}.")
    place = {joint: i for i, joint in enumerate(joints)}
    pairs = [
        (a, b)
        for a, b in zip(skeleton.left, skeleton.right, strict=True)
        if a in place and b in place
    ]
    return Skeleton(
        name,
        tuple(skeleton.joint_names[j] for j in joints),
        tuple(_nearest_kept(skeleton, j, place) for j in joints),
        tuple(place[a] for a, _ in pairs),
        tuple(place[b] for _, b in pairs),
    )


def _nearest_kept(skeleton: Skeleton, joint: int, place: Mapping[int, int]) -> int:
    """The new index of a joint's nearest ancestor that was kept, else of the root."""
    above = skeleton.parents[joint]
    while above >= 0 and above not in place:
        above = skeleton.parents[above]
    return place.get(above, -1 if joint == skeleton.root else place[skeleton.root])


def grouped(entries: Iterable[ViewEntry], key: Callable[[Cell], str]) -> dict[str, frozenset[Cell]]:
    """The cells of views by a label of theirs, in order of appearance.

    Example:
        >>> entry = ViewEntry("a/0", "a", 9, {"walk": np.arange(9)})
        >>> grouped([entry], lambda cell: cell[0])
        {'walk': frozenset({('walk', 'a')})}
    """
    found: dict[str, set[Cell]] = {}
    for entry in entries:
        for cell in entry.cells:
            found.setdefault(key(cell), set()).add(cell)
    return {label: frozenset(cells) for label, cells in found.items()}


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_label(path: Path) -> str:
    """Folder and name of a file: ``TS1/annot_data.mat``."""
    return f"{path.parent.name}/{path.name}"
