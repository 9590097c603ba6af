"""Bodies around joints against the silhouettes of masks."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from hypopose.bodies import make_body
from hypopose.datasets import example_pair
from hypopose.rendering import SoftRasterizer
from hypopose.rendering.semantics import LABELS, merged_labels
from hypopose.rendering.silhouettes import (
    at_side,
    fit_girth,
    render_bodies,
    silhouette_errors,
    softness,
)
from hypopose.rendering.views import normalized_points
from hypopose.types import Camera, Silhouettes

WINDOW = torch.tensor([[300.0, 200.0, 600.0]])


def scene(n: int = 2) -> tuple[torch.Tensor, Camera]:
    keypoints, truth = example_pair(n)
    assert keypoints.camera is not None
    assert truth.root is not None
    return truth.joints + truth.root[:, None], keypoints.camera


def seen_of(placed: torch.Tensor, camera: Camera, girth: float = 1.0) -> Silhouettes:
    window = WINDOW.expand(len(placed), 3)
    mask = (render_bodies(placed, camera, window, 64, girth=girth).alpha > 0.5).float()
    return Silhouettes(torch.arange(len(placed)), mask, torch.ones_like(mask), window)


def test_triangles_that_face_away_are_not_missed() -> None:
    placed, camera = scene()
    window = WINDOW.expand(2, 3)
    quick = render_bodies(placed, camera, window, 96).alpha
    surface = make_body("capsules").around(placed)
    corners = normalized_points(surface.vertices, camera, window)[:, surface.faces]
    every = SoftRasterizer(sigma=softness(96)).render(corners, (96, 96)).alpha
    assert ((quick > 0.5) != (every > 0.5)).float().mean() < 0.01
    assert quick.mean().item() == pytest.approx(every.mean().item(), rel=0.1)


def test_the_error_is_least_where_the_mask_is_from_and_its_gradient_leads_there() -> None:
    placed, camera = scene(1)
    seen = seen_of(placed, camera)
    shift = torch.tensor([0.06, 0.0, 0.0])
    errors = [float(silhouette_errors(placed + s * shift, camera, seen)) for s in (-1, 0, 1)]
    assert errors[1] < 0.7 * min(errors[0], errors[2])
    moved = (placed + shift).requires_grad_()
    (gradient,) = torch.autograd.grad(silhouette_errors(moved, camera, seen).sum(), moved)
    assert gradient.sum((0, 1))[0] > 0


def test_the_gradient_is_that_of_finite_differences() -> None:
    placed, camera = scene(1)
    placed, seen = placed.double(), seen_of(placed, camera)
    camera = replace(camera, focal=camera.focal.double(), center=camera.center.double())
    start = placed + 0.03
    given = start.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(silhouette_errors(given, camera, seen).sum(), given)
    step = torch.randn(placed.shape, generator=torch.Generator().manual_seed(0)).double()
    h = 1e-6
    ahead, behind = (silhouette_errors(start + s * h * step, camera, seen).sum() for s in (1, -1))
    assert float((gradient * step).sum()) == pytest.approx(float((ahead - behind) / (2 * h)), 1e-2)


def test_pixels_that_are_not_known_do_not_count() -> None:
    placed, camera = scene(1)
    seen = seen_of(placed, camera)
    inside, known = seen.inside.clone(), seen.known.clone()
    inside[:, 32:] = 0
    half = replace(seen, inside=inside)
    known[:, 32:] = 0
    told = replace(half, known=known)
    assert silhouette_errors(placed, camera, told) < 0.5 * silhouette_errors(placed, camera, half)


def test_the_girth_of_the_masks_is_found() -> None:
    placed, camera = scene(2)
    for girth in (0.9, 1.2):
        found = fit_girth(placed.expand(3, -1, -1, -1), camera, seen_of(placed, camera, girth))
        assert found.item() == pytest.approx(girth)
    empty = replace(
        seen_of(placed, camera), frames=torch.zeros(0).long(), inside=torch.zeros(0, 64, 64),
        known=torch.zeros(0, 64, 64), window=torch.zeros(0, 3),
    )  # fmt: skip
    assert fit_girth(placed[None, :0], camera, empty).item() == 1.0


def test_classes_of_the_wrong_side_are_worse() -> None:
    placed, camera = scene(1)
    seen = seen_of(placed, camera)
    left, right = LABELS.index("left_arm"), LABELS.index("right_arm")
    classes = render_bodies(placed, camera, WINDOW, 64, classes=True).colors
    assert classes is not None
    merged = classes.argmax(1)
    names = ("background", "hair", "upperclothes", "pants", "left_arm", "right_arm", "left_leg",
             "right_leg")  # fmt: skip
    labels = torch.tensor([LABELS.index(name) for name in names])[merged]
    assert torch.equal(merged_labels(labels), merged)
    swapped = torch.where(labels == left, right, torch.where(labels == right, left, labels))
    errors = [
        float(silhouette_errors(placed, camera, replace(seen, labels=x))) for x in (labels, swapped)
    ]
    assert errors[0] < errors[1]
    blind = replace(seen, known=torch.zeros_like(seen.known))
    same = {float(silhouette_errors(placed, camera, replace(blind, labels=x)))
            for x in (labels, swapped)}  # fmt: skip
    assert len(same) == 1
    assert max(same) < 1e-3


def test_fewer_pixels_show_the_same() -> None:
    placed, camera = scene(1)
    seen = seen_of(placed, camera)
    small = at_side(replace(seen, labels=seen.inside.long()), 32)
    assert small.inside.shape == small.labels.shape == (1, 32, 32)
    assert small.inside.mean().item() == pytest.approx(seen.inside.mean().item())
    assert at_side(small, 64) is small
