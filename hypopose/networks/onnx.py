"""Networks as ONNX files, for programs without torch.

A file holds *one evaluation* of a network, as lifter, as denoiser (noisy pose in, clean pose out)
or as a prior. Samplers are loops around it, which ``docs/how-to/export-onnx.md`` shows in numpy.

| input | axes | is |
| --- | --- | --- |
| ``x_t`` | batch, hypotheses, frames, rows, 3 | noisy poses, latent noise behind the joints |
| ``keypoints`` | batch, frames, joints, 2 | what :func:`hypopose.networks.encode` gives |
| ``t`` | batch | timestep, 0 .. n_timesteps - 1, as a float |
| ``confidence`` | batch, frames, joints | 0 where undetected |
| ``mask`` | batch, frames | False for frames that are padding |
| ``context`` | batch, 2 | log(size / 0.1) and log(fps / 50) |

A file has those of them that the network reads. Batch and hypotheses may have any number, frames
too where ``network.info.n_frames`` is None. The single-frame refiner of DiffPose and the prior of
motion have no axis of hypotheses.

The file is run by onnxruntime on random inputs of other sizes than those it was traced with, and
compared with torch. A file that differs is deleted.
"""

from __future__ import annotations

import copy
import hashlib
import importlib
import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from hypopose import __version__
from hypopose.errors import BackendError, OptionError
from hypopose.io.atomic import write_atomically
from hypopose.networks.base import Form, NetworkInfo
from hypopose.networks.gcndiff import CHANNELS, DiffPosePair, GCNdiff
from hypopose.networks.hot import Hourglass
from hypopose.networks.load import load_network, weights_folder
from hypopose.networks.motion_prior import MotionPrior
from hypopose.networks.pretrained import WEIGHTS_FILE, PretrainedNetwork
from hypopose.networks.scales import ScaleNetwork
from hypopose.skeletons import SKELETONS

TOLERANCE = 1e-4
"""Largest difference from torch: 0.1 mm, or that share of the largest number if it is above 1."""

PACKAGES = ("onnx", "onnxruntime", "onnxscript")
"""Of the ``onnx`` extra."""

MEANINGS = {
    "x_t": "noisy poses: meters times the sampler's scale, plus noise; any latent noise lies in "
    "further rows of three behind the joints",
    "keypoints": "2D keypoints as 'reads' says, 0 where undetected",
    "t": "timestep per clip, a whole number 0 .. n_timesteps - 1 (the noisiest)",
    "confidence": "detector confidence, 0.05 to 1; 0 where undetected",
    "mask": "False for frames that are padding",
    "context": "log(subject size / 0.1), log(frames per second / 50)",
    "seen": "False for joints that are not attended to",
    "x0": "clean poses",
    "log_scale": "log of the expected distance of a joint from its prediction, in meters",
    "noise": "the noise in the state",
}
READS = {
    "screen": "screen coordinates: x = 2 px / width - 1, y = (2 py - height) / width",
    "subject": "rays seen by a virtual camera turned towards the subject, divided by the subject's "
    "size (hypopose.networks.encode_rays); poses are in that camera's frame",
    "none": "no keypoints: poses are slots, the root's place in the world and joints about it, "
    "meters times 'scale', z up",
}

UNSUPPORTED = ("ClipTokens", "MeshDecoder", "PMCE")
"""Networks that are not exported: torch traces clips of free length in whole tokens too slowly;
surfaces have no form here."""

Axes = tuple[str | int, ...]


@dataclass(frozen=True)
class ExportedNetwork:
    """What was written.

    Args:
        path: The file.
        form: ``"denoiser"``, ``"lifter"`` or ``"prior"``.
        inputs: Axes of each input; names are free, numbers fixed.
        difference: Largest difference from torch that was seen.
        sizes: Batch, hypotheses and frames it was seen with.
    """

    path: Path
    form: Form
    inputs: dict[str, Axes]
    difference: float
    sizes: tuple[tuple[int, int, int], ...]


class _Graph(nn.Module):
    """A network as a function of its inputs in a row."""

    def __init__(self, network: PretrainedNetwork, axes: dict[str, Axes]) -> None:
        super().__init__()
        self.network, self.names = network, tuple(axes)

    def forward(self, *tensors: Tensor) -> Any:
        given = dict(zip(self.names, tensors, strict=True))
        if isinstance(self.network, ScaleNetwork):
            return self.network.with_scale(**given)
        if "keypoints" in given:
            return self.network(**{"x_t": None, **given})
        return self.network(**given)


