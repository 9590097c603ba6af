"""Nine released layouts, told apart without being named; broken and hostile files refused."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file
from torch import Tensor

from hypopose.cli import main
from hypopose.diffusion import cosine_schedule
from hypopose.errors import CheckpointError
from hypopose.networks import PMCE, load_network
from hypopose.networks.checkpoint_conversion import ANY_ENTRY, LAYOUTS, schedule_buffers
from hypopose.networks.checkpoint_detection import SIGNATURES, detect_layout
from hypopose.networks.unpickle import RefusedCheckpointError, extract

GOLDEN = Path(__file__).parents[1] / "golden"
State = dict[str, Tensor]


def recorded(case: str) -> State:
    state = load_file(GOLDEN / case / "weights.safetensors")
    kept = {k: v for k, v in state.items() if not k.startswith("refine::")}
    return {k.removeprefix("module."): v for k, v in kept.items()}


def parallel(state: State) -> State:
    return {f"module.{k}": v for k, v in state.items()}


def d3dp() -> dict[str, Any]:
    inner = {k.removeprefix("pose_estimator."): v for k, v in recorded("d3dp/denoiser").items()}
    whole = schedule_buffers(cosine_schedule()) | {
        f"pose_estimator.{k}": v for k, v in inner.items()
    }
    return trained("model_pos", whole)


def trained(entry: str, state: State) -> dict[str, Any]:
    return {
        "epoch": 60,
        "lr": np.float64(5e-4),
        "random_state": np.random.RandomState(1),
        "optimizer": {"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{"lr": 1}]},
        entry: parallel(state),
    }


def diffpose(part: str) -> list[Any]:
    state = parallel(recorded(f"diffpose/{part}"))
    averaged = {k: v + 1 for k, v in state.items()}
    return [state, {"state": {}, "param_groups": []}, 80, 12345, averaged]


def pmce() -> State:
    """Random: the recordings hold parts of it only."""
    sizes = {"n_coarse": 6, "n_vertices": 20, "n_faces": 8, "width": 16, "depth": 2}
    network = PMCE(4, **sizes, joint_dim=16, vertex_dim=8, cond_dim=8)
    return {k: v for k, v in network.state_dict().items() if k.startswith("pose_")}


def pmce_template(path: Path) -> Path:
    one = np.eye(20, dtype=np.float32)
    faces = np.arange(24).reshape(8, 3) % 20
    arrays = {"joint_regressor": one[:17], "downsample": one[:6], "faces": faces}
    np.savez(path, vertices=np.random.default_rng(0).normal(size=(20, 3)), **arrays)
    return path


@dataclass(frozen=True)
class Forged:
    """What the file holds, and options its shapes do not tell."""

    make: Callable[[], Any]
    class_name: str
    options: dict[str, Any]


FORGED = {
    "d3dp": Forged(d3dp, "MixSTE2", {}),
    "diffpose": Forged(lambda: diffpose("gcndiff"), "DiffPosePair", {}),
    "gla-gcn": Forged(lambda: trained("model_pos", recorded("gla_gcn/h36m_27")), "GLAGCN", {}),
    "hot": Forged(lambda: recorded("hot/mixste_hot"), "Hourglass", {}),
    "ktpformer": Forged(
        lambda: trained("model_pos", recorded("ktpformer/lifter")), "KTPFormer", {}
    ),
    "motionagformer": Forged(
        lambda: trained("model", recorded("motionagformer/small")),
        "MotionAGFormer",
        {"n_heads": 4},
    ),
    "mpm": Forged(lambda: parallel(recorded("mpm/lift")), "MPMLifter", {}),
    "platypose": Forged(lambda: recorded("platypose/prior"), "MotionPrior", {}),
    "pmce": Forged(lambda: trained("model_state_dict", pmce()), "PMCE", {}),
    "uao": Forged(lambda: recorded("uao/lifter"), "GUMLP", {}),
}


def save(content: Any, path: Path, *, zipped: bool = True) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    return path


def test_every_layout_is_forged_and_has_a_signature() -> None:
    assert set(FORGED) == set(LAYOUTS) == set(SIGNATURES)


@pytest.mark.parametrize("layout", list(FORGED))
def test_layouts_are_told_by_the_names_of_tensors(layout: str, tmp_path: Path) -> None:
    forged = FORGED[layout]
    source = save(forged.make(), tmp_path / "best.bin", zipped=layout != "gla-gcn")
    options = dict(forged.options)
    if layout == "diffpose":
        options["lifter"] = save(diffpose("gcnpose"), tmp_path / "lifter.pth")
    if layout == "pmce":
        options["template"] = pmce_template(tmp_path / "template.npz")
    state = extract(str(source), ANY_ENTRY)
    assert detect_layout(state) == layout
    assert type(LAYOUTS[layout][1](state, **options).network).__name__ == forged.class_name


def test_all_of_hots_networks_are_hots() -> None:
    cases = [f"hot/{n}" for n in ("mixste", "mixste_hot", "mhformer_tpc", "motionbert_hot")]
    assert {detect_layout(recorded(c)) for c in [*cases, "hot/motionagformer_hot"]} == {"hot"}
    assert {detect_layout(recorded(f"mpm/{c}")) for c in ("pretrain", "completion")} == {"mpm"}


def opened(source: Path) -> Any:
    """What the command does with a file, in this process."""
    state = extract(str(source), ANY_ENTRY)
    return LAYOUTS[detect_layout(state)][1](state)


class Payload:
    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (self.command,)


def ktpformer() -> dict[str, Any]:
    return trained("model_pos", recorded("ktpformer/lifter"))


def without_a_tensor() -> dict[str, Any]:
    content = ktpformer()
    del content["model_pos"]["module.head.1.bias"]
    content["model_pos"]["module.stranger"] = torch.zeros(1)
    return content


def misshapen() -> dict[str, Any]:
    content = ktpformer()
    content["model_pos"]["module.head.1.bias"] = torch.zeros(4)
    return content


BROKEN: dict[str, tuple[Callable[[], Any], str]] = {
    "missing and unexpected": (without_a_tensor, r"missing to_pose\.bias; unexpected stranger"),
    "other shape": (misshapen, r"to_pose\.bias is \(4,\), not \(3,\)"),
    "unknown names": (lambda: {"conv1.weight": torch.zeros(2)}, "layout is unknown.*conv1"),
    "no tensors": (lambda: {"model_pos": {"a": "text"}}, "other things than tensors"),
    "empty list": (list, "no dictionary of tensors"),
    "optimizer only": (lambda: {"optimizer": {}, "epoch": 3}, "other things than tensors"),
}


@pytest.mark.parametrize("case", list(BROKEN))
def test_broken_checkpoints_are_refused(case: str, tmp_path: Path) -> None:
    make, says = BROKEN[case]
    source = save(make(), tmp_path / "broken.bin")
    with pytest.raises((CheckpointError, RefusedCheckpointError), match=says):
        opened(source)


@pytest.mark.parametrize("place", ["random_state", "optimizer", "model_pos"])
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_hostile_checkpoints_run_nothing(place: str, zipped: bool, tmp_path: Path) -> None:
    trace = tmp_path / "it-ran"
    content = ktpformer() | {place: Payload(f"touch {trace}")}
    source = save(content, tmp_path / "hostile.bin", zipped=zipped)
    with pytest.raises(RefusedCheckpointError, match="system"):
        opened(source)
    assert not trace.exists()


def test_the_command_refuses_in_one_line(tmp_path: Path) -> None:
    trace = tmp_path / "it-ran"
    content = ktpformer() | {"optimizer": Payload(f"touch {trace}")}
    source = save(content, tmp_path / "hostile.bin")
    done = CliRunner().invoke(main, ["convert", str(source), "-o", str(tmp_path / "weights")])
    assert done.exit_code == 2
    assert "refused" in done.output
    assert done.output.count("\n") == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["hostile.bin"]


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    source = save(ktpformer(), tmp_path / "cut.bin")
    source.write_bytes(source.read_bytes()[:-3000])
    with pytest.raises(RefusedCheckpointError):
        opened(source)


def test_the_command_needs_no_layout(tmp_path: Path) -> None:
    source = save(ktpformer(), tmp_path / "model_243_CPN_best_epoch.bin")
    done = CliRunner().invoke(main, ["convert", str(source), "-o", str(tmp_path / "weights")])
    assert done.exit_code == 0, done.output
    assert "layout ktpformer" in done.output
    provenance = json.loads((tmp_path / "weights" / "provenance.json").read_text())
    assert (provenance["layout"], provenance["source"]) == ("ktpformer", source.name)
    assert len(provenance["sha256"]) == 64
    assert "license" in provenance["license"]
    assert type(load_network(tmp_path / "weights")).__name__ == "KTPFormer"
