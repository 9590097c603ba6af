"""What a detector does to people whose 3D motion is known: errors, swaps, confidences, coverage.

    python benchmarks/detectors.py render --shards ../shared/data/motion -o seen.npz
    python benchmarks/detectors.py fit seen.npz -o hypopose/simulation/detectors/mediapipe.json
    python benchmarks/detectors.py study seen.npz -o benchmarks/results/detectors-mediapipe.json
    python benchmarks/detectors.py retest

``render`` draws recorded motions as textured capsule bodies (tests/rendered_body.py) and lets a
detector look at them; ``fit`` writes the noise model of :mod:`hypopose.simulation.measured` from
every second clip; ``study`` compares what it saw with the projected joints, and the default
sampler's poses with the truth, by what it is told of the detector's doubts; ``retest`` moves,
scales and blurs pictures that scikit-image and matplotlib ship: keypoints must move along.
Errors are in pixels of a person 400 px tall.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

import hypopose
from hypopose.datasets.benchmark_files import load_benchmark
from hypopose.evaluation.benchmark_loop import evaluate_pair
from hypopose.simulation import coco_joints
from hypopose.skeletons import COCO17, H36M17, convert
from hypopose.types import Camera, Hypotheses, Keypoints2D, Poses3D
from hypopose.video import choose_detector

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

SIZE = 640
HEIGHT = 400.0
BINS = (0.0, 0.2, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 1.0)
LIMBS = tuple(range(5, 17))


def render(args: argparse.Namespace) -> dict[str, Any]:
    """Every clip's joints, camera, and what was detected, as one npz."""
    from rendered_body import background, portrait, render_body

    detector, _ = choose_detector(args.detector)
    found, n, face = {}, 0, portrait()
    for item in load_benchmark("test-detector").items(args.shards, args.limit):
        joints = (item.truth.joints + item.truth.root[:, None]).double().numpy()
        joints = joints[: 2 * args.n_frames : 2]  # 25 of 50 frames a second
        camera = _scaled(item.keypoints.camera)
        backdrop = background((SIZE, SIZE), n)
        detector.reset()
        J = detector.skeleton.n_joints
        xy, sure = np.full((len(joints), J, 2), np.nan), np.zeros((len(joints), J))
        for f, body in enumerate(joints):
            seen = detector.detect(render_body(body, camera, backdrop, face, n))
            if len(seen):
                xy[f], sure[f] = seen.xy[0], seen.confidence[0]
        lens = {"focal": camera.focal.numpy(), "center": camera.center.numpy()}
        parts = {"joints": joints, "xy": xy, "conf": sure, **lens}
        found |= {f"{name}_{n}": values for name, values in parts.items()}
        n += 1
    np.savez(args.output, n=n, **found)
    return {"clips": n}


def _scaled(camera: Camera) -> Camera:
    scale = SIZE / 1000
    return Camera(camera.focal * scale, camera.center * scale, (SIZE, SIZE))


def study(args: argparse.Namespace) -> dict[str, Any]:
    """Tables of errors, and how the default sampler fares with what it is told."""
    clips = _clips(args.seen, choose_detector(args.detector)[0].skeleton)
    errors = np.concatenate([c["error"] for c in clips])
    sure = np.concatenate([c["sure"] for c in clips])
    heights = np.concatenate([np.full(len(c["error"]), c["height"]) for c in clips])
    known = np.isfinite(errors).all(-1)
    offset = np.stack([np.nanmean(c["error"], 0) for c in clips])
    within = [c["error"] - np.nanmean(c["error"], 0) for c in clips]
    joints = {}
    for j, name in enumerate(COCO17.joint_names):
        lingering = np.concatenate([w[:, j] for w in within])
        joints[name] = {
            "bias_px": np.nanmean(errors[:, j], 0).round(1).tolist(),
            "sigma_px": _round(np.sqrt(np.nanmean(errors[:, j] ** 2))),
            "constant_px": _round(np.sqrt(np.nanmean(offset[:, j] ** 2))),
            "within_px": _round(np.sqrt(np.nanmean(lingering**2))),
            "covariance_px2": np.ma.cov(np.ma.masked_invalid(errors[:, j]).T).round(1).tolist(),
            "missing": _round(float((~known[:, j]).mean()), 3),
        }
    return {
        "detector": args.detector, "clips": len(clips), "frames": len(errors), "joints": joints,
        "by_height_px": _by_height(errors, heights),
        "lag_one_correlation": _round(_lag_one(within), 2),
        "constant_share": _round(float(np.nanmean(offset**2) / np.nanmean(errors**2)), 2),
        "outliers": _round(_outliers(errors), 3),
        "swapped_sides": _swaps(clips),
        "reliability": _reliability(errors, sure, known),
        "default_sampler": _lifted(clips[1::2]),
    }  # fmt: skip


