"""Several processes share a folder: one at an input at a time, and nothing waits for the dead."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hypopose.cli import claims
from hypopose.cli.claims import EXPIRY_S, claim


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / ".walk.npz.lock"


@pytest.fixture
def result(tmp_path: Path) -> Path:
    return tmp_path / "walk.npz"


def held_by(lock: Path, host: str, process: int, age_s: float = 0.0) -> None:
    lock.write_text(json.dumps({"host": host, "process": process}))
    os.utime(lock, (time.time() - age_s,) * 2)


def test_one_at_a_time_and_nothing_left_behind(result: Path, lock: Path) -> None:
    with claim(result) as ours:
        assert ours
        assert lock.exists()
        with claim(result) as again:
            assert not again
        assert lock.exists()
    assert not lock.exists()
    with claim(result) as ours:
        assert ours


def test_an_error_gives_the_claim_back(result: Path, lock: Path) -> None:
    with pytest.raises(RuntimeError), claim(result):
        raise RuntimeError
    assert not lock.exists()


def test_another_machine_is_trusted_until_it_is_silent(result: Path, lock: Path) -> None:
    held_by(lock, "elsewhere", 1, age_s=EXPIRY_S - 60)
    with claim(result) as ours:
        assert not ours
    held_by(lock, "elsewhere", 1, age_s=EXPIRY_S + 60)
    with claim(result) as ours:
        assert ours


@pytest.mark.skipif(os.name != "posix", reason="processes are asked by signal 0")
def test_a_process_that_has_ended_is_not_waited_for(result: Path, lock: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    held_by(lock, socket.gethostname(), child.pid)
    with claim(result) as ours:
        assert ours


def test_a_lock_that_is_being_written_is_respected(result: Path, lock: Path) -> None:
    lock.write_text("")
    with claim(result) as ours:
        assert not ours
    os.utime(lock, (time.time() - EXPIRY_S - 1,) * 2)
    with claim(result) as ours:
        assert ours


def test_a_claim_that_was_taken_over_meanwhile_is_left_alone(result: Path, lock: Path) -> None:
    held_by(lock, "elsewhere", 2)
    assert not claims._removed(lock, json.dumps({"host": "elsewhere", "process": 1}))
    assert json.loads(lock.read_text())["process"] == 2
    assert [path.name for path in lock.parent.iterdir()] == [lock.name]


def test_a_long_job_keeps_its_claim_fresh(
    result: Path, lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "TOUCH_S", 0.02)
    with claim(result):
        os.utime(lock, (0, 0))
        until = time.monotonic() + 10
        while lock.stat().st_mtime == 0:
            assert time.monotonic() < until
            time.sleep(0.01)


SHARING = """
import sys
from pathlib import Path
from hypopose.cli.claims import claim
folder = Path(sys.argv[1])
for i in range(40):
    result = folder / f"{i}.npz"
    with claim(result) as ours:
        if ours and not result.exists():
            with (folder / "done.txt").open("a") as file:
                file.write(f"{i}\\n")
            result.touch()
"""


def test_processes_that_start_together_do_each_input_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SHARING, str(tmp_path)]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    runs = [subprocess.Popen(command, env=env) for _ in range(4)]
    assert [run.wait() for run in runs] == [0] * 4
    done = (tmp_path / "done.txt").read_text().split()
    assert sorted(map(int, done)) == list(range(40))
    assert not list(tmp_path.glob(".*"))
