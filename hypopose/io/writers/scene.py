"""What is exported, in the axes, unit and frame of the file: the same for every format.

Convention:
    HypoPose holds meters in the camera frame: x right, y down, z forward. Formats use other axes,
    and every change here is a rotation, so that left stays left:

    * ``native``: the axes as they are.
    * ``y``: the frame turned until its upward axis is y. The camera frame becomes x right, y up,
      z backward (towards the camera): half a turn about x.
    * ``z``: the same with z up. The camera frame becomes x right, y forward, z up.

    The camera's up is the picture's up: a tilted camera gives a tilted person. In the world frame
    up is the world axis, with its sign, that comes closest to the picture's up. Where none is
    chosen, a result whose camera has a world (of its file, or of ``--ground``) is exported in it,
    upright: z up where the format has no axes of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from hypopose.cameras import CAMERA_UP, turn_up
from hypopose.errors import OptionError
from hypopose.io.results import Result, result_metadata
from hypopose.io.writers.axes import Turn, axes_words, find_turn, frame_words
from hypopose.types import ASSUMED_FPS, Skeleton

PER_METER: dict[str, float] = {"m": 1.0, "cm": 100.0, "mm": 1000.0}


@dataclass(frozen=True)
class ExportOptions:
    """What to export; None leaves a choice to the format.

    Args:
        which: ``"aggregate"``, a hypothesis by number, or ``"all"``: the aggregate and every
            hypothesis.
        frame: ``"camera"`` or ``"world"``; the world is the one of the camera's extrinsics. None:
            the world if there is one.
        up: ``"native"``, ``"y"`` or ``"z"``, see the module.
        root: ``"placed"`` adds the fitted root to the joints, ``"apart"`` keeps joints relative to
            the root and the root beside them, ``"none"`` leaves the root out.
        unit: ``"m"``, ``"cm"`` or ``"mm"``.
        fps: Frames per second, where the keypoints do not say.
        rig: ``"mixamo"`` or ``"vrm"``: a humanoid by these names, in formats of rotations.
        lock_feet: Whether feet are held still while they stand, in formats of rotations.
        in_place: Whether the root's level way is taken out, in formats of rotations.

    Raises:
        OptionError: If a value is none of these.

    Example:
        >>> ExportOptions(which=3, up="y").which
        3
    """

    which: str | int | None = None
    frame: str | None = None
    up: str | None = None
    root: str | None = None
    unit: str | None = None
    fps: float | None = None
    rig: str | None = None
    lock_feet: bool = False
    in_place: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.which, str) and self.which not in ("aggregate", "all"):
            raise OptionError(
                f"Export 'aggregate', 'all' or a hypothesis by its number, not {self.which!r}."
            )
        for name, value, known in (
            ("frame", self.frame, ("camera", "world", None)),
            ("up", self.up, ("native", "y", "z", None)),
            ("root", self.root, ("apart", "placed", "none", None)),
            ("unit", self.unit, (*PER_METER, None)),
            ("rig", self.rig, ("mixamo", "vrm", None)),
        ):
            if value not in known:
                words = ", ".join(str(k) for k in known if k is not None)
                raise OptionError(f"{name} is one of {words}, not {value!r}.")
        if self.fps is not None and not 0 < self.fps < float("inf"):
            raise OptionError(f"fps must be positive, got {self.fps}.")


@dataclass(frozen=True)
class Defaults:
    """What a format takes where the user does not choose, and what it cannot hold.

    Args:
        which: See :class:`ExportOptions`.
        up: See there.
        root: See there; formats with ``"placed"`` have no room for a root apart.
        unit: See there.
        fixed: Options the format itself settles.
        needs_rate: Whether a file needs a frame rate.
        turns: Whether it holds rotations of bones, so that there can be a rig.
    """

    which: str = "all"
    up: str = "native"
    root: str = "apart"
    unit: str = "m"
    fixed: tuple[str, ...] = ()
    needs_rate: bool = False
    turns: bool = False


@dataclass(frozen=True, eq=False)
class Take:
    """One motion: the aggregate or a hypothesis.

    Args:
        label: ``aggregate`` or ``h07``.
        hypothesis: The number, None for the aggregate.
        joints: In the file's axes and unit; NaN where unknown.
        root: Where the root is, or None.
        std: Standard deviation of the hypotheses per axis, or None.
    """

    label: str
    hypothesis: int | None
    joints: Float[np.ndarray, "F J 3"]
    root: Float[np.ndarray, "F 3"] | None = None
    std: Float[np.ndarray, "F J 3"] | None = None

    @property
    def sigma(self) -> Float[np.ndarray, "F J"] | None:
        """One number a joint: the root mean square distance of the hypotheses to their mean."""
        return None if self.std is None else np.sqrt((self.std**2).sum(-1))


@dataclass(frozen=True, eq=False)
class ExportScene:
    """Motions in the file's axes, and what a reader must know about them.

    Args:
        takes: The aggregate first.
        skeleton: The joint set.
        fps: Frames per second; None if unknown and not needed.
        unit: Of all lengths.
        frame: ``"camera"`` or ``"world"``.
        up: ``"y"``, ``"z"`` or ``"native"``.
        axes: Frame, axes and unit in words.
        root: Whether the joints are placed.
        result: Where it comes from.
        notes: What was assumed or changed.
        up_axis: Number and sign of the axis that points up if ``up`` is native.
        rig: Names of a humanoid's bones, or None for the skeleton's own.
        lock_feet: Whether feet are held still while they stand.
        in_place: Whether the root's level way is taken out.
        origin: Where a rig that is put on a floor begins: a place of the file; None for its first
            root. People of one scene share it.
        called: The person's name in a file of several people; empty in a file of one.
    """

    takes: tuple[Take, ...]
    skeleton: Skeleton
    fps: float | None
    unit: str
    frame: str
    up: str
    axes: str
    root: str
    result: Result
    notes: tuple[str, ...] = ()
    up_axis: tuple[int, int] = CAMERA_UP
    rig: str | None = None
    lock_feet: bool = False
    in_place: bool = False
    origin: Float[np.ndarray, " 3"] | None = None
    called: str = ""

    @property
    def to_z_up(self) -> Float[np.ndarray, "3 3"]:
        """The rotation from the file's axes to the same frame with z up."""
        axis = {"y": (1, 1), "z": (2, 1)}.get(self.up, self.up_axis)
        return turn_up(axis, "z")

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return len(self.takes[0].joints)

    @property
    def rate(self) -> float:
        """Frames per second of a format that needs a rate."""
        return self.fps if self.fps is not None else ASSUMED_FPS

    @property
    def times(self) -> Float[np.ndarray, " F"] | None:
        """Seconds since the first frame; None if the rate is unknown."""
        return None if self.fps is None else np.arange(self.n_frames) / self.fps

    def record(self) -> dict[str, Any]:
        """Everything about the result that is no array, JSON-ready."""
        known = result_metadata(self.result)
        known.pop("units")
        return {
            "exported_by": f"HypoPose {known.pop('version') or '(unknown version)'}",
            "axes": self.axes,
            "unit": self.unit,
            "root": self.root,
            "fps": self.fps,
            **known,
            "notes": list(self.notes),
        }