def forms(network: PretrainedNetwork) -> tuple[Form, ...]:
    """What a network can be exported as; the first is the default.

    Example:
        >>> from hypopose.networks import load_network
        >>> forms(load_network("d3dp-frame-small"))
        ('denoiser', 'lifter')
    """
    if isinstance(network, GCNdiff):
        return ("denoiser",)
    if isinstance(network, DiffPosePair):
        return ("lifter", "denoiser")
    named: tuple[Form, ...] = network.info.forms
    return named


def export_onnx(
    weights: str | Path | PretrainedNetwork,
    path: str | Path,
    *,
    form: Form | None = None,
    tolerance: float = TOLERANCE,
) -> ExportedNetwork:
    """Write a network as an ONNX file and compare it with torch.

    Args:
        weights: A folder of weights, the name of bundled ones, or a network.
        path: The file; one that exists is replaced, once the new one is whole and agrees.
        form: What to export it as; None for the first of :func:`forms`.
        tolerance: Largest difference from torch, see :data:`TOLERANCE`.

    Returns:
        What was written, and how far it is from torch.

    Raises:
        CheckpointError: If there are no such weights.
        OptionError: If the network has no such form.
        BackendError: If the extra is missing, the network cannot be written, or the file differs
            from torch; no file is left then.

    An example that runs is in ``docs/how-to/export-onnx.md``.
    """
    _require_packages()
    network = weights if isinstance(weights, PretrainedNetwork) else load_network(weights)
    if type(network).__name__ in UNSUPPORTED:
        raise BackendError(
            f"{type(network).__name__} cannot be written as ONNX; export a network of another "
            "class, FrameTokens for example."
        )
    form = form or forms(network)[0]
    if form not in forms(network):
        raise OptionError(
            f"{type(network).__name__} is not a {form}; choose {' or '.join(forms(network))}."
        )
    notes = {} if isinstance(weights, PretrainedNetwork) else _provenance(weights_folder(weights))
    if isinstance(network, DiffPosePair):
        network = network.lifter if form == "lifter" else network.refiner
    network = copy.deepcopy(network).cpu().float().eval()
    axes, shortest = input_axes(network, form), _shortest(network)
    path = Path(path)
    with write_atomically(path) as partial:
        program = _written(_Graph(network, axes), axes, shortest)
        read = {v.name: axes[v.name] for v in program.model.graph.inputs}
        facts = {**_facts(network, form, read, shortest), **notes}
        program.model.metadata_props.update(facts)
        program.save(partial)
        sizes = _sizes(shortest)
        difference = _compared(partial, _Graph(network, axes), axes, sizes, tolerance)
    return ExportedNetwork(path, form, read, difference, sizes)


def input_axes(network: PretrainedNetwork, form: Form) -> dict[str, Axes]:
    """Names and axes of what a network may read in a form.

    Example:
        >>> from hypopose.networks import MixSTE2
        >>> input_axes(MixSTE2(n_frames=9, width=16, depth=1), "denoiser")["x_t"]
        ('batch', 'hypotheses', 9, 17, 3)
    """
    if isinstance(network, GCNdiff):
        n_joints = SKELETONS[network.config.skeleton].n_joints
        return {
            "x_t": ("batch", n_joints, len(CHANNELS)),
            "t": ("batch",),
            "seen": ("batch", n_joints),
        }
    info = network.info
    frames = info.n_frames or "frames"
    rows = SKELETONS[info.skeleton].n_joints + info.n_latent // 3
    if form == "prior":
        return {"x_t": ("batch", frames, rows, 3), "t": ("batch",)}
    points = SKELETONS[info.keypoint_skeleton].n_joints
    axes: dict[str, Axes] = {"keypoints": ("batch", frames, points, 2)}
    if form == "denoiser":
        axes = {"x_t": ("batch", "hypotheses", frames, rows, 3), **axes, "t": ("batch",)}
    axes |= {"confidence": ("batch", frames, points), "mask": ("batch", frames)}
    return axes | ({"context": ("batch", 2)} if info.inputs == "subject" else {})


