"""Ten doubtful files as a user meets them: the doubt is short, and the cure it names works.

``hypopose info`` shows before sampling what ``hypopose sample`` warns of.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from walker import in_axes, seen, tidy, walk, write_trc

from hypopose.skeletons import get_skeleton

Run = Callable[..., Result]
COCO = get_skeleton("coco17").joint_names
SHORT = 200
"""Characters of a doubt without the file's folder."""


@dataclass(frozen=True)
class Doubtful:
    """A file, how it is read, what is said, and what the message tells to do.

    Args:
        write: Makes the file in a folder.
        says: Words of the doubt.
        cure: Options after which nothing is doubted; None where none is named.
        options: How it is read first.
        refused: Whether it is refused rather than doubted.
    """

    write: Callable[[Path], Path]
    says: str
    cure: tuple[str, ...] | None
    options: tuple[str, ...] = ()
    refused: bool = False


def upside_down(folder: Path) -> Path:
    xy = seen()
    xy[..., 1] = 720 - xy[..., 1]
    return tidy(folder / "a.csv", {"p": xy})


def plain(folder: Path) -> Path:
    return tidy(folder / "a.csv", {"p": seen()})


def swapped(folder: Path) -> Path:
    a, b = seen(x=200, step=4), seen(x=700, step=4)
    one, two = a.copy(), b.copy()
    one[15:], two[15:] = b[15:], a[15:]
    return tidy(folder / "a.csv", {"1": one, "2": two})


def array(folder: Path) -> Path:
    np.save(folder / "a.npy", seen())
    return folder / "a.npy"


def scrambled(folder: Path) -> Path:
    return entries(folder, np.random.default_rng(0).uniform(100, 600, (30, 17, 2)), 0.9)


def sure(folder: Path) -> Path:
    return entries(folder, seen(), 1.6)


def entries(folder: Path, clip: np.ndarray, confidence: float) -> Path:
    rows = [{"image_id": f, "category_id": 1, "score": 1, "keypoints":
             np.column_stack([xy, np.where(np.arange(17) % 3, confidence, 0.7)]).ravel().tolist()}
            for f, xy in enumerate(clip)]  # fmt: skip
    (folder / "a.json").write_text(json.dumps(rows))
    return folder / "a.json"


def hands(folder: Path) -> Path:
    xy = seen()
    xy[:, [j for j, name in enumerate(COCO) if not name.endswith("wrist")]] = np.nan
    return tidy(folder / "a.csv", {"hands": xy, "ann": seen(x=700)})


def irregular(folder: Path) -> Path:
    times = np.cumsum(np.random.default_rng(0).uniform(0.02, 0.06, 30))
    path = tidy(folder / "a.csv", {"p": seen()}, [f"{t:.5f}" for t in times])
    path.write_text(path.read_text().replace("frame,", "time_s,", 1))
    return path


def timed(folder: Path) -> Path:
    return tidy(folder / "a.csv", {"p": seen()}, range(30), time_s=[f / 30 for f in range(30)])


def markers(folder: Path) -> Path:
    return write_trc(folder / "a.trc", COCO, in_axes(walk(COCO), "y"))


SIZE = ("--image-size", "1280", "720")
FILES = {
    "upside down": Doubtful(upside_down, "upside down in 100% of the frames", ("--y-up", *SIZE)),
    "outside": Doubtful(plain, "outside the 640 x 360 image: check --image-size", SIZE,
                        ("--image-size", "640", "360")),
    "swapped": Doubtful(swapped, "identities 1, 2 ignored", ("--ignore-identities",)),
    "misnamed": Doubtful(array, "look like coco17: check --skeleton", ("--skeleton", "coco17"),
                         ("--skeleton", "h36m17")),
    "scrambled": Doubtful(scrambled, "do not look like a body", None),
    "hands": Doubtful(hands, "too little seen: hands", ("--min-joints", "0")),
    "confidences": Doubtful(sure, "confidences above 1 (up to 1.6) became 1", None),
    "irregular": Doubtful(irregular, "--resample 24", ("--resample", "24"), refused=True),
    "slow motion": Doubtful(timed, "says 30 frames a second, but the given rate is 240", (),
                            ("--fps", "240")),
    "3D": Doubtful(markers, "hypopose import FILE -o OUT.npz", None, refused=True),
}  # fmt: skip


def doubts(done: Result) -> list[str]:
    starts = ("doubt", "Warning:", "Error:")
    lines = [line.strip() for line in done.output.splitlines()]
    return [line for line in lines if line.startswith(starts)]


@pytest.mark.parametrize("name", FILES)
def test_info_shows_the_doubt_and_the_cure_ends_it(
    name: str, hypopose: Run, tmp_path: Path
) -> None:
    case = FILES[name]
    path = case.write(tmp_path)
    done = hypopose("info", path, *case.options)
    assert done.exit_code == (2 if case.refused else 0), done.output
    (said,) = doubts(done)
    assert case.says in said
    assert len(said.replace(f"{tmp_path}/", "")) <= SHORT
    assert "=" not in said
    if case.cure is not None:
        cured = hypopose("info", path, *case.cure)
        assert cured.exit_code == 0
        assert doubts(cured) == []


@pytest.mark.parametrize("name", FILES)
def test_sample_warns_of_the_same(name: str, hypopose: Run, tmp_path: Path) -> None:
    case = FILES[name]
    path = case.write(tmp_path)
    done = hypopose("sample", path, "-o", tmp_path / "o.npz", *case.options, "--sampler",
                    "boneflips", "--n-hypotheses", 2, "--no-overview")  # fmt: skip
    assert done.exit_code == (2 if case.refused else 0), done.output
    assert case.says in done.stderr


def test_there_are_ten() -> None:
    assert len(FILES) == 10
