"""Simulation-based calibration: test any sampler without a data set.

Talts, Betancourt, Simpson, Vehtari and Gelman, "Validating Bayesian inference algorithms with
simulation-based calibration" (2018); test quantities: Modrák et al. (2023). Draw a pose from a
prior, make keypoints from it, run the sampler, and rank the pose among the hypotheses. If the
sampler draws from the posterior of *that* prior and *that* detector, every rank is uniform. This
separates the sampler's own error (too few steps, guidance) from that of its prior.

Names and axes follow ``sbi``: ranks are ``(N, K)``, samples come first. Departures: K test
quantities are named quantities of the pose rather than parameters; ties are split; p-values come
from a simulated null of discrete ranks, where ``sbi`` compares them with a continuous uniform.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hypopose.calibration.histograms import RankHistogram, Test, benjamini_hochberg, holm
from hypopose.calibration.judged_quantities import JudgedQuantity, judged_quantity
from hypopose.calibration.ranks import Ranks, rank_mass, value_ranks
from hypopose.diffusion.noise import seeded_noise
from hypopose.errors import OptionError
from hypopose.types import Keypoints2D, NoiseSource, Poses3D, Sampler

Simulator = Callable[[NoiseSource], tuple[Poses3D, Keypoints2D]]
"""Draws one motion from the prior, and the keypoints a detector would see of it."""


@dataclass(frozen=True, eq=False)
class SbcResult:
    """Ranks of simulated truths among a sampler's hypotheses.

    Args:
        ranks: ``(N, K)`` hypotheses strictly below the truth.
        prior_samples: ``(N, K)`` the true quantities.
        dap_samples: ``(N, K)`` one hypothesis per run: the data-averaged posterior, which has the
            prior's distribution if the sampler is right.
        histogram: The ranks counted, ties split.
        n_hypotheses: S of each run.
    """

    ranks: Tensor
    prior_samples: Tensor
    dap_samples: Tensor
    histogram: RankHistogram
    n_hypotheses: int

    def check(self, test: Test = "ks", adjust: str = "holm") -> SbcCheck:
        """Test uniformity of every quantity, and the data-averaged posterior against the prior.

        Args:
            test: ``ks``, ``cvm`` or ``chi2``.
            adjust: Multiplicity: ``holm`` (any false alarm) or ``bh`` (share of them).

        Raises:
            OptionError: If an option is unknown.
        """
        if adjust not in _ADJUST:
            raise OptionError(f"adjust is 'holm' or 'bh', got {adjust!r}.")
        from scipy.stats import ks_2samp

        dap = [
            float(ks_2samp(a.numpy(), b.numpy()).pvalue)
            for a, b in zip(self.prior_samples.T, self.dap_samples.T, strict=True)
        ]
        return SbcCheck(
            cells=self.histogram.cells,
            p_values=_ADJUST[adjust](self.histogram.p_values(test)),
            dap_p_values=_ADJUST[adjust](torch.tensor(dap, dtype=torch.float64)),
            shapes=self.histogram.shapes(),
        )


_ADJUST = {"holm": holm, "bh": benjamini_hochberg}


@dataclass(frozen=True, eq=False)
class SbcCheck:
    """Verdict on the ranks, adjusted for the number of quantities.

    Args:
        cells: Names of the quantities.
        p_values: ``(K,)`` of uniform ranks.
        dap_p_values: ``(K,)`` of prior and data-averaged posterior being alike.
        shapes: ``flat``, ``u`` (overconfident), ``hump`` (underconfident), ``high`` or ``low``.
    """

    cells: tuple[str, ...]
    p_values: Tensor
    dap_p_values: Tensor
    shapes: tuple[str, ...]

    def passed(self, level: float = 0.05) -> bool:
        """True if no quantity is rejected."""
        return bool((self.p_values >= level).all() and (self.dap_p_values >= level).all())


def run_sbc(
    sampler: Sampler,
    simulator: Simulator,
    n: int,
    *,
    n_hypotheses: int = 49,
    of: Sequence[str] = ("axis",),
    frame: int | None = None,
    joints: Sequence[int] | None = None,
    seed: int = 0,
) -> SbcResult:
    """Simulate, sample and rank, ``n`` times.

    Args:
        sampler: The sampler under test.
        simulator: Draws a motion and its keypoints from one noise source.
        n: Simulated data sets.
        n_hypotheses: Hypotheses per run, S. S + 1 a divisor or multiple of 20 bins evenly.
        of: Test quantities: scalars such as ``axis``, ``bone_length``, ``speed``.
        frame: The frame that is ranked; the middle one if None.
        joints: Joints by index; all but the root if None.
        seed: Run i simulates with noise item ``simulate i`` and samples with ``sample i``.

    Returns:
        Ranks, histograms and the data-averaged posterior.

    Raises:
        OptionError: If a quantity is not a scalar, or ``n`` is not positive.
    """
    if n < 1:
        raise OptionError(f"SBC needs at least one simulated data set, got n={n}.")
    skeleton = sampler.skeleton
    chosen = tuple(j for j in range(skeleton.n_joints) if j != skeleton.root)
    chosen = chosen if joints is None else tuple(joints)
    cells = [judged_quantity(name, chosen, skeleton.joint_names, skeleton) for name in of]
    rows = []
    for i in range(n):
        truth, keypoints = simulator(seeded_noise(seed, [f"simulate {i}"]))
        noise = seeded_noise(seed, [f"sample {i}"])
        hypotheses = sampler.sample(keypoints, n_hypotheses, noise)
        rows.append(_quantities_at(hypotheses.joints, truth.joints, cells, frame))
    table = torch.stack(rows, 1)
    return sbc_from_samples(table[:-1], table[-1], tuple(name for c in cells for name in c.cells))


def _quantities_at(
    x: Tensor, y: Tensor, cells: Sequence[JudgedQuantity], frame: int | None
) -> Tensor:
    """Quantities of the hypotheses, then of the truth, at one frame: ``(S + 1, K)``."""
    at = y.shape[-3] // 2 if frame is None else frame
    window = slice(max(0, at - max(c.extra_frames for c in cells)), at + 1)
    both = torch.cat([x, y.unsqueeze(-4)], -4)[..., window, :, :]
    values = [c.apply(both)[..., -1, :, :] for c in cells]
    row = torch.cat(values, -2).reshape(len(x) + 1, -1, values[0].shape[-1])
    if row.shape[-1] != 1:
        raise OptionError("SBC ranks scalars; use 'axis', 'depth', 'bone_length' or 'speed'.")
    return row.squeeze(-1).double()


def sbc_from_samples(
    samples: Tensor, truth: Tensor, cells: tuple[str, ...] | None = None
) -> SbcResult:
    """Rank true parameters among posterior samples that are already there.

    Args:
        samples: ``(S, N, K)``, sample-first as in ``sbi``.
        truth: ``(N, K)``.
        cells: Names of the K quantities.

    Example:
        >>> x = torch.randn(20, 500, 2, generator=torch.Generator().manual_seed(0))
        >>> sbc_from_samples(x[1:], x[0]).check().passed()
        True
        >>> sbc_from_samples(0.5 * x[1:], x[0]).check().shapes
        ('u', 'u')
    """
    s, n, k = samples.shape
    ranks = value_ranks(samples.movedim(0, -1), truth)
    flat = Ranks(
        ranks.below.reshape(-1),
        ranks.ties.reshape(-1),
        ranks.n.reshape(-1),
        ranks.identical.reshape(-1),
        ranks.counts,
    )
    mass = rank_mass(flat, torch.arange(k).repeat(n), k, s)[:, :-1]
    names = cells or tuple(f"quantity {i}" for i in range(k))
    histogram = RankHistogram(mass, mass.sum(-1), names)
    return SbcResult(ranks.below, truth, samples[0], histogram, s)
