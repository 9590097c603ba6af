"""DSR beside the published formulas: rasterizer, losses, labels, camera. The recordings are not
part of the repository (license of the reference); the tests skip where they are absent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from hypopose.cameras import fit_root
from hypopose.rendering import (
    LABELS,
    MERGED,
    SoftRasterizer,
    class_weights,
    distance_loss,
    distance_to_mask,
    merged_prior,
    row_iou_loss,
    semantic_loss,
)
from hypopose.rendering.semantics import (
    COLORS,
    MERGE,
    MINIMAL,
    labels_from_colors,
    merged_labels,
    minimal_mask,
    minimal_texture,
    near_keypoints,
)
from hypopose.rendering.views import crop_projection
from hypopose.types import Camera, Keypoints2D, Skeleton


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("max_pairs", [10**6, 300])
def test_soft_raster(golden: Callable[[str], Any], dtype: torch.dtype, max_pairs: int) -> None:
    case = golden("dsr/soft_raster")
    meta, io = case.meta, case.io
    tolerance = 1e-10 if dtype == torch.float64 else 1e-4
    rasterizer = SoftRasterizer(
        sigma=meta["sigma_val"],
        gamma=meta["gamma_val"],
        near=meta["near"],
        far=meta["far"],
        epsilon=meta["eps"],
        max_pairs=max_pairs,
    )
    corners = io["face_vertices"].to(dtype)[None].requires_grad_()
    colors = io["face_colors"].to(dtype)[None].requires_grad_()
    n = meta["image_size"]
    picture = rasterizer.render(corners, (n, n), colors)
    assert picture.colors is not None
    image = torch.cat([picture.colors, picture.alpha[:, None]], 1)[0]
    assert (image - io["image"]).abs().max() < tolerance
    gradients = torch.autograd.grad((image * io["cotangent"]).sum(), (corners, colors))
    for gradient, name in zip(gradients, ("vertices", "colors"), strict=True):
        expected = io[f"grad_face_{name}"]
        assert (gradient[0] - expected).abs().max() < tolerance * expected.abs().max()
    alone = rasterizer.render(corners, (n, n))
    assert alone.colors is None
    assert torch.equal(alone.alpha, picture.alpha)


def test_mask_losses(golden: Callable[[str], Any]) -> None:
    io = golden("dsr/losses").io
    pred, target = io["pred_rgba"], io["target"]
    mean, mask = pred[:3].mean(0), target[0]
    assert row_iou_loss(mean, mask).item() == pytest.approx(io["mc_niou"].item(), abs=1e-6)
    silhouette = row_iou_loss(pred[3], mask).item()
    assert silhouette == pytest.approx(io["mc_niou_silhouette"].item(), abs=1e-6)
    assert (distance_to_mask(mask) - io["dist_mat"][0]).abs().max() < 1e-5
    loss = distance_loss(mean, mask, channels=3).item()
    assert loss == pytest.approx(io["mc_distm"].item(), abs=1e-4)


def test_semantic_loss_as_released(golden: Callable[[str], Any]) -> None:
    io = golden("dsr/losses").io
    weights = class_weights(io["c_counts"])
    assert (weights - io["c_weight"]).abs().max() < 1e-6
    loss = semantic_loss(io["c_rendered"], io["c_label"], weights[None], logits=True)
    assert loss.item() == pytest.approx(io["c_loss"].item(), abs=1e-6)


def test_labels(golden: Callable[[str], Any]) -> None:
    case = golden("dsr/losses")
    meta, io = case.meta, case.io
    ours = [name.replace("_", "").lower() for name in LABELS]
    assert ours == [name.lower() for name in meta["labels20"]]
    assert [list(c) for c in COLORS] == [meta["color_map"][n] for n in meta["labels20"]]
    for merged, labels in meta["merge_map"].items():
        assert all(MERGE[label] == int(merged) for label in labels)
    merged = [name.replace("_", "").lower() for name in MERGED]
    assert merged == [name.lower() for name in meta["labels8"]]
    minimal = [name.replace("_", "").lower() for name in MINIMAL]
    assert minimal == [name.lower() for name in meta["mc_labels"]]
    labels = labels_from_colors(io["parse_rgb"].long())
    keypoints = io["keypoints"][0]
    near = near_keypoints(labels, keypoints[:, :2], keypoints[:, 2])
    assert torch.equal(merged_labels(near).float(), io["merged_label"])
    counts = torch.stack([(merged_labels(near) == i).sum() for i in range(8)]).float()
    assert (class_weights(counts) - io["merged_ratio"]).abs().max() < 1e-6
    mask, present = minimal_mask(near)
    assert torch.equal(mask.double(), io["mc_mask"][..., 0])
    assert torch.equal(present, io["mc_valid"])
    pixels = [(near == LABELS.index(MINIMAL[i])).sum() for i in present.tolist()]
    assert torch.equal(torch.stack(pixels), io["mc_pixels"])


def test_textures_and_projection(golden: Callable[[str], Any]) -> None:
    io = golden("dsr/losses").io
    prior = io["prior20"]
    names = [MINIMAL.index(n) for n in ("left_shoe", "face")]
    texture = minimal_texture(prior, torch.tensor(names))
    assert (texture[:, None] - io["mc_texture"]).abs().max() < 1e-6
    assert (merged_prior(prior).T[..., None] - io["c_texture"]).abs().max() < 1e-6
    assert (crop_projection(io["cam_t"]) - io["proj"]).abs().max() < 1e-2  # float32 of 5000 t


def test_camera_translation(golden: Callable[[str], Any]) -> None:
    case = golden("dsr/camera_translation")
    io, size = case.io, case.meta["image_size"]
    J = io["joints3d"].shape[-2]
    skeleton = Skeleton("recorded", tuple(map(str, range(J))), (-1, *range(J - 1)))
    focal = torch.full((2,), case.meta["focal"], dtype=torch.float64)
    camera = Camera(focal, torch.full_like(focal, size / 2), (int(size), int(size)))
    keypoints = Keypoints2D(io["keypoints"], skeleton, io["confidence"], camera=camera)
    root = fit_root(io["joints3d"], keypoints)
    assert close(root, io["translation"], 1e-6)


def close(a: Tensor, b: Tensor, relative: float) -> bool:
    return bool(functional.pairwise_distance(a, b).max() < relative * b.norm(dim=-1).max())
