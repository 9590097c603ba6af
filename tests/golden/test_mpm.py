"""MPM beside the published code: pretraining, completion, lifting, refinement."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from hypopose.networks.layouts import mpm_from_official
from hypopose.networks.mpm import MPM, pretext_losses
from hypopose.networks.mpm_lifter import MPMLifter, MPMRefinement
from hypopose.skeletons import SKELETONS

H36M = SKELETONS["h36m17"]
ORDER, MIRROR = list(H36M.flip_order), torch.tensor([-1.0, 1.0, 1.0])


def flip(x: Tensor) -> Tensor:
    return x[..., ORDER, :] * MIRROR[: x.shape[-1]]


def close(x: Tensor, recorded: Tensor, case: Any) -> bool:
    return bool((x - recorded).abs().max() < case.meta["tolerance"])


@torch.no_grad()
def test_pretraining(golden: Callable[[str], Any]) -> None:
    case = golden("mpm/pretrain")
    io, network = case.io, mpm_from_official(case.weights)
    assert isinstance(network, MPM)
    assert network.config.decoder_depth == 1
    losses: dict[str, Tensor] = {}
    for d in (2, 3):
        x = io[f"x{d}d"]
        hidden = io[f"smask{d}d"].bool().expand(len(x), -1, -1)
        visible = (io[f"tmask{d}d"] == 0).expand(len(x), -1)
        seen: dict[str, Tensor] = {}
        for part in (f"encoder{d}d", "shared_layers_spatial", "shared_layers_temporal"):
            network.get_submodule(part).register_forward_hook(
                lambda _, x, y, part=part, seen=seen: seen.update({part: y})
            )
        tokens = network.encode(x, hidden, visible)
        seen["shared_layers_temporal"] = seen["shared_layers_temporal"][:, visible[0]]
        for part, y in seen.items():
            if f"mid.{d}d.{part}" in io:
                assert close(y, io[f"mid.{d}d.{part}"], case), part
        decoded = network.get_submodule(f"decoder{d}d")(tokens)
        assert close(decoded, io[f"mid.{d}d.decoder{d}d"], case)
        assert close(network.decode(tokens, d), io[f"recon{d}d"], case)
        if d == 2:
            assert close(network.decode(tokens, 3), io["lift3d"], case)
        target = io["x3d"] if d == 2 else None
        losses |= pretext_losses(network, x, hidden, visible, target)
    for name, loss in losses.items():
        assert loss.item() == pytest.approx(io[f"loss.{name}"].item(), abs=1e-5)
    plain = 5 * losses["2d"] + 2 * losses["3d"]
    assert plain.item() == pytest.approx(io["loss.total_plain"].item(), abs=1e-4)
    paired = 5 * losses["2d"] + 5 * losses["3d"] + losses["lift"]
    assert paired.item() == pytest.approx(io["loss.total_with_lift"].item(), abs=1e-4)


@torch.no_grad()
def test_completion(golden: Callable[[str], Any]) -> None:
    case = golden("mpm/completion")
    io, network = case.io, mpm_from_official(case.weights)
    assert isinstance(network, MPM)
    assert network.config.decoder_depth == 2
    n_frames = network.config.n_frames
    hidden = {d: io[f"smask{d}d"].bool()[:, None].expand(-1, n_frames, -1) for d in (2, 3)}
    tokens = network.encode(io["x2d"], hidden[2])
    assert close(network.decode(tokens, 2), io["recon2d"], case)
    assert close(network.decode(tokens, 3), io["lift3d"], case)
    confidence = 1.0 - hidden[2].float()
    assert close(network(None, io["x2d"], confidence=confidence)[:, 0], io["lift3d"], case)
    # As released, the mirrored pass hides the joints of the straight one.
    mirrored = network.encode(flip(io["x2d"]), hidden[2])
    for d, name in ((2, "recon2d"), (3, "lift3d")):
        both = (io[name] + flip(network.decode(mirrored, d))) / 2
        assert close(both, io[f"{name}_tta"], case), name
    assert close(network.decode(network.encode(io["x3d"], hidden[3]), 3), io["comp3d"], case)
    gaps = torch.where(hidden[3][..., None], torch.nan, io["x3d"])
    assert close(network.complete(gaps, hidden[3]), io["completed3d"], case)
    losses = pretext_losses(network, io["x2d"], hidden[2], None, io["x3d"])
    total = 2 * losses["lift"] + losses["2d"]
    assert total.item() == pytest.approx(io["loss.2dlift"].item(), abs=1e-5)


@torch.no_grad()
def test_lifter_and_refinement(golden: Callable[[str], Any]) -> None:
    case = golden("mpm/lift")
    io, weights = case.io, case.weights
    prefix = "refine::"
    network = mpm_from_official({k: v for k, v in weights.items() if not k.startswith(prefix)})
    assert isinstance(network, MPMLifter)
    assert list(network.config.strides) == case.meta["config"]["stride_num"]
    seen = {}
    inner = [k.removeprefix("mid.") for k in io if k.startswith("mid.")]
    for part in inner:
        network.get_submodule(part).register_forward_hook(
            lambda _, x, y, part=part: seen.update({part: y})
        )
    out = network(None, io["x2d"])[:, 0]
    for part in inner:
        assert close(seen[part], io[f"mid.{part}"], case), part
    vte = network.sequence(network.encode(io["x2d"]))
    assert close(out, io["out"], case)
    assert close(vte, io["vte"], case)
    middle = io["x2d"].shape[1] // 2
    y = io["y3d"]
    loss = (vte - y).norm(dim=-1).mean() + (out[:, 0] - y[:, middle]).norm(dim=-1).mean()
    assert loss.item() == pytest.approx(io["loss.total"].item(), abs=1e-5)
    refine = mpm_from_official(
        {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
    )
    assert isinstance(refine, MPMRefinement)
    given = (io["x2d"][:, middle], io["gt_abs"][:, middle, 0, 2], io["cam"][:, :4])
    assert close(refine.place(io["out"][:, 0], *given), io["refine.xyz"][:, 0], case)
    assert close(refine(io["out"][:, 0], *given), io["refine.out"][:, 0], case)
