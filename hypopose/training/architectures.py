"""Every network, small enough to train on a CPU, as lifter or as denoiser.

``hypopose train --network NAME`` takes an architecture's options where the caller gives none. The
objective decides the form: a denoiser, or a lifter (:data:`LIFTING`). Widths of the papers' size
are a matter of options: ``--set width=512 --set n_layers=8 --set lengths=[243]``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

from hypopose.errors import OptionError
from hypopose.networks import (
    GLAGCN,
    GUMLP,
    MPM,
    ClipTokens,
    ConvFormer,
    DiffPosePair,
    FrameTokens,
    GCNpose,
    Hourglass,
    KTPFormer,
    MeshDecoder,
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
from hypopose.training.surface_losses import new_decoder

LIFTING = (
    *("lift", "lift-mixste", "lift-motionagformer", "mask", "complete", "uncertainty"),
    "diffpose-released",
)
"""Objectives that train what reads keypoints alone; all others train denoisers."""

HOURGLASS_OPTIONS = ("at", "keep", "n_nearest", "recover", "select", "skip")


@dataclass(frozen=True)
class Architecture:
    """How to make a network, and options that suit it.

    Args:
        make: From a run's options and an attention backend.
        options: Of :class:`TrainConfig`, by their own names; others keep their defaults.
    """

    make: Callable[[TrainConfig, Backend], PretrainedNetwork]
    options: dict[str, Any] = field(default_factory=dict)


def form_of(config: TrainConfig) -> Form:
    """What the run's network is to be."""
    own: dict[str, Form] = {"prior": "prior", "surface": "surface"}
    if config.objective.name in own:
        return own[config.objective.name]
    return "lifter" if config.objective.name in LIFTING else "denoiser"


def _of_tokens(config: TrainConfig, attention: Backend) -> dict[str, Any]:
    """Options that transformers over tokens in meters share."""
    return {
        "width": config.network.width,
        "n_layers": config.network.n_layers,
        "n_heads": config.network.n_heads,
        "mlp_ratio": config.network.mlp_ratio,
        "scale": config.objective.scale,
        "max_frames": config.data.longest,
        "attention": attention,
        **config.network.options,
    }


def _frame_tokens(config: TrainConfig, attention: Backend) -> FrameTokens:
    """One token per frame."""
    return FrameTokens(
        n_latent=config.network.n_latent,
        **_of_tokens(config, attention),
    )


def _clip_tokens(config: TrainConfig, attention: Backend) -> ClipTokens:
    """Several frames per token."""
    return ClipTokens(
        n_latent=config.network.n_latent or 48,
        **_of_tokens(config, attention),
    )


def _scale_tokens(config: TrainConfig, attention: Backend) -> ScaleTokens:
    return ScaleTokens(**_of_tokens(config, attention))


def _gumlp(config: TrainConfig, attention: Backend) -> GUMLP:
    return GUMLP(config.network.width, config.network.n_layers, **config.network.options)


def _mixste2(config: TrainConfig, attention: Backend) -> MixSTE2:
    return MixSTE2(lifter=form_of(config) == "lifter", **_sizes(config, attention))


def _ktpformer(config: TrainConfig, attention: Backend) -> KTPFormer:
    return KTPFormer(lifter=form_of(config) == "lifter", **_sizes(config, attention))


def _motionbert(config: TrainConfig, attention: Backend) -> MotionBERT:
    given = {"rep_width": 2 * config.network.width} | _sizes(config, attention)
    return MotionBERT(**given)


def _motionagformer(config: TrainConfig, attention: Backend) -> MotionAGFormer:
    """With layer norm unless options say otherwise, so that it takes any clip length."""
    given: dict[str, Any] = {
        "n_frames": None,
        "graph_norm": "layer",
        "layer_scale": 0.1,  # the released 1e-5 starts nearly linear: short runs stay there
        "max_frames": config.data.longest,
        "units": "meters",
        "rep_width": 2 * config.network.width,
        "n_layers": config.network.n_layers,
        "width": config.network.width,
        "n_heads": config.network.n_heads,
        "mlp_ratio": config.network.mlp_ratio,
        "lifter": form_of(config) == "lifter",
        "attention": attention,
    }
    return MotionAGFormer(**given | config.network.options)


