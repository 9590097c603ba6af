"""Official checkpoints to our format: ``config.json``, ``model.safetensors``, ``sampler.json``.

A checkpoint is a pickle, and a pickle can run code. It is read by :mod:`hypopose.networks.unpickle`
in a separate process with a time limit and an explicit list of allowed names; only plain tensors
come back. Names and shapes must then match the layout exactly.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from hypopose.diffusion import Schedule, cosine_schedule
from hypopose.errors import CheckpointError, OptionError
from hypopose.networks.checkpoint_detection import detect_layout
from hypopose.networks.gcndiff import DiffPosePair
from hypopose.networks.gcnpose import graph_state_from_official
from hypopose.networks.layouts import (
    gla_gcn_from_official,
    hot_from_official,
    ktpformer_from_official,
    mixste_config,
    motionagformer_from_official,
    mpm_from_official,
    platypose_from_official,
    uao_from_official,
)
from hypopose.networks.layouts_pmce import pmce_from_official
from hypopose.networks.mixste import MixSTE2, name_from_official
from hypopose.networks.pretrained import PretrainedNetwork, load_strictly

UNPICKLE = Path(__file__).with_name("unpickle.py")

ANY_ENTRY = "*"
"""Stands for the entry in which released checkpoints keep their state dict."""

LICENSE_NOTE = (
    "Converted from a file its user provided. The weights keep the license of their authors and of "
    "the data they were trained on (Human3.6M and MPI-INF-3DHP: research only)."
)


@dataclass(frozen=True)
class Converted:
    """A network and the options its sampler needs.

    Args:
        network: Filled.
        sampler: Contents of ``sampler.json``.
    """

    network: PretrainedNetwork
    sampler: dict[str, Any]


def convert_checkpoint(
    source: str | Path,
    folder: str | Path,
    *,
    layout: str | None = None,
    timeout_s: float = 600.0,
    overwrite: bool = False,
    **options: Any,
) -> Path:
    """Convert an official checkpoint to a folder of weights.

    Args:
        source: The file as released (``h36m_best_epoch.bin``, ...).
        folder: Where to write; must not exist yet, or be empty.
        layout: A name in :data:`LAYOUTS`; None to tell it by the names of the tensors.
        timeout_s: The reading process is stopped after so many seconds.
        overwrite: Replace a folder of weights that is there; other folders are never replaced.
        **options: What the layout cannot tell from shapes, see :func:`d3dp_from_official`.

    Returns:
        The folder, with ``provenance.json`` beside the weights.

    Raises:
        CheckpointError: If the file is unsafe, damaged, or does not fit the layout; nothing is
            written then.
    """
    source, folder = Path(source), Path(folder)
    if layout is not None and layout not in LAYOUTS:
        raise CheckpointError(f"layout={layout!r} is not one of {', '.join(LAYOUTS)}.")
    _check_free(folder, overwrite)
    entry = ANY_ENTRY if layout is None else LAYOUTS[layout][0]
    state = read_checkpoint(source, entry, timeout_s=timeout_s)
    layout = layout or detect_layout(state)
    converted = LAYOUTS[layout][1](state, **options)
    provenance = {
        "source": source.name,
        "sha256": _sha256(source),
        "layout": layout,
        "license": LICENSE_NOTE,
    }
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        converted.network.save_pretrained(partial)
        _write_json(partial / "sampler.json", converted.sampler)
        _write_json(partial / "provenance.json", provenance)
        partial.chmod(0o755)
        _move(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def _check_free(folder: Path, overwrite: bool) -> None:
    """Refuse to replace anything but weights, and weights unless asked to."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not overwrite:
        raise CheckpointError(
            f"{folder} exists already; choose a new folder for the weights, or --force "
            "(overwrite=True) to replace it."
        )
    if not (folder / "config.json").is_file():
        raise CheckpointError(
            f"{folder} is not a folder of weights, so it is not replaced; choose a new folder."
        )


def _move(partial: Path, folder: Path) -> None:
    """Put the finished folder in its place; what was there goes only then."""
    old = partial.with_name(f"{partial.name}.old")
    if folder.exists():
        os.replace(folder, old)
    os.replace(partial, folder)
    shutil.rmtree(old, ignore_errors=True)


