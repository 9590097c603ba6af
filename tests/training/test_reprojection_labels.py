"""Labels by reprojection: what they choose, what the losses pull at, and how a teacher follows."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from hypopose.aggregation import jpma, ppma
from hypopose.cameras import project
from hypopose.datasets import example_pair
from hypopose.diffusion import cosine_schedule, seeded_noise
from hypopose.errors import MissingCameraError, OptionError, ShapeError
from hypopose.networks import FrameTokens, add_low_rank, merge_low_rank
from hypopose.samplers import DistributionalDiffusion
from hypopose.skeletons import H36M17
from hypopose.training import (
    Teacher,
    energy_loss,
    label_batch,
    label_loss,
    labels_by_reprojection,
    source_loss,
)
from hypopose.types import Camera, Hypotheses, Keypoints2D

CAMERA = Camera.from_fov((1000, 800))


def scene(n_hypotheses: int = 4, spread: float = 0.05) -> tuple[Keypoints2D, Hypotheses, Tensor]:
    """Exact keypoints of three frames, noisy hypotheses, and the true joints."""
    generator = torch.Generator().manual_seed(0)
    _, truth = example_pair()
    joints = truth.joints[:3].double()
    root = torch.tensor([0.2, 0.1, 4.0]).double()
    noise = torch.randn(n_hypotheses, *joints.shape, generator=generator).double()
    noise[..., 0, :] = 0
    keypoints = Keypoints2D(project(joints + root, CAMERA), H36M17, camera=CAMERA)
    return keypoints, Hypotheses(joints + spread * noise, H36M17), joints


@pytest.mark.parametrize(("level", "aggregate"), [("joint", jpma), ("pose", ppma)])
def test_labels_are_what_the_aggregations_choose(level, aggregate) -> None:
    keypoints, hypotheses, _ = scene()
    labels = labels_by_reprojection(hypotheses, keypoints, level=level)
    assert labels.root == "fitted"
    torch.testing.assert_close(labels.joints, aggregate(hypotheses, keypoints).joints)
    rows = torch.arange(3)[:, None], torch.arange(17)
    torch.testing.assert_close(labels.joints, hypotheses.joints[labels.index, rows[0], rows[1]])


def test_the_true_hypothesis_is_found_and_its_root_is_fitted() -> None:
    keypoints, hypotheses, joints = scene()
    among = replace(hypotheses, joints=torch.cat([hypotheses.joints, joints[None]]))
    labels = labels_by_reprojection(among, keypoints, level="pose")
    assert bool((labels.index == 4).all())
    assert labels.error_px.max() < 1e-6


def test_a_root_is_used_only_if_given_and_the_result_says_so() -> None:
    keypoints, hypotheses, joints = scene()
    root = torch.tensor([0.2, 0.1, 4.0]).double().expand(3, 3)
    for found in (
        labels_by_reprojection(hypotheses, keypoints, root=root),
        label_loss(hypotheses, keypoints, root=root),
        source_loss(hypotheses, keypoints, joints, root=root),
    ):
        assert found.root == "given"
    for found in (
        label_loss(hypotheses, keypoints),
        source_loss(hypotheses, keypoints, joints),
    ):
        assert found.root == "fitted"


def test_joints_without_a_keypoint_have_no_label_and_take_no_part() -> None:
    keypoints, hypotheses, _ = scene()
    xy = keypoints.xy.clone()
    xy[1, 5] = torch.nan
    gappy = replace(keypoints, xy=xy)
    labels = labels_by_reprojection(hypotheses, gappy)
    assert labels.index[1, 5] == -1
    assert bool(labels.error_px[1, 5].isnan())
    assert int(labels.error_px.isnan().sum()) == 1
    torch.testing.assert_close(labels.joints[1, 5], hypotheses.joints.mean(0)[1, 5])
    x = hypotheses.joints.clone().requires_grad_()
    label_loss(replace(hypotheses, joints=x), gappy).total.backward()
    assert bool(x.grad.isfinite().all())
    assert not x.grad[:, 1, 5].any()
    assert bool((x.grad[:, 0].abs().sum((-1, 0)) > 0)[1:].all())


def test_frames_with_nothing_to_see_give_no_gradient_and_no_nan() -> None:
    keypoints, hypotheses, _ = scene()
    xy = torch.full_like(keypoints.xy, torch.nan)
    x = hypotheses.joints.clone().requires_grad_()
    loss = label_loss(replace(hypotheses, joints=x), replace(keypoints, xy=xy))
    loss.total.backward()
    assert (loss.total.item(), x.grad.abs().max().item()) == (0.0, 0.0)


def test_a_step_down_the_label_loss_reprojects_better_and_narrows_the_spread() -> None:
    keypoints, hypotheses, _ = scene()
    x = hypotheses.joints.clone().requires_grad_()
    before = label_loss(replace(hypotheses, joints=x), keypoints)
    (gradient,) = torch.autograd.grad(before.total, x)
    moved = replace(hypotheses, joints=(x - 1e-3 * gradient).detach())
    after = label_loss(moved, keypoints)
    assert after.total < before.total
    assert after.reprojection_px < before.reprojection_px
    assert moved.joints.std(0).mean() < hypotheses.joints.std(0).mean()


def test_labels_of_a_teacher_are_constants() -> None:
    keypoints, hypotheses, joints = scene()
    labels = labels_by_reprojection(
        replace(hypotheses, joints=joints[None].clone().requires_grad_()), keypoints
    )
    assert not labels.joints.requires_grad
    loss = label_loss(hypotheses, keypoints, labels, per_px=0.0)
    expected = 1000 * (hypotheses.joints - joints).norm(dim=-1).mean()
    torch.testing.assert_close(loss.total, expected)


def test_gradients_may_run_into_labels_as_released() -> None:
    keypoints, hypotheses, _ = scene()
    x = hypotheses.joints.clone().requires_grad_()
    alive = replace(hypotheses, joints=x)
    still, running = (
        torch.autograd.grad(label_loss(alive, keypoints, stop_gradient=stop).total, x)[0]
        for stop in (True, False)
    )
    assert not torch.allclose(still, running)


def test_a_perfect_source_loses_nothing() -> None:
    keypoints, hypotheses, joints = scene(spread=0.0)
    loss = source_loss(hypotheses, keypoints, joints)
    assert loss.total.item() == pytest.approx(0.0, abs=1e-6)
    off = replace(hypotheses, joints=hypotheses.joints + torch.tensor([0.0, 0.3, 0.4]))
    assert source_loss(off, keypoints, joints).distance_mm.item() == pytest.approx(500.0)


def test_labels_become_a_batch_in_the_frame_of_the_network() -> None:
    keypoints, _, joints = scene()
    one = replace(keypoints, xy=keypoints.xy[None])
    batch = label_batch(one, joints[None] + 5.0)
    turned = batch.target @ batch.encoded.rotation
    torch.testing.assert_close(turned[0], joints - joints[:, :1])
    screen = label_batch(replace(one, image_size=(1000, 800)), joints[None], "screen")
    torch.testing.assert_close(screen.target[0], joints - joints[:, :1])


def test_refusals() -> None:
    keypoints, hypotheses, joints = scene()
    with pytest.raises(MissingCameraError, match="with_camera"):
        label_loss(hypotheses, replace(keypoints, camera=None))
    with pytest.raises(ShapeError, match="without that of the hypotheses"):
        source_loss(hypotheses, keypoints, joints[:2])
    with pytest.raises(ShapeError, match="do not belong to keypoints"):
        label_batch(replace(keypoints, xy=keypoints.xy[None]), joints[None, :2])
    with pytest.raises(OptionError, match="decay"):
        Teacher(nn.Linear(2, 2), decay=1.0)


def test_a_teacher_is_the_average_that_the_formula_says() -> None:
    student, a = nn.BatchNorm1d(3), 0.8
    teacher = Teacher(student, decay=a)
    expected = student.weight.detach().clone()
    for step in range(1, 4):
        student.weight.data += step
        student.running_mean += step
        teacher.update(student)
        expected = a * expected + (1 - a) * student.weight.detach()
    torch.testing.assert_close(teacher.network.weight.data, expected)
    assert torch.equal(teacher.network.running_mean, student.running_mean)


def test_a_teacher_of_an_adapted_network_follows_its_adapters() -> None:
    student = FrameTokens(width=16, n_layers=1, n_heads=2)
    add_low_rank(student, rank=2)
    teacher = Teacher(student, decay=0.0)
    assert not any(p.requires_grad for p in teacher.network.parameters())
    xy = torch.randn(1, 5, 17, 2, generator=torch.Generator().manual_seed(0))
    nn.init.ones_(student.blocks[0].qkv.lora_up.weight)
    with torch.no_grad():
        assert not torch.equal(teacher.network(None, xy), student.eval()(None, xy))
        teacher.update(student)
        torch.testing.assert_close(teacher.network(None, xy), student(None, xy))


def test_labels_of_a_teacher_train_the_adapters_of_a_generator_by_a_proper_score() -> None:
    keypoints, _, _ = scene()
    one = replace(keypoints, xy=keypoints.xy[None].float())
    torch.manual_seed(0)
    student = FrameTokens(width=16, n_layers=1, n_heads=2, n_latent=12)
    names = set(student.state_dict())
    add_low_rank(student, rank=2)
    teacher = Teacher(student, decay=0.5)
    hypotheses = DistributionalDiffusion(teacher.network).sample(one, 3, seeded_noise(0))
    batch = label_batch(one, labels_by_reprojection(hypotheses, one).joints)
    trained = [p for p in student.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(trained, lr=1e-2)
    schedule, scores = cosine_schedule(), []
    for _ in range(12):
        generator = torch.Generator().manual_seed(1)  # the same draws, so that scores compare
        loss = energy_loss(
            student, batch, schedule, generator, scale=1.0, clamp=1.1, one_step_share=1.0
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        teacher.update(student)
        scores.append(loss.item())
    assert scores[-1] < scores[0]
    learned = teacher.network.blocks[0].qkv.lora_up.weight
    assert bool(learned.abs().max() > 0)
    assert set(merge_low_rank(student).state_dict()) == names
