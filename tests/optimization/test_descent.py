"""Adam on latents: every item for itself."""

from __future__ import annotations

import pytest
import torch
from jaxtyping import TypeCheckError
from torch import Tensor

from hypopose.errors import OptionError
from hypopose.optimization import Adam, descend
from hypopose.optimization.descent import Latents


def bowl(latents: Latents) -> Tensor:
    """Lowest at 1, 2, 3, ... by coordinate, steeper by item."""
    z = latents[0]
    target = torch.arange(1.0, z.shape[1] + 1)
    return ((z - target) ** 2).sum(-1)


def test_is_torchs_adam() -> None:
    z = torch.zeros(3, 4, requires_grad=True)
    optimizer = torch.optim.Adam([z], lr=0.1)
    for _ in range(12):
        optimizer.zero_grad()
        torch.autograd.backward(bowl((z,)).sum())
        optimizer.step()
    ours = descend((torch.zeros(3, 4),), bowl, Adam(12, 0.1, keep="last", patience=None))
    assert torch.allclose(ours.latents[0], z.detach(), atol=1e-6)
    assert ours.n_steps.tolist() == [12, 12, 12]


def test_items_do_not_know_each_other() -> None:
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(5, 4, generator=generator)
    together = descend((start,), bowl, Adam(40, 0.3))
    for i in range(5):
        alone = descend((start[i : i + 1],), bowl, Adam(40, 0.3))
        assert torch.equal(alone.latents[0][0], together.latents[0][i])
        assert alone.n_steps[0] == together.n_steps[i]


def test_nothing_ends_worse_even_with_steps_far_too_long() -> None:
    found = descend((torch.full((2, 2), 1.5),), bowl, Adam(20, 50.0))
    assert bool((found.after <= found.before).all())
    assert torch.allclose(found.after, bowl(found.latents))


def test_stops_where_nothing_is_gained() -> None:
    start = torch.tensor([[1.0, 2.0], [50.0, 50.0]])
    found = descend((start,), bowl, Adam(30, 0.1, patience=3))
    assert found.n_steps.tolist() == [3, 30]
    assert torch.equal(found.latents[0][0], start[0])


def test_an_energy_that_breaks_keeps_the_best_point() -> None:
    def cliff(latents: Latents) -> Tensor:
        z = latents[0][:, 0]
        return torch.where(z > 0.45, torch.full_like(z, torch.nan), -z)

    found = descend((torch.zeros(1, 1),), cliff, Adam(20, 0.1))
    assert 0.3 < found.latents[0].item() <= 0.45
    assert found.after.isfinite().all()


def test_options_are_checked() -> None:
    for wrong in ({"learning_rate": 0.0}, {"keep": "worst"}, {"patience": 0}, {"n_steps": -1}):
        with pytest.raises((OptionError, TypeCheckError)):
            Adam(**wrong)  # type: ignore[arg-type]
