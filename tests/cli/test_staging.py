"""Inputs and results by URL: the same bytes as with local files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import pytest
from click.testing import Result

from hypopose import load
from hypopose.io import save_keypoints
from hypopose.remote import fetch, file_system, files_below, store, url_of

Run = Callable[..., Result]
FAST = ("--sampler", "boneflips", "--n-hypotheses", 2, "--no-overview", "--jobs", 1)


@pytest.fixture(autouse=True)
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    system = fsspec.filesystem("memory")
    yield system
    system.store.clear()
    system.pseudo_dirs[:] = [""]


@pytest.fixture
def folder(one_person: Path, two_people: Path, tmp_path: Path) -> Path:
    """Two inputs: frames of OpenPose, and a table."""
    inputs = tmp_path / "in"
    inputs.mkdir()
    save_keypoints(inputs / "a.npz", load(one_person, image_size=(640, 640)))
    (inputs / "walk").mkdir()
    for frame in one_person.iterdir():
        (inputs / "walk" / frame.name).write_bytes(frame.read_bytes())
    return inputs


def put(folder: Path, url: str) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            store(path, f"{url}/{path.relative_to(folder).as_posix()}")


def test_a_folder_in_a_store(hypopose: Run, folder: Path, tmp_path: Path) -> None:
    put(folder, "memory://bucket/in")
    local = hypopose("sample", folder, "-o", tmp_path / "out", *FAST, "--format", "csv")
    assert local.exit_code == 0, local.output
    words = ("sample", "memory://bucket/in", "-o", "memory://bucket/out", *FAST, "--format", "csv")
    done = hypopose(*words)
    assert done.exit_code == 0, done.output
    assert "memory://bucket/out/a.npz" in done.output.replace("\n", "")
    names = [url.rsplit("/", 1)[1] for url in files_below("memory://bucket/out")]
    assert names == sorted(path.name for path in (tmp_path / "out").iterdir())
    for name in names:
        here = fetch(f"memory://bucket/out/{name}", tmp_path / name)
        assert here.read_bytes() == (tmp_path / "out" / name).read_bytes(), name

    again = hypopose(*words)
    assert again.exit_code == 0, again.output
    assert "2 kept" in again.output
    other = hypopose(*words, "--seed", 5)
    assert other.exit_code == 2
    assert "memory://bucket/out/a.npz was made differently (seed 0, now 5)" in other.output


def test_one_file_and_a_local_result(hypopose: Run, folder: Path, tmp_path: Path) -> None:
    put(folder, "memory://bucket/in")
    out = tmp_path / "a.npz"
    done = hypopose("sample", "memory://bucket/in/a.npz", "-o", out, *FAST)
    assert done.exit_code == 0, done.output
    assert out.exists()
    assert not Path("memory:").exists()


def test_what_is_not_there(hypopose: Run, folder: Path, tmp_path: Path) -> None:
    done = hypopose("sample", "memory://bucket/none.json", "-o", tmp_path / "a.npz", *FAST)
    assert done.exit_code == 2
    assert "memory://bucket/none.json: there is no such file or folder" in done.output
    (tmp_path / "bad.json").write_text("no keypoints")
    store(tmp_path / "bad.json", "memory://bucket/bad.json")
    bad = hypopose("sample", "memory://bucket/bad.json", "-o", tmp_path / "a.npz", *FAST)
    assert bad.exit_code == 2
    assert "memory://bucket/bad.json" in bad.output


def test_local_names_that_look_like_urls_stay_local(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert url_of("file.json") is None
    assert url_of("nosuchscheme:/a.json") is None
    assert url_of(Path("memory://a/b.json")) == "memory://a/b.json"
    Path("memory:").mkdir()
    assert url_of(Path("memory:/b.json")) is None


def test_a_local_store_works_like_any_other(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{}")
    url = f"file://{tmp_path}/a.json"
    assert fetch(url, tmp_path / "b.json").read_text() == "{}"
    assert file_system(url).exists(url)
