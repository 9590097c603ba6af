"""Modes and flips on mixtures whose modes are known."""

from __future__ import annotations

import pytest
import torch

from hypopose.ambiguity import (
    analyze,
    bone_depths,
    depth_flips,
    describe,
    find_modes,
    joint_modes,
    mode_names,
    pose_entropy,
    pose_modes,
    second_camera,
    side_order,
    switch_rate,
)
from hypopose.errors import OptionError, ShapeError
from hypopose.skeletons import H36M17
from hypopose.types import Hypotheses

SCALE = torch.tensor([0.02, 0.03, 0.15], dtype=torch.float64)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normals(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


def share_with(n_modes: int, x: torch.Tensor) -> float:
    return (find_modes(x).n == n_modes).double().mean().item()


@pytest.mark.parametrize(("n", "dims", "floor"), [(10, 1, 0.93), (20, 3, 0.97), (50, 3, 0.98)])
def test_one_normal_distribution_is_one_mode(n: int, dims: int, floor: float) -> None:
    assert share_with(1, normals(300, n, dims) * SCALE[-dims:]) >= floor


@pytest.mark.parametrize(("n", "dims"), [(10, 1), (20, 1), (20, 3), (50, 3)])
def test_a_flat_distribution_is_rarely_cut(n: int, dims: int) -> None:
    x = torch.rand(300, n, dims, generator=generator(), dtype=torch.float64)
    assert share_with(1, 4 * x * SCALE[-dims:]) >= 0.85


def test_heavy_tails_are_one_mode() -> None:
    x = normals(300, 30, 3) / normals(300, 30, 5, seed=1).square().mean(-1, keepdim=True).sqrt()
    assert share_with(1, x * SCALE) >= 0.97


@pytest.mark.parametrize("dims", [1, 3])
@pytest.mark.parametrize("n", [20, 100])
def test_two_modes_eight_deviations_apart_are_found(n: int, dims: int) -> None:
    x = normals(200, n, dims) * SCALE[-dims:]
    first = torch.arange(n) < round(0.6 * n)
    x[:, first, -1] += 8 * SCALE[-1]
    modes = find_modes(x)
    assert (modes.n == 2).double().mean() >= 0.95
    two = modes.n == 2
    assert (modes.weights[two][:, 0] - 0.6).abs().mean() < 0.02
    gap = modes.centers[two][:, 0, -1] - modes.centers[two][:, 1, -1]
    assert (gap.mean() - 8 * SCALE[-1]).abs() < 0.05
    right = (modes.labels[two] == torch.where(first, 0, 1)).double().mean()
    assert right > 0.97


def test_discrete_samples_have_as_many_modes_as_values() -> None:
    values = torch.tensor([[0.0, 0, 0.4], [0, 0, 0.1], [0, 0, -0.2], [0.3, 0, 0.1]])
    counts = torch.tensor([16, 12, 8, 4])
    modes = find_modes(values.repeat_interleave(counts, 0))
    assert modes.n.item() == 4
    assert torch.allclose(modes.weights, (counts / 40).double())
    assert torch.allclose(modes.centers, values.double(), atol=1e-12)


def test_closer_than_the_resolution_is_one_mode() -> None:
    x = torch.tensor([0.0, 0.015]).repeat(20)[:, None]
    assert find_modes(x, resolution=0.01).n.item() == 1
    assert find_modes(x, resolution=0.003).n.item() == 2


def test_nan_samples_are_marked() -> None:
    x = normals(2, 20, 3)
    x[1, 3] = torch.nan
    modes = find_modes(x)
    assert modes.n.tolist() == [1, 0]
    assert modes.labels[1].unique().tolist() == [-1]
    assert bool(torch.isnan(modes.centers[1]).all())


def test_batches_and_chunks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    x = normals(4, 3, 20, 2) + 2 * (normals(4, 3, 20, 1, seed=2) > 0)
    whole = find_modes(x)
    monkeypatch.setattr("hypopose.ambiguity.modes._CHUNK", 1)
    single = find_modes(x)
    assert torch.equal(whole.labels, single.labels)
    assert torch.equal(whole.n, single.n)


def test_options_out_of_range_are_errors() -> None:
    with pytest.raises(OptionError, match="two or more samples"):
        find_modes(torch.zeros(1, 3))
    with pytest.raises(OptionError, match="level"):
        pose_modes(Hypotheses(torch.zeros(9, 1, 17, 3), H36M17), level="video")


def body(n: int = 50, n_frames: int = 4) -> torch.Tensor:
    """Noisy copies of a standing figure, arms hanging, facing the camera."""
    x = torch.zeros(17, 3, dtype=torch.float64)
    x[[1, 2, 3], 0], x[[4, 5, 6], 0] = -0.1, 0.1
    x[[2, 5], 1], x[[3, 6], 1] = 0.45, 0.9
    x[7:11, 1] = torch.tensor([-0.25, -0.5, -0.6, -0.7], dtype=torch.float64)
    x[[11, 12, 13], 0], x[[14, 15, 16], 0] = 0.2, -0.2
    x[[11, 14], 1], x[[12, 15], 1], x[[13, 16], 1] = -0.5, -0.2, -0.05
    return x + 0.01 * normals(n, n_frames, 17, 3)


def test_a_forearm_flip_is_found_named_and_weighed() -> None:
    x = body()
    x[:30, 1:, 16, 2] -= 0.15
    x[30:, 1:, 16, 2] += 0.15
    flips = depth_flips(Hypotheses(x, H36M17))
    assert describe(flips) == ("right forearm towards/away 60/40 (frames 1-3, 3 of 4)",)
    assert switch_rate(flips)[H36M17.bones.index((15, 16))].item() == 0.0
    modes = joint_modes(Hypotheses(x, H36M17))
    assert modes.n[1:, 16].tolist() == [2, 2, 2]
    assert modes.n[:, :16].double().mean() < 1.1
    motions = pose_modes(Hypotheses(x, H36M17))
    assert motions.n.item() == 2
    assert torch.allclose(motions.weights[:2], torch.tensor([0.6, 0.4]).double())
    assert mode_names(motions, flips) == ("main", "right forearm away")


def test_scatter_about_the_image_plane_is_no_flip() -> None:
    assert describe(depth_flips(Hypotheses(body(), H36M17))) == ()


def test_left_and_right_legs_changing_places_are_found() -> None:
    x = body()
    x[:, :, 1:7, 0] = 0  # seen from the side: both legs at the same place in the image
    for sign, who in ((-1, slice(0, 35)), (1, slice(35, 50))):
        x[who, :, 4:7, 2] += 0.1 * sign
        x[who, :, 1:4, 2] -= 0.1 * sign
    order = side_order(Hypotheses(x, H36M17))
    assert order.names[:3] == ("hips", "knees", "ankles")
    assert set(describe(order)) == {
        f"{name} left nearer/right nearer 70/30 (frames 0-3, 4 of 4)"
        for name in ("hips", "knees", "ankles")
    }


def test_depth_is_measured_along_the_ray() -> None:
    x = torch.zeros(2, 1, 17, 3)
    x[..., 16, 0] = 0.3
    root = torch.tensor([4.0, 0.0, 4.0]).expand(2, 1, 3)
    column = H36M17.bones.index((15, 16))
    assert bone_depths(Hypotheses(x, H36M17))[0, 0, column].item() == 0
    tilted = bone_depths(Hypotheses(x, H36M17, root))[0, 0, column].item()
    assert abs(tilted - 0.3 / 2**0.5) < 1e-6


def test_coins_tossed_every_frame_switch_and_motions_do_not() -> None:
    x = body(40, 30)
    coin = torch.rand(40, 30, generator=generator()) < 0.5
    x[..., 16, 2] += torch.where(coin, 0.2, -0.2)
    rate = switch_rate(depth_flips(Hypotheses(x, H36M17)))
    column = H36M17.bones.index((15, 16))
    assert 0.4 < rate[column] < 0.6
    assert int(torch.isnan(rate).sum()) == 15


def test_nan_hypotheses_are_no_flip_and_have_no_share() -> None:
    x = body()
    x[0, 0, 16] = torch.nan
    flips = depth_flips(Hypotheses(x, H36M17))
    column = H36M17.bones.index((15, 16))
    assert bool(torch.isnan(flips.negative[0, column]))
    assert not bool(flips.ambiguous[0, column])


def test_analysis_tells_it_in_sentences() -> None:
    x = body()
    x[:30, :, 16, 2] -= 0.15
    x[30:, :, 16, 2] += 0.15
    found = analyze(Hypotheses(x, H36M17))
    text = found.sentences()
    assert "most at right wrist" in text[0]
    assert text[1] == (
        "2 modes of the whole motion: 60 % main; 40 % right forearm away, wrists left nearer"
    )
    assert text[2].startswith("right forearm towards/away 60/40")
    assert found.dependence[16, 16].item() == pytest.approx(1)
    assert found.spread.depth_share[0, 16] > 0.9


def test_analysis_of_equal_hypotheses_and_of_batches() -> None:
    still = Hypotheses(body(1).expand(6, -1, -1, -1), H36M17)
    assert analyze(still).sentences()[0] == "all hypotheses are equal"
    with pytest.raises(ShapeError, match="one clip"):
        analyze(Hypotheses(torch.zeros(2, 6, 1, 17, 3), H36M17))


def test_missing_joints_leave_the_rest_intact() -> None:
    x = body()
    x[:30, :, 16, 2] -= 0.15
    x[30:, :, 16, 2] += 0.15
    x[:, 0, 3] = torch.nan
    found = analyze(Hypotheses(x, H36M17))
    assert bool(torch.isnan(found.std[0, 3]))
    assert bool(torch.isfinite(found.std[1:]).all())
    assert found.n_modes[0, 3].item() == 0
    assert "most at right wrist" in found.sentences()[0]
    assert any(s.startswith("right forearm towards/away 60/40") for s in found.sentences())
    two = second_camera(Hypotheses(x, H36M17), [0.0, 90.0])
    assert bool(torch.isnan(two.linear[:, 0, 3]).all())
    assert bool(torch.isfinite(two.reweighted[:, 1:]).all())
    assert bool(torch.isnan(pose_entropy(Hypotheses(x, H36M17))[0]))
