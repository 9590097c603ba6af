"""A stand-in for a 2D detector: COCO-17 keypoints with its typical faults.

Human3.6M joints have no face, so the nose, eyes and ears are placed by rule on a head of average
size. The faults: position noise that grows with the person's size in the image, is heavier at
wrists and ankles, lingers over frames and has outliers; left and right limbs swapped for a few
frames; joints missing for a while. Confidences fall with the error, loosely, as a detector's do.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from hypopose.errors import OptionError

COCO_FROM_H36M = (11, 14, 12, 15, 13, 16, 4, 1, 5, 2, 6, 3)
"""Human3.6M-17 joints of COCO's shoulders, elbows, wrists, hips, knees, ankles."""

_WEIGHT = (0.7,) * 5 + (1.0, 1.0, 1.1, 1.1, 1.6, 1.6, 1.0, 1.0, 1.1, 1.1, 1.6, 1.6)
_LIMB_PAIRS = (((7, 9), (8, 10)), ((13, 15), (14, 16)))  # forearms, lower legs
_HEIGHT_PX = 400.0


FACE = (0.03, 0.10, 0.035, 0.02, 0.032, 0.05, 0.075)
"""A head of average size, in meters: how far the nose lies above the neck and before it, the eyes
above the nose, behind it and to the side, and the ears above the neck and to the side."""


def coco_joints(
    joints: Float[Tensor, "*batch 17 3"],
    face: Float[Tensor, "*face 7"] | None = None,
    turn: Float[Tensor, "*batch"] | None = None,
) -> Float[Tensor, "*batch 17 3"]:
    """COCO-17 points of a Human3.6M-17 pose, the face by rule.

    Args:
        joints: Meters, any right-handed frame.
        face: Measures as in :data:`FACE`, which they are where None; they broadcast over poses.
        turn: Radians by which heads look to their left of where the shoulders point.

    Returns:
        Nose, eyes, ears, then the limbs, in COCO's order.

    Example:
        >>> coco_joints(torch.randn(2, 5, 17, 3), turn=torch.zeros(2, 5)).shape
        torch.Size([2, 5, 17, 3])
    """
    neck, head = joints[..., 9, :], joints[..., 10, :]
    up = torch.nn.functional.normalize(head - neck, dim=-1)
    across = joints[..., 11, :] - joints[..., 14, :]
    across = across - (across * up).sum(-1, keepdim=True) * up
    left = torch.nn.functional.normalize(across, dim=-1)
    front = torch.linalg.cross(left, up)
    if turn is not None:
        cos, sin = turn.cos()[..., None], turn.sin()[..., None]
        left, front = cos * left - sin * front, cos * front + sin * left
    sizes = joints.new_tensor(FACE) if face is None else face
    nose_up, nose_front, eye_up, eye_back, eye_side, ear_up, ear_side = sizes[..., None].unbind(-2)
    nose = neck + nose_up * up + nose_front * front
    eye = nose + eye_up * up - eye_back * front
    ear = neck + ear_up * up
    sides = [eye + eye_side * left, eye - eye_side * left]
    sides += [ear + ear_side * left, ear - ear_side * left]
    return torch.cat((torch.stack([nose, *sides], -2), joints[..., list(COCO_FROM_H36M), :]), -2)


@dataclass(frozen=True)
class DetectorNoise:
    """How a detector errs.

    Args:
        sigma_px: Range of the standard deviation per coordinate, for a person 400 px tall; one
            value a clip.
        persistence: Correlation of the error from one frame to the next.
        outliers: Share of keypoints whose error is four times as large.
        swaps: Share of frames in which the ends of both arms, or of both legs, are swapped.
        missing: Share of keypoints that are missing.
        episode: Mean length of swaps and of gaps, in frames.
    """

    sigma_px: tuple[float, float] = (4.0, 8.0)
    persistence: float = 0.7
    outliers: float = 0.02
    swaps: float = 0.01
    missing: float = 0.03
    episode: float = 8.0

    def __post_init__(self) -> None:
        shares = (self.persistence, self.outliers, self.swaps, self.missing)
        if not all(0 <= share < 1 for share in shares) or self.episode < 1:
            raise OptionError("Detector noise has shares in 0..1 and episodes of at least 1 frame.")

    def apply(
        self, xy: Float[Tensor, "F 17 2"], generator: torch.Generator
    ) -> tuple[Float[Tensor, "F 17 2"], Float[Tensor, "F 17"]]:
        """Spoil exact COCO-17 keypoints.

        Args:
            xy: Pixels.
            generator: Its state decides everything.

        Returns:
            Keypoints with NaN where missing, and confidences with 0 there.
        """
        n_frames, n_joints, _ = xy.shape
        size = (xy.amax((0, 1)) - xy.amin((0, 1))).max() if n_frames else xy.new_tensor(0.0)
        height = (xy.amax(1) - xy.amin(1)).amax(-1).median() if n_frames else size
        low, high = self.sigma_px
        level = low + (high - low) * float(torch.rand((), generator=generator))
        sigma = level * height / _HEIGHT_PX * xy.new_tensor(_WEIGHT)
        error = sigma[:, None] * self._walk(n_frames, n_joints, generator)
        wild = torch.rand(n_frames, n_joints, generator=generator) < self.outliers
        error = torch.where(wild[..., None], 4 * error, error)
        spoilt = xy + error
        for lefts, rights in _LIMB_PAIRS:
            swapped = _episodes(n_frames, 1, self.swaps, self.episode, generator)[:, 0]
            a, b = list(lefts), list(rights)
            both = spoilt[swapped]
            both[:, a + b] = both[:, b + a]
            spoilt[swapped] = both
        confidence = 0.95 * torch.exp(-error.norm(dim=-1) / (4 * sigma.max()))
        confidence *= 0.85 + 0.15 * torch.rand(n_frames, n_joints, generator=generator)
        gone = _episodes(n_frames, n_joints, self.missing, self.episode, generator)
        confidence = torch.where(gone, 0.0, confidence)
        return torch.where(gone[..., None], torch.nan, spoilt), confidence

    def _walk(self, n_frames: int, n_joints: int, generator: torch.Generator) -> Tensor:
        """Unit-variance noise that lingers: a first-order autoregression."""
        fresh = torch.randn(n_frames, n_joints, 2, generator=generator)
        rho = self.persistence
        out = [fresh[0]] if n_frames else []
        for step in fresh[1:]:
            out.append(rho * out[-1] + (1 - rho**2) ** 0.5 * step)
        return torch.stack(out) if out else fresh


def _episodes(
    n_frames: int, n_series: int, share: float, length: float, generator: torch.Generator
) -> Bool[Tensor, "F S"]:
    """On–off series: on for ``length`` frames on average, and for ``share`` of the time."""
    u = torch.rand(n_frames, n_series, generator=generator)
    start = share / (1 - share) / length
    state = torch.rand(n_series, generator=generator) < share
    out = []
    for row in u:
        out.append(state)
        state = torch.where(state, row >= 1 / length, row < start)
    return torch.stack(out) if out else torch.zeros(0, n_series, dtype=torch.bool)
