"""Parameters and multiplications of the published configurations.

``python tests/networks/test_sizes.py`` prints them; docs/reference/networks.md rounds them.
"""

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
from hypopose.skeletons import get_skeleton

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


def motionagformer(size: str, n_frames: int | None = None) -> Callable[[], nn.Module]:
    given = PRESETS[size] if n_frames is None else {**PRESETS[size], "n_frames": n_frames}
    return lambda: MotionAGFormer(**given, attention="math")


# Name -> network and billions of multiplications per clip, attention and graph products included,
# counted in the published code.
MULTIPLICATIONS: dict[str, tuple[Callable[[], nn.Module], float]] = {
    "MixSTE": (lambda: MixSTE2(**LIFTER), 147.4),
    "HoT MixSTE": (lambda: hot_mixste(at=3, keep=81), 88.1),
    "TPC MixSTE": (lambda: hot_mixste(at=7, keep=61, recover="none"), 133.4),
    "MHFormer": (lambda: MHFormer(attention="math"), 8.22),
    "TPC MHFormer": (tpc_mhformer, 4.58),
    "MotionBERT": (lambda: MotionBERT(attention="math"), 71.1),
    "HoT MotionBERT": (hot_motionbert, 33.4),
    "MotionAGFormer-XS": (motionagformer("xs"), 1.08),
    "MotionAGFormer-S": (motionagformer("s"), 7.86),
    "MotionAGFormer-B": (motionagformer("b"), 64.5),
    "MotionAGFormer-B, 81": (motionagformer("b", 81), 17.4),
    "MotionAGFormer-L": (motionagformer("l"), 104.6),
    "MotionAGFormer-L, 81": (motionagformer("l", 81), 28.1),
    "HoT MotionAGFormer": (hot_motionagformer, 38.3),
    "GLA-GCN, 243": (GLAGCN, 1.62),
    "GLA-GCN, 27": (lambda: GLAGCN((3, 3, 3)), 0.18),
    "GLA-GCN, HumanEva": (lambda: GLAGCN((3, 3, 3), skeleton="humaneva15"), 0.15),
    "MPM lifter, 4": (MPMLifter, 1.02),
    "MPM lifter, 3": (lambda: MPMLifter(n_layers=3), 0.86),
}

# The same as their authors print it, without products of activations by activations. HoT's paper
# and D3DP's count an addition and a multiplication as two: halved here.
PRINTED: dict[str, float] = {
    "MixSTE": 277.25 / 2,
    "HoT MixSTE": 167.52 / 2,
    "TPC MixSTE": 251.29 / 2,
    "MHFormer": 14.15 / 2,
    "TPC MHFormer": 8.22 / 2,
    "MotionBERT": 131.09 / 2,
    "HoT MotionBERT": 63.21 / 2,
    "MotionAGFormer-XS": 1.0,
    "MotionAGFormer-S": 6.6,
    "MotionAGFormer-B": 48.3,
    "MotionAGFormer-B, 81": 16.0,
    "MotionAGFormer-L": 78.3,
    "MotionAGFormer-L, 81": 26.0,
}


def multiplications(make: Callable[[], nn.Module]) -> tuple[float, float]:
    """Billions for one clip, with and without products of activations; no number is computed."""
    with torch.device("meta"):
        network = make().eval().requires_grad_(False)
    n_joints = get_skeleton(network.info.keypoint_skeleton).n_joints
    xy = torch.empty(1, network.info.n_frames, n_joints, 2, device="meta")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(None, xy)
    counts = counter.get_flop_counts()["Global"]
    layers = sum(n for op, n in counts.items() if str(op) in ("aten.mm", "aten.addmm"))
    layers += sum(n for op, n in counts.items() if "convolution" in str(op))
    return counter.get_total_flops() / 2e9, layers / 2e9


@pytest.mark.parametrize("name", list(MULTIPLICATIONS))
def test_multiplications(name: str) -> None:
    make, published = MULTIPLICATIONS[name]
    whole, _ = multiplications(make)
    if "MotionAGFormer" in name:  # degrees scale rows and columns here, there they are matrices
        assert 0.86 * published < whole < published
    else:
        assert whole == pytest.approx(published, rel=0.03)


@pytest.mark.parametrize("name", list(PRINTED))
def test_multiplications_as_printed(name: str) -> None:
    make, _ = MULTIPLICATIONS[name]
    assert multiplications(make)[1] == pytest.approx(PRINTED[name], rel=0.035)


def table() -> str:
    """Ours beside what is published, as Markdown."""
    lines = [
        "| configuration | parameters | published | multiplications | in the published code "
        "| without products | as printed |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, (make, published, _) in PARAMETERS.items():
        with torch.device("meta"):
            n = sum(p.numel() for p in make().parameters())
        row = [name, f"{n:,}", f"{published:,}", "", "", "", ""]
        if name in MULTIPLICATIONS:
            counted, known = MULTIPLICATIONS[name]
            whole, layers = multiplications(counted)
            row[3:6] = [f"{whole:.2f} G", f"{known:g} G", f"{layers:.2f} G"]
            row[6] = f"{PRINTED[name]:.4g} G" if name in PRINTED else ""
        lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
