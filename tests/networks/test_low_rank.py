"""Adapters: nothing changes at first, little is trained, and what was learned can be folded in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from hypopose.errors import OptionError
from hypopose.networks import (
    ClipTokens,
    FrameTokens,
    GCNpose,
    Hourglass,
    KTPFormer,
    LowRankLinear,
    MHFormer,
    MixSTE2,
    MotionAGFormer,
    MotionBERT,
    PretrainedNetwork,
    add_low_rank,
    load_network,
    low_rank_state,
    merge_low_rank,
)

N_FRAMES = 9
FRAMES = {"width": 16, "n_layers": 2, "n_heads": 2}
CLIP = {"n_frames": N_FRAMES, "width": 16}
MEMBERS: dict[str, Callable[[], PretrainedNetwork]] = {
    "frame-tokens": lambda: FrameTokens(**FRAMES),
    "frame-tokens-on-rays": lambda: FrameTokens(**FRAMES, on_rays=True, n_shared=1),
    "clip-tokens": lambda: ClipTokens(**FRAMES, n_shared=1, stride=4, n_rounds=1),
    "mixste2": lambda: MixSTE2(**CLIP, depth=2),
    "ktpformer-lifter": lambda: KTPFormer(**CLIP, depth=1, lifter=True),
    "motionagformer-lifter": lambda: MotionAGFormer(**CLIP, n_layers=1, rep_width=8),
    "mhformer": lambda: MHFormer(**CLIP, hidden=16),
    "motionbert": lambda: MotionBERT(**CLIP, depth=1, rep_width=8),
    "hot": lambda: Hourglass.wrap(
        FrameTokens(**FRAMES), at=1, keep=4, select="keypoints", skip=True
    ),
}


def random_network(name: str) -> PretrainedNetwork:
    """Seeded, in eval mode, with no parameter at a value that hides what it does."""
    torch.manual_seed(0)
    network = MEMBERS[name]()
    for parameter in network.parameters():
        if parameter.unique().numel() == 1:
            nn.init.normal_(parameter, 0.5, 0.1)
    return network.eval()


def call(network: PretrainedNetwork) -> Tensor:
    """With the same inputs every time, as the network's form asks."""
    generator = torch.Generator().manual_seed(1)
    xy = torch.randn(2, N_FRAMES, 17, 2, generator=generator) * 0.3
    if "denoiser" not in network.info.forms:
        return network(None, xy)
    x_t = torch.randn(2, 3, N_FRAMES, 17, 3, generator=generator)
    return network(x_t, xy, torch.tensor([999.0, 12.0]))


def moved(network: PretrainedNetwork) -> PretrainedNetwork:
    """With corrections that are not zero."""
    generator = torch.Generator().manual_seed(3)
    for name, p in network.named_parameters():
        if "lora_up" in name:
            p.data = torch.randn(p.shape, generator=generator) * 0.3
    return network


@pytest.mark.parametrize("name", sorted(MEMBERS))
@torch.no_grad()
def test_adapters_start_as_nothing_and_merge_into_what_they_became(name: str) -> None:
    network = random_network(name)
    names = set(network.state_dict())
    before = call(network)
    add_low_rank(network, rank=2)
    assert torch.equal(call(network), before)
    after = call(moved(network))
    assert (after - before).abs().max() > 1e-3
    merged = merge_low_rank(network)
    assert set(merged.state_dict()) == names
    assert all(p.requires_grad for p in merged.parameters())
    torch.testing.assert_close(call(merged), after, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", sorted(MEMBERS))
def test_a_step_trains_the_adapters_and_nothing_else(name: str) -> None:
    network = random_network(name)
    adapted = add_low_rank(network, rank=2)
    before = {n: x.clone() for n, x in network.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.1)
    call(network).square().mean().backward()
    optimizer.step()
    changed = {n for n, x in network.state_dict().items() if not torch.equal(x, before[n])}
    ups = {f"{layer}.lora_up.weight" for layer in adapted}
    assert changed
    assert changed <= ups  # the first factor waits for the second to leave zero


def test_merged_weights_are_a_folder_like_any_other(tmp_path: Path) -> None:
    network = random_network("frame-tokens")
    add_low_rank(network)
    after = call(moved(network))
    merge_low_rank(network).save_pretrained(tmp_path)
    loaded = call(load_network(tmp_path))
    torch.testing.assert_close(loaded, after, rtol=1e-4, atol=1e-5)


def test_the_trained_numbers_alone_bring_an_adapted_network_back() -> None:
    network, other = random_network("frame-tokens"), random_network("frame-tokens")
    for one in (network, other):
        add_low_rank(one, rank=3, scale=0.5)
    state = low_rank_state(moved(network))
    _, unexpected = other.load_state_dict(state, strict=False)
    assert not unexpected
    assert torch.equal(call(other), call(network))
    assert sum(x.numel() for x in state.values()) == sum(
        p.numel() for p in network.parameters() if p.requires_grad
    )


def test_first_factors_are_drawn_from_the_generator() -> None:
    drawn = []
    for seed in (0, 0, 1):
        network = FrameTokens(width=64, n_layers=1, n_heads=2)
        add_low_rank(network, rank=4, generator=torch.Generator().manual_seed(seed))
        drawn.append(network.blocks[0].qkv.lora_down.weight)
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert drawn[0].std().item() == pytest.approx(1 / 4, rel=0.2)


def test_scale_and_dropout() -> None:
    layer, x = nn.Linear(6, 6), torch.randn(4, 6)
    one, half = LowRankLinear(layer, 2), LowRankLinear(layer, 2, scale=0.5, dropout=0.5)
    for adapted in (one, half):
        nn.init.ones_(adapted.lora_up.weight)
    half.eval()
    torch.testing.assert_close(half(x) - layer(x), (one(x) - layer(x)) / 2)
    half.train()
    assert not torch.equal(half(x), half(x))


def test_refusals_name_what_to_do() -> None:
    network = FrameTokens(width=16, n_layers=1, n_heads=2)
    with pytest.raises(OptionError, match="rank is a whole number from 1 to 16"):
        add_low_rank(network, rank=17)
    with pytest.raises(OptionError, match="dropout from 0"):
        add_low_rank(network, dropout=1.0)
    add_low_rank(network)
    with pytest.raises(OptionError, match="fold them in with merge_low_rank"):
        add_low_rank(network)
    assert add_low_rank(merge_low_rank(network), linears=("up",)) == ["blocks.0.up"]
    with pytest.raises(OptionError, match=r"it has .*Name some with linears="):
        add_low_rank(GCNpose(width=16, n_layers=1), linears=("attention",))
