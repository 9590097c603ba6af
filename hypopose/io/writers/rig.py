"""From places to rotations: a skeleton of constant bones, turned frame by frame.

**Bones.** A bone's length is its mean over the clip without the shortest and the longest tenth of
its frames; left and right are measured apart.

**Rest pose.** A T-pose facing +z with y up (or z up, facing -y), the person's left at +x, chosen by
the joints' names; a joint of unknown name points up. Only the starting point of rotations
depends on it, never a place.

**Helpers.** A joint with several children turns as one piece, but shoulders move against the
spine. As in laboratories' skeletons, each of several children therefore hangs on a helper of no
length at its parent's place (``thorax_to_left_shoulder``), which turns its own bone.

**Rotations.**

1. A joint with several children takes the rotation that brings their rest directions closest to
   the seen ones in least squares (Wahba's problem, solved by a singular value decomposition). A
   weak pull towards the parent's rotation decides what the directions leave open.
2. Every other bone, helpers' included, takes the smallest turn from its parent's rotation to
   the seen direction. Points do not show the twist of a bone about its axis, so none is added.

Every bone then points exactly where its joints say: the motion is
``p_child = p_parent + length * (x_child - x_parent) / |x_child - x_parent|``, and it departs from
the original only because bones keep their length. The departure is reported.

Reference: Wahba, "A least squares estimate of satellite attitude", SIAM Review 7(3), 1965.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from hypopose.errors import OptionError
from hypopose.io.writers.scene import PER_METER, ExportScene, Take, bridged
from hypopose.types import Skeleton

TRIM = 0.1
"""Share of frames left out at each end of a bone's lengths."""

PULL = 1e-3
"""Weight of the parent's rotation against one child's direction."""

_SIDEWAYS = ("hip", "shoulder", "clavicle", "collar", "elbow", "wrist", "hand", "thumb", "pinky",
             "index", "ear", "eye", "mouth")  # fmt: skip
_DOWN = ("knee", "ankle")
_FORWARD = ("toe", "foot")


@dataclass(frozen=True, eq=False)
class BoneRig:
    """Nodes of constant offsets, parents before children, depth first.

    Args:
        names: Joints by name, and helpers.
        parents: Node indices; -1 for the root.
        offsets: From the parent's place, in the rest pose; the root's is zero.
        joints: The skeleton's joint at each node, or -1 for helpers.
        tips: Where bones without children end, from their node; zero where they do not say.
    """

    names: tuple[str, ...]
    parents: tuple[int, ...]
    offsets: Float[np.ndarray, "N 3"]
    joints: tuple[int, ...]
    tips: Float[np.ndarray, "N 3"]

    def children(self, node: int) -> list[int]:
        """Nodes that hang on a node."""
        return [i for i, parent in enumerate(self.parents) if parent == node]


@dataclass(frozen=True, eq=False)
class Performance:
    """A rig in motion.

    Args:
        rig: Its nodes.
        root: Places of the root.
        turns: Rotations of each node against its parent.
        note: How far the constant bones are from the original, and what was bridged, in words.
    """

    rig: BoneRig
    root: Float[np.ndarray, "F 3"]
    turns: Float[np.ndarray, "F N 3 3"]
    note: str

    def globally(self) -> Float[np.ndarray, "F N 3 3"]:
        """Rotations of every node against the file's axes."""
        globally = self.turns.copy()
        for i, parent in enumerate(self.rig.parents):
            if parent >= 0:
                globally[:, i] = globally[:, parent] @ self.turns[:, i]
        return globally

    def with_globally(self, globally: Float[np.ndarray, "F N 3 3"]) -> Performance:
        """The same rig with other rotations, given against the file's axes."""
        turns = globally.copy()
        for i, parent in enumerate(self.rig.parents):
            if parent >= 0:
                turns[:, i] = globally[:, parent].swapaxes(-1, -2) @ globally[:, i]
        return replace(self, turns=turns)

    def places(self) -> Float[np.ndarray, "F N 3"]:
        """Where every node is."""
        globally = self.globally()
        places = np.zeros(globally.shape[:3])
        for i, parent in enumerate(self.rig.parents):
            step = globally[:, parent] @ self.rig.offsets[i]
            places[:, i] = self.root if parent < 0 else places[:, parent] + step
        return places