def _shortest(network: PretrainedNetwork) -> int:
    """Frames a graph traced once can take at least: clips that lose none go another way."""
    return network.config.keep + 1 if isinstance(network, Hourglass) else 2


def _sizes(shortest: int) -> tuple[tuple[int, int, int], ...]:
    """Batch, hypotheses and frames to compare with; none is the size that is traced."""
    return ((1, 1, shortest), (3, 2, shortest + 11), (1, 5, shortest + 4))


def random_inputs(
    axes: Mapping[str, Axes], size: tuple[int, int, int], n_timesteps: int = 1000
) -> dict[str, Tensor]:
    """Random inputs of some size: gaps in the keypoints, and padding at the end of a clip.

    Args:
        axes: Of each input, as in :class:`ExportedNetwork`.
        size: Batch, hypotheses and frames.
        n_timesteps: Timesteps are below it.

    Example:
        >>> random_inputs({"t": ("batch",)}, (2, 1, 1))["t"].shape
        torch.Size([2])
    """
    generator = torch.Generator().manual_seed(sum(size))
    free = dict(zip(("batch", "hypotheses", "frames"), size, strict=True))
    made = {}
    for name, named in axes.items():
        shape = [free[a] if isinstance(a, str) else a for a in named]
        x = torch.randn(shape, generator=generator)
        if name in ("mask", "seen"):
            x = torch.ones(shape, dtype=torch.bool)
            x[0, -1] = False
        elif name == "t":
            x = torch.randint(n_timesteps, shape, generator=generator).float()
        elif name == "confidence":
            x = torch.rand(shape, generator=generator).add(-0.1).clamp(min=0.0)
        made[name] = 0.3 * x if name in ("keypoints", "context") else x
    return made


def _written(graph: _Graph, axes: dict[str, Axes], shortest: int) -> Any:
    """The ONNX program of those inputs."""
    network = graph.network
    outputs = ["noise"] if isinstance(network, GCNdiff) else ["x0"]
    if isinstance(network, ScaleNetwork):
        outputs.append("log_scale")
    with _quietly(), torch.no_grad():
        try:
            traced, shapes = _traced(graph, axes, shortest)
            read = _read(traced, axes)
            if read != axes:
                traced, shapes = _traced(_Graph(network, read), read, shortest)
            program = torch.onnx.export(
                traced,
                dynamic_shapes=shapes,
                input_names=list(read),
                output_names=outputs,
                verbose=False,
            )
        except RuntimeError as error:
            reason = str(error).strip().partition("\n")[0]
            raise BackendError(
                f"torch cannot write this {type(network).__name__} as ONNX: {reason}"
            ) from error
    return program


def _traced(graph: _Graph, axes: dict[str, Axes], shortest: int) -> tuple[ExportedProgram, Any]:
    """What the network does with inputs of any size, and which axes are free."""
    free = {"batch": Dim("batch"), "hypotheses": Dim("hypotheses")}
    free["frames"] = Dim("frames", min=shortest)
    shapes = tuple(
        {i: free[a] for i, a in enumerate(named) if isinstance(a, str)} for named in axes.values()
    )
    inputs = random_inputs(axes, (2, 3, shortest + 7), _n_timesteps(graph.network))
    return torch.export.export(graph, tuple(inputs.values()), dynamic_shapes=(shapes,)), (shapes,)


def _read(traced: ExportedProgram, axes: dict[str, Axes]) -> dict[str, Axes]:
    """The inputs whose numbers, and not only sizes, the network reads."""
    nodes = {node.name: node for node in traced.graph.nodes}
    size = torch.ops.aten.sym_size.int
    inputs = zip(axes.items(), traced.graph_signature.user_inputs, strict=True)
    return {
        name: named
        for (name, named), node in inputs
        if any(u.op == "call_function" and u.target is not size for u in nodes[str(node)].users)
    }


