"""Draw the table of people that training takes bodies and detector points from.

    python -m venv anny && anny/bin/pip install -e '.[mesh]'
    anny/bin/python benchmarks/draw_people.py hypopose/simulation/people.npz

Anny (Brégier et al., "Human mesh modeling for Anny body", 2025; code Apache-2.0, assets CC0) is a
body model whose shape follows age, gender, weight, height, muscle and proportions, calibrated to
the heights of children and adults that the WHO publishes. Nothing of it is needed afterwards: what
is stored are lengths of the Human3.6M-17 skeleton, and where detectors' points lie in the frames of
its bones. The first construction of the model takes minutes, later ones seconds.

Joints are defined in :mod:`hypopose.bodies.anny_body`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import anny
import numpy as np
import torch
from anny.shape_distribution import SimpleShapeDistribution

from hypopose.bodies.anny_body import joints_at_rest

CHILDREN = 0.2
"""Share of people from 2 to 16 years; the others are 16 to 85."""

BONES = (
    *((0, 1), (1, 2), (2, 3), (0, 4), (4, 5), (5, 6), (0, 7), (7, 8), (8, 9), (9, 10)),
    *((8, 11), (11, 12), (12, 13), (8, 14), (14, 15), (15, 16)),
)
PAIRS = (0, 1, 2, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 7, 8, 9)


def unit(x: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.normalize(x, dim=-1)


def frame(up: torch.Tensor, left: torch.Tensor) -> torch.Tensor:
    """Axes (B, 3, 3) in rows: left, up, forward."""
    up = unit(up)
    left = unit(left - (left * up).sum(-1, keepdim=True) * up)
    return torch.stack([left, up, torch.linalg.cross(left, up)], -2)


def points_of(
    x: torch.Tensor, coco: dict[str, torch.Tensor], top: torch.Tensor
) -> dict[str, torch.Tensor]:
    """Offsets (B, 3) of detectors' points, left ones alone: left, up, forward, in meters."""
    across = x[:, 11] - x[:, 14]
    trunk, head = frame(x[:, 8] - x[:, 0], across), frame(x[:, 10] - x[:, 9], across)
    shin = frame(x[:, 5] - x[:, 6], across)
    turned = {
        **dict.fromkeys(("nose", "left_eye", "left_ear"), (head, 9)),
        "left_shoulder": (trunk, 11),
        "left_hip": (trunk, 4),
        **dict.fromkeys(("left_big_toe", "left_small_toe", "left_heel"), (shin, 6)),
    }
    found = {
        name: (axes @ (coco[name] - x[:, joint])[..., None])[..., 0]
        for name, (axes, joint) in turned.items()
    }
    found["nose"][:, 0] = 0.0  # the mesh is not quite symmetric
    found["head_top"] = (head @ (top - x[:, 9])[..., None])[..., 0]
    along = {"left_elbow": (11, 12), "left_wrist": (12, 13), "left_knee": (4, 5)}
    for name, (parent, joint) in {**along, "left_ankle": (5, 6)}.items():
        bone = unit(x[:, joint] - x[:, parent])
        found[name] = ((coco[name] - x[:, joint]) * bone).sum(-1, keepdim=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", type=Path)
    parser.add_argument("--n-people", type=int, default=4096)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    model = anny.Anny()
    regressor = anny.KeypointsRegressor.coco(model)
    n_children = round(CHILDREN * options.n_people)
    ages, traits = [], []
    for n, low, high in ((n_children, 2.0, 16.0), (options.n_people - n_children, 16.0, 85.0)):
        years = torch.distributions.Uniform(
            torch.tensor(low, dtype=model.dtype), torch.tensor(high, dtype=model.dtype)
        )
        age, trait = SimpleShapeDistribution(model, years).sample(n)
        ages.append(age)
        traits.append(torch.stack([trait[name] for name in model.phenotype_labels], 1))
    parts: dict[str, list[torch.Tensor]] = {}
    for traits_of in torch.cat(traits).split(64):
        none = traits_of.new_zeros(len(traits_of), 0)
        shape = model._get_phenotype_blendshape_coefficients(traits_of, none, none)
        rest = model.get_rest_model(shape)
        vertices = rest["rest_vertices"]
        heads = dict(zip(model.bone_labels, rest["rest_bone_heads"].unbind(1), strict=True))
        given = zip(regressor.labels, regressor({"vertices": vertices}).unbind(1), strict=True)
        coco = dict(given)
        x = joints_at_rest(heads, (coco["left_ear"] + coco["right_ear"]) / 2)
        top = vertices[torch.arange(len(vertices)), vertices[..., 2].argmax(1)]
        top = top * top.new_tensor([0.0, 1.0, 1.0])  # the middle of the head
        bones = torch.stack([(x[:, c] - x[:, p]).norm(dim=-1) for p, c in BONES], 1)
        same = torch.tensor(PAIRS)
        row = {"lengths": torch.stack([bones[:, same == i].mean(1) for i in range(10)], 1)}
        row["stature"] = vertices[..., 2].amax(1) - vertices[..., 2].amin(1)
        for name, values in {**row, **points_of(x, coco, top)}.items():
            parts.setdefault(name, []).append(values)
    table = {name: torch.cat(values).numpy().astype(np.float16) for name, values in parts.items()}
    table |= {"age": torch.cat(ages).numpy().astype(np.float16)}
    table |= {"traits": torch.cat(traits).numpy().astype(np.float16)}
    np.savez_compressed(options.target, **table)
    adult = table["age"] >= 16
    for name, values in table.items():
        grown = values[adult].astype(np.float32)
        print(name, grown.mean(0).round(3), grown.std(0).round(3))


if __name__ == "__main__":
    main()
