"""GLA-GCN beside the published code: same weights, same numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from hypopose.networks.gla_gcn import GLAGCN, partitioned_graph
from hypopose.networks.layouts import gla_gcn_from_official
from hypopose.skeletons import SKELETONS


@torch.no_grad()
@pytest.mark.parametrize("name", ["h36m_27", "humaneva15_9"])
def test_lifter(golden: Callable[[str], Any], name: str) -> None:
    case = golden(f"gla_gcn/{name}")
    io, tolerance = case.io, case.meta["tolerance"]
    network = gla_gcn_from_official(case.weights)
    assert isinstance(network, GLAGCN)
    assert list(network.config.strides) == case.meta["config"]["filter_widths"]
    assert network.info.n_frames == case.meta["config"]["receptive_field"]
    assert sum(p.numel() for p in network.parameters()) == case.meta["params"]
    skeleton = SKELETONS[network.info.skeleton]
    assert torch.allclose(partitioned_graph(skeleton.name), io["graph.A"], atol=1e-7)
    seen = {}
    inner = [k.removeprefix("mid.") for k in io if k.startswith("mid.")]
    for part in inner:
        network.get_submodule(part).register_forward_hook(
            lambda _, x, y, part=part: seen.update({part: y})
        )
    out = network(None, io["x"])[:, 0]
    for part in inner:
        assert (seen[part] - io[f"mid.{part}"]).abs().max() < tolerance, part
    assert (out - io["out"]).abs().max() < tolerance
    order, mirror = list(skeleton.flip_order), torch.tensor([-1.0, 1.0, 1.0])
    flipped = network(None, io["x"][:, :, order] * mirror[:2])[:, 0][:, :, order] * mirror
    assert ((out + flipped) / 2 - io["out_flip_tta"]).abs().max() < tolerance
    target = io["y"].clone()
    target[:, :, 0] = 0.0
    loss = (out - target).norm(dim=-1).mean()
    assert loss.item() == pytest.approx(io["loss.mpjpe"].item(), abs=tolerance)
