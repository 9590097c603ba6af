"""A full disk, a folder that cannot be written, a name that is none: all or nothing, and said."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hypopose.errors import OptionError
from hypopose.io.atomic import write_atomically, write_together


def listed(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


@pytest.mark.parametrize("code", ["ENOSPC", "EROFS", "EFBIG"])
def test_a_full_disk_leaves_what_was_there(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    target = tmp_path / "a.txt"
    target.write_text("before")

    def full(*_: object) -> None:
        raise OSError(getattr(errno, code), os.strerror(getattr(errno, code)))

    monkeypatch.setattr("hypopose.io.atomic._flush", full)
    with (
        pytest.raises(OptionError, match=r"a\.txt: could not be written .*nothing was changed"),
        write_atomically(target) as temporary,
    ):
        temporary.write_text("after")
    assert target.read_text() == "before"
    assert listed(tmp_path) == ["a.txt"]


def test_a_limit_of_the_system_is_said(tmp_path: Path) -> None:
    """A file system that takes 64 KiB a file, as the kernel enforces it."""
    code = (
        "import resource, sys\n"
        "from hypopose.errors import OptionError\n"
        "from hypopose.io.atomic import write_atomically\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))\n"
        "try:\n"
        "    with write_atomically(sys.argv[1]) as t, t.open('wb') as f:\n"
        "        f.write(bytes(10**6))\n"
        "except OptionError as error:\n"
        "    print(error)\n"
    )
    target = tmp_path / "a.bin"
    target.write_bytes(b"before")
    done = subprocess.run(
        [sys.executable, "-c", code, str(target)], capture_output=True, text=True, check=True
    )
    assert "could not be written (File too large); nothing was changed" in done.stdout
    assert target.read_bytes() == b"before"
    assert listed(tmp_path) == ["a.bin"]


def test_several_files_appear_together_or_not_at_all(tmp_path: Path) -> None:
    paths = [tmp_path / f"{i}.txt" for i in range(3)]
    paths[1].write_text("before")
    with pytest.raises(FileNotFoundError), write_together(paths) as written:
        written[0].write_text("0")  # and the others are not written
    assert listed(tmp_path) == ["1.txt"]
    with write_together(paths) as written:
        for i, path in enumerate(written):
            path.write_text(str(i))
    assert [p.read_text() for p in paths] == ["0", "1", "2"]
    assert listed(tmp_path) == ["0.txt", "1.txt", "2.txt"]


def test_pipes_devices_and_names_that_are_none_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/null"), tmp_path / "a\0b", tmp_path):
        with pytest.raises(OptionError), write_atomically(path):
            pass
    assert listed(tmp_path) == ["pipe"]
