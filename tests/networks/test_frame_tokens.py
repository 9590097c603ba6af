from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
import torch
from torch import Tensor

from hypopose.errors import BackendError, CheckpointError, ShapeError
from hypopose.networks import FrameTokens, Network, bundled_weights, load_network
from hypopose.networks.inputs import encode
from hypopose.skeletons import H36M17
from hypopose.types import Camera, Keypoints2D


@pytest.fixture(
    scope="module",
    params=[(0, False), (1, False), (0, True), (1, True)],
    ids=["apart", "shared", "on-rays", "shared-on-rays"],
)
def network(request: pytest.FixtureRequest) -> FrameTokens:
    """A small network whose every weight matters."""
    torch.manual_seed(0)
    n_shared, on_rays = request.param
    net = FrameTokens(width=32, n_layers=2, n_heads=4, n_shared=n_shared, on_rays=on_rays).eval()
    for p in net.parameters():
        torch.nn.init.normal_(p, std=0.15)
    return net


def inputs(B: int = 2, H: int = 3, F: int = 7) -> dict[str, Tensor]:
    g = torch.Generator().manual_seed(1)
    return {
        "x_t": torch.randn(B, H, F, 17, 3, generator=g),
        "keypoints": torch.randn(B, F, 17, 2, generator=g),
        "t": torch.tensor([999.0, 10.0])[:B],
        "confidence": torch.rand(B, F, 17, generator=g).clamp(min=0.1),
        "context": 0.3 * torch.randn(B, 2, generator=g),
    }


@torch.no_grad()
@pytest.mark.parametrize("F", [1, 2, 27, 100])
def test_any_length_and_the_network_contract(network: FrameTokens, F: int) -> None:
    assert isinstance(network, Network)
    assert network.info.n_frames is None
    given = inputs(F=F)
    assert network(**given).shape == (2, 3, F, 17, 3)
    assert network(**{**given, "x_t": None, "t": None}).shape == (2, 1, F, 17, 3)


