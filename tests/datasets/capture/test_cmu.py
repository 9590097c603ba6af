"""The CMU database: a synthetic subject of its file formats, and the list of trials."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from hypopose.cli import main
from hypopose.datasets import load_benchmark, load_motion
from hypopose.datasets.capture.cmu import find_trials, limb_lengths, measured_limbs, trials
from hypopose.datasets.shards import read_shard
from hypopose.errors import FormatError

METERS = 0.0254 / 0.45
"""Of CMU's unit."""

# Name: parent, direction (x left, y up, z forward), length in meters, degrees of freedom.
BONES = {
    "lhipjoint": ("root", (0.6, -0.75, 0.2), 0.1, ""),
    "lfemur": ("lhipjoint", (0.34, -0.94, 0), 0.412, "rx ry rz"),
    "ltibia": ("lfemur", (0.34, -0.94, 0), 0.423, "rx"),
    "rhipjoint": ("root", (-0.6, -0.75, 0.2), 0.1, ""),
    "rfemur": ("rhipjoint", (-0.34, -0.94, 0), 0.412, "rx ry rz"),
    "rtibia": ("rfemur", (-0.34, -0.94, 0), 0.423, "rx"),
    "lowerback": ("root", (0, 1, 0), 0.11, "rx ry rz"),
    "upperback": ("lowerback", (0, 1, 0), 0.11, "rx ry rz"),
    "thorax": ("upperback", (0, 1, 0), 0.11, "rx ry rz"),
    "lowerneck": ("thorax", (0, 1, 0), 0.08, "rx ry rz"),
    "upperneck": ("lowerneck", (0, 1, 0.1), 0.08, "rx ry rz"),
    "head": ("upperneck", (0, 1, 0.1), 0.09, "rx ry rz"),
    "lclavicle": ("thorax", (0.9, 0.4, 0), 0.18, "ry rz"),
    "lhumerus": ("lclavicle", (1, 0, 0), 0.289, "rx ry rz"),
    "lradius": ("lhumerus", (1, 0, 0), 0.293, "rx"),
    "rclavicle": ("thorax", (-0.9, 0.4, 0), 0.18, "ry rz"),
    "rhumerus": ("rclavicle", (-1, 0, 0), 0.289, "rx ry rz"),
    "rradius": ("rhumerus", (-1, 0, 0), 0.293, "rx"),
}


def asf(scale: float = 1.0) -> str:
    data = []
    for i, (name, (_, direction, length, dof)) in enumerate(BONES.items()):
        unit = np.array(direction) / np.linalg.norm(direction)
        data += ["  begin", f"    id {i + 1}", f"    name {name}",
                 f"    direction {' '.join(f'{x:.6f}' for x in unit)}",
                 f"    length {scale * length / METERS:.6f}", "    axis 0 0 0 XYZ"]  # fmt: skip
        data += [f"    dof {dof}"] * bool(dof) + ["  end"]
    children: dict[str, list[str]] = {}
    for name, (parent, *_) in BONES.items():
        children.setdefault(parent, []).append(name)
    tree = [f"  {parent} {' '.join(names)}" for parent, names in children.items()]
    head = [":version 1.10", ":units", "  mass 1.0", "  length 0.45", "  angle deg", ":root",
            "  order TX TY TZ RX RY RZ", "  axis XYZ", "  position 0 0 0", "  orientation 0 0 0",
            ":bonedata"]  # fmt: skip
    return "\n".join([*head, *data, ":hierarchy", "  begin", *tree, "  end", ""])


def amc(n: int) -> str:
    lines = ["#!OML:ASF", ":FULLY-SPECIFIED", ":DEGREES"]
    for i in range(n):
        swing = 25 * np.sin(2 * np.pi * i / 120)
        lines += [str(i + 1), f"root {0.1 * i / 120 / METERS:.5f} {0.95 / METERS:.5f} 0 0 0 0"]
        for name, (*_, dof) in BONES.items():
            sign = 1 if name.startswith("l") else -1
            angles = {"lfemur": sign * swing, "rfemur": sign * swing, "ltibia": 20, "rtibia": 20}
            numbers = [f"{angles.get(name, 0.0):.4f}", "0", "0"][: len(dof.split())]
            lines += [f"{name} {' '.join(numbers)}"] * bool(numbers)
    return "\n".join([*lines, ""])


@pytest.fixture
def database(tmp_path: Path) -> Path:
    folder = tmp_path / "all_asfamc" / "subjects"
    for subject, names in (("01", ("01_01", "01_02")), ("64", ("64_26",)), ("999", ("999_01",))):
        (folder / subject).mkdir(parents=True)
        (folder / subject / f"{subject}.asf").write_text(asf())
        for name in names:
            (folder / subject / f"{name}.amc").write_text(amc(2748 if name == "01_01" else 300))
    return tmp_path / "all_asfamc"


