"""Coverage-guided fuzzing of a reader of 3D motion or of cameras with atheris.

    pip install atheris
    python fuzz/fuzz_motion.py motion:trc -max_total_time=1200 -rss_limit_mb=4096 -timeout=20

The first argument is ``motion:`` and a format of ``hypopose.io.motion_files.MOTION_FORMATS``, or
``camera:`` and an ending of ``CAMERAS``; the others are libFuzzer's. An input passes if the reader
gives finite places and cameras, or one of our errors in one line. C3D is read by ezc3d in a process
of its own and is not fuzzed here; EasyMocap's format is a folder.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import atheris
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

with atheris.instrument_imports(include=["hypopose.io", "hypopose.skeletons", "hypopose.cameras"]):
    from hypopose.errors import HypoPoseError
    from hypopose.io import load_cameras
    from hypopose.io.motion_files import MOTION_FORMATS, MotionOptions, load_motion

import fuzz_seeds

_work = Path(tempfile.mkdtemp(prefix="hypopose-fuzz-"))
_counts = {"inputs": 0, "read": 0}


def read_motion(path: Path, choice: int, kind: str) -> None:
    """Places are finite or missing, in a skeleton that fits."""
    told: dict[str, Any] = {"unit": "m", "up": "y"} if choice & 1 else {}
    told |= {"skeleton": "coco17"} if choice & 2 else {}
    told |= {"format": kind} if choice & 4 else {}
    for motion in load_motion(path, MotionOptions(**told)).values():
        if (
            motion.places.shape[1:] != (motion.skeleton.n_joints, 3)
            or np.isinf(motion.places).any()
        ):
            raise RuntimeError(f"an invalid motion {motion.places.shape}")


def read_cameras(path: Path, choice: int, kind: str) -> None:
    """Focal lengths and places are finite."""
    for camera in load_cameras(path, (640, 480) if choice & 1 else None).values():
        parts = [camera.focal, camera.center, camera.distortion, camera.rotation]
        if not all(part is None or bool(part.isfinite().all()) for part in parts):
            raise RuntimeError(f"an invalid camera of {kind}: {camera}")


def main() -> None:
    """Make the seeds, then let libFuzzer go on."""
    names = [f"motion:{n}" for n in MOTION_FORMATS] + [f"camera:{e}" for e in fuzz_seeds.CAMERAS]
    if len(sys.argv) < 2 or sys.argv[1] not in names:
        sys.exit(f"usage: fuzz_motion.py TARGET [libFuzzer options]; TARGET: {', '.join(names)}")
    room, _, kind = sys.argv.pop(1).partition(":")
    warnings.simplefilter("ignore")
    seeds = fuzz_seeds.MOTION.get(kind, []) if room == "motion" else fuzz_seeds.CAMERAS[kind]
    corpus = _work / "corpus"
    corpus.mkdir()
    for i, data in enumerate(seeds):
        (corpus / f"seed{i}").write_bytes(data + b"\x01")
    path = _work / ("input" if room == "motion" else f"input.{kind}")
    read = read_motion if room == "motion" else read_cameras

    def target(data: bytes) -> None:
        choice, body = data[-1] if data else 0, data[:-1]
        path.write_bytes(body)
        _counts["inputs"] += 1
        try:
            read(path, choice, kind)
            _counts["read"] += 1
        except HypoPoseError as error:
            message = str(error)
            if "\n" in message or len(message) > 5000:
                raise RuntimeError(f"message of {len(message)} characters, or lines") from error

    atheris.Setup([sys.argv[0], *sys.argv[1:], str(corpus)], target)
    try:
        atheris.Fuzz()
    finally:
        shutil.rmtree(_work, ignore_errors=True)


if __name__ == "__main__":
    main()