@contextmanager
def _quietly() -> Iterator[None]:
    """Silence the messages of torch's exporter (deprecations, torchvision)."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _compared(
    path: Path,
    graph: _Graph,
    axes: dict[str, Axes],
    sizes: tuple[tuple[int, int, int], ...],
    tolerance: float,
) -> float:
    """Largest difference between the file and torch.

    Raises:
        BackendError: If it is larger than allowed, or onnxruntime cannot run the file.
    """
    runtime = importlib.import_module("onnxruntime")
    try:
        session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        seen = [_difference(session, graph, axes, size) for size in sizes]
    except Exception as error:  # onnxruntime's own errors share no base
        reason = str(error).strip().partition("\n")[0]
        raise BackendError(f"onnxruntime cannot run the file, not kept: {reason}") from error
    for (batch, _, frames), (difference, share) in zip(sizes, seen, strict=True):
        if not share <= tolerance:
            raise BackendError(
                f"onnxruntime differs from torch by {difference:.1e} for {batch} clips of {frames} "
                f"frames, more than {tolerance:.0e}; the file is not kept."
            )
    return max(difference for difference, _ in seen)


def _difference(
    session: Any, graph: _Graph, axes: dict[str, Axes], size: tuple[int, int, int]
) -> tuple[float, float]:
    """Largest difference for random inputs, and over the largest number where that is above 1."""
    names = {value.name for value in session.get_inputs()}
    tensors = random_inputs(axes, size, _n_timesteps(graph.network))
    given = {name: x.numpy() for name, x in tensors.items() if name in names}
    with torch.no_grad():
        wanted = graph(*tensors.values())
    worst, share = 0.0, 0.0
    wanted = wanted if isinstance(wanted, tuple) else (wanted,)
    for x, y in zip(wanted, session.run(None, given), strict=True):
        difference = float((x - torch.from_numpy(y)).abs().max())
        worst = max(worst, difference)
        share = max(share, difference / max(1.0, float(x.abs().max())))
    return worst, share


def _n_timesteps(network: PretrainedNetwork) -> int:
    return network.n_timesteps if isinstance(network, MotionPrior) else 1000


def _facts(
    network: PretrainedNetwork, form: Form, read: Mapping[str, Axes], shortest: int
) -> dict[str, str]:
    """Metadata for users of the file, as strings."""
    config = {k: v for k, v in network.config.items() if not k.startswith("_")}
    facts: dict[str, Any] = {
        "network": type(network).__name__,
        "form": form,
        "config": config,
        "inputs": {n: {"axes": axes, "is": MEANINGS[n]} for n, axes in read.items()},
        "hypopose_version": __version__,
        "torch_version": torch.__version__,
    }
    if isinstance(network, GCNdiff):
        names = [network.config.skeleton]
        facts |= {"units": "screen coordinates and meters", "state": CHANNELS}
    else:
        names = [network.info.skeleton, network.info.keypoint_skeleton]
        facts |= _facts_of(network.info, shortest)
    if isinstance(network, MotionPrior):
        facts |= {"scale": network.scale, "n_timesteps": network.n_timesteps}
    facts["joints"] = {name: SKELETONS[name].joint_names for name in names}
    return {k: v if isinstance(v, str) else json.dumps(v) for k, v in facts.items()}


def _facts_of(info: NetworkInfo, shortest: int) -> dict[str, Any]:
    """The network's info, as samplers need it."""
    return {
        "units": "meters" if info.units == "meters" else "as the image: screen coordinates",
        "reads": READS[info.inputs],
        "skeleton": info.skeleton,
        "keypoint_skeleton": info.keypoint_skeleton,
        "frames": info.n_frames or f"{shortest} or more",
        "trained_up_to": info.n_frames or info.max_frames,
        "sequence_to_one": info.sequence_to_one,
        "n_latent": info.n_latent,
    }


def _provenance(folder: Path) -> dict[str, str]:
    """Where weights come from and what may be done with them; how they are best sampled."""
    notes = {"sha256": hashlib.sha256((folder / WEIGHTS_FILE).read_bytes()).hexdigest()}
    notes["weights"] = folder.name
    for key, name in (
        ("sampler", "sampler.json"),
        ("training", "training.json"),
        ("provenance", "provenance.json"),
        ("model_card", "README.md"),
    ):
        if (folder / name).is_file():
            notes[key] = (folder / name).read_text(encoding="utf-8")
    given = json.loads(notes.get("provenance", "{}")).get("license")
    card = "as its model card says" if "model_card" in notes else "not stated"
    return notes | {"license": str(given or card)}


def _require_packages() -> None:
    for package in PACKAGES:
        try:
            importlib.import_module(package)
        except ModuleNotFoundError as error:
            if error.name != package:
                raise
            raise BackendError(
                f"Writing .onnx needs the package {package}: pip install 'hypopose[onnx]'."
            ) from None
