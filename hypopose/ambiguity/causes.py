"""Which keypoint causes the ambiguity: change it, sample again, compare.

Three experiments on one keypoint at a time, all without ground truth:

* ``hide``: take it away. The information it gives is the entropy that comes back.
* ``jitter``: move it by detector-sized noise. How far the mean pose follows measures how much the
  result depends on it.
* ``reveal``: where it is missing, put it where a hypothesis would have been seen, one hypothesis
  after the other. The mean drop in entropy is the information expected from detecting it (Lindley,
  "On a measure of the information provided by an experiment", 1956).

The sampler comes as a callable from keypoints to hypotheses, so no sampler is imported.
Give it the same seed at every call, so that differences come from the keypoint rather than from the
draw.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.ambiguity.covariance import joint_covariance
from hypopose.ambiguity.entropy import joint_entropy
from hypopose.cameras import fit_roots, hypothesis_camera, project
from hypopose.errors import MissingCameraError, OptionError, ShapeError, SkeletonMismatchError
from hypopose.types import Hypotheses, Keypoints2D, NoiseSource

Sample = Callable[[Keypoints2D], Hypotheses]
"""Draws hypotheses for keypoints: ``lambda kp: sampler.sample(kp, 50, seeded_noise(0))``."""


@dataclass(frozen=True, eq=False)
class KeypointInfluence:
    """What changes when one keypoint changes; one row per keypoint, one column per 3D joint.

    Args:
        action: ``hide``, ``jitter`` or ``reveal``.
        keypoints: Names of the keypoints changed; axis K.
        joints: Names of the 3D joints; axis J.
        entropy_change: After minus before, in nats, mean over frames: positive where the keypoint
            gave information (``hide``), negative where it would give some (``reveal``).
        std_before: Root-mean-square spread in meters, mean over frames.
        std_after: The same after the change.
        shift: Distance in meters by which the mean pose moves, mean over frames.
    """

    action: str
    keypoints: tuple[str, ...]
    joints: tuple[str, ...]
    entropy_change: Float[Tensor, "K J"]
    std_before: Float[Tensor, "J"]
    std_after: Float[Tensor, "K J"]
    shift: Float[Tensor, "K J"]

    def ranking(self) -> tuple[tuple[str, float], ...]:
        """Keypoints by the size of their total entropy change in nats, largest first."""
        total = self.entropy_change.sum(-1).tolist()
        pairs = zip(self.keypoints, total, strict=True)
        return tuple(sorted(pairs, key=lambda pair: -abs(pair[1])))


def hide_keypoints(
    sample: Sample, keypoints: Keypoints2D, names: Sequence[str] | None = None
) -> KeypointInfluence:
    """Take each keypoint away in all frames and sample again.

    Args:
        sample: Draws hypotheses; one call more than there are names.
        keypoints: One clip ``(F, J, 2)``.
        names: Keypoints to try; all that are detected somewhere if None.

    Returns:
        The information each keypoint gives, as an entropy that comes back without it.
    """
    columns = _columns(keypoints, names, keypoints.detected.any(-2))
    variants = {j: [_hidden(keypoints, j)] for j in columns}
    return _compare("hide", sample, keypoints, variants, sample(keypoints))


def jitter_keypoints(
    sample: Sample,
    keypoints: Keypoints2D,
    noise: NoiseSource,
    std_px: float = 5.0,
    names: Sequence[str] | None = None,
    n_draws: int = 4,
) -> KeypointInfluence:
    """Move each keypoint by noise and sample again.

    Args:
        sample: Draws hypotheses; ``n_draws`` calls per name and one more.
        keypoints: One clip ``(F, J, 2)``.
        noise: Source of standard normals, independent per frame.
        std_px: Standard deviation of the movement per axis, in pixels.
        names: Keypoints to try; all that are detected somewhere if None.
        n_draws: Repetitions to average over.

    Returns:
        How far the mean pose moves, and how the spread changes.
    """
    if std_px <= 0 or n_draws < 1:
        raise OptionError(f"jitter needs std_px > 0 and n_draws >= 1, got {std_px} and {n_draws}.")
    columns = _columns(keypoints, names, keypoints.detected.any(-2))
    moves = std_px * noise((n_draws, *keypoints.xy.shape)).to(keypoints.xy)
    variants = {
        j: [_moved(keypoints, j, keypoints.xy[:, j] + move[:, j]) for move in moves]
        for j in columns
    }
    return _compare("jitter", sample, keypoints, variants, sample(keypoints))


def reveal_keypoints(
    sample: Sample,
    keypoints: Keypoints2D,
    names: Sequence[str] | None = None,
    n_draws: int = 4,
) -> KeypointInfluence:
    """Put each missing keypoint where a hypothesis would be seen, and sample again.

    A hypothesis with its own focal length is projected with it.

    Args:
        sample: Draws hypotheses; ``n_draws`` calls per name and one more.
        keypoints: One clip ``(F, J, 2)`` with a camera and missing keypoints.
        names: Keypoints to try; all that are missing somewhere if None.
        n_draws: Number of hypotheses, evenly spaced, whose projections are tried.

    Returns:
        The change of entropy expected from detecting each keypoint.

    Raises:
        MissingCameraError: If the keypoints carry no camera to project with.
        SkeletonMismatchError: If the hypotheses have no joint of a keypoint's name.
        OptionError: If no keypoint is missing.
    """
    if keypoints.camera is None:
        raise MissingCameraError(
            "reveal_keypoints projects hypotheses into the image, but these keypoints carry no "
            "camera. Attach one with keypoints.with_camera(Camera.from_fov(image_size))."
        )
    columns = _columns(keypoints, names, ~keypoints.detected.all(-2))
    if not columns:
        raise OptionError("No keypoint is missing in any frame: use hide_keypoints instead.")
    base = sample(keypoints)
    root = base.root if base.root is not None else fit_roots(base, keypoints)
    camera = hypothesis_camera(base, keypoints.camera)
    every = torch.linspace(0, len(base) - 1, min(n_draws, len(base))).round().long().tolist()
    variants = {}
    for j in columns:
        joint = _same_joint(base, keypoints, j)
        seen = project(base.joints[:, :, joint] + root, camera).to(keypoints.xy)
        missing = ~keypoints.detected[:, j, None]
        variants[j] = [
            _moved(keypoints, j, torch.where(missing, seen[h], keypoints.xy[:, j])) for h in every
        ]
    return _compare("reveal", sample, keypoints, variants, base)


def _compare(
    action: str,
    sample: Sample,
    keypoints: Keypoints2D,
    variants: dict[int, list[Keypoints2D]],
    base: Hypotheses,
) -> KeypointInfluence:
    """Sample every variant; means over variants of one keypoint and over frames."""
    before = joint_entropy(base).mean(-2)
    mean = base.joints.double().mean(-4)
    rows: list[tuple[Tensor, Tensor, Tensor]] = []
    for changed in variants.values():
        draws = [sample(k) for k in changed]
        entropy = torch.stack([joint_entropy(d).mean(-2) for d in draws]).mean(0)
        spread = torch.stack([_spread(d) for d in draws]).mean(0)
        moved = [(d.joints.double().mean(-4) - mean).norm(dim=-1).mean(-2) for d in draws]
        rows.append((entropy - before, spread, torch.stack(moved).mean(0)))
    return KeypointInfluence(
        action=action,
        keypoints=tuple(keypoints.skeleton.joint_names[j] for j in variants),
        joints=base.skeleton.joint_names,
        entropy_change=torch.stack([row[0] for row in rows]),
        std_before=_spread(base),
        std_after=torch.stack([row[1] for row in rows]),
        shift=torch.stack([row[2] for row in rows]),
    )


def _spread(hypotheses: Hypotheses) -> Tensor:
    trace = joint_covariance(hypotheses).diagonal(dim1=-2, dim2=-1).sum(-1)
    return trace.clamp(min=0).sqrt().mean(-2)


def _columns(keypoints: Keypoints2D, names: Sequence[str] | None, default: Tensor) -> list[int]:
    if keypoints.xy.dim() != 3:
        raise ShapeError(
            f"Finding causes takes one clip (F, J, 2), got {tuple(keypoints.xy.shape)}; "
            "loop over the items of the batch."
        )
    if names is None:
        return [int(j) for j in torch.nonzero(default)[:, 0]]
    return [keypoints.skeleton.index(name) for name in names]


def _same_joint(base: Hypotheses, keypoints: Keypoints2D, j: int) -> int:
    name = keypoints.skeleton.joint_names[j]
    if name not in base.skeleton.joint_names:
        raise SkeletonMismatchError(
            f"Keypoint {name!r} is not a joint of the hypotheses' skeleton {base.skeleton.name!r}; "
            "name keypoints that both skeletons have, or convert the keypoints first."
        )
    return base.skeleton.index(name)


def _hidden(keypoints: Keypoints2D, j: int) -> Keypoints2D:
    xy = keypoints.xy.clone()
    xy[:, j] = torch.nan
    if keypoints.confidence is None:
        return replace(keypoints, xy=xy)
    confidence = keypoints.confidence.clone()
    confidence[:, j] = 0
    return replace(keypoints, xy=xy, confidence=confidence)


def _moved(keypoints: Keypoints2D, j: int, to: Tensor) -> Keypoints2D:
    """Keypoint ``j`` at ``to``; where it was missing it gets the median confidence."""
    xy = keypoints.xy.clone()
    xy[:, j] = to
    if keypoints.confidence is None:
        return replace(keypoints, xy=xy)
    confidence = keypoints.confidence.clone()
    usual = confidence[keypoints.detected].median()
    confidence[:, j] = torch.where(keypoints.detected[:, j], confidence[:, j], usual)
    return replace(keypoints, xy=xy, confidence=confidence)
