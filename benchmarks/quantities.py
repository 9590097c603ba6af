"""Errors and coverage of quantities' intervals, the recalibration in the package, and gait events.

    python benchmarks/quantities.py MOTION --fit hypopose/quantities/recalibration.json
    python benchmarks/quantities.py MOTION --fit FILE --docs docs/reference/quantities.md
    python benchmarks/quantities.py MOTION --fit FILE --only exercises --only feet
    python benchmarks/quantities.py MOTION --set people-detector --set markers
    python benchmarks/quantities.py MOTION --gait
    python benchmarks/quantities.py MOTION --contacts --limit 12

MOTION is the folder of the motion shards. 20 hypotheses of the default weights, windows of 81
frames at 50 Hz; the camera is known, the vertical is that of the camera's world, and what depends
on scale is measured on bodies scaled to the true stature (``--any-size``: as they are).
``--fit`` fits the factors on val-people-detector, those of gait on walks of the val split and of
deepmimic_mit, those of jumps, squats and feet on windows of the val split, measures coverage on
people-detector (other people, whose skeletons the weights never saw), on walks of the test split,
on jumps and squats of five other people and on feet of the test split, and writes both; ``--docs``
then writes the tables of a page anew, whose rows and columns stay. Feet are simulated on captured
ankles (benchmarks/simulated_feet.py). ``--set`` prints a table: mean
absolute error of the hypotheses' mean and of the quantity computed on the mean pose, and coverage
as sampled and recalibrated. ``markers`` are five people of markers_mit, seen from fixed virtual
cameras, their keypoints spoiled as a detector does.

``--gait`` compares strikes and lifts with those of the true motion, with exact and with detected
keypoints, in windows of 3 s (64 frames of the short trials of markers_mit): walks of the training
set, and walks that the weights never saw.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from other_bodies import chosen, detected
from simulated_feet import seen_feet, with_feet

from hypopose import make_sampler
from hypopose.api.making import folder_of
from hypopose.api.measuring import steady_roots
from hypopose.cameras import cam_to_world, fit_roots
from hypopose.datasets import batches, load_benchmark, load_motion, stack
from hypopose.diffusion import seeded_noise
from hypopose.optimization.feet import lift_feet
from hypopose.optimization.stature import stature as body_stature
from hypopose.quantities import LEVELS, QUANTITIES, BodyMotion, Quantity, find_feet, foot_events
from hypopose.quantities.body_motion import SIDES
from hypopose.quantities.contacts import ankle_contact, foot_contact
from hypopose.quantities.intervals import interval, median
from hypopose.quantities.measurement import near_mean
from hypopose.quantities.recalibration import (
    Recalibration,
    bundled_recalibration,
    fit_factors,
    from_record,
    to_record,
)
from hypopose.quantities.segments import stature
from hypopose.skeletons import H36M17, convert
from hypopose.training.validation import hold_out
from hypopose.types import Hypotheses, Keypoints2D

WEIGHTS = "distributional-frame-small"
N_HYPOTHESES = 20
GROUPS = ("angles", "ranges of motion", "segments", "center of mass", "speeds", "accelerations",
          "angular speeds", "contacts", "repetitions")  # fmt: skip
WALKS = {
    "CMU walks (trained on)": ("cmu_own_bodies", "train", ["cmu_007*", "cmu_008*", "cmu_006_01*"]),
    "DeepMimic walks (not seen)": ("deepmimic_mit", "train", ["*walk*"]),
    "walks of five people (not seen)": ("markers_mit", "train", ["*walking*"]),
}
GAIT_FRAMES = 150
FITTED_WALKS = [
    ("cmu_own_bodies", "val", ["cmu_003*", "cmu_127_04*", "cmu_131*"]),
    ("deepmimic_mit", "train", ["*walk*"]),
]
TESTED_WALKS = [("cmu_own_bodies", "test", ["cmu_091*", "cmu_005_01*"])]
"""Shard, split and clips; the weights were trained on none of them."""
FITTED_REST = [("cmu_own_bodies", "val", ["*"])]
TESTED_EXERCISES = [("markers_mit", "train", ["*"]), ("cmu_own_bodies", "test", ["*"])]
TESTED_FEET = [("cmu_own_bodies", "test", ["*"])]
EXERCISE_FRAMES = 120
N_WALKS = 30
"""Windows of a shard at most."""
N_FEET, N_EXERCISES = 40, 40
BELIEVED = (0.3, 5.0)
"""Families whose factors lie outside get none: their spread hardly says how wrong they are."""
NEAR_S = 0.15
PARAMETERS = (
    "cadence", "left_step_time", "stride_time", "left_stance_share", "double_support_share",
    "left_step_length", "left_step_reach", "left_step_width", "walking_speed",
)  # fmt: skip


@dataclass(frozen=True)
class Seen:
    """Hypotheses and truth of one window, z up."""

    hypotheses: BodyMotion
    mean: BodyMotion
    truth: BodyMotion
    sequence: Hashable


@dataclass
class Values:
    """A family's values over all windows: samples (H, n), of the mean pose, true."""

    samples: list[NDArray[np.float64]] = field(default_factory=list)
    of_mean: list[NDArray[np.float64]] = field(default_factory=list)
    truth: list[NDArray[np.float64]] = field(default_factory=list)
    units: list[Hashable] = field(default_factory=list)


