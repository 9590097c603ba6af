from __future__ import annotations

import math
import sys

import pytest
import torch
from torch import Tensor

from hypopose.cameras import fit_root
from hypopose.errors import ShapeError
from hypopose.networks import FrameTokens
from hypopose.networks.inputs import encode_rays
from hypopose.networks.ray_projection import (
    CALM,
    FARTHEST,
    NEAREST,
    STANDING,
    UNKNOWN,
    _distance,
    jitter,
    onto_rays,
)
from hypopose.skeletons import H36M17
from hypopose.types import Camera, Keypoints2D


def scene(distance: float = 4.0, scale: float = 0.4) -> tuple[Tensor, Tensor, Tensor]:
    """Six bodies about their root, their keypoints divided by the size, and the size."""
    g = torch.Generator().manual_seed(0)
    body = scale * torch.randn(6, 17, 3, generator=g)
    body = body - body[:, :1]
    placed = body + torch.tensor([0.3, -0.2, distance])
    size = torch.full((6, 1), 0.4 / distance)
    return body, placed[..., :2] / placed[..., 2:] / size[..., None], size


def keypoints_of(xy: Tensor, size: Tensor) -> Keypoints2D:
    camera = Camera(torch.ones(2), torch.zeros(2), (1, 1))
    return Keypoints2D(xy * size[..., None], H36M17, camera=camera)


@pytest.mark.parametrize(("distance", "scale"), [(1.5, 0.25), (4.0, 0.4), (10.0, 0.4), (4.0, 0.05)])
def test_poses_on_their_rays_stay(distance: float, scale: float) -> None:
    body, xy, size = scene(distance, scale)
    moved = onto_rays(body, xy, size, torch.ones(6, 17))
    torch.testing.assert_close(moved, body, atol=5e-3 * scale, rtol=0)


def test_people_may_walk_away() -> None:
    """The size is that of the whole window: a frame may lie at several times its distance."""
    body, xy, size = scene(16.0)
    moved = onto_rays(body, xy * 4, size / 4, torch.ones(6, 17))
    torch.testing.assert_close(moved, body, atol=2e-3, rtol=0)
    moved = onto_rays(body, xy / 4, size * 4, torch.ones(6, 17))
    torch.testing.assert_close(moved, body, atol=2e-2, rtol=0)


def test_each_share_moves_that_far_and_counts_that_much(monkeypatch: pytest.MonkeyPatch) -> None:
    """Known answer: the least-squares root, and what is left over times the share."""
    module = sys.modules["hypopose.networks.ray_projection"]
    monkeypatch.setattr(module, "PRIOR_WEIGHT", 0.0)
    body, xy, size = scene()
    g = torch.Generator().manual_seed(1)
    blurred = body + 0.05 * torch.randn(body.shape, generator=g)
    blurred[:, 5, 0] += 0.5  # hardly trusted
    share = torch.rand(6, 17, generator=g)
    share[:, 5], share[:, 7] = 0.01, 0.0
    moved = onto_rays(blurred, xy, size, share)
    torch.testing.assert_close(moved[..., 2], blurred[..., 2])
    torch.testing.assert_close(moved[:, 0], blurred[:, 0])
    root = fit_root(blurred, keypoints_of(xy, size), weights=share)
    placed = blurred + root[:, None]
    off = placed[..., :2] - xy * size[..., None] * placed[..., 2:]
    step = -share[..., None] * off
    expected = blurred[..., :2] + step - step[:, :1]
    torch.testing.assert_close(moved[..., :2], expected, atol=2e-5, rtol=0)
    assert (expected - blurred[..., :2]).norm(dim=-1).mean() > 0.03


def test_undetected_joints_are_not_moved_and_move_nothing() -> None:
    body, xy, size = scene()
    share = torch.ones(6, 17)
    share[:, [0, 5]] = 0
    blurred = body + 0.03 * torch.randn(body.shape, generator=torch.Generator().manual_seed(1))
    moved = onto_rays(blurred, xy, size, share)
    assert moved[:, [0, 5]].equal(blurred[:, [0, 5]])
    other = xy.clone()
    other[:, [0, 5]] = 50.0
    torch.testing.assert_close(onto_rays(blurred, other, size, share), moved)
    without = [j for j in range(17) if j != 5]
    rest = [x[:, without] for x in (blurred, xy, share)]
    fewer = onto_rays(rest[0], rest[1], size, rest[2])
    torch.testing.assert_close(moved[:, without], fewer)


