"""Memory and time of the streaming accumulators against the number of frames.

    python benchmarks/calibration_streaming.py --frames 500000 --hypotheses 200

Hypotheses are made block by block, as a sampler would, and never kept; making them is not timed.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import time
from collections.abc import Iterator

import torch
from torch import Tensor

from hypopose.calibration import CurveAccumulator, ScoreAccumulator, SpreadAccumulator, energy_score

CLIP = 50


def blocks(n_frames: int, n_hypotheses: int) -> Iterator[tuple[Tensor, Tensor, str]]:
    """Clips of calibrated normal hypotheses, ten clips a sequence."""
    g = torch.Generator().manual_seed(0)
    scale = torch.linspace(0.0, 0.1, 17)[:, None]
    for i in range(n_frames // CLIP):
        x = scale * torch.randn(n_hypotheses + 1, CLIP, 17, 3, generator=g)
        yield x[1:], x[0], f"sequence {i // 10}"


def run(n_frames: int, n_hypotheses: int, with_energy: bool) -> dict[str, float]:
    accumulators = {"curve": CurveAccumulator(), "spread": SpreadAccumulator()}
    if with_energy:
        accumulators["energy score"] = ScoreAccumulator(energy_score)
    seconds = dict.fromkeys(accumulators, 0.0)
    for x, y, sequence in blocks(n_frames, n_hypotheses):
        for name, accumulator in accumulators.items():
            start = time.process_time()
            if name == "spread":
                accumulator.update(x, y)
            else:
                accumulator.update(x, y, sequences=[sequence])
            seconds[name] += time.process_time() - start
    start = time.process_time()
    ece = accumulators["curve"].compute().ece
    accumulators["spread"].compute()
    seconds["compute"] = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"frames": n_frames, "hypotheses": n_hypotheses, "ece": round(ece, 5),
            "peak GiB": round(peak, 2), **{k: round(v, 1) for k, v in seconds.items()}}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, nargs="+", default=[5000, 10000, 20000])
    parser.add_argument("--hypotheses", type=int, default=200)
    parser.add_argument("--energy", action="store_true", help="The energy score too: O(S^2).")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"# {platform.processor() or platform.machine()}, torch {torch.__version__}, CPU seconds")
    for n in options.frames:
        print(json.dumps(run(n, options.hypotheses, options.energy)), flush=True)


if __name__ == "__main__":
    main()
