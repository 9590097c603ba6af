"""PMCE: pose and mesh evolve together. The released network, and one that needs no images.

You et al., "Co-evolution of pose and mesh for 3D human body estimation from video", ICCV 2023.

| released code | here |
| --- | --- |
| ``pose_lifter`` | :class:`hypopose.networks.pmce.pose_stage.PoseStage` |
| ``pose_mesh_coevo`` | :class:`Coevolution` |
| mean mesh, down-sampling, regressor (licensed) | :class:`Template` |
| image feature (2048) of SPIN's ResNet-50 | an argument of :class:`PMCE` |

:class:`PMCE` is the released network: it needs an image feature for every frame and cannot run from
keypoints alone. :class:`MeshDecoder` is ours: the same co-evolution blocks and residuals, run on
one hypothesis' joints; what conditions them is a pooled token of the 2D pose and one of the camera.
Its accuracy is not that of PMCE.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, cast, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hypopose.bodies import PARTS
from hypopose.bodies.capsules import capsule_body
from hypopose.checks import check_choice
from hypopose.errors import CheckpointError, ShapeError
from hypopose.networks.base import NetworkInfo
from hypopose.networks.inputs import REFERENCE_SIZE
from hypopose.networks.pmce.coevolution import CoevoBlock
from hypopose.networks.pmce.pose_stage import PoseStage
from hypopose.networks.pmce.template import Template
from hypopose.networks.pretrained import PretrainedNetwork
from hypopose.networks.recorded_config import recorded

Start = Literal["joints", "capsules"]
"""Where the vertices of our decoder start."""

OFFSET = 0.03
"""How far hypotheses typically are from their keypoints, meters; scales what tokens tell."""

EMBEDDING = 0.1
"""Size of embeddings of joints and vertices at the start of our decoder: that of positions."""


@dataclass(frozen=True, eq=False)
class Evolved:
    """What comes out.

    Args:
        lifted: Joints before they evolved, meters.
        joints: After, meters.
        vertices: Meters.
    """

    lifted: Float[Tensor, "B J 3"]
    joints: Float[Tensor, "B J 3"]
    vertices: Float[Tensor, "B V 3"]


class Coevolution(nn.Module):
    """Blocks, up-sampling and residual of the second stage.

    Args:
        n_joints: Joints.
        n_coarse: Coarse vertices.
        n_vertices: Vertices.
        joint_dim: Channels of joints.
        vertex_dim: Channels of vertices.
        cond_dim: Channels of the condition.
        recurrent: Whether the condition of a clip is gathered by a GRU over its frames.
        drop_path: How often a branch is left out in training.
    """

    def __init__(
        self,
        n_joints: int,
        n_coarse: int,
        n_vertices: int,
        joint_dim: int,
        vertex_dim: int,
        cond_dim: int,
        recurrent: bool,
        drop_path: float,
    ) -> None:
        super().__init__()
        sizes = (n_joints, n_coarse, joint_dim, vertex_dim, cond_dim)
        for i in (1, 2, 3):
            self.add_module(f"coevoblock{i}", CoevoBlock(*sizes, drop_path=drop_path))
        self.upsample_conv = nn.Conv1d(n_coarse, n_vertices, 3, padding=1)
        if recurrent:
            half = cond_dim // 2
            self.gru_cur = nn.GRU(cond_dim, half, 2, bidirectional=True)
        for i in (1, 2, 3):
            self.add_module(f"linear_cur{i}", nn.Linear(cond_dim, n_vertices))

    def gather(self, features: Float[Tensor, "B T D"]) -> Float[Tensor, "B D"]:
        """The condition at frame T // 2."""
        along, _ = self.gru_cur(features.transpose(0, 1))
        return along[features.shape[1] // 2]

    def forward(
        self,
        joints: Float[Tensor, "B J 3"],
        coarse: Float[Tensor, "B v 3"],
        condition: Float[Tensor, "B D"],
        told: Float[Tensor, "B J C"] | None = None,
        surface: Float[Tensor, "B V 3"] | None = None,
    ) -> tuple[Float[Tensor, "B J 3"], Float[Tensor, "B V 3"]]:
        """Joints and the full mesh; the axis x, y, z is the length of the convolution.

        Args:
            joints: Of the pose.
            coarse: Where coarse vertices start.
            condition: Of the frame.
            told: Added to the tokens of joints; ours.
            surface: Moved as the coarse vertices have moved; None to make the mesh of where they
                are, as released.
        """
        before = coarse
        for i in (1, 2, 3):
            joints, coarse = self.get_submodule(f"coevoblock{i}")(joints, coarse, condition, told)
        active = condition.relu()
        offset = torch.stack([self.get_submodule(f"linear_cur{i}")(active) for i in (1, 2, 3)], -1)
        if surface is None:
            return joints, self.upsample_conv(coarse) + offset
        return joints, surface + self.upsample_conv(coarse - before) + offset


N = TypeVar("N", bound="_OnTemplate")


class _OnTemplate(PretrainedNetwork):
    """What both networks know of the mesh they write."""

    relation: Tensor
    faces: Tensor
    part_labels: Tensor

    def _make_room(self, n_coarse: int, n_faces: int, n_vertices: int) -> None:
        self.register_buffer("relation", torch.zeros(n_coarse, dtype=torch.long))
        self.register_buffer("faces", torch.zeros(n_faces, 3, dtype=torch.long))
        self.register_buffer("part_labels", torch.zeros(n_vertices, dtype=torch.long))

    @classmethod
    def from_pretrained(
        cls: type[N], place: str | Path, *, revision: str | None = None, **options: Any
    ) -> N:
        """Load a network, ready for inference.

        Args:
            place: A folder, or a repository of the Hugging Face hub.
            revision: Branch, tag or commit of the repository.
            **options: Override entries of the config.

        Raises:
            CheckpointError: If files are absent, damaged, or name vertices that are not there.
        """
        network = super().from_pretrained(place, revision=revision, **options)
        limits = {
            "relation": network.config.n_joints,
            "faces": network.config.n_vertices,
            "part_labels": len(PARTS),
            "chosen": network.config.n_vertices,
        }
        present = dict(network.named_buffers())
        for name, limit in limits.items():
            if name not in present:
                continue
            values = getattr(network, name)
            if values.dtype != torch.long or int(values.min()) < 0 or int(values.max()) >= limit:
                raise CheckpointError(
                    f"{place} is damaged: {name} are not whole numbers from 0 to {limit - 1}."
                )
        return network

    def set_template(self, template: Template) -> None:
        """Take triangles, parts, and where coarse vertices start from a template.

        Args:
            template: Of the network's sizes.

        Raises:
            ShapeError: If it has others.
        """
        found = (len(template.coarse), len(template.faces), len(template.vertices))
        wanted = (len(self.relation), len(self.faces), len(self.part_labels))
        if found != wanted:
            raise ShapeError(
                f"The network has {wanted[0]} coarse vertices, {wanted[1]} triangles and "
                f"{wanted[2]} vertices; this template has {found[0]}, {found[1]} and {found[2]}."
            )
        self.relation.copy_(template.relation())
        self.faces.copy_(template.faces)
        self.part_labels.copy_(template.part_labels)


class PMCE(_OnTemplate):
    """The released network, on any template.

    Args:
        n_frames: Frames of a window.
        n_joints: 17 (Human3.6M), or 19 (COCO with pelvis and neck).
        n_coarse: Coarse vertices; 431 of SMPL.
        n_vertices: Vertices; 6890 of SMPL.
        n_faces: Triangles.
        width: Channels of the first stage.
        depth: Pairs of its blocks.
        n_heads: Its heads.
        joint_dim: Channels of joints in the second stage.
        vertex_dim: Channels of vertices.
        cond_dim: Channels of an image feature.
        drop_path: How often a branch is left out in training.
    """

    @recorded
    def __init__(
        self,
        n_frames: int = 16,
        n_joints: int = 17,
        n_coarse: int = 431,
        n_vertices: int = 6890,
        n_faces: int = 13776,
        width: int = 256,
        depth: int = 3,
        n_heads: int = 8,
        joint_dim: int = 64,
        vertex_dim: int = 64,
        cond_dim: int = 2048,
        drop_path: float = 0.2,
    ) -> None:
        super().__init__()
        self.pose_lifter = PoseStage(
            n_frames, n_joints, width, depth, n_heads, cond_dim=cond_dim, drop_path=drop_path
        )
        self.pose_mesh_coevo = Coevolution(
            n_joints, n_coarse, n_vertices, joint_dim, vertex_dim, cond_dim, True, drop_path
        )
        self._make_room(n_coarse, n_faces, n_vertices)

    @property
    def info(self) -> NetworkInfo:
        """It reads images: no sampler can run it."""
        return NetworkInfo("screen", self.config.n_frames, forms=("surface",))

    def forward(
        self, keypoints: Float[Tensor, "B T J 2"], features: Float[Tensor, "B T D"]
    ) -> Evolved:
        """Joints and surface of the middle frame.

        Args:
            keypoints: Screen coordinates of the whole image.
            features: Of every frame's image.
        """
        lifted = self.pose_lifter(keypoints, features) / 1000
        condition = self.pose_mesh_coevo.gather(features)
        coarse = lifted[:, self.relation]
        return Evolved(lifted, *self.pose_mesh_coevo(lifted, coarse, condition))


class MeshDecoder(_OnTemplate):
    """Ours: surfaces of single hypotheses, conditioned on keypoints instead of images.

    Args:
        n_coarse: Coarse vertices.
        n_vertices: Vertices.
        n_faces: Triangles.
        width: Channels of joints and vertices.
        cond_dim: Channels of the condition.
        n_joints: Joints of the pose and of the keypoints.
        drop_path: How often a branch is left out in training.
        start: ``"joints"``: vertices start at the joint next to them, on any template, as released;
            ``"capsules"``: on capsules around the joints, and tokens of joints tell how far the
            hypothesis is from its keypoints.

    Raises:
        OptionError: If the start is unknown.
        ShapeError: If it starts on capsules and writes other vertices.

    Example:
        >>> decoder = MeshDecoder(10, 40, 60, width=16, cond_dim=32)
        >>> given = torch.zeros(2, 17, 3), torch.zeros(2, 17, 2), torch.ones(2, 17)
        >>> decoder(*given, torch.zeros(2, 2)).vertices.shape
        torch.Size([2, 40, 3])
    """

    chosen: Tensor

    @recorded
    def __init__(
        self,
        n_coarse: int = 54,
        n_vertices: int = 324,
        n_faces: int = 576,
        width: int = 64,
        cond_dim: int = 128,
        n_joints: int = 17,
        drop_path: float = 0.0,
        start: Start = "joints",
    ) -> None:
        super().__init__()
        check_choice("start", start, get_args(Start))
        if start == "capsules" and n_vertices != len(capsule_body().part_labels):
            raise ShapeError(
                f"A decoder that starts on capsules writes {len(capsule_body().part_labels)} "
                f"vertices, not {n_vertices}; set start to 'joints' for another template."
            )
        self.keypoint_embed = nn.Linear(3 * n_joints, cond_dim)
        self.camera_embed = nn.Linear(2, cond_dim)
        self.condition = nn.Sequential(nn.GELU(), nn.Linear(cond_dim, cond_dim))
        self.coevolution = Coevolution(
            n_joints, n_coarse, n_vertices, width, width, cond_dim, False, drop_path
        )
        self._make_room(n_coarse, n_faces, n_vertices)
        self.start: Start = start
        if start == "capsules":
            self.token_embed = nn.Linear(3, width)
            self.register_buffer("chosen", torch.zeros(n_coarse, dtype=torch.long))

    @torch.no_grad()
    def begin(self, template: Template) -> None:
        """Take a template, and start with joints as they are and vertices between or around them.

        The released start is random: vertices have to find each other, positions drown in
        embeddings ten times as large, and norms scale everything down.

        Args:
            template: Of the network's sizes.

        Raises:
            ShapeError: If it has others.
        """
        self.set_template(template)
        if self.start == "capsules":
            self.chosen.copy_(template.coarse.argmax(1))
        up = self.coevolution.upsample_conv
        up.weight.zero_()
        up.weight[:, :, 1] = template.interpolation().to(up.weight)
        for name, parameter in self.coevolution.named_parameters():
            if name.endswith("_embed"):
                parameter.mul_(EMBEDDING)
            elif name.endswith("mlp_gamma.bias"):
                parameter.fill_(1.0)
            elif (
                "feat2coor" in name or name.startswith("linear_cur") or name == "upsample_conv.bias"
            ):
                parameter.zero_()

    @property
    def info(self) -> NetworkInfo:
        """Reads rays and a hypothesis, frame by frame."""
        return NetworkInfo("subject", None, uses_confidence=True, forms=("surface",))

    def forward(
        self,
        joints: Float[Tensor, "B J 3"],
        keypoints: Float[Tensor, "B J 2"],
        confidence: Float[Tensor, "B J"],
        context: Float[Tensor, "B 2"],
    ) -> Evolved:
        """Joints and surface of hypotheses.

        Args:
            joints: Root-relative meters, in the frame of the camera turned towards the subject.
            keypoints: As :func:`hypopose.networks.encode` presents them.
            confidence: 0 where undetected.
            context: Subject size and frame rate.
        """
        seen = torch.cat([keypoints, confidence[..., None]], -1).flatten(1)
        token = self.keypoint_embed(seen) + self.camera_embed(context)
        condition = self.condition(token)
        told = surface = None
        if self.start == "joints":
            coarse = joints[:, self.relation]
        else:
            with torch.autocast(joints.device.type, enabled=False):
                surface = capsule_body().around(joints.float()).vertices
                off = offsets_from_rays(joints, keypoints, confidence, context)
            coarse = surface[:, self.chosen]
            told = self.token_embed(torch.cat([off / OFFSET, confidence[..., None]], -1))
        moved, vertices = cast(
            tuple[Tensor, Tensor], self.coevolution(joints, coarse, condition, told, surface)
        )
        return Evolved(joints, moved, vertices)


def offsets_from_rays(
    joints: Float[Tensor, "B J 3"],
    keypoints: Float[Tensor, "B J 2"],
    confidence: Float[Tensor, "B J"],
    context: Float[Tensor, "B 2"],
) -> Float[Tensor, "B J 2"]:
    """How far joints are beside the rays of their keypoints, with the root where they fit best.

    A joint at ``x`` of a body at ``t`` lies on its ray ``p`` if ``p (z + t_z) = (x, y) + (t_x,
    t_y)``: linear in ``t``.

    Args:
        joints: Root-relative, meters, in the frame of the camera turned towards the subject.
        keypoints: As :func:`hypopose.networks.encode` presents them.
        confidence: 0 where undetected.
        context: Subject size and frame rate.

    Returns:
        Meters in x and y, the ray less the joint; 0 where undetected.

    Example:
        >>> joints = torch.randn(1, 17, 3)
        >>> placed = joints + torch.tensor([0.1, 0.2, 5.0])
        >>> rays = placed[..., :2] / placed[..., 2:]
        >>> size = rays.std()
        >>> context = torch.stack([(size / 0.1).log(), size * 0])[None]
        >>> offsets_from_rays(joints, rays / size, torch.ones(1, 17), context).abs().max() < 1e-4
        tensor(True)
    """
    rays = keypoints * (REFERENCE_SIZE * context[:, :1].exp())[..., None]
    weight = (confidence > 0)[..., None].to(joints)
    count = weight.sum(1, keepdim=True).clamp(min=1)
    wanted = joints[..., :2] - rays * joints[..., 2:]
    rays_off, wanted_off = (x - (weight * x).sum(1, keepdim=True) / count for x in (rays, wanted))
    square = (weight * rays_off.square()).sum((1, 2), keepdim=True)
    depth = (weight * rays_off * wanted_off).sum((1, 2), keepdim=True) / square.clamp(min=1e-8)
    return weight * (depth * rays_off - wanted_off)
