"""Every network, small enough to train on a CPU, as lifter or as denoiser.

``hypopose train --network NAME`` takes a recipe's options where the caller gives none. The
objective decides the form: a denoiser, or a lifter (:data:`LIFTING`). Widths of the papers' size
are a matter of options: ``--set width=512 --set n_layers=8 --set lengths=[243]``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, cast

from torch import nn

from hypopose.errors import OptionError
from hypopose.networks import (
    GLAGCN,
    GUMLP,
    MPM,
    ConvFormer,
    DiffPosePair,
    FrameTokens,
    GCNpose,
    Hourglass,
    KTPFormer,
    MHFormer,
    MixSTE2,
    MotionAGFormer,
    MotionBERT,
    MotionPrior,
    MPMLifter,
    PretrainedNetwork,
    ScaleTokens,
)
from hypopose.networks.attention import Backend
from hypopose.networks.base import Form
from hypopose.networks.staged import StagedNetwork
from hypopose.training.config import TrainConfig

LIFTING = (
    *("lift", "lift-mixste", "lift-motionagformer", "mask", "complete", "uncertainty"),
    "diffpose-released",
)
"""Objectives that train what reads keypoints alone; all others train denoisers."""

HOURGLASS_OPTIONS = ("at", "keep", "n_nearest", "recover", "select", "skip")


@dataclass(frozen=True)
class Recipe:
    """How to make a network, and options that suit it.

    Args:
        make: From a run's options and an attention backend.
        options: Of :class:`TrainConfig`; what it does not name keeps its default.
    """

    make: Callable[[TrainConfig, Backend], PretrainedNetwork]
    options: dict[str, Any] = field(default_factory=dict)


def form_of(config: TrainConfig) -> Form:
    """What the run's network is to be."""
    if config.objective == "prior":
        return "prior"
    return "lifter" if config.objective in LIFTING else "denoiser"


def check_fit(network: nn.Module, config: TrainConfig) -> None:
    """Raise unless a network can be trained as the options say.

    Raises:
        OptionError: If it lacks the form of the objective, takes other window lengths, or needs
            larger batches.
    """
    info = getattr(network, "info", None)
    if info is None:
        return
    form = form_of(config)
    if form not in info.forms:
        raise OptionError(
            f"{type(network).__name__} is no {form}, so objective={config.objective!r} does not "
            f"fit; choose one for a {info.forms[0]}."
        )
    if form == "denoiser" and config.lift_share and "lifter" not in info.forms:
        raise OptionError(f"{type(network).__name__} always reads a noisy pose; set lift_share=0.")
    if info.n_frames is not None and set(config.lengths) != {info.n_frames}:
        raise OptionError(
            f"{type(network).__name__} takes windows of {info.n_frames} frames only; set "
            f"lengths=[{info.n_frames}] and length_shares=[1]."
        )
    if isinstance(network, MPMLifter) and config.batch_frames < 2 * max(config.lengths):
        raise OptionError(
            "MPMLifter normalizes its last frame over the batch, which takes two windows at least: "
            f"set batch_frames={2 * max(config.lengths)} or more, got {config.batch_frames}."
        )


def frame_tokens(config: TrainConfig, attention: Backend) -> FrameTokens:
    """One token per frame."""
    return FrameTokens(
        width=config.width,
        n_layers=config.n_layers,
        n_heads=config.n_heads,
        mlp_ratio=config.mlp_ratio,
        scale=config.scale,
        max_frames=max(config.lengths),
        n_latent=config.n_latent,
        attention=attention,
        **config.network_options,
    )


def _scale_tokens(config: TrainConfig, attention: Backend) -> ScaleTokens:
    return ScaleTokens(
        width=config.width,
        n_layers=config.n_layers,
        n_heads=config.n_heads,
        mlp_ratio=config.mlp_ratio,
        scale=config.scale,
        max_frames=max(config.lengths),
        attention=attention,
        **config.network_options,
    )


def _gumlp(config: TrainConfig, attention: Backend) -> GUMLP:
    return GUMLP(config.width, config.n_layers, **config.network_options)


def _mixste2(config: TrainConfig, attention: Backend) -> MixSTE2:
    return MixSTE2(lifter=form_of(config) == "lifter", **_sizes(config, attention))


def _ktpformer(config: TrainConfig, attention: Backend) -> KTPFormer:
    return KTPFormer(lifter=form_of(config) == "lifter", **_sizes(config, attention))


def _motionbert(config: TrainConfig, attention: Backend) -> MotionBERT:
    given = {"rep_width": 2 * config.width} | _sizes(config, attention)
    return MotionBERT(**given)


