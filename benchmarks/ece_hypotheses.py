"""Does the ECE depend on the number of hypotheses?

    python benchmarks/ece_hypotheses.py -o ece.json

A normal truth and normal hypotheses whose spread is a known factor of the honest one: the ECE in
the limit of many hypotheses is a formula. Printed beside it: the ECE found with S hypotheses, its
standard error over repetitions, and what counting ranks among all S would say (levels above
S / (S + 1) left out).
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import torch
from scipy.stats import chi2

from hypopose.calibration import ece

REPETITIONS = 8


def exact(spread: float, dimensions: int) -> float:
    """The mean over levels of |F(a^2 F^-1(q)) - q|, F the chi-square distribution."""
    levels = torch.linspace(0.05, 0.95, 19, dtype=torch.float64).numpy()
    covered = chi2.cdf(spread**2 * chi2.ppf(levels, dimensions), dimensions)
    return float(abs(covered - levels).mean())


def measured(spread: float, of: str, n_hypotheses: int, n: int) -> dict[str, float]:
    """Mean and standard error over repetitions of n observations a cell."""
    limit, counted = [], []
    for seed in range(REPETITIONS):
        g = torch.Generator().manual_seed(seed)
        x = torch.randn(n, n_hypotheses + 1, 1, 1, 3, generator=g)
        curve = ece(spread * x[:, 1:], x[:, 0], of=of)
        limit.append(curve.ece)
        counted.append(float((curve.coverage - curve.levels).abs().nanmean()))
    return {
        "S": n_hypotheses,
        "ece": float(torch.tensor(limit).mean()),
        "standard error": float(torch.tensor(limit).std()) / math.sqrt(REPETITIONS),
        "counted": float(torch.tensor(counted).mean()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--observations", type=int, default=8000, help="In one repetition.")
    parser.add_argument("--hypotheses", type=int, nargs="+", default=[5, 10, 20, 50, 200])
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for of, dimensions in (("joint", 3), ("axis", 1)):
        for spread in (0.5, 0.7, 1.0, 1.5, 2.0):
            for s in options.hypotheses:
                row = {"of": of, "spread": spread, "exact": exact(spread, dimensions)}
                rows.append(row | measured(spread, of, s, options.observations))
                print(json.dumps(rows[-1]), flush=True)
    if options.output:
        options.output.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
