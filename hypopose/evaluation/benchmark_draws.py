"""Draws: hypotheses and their truth, from a benchmark, from files or from memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hypopose.datasets import Benchmark, batches, stack
from hypopose.diffusion import seeded_noise
from hypopose.errors import FormatError, OptionError, ShapeError
from hypopose.evaluation.comparison import check_target
from hypopose.evaluation.truth import read_truth
from hypopose.io import load_hypotheses
from hypopose.skeletons import convert
from hypopose.types import Hypotheses, Keypoints2D, Poses3D, Sampler


@dataclass(frozen=True, eq=False)
class Draw:
    """Hypotheses and their truth.

    Args:
        hypotheses: ``(N, H, F, J, 3)``, meters.
        truth: ``(N, F, J, 3)``.
        sequences: The recording each of the N is cut from.
        keypoints: With a camera, in the same skeleton; None if unknown.
        actions: What each of the N shows; empty if unknown.
        seams: Frames where the sampler's windows meet.
        seconds: Time that sampling took.

    Raises:
        ShapeError: If axes or numbers of labels do not belong together.
        SkeletonMismatchError: If the skeletons differ.
    """

    hypotheses: Hypotheses
    truth: Poses3D
    sequences: tuple[Hashable, ...]
    keypoints: Keypoints2D | None = None
    actions: tuple[str, ...] = ()
    seams: tuple[int, ...] = ()
    seconds: float = 0.0

    def __post_init__(self) -> None:
        check_target(self.hypotheses, self.truth)
        n = self.truth.joints.shape[0] if self.truth.joints.dim() == 4 else None
        if n is None or len(self.sequences) != n or len(self.actions) not in (0, n):
            raise ShapeError(
                "A draw has one batch axis and a sequence label per item; got a truth "
                f"{tuple(self.truth.joints.shape)} and {len(self.sequences)} labels."
            )

    @classmethod
    def of(
        cls,
        hypotheses: Hypotheses,
        truth: Poses3D,
        sequences: Sequence[Hashable] | None = None,
    ) -> Draw:
        """A draw from arrays with any batch axes; without labels every item is its own sequence.

        Example:
            >>> from hypopose.datasets import example_pair
            >>> _, truth = example_pair()
            >>> x = truth.joints.expand(5, *truth.joints.shape)
            >>> Draw.of(Hypotheses(x, truth.skeleton), truth).hypotheses.joints.shape[0]
            1
        """
        check_target(hypotheses, truth)
        x, y = hypotheses.joints, truth.joints
        flat = Hypotheses(x.reshape(-1, *x.shape[-4:]), hypotheses.skeleton)
        target = Poses3D(y.reshape(-1, *y.shape[-3:]), truth.skeleton)
        labels = range(len(target.joints)) if sequences is None else sequences
        return cls(flat, target, tuple(labels))

    @property
    def cells(self) -> list[tuple[str, Hashable]]:
        """Action (empty if unknown) and sequence of each item."""
        actions = self.actions or ("",) * len(self.sequences)
        return list(zip(actions, self.sequences, strict=True))

    def by_action(self) -> Iterator[tuple[str, Draw]]:
        """The draw cut into its actions; keypoints are left out."""
        if len(set(self.actions)) < 2:
            yield (self.actions[0] if self.actions else ""), self
            return
        for action in dict.fromkeys(self.actions):
            rows = [i for i, own in enumerate(self.actions) if own == action]
            yield (
                action,
                Draw(
                    Hypotheses(self.hypotheses.joints[rows], self.hypotheses.skeleton),
                    Poses3D(self.truth.joints[rows], self.truth.skeleton),
                    tuple(self.sequences[i] for i in rows),
                ),
            )


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
        seed: Every view has its own noise from seed, clip and first frame, whatever the batch.
        limit: Only this many views, spread evenly.
        batch_size: Views sampled together.
        progress: Called with views done and views in all.

    Yields:
        One draw per batch; clips are the sequences.

    Raises:
        FormatError: If the shards are not there, or not those of the benchmark.
        OptionError: If an option is out of range.
    """
    if n_hypotheses < 1 or batch_size < 1:
        raise OptionError("n_hypotheses and batch_size must be at least 1.")
    from hypopose.samplers.windows import window_seams  # imports networks

    n_views = len(benchmark.views) if limit is None else min(limit, len(benchmark.views))
    done = 0
    for group in batches(benchmark.items(folder, limit), batch_size):
        keypoints, truth = stack(group)
        keypoints = convert(keypoints, sampler.skeleton)
        start = time.perf_counter()
        noise = seeded_noise(seed, [item.name for item in group])
        hypotheses = sampler.sample(keypoints, n_hypotheses, noise)
        seconds = time.perf_counter() - start
        yield Draw(
            replace(hypotheses, joints=hypotheses.joints.to(truth.joints)),
            truth,
            tuple(item.view.clip for item in group),
            keypoints,
            tuple(item.action for item in group),
            tuple(window_seams(sampler, truth.joints.shape[-3])),
            seconds,
        )
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
        hypotheses = load_hypotheses(path).hypotheses
        plain = Hypotheses(hypotheses.joints, hypotheses.skeleton)
        yield Draw.of(plain, read_truth(there[0], hypotheses), [path.stem])