def fit(args: argparse.Namespace) -> dict[str, Any]:
    """The noise model and the reliability curve, from every second clip."""
    clips = _clips(args.seen, choose_detector(args.detector)[0].skeleton)[::2]
    errors = np.concatenate([c["error"] for c in clips])
    offset = np.stack([np.nanmean(c["error"], 0) for c in clips])
    levels = [np.sqrt(np.nanmean(c["error"][:, LIMBS] ** 2)) / 1.2 for c in clips]
    sigma = np.sqrt(np.nanmean(errors**2, (0, 2)))
    constant = float(np.nanmean(offset[:, LIMBS] ** 2) / np.nanmean(errors[:, LIMBS] ** 2))
    rows = _reliability(errors, np.concatenate([c["sure"] for c in clips]),
                        np.isfinite(errors).all(-1))  # fmt: skip
    within = [c["error"] - np.nanmean(c["error"], 0) for c in clips]
    hips = sigma[11:13].mean()
    return {
        "detector": args.detector,
        "source": f"{len(clips)} rendered clips, {len(errors)} frames at 25 frames/s",
        "noise": {
            "sigma_px": [_round(np.percentile(levels, 10)), _round(np.percentile(levels, 90))],
            "persistence": _round(_lag_one(within), 2),
            "outliers": _round(_outliers(errors), 3),
            "outlier_scale": 4.0,
            "swaps": max(_swaps(clips).values()),
            "missing": _round(float(np.isnan(errors[:, LIMBS, 0]).mean()), 3),
            "episode": 8.0,
            "mix": [_round(constant**0.5, 2), 0.0, _round((1 - constant) ** 0.5, 2), 0.0],
            "weights": [_round(s / hips, 2) for s in sigma],
        },
        "reliability": [[_round(sum(r["confidence"]) / 2, 3), r["sigma_px"]] for r in rows],
    }


def _clips(path: Path, skeleton: Any) -> list[dict[str, Any]]:
    """Detections and projected truth as COCO-17, and errors in pixels of a person 400 px tall."""
    stored, clips = np.load(path), []
    for i in range(int(stored["n"])):
        joints = torch.from_numpy(stored[f"joints_{i}"]).float()
        focal, center = stored[f"focal_{i}"], stored[f"center_{i}"]
        camera = Camera(torch.from_numpy(focal), torch.from_numpy(center), (SIZE, SIZE))
        raw = Keypoints2D(
            torch.from_numpy(stored[f"xy_{i}"]).float(), skeleton, camera=camera,
            confidence=torch.from_numpy(stored[f"conf_{i}"]).float(), image_size=(SIZE, SIZE),
            fps=25.0,
        )  # fmt: skip
        found = convert(raw, COCO17)
        points = coco_joints(joints)
        truth = (points[..., :2] / points[..., 2:] * camera.focal + camera.center).numpy()
        height = float(np.median(np.ptp(truth[..., 1], axis=1))) / 0.92  # the crown is above
        error = (found.xy.numpy() - truth) * (HEIGHT / height)
        clips.append({
            "raw": raw, "found": found, "truth": truth, "height": height, "joints": joints,
            "error": error, "sure": found.confidence.numpy(),
        })  # fmt: skip
    return clips


def _by_height(errors: np.ndarray, heights: np.ndarray) -> dict[str, Any]:
    rows = {}
    for low, high in ((0, 130), (130, 200), (200, 300), (300, 10000)):
        some = (heights >= low) & (heights < high)
        if some.any():
            part = errors[some][:, LIMBS]
            rows[f"{low}-{high}"] = {
                "frames": int(some.sum()),
                "sigma_px_of_400": _round(np.sqrt(np.nanmean(part**2))),
                "median_px_of_400": _round(np.nanmedian(np.linalg.norm(part, axis=-1))),
            }
    return rows


