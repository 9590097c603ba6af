"""A soft rasterizer: pictures of surfaces that can be differentiated, in plain torch.

Liu et al., "Soft Rasterizer: A differentiable renderer for image-based 3D reasoning", ICCV 2019,
with the settings of Dwivedi et al., "Learning to regress bodies from images using differentiable
semantic rendering", ICCV 2021 (DSR). A triangle f has an influence on the pixel p that falls off
outside its boundary:

| paper | here |
| --- | --- |
| d(p, f), distance to the boundary | ``distance`` squared, in normalized coordinates |
| D = sigmoid(± d² / σ) | ``influence``; + inside, - outside |
| alpha = 1 - Π (1 - D) | ``Picture.alpha`` |
| color = Σ w c / Σ w, w = D exp(z' / γ) | ``Picture.colors`` |
| z' = (far - z) / (far - near) | ``depth`` |

Influences end where D = 1e-4, and outside the triangle's bounding box enlarged by that distance.
Both sides of a triangle are seen.

Departures: γ is 1e-4 by default and not 0.1, with which a body's front and back, less than a meter
apart, are averaged; ``published()`` has the original values. The background's weight is the
released exp(2 ε / γ). Pictures need not be square: the longer side spans -1 to 1.

Memory is bounded: tiles of a picture are worked on in turn, and with gradients each tile is
computed again when it is differentiated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from hypopose.checks import check_positive
from hypopose.errors import OptionError, ShapeError
from hypopose.rendering.fragments import Boxes, Tile, boxes_of, pairs_of, tiles_of

CUT_OFF = 1e-4
"""Influences below this count as none."""

FLATTEST = 1e-10
"""Least determinant of a triangle; smaller ones count as this."""


@dataclass(frozen=True, eq=False)
class Picture:
    """What was rendered; row 0 is the top.

    Args:
        alpha: How much of each pixel the surface covers, 0 to 1.
        colors: Channels, or None.
    """

    alpha: Float[Tensor, "B h w"]
    colors: Float[Tensor, "B C h w"] | None = None


@dataclass(frozen=True)
class SoftRasterizer:
    """Options of rendering.

    Args:
        sigma: Softness of edges, in squared normalized coordinates: influence ends 3 √σ away, one
            pixel of 224 for 1e-5.
        gamma: Softness of what hides what: surfaces (far - near) γ apart in depth weigh e to one.
        near: Colors of nearer points are left out; in the unit of depth.
        far: Colors of points further away are left out.
        epsilon: Depth z' of the background.
        background: Its color.
        max_pairs: Pairs of triangles and pixels in memory at once.

    Raises:
        OptionError: If an option is out of range.

    Example:
        >>> triangle = torch.tensor([[[[-0.9, -0.9, 2.0], [0.9, -0.9, 2.0], [0.0, 0.9, 2.0]]]])
        >>> picture = SoftRasterizer(sigma=1e-4).render(triangle, (8, 8))
        >>> [round(x) for x in picture.alpha[0, 4].tolist()]
        [0, 0, 1, 1, 1, 1, 0, 0]
    """

    sigma: float = 1e-5
    gamma: float = 1e-4
    near: float = 0.1
    far: float = 100.0
    epsilon: float = 1e-3
    background: float = 0.0
    max_pairs: int = 400_000

    def __post_init__(self) -> None:
        check_positive(sigma=self.sigma, gamma=self.gamma, near=self.near, max_pairs=self.max_pairs)
        if not self.far > self.near:
            raise OptionError(f"far must lie beyond near, got {self.far} and {self.near}.")

    @staticmethod
    def published(sigma: float = 1e-5) -> SoftRasterizer:
        """DSR's options."""
        return SoftRasterizer(sigma, gamma=0.1, near=1.0)

    @property
    def reach(self) -> float:
        """Normalized distance at which influences end."""
        return math.sqrt(self.sigma * math.log(1 / CUT_OFF - 1))

    def render(
        self,
        corners: Float[Tensor, "B T 3 3"],
        size: tuple[int, int],
        colors: Float[Tensor, "*bt C"] | None = None,
    ) -> Picture:
        """Render triangles.

        Args:
            corners: Normalized x (right) and y (up), and depth. Triangles with a corner that is
                not finite are left out.
            size: Height and width in pixels.
            colors: Of the triangles; none for the alpha alone, which is quicker.

        Returns:
            Differentiable in corners and colors.

        Raises:
            OptionError: If the size is not positive.
            ShapeError: If colors are not those of the triangles.
        """
        if min(size) < 1:
            raise OptionError(f"A picture has a pixel at least, got {size}.")
        if colors is not None and colors.shape[:2] != corners.shape[:2]:
            raise ShapeError(
                f"Colors {tuple(colors.shape)} do not belong to triangles {tuple(corners.shape)}."
            )
        with torch.no_grad():
            boxes = boxes_of(corners[..., :2].detach(), size, self.reach)
            tiles = list(tiles_of(boxes, len(corners), size[0], self.max_pairs))
        flat = corners.flatten(0, 1)
        tint = None if colors is None else colors.flatten(0, 1)
        parts = [self._tile(flat, tint, boxes, tile, size) for tile in tiles]
        return _assembled(parts, tiles, len(corners))

    def _tile(
        self,
        corners: Tensor,
        colors: Tensor | None,
        boxes: Boxes,
        tile: Tile,
        size: tuple[int, int],
    ) -> Tensor:
        """Alpha and colors of a tile, in channels (b, 1 + C, rows, w)."""
        inside = boxes.within(tile.items, tile.rows)
        given = (corners, colors, inside, tile, size)
        watched = corners.requires_grad or (colors is not None and colors.requires_grad)
        if watched and torch.is_grad_enabled():
            out: Tensor = checkpoint(
                self._shade, *given, use_reentrant=False, preserve_rng_state=False
            )
            return out
        return self._shade(*given)

    def _shade(
        self,
        corners: Tensor,
        colors: Tensor | None,
        boxes: Boxes,
        tile: Tile,
        size: tuple[int, int],
    ) -> Tensor:
        which, row, column = pairs_of(boxes)
        height, width = size
        point = torch.stack([2 * column + 1 - width, height - 1 - 2 * row], -1).to(corners)
        point = point / max(size)
        triangle = corners[boxes.face[which]]
        exponent, share = self._influence(triangle, point)
        kept = (exponent > -(self.reach**2) / self.sigma).nonzero()[:, 0]
        exponent, share, triangle = exponent[kept], share[kept], triangle[kept]
        n_rows = tile.rows[1] - tile.rows[0]
        items = tile.items[1] - tile.items[0]
        place = (boxes.item[which[kept]] - tile.items[0]) * n_rows + row[kept] - tile.rows[0]
        place = place * width + column[kept]
        uncovered = corners.new_zeros(items * n_rows * width)
        uncovered = uncovered.index_add(0, place, -functional.softplus(exponent))
        channels = [-torch.expm1(uncovered)[:, None]]
        if colors is not None:
            tint = colors[boxes.face[which[kept]]]
            channels.append(self._blend(exponent, share, triangle, tint, place, len(uncovered)))
        return torch.cat(channels, 1).reshape(items, n_rows, width, -1).movedim(-1, 1)

    def _influence(self, triangle: Tensor, point: Tensor) -> tuple[Tensor, Tensor]:
        """± d² / σ of every pair, and where in its triangle a point lies, unclipped."""
        xy = triangle[..., :2]
        away = point[:, None] - xy
        along = xy.roll(-1, 1) - xy
        length = along.square().sum(-1).clamp(min=1e-20)
        at = ((away * along).sum(-1) / length).clamp(0, 1)
        distance = (away - at[..., None] * along).square().sum(-1).amin(-1)
        share = _barycentric(xy, away[:, 0])
        inside = ((share > 0) & (share < 1)).all(-1)
        return torch.where(inside, distance, -distance) / self.sigma, share

    def _blend(
        self,
        exponent: Tensor,
        share: Tensor,
        triangle: Tensor,
        tint: Tensor,
        place: Tensor,
        n_pixels: int,
    ) -> Float[Tensor, "n C"]:
        """Colors of pixels: nearer triangles weigh more."""
        share = share.clamp(0, 1)
        share = share / share.sum(-1, keepdim=True).clamp(min=1e-5)
        z = 1 / (share / triangle[..., 2]).sum(-1)
        seen = ((z >= self.near) & (z <= self.far)).nonzero()[:, 0]
        depth = (self.far - z[seen]) / (self.far - self.near)
        place, tint = place[seen], tint[seen]
        nearest = depth.new_full((n_pixels,), self.epsilon)
        nearest = nearest.scatter_reduce(0, place, depth.detach(), "amax")
        influence = torch.sigmoid(exponent[seen])
        weight = influence * ((depth - nearest[place]) / self.gamma).exp()
        behind = ((2 * self.epsilon - nearest) / self.gamma).exp()
        total = behind.index_add(0, place, weight)
        mixed = (self.background * behind)[:, None].expand(-1, tint.shape[1])
        mixed = mixed.index_add(0, place, weight[:, None] * tint)
        return mixed / total[:, None]


