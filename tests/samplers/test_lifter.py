"""Lifters over videos: windows, flips, gaps, and what they refuse."""

from __future__ import annotations

import pytest
import torch
from jaxtyping import TypeCheckError

from hypopose.datasets import example_pair
from hypopose.diffusion import seeded_noise
from hypopose.errors import OptionError
from hypopose.networks import FrameTokens, KTPFormer, MixSTE2, MotionAGFormer, MPMLifter
from hypopose.networks.inputs import encode
from hypopose.samplers import D3DP, Lifter
from hypopose.types import Keypoints2D


@pytest.fixture
def walk() -> Keypoints2D:
    return example_pair()[0]


def first(keypoints: Keypoints2D, n: int) -> Keypoints2D:
    from dataclasses import replace

    confidence = keypoints.confidence
    cut = None if confidence is None else confidence[:n]
    return replace(keypoints, xy=keypoints.xy[:n], confidence=cut, covariance=None)


def test_one_window_is_the_network_itself(walk: Keypoints2D) -> None:
    torch.manual_seed(0)
    network = FrameTokens(width=16, n_layers=2, n_heads=2).eval()
    keypoints = first(walk, 9)
    out = Lifter(network, flip=False).sample(keypoints, 1, seeded_noise(0)).joints[0]
    e = encode(keypoints, "subject")
    assert e.context is not None
    with torch.no_grad():
        lifted = network(None, e.xy[None], None, e.confidence[None], None, e.context[None])[0, 0]
    expected = lifted @ e.rotation
    assert torch.allclose(out, expected - expected[:, :1], atol=1e-5)


def test_a_pose_per_frame_is_that_of_its_window(walk: Keypoints2D) -> None:
    torch.manual_seed(0)
    network = MPMLifter(strides=(3, 3), width=16, hidden=16, n_layers=1).eval()
    keypoints = first(walk, 12)
    out = Lifter(network, flip=False).sample(keypoints, 1, seeded_noise(0)).joints[0]
    e = encode(keypoints, "screen")
    with torch.no_grad():
        pose = network(None, e.xy[None, 1:10])[0, 0, 0]
    assert torch.allclose(out[5], pose - pose[:1], atol=1e-5)
    small = Lifter(network, flip=False, chunk=9).sample(keypoints, 1, seeded_noise(0)).joints[0]
    assert torch.allclose(small, out, atol=1e-6)


@pytest.mark.parametrize("n_frames", [4, 9, 22])
def test_any_video_comes_back_whole_and_batches_agree(walk: Keypoints2D, n_frames: int) -> None:
    torch.manual_seed(0)
    network = MixSTE2(n_frames=9, width=16, depth=1, lifter=True).eval()
    torch.nn.init.normal_(network.frame_position)
    lifter = Lifter(network)
    keypoints = first(walk, n_frames)
    alone = lifter.sample(keypoints, 1, seeded_noise(0))
    assert alone.joints.shape == (1, n_frames, 17, 3)
    assert alone.root is not None
    from dataclasses import replace

    both = replace(
        keypoints,
        xy=torch.stack([keypoints.xy + 30.0, keypoints.xy]),
        confidence=None if keypoints.confidence is None else keypoints.confidence.expand(2, -1, -1),
    )
    together = lifter.sample(both, 1, seeded_noise(0)).joints
    assert torch.allclose(together[1], alone.joints, atol=1e-5)


def test_flipping_makes_mirrored_input_mirrored_output(walk: Keypoints2D) -> None:
    torch.manual_seed(0)
    lifter = Lifter(KTPFormer(n_frames=9, width=16, depth=1, lifter=True).eval())
    keypoints = first(walk, 9)
    size = keypoints.image_size or keypoints.camera.image_size  # type: ignore[union-attr]
    order = list(lifter.skeleton.flip_order)
    from dataclasses import replace

    xy = keypoints.xy[:, order].clone()
    xy[..., 0] = size[0] - xy[..., 0]
    straight = lifter.sample(replace(keypoints, confidence=None), 1, seeded_noise(0)).joints
    mirrored = lifter.sample(replace(keypoints, xy=xy, confidence=None), 1, seeded_noise(0)).joints
    back = mirrored[..., order, :] * torch.tensor([-1.0, 1.0, 1.0])
    assert torch.allclose(back, straight, atol=1e-5)


def test_what_a_lifter_cannot_do_is_an_error(walk: Keypoints2D) -> None:
    lifter = MixSTE2(n_frames=9, width=16, depth=1, lifter=True)
    with pytest.raises(OptionError, match="n_hypotheses=1"):
        Lifter(lifter).sample(walk, 5, seeded_noise(0))
    with pytest.raises(OptionError, match="sampler='lifter'"):
        D3DP(lifter)
    with pytest.raises(OptionError, match="sampler='d3dp'"):
        Lifter(MixSTE2(n_frames=9, width=16, depth=1))
    with pytest.raises(OptionError, match="not in meters"):
        Lifter(MotionAGFormer(9, n_layers=1, width=16))
    with pytest.raises(OptionError, match="9 frames only"):
        Lifter(lifter, window=5)
    with pytest.raises((OptionError, TypeCheckError), match="fill_missing"):
        Lifter(lifter, fill_missing="guess")