def _lag_one(within: list[np.ndarray]) -> float:
    pairs = [(w[:-1][:, LIMBS], w[1:][:, LIMBS]) for w in within]
    both = [np.isfinite(a) & np.isfinite(b) for a, b in pairs]
    a = np.concatenate([x[m] for (x, _), m in zip(pairs, both, strict=True)])
    b = np.concatenate([y[m] for (_, y), m in zip(pairs, both, strict=True)])
    return float((a * b).mean() / np.sqrt((a**2).mean() * (b**2).mean()))


def _outliers(errors: np.ndarray) -> float:
    """Share of limb keypoints farther off than four times their joint's usual error."""
    far = np.linalg.norm(errors[:, LIMBS], axis=-1)
    usual = np.nanmedian(far, 0) / 1.1774  # the median of a Rayleigh distribution
    return float(np.nanmean(np.where(np.isnan(far), np.nan, far > 4 * usual)))


def _swaps(clips: list[dict[str, Any]]) -> dict[str, float]:
    """Share of frames in which both joints of a pair lie nearer to each other's place."""
    counts: dict[str, list[bool]] = {"arms": [], "legs": []}
    for c in clips:
        xy, truth = c["found"].xy.numpy(), c["truth"]
        for left, right in zip(COCO17.left, COCO17.right, strict=True):
            if left < 5:
                continue
            own = np.linalg.norm(xy[:, [left, right]] - truth[:, [left, right]], axis=-1)
            other = np.linalg.norm(xy[:, [left, right]] - truth[:, [right, left]], axis=-1)
            apart = np.linalg.norm(truth[:, left] - truth[:, right], axis=-1) > 0.08 * c["height"]
            some = np.isfinite(own).all(-1) & apart
            counts["arms" if left < 11 else "legs"] += (other < 0.5 * own).all(-1)[some].tolist()
    return {k: _round(float(np.mean(v)), 4) for k, v in counts.items()}


def _reliability(errors: np.ndarray, sure: np.ndarray, known: np.ndarray) -> list[dict[str, Any]]:
    """Confidence against error, over limbs."""
    error, sure, known = errors[:, LIMBS], sure[:, LIMBS], known[:, LIMBS]
    rows = []
    for low, high in pairwise(BINS):
        some = known & (sure > low) & (sure <= high)
        if some.sum() >= 20:
            part = error[some]
            rows.append({
                "confidence": [low, high], "n": int(some.sum()),
                "sigma_px": _round(np.sqrt((part**2).mean())),
                "median_px": _round(np.median(np.linalg.norm(part, axis=-1))),
            })  # fmt: skip
    return rows


def _lifted(clips: list[dict[str, Any]]) -> dict[str, Any]:
    """Errors and coverage of samplers by what they are told of the detector's doubts.

    Clips that are shorter than the longest are left out.
    """
    longest = max(len(c["joints"]) for c in clips)
    clips, rows = [c for c in clips if len(c["joints"]) == longest], {}
    for name, told, sampler in (
        ("distributional, confidence as detected", _as_detected, None),
        ("distributional, confidence 1", _certain, None),
        ("distributional, confidence from sigma", _from_sigma, None),
        ("diffpose, no sigma", _as_detected, "diffpose"),
        ("diffpose, sigma as covariance", _with_covariance, "diffpose"),
        ("distributional, exact keypoints", _exact, None),
    ):
        method = hypopose.make_sampler(sampler)
        parts = []
        for c in clips:
            drawn = hypopose.sample(told(c), sampler=method, n_hypotheses=20)
            parts.append((drawn.joints, c["joints"] - c["joints"][:, :1]))
        x = Hypotheses(torch.stack([p for p, _ in parts]), H36M17)
        scores = evaluate_pair(x, None, Poses3D(torch.stack([t for _, t in parts]), H36M17))
        keys = ("mpjpe_mean_mm", "p_mpjpe_mean_mm", "energy_score_joint_mm", "ece",
                "coverage_80_percent")  # fmt: skip
        rows[name] = {k: _round(scores[k], 3) for k in keys}
        print(name, rows[name], flush=True)
    return rows


