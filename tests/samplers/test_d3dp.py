"""D3DP: known posteriors, the laws of sampling, windows, padding, gaps, errors."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from jaxtyping import TypeCheckError
from torch import Tensor

from hypopose.cameras import project
from hypopose.diffusion import seeded_noise
from hypopose.errors import (
    BackendError,
    MissingCameraError,
    OptionError,
    ShapeError,
    SkeletonMismatchError,
)
from hypopose.networks import FrameTokens, MixSTE2
from hypopose.networks.base import Network, NetworkInfo
from hypopose.networks.compiling import COMPILERS
from hypopose.networks.inputs import encode
from hypopose.samplers import D3DP, Step, interpolate_missing
from hypopose.samplers.windows import published_windows, seam_jump, window_starts
from hypopose.skeletons import SKELETONS
from hypopose.types import Camera, Keypoints2D, Sampler

H36M = SKELETONS["h36m17"]
SIZE = (1000, 800)
MakeNormal = Callable[..., Network]


def mixste() -> Network:
    torch.manual_seed(0)
    return MixSTE2(n_frames=6, width=16, depth=2).eval()


def frame_tokens() -> Network:
    torch.manual_seed(0)
    return FrameTokens(width=32, n_layers=2, n_heads=4, max_frames=8).eval()


NETWORKS = [mixste, frame_tokens]


def walk(n_frames: int, *batch: int, camera: bool = True) -> Keypoints2D:
    """Keypoints that wander about the image."""
    generator = torch.Generator().manual_seed(4)
    steps = 10 * torch.randn(*batch, n_frames, 17, 2, generator=generator)
    xy = 300 + 80 * torch.randn(*batch, 1, 17, 2, generator=generator) + steps.cumsum(-3)
    keypoints = Keypoints2D(xy, H36M, image_size=SIZE)
    return keypoints.with_camera(Camera.from_fov(SIZE)) if camera else keypoints


def draw(sampler: D3DP, keypoints: Keypoints2D, n: int = 3, **options: Any) -> Tensor:
    return sampler.sample(keypoints, n, seeded_noise(3, **options)).joints


# Known posterior ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "scale"),
    [
        ({"eta": 1.0}, 1.0),
        ({"eta": 1.0, "flip": False}, 3.0),
        ({"eta": 0.0}, 1.0),
        ({"scheduler": "dpm++", "eta": 0.0, "n_steps": 40}, 3.0),
        ({"scheduler": "unipc", "eta": 0.0, "n_steps": 40}, 1.0),
    ],
)
def test_draws_follow_the_known_posterior(
    normal_posterior: MakeNormal, options: dict[str, Any], scale: float
) -> None:
    options = {"n_steps": 200, **options}
    network = normal_posterior(std=0.25, scale=scale, max_frames=2)
    sampler = D3DP(network, clamp=None, scale=scale, overlap=0, **options)
    keypoints = walk(4, camera=False)
    joints = draw(sampler, keypoints, 400)[..., 1:, :]
    screen = encode(keypoints, "screen").xy[:, 1:]
    error = joints.mean(0)[..., :2] - screen
    assert error.abs().max() < 5 * 0.25 / 400**0.5
    assert error.mean().abs() < 0.005
    assert joints.std(0).mean().item() == pytest.approx(0.25, rel=0.05)


# Laws --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", NETWORKS)
def test_more_hypotheses_leave_the_first_as_they_are(make: Callable[[], Network]) -> None:
    sampler, keypoints = D3DP(make(), n_steps=2), walk(13)
    few, many = draw(sampler, keypoints, 2), draw(sampler, keypoints, 5)
    assert torch.allclose(few, many[:2], atol=1e-6)
    assert not torch.allclose(many[0], many[1], atol=1e-2)


@pytest.mark.parametrize("make", NETWORKS)
@pytest.mark.parametrize("chunk", [1, 30, 100])
def test_results_do_not_depend_on_the_chunk(make: Callable[[], Network], chunk: int) -> None:
    sampler, keypoints = D3DP(make(), n_steps=2), walk(13, 2)
    whole = draw(replace(sampler, chunk=10**9), keypoints)
    assert torch.allclose(draw(replace(sampler, chunk=chunk), keypoints), whole, atol=1e-6)


@pytest.mark.parametrize("make", NETWORKS)
def test_results_do_not_depend_on_the_batch(make: Callable[[], Network]) -> None:
    sampler, keypoints = D3DP(make(), n_steps=2), walk(13, 2, 2)
    together = draw(sampler, keypoints, items=["a", "b", "c", "d"])
    one = replace(keypoints, xy=keypoints.xy[1, 0])
    assert torch.allclose(draw(sampler, one, items=["c"]), together[1, 0], atol=1e-6)


def through_a_mirror(sampler: D3DP, keypoints: Keypoints2D, n: int) -> Tensor:
    """Hypotheses of the mirrored person from mirrored noise, mirrored back."""
    order, across = list(H36M.flip_order), torch.tensor([-1.0, 1.0, 1.0])
    xy = keypoints.xy[..., order, :].clone()
    xy[..., 0] = SIZE[0] - xy[..., 0]
    source = seeded_noise(3)

    def noise(shape: tuple[int, ...]) -> Tensor:
        return source(shape)[..., order, :] * across

    x = sampler.sample(replace(keypoints, xy=xy), n, noise).joints
    return x[..., order, :] * across


@pytest.mark.parametrize("make", NETWORKS)
def test_the_mirrored_person_gets_mirrored_hypotheses(make: Callable[[], Network]) -> None:
    sampler, keypoints = D3DP(make(), n_steps=2, eta=0.0), walk(5)
    there_and_back = through_a_mirror(sampler, keypoints, 3)
    assert torch.allclose(there_and_back, draw(sampler, keypoints), atol=1e-4)


@pytest.mark.parametrize("make", NETWORKS)
@pytest.mark.parametrize("n_frames", [5, 13])
def test_every_second_hypothesis_may_look_through_the_mirror(
    make: Callable[[], Network], n_frames: int
) -> None:
    straight, keypoints = D3DP(make(), n_steps=2, flip=False), walk(n_frames)
    halves = draw(replace(straight, mirror=True), keypoints, 5)
    plain, across = draw(straight, keypoints, 5), through_a_mirror(straight, keypoints, 5)
    assert torch.allclose(halves[::2], plain[::2], atol=1e-6)
    assert torch.allclose(halves[1::2], across[1::2], atol=1e-4)
    assert not torch.allclose(halves[1::2], plain[1::2], atol=1e-2)
    for n in (1, 2):
        assert torch.allclose(
            draw(replace(straight, mirror=True), keypoints, n), halves[:n], atol=1e-6
        )


@pytest.mark.parametrize("make", NETWORKS)
@pytest.mark.parametrize("n_frames", [1, 2, 6, 7, 20])
def test_videos_of_any_length(make: Callable[[], Network], n_frames: int) -> None:
    sampler, keypoints = D3DP(make(), n_steps=2), walk(n_frames)
    hypotheses = sampler.sample(keypoints, 2, seeded_noise(1))
    assert isinstance(sampler, Sampler)
    assert hypotheses.joints.shape == (2, n_frames, 17, 3)
    assert bool(torch.isfinite(hypotheses.joints).all())
    assert bool((hypotheses.joints[..., H36M.root, :] == 0).all())
    assert hypotheses.skeleton is sampler.skeleton


@pytest.mark.parametrize("make", NETWORKS)
def test_half_precision_moves_poses_a_little(make: Callable[[], Network]) -> None:
    sampler, keypoints = D3DP(make(), n_steps=2), walk(9)
    half = draw(replace(sampler, precision="bfloat16"), keypoints)
    exact = draw(sampler, keypoints)
    assert half.dtype == torch.float32
    assert 0 < (half - exact).norm(dim=-1).mean() < 0.02


@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")
@pytest.mark.skipif(not any(map(shutil.which, COMPILERS)), reason="needs a C++ compiler")
def test_a_compiled_network_draws_the_same(pytestconfig: pytest.Config) -> None:
    if pytestconfig.getoption("jaxtyping_packages"):
        pytest.skip("functions that check their shapes do not compile")
    plain, keypoints = D3DP(FrameTokens(width=16, n_layers=1, n_heads=2).eval(), n_steps=2), walk(9)
    before = draw(plain, keypoints)
    compiled = replace(plain, network=copy.deepcopy(plain.network), compile=True)
    for n_frames in (9, 13):
        seen = walk(n_frames)
        assert torch.allclose(draw(compiled, seen), draw(plain, seen), atol=1e-5)
    assert torch.equal(draw(plain, keypoints), before)


def test_compilation_needs_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(BackendError, match=r"no g\+\+.*leave compile out"):
        D3DP(NETWORKS[0](), compile=True)


@pytest.mark.parametrize(("has_amx", "same_as"), [(True, "bfloat16"), (False, "float32")])
def test_auto_precision_asks_the_processor(
    has_amx: bool, same_as: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: has_amx)
    sampler, keypoints = D3DP(NETWORKS[0](), n_steps=1), walk(3)
    auto = draw(replace(sampler, precision="auto"), keypoints)
    assert torch.equal(auto, draw(replace(sampler, precision=same_as), keypoints))


# Windows and padding -----------------------------------------------------------------------------


@dataclass
class Spy:
    """Records how often and with what a network is called."""

    inner: Any
    shapes: list[tuple[int, ...]]

    @property
    def info(self) -> NetworkInfo:
        return self.inner.info

    def __call__(
        self,
        x_t: Tensor | None,
        keypoints: Tensor,
        t: Tensor | None = None,
        confidence: Tensor | None = None,
        mask: Tensor | None = None,
        context: Tensor | None = None,
    ) -> Tensor:
        assert x_t is not None
        self.shapes.append(tuple(x_t.shape))
        return self.inner(x_t, keypoints, t, confidence, mask, context)


def test_memory_is_bounded_by_the_chunk_not_by_hypotheses() -> None:
    for n in (3, 50):
        spy = Spy(frame_tokens(), [])
        draw(D3DP(spy, n_steps=1, chunk=100), walk(40), n)
        assert max(b * h * f for b, h, f, _, _ in spy.shapes) <= 100
        assert all(f == 8 for _, _, f, _, _ in spy.shapes)


def test_one_step_moves_the_whole_video() -> None:
    asked: list[tuple[int, ...]] = []
    steps: list[Step] = []

    def noise(shape: tuple[int, ...]) -> Tensor:
        asked.append(shape)
        return torch.randn(shape)

    D3DP(frame_tokens(), n_steps=3).sample(walk(30), 2, noise, steps.append)
    assert asked == [(2, 30, 17, 3)] * 3  # the start and two noisy steps
    assert [(s.index, s.t) for s in steps] == [(0, 999), (1, 665), (2, 332)]
    assert all(s.x0.shape == (2, 30, 17, 3) for s in steps)


def test_padding_never_reaches_the_result(normal_posterior: MakeNormal) -> None:
    long = torch.randn(2, 9, 17, 3, generator=torch.Generator().manual_seed(1))

    def noise(shape: tuple[int, ...]) -> Tensor:
        return long[:, : shape[-3]]

    free = D3DP(normal_posterior(), n_steps=2).sample(walk(4), 2, noise)
    padded = D3DP(normal_posterior(n_frames=9), n_steps=2).sample(walk(4), 2, noise)
    assert padded.joints.shape == free.joints.shape
    assert torch.allclose(padded.joints, free.joints, atol=1e-6)


def test_windows_of_a_framewise_network_change_nothing(normal_posterior: MakeNormal) -> None:
    whole = draw(D3DP(normal_posterior()), walk(40))
    for window, overlap in ((7, 0), (9, 3), (10, 9)):
        cut = D3DP(normal_posterior(), window=window, overlap=overlap)
        assert torch.allclose(draw(cut, walk(40)), whole, atol=1e-5)


@dataclass(frozen=True)
class TwoWays:
    """A bimodal posterior: a window leans to +1 or -1, as its noisy poses do."""

    @property
    def info(self) -> NetworkInfo:
        return NetworkInfo("screen", 16)

    def __call__(self, x_t: Tensor | None, keypoints: Tensor, *rest: Any, **named: Any) -> Tensor:
        assert x_t is not None
        lean = torch.tanh(20 * x_t.mean((-3, -2, -1), keepdim=True))
        return lean.expand_as(x_t)


def test_a_hypothesis_is_one_motion_where_published_clips_jump() -> None:
    sampler, keypoints = D3DP(TwoWays(), clamp=None, n_steps=10, overlap=8), walk(96, camera=False)
    joint = draw(sampler, keypoints, 16)
    starts = window_starts(96, 16, 8)
    seams = sorted({*starts, *(s + 16 for s in starts)})
    clips = published_windows(96, 16)
    parts = [
        sampler.sample(replace(keypoints, xy=keypoints.xy[a:b]), 16, seeded_noise(a)).joints
        for a, b in clips
    ]
    published, _ = seam_jump(torch.cat(parts, -3), [a for a, _ in clips])
    blended, inside = seam_jump(joint, seams)
    assert published > 1.0  # half of the unrelated clips change sides at once
    assert blended < published / 10
    assert blended < 5 * max(inside, 0.02)


# The camera --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pointing:
    """Sees a subject straight ahead and always answers with one pose in that frame."""

    pose: Tensor

    @property
    def info(self) -> NetworkInfo:
        return NetworkInfo("subject", None, uses_confidence=True, max_frames=4)

    def __call__(self, x_t: Tensor | None, keypoints: Tensor, *rest: Any, **named: Any) -> Tensor:
        assert x_t is not None
        return self.pose.expand_as(x_t)


def test_predictions_are_turned_back_into_the_camera_frame() -> None:
    pose = 0.3 * torch.randn(17, 3, generator=torch.Generator().manual_seed(1))
    pose[0] = 0
    keypoints = replace(walk(4), xy=walk(4).xy + torch.tensor([500.0, 0.0]))
    rotation = encode(keypoints, "subject").rotation
    assert not torch.allclose(rotation, torch.eye(3), atol=0.1)
    joints = draw(D3DP(Pointing(pose), flip=False), keypoints)
    assert torch.allclose(joints, (pose @ rotation).expand_as(joints), atol=1e-5)


def test_the_root_is_fitted_if_there_is_a_camera() -> None:
    pose = 0.3 * torch.randn(17, 3, generator=torch.Generator().manual_seed(1))
    pose[0] = 0
    camera, root = Camera.from_fov(SIZE), torch.tensor([0.5, -0.2, 4.0])
    rotation = torch.eye(3)
    for _ in range(20):  # where a pose turned towards the camera ends up depends on where it is
        xy = project(pose @ rotation + root, camera).expand(6, 17, 2)
        keypoints = Keypoints2D(xy, H36M, camera=camera)
        rotation = encode(keypoints, "subject").rotation
    hypotheses = D3DP(Pointing(pose), flip=False).sample(keypoints, 2, seeded_noise(1))
    assert hypotheses.root is not None
    assert torch.allclose(hypotheses.root, root.expand(2, 6, 3), atol=1e-2)
    assert D3DP(mixste()).sample(walk(6, camera=False), 2, seeded_noise(1)).root is None
    with pytest.raises(MissingCameraError, match="camera"):
        draw(D3DP(frame_tokens()), walk(6, camera=False))


def test_the_root_of_networks_that_read_another_skeleton() -> None:
    network = MixSTE2(n_frames=4, width=16, depth=1, keypoint_skeleton="coco17").eval()
    sampler = D3DP(network, n_steps=1)
    keypoints = replace(walk(4), skeleton=sampler.keypoint_skeleton)
    hypotheses = sampler.sample(keypoints, 2, seeded_noise(1))
    assert sampler.keypoint_skeleton.name == "coco17"
    assert hypotheses.skeleton.name == "h36m17"
    assert hypotheses.root is not None


# Gaps and errors ---------------------------------------------------------------------------------


def with_gaps(n_frames: int) -> Keypoints2D:
    keypoints = walk(n_frames)
    xy = keypoints.xy.clone()
    xy[2:4, 5] = torch.nan
    xy[0, 1] = torch.nan
    return replace(keypoints, xy=xy)


def test_gaps_are_read_or_refused_or_filled_when_asked() -> None:
    assert bool(torch.isfinite(draw(D3DP(frame_tokens(), n_steps=1), with_gaps(9))).all())
    with pytest.raises(OptionError, match=r"3 of 153 keypoints.*fill_missing='interpolate'"):
        draw(D3DP(mixste()), with_gaps(9))
    sampler = D3DP(mixste(), n_steps=1, fill_missing="interpolate")
    with pytest.warns(UserWarning, match="3 of 153"):
        filled = draw(sampler, with_gaps(9))
    assert torch.allclose(filled, draw(sampler, interpolate_missing(with_gaps(9))), atol=1e-6)


def test_interpolation_is_linear_inside_and_constant_outside() -> None:
    gaps, filled = with_gaps(9), interpolate_missing(with_gaps(9))
    a, b = gaps.xy[1, 5], gaps.xy[4, 5]
    assert torch.allclose(filled.xy[2:4, 5], torch.stack([a + (b - a) / 3, a + 2 * (b - a) / 3]))
    assert torch.equal(filled.xy[0, 1], gaps.xy[1, 1])
    assert filled.notes[-1].startswith("3 undetected keypoints were interpolated")
    with pytest.raises(OptionError, match="never detected"):
        interpolate_missing(replace(gaps, xy=torch.full_like(gaps.xy, torch.nan)))


def test_other_skeletons_are_refused_with_the_cure() -> None:
    coco = replace(walk(6), skeleton=SKELETONS["coco17"])
    with pytest.raises(SkeletonMismatchError, match=r"'coco17'.*hypopose\.skeletons\.convert"):
        draw(D3DP(mixste()), coco)


def test_empty_requests_are_refused() -> None:
    with pytest.raises(OptionError, match="n_hypotheses"):
        draw(D3DP(mixste()), walk(6), 0)
    with pytest.raises(ShapeError, match="no frames"):
        draw(D3DP(mixste()), walk(0))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"n_steps": 0}, "n_steps"),
        ({"eta": -0.1}, "eta"),
        ({"scale": 0.0}, "scale must be positive"),
        ({"clamp": -1.0}, "clamp must be positive"),
        ({"chunk": 0}, "chunk must be positive"),
        ({"scheduler": "unipc"}, "eta=0"),
        ({"precision": "float16"}, "precision"),
        ({"fill_missing": "zero"}, "fill_missing"),
        ({"window": 7}, "windows of 6 frames only"),
        ({"window": 6, "overlap": 6}, "overlap"),
    ],
)
def test_options_out_of_range_are_refused_when_built(options: dict[str, Any], says: str) -> None:
    with pytest.raises((OptionError, TypeCheckError), match=says):
        D3DP(mixste(), **options)
