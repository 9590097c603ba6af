"""The pose structure score: what it ignores, what it sees, and the centers that come along."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from hypopose.cameras import axis_angle
from hypopose.datasets import example_pair
from hypopose.errors import OptionError, ShapeError
from hypopose.evaluation import METRICS, Comparison
from hypopose.metrics import PoseClusters, cluster_entropy, cluster_of, fit_pose_clusters, pss
from hypopose.metrics.pose_structure import pose_directions
from hypopose.skeletons import COCO17, H36M17
from hypopose.types import Hypotheses, Poses3D

WALK = example_pair()[1].joints


def groups(n: int = 30, k: int = 4) -> tuple[Tensor, Tensor]:
    """Poses about k far ones, and which each is about."""
    generator = torch.Generator().manual_seed(0)
    centers = torch.randn(k, 17, 3, generator=generator)
    own = torch.arange(n) % k
    poses = centers[own] + 0.05 * torch.randn(n, 17, 3, generator=generator)
    return poses - poses[:, :1], own


def turned(joints: Tensor, degrees: float) -> Tensor:
    about = torch.tensor([0.0, 1.0, 0.0])
    return joints @ axis_angle(about, torch.tensor(math.radians(degrees))).T


def test_separate_groups_are_found_from_any_seed() -> None:
    poses, own = groups()
    for seed in range(3):
        found = cluster_of(poses, fit_pose_clusters(poses, 4, H36M17, seed=seed))
        same = found[:, None] == found[None]
        assert torch.equal(same, own[:, None] == own[None])


def test_a_fit_repeats_and_every_center_is_the_mean_of_its_cluster() -> None:
    poses = torch.cat([groups(40)[0], turned(WALK, 40), torch.full((1, 17, 3), torch.nan)])
    one, other = (fit_pose_clusters(poses, 7, H36M17, seed=5) for _ in range(2))
    assert torch.equal(one.centers, other.centers)
    own = cluster_of(poses, one)
    assert own[-1] == -1
    for k in range(7):
        mean = pose_directions(poses[own == k]).mean(0)
        torch.testing.assert_close(one.centers[k], mean)


def test_size_does_not_matter_and_turning_does() -> None:
    assert pss(3.0 * WALK, WALK).mean() == 1
    assert pss(WALK + 2.0, WALK).mean() == 1  # about the root
    assert pss(turned(WALK, 180), WALK).mean() == 0


def test_poses_of_which_something_is_missing_have_no_score() -> None:
    broken = WALK[:4].clone()
    broken[0, 5] = torch.nan
    broken[1] = 0.3  # all joints in one place
    found = pss(broken, WALK[:4])
    assert found.isnan().tolist() == [True, True, False, False]
    assert pss(WALK[:4], broken).isnan().tolist() == [True, True, False, False]
    hypotheses = torch.stack([broken, WALK[:4]])
    assert cluster_entropy(hypotheses).isnan().tolist() == [True, True, False, False]


def test_entropy_is_that_of_the_shares() -> None:
    clusters = PoseClusters.bundled(50)
    pose, other = WALK[:1], turned(WALK[:1], 180)
    mixed = torch.stack([pose, pose, pose, other])
    expected = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert cluster_entropy(mixed, clusters).item() == pytest.approx(expected)
    assert cluster_entropy(mixed[:3], clusters).item() == 0.0
    poses, _ = groups(k=4)
    four = fit_pose_clusters(poses, 4, H36M17)
    assert cluster_entropy(poses[:8, None], four).item() == pytest.approx(math.log(4))


def test_metrics_of_the_table_are_the_mean_the_best_and_the_entropy() -> None:
    truth = Poses3D(WALK[:2], H36M17)
    x = torch.stack([WALK[:2], 1.1 * WALK[:2], turned(WALK[:2], 180), turned(WALK[:2], 180)])
    c = Comparison(Hypotheses(x, H36M17), truth)
    assert METRICS["pss_50_single_percent"].values(c).tolist() == [50.0, 50.0]
    assert METRICS["pss_50_oracle_pose_best_frame_percent"].values(c).tolist() == [100.0, 100.0]
    entropy = METRICS["cluster_entropy_50_nats"].values(c)
    assert entropy.tolist() == pytest.approx([math.log(2)] * 2)
    only = Comparison(Hypotheses(x[:2], H36M17), truth)
    assert METRICS["pss_50_mean_percent"].values(only).tolist() == [100.0, 100.0]
    coco = Comparison(Hypotheses(x, COCO17), Poses3D(WALK[:2], COCO17))
    for key in ("pss_50_single_percent", "cluster_entropy_50_nats"):
        assert METRICS[key].values(coco).isnan().all()


@pytest.mark.parametrize("k", [50, 100])
def test_the_bundled_centers_say_where_they_are_from(k: int) -> None:
    clusters = PoseClusters.bundled(k)
    assert clusters.centers.shape == (k, 51)
    assert (clusters.skeleton, clusters.root) == ("h36m17", 0)
    assert "train split" in clusters.source
    assert "seed 0" in clusters.source
    norms = clusters.centers.norm(dim=-1)
    assert bool(((norms > 0.5) & (norms < 1)).all())
    assert not clusters.centers[:, :3].any()
    assert len({*cluster_of(torch.cat([turned(WALK, d) for d in range(0, 360, 30)]), clusters)
                .tolist()}) > 3  # fmt: skip


def test_refusals() -> None:
    poses, _ = groups(6)
    with pytest.raises(OptionError, match="7 clusters need as many poses; there are 6"):
        fit_pose_clusters(poses, 7, H36M17)
    with pytest.raises(ShapeError, match="has 17 joints, got 16"):
        fit_pose_clusters(poses[:, :16], 2, H36M17)
    with pytest.raises(ShapeError, match="names 3 rows for 2"):
        fit_pose_clusters(poses, 2, H36M17, first=torch.arange(3))
    with pytest.raises(ShapeError, match="17 joints of h36m17, got 16"):
        cluster_of(poses[:, :16], PoseClusters.bundled())
    with pytest.raises(OptionError, match="not 7; fit your own"):
        PoseClusters.bundled(7)