def draw(sampler: Any, keypoints: Keypoints2D, names: list[str]) -> Hypotheses:
    """Hypotheses with roots."""
    keypoints = convert(keypoints, H36M17)
    with torch.no_grad():
        x = sampler.sample(keypoints, N_HYPOTHESES, seeded_noise(0, names))
    x = x if x.root is not None else replace(x, root=fit_roots(x, keypoints))
    return steady_roots(x, keypoints)


def windows(sampler: Any, name: str, folder: Path, limit: int | None) -> Iterator[Seen]:
    """Windows of a benchmark, or of ``markers``."""
    if name == "markers":
        yield from held_out_windows(
            sampler, load_motion(folder / "markers_mit.npz", "train"), limit
        )
        return
    benchmark = load_benchmark(name)
    for group in batches(benchmark.items(folder, limit), 16):
        keypoints, truth = stack(group)
        x = draw(sampler, keypoints, [item.name for item in group])
        assert x.root is not None
        assert truth.root is not None
        for i, item in enumerate(group):
            camera = replace(
                item.view.camera,
                rotation=item.view.camera.rotation.double(),
                translation=item.view.camera.translation.double(),
            )
            cam = (x.joints[i] + x.root[i][..., None, :]).double()
            real = (truth.joints[i] + truth.root[i][:, None]).double()
            made = [cam_to_world(v, camera) for v in (cam, cam.mean(0), real)]
            bodies = (BodyMotion(v, H36M17, item.keypoints.fps) for v in made)
            yield Seen(*bodies, sequence=item.view.clip)


