"""Every example runs, in an empty folder, and says something."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))
QUICK = ("calibration_curve", "compare_samplers", "first_steps", "people_and_cameras")
CASES = [
    pytest.param(path, id=path.stem, marks=[] if path.stem in QUICK else [pytest.mark.slow])
    for path in EXAMPLES
]


def test_there_are_examples() -> None:
    assert EXAMPLES


@pytest.mark.parametrize("example", CASES)
def test_example_runs(
    example: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(example)])
    runpy.run_path(str(example), run_name="__main__")
    assert capsys.readouterr().out
    assert "# %%" in example.read_text()


def test_the_ambiguity_example_finds_the_recording_beside_the_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A copy of the script beside a folder of recordings; nothing is sampled with a network."""
    import hypopose

    script = tmp_path / "repository" / "examples" / "ambiguity.py"
    script.parent.mkdir(parents=True)
    source = next(path for path in EXAMPLES if path.stem == "ambiguity").read_text()
    script.write_text(source.split("# %% What a second camera")[0])
    monkeypatch.setattr(sys, "argv", [str(script)])
    runpy.run_path(str(script), run_name="__main__")
    assert "the built-in synthetic walk" in capsys.readouterr().out
    recording = tmp_path / "shared" / "data" / "keypoints" / "openpose" / "motionet_body25"
    recording.mkdir(parents=True)
    asked = []

    def load(path: Path, **options: object) -> object:
        asked.append((Path(path), options["image_size"]))
        return hypopose.datasets.example_pair(6)[0]

    monkeypatch.setattr(hypopose, "load", load)
    runpy.run_path(str(script), run_name="__main__")
    monkeypatch.setattr(sys, "argv", [str(script), "walk.json", "1920", "1080"])
    runpy.run_path(str(script), run_name="__main__")
    assert asked == [(recording, (640, 640)), (Path("walk.json"), (1920, 1080))]
    assert "keypoints: walk.json" in capsys.readouterr().out
