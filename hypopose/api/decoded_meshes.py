"""Surfaces of hypotheses from a trained mesh decoder, one hypothesis and frame at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.api.meshes import WORDS, Motion, check_motion, labels_of, placed, placed_aggregate
from hypopose.api.sampling import prepare
from hypopose.bodies.mesh_scenes import MeshScene, MeshTake
from hypopose.cameras import turn_up
from hypopose.checks import check_choice
from hypopose.errors import CheckpointError
from hypopose.io.results import Result, result_metadata
from hypopose.networks import MeshDecoder, encode, load_network
from hypopose.types import ASSUMED_FPS

CHUNK = 512
"""Bodies that are decoded at once."""


def decode_meshes(
    result: Result, weights: str | Path, *, motion: Motion = "aggregate", up: str = "y"
) -> MeshScene:
    """Decode the surface of every hypothesis of a result.

    Args:
        result: Of 17 Human3.6M joints.
        weights: Folder that ``hypopose train --network pmce`` wrote.
        motion: ``"aggregate"``, ``"all"``, or the number of a hypothesis.
        up: ``"y"``, ``"z"``, or ``"native"`` for the camera's axes.

    Returns:
        Surfaces with the spread of the hypotheses. They are no skin: write .npz or .ply.

    Raises:
        CheckpointError: If the weights are no mesh decoder.
        OptionError: If there is no such motion or axis.
    """
    check_choice("up", up, WORDS)
    check_motion(result, motion)
    network = load_network(weights)
    if not isinstance(network, MeshDecoder):
        raise CheckpointError(
            f"{weights} holds a {type(network).__name__}, not a decoder of meshes; train one with "
            "hypopose train --network pmce."
        )
    joints = torch.cat([placed_aggregate(result), placed(result)])
    vertices, moved = _decoded(network, result, joints)
    own = vertices[1:] - moved[1:, :, :1]
    spread = None
    if len(own) > 1:
        spread = (own - own.mean(0)).square().sum(-1).sum(0).div(len(own) - 1).sqrt().numpy()
    turn = turn_up((1, -1), up).astype(np.float32)
    labels = ["aggregate", *labels_of(len(own))]
    rows = range(len(labels)) if motion == "all" else [0 if motion == "aggregate" else motion + 1]  # type: ignore[operator]
    takes = [
        MeshTake(labels[i], vertices[i].numpy() @ turn.T, moved[i].numpy() @ turn.T) for i in rows
    ]
    fps = result.keypoints.fps
    return MeshScene(
        takes=tuple(takes),
        faces=network.faces.numpy(),
        part_labels=network.part_labels.numpy(),
        spread=spread,
        bound=None,
        weights=None,
        fps=fps or ASSUMED_FPS,
        axes=WORDS[up],
        record=_record(result, weights, (moved - joints).norm(dim=-1)),
        notes=result.notes if fps else (*result.notes, f"{ASSUMED_FPS:g} Hz assumed"),
    )


@torch.no_grad()
def _decoded(
    network: MeshDecoder, result: Result, joints: Float[Tensor, "H F J 3"]
) -> tuple[Float[Tensor, "H F V 3"], Float[Tensor, "H F J 3"]]:
    """Vertices and joints in the camera frame."""
    seen = encode(prepare(result.keypoints, result.hypotheses.skeleton.name), "subject")
    assert seen.context is not None
    H, F = joints.shape[:2]
    root = joints[:, :, :1]
    turned = ((joints - root) @ seen.rotation.mT).flatten(0, 1)
    frame = torch.arange(F).repeat(H)
    found: list[list[Tensor]] = [[], []]
    for start in range(0, H * F, CHUNK):
        rows = slice(start, start + CHUNK)
        at = frame[rows]
        context = seen.context.expand(len(at), -1)
        evolved = network(turned[rows], seen.xy[at], seen.confidence[at], context)
        found[0].append(evolved.vertices)
        found[1].append(evolved.joints)
    vertices, moved = (torch.cat(parts).reshape(H, F, -1, 3) for parts in found)
    return vertices @ seen.rotation + root, moved @ seen.rotation + root


def _record(result: Result, weights: str | Path, errors: Float[Tensor, "H F J"]) -> dict[str, Any]:
    known = result_metadata(result)
    known.pop("units")
    return {
        "body": f"mesh decoder {Path(weights).name}",
        "joint_error_mm": round(1000 * float(errors[1:].nanmean()), 2),
        "joint_error_aggregate_mm": round(1000 * float(errors[0].nanmean()), 2),
        "n_hypotheses": len(errors) - 1,
        "spread": "root mean square distance of hypotheses' vertices from their mean, root joints "
        "on each other",
        **known,
    }