def test_the_database_becomes_a_shard_on_the_subjects_own_skeletons(
    database: Path, tmp_path: Path
) -> None:
    out = tmp_path / "cmu.npz"
    told = CliRunner().invoke(main, ["data", "cmu", str(database), "-o", str(out)])
    assert told.exit_code == 0, told.output
    assert "NSF EIA-0196217" in told.output
    assert f"{len(trials()) - 3} of {len(trials())} trials are not in" in told.output
    motion, test = load_motion(out), load_motion(out, "test")
    assert motion.names == ("cmu_001_01__own", "cmu_001_02__own")
    assert motion.subjects == ("cmu001", "cmu001")
    assert (test.names, test.subjects) == (("cmu_064_26__own",), ("cmu064",))
    (first, *_) = read_shard(out).clips()
    assert first.replaced == ("cmu_001_01__cc",)
    assert motion.actions[0] == "playground"
    # Bones are the skeleton's, the rate is 50 Hz, people stand, look ahead and bend their knees.
    x = motion.clip(0).numpy()
    assert measured_limbs(x) == pytest.approx(limb_lengths()["cmu001"], abs=1e-3)
    assert len(x) == 1145
    assert 0.7 < x[:, 0, 2].mean() < 1.1
    assert x[:, 10, 2].min() > 1.4
    ahead = np.cross(x[:, 4] - x[:, 1], [0, 0, 1.0])
    knee = x[:, 2] - (x[:, 1] + x[:, 3]) / 2
    assert ((knee * ahead).sum(-1) > 0).mean() > 0.9
    # 64_26 was given the skeleton of 01 and another length, which is noticed; 01_01 is as listed.
    doubts = [line for line in told.output.splitlines() if line.startswith("doubt")]
    assert any("64_26.amc" in line and "another subject" in line for line in doubts)
    assert any("01_02.amc" in line and "125 frames, listed 1811" in line for line in doubts)
    assert not any("01_01.amc" in line for line in doubts)


def test_a_damaged_trial_is_reported_and_the_others_go_on(database: Path, tmp_path: Path) -> None:
    (database / "subjects/01/01_02.amc").write_text(amc(50).replace("lfemur", "lfemur nan", 1))
    (database / "subjects/64/64.asf").unlink()
    out = tmp_path / "cmu.npz"
    told = CliRunner().invoke(main, ["data", "cmu", str(database), "-o", str(out)])
    assert told.exit_code == 1, told.output
    assert "2 files failed" in told.output
    assert "64.asf" in told.output
    assert load_motion(out).names == ("cmu_001_01__own",)
    (tmp_path / "none").mkdir()
    with pytest.raises(FormatError, match=r"allasfamc\.zip"):
        find_trials(tmp_path / "none")


def test_the_list_agrees_with_itself() -> None:
    known = trials()
    assert len(known) == 443
    split_of: dict[str, set[str]] = {}
    for trial in known.values():
        split_of.setdefault(trial.subject, set()).add(trial.split)
    assert all(len(splits) == 1 for splits in split_of.values())
    assert split_of["cmu064"] == split_of["cmu091"] == {"test"}
    assert split_of["cmu115"] == split_of["cmu131"] == {"val"}
    listed = {t.subject for t in known.values() if t.frames}
    assert listed == set(limb_lengths())
    thigh, shin, upper_arm, forearm = np.array(list(limb_lengths().values())).T
    # As the data card has them, weighted by subject.
    assert (thigh.mean(), shin.mean()) == pytest.approx((0.403, 0.433), abs=2e-3)
    assert (upper_arm.mean(), forearm.mean()) == pytest.approx((0.290, 0.280), abs=4e-3)


@pytest.mark.shared
def test_the_list_agrees_with_the_shard(shared: Path) -> None:
    shard = read_shard(shared / "data/motion/cmu_own_bodies.npz")
    frames: dict[str, list[int]] = {}
    replaced: dict[str, set[str]] = {}
    for clip in shard.clips():
        number = clip.name.removeprefix("cmu_").split("__")[0]
        frames.setdefault(number, []).append(len(clip.joints))
        replaced.setdefault(number, set()).update(clip.replaced)
        assert trials()[number].split == clip.split
        assert trials()[number].subject == clip.subject
    for number, trial in trials().items():
        assert trial.frames == tuple(frames.get(number, ()))
        assert number not in frames or set(trial.replaces) == replaced[number]
    views = load_benchmark("people-clean").views
    assert {view.clip.split("__")[0].removeprefix("cmu_") for view in views} <= set(trials())
