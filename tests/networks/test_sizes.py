"""Parameters and multiplications of the published configurations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from hypopose.networks import (
    GLAGCN,
    MPM,
    ConvFormer,
    Hourglass,
    KTPFormer,
    MHFormer,
    MixSTE2,
    MotionAGFormer,
    MotionBERT,
    MPMLifter,
)
from hypopose.networks.motionagformer import PRESETS

LIFTER = {"lifter": True, "attention": "math"}


def hot_mixste(**options: Any) -> Hourglass:
    return Hourglass.wrap(MixSTE2(**LIFTER), **options)


def hot_motionbert() -> Hourglass:
    return Hourglass.wrap(MotionBERT(attention="math"), at=1, keep=81)


def hot_motionagformer() -> Hourglass:
    inner = MotionAGFormer(n_heads=4, n_neighbors=4, pruned=(7, 81), attention="math")
    return Hourglass.wrap(inner, at=7, keep=81, n_heads=4, qkv_bias=False)


def tpc_mhformer() -> Hourglass:
    return Hourglass.wrap(MHFormer(attention="math"), at=1, keep=117, recover="none")


# Name -> network, parameters as published or counted in released checkpoints, and how many of
# them the released code stores but never uses (norms of MPM), which are not here.
PARAMETERS: dict[str, tuple[Callable[[], nn.Module], int, int]] = {
    "KTPFormer": (lambda: KTPFormer(lifter=True), 35_213_430, 0),
    "MotionAGFormer-XS": (lambda: MotionAGFormer(**PRESETS["xs"]), 2_241_531, 0),
    "MotionAGFormer-S": (lambda: MotionAGFormer(**PRESETS["s"]), 4_817_119, 0),
    "MotionAGFormer-B": (lambda: MotionAGFormer(**PRESETS["b"]), 11_723_811, 0),
    "MotionAGFormer-B, 81": (lambda: MotionAGFormer(81), 11_718_627, 0),
    "MotionAGFormer-L": (lambda: MotionAGFormer(**PRESETS["l"]), 19_007_111, 0),
    "MotionAGFormer-L, 81": (
        lambda: MotionAGFormer(**{**PRESETS["l"], "n_frames": 81}),
        18_998_687,
        0,
    ),
    "MixSTE": (lambda: MixSTE2(**LIFTER), 33_783_811, 0),
    "HoT MixSTE": (lambda: hot_mixste(at=3, keep=81), 35_000_323, 0),
    "TPC MixSTE": (lambda: hot_mixste(at=7, keep=61, recover="none"), 33_783_811, 0),
    "MHFormer": (MHFormer, 31_516_125, 0),
    "TPC MHFormer": (tpc_mhformer, 31_516_125, 0),
    "MotionBERT": (MotionBERT, 16_001_549, 0),
    "HoT MotionBERT": (hot_motionbert, 16_347_661, 0),
    "HoT MotionAGFormer": (hot_motionagformer, 11_828_031, 0),
    "GLA-GCN, 243": (GLAGCN, 1_348_856, 0),
    "GLA-GCN, 27": (lambda: GLAGCN((3, 3, 3)), 844_076, 0),
    "GLA-GCN, HumanEva": (lambda: GLAGCN((3, 3, 3), skeleton="humaneva15"), 842_724, 0),
    "MPM lifter, 4": (MPMLifter, 7_009_382, 4 * 256),
    "MPM lifter, 3": (lambda: MPMLifter(n_layers=3), 6_482_278, 4 * 256),
    "MPM pretraining": (MPM, 4_017_498, 6 * 256),
    "MPM completion": (
        lambda: MPM(27, n_layers=3, decoder_depth=2),
        4_434_010,
        6 * 256,
    ),
}


@pytest.mark.parametrize("name", list(PARAMETERS))
def test_parameters(name: str) -> None:
    make, published, unused = PARAMETERS[name]
    with torch.device("meta"):
        network = make()
    assert sum(p.numel() for p in network.parameters()) == published - unused


# The paper's table in millions; d = 64 is the one row its formula does not reproduce.
CONVFORMER = [
    *(({"n_frames": n}, m) for n, m in ((9, 2.56), (27, 2.65), (81, 3.43), (143, 5.24))),
    ({"n_frames": 243}, 10.24),
    *(({"n_frames": 9, "kernels": (3,) * n}, m) for n, m in ((1, 2.44), (2, 2.46), (3, 2.48))),
    *(({"n_frames": 9, "kernels": (5,) * n}, m) for n, m in ((1, 2.46), (2, 2.49), (3, 2.52))),
    *(({"n_frames": 9, "kernels": (7,) * n}, m) for n, m in ((1, 2.47), (2, 2.51))),
    *(({"n_frames": 9, "kernels": (9,) * n}, m) for n, m in ((1, 2.48), (2, 2.54), (3, 2.60))),
    ({"n_frames": 9, "kernels": (3, 5, 7)}, 2.52),
    ({"n_frames": 9, "kernels": (5, 7, 9)}, 2.56),
    ({"n_frames": 9, "width": 16}, 0.65),
    ({"n_frames": 9, "width": 16, "n_temporal": 4}, 1.26),
    ({"n_frames": 9, "width": 16, "n_spatial": 4}, 0.69),
    ({"n_frames": 9, "n_temporal": 4}, 4.95),
    ({"n_frames": 9, "n_spatial": 4}, 2.70),
]


@pytest.mark.parametrize(("options", "published"), CONVFORMER)
def test_parameters_of_convformer(options: dict[str, Any], published: float) -> None:
    with torch.device("meta"):
        network = ConvFormer(**options)
    millions = sum(p.numel() for p in network.parameters()) / 1e6
    assert millions == pytest.approx(published, abs=0.0085)


# Name -> network and billions of multiplications per clip, attention and graph products included.
MULTIPLICATIONS: dict[str, tuple[Callable[[], nn.Module], float]] = {
    "MixSTE": (lambda: MixSTE2(**LIFTER), 147.4),
    "HoT MixSTE": (lambda: hot_mixste(at=3, keep=81), 88.1),
    "TPC MixSTE": (lambda: hot_mixste(at=7, keep=61, recover="none"), 133.4),
    "MHFormer": (lambda: MHFormer(attention="math"), 8.22),
    "TPC MHFormer": (tpc_mhformer, 4.58),
    "MotionBERT": (lambda: MotionBERT(attention="math"), 71.1),
    "HoT MotionBERT": (hot_motionbert, 33.4),
    "MotionAGFormer-XS": (lambda: MotionAGFormer(**PRESETS["xs"], attention="math"), 1.08),
    "GLA-GCN": (GLAGCN, 1.62),
    "MPM lifter": (MPMLifter, 1.02),
}


def multiplications(network: nn.Module) -> float:
    """Billions for one clip; no number is computed."""
    xy = torch.empty(1, network.info.n_frames, 17, 2, device="meta")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(None, xy)
    return counter.get_total_flops() / 2e9


@pytest.mark.parametrize("name", list(MULTIPLICATIONS))
def test_multiplications(name: str) -> None:
    make, published = MULTIPLICATIONS[name]
    with torch.device("meta"):
        network = make().eval().requires_grad_(False)
    assert multiplications(network) == pytest.approx(published, rel=0.03)
