"""Judge a sampler on a benchmark, or a folder of results with their truth; fit a calibrator.

Hypotheses and truth come as draws, one batch at a time, so that nothing grows with the benchmark
but what a judgement keeps. Fitting keeps the draws, for some calibrators look at them twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hypopose.calibration import (
    Calibrator,
    Chain,
    ConformalBalls,
    IsotonicRadii,
    Settings,
    SpreadScaling,
)
from hypopose.datasets import Benchmark, batches, stack
from hypopose.diffusion import seeded_noise
from hypopose.errors import FormatError, OptionError
from hypopose.io import load_hypotheses
from hypopose.io.source import Source
from hypopose.io.untrusted.arrays import NpzArchive, read_npy
from hypopose.report.judgement import Judge, Judgement
from hypopose.skeletons import convert
from hypopose.types import Hypotheses, Keypoints2D, Poses3D, Sampler


@dataclass(frozen=True, eq=False)
class Draw:
    """Hypotheses beside their truth.

    Args:
        hypotheses: ``(N, H, F, J, 3)``, meters.
        truth: ``(N, F, J, 3)``.
        sequences: The recording each of the N is cut from.
        keypoints: With a camera, in the same skeleton; None if unknown.
    """

    hypotheses: Hypotheses
    truth: Poses3D
    sequences: tuple[str, ...]
    keypoints: Keypoints2D | None = None


def benchmark_draws(
    sampler: Sampler,
    benchmark: Benchmark,
    folder: str | Path,
    *,
    n_hypotheses: int = 20,
    seed: int = 0,
    limit: int | None = None,
    batch_size: int = 16,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[Draw]:
    """Sample the views of a benchmark.

    Args:
        sampler: Reads keypoints of its own skeleton; they are converted to it.
        benchmark: The views.
        folder: Where the motion shards lie.
        n_hypotheses: Per view.
        seed: Every view has its own noise, whatever the batch.
        limit: Only this many views, spread evenly.
        batch_size: Views sampled together.
        progress: Called with views done and views in all.

    Yields:
        One draw per batch; clips are the sequences.
    """
    n_views = len(benchmark.views) if limit is None else min(limit, len(benchmark.views))
    done = 0
    for group in batches(benchmark.items(folder, limit), batch_size):
        keypoints, truth = stack(group)
        keypoints = convert(keypoints, sampler.skeleton)
        noise = seeded_noise(seed, [item.name for item in group])
        hypotheses = sampler.sample(keypoints, n_hypotheses, noise)
        yield Draw(hypotheses, truth, tuple(item.view.clip for item in group), keypoints)
        done += len(group)
        if progress is not None:
            progress(done, n_views)


def folder_draws(folder: str | Path, truth: str | Path | None = None) -> Iterator[Draw]:
    """Read results and their truth.

    Args:
        folder: Result files of ``hypopose sample``, ``*.npz``.
        truth: Folder of truths with the results' names, npy or npz (array ``joints``) of
            ``(F, J, 3)`` camera-frame meters; ``folder/truth`` if None.

    Yields:
        One draw per result, in the order of their names; each is its own sequence.

    Raises:
        FormatError: If there is no result, or one has no truth that fits.
    """
    folder = Path(folder)
    truth = folder / "truth" if truth is None else Path(truth)
    results = sorted(folder.glob("*.npz"))
    if not results:
        raise FormatError(f"{folder} holds no results (*.npz); write some with hypopose sample.")
    for path in results:
        found = [truth / f"{path.stem}{ending}" for ending in (".npy", ".npz")]
        there = [p for p in found if p.is_file()]
        if not there:
            raise FormatError(f"{path} has no truth: neither {found[0]} nor {found[1]} is there.")
        stored = load_hypotheses(path)
        target = read_truth(there[0], stored.hypotheses)
        x = stored.hypotheses
        one = Hypotheses(x.joints[None], x.skeleton)
        yield Draw(one, Poses3D(target.joints[None], x.skeleton), (path.stem,))


def read_truth(path: Path, hypotheses: Hypotheses) -> Poses3D:
    """Read ``(F, J, 3)`` camera-frame meters, and make them root-relative.

    Raises:
        FormatError: If the file is not that, does not fit the hypotheses, or is in another unit.
    """
    source = Source(path)
    if source.is_npz:
        archive = NpzArchive(source)
        if "joints" not in archive.names:
            raise source.error("has no array 'joints'", "name the truth so")
        values = archive.array("joints")
    else:
        values = read_npy(source, source.read_bytes())
    skeleton, expected = hypotheses.skeleton, tuple(hypotheses.joints.shape[-3:])
    if values.shape != expected or values.dtype.kind not in "iuf":
        raise source.error(
            f"holds {values.dtype} {values.shape}, the hypotheses need a truth {expected}",
            "give frames, joints, meters in the camera frame",
        )
    joints = torch.from_numpy(values.astype("float32"))
    joints = joints - joints[:, skeleton.root : skeleton.root + 1]
    ratio = body_size(joints) / body_size(hypotheses.joints)
    unit = next((u for u, low, high in _UNITS if low <= ratio < high), None)
    if unit is not None:
        raise source.error(
            f"holds bodies {ratio:.2g} times the size of the hypotheses', {unit}", "give meters"
        )
    return Poses3D(joints, skeleton)


_UNITS = (
    ("as if in kilometers or scaled", 0.0, 0.05),
    ("in decimeters or feet perhaps", 8.0, 30.0),
    ("in centimeters or inches, it seems", 30.0, 300.0),
    ("in millimeters, it seems", 300.0, 3000.0),
    ("in no unit of lengths that we know", 3000.0, float("inf")),
)
"""What the truth is in, by its size over that of the hypotheses; real errors stay far below."""


def body_size(joints: Tensor) -> float:
    """Median over frames of the largest distance of a joint from the root; NaN if none is known.

    Args:
        joints: ``(..., F, J, 3)``, root-relative.

    Example:
        >>> import torch
        >>> body_size(torch.tensor([[[0.0, 0, 0], [0, 0.9, 0]], [[0, 0, 0], [float("nan")] * 3]]))
        0.8999999761581421
    """
    reach = joints.norm(dim=-1).nan_to_num(0).flatten(0, -2).amax(-1)
    reach = reach[reach > 0]
    return float(reach.median()) if len(reach) else float("nan")


FITS: dict[str, Callable[[list[Draw], str], Any]] = {
    "pose": lambda draws, source: SpreadScaling.fit(_pairs(draws), per="pose", source=source),
    "joint": lambda draws, source: SpreadScaling.fit(_pairs(draws), per="joint", source=source),
    "axis": lambda draws, source: SpreadScaling.fit(_pairs(draws), per="axis", source=source),
    "isotonic": lambda draws, source: IsotonicRadii.fit(
        _pairs(draws), n_sequences=_count(draws), source=source
    ),
    "chain": lambda draws, source: Chain.fit(
        _pairs(draws), n_sequences=_count(draws), source=source
    ),
    "conformal": lambda draws, source: ConformalBalls.fit(
        _pairs(draws), sequences=[draw.sequences for draw in draws], source=source
    ),
}
"""What can be fitted: one factor per pose, joint or axis; radii; axis and radii; balls."""


def _pairs(draws: list[Draw]) -> list[tuple[Hypotheses, Poses3D]]:
    return [(draw.hypotheses, draw.truth) for draw in draws]


def _count(draws: list[Draw]) -> int:
    return len({sequence for draw in draws for sequence in draw.sequences})


def fit_calibrator(draws: Iterable[Draw], method: str = "chain", source: str = "") -> Any:
    """Fit a calibrator.

    Args:
        draws: Hypotheses with truth; kept in memory.
        method: A key of :data:`FITS`.
        source: Where the data come from, for the file.

    Raises:
        OptionError: If there is no such method.
    """
    if method not in FITS:
        raise OptionError(f"There is no calibrator {method!r}; choose one of {', '.join(FITS)}.")
    return FITS[method](list(draws), source)


def judge_draws(
    name: str,
    draws: Iterable[Draw],
    *,
    calibrators: Mapping[str, Calibrator] | None = None,
    seed: int | None = None,
    details: Mapping[str, str] | None = None,
) -> Judgement:
    """Judge draws against their truth.

    Args:
        name: The method, as tables shall call it.
        draws: Hypotheses with truth.
        calibrators: Label -> calibrator, for coverage before and after.
        seed: Seed of the hypotheses.
        details: Further settings in words.

    Raises:
        OptionError: If there are no draws.
    """
    judge = Judge(name, Settings(seed=seed), dict(details or {}))
    for draw in draws:
        moved = {k: c.transform(draw.hypotheses) for k, c in (calibrators or {}).items()}
        judge.update(
            draw.hypotheses,
            draw.truth,
            draw.sequences,
            keypoints=draw.keypoints,
            recalibrated=moved,
        )
    return judge.compute()
