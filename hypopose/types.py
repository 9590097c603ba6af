"""The nouns: skeletons, cameras, keypoints, hypotheses, poses, and three protocols.

Axes everywhere are ``(*batch, H, F, J, 3)``: any batch axes, hypotheses, frames, joints,
coordinates. Objects hold meters in the camera frame (x right, y down, z forward); images are in
pixels, origin at the top-left corner. All nouns are frozen: change them with
:func:`dataclasses.replace`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from hypopose.errors import OptionError, ShapeError, SkeletonMismatchError

DistortionModel = Literal["none", "opencv", "h36m", "vp3d", "fisheye"]

NoiseSource = Callable[[tuple[int, ...]], Tensor]
"""A callable from a shape to standard normals: the one door through which randomness enters.

Shapes end in ``(H, F, J, 3)``; axes before H are items. ``hypopose.diffusion.seeded_noise(seed)``
gives every (item, hypothesis) its own stream, so that results do not depend on batch size.
"""

ASSUMED_FPS = 30.0
"""Frames per second where nothing states them."""

MIN_CONFIDENCE = 0.05
"""Least confidence of a detected keypoint; 0 means undetected."""


@dataclass(frozen=True)
class Skeleton:
    """A named joint set.

    Args:
        name: For example ``"h36m17"``; a skeleton is always named, never inferred from a count.
        joint_names: One name a joint, unique.
        parents: Index of each joint's parent; -1 marks the root.
        left: Joints of the left side, in the order of ``right``.
        right: Joints of the right side.

    Raises:
        ShapeError: If the lists disagree in length or name joints that are not there.
    """

    name: str
    joint_names: tuple[str, ...]
    parents: tuple[int, ...]
    left: tuple[int, ...] = ()
    right: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        n = len(self.joint_names)
        if len(self.parents) != n or len(set(self.joint_names)) != n:
            raise ShapeError(
                f"Skeleton {self.name!r} has {n} joint names and {len(self.parents)} parents; "
                "give each joint one unique name and one parent."
            )
        if len(self.left) != len(self.right):
            raise ShapeError(
                f"Skeleton {self.name!r} has {len(self.left)} left and {len(self.right)} right "
                "joints; list them in pairs."
            )
        if any(not -1 <= p < n for p in self.parents) or self.parents.count(-1) < 1:
            raise ShapeError(
                f"Skeleton {self.name!r} has parents outside -1..{n - 1}, or no root (-1)."
            )
        if any(not 0 <= j < n for j in (*self.left, *self.right)):
            raise ShapeError(f"Skeleton {self.name!r} lists left/right joints outside 0..{n - 1}.")

    @property
    def n_joints(self) -> int:
        """Number of joints."""
        return len(self.joint_names)

    @property
    def root(self) -> int:
        """Index of the first joint without a parent."""
        return self.parents.index(-1)

    @property
    def bones(self) -> tuple[tuple[int, int], ...]:
        """(parent, child) pairs in joint order."""
        return tuple((p, j) for j, p in enumerate(self.parents) if p >= 0)

    @property
    def flip_order(self) -> tuple[int, ...]:
        """For each joint, the joint that takes its place in a mirror image."""
        order = list(range(self.n_joints))
        for a, b in zip(self.left, self.right, strict=True):
            order[a], order[b] = b, a
        return tuple(order)

    def index(self, joint: str) -> int:
        """Index of a joint by name.

        Raises:
            SkeletonMismatchError: If the skeleton has no such joint.
        """
        if joint not in self.joint_names:
            raise SkeletonMismatchError(
                f"Skeleton {self.name!r} has no joint {joint!r}; it has "
                f"{', '.join(self.joint_names)}."
            )
        return self.joint_names.index(joint)


@dataclass(frozen=True, eq=False)
class Camera:
    """A pinhole camera with an explicit distortion model.

    Batch axes of the tensors are the *leading* axes of whatever is projected: a camera with
    ``focal (B, 2)`` belongs to keypoints ``(B, F, J, 2)`` and to hypotheses ``(B, H, F, J, 3)``.

    Convention:
        ``x_cam = R x_world + t`` in meters; x right, y down, z forward. Pixels have their origin at
        the top-left corner of the image.

    Args:
        focal: Focal lengths in pixels.
        center: Principal point in pixels.
        image_size: Width and height in pixels.
        distortion: Coefficients k1, k2, p1, p2, k3 in OpenCV's order, of a fisheye k1, k2, k3, k4
            and 0; or None.
        distortion_model: How the coefficients act: ``opencv``, ``h36m`` (the MATLAB ports),
            ``vp3d`` (VideoPose3D and D3DP), ``fisheye`` (Kannala and Brandt) or ``none``.
        rotation: World to camera, or None for a camera whose world is its own frame. A camera that
            moves has one a frame, ``(F, 3, 3)``, and one focal length.
        translation: World to camera, in meters, or None; ``(F, 3)`` if the camera moves.
        assumed: True if this camera was not measured; reports say so.
    """

    focal: Float[Tensor, "*cam 2"]
    center: Float[Tensor, "*cam 2"]
    image_size: tuple[int, int]
    distortion: Float[Tensor, "*cam 5"] | None = None
    distortion_model: DistortionModel = "none"
    rotation: Float[Tensor, "*placed 3 3"] | None = None
    translation: Float[Tensor, "*placed 3"] | None = None
    assumed: bool = False

    def __post_init__(self) -> None:
        if self.focal.shape[-1:] != (2,) or self.center.shape[-1:] != (2,):
            raise ShapeError(
                f"A camera needs focal (..., 2) and center (..., 2) in pixels; got "
                f"{tuple(self.focal.shape)} and {tuple(self.center.shape)}."
            )
        if not bool((self.focal > 0).all()):
            raise OptionError("A camera's focal length must be positive (pixels).")
        if min(self.image_size) <= 0:
            raise OptionError(f"A camera's image size must be positive, got {self.image_size}.")
        if (self.distortion is None) != (self.distortion_model == "none"):
            raise OptionError(
                "Name the distortion model with the coefficients: distortion=... needs "
                "distortion_model 'opencv', 'h36m', 'vp3d' or 'fisheye'."
            )

    @staticmethod
    def from_fov(image_size: tuple[int, int], fov_deg: float = 53.13) -> Camera:
        """A centered pinhole camera with a given field of view along the longer side.

        The default, 53.13 degrees, makes the focal length equal to the longer side: the middle of
        what phones (65 to 75 degrees), video cameras and Human3.6M (43 to 47 degrees) have.

        Args:
            image_size: Width and height in pixels.
            fov_deg: Full field of view along the longer side, in degrees.

        Returns:
            A camera with ``assumed=True``.

        Example:
            >>> Camera.from_fov((1920, 1080)).focal[0].round().item()
            1920.0
        """
        if not 1.0 < fov_deg < 175.0:
            raise OptionError(f"A field of view lies between 1 and 175 degrees, got {fov_deg}.")
        w, h = image_size
        focal = max(w, h) / 2 / math.tan(math.radians(fov_deg) / 2)
        return Camera(
            focal=torch.tensor([focal, focal]),
            center=torch.tensor([w / 2, h / 2]),
            image_size=(int(w), int(h)),
            assumed=True,
        )


@dataclass(frozen=True, eq=False)
class Silhouettes:
    """Where a person is in the picture, in some frames, each seen through a square window.

    Convention:
        Windows are left, top and side in pixels of the camera's image; row 0 is the top.

    Args:
        frames: Frames of the clip that were looked at, ascending.
        inside: How much of each pixel of the window shows the person, 0 to 1.
        known: How much of it is known: not hidden by others, and inside the image.
        window: Of each look.
        labels: Merged classes of a parsing map (:data:`hypopose.rendering.MERGED`), or None.
        record: Where they are from and how they were read, plain values.

    Raises:
        ShapeError: If axes disagree.
    """

    frames: Int[Tensor, " n"]
    inside: Float[Tensor, "_n _s _s"]
    known: Float[Tensor, "_n _s _s"]
    window: Float[Tensor, "_n 3"]
    labels: Int[Tensor, "_n _s _s"] | None = None
    record: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n, shape = len(self.frames), self.inside.shape
        same = {shape, self.known.shape, shape if self.labels is None else self.labels.shape}
        if same != {(n, *shape[1:])} or self.window.shape != (n, 3):
            raise ShapeError(
                f"Silhouettes of {n} frames need masks of one shape and a window each, got "
                f"{tuple(shape)}, {tuple(self.known.shape)} and {tuple(self.window.shape)}."
            )


@dataclass(frozen=True, eq=False)
class Keypoints2D:
    """2D keypoints of one person over time.

    Args:
        xy: Pixels; NaN where undetected.
        skeleton: The joint set.
        confidence: 0 to 1 per keypoint as the detector gave it; 0 where undetected.
        covariance: Per-keypoint covariance in px².
        camera: The camera they were seen by, if known or assumed.
        image_size: Width and height in pixels.
        fps: Frames per second.
        approximate: Names of joints that are not detected but formed from others (conversions).
        notes: What was assumed on the way (image size estimated, ...), for reports.
        silhouettes: Where masks show the person, the same for all items of a batch; for what
            weighs or moves hypotheses by them, see :func:`hypopose.io.silhouettes_of`.

    Raises:
        ShapeError: If axes or joint counts disagree.
    """

    xy: Float[Tensor, "*batch F J 2"]
    skeleton: Skeleton
    confidence: Float[Tensor, "*batch F J"] | None = None
    covariance: Float[Tensor, "*batch F J 2 2"] | None = None
    camera: Camera | None = None
    image_size: tuple[int, int] | None = None
    fps: float | None = None
    approximate: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    silhouettes: Silhouettes | None = None

    def __post_init__(self) -> None:
        _check_joints("Keypoints2D.xy", self.xy, self.skeleton, 2, 3)
        if self.confidence is not None and self.confidence.shape != self.xy.shape[:-1]:
            raise ShapeError(
                f"Keypoints2D.confidence must be {tuple(self.xy.shape[:-1])} like xy, got "
                f"{tuple(self.confidence.shape)}."
            )
        if self.covariance is not None and self.covariance.shape != (*self.xy.shape, 2):
            raise ShapeError(
                f"Keypoints2D.covariance must be {(*self.xy.shape, 2)}, got "
                f"{tuple(self.covariance.shape)}."
            )
        if self.fps is not None and not self.fps > 0:
            raise OptionError(f"fps must be positive, got {self.fps}.")

    @property
    def n_frames(self) -> int:
        """Number of frames F."""
        return self.xy.shape[-3]

    @property
    def detected(self) -> Tensor:
        """Boolean ``(*batch, F, J)``: True where a keypoint is there."""
        return torch.isfinite(self.xy).all(-1)

    def with_camera(self, camera: Camera) -> Keypoints2D:
        """The same keypoints seen by ``camera``."""
        return replace(self, camera=camera, image_size=camera.image_size)


@dataclass(frozen=True, eq=False)
class Hypotheses:
    """H plausible 3D motions for the same keypoints; ``len()`` is H.

    Args:
        joints: Root-relative meters in the camera frame.
        skeleton: The joint set.
        root: Camera-frame root positions per hypothesis, or None if unknown.
        focal: Focal length in pixels of each hypothesis, where the camera's is not
            known; None if all have the keypoints' camera.

    Raises:
        ShapeError: If axes or joint counts disagree.
    """

    joints: Float[Tensor, "*batch H F J 3"]
    skeleton: Skeleton
    root: Float[Tensor, "*batch H F 3"] | None = None
    focal: Float[Tensor, "*batch H"] | None = None

    def __post_init__(self) -> None:
        _check_joints("Hypotheses.joints", self.joints, self.skeleton, 3, 4)
        _check_root("Hypotheses.root", self.root, self.joints)
        if self.focal is not None and self.focal.shape != self.joints.shape[:-3]:
            raise ShapeError(
                f"Hypotheses.focal must be {tuple(self.joints.shape[:-3])}, one a hypothesis, got "
                f"{tuple(self.focal.shape)}."
            )

    def __len__(self) -> int:
        return self.joints.shape[-4]


@dataclass(frozen=True, eq=False)
class Poses3D:
    """One 3D motion: an aggregate, or the truth.

    Args:
        joints: Root-relative meters in the camera frame.
        skeleton: The joint set.
        root: Camera-frame root positions, or None if unknown.
        std: Per-coordinate standard deviation in meters, or None.
        covariance: Of each joint's place in m², where it is known, or None.

    Raises:
        ShapeError: If axes or joint counts disagree.
    """

    joints: Float[Tensor, "*batch F J 3"]
    skeleton: Skeleton
    root: Float[Tensor, "*batch F 3"] | None = None
    std: Float[Tensor, "*batch F J 3"] | None = None
    covariance: Float[Tensor, "*batch F J 3 3"] | None = None

    def __post_init__(self) -> None:
        _check_joints("Poses3D.joints", self.joints, self.skeleton, 3, 3)
        _check_root("Poses3D.root", self.root, self.joints)
        if self.std is not None and self.std.shape != self.joints.shape:
            raise ShapeError(
                f"Poses3D.std must be {tuple(self.joints.shape)} like joints, got "
                f"{tuple(self.std.shape)}."
            )
        if self.covariance is not None and self.covariance.shape != (*self.joints.shape, 3):
            raise ShapeError(
                f"Poses3D.covariance must be {(*self.joints.shape, 3)}, got "
                f"{tuple(self.covariance.shape)}."
            )


@runtime_checkable
class Sampler(Protocol):
    """Draws hypotheses. A method is a frozen dataclass whose fields are its options."""

    @property
    def skeleton(self) -> Skeleton:
        """The skeleton of the hypotheses it draws."""
        ...

    def sample(self, keypoints: Keypoints2D, n_hypotheses: int, noise: NoiseSource) -> Hypotheses:
        """Draw ``n_hypotheses`` motions for the keypoints."""
        ...


Aggregator = Callable[[Hypotheses, Keypoints2D], Poses3D]
"""Reduces the hypothesis axis (-4). Aggregators that need truth are called oracles."""


def _check_joints(name: str, x: Tensor, skeleton: Skeleton, n_coords: int, min_dim: int) -> None:
    axes = "(*batch, H, F, J, 3)" if min_dim == 4 else f"(*batch, F, J, {n_coords})"
    if x.dim() < min_dim or x.shape[-1] != n_coords:
        raise ShapeError(f"{name} must be {axes}, got {tuple(x.shape)}.")
    if x.shape[-2] != skeleton.n_joints:
        raise ShapeError(
            f"{name} has {x.shape[-2]} joints, but skeleton {skeleton.name!r} has "
            f"{skeleton.n_joints}; name the skeleton the data are in."
        )


def _check_root(name: str, root: Tensor | None, joints: Tensor) -> None:
    if root is not None and root.shape != (*joints.shape[:-2], 3):
        raise ShapeError(
            f"{name} must be {(*joints.shape[:-2], 3)} like joints, got {tuple(root.shape)}."
        )