def build_scene(result: Result, options: ExportOptions, defaults: Defaults) -> ExportScene:
    """Choose motions and turn them into the file's axes and unit.

    Args:
        result: What was found.
        options: What the user chose.
        defaults: The format's own defaults.

    Returns:
        The scene.

    Raises:
        OptionError: If there is no such hypothesis, or the format cannot do what was chosen.
        MissingCameraError: If the world frame is wanted of a camera without extrinsics.
    """
    chosen = _settled(options, defaults, result)
    turn = find_turn(result, chosen.frame, chosen.up)
    takes = [_turned(take, turn, chosen, result) for take in _takes(result, chosen.which)]
    notes = list(result.notes)
    if chosen.root != "none" and any(take.root is None for take in takes):
        chosen = replace(chosen, root="none")
        notes.append("root unknown: the joints are relative to it")
    fps = options.fps if options.fps is not None else result.keypoints.fps
    if fps is None and defaults.needs_rate:
        fps = ASSUMED_FPS
        notes.append(f"frame rate unknown: {ASSUMED_FPS:g} Hz assumed")
    takes = [_with_root(take, chosen.root) for take in takes]
    return ExportScene(
        takes=tuple(takes),
        skeleton=result.hypotheses.skeleton,
        fps=fps,
        unit=chosen.unit,
        frame=chosen.frame,
        up=chosen.up,
        axes=axes_words(turn, chosen.up, chosen.unit, chosen.root, frame_words(result)),
        root=chosen.root,
        result=result,
        notes=tuple(notes),
        up_axis=turn.up_axis,
        rig=options.rig,
        lock_feet=options.lock_feet,
        in_place=options.in_place,
    )


