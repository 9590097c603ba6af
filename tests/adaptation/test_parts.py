"""Every part of a target runs, repeats, and changes what it should; bad ones are refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from hypopose.adaptation import (
    AdaptationTrainer,
    BuildPosterior,
    Recording,
    Stands,
    View3D,
    make_trainer,
)
from hypopose.adaptation.bending import BentBatchMaker
from hypopose.adaptation.builds import SIZE
from hypopose.adaptation.placement import AlignedBatchMaker
from hypopose.adaptation.pose_refinement import check_refinable
from hypopose.datasets import example_pair
from hypopose.errors import OptionError
from hypopose.simulation import Draws, Motion
from hypopose.training import TrainConfig

ALONE: dict[str, float] = dict.fromkeys(("aligned", "augmented", "teacher", "view_labels"), 0.0)
PARTS: dict[str, dict[str, Any]] = {
    "aligned": {"aligned": 0.8},
    "sizes": {"aligned": 0.8, "sizes": [0.6, 0.7]},
    "augmented": {"augmented": 0.8},
    "teacher": {"teacher": 0.8, "refresh_steps": 1},
    "views": {"view_labels": 0.8},
}


@pytest.fixture(scope="module")
def labeled() -> Recording:
    keypoints, truth = example_pair(60)
    assert truth.root is not None
    covariance = (0.02**2 * torch.eye(3)).expand(60, 17, 3, 3)
    label = View3D(truth.joints + truth.root[:, None], covariance, 0.03)
    return Recording(keypoints, "x", label=label, up=torch.tensor([0.0, -1.0, 0.0]))


def trained(
    config: TrainConfig, motion: Motion, recording: Recording, n_steps: int = 2, **target: Any
) -> AdaptationTrainer:
    config = config.with_options(**{**ALONE, **target})
    trainer = make_trainer(config, motion, [recording])
    for _ in range(n_steps):
        trainer.step()
    return trainer


def weights(trainer: AdaptationTrainer) -> Tensor:
    return torch.cat([x.detach().flatten() for x in trainer.network.parameters()])


@pytest.fixture(scope="module")
def weights_without_parts(tiny_config: TrainConfig, figures: Motion, labeled: Recording) -> Tensor:
    return weights(trained(tiny_config, figures, labeled))


@pytest.mark.parametrize("part", PARTS)
def test_a_part_trains_and_repeats(
    tiny_config: TrainConfig,
    figures: Motion,
    labeled: Recording,
    weights_without_parts: Tensor,
    part: str,
) -> None:
    one, other = (trained(tiny_config, figures, labeled, **PARTS[part]) for _ in "ab")
    assert torch.equal(weights(one), weights(other))
    assert not torch.equal(weights(one), weights_without_parts)
    assert bool(torch.isfinite(weights(one)).all())


def test_a_teacher_follows_and_labels_anew(
    tiny_config: TrainConfig, figures: Motion, labeled: Recording
) -> None:
    trainer = trained(tiny_config, figures, labeled, n_steps=0, **PARTS["teacher"])
    assert trainer.teacher is not None
    before = [x.clone() for x in trainer.teacher.network.parameters()]
    seen = []
    for _ in range(2):
        trainer.step()
        seen.append(trainer.more_state()["labels"][0][3])
    assert not torch.equal(seen[0], seen[1])
    after, student = trainer.teacher.network.parameters(), trainer.network.parameters()
    moved = [
        torch.stack([(b - a).norm(), (c - a).norm()])
        for a, b, c in zip(before, after, student, strict=True)
    ]
    teacher, own = torch.stack(moved).sum(0)
    assert 0 < teacher < 0.05 * own


def test_low_rank_adapters_are_all_that_changes(
    tiny_config: TrainConfig, figures: Motion, labeled: Recording, tiny_weights: object
) -> None:
    config = tiny_config.with_options(low_rank=2, start=str(tiny_weights), learning_rate=0.05)
    trainer = trained(config, figures, labeled, aligned=0.8)
    plain = trained(config.with_options(low_rank=0), figures, labeled, 0).averaged().state_dict()
    moved = {
        name
        for name, x in trainer.averaged().state_dict().items()
        if not torch.equal(x, plain[name])
    }
    assert moved
    assert all("qkv" in name or "out" in name for name in moved)


def test_sizes_are_drawn_and_bodies_look_as_large(figures: Motion, labeled: Recording) -> None:
    stands, device = Stands.of([labeled]), torch.device("cpu")
    small, usual = (
        AlignedBatchMaker(figures, stands, device, sizes=sizes).look(
            32, 9, Draws(torch.Generator().manual_seed(0))
        )
        for sizes in ((0.5, 0.5), (1.0, 1.0))
    )
    tall = [(v.joints - v.joints[:, :, :1]).norm(dim=-1).mean() for v in (small, usual)]
    assert float(tall[0] / tall[1]) == pytest.approx(0.5, rel=0.001)
    near = [v.joints[:, 4, 0, 2].median() for v in (small, usual)]
    assert float(near[0]) < 0.7 * float(near[1])


def test_bent_bodies_stand_where_people_do_and_critics_learn(
    figures: Motion, labeled: Recording
) -> None:
    stands, device = Stands.of([labeled]), torch.device("cpu")
    maker = BentBatchMaker(figures, stands, device)
    draws = Draws(torch.Generator().manual_seed(0))
    before = [x.detach().clone() for x in maker.augmentation.augmentor.parameters()]
    views = [maker.look(16, 9, draws) for _ in range(3)]
    after = list(maker.augmentation.augmentor.parameters())
    assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert maker.augmentation.n_steps == 3
    assert bool(torch.isfinite(views[-1].joints).all())
    assert bool((views[-1].joints[..., 2] > 0).all())
    assert len(maker(1, 9, draws.generator).target) == 1  # too few to learn from


def test_bodies_whose_build_is_known_are_not_bent(
    tiny_config: TrainConfig, figures: Motion, labeled: Recording
) -> None:
    config = tiny_config.with_options(aligned=0.3, augmented=0.3, teacher=0.0, view_labels=0.0)
    known = BuildPosterior(
        ("x",), torch.zeros(1, SIZE), 1e-4 * torch.eye(SIZE)[None], torch.ones(1)
    )
    names = [
        set(make_trainer(config, figures, [labeled], builds).parts) for builds in (None, known)
    ]
    assert names == [{"aligned", "augmented", "replay"}, {"aligned", "replay"}]


def test_aligned_windows_count_a_third_beside_labels_of_views(
    tiny_config: TrainConfig, figures: Motion, labeled: Recording
) -> None:
    config = tiny_config.with_options(aligned=0.6, augmented=0.0, view_labels=0.5)
    parts = make_trainer(config, figures, [labeled]).make_batch.parts  # type: ignore[attr-defined]
    shares = {part.name: part.share for part in parts}
    assert shares == pytest.approx({"aligned": 0.2, "views": 0.5, "replay": 0.3})


def test_lifters_learn_from_views_and_joints_without_a_label_cost_nothing(
    tiny_config: TrainConfig, figures: Motion, labeled: Recording
) -> None:
    config = TrainConfig.from_options(
        shards=("walks.npz",), width=16, n_layers=1, n_heads=2, objective="lift", bf16=False,
        lengths=(9,), length_shares=(1.0,), batch_frames=54,
    )  # fmt: skip
    trainer = trained(config, figures, labeled, **PARTS["views"])
    assert bool(torch.isfinite(weights(trainer)).all())
    with pytest.raises(OptionError, match="set teacher=0"):
        trained(config, figures, labeled, teacher=0.5)
    with pytest.raises(OptionError, match="cannot be trained for on a target"):
        trained(config.with_options(objective="mask"), figures, labeled, **PARTS["views"])


@pytest.mark.parametrize(
    "wrong",
    [{"sizes": [2.0, 1.0]}, {"teacher_decay": 1.0}, {"selection": "best"}, {"refresh_steps": 0},
     {"camera": "a.json", "rig": "b.json"}, {"low_rank": 4}],
)  # fmt: skip
def test_options_of_a_target_are_checked(tiny_config: TrainConfig, wrong: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        tiny_config.with_options(**wrong)


def test_networks_that_cannot_be_refined_are_refused_before_training(
    tiny_config: TrainConfig, figures: Motion, labeled: Recording
) -> None:
    config = tiny_config.with_options(**{**ALONE, "view_labels": 0.8, "refinement": 0.3})
    made = make_trainer(config, figures, [labeled])
    assert made.config.target.refinement == 0.3
    with pytest.raises(OptionError, match=r"A Linear cannot have a refinement unit.*refinement=0"):
        check_refinable(torch.nn.Linear(1, 1))
