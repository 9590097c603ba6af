"""Losses of surfaces, after You et al., ICCV 2023 (PMCE), and how their decoder is trained here.

| loss | weight |
| --- | --- |
| L1 of vertices, meters | 1 |
| normals: edges against the true triangles' normals | 0.1 |
| lengths of edges | 20 |
| L1 of joints of the mesh, of evolved and of lifted joints, millimeters | 0.001 |

Here there is no image: windows of motion are drawn as for every network, each frame is a body of
capsules around the true joints, with a random girth, and a hypothesis is the true pose with the
errors that hypotheses have: mostly along the line of sight, growing towards hands and feet, and the
same for a whole window. Published losses use the edges only after some epochs; here from the start.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from hypopose.bodies.capsules import capsule_body
from hypopose.networks.inputs import encode
from hypopose.networks.pmce import Evolved, MeshDecoder, Template, template_of
from hypopose.simulation import Draws
from hypopose.training.batches import Batch

if TYPE_CHECKING:
    from hypopose.training.validation import HeldOut

WEIGHT_NORMAL, WEIGHT_EDGE, WEIGHT_JOINTS = 0.1, 20.0, 1e-3

HYPOTHESIS_ERROR = (0.012, 0.012, 0.035)
"""Standard deviation per bone of what a hypothesis' joint adds to its parent's error: across, along
the picture, and in depth; meters."""

GIRTH_SD = 0.1
"""Of the logarithm of how wide bodies are."""


def coordinate_loss(
    predicted: Float[Tensor, "B V 3"],
    target: Float[Tensor, "B V 3"],
    valid: Float[Tensor, "B V 1"] | None = None,
) -> Float[Tensor, ""]:
    """Mean distance per coordinate; what is not valid counts as 0 and stays in the mean.

    Example:
        >>> coordinate_loss(torch.zeros(1, 2, 3), torch.ones(1, 2, 3)).item()
        1.0
    """
    off = (predicted - target).abs()
    return (off if valid is None else off * valid).mean()


def normal_loss(
    predicted: Float[Tensor, "B V 3"],
    target: Float[Tensor, "B V 3"],
    faces: Int[Tensor, "T 3"],
) -> Float[Tensor, ""]:
    """Mean cosine between the predicted edges of triangles and the true normals.

    Args:
        predicted: Vertices.
        target: True ones.
        faces: Triangles.
    """
    true = target[:, faces]
    normal = torch.linalg.cross(_unit(true[:, :, 1] - true[:, :, 0]),
                                _unit(true[:, :, 2] - true[:, :, 0]))  # fmt: skip
    normal = _unit(normal)
    corners = predicted[:, faces]
    edges = torch.stack([corners[:, :, b] - corners[:, :, a] for a, b in _EDGES], 2)
    return (_unit(edges) * normal[:, :, None]).sum(-1).abs().mean()


def edge_loss(
    predicted: Float[Tensor, "B V 3"],
    target: Float[Tensor, "B V 3"],
    faces: Int[Tensor, "T 3"],
) -> Float[Tensor, ""]:
    """Mean difference of the lengths of the triangles' edges.

    Args:
        predicted: Vertices.
        target: True ones.
        faces: Triangles.
    """
    a, b = (x[:, faces] for x in (predicted, target))
    lengths = [
        torch.stack([(x[:, :, j] - x[:, :, i]).norm(dim=-1) for i, j in _EDGES]) for x in (a, b)
    ]
    return (lengths[0] - lengths[1]).abs().mean()


_EDGES = ((0, 1), (0, 2), (1, 2))


def _unit(x: Tensor) -> Tensor:
    return nn.functional.normalize(x, dim=-1)


def decoder_loss(
    found: Evolved,
    joints: Float[Tensor, "B J 3"],
    vertices: Float[Tensor, "B V 3"],
    faces: Int[Tensor, "T 3"],
    regressor: Float[Tensor, "J V"],
) -> Float[Tensor, ""]:
    """All losses of this module; the lifted joints have no gradient here.

    Args:
        found: By a decoder.
        joints: True, meters.
        vertices: True.
        faces: Triangles.
        regressor: Joints from vertices.
    """
    of_mesh = regressor @ found.vertices
    in_mm = 1000 * (coordinate_loss(of_mesh, joints) + coordinate_loss(found.joints, joints))
    return (
        coordinate_loss(found.vertices, vertices)
        + WEIGHT_NORMAL * normal_loss(found.vertices, vertices, faces)
        + WEIGHT_EDGE * edge_loss(found.vertices, vertices, faces)
        + WEIGHT_JOINTS * in_mm
    )


@dataclass(frozen=True, eq=False)
class SurfaceBodies:
    """What a decoder reads and should write, one frame a row.

    Args:
        hypothesis: Joints with a hypothesis' errors, meters.
        keypoints: As the network reads them.
        confidence: Of the keypoints.
        context: Of the windows.
        joints: True.
        vertices: True.
    """

    hypothesis: Float[Tensor, "N J 3"]
    keypoints: Float[Tensor, "N J 2"]
    confidence: Float[Tensor, "N J"]
    context: Float[Tensor, "N 2"]
    joints: Float[Tensor, "N J 3"]
    vertices: Float[Tensor, "N V 3"]


def bodies_of(batch: Batch, generator: torch.Generator) -> SurfaceBodies:
    """Bodies with surfaces, and hypotheses of them, from windows of motion.

    Args:
        batch: Of a network that reads rays.
        generator: Source of errors and builds.
    """
    draws = Draws(generator)
    target = batch.target
    B, F = target.shape[:2]
    girth = (GIRTH_SD * draws.normal(B, 1)).exp().expand(B, F).reshape(-1)
    surface = capsule_body().around(target.flatten(0, 1), girth)
    hypothesis = target + hypothesis_errors(B, draws)[:, None]
    context = batch.encoded.context
    assert context is not None
    return SurfaceBodies(
        hypothesis=hypothesis.flatten(0, 1),
        keypoints=batch.encoded.xy.flatten(0, 1),
        confidence=batch.encoded.confidence.flatten(0, 1),
        context=context[:, None].expand(B, F, -1).flatten(0, 1),
        joints=target.flatten(0, 1),
        vertices=surface.vertices,
    )


def hypothesis_errors(B: int, draws: Draws) -> Float[Tensor, "B 17 3"]:
    """Errors of hypotheses, which add up from the root outwards.

    Args:
        B: Windows.
        draws: Random numbers.
    """
    parents = capsule_body().skeleton.parents
    step = draws.normal(B, len(parents), 3) * torch.tensor(HYPOTHESIS_ERROR)
    out = [step[:, 0] * 0]
    for joint, parent in list(enumerate(parents))[1:]:
        out.append(out[parent] + step[:, joint])
    return torch.stack(out, 1)


def surface_loss(
    network: MeshDecoder, batch: Batch, generator: torch.Generator
) -> Float[Tensor, ""]:
    """The loss of a batch.

    Args:
        network: Writes capsule bodies.
        batch: Windows.
        generator: Source of errors and builds.
    """
    kind = batch.target.device.type
    with torch.autocast(kind, enabled=False):
        bodies = bodies_of(batch, generator)
    found = network(bodies.hypothesis, bodies.keypoints, bodies.confidence, bodies.context)
    regressor = _capsules(len(network.relation)).regressor
    with torch.autocast(kind, enabled=False):  # the network alone is computed in half precision
        whole = Evolved(found.lifted.float(), found.joints.float(), found.vertices.float())
        return decoder_loss(whole, bodies.joints, bodies.vertices, network.faces, regressor)


@torch.no_grad()
def validate_surface(network: nn.Module, held_out: HeldOut) -> dict[str, float]:
    """Errors of vertices (mm) on people not trained on, beside capsules around the same hypotheses.

    Args:
        network: A decoder.
        held_out: What it has not seen.

    Returns:
        ``surface_mm`` of the network and ``plain_mm`` of capsules of average girth.
    """
    encoded = encode(held_out.keypoints, "subject")
    turned = held_out.truth.joints @ encoded.rotation.mT[:, None]
    with torch.autocast(turned.device.type, enabled=False):
        bodies = bodies_of(Batch(encoded, turned), torch.Generator().manual_seed(0))
        plain = capsule_body().around(bodies.hypothesis).vertices
    decoder: Any = network
    found = decoder(bodies.hypothesis, bodies.keypoints, bodies.confidence, bodies.context)
    return {
        "surface_mm": 1000 * float((found.vertices - bodies.vertices).norm(dim=-1).mean()),
        "plain_mm": 1000 * float((plain - bodies.vertices).norm(dim=-1).mean()),
        "joints_mm": 1000 * float((found.joints - bodies.joints).norm(dim=-1).mean()),
    }


@cache
def _capsules(n_coarse: int) -> Template:
    """The template of capsule bodies, made once for each size."""
    return template_of(capsule_body(), n_coarse)


def new_decoder(width: int, cond_dim: int, **options: Any) -> MeshDecoder:
    """A decoder of capsule bodies that starts on capsules around the joints.

    Args:
        width: Channels of joints and vertices.
        cond_dim: Channels of the condition.
        **options: Others of :class:`hypopose.networks.pmce.MeshDecoder`.
    """
    network = MeshDecoder(width=width, cond_dim=cond_dim, **{"start": "capsules", **options})
    network.begin(_capsules(len(network.relation)))
    return network
