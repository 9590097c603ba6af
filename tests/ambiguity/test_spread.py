"""Covariance, entropy and dependence against closed forms and numpy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from hypopose.ambiguity import (
    MEASURES,
    effective_std,
    gaussian_entropy,
    joint_covariance,
    joint_dependence,
    joint_entropy,
    joint_spread,
    knn_entropy,
    pose_entropy,
    principal_scores,
    viewing_rays,
)
from hypopose.errors import OptionError
from hypopose.skeletons import H36M17
from hypopose.types import Hypotheses


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def hypotheses(scale: tuple[float, float, float] = (0.02, 0.03, 0.1), n: int = 60) -> Hypotheses:
    x = draw(2, n, 4, 17, 3) * torch.tensor(scale, dtype=torch.float64)
    return Hypotheses(x, H36M17)


def test_covariance_is_numpys() -> None:
    h = hypotheses()
    ours = joint_covariance(h)[1, 2, 5].numpy()
    np.testing.assert_allclose(ours, np.cov(h.joints[1, :, 2, 5].numpy().T), atol=1e-15)


def test_principal_axes_rebuild_the_covariance() -> None:
    s = joint_spread(hypotheses())
    rebuilt = s.axes.transpose(-1, -2) @ torch.diag_embed(s.std.square()) @ s.axes
    assert (rebuilt - s.covariance).abs().max() < 1e-15
    assert bool((s.std[..., 0] >= s.std[..., 2]).all())


def test_depth_is_along_the_viewing_ray_where_the_root_is_known() -> None:
    # everything varies along one slanted ray: all of it is depth, though z holds half of it only
    ray = torch.tensor([1.0, 0.0, 1.0], dtype=torch.float64) / math.sqrt(2)
    x = 0.05 * draw(50, 1, 17, 1) * ray
    x = x - x.mean(0)
    root = (4.0 * ray).expand(50, 1, 3)
    assert torch.allclose(
        joint_spread(Hypotheses(x, H36M17, root)).depth_share, torch.ones(1, 17).double()
    )
    assert torch.allclose(
        joint_spread(Hypotheses(x, H36M17)).depth_share, torch.tensor(0.5).double()
    )


def test_rays_without_a_root_are_the_optical_axis() -> None:
    assert viewing_rays(hypotheses())[0, 0, 0].tolist() == [0, 0, 1]


def test_isotropic_spread_is_a_third_depth() -> None:
    share = joint_spread(hypotheses((0.1, 0.1, 0.1), 2000)).depth_share
    assert (share - 1 / 3).abs().max() < 0.05


def test_nothing_varies_is_nan_and_one_hypothesis_an_error() -> None:
    still = Hypotheses(torch.zeros(5, 1, 17, 3), H36M17)
    assert bool(torch.isnan(joint_spread(still).depth_share).all())
    with pytest.raises(OptionError, match="at least 2 hypotheses"):
        joint_covariance(Hypotheses(torch.zeros(1, 1, 17, 3), H36M17))


@pytest.mark.parametrize("n_dims", [1, 3, 6])
@pytest.mark.parametrize("n", [20, 50, 200])
def test_entropy_bias_on_normals_is_small(n: int, n_dims: int) -> None:
    scale = torch.linspace(0.01, 0.1, n_dims, dtype=torch.float64)
    mixing = torch.diag(scale) @ (torch.eye(n_dims).double() + 0.3 * draw(n_dims, n_dims))
    estimate = knn_entropy(draw(400, n, n_dims, seed=n) @ mixing.T)
    bias = estimate.mean() - gaussian_entropy(mixing @ mixing.T)
    assert abs(bias.item()) < 0.2
    assert estimate.std() < 2.2 / math.sqrt(n)


def test_entropy_moves_with_scale_and_not_with_place() -> None:
    x = draw(100, 3)
    base = knn_entropy(x)
    assert math.isclose(knn_entropy(2 * x).item(), base.item() + 3 * math.log(2), abs_tol=1e-9)
    assert math.isclose(knn_entropy(x + 7).item(), base.item(), abs_tol=1e-9)
    mixing = torch.tensor([[1.0, 0.5, 0], [0, 2, 0], [0.1, 0, 0.01]], dtype=torch.float64)
    moved = base + torch.log(torch.linalg.det(mixing).abs())
    assert math.isclose(knn_entropy(x @ mixing.T).item(), moved.item(), abs_tol=1e-9)


def test_two_far_modes_cost_one_bit() -> None:
    x = draw(400, 3)
    x = x * torch.tensor([0.02, 0.03, 0.05]).double()
    both = x + torch.tensor([0.1, 0, 0.5]) * (torch.arange(400) % 2)[:, None]
    gain = knn_entropy(both) - knn_entropy(x)
    assert abs(gain.item() - math.log(2)) < 0.1


def test_coinciding_samples() -> None:
    x = torch.zeros(10, 3)
    assert knn_entropy(x).item() == -math.inf
    floor = knn_entropy(x, resolution=1e-3).item()
    assert math.isfinite(floor)
    assert floor < knn_entropy(0.01 * draw(10, 3), resolution=1e-3).item()
    x[0, 0] = torch.nan
    assert math.isnan(knn_entropy(x).item())
    with pytest.raises(OptionError, match="more than 3 samples"):
        knn_entropy(x[:3])


def test_effective_std_inverts_the_gaussian_entropy() -> None:
    entropy = gaussian_entropy(torch.eye(3).double() * 0.07**2)
    assert math.isclose(effective_std(entropy, 3).item(), 0.07, rel_tol=1e-9)
    measured = effective_std(joint_entropy(hypotheses((0.05, 0.05, 0.05), 200)), 3)
    assert (measured.mean() - 0.05).abs() < 0.003


def test_pose_entropy_grows_with_what_is_unknown() -> None:
    x = 0.01 * draw(40, 2, 17, 3)
    wider = x.clone()
    wider[:, 1, 16] *= 10
    entropy = pose_entropy(Hypotheses(wider, H36M17)) - pose_entropy(Hypotheses(x, H36M17))
    assert abs(entropy[0].item()) < 1e-12
    assert entropy[1] > 3


def test_principal_scores_keep_distances_along_kept_axes() -> None:
    x = draw(30, 5) * torch.tensor([1.0, 0.5, 0.01, 0.01, 0.01]).double()
    scores, kept = principal_scores(x, 2)
    assert kept > 0.99
    assert (torch.cdist(scores, scores) - torch.cdist(x, x)).abs().max() < 0.1


@pytest.mark.parametrize("measure", MEASURES)
class TestDependence:
    def test_one_for_copies_and_zero_on_average_for_strangers(self, measure: str) -> None:
        x = draw(25, 60, 17, 3)
        x[:, :, 3] = -x[:, :, 2] + 5
        d = joint_dependence(Hypotheses(x, H36M17), measure)
        assert (d[:, 2, 3] - 1).abs().max() < 1e-9
        others = d[:, 4, 5:].mean()
        assert abs(others.item()) < 0.01

    def test_symmetric_with_nan_for_the_root(self, measure: str) -> None:
        x = draw(10, 2, 17, 3)
        x[:, :, 0] = 0
        d = joint_dependence(Hypotheses(x, H36M17), measure)
        assert bool(torch.isnan(d[:, 0]).all())
        assert torch.allclose(d[:, 1:, 1:], d[:, 1:, 1:].transpose(1, 2))


def test_nonlinear_dependence_is_seen_by_distance_and_hsic_only() -> None:
    x = draw(200, 1, 17, 3)
    x[:, :, 2] = x[:, :, 1].square()
    h = Hypotheses(x, H36M17)
    seen = {m: joint_dependence(h, m)[0, 1, 2].item() for m in MEASURES}
    assert seen["distance"] > 0.05
    assert seen["hsic"] > 0.05
    assert seen["rv"] < 0.02


def test_distance_measure_is_the_bias_corrected_distance_correlation() -> None:
    # written out as in Székely and Rizzo, eq. 3.2, with loops
    x = draw(12, 1, 17, 3)

    def centered(z: np.ndarray) -> np.ndarray:
        n = len(z)
        a = np.linalg.norm(z[:, None] - z[None], axis=-1)
        out = np.zeros((n, n))
        for i in range(n):
            for j in range(n):
                if i != j:
                    out[i, j] = (
                        a[i, j]
                        - a[i].sum() / (n - 2)
                        - a[:, j].sum() / (n - 2)
                        + a.sum() / ((n - 1) * (n - 2))
                    )
        return out

    a, b = (centered(x[:, 0, j].numpy()) for j in (4, 9))
    expected = (a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum())
    assert math.isclose(joint_dependence(Hypotheses(x, H36M17))[0, 4, 9].item(), expected)


def test_unknown_measure_is_an_error() -> None:
    with pytest.raises(OptionError, match="distance, hsic, rv"):
        joint_dependence(hypotheses(), "pearson")
