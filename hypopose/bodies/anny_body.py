"""The body model Anny: people of every age and build, under permissive licenses.

Brégier et al., "Human mesh modeling for Anny body", ECCV 2026; code Apache-2.0, MakeHuman assets
CC0. The package ``anny`` comes with the extra ``hypopose[mesh]`` and is imported only when this
body is asked for. Its first construction takes a minute or more and writes a cache of up to 1.1 GB
(``ANNY_CACHE_DIR``, else ``~/.cache/anny``); later ones take seconds.

Of Anny are taken its rest pose for a build, its bones and its skinning weights. Bones that 17
joints do not determine (fingers, toes, eyes, collar bones) follow their parent. Anny's rest pose
has z up.

| Human3.6M joint | here |
| --- | --- |
| pelvis | middle of the hip joints |
| hips, knees, ankles, shoulders, elbows, wrists | joints of Anny's rig |
| thorax | the line from spine01 to neck01 at the height of the shoulders |
| spine | the spine's curve at .476 of the way from pelvis to thorax |
| neck | below the start of the head, as high as neck02 |
| head | straight above it at rest, 1.15 times as far as the ears |
"""

from __future__ import annotations

import contextlib
import importlib
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.bodies.body_model import Rest, Rig, ShapeSpace
from hypopose.bodies.body_parts import parts_of_vertices
from hypopose.bodies.skinned import SkinnedBody
from hypopose.errors import BackendError
from hypopose.skeletons import H36M17

SPINE = 0.476
"""Human3.6M's spine joint: lower trunk over trunk."""

HEAD = 1.15
"""How high the head lies above the neck, in heights of the ears."""

N_BUILDS = 1024
"""Builds whose joints are computed at once."""

FIRST_TIME = (
    "Anny is made for the first time: this takes a minute or more and writes a cache of up to "
    "1.1 GB"
)

AIMS = {
    "root": ("right_hip", "left_hip", "spine"),
    "spine04": ("spine",),
    "spine02": ("thorax", "left_shoulder", "right_shoulder"),
    "neck01": ("neck",),
    "head": ("head",),
    **{f"upperleg01.{s[0].upper()}": (f"{s}_knee",) for s in ("left", "right")},
    **{f"lowerleg01.{s[0].upper()}": (f"{s}_ankle",) for s in ("left", "right")},
    **{f"upperarm01.{s[0].upper()}": (f"{s}_elbow",) for s in ("left", "right")},
    **{f"lowerarm01.{s[0].upper()}": (f"{s}_wrist",) for s in ("left", "right")},
}
"""Bones that are posed, and the joints that tell how they are turned."""

_MOVERS = {
    "pelvis": "root", "spine": "spine04", "thorax": "spine02", "neck": "neck01", "head": "head",
    **{f"{s}_hip": "root" for s in ("left", "right")},
    **{f"{s}_shoulder": "spine02" for s in ("left", "right")},
    **{f"{s}_knee": f"upperleg01.{s[0].upper()}" for s in ("left", "right")},
    **{f"{s}_ankle": f"lowerleg01.{s[0].upper()}" for s in ("left", "right")},
    **{f"{s}_elbow": f"upperarm01.{s[0].upper()}" for s in ("left", "right")},
    **{f"{s}_wrist": f"lowerarm01.{s[0].upper()}" for s in ("left", "right")},
}  # fmt: skip
"""The posed bone that moves each joint."""

_TABLE = {
    "root": "hips", "pelvis": "hips", "upperleg": "thigh", "lowerleg": "shin", "foot": "foot",
    "toe": "foot", "spine": "trunk", "clavicle": "trunk", "shoulder": "trunk",
    "upperarm": "upper_arm", "lowerarm": "forearm", "wrist": "hand", "finger": "hand",
    "metacarpal": "hand", "neck": "head", "head": "head", "eye": "head",
}  # fmt: skip


