"""Losses of masks and labels: bounds, zeros, directions of gradients, and other ways to count."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from hypopose.bodies import PARTS, CapsuleBody
from hypopose.datasets import example_pair
from hypopose.rendering import (
    LABELS,
    MASK_LOSSES,
    MERGED,
    class_weights,
    distance_loss,
    iou_loss,
    merged_prior,
    render_surface,
    row_iou_loss,
    semantic_loss,
    synthetic_prior,
    with_background,
)
from hypopose.rendering.semantics import (
    CLOTHING,
    labels_from_colors,
    merged_labels,
    minimal_mask,
    minimal_texture,
    near_keypoints,
    parts_of_faces,
)
from hypopose.rendering.views import crop_points, crop_projection, weak_translation


def disc(n: int = 24, shift: float = 0.0) -> Tensor:
    at = torch.arange(n) - n / 2 + 0.5
    return ((at[:, None] ** 2 + (at[None] - shift) ** 2) < (n / 4) ** 2).float()


@pytest.mark.parametrize("name", MASK_LOSSES)
def test_law_a_picture_is_nearest_to_itself(name: str) -> None:
    loss = MASK_LOSSES[name]
    own = loss(disc(), disc())
    assert own < loss(disc(shift=2), disc()) < loss(disc(shift=6), disc())
    batch = torch.stack([disc(), disc(shift=4)])
    torch.testing.assert_close(loss(batch, disc().expand(2, -1, -1))[0], own)
    assert loss(batch, batch).shape == (2,)


def test_intersection_over_union_in_numpy() -> None:
    a, b = disc(), disc(shift=5)
    x, y = a.numpy() > 0, b.numpy() > 0
    expected = 1 - (x & y).sum() / (x | y).sum()
    assert iou_loss(a, b).item() == pytest.approx(expected)
    assert iou_loss(a, a).item() == pytest.approx(0, abs=1e-6)
    assert iou_loss(torch.zeros(4, 4), torch.zeros(4, 4)).item() == 0
    known = torch.ones_like(a)
    known[:, 12:] = 0
    half = 1 - (x & y)[:, :12].sum() / (x | y)[:, :12].sum()
    assert iou_loss(a, b, known).item() == pytest.approx(half)


def test_row_loss_never_reaches_zero_where_rows_are_empty() -> None:
    a = disc()
    n_empty = int((a.sum(1) == 0).sum())
    assert row_iou_loss(a, a).item() == pytest.approx(n_empty / len(a), abs=1e-4)
    assert iou_loss(a, a) < row_iou_loss(a, a)


def test_distances_pull_into_the_mask_and_do_not_make_the_body_cover_it() -> None:
    mask = disc()
    inside = torch.zeros_like(mask)
    inside[12, 12] = 1.0
    assert distance_loss(inside, mask) == 0
    assert distance_loss(mask, torch.zeros_like(mask)) == 0
    picture = disc(shift=8).requires_grad_()
    gradient = torch.autograd.grad(distance_loss(picture, mask), picture)[0]
    assert gradient[12, 23] > gradient[12, 14]  # further out, more to gain


@pytest.mark.parametrize("loss", [iou_loss, row_iou_loss])
def test_gradients_are_finite_without_a_body(loss) -> None:
    picture = torch.zeros(8, 8, requires_grad=True)
    assert torch.autograd.grad(loss(picture, torch.zeros(8, 8)), picture)[0].isfinite().all()


# Labels -------------------------------------------------------------------------------------------


def test_synthetic_prior_shows_what_parts_wear() -> None:
    assert set(CLOTHING) == set(PARTS)
    for rates in CLOTHING.values():
        assert sum(rates.values()) == pytest.approx(1)
    prior = synthetic_prior(torch.arange(len(PARTS)))
    torch.testing.assert_close(prior.sum(1), torch.ones(len(PARTS)))
    hand = prior[PARTS.index("left_hand")]
    assert LABELS[hand.argmax()] == "left_arm"
    assert hand[LABELS.index("right_arm")] < 0.01
    merged = merged_prior(prior)
    torch.testing.assert_close(merged.sum(1), torch.ones(len(PARTS)))
    assert MERGED[merged[PARTS.index("head")].argmax()] == "head"
    assert minimal_texture(prior)[PARTS.index("trunk")] < 0.05 < minimal_texture(prior)[0]


def test_parts_of_triangles() -> None:
    body = CapsuleBody()
    parts = parts_of_faces(body.part_labels, body.faces)
    assert (body.part_labels[body.faces] == parts[:, None]).all()


def test_labels_of_pictures_and_boxes() -> None:
    picture = torch.zeros(40, 50, 3, dtype=torch.long)
    picture[5:35, 5:20] = torch.tensor([0, 0, 255])
    picture[5:35, 30:32] = torch.tensor([1, 2, 3])
    labels = labels_from_colors(picture)
    assert labels.unique().tolist() == [0, LABELS.index("face")]
    keypoints = torch.tensor([[44.0, 20.0], [0.0, 0.0], [torch.nan, 1.0]])
    near = near_keypoints(labels, keypoints, torch.tensor([0.9, 0.1, 1.0]))
    assert (near[:, :14] == 0).all()
    assert (near[:, 14:20] == labels[:, 14:20]).all()
    assert torch.equal(near_keypoints(labels, keypoints, torch.zeros(3)), labels)
    assert merged_labels(labels).unique().tolist() == [0, 1]
    mask, present = minimal_mask(labels)
    assert mask.sum() == 30 * 15
    assert present.tolist() == [4]
    assert not minimal_mask(labels[:5, :10])[1].numel()


def test_weights_of_classes() -> None:
    counts = torch.tensor([[1000.0, 61.0, 60.0, 0.0]])
    assert class_weights(counts)[0].tolist() == pytest.approx([0.061, 1.0, 0.0, 0.0])
    assert not class_weights(torch.zeros(1, 4)).any()


def test_likelihood_knows_what_the_released_form_does_not() -> None:
    labels = torch.zeros(1, 20, 20, dtype=torch.long)
    labels[:, 5:] = 1
    good = torch.nn.functional.one_hot(labels, 8).movedim(-1, 1).float()
    bad = good.roll(1, 1)
    assert semantic_loss(good, labels) < 1e-3
    assert semantic_loss(bad, labels) > 5
    released = [semantic_loss(x, labels, logits=True).item() for x in (good, bad)]
    assert 1.27 < released[0] < released[1] < 2.28
    nothing = torch.zeros(1, 3, 3, dtype=torch.long)
    assert semantic_loss(good[..., :3, :3], nothing) == 0  # no class has 60 pixels


def test_a_rendered_body_is_likely_under_its_own_labels() -> None:
    keypoints, truth = example_pair(1)
    body = CapsuleBody()
    parts = parts_of_faces(body.part_labels, body.faces)
    prior = merged_prior(synthetic_prior(parts))
    losses = []
    for shift in (0.0, 0.15, 0.6):
        joints = truth.joints + truth.root[:, None] + torch.tensor([shift, 0, 0])
        surface = body.around(joints)
        given = {"camera": keypoints.camera, "size": (100, 100)}
        picture = render_surface(surface.vertices, surface.faces, colors=prior, **given)
        assert picture.colors is not None
        classes = with_background(picture.colors, picture.alpha)
        torch.testing.assert_close(classes.sum(1), torch.ones(1, 100, 100))
        if shift == 0:
            labels = classes.argmax(1)
        losses.append(semantic_loss(classes, labels).item())
    assert losses[0] < losses[1] < losses[2]


# DSR's camera -------------------------------------------------------------------------------------


def test_a_crop_shows_the_middle_in_its_middle() -> None:
    camera = weak_translation(torch.tensor([[0.9, 0.0, 0.0]]))
    assert camera[0, 2].item() == pytest.approx(2 * 5000 / (224 * 0.9), rel=1e-5)
    points = torch.tensor([[[0.0, 0.0, 0.0], [0.0, -0.5, 0.0]]])
    seen = crop_points(points, crop_projection(camera))
    assert seen[0, 0, :2].abs().max() < 1e-5
    assert seen[0, 1, 1] > 0.4  # y of the body points down, of the picture up