def held_out_windows(
    sampler: Any,
    motion: Any,
    limit: int | None,
    n_frames: int = 81,
    spoiled: bool = True,
    wanted_window: Callable[[BodyMotion], bool] | None = None,
) -> Iterator[Seen]:
    """Windows seen from fixed virtual cameras; those that are wanted."""
    names = [
        motion.names[i]
        for i in range(motion.n_clips)
        for _ in range(0, int(motion.length[i]) - n_frames + 1, n_frames)
    ]
    exact = hold_out(motion, n_frames, n_frames)
    found = detected(exact) if spoiled else exact
    if wanted_window is None:
        kept = list(range(len(names)))
    else:
        bodies = (BodyMotion(w.double(), H36M17, motion.fps) for w in exact.world)
        kept = [i for i, body in enumerate(bodies) if wanted_window(body)]
    for i in kept[:: max(1, len(kept) // (limit or len(kept)))]:
        keypoints = part(found.keypoints, i)
        x = draw(sampler, keypoints, [f"{names[i]}:{i}"])
        assert x.root is not None
        cam = (x.joints[0] + x.root[0][..., None, :]).double()
        truth = exact.truth
        assert truth.root is not None
        real = (truth.joints[i] + truth.root[i][:, None]).double()
        world = exact.world[i].double()
        rotation, center = rigid(real[0], world[0])
        made = [v @ rotation.T + center for v in (cam, cam.mean(0), real)]
        bodies = (BodyMotion(v, H36M17, motion.fps) for v in made)
        yield Seen(*bodies, sequence=names[i])


def part(keypoints: Keypoints2D, i: int) -> Keypoints2D:
    """One window as a batch of one."""
    return replace(
        keypoints,
        xy=keypoints.xy[i : i + 1],
        confidence=None if keypoints.confidence is None else keypoints.confidence[i : i + 1],
    )


def rigid(a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Rotation and shift that bring points a onto b (Kabsch): the camera's world."""
    p, q = a - a.mean(0), b - b.mean(0)
    u, _, vt = torch.linalg.svd(p.T @ q)
    sign = torch.diag(torch.tensor([1.0, 1.0, float(torch.linalg.det(vt.T @ u.T).sign())]).double())
    rotation = vt.T @ sign @ u.T
    return rotation, b.mean(0) - rotation @ a.mean(0)


def walks(
    sampler: Any, folder: Path, places: list[tuple[str, str, list[str]]], limit: int | None
) -> Iterator[Seen]:
    """Windows of walks, their keypoints spoiled as a detector does."""
    for shard, split, patterns in places:
        motion = chosen(load_motion(folder / f"{shard}.npz", split), patterns)
        yield from held_out_windows(sampler, motion, min(limit or N_WALKS, N_WALKS), GAIT_FRAMES)


def exercises(
    sampler: Any, folder: Path, places: list[tuple[str, str, list[str]]], limit: int | None
) -> Iterator[Seen]:
    """Windows with a jump or a squat, their keypoints spoiled as a detector does."""
    most = min(limit or N_EXERCISES, N_EXERCISES)
    for shard, split, patterns in places:
        motion = chosen(load_motion(folder / f"{shard}.npz", split), patterns)
        yield from held_out_windows(
            sampler, motion, most, EXERCISE_FRAMES, wanted_window=_is_exercise
        )


def _is_exercise(truth: BodyMotion) -> bool:
    counts = (QUANTITIES[f"{kind}_count"].compute(truth) for kind in ("jump", "squat"))
    return any(float(count) > 0 for count in counts)


def feet(
    sampler: Any, folder: Path, places: list[tuple[str, str, list[str]]], limit: int | None
) -> Iterator[Seen]:
    """Windows of motions with simulated feet, lifted from 2D points as a detector sees them."""
    for shard, split, patterns in places:
        motion = chosen(load_motion(folder / f"{shard}.npz", split), patterns)
        exact = hold_out(motion, 81, 81)
        found = detected(exact)
        every = max(1, len(exact.world) // min(limit or N_FEET, N_FEET))
        for i in range(0, len(exact.world), every):
            generator = torch.Generator().manual_seed(i)
            assert exact.truth.root is not None
            assert found.keypoints.camera is not None
            real = (exact.truth.joints[i] + exact.truth.root[i][:, None]).double()
            world = exact.world[i].double()
            rotation, center = rigid(real[0], world[0])
            truth = with_feet(BodyMotion(world, H36M17, motion.fps), generator)
            x = draw(sampler, part(found.keypoints, i), [f"{shard}:{i}"])
            assert x.root is not None
            x = Hypotheses(x.joints[0], H36M17, x.root[0])
            shown = (truth.joints - center) @ rotation
            points = seen_feet(shown, found.keypoints.camera, motion.fps, generator)
            x = lift_feet(x, points, body_stature(x.joints, H36M17), seeded_noise(i))
            assert x.root is not None
            cam = (x.joints + x.root[..., None, :]).double() @ rotation.T + center
            made = (replace(truth, joints=v) for v in (cam, cam.mean(0)))
            yield Seen(*made, truth, sequence=i)


def wanted(groups: tuple[str, ...] = GROUPS) -> list[Quantity]:
    return [q for q in QUANTITIES.values() if q.group in groups and "ankle_flexion" not in q.family]


def of_feet() -> list[Quantity]:
    return [q for q in QUANTITIES.values() if "ankle_flexion" in q.family]


def collect(
    seen: Iterator[Seen], scaled: bool = True, chosen_quantities: Sequence[Quantity] | None = None
) -> dict[str, Values]:
    """Values of every family, both sides together.

    Args:
        seen: Windows; each is a unit.
        scaled: Whether what depends on scale is measured on bodies scaled to the true stature.
        chosen_quantities: What is measured; None for those of 17 joints.
    """
    found: dict[str, Values] = defaultdict(Values)
    for i, window in enumerate(seen):
        bodies = (window.hypotheses, window.mean, window.truth)
        fitting = tuple(as_tall(b, window.truth) for b in bodies) if scaled else bodies
        for quantity in chosen_quantities or wanted():
            own = found[quantity.family]
            chosen_bodies = fitting if quantity.scale else bodies
            x, mean, y = (quantity.compute(body).double().numpy() for body in chosen_bodies)
            if quantity.unit == "deg" and quantity.per == "frame":
                x = near_mean(x)
            x = x.reshape(N_HYPOTHESES, -1)
            x = np.where(np.isfinite(x).mean(0) < 0.5, np.nan, x)  # too few have a value
            own.samples.append(x)
            own.of_mean.append(np.atleast_1d(mean))
            own.truth.append(np.atleast_1d(y))
            own.units += [i] * x.shape[1]
    return dict(found)


def as_tall(body: BodyMotion, truth: BodyMotion) -> BodyMotion:
    """A body scaled about the origin so that its stature is the true one."""
    factor = stature(truth) / stature(body)
    return replace(body, joints=body.joints * factor[..., None, None, None])


def joined(values: Values) -> tuple[NDArray[np.float64], ...]:
    """Samples, values of the mean pose and truth, angles turned near the median of the samples."""
    x = np.concatenate(values.samples, 1)
    return x, np.concatenate(values.of_mean), np.concatenate(values.truth)


def wrapped(y: NDArray[np.float64], near: NDArray[np.float64], unit: str) -> NDArray[np.float64]:
    return y - 360 * np.round((y - near) / 360) if unit == "deg" else y


def coverage(
    x: NDArray[np.float64], y: NDArray[np.float64], factors: dict[float, float]
) -> dict[float, float]:
    """Share of true values in the intervals."""
    middle, held = median(x), {}
    for level in LEVELS:
        low, high = interval(x, level)
        q = factors.get(level, 1.0)
        low, high = middle + q * (low - middle), middle + q * (high - middle)
        known = np.isfinite(y) & np.isfinite(low)
        held[level] = float(((low <= y) & (y <= high))[known].mean()) if known.any() else np.nan
    return held


def unit_of(family: str) -> str:
    return next(q.unit for q in QUANTITIES.values() if q.family == family)


def judged(found: dict[str, Values], table: Recalibration | None) -> dict[str, dict[str, Any]]:
    """Errors and coverage by family."""
    rows: dict[str, dict[str, Any]] = {}
    for family, values in found.items():
        x, of_mean, y = joined(values)
        unit = unit_of(family)
        known = np.isfinite(y) & np.isfinite(x).any(0) & np.isfinite(of_mean)
        if known.sum() < 10:
            continue
        x, of_mean, y = x[:, known], of_mean[known], y[known]
        center = np.nanmean(x, 0)
        y = wrapped(y, median(x), unit)
        rows[family] = {
            "unit": unit,
            "n": len(y),
            "mae": float(np.abs(center - wrapped(y, center, unit)).mean()),
            "mae_mean_pose": float(np.abs(of_mean - wrapped(y, of_mean, unit)).mean()),
            "spread": float(np.nanstd(y)),
        }
        if unit in ("probability", "count"):
            continue
        factors = {} if table is None else dict(table.factors.get(family, {}))
        rows[family] |= {"raw": coverage(x, y, {}), "recalibrated": coverage(x, y, factors)}
    return rows


def fitted(found: dict[str, Values], fewest: int = 40) -> dict[str, dict[float, float]]:
    """Factors by family; none where fewer values are known, or factors are not believed."""
    factors = {}
    for family, values in found.items():
        x, _, y = joined(values)
        if (
            family == "stature"
            or unit_of(family) in ("probability", "count")
            or (np.isfinite(y) & np.isfinite(x).any(0)).sum() < fewest
        ):
            continue
        y = wrapped(y, median(x), unit_of(family))
        own = fit_factors(x, y, values.units)
        if all(BELIEVED[0] < q < BELIEVED[1] for q in own.values()):
            factors[family] = own
        else:
            print(f"no factors for {family}: {own}")
    return factors


def show(name: str, rows: dict[str, dict[str, Any]]) -> None:
    print(f"\n{name}: mean absolute error (of the mean pose), and percent in 50/80/95 % intervals")
    print("| quantity | error | of the mean pose | SD of the truth | as sampled | recalibrated |")
    print("| --- | --- | --- | --- | --- | --- |")
    for family, row in rows.items():
        held = ["–", "–"]
        if "raw" in row:
            held = [" / ".join(f"{100 * row[k][q]:.0f}" for q in LEVELS)
                    for k in ("raw", "recalibrated")]  # fmt: skip
        print(
            f"| `{family}` | {row['mae']:.3g} {row['unit']} | {row['mae_mean_pose']:.3g} | "
            f"{row['spread']:.3g} | {held[0]} | {held[1]} |"
        )


REST = {
    "walks": (walks, FITTED_WALKS, TESTED_WALKS, wanted(("gait",)), 20),
    "exercises": (exercises, FITTED_REST, TESTED_EXERCISES, wanted(("repetitions",)), 20),
    "feet": (feet, FITTED_REST, TESTED_FEET, of_feet(), 40),
}
"""Name -> windows, where factors are fitted and tested, quantities, fewest values of a fit."""
FITTED_ON = (
    "val-people-detector: people not seen in training, detected keypoints, true stature; gait, "
    "jumps, squats and feet on windows of the val split, likewise"
)
TESTED_ON = (
    "people-detector: other people, not seen in training either; walks, jumps, squats and feet of "
    "the test split; jumps and squats of lab trials too"
)


def fit(
    folder: Path, path: Path, limit: int | None, only: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Fit on val, measure on test, write both.

    Returns:
        Errors and coverage on people-detector, and of the rest.
    """
    sampler = make_sampler(weights=WEIGHTS)
    config = json.loads((folder_of(WEIGHTS) / "config.json").read_text(encoding="utf-8"))
    digest = config["_sha256"]["model.safetensors"]
    table = Recalibration(WEIGHTS, digest, FITTED_ON, N_HYPOTHESES, {}, tested_on=TESTED_ON)
    if only:
        table = replace(from_record(json.loads(path.read_text(encoding="utf-8"))),
                        fitted_on=FITTED_ON, tested_on=TESTED_ON)  # fmt: skip
        if table.digest != digest:
            raise SystemExit("the rest of the factors is of other weights; leave out --only")
    else:
        found = collect(windows(sampler, "val-people-detector", folder, limit))
        table = replace(table, factors=fitted(found))
    rest = {name: part for name, part in REST.items() if not only or name in only}
    for make, places, _, quantities, fewest in rest.values():
        own = collect(make(sampler, folder, places, limit), chosen_quantities=quantities)
        kept = {f: q for f, q in table.factors.items() if f not in own}
        table = replace(table, factors=kept | fitted(own, fewest))
    rows: dict[str, dict[str, Any]] = {}
    if not only:
        rows = judged(collect(windows(sampler, "people-detector", folder, limit)), table)
        show("people-detector", rows)
    others: dict[str, dict[str, Any]] = {}
    for name, (make, _, places, quantities, _) in rest.items():
        own = collect(make(sampler, folder, places, limit), chosen_quantities=quantities)
        others |= judged(own, table)
        show(name, {f: others[f] for f in own if f in others})
    measured = {f: row for f, row in (rows | others).items() if "raw" in row}
    table = replace(
        table,
        coverage={**table.coverage, **{f: row["raw"] for f, row in measured.items()}},
        recalibrated_coverage={
            **table.recalibrated_coverage,
            **{f: row["recalibrated"] for f, row in measured.items() if f in table.factors},
        },
    )
    path.write_text(json.dumps(to_record(table), indent=1) + "\n", encoding="utf-8")
    print(f"-> {path}")
    return {"people-detector": rows, "others": others}


UNITS = {"deg": (1, "°"), "deg/s": (1, "°/s"), "m": (100, " cm")}
"""Unit -> factor and words of the page."""


def page_error(row: Mapping[str, Any], key: str, *, unit: bool = True) -> str:
    """An error in the units of the page."""
    factor, words = UNITS.get(row["unit"], (1, f" {row['unit']}"))
    value = factor * row[key]
    digits = f"{value:.1f}" if row["unit"] == "m" else f"{value:.3g}"
    return digits + (words if unit else "").removesuffix(" ")


def page_row(family: str, sets: list[Mapping[str, Any]]) -> str:
    """A line of the page: other people, test split, lab trials."""
    cells = []
    for i, rows in enumerate(sets):
        row = rows.get(family)
        if row is None or "raw" not in row:
            cells += ["–"] * (4 if i == 0 else 3)
            continue
        cells += [page_error(row, "mae")]
        cells += [page_error(row, "mae_mean_pose", unit=False)] if i == 0 else []
        cells += [f"{100 * row[k][0.8]:.0f}" for k in ("raw", "recalibrated")]
    return f"| `{family}` | {' | '.join(cells)} |"


def other_row(family: str, row: Mapping[str, Any]) -> str:
    """A line of the page: gait, jumps, squats and feet."""
    held = [f"{100 * row[k][0.8]:.0f}" if k in row else "–" for k in ("raw", "recalibrated")]
    errors = page_error(row, "mae"), page_error(row, "mae_mean_pose", unit=False)
    return f"| `{family}` | {row['n']} | {' | '.join((*errors, *held))} |"


def write_page(path: Path, sets: list[Mapping[str, Any]], others: Mapping[str, Any]) -> None:
    """Write the rows of the tables of a page anew: those that begin after their heads."""
    lines, inside, of_people = path.read_text(encoding="utf-8").splitlines(), False, True
    for i, line in enumerate(lines):
        if line.startswith(("| quantity | other people", "| quantity | values")):
            inside, of_people = True, "other people" in line
        elif not line.startswith("| "):
            inside = False
        elif inside and line.startswith("| `"):
            family = line.split("`")[1]
            if of_people and sets:
                lines[i] = page_row(family, sets)
            elif not of_people and family in others:
                lines[i] = other_row(family, others[family])
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"-> {path}")


def events_of(body: BodyMotion) -> list[tuple[str, str, float]]:
    feet = find_feet(body)
    found = [
        (side, kind, float(t))
        for kind, times in (("strike", feet.strikes), ("lift", feet.lifts))
        for side in ("left", "right")
        for t in times[side][0]
    ]
    return sorted(found, key=lambda e: e[2])


def gait_scores(seen: Iterator[Seen]) -> dict[str, Any]:
    """Detection rates and timing errors of events, inside 0.2 s of the window's ends left out."""
    hits: dict[str, list[float]] = defaultdict(list)
    n_true: dict[str, int] = defaultdict(int)
    n_found, n_right, held, steps = 0, 0, [], []
    by_foot: dict[str, list[float]] = {"left": [], "right": []}
    mean_hits, mean_errors = 0, []
    n_windows = 0
    for window in seen:
        n_windows += 1
        length = window.truth.n_frames / window.truth.rate
        true = [e for e in events_of(window.truth) if 0.2 < e[2] < length - 0.2]
        estimated = [e for e in foot_events(window.hypotheses) if e.probability >= 0.5]
        of_mean = events_of(window.mean)
        for side, kind, time in true:
            n_true[kind] += 1
            own = [e for e in estimated if (e.side, e.kind) == (side, kind)]
            near = min(own, key=lambda e: abs(e.time - time), default=None)
            found = near is not None and abs(near.time - time) <= NEAR_S
            by_foot[side].append(abs(near.time - time) if near and found else np.nan)
            if near and found:
                hits[kind].append(near.time - time)
                low, high = interval(np.array(near.times), 0.8)
                held.append(bool(low <= time <= high))
            others = [t for s, k, t in of_mean if (s, k) == (side, kind)]
            error = min((abs(t - time) for t in others), default=1.0)
            mean_hits += error <= NEAR_S
            mean_errors += [error] if error <= NEAR_S else []
        inside = [e for e in estimated if 0.2 < e.time < length - 0.2]
        n_found += len(inside)
        n_right += sum(
            any((s, k) == (e.side, e.kind) and abs(t - e.time) <= NEAR_S
                for s, k, t in events_of(window.truth)) for e in inside
        )  # fmt: skip
        steps.append(window)
    total = max(1, sum(n_true.values()))
    return {
        "windows": n_windows,
        "events": dict(n_true),
        "detected": {k: len(hits[k]) / max(1, n_true[k]) for k in ("strike", "lift")},
        "error_ms": {k: 1000 * float(np.mean(np.abs(hits[k] or [np.nan]))) for k in hits},
        "bias_ms": {k: 1000 * float(np.mean(hits[k] or [np.nan])) for k in hits},
        "by_foot": {
            side: {
                "events": len(errors),
                "detected": float(np.isfinite(errors).mean()) if errors else float("nan"),
                "error_ms": 1000 * float(np.nanmean(errors or [np.nan])),
            }
            for side, errors in by_foot.items()
        },
        "false": 1 - n_right / max(1, n_found),
        "in_80": float(np.mean(held)) if held else float("nan"),
        "mean_pose": {
            "detected": mean_hits / total,
            "error_ms": 1000 * float(np.mean(mean_errors or [np.nan])),
        },
        "parameters": parameters(steps),
    }


def parameters(seen: list[Seen]) -> dict[str, str]:
    """Errors of values per window, and how often the 80 % interval holds them."""
    words = {}
    for name in PARAMETERS:
        quantity = QUANTITIES[name]
        errors, held = [], []
        for window in seen:
            x = quantity.compute(window.hypotheses).numpy()
            y = float(quantity.compute(window.truth))
            if np.isnan(y) or np.isfinite(x).mean() < 0.5:
                continue
            low, high = interval(x, 0.8)
            errors.append(abs(float(np.nanmedian(x)) - y))
            held.append(bool(low <= y <= high))
        if errors:
            words[name] = (f"{np.mean(errors):.3g} {quantity.unit} ({len(errors)} windows, "
                           f"{100 * np.mean(held):.0f} % in 80 %)")  # fmt: skip
    return words


def gait(folder: Path, limit: int | None) -> None:
    sampler = make_sampler(weights=WEIGHTS)
    for label, (shard, split, patterns) in WALKS.items():
        motion = chosen(load_motion(folder / f"{shard}.npz", split), patterns)
        n_frames = 150 if shard != "markers_mit" else 64
        for spoiled in (False, True):
            found = held_out_windows(sampler, motion, limit, n_frames, spoiled)
            words = "detected" if spoiled else "exact"
            print(f"{label}, {words} keypoints: {json.dumps(gait_scores(found), indent=1)}",
                  flush=True)  # fmt: skip


def contacts(folder: Path, limit: int | None) -> None:
    """Percent of frames that most hypotheses judge as the simulated feet are, and Brier scores."""
    seen = list(feet(make_sampler(weights=WEIGHTS), folder, TESTED_WALKS, limit))
    for label, judge in (("heel and toe", foot_contact), ("ankle", ankle_contact)):
        right, brier = [], []
        for window in seen:
            for side in SIDES:
                truth = foot_contact(window.truth, side)
                likely = judge(window.hypotheses, side).mean(0)
                right.append(float(((likely > 0.5) == truth).double().mean()))
                brier.append(float((likely - truth).square().mean()))
        share, score = 100 * np.mean(right), np.mean(brier)
        print(f"contact by {label}, {len(seen)} windows: {share:.0f} % of the frames right, "
              f"Brier score {score:.3f}")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("motion", type=Path)
    parser.add_argument("--fit", type=Path, help="Fit the recalibration and write it here.")
    parser.add_argument("--docs", type=Path, help="After --fit: page whose tables to write anew.")
    parser.add_argument("--only", action="append", default=[], choices=REST,
                        help="With --fit: fit this part, keep the others of FILE.")  # fmt: skip
    parser.add_argument("--set", action="append", default=[], dest="sets")
    parser.add_argument("--any-size", action="store_true", help="Do not scale to the stature.")
    parser.add_argument("--gait", action="store_true")
    parser.add_argument("--contacts", action="store_true")
    parser.add_argument("--limit", type=int, help="Windows at most.")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.docs and not options.fit:
        parser.error("--docs writes what --fit measured; give both")
    if options.fit:
        rows = fit(options.motion, options.fit, options.limit, options.only)
    if options.docs:
        sets = [] if options.only else [rows["people-detector"]]
        for name in () if options.only else ("test-detector", "markers"):
            seen = windows(make_sampler(weights=WEIGHTS), name, options.motion, options.limit)
            table = from_record(json.loads(options.fit.read_text(encoding="utf-8")))
            sets.append(judged(collect(seen), table))
            show(name, sets[-1])
        write_page(options.docs, sets, rows["others"])
    for name in options.sets:
        seen = windows(make_sampler(weights=WEIGHTS), name, options.motion, options.limit)
        found = collect(seen, scaled=not options.any_size)
        show(name, judged(found, bundled_recalibration()))
    if options.gait:
        gait(options.motion, options.limit)
    if options.contacts:
        contacts(options.motion, options.limit)


if __name__ == "__main__":
    main()