def _motionagformer(config: TrainConfig, attention: Backend) -> MotionAGFormer:
    """With layer norm unless options say otherwise, so that it takes any clip length."""
    given: dict[str, Any] = {
        "n_frames": None,
        "graph_norm": "layer",
        "layer_scale": 0.1,  # the released 1e-5 starts nearly linear: short runs stay there
        "max_frames": max(config.lengths),
        "units": "meters",
        "rep_width": 2 * config.width,
        "n_layers": config.n_layers,
        "width": config.width,
        "n_heads": config.n_heads,
        "mlp_ratio": config.mlp_ratio,
        "lifter": form_of(config) == "lifter",
        "attention": attention,
    }
    return MotionAGFormer(**given | config.network_options)


def _gla_gcn(config: TrainConfig, attention: Backend) -> GLAGCN:
    given: dict[str, Any] = {"strides": _threes(config), "width": config.width}
    return GLAGCN(**given | config.network_options)


def _gcnpose(config: TrainConfig, attention: Backend) -> GCNpose:
    given: dict[str, Any] = {
        "width": config.width,
        "n_layers": config.n_layers,
        "n_heads": config.n_heads,
        "attention": attention,
    }
    return GCNpose(**given | config.network_options)


def _diffpose_pair(config: TrainConfig, attention: Backend) -> DiffPosePair:
    """Without dropout unless options say otherwise: drawn bodies do not repeat."""
    given: dict[str, Any] = {
        "width": config.width,
        "n_layers": config.n_layers,
        "n_heads": config.n_heads,
        "dropout": 0.0,
        "attention": attention,
    }
    return DiffPosePair(**given | config.network_options)


def _convformer(config: TrainConfig, attention: Backend) -> ConvFormer:
    given: dict[str, Any] = {
        "n_frames": max(config.lengths),
        "width": config.width,
        "kernels": (3, 5, 7),
        "sequence": True,
        "attention": attention,
    }
    return ConvFormer(**given | config.network_options)


def _mhformer(config: TrainConfig, attention: Backend) -> MHFormer:
    given: dict[str, Any] = {
        "n_frames": max(config.lengths),
        "width": config.width,
        "hidden": round(config.width * config.mlp_ratio),
        "n_heads": config.n_heads,
        "attention": attention,
    }
    return MHFormer(**given | config.network_options)


def _mpm(config: TrainConfig, attention: Backend) -> MPM:
    """Decoders of two layers for completion, of one otherwise, as published."""
    given: dict[str, Any] = {
        "n_frames": max(config.lengths),
        "width": config.width,
        "hidden": round(config.width * config.mlp_ratio),
        "n_layers": config.n_layers,
        "decoder_depth": 2 if config.objective == "complete" else 1,
    }
    return MPM(**given | config.network_options)


def _mpm_lifter(config: TrainConfig, attention: Backend) -> MPMLifter:
    given: dict[str, Any] = {
        "strides": _threes(config),
        "width": config.width,
        "hidden": round(config.width * config.mlp_ratio),
        "n_layers": config.n_layers,
    }
    return MPMLifter(**given | config.network_options)


def _motion_prior(config: TrainConfig, attention: Backend) -> MotionPrior:
    given: dict[str, Any] = {
        "width": config.width,
        "hidden": round(config.width * config.mlp_ratio),
        "n_layers": config.n_layers,
        "n_heads": config.n_heads,
        "dropout": 0.0,
        "scale": config.scale,
        "n_timesteps": config.n_timesteps,
        "max_frames": max(config.lengths),
        "attention": attention,
    }
    return MotionPrior(**given | config.network_options)


def _sizes(config: TrainConfig, attention: Backend) -> dict[str, Any]:
    """Arguments of the transformers that are bound to a clip length."""
    return {
        "n_frames": max(config.lengths),
        "width": config.width,
        "depth": config.n_layers,
        "n_heads": config.n_heads,
        "mlp_ratio": config.mlp_ratio,
        "attention": attention,
        **config.network_options,
    }


def _threes(config: TrainConfig) -> list[int]:
    """Strides of three from a clip to one frame."""
    strides, left = [], max(config.lengths)
    while left > 1 and left % 3 == 0:
        strides.append(3)
        left //= 3
    if left != 1 or not strides:
        raise OptionError(
            f"This network shortens time by threes: windows have 9, 27, 81 or 243 frames, not "
            f"{max(config.lengths)}. Set lengths, or strides in network_options."
        )
    return strides


