"""What is known of a pose before denoising: a Gaussian mixture per joint, from 2D uncertainty.

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
| Z | root depth: training size in metres over size on the plane, kernel mean |
| M | ``n_components`` |

A keypoint that is missing is taken from the same neighbors, with their spread. Components are
sorted by depth, so that one draw means the same side in every frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from hypopose.cameras import look_at_rotation, undistort
from hypopose.diffusion import GaussianMixture, fit_mixture
from hypopose.errors import MissingCameraError, OptionError, SkeletonMismatchError
from hypopose.types import Keypoints2D, Poses3D, Skeleton

MIN_JOINTS = 3
"""A 2D shape needs so many detected joints."""

MIN_CONFIDENCE = 0.05


@dataclass(frozen=True, eq=False)
class Neighbors:
    """Training poses that look like a frame, K each.

    Args:
        weights: Sum to 1 over K.
        depth: Relative to the root, metres.
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
        joints: Root-relative metres in camera frames.
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

        Args:
            plane: Rays on the plane z = 1 of a camera turned towards the subject; NaN where
                undetected.

        Raises:
            OptionError: If a frame has fewer than three detected joints.
        """
        found = [self._of_frame(frame) for frame in plane.double()]
        return Neighbors(*(torch.stack(values) for values in zip(*found, strict=True)))

    def _of_frame(self, plane: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        seen = torch.isfinite(plane).all(-1)
        if int(seen.sum()) < MIN_JOINTS:
            raise OptionError(
                f"A frame shows {int(seen.sum())} joints; depths are looked up from 2D shapes of "
                f"{MIN_JOINTS} or more. Leave such frames out."
            )
        center, size = _place_and_size(plane[None, seen])
        xy = self.joints[..., :2].to(plane)
        centers, sizes = _place_and_size(xy[:, seen])
        aligned = (xy - centers) / sizes * size + center
        away = ((aligned - plane)[:, seen] / size).square().sum(-1).mean(-1)
        distance, index = away.topk(self.n_neighbors, largest=False)
        weights = (-distance / (2 * distance.median().clamp(min=1e-12))).softmax(0)
        root_depth = (sizes / size)[index, 0, 0]
        return weights, self.joints[index, :, 2].to(plane), aligned[index], root_depth


@dataclass(frozen=True)
class InitialDistribution:
    """The mixture the reverse walk starts from; call it with keypoints.

    Args:
        depths: Training depths by 2D shape.
        n_components: M per joint.
        detector_std: Deviation of a keypoint of confidence 1 as a share of the image width, for
            keypoints without covariance; it grows as 1 / √confidence.
        min_std: Least deviation of a component in metres; point masses collapse to it.
        n_iterations: Of EM.
        root_depth: A known root depth in metres, instead of the neighbors'.

    Raises:
        OptionError: If an option is out of range.
    """

    depths: DepthPrior
    n_components: int = 5
    detector_std: float = 0.004
    min_std: float = 0.02
    n_iterations: int = 20
    root_depth: float | None = None

    def __post_init__(self) -> None:
        if min(self.n_components, self.detector_std, self.min_std) <= 0 or self.n_iterations < 1:
            raise OptionError(
                "InitialDistribution needs positive n_components, detector_std, min_std and "
                "n_iterations."
            )

    def __call__(self, keypoints: Keypoints2D) -> GaussianMixture:
        """One mixture per frame and joint, of root-relative metres in the camera frame.

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
        mixture, rotation = self._turned(
            rays.reshape(-1, *rays.shape[-2:]), spread.reshape(-1, *spread.shape[-3:])
        )
        turn = rotation[:, None, None]
        batch = keypoints.xy.shape[:-2]
        means = (turn.mT @ mixture.means[..., None])[..., 0]
        covariances = turn.mT @ mixture.covariances @ turn
        whole = GaussianMixture.from_covariances(mixture.weights, means, covariances)
        return GaussianMixture(
            *(x.reshape(*batch, *x.shape[1:]) for x in (whole.weights, whole.means, whole.cholesky))
        )

    def _turned(self, rays: Tensor, spread: Tensor) -> tuple[GaussianMixture, Tensor]:
        """Mixtures (F, J, M) in the frames of cameras turned towards the subject; the turns."""
        ray = functional.normalize(functional.pad(rays, (0, 1), value=1.0), dim=-1)
        rotation = look_at_rotation(ray.nan_to_num(0.0).sum(-2) + ray.new_tensor([0, 0, 1e-9]))
        turned = ray @ rotation.mT
        plane = turned[..., :2] / turned[..., 2:]
        near = self.depths.neighbors(plane)
        plane, spread = _filled(plane, spread, near)
        depths = near.depth.mT[..., None]  # (F, J, K, 1)
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
        z = fit.means[..., 0].gather(-1, order)
        variance = fit.covariances[..., 0, 0].gather(-1, order)
        mixed = self._along_rays(plane, spread, root_depth, z, variance)
        return GaussianMixture.from_covariances(fit.weights.gather(-1, order), *mixed), rotation

    def _along_rays(
        self, plane: Tensor, spread: Tensor, root_depth: Tensor, z: Tensor, variance: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Means (F, J, M, 3) and covariances of depths z ± √variance on the keypoints' rays."""
        root = self.depths.skeleton.root
        far = root_depth[:, None, None, None]
        p = plane[:, :, None]
        ray = functional.pad(p, (0, 1), value=1.0)
        means = functional.pad(far * (p - p[:, root : root + 1]), (0, 1)) + z[..., None] * ray
        flat = (far + z[..., None])[..., None] ** 2 * spread[:, :, None]
        flat = flat + far[..., None] ** 2 * spread[:, root][:, None, None]
        covariances = functional.pad(flat, (0, 1, 0, 1))
        covariances = covariances + variance[..., None, None] * ray[..., None] * ray[..., None, :]
        means[:, root], covariances[:, root] = 0.0, 0.0
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


def _place_and_size(xy: Float[Tensor, "N J 2"]) -> tuple[Tensor, Tensor]:
    """Center and RMS size of 2D shapes, each (N, 1, ...)."""
    center = xy.mean(-2, keepdim=True)
    size = (xy - center).square().sum(-1).mean(-1).sqrt().clamp(min=1e-6)
    return center, size[:, None, None]


def _filled(plane: Tensor, spread: Tensor, near: Neighbors) -> tuple[Tensor, Tensor]:
    """Missing keypoints where the neighbors have theirs, with the neighbors' covariance."""
    w = near.weights[..., None, None]
    mean = (w * near.plane).sum(1)
    apart = near.plane - mean[:, None]
    covariance = (w[..., None] * apart[..., None] * apart[..., None, :]).sum(1)
    seen = torch.isfinite(plane).all(-1) & torch.isfinite(spread).all((-2, -1))
    return (
        torch.where(seen[..., None], plane, mean),
        torch.where(seen[..., None, None], spread, covariance),
    )
