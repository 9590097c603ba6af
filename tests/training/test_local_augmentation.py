"""Generator and critics in turn: what they learn, and that it can be gone on with."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from hypopose.cameras import project
from hypopose.datasets import example_pair
from hypopose.errors import OptionError
from hypopose.simulation import Placed
from hypopose.training import LocalAugmentation, LocalAugmentationOptions
from hypopose.training.local_augmentation import Replay, feedback_loss
from hypopose.types import Camera

CAMERA = Camera.from_fov((1000, 800))
SMALL = LocalAugmentationOptions(width=16, critic_width=16, learning_rate=3e-3, replay=64)


def data(n: int = 16) -> tuple[Tensor, Tensor]:
    """Source poses, and keypoints of others, bent forward as a camera above sees them."""
    walk = example_pair()[1].joints
    source = walk[:n, None]
    tilt = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.6, -0.8], [0.0, 0.8, 0.6]])
    target = 0.8 * walk[5 : 5 + n] @ tilt.T + torch.tensor([0.2, 0.1, 4.0])
    return source, project(target, CAMERA)


def parameters(augmentation: LocalAugmentation) -> Tensor:
    modules = (augmentation.augmentor, augmentation.structure, augmentation.image)
    return torch.cat([x.detach().flatten().float() for m in modules for x in m.parameters()])


def test_critics_learn_to_tell_and_the_generator_keeps_to_its_limits() -> None:
    source, seen = data()
    augmentation = LocalAugmentation("h36m17", SMALL)
    steps = [augmentation.step(source, seen, CAMERA) for _ in range(40)]
    judged = [losses["critics"] for losses in steps if "critics" in losses]
    assert len(judged) == 20
    assert sum(judged[-5:]) < 0.7 * sum(judged[:5])
    assert steps[-1]["bend"] < 0.2 * steps[0]["bend"] + 1e-6
    assert all("critics" not in losses for losses in steps[::2])


def test_the_same_seed_repeats_and_a_saved_state_goes_on_exactly() -> None:
    source, seen = data()
    one, other = (LocalAugmentation("h36m17", SMALL, seed=4) for _ in range(2))
    for augmentation in (one, other):
        for _ in range(3):
            augmentation.step(source, seen, CAMERA)
    assert torch.equal(parameters(one), parameters(other))
    resumed = LocalAugmentation("h36m17", SMALL, seed=9)
    resumed.load_state_dict(one.state_dict())
    for augmentation in (other, resumed):
        for _ in range(3):
            augmentation.step(source, seen, CAMERA)
    assert torch.equal(parameters(resumed), parameters(other))
    assert not torch.equal(parameters(one), parameters(other))


def test_keypoints_that_place_nothing_do_no_harm() -> None:
    source, seen = data()
    seen[3] = torch.nan  # nobody
    seen[4, 13] = torch.nan  # a wrist is missing: places a body, is not shown to the critic
    seen[5] = seen[5, :1]  # a point without size
    augmentation = LocalAugmentation("h36m17", SMALL)
    for _ in range(4):
        losses = augmentation.step(source, seen, CAMERA)
    assert all(torch.tensor(list(losses.values())).isfinite())
    assert bool(parameters(augmentation).isfinite().all())
    placed = augmentation.augment(source, seen, CAMERA)
    assert placed.kept[[3, 5]].any().item() is False
    assert placed.kept[4].item() is True


def test_augmented_bodies_stand_where_the_target_does_and_inside_its_image() -> None:
    source, seen = data()
    augmentation = LocalAugmentation("h36m17", SMALL)
    placed = augmentation.augment(source, seen, CAMERA)
    assert placed.kept.float().mean() > 0.8
    torch.testing.assert_close(placed.xy[:, 0, 0], seen[:, 0], rtol=1e-4, atol=1e-2)
    narrow = replace(CAMERA, image_size=(480, 400))
    assert not augmentation.augment(source, seen, narrow).kept.any()
    assert augmentation.augmentor.training  # training goes on as it was


def test_clips_are_placed_whole() -> None:
    _, seen = data(4)
    clips = example_pair()[1].joints[:20].unflatten(0, (4, 5))
    clips = clips + torch.linspace(0, 0.4, 5)[:, None, None]  # walking away
    placed = LocalAugmentation("h36m17", SMALL).augment(clips, seen, CAMERA)
    torch.testing.assert_close(placed.xy[:, 2, 0], seen[:, 0], rtol=1e-4, atol=1e-2)
    root = placed.joints[:, :, 0].diff(dim=1).norm(dim=-1)
    torch.testing.assert_close(root, clips[:, :, 0].diff(dim=1).norm(dim=-1), rtol=1e-3, atol=1e-4)


def test_feedback_makes_bodies_harder() -> None:
    """The error of a lifter that fails on far bends: as hard as bones are bent."""
    source, seen = data()

    def hardness(placed: Placed) -> Tensor:
        own = placed.joints[:, 0] - placed.joints[:, 0, :1]
        return own[:, 3].norm(dim=-1) / source[:, 0, 3].norm(dim=-1)

    options = replace(
        SMALL, feedback_weight=50.0, feedback_target=1.5, feedback_slack=0.01, change_weight=0.0,
        structure_weight=0.0, image_weight=0.0,
    )  # fmt: skip
    augmentation = LocalAugmentation("h36m17", options)
    steps = [augmentation.step(source, seen, CAMERA, hardness) for _ in range(25)]
    assert steps[-1]["feedback"] < 0.8 * steps[0]["feedback"]
    assert feedback_loss(torch.tensor([torch.nan, 2.0]), 3.0, 2.0).item() == 0.0


def test_replay_mixes_old_with_new_and_loses_nothing() -> None:
    pool, generator = Replay(10), torch.Generator().manual_seed(0)
    given, returned = [], []
    for i in range(8):
        new = torch.full((4, 1, 1), float(i))
        given.append(new)
        returned.append(pool.exchange(new, generator))
    assert len(pool.poses) == 10
    known = sorted(torch.cat(given).flatten().tolist())
    # What filled the pool was shown too, so its copies count twice.
    seen = sorted(torch.cat([*returned, pool.poses]).flatten().tolist())
    assert set(seen) == set(known)
    later = torch.cat(returned[4:]).flatten()
    assert later.unique().numel() > 4


def test_refusals() -> None:
    source, seen = data(1)
    with pytest.raises(OptionError, match="larger batch"):
        LocalAugmentation("h36m17", SMALL).step(source, seen, CAMERA)
    with pytest.raises(OptionError, match="critic_every"):
        LocalAugmentationOptions(critic_every=0)
