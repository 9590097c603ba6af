"""One evaluation of a network by onnxruntime and by torch, turn by turn, on the same inputs.

    python benchmarks/exported.py --weights d3dp-frame-small -o exported.json

Both get the same number of threads. Turns alternate, so that a busy machine slows both alike: read
the ratio. Processor time is recorded beside the clock.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnxruntime
import torch

from hypopose.networks import load_network
from hypopose.networks.onnx import export_onnx, random_inputs


def seconds(run: Callable[[], Any]) -> tuple[float, float]:
    start, cpu = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - start, time.process_time() - cpu


def measure(args: argparse.Namespace) -> dict[str, Any]:
    torch.set_num_threads(args.threads)
    network = load_network(args.weights)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = args.threads
    with tempfile.TemporaryDirectory() as folder:
        done = export_onnx(args.weights, Path(folder) / "network.onnx", form=args.form)
        session = onnxruntime.InferenceSession(str(done.path), options)
    frames = network.info.n_frames or args.frames
    tensors = random_inputs(done.inputs, (args.clips, args.n_hypotheses, frames))
    arrays = {name: x.numpy() for name, x in tensors.items()}
    given = {**({} if "x_t" in tensors else {"x_t": None}), **tensors}
    with torch.inference_mode():
        turns = [
            (seconds(lambda: session.run(None, arrays)), seconds(lambda: network(**given)))
            for _ in range(args.turns + 1)
        ][1:]
    clock = [statistics.median(turn[i][0] for turn in turns) for i in (0, 1)]
    cpu = [statistics.median(turn[i][1] for turn in turns) for i in (0, 1)]
    return {
        "weights": args.weights,
        "form": done.form,
        "clips, hypotheses, frames": [args.clips, args.n_hypotheses, frames],
        "threads": args.threads,
        "turns": args.turns,
        "difference": done.difference,
        "onnxruntime_s": clock[0],
        "torch_s": clock[1],
        "onnxruntime_cpu_s": cpu[0],
        "torch_cpu_s": cpu[1],
        "torch_over_onnxruntime": statistics.median(b[0] / a[0] for a, b in turns),
        "torch_over_onnxruntime_cpu": statistics.median(b[1] / a[1] for a, b in turns),
        "versions": {"torch": torch.__version__, "onnxruntime": onnxruntime.__version__},
        "machine": platform.processor() or platform.machine(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", default="d3dp-frame-small")
    parser.add_argument("--form", default=None)
    parser.add_argument("--clips", type=int, default=1)
    parser.add_argument("--n-hypotheses", type=int, default=20)
    parser.add_argument("--frames", type=int, default=81)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("-o", "--output", type=Path)
    args = parser.parse_args()
    record = json.dumps(measure(args), indent=2)
    print(record)
    if args.output is not None:
        args.output.write_text(record + "\n")


if __name__ == "__main__":
    main()
