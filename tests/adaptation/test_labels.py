from __future__ import annotations

import pytest
import torch

from hypopose.adaptation import (
    LabelBatchMaker,
    LabeledClip,
    MixedBatchMaker,
    Part,
    Recording,
    View3D,
    labels_from_teacher,
    labels_from_views,
)
from hypopose.adaptation.drawing import draw_motions, residuals
from hypopose.adaptation.label_smoothing import REMAINING
from hypopose.adaptation.recordings import root_shares
from hypopose.datasets import example_pair
from hypopose.diffusion import cosine_schedule
from hypopose.errors import OptionError
from hypopose.networks import load_network
from hypopose.networks.inputs import encode_rays
from hypopose.simulation import Motion
from hypopose.skeletons import COCO17, H36M17, convert_points
from hypopose.training import Batch, BatchMaker, TrainConfig, energy_loss

N = 40


def seen() -> tuple[Recording, torch.Tensor]:
    """A recording with a label, and the pose relative to the root."""
    keypoints, truth = example_pair(N)
    assert truth.root is not None
    covariance = (0.02**2 * torch.eye(3)).expand(N, 17, 3, 3)
    label = View3D(truth.joints + truth.root[:, None], covariance)
    return Recording(keypoints, "x", label=label), truth.joints


def test_labels_of_views_are_the_pose_and_its_covariance() -> None:
    recording, truth = seen()
    (clip,) = labels_from_views([recording])
    assert float((clip.joints - truth).norm(dim=-1).mean()) < 1e-3  # smoothed
    assert clip.factor is not None
    expected = REMAINING * 2 * 0.02**2 * torch.eye(3)  # the joint's and the root's
    assert torch.allclose(clip.factor[3, 5] @ clip.factor[3, 5].mT, expected, atol=1e-6)


def test_recordings_without_labels_are_left_out() -> None:
    recording, _ = seen()
    assert labels_from_views([Recording(recording.keypoints, "x")]) == []


@pytest.mark.parametrize("length", [9, 81])
def test_batches_of_labels_project_onto_their_keypoints(length: int) -> None:
    recording, truth = seen()
    clips = [LabeledClip(recording.rays, recording.confidence, 25.0, truth)]
    batch = LabelBatchMaker(clips, 2)(6, length, torch.Generator().manual_seed(0))
    assert batch.target.shape == (6, length, 17, 3)
    assert batch.known is not None
    assert bool(batch.known.all())
    missed = residuals(batch.target[:, None], batch.encoded)
    assert float(missed.offset.norm(dim=-1).mean()) < 0.02  # of mirror images too


def test_unknown_joints_do_not_count(tiny_weights: object, tiny_config: TrainConfig) -> None:
    recording, truth = seen()
    truth = truth.clone()
    truth[:, 3] = torch.nan
    clips = [LabeledClip(recording.rays, recording.confidence, 25.0, truth)]
    batch = LabelBatchMaker(clips, 2)(4, 9, torch.Generator().manual_seed(0))
    assert batch.known is not None
    moved = torch.where(batch.known[..., None], batch.target, 0.2)
    losses = [
        energy_loss(
            load_network(str(tiny_weights)), b, cosine_schedule(1000),
            torch.Generator().manual_seed(1), scale=3.0, clamp=1.7, one_step_share=1.0, flicker=0.0,
        )
        for b in (
            batch,
            Batch(batch.encoded, moved, batch.error, batch.known),
            Batch(batch.encoded, moved, batch.error),
        )
    ]  # fmt: skip
    assert torch.isclose(losses[0], losses[1], atol=1e-4)
    assert abs(losses[0] - losses[2]) > 1e-3


def test_errors_of_labels_keep_draws_from_widening() -> None:
    """With errors on both sides, exact draws score better than draws as wide as the errors."""
    recording, _ = seen()
    clips = labels_from_views([recording])
    batch = LabelBatchMaker(clips, 2)(64, 9, torch.Generator().manual_seed(0))
    assert batch.error is not None
    std = batch.error[:, :, :, 5].std()
    # 64 windows of 9 frames that err together: a sampling error of about 1 %.
    assert float(std) == pytest.approx((2 * REMAINING) ** 0.5 * 0.02, rel=0.01)
    assert float(batch.error[:, :, :, 0].abs().max()) < 1e-4  # the root is the root
    both = (batch.error[:, 0] * batch.error[:, 1]).mean()
    assert abs(float(both)) < 1e-4  # draws err apart from each other


def test_a_teacher_labels_what_it_can_reproject(
    tiny_weights: object, tiny_config: TrainConfig
) -> None:
    recording, _ = seen()
    network = load_network(str(tiny_weights))
    args = (network, [recording], tiny_config)
    clips = labels_from_teacher(*args, torch.Generator().manual_seed(0), n_clips=3, length=9)
    again = labels_from_teacher(*args, torch.Generator().manual_seed(0), n_clips=3, length=9)
    assert len(clips) == 3
    assert all(torch.equal(a.joints, b.joints) for a, b in zip(clips, again, strict=True))
    assert bool(torch.isfinite(clips[0].joints).all())
    encoded = encode_rays(clips[0].rays[None], clips[0].confidence[None], clips[0].fps)
    drawn = draw_motions(network, encoded, 4, torch.Generator().manual_seed(0), tiny_config)
    assert drawn.shape == (1, 4, 9, 17, 3)
    assert float(drawn[..., 0, :].abs().max()) == 0


