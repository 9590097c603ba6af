"""The initial distribution of a pose: a Gaussian mixture per joint, from 2D uncertainty.

Gong et al., "DiffPose: Toward More Reliable 3D Pose Estimation", CVPR 2023, section 3: x and y come
from the detector's heat maps, z from the training set, and EM fits the mixture. The released code
has none of it.

Here the detector's uncertainty is the keypoints' covariance or, where there is none, a deviation
that grows as confidence falls. z comes from the training poses whose 2D shape is nearest to the
keypoints': their depths, weighted by a Gaussian kernel, are the points EM fits per joint, so a limb
that may point towards the camera or away from it gets two components. A point of relative depth z
on the ray of keypoint p has, at root depth Z, x = Z (p - p_root) + z p: components lie along the
ray of their keypoint.

| symbol | code |
| --- | --- |
| p | ``plane``: rays on the plane z = 1 of a camera turned towards the subject |
| Z | root depth: training size in meters over size on the plane, kernel mean |
| M | ``n_components`` |

A keypoint that is missing is taken from the same neighbors, with their spread. Components are
sorted by depth, so that one draw selects the same side in every frame.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from jaxtyping import Float, Float64, Int
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from hypopose.cameras import look_at_rotation, undistort
from hypopose.diffusion import GaussianMixture, fit_mixture
from hypopose.errors import (
    CheckpointError,
    MissingCameraError,
    OptionError,
    SkeletonMismatchError,
)
from hypopose.io.atomic import write_atomically
from hypopose.skeletons import SKELETONS
from hypopose.types import MIN_CONFIDENCE, Keypoints2D, Poses3D, Skeleton

MIN_JOINTS = 3
"""A 2D shape needs so many detected joints."""


@dataclass(frozen=True, eq=False)
class Neighbors:
    """Training poses that look like a frame, K each.

    Args:
        weights: Sum to 1 over K.
        depth: Relative to the root, meters.
        plane: Where their joints lie if laid over the frame's detected ones.
        root_depth: At which they would look as large as the frame's subject.
    """

    weights: Float[Tensor, "F K"]
    depth: Float[Tensor, "F K J"]
    plane: Float[Tensor, "F K J 2"]
    root_depth: Float[Tensor, "F K"]


@dataclass(frozen=True, eq=False)
class DepthPrior:
    """Training poses, asked for the depths that go with a 2D shape.

    Args:
        joints: Root-relative meters in camera frames.
        skeleton: Their joint set.
        n_neighbors: K.

    Raises:
        OptionError: If there are fewer poses than neighbors, or no neighbors.
    """

    joints: Float[Tensor, "N J 3"]
    skeleton: Skeleton
    n_neighbors: int = 64

    def __post_init__(self) -> None:
        if not 1 <= self.n_neighbors <= len(self.joints):
            raise OptionError(
                f"n_neighbors lies between 1 and the {len(self.joints)} training poses, got "
                f"{self.n_neighbors}."
            )

    @staticmethod
    def from_poses(poses: Poses3D, n_neighbors: int = 64) -> DepthPrior:
        """From motions of any batch axes.

        Example:
            >>> from hypopose.datasets import example_pair
            >>> _, truth = example_pair()
            >>> len(DepthPrior.from_poses(truth, 16).joints)
            50
        """
        return DepthPrior(poses.joints.flatten(0, -3).double(), poses.skeleton, n_neighbors)

    def neighbors(self, plane: Float[Tensor, "F J 2"]) -> Neighbors:
        """The K poses of the most similar 2D shape, frame by frame.

        Shapes are compared after bringing the joints seen in a frame to one place and one size;
        with weights 1 / 0 per joint that is a correlation, three matrix products for all frames.

        Args:
            plane: Rays on the plane z = 1 of a camera turned towards the subject; NaN where
                undetected.

        Raises:
            OptionError: If a frame has fewer than three detected joints.
        """
        plane = plane.double()
        seen = torch.isfinite(plane).all(-1)
        least = int(seen.sum(-1).min())
        if least < MIN_JOINTS:
            raise OptionError(
                f"A frame shows {least} joints; depths are looked up from 2D shapes of "
                f"{MIN_JOINTS} or more. Leave such frames out."
            )
        poses, w = self.joints.to(plane), seen.to(plane)
        n, xy = w.sum(-1, keepdim=True), poses[..., :2]
        p = torch.where(seen[..., None], plane, 0.0)
        center = p.sum(-2) / n
        apart = (p - center[:, None]) * w[..., None]
        size = (apart.square().sum((-2, -1)) / n[:, 0]).sqrt().clamp(min=1e-6)
        centers = torch.einsum("fj,pjc->fpc", w, xy) / n[..., None]
        moment = w @ xy.square().sum(-1).mT / n - centers.square().sum(-1)
        sizes = moment.clamp(min=1e-12).sqrt()
        alike = apart.flatten(1) @ xy.flatten(1).mT / (n * size[:, None] * sizes)
        distance, index = (2 - 2 * alike).clamp(min=0).topk(self.n_neighbors, largest=False)
        far = distance.median(-1, keepdim=True).values.clamp(min=1e-12)
        rows = index[..., None].expand(*index.shape, 2)
        zoom = size[:, None] / sizes.gather(1, index)
        aligned = (xy[index] - centers.gather(1, rows)[:, :, None]) * zoom[..., None, None]
        return Neighbors(
            weights=(-distance / (2 * far)).softmax(-1),
            depth=poses[index][..., 2],
            plane=aligned + center[:, None, None],
            root_depth=1 / zoom,
        )


@dataclass(frozen=True)
class InitialDistribution:
    """The mixture the reverse walk starts from; call it with keypoints.

    Args:
        depths: Training depths by 2D shape.
        n_components: M per joint.
        detector_std: Deviation of a keypoint of confidence 1 as a share of the image width, for
            keypoints without covariance; it grows as 1 / √confidence.
        min_std: Least deviation of a component in meters; point masses collapse to it.
        n_iterations: Of EM.
        root_depth: A known root depth in meters, instead of the neighbors'.
        stride: Depths are looked up in every so many frames, and interpolated between them: one
            mixture that moves smoothly through a clip, for a fraction of the time.

    Raises:
        OptionError: If an option is out of range.
    """

    depths: DepthPrior
    n_components: int = 5
    detector_std: float = 0.004
    min_std: float = 0.02
    n_iterations: int = 20
    root_depth: float | None = None
    stride: int = 1

    def __post_init__(self) -> None:
        whole = min(self.n_components, self.n_iterations, self.stride)
        if min(self.detector_std, self.min_std) <= 0 or whole < 1:
            raise OptionError(
                "InitialDistribution needs positive n_components, detector_std, min_std, "
                "n_iterations and stride."
            )

    def save(self, path: str | Path) -> Path:
        """Write poses (float16) and options as one safetensors file.

        Args:
            path: Replaced in one move.
        """
        chosen = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "depths"}
        about = {"n_neighbors": self.depths.n_neighbors, "skeleton": self.depths.skeleton.name}
        text = json.dumps({"options": chosen, **about})
        with write_atomically(Path(path)) as partial:
            save_file({"joints": self.depths.joints.half()}, partial, metadata={"about": text})
            partial.chmod(0o644)  # safetensors makes files only their owner can read
        return Path(path)

    @staticmethod
    def load(path: str | Path) -> InitialDistribution:
        """Read what :meth:`save` wrote.

        Raises:
            CheckpointError: If the file is absent or something else.
        """
        try:
            with safe_open(path, framework="pt") as file:
                about = json.loads((file.metadata() or {})["about"])
                joints = file.get_tensor("joints").double()
            skeleton = SKELETONS[about["skeleton"]]
            depths = DepthPrior(joints, skeleton, about["n_neighbors"])
            return InitialDistribution(depths, **about["options"])
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"{path} holds no initial distribution: {error}. InitialDistribution.save writes "
                "one."
            ) from error

    def __call__(self, keypoints: Keypoints2D) -> GaussianMixture:
        """One mixture per frame and joint, of root-relative meters in the camera frame.

        Args:
            keypoints: With a camera, in the skeleton of the training poses.

        Returns:
            Weights ``(*batch, F, J, M)``.

        Raises:
            MissingCameraError: If there is no camera.
            SkeletonMismatchError: If the skeleton is another.
            OptionError: If a frame has fewer than three detected joints.
        """
        if keypoints.camera is None:
            raise MissingCameraError(
                "Poses start on the rays of their keypoints, but these carry no camera. Attach one "
                "with keypoints.with_camera(Camera.from_fov(image_size))."
            )
        if keypoints.skeleton.name != self.depths.skeleton.name:
            raise SkeletonMismatchError(
                f"The training poses are in {self.depths.skeleton.name!r}, the keypoints in "
                f"{keypoints.skeleton.name!r}; convert one of them."
            )
        rays = undistort(keypoints.xy.double(), keypoints.camera)
        spread = self._plane_covariance(keypoints)
        batch = keypoints.xy.shape[:-2]
        ray = functional.normalize(functional.pad(rays, (0, 1), value=1.0), dim=-1)
        ray = ray.reshape(-1, *ray.shape[-3:])
        rotation = look_at_rotation(ray.nan_to_num(0.0).sum(-2) + ray.new_tensor([0, 0, 1e-9]))
        turned = ray @ rotation.mT
        mixture = self.in_plane(
            turned[..., :2] / turned[..., 2:], spread.reshape(-1, *spread.shape[-4:])
        )
        turn = rotation[:, :, None, None]
        whole = GaussianMixture.from_covariances(
            mixture.weights,
            (turn.mT @ mixture.means[..., None])[..., 0],
            turn.mT @ mixture.covariances @ turn,
        )
        return GaussianMixture(
            *(x.reshape(*batch, *x.shape[2:]) for x in (whole.weights, whole.means, whole.cholesky))
        )

    def in_plane(
        self, plane: Float[Tensor, "B F J 2"], spread: Float[Tensor, "B F J 2 2"]
    ) -> GaussianMixture:
        """Mixtures of clips that are seen by cameras turned towards the subject.

        Args:
            plane: Where rays meet the plane z = 1; NaN where undetected.
            spread: Covariance of the detector's error there.

        Returns:
            Weights ``(B, F, J, M)``, in the frames of those cameras. Frames that show too little
            take the nearest frame's depths.

        Raises:
            OptionError: If no frame of a clip shows three joints.
        """
        at, low, share = _knots(plane, self.stride)
        knots = plane.double().gather(1, at[..., None, None].expand(-1, -1, *plane.shape[2:]))
        near = self.depths.neighbors(knots.flatten(0, 1))
        depths = near.depth.mT[..., None]  # (B knots, J, K, 1)
        fit = fit_mixture(
            depths,
            self.n_components,
            near.weights[:, None].expand(depths.shape[:-1]),
            regularization=self.min_std**2,
            n_iterations=self.n_iterations,
        ).mixture
        root_depth = (near.weights * near.root_depth).sum(-1)
        if self.root_depth is not None:
            root_depth = torch.full_like(root_depth, self.root_depth)
        order = fit.means[..., 0].argsort(-1)
        mean, covariance = _moments(near)
        found = (
            fit.weights.gather(-1, order),
            fit.means[..., 0].gather(-1, order),
            fit.covariances[..., 0, 0].gather(-1, order),
            root_depth,
            mean,
            covariance,
        )
        weights, z, variance, root_depth, mean, covariance = (
            _between(torch.unflatten(x, 0, tuple(at.shape)), low, share) for x in found
        )
        seen = torch.isfinite(plane).all(-1) & torch.isfinite(spread).all((-2, -1))
        plane = torch.where(seen[..., None], plane.double(), mean)
        spread = torch.where(seen[..., None, None], spread.double(), covariance)
        return GaussianMixture.from_covariances(
            weights, *self._along_rays(plane, spread, root_depth, z, variance)
        )

    def _along_rays(
        self, plane: Tensor, spread: Tensor, root_depth: Tensor, z: Tensor, variance: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Means (F, J, M, 3) and covariances of depths z ± √variance on the keypoints' rays."""
        root = self.depths.skeleton.root
        far = root_depth[..., None, None, None]
        p = plane[..., None, :]
        ray = functional.pad(p, (0, 1), value=1.0)
        apart = p - p[..., root : root + 1, :, :]
        means = functional.pad(far * apart, (0, 1)) + z[..., None] * ray
        flat = (far + z[..., None])[..., None] ** 2 * spread[..., None, :, :]
        flat = flat + far[..., None] ** 2 * spread[..., root : root + 1, None, :, :]
        covariances = functional.pad(flat, (0, 1, 0, 1))
        covariances = covariances + variance[..., None, None] * ray[..., None] * ray[..., None, :]
        means[..., root, :, :], covariances[..., root, :, :, :] = 0.0, 0.0
        return means, covariances + self.min_std**2 * torch.eye(3).to(means)

    def _plane_covariance(self, keypoints: Keypoints2D) -> Float[Tensor, "*batch F J 2 2"]:
        """Covariance of keypoints on the plane z = 1, to first order: pixels over focal lengths."""
        camera = keypoints.camera
        assert camera is not None
        if keypoints.covariance is not None:
            covariance = keypoints.covariance.double()
        else:
            confidence = keypoints.confidence
            share = torch.ones_like(keypoints.xy[..., 0]) if confidence is None else confidence
            std = self.detector_std * camera.image_size[0]
            variance = std**2 / share.double().nan_to_num(0.0).clamp(MIN_CONFIDENCE, 1.0)
            covariance = variance[..., None, None] * torch.eye(2).to(variance)
        focal = camera.focal.double()[..., None, None, :]
        return covariance / (focal[..., None] * focal[..., None, :])


