"""What the samplers of a motion prior share: their options, batches and checks."""

from __future__ import annotations

import math
import warnings
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from hypopose.checks import check_between, check_n_hypotheses
from hypopose.diffusion import cosine_schedule
from hypopose.diffusion.respacing import RespacedSchedule, respace
from hypopose.errors import OptionError, ShapeError, SkeletonMismatchError
from hypopose.networks.motion_prior import MotionPrior
from hypopose.samplers.clip_by_clip import SharedNoise, one_clip
from hypopose.samplers.network_sampler import Step
from hypopose.skeletons import SKELETONS
from hypopose.types import Hypotheses, Keypoints2D, NoiseSource, Skeleton


@dataclass(frozen=True)
class PriorSampler:
    """Base of samplers that guide a motion prior.

    Args:
        network: A motion prior.
        n_steps: Network evaluations per draw.
        eta: Share of new noise per step, 0 to 1.
        views: Keypoints of further cameras, synchronous; all cameras then need rotation and
            translation in one world with z up.

    Raises:
        OptionError: If an option is out of range.
    """

    network: MotionPrior
    n_steps: int = 20
    eta: float = 1.0
    views: tuple[Keypoints2D, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.network, MotionPrior):
            raise OptionError(
                "Platypose guides a prior of motion; give weights of a MotionPrior, or leave them "
                "out."
            )
        check_between(0, 1, eta=self.eta)
        self._chain()

    @property
    def skeleton(self) -> Skeleton:
        """The skeleton of the hypotheses."""
        return SKELETONS[self.network.info.skeleton]

    @property
    def read_skeleton(self) -> Skeleton:
        """The skeleton keypoints must have."""
        return self.skeleton

    @torch.no_grad()
    def sample(
        self,
        keypoints: Keypoints2D,
        n_hypotheses: int,
        noise: NoiseSource,
        callback: Callable[[Step], None] | None = None,
    ) -> Hypotheses:
        """Draw motions.

        Args:
            keypoints: With a camera; NaN or confidence 0 where unseen.
            n_hypotheses: How many motions.
            noise: Asked for ``(*batch, H, F, J, 3)`` and ``(*batch, H, 1, 1, 4)`` at the start. If
                ``eta`` is not 0, asked at every step for draws, ``(*batch, H, N, J, 3)`` with N
                moments and ``(*batch, H, 1, 1, 4)``, by :class:`Platypose`, and at every step but
                the last for the two of the start again. :class:`ReleasedPlatypose` asks for
                ``(*batch, H, F, J, 3)`` alone.
            callback: Called after every step of every clip; joints are slots in the world.

        Returns:
            Root-relative meters in the (first) camera's frame, with the root. Hypotheses that are
            still not finite after all redraws are NaN.

        Raises:
            MissingCameraError: If the keypoints carry no camera.
            SkeletonMismatchError: If they are in another skeleton.
            OptionError: If several views have cameras of unknown position.
        """
        self._check(keypoints, n_hypotheses)
        batch = keypoints.xy.shape[:-3]
        n_items = math.prod(batch)
        draws = SharedNoise(noise, batch)
        clips = [one_clip(keypoints, i, batch) for i in range(n_items)]
        parts = [
            self._clip(clip, n_hypotheses, draws.of(i), callback) for i, clip in enumerate(clips)
        ]
        joints = torch.stack([p[0] for p in parts]).reshape(*batch, *parts[0][0].shape)
        n_redrawn = sum(p[1] for p in parts)
        if n_redrawn:
            warnings.warn(
                f"{n_redrawn} hypotheses were not finite and were drawn again.", stacklevel=2
            )
        joints = joints.to(keypoints.xy)
        root = joints[..., :1, :]
        return Hypotheses(joints - root, self.skeleton, root[..., 0, :])

    @abstractmethod
    def _clip(
        self,
        keypoints: Keypoints2D,
        n_hypotheses: int,
        noise: NoiseSource,
        callback: Callable[[Step], None] | None,
    ) -> tuple[Tensor, int]:
        """Joints of one clip in the camera frame, and how many hypotheses were redrawn."""

    def _check(self, keypoints: Keypoints2D, n_hypotheses: int) -> None:
        check_n_hypotheses(n_hypotheses)
        if keypoints.n_frames < 1:
            raise ShapeError("These keypoints have no frames; there is nothing to sample.")
        for seen in (keypoints, *self.views):
            check_view(seen, keypoints, self.read_skeleton)
        cameras = [v.camera for v in (keypoints, *self.views)]
        if self.views and any(c is None or c.rotation is None for c in cameras):
            raise OptionError(
                "Several views need cameras with rotation and translation in one world with z up; "
                "read them with hypopose.io.load_camera (--camera and --view FILE:NAME)."
            )

    def _chain(self) -> RespacedSchedule:
        return respace(cosine_schedule(self.network.n_timesteps), f"ddim{self.n_steps}")


def check_view(seen: Keypoints2D, first: Keypoints2D, skeleton: Skeleton) -> None:
    """Raise unless one camera's keypoints belong to those of the first.

    Args:
        seen: Of one camera.
        first: Of the first camera.
        skeleton: That is read.

    Raises:
        SkeletonMismatchError: If the skeleton is another.
        ShapeError: If the number of frames differs.
        OptionError: If the frame rates differ.
    """
    if seen.skeleton.name != skeleton.name:
        raise SkeletonMismatchError(
            f"Platypose is set to read {skeleton.name!r} keypoints, got "
            f"{seen.skeleton.name!r}. Convert them with hypopose.skeletons.convert, or "
            "pass keypoint_skeleton and regressor."
        )
    if seen.n_frames != first.n_frames:
        raise ShapeError(
            "All views have the same frames; cut them to length first: "
            f"{first.n_frames} and {seen.n_frames}."
        )
    if seen.fps and first.fps and seen.fps != first.fps:
        raise OptionError(
            "All views have the same frame rate, these have "
            f"{first.fps:g} and {seen.fps:g} Hz; state the true one (--fps)."
        )