class AnnyBody(SkinnedBody):
    """Anny, posed by our joints.

    Args:
        model: An instance of ``anny.Anny``; see :func:`make_anny`.
        ears: From its vertices ``(N, V, 3)`` to the middle of its ears ``(N, 3)``.
    """

    def __init__(self, model: Any, ears: Callable[[Tensor], Tensor]) -> None:
        bones, parents = list(model.bone_labels), list(model.bone_parents)
        posed = [bone for bone in bones if bone in AIMS]
        owner = posed_ancestors(bones, parents, posed)
        full = _dense(model.vertex_bone_weights, model.vertex_bone_indices, len(bones))
        weights = full.new_zeros(len(full), len(posed))
        weights.index_add_(1, torch.tensor(owner), full)
        movers = torch.zeros(17, len(posed))
        for joint, bone in _MOVERS.items():
            movers[H36M17.index(joint), posed.index(bone)] = 1.0
        names = tuple(model.phenotype_labels)
        half = torch.full((len(names),), 0.5)
        faces = torch.as_tensor(model.faces).long()
        super().__init__(
            "anny",
            Rig(
                tuple(posed),
                posed_parents(bones, parents, posed),
                tuple(tuple(H36M17.index(j) for j in AIMS[bone]) for bone in posed),
                movers,
            ),
            ShapeSpace(names, half, 0.5 * half, 0 * half, 2 * half),
            faces,
            parts_of_vertices(full, bones, _TABLE),
            weights,
        )
        self.model = model
        self._rows = [bones.index(bone) for bone in posed]
        with torch.no_grad():
            average = model.template_vertices[None]
            ear = ears(average)
            ear_changes = ears(average + model.blendshapes) - ear
            # A build changes every point by a sum of the same few numbers times a shift each.
            self._vertices = (model.template_vertices.float(), model.blendshapes.float())
            self._points = (
                torch.cat([model.template_bone_heads, ear]),
                torch.cat([model.bone_heads_blendshapes, ear_changes[:, None]], 1),
            )

    def rest(self, shape: Float[Tensor, "*n S"]) -> Rest:
        """Bones and joints of people as Anny was made."""
        lead = shape.shape[:-1]
        flat = shape.reshape(-1, shape.shape[-1])
        parts = [self._rest_of(part) for part in torch.split(flat, N_BUILDS)]
        bones, joints = (torch.cat(x) for x in zip(*parts, strict=True))
        return Rest(bones.reshape(*lead, -1, 3), joints.reshape(*lead, 17, 3))

    def rest_vertices(self, shape: Float[Tensor, "*n S"]) -> Float[Tensor, "*n V 3"]:
        """Vertices of people as Anny was made."""
        flat = self._coefficients(shape.reshape(-1, shape.shape[-1])).float()
        start, changes = self._vertices
        vertices = start + (flat @ changes.flatten(1)).unflatten(1, start.shape)
        return vertices.reshape(*shape.shape[:-1], *start.shape)

    def _rest_of(self, shape: Float[Tensor, "N S"]) -> tuple[Tensor, Tensor]:
        """Where posed bones begin, and joints."""
        start, changes = self._points
        places = start + torch.einsum("na,akd->nkd", self._coefficients(shape), changes)
        heads, ears = places[:, :-1], places[:, -1]
        by_name = dict(zip(self.model.bone_labels, heads.unbind(1), strict=True))
        return heads[:, self._rows].float(), joints_at_rest(by_name, ears).float()

    @torch.no_grad()
    def _coefficients(self, shape: Float[Tensor, "N S"]) -> Float[Tensor, "N A"]:
        """How much of each of Anny's changes makes a build."""
        given = shape.detach().to(self.model.dtype).clamp(0.0, 1.0)
        none = given.new_zeros(len(given), 0)
        found: Tensor = self.model._get_phenotype_blendshape_coefficients(given, none, none)
        return found


def make_anny(say: Callable[[str], None] | None = None) -> AnnyBody:
    """Construct Anny.

    Args:
        say: Called with a line of text if the cache has to be made.

    Raises:
        BackendError: If the package is not installed.
    """
    _silence_warp()
    try:
        anny = importlib.import_module("anny")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "anny":
            raise
        raise BackendError(
            "The body 'anny' needs the package anny: pip install 'hypopose[mesh]'. The built-in "
            "body 'capsules' needs nothing."
        ) from None
    if say is not None and _is_first_time():
        say(FIRST_TIME)
    model = anny.Anny()
    regressor = anny.KeypointsRegressor.coco(model, labels=["left_ear", "right_ear"])

    def ears(vertices: Tensor) -> Tensor:
        found: Tensor = regressor({"vertices": vertices}).mean(1)
        return found

    return AnnyBody(model, ears)