def _gla_gcn(config: TrainConfig, attention: Backend) -> GLAGCN:
    given: dict[str, Any] = {"strides": _threes(config), "width": config.network.width}
    return GLAGCN(**given | config.network.options)


def _gcnpose(config: TrainConfig, attention: Backend) -> GCNpose:
    given: dict[str, Any] = {
        "width": config.network.width,
        "n_layers": config.network.n_layers,
        "n_heads": config.network.n_heads,
        "attention": attention,
    }
    return GCNpose(**given | config.network.options)


def _diffpose_pair(config: TrainConfig, attention: Backend) -> DiffPosePair:
    """Without dropout unless options say otherwise: drawn bodies do not repeat."""
    given: dict[str, Any] = {
        "width": config.network.width,
        "n_layers": config.network.n_layers,
        "n_heads": config.network.n_heads,
        "dropout": 0.0,
        "attention": attention,
    }
    return DiffPosePair(**given | config.network.options)


def _convformer(config: TrainConfig, attention: Backend) -> ConvFormer:
    given: dict[str, Any] = {
        "n_frames": config.data.longest,
        "width": config.network.width,
        "kernels": (3, 5, 7),
        "sequence": True,
        "attention": attention,
    }
    return ConvFormer(**given | config.network.options)


def _mhformer(config: TrainConfig, attention: Backend) -> MHFormer:
    given: dict[str, Any] = {
        "n_frames": config.data.longest,
        "width": config.network.width,
        "hidden": round(config.network.width * config.network.mlp_ratio),
        "n_heads": config.network.n_heads,
        "attention": attention,
    }
    return MHFormer(**given | config.network.options)


def _mpm(config: TrainConfig, attention: Backend) -> MPM:
    """Decoders of two layers for completion, of one otherwise, as published."""
    given: dict[str, Any] = {
        "n_frames": config.data.longest,
        "width": config.network.width,
        "hidden": round(config.network.width * config.network.mlp_ratio),
        "n_layers": config.network.n_layers,
        "decoder_depth": 2 if config.objective.name == "complete" else 1,
    }
    return MPM(**given | config.network.options)


def _mpm_lifter(config: TrainConfig, attention: Backend) -> MPMLifter:
    given: dict[str, Any] = {
        "strides": _threes(config),
        "width": config.network.width,
        "hidden": round(config.network.width * config.network.mlp_ratio),
        "n_layers": config.network.n_layers,
    }
    return MPMLifter(**given | config.network.options)


def _motion_prior(config: TrainConfig, attention: Backend) -> MotionPrior:
    given: dict[str, Any] = {
        "width": config.network.width,
        "hidden": round(config.network.width * config.network.mlp_ratio),
        "n_layers": config.network.n_layers,
        "n_heads": config.network.n_heads,
        "dropout": 0.0,
        "scale": config.objective.scale,
        "n_timesteps": config.objective.n_timesteps,
        "max_frames": config.data.longest,
        "attention": attention,
    }
    return MotionPrior(**given | config.network.options)


def _mesh_decoder(config: TrainConfig, attention: Backend) -> MeshDecoder:
    given: dict[str, Any] = {"cond_dim": 2 * config.network.width}
    return new_decoder(config.network.width, **given | config.network.options)


def _sizes(config: TrainConfig, attention: Backend) -> dict[str, Any]:
    """Arguments of the transformers that are bound to a clip length."""
    return {
        "n_frames": config.data.longest,
        "width": config.network.width,
        "depth": config.network.n_layers,
        "n_heads": config.network.n_heads,
        "mlp_ratio": config.network.mlp_ratio,
        "attention": attention,
        **config.network.options,
    }


def _threes(config: TrainConfig) -> list[int]:
    """Strides of three from a clip to one frame."""
    strides, left = [], config.data.longest
    while left > 1 and left % 3 == 0:
        strides.append(3)
        left //= 3
    if left != 1 or not strides:
        raise OptionError(
            f"This network shortens time by threes: windows have 9, 27, 81 or 243 frames, not "
            f"{config.data.longest}. Set lengths, or strides in network_options."
        )
    return strides


