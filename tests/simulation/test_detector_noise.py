"""The stand-in detector errs as it says."""

from __future__ import annotations

import pytest
import torch

from hypopose.cameras import project
from hypopose.datasets import DetectorNoise, coco_joints, example_motion, example_pair
from hypopose.errors import OptionError
from hypopose.skeletons import SKELETONS


def seen(n_frames: int = 4000) -> torch.Tensor:
    keypoints, truth = example_pair(2)
    face = coco_joints(truth.joints + truth.root[:, None])
    return project(face, keypoints.camera)[:1].expand(n_frames, 17, 2).contiguous()


def height(xy: torch.Tensor) -> float:
    return float(xy[0, :, 1].max() - xy[0, :, 1].min())


def test_coco_joints_are_where_a_head_has_them() -> None:
    joints = example_motion(10)
    coco = coco_joints(joints)
    names = SKELETONS["coco17"].joint_names
    place = {name: coco[:, i] for i, name in enumerate(names)}
    torch.testing.assert_close(place["left_wrist"], joints[:, 13])
    torch.testing.assert_close(place["right_ankle"], joints[:, 3])
    assert (place["nose"][:, 0] > joints[:, 9, 0]).all()  # walking along +x, nose ahead
    assert (place["left_eye"][:, 1] > place["right_eye"][:, 1]).all()  # left is +y
    assert (place["left_ear"][:, 1] > place["left_eye"][:, 1]).all()
    assert (place["left_eye"][:, 2] > place["nose"][:, 2]).all()


def test_noise_scales_with_the_person_and_is_heavier_at_wrists() -> None:
    xy = seen()
    calm = DetectorNoise(sigma_px=(6.0, 6.0), outliers=0.0, swaps=0.0, missing=0.0)
    noisy, confidence = calm.apply(xy, torch.Generator().manual_seed(0))
    error = (noisy - xy).std((0, 2))
    scale = height(xy) / 400
    assert float(error[5]) == pytest.approx(6 * scale, rel=0.1)  # shoulder
    assert float(error[9]) == pytest.approx(1.6 * 6 * scale, rel=0.1)  # wrist
    assert ((confidence > 0) & (confidence < 1)).all()
    size = (noisy - xy).norm(dim=-1)
    bad, good = size > size.quantile(0.9), size < size.quantile(0.1)
    assert confidence[bad].mean() < confidence[good].mean() - 0.1


def test_noise_lingers() -> None:
    xy = seen()
    noise = DetectorNoise(outliers=0.0, swaps=0.0, missing=0.0, persistence=0.7)
    error = (noise.apply(xy, torch.Generator().manual_seed(0))[0] - xy)[:, 5, 0]
    correlation = torch.corrcoef(torch.stack((error[1:], error[:-1])))[0, 1]
    assert float(correlation) == pytest.approx(0.7, abs=0.06)


def test_missing_and_swapped_shares() -> None:
    xy = seen()
    noise = DetectorNoise(sigma_px=(0.01, 0.01), outliers=0.0, swaps=0.05, missing=0.03)
    noisy, confidence = noise.apply(xy, torch.Generator().manual_seed(1))
    gone = noisy.isnan().any(-1)
    assert float(gone.double().mean()) == pytest.approx(0.03, rel=0.3)
    assert torch.equal(gone, confidence == 0)
    arms = (noisy[:, 9] - xy[:, 10]).norm(dim=-1) < 1
    assert float(arms.double().mean()) == pytest.approx(0.05, rel=0.6)
    runs = (arms[1:] & ~arms[:-1]).sum()
    assert int(runs) < int(arms.sum()) / 3  # swaps last


def test_no_noise_is_no_noise_and_short_clips_work() -> None:
    quiet = DetectorNoise(sigma_px=(0.0, 0.0), outliers=0.0, swaps=0.0, missing=0.0)
    xy = seen(3)
    noisy, _ = quiet.apply(xy, torch.Generator().manual_seed(0))
    torch.testing.assert_close(noisy, xy)
    with pytest.raises(OptionError, match="shares"):
        DetectorNoise(missing=1.5)