def test_tremors_are_averaged_over_time_and_steady_ways_are_not() -> None:
    g = torch.Generator().manual_seed(0)
    body, xy, size = (x[:1].expand(601, *x.shape[1:]) for x in scene())
    share, off = torch.ones(601, 17), 0.05 * torch.randn(1, 17, 2, generator=g)
    still, seconds = torch.cat([body[..., :2] + off, body[..., 2:]], -1), torch.arange(601) / 50
    whole = onto_rays(still, xy, size, share)
    torch.testing.assert_close(onto_rays(still, xy, size, share, 0, seconds), whole)
    tremor = 0.02 * torch.randn(xy.shape, generator=g)

    def trembling(seconds: Tensor | None) -> float:
        moved = onto_rays(still, xy + tremor, size, share, 0, seconds)
        return float((moved - whole)[30:571].square().mean().sqrt())

    for slower, rel in ((1, 0.04), (5, 0.01)):  # of 541 frames and 34 series, 76 and 541 apart
        weight = (-(((torch.arange(-30, 31) * slower / 50) / CALM) ** 2) / 2).exp()
        left = float(weight.square().sum().sqrt() / weight.sum())  # of white noise
        ratio = trembling(slower * seconds) / trembling(None)
        assert ratio == pytest.approx(left, rel=rel)
    # Lost keypoints are nobody's neighbors.
    share = share.clone()
    share[30, 4] = 0
    other = (xy + tremor).clone()
    other[30, 4] = 100.0
    lost = onto_rays(still, xy + tremor, size, share, 0, seconds)
    torch.testing.assert_close(onto_rays(still, other, size, share, 0, seconds), lost)


def test_nobody_stands_nowhere() -> None:
    """Where keypoints decide no distance a standing adult's is taken, and none is absurd."""
    weight = torch.full((1, 17, 1), 1 / 17)
    spread = torch.randn(1, 17, 2, generator=torch.Generator().manual_seed(0))
    for xy, off, expected in (
        (0 * spread, 0 * spread, STANDING),
        (1e-4 * spread, 1e-5 * spread.flip(1), STANDING),
        (spread, 100 * spread, FARTHEST),
        (spread, -spread, NEAREST),
    ):
        assert _distance(xy, off, weight).item() == pytest.approx(expected, rel=1e-3)


def test_joints_behind_the_camera_are_left_alone() -> None:
    body, xy, size = scene(4.0, 0.2)
    body[:, 9, 2] = -8.0
    moved = onto_rays(body, xy, size, torch.ones(6, 17))
    assert (moved[:, 9] - body[:, 9]).norm(dim=-1).max() < 0.1
    assert (moved - body).norm(dim=-1).max() < 0.2  # others follow a person who is misplaced


def test_gradients_are_finite_without_any_keypoint() -> None:
    body, xy, size = scene()
    share = torch.zeros(6, 17, requires_grad=True)
    pose = body.clone().requires_grad_()
    torch.autograd.backward(onto_rays(pose, xy, size, share).square().sum())
    assert pose.grad is not None
    assert share.grad is not None
    assert torch.isfinite(pose.grad).all()
    assert torch.isfinite(share.grad).all()


def trusting(network: FrameTokens, logit: float) -> None:
    """All joints the same share."""
    assert network.to_share is not None
    network.to_share[2].weight.zero_()
    network.to_share[2].bias.fill_(logit)


def plain_twin(network: FrameTokens) -> FrameTokens:
    """The same network without rays; the jitter's say is taken away first."""
    assert network.from_jitter is not None
    network.from_jitter.weight.zero_()
    config = {k: v for k, v in network.config.items() if not k.startswith("_")}
    plain = FrameTokens(**{**config, "on_rays": False}).eval()
    own = ("to_share", "from_jitter")
    state = network.state_dict()
    plain.load_state_dict({k: v for k, v in state.items() if not k.startswith(own)})
    return plain


@torch.no_grad()
@pytest.mark.parametrize("distance", [1.5, 10.0])
def test_a_trusting_network_reprojects(distance: float) -> None:
    """Whatever depths it dreams of, its poses lie on the rays; one that trusts nothing is plain."""
    torch.manual_seed(0)
    network = FrameTokens(width=16, n_layers=2, n_heads=2, n_shared=1, on_rays=True).eval()
    body, xy, size = scene(distance, 0.25)
    encoded = encode_rays((xy * size[..., None])[None, :1].expand(1, 6, 17, 2), fps=5.0)
    assert encoded.context is not None
    given = {"confidence": encoded.confidence, "context": encoded.context}
    x_t, t = 0.3 * torch.randn(1, 3, 6, 17, 3), torch.tensor([500.0])
    seen_body = body[0] @ encoded.rotation[0].mT  # about right, so that a root can be fitted
    network.to_pose.bias.copy_(network.scale * seen_body.flatten())
    plain = plain_twin(network)
    own_size = torch.full((6, 1), float(encoded.context[0, 0].exp() * 0.1))
    seen = keypoints_of(encoded.xy[0], own_size)

    def poses(logit: float) -> Tensor:
        trusting(network, logit)
        return network(x_t, encoded.xy, t, **given)[0]

    def off(pose: Tensor) -> float:
        placed = pose + fit_root(pose, seen)[..., None, :]
        return float((placed[..., :2] / placed[..., 2:] - seen.xy).norm(dim=-1).mean())

    torch.testing.assert_close(poses(-50.0), plain(x_t, encoded.xy, t, **given)[0])
    assert off(poses(50.0)) < 0.02 * off(poses(-50.0))