def read_checkpoint(
    source: str | Path, entry: str, *, timeout_s: float = 600.0
) -> dict[str, Tensor]:
    """The tensors of a PyTorch checkpoint, read in a separate process.

    Args:
        source: Zip or legacy format.
        entry: Key of the state dict inside the checkpoint; :data:`ANY_ENTRY` for where released
            checkpoints have it.
        timeout_s: The process is stopped after so many seconds.

    Returns:
        Tensors by their official names.

    Raises:
        CheckpointError: If the file is absent, damaged, would run code, or takes too long.
    """
    source = Path(source)
    if not source.is_file():
        raise CheckpointError(f"{source} is not a file; give the checkpoint as it was released.")
    with tempfile.TemporaryDirectory() as scratch:
        target = Path(scratch) / "tensors.safetensors"
        command = [sys.executable, "-I", str(UNPICKLE), str(source.resolve()), str(target), entry]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=timeout_s, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise CheckpointError(f"{source} was not read within {timeout_s:g} s.") from error
        if done.returncode:
            lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
            raise CheckpointError(
                f"{source} is refused: {lines[-1]}. Only files with plain tensors, as released by "
                "the method's authors, are read; no code in them is run."
            )
        return load_file(target)


def d3dp_from_official(
    state: dict[str, Tensor],
    *,
    n_heads: int = 8,
    keypoint_skeleton: str = "h36m17",
    skeleton: str = "h36m17",
) -> Converted:
    """MixSTE2 and D3DP's options from the ``model_pos`` of a released checkpoint.

    Args:
        state: Tensors by official names, with or without DataParallel's ``module.``.
        n_heads: Attention heads; shapes do not tell.
        keypoint_skeleton: Name of the 2D skeleton it was trained on (``coco17`` in the wild).
        skeleton: Name of the 3D skeleton (``3dhp17`` for MPI-INF-3DHP).

    Returns:
        The filled network; everything else is inferred from shapes and checked.

    Raises:
        CheckpointError: Listing missing and unexpected names, and shapes that differ.
    """
    state = {name.removeprefix("module."): x for name, x in state.items()}
    prefix = "pose_estimator."
    parts = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
    buffers = {k: v for k, v in state.items() if not k.startswith(prefix)}
    schedule = _check_buffers(buffers)
    config = mixste_config(parts)
    network = MixSTE2(
        **config, n_heads=n_heads, keypoint_skeleton=keypoint_skeleton, skeleton=skeleton
    )
    ours = {name_from_official(name): x.float() for name, x in parts.items()}
    load_strictly(network, ours, "The checkpoint")
    sampler = {
        "sampler": "d3dp",
        "n_steps": 5,
        "n_timesteps": schedule.n_timesteps,
        "scale": 1.0,
        "clamp": 1.1,
        "eta": 1.0,
        "flip": True,
    }
    return Converted(network.eval(), sampler)


def diffpose_from_official(
    state: dict[str, Tensor],
    *,
    lifter: str | Path | None = None,
    n_heads: int = 4,
    skeleton: str = "h36m17",
    keypoint_skeleton: str = "h36m17",
) -> Converted:
    """DiffPose's lifter and denoiser from their two released checkpoints.

    Args:
        state: Of the denoiser (``diffpose_uvxyz_cpn.pth``), by official names.
        lifter: The lifter's file (``gcn_xyz_cpn.pth``).
        n_heads: Attention heads; shapes do not tell.
        skeleton: Name of the skeleton.
        keypoint_skeleton: The same; the released networks know only one.

    Returns:
        The filled pair. As in the released evaluation, weights are those of the last step; the
        averaged ones beside them are not used.

    Raises:
        CheckpointError: If a file is unsafe or holds something else.
    """
    if lifter is None:
        raise CheckpointError(
            "DiffPose has two checkpoints: name the lifter's too, lifter='gcn_xyz_cpn.pth'."
        )
    lifted = read_checkpoint(lifter, "0")
    weight = state.get("module.gconv_input.weight", state.get("gconv_input.weight"))
    if weight is None or weight.dim() != 4 or keypoint_skeleton != skeleton:
        raise CheckpointError(
            "The checkpoint has no gconv_input.weight with 4 axes, so it is not a DiffPose "
            "denoiser; or its keypoints and poses are to have different skeletons."
        )
    n_layers = len({m[1] for k in state if (m := re.search(r"atten_layers\.(\d+)\.", k))})
    network = DiffPosePair(weight.shape[3], n_layers, n_heads, skeleton=skeleton)
    unused = re.compile(r"(module\.)?temb\.")
    lifted = {k: x for k, x in lifted.items() if not unused.match(k)}
    load_strictly(network.refiner, graph_state_from_official(state), "The denoiser's checkpoint")
    load_strictly(network.lifter, graph_state_from_official(lifted), "The lifter's checkpoint")
    sampler = {
        "sampler": "diffpose-released",
        "n_steps": 2,
        "n_test_timesteps": 24,
        "n_timesteps": 51,
        "betas": "linear",
        "beta_start": 1e-4,
        "beta_end": 1e-3,
        "eta": 0.0,
    }
    return Converted(network.eval(), sampler)


