"""Which skeleton the points of a 3D file belong to.

The file's names, in the usual spelling (:mod:`hypopose.io.parsing.joint_words`), are those of a
skeleton, hold all of one and more, or are some of one's; then the file is in that skeleton. Other
names stay as they are, with what is known of the body as a tree.
"""

from __future__ import annotations

from collections.abc import Sequence

from hypopose.io.format import ReadOptions
from hypopose.io.motion_files.file_motion import FileMotion
from hypopose.io.motion_files.motion_units import skeletons_that_fit
from hypopose.io.parsing.joint_words import plain, usual_names
from hypopose.io.parsing.named_joints import find_joints
from hypopose.io.parsing.skeleton_detection import check_joints
from hypopose.io.source import Source
from hypopose.skeletons import SKELETONS
from hypopose.types import Skeleton

LEAST = 10
"""Joints of a skeleton that must be there before it is taken for the file's."""

BODY = (
    "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
    "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
)  # fmt: skip

SAME_WORDS = {"h36m17": {"head": ("head_top",)}, "halpe26": {"head_top": ("head",)},
              "body25b": {"head_top": ("head",)}, "mpii16": {"head_top": ("head",)},
              "body25": {"neck": ("thorax",)}}  # fmt: skip
"""Joint of a skeleton -> other names of it in files that hold this skeleton."""

_PARENTS = {
    "knee": "hip", "ankle": "knee", "heel": "ankle", "big_toe": "ankle", "small_toe": "ankle",
    "toe": "ankle", "foot": "ankle", "foot_index": "ankle", "elbow": "shoulder",
    "wrist": "elbow", "hand": "wrist", "thumb": "wrist", "eye": "nose", "ear": "nose",
}  # fmt: skip
_TRUNK = {
    "shoulder": ("neck", "thorax", "pelvis"), "hip": ("pelvis",), "neck": ("thorax", "spine",
    "pelvis"), "thorax": ("spine", "pelvis"), "spine": ("pelvis",), "head": ("neck", "thorax"),
    "head_top": ("head", "neck"), "nose": ("neck", "head", "thorax"),
}  # fmt: skip


def skeleton_of(
    source: Source, motion: FileMotion, options: ReadOptions
) -> tuple[Skeleton, list[int], tuple[str, ...]]:
    """The skeleton of a motion, and the place of each of its joints among the points, or -1.

    Args:
        source: The file, for messages.
        motion: As read.
        options: Carries the user's skeleton, and names for its joints.

    Returns:
        Skeleton, places, and notes on what was not simply there.

    Raises:
        FormatError: If the points have no names and no skeleton is named, or it does not fit.
    """
    n_points = motion.points.shape[1]
    if not motion.names:
        known = options.skeleton or motion.skeleton
        if known is None:
            raise _nameless(source, motion)
        check_joints(source, known, n_points)
        _check_limbs(source, motion, known)
        return known, list(range(n_points)), ()
    if options.skeleton is not None:
        return _told(source, motion, options)
    if motion.skeleton is not None:
        check_joints(source, motion.skeleton, n_points)
        return motion.skeleton, list(range(n_points)), ()
    return _by_names(source, motion)


def _nameless(source: Source, motion: FileMotion) -> Exception:
    """The error for points without names; skeletons whose limbs are those of people come first."""
    n_points = motion.points.shape[1]
    fitting = skeletons_that_fit(motion.points)
    fitting = fitting or [s.name for s in SKELETONS.values() if s.n_joints == n_points]
    cure = f"name it: skeleton={' or '.join(fitting)}" if fitting else (
        "no known skeleton has as many: describe it in a file, skeleton=FILE.toml"
    )  # fmt: skip
    return source.error(f"{n_points} points in an order the file does not name", cure)


def _check_limbs(source: Source, motion: FileMotion, skeleton: Skeleton) -> None:
    """Refuse a skeleton whose limbs are no person's where another's are.

    Raises:
        FormatError: If so.
    """
    fitting = skeletons_that_fit(motion.points)
    if fitting and skeleton.name in SKELETONS and skeleton.name not in fitting:
        raise source.error(
            f"read as {skeleton.name}, limbs are no person's",
            f"name the skeleton whose limbs are: skeleton={' or '.join(fitting)}",
        )


