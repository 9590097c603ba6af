"""Refinement of any sampler's hypotheses: they move until they reproject, where uncertain.

UAO for methods without an input to move (:mod:`hypopose.optimization.uao` has the paper). The
latent is an offset from the hypothesis, smooth over time; it is pulled back to the hypothesis, more
strongly the smaller the joint's scale, and towards the keypoints, more strongly the higher their
confidence:

``E = Σ_fj  1/2 |offset_fj / σ_fj|² + c_fj ρ(|project(x_fj + offset_fj + root_f) - kp_fj| / s)``

with σ = scale / √3 per coordinate, c the confidence, s the error of a keypoint, and ρ(r) =
δ² (√(1 + r²/δ²) - 1), which is r²/2 for small errors and grows like δ r for outliers. E is the
negative logarithm of a posterior: the hypothesis is a draw from the prior, the keypoints are data.
Both terms are smooth, also at zero residuals. Keypoints that carry silhouettes add the
term of :mod:`hypopose.optimization.mask_term`.

With ``spread="posterior"`` every hypothesis is pulled by its own noisy copy of the keypoints, drawn
with the errors that the term assumes, smooth over time. Hypotheses are draws
from the prior already; minimizing with both terms disturbed draws from the posterior, exactly so
where projection is linear and frames do not share an offset ("randomize, then optimize": Bardsley
et al., SIAM J. Sci. Comput. 2014). It replaces Langevin noise and needs no step size and no
burn-in.

| symbol | here |
| --- | --- |
| offset | ``latents[0]`` through a kernel over time, times σ |
| root | given, fitted in closed form at every step, or ``latents[1]`` |
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from hypopose.cameras import fit_root, hypothesis_camera, project_normalized, undistort
from hypopose.checks import check_choice, check_positive
from hypopose.errors import MissingCameraError, OptionError, ShapeError, SkeletonMismatchError
from hypopose.optimization.descent import Adam, Latents, Visit, descend
from hypopose.optimization.mask_term import MASK_ERROR, MaskTerm
from hypopose.types import (
    ASSUMED_FPS,
    Camera,
    Hypotheses,
    Keypoints2D,
    NoiseSource,
    Poses3D,
)

Root = Literal["fitted", "joint", "given"]
"""Where roots come from."""

Spread = Literal["follow", "posterior"]
"""Whether hypotheses stay apart."""

APPROXIMATE_WEIGHT = 0.25
"""Weight of a keypoint formed from others: it repeats what its sources already said."""

MIN_SCALE = 0.005
"""Joints are never held closer than half a centimeter: a spread of nothing is a sampler's, not a
person's."""

ROOT_STEP = 0.05
"""Unit of the root's latent, meters."""


