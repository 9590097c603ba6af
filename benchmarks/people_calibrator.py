"""A calibrator for people never seen, and what it does to each of them when fitted on the others.

    python benchmarks/people_calibrator.py MOTION [--weights FOLDER] [-o calibrator.json]

One factor for the spread about the mean (:class:`hypopose.calibration.SpreadScaling` with
``per="pose"``; means stay where they are), fitted by the energy score on people whose skeletons the
weights were not trained on: the val split of ``cmu_own_bodies``, and ``markers_mit`` (without neck
and head), exact keypoints and as ``test-detector`` spoils them, up to six windows of 81 frames from
each person. Every row shows a person judged with a factor fitted on all others.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from other_bodies import JOINTS, LEVELS, chosen, detected

from hypopose import make_sampler
from hypopose.calibration import SpreadScaling, ece, energy_score, save_calibrator
from hypopose.datasets import load_motion
from hypopose.diffusion import seeded_noise
from hypopose.training.validation import HeldOut, hold_out
from hypopose.types import Hypotheses, Poses3D, Sampler

PER_PERSON, FRAMES = 6, 81

Pair = tuple[Hypotheses, Poses3D]


def people(folder: Path) -> Iterator[tuple[str, HeldOut]]:
    """Windows of each person, by name."""
    for shard, split in (("cmu_own_bodies", "val"), ("markers_mit", "train")):
        file = folder / f"{shard}.npz"
        motion = load_motion(file, split)
        with np.load(file) as archive:
            subjects = dict(zip(archive["name"].tolist(), archive["subject"].tolist(), strict=True))
        clips_of = {s: [n for n in motion.names if subjects[n] == s] for s in subjects.values()}
        for subject, names in sorted(clips_of.items()):
            clips = chosen(motion, names) if names else None
            if clips is None or int(clips.length.max()) < FRAMES:
                continue
            yield subject, hold_out(clips, FRAMES, 2 * FRAMES)


def some(held_out: HeldOut) -> HeldOut:
    """At most six of the windows, spread evenly."""
    n = min(len(held_out.world), PER_PERSON)
    at = torch.linspace(0, len(held_out.world) - 1, n).long()
    keypoints, truth = held_out.keypoints, held_out.truth
    confidence = None if keypoints.confidence is None else keypoints.confidence[at]
    assert truth.root is not None
    return replace(
        held_out,
        keypoints=replace(keypoints, xy=keypoints.xy[at], confidence=confidence),
        truth=replace(truth, joints=truth.joints[at], root=truth.root[at]),
        world=held_out.world[at],
    )


def drawn(sampler: Sampler, held_out: HeldOut, marked: bool) -> Pair:
    """Hypotheses and truth; without neck and head where markers do not tell them."""
    truth = held_out.truth.joints.clone()
    if marked:
        truth[:, :, 9:11] = torch.nan
    return sampler.sample(held_out.keypoints, 20, seeded_noise(0)), replace(
        held_out.truth, joints=truth
    )


def told(pair: Pair) -> tuple[list[float], str]:
    """What regions hold, and a line with the ECE and the energy score."""
    x, y = pair[0].joints[..., JOINTS, :], pair[1].joints[..., JOINTS, :]
    curve = ece(x, y)
    levels = curve.levels.tolist()
    at = [min(range(len(levels)), key=lambda i: abs(levels[i] - q)) for q in LEVELS]
    held = [100 * float(curve.coverage.mean(0)[i]) for i in at]
    energy = 1000 * float(energy_score(x, y).mean())
    shown = "/".join(f"{h:.0f}" for h in held)
    return [*held, energy], f"{shown} %, ECE {float(curve.ece):.3f}, energy {energy:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("motion", type=Path)
    parser.add_argument("--weights", default="distributional-frame-small")
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    sampler = make_sampler(weights=options.weights)
    pairs: dict[tuple[str, str], Pair] = {}
    for name, held_out in people(options.motion):
        marked = not name.startswith("cmu")
        pairs[name, "exact"] = drawn(sampler, some(held_out), marked)
        pairs[name, "detected"] = drawn(sampler, some(detected(held_out)), marked)
    rows = []
    for (name, seen), pair in pairs.items():
        others = [p for (n, _), p in pairs.items() if n != name]
        scaling = SpreadScaling.fit(others, per="pose")
        before, shown_before = told(pair)
        after, shown_after = told((scaling.transform(pair[0]), pair[1]))
        rows.append((before, after))
        factor = scaling.tau[1, 0].item()
        print(f"{name}, {seen}: {shown_before}; by {factor:.2f}: {shown_after}", flush=True)
    before, after = (torch.tensor([row[i] for row in rows]) for i in (0, 1))
    for what, values in (("as sampled", before), ("left one out", after)):
        off = (values[:, :3] - 100 * torch.tensor(LEVELS)).abs().mean(0)
        print(f"{what}: mean {values.mean(0).tolist()}, off by {off.tolist()} points on average")
    if options.output is not None:
        source = f"{len({n for n, _ in pairs})} people on skeletons never trained on"
        save_calibrator(
            SpreadScaling.fit(list(pairs.values()), per="pose", source=source), options.output
        )


if __name__ == "__main__":
    main()