@torch.no_grad()
def test_hypotheses_and_clips_do_not_see_each_other(network: FrameTokens) -> None:
    given = inputs()
    together = network(**given)
    for b in range(2):
        for h in range(3):
            one = {k: v[b : b + 1] for k, v in given.items()}
            one["x_t"] = given["x_t"][b : b + 1, h : h + 1]
            torch.testing.assert_close(network(**one)[0, 0], together[b, h], atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_padding_changes_nothing(network: FrameTokens) -> None:
    given = inputs(F=7)
    mask = torch.ones(2, 7, dtype=torch.bool)
    mask[:, 5:] = False
    padded = network(**given, mask=mask)[:, :, :5]
    cut = {k: v[:, :5] if k in ("keypoints", "confidence") else v for k, v in given.items()}
    cut["x_t"] = given["x_t"][:, :, :5]
    torch.testing.assert_close(padded, network(**cut), atol=1e-5, rtol=1e-5)
    assert not torch.allclose(padded, network(**given)[:, :, :5], atol=1e-3)


@torch.no_grad()
def test_undetected_keypoints_are_not_read(network: FrameTokens) -> None:
    given = inputs()
    given["confidence"][:, 2, 4] = 0
    before = network(**given)
    given["keypoints"][:, 2, 4] = 100.0
    torch.testing.assert_close(network(**given), before)


@torch.no_grad()
@pytest.mark.parametrize("name", ["x_t", "keypoints", "t", "confidence", "context"])
def test_every_input_matters(network: FrameTokens, name: str) -> None:
    given = inputs()
    before = network(**given)
    given[name] = given[name] * 0.5
    assert (network(**given) - before).abs().max() > 1e-3


@torch.no_grad()
def test_positions_count_time(network: FrameTokens) -> None:
    given = inputs()
    order = torch.arange(6, -1, -1)
    given["context"][:] = 0  # the same size and rate, so that only positions differ
    backwards = {
        **given,
        "x_t": given["x_t"][:, :, order],
        "keypoints": given["keypoints"][:, order],
        "confidence": given["confidence"][:, order],
    }
    assert (network(**backwards)[:, :, order] - network(**given)).abs().max() > 1e-3


@torch.no_grad()
def test_shared_blocks_run_once_a_clip_and_leave_the_lifter_form_alone(
    network: FrameTokens, tmp_path: Path
) -> None:
    rows: list[int] = []
    for block in network.blocks:
        block.register_forward_pre_hook(lambda _, given: rows.append(len(given[0])))
    given = inputs(B=2, H=3)
    network(**given)
    n_shared = network.config.n_shared
    assert rows == [2 if i < n_shared else 6 for i in range(2)]
    # The same weights, parted elsewhere, lift alike and draw otherwise.
    on_rays = network.config.on_rays
    options = {"n_shared": 1 - n_shared, "on_rays": on_rays}
    other = FrameTokens(width=32, n_layers=2, n_heads=4, **options).eval()
    other.load_state_dict(network.state_dict())
    lifted = {**given, "x_t": None, "t": None}
    torch.testing.assert_close(other(**lifted), network(**lifted))
    assert (other(**given) - network(**given)).abs().max() > 1e-3


def test_half_the_frame_rate_means_twice_the_step(network: FrameTokens) -> None:
    slow = network._rope(torch.tensor([[0.0, 0.5]]).log(), 5)  # 25 Hz
    fast = network._rope(torch.zeros(1, 2), 9)  # 50 Hz
    for a, b in zip(slow, fast, strict=True):
        torch.testing.assert_close(a, b[:, ::2], atol=1e-4, rtol=0)


def test_both_forms_train_every_weight() -> None:
    network = FrameTokens(width=16, n_layers=1, n_heads=2)
    given = inputs()
    # The noise level starts without a say: its way in has no gradient before the first step.
    torch.nn.init.normal_(network.time_modulation.weight, std=0.1)
    (
        network(**given).square().mean() + network(None, given["keypoints"]).square().mean()
    ).backward()
    dead = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum()]
    assert dead == []