@dataclass(frozen=True, eq=False)
class Refined:
    """What refinement found.

    Args:
        hypotheses: With roots.
        before: Energy of every hypothesis as it came.
        after: Energy now; never larger.
        notes: How it was done, and what was taken from the truth.
    """

    hypotheses: Hypotheses
    before: Float[Tensor, "*batch H"]
    after: Float[Tensor, "*batch H"]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class OffsetRefiner:
    """Options of the refinement.

    Args:
        root: ``"fitted"`` to the keypoints at every step, ``"joint"`` moved with the pose, or
            ``"given"`` by the caller.
        spread: ``"posterior"`` keeps hypotheses as far apart as the keypoints leave open,
            ``"follow"`` pulls all of them towards the same keypoints.
        keypoint_error: Standard deviation of a keypoint, as a share of the person's size in the
            image (root mean square distance of the joints from their center); where keypoints carry
            covariances those are used.
        outlier: δ: keypoints further off than so many standard deviations pull less.
        prior: Multiplies σ: above 1, hypotheses are held less.
        default_scale: Expected error in meters where there is one hypothesis only and no scale.
        smooth_s: Seconds: standard deviation of the kernel that offsets go through.
        noise_s: The same for the noise of keypoints: errors of detectors go on, and noise that
            changed from frame to frame would make motions jitter.
        min_depth: Joints nearer than so many meters, or behind the camera, count as this near.
        mask_error: A difference in intersection over union that makes a pose e times less likely,
            where the keypoints carry silhouettes.
        n_steps: Steps of the descent.
        learning_rate: In units of σ.
        patience: Steps without gain after which a hypothesis stops.

    Raises:
        OptionError: If an option is out of range.
    """

    root: Root = "fitted"
    spread: Spread = "posterior"
    keypoint_error: float = 0.04
    outlier: float = 2.0
    prior: float = 1.0
    default_scale: float = 0.05
    smooth_s: float = 0.1
    noise_s: float = 0.3
    min_depth: float = 0.1
    mask_error: float = MASK_ERROR
    n_steps: int = 30
    learning_rate: float = 0.1
    patience: int = 5

    def __post_init__(self) -> None:
        check_choice("root", self.root, get_args(Root))
        check_choice("spread", self.spread, get_args(Spread))
        check_positive(
            keypoint_error=self.keypoint_error,
            outlier=self.outlier,
            prior=self.prior,
            default_scale=self.default_scale,
            min_depth=self.min_depth,
            mask_error=self.mask_error,
        )
        if min(self.smooth_s, self.noise_s) < 0:
            raise OptionError("smooth_s and noise_s are at least 0.")
        self._adam()

    def refine(
        self,
        hypotheses: Hypotheses,
        keypoints: Keypoints2D,
        *,
        noise: NoiseSource,
        scale: Float[Tensor, "*batch F J"] | None = None,
        root: Float[Tensor, "*batch F 3"] | None = None,
        callback: Callable[[Visit], None] | None = None,
    ) -> Refined:
        """Refine hypotheses.

        Args:
            hypotheses: Of any sampler; NaN joints stay NaN and pull nothing.
            keypoints: In their skeleton, with a camera.
            noise: Errors of the keypoints, for ``spread="posterior"``; asked once.
            scale: Expected error of each joint in meters; None for the hypotheses' own spread.
            root: True or measured root positions, for ``root="given"``.
            callback: Called before every step.

        Returns:
            Hypotheses with roots, and their energies.

        Raises:
            MissingCameraError: If the keypoints carry no camera.
            SkeletonMismatchError: If the skeletons differ.
            ShapeError: If axes do not belong together.
            OptionError: If a root is given without ``root="given"``, or the reverse.
        """
        camera = _checked(hypotheses, keypoints, root, self.root)
        with torch.no_grad():
            problem = _Problem.of(self, hypotheses, keypoints, camera, noise, scale, root)
        found = descend(problem.start(), problem.energy, self._adam(), callback)
        with torch.no_grad():
            joints, where = problem.place(found.latents)
        joints = torch.where(problem.known[..., None], joints, torch.nan)
        shape = hypotheses.joints.shape
        refined = replace(
            hypotheses,
            joints=joints.reshape(shape).to(hypotheses.joints),
            root=torch.where(problem.placed[..., None], where, torch.nan)
            .reshape(*shape[:-2], 3)
            .to(hypotheses.joints),
        )
        lead = shape[:-3]
        return Refined(
            refined,
            found.before.reshape(lead),
            found.after.reshape(lead),
            self._notes(problem.masks),
        )

    def _adam(self) -> Adam:
        return Adam(self.n_steps, self.learning_rate, patience=self.patience)

    def _notes(self, masks: MaskTerm | None) -> tuple[str, ...]:
        seen = "the keypoints" if masks is None else f"the keypoints and {masks.describe()}"
        how = f"refined against {seen}"
        if self.root == "given":
            return (f"{how} with the root position given by the caller: if it is the true one, "
                    "ground truth was used",)  # fmt: skip
        return (f"{how}, root {self.root}, spread {self.spread}",)


def hypothesis_scale(
    joints: Float[Tensor, "*batch H F J 3"], otherwise: float
) -> Float[Tensor, "*batch F J"]:
    """Expected distance of a hypothesis from the mean of all, at least :data:`MIN_SCALE`.

    Args:
        joints: Meters; joints that are NaN in a hypothesis do not count.
        otherwise: Where there is one hypothesis only.

    Example:
        >>> hypothesis_scale(torch.zeros(1, 5, 17, 3), 0.05)[0, 3].item()
        0.05000000074505806
    """
    if joints.shape[-4] < 2:
        return torch.full_like(joints[..., 0, :, :, 0], otherwise)
    deviation = joints - joints.nanmean(-4, keepdim=True)
    n = torch.isfinite(joints[..., 0]).sum(-3)
    bias = (n / (n - 1).clamp(min=1)).sqrt()
    spread = deviation.square().sum(-1).nanmean(-3).sqrt() * bias
    return spread.nan_to_num(otherwise).clamp(min=MIN_SCALE)