def _barycentric(xy: Float[Tensor, "P 3 2"], away: Float[Tensor, "P 2"]) -> Float[Tensor, "P 3"]:
    """Shares of the corners at points that lie ``away`` from the first corner."""
    first, second = xy[:, 1] - xy[:, 0], xy[:, 2] - xy[:, 0]
    determinant = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]
    floor = torch.where(determinant < 0, -FLATTEST, FLATTEST)
    determinant = torch.where(determinant.abs() < FLATTEST, floor, determinant)
    a = (away[:, 0] * second[:, 1] - away[:, 1] * second[:, 0]) / determinant
    b = (first[:, 0] * away[:, 1] - first[:, 1] * away[:, 0]) / determinant
    return torch.stack([1 - a - b, a, b], -1)


def _assembled(parts: list[Tensor], tiles: list[Tile], n_items: int) -> Picture:
    """Bands of one item below each other, items behind each other."""
    rows: dict[tuple[int, int], list[Tensor]] = {}
    for part, tile in zip(parts, tiles, strict=True):
        rows.setdefault(tile.items, []).append(part)
    whole = torch.cat([torch.cat(bands, 2) for bands in rows.values()])
    assert len(whole) == n_items
    colors = whole[:, 1:] if whole.shape[1] > 1 else None
    return Picture(whole[:, 0], colors)
