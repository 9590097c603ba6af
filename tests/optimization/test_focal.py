"""Focal lengths: an oracle finds them, nothing to see leaves the prior, hypotheses differ."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from hypopose.aggregation import jpma
from hypopose.aggregation.reprojection_choice import reprojection_distances
from hypopose.api import make_sampler
from hypopose.cameras import fit_root, fit_roots, project
from hypopose.datasets import example_pair
from hypopose.diffusion import seeded_noise
from hypopose.errors import MissingCameraError, OptionError
from hypopose.networks import FrameTokens, Hourglass
from hypopose.optimization import belief_of_prior, estimate_focal, sample_with_focal
from hypopose.optimization.focal import (
    FREE,
    MAX_SECONDS,
    ON_RAYS,
    FocalPosterior,
    log_misfits,
    with_focals,
    worth_of,
)
from hypopose.samplers import SAMPLERS, DistributionalDiffusion
from hypopose.skeletons import H36M17
from hypopose.types import Camera, Hypotheses, Keypoints2D, NoiseSource, Skeleton

SIZE = (1920, 1080)


@dataclass(frozen=True)
class Remembers:
    """Knows the motion but for its noise: what an ideal network would find plausible."""

    joints: Tensor
    skeleton: Skeleton = H36M17
    spread: float = 0.01

    def sample(self, keypoints: Keypoints2D, n_hypotheses: int, noise: NoiseSource) -> Hypotheses:
        batch = keypoints.xy.shape[:-3]
        shape = (*batch, n_hypotheses, *self.joints.shape)
        joints = self.joints + self.spread * noise(shape).to(self.joints)
        joints = joints - joints[..., :1, :]
        each = replace(keypoints, covariance=None)
        return Hypotheses(joints, H36M17, fit_root(joints, each))


def walk(focal: float, *, steps: float = 3.0) -> tuple[Keypoints2D, Tensor]:
    """Somebody close to the camera who moves away from it."""
    _, truth = example_pair()
    assert truth.root is not None
    joints = truth.joints
    n = len(joints)
    depth = torch.linspace(1.8, 1.8 + steps, n)
    root = torch.stack((torch.linspace(-0.5, 0.8, n), torch.zeros(n), depth), -1)
    camera = Camera(torch.full((2,), focal), torch.tensor(SIZE) / 2, SIZE)
    xy = project(joints + root[:, None], camera)
    return Keypoints2D(xy, H36M17, camera=Camera.from_fov(SIZE), fps=10.0), joints


@pytest.mark.parametrize("focal", [1100.0, 1920.0, 3000.0])
def test_who_knows_the_motion_finds_the_focal_length(focal: float) -> None:
    keypoints, joints = walk(focal)
    belief = estimate_focal([keypoints], Remembers(joints), seeded_noise(0))
    assert belief.median == pytest.approx(focal, rel=0.25)
    low, high = belief.interval(0.98)
    assert low < focal < high
    assert belief.learned > 0.5


def test_a_small_person_far_away_tells_little_and_says_so() -> None:
    near, joints = walk(1920.0)
    camera = Camera.from_fov(SIZE)
    place = torch.tensor([0.0, 0.0, 60.0])
    far = replace(near, xy=project(joints + place, camera).round())
    sampler = Remembers(joints)
    tells, silent = (estimate_focal([k], sampler, seeded_noise(0)) for k in (near, far))
    assert silent.log_std > 2 * tells.log_std


def test_nothing_seen_leaves_the_prior() -> None:
    keypoints, joints = walk(1500.0)
    blank = replace(keypoints, xy=torch.full_like(keypoints.xy, torch.nan))
    belief = estimate_focal([blank], Remembers(joints), seeded_noise(0))
    torch.testing.assert_close(belief.probability, belief.prior, atol=1e-6, rtol=1e-5)
    assert belief.learned == pytest.approx(0.0, abs=1e-3)


def test_gaps_and_strangers_in_time_are_left_out() -> None:
    keypoints, joints = walk(1500.0)
    xy = keypoints.xy.clone()
    xy[::3, 5] = torch.nan
    xy[4] = torch.nan
    belief = estimate_focal([replace(keypoints, xy=xy)], Remembers(joints), seeded_noise(0))
    assert belief.median == pytest.approx(1500.0, rel=0.3)


def test_two_people_tell_more_than_one() -> None:
    keypoints, joints = walk(1500.0)
    sampler = Remembers(joints, spread=0.03)
    short = replace(keypoints, fps=60.0)
    one = estimate_focal([short], sampler, seeded_noise(0))
    two = estimate_focal([short, short], sampler, seeded_noise(0))
    assert two.log_std < one.log_std


def test_people_count_as_one_clip_as_long_as_all_of_theirs() -> None:
    keypoints, joints = walk(1500.0)
    sampler = Remembers(joints, spread=0.0)
    short = replace(keypoints, fps=60.0)
    four = estimate_focal([short] * 4, sampler, seeded_noise(0))
    slow = estimate_focal([replace(short, fps=15.0)], sampler, seeded_noise(0))
    assert four.learned > 0.3
    torch.testing.assert_close(four.probability, slow.probability, atol=1e-6, rtol=1e-5)


def test_evidence_grows_with_the_root_of_time_and_ends() -> None:
    keypoints, joints = walk(1500.0)
    sampler = Remembers(joints, spread=0.03)

    def told(seconds: float) -> Tensor:
        clip = replace(keypoints, fps=keypoints.n_frames / seconds)
        belief = estimate_focal([clip], sampler, seeded_noise(0))
        log_p = belief.probability.double().log() - belief.prior.double().log()
        return (log_p - log_p.mean())[60:120]  # where float32 still resolves it

    torch.testing.assert_close(told(1.0), told(0.25) * 2, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(told(40.0), told(MAX_SECONDS), atol=1e-6, rtol=1e-5)


def test_networks_on_rays_are_asked_with_numbers_of_their_own() -> None:
    kinds = {True: ON_RAYS, False: FREE}
    for on_rays, worth in kinds.items():
        network = FrameTokens(width=16, n_layers=2, n_heads=2, n_latent=12, on_rays=on_rays)
        assert network.info.on_rays is on_rays
        assert worth_of(DistributionalDiffusion(network.eval())) == worth
        backbone = {**network.config, "_class_name": "FrameTokens"}
        short = Hourglass(backbone, at=1, keep=9, recover="interpolate", select="keypoints")
        assert worth_of(DistributionalDiffusion(short.eval())) == worth
    assert worth_of(Remembers(torch.zeros(1, 17, 3))) == FREE
    assert worth_of(make_sampler()) == ON_RAYS
    keypoints, _ = walk(1500.0)
    sampler = make_sampler()

    def one(shape: tuple[int, ...]) -> Tensor:
        return seeded_noise(0)((1, *shape))[0]

    prior = belief_of_prior(SIZE)
    belief = estimate_focal([keypoints], sampler, one, prior)
    seconds = math.sqrt(keypoints.n_frames / 10.0)
    logs = (prior.focal / max(SIZE)).double().log()
    log_r, _ = log_misfits(keypoints, sampler, one, logs)
    total = ON_RAYS.rate * logs - ON_RAYS.residual * log_r  # bones have no say
    expected = (prior.probability.double().log() + seconds * total).softmax(0).float()
    assert belief.learned > 0.01
    torch.testing.assert_close(belief.probability, expected, atol=1e-6, rtol=1e-5)


def test_quantiles_and_draws_of_a_known_belief() -> None:
    belief = belief_of_prior(SIZE, log_std=0.2)
    assert belief.median == pytest.approx(1920, rel=0.01)
    assert belief.log_std == pytest.approx(0.2, rel=0.02)
    low, high = belief.interval(0.8)
    assert math.log(high / low) == pytest.approx(2 * 1.2816 * 0.2, rel=0.02)
    draws = belief.draws(500)
    assert float(draws.log().std()) == pytest.approx(0.2, rel=0.03)
    assert torch.equal(draws[:7], belief.draws(7))
    assert float(belief.draws(1)[0]) == pytest.approx(belief.median)


def test_hypotheses_have_their_own_focal_lengths_and_reproject_with_them() -> None:
    keypoints, joints = walk(1500.0)
    belief = belief_of_prior(SIZE, log_std=0.2)
    found = sample_with_focal(keypoints, belief, Remembers(joints), 6, seeded_noise(0))
    assert found.focal is not None
    assert found.root is not None
    assert found.joints.shape == (6, *joints.shape)
    assert len(set(found.focal.tolist())) == 6
    depth = found.root[:, :, 2].mean(1)
    torch.testing.assert_close(depth / found.focal, depth[:1].expand(6) / found.focal[:1],
                               atol=0, rtol=0.05)  # fmt: skip
    torch.testing.assert_close(fit_roots(found, keypoints), found.root)
    own = reprojection_distances(found, keypoints).median()
    shared = reprojection_distances(replace(found, focal=None), keypoints, found.root).median()
    assert own < 0.5 * shared
    assert torch.isfinite(jpma(found, keypoints).joints).all()


def test_without_belief_the_same_noise_gives_the_same_poses() -> None:
    keypoints, joints = walk(1500.0)
    sampler = Remembers(joints)
    belief = belief_of_prior(SIZE)
    some = sample_with_focal(keypoints, belief, sampler, 3, seeded_noise(4))
    more = sample_with_focal(keypoints, belief, sampler, 5, seeded_noise(4))
    torch.testing.assert_close(some.joints, more.joints[:3])
    plain = sampler.sample(keypoints, 3, seeded_noise(4))
    torch.testing.assert_close(some.joints, plain.joints)


def test_samplers_take_a_focal_length_a_hypothesis() -> None:
    keypoints, _ = example_pair()
    sampler = SAMPLERS["boneflips"]()
    found = sample_with_focal(keypoints, belief_of_prior((1000, 1000)), sampler, 3, seeded_noise(0))
    assert found.focal is not None
    assert len(found) == 3


def test_distorted_cameras_keep_their_lens() -> None:
    keypoints, _ = walk(1500.0)
    lens = torch.tensor([-0.1, 0.0, 0.0, 0.0, 0.0])
    camera = replace(Camera.from_fov(SIZE), distortion=lens, distortion_model="opencv")
    both = with_focals(keypoints.with_camera(camera), torch.tensor([1000.0, 2000.0]))
    assert both.camera is not None
    assert both.camera.distortion is not None
    assert both.camera.distortion.shape == (2, 5)


def test_what_cannot_be_estimated_is_refused() -> None:
    keypoints, joints = walk(1500.0)
    sampler = Remembers(joints)
    with pytest.raises(OptionError, match="one or more people"):
        estimate_focal([], sampler, seeded_noise(0))
    with pytest.raises(MissingCameraError, match="image's center"):
        estimate_focal([replace(keypoints, camera=None)], sampler, seeded_noise(0))
    with pytest.raises(OptionError, match="width is positive"):
        belief_of_prior(SIZE, log_std=0.0)
    batch = replace(keypoints, xy=keypoints.xy[None])
    with pytest.raises(OptionError, match="person by person"):
        sample_with_focal(batch, belief_of_prior(SIZE), sampler, 2, seeded_noise(0))


def test_a_sure_belief_is_a_camera() -> None:
    logs = torch.linspace(math.log(500), math.log(5000), 101)
    p = torch.zeros(101)
    p[40] = 1.0
    belief = FocalPosterior(logs.exp(), p, torch.full((101,), 1 / 101))
    assert belief.median == pytest.approx(float(logs[40].exp()), rel=0.03)
    assert belief.learned == pytest.approx(1.0)
