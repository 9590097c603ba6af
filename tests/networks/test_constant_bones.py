from __future__ import annotations

import torch

from hypopose.networks.constant_bones import with_constant_bones
from hypopose.skeletons import COCO17, H36M17


def motion(n: int = 12) -> torch.Tensor:
    return torch.randn(2, 3, n, 17, 3, generator=torch.Generator().manual_seed(0))


def lengths(x: torch.Tensor) -> torch.Tensor:
    return torch.stack([(x[..., c, :] - x[..., p, :]).norm(dim=-1) for p, c in H36M17.bones], -1)


def test_lengths_are_the_means_and_directions_stay() -> None:
    x = motion()
    y = with_constant_bones(x, H36M17)
    torch.testing.assert_close(lengths(y), lengths(x).mean(-2, keepdim=True).expand_as(lengths(x)))
    for parent, child in H36M17.bones:
        before, after = (
            torch.nn.functional.normalize(z[..., child, :] - z[..., parent, :], dim=-1)
            for z in (x, y)
        )
        torch.testing.assert_close(before, after, atol=1e-5, rtol=0)
    assert torch.equal(y[..., 0, :], x[..., 0, :])


def test_bodies_of_constant_bones_stay_as_they_are_twice_is_once() -> None:
    once = with_constant_bones(motion(), H36M17)
    torch.testing.assert_close(with_constant_bones(once, H36M17), once, atol=1e-5, rtol=0)


def test_padding_does_not_count() -> None:
    x, usable = motion(), torch.ones(2, 3, 12)
    usable[..., 8:] = 0
    changed = x.clone()
    changed[..., 8:, :, :] += 5.0 * torch.randn(4, 17, 3)
    a, b = (with_constant_bones(z, H36M17, usable)[..., :8, :, :] for z in (x, changed))
    assert torch.equal(a, b)
    torch.testing.assert_close(a, with_constant_bones(x[..., :8, :, :], H36M17))


def test_other_skeletons() -> None:
    y = with_constant_bones(motion(), COCO17)
    parent, child = COCO17.bones[5]
    assert (y[..., child, :] - y[..., parent, :]).norm(dim=-1).std(-1).max() < 1e-5
