"""Bodies with a surface fitted to every hypothesis, and how far their surfaces differ."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.bodies import BodyModel, BodyParameters, Surface
from hypopose.checks import check_choice, check_positive
from hypopose.errors import OptionError, SkeletonMismatchError
from hypopose.optimization.body_shape import bone_lengths_of, fit_shape
from hypopose.optimization.inverse_kinematics import pose_body
from hypopose.types import Skeleton

Sharing = Literal["shared", "hypothesis", "frame"]
"""Who has one build: everybody, each hypothesis, or each frame of each."""


@dataclass(frozen=True, eq=False)
class BodyFit:
    """A body in the pose of every hypothesis.

    Args:
        body: The model.
        parameters: Of hypotheses and frames; the shape's axes are 1 where it is shared.
        errors: Distances of the body's joints from the hypotheses', meters; NaN where unknown.
    """

    body: BodyModel
    parameters: BodyParameters
    errors: Float[Tensor, "H F J"]

    @property
    def joint_error(self) -> float:
        """Mean distance of joints, meters."""
        return float(self.errors.nanmean())

    def parameters_of(self, hypothesis: int, frames: slice = slice(None)) -> BodyParameters:
        """Parameters of one hypothesis, without its axis.

        Args:
            hypothesis: Which.
            frames: Of the clip.
        """
        return _part(self.parameters, slice(hypothesis, hypothesis + 1), frames, True)

    def surface(self, hypothesis: int, frames: slice = slice(None)) -> Surface:
        """The surface of one hypothesis.

        Args:
            hypothesis: Which.
            frames: Of the clip.
        """
        return self.body(self.parameters_of(hypothesis, frames))

    def blocks(self, n_bodies: int = 256) -> Iterator[tuple[slice, Surface]]:
        """Surfaces of all hypotheses, a few frames at a time.

        Args:
            n_bodies: Bodies in memory at once, at least one frame's.

        Yields:
            Frames, and their surfaces with vertices ``(H, f, V, 3)``.
        """
        H, F = self.errors.shape[:2]
        step = max(1, n_bodies // H)
        for start in range(0, F, step):
            frames = slice(start, min(F, start + step))
            yield frames, self.body(_part(self.parameters, slice(None), frames, False))


def _part(
    parameters: BodyParameters, hypotheses: slice, frames: slice, squeeze: bool
) -> BodyParameters:
    """Some hypotheses and frames; without the axis of hypotheses if there is one."""
    rotations = parameters.rotations[hypotheses, frames]
    origin = parameters.origin[hypotheses, frames]
    shape = parameters.shape
    shape = shape[hypotheses] if shape.shape[0] > 1 else shape
    shape = shape[:, frames] if shape.shape[1] > 1 else shape
    if squeeze:
        return BodyParameters(rotations[0], origin[0], shape[0])
    return BodyParameters(rotations, origin, shape)


@dataclass(frozen=True)
class BodyFitter:
    """Options of fitting.

    Args:
        shape: ``"shared"``: one build for all frames and hypotheses; ``"hypothesis"``: one each;
            ``"frame"``: free in every frame.
        n_steps: Gauss-Newton steps after the closed form.
        n_bodies: Bodies that are posed at once.

    Raises:
        OptionError: If an option is out of range.
    """

    shape: Sharing = "shared"
    n_steps: int = 5
    n_bodies: int = 500

    def __post_init__(self) -> None:
        check_choice("shape", self.shape, get_args(Sharing))
        check_positive(n_bodies=self.n_bodies)
        if self.n_steps < 0:
            raise OptionError(f"n_steps is at least 0, got {self.n_steps}.")

    def fit(
        self,
        body: BodyModel,
        joints: Float[Tensor, "H F J 3"],
        skeleton: Skeleton,
        *,
        shape: Float[Tensor, "h f S"] | None = None,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> BodyFit:
        """Fit a body to motions.

        Args:
            body: The model.
            joints: Meters; NaN where unknown.
            skeleton: Of the joints: the body's.
            shape: A build to keep, instead of one from the bones' lengths.
            progress: Called with the bodies posed and to be posed.

        Returns:
            The fit; NaN where a pose is not known well enough.

        Raises:
            SkeletonMismatchError: If the skeletons differ.

        Example:
            >>> import hypopose
            >>> from hypopose.bodies import make_body
            >>> _, truth = hypopose.datasets.example_pair(4)
            >>> fit = BodyFitter().fit(make_body("capsules"), truth.joints[None], truth.skeleton)
            >>> fit.joint_error < 0.03
            True
        """
        if skeleton.name != body.skeleton.name:
            raise SkeletonMismatchError(
                f"The body {body.name!r} has joints of {body.skeleton.name!r}, these motions of "
                f"{skeleton.name!r}; sample with weights that write {body.skeleton.name!r}."
            )
        joints = joints.float()
        if shape is None:
            shape = self._shapes(body, joints)
        H, F = joints.shape[:2]
        rotations, origins = [], []
        for rows, frames in self._groups(H, F, shape):
            target = joints[rows, frames].flatten(0, 1)
            built = shape[rows] if shape.shape[0] > 1 else shape
            built = built[:, frames] if shape.shape[1] > 1 else built
            found = pose_body(body, target, built.flatten(0, 1), self.n_steps)
            rotations.append(found.rotations)
            origins.append(found.origin)
            progress(sum(map(len, origins)), H * F)
        parameters = BodyParameters(
            torch.cat(rotations).reshape(H, F, -1, 3, 3), torch.cat(origins).reshape(H, F, 3), shape
        )
        with torch.no_grad():
            errors = (body.joints(parameters) - joints).norm(dim=-1)
        return BodyFit(body, parameters, errors)

    def _shapes(self, body: BodyModel, joints: Float[Tensor, "H F J 3"]) -> Tensor:
        """Builds from median lengths, (H, F, S) with axes of 1 where they are shared."""
        lengths = bone_lengths_of(joints, body.skeleton)
        H, F, n = lengths.shape
        if self.shape == "frame":
            return fit_shape(body, lengths.flatten(0, 1)).reshape(H, F, -1)
        if self.shape == "hypothesis":
            return fit_shape(body, lengths.nanmedian(1).values)[:, None]
        return fit_shape(body, lengths.reshape(-1, n).nanmedian(0).values[None])[:, None]

    def _groups(self, H: int, F: int, shape: Tensor) -> Iterator[tuple[slice, slice]]:
        """Hypotheses and frames that are posed at once; they share a build, or have one each."""
        if shape.shape[:2] == (1, 1):
            step = max(1, self.n_bodies // F)
            for start in range(0, H, step):
                yield slice(start, min(H, start + step)), slice(0, F)
            return
        for h in range(H):
            yield slice(h, h + 1), slice(0, F)


def vertex_spread(fit: BodyFit) -> Float[Tensor, "F V"]:
    """How far the surfaces of the hypotheses are from their mean, root mean square, meters.

    Hypotheses are compared with their root joints on each other.

    Args:
        fit: Of several hypotheses.

    Returns:
        NaN for a single hypothesis; hypotheses whose pose is unknown are left out.
    """
    parts = []
    H = len(fit.errors)
    for _, surface in fit.blocks():
        root = fit.body.skeleton.root
        x = surface.vertices - surface.joints[..., root, None, :]
        if H < 2:
            parts.append(torch.full_like(x[0, ..., 0], torch.nan))
            continue
        n = torch.isfinite(x[..., 0]).sum(0)
        off = (x - x.nanmean(0, keepdim=True)).square().sum(-1).nansum(0)
        parts.append(torch.where(n > 1, (off / (n - 1).clamp(min=1)).sqrt(), torch.nan))
    return torch.cat(parts)
