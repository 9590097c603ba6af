"""DiffPose as released: lift, then refine the pose as if it were slightly noisy.

Gong et al., "DiffPose: Toward More Reliable 3D Pose Estimation", CVPR 2023, the frame setting of
the published code. The state is (u, v, x, y, z) per joint: screen coordinates and meters. It starts
at the keypoints and the lifted pose; a network predicts noise and a few DDIM steps remove it. The
schedule is weak (ᾱ stays above 0.97), so this is a refiner. With eta = 0 and no noise at the start,
as released, all hypotheses coincide; ``eta`` or ``start="noised"`` keeps them apart. The method the
paper describes is :class:`hypopose.samplers.DiffPose`.

| paper, released code | here |
| --- | --- |
| H_K, x_init | lifted pose beside the keypoints |
| T, beta_start, beta_end | ``n_timesteps``, ``beta_start``, ``beta_end`` |
| test_num_diffusion_timesteps N, test_timesteps S | ``n_test_timesteps``, ``n_steps`` |
| skip_type | ``spacing`` |
| variance (used as a standard deviation) | ``scale`` of the process: keypoint noise, 1 meter |

Departures from the published code, the first two of which ``quirks`` brings back by name:

* ``"unscaled_noise"``: new noise is scaled as in training; the released sampler's is not (with
  eta > 0);
* ``"aliased_centering"``: poses are made relative to the root. The released line subtracts a view
  from itself: on a CPU it only moves the root to 0, on a GPU the result is undefined;
* coefficients are in double precision, which moves results by up to 1e-5 m;
* the scale of the keypoints is their covariance if they carry one, else ``uv_std``; the released
  tables with the detector's kernels do not exist for other detectors;
* no noise is drawn where none is needed.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.checks import check_between, check_choice, check_n_hypotheses, check_positive
from hypopose.diffusion import AffineGaussian, Schedule, named_betas
from hypopose.errors import OptionError
from hypopose.networks.base import Network
from hypopose.networks.gcndiff import CHANNELS, DiffPosePair, GCNdiff
from hypopose.networks.inputs import encode
from hypopose.samplers.missing import FillMissing, readable
from hypopose.samplers.network_sampler import Step, device_of, fitted_root
from hypopose.skeletons import SKELETONS
from hypopose.types import Hypotheses, Keypoints2D, NoiseSource, Skeleton

Quirk = Literal["unscaled_noise", "aliased_centering"]
"""What the released code does besides its intention; see the module's text."""

Spacing = Literal["uniform", "quad"]
"""How the released sampler spreads its steps."""

Start = Literal["point", "noised"]
"""Where hypotheses begin: at the lifted pose, or at that pose with noise."""