def _silence_warp() -> None:
    """Keep Warp, which Anny computes with, from printing its version and devices when it starts."""
    with contextlib.suppress(ImportError):
        options: Any = importlib.import_module("warp.config")
        options.log_level = logging.ERROR


def _is_first_time() -> bool:
    paths = importlib.import_module("anny.paths")
    cache = paths.get_anny_cache_path()
    return not (cache.is_dir() and any(cache.iterdir()))


def joints_at_rest(
    heads: Mapping[str, Float[Tensor, "N 3"]], ears: Float[Tensor, "N 3"]
) -> Float[Tensor, "N 17 3"]:
    """Human3.6M-17 joints of Anny at rest, z up.

    Args:
        heads: Where each bone begins, by name.
        ears: The middle of the ears.
    """
    right = [heads["upperleg01.R"], heads["lowerleg01.R"], heads["foot.R"]]
    left = [heads["upperleg01.L"], heads["lowerleg01.L"], heads["foot.L"]]
    arm_l = [heads["upperarm01.L"], heads["lowerarm01.L"], heads["wrist.L"]]
    arm_r = [heads["upperarm01.R"], heads["lowerarm01.R"], heads["wrist.R"]]
    pelvis = (right[0] + left[0]) / 2
    shoulders = (arm_l[0] + arm_r[0]) / 2
    chest = heads["neck01"] - heads["spine01"]
    share = (shoulders - heads["spine01"])[:, 2:] / chest[:, 2:]
    thorax = heads["spine01"] + share * chest
    curve = [pelvis, *(heads[f"spine0{i}"] for i in (4, 3, 2, 1)), thorax]
    height = pelvis[:, 2] + SPINE * (thorax - pelvis)[:, 2]
    spine = _at_height(torch.stack(curve, 1), height)
    neck = torch.stack([pelvis[:, 0], heads["head"][:, 1], heads["neck02"][:, 2]], -1)
    head = neck + neck.new_tensor([0.0, 0.0, HEAD]) * (ears - neck)[:, 2:]
    rows = [pelvis, *right, *left, spine, thorax, neck, head, *arm_l, *arm_r]
    return torch.stack(rows, 1)


def _at_height(curve: Float[Tensor, "N n 3"], height: Float[Tensor, " N"]) -> Float[Tensor, "N 3"]:
    """Where rising polylines cross heights."""
    z = curve[..., 2]
    i = (z[:, 1:-1] < height[:, None]).sum(1).clamp(max=z.shape[1] - 2)
    row = torch.arange(len(z))
    low, high = curve[row, i], curve[row, i + 1]
    share = ((height - low[:, 2]) / (high[:, 2] - low[:, 2])).clamp(0, 1)
    return low + share[:, None] * (high - low)


def posed_ancestors(
    bones: Sequence[str], parents: Sequence[int], posed: Sequence[str]
) -> list[int]:
    """For each bone the posed bone that it follows; the first one where there is none above it.

    Example:
        >>> posed_ancestors(["hip", "knee", "toe"], [-1, 0, 1], ["hip", "knee"])
        [0, 1, 1]
    """
    index = {bone: i for i, bone in enumerate(posed)}
    found: list[int] = []
    for bone, parent in zip(bones, parents, strict=True):
        above = found[parent] if parent >= 0 else 0
        found.append(index.get(bone, above))
    return found


def posed_parents(
    bones: Sequence[str], parents: Sequence[int], posed: Sequence[str]
) -> tuple[int, ...]:
    """Parents among the posed bones.

    Example:
        >>> posed_parents(["hip", "knee", "toe"], [-1, 0, 1], ["hip", "toe"])
        (-1, 0)
    """
    owner = posed_ancestors(bones, parents, posed)
    rows = [list(bones).index(bone) for bone in posed]
    return tuple(-1 if parents[row] < 0 else owner[parents[row]] for row in rows)


def _dense(weights: Float[Tensor, "V n"], indices: Tensor, n_bones: int) -> Float[Tensor, "V B"]:
    full = torch.zeros(len(weights), n_bones)
    full.scatter_add_(1, indices.long(), weights.float())
    return full / full.sum(1, keepdim=True)