def test_mixed_batches_have_the_shares(figures: Motion) -> None:
    recording, truth = seen()
    clips = [LabeledClip(recording.rays, recording.confidence, 25.0, truth)]
    labels = LabelBatchMaker(clips, 2)
    replay = BatchMaker(figures, torch.device("cpu"))
    maker = MixedBatchMaker([Part("replay", 0.5, replay), Part("views", 0.25, labels)])
    generator = torch.Generator().manual_seed(0)
    exact = 0
    for _ in range(30):
        batch = maker(4, 9, generator)
        assert len(batch.target) == len(batch.encoded.xy) == 4
        assert batch.error is not None
        assert batch.error.shape == (4, 2, 9, 17, 3)
        exact += int(torch.isclose(batch.encoded.context[:, 1].exp(), torch.tensor(0.5)).sum())  # type: ignore[index]
    assert 40 < exact < 70  # the recording's 25 Hz: a third of 120 windows, and some others


def test_shares_of_nothing_are_refused(figures: Motion) -> None:
    with pytest.raises(OptionError, match="not all 0"):
        MixedBatchMaker([Part("replay", 0.0, BatchMaker(figures, torch.device("cpu")))])


@pytest.mark.parametrize("selection", ["drawn", "joint", "pose"])
def test_a_teachers_labels_are_chosen_as_asked(
    tiny_weights: object, tiny_config: TrainConfig, selection: str
) -> None:
    recording, _ = seen()
    network = load_network(str(tiny_weights))
    config = tiny_config.with_options(selection=selection)
    seeded = [torch.Generator().manual_seed(n) for n in (0, 0)]
    args = (network, [recording], config)
    clips, again = (labels_from_teacher(*args, g, n_clips=2, length=9) for g in seeded)
    assert torch.equal(clips[0].joints.nan_to_num(9.0), again[0].joints.nan_to_num(9.0))
    known = torch.isfinite(clips[0].joints).all(-1)[:, 1:]
    seen_there = torch.isfinite(clips[0].rays).all(-1)[:, 1:]
    assert bool(known.any())
    assert bool(known.all() if selection == "drawn" else (seen_there | ~known).all())


def test_labels_of_unknown_size_vary_in_size_as_a_whole() -> None:
    recording, truth = seen()
    rays, confidence = recording.rays, recording.confidence
    clips = [LabeledClip(rays, confidence, 25.0, truth, scale_std=0.1)]
    batch = LabelBatchMaker(clips, 2)(200, 9, torch.Generator().manual_seed(0))
    assert batch.error is not None
    size = (batch.error * batch.target[:, None]).sum((2, 3, 4)) / (
        batch.target[:, None].square().sum((2, 3, 4))
    )
    assert float(size.std()) == pytest.approx(0.1, rel=0.05)  # of 400 draws, 3.5 %
    rest = batch.error - size[..., None, None, None] * batch.target[:, None]
    assert float(rest.abs().max()) < 1e-5  # one factor for all joints and frames


def test_networks_of_the_screen_get_labels_too() -> None:
    recording, truth = seen()
    hidden = recording.rays.clone()
    hidden[4:7, 3] = torch.nan
    clips = [LabeledClip(hidden, recording.confidence, 25.0, truth)]
    maker = LabelBatchMaker(clips, 2, inputs="screen", gaps=False)
    batch = maker(4, 9, torch.Generator().manual_seed(0))
    assert bool((batch.encoded.confidence > 0).all())  # filled over time
    assert batch.encoded.context is None
    lengths = batch.target.norm(dim=-1).mean()
    assert float(lengths) == pytest.approx(
        float(truth.norm(dim=-1).mean()), rel=0.005
    )  # of four windows


def test_hips_err_less_from_the_pelvis_between_them() -> None:
    """As measured: points of COCO-17 of one variance, converted."""
    noise = torch.randn(4000, 17, 3, generator=torch.Generator().manual_seed(0))
    joints = convert_points(noise, COCO17, H36M17)
    alone = joints.square().mean((0, 2))
    relative = (joints - joints[:, :1]).square().mean((0, 2))
    shares = relative / (alone + alone[0])
    formed = [j for j in range(17) if j not in (9, 10)]  # these may be formed in several ways
    # Two standard errors of a ratio of variances over 4,000 draws of three coordinates.
    torch.testing.assert_close(root_shares(COCO17)[formed], shares[formed], atol=0.03, rtol=0)
    truth = example_pair(60)[1]
    assert truth.root is not None
    covariance = (0.02**2 * torch.eye(3)).expand(60, 17, 3, 3)
    place = truth.joints + truth.root[:, None]
    found = [
        labels_from_views([Recording(example_pair(60)[0], "x", label=label)])[0].factor
        for label in (
            View3D(place, covariance),
            View3D(place, covariance, 0.0, root_shares(COCO17)),
        )
    ]
    assert found[0] is not None
    assert found[1] is not None
    hip, wrist = H36M17.index("left_hip"), H36M17.index("left_wrist")
    ratio = found[1][10, :, 0, 0] / found[0][10, :, 0, 0]
    assert float(ratio[hip]) == pytest.approx(3**-0.5, rel=1e-5)
    assert float(ratio[wrist]) == pytest.approx(1.0, rel=1e-5)
