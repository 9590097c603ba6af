"""UAO: optimize a lifter's input until its pose reprojects, where the pose is uncertain.

Wang et al., "Uncertainty-Aware Testing-Time Optimization for 3D Human Pose Estimation", IEEE TMM
2025. The network's weights stay. Its 2D input is the latent: starting at the detection, and once
more at the mirrored detection, it moves so that the pose projects onto the detection, while a joint
is held to its first prediction, more strongly the more certain the network is.

| paper, released code | here |
| --- | --- |
| z, the input as latent state | ``Branches``, plain and mirrored |
| mu, s | what :class:`hypopose.networks.ScaleNetwork` predicts |
| weight of the uncertainty, 0.005 | ``weight_prior`` |
| learning rate of z, 0.001; 4 iterations | ``learning_rate``, ``n_steps`` |

Departures, each an option whose other value is the published one:

* ``reduction="item"``: a frame is optimized as if it were alone. The released batch mean scales
  gradients, and through Adam's eps a frame's result depends on the others.
* ``anchor="initial"``: the scale is predicted once. Released: anew at every step, so that the
  energy changes during the descent, and its end need not be better than its start.
* ``min_log_scale``: no joint is held closer than 2.5 mm.
* ``keep="best"``, ``patience``: see :class:`hypopose.optimization.descent.Adam`.

The released code takes the root from the truth. Here the caller names it. Without effect on
results: weights have no gradients, the branches share one batch, the forward pass of the first step
gives the anchors, that of the last the poses, and frames pass in chunks that a processor's cache
holds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.cameras import project, to_screen
from hypopose.checks import check_choice, check_positive
from hypopose.errors import OptionError
from hypopose.networks.scales import MIN_LOG_SCALE, ScaleNetwork
from hypopose.optimization.descent import Adam, Keep, Latents, Visit, descend
from hypopose.skeletons import SKELETONS
from hypopose.types import Camera

Anchor = Literal["initial", "current"]
"""Which scale weighs the prior."""

Reduction = Literal["item", "batch"]
"""Over what energies are averaged."""

Precision = Literal["float32", "bfloat16"]
"""Of matrix products while descending."""

Branches = Float[Tensor, "N 2 F J 2"]


@dataclass(frozen=True, eq=False)
class Iteration:
    """What a callback sees of one step; mirrored branches are turned back.

    Args:
        index: 0 .. n_steps - 1.
        latents: The inputs.
        gradients: Of the total energy.
        pose: Predicted, meters.
        log_scale: Predicted.
        projected: Screen coordinates.
        prior: Uncertainty term per item and branch.
        projection: Projection term per item and branch.
    """

    index: int
    latents: Branches
    gradients: Branches
    pose: Float[Tensor, "N 2 F J 3"]
    log_scale: Float[Tensor, "N 2 F J"]
    projected: Float[Tensor, "N 2 F J 2"]
    prior: Float[Tensor, "N 2"]
    projection: Float[Tensor, "N 2"]


@dataclass(frozen=True)
class UAO:
    """The method, for lifters that read screen coordinates.

    Args:
        n_steps: Steps of Adam.
        learning_rate: In screen units: 0.001 is half a pixel of a 1000 px wide image.
        weight_projection: Of the distance to the detection, screen units.
        weight_prior: Of the distance to the first prediction in units of the scale.
        anchor: ``"initial"`` or ``"current"``: which scale weighs the prior.
        reduction: ``"item"`` or ``"batch"``.
        keep: ``"best"`` or ``"last"``.
        patience: Steps without gain after which a frame stops; None for never.
        clamp: Bound of x/z and y/z in the projection; 1.0 as published, None for free.
        min_log_scale: Smaller ones count as this one. The root's is trained towards minus infinity,
            and one such joint would hold the whole pose; published: none, here -60, so that nothing
            overflows.
        min_depth: Points nearer than so many meters, or behind the camera, count as this near.
        precision: ``"float32"``, or ``"bfloat16"`` for matrix products in half the bits while
            descending; the pose returned is always predicted in float32.
        chunk: Frames that are optimized together, rounded to whole items, at least one; it changes
            no result. With a callback all are.

    Raises:
        OptionError: If an option is out of range.
    """

    n_steps: int = 4
    learning_rate: float = 1e-3
    weight_projection: float = 1.0
    weight_prior: float = 0.005
    anchor: Anchor = "initial"
    reduction: Reduction = "item"
    keep: Keep = "best"
    patience: int | None = 2
    clamp: float | None = 1.0
    min_log_scale: float = MIN_LOG_SCALE
    min_depth: float = 0.05
    precision: Precision = "float32"
    chunk: int = 16

    def __post_init__(self) -> None:
        check_choice("anchor", self.anchor, get_args(Anchor))
        check_choice("reduction", self.reduction, get_args(Reduction))
        check_choice("precision", self.precision, get_args(Precision))
        check_positive(chunk=self.chunk)
        self._adam()

    @staticmethod
    def published(n_steps: int = 4) -> UAO:
        """The released code's options."""
        return UAO(
            n_steps, anchor="current", reduction="batch", keep="last", patience=None,
            min_log_scale=-60.0,
        )  # fmt: skip

    def optimize(
        self,
        network: ScaleNetwork,
        keypoints: Float[Tensor, "N F J 2"],
        camera: Camera,
        root: Float[Tensor, "N F 3"],
        callback: Callable[[Iteration], None] | None = None,
    ) -> Float[Tensor, "N F J 3"]:
        """Optimize every item of a batch.

        Args:
            network: Reads screen coordinates; its weights are left alone.
            keypoints: Screen coordinates, all detected.
            camera: Of the items, one or one each.
            root: Camera-frame root positions, meters; true ones are a use of ground truth.
            callback: Called before every step.

        Returns:
            Root-relative meters, the mean of both branches, the root at 0.

        Raises:
            OptionError: If the network reads other inputs.
        """
        if network.info.inputs != "screen":
            raise OptionError("UAO moves screen coordinates, but this network reads rays.")
        n, F = keypoints.shape[:2]
        size = n if callback is not None else max(1, self.chunk // F)
        weights = _weights(network)
        poses = []
        try:
            for weight in weights:
                weight.requires_grad_(False)
            for start in range(0, n, size):
                rows = slice(start, start + size)
                seen = _of_items(camera, rows)
                problem = _ChunkEnergy(self, network, keypoints[rows], seen, root[rows], n)
                poses.append(self._descend(problem, callback))
        finally:
            for weight in weights:
                weight.requires_grad_()
        pose = torch.cat(poses).mean(1)
        pose[..., SKELETONS[network.info.skeleton].root, :] = 0.0
        return pose

    def _descend(
        self, problem: _ChunkEnergy, callback: Callable[[Iteration], None] | None
    ) -> Float[Tensor, "N 2 F J 3"]:
        """Poses of both branches where the descent ended."""
        start = torch.stack([problem.keypoints, problem.mirrored(problem.keypoints)], 1)
        found = descend((start,), problem.energy, self._adam(), problem.reporting(callback))
        return problem.poses(found.latents[0])

    def _adam(self) -> Adam:
        return Adam(
            self.n_steps, self.learning_rate, keep=self.keep, patience=self.patience, gain=0.0
        )


def _weights(network: ScaleNetwork) -> list[Tensor]:
    """Weights that require gradients."""
    if not isinstance(network, torch.nn.Module):
        return []
    return [p for p in network.parameters() if p.requires_grad]


def _of_items(camera: Camera, rows: slice) -> Camera:
    """The cameras of some items."""
    if camera.focal.dim() == 1:
        return camera
    return replace(
        camera,
        focal=camera.focal[rows],
        center=camera.center[rows],
        distortion=None if camera.distortion is None else camera.distortion[rows],
        rotation=None,
        translation=None,
    )


class _ChunkEnergy:
    """The energy of one chunk; ``n_items`` counts the whole batch."""

    def __init__(
        self,
        options: UAO,
        network: ScaleNetwork,
        keypoints: Tensor,
        camera: Camera,
        root: Tensor,
        n_items: int,
    ) -> None:
        self.n_items = n_items if options.reduction == "batch" else 1
        self.visited = torch.empty(0)
        self.options, self.network, self.camera = options, network, camera
        self.keypoints, self.root = keypoints, root[:, None, :, None, :]
        self.skeleton = SKELETONS[network.info.skeleton]
        self.order = list(self.skeleton.flip_order)
        self.anchor: tuple[Tensor, Tensor] | None = None
        self.seen: tuple[Tensor, ...] = ()

    def mirrored(self, x: Tensor) -> Tensor:
        """Negate x and swap sides."""
        return torch.cat([-x[..., :1], x[..., 1:]], -1)[..., self.order, :]

    def predict(self, z: Branches, *, half: bool) -> tuple[Tensor, Tensor]:
        """Poses and log-scales of both branches in one call, the mirrored one turned back."""
        with torch.autocast(z.device.type, torch.bfloat16, enabled=half):
            pose, log_scale = self.network.with_scale(z.flatten(0, 1))
        pose = pose.float().reshape(-1, 2, *pose.shape[1:])
        log_scale = log_scale.float().reshape(-1, 2, *log_scale.shape[1:])
        turned = torch.stack([pose[:, 0], self.mirrored(pose[:, 1])], 1)
        return turned, torch.stack([log_scale[:, 0], log_scale[:, 1][..., self.order]], 1)

    def energy(self, latents: Latents) -> Float[Tensor, " N"]:
        """Of every item, weights included."""
        options = self.options
        self.visited = latents[0]
        pose, log_scale = self.predict(latents[0], half=options.precision == "bfloat16")
        if self.anchor is None:
            self.anchor = pose.detach(), log_scale.detach()
        held, scale = self.anchor[0], self.anchor[1]
        if options.anchor == "current":
            scale = log_scale.detach()
        scale = scale.clamp(min=options.min_log_scale)
        moved = torch.linalg.vector_norm(pose - held, dim=-1)
        prior = (moved * torch.exp(-scale) + scale).mean((-2, -1))
        projected = self._project(pose)
        missed = torch.linalg.vector_norm(projected - self.keypoints[:, None], dim=-1)
        projection = missed.mean((-2, -1))
        self.seen = (pose, log_scale, projected, prior, projection)
        total = options.weight_prior * prior + options.weight_projection * projection
        return total.sum(-1) / self.n_items

    @torch.no_grad()
    def poses(self, z: Branches) -> Float[Tensor, "N 2 F J 3"]:
        """In float32; items that the last energy was asked for are predicted already."""
        pose = self.seen[0].detach().clone()
        again = (z != self.visited).flatten(1).any(1)
        if self.options.precision != "float32":
            again = torch.ones_like(again)
        if bool(again.any()):
            pose[again] = self.predict(z[again], half=False)[0]
        return pose

    def _project(self, pose: Tensor) -> Tensor:
        """Screen coordinates of joints beside the root, and of the root itself."""
        moving = torch.ones(pose.shape[-2], 1, dtype=pose.dtype, device=pose.device)
        moving[self.skeleton.root] = 0.0
        px = project(
            pose * moving + self.root,
            self.camera,
            clamp=self.options.clamp,
            min_depth=self.options.min_depth,
        )
        return to_screen(px, self.camera.image_size)

    def reporting(
        self, callback: Callable[[Iteration], None] | None
    ) -> Callable[[Visit], None] | None:
        """A callback of the descent that tells more."""
        if callback is None:
            return None

        def report(visit: Visit) -> None:
            seen = [x.detach() for x in self.seen]
            latents, gradients = visit.latents[0].detach(), visit.gradients[0]
            callback(Iteration(visit.index, latents, gradients, *seen))

        return report