def _as_detected(c: dict[str, Any]) -> Keypoints2D:
    return c["raw"]


def _certain(c: dict[str, Any]) -> Keypoints2D:
    seen = c["raw"].detected.float()
    return replace(c["raw"], confidence=seen)


def _sigma(c: dict[str, Any]) -> torch.Tensor:
    """Measured sigma of every keypoint in pixels of the picture."""
    from hypopose.simulation.measured import detector_sigma

    confidence = c["raw"].confidence
    return detector_sigma("mediapipe", confidence) * (c["height"] / HEIGHT)


def _from_sigma(c: dict[str, Any]) -> Keypoints2D:
    """The confidence that training gave keypoints of this error: 1.05 - 0.1 per sigma of 4 px."""
    sigma = _sigma(c) * HEIGHT / c["height"]
    confidence = (1.05 - 0.1 * sigma / 4).clamp(0.1, 1.0) * c["raw"].detected
    return replace(c["raw"], confidence=confidence)


def _with_covariance(c: dict[str, Any]) -> Keypoints2D:
    return replace(c["raw"], covariance=_sigma(c)[..., None, None] ** 2 * torch.eye(2))


def _exact(c: dict[str, Any]) -> Keypoints2D:
    points = c["joints"]
    camera = c["raw"].camera
    xy = points[..., :2] / points[..., 2:] * camera.focal + camera.center
    return Keypoints2D(xy, H36M17, confidence=torch.ones(xy.shape[:-1]), camera=camera, fps=25.0)


def retest(args: argparse.Namespace) -> dict[str, Any]:
    """How far keypoints are from where a change of the picture moves them."""
    import skimage.data
    from PIL import Image, ImageFilter
    from rendered_body import standing

    detector, _ = choose_detector(args.detector)
    camera = np.stack([skimage.data.camera()] * 3, -1)
    pictures = {"astronaut": skimage.data.astronaut(), "camera": camera, "hopper": standing()}
    rows: dict[str, Any] = {}
    for name, rgb in pictures.items():
        image = Image.fromarray(rgb)
        detector.reset()
        base = detector.detect(rgb)
        sure = base.confidence[0] > 0.5
        height = np.ptp(base.xy[0][sure][:, 1])
        for change, moved, back in _changes(image, ImageFilter):
            detector.reset()
            seen = detector.detect(np.asarray(moved))
            if not len(seen):
                rows.setdefault(change, {})[name] = "nobody"
                continue
            off = np.linalg.norm(back(seen.xy[0]) - base.xy[0], axis=-1)[sure]
            share = 100 * float(np.nanmedian(off)) / height
            rows.setdefault(change, {})[name] = _round(share, 2)
    return {"percent_of_the_visible_body": rows}


def _changes(image: Any, filters: Any) -> list[tuple[str, Any, Any]]:
    w, h = image.size
    rows: list[tuple[str, Any, Any]] = []
    for d in (1, 3, 8):
        rows.append((f"moved by {d} px", image.crop((d, d, w, h)), lambda xy, d=d: xy + d))
    for s in (0.5, 0.8, 1.25):
        size = (round(w * s), round(h * s))
        rows.append((f"scaled by {s}", image.resize(size), lambda xy, s=s: xy / s))
    for r in (1, 3):
        blurred = image.filter(filters.GaussianBlur(r))
        rows.append((f"blurred by {r} px", blurred, lambda xy: xy))
    return rows


def _round(value: Any, digits: int = 1) -> float:
    return round(float(value), digits)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("what", choices=("render", "fit", "study", "retest"))
    parser.add_argument("seen", nargs="?", type=Path)
    parser.add_argument("--shards", default="../shared/data/motion")
    parser.add_argument("--detector", default="mediapipe")
    parser.add_argument("--limit", type=int, default=20)
    parser.add_argument("--n-frames", type=int, default=30)
    parser.add_argument("-o", "--output", type=Path)
    args = parser.parse_args()
    report = {"render": render, "fit": fit, "study": study, "retest": retest}[args.what](args)
    text = json.dumps(report, indent=1)
    print(text)
    if args.output is not None and args.what != "render":
        args.output.write_text(f"{text}\n")


if __name__ == "__main__":
    main()
