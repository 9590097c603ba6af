from __future__ import annotations

import pytest
import torch

from hypopose.training.muon import ADAMW_SIZE, Muon, orthogonalized


@pytest.mark.parametrize("shape", [(24, 24), (8, 40), (40, 8), (3, 16, 48)])
def test_orthogonalized_keeps_singular_vectors_and_brings_values_near_one(
    shape: tuple[int, ...],
) -> None:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    u, _, vh = torch.linalg.svd(x, full_matrices=False)
    values = u.mT @ orthogonalized(x) @ vh.mT
    diagonal = torch.diagonal(values, dim1=-2, dim2=-1)
    torch.testing.assert_close(values, torch.diag_embed(diagonal), atol=1e-9, rtol=0)
    assert diagonal.min() > 0.3
    assert diagonal.max() < 1.25
    assert (diagonal.sort(-1).values[..., 1:] > 0.6).all()  # a tiny one may lag behind


def test_precision_of_the_gradient_is_kept() -> None:
    x = torch.randn(16, 16, generator=torch.Generator().manual_seed(1))
    assert orthogonalized(x).dtype == torch.float32
    torch.testing.assert_close(
        orthogonalized(x), orthogonalized(x.double()).float(), atol=1e-4, rtol=0
    )


def test_steps_have_the_size_of_adamw_and_matrices_do_not_mix() -> None:
    torch.manual_seed(0)
    a, b = (torch.nn.Parameter(torch.zeros(12, 36)) for _ in range(2))
    a.grad, b.grad = torch.randn(12, 36), torch.randn(12, 36)
    Muon([a, b], lr=0.1, weight_decay=0.0).step()
    alone = torch.nn.Parameter(torch.zeros(12, 36))
    alone.grad = a.grad.clone()
    Muon([alone], lr=0.1, weight_decay=0.0).step()
    torch.testing.assert_close(a, alone)
    rms = float(a.detach().square().mean().sqrt()) / 0.1
    assert 0.7 * ADAMW_SIZE < rms < 1.2 * ADAMW_SIZE


def test_a_least_squares_problem_is_solved() -> None:
    torch.manual_seed(0)
    x, true = torch.randn(64, 8), torch.randn(6, 8)
    weight = torch.nn.Parameter(torch.zeros(6, 8))
    optimizer = Muon([weight], lr=0.2, weight_decay=0.0)
    losses = []
    for step in range(200):
        optimizer.param_groups[0]["lr"] = 0.2 * (1 - step / 200)
        loss = (x @ weight.mT - x @ true.mT).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 1e-3 * losses[0]
