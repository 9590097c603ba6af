"""Platypose as released, as a sampler: see :mod:`hypopose.samplers.platypose.released`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor

from hypopose.checks import check_positive
from hypopose.errors import OptionError
from hypopose.samplers.network_sampler import Step
from hypopose.samplers.platypose.likelihood import to_camera, view_of
from hypopose.samplers.platypose.prior_sampler import PriorSampler
from hypopose.samplers.platypose.released import MultiView, ReleasedCamera, released_chain
from hypopose.types import Keypoints2D, NoiseSource


@dataclass(frozen=True)
class ReleasedPlatypose(PriorSampler):
    """The released code, number for number; it needs the true root, so its results are an oracle's.

    Args:
        eta: 0 is DDIM, anything else ancestral sampling.
        root_world: The *true* root (F, 3) in world meters.
        skip: Steps left out at the start; released: 4.
        energy_scale: λ.
        n_substeps: K, gradient steps per network evaluation.
        coupled: One step size for all hypotheses, as released.

    Raises:
        OptionError: If an option is out of range, or there is no true root.
    """

    root_world: Tensor | None = None
    skip: int = 0
    energy_scale: float = 30.0
    n_substeps: int = 10
    coupled: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.root_world is None:
            raise OptionError(
                "The released code needs root_world, the true root in the world; 'platypose' and "
                "'platypose-heuristic' take no truth."
            )
        check_positive(energy_scale=self.energy_scale, n_substeps=self.n_substeps)

    def assumptions(self, keypoints: Keypoints2D) -> tuple[str, ...]:
        """What is taken for granted about the world, for reports."""
        return ("platypose-released: the true root was given (oracle)",)

    def _clip(
        self,
        keypoints: Keypoints2D,
        n_hypotheses: int,
        noise: NoiseSource,
        callback: Callable[[Step], None] | None,
    ) -> tuple[Tensor, int]:
        root = cast(Tensor, self.root_world).to(keypoints.xy)
        views = (keypoints, *self.views)
        cameras = tuple(ReleasedCamera.of(cast(Any, v.camera)) for v in views)
        xy = torch.stack([v.xy / 500.0 - 1.0 for v in views])
        seen = torch.isfinite(xy).all(-1, keepdim=True)
        energy = MultiView(cameras, xy.nan_to_num(0.0), root, seen.expand_as(xy).to(xy))
        shape = (n_hypotheses, keypoints.n_frames, self.skeleton.n_joints, 3)
        fresh = None
        if self.eta:
            fresh = lambda flat: noise(shape).reshape(flat)  # noqa: E731
        x0 = released_chain(
            self.network,
            energy,
            self._chain(),
            noise(shape).flatten(-2),
            energy_scale=self.energy_scale,
            n_substeps=self.n_substeps,
            skip=self.skip,
            coupled=self.coupled,
            step_noise=fresh,
        )
        joints = x0.reshape(*x0.shape[:-1], -1, 3).clone()
        joints[:, :, 0] = 0.0
        view = view_of(keypoints, sigma_px=None, pitch_deg=0.0)
        world = (joints + root[:, None]).double()
        return to_camera(world, world.new_zeros(len(world)), view), 0