def schedule_buffers(schedule: Schedule) -> dict[str, Tensor]:
    """The twelve buffers that released checkpoints carry, by their official names.

    Args:
        schedule: Any schedule.

    Returns:
        Double-precision vectors of length T.

    Example:
        >>> len(schedule_buffers(cosine_schedule(50)))
        12
    """
    beta, bar = schedule.betas, schedule.alpha_bar
    before = torch.cat([torch.ones(1, dtype=bar.dtype), bar[:-1]])
    variance = beta * (1 - before) / (1 - bar)
    return {
        "betas": beta,
        "alphas_cumprod": bar,
        "alphas_cumprod_prev": before,
        "sqrt_alphas_cumprod": bar.sqrt(),
        "sqrt_one_minus_alphas_cumprod": (1 - bar).sqrt(),
        "log_one_minus_alphas_cumprod": (1 - bar).log(),
        "sqrt_recip_alphas_cumprod": (1 / bar).sqrt(),
        "sqrt_recipm1_alphas_cumprod": (1 / bar - 1).sqrt(),
        "posterior_variance": variance,
        "posterior_log_variance_clipped": variance.clamp(min=1e-20).log(),
        "posterior_mean_coef1": beta * before.sqrt() / (1 - bar),
        "posterior_mean_coef2": (1 - before) * (1 - beta).sqrt() / (1 - bar),
    }


def _check_buffers(buffers: dict[str, Tensor]) -> Schedule:
    """The checkpoint's schedule must be the cosine one its sampler assumes."""
    if "betas" not in buffers or buffers["betas"].dim() != 1 or not len(buffers["betas"]):
        raise CheckpointError("The checkpoint has no betas, so it is not a D3DP model.")
    schedule = cosine_schedule(len(buffers["betas"]))
    expected = schedule_buffers(schedule)
    wrong = [f"missing {k}" for k in sorted(expected.keys() - buffers.keys())]
    wrong += [f"unexpected {k}" for k in sorted(buffers.keys() - expected.keys())]
    wrong += [
        f"{k} differs from the cosine schedule"
        for k in sorted(expected.keys() & buffers.keys())
        if buffers[k].shape != expected[k].shape
        or not torch.allclose(buffers[k].double(), expected[k], rtol=1e-5, atol=1e-7)
    ]
    if wrong:
        raise CheckpointError(f"The checkpoint is not laid out as D3DP's: {'; '.join(wrong)}.")
    return schedule


def _lifter(build: Callable[..., PretrainedNetwork]) -> Callable[..., Converted]:
    """A builder of :mod:`hypopose.networks.layouts`; lifters go to the sampler ``lifter``."""
    known = set(inspect.signature(build).parameters) - {"state"}

    def converted(state: dict[str, Tensor], **options: Any) -> Converted:
        unknown = sorted(set(options) - known)
        if unknown:
            raise OptionError(
                f"This layout has no option {unknown[0]!r}; it has {', '.join(sorted(known))}."
            )
        network = build(state, **options)
        lifts = "lifter" in network.info.forms
        return Converted(network, {"sampler": "lifter"} if lifts else {})

    return converted


def _prior(state: dict[str, Tensor], *, n_heads: int = 4, **others: Any) -> Converted:
    """Platypose's motion prior, with the settings of its experiments on Human3.6M."""
    if others:
        raise OptionError(f"This layout has no option {next(iter(others))!r}; it has n_heads.")
    network = platypose_from_official(state, n_heads=n_heads)
    return Converted(network, {"sampler": "platypose-released"})


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n")


LAYOUTS: dict[str, tuple[str, Callable[..., Converted]]] = {
    "d3dp": ("model_pos", d3dp_from_official),
    "diffpose": ("0", diffpose_from_official),
    "gla-gcn": ("model_pos", _lifter(gla_gcn_from_official)),
    "hot": ("", _lifter(hot_from_official)),
    "ktpformer": ("model_pos", _lifter(ktpformer_from_official)),
    "motionagformer": ("model", _lifter(motionagformer_from_official)),
    "mpm": ("", _lifter(mpm_from_official)),
    "platypose": ("", _prior),
    "pmce": ("model_state_dict", _lifter(pmce_from_official)),
    "uao": ("", _lifter(uao_from_official)),
}
"""Layout name -> key of the state dict in the file, and the function that builds the network."""