@torch.no_grad()
def test_lost_keypoints_pull_nothing_and_do_not_tremble() -> None:
    torch.manual_seed(0)
    network = FrameTokens(width=16, n_layers=2, n_heads=2, n_shared=1, on_rays=True).eval()
    _, xy, size = scene()
    rays = (xy * size[..., None])[None].clone()
    rays[:, ::2, [4, 7]] = torch.nan
    encoded = encode_rays(rays, fps=5.0)  # too slow for averages over time
    given = {"confidence": encoded.confidence, "context": encoded.context}
    x_t, t = 0.3 * torch.randn(1, 3, 6, 17, 3), torch.tensor([500.0])
    assert network.from_jitter is not None
    read: list[Tensor] = []
    network.from_jitter.register_forward_pre_hook(lambda _, given: read.append(given[0]))
    trusting(network, 50.0)
    network(x_t, encoded.xy, t, **given)
    assert (read[0][:, [4, 7]] == UNKNOWN).all()
    assert (read[0][:, [3, 5]] != UNKNOWN).all()
    plain = plain_twin(network)
    moved = network(x_t, encoded.xy, t, **given)[0] - plain(x_t, encoded.xy, t, **given)[0]
    torch.testing.assert_close(moved[:, ::2, 4], moved[:, ::2, 7])  # by what the root moved
    assert (moved[:, 1::2, 4] - moved[:, 1::2, 7]).norm(dim=-1).min() > 1e-3


@torch.no_grad()
def test_the_root_is_the_skeletons() -> None:
    """MPII's is the seventh of sixteen."""
    sizes = {"keypoint_skeleton": "mpii16", "skeleton": "mpii16", "n_keypoints": 16, "n_joints": 16}
    network = FrameTokens(width=16, n_layers=1, n_heads=2, on_rays=True, **sizes).eval()  # type: ignore[arg-type]
    plain = plain_twin(network)
    trusting(network, 50.0)
    given = (torch.randn(1, 2, 5, 16, 3), torch.randn(1, 5, 16, 2), torch.tensor([500.0]))
    moved = network(*given) - plain(*given)
    assert moved[..., 6, :].abs().max() == 0
    assert moved.norm(dim=-1).mean() > 1e-2


def test_jitter_is_the_noise_and_not_the_motion() -> None:
    """Known answer: third differences of white noise have 20 times its variance."""
    g = torch.Generator().manual_seed(0)
    seconds = torch.arange(400)[:, None, None] / 50
    motion = (3 * seconds).sin().expand(1, 400, 17, 2)
    still = jitter(motion, torch.ones(1, 400, 17))
    assert (still < -2).all()
    noise = 0.02 * torch.randn(1, 400, 17, 2, generator=g)
    mean = (math.pi / 2 * 20) ** 0.5 * 0.02
    expected = torch.full((1, 17), math.log(mean / 0.01 + 0.1))
    given = jitter(motion + noise, torch.ones(1, 400, 17))
    # 397 differences, of which neighbors go together: the mean is known to 3 %.
    torch.testing.assert_close(given, expected, atol=0.1, rtol=0)


def test_jitter_skips_gaps_and_is_unknown_without_four_frames() -> None:
    g = torch.Generator().manual_seed(0)
    xy, usable = torch.randn(2, 9, 17, 2, generator=g), torch.ones(2, 9, 17)
    usable[:, 4, 3] = 0
    other = xy.clone()
    other[:, 4, 3] = 100.0
    torch.testing.assert_close(jitter(other, usable), jitter(xy, usable))
    assert (jitter(xy, usable)[:, 3] != jitter(xy, torch.ones_like(usable))[:, 3]).all()
    usable[:, ::4, 5] = 0
    assert (jitter(xy, usable)[:, 5] == UNKNOWN).all()
    assert (jitter(xy[:, :3], usable[:, :3]) == UNKNOWN).all()


def test_rays_of_another_skeleton_are_refused() -> None:
    for sizes in ({"keypoint_skeleton": "coco17"}, {"n_keypoints": 16}):
        with pytest.raises(ShapeError, match="are not 17 of h36m17"):
            FrameTokens(width=16, n_layers=1, n_heads=2, on_rays=True, **sizes)  # type: ignore[arg-type]
