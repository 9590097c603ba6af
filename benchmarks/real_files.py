"""What samplers make of keypoint files of real people, where nobody knows the truth.

    python benchmarks/real_files.py FOLDER -o real-files.md --pictures pictures
    python benchmarks/real_files.py FOLDER -o real-files.md --again distributional

FOLDER holds the files of ``INPUTS``; those that are absent are left out. Every person seen in ten
frames or more is lifted by every sampler, as sampled, smoothed (``--smooth``) and refined
(``hypopose.refine``). Numbers are kept beside the table (``.json``) as they come; what is there is
not made again, unless ``--again`` names a sampler. Low numbers are no proof of being right: a still, stiff figure has no jerk, and BoneFlips reprojects exactly
however wrong its depths. The table says what a viewer would see.

| column | what |
| --- | --- |
| reprojection | distance of the mean motion's joints, root fitted, from the keypoints, in percent of the person's height in the image; of one: of hypotheses with their own roots |
| bones | SD of bone lengths over the clip, mean over bones, mm |
| jerk | size of the third derivative of root-relative joints, mean, in m/s³ |
| spread | root mean square distance of hypotheses to their mean, mm |
"""  # noqa: E501

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import hypopose
from hypopose.cameras import fit_root, project
from hypopose.metrics import bone_lengths, reprojection_error
from hypopose.report.overview import draw_overview, spread_mm
from hypopose.skeletons import convert

INPUTS: dict[str, dict[str, Any]] = {
    "openpose/motionet_body25": {"image_size": (640, 640), "fps": 30},
    "openpose/pose2sim_body25b_single": {
        "image_size": (1088, 1920),
        "fps": 60,
        "skeleton": "body25b",
    },
    "openpose/pose2sim_body25b_multi": {
        "image_size": (1088, 1920),
        "fps": 60,
        "skeleton": "body25b",
    },
    "alphapose/converted_alphapose-results.json": {"image_size": (640, 640), "fps": 30},
    "mmpose/converted_inferencer_video.json": {"image_size": (640, 640), "fps": 30},
}
"""Input -> what its file does not say: sizes as far as anybody stated them, rates likewise."""

SAMPLERS = ("boneflips", "d3dp", "distributional", "lifter")
STATES = ("as sampled", "smoothed", "refined")
MIN_FRAMES = 10


@dataclass(frozen=True, eq=False)
class Clip:
    """One person of one file."""

    name: str
    keypoints: hypopose.Keypoints2D


def clips(folder: Path) -> Iterator[Clip]:
    """Everybody who is seen for long enough."""
    for name, told in INPUTS.items():
        if not (folder / name).exists():
            print(f"{name} is not in {folder}: left out")
            continue
        for person, keypoints in hypopose.load_people(folder / name, **told).items():
            seen = keypoints.detected.sum(-1) >= 8
            if int(seen.sum()) >= MIN_FRAMES:
                yield Clip(f"{Path(name).name} {person}", keypoints)


def jerk(joints: Tensor, fps: float) -> float:
    """Mean size of the third derivative, m/s³."""
    return float(joints.diff(n=3, dim=-3).norm(dim=-1).nanmean()) * fps**3


def bone_sd_mm(joints: Tensor, skeleton: hypopose.Skeleton) -> float:
    """SD of bone lengths over the frames that have them, mean over bones."""
    length = bone_lengths(joints, skeleton)
    off = length - length.nanmean(-2, keepdim=True)
    return 1000 * float(off.square().nanmean(-2).sqrt().nanmean())


def image_height(keypoints: hypopose.Keypoints2D) -> float:
    """Median over frames of how tall the detected joints stand in the image, px."""
    y = keypoints.xy[..., 1]
    tall = y.nan_to_num(-torch.inf).amax(-1) - y.nan_to_num(torch.inf).amin(-1)
    return float(tall[tall.isfinite()].median())


def reprojection_px(x: hypopose.Hypotheses, keypoints: hypopose.Keypoints2D) -> float:
    """Mean over hypotheses, frames and joints; roots are fitted where there are none."""
    seen = convert(keypoints, x.skeleton)
    assert seen.camera is not None
    root = fit_root(x.joints, seen) if x.root is None else x.root
    px = project(x.joints + root[..., None, :], seen.camera)
    return float((px - seen.xy).norm(dim=-1).nanmean())


