"""Folders of weights may come from anybody: whatever they hold, one line says what is wrong."""

from __future__ import annotations

import json
import math
import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import hypopose
from hypopose.errors import CheckpointError, OptionError
from hypopose.networks import (
    GLAGCN,
    GUMLP,
    MPM,
    NETWORKS,
    PMCE,
    ClipTokens,
    ConvFormer,
    DiffPosePair,
    FrameTokens,
    GCNdiff,
    GCNpose,
    Hourglass,
    KTPFormer,
    MeshDecoder,
    MHFormer,
    MixSTE2,
    MotionAGFormer,
    MotionBERT,
    MotionPrior,
    MPMLifter,
    PretrainedNetwork,
    RefinedNetwork,
    ScaleTokens,
    load_network,
)

CLIP = {"n_frames": 9, "width": 16, "depth": 2}
GRAPH = {"width": 16, "n_layers": 1}
TOKENS = {"width": 16, "n_layers": 2, "n_heads": 2}
MEMBERS: dict[str, Callable[[], PretrainedNetwork]] = {
    "ClipTokens": lambda: ClipTokens(**TOKENS, n_shared=1),
    "ConvFormer": lambda: ConvFormer(9, width=8, kernels=(3, 5)),
    "DiffPosePair": lambda: DiffPosePair(**GRAPH),
    "FrameTokens": lambda: FrameTokens(**TOKENS),
    "GCNdiff": lambda: GCNdiff(**GRAPH),
    "GCNpose": lambda: GCNpose(**GRAPH),
    "GLAGCN": lambda: GLAGCN((3, 3), width=8),
    "GUMLP": lambda: GUMLP(32, 1),
    "Hourglass": lambda: Hourglass.wrap(MixSTE2(**CLIP, lifter=True), at=1, keep=4),
    "KTPFormer": lambda: KTPFormer(**CLIP),
    "MHFormer": lambda: MHFormer(9, width=16, hidden=16),
    "MPM": lambda: MPM(n_frames=9, width=16, hidden=16, n_layers=1),
    "MeshDecoder": lambda: MeshDecoder(6, 20, 8, width=16, cond_dim=16),
    "MPMLifter": lambda: MPMLifter(strides=(3, 3), width=16, hidden=16, n_layers=1),
    "MixSTE2": lambda: MixSTE2(**CLIP),
    "MotionAGFormer": lambda: MotionAGFormer(9, n_layers=2, width=16, rep_width=8),
    "MotionBERT": lambda: MotionBERT(**CLIP, rep_width=8),
    "MotionPrior": lambda: MotionPrior(width=16, hidden=16, n_layers=1),
    "PMCE": lambda: PMCE(
        4, n_coarse=6, n_vertices=20, n_faces=8, width=16, depth=2, joint_dim=16, cond_dim=16
    ),
    "RefinedNetwork": lambda: RefinedNetwork.wrap(FrameTokens(**TOKENS), width=16),
    "ScaleTokens": lambda: ScaleTokens(**TOKENS),
}
HUGE = 10**12
WRONG: tuple[Any, ...] = ("x", {}, [], [[1]], -7, HUGE, 1e300, math.nan, [HUGE], [1] * 1000)
"""In place of every argument; one of them is right here and there, never all."""


def test_every_network_is_a_member() -> None:
    assert set(MEMBERS) == set(NETWORKS)


@pytest.fixture(scope="module", params=list(MEMBERS))
def folder(request: Any, tmp_path_factory: Any) -> Path:
    path: Path = tmp_path_factory.mktemp(request.param)
    MEMBERS[request.param]().save_pretrained(path)
    return path


