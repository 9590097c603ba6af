"""The exact sampler: its density against the Pyro program, its draws against enumeration."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from exact_posteriors import ARM, ArmPosterior, energy_distance
from jaxtyping import TypeCheckError
from torch import Tensor
from torch.nn import functional

from hypopose.calibration.sbc import run_sbc
from hypopose.cameras import project
from hypopose.diffusion import seeded_noise
from hypopose.errors import (
    CheckpointError,
    MissingCameraError,
    OptionError,
    SkeletonMismatchError,
)
from hypopose.samplers import MCMC, PosePrior
from hypopose.samplers.mcmc import Chains, Convergence, ModelSimulator, pose_model
from hypopose.samplers.pose_prior import fit_pose_prior, heading_of, turned
from hypopose.skeletons import H36M17, SKELETONS
from hypopose.types import Camera, Keypoints2D, Sampler

CAMERA = replace(Camera.from_fov((1000, 1000)), assumed=False)
ARM_LENGTHS = (0.28, 0.25)


def arm_keypoints(sigma: float = 4.0) -> Keypoints2D:
    pose = torch.tensor([[0.1, -0.2, 2.0], [0.2, -0.05, 2.2], [0.36, 0.04, 2.05]])
    covariance = (sigma**2 * torch.eye(2)).expand(1, 3, 2, 2)
    return Keypoints2D(project(pose, CAMERA)[None], ARM, camera=CAMERA, covariance=covariance)


def leaning_prior() -> PosePrior:
    """The wrist's bone rather points towards the camera."""
    means = torch.zeros(1, 2, 3, dtype=torch.float64)
    means[0, 1, 2] = -0.8
    return replace(PosePrior.anywhere(ARM, ARM_LENGTHS), means=means)


@pytest.mark.parametrize(
    ("prior", "uneven"), [(PosePrior.anywhere(ARM, ARM_LENGTHS), 1.0), (leaning_prior(), 1.5)]
)
def test_flips_of_an_arm_have_their_exact_weights(prior: PosePrior, uneven: float) -> None:
    keypoints = arm_keypoints()
    exact = ArmPosterior(CAMERA, ARM_LENGTHS, directions=prior.log_directions)
    poses, weights = exact.draw(keypoints, 40_000, torch.Generator().manual_seed(0))
    shares = exact.flip_shares(poses, weights)
    sampler = MCMC(ARM, prior, tails=None, n_chains=8, n_warmup=30, n_draws=40)
    assert isinstance(sampler, Sampler)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the exact answer judges, not R-hat
        hypotheses = sampler.sample(keypoints, 320, seeded_noise(1))
    assert hypotheses.root is not None
    x = (hypotheses.joints + hypotheses.root[..., None, :])[:, 0].double()
    found = exact.flip_shares(x)
    assert shares.max() / shares.min() > uneven
    assert torch.allclose(found, shares, atol=0.1)
    depth = x[:, 0, 2].log()
    mean = weights @ poses[:, 0, 2].log()
    std = (weights @ (poses[:, 0, 2].log() - mean).square()).sqrt()
    assert depth.mean().item() == pytest.approx(mean.item(), abs=0.3 * std.item())
    assert depth.std().item() == pytest.approx(std.item(), rel=0.25)
    generator = torch.Generator().manual_seed(1)
    some = poses[torch.multinomial(weights, 1500, replacement=True, generator=generator)]
    relative = (some - some[:, :1]).flatten(1)
    ours = (x - x[:, :1]).flatten(1)
    assert energy_distance(ours, relative) < 0.08
    # The distance would notice if one interpretation were lost.
    assert energy_distance(ours[exact.flips(x) < 2], relative) > 0.15


