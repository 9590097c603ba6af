"""The mesh that PMCE's decoder writes: vertices, triangles, joints, and a coarse version.

The published template is SMPL's, which is licensed; here any template passes as arrays.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from hypopose.bodies import BodyModel, at_rest
from hypopose.io.source import Source
from hypopose.io.untrusted.arrays import NpzArchive

MAX_VERTICES = 200_000


@dataclass(frozen=True, eq=False)
class Template:
    """A mesh at rest.

    Args:
        vertices: Meters.
        faces: Triangles.
        regressor: Joints from vertices; rows sum to 1.
        coarse: Of each coarse vertex the places it is made of; rows sum to 1.
        part_labels: Part of each vertex; zeros where unknown.
    """

    vertices: Float[Tensor, "V 3"]
    faces: Int[Tensor, "T 3"]
    regressor: Float[Tensor, "J V"]
    coarse: Float[Tensor, "v V"]
    part_labels: Int[Tensor, " V"]

    def relation(self) -> Int[Tensor, " v"]:
        """The joint nearest to each coarse vertex; coarse vertices start there."""
        places, joints = self.coarse @ self.vertices, self.regressor @ self.vertices
        return torch.cdist(places, joints).argmin(1)

    def interpolation(self, n_near: int = 3) -> Float[Tensor, "V v"]:
        """Weights of the nearest coarse vertices for each vertex, by inverse distance.

        Args:
            n_near: Coarse vertices that count.
        """
        distance = torch.cdist(self.vertices, self.coarse @ self.vertices)
        near = distance.topk(min(n_near, distance.shape[1]), largest=False)
        share = 1 / near.values.clamp(min=1e-3)
        share = share / share.sum(1, keepdim=True)
        return torch.zeros_like(distance).scatter(1, near.indices, share)


def template_of(body: BodyModel, n_coarse: int) -> Template:
    """A template from a body at rest: the first vertex and those far from all before.

    Args:
        body: With few enough vertices that distances between all of them fit in memory.
        n_coarse: Coarse vertices.

    Returns:
        Joints are the means of the vertices nearest to them, moved to where they are by the
        smallest change of weights.

    Example:
        >>> from hypopose.bodies import make_body
        >>> template = template_of(make_body("capsules"), 54)
        >>> template.coarse.shape, template.relation().unique().numel() > 10
        (torch.Size([54, 324]), True)
    """
    surface = body(at_rest(body, body.shapes.mean[None]))
    vertices, joints = surface.vertices[0], surface.joints[0]
    chosen = _spread_out(vertices, n_coarse)
    coarse = torch.zeros(n_coarse, len(vertices))
    coarse[torch.arange(n_coarse), chosen] = 1.0
    regressor = _regressor(vertices, joints)
    return Template(vertices, body.faces, regressor, coarse, body.part_labels)


def _spread_out(vertices: Float[Tensor, "V 3"], n: int) -> Int[Tensor, " n"]:
    chosen = [0]
    nearest = torch.full((len(vertices),), torch.inf)
    for _ in range(n - 1):
        nearest = torch.minimum(nearest, (vertices - vertices[chosen[-1]]).norm(dim=1))
        chosen.append(int(nearest.argmax()))
    return torch.tensor(chosen)


def _regressor(
    vertices: Float[Tensor, "V 3"], joints: Float[Tensor, "J 3"], n_near: int = 24
) -> Float[Tensor, "J V"]:
    """Weights of the nearest vertices that give each joint: the smallest ones that sum to 1."""
    regressor = torch.zeros(len(joints), len(vertices))
    for row, joint in enumerate(joints):
        near = (vertices - joint).norm(dim=1).topk(n_near, largest=False).indices
        wanted = torch.cat([joint, joint.new_ones(1)])
        places = torch.cat([vertices[near], vertices.new_ones(n_near, 1)], 1).T
        start = torch.full((n_near,), 1 / n_near)
        step = torch.linalg.pinv(places.double()) @ (wanted - places @ start).double()
        regressor[row, near] = start + step.float()
    return regressor


def load_template(path: str | Path) -> Template:
    """A template from an npz file.

    Args:
        path: Arrays ``vertices`` (V, 3), ``faces`` (T, 3), ``joint_regressor`` (J, V) and
            ``downsample`` (v, V), dense; nothing is unpickled.

    Raises:
        FormatError: If an array is absent or does not fit.
    """
    source = Source(path)
    if not source.is_npz:
        raise source.error("is not an npz archive", "save the template's arrays with numpy.savez")
    archive = NpzArchive(source)
    read = {
        name: torch.from_numpy(archive.array(name).astype("float32"))
        for name in ("vertices", "faces", "joint_regressor", "downsample")
    }
    vertices, faces = read["vertices"], read["faces"].long()
    V = len(vertices)
    fits = (
        vertices.dim() == faces.dim() == 2
        and vertices.shape[1] == faces.shape[1] == 3
        and V <= MAX_VERTICES
        and read["joint_regressor"].shape[1:] == read["downsample"].shape[1:] == (V,)
    )
    if not fits:
        shapes = {name: tuple(x.shape) for name, x in read.items()}
        raise source.error(f"arrays {shapes} do not fit", "give (V,3), (T,3), (J,V), (v,V)")
    _check_values(source, read, faces, V)
    labels = torch.zeros(V, dtype=torch.long)
    return Template(vertices, faces, read["joint_regressor"], read["downsample"], labels)


def _check_values(source: Source, read: dict[str, Tensor], faces: Tensor, n: int) -> None:
    if not all(bool(torch.isfinite(x).all()) for x in read.values()):
        raise source.error("arrays hold NaN or infinity", "save them again")
    if int(faces.min()) < 0 or int(faces.max()) >= n:
        raise source.error("faces name vertices that are not there", "save them again")
    for name in ("joint_regressor", "downsample"):
        if (read[name].sum(1) - 1).abs().max() > 0.05:
            raise source.error(f"rows of {name} do not sum to 1", "save the dense matrix")
