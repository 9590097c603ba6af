"""The interface of every denoiser and lifter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from jaxtyping import Bool, Float
from torch import Tensor

Form = Literal["denoiser", "lifter", "prior", "surface"]


@dataclass(frozen=True)
class NetworkInfo:
    """What a sampler must know about a network.

    Args:
        inputs: How keypoints are presented: ``"screen"`` (x divided by the image width, in -1..1)
            or ``"subject"`` (rays of a camera turned towards the subject, see
            :mod:`hypopose.networks.inputs`), or ``"none"``.
        n_frames: The only clip length it takes, or None for any.
        keypoint_skeleton: Name of the 2D skeleton it reads.
        skeleton: Name of the 3D skeleton it writes.
        uses_confidence: Whether ``confidence`` changes the result.
        max_frames: Longest window it was trained on; None if ``n_frames`` says it.
        forms: What it can be called as: ``"denoiser"`` with x_t and t, ``"lifter"`` without; a
            ``"prior"`` reads x_t and t and no keypoints; a ``"surface"`` writes vertices, called in
            its own way.
        sequence_to_one: Whether it returns one pose, of the frame in the middle ((F - 1) // 2),
            and not one per frame.
        units: ``"meters"``, or ``"screen"`` for poses scaled like the keypoints in the image.
        n_latent: Channels of latent noise (:func:`hypopose.diffusion.latent_noise`) that it reads,
            in rows of three behind the joints of ``x_t``; 0 for denoisers that read none.
        on_rays: Whether its poses are moved onto the rays of their keypoints.
        one_step: Whether it draws in one evaluation only and reads no noisy pose.
        constant_bones: Whether a hypothesis keeps its bone lengths over a clip.
    """

    inputs: Literal["screen", "subject", "none"]
    n_frames: int | None
    keypoint_skeleton: str = "h36m17"
    skeleton: str = "h36m17"
    uses_confidence: bool = False
    max_frames: int | None = None
    forms: tuple[Form, ...] = ("denoiser",)
    sequence_to_one: bool = False
    units: Literal["meters", "screen"] = "meters"
    n_latent: int = 0
    on_rays: bool = False
    one_step: bool = False
    constant_bones: bool = False


@runtime_checkable
class Network(Protocol):
    """Maps keypoints, and a noisy pose with its timestep, to a clean pose.

    Without ``x_t`` a network is a plain lifter, if it has that form.
    """

    @property
    def info(self) -> NetworkInfo:
        """Inputs, frame dependence, skeletons."""
        ...

    def __call__(
        self,
        x_t: Float[Tensor, "B H F J 3"] | None,
        keypoints: Float[Tensor, "B F K 2"],
        t: Float[Tensor, " B"] | None = None,
        confidence: Float[Tensor, "B F K"] | None = None,
        mask: Bool[Tensor, "B F"] | None = None,
        context: Float[Tensor, "B C"] | None = None,
    ) -> Float[Tensor, "B H F J 3"]:
        """Predict x0.

        Args:
            x_t: Noisy poses in the network's units; None for a lifter.
            keypoints: Normalized 2D as ``info.inputs`` says, 0 where undetected.
            t: Timestep per clip, 0 .. n_timesteps - 1 (whole numbers).
            confidence: Detector confidence per keypoint, 0 where undetected.
            mask: False for frames that are padding.
            context: Per-clip features that ``info.inputs`` defines (subject size, frame rate).

        Returns:
            Clean poses; H is 1 for a lifter, and F for networks from a sequence to one frame.
        """
        ...
