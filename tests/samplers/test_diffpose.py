"""DiffPose as released and as in the paper: laws, and posteriors known in closed form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from jaxtyping import TypeCheckError
from torch import Tensor
from torch.distributions import MultivariateNormal

import hypopose
from hypopose.cameras import project
from hypopose.diffusion import GaussianMixture, cosine_schedule, seeded_noise
from hypopose.errors import (
    CheckpointError,
    MissingCameraError,
    OptionError,
    ShapeError,
    SkeletonMismatchError,
)
from hypopose.networks import DiffPosePair, FrameTokens, GCNdiff, MixSTE2, Network
from hypopose.networks.base import NetworkInfo
from hypopose.samplers import (
    D3DP,
    DepthPrior,
    DiffPose,
    InitialDistribution,
    ReleasedDiffPose,
    Step,
)
from hypopose.samplers.released_diffpose import released_pairs
from hypopose.skeletons import SKELETONS
from hypopose.types import Camera, Keypoints2D, Poses3D, Sampler

H36M = SKELETONS["h36m17"]
SIZE = (1000, 800)
WRIST = H36M.index("right_wrist")


@pytest.fixture
def pair() -> DiffPosePair:
    torch.manual_seed(0)
    return DiffPosePair(width=16, n_layers=1).eval()


def scattered(*batch: int) -> Keypoints2D:
    generator = torch.Generator().manual_seed(4)
    xy = 400 + 60 * torch.randn(*batch, 17, 2, generator=generator)
    return Keypoints2D(xy, H36M).with_camera(Camera.from_fov(SIZE))


def draw(sampler: Sampler, keypoints: Keypoints2D, n: int = 3) -> Tensor:
    return sampler.sample(keypoints, n, seeded_noise(3)).joints


# As released -------------------------------------------------------------------------------------


def test_as_released_all_hypotheses_are_one_and_the_user_is_told(pair: DiffPosePair) -> None:
    sampler, keypoints = ReleasedDiffPose(pair), scattered(5)
    assert isinstance(sampler, Sampler)
    with pytest.warns(UserWarning, match="deterministic"):
        hypotheses = sampler.sample(keypoints, 3, seeded_noise(0))
    # Equal but for the last bit: some processors' matrix products depend on a row's place.
    assert torch.allclose(hypotheses.joints[0], hypotheses.joints[2], rtol=0, atol=1e-7)
    assert hypotheses.root is not None
    assert bool((hypotheses.joints[..., 0, :] == 0).all())


@pytest.mark.parametrize("options", [{"eta": 1.0}, {"start": "noised"}])
def test_noise_at_the_start_or_on_the_way_keeps_hypotheses_apart(
    pair: DiffPosePair, options: dict[str, object]
) -> None:
    sampler = ReleasedDiffPose(pair, n_steps=3, **options)  # type: ignore[arg-type]
    assert draw(sampler, scattered(2)).std(0)[:, 1:].min() > 1e-4


def test_results_do_not_depend_on_chunk_batch_or_hypotheses(pair: DiffPosePair) -> None:
    sampler, keypoints = (
        ReleasedDiffPose(pair, start="noised", eta=0.5, chunk=1000),
        scattered(2, 6),
    )
    whole = draw(sampler, keypoints)
    assert torch.allclose(draw(replace(sampler, chunk=1), keypoints), whole, atol=1e-6)
    assert torch.allclose(draw(sampler, keypoints, 2), whole[:, :2], atol=1e-6)
    one = replace(keypoints, xy=keypoints.xy[0])
    assert torch.allclose(draw(sampler, one), whole[0], atol=1e-6)


def test_surer_keypoints_are_moved_less(pair: DiffPosePair) -> None:
    spread = []
    for std in (0.1, 10.0):
        keypoints = scattered(1)
        covariance = (std**2 * torch.eye(2)).expand(1, 17, 2, 2)
        states: list[Step] = []
        sampler = ReleasedDiffPose(pair, start="noised")
        process = sampler._process(replace(keypoints, covariance=covariance), keypoints.xy)
        sampler.sample(keypoints, 1, seeded_noise(0), states.append)
        spread.append(process.scale[0, 0, 0])
    assert torch.allclose(spread[1][:2], 100 * spread[0][:2])
    assert torch.allclose(spread[1][:2], torch.tensor(2 * 10.0 / SIZE[0]))
    assert spread[0][2:].tolist() == [1.0, 1.0, 1.0]


def test_a_lifter_beside_the_denoiser_is_the_pair(pair: DiffPosePair) -> None:
    apart = ReleasedDiffPose(pair.refiner, lifter=pair.lifter, eta=0.5)
    together = ReleasedDiffPose(pair, eta=0.5)
    assert torch.equal(draw(apart, scattered(2)), draw(together, scattered(2)))


@pytest.mark.parametrize(
    ("n", "total", "spacing", "times"),
    [
        (2, 24, "uniform", [12, 0]),
        (2, 12, "uniform", [6, 0]),
        (1, 6, "uniform", [0]),
        (3, 10, "uniform", [9, 6, 3, 0]),
        (3, 20, "quad", [16, 4, 0]),
    ],
)
def test_steps_are_the_released_ones(n: int, total: int, spacing: str, times: list[int]) -> None:
    pairs = released_pairs(n, total, spacing)
    assert [t for t, _ in pairs] == times
    assert [t for _, t in pairs] == [*times[1:], -1]


def test_what_cannot_be_is_refused(pair: DiffPosePair) -> None:
    cases: list[tuple[Callable[[], object], str]] = [
        (lambda: ReleasedDiffPose(pair, n_steps=30), "n_steps"),
        (lambda: ReleasedDiffPose(pair, n_test_timesteps=200), "beyond"),
        (lambda: ReleasedDiffPose(pair, spacing="odd"), "spacing"),
        (lambda: ReleasedDiffPose(pair, start="nowhere"), "start"),
        (lambda: ReleasedDiffPose(pair, quirks=("odd",)), "quirks"),
        (lambda: ReleasedDiffPose(pair, eta=2.0), "eta"),
        (lambda: ReleasedDiffPose(FrameTokens(width=32, n_layers=1, n_heads=4)), "released pair"),
        (lambda: ReleasedDiffPose(GCNdiff(width=16, n_layers=1)), "released pair"),
        (
            lambda: ReleasedDiffPose(
                pair, lifter=MixSTE2(n_frames=3, width=16, depth=1, lifter=True)
            ),
            "any number of frames",
        ),
        (lambda: ReleasedDiffPose(pair).sample(scattered(1), 0, seeded_noise(0)), "n_hypotheses"),
    ]
    for make, says in cases:
        with pytest.raises((OptionError, TypeCheckError), match=says):
            make()
    keypoints = scattered(3)
    keypoints.xy[1, 4] = torch.nan
    with pytest.raises(OptionError, match="cannot read gaps"):
        draw(ReleasedDiffPose(pair), keypoints, 1)
    with pytest.warns(UserWarning, match="interpolated"):
        joints = draw(ReleasedDiffPose(pair, fill_missing="interpolate"), keypoints, 1)
    assert bool(torch.isfinite(joints).all())
    with pytest.raises(SkeletonMismatchError):
        draw(ReleasedDiffPose(pair), replace(keypoints, skeleton=SKELETONS["coco17"]), 1)


# As in the paper ---------------------------------------------------------------------------------


def same_everywhere(
    weights: list[float], means: Tensor, std: Tensor
) -> Callable[[Keypoints2D], GaussianMixture]:
    """One mixture (J, M) for all frames."""

    def initial(keypoints: Keypoints2D) -> GaussianMixture:
        batch = keypoints.xy.shape[:-2]
        w = torch.tensor(weights).double()
        return GaussianMixture.from_covariances(
            w.expand(*batch, *means.shape[:-1]),
            means.double().expand(*batch, *means.shape),
            torch.diag_embed(std.double() ** 2).expand(*batch, *means.shape, 3),
        )

    return initial


@pytest.mark.parametrize("scheduler", ["ddim", "unipc"])
def test_one_standard_normal_at_0_is_d3dp_to_the_last_bit(scheduler: str) -> None:
    torch.manual_seed(0)
    network = FrameTokens(width=32, n_layers=2, n_heads=4, max_frames=8).eval()
    options = {"n_steps": 3, "scheduler": scheduler, "eta": 1.0 if scheduler == "ddim" else 0.0}
    keypoints = scattered(2, 13)
    initial = same_everywhere([1.0], torch.zeros(17, 1, 3), torch.ones(17, 1, 3))
    ours = draw(DiffPose(network, initial=initial, **options), keypoints)  # type: ignore[arg-type]
    theirs = draw(D3DP(network, **options), keypoints)  # type: ignore[arg-type]
    assert torch.equal(ours, theirs)


@dataclass(frozen=True)
class TwoPlaces:
    """Exact E[x0 | x_t] for joints that are, with equal odds, normal around one of two places.

    ``mixture`` (J, M) is where the forward process ends; the network does not know the component.
    """

    places: Tensor  # (2, J, 3)
    std: float
    mixture: GaussianMixture

    @property
    def info(self) -> NetworkInfo:
        return NetworkInfo("screen", None)

    def __call__(
        self,
        x_t: Tensor | None,
        keypoints: Tensor,
        t: Tensor | None = None,
        confidence: Tensor | None = None,
        mask: Tensor | None = None,
        context: Tensor | None = None,
    ) -> Tensor:
        assert x_t is not None
        assert t is not None
        bar = cosine_schedule().at(int(t[0]))
        mu, cov = self.mixture.means[:, :, None], self.mixture.covariances[:, :, None]
        place = self.places.double().transpose(0, 1)[:, None]  # (J, 1, 2, 3)
        mean = mu + bar**0.5 * (place - mu)  # (J, M, 2, 3)
        whole = bar * self.std**2 * torch.eye(3).double() + (1 - bar) * cov
        whole = whole.expand(*mean.shape, 3)
        x = x_t.double()[..., None, None, :]  # (B, H, F, J, 1, 1, 3)
        log_odds = MultivariateNormal(mean, whole).log_prob(x)
        log_odds = log_odds + self.mixture.weights.log()[..., None]
        odds = log_odds.flatten(-2).softmax(-1).unflatten(-1, log_odds.shape[-2:])
        pull = torch.linalg.solve(whole, (x - mean)[..., None])[..., 0]
        x0 = place + bar**0.5 * self.std**2 * pull
        return (odds[..., None] * x0).sum((-3, -2)).to(x_t)


@pytest.mark.parametrize(
    ("eta", "n_components", "bias"),
    # Without fresh noise, not knowing the component costs centimeters: see the module.
    [(1.0, 1, 0.0), (1.0, 2, 0.0), (0.0, 1, 0.0), (0.0, 2, 0.04)],
)
def test_both_places_of_an_ambiguous_joint_are_visited_as_often_as_they_should(
    eta: float, n_components: int, bias: float
) -> None:
    places = torch.zeros(2, 17, 3)
    places[0, WRIST], places[1, WRIST] = torch.tensor([[0.1, 0.2, -0.3], [0.1, 0.2, 0.3]])
    std, n, n_steps = 0.05, 400, 60
    means = places.mean(0)[:, None].expand(17, n_components, 3).clone()
    spread = torch.tensor([0.05, 0.05, 0.35]).expand(17, n_components, 3).clone()
    if n_components == 2:
        means[WRIST] = torch.tensor([[0.1, 0.2, -0.8], [0.1, 0.2, 0.8]])
        spread[WRIST, :, 2] = 0.2
    weights = [0.7, 0.3][:n_components] if n_components == 2 else [1.0]
    initial = same_everywhere(weights, means, spread)
    keypoints = replace(scattered(1), camera=None)
    network = TwoPlaces(places, std, _of_joint(initial(keypoints)))
    assert isinstance(network, Network)
    sampler = DiffPose(network, n_steps=n_steps, eta=eta, flip=False, clamp=None, initial=initial)
    steps: list[Step] = []
    joints = sampler.sample(keypoints, n, seeded_noise(5), steps.append).joints[:, 0]
    wrist = joints[:, WRIST]
    far = wrist[:, 2] > 0
    assert (wrist[:, 2].abs() - 0.3).abs().max() < 5 * std
    assert far.double().mean().item() == pytest.approx(0.5, abs=5 * 0.5 / n**0.5)
    for side, place in ((far, places[1, WRIST]), (~far, places[0, WRIST])):
        assert (wrist[side].mean(0) - place).abs().max() < bias + 6 * std / side.sum() ** 0.5
        assert torch.allclose(wrist[side].std(0), torch.tensor(std), rtol=0.2)
    assert torch.allclose(joints[:, 1:WRIST].std(0).mean(), torch.tensor(std), rtol=0.1)
    if n_components == 2:
        share = (steps[0].x_t[:, 0, WRIST, 2] < 0).double().mean().item()
        assert share == pytest.approx(0.7, abs=0.1)


def _of_joint(mixture: GaussianMixture) -> GaussianMixture:
    return GaussianMixture(mixture.weights[0], mixture.means[0], mixture.cholesky[0])


def test_a_hypothesis_keeps_its_component_in_all_frames() -> None:
    means = torch.zeros(17, 2, 3)
    means[:, :, 2] = torch.tensor([-5.0, 5.0])
    initial = same_everywhere([0.5, 0.5], means, 0.1 * torch.ones(17, 2, 3))
    torch.manual_seed(0)
    network = FrameTokens(width=32, n_layers=1, n_heads=4, max_frames=8).eval()
    steps: list[Step] = []
    sampler = DiffPose(network, n_steps=1, initial=initial)
    sampler.sample(scattered(2, 12), 6, seeded_noise(1), steps.append)
    side = steps[0].x_t[..., 2] > 0  # (B, H, F, J)
    assert bool((side == side[:, :, :1]).all())
    assert 0.3 < side.double().mean() < 0.7
    assert not bool((side[0] == side[1]).all())


def test_a_mixture_must_fit_the_poses() -> None:
    torch.manual_seed(0)
    network = FrameTokens(width=32, n_layers=1, n_heads=4, max_frames=8).eval()
    with pytest.raises(OptionError, match="InitialDistribution"):
        DiffPose(network)
    initial = same_everywhere([1.0], torch.zeros(3, 1, 3), torch.ones(3, 1, 3))
    with pytest.raises(ShapeError, match="initial gave mixtures"):
        draw(DiffPose(network, initial=initial), scattered(2))


# From keypoints to mixtures ----------------------------------------------------------------------


def population(n: int = 400) -> Poses3D:
    """People alike but for small changes; the right wrist is 0.2 m nearer or farther."""
    generator = torch.Generator().manual_seed(2)
    standing = 0.4 * torch.randn(17, 3, generator=generator).double()
    standing[0] = 0.0
    joints = standing + 0.01 * torch.randn(n, 17, 3, generator=generator).double()
    joints[:, 0] = 0.0
    joints[: n // 2, WRIST, 2] = standing[WRIST, 2] - 0.2
    joints[n // 2 :, WRIST, 2] = standing[WRIST, 2] + 0.2
    return Poses3D(joints.float(), H36M)


def seen(poses: Poses3D, root: Tensor, frames: slice) -> Keypoints2D:
    camera = replace(Camera.from_fov(SIZE), assumed=False)
    joints = poses.joints[frames].float() + root
    return Keypoints2D(project(joints, camera), H36M, camera=camera)


ROOTS = [torch.tensor([0.0, 0.0, 5.0]), torch.tensor([-1.2, 0.3, 4.0])]


@pytest.mark.parametrize("root", ROOTS)
def test_a_limb_that_may_point_either_way_starts_in_two_components(root: Tensor) -> None:
    poses = population()
    keypoints = seen(poses, root, slice(0, 2))
    initial = InitialDistribution(
        DepthPrior.from_poses(poses, 128), n_components=2, root_depth=float(root.norm())
    )
    mixture = initial(keypoints)
    assert mixture.weights.shape == (2, 17, 2)
    wrist = mixture.means[:, WRIST, :]
    apart = (wrist[:, 1] - wrist[:, 0]).norm(dim=-1)
    assert torch.allclose(apart, torch.full_like(apart, 0.4), atol=0.05)
    assert bool((wrist[:, 1, 2] > wrist[:, 0, 2]).all())
    assert mixture.weights[:, WRIST].min() > 0.3
    # Wherever a component lies, it lies on the ray of its keypoint.
    assert keypoints.camera is not None
    seen_at = project((mixture.means + root).float().transpose(1, 2), keypoints.camera)
    error = (seen_at.transpose(1, 2) - keypoints.xy[:, :, None])[:, 1:]
    assert error.norm(dim=-1).median() < 8.0
    assert mixture.means[:, 0].abs().max() == 0


def test_less_sure_keypoints_start_wider() -> None:
    poses, root = population(), ROOTS[0]
    keypoints = seen(poses, root, slice(0, 1))
    initial = InitialDistribution(DepthPrior.from_poses(poses), n_components=2)
    confidence = torch.ones(1, 17)
    confidence[0, 3] = 0.1
    sure = initial(keypoints).covariance[0]
    unsure = initial(replace(keypoints, confidence=confidence)).covariance[0]
    assert unsure[3, 0, 0] > 2 * sure[3, 0, 0]
    assert torch.allclose(unsure[5], sure[5])
    covariance = torch.zeros(1, 17, 2, 2)
    covariance[..., 0, 0], covariance[..., 1, 1] = 400.0, 1.0
    given = initial(replace(keypoints, covariance=covariance)).covariance[0]
    assert given[3, 0, 0] > 4 * given[3, 1, 1]


def test_a_missing_joint_starts_where_similar_people_have_it() -> None:
    poses, root = population(), ROOTS[0]
    keypoints = seen(poses, root, slice(0, 1))
    initial = InitialDistribution(DepthPrior.from_poses(poses), n_components=1, min_std=0.005)
    whole = initial(keypoints)
    for joint in (0, 5):
        xy = keypoints.xy.clone()
        xy[0, joint] = torch.nan
        partial = initial(replace(keypoints, xy=xy))
        assert torch.allclose(partial.means[0, 5], whole.means[0, 5], atol=0.05)
    assert bool(torch.isfinite(partial.covariances).all())


def test_initial_distributions_refuse_what_they_cannot_use() -> None:
    poses = population(70)
    prior = DepthPrior.from_poses(poses)
    keypoints = seen(poses, ROOTS[0], slice(0, 1))
    with pytest.raises(OptionError, match="n_neighbors"):
        DepthPrior.from_poses(poses, 71)
    with pytest.raises(OptionError, match="positive"):
        InitialDistribution(prior, min_std=0.0)
    with pytest.raises(MissingCameraError):
        InitialDistribution(prior)(replace(keypoints, camera=None))
    with pytest.raises(SkeletonMismatchError):
        InitialDistribution(prior)(replace(keypoints, skeleton=SKELETONS["coco17"]))
    nearly_empty = torch.full_like(keypoints.xy, torch.nan)
    nearly_empty[0, :2] = 100.0
    with pytest.raises(OptionError, match="shows 2 joints"):
        InitialDistribution(prior)(replace(keypoints, xy=nearly_empty))


def test_paper_sampler_runs_from_keypoints_to_distinct_hypotheses() -> None:
    torch.manual_seed(0)
    network = FrameTokens(width=32, n_layers=1, n_heads=4, max_frames=8).eval()
    poses = population()
    initial = InitialDistribution(DepthPrior.from_poses(poses))
    sampler = DiffPose(network, n_steps=2, initial=initial)
    assert isinstance(sampler, Sampler)
    hypotheses = sampler.sample(seen(poses, ROOTS[1], slice(0, 9)), 4, seeded_noise(0))
    assert hypotheses.joints.shape == (4, 9, 17, 3)
    assert hypotheses.joints.std(0)[:, 1:].min() > 0


# Networks that are told their components ----------------------------------------------------------


@dataclass(frozen=True)
class ToldPlaces:
    """Exact E[x0 | x_t, L] for a network that is told: joints in one of two places, equal odds."""

    places: Tensor  # (2, J, 3)
    std: float

    @property
    def info(self) -> NetworkInfo:
        return NetworkInfo("screen", None, n_latent=12 * 17)

    def __call__(
        self,
        x_t: Tensor | None,
        keypoints: Tensor,
        t: Tensor | None = None,
        confidence: Tensor | None = None,
        mask: Tensor | None = None,
        context: Tensor | None = None,
    ) -> Tensor:
        assert x_t is not None
        assert t is not None
        bar = cosine_schedule().at(int(t[0]))
        x, _, columns = x_t.double().split([17, 17, 51], -2)
        factor = columns.unflatten(-2, (17, 3)).mT
        whole = bar * self.std**2 * torch.eye(3).double() + (1 - bar) * factor @ factor.mT
        place = self.places.double()[:, None, None, None]  # (2, 1, 1, 1, J, 3)
        odds = MultivariateNormal(bar**0.5 * place, whole).log_prob(x).softmax(0)
        pull = torch.linalg.solve(whole, (x - bar**0.5 * place)[..., None])[..., 0]
        return (odds[..., None] * (place + bar**0.5 * self.std**2 * pull)).sum(0).to(x_t)


@pytest.mark.parametrize("eta", [1.0, 0.0])
def test_told_its_component_every_component_leads_to_the_same_posterior(eta: float) -> None:
    places = torch.zeros(2, 17, 3)
    places[0, WRIST], places[1, WRIST] = torch.tensor([[0.1, 0.2, -0.3], [0.1, 0.2, 0.3]])
    means = places.mean(0)[:, None].expand(17, 2, 3).clone()
    means[WRIST] = torch.tensor([[0.1, 0.2, -0.8], [0.1, 0.2, 0.8]])
    spread = torch.tensor([[0.05, 0.05, 0.35], [0.05, 0.05, 0.2]]).expand(17, 2, 3)
    initial = same_everywhere([0.7, 0.3], means, spread.clone())
    network, n = ToldPlaces(places, 0.05), 400
    assert isinstance(network, Network)
    sampler = DiffPose(network, n_steps=40, eta=eta, flip=False, clamp=None, initial=initial)
    steps: list[Step] = []
    keypoints = replace(scattered(1), camera=None)
    joints = sampler.sample(keypoints, n, seeded_noise(5), steps.append).joints[:, 0]
    wrist = joints[:, WRIST]
    assert steps[0].x_t.shape == (n, 1, 17, 3)
    first = steps[0].x_t[:, 0, WRIST, 2] < 0
    assert first.float().mean().item() == pytest.approx(0.7, abs=0.1)
    for drawn in (first, ~first):
        far = (wrist[drawn, 2] > 0).float().mean().item()
        assert far == pytest.approx(0.5, abs=4 * 0.5 / float(drawn.sum()) ** 0.5)
    for place in places[:, WRIST]:
        near = wrist[(wrist - place).norm(dim=-1) < 0.3]
        assert (near.mean(0) - place).abs().max() < 0.02
        assert torch.allclose(near.std(0), torch.tensor(0.05), rtol=0.3)


def test_told_networks_need_their_rows_and_no_flips() -> None:
    initial = same_everywhere([1.0], torch.zeros(17, 1, 3), torch.ones(17, 1, 3))
    told = ToldPlaces(torch.zeros(2, 17, 3), 0.05)
    with pytest.raises(OptionError, match="flip=False"):
        DiffPose(told, initial=initial)
    with pytest.raises(OptionError, match="mirror=False"):
        DiffPose(told, initial=initial, flip=False, mirror=True)
    torch.manual_seed(0)
    other = FrameTokens(width=32, n_layers=1, n_heads=4, n_latent=12)
    with pytest.raises(OptionError, match="distributional"):
        DiffPose(other, initial=initial, flip=False)
    with pytest.raises(OptionError, match="diffpose-released"):
        DiffPose(DiffPosePair(width=16, n_layers=1), initial=initial)


def test_what_a_told_network_sees_turns_with_its_camera() -> None:
    torch.manual_seed(0)
    network = FrameTokens(width=32, n_layers=1, n_heads=4, max_frames=4, n_latent=204).eval()
    poses = population()
    initial = InitialDistribution(DepthPrior.from_poses(poses), n_components=2, stride=3)
    sampler = DiffPose(network, n_steps=2, initial=initial, flip=False)
    keypoints = seen(poses, ROOTS[1], slice(0, 9))
    joints = draw(sampler, keypoints)
    assert torch.allclose(draw(replace(sampler, chunk=1), keypoints), joints, atol=1e-5)
    assert torch.allclose(draw(sampler, keypoints, 2), joints[:2], atol=1e-5)


def test_neighbors_are_those_of_a_plain_search() -> None:
    poses = population(60)
    prior = DepthPrior.from_poses(poses, 5)
    plane = prior.joints[7:9, :, :2] / 4.0 + 0.02
    plane[1, 3:6] = torch.nan
    near = prior.neighbors(plane)
    for f in range(2):
        seen_here = torch.isfinite(plane[f]).all(-1)
        p, q = plane[f, seen_here], prior.joints[:, seen_here, :2]

        def normed(x: Tensor) -> Tensor:
            x = x - x.mean(-2, keepdim=True)
            return x / x.square().sum(-1).mean(-1).sqrt()[..., None, None]

        away = (normed(p[None]) - normed(q)).square().sum(-1).mean(-1)
        order = away.argsort()[:5]
        assert torch.allclose(near.depth[f], prior.joints[order, :, 2])
        weights = (-away[order] / (2 * away[order].median())).softmax(0)
        assert torch.allclose(near.weights[f], weights, atol=1e-3)


def test_a_stride_moves_mixtures_smoothly_and_gaps_take_the_nearest_frame() -> None:
    poses = population()
    keypoints = seen(poses, ROOTS[0], slice(0, 7))
    every = InitialDistribution(DepthPrior.from_poses(poses), n_components=2)
    some = replace(every, stride=3)
    xy = keypoints.xy.clone()
    xy[3] = torch.nan
    for initial in (every, some):
        mixture = initial(replace(keypoints, xy=xy))
        assert mixture.weights.shape == (7, 17, 2)
        assert bool(torch.isfinite(mixture.means).all())
    ends = every(keypoints), some(keypoints)
    assert torch.allclose(ends[0].means[0], ends[1].means[0], atol=1e-6)
    middle = (ends[1].weights[0] + ends[1].weights[3]) / 2
    assert torch.allclose((ends[1].weights[1] + ends[1].weights[2]) / 2, middle)


def test_initial_distributions_are_saved_and_read(tmp_path: Path) -> None:
    poses = population(80)
    initial = InitialDistribution(DepthPrior.from_poses(poses, 20), n_components=2, stride=2)
    again = InitialDistribution.load(initial.save(tmp_path / "initial.safetensors"))
    keypoints = seen(poses, ROOTS[0], slice(0, 3))
    assert (again.stride, again.depths.n_neighbors) == (2, 20)
    assert torch.allclose(again(keypoints).mean, initial(keypoints).mean, atol=2e-3)
    assert "initial" in DiffPose.options_beside(tmp_path)
    assert DiffPose.options_beside(tmp_path / "elsewhere") == {}
    (tmp_path / "odd.safetensors").write_bytes(b"no")
    with pytest.raises(CheckpointError, match=r"InitialDistribution\.save"):
        InitialDistribution.load(tmp_path / "odd.safetensors")


def test_weights_in_the_box_visit_both_modes_of_an_ambiguous_limb() -> None:
    keypoints, truth = hypopose.datasets.example_pair()
    assert keypoints.camera is not None
    pose = truth.joints[0].clone()
    elbow = H36M.index("right_elbow")
    pose[WRIST] = pose[elbow] + torch.tensor([0.06, 0.10, -0.22])  # towards the camera, or away
    xy = project(pose + torch.tensor([0.0, 0.0, 4.0]), keypoints.camera)[None]
    one = Keypoints2D(xy, H36M, camera=keypoints.camera, fps=50.0)
    joints = hypopose.sample(one, sampler="diffpose", n_hypotheses=60).joints[:, 0]
    depth = joints[:, WRIST, 2] - joints[:, elbow, 2]
    assert (depth < -0.1).sum() >= 6
    assert (depth > 0.05).sum() >= 3
    assert joints.std(0)[1:].norm(dim=-1).min() > 0.003