def released_pairs(
    n_steps: int, n_test_timesteps: int, spacing: Spacing = "uniform"
) -> list[tuple[int, int]]:
    """The (t, t_next) pairs of the released sampler, which need not start near T.

    Args:
        n_steps: S; ``uniform`` has more steps if S does not divide N.
        n_test_timesteps: N.
        spacing: ``"uniform"``: 0, N // S, ...; ``"quad"``: squares of an even grid to √(0.8 N).

    Returns:
        Pairs in order; the last t_next is -1.

    Raises:
        OptionError: If an option is out of range.

    Example:
        >>> released_pairs(2, 24)
        [(12, 0), (0, -1)]
    """
    if not 1 <= n_steps <= n_test_timesteps:
        raise OptionError(
            f"n_steps lies between 1 and n_test_timesteps={n_test_timesteps}, got {n_steps}."
        )
    check_choice("spacing", spacing, get_args(Spacing))
    if spacing == "uniform":
        times = list(range(0, n_test_timesteps, n_test_timesteps // n_steps))
    else:
        grid = torch.linspace(0, (0.8 * n_test_timesteps) ** 0.5, n_steps, dtype=torch.float64)
        times = sorted({int(t) for t in (grid**2).tolist()})
    return list(zip(times[::-1], [*times[-2::-1], -1], strict=True))


@dataclass(frozen=True)
class ReleasedDiffPose:
    """Lift every frame, then refine.

    Args:
        network: The released pair, or a GCNdiff with a lifter beside it.
        lifter: Any lifter of any number of frames; None for the pair's own.
        n_steps: Network evaluations per draw.
        n_test_timesteps: Steps are spread over 0 .. this; 24 for detected keypoints, 12 for exact.
        spacing: ``"uniform"`` or ``"quad"``, see :func:`released_pairs`.
        n_timesteps: T of the training.
        betas: Its schedule, a name in :data:`hypopose.diffusion.betas.BETAS`.
        beta_start: First beta.
        beta_end: Last beta.
        eta: Share of new noise per step; 0 as released.
        start: ``"point"`` as released, or ``"noised"``: noise of the first timestep is added.
        uv_std: Keypoint noise in screen units (half an image width) for keypoints without
            covariance.
        quirks: Names in :data:`Quirk`.
        chunk: Frames, of all hypotheses together, in one network call.
        fill_missing: ``"interpolate"`` fills undetected keypoints over time; ``"error"`` refuses.

    Raises:
        OptionError: If an option is out of range, or the networks do not make a pair.
    """

    network: Network | GCNdiff
    lifter: Network | None = None
    n_steps: int = 2
    n_test_timesteps: int = 24
    spacing: Spacing = "uniform"
    n_timesteps: int = 51
    betas: str = "linear"
    beta_start: float = 1e-4
    beta_end: float = 1e-3
    eta: float = 0.0
    start: Start = "point"
    uv_std: float = 0.01
    quirks: Sequence[Quirk] = ()
    chunk: int = 256
    fill_missing: FillMissing = "error"

    def __post_init__(self) -> None:
        self._networks()
        pairs = self.pairs
        if pairs[0][0] >= self.n_timesteps:
            raise OptionError(
                f"The first step is at {pairs[0][0]}, beyond n_timesteps={self.n_timesteps}."
            )
        check_choice("start", self.start, get_args(Start))
        check_choice("fill_missing", self.fill_missing, get_args(FillMissing))
        for quirk in self.quirks:
            check_choice("quirks", quirk, get_args(Quirk))
        check_between(0, 1, eta=self.eta)
        check_positive(uv_std=self.uv_std, chunk=self.chunk)

    @property
    def skeleton(self) -> Skeleton:
        """The skeleton of keypoints and hypotheses."""
        return SKELETONS[self._networks()[0].info.skeleton]

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """The (t, t_next) of each step."""
        return released_pairs(self.n_steps, self.n_test_timesteps, self.spacing)

    @property
    def schedule(self) -> Schedule:
        """Noise levels of the training."""
        betas = named_betas(self.betas, self.n_timesteps, self.beta_start, self.beta_end)
        return Schedule(betas)

    @torch.no_grad()
    def sample(
        self,
        keypoints: Keypoints2D,
        n_hypotheses: int,
        noise: NoiseSource,
        callback: Callable[[Step], None] | None = None,
    ) -> Hypotheses:
        """Lift and refine; frames are independent of one another.

        Args:
            keypoints: With an image size; NaN where undetected.
            n_hypotheses: How many.
            noise: Asked for ``(*batch, H, F, J, 5)`` if the start is noised, and once more per
                noisy step.
            callback: Called after every step; it sees the meters of the state.

        Returns:
            Root-relative meters; ``root`` is fitted if the keypoints carry a camera.

        Raises:
            OptionError: If some keypoints are undetected, or no hypothesis is asked for.
            SkeletonMismatchError: If the keypoints have another skeleton.
        """
        check_n_hypotheses(n_hypotheses)
        if n_hypotheses > 1 and self.eta == 0.0 and self.start == "point":
            warnings.warn(
                "DiffPose as released is deterministic: all hypotheses are equal. Pass eta=1.0 or "
                "start='noised' to draw different ones.",
                stacklevel=2,
            )
        lifter, _ = self._networks()
        seen = readable(keypoints, lifter.info, self.fill_missing)
        device = device_of(lifter, keypoints.xy.device)
        uv = encode(seen, "screen").xy.float().to(device)
        process = self._process(seen, uv)
        batch = uv.shape[:-3]
        lifted = lifter(None, uv.reshape(-1, *uv.shape[-3:]))
        point = torch.cat([uv, self._centered(lifted.reshape(*uv.shape[:-1], 3))], -1)
        shape = (*batch, n_hypotheses, *point.shape[-3:])
        x = point.unsqueeze(-4).expand(shape)
        if self.start == "noised":
            x = process.noised(x, self.pairs[0][0], noise(shape).to(x))
        for i, (t, t_next) in enumerate(self.pairs):
            x0 = process.x0_from(self._eps(x, t), x, t, "eps")
            if callback is not None:
                callback(Step(i, t, x[..., 2:], x0[..., 2:]))
            x = process.step(x, x0, t, t_next, eta=self.eta, noise=noise)
        joints = self._centered(x[..., 2:]).to(keypoints.xy.device)
        return Hypotheses(joints, self.skeleton, fitted_root(joints, keypoints, self.skeleton))

    def _networks(self) -> tuple[Network, GCNdiff]:
        refiner = self.network.refiner if isinstance(self.network, DiffPosePair) else self.network
        lifter = self.network if self.lifter is None else self.lifter
        if not isinstance(refiner, GCNdiff) or not isinstance(lifter, Network):
            raise OptionError(
                "DiffPose refines what a lifter found: pass the released pair "
                "(hypopose convert --layout diffpose), or a GCNdiff and lifter=."
            )
        if (
            lifter.info.forms != ("lifter",)
            or lifter.info.n_frames
            or (lifter.info.inputs != "screen")
        ):
            raise OptionError(
                "DiffPose needs a lifter that reads screen coordinates of any number of frames."
            )
        return lifter, refiner

    def _process(self, keypoints: Keypoints2D, uv: Float[Tensor, "*batch F J 2"]) -> AffineGaussian:
        scale = torch.ones(*uv.shape[:-1], len(CHANNELS), device=uv.device)
        if "unscaled_noise" not in self.quirks:
            scale[..., :2] = self._uv_std(keypoints).to(scale)
        return AffineGaussian(self.schedule, scale=scale.unsqueeze(-4))

    def _uv_std(self, keypoints: Keypoints2D) -> Tensor:
        """Deviation of each keypoint in screen units."""
        size = keypoints.image_size or (keypoints.camera and keypoints.camera.image_size)
        if keypoints.covariance is None or not size:
            return torch.tensor(self.uv_std)
        variance = keypoints.covariance.diagonal(dim1=-2, dim2=-1)
        return (variance.sqrt() * 2 / size[0]).nan_to_num(self.uv_std).clamp(min=1e-6)

    def _eps(self, x: Float[Tensor, "*batch H F J 5"], t: int) -> Tensor:
        _, refiner = self._networks()
        time = torch.full((1,), float(t), device=x.device)
        states = x.reshape(-1, *x.shape[-2:])
        starts = range(0, len(states), self.chunk)
        return torch.cat([refiner(states[i : i + self.chunk], time) for i in starts]).reshape(
            x.shape
        )

    def _centered(self, xyz: Float[Tensor, "*any J 3"]) -> Float[Tensor, "*any J 3"]:
        root = self.skeleton.root
        if "aliased_centering" not in self.quirks:
            return xyz - xyz[..., root : root + 1, :]
        centered = xyz.clone()
        centered[..., root, :] = 0.0
        return centered
