"""Official checkpoints become folders of weights; what is unsafe or unfit is refused, unrun."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from hypopose.cli.convert import convert as command
from hypopose.diffusion import cosine_schedule
from hypopose.errors import CheckpointError
from hypopose.networks.checkpoint_conversion import (
    convert_checkpoint,
    d3dp_from_official,
    read_checkpoint,
    schedule_buffers,
)
from hypopose.networks.mixste import MixSTE2, name_from_official
from hypopose.networks.unpickle import RefusedCheckpointError, extract, main

NAMES = [
    ("embed.", "Spatial_patch_to_embedding."),
    ("joint_position", "Spatial_pos_embed"),
    ("frame_position", "Temporal_pos_embed"),
    ("time_in.", "time_mlp.1."),
    ("time_out.", "time_mlp.3."),
    ("spatial.", "STEblocks."),
    ("temporal.", "TTEblocks."),
    ("spatial_norm.", "Spatial_norm."),
    ("temporal_norm.", "Temporal_norm."),
    ("norm.", "head.0."),
    ("to_pose.", "head.1."),
]
INNER = [
    (".norm_attention.", ".norm1."),
    (".qkv.", ".attn.qkv."),
    (".out.", ".attn.proj."),
    (".norm_mlp.", ".norm2."),
    (".up.", ".mlp.fc1."),
    (".down.", ".mlp.fc2."),
]


def official_name(name: str) -> str:
    for ours, theirs in INNER:
        name = name.replace(ours, theirs)
    return next(theirs + name.removeprefix(o) for o, theirs in NAMES if name.startswith(o))


@pytest.fixture
def network() -> MixSTE2:
    torch.manual_seed(5)
    return MixSTE2(n_frames=3, width=16, depth=2, mlp_ratio=2.0).eval()


@pytest.fixture
def forged(network: MixSTE2) -> dict[str, Any]:
    """A checkpoint wrapped as the released ones: prefixes, buffers, a RandomState, an optimizer."""
    state = {f"module.{k}": v for k, v in schedule_buffers(cosine_schedule()).items()}
    for name, x in network.state_dict().items():
        state[f"module.pose_estimator.{official_name(name)}"] = x
    return {
        "epoch": 80,
        "lr": np.float64(6e-5),
        "random_state": np.random.RandomState(1),
        "optimizer": {"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{"lr": 6e-5}]},
        "model_pos": state,
    }


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_a_released_checkpoint_becomes_a_folder(
    network: MixSTE2, forged: dict[str, Any], tmp_path: Path, zipped: bool
) -> None:
    source = tmp_path / "h36m_best_epoch.bin"
    torch.save(forged, source, _use_new_zipfile_serialization=zipped)
    done = CliRunner().invoke(command, [str(source), "-o", str(tmp_path / "weights")])
    assert done.exit_code == 0, done.output
    folder = tmp_path / "weights"
    loaded = MixSTE2.from_pretrained(folder)
    x_t, xy, t = torch.randn(1, 2, 3, 17, 3), torch.randn(1, 3, 17, 2), torch.tensor([7.0])
    assert torch.equal(loaded(x_t, xy, t), network(x_t, xy, t))
    sampler = json.loads((folder / "sampler.json").read_text())
    assert sampler["sampler"] == "d3dp"
    assert sampler["n_timesteps"] == 1000
    provenance = json.loads((folder / "provenance.json").read_text())
    assert provenance["source"] == source.name
    assert len(provenance["sha256"]) == 64
    assert sorted(p.name for p in tmp_path.iterdir()) == [source.name, "weights"]


def test_names_go_there_and_back(network: MixSTE2) -> None:
    for name in network.state_dict():
        assert name_from_official(official_name(name)) == name


class Payload:
    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (self.command,)


@pytest.mark.parametrize(
    ("zipped", "place"), [(True, "random_state"), (False, "random_state"), (True, "model_pos")]
)
def test_a_hostile_checkpoint_is_refused_without_running(
    forged: dict[str, Any], tmp_path: Path, zipped: bool, place: str
) -> None:
    trace = tmp_path / "it-ran"
    forged[place] = Payload(f"touch {trace}")
    source = tmp_path / "hostile.bin"
    torch.save(forged, source, _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match=r"refused.*system"):
        convert_checkpoint(source, tmp_path / "weights")
    assert not trace.exists()
    assert not (tmp_path / "weights").exists()


def test_a_plain_pickle_with_a_payload_is_refused_without_running(tmp_path: Path) -> None:
    trace, source = tmp_path / "it-ran", tmp_path / "plain.bin"
    source.write_bytes(pickle.dumps(Payload(f"touch {trace}")))
    with pytest.raises(CheckpointError, match="refused"):
        read_checkpoint(source, "model_pos")
    assert not trace.exists()


@pytest.mark.parametrize("content", [b"", b"not a checkpoint at all", b"PK\x03\x04 broken"])
def test_damaged_files_are_refused(tmp_path: Path, content: bytes) -> None:
    source = tmp_path / "damaged.bin"
    source.write_bytes(content)
    with pytest.raises(RefusedCheckpointError):
        extract(str(source), "model_pos")


def test_absent_files_slow_files_and_taken_folders_are_errors(
    forged: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match="not a file"):
        read_checkpoint(tmp_path / "nowhere.bin", "model_pos")
    source = tmp_path / "h36m.bin"
    torch.save(forged, source)
    with pytest.raises(CheckpointError, match="not read within"):
        read_checkpoint(source, "model_pos", timeout_s=0.01)
    with pytest.raises(CheckpointError, match="exists already"):
        convert_checkpoint(source, tmp_path)
    with pytest.raises(CheckpointError, match="layout='other'"):
        convert_checkpoint(source, tmp_path / "weights", layout="other")


@pytest.mark.parametrize(
    "holds", [[1, 2], {"model_pos": {"a": 1}}, {"model_pos": {}}, {"model_pos": [1]}]
)
def test_files_that_hold_no_tensors_by_name_are_refused(tmp_path: Path, holds: Any) -> None:
    source = tmp_path / "odd.bin"
    torch.save(holds, source)
    with pytest.raises(RefusedCheckpointError, match="it"):
        extract(str(source), "model_pos")
    assert main(str(source), str(tmp_path / "out"), "model_pos") == 3
    assert not (tmp_path / "out").exists()


def test_missing_unexpected_and_misshapen_tensors_are_listed(forged: dict[str, Any]) -> None:
    state = forged["model_pos"]
    del state["module.pose_estimator.STEblocks.1.attn.qkv.bias"]
    state["module.pose_estimator.extra"] = torch.zeros(1)
    state["module.pose_estimator.head.1.bias"] = torch.zeros(4)
    with pytest.raises(CheckpointError) as caught:
        d3dp_from_official(state)
    for part in (
        "missing spatial.1.qkv.bias",
        "unexpected extra",
        "to_pose.bias is (4,), not (3,)",
    ):
        assert part in str(caught.value)


def test_another_schedule_is_refused(forged: dict[str, Any]) -> None:
    state = forged["model_pos"]
    state["module.alphas_cumprod"] = state["module.alphas_cumprod"] * 0.9
    del state["module.posterior_variance"]
    with pytest.raises(
        CheckpointError, match=r"missing posterior_variance; alphas_cumprod differs"
    ):
        d3dp_from_official(state)


def test_models_of_another_kind_are_refused(forged: dict[str, Any]) -> None:
    state = forged["model_pos"]
    with pytest.raises(CheckpointError, match="no betas"):
        d3dp_from_official({"weight": torch.zeros(2)})
    del state["module.pose_estimator.Temporal_pos_embed"]
    with pytest.raises(CheckpointError, match="no Temporal_pos_embed"):
        d3dp_from_official(state)


def test_the_skeletons_are_what_the_caller_says(forged: dict[str, Any]) -> None:
    info = d3dp_from_official(forged["model_pos"], keypoint_skeleton="coco17").network.info
    assert (info.keypoint_skeleton, info.skeleton) == ("coco17", "h36m17")