def _checked(
    hypotheses: Hypotheses, keypoints: Keypoints2D, root: Tensor | None, mode: str
) -> Camera:
    if keypoints.camera is None:
        raise MissingCameraError(
            "Refinement projects joints into the image, but these keypoints carry no camera. "
            "Attach one with keypoints.with_camera(Camera.from_fov(image_size))."
        )
    if keypoints.skeleton.name != hypotheses.skeleton.name:
        raise SkeletonMismatchError(
            f"The hypotheses are {hypotheses.skeleton.name!r}, the keypoints "
            f"{keypoints.skeleton.name!r}; bring them over with hypopose.skeletons.convert."
        )
    x = hypotheses.joints.shape
    if (*x[:-4], *x[-3:-1]) != keypoints.xy.shape[:-1]:
        raise ShapeError(
            f"Hypotheses {tuple(x)} do not belong to keypoints {tuple(keypoints.xy.shape)}."
        )
    if (root is None) == (mode == "given"):
        raise OptionError(
            "root='given' needs root positions, and only it takes them; pass both or neither."
        )
    if root is not None and root.shape != (*keypoints.xy.shape[:-2], 3):
        raise ShapeError(
            f"The root must be {(*keypoints.xy.shape[:-2], 3)} meters, got {tuple(root.shape)}."
        )
    return keypoints.camera


