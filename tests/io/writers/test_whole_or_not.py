"""Files appear whole or not at all, and absent packages are one line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hypopose.errors import BackendError, OptionError
from hypopose.io import EXPORTERS, export_result, save_result
from hypopose.io.writers import check_ending

ROOT = Path(__file__).parents[3]

KILLED = """
import os, signal, sys
from pathlib import Path
from handed_body import make_result
from hypopose.io import EXPORTERS, export_result
from hypopose.io.writers import check_ending

def killed(*_):
    os.kill(os.getpid(), signal.SIGKILL)

result = make_result()
for ending in EXPORTERS:
    check_ending(f"out.{ending}")  # imports what it needs, once
    child = os.fork()
    if child == 0:
        Path.replace = killed
        export_result(Path(sys.argv[1]) / f"out.{ending}", result)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL, ending
"""


def test_a_writer_killed_before_its_last_step_leaves_no_file_of_that_name(tmp_path):
    paths = (ROOT / "tests", ROOT, *(p for p in sys.path if p))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))}
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path)],
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    names = [path.name for path in tmp_path.iterdir()]
    assert len(names) == len(EXPORTERS)  # what was being written, hidden
    assert all(name.startswith((".out.", ".hypopose.")) for name in names)


@pytest.mark.parametrize("ending", EXPORTERS)
def test_a_writer_that_fails_leaves_nothing(result, tmp_path, ending, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OptionError, match=r"No space left.*nothing was changed"):
        export_result(tmp_path / f"out.{ending}", result)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("package", "ending"), [("ezc3d", "c3d"), ("pyarrow", "parquet"), ("xarray", "nc")]
)
def test_absent_packages_are_one_line(result, tmp_path, monkeypatch, package, ending):
    for name in [n for n in sys.modules if n.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(BackendError, match=r"pip install 'hypopose\[export\]'") as caught:
        export_result(tmp_path / f"out.{ending}", result)
    assert package in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_unknown_endings_name_the_known_ones(result, tmp_path):
    with pytest.raises(OptionError, match=r"\.c3d, \.trc, \.mot, \.bvh, \.glb, not as"):
        save_result(tmp_path / "out.fbx", result)
    assert check_ending("OUT.BVH") == "bvh"


def test_the_record_is_what_saving_an_npz_writes(result, tmp_path):
    from hypopose.io import load_hypotheses

    assert save_result(tmp_path / "out.npz", result) == ()
    assert load_hypotheses(tmp_path / "out.npz").seed == 3
    assert "constant bones" in save_result(tmp_path / "out.bvh", result)[0]
