"""Results on disk: everything a run found, and everything needed to run it again.

npz is the full record and loads back; :mod:`hypopose.io.writers` writes what other programs read.
``docs/reference/file-formats.md`` writes the layouts down.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from hypopose.errors import HypoPoseError, OptionError, ShapeError, SkeletonMismatchError
from hypopose.io import native
from hypopose.io.native import checked, texts
from hypopose.io.source import Source
from hypopose.io.untrusted.arrays import NpzArchive
from hypopose.types import Hypotheses, Keypoints2D, Poses3D

MAX_METERS = 1e5
"""No person of a result is farther away, and infinity is not either."""

MAX_FOCAL = 1e7

ESTIMATED_WORLD = "world frame estimated from feet"
"""Begins the note of a world that no camera file gave."""

_SHAPES = {
    "hypotheses": "HFJ3", "hypotheses_root": "HF3", "hypotheses_focal": "H", "pose": "FJ3",
    "pose_root": "F3", "pose_std": "FJ3", "pose_covariance": "FJ33",
}  # fmt: skip
"""Arrays of a result and their axes."""


@dataclass(frozen=True, eq=False)
class Result:
    """One person's hypotheses, their aggregate, and the settings of the run.

    Args:
        hypotheses: (H, F, J, 3), without batch axes.
        pose: The aggregate, with its standard deviation if known.
        keypoints: What was sampled from, converted to the network's skeleton, camera included.
        seed: Seed of the noise.
        sampler: The sampler's options and its ``name``.
        weights: Which weights.
        aggregate: How the aggregate was made.
        person: Identity in the source file.
        source: Name of the source file.
        version: HypoPose's version.
        notes: What was assumed on the way.
        calibrator: What recalibrated the spread: ``kind`` and ``file``, and what it was fitted on;
            empty if the hypotheses are as sampled.
        made_with: Input and options of the run by name, digests for contents, so that a run that
            was stopped knows what is done already; empty if it was not recorded.
        masks: Which masks had a part in it: ``file``, ``frames``, ``looks``, and how they were
            ``used`` (``"weights"`` or ``"refinement"``); empty if none had.

    Raises:
        ShapeError: If something has batch axes, or frames disagree.
        SkeletonMismatchError: If hypotheses and pose have different skeletons.
    """

    hypotheses: Hypotheses
    pose: Poses3D
    keypoints: Keypoints2D
    seed: int
    sampler: dict[str, Any] = field(default_factory=dict)
    weights: str = ""
    aggregate: str = ""
    person: str = "0"
    source: str = ""
    version: str = ""
    notes: tuple[str, ...] = ()
    calibrator: dict[str, Any] = field(default_factory=dict)
    made_with: dict[str, Any] = field(default_factory=dict)
    masks: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.hypotheses.joints.dim() != 4 or self.pose.joints.dim() != 3:
            raise ShapeError("A result is one person's, without batch axes; make one for each.")
        frames = {self.hypotheses.joints.shape[1], self.pose.joints.shape[0]}
        if self.keypoints.xy.dim() != 3 or frames != {self.keypoints.n_frames}:
            raise ShapeError(
                f"Hypotheses and pose have {sorted(frames)} frames, the keypoints "
                f"{self.keypoints.n_frames}; a result is about the same frames."
            )
        if self.hypotheses.skeleton != self.pose.skeleton:
            raise SkeletonMismatchError(
                f"The hypotheses are {self.hypotheses.skeleton.name}, the pose is "
                f"{self.pose.skeleton.name}; aggregate without converting."
            )

    @property
    def spread_words(self) -> str:
        """Whether the spread is as sampled, or which calibrator was applied, in words."""
        c = self.calibrator
        if not c:
            return "as sampled, no calibrator"
        fitted = f", fitted on {c['fitted_on']}" if c.get("fitted_on") else ""
        return (
            f"recalibrated by {c.get('kind', 'a calibrator')} of {c.get('file', 'no file')}{fitted}"
        )

    @property
    def world_is_estimated(self) -> bool:
        """Whether its camera's world was estimated from feet."""
        return any(note.startswith(ESTIMATED_WORLD) for note in self.notes)


def write_npz(path: str | Path, result: Result) -> None:
    """Write a result as npz: float32 arrays and one JSON text, nothing pickled.

    Args:
        path: Where to; written whole or not at all.
        result: What to write.
    """
    keypoints = native.keypoints_arrays(result.keypoints)
    arrays = {
        **_pose_arrays(result),
        **{f"keypoints_{name}": value for name, value in keypoints.items()},
    }
    metadata = {"hypopose": "result", "schema": native.SCHEMA, **result_metadata(result)}
    native.save_arrays(path, arrays, metadata)


