"""Surfaces for the hypotheses of a result: fit a body, measure how far surfaces differ."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from hypopose.bodies import BodyModel, BodyParameters, make_body
from hypopose.bodies.body_model import Skin
from hypopose.bodies.mesh_files import check_size
from hypopose.bodies.mesh_scenes import MeshScene, MeshTake
from hypopose.cameras import fit_root, fit_roots, turn_up
from hypopose.checks import check_choice
from hypopose.errors import OptionError
from hypopose.io.results import Result, result_metadata
from hypopose.optimization.body_fit import BodyFit, BodyFitter, Sharing, vertex_spread
from hypopose.types import ASSUMED_FPS

Motion = str | int
"""``"aggregate"``, ``"all"`` or the number of a hypothesis."""

WORDS = {
    "native": "camera frame; x right; y down; z forward; meters",
    "y": "camera frame; x right; y up; z backward; meters",
    "z": "camera frame; x right; y forward; z up; meters",
}


def make_meshes(
    result: Result,
    *,
    body: str | Path | BodyModel = "capsules",
    shape: Sharing = "shared",
    motion: Motion = "aggregate",
    up: str = "y",
    n_steps: int = 5,
    say: Callable[[str], None] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> MeshScene:
    """Fit a body to every hypothesis of a result.

    Args:
        result: As :func:`hypopose.estimate` made it.
        body: ``"capsules"``, ``"anny"``, the path of an npz with SMPL's arrays, or a model.
        shape: Who has one build: ``"shared"``, ``"hypothesis"`` or ``"frame"``.
        motion: ``"aggregate"``, ``"all"`` (it first, then every hypothesis), or a hypothesis.
        up: ``"y"``, ``"z"``, or ``"native"`` for the camera's axes.
        n_steps: Gauss-Newton steps of the fit.
        say: Called with a line of text before work that takes long.
        progress: Called with bodies fitted and to be fitted.

    Returns:
        Surfaces of the chosen motions with the spread of all hypotheses; save them with
        :func:`hypopose.bodies.mesh_files.save_mesh`.

    Raises:
        OptionError: If there is no such body, hypothesis or axis, or all motions take too much.
        BackendError: If the body's package is not installed.
        SkeletonMismatchError: If the result has other joints than the body.

    Example:
        >>> import hypopose
        >>> keypoints, _ = hypopose.datasets.example_pair(6)
        >>> result = hypopose.estimate(keypoints, sampler="boneflips", n_hypotheses=3)
        >>> scene = make_meshes(result)
        >>> scene.takes[0].vertices.shape, scene.spread.shape
        ((6, 324, 3), (6, 324))
    """
    check_choice("up", up, WORDS)
    check_motion(result, motion)
    model = make_body(body, say) if isinstance(body, str | Path) else body
    n_hypotheses, F = result.hypotheses.joints.shape[:2]
    if motion == "all":
        check_size(1 + n_hypotheses, F * len(model.part_labels))
    fitter = BodyFitter(shape=shape, n_steps=n_steps)
    skeleton = result.hypotheses.skeleton
    fit = fitter.fit(model, placed(result), skeleton, progress=progress)
    kept = fit.parameters.shape if shape == "shared" else None
    main = fitter.fit(model, placed_aggregate(result), skeleton, shape=kept)
    spread = vertex_spread(fit).numpy() if len(result.hypotheses) > 1 else None
    turn = turn_up((1, -1), up)
    takes = [_take(*chosen, turn) for chosen in _chosen(fit, main, motion)]
    skin = _skin(model, fit, takes, shape)
    if skin is None:
        takes = [replace(take, turns=None, shifts=None) for take in takes]
    fps = result.keypoints.fps
    return MeshScene(
        takes=tuple(takes),
        faces=model.faces.numpy(),
        part_labels=model.part_labels.numpy(),
        spread=spread,
        bound=None if skin is None else skin.vertices.numpy(),
        weights=None if skin is None else skin.weights.numpy(),
        fps=fps or ASSUMED_FPS,
        axes=WORDS[up],
        record=_record(result, fit, main, shape),
        notes=(
            *result.notes,
            *(() if fps else (f"frame rate unknown: {ASSUMED_FPS:g} Hz assumed",)),
        ),
    )


def _skin(model: BodyModel, fit: BodyFit, takes: Sequence[MeshTake], shape: Sharing) -> Skin | None:
    """The rest body that all motions deform; None where builds differ between motions."""
    if shape == "frame" or (shape == "hypothesis" and len(takes) > 1):
        return None
    if shape == "shared":
        return model.bind(fit.parameters.shape[0, 0])
    own = takes[0].shape
    assert own is not None
    return model.bind(torch.from_numpy(own[0]).float())


def check_motion(result: Result, motion: Motion) -> None:
    """Refuse motions that a result does not have.

    Raises:
        OptionError: If it is one.
    """
    n = len(result.hypotheses)
    if isinstance(motion, str) and motion not in ("aggregate", "all"):
        raise OptionError(f"motion is 'aggregate', 'all' or a number, not {motion!r}.")
    if isinstance(motion, int) and not 0 <= motion < n:
        raise OptionError(f"There is no hypothesis {motion}; this result has {n}, from 0.")


def placed(result: Result) -> Float[Tensor, "H F J 3"]:
    """Joints of hypotheses in the camera frame; roots are fitted where there are none."""
    x = result.hypotheses
    root = x.root
    if root is None and result.keypoints.skeleton.name == x.skeleton.name:
        root = fit_roots(x, result.keypoints) if result.keypoints.camera is not None else None
    return x.joints if root is None else x.joints + root[..., None, :]


def placed_aggregate(result: Result) -> Float[Tensor, "1 F J 3"]:
    """Joints of the aggregate in the camera frame, as :func:`placed`."""
    pose, keypoints = result.pose, result.keypoints
    root = pose.root
    if root is None and keypoints.skeleton.name == pose.skeleton.name:
        root = fit_root(pose.joints, keypoints) if keypoints.camera is not None else None
    return (pose.joints if root is None else pose.joints + root[..., None, :])[None]


def _chosen(fit: BodyFit, main: BodyFit, motion: Motion) -> list[tuple[str, BodyFit, int]]:
    """Label, fit and row of every motion that is written."""
    named = [(label, fit, h) for h, label in enumerate(labels_of(len(fit.errors)))]
    if isinstance(motion, int):
        return [named[motion]]
    return [("aggregate", main, 0), *(named if motion == "all" else [])]


def labels_of(n_hypotheses: int) -> list[str]:
    """Names of hypotheses.

    Example:
        >>> labels_of(2)
        ['h00', 'h01']
    """
    width = max(2, len(str(n_hypotheses - 1)))
    return [f"h{h:0{width}d}" for h in range(n_hypotheses)]


def _take(label: str, fit: BodyFit, row: int, turn: Float[np.ndarray, "3 3"]) -> MeshTake:
    given = fit.parameters_of(row)
    F = len(given.origin)
    vertices, joints = [], []
    for start in range(0, F, 64):
        surface = fit.surface(row, slice(start, start + 64))
        vertices.append(surface.vertices.numpy())
        joints.append(surface.joints.numpy())
    turns, shifts = fit.body.pieces(given)
    turned = turn.astype(np.float32)
    return MeshTake(
        label,
        np.concatenate(vertices) @ turned.T,
        np.concatenate(joints) @ turned.T,
        turned @ turns.numpy(),
        shifts.numpy() @ turned.T,
        _wide(given, F),
    )


def _wide(given: BodyParameters, n_frames: int) -> NDArray[np.float32]:
    shape: NDArray[np.float32] = given.shape.expand(n_frames, -1).numpy()
    return shape


def _record(result: Result, fit: BodyFit, main: BodyFit, shape: Sharing) -> dict[str, Any]:
    known = result_metadata(result)
    known.pop("units")
    built = fit.parameters.shape.flatten(0, 1).mean(0).tolist()
    names = fit.body.shapes.names
    return {
        "body": fit.body.name,
        "shape_shared_by": shape,
        "shape_mean": {n: round(v, 4) for n, v in zip(names, built, strict=True)},
        "joint_error_mm": round(1000 * fit.joint_error, 2),
        "joint_error_aggregate_mm": round(1000 * main.joint_error, 2),
        "n_hypotheses": len(fit.errors),
        "spread": "root mean square distance of hypotheses' vertices from their mean, root joints "
        "on each other",
        **known,
    }
