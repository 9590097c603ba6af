"""What holds for every network, whatever its method."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from hypopose.errors import ShapeError
from hypopose.networks import (
    GLAGCN,
    GUMLP,
    MPM,
    NETWORKS,
    ClipTokens,
    ConvFormer,
    FrameTokens,
    GCNpose,
    Hourglass,
    KTPFormer,
    MHFormer,
    MixSTE2,
    MotionAGFormer,
    MotionBERT,
    MPMLifter,
    PretrainedNetwork,
    RefinedNetwork,
    ScaleTokens,
    load_network,
)
from hypopose.networks.base import Network
from hypopose.networks.scales import ScaleNetwork
from hypopose.skeletons import SKELETONS

N_FRAMES = 9
SMALL = {"n_frames": N_FRAMES, "width": 16, "depth": 2}
BATCH = {"n_frames": N_FRAMES, "n_layers": 2, "width": 16, "rep_width": 8, "layer_scale": 0.5}
LAYER = {**BATCH, "n_frames": None, "graph_norm": "layer"}
CUT = {"at": 1, "keep": 4}
CLEAN = {**CUT, "select": "keypoints", "skip": True}
FRAMES = {"width": 16, "n_layers": 2, "n_heads": 2}
MASKED = {"n_frames": N_FRAMES, "width": 16, "hidden": 16, "n_layers": 1}
STRIDED = {"strides": (3, 3), "width": 16, "hidden": 16, "n_layers": 1}


def refined() -> RefinedNetwork:
    """A network whose refinement unit has learned something."""
    network = RefinedNetwork.wrap(FrameTokens(**FRAMES), width=16)
    nn.init.normal_(network.unit.w4.weight, std=0.1)
    return network


def refined_by_a_transformer() -> RefinedNetwork:
    """A network whose refining transformer has learned something."""
    network = RefinedNetwork.wrap(FrameTokens(**FRAMES), width=16, refiner="transformer")
    nn.init.normal_(network.unit.decoder.weight, std=0.1)
    return network


MEMBERS: dict[str, Callable[[], PretrainedNetwork]] = {
    "mixste2": lambda: MixSTE2(**SMALL),
    "mixste2-lifter": lambda: MixSTE2(**SMALL, lifter=True),
    "frame-tokens": lambda: FrameTokens(**FRAMES),
    "frame-tokens-constant-bones": lambda: FrameTokens(**FRAMES, on_rays=True, constant_bones=True),
    "frame-tokens-on-rays": lambda: FrameTokens(**FRAMES, on_rays=True),
    "frame-tokens-refined": refined,
    "frame-tokens-refined-by-a-transformer": refined_by_a_transformer,
    "clip-tokens": lambda: ClipTokens(**FRAMES, n_shared=1),
    "clip-tokens-of-four": lambda: ClipTokens(**FRAMES, n_shared=1, stride=4, n_rounds=1),
    "ktpformer": lambda: KTPFormer(**SMALL),
    "ktpformer-lifter": lambda: KTPFormer(**SMALL, lifter=True),
    "motionagformer": lambda: MotionAGFormer(**LAYER, lifter=False),
    "motionagformer-lifter": lambda: MotionAGFormer(**BATCH),
    "motionagformer-convolutions": lambda: MotionAGFormer(**BATCH, convolutions=True),
    "gcnpose": lambda: GCNpose(width=16, n_layers=1),
    "gumlp": lambda: GUMLP(32, 1),
    "scale-tokens": lambda: ScaleTokens(**FRAMES),
    "gla-gcn": lambda: GLAGCN((3, 3), width=8),
    "gla-gcn-coco": lambda: GLAGCN(
        (3, 3), width=8, skeleton="humaneva15", keypoint_skeleton="coco17"
    ),
    "mpm": lambda: MPM(**MASKED),
    "mpm-lifter": lambda: MPMLifter(**STRIDED),
    "mpm-sequence": lambda: MPMLifter(**STRIDED, output="sequence"),
    "convformer": lambda: ConvFormer(N_FRAMES, width=8, kernels=(3, 5)),
    "convformer-sequence": lambda: ConvFormer(N_FRAMES, width=8, sequence=True),
    "mhformer": lambda: MHFormer(N_FRAMES, width=16, hidden=16),
    "motionbert": lambda: MotionBERT(**SMALL, rep_width=8),
    "hot-mixste2": lambda: Hourglass.wrap(MixSTE2(**SMALL), **CLEAN),
    "hot-mixste2-lifter": lambda: Hourglass.wrap(MixSTE2(**SMALL, lifter=True), **CUT),
    "hot-frame-tokens": lambda: Hourglass.wrap(FrameTokens(**FRAMES), **CLEAN),
    "hot-frame-tokens-on-rays": lambda: Hourglass.wrap(
        FrameTokens(**FRAMES, on_rays=True), **CLEAN
    ),
    "hot-frame-tokens-interpolated": lambda: Hourglass.wrap(
        FrameTokens(**FRAMES), **CUT, select="keypoints", recover="interpolate"
    ),
    "hot-ktpformer": lambda: Hourglass.wrap(KTPFormer(**SMALL), **CLEAN),
    "hot-motionagformer": lambda: Hourglass.wrap(MotionAGFormer(**LAYER, lifter=False), **CLEAN),
    "hot-motionagformer-lifter": lambda: Hourglass.wrap(
        MotionAGFormer(**BATCH, pruned=(1, 4)), **CUT
    ),
    "hot-motionbert": lambda: Hourglass.wrap(MotionBERT(**SMALL, rep_width=8), **CUT),
    "tpc-mhformer": lambda: Hourglass.wrap(
        MHFormer(N_FRAMES, width=16, hidden=16), **CUT, recover="none"
    ),
}
DENOISERS = [name for name, make in MEMBERS.items() if "denoiser" in make().info.forms]
ANY_LENGTH = [name for name, make in MEMBERS.items() if make().info.n_frames is None]


@dataclass(frozen=True)
class Inputs:
    """What a network is called with."""

    x_t: Tensor | None
    xy: Tensor
    t: Tensor | None
    confidence: Tensor

    def call(self, network: PretrainedNetwork, mask: Tensor | None = None) -> Tensor:
        context = None
        if network.info.inputs == "subject":
            context = torch.tensor([0.3, -0.2]).to(self.xy).expand(len(self.xy), 2)
        return network(self.x_t, self.xy, self.t, self.confidence, mask, context)

    def clip(self, b: int) -> Inputs:
        one = slice(b, b + 1)
        x_t, t = (None if x is None else x[one] for x in (self.x_t, self.t))
        return Inputs(x_t, self.xy[one], t, self.confidence[one])


def random_network(name: str) -> PretrainedNetwork:
    """Seeded, in eval mode, with no parameter at a value that hides what it does."""
    torch.manual_seed(0)
    network = MEMBERS[name]()
    for parameter in network.parameters():
        if parameter.unique().numel() == 1:
            nn.init.normal_(parameter, 0.5, 0.1)
    return network.eval()


def random_inputs(network: PretrainedNetwork, n_hypotheses: int = 3) -> Inputs:
    generator = torch.Generator().manual_seed(1)
    info = network.info
    xy = torch.randn(
        2, N_FRAMES, SKELETONS[info.keypoint_skeleton].n_joints, 2, generator=generator
    )
    confidence = torch.rand(xy.shape[:-1], generator=generator) + 0.1
    if info.forms == ("lifter",):
        return Inputs(None, xy * 0.3, None, confidence)
    shape = (2, n_hypotheses, N_FRAMES, SKELETONS[info.skeleton].n_joints, 3)
    x_t = torch.randn(shape, generator=generator)
    return Inputs(x_t, xy * 0.3, torch.tensor([999.0, 12.0]), confidence)


# DiffPose's denoiser has a sampler of its own; the pair lifts as GCNpose does. A prior of motion
# reads no keypoints. Surfaces are written by networks that are called in their own way.
OTHERS = {"DiffPosePair", "GCNdiff", "MeshDecoder", "MotionPrior", "PMCE"}


def test_every_network_that_folders_can_name_is_here() -> None:
    assert {type(make()).__name__ for make in MEMBERS.values()} == set(NETWORKS) - OTHERS


@torch.no_grad()
@pytest.mark.parametrize("name", list(MEMBERS))
def test_shapes_are_what_info_says(name: str) -> None:
    network = random_network(name)
    assert isinstance(network, Network)
    info, inputs = network.info, random_inputs(network)
    out = inputs.call(network)
    n_hypotheses = 1 if inputs.x_t is None else inputs.x_t.shape[1]
    n_frames = 1 if info.sequence_to_one else N_FRAMES
    assert out.shape == (2, n_hypotheses, n_frames, SKELETONS[info.skeleton].n_joints, 3)
    assert out.isfinite().all()
    if info.n_frames is not None:
        assert info.n_frames == N_FRAMES
        x_t = None if inputs.x_t is None else inputs.x_t[:, :, :5]
        short = Inputs(x_t, inputs.xy[:, :5], inputs.t, inputs.confidence[:, :5])
        with pytest.raises(ShapeError, match="clips of 9 frames"):
            short.call(network)


@torch.no_grad()
@pytest.mark.parametrize("name", list(MEMBERS))
def test_clips_and_hypotheses_do_not_see_each_other(name: str) -> None:
    network = random_network(name)
    inputs = random_inputs(network)
    together = inputs.call(network)
    assert torch.allclose(inputs.clip(1).call(network), together[1:], atol=1e-5)
    if inputs.x_t is not None:
        last = Inputs(inputs.x_t[:, 2:], inputs.xy, inputs.t, inputs.confidence)
        assert torch.allclose(last.call(network), together[:, 2:], atol=1e-5)


@pytest.mark.parametrize("name", list(MEMBERS))
def test_gradients_reach_every_parameter(name: str) -> None:
    network = random_network(name)
    inputs = random_inputs(network)
    inputs.confidence[:, ::2, 3] = 0.0
    mask = torch.ones(2, N_FRAMES, dtype=torch.bool)
    mask[1, -1] = False
    out = inputs.call(network, mask)
    extra = 0.0
    if isinstance(network, MPM):  # the 2D head and the 3D encoder serve completion
        missing = torch.rand(2, N_FRAMES, 17) < 0.3
        extra = network.complete(inputs.xy, missing).square().sum()
        extra = extra + network.complete(out[:, 0].detach(), missing).square().sum()
    if isinstance(network, MPMLifter):  # both heads are trained together
        tokens = network.encode(inputs.xy)
        extra = network.center(tokens).square().sum() + network.sequence(tokens).square().sum()
    if isinstance(network, ScaleNetwork):
        extra = network.with_scale(inputs.xy)[1].square().sum()
    elif isinstance(network, FrameTokens):
        extra = network(None, inputs.xy).square().sum()
    wrapped = isinstance(network, Hourglass | RefinedNetwork)
    if wrapped and isinstance(network.network, FrameTokens):
        extra = network(None, inputs.xy).square().sum()
    (out.square().sum() + extra).backward()
    trained = [(n, p) for n, p in network.named_parameters() if p.requires_grad]
    without = [n for n, p in trained if p.grad is None or not p.grad.any()]
    assert not without


@torch.no_grad()
@pytest.mark.parametrize("name", list(MEMBERS))
def test_saved_networks_load_equal(name: str, tmp_path: Path) -> None:
    network = random_network(name)
    network.save_pretrained(tmp_path)
    loaded = load_network(tmp_path)
    assert type(loaded) is type(network)
    assert loaded.info == network.info
    inputs = random_inputs(network)
    assert torch.equal(inputs.call(loaded), inputs.call(network))


@torch.no_grad()
@pytest.mark.parametrize("name", list(MEMBERS))
def test_double_precision_agrees(name: str) -> None:
    network = random_network(name)
    inputs = random_inputs(network)
    single = inputs.call(network)
    x_t, t = (None if x is None else x.double() for x in (inputs.x_t, inputs.t))
    wide = Inputs(x_t, inputs.xy.double(), t, inputs.confidence.double())
    double = wide.call(network.double())
    assert torch.allclose(double.float(), single, atol=2e-4)


@torch.no_grad()
@pytest.mark.parametrize("name", list(MEMBERS))
def test_keypoints_matter_and_confidence_as_info_says(name: str) -> None:
    network = random_network(name)
    inputs = random_inputs(network)
    out = inputs.call(network)
    moved = Inputs(inputs.x_t, inputs.xy + 0.3 * torch.randn(17, 2), inputs.t, inputs.confidence)
    assert not torch.allclose(moved.call(network), out, atol=1e-6)
    doubt = torch.zeros_like(inputs.confidence)
    doubt[:, :, ::2] = 0.7
    doubtful = Inputs(inputs.x_t, inputs.xy, inputs.t, doubt).call(network)
    assert torch.equal(doubtful, out) != network.info.uses_confidence


@torch.no_grad()
@pytest.mark.parametrize("name", DENOISERS)
def test_denoisers_read_noise_and_timestep(name: str) -> None:
    network = random_network(name)
    inputs = random_inputs(network)
    assert inputs.x_t is not None
    assert inputs.t is not None
    out = inputs.call(network)
    other = Inputs(inputs.x_t + 0.1, inputs.xy, inputs.t, inputs.confidence)
    assert not torch.allclose(other.call(network), out)
    later = Inputs(inputs.x_t, inputs.xy, inputs.t - 5, inputs.confidence)
    assert torch.allclose(later.call(network), out) == network.info.one_step
    if network.info.forms == ("denoiser",):
        with pytest.raises(ShapeError, match="denoiser"):
            network(None, inputs.xy)


@torch.no_grad()
@pytest.mark.parametrize("name", [n for n in MEMBERS if n not in DENOISERS])
def test_lifters_refuse_noise(name: str) -> None:
    network = random_network(name)
    xy = random_inputs(network).xy
    with pytest.raises(ShapeError, match="lifter"):
        network(torch.randn(2, 1, N_FRAMES, 17, 3), xy, torch.zeros(2))


@torch.no_grad()
@pytest.mark.parametrize("name", DENOISERS)
def test_padded_frames_reach_no_other(name: str) -> None:
    network = random_network(name)
    inputs = random_inputs(network)
    assert inputs.x_t is not None
    mask = torch.tensor([[True] * 6 + [False] * 3, [True] * 9])
    out = inputs.call(network, mask)
    inputs.x_t[0, :, 6:], inputs.xy[0, 6:] = 7.0, -7.0
    again = inputs.call(network, mask)
    assert torch.allclose(again[0, :, :6], out[0, :, :6], atol=1e-6)
    assert torch.equal(again[1], out[1])


@torch.no_grad()
@pytest.mark.parametrize("name", ANY_LENGTH)
def test_any_length_is_any_length(name: str) -> None:
    network = random_network(name)
    for n_frames in (1, 4, 23):
        xy, x_t = torch.randn(1, n_frames, 17, 2), torch.randn(1, 2, n_frames, 17, 3)
        if "denoiser" in network.info.forms:
            assert network(x_t, xy, torch.tensor([500.0])).shape == x_t.shape
        if "lifter" in network.info.forms:
            assert network(None, xy).shape == (1, 1, n_frames, 17, 3)


@torch.no_grad()
@pytest.mark.parametrize("name", list(MEMBERS))
def test_flip_averaged_predictions_flip_with_their_input(name: str) -> None:
    network = random_network(name)
    inputs = random_inputs(network)
    info = network.info
    orders = [list(SKELETONS[n].flip_order) for n in (info.skeleton, info.keypoint_skeleton)]
    mirror = torch.tensor([-1.0, 1.0, 1.0])

    def flipped(x: Tensor) -> Tensor:
        return x[..., orders[0], :] * mirror

    def mirrored(inputs: Inputs) -> Inputs:
        x_t = None if inputs.x_t is None else flipped(inputs.x_t)
        xy = inputs.xy[:, :, orders[1]] * mirror[:2]
        return Inputs(x_t, xy, inputs.t, inputs.confidence[:, :, orders[1]])

    def averaged(inputs: Inputs) -> Tensor:
        return (inputs.call(network) + flipped(mirrored(inputs).call(network))) / 2

    assert torch.allclose(averaged(mirrored(inputs)), flipped(averaged(inputs)), atol=1e-5)
