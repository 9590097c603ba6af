"""P-Best as D3DP's released code reports it: one hypothesis for a whole batch of clips.

Paper: Shan et al., "Diffusion-based 3D human pose estimation with multi-hypothesis aggregation",
ICCV 2023. The paper speaks of the best pose; the released code takes, for every batch of clips of
one video, the one hypothesis whose error over all of them is least. Its number depends on how many
clips a batch has, and lies above the best per frame.

Clips are those of the code: consecutive, the last one moved back to end with the video, a shorter
video padded with its last frame. On Human3.6M, frames of two clips count twice and padded ones too;
P-MPJPE chooses by aligned errors. On MPI-INF-3DHP every frame is looked at, valid or not, later
clips replace earlier ones, and valid frames count once. Where clips of the code overlap, its
hypotheses differ between them; ours have one value per frame, which is used for both clips.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from hypopose.metrics import AUC_THRESHOLDS, below, joint_errors
from hypopose.samplers.windows import published_windows

if TYPE_CHECKING:
    from hypopose.datasets.protocols import PublishedBatches
    from hypopose.evaluation.comparison import Comparison

POSE = "mpjpe_oracle_pose_best_batch_mm"
ALIGNED = "p_mpjpe_oracle_pose_best_batch_mm"
SHARES = {
    "pck_150_oracle_pose_best_batch_percent": (0.150,),
    "auc_oracle_pose_best_batch_percent": AUC_THRESHOLDS,
}
"""Key -> thresholds in meters."""
BATCH_TITLES = {
    POSE: "MPJPE of the best hypothesis per batch of clips (D3DP's code)",
    ALIGNED: "P-MPJPE of the best hypothesis per batch of clips (D3DP's code)",
    "pck_150_oracle_pose_best_batch_percent": "PCK below 150 mm, of the best hypothesis per batch",
    "auc_oracle_pose_best_batch_percent": "AUC, of the best hypothesis per batch",
}
"""Key -> what tables call it."""


@dataclass(eq=False)
class BatchBest:
    """P-Best of one video.

    Args:
        batches: How the released code batches videos.
        clip_frames: Frames of a clip.
        counted: Frames that count, rising.
        errors: ``(H, F)`` millimeters of every frame, counted or not.
        shares: Key -> ``(H, F)`` percent, larger is better.
        aligned: ``(H, F)`` millimeters after alignment; NaN until :meth:`add`.
    """

    batches: PublishedBatches
    clip_frames: int
    counted: np.ndarray
    errors: Float[Tensor, "H F"]
    shares: dict[str, Float[Tensor, "H F"]]
    aligned: Float[Tensor, "H F"]

    @classmethod
    def of(
        cls,
        hypotheses: Float[Tensor, "H F J 3"],
        truth: Float[Tensor, "F J 3"],
        batches: PublishedBatches,
        clip_frames: int,
        counted: np.ndarray,
        pck_joints: tuple[int, ...] | None = None,
    ) -> BatchBest:
        """Measure every hypothesis of a video.

        Args:
            hypotheses: Root-relative meters.
            truth: Likewise.
            batches: How the released code batches videos.
            clip_frames: Frames of a clip.
            counted: Frames that count, rising.
            pck_joints: Joints of PCK and AUC; None leaves them out.
        """
        found = joint_errors(hypotheses, truth)
        shares = {}
        for key, thresholds in SHARES.items() if pck_joints is not None else ():
            judged = found[..., list(pck_joints or ())]
            shares[key] = 100 * below(judged, thresholds).mean(0).mean(-1)
        errors = 1000 * found.mean(-1)
        return cls(
            batches, clip_frames, counted, errors, shares, torch.full_like(errors, torch.nan)
        )

    def add(self, frames: Int[np.ndarray, "N L"], compared: Comparison) -> None:
        """Take over the aligned errors of some clips, which a comparison has computed.

        Args:
            frames: Of the video, that the clips show.
            compared: The clips.
        """
        found = 1000 * compared.aligned_errors.mean(-1).transpose(0, 1).flatten(1)
        self.aligned[:, torch.from_numpy(frames.reshape(-1))] = found.to(self.aligned)

    def values(self) -> dict[str, tuple[Int[Tensor, " n"], Float[Tensor, " n"]]]:
        """Key -> frames, repeated as often as the released code counts them, and their values."""
        chosen = self._chosen(self.errors)
        found = {POSE: self.errors[chosen]}
        found |= {key: share[chosen] for key, share in self.shares.items()}
        values = {key: (chosen[1], value) for key, value in found.items()}
        if bool(self.aligned.isfinite().all()):
            chosen = self._chosen(self.aligned)
            values[ALIGNED] = (chosen[1], self.aligned[chosen])
        return values

    def _chosen(self, errors: Float[Tensor, "H F"]) -> tuple[Tensor, Tensor]:
        """Hypothesis and frame of every value that counts."""
        n_frames = errors.shape[1]
        clips = [
            torch.arange(start, end).clamp_max(n_frames - 1)
            for start, end in published_windows(n_frames, self.clip_frames)
        ]
        step = self.batches.clips
        batches = [torch.cat(clips[i : i + step]) for i in range(0, len(clips), step)]
        best = [errors[:, frames].mean(-1).argmin() for frames in batches]
        if not self.batches.stitched:
            repeated = [b.expand(len(frames)) for b, frames in zip(best, batches, strict=True)]
            return torch.cat(repeated), torch.cat(batches)
        index = torch.zeros(n_frames, dtype=torch.long)
        for hypothesis, frames in zip(best, batches, strict=True):
            index[frames] = hypothesis
        counted = torch.from_numpy(self.counted)
        return index[counted], counted
