"""Gaps are filled, what was seen stays, and the spread says how sure a filled joint is."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

import hypopose
from hypopose.cameras import project
from hypopose.datasets import example_pair
from hypopose.diffusion import seeded_noise
from hypopose.errors import MissingCameraError, OptionError, SkeletonMismatchError
from hypopose.networks import MPM
from hypopose.samplers.completion import (
    between,
    bridge_weights,
    bridged_gaps,
    complete_keypoints,
    complete_keypoints_by_network,
    complete_motion,
    complete_motion_by_network,
    nearest_joints,
    shared_joints,
)
from hypopose.skeletons import COCO17, H36M17
from hypopose.types import Hypotheses, Keypoints2D, Poses3D


def walk() -> tuple[Keypoints2D, Poses3D]:
    keypoints, truth = example_pair()
    return replace(keypoints, confidence=None, covariance=None), truth


def believed(truth: Poses3D, *offsets: float, first: int = 16) -> Hypotheses:
    """The truth, a wrist (or an arm) moved aside by so many meters."""
    aside = torch.tensor(offsets).reshape(-1, 1, 1, 1) * torch.tensor([1.0, 0.0, 0.0])
    joints = truth.joints.repeat(len(offsets), 1, 1, 1)
    joints[..., first:, :] += aside
    assert truth.root is not None
    return Hypotheses(joints, truth.skeleton, truth.root.expand(len(offsets), -1, -1))


def hidden(keypoints: Keypoints2D, frames: slice, joints: slice) -> Keypoints2D:
    xy = keypoints.xy.clone()
    xy[frames, joints] = torch.nan
    return replace(keypoints, xy=xy)


def test_bridges_are_linear_at_long_memory_and_forget_at_short() -> None:
    seen = torch.tensor([0, 1, 0, 0, 0, 1, 0], dtype=torch.bool)
    weights, frames = bridge_weights(seen, 1e5)
    assert torch.allclose(weights[1:5, 1], torch.arange(4.0) / 4, atol=1e-4)
    assert torch.allclose(weights.sum(-1), torch.ones(7), atol=1e-4)
    assert weights[[1, 5]].tolist() == [[1.0, 0.0], [1.0, 0.0]]
    assert frames[3].tolist() == [1, 5]
    weights, _ = bridge_weights(seen, 2.0)
    assert weights[0].tolist() == pytest.approx([0.0, math.exp(-0.5)])
    assert weights[6].tolist() == pytest.approx([math.exp(-0.5), 0.0])
    three, one, four = (math.sinh(x / 2) for x in (3.0, 1.0, 4.0))
    assert weights[2].tolist() == pytest.approx([three / four, one / four])
    far = torch.zeros(9000, dtype=torch.bool)
    far[[0, -1]] = True
    assert torch.isfinite(bridge_weights(far, 1.0)[0]).all()


def test_bridges_are_what_a_gaussian_process_says() -> None:
    seen = torch.tensor([1, 0, 0, 1, 0, 0, 0, 1, 0], dtype=torch.bool)
    frame = torch.arange(9.0).double()
    kernel = (-(frame[:, None] - frame).abs() / 3).exp()
    y = torch.randn(3, generator=torch.Generator().manual_seed(0)).double()
    expected = kernel[:, seen] @ torch.linalg.solve(kernel[seen][:, seen], y)
    weights, frames = bridge_weights(seen, 3.0)
    whole = torch.zeros(9).double()
    whole[seen] = y
    assert torch.allclose((weights * whole[frames]).sum(-1), expected, atol=1e-6)


def test_between_is_linear_and_holds_the_ends() -> None:
    x = torch.tensor([[torch.nan, 1.0, torch.nan, torch.nan, 4.0, torch.nan]]).mT
    assert between(x)[:, 0].tolist() == pytest.approx([1.0, 1.0, 2.0, 3.0, 4.0, 4.0])
    assert between(torch.full((3, 1), torch.nan)).isnan().all()


def test_seen_keypoints_stay_and_filled_ones_are_flagged() -> None:
    keypoints, truth = walk()
    gaps = hidden(keypoints, slice(10, 30), slice(14, 17))
    done = complete_keypoints(gaps, believed(truth, -0.05, 0.05, first=14))
    assert done.filled.equal(~gaps.detected)
    assert done.keypoints.xy[gaps.detected].equal(gaps.xy[gaps.detected])
    assert torch.isfinite(done.std[done.filled]).all()
    assert done.std[~done.filled].isnan().all()
    confidence = done.keypoints.confidence
    assert confidence is not None
    assert (confidence[~done.filled] == 1).all()
    assert ((confidence[done.filled] >= 0.05) & (confidence[done.filled] <= 1)).all()
    assert confidence[20, 16] < confidence[10, 16]  # the middle of the gap is least sure


def test_the_spread_is_that_of_the_projections_far_from_what_was_seen() -> None:
    keypoints, truth = walk()
    gaps = hidden(keypoints, slice(None), slice(16, 17))  # never seen
    drawn = believed(truth, -0.1, 0.0, 0.1)
    done = complete_keypoints(gaps, drawn)
    assert drawn.root is not None
    assert keypoints.camera is not None
    px = project(drawn.joints[..., 16, :] + drawn.root, keypoints.camera)
    assert torch.allclose(done.keypoints.xy[:, 16], px.mean(0), atol=1e-2)
    assert torch.allclose(done.std[:, 16], px.var(0).mean(-1).sqrt(), rtol=1e-3)


def test_a_constant_error_is_learnt_from_what_was_seen() -> None:
    keypoints, truth = walk()
    gaps = hidden(keypoints, slice(10, 30), slice(16, 17))
    drawn = believed(truth, 0.08, 0.1)
    off = [
        (complete_keypoints(gaps, drawn, memory_s=m).keypoints.xy - keypoints.xy)[done].norm(dim=-1)
        for m in (0.01, 100.0)
        for done in [~gaps.detected]
    ]
    assert off[1].max() < 6 < off[0].median()
    inside = complete_keypoints(gaps, drawn).std[10:30, 16]
    assert inside[10] > 2 * max(inside[0], inside[-1])


def test_frames_without_anybody_lie_between_their_neighbors() -> None:
    keypoints, truth = walk()
    gaps = hidden(keypoints, slice(20, 26), slice(None))
    drawn = believed(truth, 0.0)
    assert drawn.root is not None
    drawn.root[:, 20:26] = torch.nan  # as samplers leave it
    done = complete_keypoints(gaps, drawn)
    assert (done.keypoints.xy - keypoints.xy).norm(dim=-1).max() < 10


def test_joints_no_hypothesis_has_stay_missing() -> None:
    keypoints, truth = walk()
    xy = torch.full((keypoints.n_frames, 17, 2), torch.nan)
    pairs = shared_joints(COCO17, H36M17)
    for coco, h36m in pairs:
        xy[:, coco] = keypoints.xy[:, h36m]
    wrist = COCO17.index("left_wrist")
    xy[:10, wrist] = torch.nan
    coco = replace(keypoints, xy=xy, skeleton=COCO17)
    done = complete_keypoints(coco, believed(truth, 0.0))
    assert done.filled[:10, wrist].all()
    assert int(done.filled.sum()) == 10
    at = dict(pairs)[wrist]
    assert torch.allclose(done.keypoints.xy[:, wrist], keypoints.xy[:, at], atol=0.5)
    assert not done.keypoints.detected[:, 0].any()  # the nose


def test_covariances_of_filled_keypoints_are_wide() -> None:
    keypoints, truth = walk()
    small = torch.eye(2).expand(*keypoints.xy.shape, 2)
    gaps = replace(hidden(keypoints, slice(None), slice(16, 17)), covariance=small)
    done = complete_keypoints(gaps, believed(truth, -0.1, 0.1))
    covariance = done.keypoints.covariance
    assert covariance is not None
    assert covariance[:, :16].equal(small[:, :16])
    variances = covariance[:, 16].diagonal(dim1=-2, dim2=-1)
    assert torch.allclose(variances, done.std[:, 16, None].square().expand(-1, 2))


def test_what_cannot_be_completed_is_said() -> None:
    keypoints, truth = walk()
    with pytest.raises(MissingCameraError, match="no camera"):
        complete_keypoints(replace(keypoints, camera=None), believed(truth, 0.0))
    few = hidden(keypoints, slice(None), slice(2, None))
    with pytest.raises(OptionError, match="where the person is"):
        complete_keypoints(few, believed(truth, 0.0))
    with pytest.raises(OptionError, match="memory_s"):
        complete_keypoints(keypoints, believed(truth, 0.0), memory_s=0.0)


def masked() -> MPM:
    torch.manual_seed(0)
    return MPM(n_frames=27, width=16, hidden=16, n_layers=1, decoder_depth=2).eval()


@pytest.mark.parametrize("n_frames", [50, 12])
def test_masked_networks_complete_clips_of_any_length(n_frames: int) -> None:
    keypoints, truth = walk()
    keypoints = replace(keypoints, xy=keypoints.xy[:n_frames])
    gaps = hidden(keypoints, slice(3, 8), slice(14, 17))
    done = complete_keypoints_by_network(gaps, masked())
    assert done.filled.equal(~gaps.detected)
    assert done.std.isnan().all()
    assert done.keypoints.xy[gaps.detected].equal(gaps.xy[gaps.detected])
    assert done.keypoints.detected.all()
    assert truth.root is not None
    joints = truth.joints[:n_frames].clone()
    joints[3:8, 14:17] = torch.nan
    broken = Poses3D(joints, H36M17, root=truth.root[:n_frames])
    whole = complete_motion_by_network(broken, masked())
    known = torch.isfinite(joints)
    assert whole.poses.joints[known].equal(joints[known])
    assert whole.joints.isfinite().all()
    assert whole.filled.equal(~known.all(-1))


def test_masked_networks_are_told_what_is_missing() -> None:
    keypoints, _ = walk()
    gaps = hidden(keypoints, slice(None), slice(16, 17))
    network = masked()
    before = complete_keypoints_by_network(gaps, network).keypoints.xy[:, 16]
    with torch.no_grad():
        network.spatial_mask_token2d += 1.0
    after = complete_keypoints_by_network(gaps, network).keypoints.xy[:, 16]
    assert not torch.allclose(before, after)


def broken_walk(frames: slice, joints: slice) -> tuple[Poses3D, Tensor]:
    _, truth = walk()
    assert truth.root is not None
    whole = truth.joints + truth.root[:, None]
    points = whole.clone()
    points[frames, joints] = torch.nan
    return Poses3D(points, H36M17), whole


def test_limbs_hang_on_the_body_where_they_are_never_seen() -> None:
    keypoints, truth = walk()
    gaps = hidden(keypoints, slice(None), slice(16, 17))
    drawn = believed(truth, 0.1, first=14)  # the whole arm is off, and shoulder and elbow are seen
    off = (complete_keypoints(gaps, drawn).keypoints.xy - keypoints.xy)[:, 16].norm(dim=-1)
    assert off.max() < 5


def test_neighbors_are_counted_in_bones() -> None:
    seen = torch.zeros(2, 17, dtype=torch.bool)
    seen[0, [3, 16]] = True
    joint, near = nearest_joints(seen, H36M17)
    assert joint[0, [1, 2, 3, 14, 15, 16]].tolist() == [3, 3, 3, 16, 16, 16]
    assert near[0].nonzero()[:, 0].tolist() == [0, 1, 2, 3, 8, 14, 15, 16]
    assert not near[1].any()


def test_the_default_completes_3d_motions_and_keeps_what_is_known() -> None:
    broken, whole = broken_walk(slice(15, 35), slice(4, 7))  # a leg, for 0.4 s
    done = hypopose.complete(broken, n_hypotheses=20, fps=50.0)
    known = torch.isfinite(broken.joints)
    assert done.joints[known].equal(broken.joints[known])
    assert done.filled.equal(~known.all(-1))
    std = done.poses.std
    assert std is not None
    assert (std[~done.filled] == 0).all()
    assert (std[done.filled] > 0).all()
    error = (done.joints - whole).norm(dim=-1)[done.filled]
    straight = torch.stack([between(broken.joints[:, j]) for j in range(17)], 1)
    assert error.mean() < (straight - whole).norm(dim=-1)[done.filled].mean()


def test_where_straight_lines_are_a_guess_the_spread_says_so() -> None:
    keypoints, truth = walk()
    gaps = hidden(keypoints, slice(10, 30), slice(16, 17))
    line = complete_keypoints(gaps, believed(truth, 0.0, 0.0))
    both = complete_keypoints(gaps, believed(truth, 0.0, 0.0), believed(truth, 0.1, 0.1))
    assert both.keypoints.xy[both.filled].equal(line.keypoints.xy[line.filled])
    assert line.std[20, 16] < 1e-3
    assert both.std[20, 16] > 1


def test_only_gaps_with_both_ends_become_lines() -> None:
    keypoints, _ = walk()
    xy = hidden(keypoints, slice(10, 20), slice(16, 17)).xy
    xy[:5, 3] = torch.nan
    fps = 50.0
    filled = bridged_gaps(xy, fps, 0.2)
    assert filled[10:20, 16].isfinite().all()
    assert filled[:5, 3].isnan().all()
    assert torch.allclose(filled[14, 16], xy[9, 16].lerp(xy[20, 16], 5 / 11), atol=1e-3)
    assert bridged_gaps(xy, fps, 0.19)[10:20, 16].isnan().all()


def test_3d_motions_with_a_root_stay_relative_to_it() -> None:
    broken, whole = broken_walk(slice(15, 35), slice(14, 17))
    root = whole[:, 0].clone()
    relative = Poses3D(broken.joints - root[:, None], H36M17, root=root)
    done = hypopose.complete(relative, n_hypotheses=2, fps=50.0)
    known = torch.isfinite(relative.joints)
    assert done.poses.joints[known].equal(relative.joints[known])
    assert torch.allclose(done.joints[known], whole[known], atol=1e-6)
    assert done.joints.isfinite().all()


def test_3d_motions_must_be_of_a_person_in_meters() -> None:
    broken, _ = broken_walk(slice(3), slice(4, 7))
    sampler, noise = hypopose.make_sampler("boneflips"), seeded_noise(0)
    with pytest.raises(OptionError, match="Give meters"):
        complete_motion(replace(broken, joints=1000 * broken.joints), sampler, 2, noise)
    with pytest.raises(OptionError, match="No joint"):
        complete_motion(replace(broken, joints=broken.joints * torch.nan), sampler, 2, noise)
    with pytest.raises(SkeletonMismatchError, match="h36m17"):
        complete_motion(replace(broken, skeleton=COCO17), sampler, 2, noise)
    with pytest.raises(OptionError, match="at least 2"):
        complete_motion(broken, sampler, 1, noise)


def test_the_verb_replaces_doubtful_keypoints_only_if_asked() -> None:
    keypoints, _ = walk()
    confidence = torch.full(keypoints.xy.shape[:-1], 0.9)
    confidence[5:9, 16] = 0.2
    given = replace(keypoints, confidence=confidence)
    assert not hypopose.complete(given, n_hypotheses=2).filled.any()
    done = hypopose.complete(given, n_hypotheses=2, below=0.5)
    assert done.filled.equal(confidence < 0.5)
    with pytest.raises(OptionError, match="without them"):
        hypopose.complete(keypoints, below=0.5)


def test_the_verb_reads_masked_networks(tmp_path: object) -> None:
    folder = f"{tmp_path}/mpm"
    masked().save_pretrained(folder)
    keypoints, _ = walk()
    gaps = hidden(keypoints, slice(3, 8), slice(14, 17))
    assert hypopose.complete(gaps, weights=folder).std.isnan().all()
    broken, _ = broken_walk(slice(3), slice(4, 7))
    assert hypopose.complete(broken, weights=folder).joints.isfinite().all()
    with pytest.raises(OptionError, match="by itself"):
        hypopose.complete(gaps, weights=folder, sampler="d3dp")
    with pytest.raises(OptionError, match="2D keypoints"):
        hypopose.complete(broken, below=0.5)
