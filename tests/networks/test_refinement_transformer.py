"""The refinement transformer: one pose's result is its own, and later joints are not seen."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from hypopose.errors import ShapeError
from hypopose.networks import RefinementTransformer

SMALL = {"width": 16, "n_layers": 2, "n_heads": 2, "hidden": 16}


def trained(**options: object) -> RefinementTransformer:
    torch.manual_seed(0)
    network = RefinementTransformer(**SMALL, **options)
    nn.init.normal_(network.decoder.weight, std=0.3)
    return network.eval()


def poses(n: int) -> Tensor:
    x = torch.randn(n, 17, 3, generator=torch.Generator().manual_seed(1))
    return x - x[:, :1]


@torch.no_grad()
def test_results_do_not_depend_on_the_batch_unless_asked_as_released() -> None:
    network, x = trained(), poses(5)
    torch.testing.assert_close(network(x)[3:4], network(x[3:4]))
    torch.testing.assert_close(network(x.view(1, 5, 17, 3))[0], network(x))
    released = trained(position="row")
    assert not torch.allclose(released(x)[3:4], released(x[3:4]), atol=1e-4)


@torch.no_grad()
def test_a_joint_sees_the_joints_before_it_and_no_other() -> None:
    network, x = trained(), poses(1)
    moved = x.clone()
    moved[:, 9] += 1.0
    same = network(x), network(moved)
    torch.testing.assert_close(same[0][:, :9], same[1][:, :9])
    assert ((same[0] - same[1])[:, 10:].abs().amax(-1) > 1e-4).all()


@torch.no_grad()
def test_the_root_stays_and_joints_are_told_apart() -> None:
    network = trained(residual=False)
    out = network(torch.ones(1, 17, 3))
    assert not out[:, 0].any()
    assert (out[:, 1:-1] - out[:, 2:]).abs().amax(-1).min() > 1e-4


def test_it_is_a_folder_of_weights(tmp_path: Path) -> None:
    network, x = trained(residual=False), poses(2)
    network.save_pretrained(tmp_path)
    loaded = RefinementTransformer.from_pretrained(tmp_path)
    assert torch.equal(loaded(x), network(x))


def test_refusals() -> None:
    with pytest.raises(ShapeError, match="multiple of n_heads"):
        RefinementTransformer(width=10, n_heads=4)
    with pytest.raises(ShapeError, match="17 joints of h36m17"):
        trained()(torch.zeros(2, 16, 3))
