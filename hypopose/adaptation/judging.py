"""Score hypotheses without 3D truth: proper scores of keypoints hidden from the network.

| score | is |
| --- | --- |
| ``hidden`` | some limbs' ends are hidden from the network; energy score of where they are seen |
| ``other_view`` | one view is lifted; energy score of another's keypoints, relative to the pelvis |
| ``other_view_place`` | the same of the keypoints themselves, with the root fitted in one view |
| ``stature`` | energy score of the stature, if it is known, in mm |
| ``reprojection`` | distance of the hypotheses' mean from keypoints that were shown; not proper |

Lengths in images are in pixels of a person 400 px tall, so that near and far people count alike. A
proper score is least, on average, for the posterior itself: neither a narrower nor a wider one does
better. Scores of the same clips before and after are compared in pairs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import permutations

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.adaptation.recordings import Recording
from hypopose.calibration import energy_score_points
from hypopose.cameras import project
from hypopose.cameras.root import fit_root
from hypopose.diffusion import seeded_noise
from hypopose.optimization.stature import stature
from hypopose.skeletons import H36M17
from hypopose.types import Camera, Hypotheses, Keypoints2D, Sampler

HIDDEN = ((13, 3), (16, 6), (12, 2, 13), (15, 5, 16))
"""Joints that are hidden together, in turn."""

PROPER = ("hidden", "other_view", "other_view_place", "stature")
UNITS = dict.fromkeys((*PROPER, "reprojection"), "px") | {"stature": "mm"}
PERSON_PX = 400.0
A_LITTLE = 0.02
"""Share by which a score may rise."""

HIDDEN_RISE = 0.05
"""The same for keypoints that were hidden, where other views or the stature decide."""

SURE = 0.5
"""Keypoints below this confidence are not judged by."""

Scores = dict[str, Float[Tensor, " clips"]]
"""Score -> one number a clip (a pair of views, a hidden group); NaN where it cannot be said."""


def judge(
    sampler: Sampler,
    clips: Sequence[Recording],
    *,
    height: float | None = None,
    n_hypotheses: int = 10,
    seed: int = 0,
) -> Scores:
    """Score a sampler on clips without 3D.

    Args:
        sampler: Draws hypotheses.
        clips: Held back.
        height: Everybody's stature in meters, if it is known.
        n_hypotheses: Of each clip.
        seed: Decides them.

    Returns:
        Numbers by score, in the same order for the same clips.
    """
    found: dict[str, list[Tensor]] = {"hidden": [], "reprojection": []}
    drawn = []
    for i, clip in enumerate(clips):
        noise = seeded_noise(seed, [str(i)])
        hypotheses = sampler.sample(clip.keypoints, n_hypotheses, noise)
        drawn.append(hypotheses)
        found["reprojection"].append(_reprojection(hypotheses, clip.keypoints))
        joints = list(HIDDEN[i % len(HIDDEN)])
        found["hidden"].append(
            hidden_score(sampler, clip.keypoints, joints, n_hypotheses, seed + i)
        )
    scores = {name: torch.stack(values) for name, values in found.items() if values}
    pairs = view_pairs(clips)
    if pairs:
        both = [other_view_scores(drawn[a], clips[a], clips[b]) for a, b in pairs]
        names = ("other_view", "other_view_place")
        scores |= dict(zip(names, torch.stack(both).unbind(-1), strict=True))
    if height is not None:
        known = torch.full((len(drawn), 1), 1000 * height)
        tall = torch.stack([1000 * stature(h.joints, H36M17) for h in drawn])
        scores["stature"] = energy_score_points(tall[..., None], known)
    return scores


def hidden_score(
    sampler: Sampler, keypoints: Keypoints2D, joints: list[int], n_hypotheses: int, seed: int
) -> Float[Tensor, ""]:
    """Energy score of keypoints that are hidden from a sampler.

    Args:
        sampler: Draws hypotheses.
        keypoints: One clip, Human3.6M-17.
        joints: That are hidden in all frames.
        n_hypotheses: That are drawn.
        seed: Decides them.

    Returns:
        Pixels of a person 400 px tall; NaN if the clip does not show these joints.
    """
    xy, confidence = keypoints.xy.clone(), keypoints.confidence
    xy[:, joints] = torch.nan
    if confidence is not None:
        confidence = confidence.clone()
        confidence[:, joints] = 0.0
    shown = replace(keypoints, xy=xy, confidence=confidence)
    hypotheses = sampler.sample(shown, n_hypotheses, seeded_noise(seed, ["hidden"]))
    assert keypoints.camera is not None  # recordings have one
    return _image_score(_placed(hypotheses), keypoints, keypoints.camera, joints)


def other_view_scores(
    hypotheses: Hypotheses, of: Recording, other: Recording
) -> Float[Tensor, "2"]:
    """Energy scores of what another camera saw, by hypotheses of one.

    Args:
        hypotheses: Of ``of``, with roots.
        of: Its camera is placed in the world.
        other: So is its.

    Returns:
        Of keypoints relative to the pelvis, and of the keypoints; in pixels of a person 400 px
        tall; NaN if nothing can be compared.
    """
    first, second = of.keypoints.camera, other.keypoints.camera
    assert first is not None  # recordings have one
    assert second is not None
    (R, t), (S, u) = _pose(first), _pose(second)
    there = (_placed(hypotheses) - t) @ R @ S.mT + u
    bare = replace(second, rotation=None, translation=None)
    every = list(range(H36M17.n_joints))
    return torch.stack(
        [_image_score(there, other.keypoints, bare, every, is_relative=r) for r in (True, False)]
    )


def view_pairs(clips: Sequence[Recording]) -> list[tuple[int, int]]:
    """Pairs of clips of one person and moment in different placed views, in both directions."""
    moments: dict[tuple[str, int, int], list[int]] = {}
    for i, clip in enumerate(clips):
        camera = clip.keypoints.camera
        if clip.view and camera is not None and camera.rotation is not None:
            moment = (clip.person, clip.first_frame, clip.n_frames)
            moments.setdefault(moment, []).append(i)
    return [
        (a, b)
        for seen in moments.values()
        for a, b in permutations(seen, 2)
        if clips[a].view != clips[b].view
    ]


@dataclass(frozen=True)
class Change:
    """A score before and after, on the same clips.

    Args:
        before: Mean.
        after: Mean.
        std_error: Of the mean difference, see :func:`widened`; infinite if it is of one number.
        n: Numbers it is of.
    """

    before: float
    after: float
    std_error: float
    n: int

    @property
    def is_better(self) -> bool:
        """Lower by more than its standard error."""
        return self.n > 0 and self.after - self.before < -self.std_error

    @property
    def is_worse(self) -> bool:
        """Higher by more than two standard errors, and by more than a little."""
        return self.rises_by(A_LITTLE)

    def rises_by(self, share: float) -> bool:
        """Whether it is higher by more than two standard errors, and by more than a share.

        Args:
            share: Of the score before.
        """
        more = self.after - self.before
        return self.n > 0 and more > max(2 * self.std_error, share * abs(self.before))


def compare(before: Scores, after: Scores) -> dict[str, Change]:
    """Scores of the same clips before and after, by name.

    Args:
        before: Of :func:`judge`.
        after: Of the same clips.

    Example:
        >>> x = torch.tensor([3.0, 4.0, 5.0])
        >>> compare({"hidden": x}, {"hidden": x - 1})["hidden"].is_better
        True
    """
    changes = {}
    for name in before:
        a, b = before[name].double(), after[name].double()
        good = torch.isfinite(a) & torch.isfinite(b)
        a, b = a[good], b[good]
        n = len(a)
        error = widened(n) * float((b - a).std() / math.sqrt(n)) if n > 1 else math.inf
        mean = (float(a.mean()), float(b.mean())) if n else (math.nan, math.nan)
        changes[name] = Change(*mean, error, n)
    return changes


def widened(n: int) -> float:
    """Correction of a standard error from few numbers: Student's t quantile over the normal one.

    Args:
        n: Numbers, two or more.

    Example:
        >>> round(widened(2), 2), round(widened(40), 2)
        (1.84, 1.02)
    """
    return 1 + 0.84 / (n - 1)


def verdict(changes: Mapping[str, Change]) -> str:
    """Why adapted weights are not better; empty if they are.

    Keypoints of other views decide, and the stature where it is known. Hidden keypoints of the same
    view decide where there is neither; otherwise they may rise slightly more, because they depend
    less on depth.

    Args:
        changes: Of :func:`compare`.

    Example:
        >>> verdict({"hidden": Change(9.0, 8.0, 0.5, 10)})
        ''
        >>> verdict({"reprojection": Change(9.0, 8.0, 0.5, 10)})
        'nothing could be judged'
    """
    proper = {name: c for name, c in changes.items() if name in PROPER and c.n > 0}
    if not proper:
        return "nothing could be judged"
    deciding = {name: c for name, c in proper.items() if name != "hidden"} or proper
    worse = _became_worse(proper, deciding)
    if worse:
        return f"{' and '.join(worse)} became worse"
    if not any(c.is_better for c in deciding.values()):
        return f"{' and '.join(deciding)} did not improve beyond the standard error"
    return ""


def _became_worse(proper: Mapping[str, Change], deciding: Mapping[str, Change]) -> list[str]:
    """Deciding scores that became worse, and hidden keypoints if they rise by much."""
    worse = [name for name, c in deciding.items() if c.is_worse]
    if "hidden" in proper.keys() - deciding and proper["hidden"].rises_by(HIDDEN_RISE):
        worse.append("hidden")
    return worse


def _pose(camera: Camera) -> tuple[Tensor, Tensor]:
    assert camera.rotation is not None  # pairs of views are placed
    assert camera.translation is not None
    return camera.rotation.float(), camera.translation.float()


def _placed(hypotheses: Hypotheses) -> Float[Tensor, "H F 17 3"]:
    """Hypotheses in the camera's frame; NaN where no root was fitted."""
    assert hypotheses.root is not None  # keypoints have a camera
    return hypotheses.joints + hypotheses.root[..., None, :]