def hostile_configs(right: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Each argument wrong in its turn, then sizes that are not those of the tensors."""
    for name, value in right.items():
        if not name.startswith("_"):
            yield from ({**right, name: wrong} for wrong in WRONG)
            if type(value) is int:
                yield from ({**right, name: size} for size in (0, 65536))
    yield {**right, "surplus": 1}
    yield {k: v for k, v in right.items() if k.startswith("_")}
    yield from ({**right, "_class_name": name} for name in ("Oracle", None, 3, ["FrameTokens"]))


def refused(folder: Path) -> str:
    with pytest.raises((CheckpointError, OptionError)) as caught:
        load_network(folder)
    return str(caught.value)


def test_hostile_configs_are_refused_in_a_line_and_without_memory(folder: Path) -> None:
    config = folder / "config.json"
    text = config.read_text()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    n_tried = n_loaded = 0
    for hostile in hostile_configs(json.loads(text)):
        config.write_text(json.dumps(hostile))
        n_tried += 1
        try:
            load_network(folder)
            n_loaded += 1  # "x" is a name, 0 a number of neighbors, ...
        except (CheckpointError, OptionError) as error:
            assert "\n" not in str(error), error  # noqa: PT017
            assert folder.name in str(error), error  # noqa: PT017
    config.write_text(text)
    load_network(folder)
    assert n_tried >= 30
    assert n_loaded < n_tried / 6
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # KiB


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "not a JSON object"),
        (b"[1, 2]", "not a JSON object but a list"),
        (b"\xff\xfe", "not a JSON object"),
        (b'{"a":' * 100_000, "not a JSON object"),
        (b"[" * 100_000 + b"]" * 100_000, "not a JSON object"),
        (b'{"width": ' + b"9" * 10_000 + b"}", "not a JSON object"),
        (b'{"a": "' + b"x" * (2 << 20) + b'"}', "at most"),
    ],
)
@pytest.mark.parametrize("name", ["config.json", "sampler.json"])
def test_files_that_are_no_objects_are_refused(
    name: str, content: bytes, says: str, tmp_path: Path
) -> None:
    FrameTokens(**TOKENS).save_pretrained(tmp_path)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=says) as caught:
        hypopose.make_sampler("d3dp", weights=tmp_path)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        {"sampler": 3}, {"sampler": ["d3dp"]}, {"sampler": "d3dp", "eta": "all"},
        {"n_steps": 0}, {"n_steps": HUGE}, {"n_steps": 1.5}, {"n_timesteps": HUGE},
        {"eta": math.nan}, {"eta": -1.0}, {"eta": 1e300}, {"scale": 0.0}, {"scale": "wide"},
        {"clamp": math.inf}, {"clamp": [1]}, {"flip": "yes"}, {"mirror": 1}, {"chunk": -1},
        {"overlap": HUGE}, {"window": 0}, {"window": "long"}, {"precision": "float8"},
        {"scheduler": "euler"}, {"scheduler": None}, {"turning": {"a": 1}}, {"unknown": 1},
        {"fill_missing": True}, {"network": "x"}, {"skeleton": "h36m17"},
    ],
)  # fmt: skip
def test_hostile_recommendations_are_refused(options: dict[str, Any], tmp_path: Path) -> None:
    FrameTokens(**TOKENS).save_pretrained(tmp_path)
    (tmp_path / "sampler.json").write_text(json.dumps({"sampler": "d3dp", **options}))
    with pytest.raises((CheckpointError, OptionError)) as caught:
        hypopose.make_sampler("d3dp", weights=tmp_path)
    assert "sampler.json" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_flipped_bit_is_noticed(tmp_path: Path) -> None:
    FrameTokens(**TOKENS).save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    right = path.read_bytes()
    at = torch.randint(len(right) * 8, (40,), generator=torch.Generator().manual_seed(0))
    for bit in at.tolist():
        wrong = bytearray(right)
        wrong[bit // 8] ^= 1 << bit % 8
        path.write_bytes(wrong)
        assert "model.safetensors" in refused(tmp_path)
    path.write_bytes(right[:-1])
    assert "model.safetensors" in refused(tmp_path)


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_tensors_are_finite_even_without_a_hash(wrong: float, tmp_path: Path) -> None:
    network = FrameTokens(**TOKENS)
    network.save_pretrained(tmp_path)
    network.save_config(tmp_path)  # without hashes, as earlier versions wrote it
    state = load_file(tmp_path / "model.safetensors")
    state["to_pose.bias"][3] = wrong
    save_file(state, tmp_path / "model.safetensors")
    assert "to_pose.bias holds NaN or infinity" in refused(tmp_path)


def test_bundled_weights_are_sealed() -> None:
    for path in Path(hypopose.__file__).parent.glob("weights/*/config.json"):
        hashes = json.loads(path.read_text())["_sha256"]
        assert set(hashes) == {p.name for p in path.parent.glob("*.safetensors")}


def test_bases_are_plain_names(tmp_path: Path) -> None:
    ScaleTokens(**TOKENS, base=None).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    for base in ("../..", "/etc", "a/b", "..", "absent"):
        (tmp_path / "config.json").write_text(json.dumps({**config, "base": base}))
        assert "config.json" in refused(tmp_path)
