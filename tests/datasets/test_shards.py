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