def load_hypotheses(path: str | Path) -> Result:
    """Read a result back.

    Args:
        path: An npz that :func:`save_result` or ``hypopose sample`` wrote.

    Returns:
        The result, float32.

    Raises:
        FormatError: If the file is no result, or is damaged.
    """
    source = Source(path)
    if not source.is_npz or not native.is_native(source):
        raise source.error("is not a result of HypoPose", "give the .npz of hypopose sample")
    archive = NpzArchive(source)
    metadata = native.read_metadata(source, archive)
    if metadata.get("hypopose") != "result":
        raise source.error("holds keypoints, no hypotheses", "give the .npz of hypopose sample")
    wanted = {"hypotheses", "pose"} | (set(_SHAPES) & set(archive.names))
    tensors = {name: native.tensor_from(source, archive, name) for name in sorted(wanted)}
    skeleton = native.skeleton_from_dict(source, metadata.get("skeleton"))
    _check_shapes(source, tensors, skeleton.n_joints)
    words = {
        key: checked(source, metadata.get(key), str, key)
        for key in ("weights", "aggregate", "person", "source", "version")
    }
    try:
        result = Result(
            hypotheses=Hypotheses(
                tensors["hypotheses"],
                skeleton,
                tensors.get("hypotheses_root"),
                tensors.get("hypotheses_focal"),
            ),
            pose=Poses3D(
                tensors["pose"],
                skeleton,
                tensors.get("pose_root"),
                tensors.get("pose_std"),
                tensors.get("pose_covariance"),
            ),
            keypoints=native.keypoints_from(
                source, archive, metadata.get("keypoints"), "keypoints_"
            ),
            seed=checked(source, metadata.get("seed"), int, "seed"),
            sampler=checked(source, metadata.get("sampler"), dict, "sampler"),
            notes=texts(source, metadata.get("notes"), "notes"),
            # Absent from files written before results kept it.
            calibrator=checked(source, metadata.get("calibrator") or {}, dict, "calibrator"),
            made_with=checked(source, metadata.get("made_with") or {}, dict, "made_with"),
            masks=checked(source, metadata.get("masks") or {}, dict, "masks"),
            **words,
        )
    except HypoPoseError as error:
        raise source.error(str(error).rstrip("."), "write the file again") from None
    _check_values(source, result)
    return result


def _check_shapes(source: Source, tensors: dict[str, Tensor], n_joints: int) -> None:
    """Refuse arrays of other sizes than the hypotheses', and none at all."""
    given = tensors["hypotheses"].shape
    if len(given) != len(_SHAPES["hypotheses"]) or 0 in given[:2]:
        raise source.error(
            f"hypotheses of the shape {tuple(given)}", "give (H, F, J, 3), not empty"
        )
    sizes = {"H": given[0], "F": given[1], "J": n_joints, "3": 3}
    for name, tensor in tensors.items():
        wanted = tuple(sizes[axis] for axis in _SHAPES[name])
        if tuple(tensor.shape) != wanted:
            raise source.error(
                f"{name} of the shape {tuple(tensor.shape)}, not {wanted}", "write the file again"
            )


def _check_values(source: Source, result: Result) -> None:
    """Refuse a result that nothing could be done with: infinite, or beyond any place."""
    lengths = {
        "hypotheses": result.hypotheses.joints,
        "hypotheses_root": result.hypotheses.root,
        "pose": result.pose.joints,
        "pose_root": result.pose.root,
        "pose_std": result.pose.std,
        "pose_covariance": result.pose.covariance,
    }
    for name, value in lengths.items():
        if value is not None and bool((value.abs() > MAX_METERS).any()):
            raise source.error(
                f"{name} holds places beyond {MAX_METERS:g} m", "write the file again"
            )
    focal = result.hypotheses.focal
    if focal is not None and not bool(((focal > 0) & (focal < MAX_FOCAL)).all()):
        raise source.error("hypotheses_focal are not focal lengths", "write the file again")


def _pose_arrays(result: Result) -> dict[str, Tensor]:
    arrays = {
        "hypotheses": result.hypotheses.joints,
        "hypotheses_root": result.hypotheses.root,
        "hypotheses_focal": result.hypotheses.focal,
        "pose": result.pose.joints,
        "pose_root": result.pose.root,
        "pose_std": result.pose.std,
        "pose_covariance": result.pose.covariance,
    }
    return {name: value for name, value in arrays.items() if value is not None}


def _stored(words: dict[str, Any], name: str) -> dict[str, Any]:
    try:
        plain: dict[str, Any] = json.loads(json.dumps(words, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise OptionError(f"{name} must be plain values to be stored: {error}.") from None
    return plain


def result_metadata(result: Result) -> dict[str, Any]:
    """All of a result that is no array, JSON-ready.

    Raises:
        OptionError: If the sampler's options are not plain values.
    """
    return {
        "version": result.version,
        "source": result.source,
        "person": result.person,
        "skeleton": native.skeleton_to_dict(result.hypotheses.skeleton),
        "seed": result.seed,
        "sampler": _stored(result.sampler, "Sampler options"),
        "weights": result.weights,
        "aggregate": result.aggregate,
        "calibrator": _stored(result.calibrator, "What is said of a calibrator") or None,
        "made_with": _stored(result.made_with, "What a run was made with") or None,
        "masks": _stored(result.masks, "What is said of masks") or None,
        "notes": list(result.notes),
        "units": {"hypotheses": "m, camera frame, root-relative", "keypoints": "px"},
        "keypoints": native.keypoints_metadata(result.keypoints),
    }