@dataclass(frozen=True, eq=False)
class _Problem:
    """One batch of hypotheses, flattened to items N = batch times H.

    Args:
        options: Of the refinement.
        joints: As they came, NaN filled with 0.
        known: False where they were NaN.
        placed: False for frames whose root the keypoints do not determine.
        sigma: Standard deviation per coordinate, meters.
        target: Keypoints on the normalized plane, noise included.
        weight: Confidences over squared errors of keypoints, per squared unit of that plane.
        seen: The original keypoints, for fitting roots.
        given: Roots, or where they start.
        kernel: Over time.
        children: 0 at the root, else 1.
        masks: The term of masks, or None.
    """

    options: OffsetRefiner
    joints: Float[Tensor, "N F J 3"]
    known: Tensor
    placed: Tensor
    sigma: Float[Tensor, "N F J"]
    target: Float[Tensor, "N F J 2"]
    weight: Float[Tensor, "N F J 2 2"]
    seen: Keypoints2D
    given: Float[Tensor, "N F 3"]
    kernel: Float[Tensor, " K"]
    children: Float[Tensor, "J 1"]
    masks: MaskTerm | None

    @classmethod
    def of(
        cls,
        options: OffsetRefiner,
        hypotheses: Hypotheses,
        keypoints: Keypoints2D,
        camera: Camera,
        noise: NoiseSource,
        scale: Tensor | None,
        root: Tensor | None,
    ) -> _Problem:
        """Everything that does not change while the latents move."""
        x = hypotheses.joints.float()
        H = x.shape[-4]
        known = torch.isfinite(x).all(-1)
        rays, focal = _rays(hypotheses, keypoints, camera)
        error = _errors(options, keypoints, rays, focal)
        weight = _weights(keypoints, error)
        seen = _seen(keypoints, camera, rays.flatten(0, -4), H)
        joints = x.nan_to_num(0.0).flatten(0, -4)
        start = fit_root(torch.where(known.flatten(0, -3)[..., None], joints, torch.nan), seen)
        if root is not None:
            start = root[..., None, :, :].expand(*x.shape[:-2], 3).flatten(0, -3).to(joints)
        placed = torch.isfinite(start).all(-1)
        kernel = _kernel(options.smooth_s * (keypoints.fps or ASSUMED_FPS), joints)
        if scale is None:
            scale = hypothesis_scale(x, options.default_scale)
        sigma = (scale.clamp(min=MIN_SCALE) * options.prior / 3**0.5)[..., None, :, :]
        usable = torch.isfinite(rays).all(-1) & known & placed.reshape(x.shape[:-2])[..., None]
        target = rays.nan_to_num(0.0)
        if options.spread == "posterior":
            z = noise((*x.shape[:-1], 2)).to(joints).flatten(0, -4)
            z = _smooth_noise(z, _kernel(options.noise_s * (keypoints.fps or ASSUMED_FPS), joints))
            drawn = torch.linalg.cholesky(error) @ z.reshape(*x.shape[:-1], 2, 1)
            target = target + drawn[..., 0].nan_to_num(0.0)
        children = torch.ones(x.shape[-2], 1, dtype=joints.dtype, device=joints.device)
        children[hypotheses.skeleton.root] = 0.0
        return cls(
            options=options,
            joints=joints,
            known=known.flatten(0, -3),
            placed=placed,
            sigma=sigma.expand(x.shape[:-1]).flatten(0, -3).to(joints),
            target=target.flatten(0, -4),
            weight=(weight * usable[..., None, None]).nan_to_num(0.0).flatten(0, -5),
            seen=seen,
            given=start.nan_to_num(0.0),
            kernel=kernel,
            children=children,
            masks=MaskTerm.of(hypotheses, keypoints, start.nan_to_num(0.0), options.mask_error),
        )

    def start(self) -> Latents:
        """No offset."""
        offset = torch.zeros_like(self.joints)
        if self.options.root != "joint":
            return (offset,)
        return offset, torch.zeros_like(self.given)

    def offset(self, latents: Latents) -> Float[Tensor, "N F J 3"]:
        """In units of sigma."""
        return _smooth(latents[0], self.kernel) * self.children

    def place(self, latents: Latents) -> tuple[Tensor, Tensor]:
        """Joints and roots of latents."""
        joints = self.joints + self.offset(latents) * self.sigma[..., None]
        return joints, self._root(joints, latents)

    def _root(self, joints: Tensor, latents: Latents) -> Tensor:
        if self.options.root == "given":
            return self.given
        if self.options.root == "joint":
            moved = _smooth(latents[1][:, :, None], self.kernel)[:, :, 0]
            return self.given + ROOT_STEP * moved
        fitted = fit_root(torch.where(self.known[..., None], joints, torch.nan), self.seen)
        return torch.where(torch.isfinite(fitted), fitted, self.given)

    def energy(self, latents: Latents) -> Float[Tensor, " N"]:
        """Of every item, summed over frames and joints."""
        offset = self.offset(latents)
        joints = self.joints + offset * self.sigma[..., None]
        root = self._root(joints, latents)
        placed = project_normalized(joints + root[:, :, None], min_depth=self.options.min_depth)
        missed = placed - self.target
        squares = (missed[..., None, :] @ self.weight @ missed[..., None])[..., 0, 0]
        bound = self.options.outlier**2
        pull = bound * ((1 + squares / bound).sqrt() - 1)
        hold = 0.5 * offset.square().sum(-1)
        energy = ((pull + hold) * self.known).sum((-2, -1))
        return energy if self.masks is None else energy + self.masks(joints, root)


def _rays(
    hypotheses: Hypotheses, keypoints: Keypoints2D, camera: Camera
) -> tuple[Float[Tensor, "*batch H F J 2"], Float[Tensor, "*any"]]:
    """Keypoints on the normalized plane of each hypothesis' camera, and focal lengths there."""
    shape = hypotheses.joints.shape[:-1]
    eye = hypothesis_camera(hypotheses, camera)
    xy = keypoints.xy.float().unsqueeze(-4).expand(*shape, 2)
    focal = eye.focal.mean(-1)
    return undistort(xy, eye), focal.reshape(*focal.shape, *(1,) * (len(shape) - focal.dim()))


def _errors(
    options: OffsetRefiner, keypoints: Keypoints2D, rays: Tensor, focal: Tensor
) -> Float[Tensor, "*batch H F J 2 2"]:
    """Covariances of keypoints on the normalized plane."""
    if keypoints.covariance is not None:
        covariance = keypoints.covariance.float().unsqueeze(-5)
        covariance = covariance / focal[..., None, None] ** 2
        floor = 1e-12 * torch.eye(2, dtype=rays.dtype, device=rays.device)
        return (covariance + floor).expand(*rays.shape, 2)
    size = (rays - rays.nanmean(-2, keepdim=True)).square().sum(-1).nanmean(-1).sqrt()
    # One size per clip: people do not shrink when they crouch.
    size = size.nanmedian(-1).values.nan_to_num(0.1).clamp(min=1e-3)
    std = (options.keypoint_error * size)[..., None, None].expand(rays.shape[:-1])
    return torch.diag_embed((std**2)[..., None].expand(rays.shape))


