from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from hypopose.datasets import example_motion, load_motion
from hypopose.errors import FormatError, OptionError


def write(path: Path, **changes: object) -> Path:
    lengths = np.array([30, 20])
    joints = np.concatenate([example_motion(int(n)).numpy() for n in lengths])
    fields: dict[str, object] = {
        "joints": np.round(joints / 0.00025).astype(np.int16),
        "scale": 0.00025,
        "fps": 25,
        "start": np.array([0, 30]),
        "length": lengths,
        "name": np.array(["a", "b"]),
        "action": np.array(["walk", "stroll"]),
        "split": np.array(["train", "test"]),
    }
    np.savez(path, **{k: v for k, v in {**fields, **changes}.items() if v is not None})
    return path


def test_clips_of_a_split_come_in_meters(tmp_path: Path) -> None:
    shard = write(tmp_path / "walks.npz")
    motion = load_motion(shard, "test")
    assert (motion.n_clips, motion.fps, motion.names) == (1, 25.0, ("b",))
    torch.testing.assert_close(motion.clip(0), example_motion(20), atol=2e-4, rtol=0)
    both = load_motion([shard, write(tmp_path / "more.npz")], "train")
    assert both.shards == ("walks", "more")
    torch.testing.assert_close(both.clip(1), example_motion(30), atol=2e-4, rtol=0)


def test_what_is_no_shard_is_refused(tmp_path: Path) -> None:
    shard = write(tmp_path / "walks.npz")
    with pytest.raises(OptionError, match="train, val, test"):
        load_motion(shard, "dev")
    with pytest.raises(OptionError, match="No 'val' clip"):
        load_motion(shard, "val")
    with pytest.raises(FormatError, match=r"absent\.npz is not a motion shard"):
        load_motion(tmp_path / "absent.npz")
    with pytest.raises(FormatError, match="not a motion shard"):
        load_motion(write(tmp_path / "bad.npz", split=None))
    with pytest.raises(FormatError, match="differ in frame rate"):
        load_motion([shard, write(tmp_path / "fast.npz", fps=50)])
    objects = np.array([{"a": 1}, None], dtype=object)
    with pytest.raises(FormatError, match="not a motion shard"):
        load_motion(write(tmp_path / "pickled.npz", name=objects))


def test_a_clip_that_replaces_others_is_taken_for_them(tmp_path: Path) -> None:
    old = write(tmp_path / "old.npz", split=np.array(["train", "train"]))
    new = write(
        tmp_path / "new.npz",
        name=np.array(["c", "d"]),
        split=np.array(["train", "test"]),
        flags=np.array(["replaces:a|other", "replaces:b"]),
        subject=np.array(["s1", "s2"]),
    )
    motion = load_motion([old, new])
    assert motion.names == ("b", "c")  # of another split, d replaces nothing here
    assert motion.subjects == ("", "s1")
    assert load_motion(old).names == ("a", "b")
    assert load_motion([old, new], exclude=("b*",)).names == ("c",)
    assert load_motion([old, new], subjects=("s1",)).names == ("c",)
    with pytest.raises(OptionError, match="No 'train' clip"):
        load_motion([old, new], exclude=("?",))


nan = float("nan")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"joints": np.zeros((50, 16, 3), np.int16)}, "not numbers"),
        ({"joints": np.full((50, 17, 3), "x")}, "not numbers"),
        ({"joints": np.full((50, 17, 3), nan)}, "not finite"),
        ({"joints": np.full((50, 17, 3), 1e30)}, "not finite"),
        ({"scale": nan}, "scale is not a number"),
        ({"scale": -1.0}, "scale -1"),
        ({"scale": "x"}, "scale is not a number"),
        ({"fps": 0}, "fps 0"),
        ({"fps": np.array([25, 30])}, "fps is not a number"),
        ({"start": np.array([0, 45])}, "reach outside the 50 frames"),
        ({"start": np.array([-5, 30])}, "reach outside"),
        ({"start": np.array([0.5, 30.0])}, "whole numbers"),
        ({"length": np.array([30, 2**40])}, "reach outside"),
        ({"length": np.array([30])}, "reach outside"),
        ({"name": np.array(["a"])}, "name is not a text"),
        ({"name": np.array([1, 2])}, "name is not a text"),
        ({"split": np.array(["train", "dev"])}, "split 'dev'"),
        ({"flags": np.array([1.0, 2.0])}, "flags is not a text"),
    ],
)
def test_damaged_shards_are_refused_by_name(
    tmp_path: Path, changes: dict[str, object], words: str
) -> None:
    shard = write(tmp_path / "bad.npz", **changes)
    with pytest.raises(FormatError, match=rf"bad\.npz is not a motion shard.*{words}"):
        load_motion(shard)


def test_cut_and_empty_archives_are_refused_by_name(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole.npz").read_bytes()
    for data in (b"", b"PK", whole[: len(whole) // 2], whole[:200] + b"?" * 300 + whole[500:]):
        (tmp_path / "bad.npz").write_bytes(data)
        with pytest.raises(FormatError, match=r"bad\.npz is not a motion shard"):
            load_motion(tmp_path / "bad.npz")


def test_the_real_shards_have_the_splits_of_their_card(shared: Path) -> None:
    folder = shared / "data" / "motion"
    files = [folder / "cmu_permissive.npz", folder / "procedural_seated.npz"]
    minutes = {
        split: len(load_motion(files[:1], split).joints) / 50 / 60
        for split in ("train", "val", "test")
    }
    assert minutes == pytest.approx({"train": 28.6, "val": 1.6, "test": 3.5}, abs=0.06)
    train = load_motion(files, "train")
    assert set(train.shards) == {"cmu_permissive", "procedural_seated"}
    assert (train.start[1:] == (train.start + train.length)[:-1]).all()


def test_own_skeletons_drop_the_older_conversions_of_their_trials(shared: Path) -> None:
    folder = shared / "data" / "motion"
    both = load_motion([folder / "cmu_own_bodies.npz", folder / "cmu_permissive.npz"])
    assert "cmu_001_01__own" in both.names
    assert "cmu_001_01__cc" not in both.names
    minutes = [
        sum(int(n) for n, shard in zip(both.length, both.shards, strict=True) if shard == name)
        for name in ("cmu_own_bodies", "cmu_permissive")
    ]
    assert [round(n / 3000, 1) for n in minutes] == [57.7, 17.8]
