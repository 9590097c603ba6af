"""The default network by torch, onnxruntime and OpenVINO, turn by turn.

    OMP_NUM_THREADS=1 python benchmarks/backends.py --frames 27 81

One thread each. ``network`` is the evaluations of one draw (20 hypotheses, half of them through the
mirror), ``end to end`` a keypoint file in and a result file out. Processor milliseconds, the best
of the turns, which alternate so that a busy machine slows all alike; ``difference`` is the largest
distance in meters of a joint from torch's float32. Ways whose package is not installed are left
out.
"""

from __future__ import annotations

import importlib.util
import json
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import torch
from torch import Tensor

import hypopose
from hypopose.api import make_pipeline
from hypopose.diffusion import seeded_noise
from hypopose.io import save_keypoints
from hypopose.networks.onnx import export_onnx
from hypopose.types import Keypoints2D


class Elsewhere:
    """A network by another engine, as samplers call it.

    Args:
        info: Of the network.
        names: Of its inputs.
        run: From arrays by name to poses.
    """

    def __init__(self, info: Any, names: list[str], run: Callable[[dict[str, Any]], Any]) -> None:
        self.info, self.names, self.run = info, names, run
        self.seconds = 0.0

    def __call__(
        self, x_t: Tensor, keypoints: Tensor, t: Tensor, confidence: Tensor, mask: None,
        context: Tensor,
    ) -> Tensor:  # fmt: skip
        """Poses of the engine, timed."""
        given = {"x_t": x_t, "keypoints": keypoints, "t": t, "confidence": confidence}
        given |= {"context": context, "mask": torch.ones(keypoints.shape[:2], dtype=torch.bool)}
        fed = {name: given[name].contiguous().numpy() for name in self.names}
        start = time.process_time()
        y = self.run(fed)
        self.seconds += time.process_time() - start
        return torch.from_numpy(y)


class Timed(torch.nn.Module):
    """A network of torch whose evaluations are timed."""

    def __init__(self, network: Any, info: Any) -> None:
        super().__init__()
        self.network, self.info, self.seconds = network, info, 0.0

    def forward(self, *given: Any) -> Tensor:
        """Poses of the network, timed."""
        start = time.process_time()
        y: Tensor = self.network(*given)
        self.seconds += time.process_time() - start
        return y


def ways(sampler: Any, folder: Path, compiled: bool) -> dict[str, Any]:
    """Samplers by name; torch first."""
    network, info = sampler.network, sampler.network.info
    found = {"torch float32": replace(sampler, network=Timed(network, info))}
    found["torch bfloat16"] = replace(found["torch float32"], precision="bfloat16")
    if compiled:
        quick = torch.compile(network, dynamic=False)
        found["torch.compile float32"] = replace(sampler, network=Timed(quick, info))
    if importlib.util.find_spec("onnxruntime") is not None:
        path = export_onnx(network, folder / "network.onnx", form="denoiser").path
        found["onnxruntime float32"] = replace(sampler, network=by_onnxruntime(path, info))
        if importlib.util.find_spec("openvino") is not None:
            for precision in ("f32", "bf16"):
                made = by_openvino(path, info, precision)
                found[f"OpenVINO {precision}"] = replace(sampler, network=made)
    return found


def by_onnxruntime(path: Path, info: Any) -> Elsewhere:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options)
    names = [value.name for value in session.get_inputs()]
    return Elsewhere(info, names, lambda fed: session.run(["x0"], fed)[0])


def by_openvino(path: Path, info: Any, precision: str) -> Elsewhere:
    import openvino

    options = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": precision}
    model = openvino.Core().compile_model(str(path), "CPU", options)
    names = [value.any_name for value in model.inputs]
    return Elsewhere(info, names, lambda fed: model(fed)[0].copy())


def clip(n_frames: int) -> Keypoints2D:
    """The built-in walk, repeated."""
    keypoints, _ = hypopose.datasets.example_pair()
    times = -(-n_frames // keypoints.n_frames)
    xy = keypoints.xy.repeat(times, 1, 1)[:n_frames]
    return replace(keypoints, xy=xy, confidence=None, covariance=None)


@click.command()
@click.option("--frames", "lengths", multiple=True, type=int, default=(27, 81), show_default=True)
@click.option("--turns", default=8, show_default=True)
@click.option(
    "--compile", "compiled", is_flag=True, help="Also torch.compile, which takes minutes."
)
def main(lengths: tuple[int, ...], turns: int, compiled: bool) -> None:
    """Print milliseconds of every way, and how far its poses are from torch's."""
    torch.set_num_threads(1)
    sampler: Any = hypopose.make_sampler()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = ways(sampler, folder, compiled)
        pipelines = {way: make_pipeline(sampler=made, threads=1) for way, made in found.items()}
        for n in lengths:
            save_keypoints(folder / "in.npz", clip(n))
            rows: dict[str, Any] = {}
            first = None
            for way, made in found.items():
                x = made.sample(hypopose.prepare(clip(n)), 20, seeded_noise(0)).joints
                first = x if first is None else first
                rows[way] = {"network_ms": 1e9, "end_to_end_ms": 1e9}
                rows[way]["difference"] = float((x - first).norm(dim=-1).max())
            for _ in range(turns):
                for way, pipeline in pipelines.items():
                    network: Any = found[way].network
                    network.seconds, start = 0.0, time.process_time()
                    for result in pipeline.estimate_file(folder / "in.npz").values():
                        hypopose.save_result(folder / "out.npz", result)
                    used = {"network_ms": network.seconds}
                    used["end_to_end_ms"] = time.process_time() - start
                    for key, value in used.items():
                        rows[way][key] = min(rows[way][key], round(1000 * value, 2))
            told = {"frames": n, "load": round(os.getloadavg()[0], 1), "ways": rows}
            click.echo(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
