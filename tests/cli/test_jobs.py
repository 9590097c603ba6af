"""Where results go: no input and no other result is replaced."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hypopose.cli.jobs import Job, plan_jobs
from hypopose.errors import FormatError, OptionError


def test_people_whose_names_look_alike_in_a_file_name_get_their_own_files() -> None:
    outputs = Job(Path("a.json"), Path("out.npz")).outputs_of(["a/b", "a_b", "a b", "A_B"])
    assert len({path.name.casefold() for path in outputs}) == 4


def test_an_input_is_never_replaced(tmp_path: Path) -> None:
    walk = tmp_path / "walk.json"
    walk.write_text("[]")
    with pytest.raises(OptionError, match="replaced by its own result"):
        plan_jobs((walk,), walk)
    other = tmp_path / "other.npz"
    other.write_bytes(b"")
    with pytest.raises(OptionError, match="replaced by its own result"):
        plan_jobs((walk, other), tmp_path)
    person = tmp_path / "out_person1.npz"
    with pytest.raises(OptionError, match="replaced by its own result"):
        Job(person, tmp_path / "out.npz").outputs_of(["0", "1"])


def test_a_folder_that_is_there_takes_the_result(tmp_path: Path) -> None:
    (job,) = plan_jobs((_touched(tmp_path / "walk.json"),), _made(tmp_path / "results")).jobs
    assert job.output == tmp_path / "results" / "walk.npz"


PEOPLE = json.dumps({"people": [{"pose_keypoints_2d": [100.0, 50.0, 0.5] * 25}]})
ROW = "0 0.5 0.5 0.2 0.2 " + "0.5 " * 51


def _named(*inputs: Path) -> list[str]:
    return [job.source.name for job in plan_jobs(inputs, inputs[0].parent / "results").jobs]


def _folder(path: Path, files: dict[str, str]) -> Path:
    path.mkdir()
    for name, text in files.items():
        (path / name).write_text(text)
    return path


def test_frames_are_one_input_and_what_lies_beside_them_is_not_lost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = {f"a_{i}_keypoints.json": PEOPLE for i in range(3)}
    folder = _folder(tmp_path / "in", frames)
    assert _named(folder) == ["in"]
    (folder / "a_1_keypoints.json").write_text(PEOPLE[:30])  # damaged, but still a frame
    (folder / "notes.txt").write_text("read me")
    assert _named(folder) == ["in"]
    _folder(folder / "more", {"b.csv": ""})
    assert _named(folder) == ["in", "b.csv"]
    assert not capsys.readouterr().err
    (folder / "a_9.json").write_text("[]")
    assert _named(folder) == [*frames, "a_9.json", "b.csv"]
    assert "each frame is an input of its own" in capsys.readouterr().err


def test_an_input_beside_its_own_result_stays_an_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = {f"a_{i}_keypoints.json": PEOPLE for i in range(2)}
    folder = _folder(tmp_path / "in", {**frames, "clip.csv": "", "clip.npz": "", "in.npz": ""})
    monkeypatch.setattr("hypopose.io.native.is_result", lambda path: path.suffix == ".npz")

    def planned(output: Path) -> list[str]:
        return [job.source.name for job in plan_jobs((folder,), output).jobs]

    assert planned(folder) == [*frames, "clip.csv"]
    # What was exported beside the folder's own result is none.
    (folder / "clip.csv").rename(folder / "in.csv")
    capsys.readouterr()
    assert planned(folder) == ["in"]
    assert "in.csv looks like a table of the result next to it" in capsys.readouterr().err
    assert planned(folder / "in.npz") == ["in"]
    assert planned(folder / "in") == ["in"]


def test_a_folder_of_single_files_is_not_one_input_for_its_first(tmp_path: Path) -> None:
    coco = json.dumps([{"image_id": 0, "keypoints": [1] * 51}])
    files = {"a.json": PEOPLE, "b.json": coco, "c.json": PEOPLE}
    assert _named(_folder(tmp_path / "in", files)) == list(files)
    files = {"clip1.json": PEOPLE, "clip2.json": coco, "clip3.json": PEOPLE}
    assert _named(_folder(tmp_path / "in2", files)) == list(files)


def test_labels_of_yolo_are_one_input_or_many_but_not_lost(tmp_path: Path) -> None:
    labels = _folder(tmp_path / "labels", {"v_1.txt": ROW, "v_2.txt": "", "v_3.txt": ROW})
    assert _named(labels) == ["labels"]
    (labels / "w.json").write_text(PEOPLE)
    assert _named(labels) == ["v_1.txt", "v_3.txt", "w.json"]
    (labels / "w.json").unlink()
    (labels / "README.txt").write_text("made by")
    assert _named(labels) == ["v_1.txt", "v_3.txt"]


def test_links_are_not_followed_out_of_a_folder(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "in", {"a.csv": "", "b.json": "[]"})
    (folder / "loop").symlink_to(folder)
    assert _named(folder) == ["a.csv", "b.json"]
    _folder(tmp_path / "secret", {"c.csv": ""})
    (folder / "link.csv").symlink_to(tmp_path / "secret" / "c.csv")
    (folder / "out").symlink_to(tmp_path / "secret")
    jobs = plan_jobs((folder,), tmp_path / "results").jobs
    assert [job.source.name for job in jobs] == ["a.csv", "b.json", "link.csv", "out"]
    for job in jobs[:2]:
        job.check_links()
    for job in jobs[2:]:
        with pytest.raises(FormatError, match=r"is a link out of .*in; copy the file"):
            job.check_links()
    (job,) = plan_jobs((folder / "link.csv",), tmp_path / "results").jobs
    job.check_links()  # the user named it


def _touched(path: Path) -> Path:
    path.write_text("[]")
    return path


def _made(path: Path) -> Path:
    path.mkdir()
    return path