def _weights(keypoints: Keypoints2D, error: Tensor) -> Float[Tensor, "*batch H F J 2 2"]:
    """Confidence times the inverse covariance."""
    trust = torch.ones_like(keypoints.xy[..., 0])
    if keypoints.confidence is not None:
        trust = keypoints.confidence.nan_to_num(0.0).clamp(0.0, 1.0)
    names = keypoints.skeleton.joint_names
    share = [APPROXIMATE_WEIGHT if name in keypoints.approximate else 1.0 for name in names]
    trust = (trust * trust.new_tensor(share)).float().unsqueeze(-3)
    good = torch.isfinite(error).flatten(-2).all(-1)[..., None, None]
    eye = torch.eye(2, dtype=error.dtype, device=error.device)
    return torch.linalg.inv(torch.where(good, error, eye)) * trust[..., None, None] * good


def _seen(keypoints: Keypoints2D, camera: Camera, rays: Tensor, H: int) -> Keypoints2D:
    """The keypoints as a pinhole of focal length 1 sees them, once per item."""
    unit = Camera(torch.ones(2), torch.zeros(2), camera.image_size)
    confidence = keypoints.confidence
    if confidence is not None:
        confidence = confidence.unsqueeze(-3)
        shape = (*confidence.shape[:-3], H, *confidence.shape[-2:])
        confidence = confidence.expand(shape).flatten(0, -3)
    return replace(
        keypoints, xy=rays.to(unit.focal), confidence=confidence, covariance=None, camera=unit
    )


def _kernel(frames: float, like: Tensor) -> Float[Tensor, " K"]:
    """Gaussian over time that keeps white noise at unit variance."""
    half = min(int(3 * frames + 0.999), like.shape[1] - 1)
    at = torch.arange(-half, half + 1, dtype=like.dtype, device=like.device)
    kernel = torch.exp(-0.5 * (at / max(frames, 1e-3)) ** 2)
    return kernel / kernel.square().sum().sqrt()


def _smooth(x: Float[Tensor, "N F J C"], kernel: Tensor) -> Float[Tensor, "N F J C"]:
    """Through the kernel, over time."""
    if len(kernel) == 1:
        return x
    rows = x.movedim(1, -1)
    flat = rows.reshape(-1, 1, rows.shape[-1])
    summed = functional.conv1d(flat, kernel[None, None], padding=len(kernel) // 2)
    return summed.reshape(rows.shape).movedim(-1, 1)


def _smooth_noise(z: Float[Tensor, "N F J C"], kernel: Tensor) -> Float[Tensor, "N F J C"]:
    """Through the kernel, at unit variance also where it reaches beyond the clip."""
    power = _smooth(torch.ones_like(z[:1, :, :1, :1]), kernel.square())
    return _smooth(z, kernel) / power.sqrt()


def refine_poses(
    refiner: OffsetRefiner, poses: Poses3D, keypoints: Keypoints2D, **options: Any
) -> Poses3D:
    """Refine one motion, held by its standard deviations if it has any.

    Args:
        refiner: The method; ``"follow"`` whatever it says, for there is no spread to keep.
        poses: Meters.
        keypoints: In their skeleton, with a camera.
        **options: As for :meth:`OffsetRefiner.refine`.

    Returns:
        The motion with its root; standard deviations are as they came.
    """
    one = Hypotheses(poses.joints.unsqueeze(-4), poses.skeleton)
    if "scale" not in options and poses.std is not None:
        options["scale"] = poses.std.square().sum(-1).sqrt()
    refined = replace(refiner, spread="follow").refine(one, keypoints, **options).hypotheses
    root = None if refined.root is None else refined.root.squeeze(-3)
    return replace(poses, joints=refined.joints.squeeze(-4), root=root)
