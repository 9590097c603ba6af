"""Coverage-guided fuzzing of a reader of 3D motion or of cameras with atheris.

    pip install atheris
    python fuzz/fuzz_motion.py motion:trc -max_total_time=1200 -rss_limit_mb=4096 -timeout=20

The first argument is ``motion:`` and a format of ``hypopose.io.motion_files.MOTION_FORMATS``, or
``camera:`` and an ending of ``CAMERAS``; or one of ``FOLDERS``, whose files stand one after the
other in an input; the others are libFuzzer's. An input passes if the reader gives finite places and
cameras, or one of our errors in one line. C3D is read by ezc3d in this process here, and in one of
its own by HypoPose.
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
    from hypopose.errors import FormatError, HypoPoseError
    from hypopose.io import load_cameras
    from hypopose.io.motion_files import MOTION_FORMATS, MotionOptions, c3d_points, load_motion
    from hypopose.io.untrusted import containers, reading_process

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


def c3d_here(path: Path, kind: str) -> containers.Tree:
    """What the process that reads C3D does, in this one."""
    try:
        arrays, attributes = reading_process.READERS[kind](str(path), containers.FREE_BYTES)
    except Exception as error:  # the process prints it and exits with 3
        raise FormatError(" ".join(str(error).split())[:160]) from None
    return containers.Tree(kind, arrays, attributes)


def seeds_of(target: str) -> list[bytes]:
    """Small valid inputs."""
    room, _, kind = target.partition(":")
    if target in fuzz_seeds.FOLDERS:
        return [fuzz_seeds.FOLDERS[target][1]]
    if target == "motion:c3d":
        return [fuzz_seeds.c3d()]
    return fuzz_seeds.MOTION.get(kind, []) if room == "motion" else fuzz_seeds.CAMERAS[kind]


def write(target: str, path: Path, body: bytes) -> None:
    """An input as a file, or as the files of a folder."""
    if target not in fuzz_seeds.FOLDERS:
        path.write_bytes(body)
        return
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    names = fuzz_seeds.FOLDERS[target][0]
    for name, part in zip(names, body.split(fuzz_seeds.BETWEEN), strict=False):
        (path / name).write_bytes(part)


def main() -> None:
    """Make the seeds, then let libFuzzer go on."""
    names = [f"motion:{n}" for n in MOTION_FORMATS] + [f"camera:{e}" for e in fuzz_seeds.CAMERAS]
    names += [name for name in fuzz_seeds.FOLDERS if name not in names]
    if len(sys.argv) < 2 or sys.argv[1] not in names:
        sys.exit(f"usage: fuzz_motion.py TARGET [libFuzzer options]; TARGET: {', '.join(names)}")
    name = sys.argv.pop(1)
    room, _, kind = name.partition(":")
    c3d_points.read_tree = c3d_here
    warnings.simplefilter("ignore")
    corpus = _work / "corpus"
    corpus.mkdir()
    for i, data in enumerate(seeds_of(name)):
        (corpus / f"seed{i}").write_bytes(data + b"\x01")
    path = _work / ("input" if room == "motion" else f"input.{kind}")
    read = read_motion if room == "motion" else read_cameras

    def target(data: bytes) -> None:
        choice, body = data[-1] if data else 0, data[:-1]
        write(name, path, body)
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
