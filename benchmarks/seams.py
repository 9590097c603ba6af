"""How far hypotheses jump where windows meet, against their motion inside windows.

    python benchmarks/seams.py --weights d3dp-frame-small

``joint`` is our sampler: windows blended at every step. ``published`` samples the clips one by one,
as the published evaluation of D3DP does; their hypotheses are unrelated.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import torch

import hypopose
from hypopose.diffusion import seeded_noise
from hypopose.samplers.windows import published_windows, seam_jump, window_starts

EXAMPLE = Path(__file__).parents[1] / "examples" / "data" / "openpose"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("input", nargs="?", default=str(EXAMPLE))
    parser.add_argument("--image-size", type=int, nargs=2, default=(640, 640))
    parser.add_argument("--weights", default="d3dp-frame-small")
    parser.add_argument("--window", type=int, default=27)
    parser.add_argument("--overlap", type=int, default=9)
    parser.add_argument("--n-hypotheses", type=int, default=20)
    args = parser.parse_args()
    loaded = hypopose.load(args.input, image_size=tuple(args.image_size))
    keypoints = hypopose.prepare(loaded)
    sampler = hypopose.make_sampler(weights=args.weights, window=args.window, overlap=args.overlap)
    starts = window_starts(keypoints.n_frames, args.window, args.overlap)
    seams = sorted({*starts, *(start + args.window for start in starts)})
    joint = sampler.sample(keypoints, args.n_hypotheses, seeded_noise(0)).joints
    clips = published_windows(keypoints.n_frames, args.window)
    parts = []
    for i, (start, end) in enumerate(clips):
        # The last clip begins inside its predecessor, whose frames are kept.
        begin = i * args.window
        clip = replace(
            keypoints, xy=keypoints.xy[start:end], confidence=keypoints.confidence[start:end],
            covariance=None,
        )  # fmt: skip
        motion = sampler.sample(clip, args.n_hypotheses, seeded_noise(i)).joints
        parts.append(motion[:, begin - start :])
    published = torch.cat(parts, -3)
    cuts = [i * args.window for i in range(1, len(clips))]
    report = {"frames": keypoints.n_frames, "window": args.window, "overlap": args.overlap}
    for name, joints, where in (("joint", joint, seams), ("published", published, cuts)):
        at_seam, inside = seam_jump(joints, where)
        report |= {f"{name}_seam_mm": round(1000 * at_seam, 2)}
        report |= {f"{name}_inside_mm": round(1000 * inside, 2)}
        report |= {f"{name}_ratio": round(at_seam / inside, 2)}
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