def _hourglass(inner: Recipe) -> Callable[[TrainConfig, Backend], Hourglass]:
    """The same network with a third of the frames after a third of its blocks."""

    def make(config: TrainConfig, attention: Backend) -> Hourglass:
        own = {k: v for k, v in config.network_options.items() if k in HOURGLASS_OPTIONS}
        rest = {k: v for k, v in config.network_options.items() if k not in own}
        network = cast(StagedNetwork, inner.make(replace(config, network_options=rest), attention))
        keypoints = "denoiser" in network.info.forms or network.info.n_frames is None
        given: dict[str, Any] = {
            "at": max(1, network.n_stages // 3),
            "keep": max(1, max(config.lengths) // 3),
            "recover": "none" if network.info.sequence_to_one else "attention",
            "select": "keypoints" if keypoints else "features",
            "skip": keypoints,
            "n_heads": config.n_heads,
        }
        return Hourglass.wrap(network, **given | own)

    return make


ONE_LENGTH: dict[str, Any] = {"lengths": (27,), "length_shares": (1.0,), "lift_share": 0.0}
JOINT_TOKENS: dict[str, Any] = {
    **ONE_LENGTH,
    "width": 64,
    "n_layers": 3,
    "n_heads": 4,
    "mlp_ratio": 2.0,
}
PRIOR: dict[str, Any] = {
    "objective": "prior",
    "n_timesteps": 50,
    "scale": 2.0,
    "lengths": (1, 16, 27, 41, 81),
    "length_shares": (0.04, 0.16, 0.25, 0.15, 0.4),
    "n_layers": 4,
    "n_heads": 4,
    "mlp_ratio": 3.0,
}
LIFTER: dict[str, Any] = {"objective": "lift"}
PAIR: dict[str, Any] = {  # of single frames, so that no frame of a batch is like another
    "objective": "diffpose-released",
    "lengths": (1,),
    "length_shares": (1.0,),
    "lift_share": 0.0,
    "batch_frames": 256,
    "learning_rate": 2e-3,
    "warmup_steps": 100,
    "width": 64,
    "n_layers": 3,
    "n_heads": 4,
}

_PLAIN: dict[str, Recipe] = {
    "frame-tokens": Recipe(frame_tokens),
    "mixste2": Recipe(_mixste2, JOINT_TOKENS),
    "ktpformer": Recipe(_ktpformer, {**JOINT_TOKENS, "n_layers": 2}),
    "motionagformer": Recipe(_motionagformer, JOINT_TOKENS),
    "motionbert": Recipe(_motionbert, {**JOINT_TOKENS, **LIFTER, "n_layers": 2}),
    "mhformer": Recipe(_mhformer, {**JOINT_TOKENS, **LIFTER, "width": 128}),
    "gla-gcn": Recipe(_gla_gcn, {**JOINT_TOKENS, **LIFTER, "width": 32}),
    "gcnpose": Recipe(_gcnpose, {**LIFTER, "width": 96, "n_layers": 3, "n_heads": 4}),
    "diffpose-pair": Recipe(_diffpose_pair, PAIR),
    "convformer": Recipe(_convformer, {**JOINT_TOKENS, **LIFTER, "width": 32}),
    "motion-prior": Recipe(_motion_prior, PRIOR),
    "mpm": Recipe(_mpm, {**JOINT_TOKENS, "objective": "mask", "width": 128}),
    "mpm-lifter": Recipe(_mpm_lifter, {**JOINT_TOKENS, **LIFTER, "width": 128}),
}
# Distances over scales have steep gradients: clip later.
_SCALES: dict[str, Any] = {"objective": "uncertainty", "clip_norm": 20.0}
_PLAIN |= {
    "scale-tokens": Recipe(
        _scale_tokens, {**_SCALES, "width": 192, "n_layers": 4, "mlp_ratio": 2.5}
    ),
    "gumlp": Recipe(
        _gumlp,
        {**_SCALES, "width": 64, "n_layers": 2, "lengths": (1,), "length_shares": (1.0,)},
    ),
}
_WRAPPED = ("frame-tokens", "mixste2", "ktpformer", "motionagformer", "motionbert", "mhformer")

RECIPES: dict[str, Recipe] = {
    **_PLAIN,
    **{f"hot-{name}": Recipe(_hourglass(_PLAIN[name]), _PLAIN[name].options) for name in _WRAPPED},
}
"""Name -> recipe. ``hot-...`` are networks in the hourglass, see :mod:`hypopose.networks.hot`."""