def test_the_density_is_that_of_the_pyro_program() -> None:
    import pyro

    # A scale all know, so that both have the same coordinates.
    prior = replace(PosePrior.bundled(), length_std=(0.0, 0.03, 0.02))
    sampler = MCMC(prior=prior, tails=4.0)
    _, keypoints = ModelSimulator(sampler, CAMERA)(seeded_noise(3))
    target = sampler.target(keypoints)
    torch.manual_seed(0)
    positions = Chains(target, 3, 5).position
    x, heading = target.pose(positions)

    def program(position: Tensor, pose: Tensor, angle: Tensor) -> Tensor:
        parents, children = zip(*H36M17.bones, strict=True)
        v = pose[list(children)] - pose[list(parents)]
        length = v.norm(dim=-1)
        values = {
            "scale": torch.ones(()).double(),
            "log_lengths": length.log(),
            "place": pose[0, :2] / pose[0, 2],
            "depth": pose[0, 2],
            "heading": torch.remainder(angle + math.pi, 2 * math.pi) - math.pi,
        }
        conditioned = pyro.poutine.condition(pose_model, data=values)
        trace = pyro.poutine.trace(conditioned).get_trace(
            prior,
            target.factor[0],
            4.0,
            target.center[0],
            turned(v / length[:, None], angle),
        )
        assert torch.allclose(trace.nodes["_RETURN"]["value"], pose, atol=1e-9)
        log_density = trace.log_prob_sum()
        # From (lengths, directions, place, log depth) to (e, zeta, log depth).
        volume = 2 * pose[1:, 2].log().sum() - 3 * length.log().sum() + pose[0, 2].log()
        return log_density + volume

    ours = target.log_density(positions)
    theirs = torch.stack(
        [program(p, q[0], a[0]) for p, q, a in zip(positions, x, heading, strict=True)]
    )
    assert torch.allclose(ours - ours[0], theirs - theirs[0], atol=1e-6)


def test_flips_keep_what_they_should_and_undo_themselves() -> None:
    sampler = MCMC(tails=None)
    _, keypoints = ModelSimulator(sampler, CAMERA)(seeded_noise(5))
    target = sampler.target(keypoints)
    torch.manual_seed(1)
    position = Chains(target, 2, 5).position
    signs = torch.ones(2, 16).double()
    signs[1, 12] = -1  # the left wrist's bone
    places, log_density = target.flipped(position, signs, 8)
    assert places.shape == (16, 2, 1, target.n_coordinates)
    assert torch.allclose(places[0], position)
    for here in places[torch.isfinite(log_density).all(-1)]:
        assert torch.allclose(target.bones(here)[0], target.bones(position)[0])
        assert torch.equal(here[..., :34], position[..., :34])
    x, _ = target.pose(places[8])
    before, _ = target.pose(position)
    wrist = H36M17.index("left_wrist")
    moved = (x - before).norm(dim=-1) > 1e-9
    assert moved.nonzero()[:, -1].unique().tolist() == [wrist]
    back, again = target.flipped(places[8], signs)
    assert torch.allclose(back[1], position, atol=1e-9)
    assert torch.allclose(again[1], log_density[0])


def test_gradients_of_directions_are_their_slopes() -> None:
    prior = PosePrior.bundled()
    u = functional.normalize(torch.randn(2, 16, 3, dtype=torch.float64), dim=-1)
    assert torch.autograd.gradcheck(prior.log_directions, (u.requires_grad_(),))
    # Whether a component lies ahead or far behind, the density is smooth and finite.
    opposite = functional.normalize(-prior.means[:1], dim=-1)
    assert bool(torch.isfinite(prior.log_directions(opposite)).all())


def test_directions_drawn_have_the_density_said() -> None:
    prior = replace(leaning_prior(), length_std=(0.0, 0.0, 0.1))
    generator = torch.Generator().manual_seed(0)
    u = prior.draw(20_000, generator)
    uniform = functional.normalize(torch.randn(20_000, 2, 3, generator=generator).double(), dim=-1)
    density = prior.log_directions(uniform).exp() * (4 * math.pi) ** 2
    assert density.mean().item() == pytest.approx(1.0, abs=0.03)
    towards = (density * uniform[:, 1, 2]).mean()
    assert u[:, 1, 2].mean().item() == pytest.approx(towards.item(), abs=0.03)


def test_a_prior_is_fitted_to_poses_saved_and_read(tmp_path: Path) -> None:
    u = PosePrior.bundled().draw(300, torch.Generator().manual_seed(0))
    joints = torch.zeros(300, 17, 3).double()
    for bone, (parent, child) in enumerate(H36M17.bones):
        joints[:, child] = joints[:, parent] + 0.3 * u[:, bone]
    fitted = fit_pose_prior(joints, (0.3,) * 16, 4, n_iterations=8)
    inside = fitted.bends(turned(u, heading_of(u)))
    within = (inside >= fitted.limits[:, 0]) & (inside <= fitted.limits[:, 1])
    assert 0.98 < within.double().mean() < 1.0
    seen = fitted.log_directions(turned(u, heading_of(u))).mean()
    everywhere = -16 * math.log(4 * math.pi)
    assert seen > everywhere + 16
    assert bool((fitted.log_limits(u) <= 0).all())
    again = PosePrior.load(fitted.save(tmp_path / "prior.safetensors"))
    assert torch.allclose(again.log_directions(u), fitted.log_directions(u), atol=1e-3)
    assert again.angles == fitted.angles
    (tmp_path / "odd.safetensors").write_bytes(b"no")
    with pytest.raises(CheckpointError, match="no pose prior"):
        PosePrior.load(tmp_path / "odd.safetensors")
    with pytest.raises(OptionError, match="components"):
        fit_pose_prior(joints[:2], (0.3,) * 16, 4)