def _hourglass(inner: Architecture) -> Callable[[TrainConfig, Backend], Hourglass]:
    """The same network with a third of the frames after a third of its blocks."""

    def make(config: TrainConfig, attention: Backend) -> Hourglass:
        own = {k: v for k, v in config.network.options.items() if k in HOURGLASS_OPTIONS}
        rest = {k: v for k, v in config.network.options.items() if k not in own}
        network = cast(
            StagedNetwork, inner.make(config.with_options(network_options=rest), attention)
        )
        keypoints = "denoiser" in network.info.forms or network.info.n_frames is None
        given: dict[str, Any] = {
            "at": max(1, network.n_stages // 3),
            "keep": max(1, config.data.longest // 3),
            "recover": "none" if network.info.sequence_to_one else "attention",
            "select": "keypoints" if keypoints else "features",
            "skip": keypoints,
            "n_heads": config.network.n_heads,
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
CLIP: dict[str, Any] = {
    "objective": "energy",
    "n_latent": 48,
    "one_step_share": 1.0,
    "flicker": 0.0,
    "lift_share": 0.0,
    "n_layers": 8,
    "lengths": (1, 9, 27, 81, 243, 486),
    "length_shares": (0.02, 0.03, 0.1, 0.3, 0.3, 0.25),
    "batch_frames": 7776,
    "optimizer": "muon",
}
SURFACE: dict[str, Any] = {
    "objective": "surface",
    "lengths": (1, 9),
    "length_shares": (0.5, 0.5),
    "lift_share": 0.0,
    "batch_frames": 96,
    "learning_rate": 2e-3,
    "warmup_steps": 50,
    "width": 32,
    "n_heads": 8,
    "clip_norm": 5.0,
    "bf16": False,  # slower than single precision in matrices so small
}
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

_PLAIN: dict[str, Architecture] = {
    "frame-tokens": Architecture(_frame_tokens),
    "clip-tokens": Architecture(_clip_tokens, CLIP),
    "mixste2": Architecture(_mixste2, JOINT_TOKENS),
    "ktpformer": Architecture(_ktpformer, {**JOINT_TOKENS, "n_layers": 2}),
    "motionagformer": Architecture(_motionagformer, JOINT_TOKENS),
    "motionbert": Architecture(_motionbert, {**JOINT_TOKENS, **LIFTER, "n_layers": 2}),
    "mhformer": Architecture(_mhformer, {**JOINT_TOKENS, **LIFTER, "width": 128}),
    "gla-gcn": Architecture(_gla_gcn, {**JOINT_TOKENS, **LIFTER, "width": 32}),
    "gcnpose": Architecture(_gcnpose, {**LIFTER, "width": 96, "n_layers": 3, "n_heads": 4}),
    "diffpose-pair": Architecture(_diffpose_pair, PAIR),
    "convformer": Architecture(_convformer, {**JOINT_TOKENS, **LIFTER, "width": 32}),
    "motion-prior": Architecture(_motion_prior, PRIOR),
    "pmce": Architecture(_mesh_decoder, SURFACE),
    "mpm": Architecture(_mpm, {**JOINT_TOKENS, "objective": "mask", "width": 128}),
    "mpm-lifter": Architecture(_mpm_lifter, {**JOINT_TOKENS, **LIFTER, "width": 128}),
}
# Distances over scales have steep gradients: clip later.
_SCALES: dict[str, Any] = {"objective": "uncertainty", "clip_norm": 20.0}
_PLAIN |= {
    "scale-tokens": Architecture(
        _scale_tokens, {**_SCALES, "width": 192, "n_layers": 4, "mlp_ratio": 2.5}
    ),
    "gumlp": Architecture(
        _gumlp,
        {**_SCALES, "width": 64, "n_layers": 2, "lengths": (1,), "length_shares": (1.0,)},
    ),
}
_WRAPPED = ("frame-tokens", "mixste2", "ktpformer", "motionagformer", "motionbert", "mhformer")

ARCHITECTURES: dict[str, Architecture] = {
    **_PLAIN,
    **{
        f"hot-{name}": Architecture(_hourglass(_PLAIN[name]), _PLAIN[name].options)
        for name in _WRAPPED
    },
}
"""Name -> architecture. ``hot-...`` are networks in an hourglass, :mod:`hypopose.networks.hot`."""