def _image_score(
    placed: Float[Tensor, "H F 17 3"],
    keypoints: Keypoints2D,
    camera: Camera,
    joints: list[int],
    *,
    is_relative: bool = False,
) -> Float[Tensor, ""]:
    ahead = torch.where(placed[..., 2:] > 0.05, placed, torch.nan)
    xy = project(ahead, replace(camera, rotation=None, translation=None))
    seen = keypoints.xy[:, joints].float()
    if is_relative:
        xy, seen = xy - xy[:, :, :1], seen - keypoints.xy[:, :1].float()
    sure = torch.isfinite(seen).all(-1)
    if keypoints.confidence is not None:
        sure = sure & (keypoints.confidence[:, joints] >= SURE)
    truth = torch.where(sure[..., None], seen, torch.nan)
    score = energy_score_points(xy[:, :, joints].permute(1, 2, 0, 3).float(), truth)
    return score.float().nanmean() * PERSON_PX / person_size(keypoints)


def _reprojection(hypotheses: Hypotheses, keypoints: Keypoints2D) -> Float[Tensor, ""]:
    mean = hypotheses.joints.mean(0)
    placed = mean + fit_root(mean, keypoints)[:, None]
    assert keypoints.camera is not None  # recordings have one
    bare = replace(keypoints.camera, rotation=None, translation=None)
    off = (project(placed, bare) - keypoints.xy).norm(dim=-1)
    return off.nanmean() * PERSON_PX / person_size(keypoints)


def person_size(keypoints: Keypoints2D) -> float:
    """Height in pixels that a person would have standing: from the spread of the joints.

    Args:
        keypoints: One clip.
    """
    xy = keypoints.xy
    seen = torch.isfinite(xy).all(-1, keepdim=True)
    n = seen.sum(-2)
    center = torch.where(seen, xy, 0.0).sum(-2) / n.clamp(min=1)
    spread = torch.where(seen, (xy - center[:, None]).square(), 0.0).sum((-2, -1)) / n[:, 0]
    size = float(spread[n[:, 0] >= 2].sqrt().median()) if bool((n[:, 0] >= 2).any()) else 100.0
    return max(1.0, STANDING_SPREADS * size)


STANDING_SPREADS = 3.6
"""Statures per root mean square distance of the joints from their center, standing."""
