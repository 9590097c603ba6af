"""Checkpoints wrapped as they were released become folders; wrong ones are refused by name."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file
from torch import Tensor

from hypopose.cli.convert import convert as command
from hypopose.errors import CheckpointError, OptionError
from hypopose.networks import GLAGCN, KTPFormer, MotionAGFormer, load_network
from hypopose.networks.checkpoint_conversion import LAYOUTS, convert_checkpoint
from hypopose.networks.layouts import gla_gcn_from_official, hot_from_official, mpm_from_official
from hypopose.networks.unpickle import extract

GOLDEN = Path(__file__).parents[1] / "golden"


@dataclass(frozen=True)
class Release:
    """How a repository wraps what it saves; the tensors are a recorded case's."""

    case: str
    layout: str
    entry: str | None
    prefix: str
    class_name: str
    options: tuple[str, ...] = ()

    def state(self) -> dict[str, Tensor]:
        recorded = load_file(GOLDEN / self.case / "weights.safetensors")
        kept = {k: v for k, v in recorded.items() if not k.startswith("refine::")}
        return {self.prefix + k.removeprefix("module."): v for k, v in kept.items()}

    def wrapped(self) -> dict[str, Any]:
        if self.entry is None:
            return self.state()
        return {
            "epoch": 60,
            "lr": np.float64(5e-4),
            "random_state": np.random.RandomState(1),
            "optimizer": {"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{"lr": 1}]},
            "min_mpjpe": 38.4,
            "wandb_id": None,
            self.entry: self.state(),
        }


RELEASES = [
    Release("ktpformer/lifter", "ktpformer", "model_pos", "module.", "KTPFormer"),
    Release(
        "motionagformer/small", "motionagformer", "model", "module.", "MotionAGFormer",
        ("--n-heads", "4"),
    ),
    Release("gla_gcn/h36m_27", "gla-gcn", "model_pos", "module.", "GLAGCN"),
    Release("gla_gcn/humaneva15_9", "gla-gcn", "model_pos", "module.", "GLAGCN"),
    Release("mpm/pretrain", "mpm", None, "module.", "MPM"),
    Release("mpm/completion", "mpm", None, "module.", "MPM"),
    Release("mpm/lift", "mpm", None, "module.", "MPMLifter"),
    Release("hot/mixste", "hot", None, "", "MixSTE2"),
    Release("hot/mixste_hot", "hot", None, "", "Hourglass"),
    Release("hot/mhformer_tpc", "hot", None, "", "Hourglass"),
    Release("hot/motionagformer_hot", "hot", None, "", "Hourglass"),
    Release("hot/motionbert_hot", "hot", None, "", "Hourglass"),
]  # fmt: skip
IDS = [release.case for release in RELEASES]


def check_tensors(network: Any, release: Release) -> None:
    """Every official number is in the network, but for norms MPM never uses."""
    assert type(network).__name__ == release.class_name
    official = {k: x for k, x in release.state().items() if ".model.norm." not in k}
    sums = [
        sum(x.double().sum().item() for x in state.values() if x.is_floating_point())
        for state in (official, network.state_dict())
    ]
    assert sums[0] == pytest.approx(sums[1], rel=1e-9)


@pytest.mark.parametrize("release", RELEASES, ids=IDS)
def test_released_checkpoints_fill_networks(release: Release, tmp_path: Path) -> None:
    source = tmp_path / "best.bin"
    zipped = release.prefix == ""  # older torch wrote the others
    torch.save(release.wrapped(), source, _use_new_zipfile_serialization=zipped)
    entry, build = LAYOUTS[release.layout]
    options = {"n_heads": 4} if release.options else {}
    check_tensors(build(extract(str(source), entry), **options).network, release)


@torch.no_grad()
def test_gla_gcn_for_coco_keypoints_forms_the_joints_itself() -> None:
    release = RELEASES[IDS.index("gla_gcn/humaneva15_9")]
    state = release.state()
    stored = {k: x for k, x in state.items() if "data_bn" not in k}
    stored["module.data_bn.weight"] = torch.ones(34)  # there, and never applied
    network = gla_gcn_from_official(stored, keypoint_skeleton="coco17")
    info = network.info
    assert (info.keypoint_skeleton, info.skeleton) == ("coco17", "humaneva15")

    plain = gla_gcn_from_official(state)
    norm = plain.data_bn
    norm.reset_parameters()
    norm.eps = 0.0
    graph, mended = (
        n.get_submodule("expand_gcn.gcn1").get_buffer("fixed") for n in (plain, network)
    )
    lost = torch.zeros(15, 15, dtype=torch.bool)
    lost[5, 1] = lost[8, 0] = True  # a shoulder and a hip hang on nothing
    assert ((graph[1] > 0) & (mended[1] == 0)).equal(lost)
    graph.copy_(mended)  # all layers share it
    xy = torch.randn(2, info.n_frames, 17, 2)
    middle = lambda a, b: (xy[..., a, :] + xy[..., b, :]) / 2  # noqa: E731
    limbs = [5, 7, 9, 6, 8, 10, 11, 13, 15, 12, 14, 16, 0]
    joints = torch.cat([torch.stack([middle(11, 12), middle(5, 6)], -2), xy[..., limbs, :]], -2)
    assert torch.allclose(network(None, xy), plain(None, joints), atol=1e-5)


def test_gla_gcn_refuses_other_pairs_of_skeletons() -> None:
    with pytest.raises(OptionError, match="or coco17 for humaneva15"):
        GLAGCN((3,), width=8, keypoint_skeleton="coco17")


@pytest.mark.parametrize("case", ["motionagformer/small", "hot/mixste_hot"])
def test_the_command_writes_folders_with_their_provenance(case: str, tmp_path: Path) -> None:
    release = RELEASES[IDS.index(case)]
    source, folder = tmp_path / "best.bin", tmp_path / "weights"
    torch.save(release.wrapped(), source)
    options = ["--from", release.layout, "-o", str(folder), *release.options]
    done = CliRunner().invoke(command, [str(source), *options])
    assert done.exit_code == 0, done.output
    check_tensors(load_network(folder), release)
    provenance = json.loads((folder / "provenance.json").read_text())
    assert (provenance["layout"], provenance["source"]) == (release.layout, "best.bin")
    assert len(provenance["sha256"]) == 64


def test_every_layout_of_a_lifter_is_tried() -> None:
    others = {"d3dp", "diffpose", "platypose", "pmce", "uao"}
    assert {r.layout for r in RELEASES} == set(LAYOUTS) - others


class Payload:
    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (self.command,)


def test_hostile_files_are_refused_without_running(tmp_path: Path) -> None:
    release = RELEASES[IDS.index("hot/mixste_hot")]
    trace, source = tmp_path / "it-ran", tmp_path / "hostile.pth"
    torch.save({**release.wrapped(), "extra": Payload(f"touch {trace}")}, source)
    with pytest.raises(CheckpointError, match=r"refused.*system"):
        convert_checkpoint(source, tmp_path / "weights", layout="hot")
    assert not trace.exists()
    assert not (tmp_path / "weights").exists()


@pytest.mark.parametrize("release", RELEASES, ids=IDS)
def test_missing_and_unexpected_tensors_are_listed(release: Release) -> None:
    build = LAYOUTS[release.layout][1]
    state = release.state()
    name = next(k for k in reversed(state) if k.endswith(".bias"))
    del state[name]
    state["stranger"] = torch.zeros(1)
    with pytest.raises(CheckpointError, match=r"missing .*unexpected .*stranger"):
        build(state)


@pytest.mark.parametrize("release", RELEASES, ids=IDS)
def test_other_layouts_refuse(release: Release) -> None:
    for layout, (_, build) in LAYOUTS.items():
        if layout != release.layout:
            with pytest.raises(CheckpointError):
                build(release.state())


def test_options_a_layout_does_not_have_are_errors() -> None:
    with pytest.raises(OptionError, match="no option 'n_heads'"):
        LAYOUTS["mpm"][1](RELEASES[4].state(), n_heads=4)


def test_what_files_do_not_tell_is_an_argument() -> None:
    state = RELEASES[IDS.index("hot/mixste")].state()
    network = hot_from_official(state, at=2, keep=5)
    assert network.config["recover"] == "none"
    assert network.info.sequence_to_one
    lifter = RELEASES[IDS.index("mpm/lift")].state()
    assert mpm_from_official(lifter, strides=[3, 9, 1]).info.n_frames == 27
    nine = "shared_layers_temporal.pos_embedding"
    lifter = {k.removeprefix("module."): v for k, v in lifter.items()}
    lifter[nine] = lifter[nine][:, :11]
    with pytest.raises(CheckpointError, match="give strides"):
        mpm_from_official(lifter)


@pytest.mark.parametrize("name", ["ktpformer", "motionagformer"])
def test_denoisers_sample_from_the_command_line(name: str, tmp_path: Path) -> None:
    from hypopose.cli import main

    torch.manual_seed(0)
    if name == "ktpformer":
        network: Any = KTPFormer(n_frames=9, width=16, depth=1)
    else:
        network = MotionAGFormer(
            None, n_layers=1, width=16, rep_width=8, graph_norm="layer", lifter=False, max_frames=9
        )
    network.save_pretrained(tmp_path / "weights")
    xy = np.random.default_rng(0).uniform(200, 800, (12, 17, 2))
    np.save(tmp_path / "walk.npy", xy)
    out = tmp_path / "walk.npz"
    arguments = [
        "sample", str(tmp_path / "walk.npy"), "-o", str(out), "--skeleton", "h36m17",
        "--weights", str(tmp_path / "weights"), "--n-hypotheses", "2", "--n-steps", "2",
        "--image-size", "1000", "1000",
    ]  # fmt: skip
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    from hypopose.io import load_hypotheses

    joints = load_hypotheses(out).hypotheses.joints
    assert joints.shape == (2, 12, 17, 3)
    assert joints.isfinite().all()