def perform(scene: ExportScene, take: Take) -> Performance:
    """Put a motion on a rig.

    Args:
        scene: Skeleton, axes and unit.
        take: Places; gaps are bridged, see :func:`hypopose.io.writers.scene.bridged`.

    Returns:
        The rig, its rotations, and the departure of constant bones.

    Raises:
        OptionError: If a joint is missing in the whole clip, or the skeleton has several roots.
    """
    skeleton = scene.skeleton
    places, n_bridged = known_places(take, skeleton)
    if skeleton.parents.count(-1) != 1:
        raise OptionError(
            f"Skeleton {skeleton.name!r} has several roots; rotations need one. Export .c3d or a "
            "table."
        )
    rig = build_rig(skeleton, bone_lengths(places, skeleton), z_up=scene.up == "z")
    performance = Performance(rig, places[:, skeleton.root], _solve(rig, places), "")
    return replace(performance, note=departure_note(performance, take, scene.unit, n_bridged))


def known_places(take: Take, skeleton: Skeleton) -> tuple[NDArray[np.float64], int]:
    """Joints without gaps, and how many places were bridged.

    Args:
        take: A motion.
        skeleton: Whose joints.

    Raises:
        OptionError: If a joint is nowhere in the clip.
    """
    places, n_bridged = bridged(take.joints)
    lost = [n for n, x in zip(skeleton.joint_names, places.swapaxes(0, 1), strict=True)
            if not np.isfinite(x).all()]  # fmt: skip
    if lost:
        raise OptionError(
            f"{take.label}: {', '.join(lost)} known in no frame, so bones have no length; "
            "export .c3d or a table, which keep gaps."
        )
    return places, n_bridged


def departure_note(performance: Performance, take: Take, unit: str, n_bridged: int) -> str:
    """How far a rig's joints are from the original, in words.

    Args:
        performance: The rig in motion.
        take: What it was made of.
        unit: Of both.
        n_bridged: Places that were filled in.
    """
    nodes = [(i, joint) for i, joint in enumerate(performance.rig.joints) if joint >= 0]
    node, joint = (list(column) for column in zip(*nodes, strict=True))
    apart = np.linalg.norm(performance.places()[:, node] - take.joints[:, joint], axis=-1)
    apart = apart[np.isfinite(apart)] * 1000.0 / PER_METER[unit]
    note = (
        f"{take.label}: constant bones, {apart.mean():.1f} mm from the original on average, "
        f"{apart.max():.1f} mm at most"
    )
    return f"{note}; {n_bridged} unknown places bridged" if n_bridged else note


def bone_lengths(places: Float[np.ndarray, "F J 3"], skeleton: Skeleton) -> Float[np.ndarray, " J"]:
    """Length of the bone that ends in each joint; 0 for the root.

    Args:
        places: Without gaps.
        skeleton: Whose bones.

    Returns:
        Trimmed means over the clip.
    """
    from scipy.stats import trim_mean

    lengths = np.zeros(skeleton.n_joints)
    for parent, child in skeleton.bones:
        lengths[child] = trim_mean(
            np.linalg.norm(places[:, child] - places[:, parent], axis=-1), TRIM
        )
    return lengths


def build_rig(
    skeleton: Skeleton, lengths: Float[np.ndarray, " J"], *, z_up: bool = False
) -> BoneRig:
    """Nodes of a skeleton with given bone lengths.

    Args:
        skeleton: With one root.
        lengths: Of the bone that ends in each joint.
        z_up: Stand the rest pose along z instead of y.

    Returns:
        The rig, with helpers where a joint has several children.
    """
    names: list[str] = []
    parents: list[int] = []
    offsets: list[NDArray[np.float64]] = []
    joints: list[int] = []

    def add(name: str, parent: int, offset: NDArray[np.float64], joint: int) -> int:
        names.append(name)
        parents.append(parent)
        offsets.append(offset)
        joints.append(joint)
        return len(names) - 1

    def grow(joint: int, parent: int, offset: NDArray[np.float64]) -> None:
        node = add(skeleton.joint_names[joint], parent, offset, joint)
        children = [c for c, p in enumerate(skeleton.parents) if p == joint]
        for child in children:
            holder = node
            if len(children) > 1:
                name = f"{skeleton.joint_names[joint]}_to_{skeleton.joint_names[child]}"
                holder = add(name, node, np.zeros(3), -1)
            grow(child, holder, lengths[child] * rest_direction(skeleton, child, z_up=z_up))

    grow(skeleton.root, -1, np.zeros(3))
    ends = np.zeros((len(names), 3))
    return BoneRig(tuple(names), tuple(parents), np.stack(offsets), tuple(joints), ends)


