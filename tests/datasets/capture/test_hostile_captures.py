"""Law: every reader of motion gives finite joints, or one line that names the file."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from captured_motion import AMC, ASF, body_model, bvh_text, t_pose
from click.testing import CliRunner

from hypopose.cli import main
from hypopose.datasets import load_motion
from hypopose.datasets.capture import Options, RecordedClip, cleaned, find_sources, read_source
from hypopose.datasets.capture.capture_files import naming
from hypopose.errors import HypoPoseError

WORDS = ("nan", "inf", "-inf", "1e400", "1e300", "ten", "", "1e-320", "0x1F", "99999999999")


def attempt(path: Path, options: Options) -> tuple[list[RecordedClip], str | None]:
    """Clips of a file, or what was said about it."""
    try:
        (source,) = find_sources(path)
        with naming(path):
            return [c for clip in read_source(source, options) for c in cleaned(clip)], None
    except HypoPoseError as error:
        return [], str(error)


def read(path: Path, options: Options) -> None:
    """Read and clean a file as ``data prepare`` does, and check the law."""
    clips, told = attempt(path, options)
    assert path.name in (told or path.name)
    assert "\n" not in (told or "")
    for clip in clips:
        assert np.isfinite(clip.joints).all()
        assert len(clip.joints) >= 2


def texts(text: str, seed: int) -> Iterator[str]:
    """A text with numbers, words and lines replaced, dropped, doubled or cut."""
    dice = random.Random(seed)
    numbers = [m.span() for m in re.finditer(r"(?<![\w.])-?\d+(\.\d+)?(?![\w.])", text)]
    for word in WORDS:
        for start, end in dice.sample(numbers, min(3, len(numbers))):
            yield text[:start] + word + text[end:]
    lines = text.splitlines()
    for _ in range(10):
        i, j = dice.randrange(len(lines)), dice.randrange(len(lines))
        yield "\n".join(lines[:i] + lines[i + 1 :])
        yield "\n".join([*lines[:i], lines[j], *lines[i:]])
        yield "\n".join([*lines[:i], " ".join(reversed(lines[i].split())), *lines[i + 1 :]])
        yield text[: dice.randrange(len(text))]
        k = dice.randrange(len(text) - 1)
        yield text[:k] + chr(dice.choice((0, 7, 233, 0x1F600, 0xFFFF))) + text[k + 1 :]


def test_bvh_of_any_content(tmp_path: Path) -> None:
    good = (
        bvh_text(t_pose())
        .replace(" { ", "\n{\n")
        .replace(" }", "\n}")
        .replace("OFFSET", "\nOFFSET")
    )
    channels = "Zrotation Xrotation Yrotation"
    more = [
        good.replace(channels, order)
        for order in (
            "Zrotation Zrotation Yrotation",
            "Zrotation Xrotation",
            "Yrotation Yrotation Yrotation",
            "Zrotation Xrotation Zrotation",
            "Xposition Xposition Yrotation",
            "zrotation xrotation yrotation",
        )
    ]
    more += [good.replace("CHANNELS 3", f"CHANNELS {n}") for n in ("-1", "0", "4", "1e9", "x")]
    more += [good.replace("Frame Time: 0.01", f"Frame Time: {w}") for w in (*WORDS, "-1", "0")]
    more += [good.replace("Frames: 60", f"Frames: {w}") for w in (*WORDS, "-1", "0", "61")]
    flat = re.sub(r"OFFSET[^\n]*", "OFFSET 0 0 0", good)
    for i, text in enumerate([good, flat, "", "HIERARCHY", *more, *texts(good, 0)]):
        path = tmp_path / f"case_{i}.bvh"
        path.write_text(text)
        read(path, Options())


def test_asf_and_amc_of_any_content(tmp_path: Path) -> None:
    asf = [
        ASF,
        ASF.replace("dof rx ry rz", "dof rx rx rx"),
        ASF.replace("dof rx ry rz", "dof rw"),
        ASF.replace("dof rx ry rz", "dof r"),
        ASF.replace("RX RY RZ", "RZ RY RX"),
        ASF.replace("RX RY RZ", "RX RX RX"),
        ASF.replace("axis 0 0 20 XYZ", "axis 0 0"),
        ASF.replace("axis 0 0 20 XYZ", "axis 0 0 20 ZYX"),
        ASF.replace("lfemur ltibia", "ltibia lfemur"),
        ASF.replace("root lfemur", "root nobody"),
        *texts(ASF, 1),
    ]
    cases = [(skeleton, AMC) for skeleton in asf] + [(ASF, motion) for motion in texts(AMC, 2)]
    names = {f"{s}_{p}": "lfemur" for s in ("left", "right") for p in
             ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")}  # fmt: skip
    options = Options(joints={**names, "neck": "ltibia", "head_base": "root"})
    for i, (skeleton, motion) in enumerate(cases):
        folder = tmp_path / str(i)
        folder.mkdir()
        (folder / f"{i}.asf").write_text(skeleton)
        (folder / "walk.amc").write_text(motion)
        read(folder / "walk.amc", options)


def arrays(good: dict[str, np.ndarray]) -> Iterator[dict[str, np.ndarray]]:
    """Arrays of an archive, one of them of another kind or shape."""
    changes: tuple[Callable[[np.ndarray], np.ndarray], ...] = (
        lambda a: a.astype(str),
        lambda a: a[:0] if a.ndim else a,
        lambda a: a.reshape(-1),
        lambda a: a[None],
        lambda a: np.full(a.shape, np.nan),
        lambda a: np.full(a.shape, np.inf),
        lambda a: np.full(a.shape, 1e200),
        lambda a: np.zeros(()),
        lambda a: a.astype(complex),
        lambda a: np.full(a.shape, -1.0),
    )
    for name, value in good.items():
        for change in changes:
            yield {**good, name: change(np.asarray(value))}
        yield {k: v for k, v in good.items() if k != name}


def test_amass_of_any_content(tmp_path: Path) -> None:
    model = body_model(tmp_path)
    good = {
        "poses": np.zeros((40, 156)),
        "trans": np.zeros((40, 3)),
        "betas": np.zeros(10),
        "mocap_framerate": np.array(60.0),
    }
    for i, case in enumerate([good, *arrays(good)]):
        path = tmp_path / f"walk_{i}.npz"
        np.savez(path, **case)
        read(path, Options(body_model=model))
    with np.load(model) as archive:
        body = dict(archive)
    np.savez(tmp_path / "walk.npz", **good)
    for i, case in enumerate(arrays(body)):
        path = tmp_path / f"model_{i}.npz"
        np.savez(path, **case)
        _, told = attempt(tmp_path / "walk.npz", Options(body_model=path))
        assert told is None or "\n" not in told


def test_lifter_archives_of_any_content(tmp_path: Path) -> None:
    whole = np.random.default_rng(0).normal(size=(40, 32, 3))
    view = {"data_2d": np.zeros((30, 17, 2)), "data_3d": np.zeros((30, 17, 3))}
    text = np.full((30, 17, 3), "x")
    h36m: list[object] = [
        {"S1": {"Walking": whole}}, {"S1": {"Walking": text}}, {"S1": {"Walking": whole[:0]}},
        {"S1": {"Walking": np.full((40, 32, 3), np.nan)}}, {"S1": {"Walking": whole * 1e30}},
        {"S1": {"Walking": [1, 2]}}, {"S1": []}, {"S1": {1: None}}, {}, [], 3, "x", None,
    ]  # fmt: skip
    dhp: list[object] = [
        {"S1": view}, {"S1": [{"0": view}, 25]}, {"S1": [{"0": view}, "fast"]},
        {"S1": [{"0": view}, float("nan")]}, {"S1": [{"0": view}, 0]}, {"S1": [{}, 25]},
        {"S1": [{"0": view}, [1, 2]]}, {"S1": {**view, "valid": np.full(30, "x")}},
        {"S1": {**view, "valid": np.ones(7)}}, {"S1": {**view, "data_3d": text}},
        {"S1": {**view, "data_3d": None}}, {"S1": 5}, [], None,
    ]  # fmt: skip
    for name, cases in (("positions_3d", h36m), ("data", dhp)):
        for i, case in enumerate(cases):
            path = tmp_path / f"{name}_{i}.npz"
            np.savez(path, **{name: np.array(case, dtype=object)})
            read(path, Options())


def test_archives_of_any_bytes(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", poses=np.zeros((4, 66)), trans=np.zeros((4, 3)))
    whole = (tmp_path / "a.npz").read_bytes()
    dice = random.Random(3)
    for i in range(60):
        data = bytearray(whole[: dice.randrange(len(whole))] if i % 2 else whole)
        for _ in range(i % 5):
            if data:
                data[dice.randrange(len(data))] = dice.randrange(256)
        path = tmp_path / f"case_{i}.npz"
        path.write_bytes(bytes(data))
        read(path, Options())


def test_one_bad_place_of_several_does_not_end_the_run(tmp_path: Path) -> None:
    good, bad = tmp_path / "anna_walk.bvh", tmp_path / "empty_folder"
    good.write_text(bvh_text(t_pose()))
    bad.mkdir()
    (bad / "notes.txt").write_text("nothing")
    (tmp_path / "cut.bvh").write_text(bvh_text(t_pose())[:400])
    (tmp_path / "nan.bvh").write_text(bvh_text(t_pose()).replace("0 95 0", "0 nan 0", 1))
    (tmp_path / "bomb.npz").write_bytes(b"PK\x05\x06" + b"\0" * 9)
    out = tmp_path / "out.npz"
    places = [bad, tmp_path / "cut.bvh", good, tmp_path / "nan.bvh", tmp_path / "bomb.npz"]
    told = CliRunner().invoke(main, ["data", "prepare", *map(str, places), "-o", str(out)])
    assert told.exit_code == 1, told.output
    for path in places:
        (line,) = [
            x for x in told.output.splitlines() if path.name in x and x[:4] in ("fail", "read")
        ]
        assert line.startswith("read" if path == good else "failed")
    assert "4 files failed" in told.output
    assert load_motion(out).names == ("anna_walk",)
    none = CliRunner().invoke(main, ["data", "prepare", str(bad), "-o", str(tmp_path / "no.npz")])
    assert none.exit_code == 2
    assert "no clips to write" in none.output
    twice = CliRunner().invoke(
        main, ["data", "prepare", str(out), "-o", str(tmp_path / "again.npz")]
    )
    assert twice.exit_code == 2
    assert "train --shard" in twice.output


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--fps", "nan"], "nan is not a number"),
        (["--fps", "-3"], "--fps lies between"),
        (["--unit", "ell"], "unit='ell' is not one of"),
        (["--unit", "m"], "people's are"),
        (["--up", "x"], "up='x' is not one of"),
        (["--val", "nobody"], "--val and --test name people"),
        (["--val", "s", "--test", "s", "--subject", "s"], "each once"),
        (["--subject", "x="], "write NAME, or PATTERN=NAME"),
        (["--joints", "deep.json"], "neither TOML nor JSON"),
        (["--joints", "deep.toml"], "neither TOML nor JSON"),
        (["--joints", "list.json"], "must map names"),
        (["--joints", "part.toml"], "which is not a part"),
        (["--joints", "few.toml"], "names no joint of this file"),
    ],
)
def test_options_are_refused_in_words_of_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("walk.bvh").write_text(bvh_text(t_pose()))
    Path("deep.json").write_text("[" * 50_000)
    Path("deep.toml").write_text("a = " + "[" * 50_000)
    Path("list.json").write_text("[1, 2]")
    Path("part.toml").write_text("tail = 'Hips'")
    Path("few.toml").write_text("left_hip = 'LeftUpLeg'")
    told = CliRunner().invoke(main, ["data", "prepare", "walk.bvh", "-o", "out.npz", *options])
    assert told.exit_code == 2, told.output
    assert words in told.output.replace("\n", " ")
    assert not Path("out.npz").exists()


def test_subjects_are_named_explicitly(tmp_path: Path) -> None:
    for name in ("anna_1", "anna_2", "ben_1"):
        (tmp_path / f"{name}.bvh").write_text(bvh_text(t_pose()))
    out = tmp_path / "out.npz"
    named = ["--subject", "anna*=anna", "--subject", "ben", "--test", "ben"]
    told = CliRunner().invoke(main, ["data", "prepare", str(tmp_path), "-o", str(out), *named])
    assert told.exit_code == 0, told.output
    assert load_motion(out).subjects == ("anna", "anna")
    assert load_motion(out, "test").subjects == ("ben",)
