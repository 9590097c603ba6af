"""The numbers of published tables, written once more with numpy: what the package must agree with.

Poses are meters, ``(F, J, 3)``; hypotheses ``(H, F, J, 3)``; values are millimeters per frame.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def relative(joints: np.ndarray, root: int = 0) -> np.ndarray:
    return joints - joints[..., root : root + 1, :]


def distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return 1000 * np.sqrt(((x - y) ** 2).sum(-1))


def aligned(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """x moved onto y by the best similarity, by Horn's quaternions: no reflection can come up."""
    x_mean, y_mean = x.mean(0), y.mean(0)
    a, b = x - x_mean, y - y_mean
    m = a.T @ b
    d = m - m.T
    n = np.zeros((4, 4))
    n[0, 0] = np.trace(m)
    n[0, 1:] = n[1:, 0] = [d[1, 2], d[2, 0], d[0, 1]]
    n[1:, 1:] = m + m.T - np.trace(m) * np.eye(3)
    w, u0, u1, u2 = np.linalg.eigh(n)[1][:, -1]
    u = np.array([u0, u1, u2])
    turn = np.stack([v + 2 * np.cross(u, np.cross(u, v) + w * v) for v in np.eye(3)], axis=1)
    turned = a @ turn.T
    return turned * (turned * b).sum() / (a * a).sum() + y_mean


def aligned_distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """``(F, J)``."""
    return np.stack([distances(aligned(p, t), t) for p, t in zip(x, y, strict=True)])


def per_frame(x: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    """Scores by key, one value a frame, of hypotheses ``x (H, F, J, 3)``."""
    mean = x.mean(0)
    d = distances(x, y)
    p = np.stack([aligned_distances(h, y) for h in x])
    scale = (mean * y).sum((-2, -1)) / (mean * mean).sum((-2, -1))
    steps = distances(np.diff(mean, axis=0), np.diff(y, axis=0)).mean(-1)
    n = len(x)
    pairs = sum(distances(a, b) for a in x for b in x) / (2 * n * (n - 1)) if n > 1 else 0.0
    spread = sum(np.abs(a - b) for a in x for b in x) / (2 * n * (n - 1)) if n > 1 else 0.0
    return {
        "mpjpe_mean_mm": distances(mean, y).mean(-1),
        "mpjpe_single_mm": d.mean((0, 2)),
        "p_mpjpe_mean_mm": aligned_distances(mean, y).mean(-1),
        "p_mpjpe_single_mm": p.mean((0, 2)),
        "n_mpjpe_mean_mm": distances(scale[:, None, None] * mean, y).mean(-1),
        "mpjve_mean_mm_per_frame": np.append(steps, steps[-1:]),
        "energy_score_joint_mm": (d.mean(0) - pairs).mean(-1),
        "crps_mm": 1000 * (np.abs(x - y).mean(0) - spread).mean((-2, -1)),
        "mpjpe_oracle_joint_best_mm": d.min(0).mean(-1),
        "mpjpe_oracle_pose_best_frame_mm": d.mean(-1).min(0),
        "p_mpjpe_oracle_joint_best_mm": p.min(0).mean(-1),
        "p_mpjpe_oracle_pose_best_frame_mm": p.mean(-1).min(0),
    }


def j_agg(
    x: np.ndarray, y: np.ndarray, pixels: np.ndarray, keypoints: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """MPJPE and P-MPJPE of J-Agg as published, from the hypotheses' pixels ``(H, F, J, 2)``."""
    index = np.sqrt(((pixels - keypoints) ** 2).sum(-1)).argmin(0)[None]
    p = np.stack([aligned_distances(h, y) for h in x])
    d = distances(x, y)
    return (np.take_along_axis(d, index, 0)[0].mean(-1),
            np.take_along_axis(p, index, 0)[0].mean(-1))  # fmt: skip


def batches_of_d3dp(n_frames: int, length: int, n_clips: int) -> list[np.ndarray]:
    """Frames of each batch of the released code: the last clip ends with the video, or is padded
    with its last frame."""
    starts = list(range(0, n_frames, length))
    starts[-1] = max(n_frames - length, 0)
    clips = [np.minimum(np.arange(start, start + length), n_frames - 1) for start in starts]
    return [np.concatenate(clips[i : i + n_clips]) for i in range(0, len(clips), n_clips)]


def batch_best(errors: np.ndarray, length: int, n_clips: int) -> np.ndarray:
    """P-Best as published from ``(H, F)`` errors: values as often as clips have their frames."""
    batches = batches_of_d3dp(errors.shape[1], length, n_clips)
    return np.concatenate([errors[:, b][errors[:, b].mean(1).argmin()] for b in batches])


def stitched_best(errors: np.ndarray, length: int, n_clips: int) -> np.ndarray:
    """Hypothesis of every frame, later batches over earlier ones."""
    index = np.zeros(errors.shape[1], int)
    for b in batches_of_d3dp(errors.shape[1], length, n_clips):
        index[b] = errors[:, b].mean(1).argmin()
    return index


def cgnf_ece(x: np.ndarray, y: np.ndarray) -> float:
    """The ECE of cGNF from all frames: ``x (H, N, J, 3)`` without the root."""
    center = np.sort(x, axis=0)[(len(x) - 1) // 2]
    e, t = distances(x, center), distances(y, center)
    levels = np.linspace(0, 1, 21)
    covered = (np.quantile(e, levels, axis=0) > t).mean(1)
    return float(np.abs(np.median(covered, axis=-1) - levels).mean())


def mean_of_means(values: Sequence[np.ndarray], labels: Sequence[str]) -> float:
    """Frames pooled by label, then the unweighted mean over labels."""
    groups = {label: [v for v, own in zip(values, labels, strict=True) if own == label]
              for label in labels}  # fmt: skip
    return float(np.mean([np.concatenate(group).mean() for group in groups.values()]))