def bridged(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], int]:
    """Fill gaps in time: straight lines inside, the nearest value at the ends.

    Args:
        values: ``(F, ..., 3)``; NaN where unknown.

    Returns:
        The values without gaps, and how many places were filled. What is never known stays NaN.

    Example:
        >>> bridged(np.array([[np.nan], [1.0], [np.nan], [3.0]]))[0].ravel().tolist()
        [1.0, 1.0, 2.0, 3.0]
    """
    flat = values.reshape(len(values), -1).copy()
    frames = np.arange(len(flat))
    filled = 0
    for column in flat.T:
        known = np.isfinite(column)
        if known.any() and not known.all():
            column[~known] = np.interp(frames[~known], frames[known], column[known])
            filled += int((~known).sum())
    return flat.reshape(values.shape), -(-filled // values.shape[-1])


@dataclass(frozen=True)
class _Settled:
    """Options with the format's choices filled in."""

    which: str | int
    frame: str
    up: str
    root: str
    unit: str


def _settled(options: ExportOptions, defaults: Defaults, result: Result) -> _Settled:
    """The options with the format's choices filled in."""
    _check_allowed(options, defaults)
    camera = result.keypoints.camera
    has_world = options.frame is None and camera is not None and camera.rotation is not None
    up = "z" if has_world and defaults.up == "native" else defaults.up
    return _Settled(
        which=defaults.which if options.which is None else options.which,
        frame=options.frame or ("world" if has_world else "camera"),
        up=options.up or up,
        root=options.root or defaults.root,
        unit=options.unit or defaults.unit,
    )


def _check_allowed(options: ExportOptions, defaults: Defaults) -> None:
    """Refuse what the format cannot do."""
    for name in defaults.fixed:
        if getattr(options, name) not in (None, getattr(defaults, name)):
            raise OptionError(
                f"This format fixes {name} to {getattr(defaults, name)!r}; leave the option out."
            )
    for name in ("rig", "lock_feet", "in_place"):
        if getattr(options, name) and not defaults.turns:
            raise OptionError(
                f"{name} is about rotations of bones; export .bvh or .glb, or leave it out."
            )
    if options.root == "apart" and defaults.root == "placed":
        raise OptionError("This format cannot hold the root separately; use root placed or none.")


def _takes(result: Result, which: str | int) -> list[Take]:
    """Motions in camera-frame meters."""
    pose, hypotheses = result.pose, result.hypotheses
    n = len(hypotheses)
    if isinstance(which, int) and not 0 <= which < n:
        raise OptionError(
            f"There is no hypothesis {which}; this result has {n}, from 0 to {n - 1}."
        )
    first = Take("aggregate", None, _numpy(pose.joints), _maybe(pose.root), _maybe(pose.std))
    wanted = range(n) if which == "all" else [which] if isinstance(which, int) else []
    width = max(2, len(str(n - 1)))
    numbered = [
        Take(
            f"h{h:0{width}d}",
            h,
            _numpy(hypotheses.joints[h]),
            None if hypotheses.root is None else _numpy(hypotheses.root[h]),
        )
        for h in wanted
    ]
    return numbered if isinstance(which, int) else [first, *numbered]


def _turned(take: Take, turn: Turn, options: _Settled, result: Result) -> Take:
    scale = PER_METER[options.unit]
    std = take.std
    if std is not None:
        std = scale * _turned_std(std, turn, result)
    return replace(
        take,
        joints=scale * turn.directions(take.joints),
        root=None if take.root is None else scale * turn.places(take.root),
        std=std,
    )


def _turned_std(std: NDArray[np.float64], turn: Turn, result: Result) -> NDArray[np.float64]:
    """Spread per axis of the file: reordered, or taken again where axes are turned freely."""
    if turn.camera is None:
        return np.asarray(std @ np.abs(turn.matrix).T)
    turned = np.stack([turn.directions(_numpy(h)) for h in result.hypotheses.joints])
    if len(turned) == 1:
        return np.full_like(turned[0], np.nan)
    return np.asarray(turned.std(0, ddof=1))


def _with_root(take: Take, root: str) -> Take:
    """The root added to the joints, kept beside them, or left out."""
    if root == "none" or take.root is None:
        return replace(take, root=None)
    return take if root == "apart" else replace(take, joints=take.joints + take.root[:, None, :])


def _maybe(x: Tensor | None) -> NDArray[np.float64] | None:
    return None if x is None else _numpy(x)


def _numpy(x: Tensor) -> NDArray[np.float64]:
    array: NDArray[np.float64] = x.detach().cpu().double().numpy()
    return array


def numbered_path(path: Path, take: Take) -> Path:
    """The file of a take, for formats that hold one: hypotheses carry their number.

    Example:
        >>> numbered_path(Path("walk.bvh"), Take("h07", 7, np.zeros((1, 1, 3)))).name
        'walk_h07.bvh'
    """
    if take.hypothesis is None:
        return path
    return path.with_name(f"{path.stem}_{take.label}{path.suffix}")
