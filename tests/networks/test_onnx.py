"""ONNX files agree with torch, for every network and in sizes they were not traced with."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch import nn

from hypopose.cli import main
from hypopose.datasets import example_pair
from hypopose.diffusion import seeded_noise
from hypopose.errors import BackendError, OptionError
from hypopose.networks import (
    GLAGCN,
    GUMLP,
    MPM,
    NETWORKS,
    ClipTokens,
    ConvFormer,
    DiffPosePair,
    FrameTokens,
    GCNdiff,
    GCNpose,
    Hourglass,
    KTPFormer,
    MHFormer,
    MixSTE2,
    MotionAGFormer,
    MotionBERT,
    MotionPrior,
    MPMLifter,
    PretrainedNetwork,
    RefinedNetwork,
    ScaleTokens,
    encode,
    load_network,
)
from hypopose.networks import onnx as module
from hypopose.networks.onnx import UNSUPPORTED, export_onnx, forms
from hypopose.samplers import D3DP
from hypopose.skeletons import H36M17
from hypopose.types import Keypoints2D


def needs_onnx(test: Callable[..., None]) -> Callable[..., None]:
    return pytest.mark.onnx(pytest.mark.usefixtures("onnx_extra")(test))


SMALL = {"n_frames": 9, "width": 16, "depth": 1}
FRAMES = {"width": 16, "n_layers": 1, "n_heads": 2}
AG = {"n_frames": 9, "n_layers": 1, "width": 16, "rep_width": 8}
ANY = {**AG, "n_frames": None, "graph_norm": "layer", "lifter": False}
STRIDED = {"strides": (3,), "width": 16, "hidden": 16, "n_layers": 1}
CUT: dict[str, Any] = {"at": 1, "keep": 4, "select": "keypoints", "skip": True}

ONE_EACH: dict[str, Callable[[], PretrainedNetwork]] = {
    "ConvFormer": lambda: ConvFormer(9, width=8, n_spatial=1, n_temporal=1, kernels=(3,)),
    "DiffPosePair": lambda: DiffPosePair(width=16, n_layers=1),
    "FrameTokens": lambda: FrameTokens(**FRAMES, n_latent=12),
    "GCNdiff": lambda: GCNdiff(width=16, n_layers=1),
    "GCNpose": lambda: GCNpose(width=16, n_layers=1),
    "GLAGCN": lambda: GLAGCN((3,), width=8),
    "GUMLP": lambda: GUMLP(32, 1),
    "Hourglass": lambda: Hourglass.wrap(FrameTokens(**{**FRAMES, "n_layers": 2}), **CUT),
    "KTPFormer": lambda: KTPFormer(**SMALL),
    "MHFormer": lambda: MHFormer(9, width=16, hidden=16),
    "MPM": lambda: MPM(9, width=16, hidden=16, n_layers=1),
    "MPMLifter": lambda: MPMLifter(**STRIDED),
    "MixSTE2": lambda: MixSTE2(**SMALL),
    "MotionAGFormer": lambda: MotionAGFormer(**ANY),
    "MotionBERT": lambda: MotionBERT(**SMALL, rep_width=8),
    "MotionPrior": lambda: MotionPrior(width=16, hidden=16, n_layers=1),
    "RefinedNetwork": lambda: RefinedNetwork.wrap(FrameTokens(**FRAMES), width=8),
    "ScaleTokens": lambda: ScaleTokens(**FRAMES),
}
TWO: dict[str, Any] = {**SMALL, "depth": 2}
OTHERS: dict[str, Callable[[], PretrainedNetwork]] = {
    "frame-tokens-shared": lambda: FrameTokens(
        **{**FRAMES, "n_layers": 2}, n_latent=12, n_shared=1
    ),
    "frame-tokens-on-rays": lambda: FrameTokens(
        **{**FRAMES, "n_layers": 2}, n_latent=12, n_shared=1, on_rays=True
    ),
    "mixste2-lifter": lambda: MixSTE2(**SMALL, lifter=True),
    "ktpformer-lifter": lambda: KTPFormer(**SMALL, lifter=True),
    "motionagformer-lifter": lambda: MotionAGFormer(**AG),
    "motionagformer-convolutions": lambda: MotionAGFormer(**AG, convolutions=True),
    "convformer-sequence": lambda: ConvFormer(9, width=8, sequence=True),
    "mpm-sequence": lambda: MPMLifter(**STRIDED, output="sequence"),
    "hot-interpolated": lambda: Hourglass.wrap(
        FrameTokens(**{**FRAMES, "n_layers": 2}), **CUT, recover="interpolate"
    ),
    "hot-shared": lambda: Hourglass.wrap(
        FrameTokens(**{**FRAMES, "n_layers": 3}, n_shared=2), **CUT
    ),
    "hot-mixste2": lambda: Hourglass.wrap(MixSTE2(**TWO), **CUT),
    "hot-mixste2-lifter": lambda: Hourglass.wrap(MixSTE2(**TWO, lifter=True), at=1, keep=4),
    "hot-ktpformer": lambda: Hourglass.wrap(KTPFormer(**TWO), **CUT),
    "hot-motionagformer": lambda: Hourglass.wrap(MotionAGFormer(**{**ANY, "n_layers": 2}), **CUT),
    "hot-motionbert": lambda: Hourglass.wrap(MotionBERT(**TWO, rep_width=8), at=1, keep=4),
    "tpc-mhformer": lambda: Hourglass.wrap(
        MHFormer(9, width=16, hidden=16), at=1, keep=4, recover="none"
    ),
}
CASES = [(name, make, None) for name, make in ONE_EACH.items()]
MORE = [(name, make, None) for name, make in OTHERS.items()]
MORE += [(name, ONE_EACH[name], "lifter") for name in ("FrameTokens", "Hourglass")]
MORE += [("DiffPosePair", ONE_EACH["DiffPosePair"], "denoiser")]


def random_network(make: Callable[[], PretrainedNetwork]) -> PretrainedNetwork:
    """No parameter at a value that hides what it does."""
    torch.manual_seed(0)
    network = make()
    for parameter in network.parameters():
        if parameter.unique().numel() == 1:
            nn.init.normal_(parameter, 0.5, 0.1)
    return network.eval()


def check(make: Callable[[], PretrainedNetwork], form: Any, folder: Path) -> None:
    runtime = importlib.import_module("onnxruntime")
    network = random_network(make)
    done = export_onnx(network, folder / "network.onnx", form=form)
    assert done.form == (form or forms(network)[0])
    assert done.difference < 1e-5
    assert [path.name for path in folder.iterdir()] == ["network.onnx"]
    session = runtime.InferenceSession(str(done.path))
    axes = {value.name: value.shape for value in session.get_inputs()}
    assert axes == {name: list(named) for name, named in done.inputs.items()}
    frames = {named[-3] for name, named in axes.items() if name == "keypoints"}
    if frames:
        assert frames == {network.info.n_frames or "frames"}


def test_every_network_is_exported() -> None:
    assert set(ONE_EACH) | set(UNSUPPORTED) == set(NETWORKS)
    assert not set(ONE_EACH) & set(UNSUPPORTED)


@needs_onnx
def test_networks_that_are_not_exported_say_so(tmp_path: Path) -> None:
    network = ClipTokens(width=16, n_layers=2, n_heads=2)
    with pytest.raises(BackendError, match="ClipTokens cannot be written as ONNX"):
        export_onnx(network, tmp_path / "clip.onnx")
    assert not (tmp_path / "clip.onnx").exists()


@needs_onnx
@pytest.mark.parametrize(("name", "make", "form"), CASES, ids=[name for name, *_ in CASES])
def test_files_agree_with_torch(name: str, make: Any, form: Any, tmp_path: Path) -> None:
    check(make, form, tmp_path)


@needs_onnx
@pytest.mark.slow
@pytest.mark.parametrize(("name", "make", "form"), MORE, ids=[f"{n}-{f}" for n, _, f in MORE])
def test_other_forms_agree_with_torch(name: str, make: Any, form: Any, tmp_path: Path) -> None:
    check(make, form, tmp_path)


def _difference_of_a_person(network: PretrainedNetwork, path: Path) -> float:
    """How far the file is from torch on keypoints of somebody who walks."""
    session = importlib.import_module("onnxruntime").InferenceSession(str(path))
    keypoints, _ = example_pair()
    seen = encode(keypoints, network.info.inputs)
    given = {
        "x_t": torch.zeros(1, 5, keypoints.n_frames, 17 + network.info.n_latent // 3, 3),
        "keypoints": seen.xy[None],
        "t": torch.full((1,), 999.0),
        "confidence": seen.confidence[None],
        "mask": torch.ones(1, keypoints.n_frames, dtype=torch.bool),
        "context": seen.context[None],
    }
    given["x_t"][..., 17:, :].normal_(generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        wanted = network.eval()(**given)
    found = session.run(["x0"], {k: v.contiguous().numpy() for k, v in given.items()})[0]
    return float((torch.from_numpy(found) - wanted).abs().max())


@needs_onnx
@pytest.mark.slow
@pytest.mark.parametrize(
    ("weights", "form"),
    [
        ("d3dp-frame-small", "denoiser"),
        ("diffpose-frame-small", "denoiser"),
        ("distributional-frame-small", "denoiser"),
        ("lifter-frame-small", "lifter"),
        ("platypose-prior-small", "prior"),
    ],
)
def test_the_box_is_exported(weights: str, form: str, tmp_path: Path) -> None:
    onnx = importlib.import_module("onnx")
    done = export_onnx(weights, tmp_path / "box.onnx")
    # Of random numbers no keypoint of a frame may be worth trusting; then what is left of their
    # shares decides, in which runtimes differ.
    rays = load_network(weights).info.on_rays
    assert (done.form, done.difference < (1e-4 if rays else 1e-5)) == (form, True)
    if rays:
        assert _difference_of_a_person(load_network(weights), done.path) < 1e-5
    facts = {p.key: p.value for p in onnx.load(done.path).metadata_props}
    assert facts["weights"] == weights
    assert "Apache-2.0" in facts["model_card"]


@needs_onnx
def test_a_command_writes_a_file_that_explains_itself(tmp_path: Path) -> None:
    onnx = importlib.import_module("onnx")
    folder, out = tmp_path / "weights", tmp_path / "lifter.onnx"
    random_network(lambda: GCNpose(width=16, n_layers=1)).save_pretrained(folder)
    note = {"source": "gcn.pth", "sha256": "ab", "license": "ask the authors"}
    (folder / "provenance.json").write_text(json.dumps(note))
    (folder / "training.json").write_text('{"n_timesteps": 50}')
    command = ["export", str(folder), "-o", str(out)]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output
    assert "lifter; keypoints [batch, frames, 17, 2]" in done.output
    facts = {p.key: p.value for p in onnx.load(out).metadata_props}
    assert facts["units"] == "meters"
    assert facts["license"] == "ask the authors"
    assert json.loads(facts["training"]) == {"n_timesteps": 50}
    assert len(facts["sha256"]) == 64
    assert json.loads(facts["joints"])["h36m17"][0] == "pelvis"
    assert json.loads(facts["inputs"])["keypoints"]["axes"] == ["batch", "frames", 17, 2]
    again = CliRunner().invoke(main, command)
    assert again.exit_code == 2
    assert "exists already" in again.output


@needs_onnx
def test_a_file_that_differs_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = random_network(lambda: GCNpose(width=16, n_layers=1))
    (tmp_path / "a.onnx").write_text("older")
    with pytest.raises(BackendError, match="differs from torch by"):
        export_onnx(network, tmp_path / "a.onnx", tolerance=1e-12)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["older"]


def test_a_missing_extra_names_the_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    for package in ("onnx", "onnxscript"):
        monkeypatch.setitem(sys.modules, package, sys.modules.get(package) or module)
    done = CliRunner().invoke(main, ["export", "d3dp-frame-small", "-o", str(tmp_path / "a.onnx")])
    assert done.exit_code == 2
    assert done.output.splitlines() == [
        "Error: Writing .onnx needs the package onnxruntime: pip install 'hypopose[onnx]'."
    ]
    assert not list(tmp_path.iterdir())


@needs_onnx
def test_forms_a_network_lacks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="GCNpose is not a denoiser; choose lifter"):
        export_onnx(GCNpose(width=16, n_layers=1), tmp_path / "a.onnx", form="denoiser")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["d3dp-frame-small", "-o", "a.onnx", "--fps", "25"], "--fps has no meaning for a network"),
        (["walk.npz", "-o", "a.c3d", "--form", "lifter"], "--form has no meaning for a result"),
        (["walk.npz", "-o", "a.c3d", "-o", "a.onnx"], "use two commands"),
    ],
)
def test_options_of_the_other_kind_are_refused(arguments: list[str], message: str) -> None:
    done = CliRunner().invoke(main, ["export", *arguments])
    assert done.exit_code == 2
    assert message in done.output


def documented() -> dict[str, Any]:
    """What the first Python block of docs/how-to/export-onnx.md defines."""
    page = Path(__file__).parents[2] / "docs" / "how-to" / "export-onnx.md"
    code = page.read_text().split("```python\n")[1].split("```")[0]
    names: dict[str, Any] = {}
    functions = code[code.index("def alpha_bar") : code.index("keypoints, _ =")]
    exec(compile("import numpy as np\n" + functions, str(page), "exec"), names)
    return names


class FromTorch:
    """A network that answers as an onnxruntime session does."""

    def __init__(self, network: PretrainedNetwork) -> None:
        self.network = network

    @torch.no_grad()
    def run(self, _: object, given: dict[str, np.ndarray]) -> list[np.ndarray]:
        return [self.network(**{k: torch.from_numpy(x) for k, x in given.items()}).numpy()]


@pytest.mark.parametrize(("n_steps", "eta"), [(1, 1.0), (4, 0.0), (5, 1.0)])
def test_the_documented_loop_is_the_sampler(n_steps: int, eta: float) -> None:
    network = random_network(lambda: MixSTE2(**SMALL))
    sampler = D3DP(network, n_steps=n_steps, eta=eta, scale=3.0, clamp=1.7, flip=False)
    xy = 500 + 100 * torch.randn(9, 17, 2, generator=torch.Generator().manual_seed(3))
    keypoints = Keypoints2D(xy, H36M17, image_size=(1000, 1000))
    wanted = sampler.sample(keypoints, 4, seeded_noise(5)).joints.numpy()
    noise = seeded_noise(5)
    given = {"keypoints": encode(keypoints, "screen").xy[None].numpy()}
    x0 = documented()["draw"](
        FromTorch(network), given, (1, 4, 9, 17, 3), lambda shape: noise(shape).numpy(),
        n_steps=n_steps, eta=eta,
    )  # fmt: skip
    x0[..., 0, :] = 0.0
    assert np.allclose(x0[0], wanted, atol=1e-5)


def test_the_documented_noise_is_standard_normal_and_slow() -> None:
    rng = np.random.default_rng(0).standard_normal
    z = documented()["latent_noise"](rng, 4000, np.arange(40) / 50, flicker=1.0)
    z = z.reshape(4000, 40, 48)
    assert np.allclose(z.mean(0), 0, atol=0.08)
    assert np.allclose(z.std(0), 1, atol=0.06)
    alike = (z[:, 0] * z[:, 5]).mean(0)
    assert np.allclose(alike[:24], 1, atol=0.1)
    assert np.allclose(alike[36:], 0, atol=0.1)
    assert np.isclose(alike[24], np.exp(-0.5), atol=0.08)  # it forgets in 0.1 s, which 5 frames are
    assert alike[35] > 0.9
