"""Memory and time of the streaming accumulators against the number of frames.

    python benchmarks/calibration_streaming.py --frames 50000 500000 -o curve.json
    python benchmarks/calibration_streaming.py --everything --frames 10000 50000 -o everything.json
    python benchmarks/calibration_streaming.py --energy-only --frames 500000 -o energy.json

Hypotheses are made block by block, as a sampler would, and never kept; making them is not timed.
One stream goes through all accumulators; at each number of frames asked for, what it took so far is
noted, every result is computed, and what that took is noted too. Seconds are those of the
processor, which a busy machine stretches less than the clock's.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from hypopose.calibration import CurveAccumulator, SpreadAccumulator, energy_score
from hypopose.evaluation import Evaluator, calibration_results
from hypopose.evaluation.accumulator import FrameSums
from hypopose.skeletons import H36M17
from hypopose.types import Hypotheses, Poses3D

Step = Callable[[Tensor, Tensor, str], None]


def blocks(n_clips: int, shape: tuple[int, int, int]) -> Iterator[tuple[Tensor, Tensor, str]]:
    """Clips ``(H, F, J)`` of calibrated normal hypotheses, ten clips a sequence."""
    n_hypotheses, clip, n_joints = shape
    g = torch.Generator().manual_seed(0)
    scale = torch.linspace(0.0, 0.1, n_joints)[:, None]
    for i in range(n_clips):
        x = scale * torch.randn(n_hypotheses + 1, clip, n_joints, 3, generator=g)
        yield x[1:], x[0], f"sequence {i // 10}"


def accumulators(with_energy: bool) -> tuple[dict[str, Step], Callable[[], float]]:
    """What people call on its own: curve, PIT per axis, spread-skill, energy score per joint."""
    curve, pit = CurveAccumulator(), CurveAccumulator(of="axis", statistic="value")
    spread, energy = SpreadAccumulator(), FrameSums()

    def compute() -> float:
        pit.compute()
        spread.compute()
        if with_energy:
            energy.estimate("energy")
        result = curve.compute()
        result.interval()
        return result.ece

    steps: dict[str, Step] = {
        "calibration curve": lambda x, y, name: curve.update(x, y, sequences=[name]),
        "PIT per axis": lambda x, y, name: pit.update(x, y, sequences=[name]),
        "spread and skill": lambda x, y, name: spread.update(x, y),
    }
    if with_energy:
        steps["energy score"] = lambda x, y, name: _add_energy(energy, x, y, name)
    return steps, compute


def energy_alone() -> tuple[dict[str, Step], Callable[[], float]]:
    """The energy score per joint, which takes O(S^2), and its interval."""
    energy = FrameSums()

    def step(x: Tensor, y: Tensor, name: str) -> None:
        _add_energy(energy, x, y, name)

    def compute() -> float:
        found = energy.estimate("energy")
        assert found is not None
        return found.value

    return {"energy score": step}, compute


def _add_energy(sums: FrameSums, x: Tensor, y: Tensor, name: str) -> None:
    sums.update({"energy": energy_score(x, y).mean(-1)[None]}, [("", name)])


def everything() -> tuple[dict[str, Step], Callable[[], float]]:
    """All that ``hypopose calibrate`` computes: the above, errors, poses' scores, oracle curves."""
    evaluator = Evaluator(distributions=True)

    def step(x: Tensor, y: Tensor, name: str) -> None:
        evaluator.add(Hypotheses(x, H36M17), Poses3D(y, H36M17), [name])

    def compute() -> float:
        reliability = calibration_results("normal", evaluator).reliability
        assert reliability is not None
        return reliability.ece

    return {"calibrate": step}, compute


def run(
    frames: list[int],
    shape: tuple[int, int, int],
    made: tuple[dict[str, Step], Callable[[], float]],
    result: str,
) -> Iterator[dict[str, float]]:
    """One row for each number of frames."""
    steps, compute = made
    seconds = dict.fromkeys(steps, 0.0)
    n, start_memory = 0, _peak()
    for x, y, sequence in blocks(max(frames) // shape[1], shape):
        for name, step in steps.items():
            start = time.process_time()
            step(x, y, sequence)
            seconds[name] += time.process_time() - start
        n += shape[1]
        if n in frames:
            streaming, start = _peak(), time.process_time()
            value = compute()
            yield {
                "frames": n,
                **{f"{name}, s": round(value, 1) for name, value in seconds.items()},
                "compute, s": round(time.process_time() - start, 1),
                "peak before, GiB": start_memory,
                "peak while streaming, GiB": streaming,
                "peak with results, GiB": _peak(),
                result: round(value, 5),
            }


def _peak() -> float:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 3)


def _commit() -> str:
    said = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=Path(__file__).parent,
        capture_output=True,
        check=False,
    )
    return said.stdout.decode().strip() or "unknown"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, nargs="+", default=[5000, 10000, 20000])
    parser.add_argument("--hypotheses", type=int, default=200)
    parser.add_argument("--joints", type=int, default=17, help="The first is the root.")
    parser.add_argument("--clip", type=int, default=50, help="Frames that come together.")
    parser.add_argument("--everything", action="store_true", help="All that calibrate computes.")
    parser.add_argument("--energy-only", action="store_true", help="Nothing else.")
    parser.add_argument("--no-energy", action="store_true", help="Leave out what takes O(S^2).")
    parser.add_argument("-o", "--output", type=Path, help="JSON to write after every row.")
    options = parser.parse_args()
    if any(n % options.clip for n in options.frames):
        parser.error(f"frames come in clips of {options.clip}")
    if options.everything and options.joints != 17:
        parser.error("calibrate knows bodies of 17 joints")
    torch.set_num_threads(1)
    report = {
        "machine": platform.machine(), "python": platform.python_version(),
        "torch": torch.__version__, "commit": _commit(), "threads": 1,
        "hypotheses": options.hypotheses, "joints": options.joints, "clip": options.clip,
        "rows": [],
    }  # fmt: skip
    shape = (options.hypotheses, options.clip, options.joints)
    made, result = accumulators(not options.no_energy), "ece"
    if options.everything:
        made = everything()
    elif options.energy_only:
        made, result = energy_alone(), "energy score, m"
    for row in run(options.frames, shape, made, result):
        report["rows"].append(row)
        print(json.dumps(row), flush=True)
        if options.output:
            options.output.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
