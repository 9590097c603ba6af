"""A full and a read-only file system, as the kernel has them: exit code and message are true."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from handed_body import make_result
from walker import in_axes, walk, write_trc

from hypopose.io import save_people, save_result
from hypopose.skeletons import get_skeleton

Run = Callable[..., Result]
KIB = 1024
H36M = get_skeleton("h36m17").joint_names


def mount(place: Path, *words: str) -> bool:
    """Mount a small file system, if this user may."""
    command = ["mount", *words, str(place)]
    return (
        shutil.which("mount") is not None
        and not subprocess.run(command, capture_output=True, check=False).returncode
    )


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 512 KiB in memory."""
    place = tmp_path / "disk"
    place.mkdir()
    if not mount(place, "-t", "tmpfs", "-o", "size=512k", "tmpfs"):
        pytest.skip("this user may not mount a file system")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """Inputs, on another file system."""
    made = make_result()
    save_result(tmp_path / "walk.npz", made)
    save_people(tmp_path / "walk.json", {"0": made.keypoints})
    np.save(tmp_path / "truth.npy", made.pose.joints.numpy())
    write_trc(tmp_path / "walk.trc", H36M, in_axes(walk(H36M), "y"))
    return {p.name: p for p in tmp_path.iterdir() if p.is_file()}


def fill(disk: Path, spare: int) -> None:
    """Leave so many bytes on a disk."""
    with (disk / "filler").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(KIB))
        except OSError:
            pass
    size = (disk / "filler").stat().st_size
    os.truncate(disk / "filler", max(0, size - spare))


WRITING: dict[str, tuple[str, ...]] = {
    **{f"export {e}": ("export", "walk.npz", "-o", f"OUT.{e}")
       for e in ("npz", "json", "csv", "trc", "mot", "bvh", "glb", "c3d", "parquet", "nc")},
    "export several": ("export", "walk.npz", "-o", "OUT.trc", "--motion", "all"),
    "sample": ("sample", "walk.json", "-o", "OUT.npz", "--sampler", "boneflips", "--no-overview"),
    "aggregate": ("aggregate", "walk.npz", "-o", "OUT.npz", "--aggregate", "median"),
    "import": ("import", "walk.trc", "-o", "OUT.npz"),
    "convert-keypoints": ("convert-keypoints", "walk.json", "-o", "OUT.csv"),
    "tracks": ("tracks", "walk.json", "-o", "OUT.json"),
    "evaluate": ("evaluate", "walk.npz", "--truth", "truth.npy", "-o", "OUT.json"),
}  # fmt: skip
"""Commands that write; OUT is on the disk."""


def words_of(name: str, files: dict[str, Path], out: Path) -> list[str]:
    return [str(files[w]) if w in files else w.replace("OUT", str(out)) for w in WRITING[name]]


def state(disk: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in disk.iterdir()}


@pytest.mark.parametrize("name", WRITING)
def test_a_full_disk_is_said_and_nothing_is_left(
    name: str, hypopose: Run, files: dict[str, Path], disk: Path
) -> None:
    fill(disk, 0)
    before = state(disk)
    done = hypopose(*words_of(name, files, disk / "out"))
    assert done.exit_code == 2, done.output
    assert "No space left on device" in done.stderr
    assert len(done.stderr.strip().splitlines()[-1]) < 500
    assert "Traceback" not in done.output
    assert state(disk) == before


@pytest.mark.parametrize("name", ["export csv", "export several", "aggregate", "tracks"])
def test_a_disk_that_fills_while_writing_keeps_the_old_file(
    name: str, hypopose: Run, files: dict[str, Path], disk: Path
) -> None:
    for ending in ("csv", "trc", "npz", "json"):
        (disk / f"out.{ending}").write_text("before")
    fill(disk, 4 * KIB)
    before = state(disk)
    done = hypopose(*words_of(name, files, disk / "out"), "--force")
    assert done.exit_code == 2, done.output
    assert "No space left on device" in done.stderr
    assert state(disk) == before


@pytest.mark.parametrize("name", ["export trc", "sample", "aggregate", "evaluate", "tracks"])
def test_a_read_only_disk_is_said(
    name: str, hypopose: Run, files: dict[str, Path], disk: Path
) -> None:
    assert mount(disk, "-o", "remount,ro")
    done = hypopose(*words_of(name, files, disk / "out"))
    assert done.exit_code == 2, done.output
    assert "Read-only file system" in done.stderr
    assert list(disk.iterdir()) == []


@pytest.mark.parametrize("words", [("aggregate", "--aggregate", "median"), ("refine",)])
def test_a_result_that_is_its_own_input_survives(
    words: tuple[str, ...], hypopose: Run, files: dict[str, Path], disk: Path
) -> None:
    mine = disk / "walk.npz"
    shutil.copy(files["walk.npz"], mine)
    fill(disk, 0)
    before = state(disk)
    done = hypopose(words[0], mine, "-o", mine, "--force", *words[1:])
    assert done.exit_code == 2, done.output
    assert state(disk) == before
    (disk / "filler").unlink()
    done = hypopose(words[0], mine, "-o", mine, "--force", *words[1:])
    assert done.exit_code == 0, done.output
    assert hypopose("info", mine).exit_code == 0