def made(result: hypopose.Result, smooth: float) -> Iterator[tuple[str, hypopose.Result]]:
    """A result in every state."""
    yield "as sampled", result
    yield "smoothed", hypopose.api.adjust(result, smooth=smooth)
    yield "refined", hypopose.refine(result)


def scores(result: hypopose.Result) -> dict[str, float]:
    """What can be said of a result without the truth."""
    keypoints, x = result.keypoints, result.hypotheses.joints
    skeleton = result.hypotheses.skeleton
    fps = keypoints.fps or 30.0
    off = reprojection_error(result.pose, keypoints)
    height = image_height(keypoints)
    return {
        "reprojection_percent": 100 * float(off.nanmean()) / height,
        "reprojection_single_percent": 100 * reprojection_px(result.hypotheses, keypoints) / height,
        "bones_mean_mm": bone_sd_mm(result.pose.joints, skeleton),
        "bones_single_mm": bone_sd_mm(x, skeleton),
        "jerk_mean": jerk(result.pose.joints, fps),
        "jerk_single": jerk(x, fps),
        "spread_mm": float(spread_mm(result.hypotheses).nanmean()),
    }


def table(rows: list[dict[str, Any]], by_clip: bool) -> str:
    """Markdown: means over clips, or every clip."""
    heads = {
        "reprojection_percent": "reprojection, % of height",
        "reprojection_single_percent": "reprojection of one, %",
        "bones_mean_mm": "bones of the mean",
        "bones_single_mm": "bones of one",
        "jerk_mean": "jerk of the mean",
        "jerk_single": "jerk of one",
        "spread_mm": "spread",
    }
    keys = dict.fromkeys(
        (row["clip"] if by_clip else "", row["sampler"], row["state"]) for row in rows
    )
    first = ["clip"] if by_clip else []
    lines = [
        f"| {' | '.join([*first, 'sampler', '', *heads.values()])} |",
        f"|{' --- |' * (len(first) + 2 + len(heads))}",
    ]
    for clip, sampler, state in keys:
        of = [
            row
            for row in rows
            if (row["sampler"], row["state"]) == (sampler, state) and clip in ("", row["clip"])
        ]
        means = {k: sum(row[k] for row in of) / len(of) for k in heads}
        cells = [f"{v:.1f}" if k != "jerk_single" else f"{v:.0f}" for k, v in means.items()]
        named = [clip] if by_clip else []
        lines.append(f"| {' | '.join([*named, sampler, state, *cells])} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path("real-files.md"))
    parser.add_argument("--pictures", type=Path, help="Folder for an overview of every result.")
    parser.add_argument("--smooth", type=float, default=10.0, help="Acceleration in m/s².")
    parser.add_argument("--n-hypotheses", type=int, default=20)
    parser.add_argument("--samplers", nargs="+", choices=SAMPLERS, default=SAMPLERS)
    parser.add_argument("--again", action="append", choices=SAMPLERS, default=[])
    args = parser.parse_args()
    kept = args.output.with_suffix(".json")
    rows: list[dict[str, Any]] = json.loads(kept.read_text()) if kept.exists() else []
    rows = [row for row in rows if row["sampler"] not in args.again]
    done = {(row["clip"], row["sampler"]) for row in rows}
    for clip in clips(args.folder):
        for sampler in args.samplers:
            if (clip.name, sampler) in done:
                continue
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # gaps are filled; the table is about the result
                result = hypopose.estimate(
                    clip.keypoints,
                    sampler=sampler,
                    n_hypotheses=args.n_hypotheses,
                    source=clip.name,
                )
            for state, found in made(result, args.smooth):
                row = {"clip": clip.name, "sampler": sampler, "state": state}
                rows.append({**row, **scores(found)})
                print(json.dumps(rows[-1]), flush=True)
                if args.pictures is not None:
                    args.pictures.mkdir(parents=True, exist_ok=True)
                    words = [*clip.name.split(), sampler, *state.split()]
                    draw_overview(args.pictures / f"{'-'.join(words)}.png", found)
            kept.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    rows.sort(key=lambda r: (r["clip"], SAMPLERS.index(r["sampler"]), STATES.index(r["state"])))
    n = len({row["clip"] for row in rows})
    text = f"Means over {n} people.\n\n{table(rows, False)}\n\n{table(rows, True)}\n"
    args.output.write_text(text, encoding="utf-8")
    print(f"-> {args.output}")


if __name__ == "__main__":
    main()