def _moments(near: Neighbors) -> tuple[Tensor, Tensor]:
    """Where the neighbors have their joints on the plane: means (N, J, 2) and covariances."""
    w = near.weights[..., None, None]
    mean = (w * near.plane).sum(1)
    apart = near.plane - mean[:, None]
    return mean, (w[..., None] * apart[..., None] * apart[..., None, :]).sum(1)


def _knots(
    plane: Float[Tensor, "B F J 2"], stride: int
) -> tuple[Int[Tensor, "B K"], Int[Tensor, " F"], Float64[Tensor, " F"]]:
    """Frames at which depths are looked up, and for every frame the knot before it and its share.

    A knot in a frame that shows too little moves to the nearest frame that shows enough.
    """
    F = plane.shape[1]
    n_knots = 1 + -(-(F - 1) // stride)
    even = torch.linspace(0, F - 1, n_knots, dtype=torch.float64)
    n_seen = torch.isfinite(plane).all(-1).sum(-1)
    frame = torch.arange(F)
    away = (even.round()[:, None] - frame).abs().to(plane.device)
    useless = (n_seen < MIN_JOINTS)[:, None]
    at = torch.where(useless, torch.inf, away).argmin(-1)
    low = (torch.searchsorted(even, frame.double(), right=True) - 1).clamp(0, max(0, n_knots - 2))
    gap = even[(low + 1).clamp(max=n_knots - 1)] - even[low]
    share = torch.where(gap > 0, (frame - even[low]) / gap.clamp(min=1e-9), 0.0)
    return at, low.to(plane.device), share.to(plane.device)


def _between(
    x: Float64[Tensor, "B K *rest"], low: Int[Tensor, " F"], share: Float64[Tensor, " F"]
) -> Float64[Tensor, "B F *rest"]:
    """Values of all frames from those at knots, linear in time."""
    after = x[:, (low + 1).clamp(max=x.shape[1] - 1)]
    return torch.lerp(x[:, low], after, share.reshape(-1, *[1] * (x.dim() - 2)))