def rest_direction(skeleton: Skeleton, joint: int, *, z_up: bool = False) -> Float[np.ndarray, "3"]:
    """Where the bone to a joint points in the rest pose.

    Example:
        >>> from hypopose.skeletons import H36M17
        >>> rest_direction(H36M17, H36M17.index("left_wrist")).tolist()
        [1.0, 0.0, 0.0]
    """
    name, parent = skeleton.joint_names[joint], skeleton.joint_names[skeleton.parents[joint]]
    side = float(joint in skeleton.left) - float(joint in skeleton.right)
    down = _DOWN if "shoulder" not in parent else (*_DOWN, "hip")
    known = (
        (down, (0.0, -1.0, 0.0)),
        (_FORWARD, (0.0, 0.0, 1.0)),
        (("heel",), (0.0, 0.0, -1.0)),
        (_SIDEWAYS if side else (), (side, 0.0, 0.0)),
    )
    directions = (d for words, d in known if any(word in name for word in words))
    x, y, z = next(directions, (0.0, 1.0, 0.0))
    return np.array([x, -z, y] if z_up else [x, y, z])


def _solve(rig: BoneRig, places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotations of every node against its parent."""
    n_frames = len(places)
    globally = np.broadcast_to(np.eye(3), (n_frames, len(rig.names), 3, 3)).copy()
    turns = globally.copy()
    at = [joint if joint >= 0 else rig.joints[rig.parents[i]] for i, joint in enumerate(rig.joints)]
    for i, parent in enumerate(rig.parents):
        above = globally[:, parent] if parent >= 0 else np.broadcast_to(np.eye(3), (n_frames, 3, 3))
        bones = [(rig.offsets[end], places[:, at[end]] - places[:, at[i]]) for end in _ends(rig, i)]
        if len(bones) > 1:
            globally[:, i] = fit_turn(bones, above)
        elif bones:
            globally[:, i] = swing(*bones[0], above)
        else:
            globally[:, i] = above
        turns[:, i] = above.swapaxes(-1, -2) @ globally[:, i]
    return turns


def _ends(rig: BoneRig, node: int) -> list[int]:
    """Nodes at the far ends of a node's bones, helpers passed through."""
    children = rig.children(node)
    return [rig.children(c)[0] if rig.joints[c] < 0 else c for c in children]


def fit_turn(
    bones: list[tuple[NDArray[np.float64], NDArray[np.float64]]], above: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The rotations closest to several directions, and a little to the parent's."""
    total = PULL * above
    for rest, seen in bones:
        total = total + _unit(seen)[:, :, None] * _unit(rest)[None, None, :]
    u, _, vt = np.linalg.svd(total)
    u[:, :, 2] *= np.sign(np.linalg.det(u @ vt))[:, None]
    return np.asarray(u @ vt)


def swing(
    rest: NDArray[np.float64], seen: NDArray[np.float64], above: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The smallest turn after the parent's that points the bone where it is seen."""
    a, b = above @ _unit(rest), _unit(seen)
    b = np.where((np.linalg.norm(b, axis=-1) > 0)[:, None], b, a)
    c = (a * b).sum(-1)
    v = np.cross(a, b)
    opposite = c < -1 + 1e-9
    cross = np.zeros((len(a), 3, 3))
    cross[:, [2, 0, 1], [1, 2, 0]] = v
    cross[:, [1, 2, 0], [2, 0, 1]] = -v
    turn = np.eye(3) + cross + cross @ cross / np.where(opposite, 1.0, 1 + c)[:, None, None]
    if opposite.any():
        turn[opposite] = _half_turn(a[opposite])
    return np.asarray(turn @ above)


def _half_turn(a: NDArray[np.float64]) -> NDArray[np.float64]:
    """Half a turn about some axis square to each direction."""
    other = np.eye(3)[np.abs(a).argmin(-1)]
    axis = _unit(np.cross(a, other))
    return 2 * axis[:, :, None] * axis[:, None, :] - np.eye(3)


def _unit(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Directions of length 1; what has no length stays zero."""
    length = np.linalg.norm(x, axis=-1, keepdims=True)
    return x / np.where(length > 1e-12, length, np.inf)


def lowest(performance: Performance, scene: ExportScene) -> np.ndarray:
    """Height of the lowest point of the rig, tips included, per frame, in the file's unit.

    Args:
        performance: A rig in motion.
        scene: Its axes.
    """
    rig = performance.rig
    places, globally = performance.places(), performance.globally()
    tips = places + (globally @ rig.tips[None, :, :, None])[..., 0]
    up = scene.to_z_up[2]
    return np.asarray(np.minimum((places @ up).min(1), (tips @ up).min(1)))