def test_what_cannot_be_sampled_is_refused() -> None:
    keypoints = arm_keypoints()
    arm = MCMC(ARM, PosePrior.anywhere(ARM, ARM_LENGTHS), max_frames=2)
    long = replace(keypoints, xy=keypoints.xy.expand(3, 3, 2), covariance=None)
    unseen = replace(keypoints, xy=torch.full_like(keypoints.xy, torch.nan))
    for bad, n, says in (
        (long, 1, "independent"),
        (keypoints, 9999, "n_draws"),
        (unseen, 1, "no key"),
    ):
        with pytest.raises(OptionError, match=says):
            arm.sample(bad, n, seeded_noise(0))
    with pytest.raises(MissingCameraError):
        arm.sample(replace(keypoints, camera=None), 1, seeded_noise(0))
    with pytest.raises(SkeletonMismatchError):
        arm.sample(
            replace(
                keypoints, skeleton=SKELETONS["body25"], xy=torch.zeros(1, 25, 2), covariance=None
            ),
            1,
            seeded_noise(0),
        )
    with pytest.raises(SkeletonMismatchError):
        MCMC(ARM)
    with pytest.raises((OptionError, TypeCheckError), match="frames"):
        MCMC(frames="all")
    with pytest.raises(OptionError, match="n_draws"):
        MCMC(n_draws=1)


def test_clips_gaps_batches_and_warnings() -> None:
    keypoints = arm_keypoints()
    xy = torch.stack([keypoints.xy.expand(2, 3, 2), keypoints.xy.expand(2, 3, 2) + 5.0])
    xy[0, 1, 2] = torch.nan
    batch = Keypoints2D(xy, ARM, camera=CAMERA, fps=30.0)
    arm = MCMC(ARM, PosePrior.anywhere(ARM, ARM_LENGTHS), n_chains=2, n_warmup=8, n_draws=6)
    said: list[object] = []
    with pytest.warns(UserWarning, match="have not converged"):
        joint = arm.sample(batch, 6, seeded_noise(0), said.append)
    assert joint.joints.shape == (2, 6, 2, 3, 3)
    assert bool(torch.isfinite(joint.joints).all())
    assert len(said) == 2 * arm.n_steps
    assert isinstance(said[-1], Convergence)
    assert "R-hat" in said[-1].note
    with pytest.warns(UserWarning, match="have not converged"):
        apart = replace(arm, frames="independent").sample(batch, 6, seeded_noise(0))
    steps = [h.joints.diff(dim=-3).norm(dim=-1).mean() for h in (joint, apart)]
    assert steps[0] < steps[1]


@pytest.mark.slow
def test_ranks_of_poses_from_the_model_are_uniform() -> None:
    sampler = MCMC(ARM, PosePrior.anywhere(ARM, ARM_LENGTHS), tails=None, n_warmup=30, n_draws=20)
    simulate = ModelSimulator(sampler, CAMERA)
    with pytest.warns(UserWarning, match="not converged"):
        result = run_sbc(sampler, simulate, 60, n_hypotheses=19, of=("axis",))
    assert result.check("chi2").passed(0.01)


@pytest.mark.slow
def test_a_whole_person_is_found_again() -> None:
    sampler = MCMC()
    truth, keypoints = ModelSimulator(sampler, CAMERA)(seeded_noise(11))
    with pytest.warns(
        UserWarning, match="have not converged"
    ):  # as docs/explanation/exact-posteriors.md says
        hypotheses = sampler.sample(keypoints, 100, seeded_noise(0))
    seen = project(hypotheses.joints + hypotheses.root[..., None, :], CAMERA)  # type: ignore[index]
    assert (seen - keypoints.xy).norm(dim=-1).median() < 8.0
    error = (hypotheses.joints - truth.joints).norm(dim=-1).mean((-1, -2))
    assert error.min() < 0.12
    assert hypotheses.joints[..., 1:, 2].std(0).min() > 0.002
