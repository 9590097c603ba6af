from __future__ import annotations

import pytest
import torch
from torch import nn

from hypopose.errors import ShapeError
from hypopose.networks import ClipTokens
from hypopose.skeletons import H36M17


def network(**options: int) -> ClipTokens:
    torch.manual_seed(0)
    made = ClipTokens(**{"width": 16, "n_layers": 3, "n_shared": 2, "n_heads": 2, **options})
    for parameter in made.parameters():
        if parameter.unique().numel() == 1:
            nn.init.normal_(parameter, 0.1, 0.1)
    return made.eval()


def inputs(F: int = 10, H: int = 3) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {
        "x_t": torch.randn(2, H, F, 33, 3, generator=generator),
        "keypoints": 0.3 * torch.randn(2, F, 17, 2, generator=generator),
        "confidence": torch.rand(2, F, 17, generator=generator) + 0.1,
        "context": torch.tensor([[0.3, -0.2], [-0.1, 0.4]]),
    }


@torch.no_grad()
def test_hypotheses_have_bones_of_their_own_and_keep_them() -> None:
    made = network()
    nn.init.normal_(made.to_change.weight, std=1.0)
    out = made(**inputs())
    bones = torch.stack([(out[..., c, :] - out[..., p, :]).norm(dim=-1) for p, c in H36M17.bones])
    assert bones.std(-1).max() < 1e-5  # over frames
    assert bones[..., 0].std(-1).min() > 2e-5  # over hypotheses


@torch.no_grad()
@pytest.mark.parametrize("n_frames", [1, 2, 7, 10])
def test_padding_inside_and_behind_the_last_token_changes_nothing(n_frames: int) -> None:
    made, given = network(), inputs(n_frames)
    alone = made(**given)
    padded = {
        name: x if name == "context" else torch.cat([x, torch.full_like(x[:, :1], 9.0)], 1)
        for name, x in given.items()
        if name != "x_t"
    }
    x_t = torch.cat([given["x_t"], torch.full_like(given["x_t"][:, :, :1], 9.0)], 2)
    mask = torch.ones(2, n_frames + 1, dtype=torch.bool)
    mask[:, -1] = False
    longer = made(x_t=x_t, mask=mask, **padded)
    torch.testing.assert_close(longer[:, :, :n_frames], alone, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_only_the_latent_noise_is_read_and_its_absence_is_the_lifter_form() -> None:
    made, given = network(), inputs()
    out = made(**given)
    given["x_t"][..., :17, :] += 1.0
    assert torch.equal(made(**given), out)
    assert torch.equal(made(**given, t=torch.tensor([3.0, 7.0])), out)
    still = torch.zeros_like(given["x_t"][:, :1])
    torch.testing.assert_close(made(**{**given, "x_t": still}), made(**{**given, "x_t": None}))


@torch.no_grad()
def test_trusted_keypoints_are_met() -> None:
    made, given = network(n_rounds=4), inputs(12)
    nn.init.zeros_(made.to_share[-1].weight)
    errors = []
    for trust in (-20.0, 20.0):
        nn.init.constant_(made.to_share[-1].bias, trust)
        out = made(**given)
        size = 0.1 * given["context"][:, 0].exp()
        xy = given["keypoints"]
        # At the right distance joints project onto keypoints up to the place of the root.
        depth = 4.0 + out[..., 2:]
        off = out[..., :2] / depth / size[:, None, None, None, None] - xy[:, None]
        errors.append(float((off - off.mean(-2, keepdim=True)).norm(dim=-1).mean()))
    assert errors[1] < errors[0]


def test_options_are_checked() -> None:
    with pytest.raises(ShapeError, match="from 1 to n_layers - 1 = 1, got 2"):
        ClipTokens(width=16, n_layers=2, n_shared=2, n_heads=2)
    with pytest.raises(ShapeError, match="multiple of 12"):
        ClipTokens(width=16, n_layers=2, n_shared=1, n_heads=2, n_latent=8)
    with pytest.raises(ShapeError, match="multiple of 2 n_heads"):
        ClipTokens(width=18, n_layers=2, n_shared=1, n_heads=2)
