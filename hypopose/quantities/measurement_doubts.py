"""Warnings about measurements: joints not seen, an impossible frame rate, a treadmill."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import torch
from torch import Tensor

from hypopose.quantities.body_motion import SIDES, BodyMotion
from hypopose.quantities.foot_events import find_feet
from hypopose.quantities.gait import step_length, step_reach
from hypopose.types import Keypoints2D

SEEN = 0.5
"""Share of frames in which a joint that counts as seen is detected."""

CADENCE = (50.0, 230.0)
"""Steps a minute of people who walk or run."""

GOES_ON = 0.6
"""Of the reach of a step: how far a person goes with it at least, if the floor stands."""


A_GUESS = "is a guess, however wide"
"""How a warning about joints that were hardly detected ends."""


def unseen_words(keypoints: Keypoints2D, joints: Collection[int] | None = None) -> list[str]:
    """Joints that were hardly detected; nothing where no keypoint is known.

    Args:
        keypoints: One person.
        joints: Those that matter; None for all.

    Example:
        >>> from hypopose.datasets import example_pair
        >>> from dataclasses import replace
        >>> keypoints, _ = example_pair()
        >>> xy = keypoints.xy.clone()
        >>> xy[:, 6] = torch.nan
        >>> unseen_words(replace(keypoints, xy=xy))
        ['left_ankle seen in 0 % of the frames: what depends on it is a guess, however wide']
    """
    share = keypoints.detected.double().mean(0)
    if not bool(share.any()):
        return []
    names = keypoints.skeleton.joint_names
    rare = [j for j, s in enumerate(share.tolist()) if s < SEEN]
    hidden = [names[j] for j in rare if joints is None or j in joints]
    if not hidden:
        return []
    most = max(share[names.index(name)].item() for name in hidden)
    which = f"{', '.join(hidden[:6])}{f' and {len(hidden) - 6} more' * (len(hidden) > 6)}"
    upto = "at most " if len(hidden) > 1 and most > 0 else ""
    them = "it" if len(hidden) == 1 else "them"
    return [
        f"{which} seen in {upto}{100 * most:.0f} % of the frames: what depends on {them} {A_GUESS}"
    ]


def walking_words(motion: BodyMotion) -> list[str]:
    """An impossible cadence, and steps without progress; nothing without steps.

    Args:
        motion: Hypotheses, with a frame rate.

    Example:
        >>> from hypopose.datasets import example_motion
        >>> from hypopose.skeletons import H36M17
        >>> walk = BodyMotion(example_motion(75)[None], H36M17, fps=25.0)
        >>> walking_words(walk)
        []
        >>> slow = BodyMotion(example_motion(75)[None], H36M17, fps=5.0)
        >>> walking_words(slow)[0][:31]
        '22 steps a minute is unusual: t'
    """
    rate, words = _rate(motion), []
    if np.isfinite(rate) and not CADENCE[0] < rate < CADENCE[1]:
        words = [
            f"{rate:.0f} steps a minute is unusual: times and speeds are wrong if "
            f"{motion.rate:g} is not the rate at which the camera recorded; give that with --fps"
        ]
    if motion.placed:
        pairs = [
            (_typical(step_reach(motion, side=s)), _typical(step_length(motion, s))) for s in SIDES
        ]
        known = np.array([pair for pair in pairs if np.isfinite(pair).all()]).reshape(-1, 2)
        if len(known) and known[:, 1].mean() < GOES_ON * known[:, 0].mean():
            reach, length = known.mean(0)
            words += [
                f"steps reach {reach:.2f} m but lead {abs(length):.2f} m on, as on a treadmill: "
                "step_reach and times hold there, step_length, walking_speed and speeds do not"
            ]
    return words


def _rate(motion: BodyMotion) -> float:
    """Steps a minute by the strikes of each foot, however slow; NaN with few."""
    feet = find_feet(motion)
    apart = [
        np.concatenate([np.diff(feet.strikes[side][i]) for side in SIDES])
        for i in range(feet.n_motions)
    ]
    rates = [120 / np.median(gaps) if len(gaps) > 1 else np.nan for gaps in apart]
    return _typical(torch.tensor(rates, dtype=torch.float64))


def _typical(values: Tensor) -> float:
    """Median over the hypotheses, most of which must have a value."""
    known = values[torch.isfinite(values)]
    return float(known.median()) if len(known) >= max(1, values.numel() / 2) else float("nan")