def _told(
    source: Source, motion: FileMotion, options: ReadOptions
) -> tuple[Skeleton, list[int], tuple[str, ...]]:
    assert options.skeleton is not None
    skeleton = options.skeleton
    words = _in_words_of(skeleton, usual_names(motion.names))
    given = set(options.joint_names.values())
    # A name the user gives is looked for as it is written in the file.
    names = [n if n in given else w for n, w in zip(motion.names, words, strict=True)]
    return find_joints(source, options, names)


def _by_names(source: Source, motion: FileMotion) -> tuple[Skeleton, list[int], tuple[str, ...]]:
    usual = usual_names(motion.names)
    if "left_hip" in motion.usual and "left_hip" not in usual:
        # A rig: its shoulders are collar bones, its hands wrists. Names stay as they are.
        return _own(motion, [plain(name.rpartition(":")[2]) for name in motion.names])
    best: tuple[tuple[bool, int, int], Skeleton, list[str]] | None = None
    for skeleton in SKELETONS.values():
        words = _in_words_of(skeleton, usual)
        found = set(words) & set(skeleton.joint_names)
        lost, unused = len(usual) - len(found), skeleton.n_joints - len(found)
        if len(found) >= LEAST and set(BODY) <= found:
            partly = unused > 0 and lost > 0  # other points beside a part of a skeleton
            rank = (partly, lost + unused, -len(found))
            if best is None or rank < best[0]:
                best = rank, skeleton, words
    if best is None:
        return _own(motion, usual)
    _, skeleton, words = best
    order = [words.index(joint) if joint in words else -1 for joint in skeleton.joint_names]
    return skeleton, order, _notes(motion, skeleton, order)


def _notes(motion: FileMotion, skeleton: Skeleton, order: Sequence[int]) -> tuple[str, ...]:
    missing = [j for j, i in zip(skeleton.joint_names, order, strict=True) if i < 0]
    others = [name for i, name in enumerate(motion.names) if i not in order]
    notes = []
    if missing:
        notes.append(f"joints of {skeleton.name} that the file has not: {', '.join(missing)}")
    if others:
        more = f" and {len(others) - 8} more" if len(others) > 8 else ""
        notes.append(
            f"left out, not in {skeleton.name}: {', '.join(others[:8])}{more}; skeleton=FILE.toml "
            "keeps others"
        )
    return tuple(notes)


def _in_words_of(skeleton: Skeleton, names: Sequence[str]) -> list[str]:
    """The names, where a skeleton has another word for one of them in its own words."""
    words = list(names)
    for joint, others in SAME_WORDS.get(skeleton.name, {}).items():
        place = next((words.index(o) for o in others if o in words), None)
        if joint not in words and place is not None:
            words[place] = joint
    return words


def _own(motion: FileMotion, usual: Sequence[str]) -> tuple[Skeleton, list[int], tuple[str, ...]]:
    """A skeleton of the file's own joints, as a tree where the file or the names tell one."""
    names = usual if len(set(usual)) == len(usual) and all(usual) else motion.names
    parents = motion.parents
    if parents is None:
        parents = tuple(_parent(name, names, j) for j, name in enumerate(names))
    skeleton = Skeleton(f"own{len(names)}", tuple(names), parents, *_sides(names))
    shown = ", ".join(motion.names[:4]) + (", ..." if len(names) > 4 else "")
    note = (
        f"the file's points ({shown}) are those of no skeleton HypoPose knows, and are kept under "
        "their own names; say which are whose with skeleton=FILE.toml"
    )
    return skeleton, list(range(len(names))), (note,)


def _root(names: Sequence[str]) -> int:
    return next((names.index(n) for n in ("pelvis", "spine", "thorax", "neck") if n in names), 0)


def _parent(name: str, names: Sequence[str], j: int) -> int:
    root = _root(names)
    if j == root:
        return -1
    side, _, part = name.partition("_")
    sided = side in ("left", "right")
    above = _PARENTS.get(part if sided else name)
    tried = [f"{side}_{above}", str(above)] if sided and above else []
    tried += _TRUNK.get(part if sided else name, ())
    return next((names.index(t) for t in tried if t in names and t != name), root)


def _sides(names: Sequence[str]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    pairs = [
        (j, names.index(f"right_{name.removeprefix('left_')}"))
        for j, name in enumerate(names)
        if name.startswith("left_") and f"right_{name.removeprefix('left_')}" in names
    ]
    return tuple(a for a, _ in pairs), tuple(b for _, b in pairs)
