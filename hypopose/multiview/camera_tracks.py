"""All people in one camera's view, for geometry: rays, confidences, a clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from hypopose.cameras import undistort
from hypopose.errors import MissingCameraError, ShapeError, SkeletonMismatchError
from hypopose.types import Camera, Keypoints2D, Skeleton


@dataclass(frozen=True, eq=False)
class ViewTracks:
    """People in one view, on its normalized plane.

    Args:
        name: Of the view.
        rays: Where keypoints' rays meet the plane z = 1, lens undone; NaN where undetected.
        weights: Confidences; 0 where undetected.
        camera: Focal length, principal point and lens; ``assumed`` if they were not measured.
        skeleton: Of the keypoints.
        fps: Frames per second, if known.
        first_frame: What the file calls frame 0.
    """

    name: str
    rays: Float[np.ndarray, "P F J 2"]
    weights: Float[np.ndarray, "P F J"]
    camera: Camera
    skeleton: Skeleton
    fps: float | None = None
    first_frame: int = 0

    @property
    def n_people(self) -> int:
        """How many people."""
        return self.rays.shape[0]

    @property
    def n_frames(self) -> int:
        """How many frames."""
        return self.rays.shape[1]

    @property
    def focal(self) -> float:
        """Focal length in pixels, the mean of both axes."""
        return float(self.camera.focal.mean())

    @property
    def clock(self) -> Float[np.ndarray, " F"]:
        """The moments of its frames."""
        return np.arange(self.n_frames, dtype=np.float64)

    def at(self, times: Float[np.ndarray, " T"]) -> ViewTracks:
        """The same people at other moments, in frames of this view; see :func:`at_times`."""
        rays = at_times(self.rays, times)
        near = np.clip(np.round(times).astype(int), 0, self.n_frames - 1)
        weights = np.where(np.isfinite(rays).all(-1), self.weights[:, near], 0.0)
        return replace(self, rays=rays, weights=weights)


def view_tracks(name: str, people: Sequence[Keypoints2D], *, first_frame: int = 0) -> ViewTracks:
    """Prepare what one camera saw.

    Args:
        name: Of the view.
        people: Of one file, with its camera: all have the same frames.
        first_frame: What the file calls frame 0.

    Returns:
        Rays and confidences of everybody.

    Raises:
        MissingCameraError: If the keypoints carry no camera.
        ShapeError: If there are no people, or people have different frames.
        SkeletonMismatchError: If people have different skeletons.

    Example:
        >>> from hypopose.datasets.examples import example_pair
        >>> view_tracks("front", [example_pair()[0]]).rays.shape
        (1, 50, 17, 2)
    """
    _check_one_recording(name, people)
    camera = people[0].camera
    if camera is None:
        raise MissingCameraError(
            f"The keypoints of the view {name!r} carry no camera. Attach one with "
            "keypoints.with_camera(Camera.from_fov(image_size))."
        )
    rays = np.stack([undistort(k.xy.double(), camera).numpy() for k in people])
    weights = np.stack(
        [np.ones(k.xy.shape[:-1]) if k.confidence is None else k.confidence.double().numpy()
         for k in people]
    )  # fmt: skip
    seen = np.isfinite(rays).all(-1)
    return ViewTracks(
        name,
        np.where(seen[..., None], rays, np.nan),
        np.where(seen, np.clip(np.nan_to_num(weights), 0.0, 1.0), 0.0),
        camera,
        people[0].skeleton,
        people[0].fps,
        first_frame,
    )


def _check_one_recording(name: str, people: Sequence[Keypoints2D]) -> None:
    """Raise unless there are people, with one skeleton and the same frames."""
    if not people:
        raise ShapeError(f"The view {name!r} shows no person; give keypoints of one at least.")
    if len({k.skeleton.name for k in people}) > 1:
        raise SkeletonMismatchError(f"People of the view {name!r} have different skeletons.")
    if len({tuple(k.xy.shape) for k in people}) > 1 or people[0].xy.dim() != 3:
        raise ShapeError(
            f"People of the view {name!r} have different frames, or batch axes; give one recording "
            "of all of them."
        )


def at_times(
    rays: Float[np.ndarray, "P F J 2"], times: Float[np.ndarray, " T"]
) -> Float[np.ndarray, "P T J 2"]:
    """Rays at moments between frames, on the straight line between neighbors.

    Args:
        rays: NaN where undetected.
        times: In frames; need not be whole.

    Returns:
        NaN outside the recording, and where a neighbor that counts is missing.

    Example:
        >>> x = np.arange(3.0)[None, :, None, None].repeat(2, -1)
        >>> at_times(x, np.array([0.5, 2.0, 2.5]))[0, :, 0, 0].tolist()
        [0.5, 2.0, nan]
    """
    n = rays.shape[1]
    low = np.floor(times + 1e-9).astype(int)
    share = times - low
    share = np.where(np.abs(share) < 1e-6, 0.0, share)
    inside = (low >= 0) & (low + (share > 0) <= n - 1)
    low = np.clip(low, 0, n - 1)
    high = np.clip(low + (share > 0), 0, n - 1)
    mixed = rays[:, low] * (1 - share)[:, None, None] + rays[:, high] * share[:, None, None]
    return np.where(inside[:, None, None], mixed, np.nan)
