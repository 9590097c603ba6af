"""The hourglass: which frames stay, and what becomes of the others."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch

from hypopose.errors import OptionError
from hypopose.networks.frame_tokens import FrameTokens
from hypopose.networks.hot import Hourglass, choose_frames
from hypopose.networks.mixste import MixSTE2
from hypopose.networks.motionagformer import MotionAGFormer
from hypopose.skeletons import SKELETONS

N_FRAMES = 9


def denoiser(keep: int = 4, skip: bool = True) -> Hourglass:
    torch.manual_seed(0)
    inner = MixSTE2(n_frames=N_FRAMES, width=16, depth=2)
    network = Hourglass.wrap(inner, at=1, keep=keep, select="keypoints", skip=skip).eval()
    torch.nn.init.normal_(network.x_token)
    return network


def test_frames_that_differ_are_kept() -> None:
    places = torch.tensor([0.0, 0.01, 0.02, 3.0, 3.01, 3.02, 6.0, 6.01, 6.02])
    index = choose_frames(places.reshape(1, 9, 1), 3).index[0]
    assert sorted((places[index] / 3).round().tolist()) == [0.0, 1.0, 2.0]


def test_choice_repeats_and_ignores_the_rest_of_the_batch() -> None:
    features = torch.randn(3, 27, 8, generator=torch.Generator().manual_seed(0))
    usable = torch.arange(27)[None] < torch.tensor([[20], [27], [9]])
    together = choose_frames(features, 9, usable=usable).index
    alone = choose_frames(features[2:], 9, usable=usable[2:]).index
    assert torch.equal(together[2:], alone)
    assert alone.max() < 9
    assert torch.equal(choose_frames(features, 9, usable=usable).index, together)


@torch.no_grad()
def test_all_hypotheses_steps_and_the_mirrored_pass_share_the_frames(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network, chosen = denoiser(), []
    original = Hourglass._index

    def recorded(self: Hourglass, *args: object) -> torch.Tensor:
        index = original(self, *args)
        chosen.append(index)
        return index

    monkeypatch.setattr(Hourglass, "_index", recorded)
    xy = torch.randn(1, N_FRAMES, 17, 2)
    mirrored = xy[:, :, list(SKELETONS["h36m17"].flip_order)] * torch.tensor([-1.0, 1.0])
    for t, keypoints in ((999.0, xy), (12.0, xy), (999.0, mirrored)):
        network(torch.randn(1, 5, N_FRAMES, 17, 3), keypoints, torch.tensor([t]))
    assert chosen[0].shape == (1, 4)
    assert all(torch.equal(index, chosen[0]) for index in chosen)


@torch.no_grad()
def test_enough_frames_to_keep_is_the_network_itself() -> None:
    network = denoiser(keep=N_FRAMES)
    x_t, xy = torch.randn(2, 3, N_FRAMES, 17, 3), torch.randn(2, N_FRAMES, 17, 2)
    t = torch.tensor([5.0, 900.0])
    assert torch.equal(network(x_t, xy, t), network.network(x_t, xy, t))


@torch.no_grad()
@pytest.mark.parametrize("skip", [True, False])
def test_skip_keeps_what_dropped_frames_had_of_their_own(skip: bool) -> None:
    network = denoiser(skip=skip)
    x_t, xy = torch.randn(1, 1, N_FRAMES, 17, 3), torch.randn(1, N_FRAMES, 17, 2)
    # Without temporal attention before the cut, a dropped frame's noise can only pass through skip.
    torch.nn.init.zeros_(network.network.temporal[0].out.weight)
    index = choose_frames(xy.flatten(-2), 4).index[0].tolist()
    dropped = next(f for f in range(N_FRAMES) if f not in index)
    out = network(x_t, xy, torch.tensor([500.0]))
    x_t[:, :, dropped] += 1.0
    changed = (network(x_t, xy, torch.tensor([500.0])) - out).abs().amax((0, 1, 3, 4)) > 1e-6
    assert changed.tolist() == [skip and f == dropped for f in range(N_FRAMES)]


@torch.no_grad()
def test_poses_between_kept_frames_lie_on_their_line() -> None:
    torch.manual_seed(0)
    inner = FrameTokens(width=16, n_layers=2, n_heads=2)
    network = Hourglass.wrap(inner, at=1, keep=4, select="keypoints", recover="interpolate").eval()
    x_t, xy = torch.randn(2, 3, N_FRAMES, 17, 3), torch.randn(2, N_FRAMES, 17, 2)
    out = network(x_t, xy, torch.tensor([5.0, 900.0]))
    index = choose_frames(xy.flatten(-2), 4).index
    assert sum(p.numel() for p in network.parameters()) == sum(
        p.numel() for p in inner.parameters()
    )
    for clip, kept in zip(out, index.tolist(), strict=True):
        for a, b in itertools.pairwise(kept):
            for f in range(a, b):
                share = (f - a) / (b - a)
                expected = (1 - share) * clip[:, a] + share * clip[:, b]
                assert torch.allclose(clip[:, f], expected, atol=1e-5)
        assert torch.equal(clip[:, 0], clip[:, kept[0]])


@torch.no_grad()
@pytest.mark.parametrize("n_shared", [1, 2])
@pytest.mark.parametrize("on_rays", [False, True])
@pytest.mark.parametrize("recover", ["attention", "interpolate"])
def test_hypotheses_may_part_behind_the_cut(n_shared: int, recover: Any, on_rays: bool) -> None:
    """Drawn together or one by one, dropped before or after the noise enters: the same motions."""
    torch.manual_seed(0)
    inner = FrameTokens(width=16, n_layers=3, n_heads=2, n_shared=n_shared, on_rays=on_rays)
    torch.nn.init.normal_(inner.to_pose.weight)
    options = {"at": 1, "keep": 4, "select": "keypoints", "recover": recover}
    network = Hourglass.wrap(inner, skip=True, **options).eval()
    x_t, xy = torch.randn(2, 3, N_FRAMES, 17, 3), torch.randn(2, N_FRAMES, 17, 2)
    t = torch.tensor([5.0, 900.0])
    together = network(x_t, xy, t)
    assert together.shape == x_t.shape
    for h in range(3):
        alone = network(x_t[:, h : h + 1], xy, t)
        torch.testing.assert_close(alone[:, 0], together[:, h], atol=1e-5, rtol=1e-5)
    assert (together[:, 0] - together[:, 1]).abs().max() > 1e-2


@torch.no_grad()
def test_frames_without_keypoints_go_first() -> None:
    network = denoiser()
    xy, confidence = torch.randn(1, N_FRAMES, 17, 2), torch.ones(1, N_FRAMES, 17)
    confidence[:, 2:5] = 0.0
    tokens = network.network.enter(torch.randn(1, 1, N_FRAMES, 17, 3), xy, torch.tensor([9.0]))
    index = network._index(tokens, xy, confidence, None, None)
    assert index is not None
    assert not set(index[0].tolist()) & {2, 3, 4}


def test_options_that_do_not_fit_are_errors() -> None:
    inner = MixSTE2(n_frames=N_FRAMES, width=16, depth=2)
    with pytest.raises(OptionError, match="select='keypoints'"):
        Hourglass.wrap(inner, at=1, keep=4)
    with pytest.raises(OptionError, match="needs all frames"):
        Hourglass.wrap(inner, at=1, keep=4, select="keypoints", recover="none")
    with pytest.raises(OptionError, match="at must be 1 to 1"):
        Hourglass.wrap(inner, at=2, keep=4, select="keypoints")
    graph = MotionAGFormer(N_FRAMES, n_layers=2, width=16)
    with pytest.raises(OptionError, match=r"pruned=\(1, 4\)"):
        Hourglass.wrap(graph, at=1, keep=4)
    loose = MotionAGFormer(None, n_layers=2, width=16, graph_norm="layer")
    with pytest.raises(OptionError, match="skip=True"):
        Hourglass.wrap(loose, at=1, keep=4)
    tokens = FrameTokens(width=16, n_layers=2, n_heads=2)
    with pytest.raises(OptionError, match="'interpolate'"):
        Hourglass.wrap(tokens, at=1, keep=4, select="keypoints", recover="none")
    with pytest.raises(OptionError, match="keep must be 1 to 3"):
        choose_frames(torch.randn(1, 3, 2), 4)
    with pytest.raises(OptionError, match="cannot be wrapped"):
        Hourglass({"_class_name": "GLAGCN"})