@torch.no_grad()
def test_attention_backends_agree(network: FrameTokens, tmp_path: Path) -> None:
    network.save_pretrained(tmp_path)
    plain = load_network(tmp_path, attention="math")
    torch.testing.assert_close(plain(**inputs()), network(**inputs()), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_a_folder_keeps_the_network(network: FrameTokens, tmp_path: Path) -> None:
    network.save_pretrained(tmp_path)
    again = load_network(tmp_path)
    assert isinstance(again, FrameTokens)
    assert not again.training
    assert (again(**inputs()) == network(**inputs())).all()


def test_wrong_folders_are_refused(network: FrameTokens, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="neither a folder nor one of d3dp-frame-small"):
        load_network("no-such-weights")
    with pytest.raises(CheckpointError, match=r"config\.json is absent"):
        load_network(tmp_path)
    (tmp_path / "config.json").write_text("[1")
    with pytest.raises(CheckpointError, match="not a JSON object"):
        load_network(tmp_path)
    (tmp_path / "config.json").write_text('{"_class_name": "Oracle"}')
    with pytest.raises(CheckpointError, match=r"'Oracle'; known are .*FrameTokens"):
        load_network(tmp_path)
    network.save_config(tmp_path)
    with pytest.raises(CheckpointError, match="absent"):
        load_network(tmp_path)


def test_wrong_sizes_are_refused() -> None:
    with pytest.raises(ShapeError, match="multiple of 2 n_heads"):
        FrameTokens(width=20, n_heads=8)
    with pytest.raises(ShapeError, match="n_layers - 1 = 1"):
        FrameTokens(width=16, n_heads=2, n_layers=2, n_shared=2)


@pytest.mark.skipif(torch.cuda.is_available(), reason="xformers may run here")
def test_absent_backends_are_refused_when_the_network_is_built() -> None:
    backend: Literal["xformers"] = "xformers"
    with pytest.raises(BackendError, match="sdpa"):
        FrameTokens(width=16, n_heads=2, n_layers=1, attention=backend)


@pytest.mark.parametrize("name", bundled_weights())
def test_weights_in_the_box_load_and_are_small(name: str) -> None:
    network = load_network(name)
    assert all(torch.isfinite(p).all() for p in network.parameters())
    folder = Path(weights_folder(name))
    assert sum(f.stat().st_size for f in folder.iterdir()) < 12e6
    assert (folder / "README.md").read_text().startswith(f"# {name}")


def weights_folder(name: str) -> Path:
    import hypopose.networks.load as loading

    return loading.BUNDLED / name


@torch.no_grad()
def test_perspective_encoding_is_the_rays_of_the_turned_camera(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = FrameTokens(width=16, n_layers=1, n_heads=2, perspective=True).eval()
    camera = replace(Camera.from_fov((1920, 1080)), focal=torch.tensor([900.0, 950.0]))
    xy = torch.tensor([1500.0, 300.0]) + 120 * torch.randn(9, 17, 2)
    xy[4, 3] = torch.nan
    seen = encode(Keypoints2D(xy, H36M17, camera=camera), "subject")
    assert seen.context is not None
    read: list[Tensor] = []
    assert network.from_rays is not None
    network.from_rays.register_forward_pre_hook(lambda _, given: read.append(given[0]))
    given = (None, seen.xy[None], None, seen.confidence[None], None, seen.context[None])
    with_rays = network(*given)
    rays = (torch.cat([xy, torch.ones(9, 17, 1)], -1) - torch.tensor([960.0, 540.0, 0.0])) / (
        torch.tensor([900.0, 950.0, 1.0])
    )
    turned = rays @ seen.rotation.mT
    expected = 10 * (turned[..., :2] / turned[..., 2:]).nan_to_num(0.0)
    torch.testing.assert_close(read[0][0].unflatten(-1, (17, 2)), expected, atol=1e-4, rtol=1e-4)
    plain = FrameTokens(width=16, n_layers=1, n_heads=2).eval()
    missing = network.state_dict().keys() - plain.state_dict().keys()
    assert missing == {"from_rays.weight"}
    plain.load_state_dict({k: v for k, v in network.state_dict().items() if k not in missing})
    assert (plain(*given) - with_rays).abs().max() > 1e-5
    network.save_pretrained(tmp_path)
    assert torch.equal(load_network(tmp_path)(*given), with_rays)
    network.from_rays.weight.zero_()
    assert torch.equal(plain(*given), network(*given))


@torch.no_grad()
def test_bfloat16_does_not_round_poses(network: FrameTokens) -> None:
    given = inputs()
    with torch.autocast("cpu", torch.bfloat16):
        half = network(**given)
    whole = network(**given)
    assert half.dtype == torch.float32
    assert not torch.equal(half, whole)
    assert (half.bfloat16().float() != half).float().mean() > 0.5


def test_bones_that_are_constant_keep_their_length_and_ignore_padding() -> None:
    torch.manual_seed(0)
    network = FrameTokens(
        width=32, n_layers=2, n_heads=4, n_shared=1, on_rays=True, constant_bones=True
    ).eval()
    given = inputs()
    mask = torch.ones(2, 7, dtype=torch.bool)
    mask[:, 5:] = False
    with torch.no_grad():
        drawn = network(**given, mask=mask)
        given["keypoints"][:, 5:] = 9.0
        padded = network(**given, mask=mask)
    bones = torch.stack([drawn[..., c, :] - drawn[..., p, :] for p, c in H36M17.bones], -2)
    length = bones.norm(dim=-1)
    assert length.min() > 1e-3
    assert (length - length[:, :, :1]).abs().max() < 1e-5
    assert torch.allclose(drawn[:, :, :5], padded[:, :, :5], atol=1e-5)
    assert network.info.constant_bones
