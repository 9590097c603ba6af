"""UAO on lifters that are known: laws, and places where gradients or divisions end."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from jaxtyping import TypeCheckError
from torch import Tensor

from hypopose.cameras import project, to_screen
from hypopose.errors import OptionError
from hypopose.networks import GUMLP, ScaleTokens
from hypopose.networks.base import NetworkInfo
from hypopose.optimization.uao import UAO, Iteration
from hypopose.skeletons import H36M17
from hypopose.types import Camera

CAMERA = replace(Camera.from_fov((1000, 1000)), assumed=False)
DEPTH = 4.0
ORDER = list(H36M17.flip_order)


class Flat:
    """Poses parallel to the image, as large as the keypoints are 4 m away, and one log-scale."""

    def __init__(self, log_scale: float = -3.0, stretch: float = 1.0) -> None:
        self.log_scale, self.stretch, self.n_calls = log_scale, stretch, 0

    @property
    def info(self) -> NetworkInfo:
        return NetworkInfo("screen", None, "h36m17", "h36m17", forms=("lifter",))

    def with_scale(
        self,
        keypoints: Tensor,
        confidence: Tensor | None = None,
        mask: Tensor | None = None,
        context: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        self.n_calls += 1
        focal = float(CAMERA.focal[0])
        pose = keypoints * (DEPTH * 500 / focal * self.stretch)
        pose = torch.cat([pose, torch.zeros_like(pose[..., :1])], -1)
        return pose, torch.full_like(keypoints[..., 0], self.log_scale)


def scene(N: int = 3, F: int = 2, *, noise: float = 0.0) -> tuple[Tensor, Tensor]:
    """Keypoints that :class:`Flat` explains exactly, up to noise, and roots."""
    generator = torch.Generator().manual_seed(0)
    pose = 0.3 * torch.randn(N, F, 17, 3, generator=generator)
    pose[..., 2] = 0.0
    pose[..., 0, :] = 0.0
    root = torch.tensor([0.0, 0.0, DEPTH]).expand(N, F, 3)
    seen = to_screen(project(pose + root[:, :, None], CAMERA), (1000, 1000))
    return seen + noise * torch.randn(seen.shape, generator=generator), root


def energies(steps: list[Iteration], method: UAO) -> Tensor:
    """Of every step, item and branch."""
    weights = torch.tensor([method.weight_prior, method.weight_projection])
    return torch.stack([torch.stack([s.prior, s.projection], -1) @ weights for s in steps])


def lifter() -> GUMLP:
    torch.manual_seed(0)
    return GUMLP(16, 2).eval()


def test_what_fits_exactly_stays() -> None:
    keypoints, root = scene()
    seen: list[Iteration] = []
    pose = UAO(patience=None).optimize(Flat(), keypoints, CAMERA, root, seen.append)
    assert all(bool(s.gradients.isfinite().all()) for s in seen)
    assert seen[0].projection[:, 0].max() < 1e-6  # residuals of zero, or of rounding
    start = UAO(n_steps=0).optimize(Flat(), keypoints, CAMERA, root)
    assert torch.allclose(pose, start, atol=1e-5)


def test_moves_towards_the_keypoints() -> None:
    keypoints, root = scene()
    network = Flat(stretch=0.9)
    start = UAO(n_steps=0).optimize(network, keypoints, CAMERA, root)
    pose = UAO(n_steps=40).optimize(network, keypoints, CAMERA, root)

    def missed(pose: Tensor) -> Tensor:
        px = project(pose + root[:, :, None], CAMERA)
        return (to_screen(px, (1000, 1000)) - keypoints).norm(dim=-1).mean()

    assert missed(pose) < 0.7 * missed(start)


@pytest.mark.parametrize("learning_rate", [1e-3, 0.5])
def test_ends_at_the_best_point_it_saw(learning_rate: float) -> None:
    """So never worse than it began, also where steps are far too long."""
    keypoints, root = scene(noise=0.05)
    network, method = lifter(), UAO(6, learning_rate, patience=None)
    seen: list[Iteration] = []
    # One step more shows the point where six steps end.
    replace(method, n_steps=7).optimize(network, keypoints, CAMERA, root, seen.append)
    values = energies(seen, method).sum(-1)
    best = values.argmin(0)
    pose = method.optimize(network, keypoints, CAMERA, root)
    for item, at in enumerate(best.tolist()):
        at_best = seen[at].pose[item].mean(0)
        assert torch.allclose(pose[item, :, 1:], at_best[:, 1:], atol=1e-5)
    if learning_rate > 0.1:
        assert bool((values[-1] > values.min(0).values).any())  # there was something to guard from


@pytest.mark.parametrize("log_scale", [-40.0, -200.0])
def test_tiny_scales_give_numbers_and_hold(log_scale: float) -> None:
    """``exp(200)`` is infinite in single precision, and zero times it no number."""
    keypoints, root = scene(noise=0.02)
    network = Flat(log_scale, stretch=0.9)
    start = UAO(n_steps=0).optimize(network, keypoints, CAMERA, root)
    held = replace(UAO.published(), keep="best").optimize(network, keypoints, CAMERA, root)
    assert torch.allclose(held, start, atol=1e-6)


def test_a_drifting_scale_of_the_root_does_not_hold_the_pose() -> None:
    keypoints, root = scene(noise=0.05)
    network = lifter()
    start = UAO(n_steps=0).optimize(network, keypoints, CAMERA, root)
    predict = network.with_scale
    drift = torch.zeros(17)
    drift[0] = -200.0
    network.with_scale = lambda z: (predict(z)[0], predict(z)[1] + drift)  # type: ignore[method-assign]
    seen: list[Iteration] = []
    moved = UAO().optimize(network, keypoints, CAMERA, root, seen.append)
    assert bool(seen[-1].prior.isfinite().all())
    assert float((moved - start).norm(dim=-1).mean()) > 1e-4


@pytest.mark.parametrize("depth", [0.0, -2.0, 1e-4])
def test_people_at_or_behind_the_camera_give_numbers(depth: float) -> None:
    keypoints, _ = scene()
    root = torch.tensor([0.0, 0.0, depth]).expand(3, 2, 3)
    for method in (UAO(), UAO.published(), UAO(clamp=None)):
        pose = method.optimize(lifter(), keypoints, CAMERA, root)
        assert bool(pose.isfinite().all())


def test_items_do_not_depend_on_the_batch_nor_on_chunks() -> None:
    keypoints, root = scene(5, noise=0.05)
    focal = torch.linspace(800.0, 1200.0, 5)[:, None].expand(5, 2)
    cameras = Camera(focal, torch.full((5, 2), 500.0), (1000, 1000))
    network = lifter()
    together = UAO(chunk=100).optimize(network, keypoints, cameras, root)
    for chunk in (1, 4, 7):
        cut = UAO(chunk=chunk).optimize(network, keypoints, cameras, root)
        assert torch.allclose(cut, together, atol=2e-6)
    for i in range(5):
        camera = Camera(focal[i], torch.full((2,), 500.0), (1000, 1000))
        alone = UAO().optimize(network, keypoints[i : i + 1], camera, root[i : i + 1])
        assert torch.allclose(alone[0], together[i], atol=2e-6)


def test_chunks_do_not_change_the_published_batch_mean() -> None:
    keypoints, root = scene(5, noise=0.05)
    network = lifter()
    whole = replace(UAO.published(), chunk=100).optimize(network, keypoints, CAMERA, root)
    cut = replace(UAO.published(), chunk=4).optimize(network, keypoints, CAMERA, root)
    assert torch.allclose(cut, whole, atol=2e-6)


def test_one_pass_a_step_and_one_at_the_end() -> None:
    keypoints, root = scene(noise=0.02)
    network = Flat()
    UAO.published(4).optimize(network, keypoints, CAMERA, root)
    assert network.n_calls == 5


def test_weights_stay_as_they_are() -> None:
    keypoints, root = scene(noise=0.02)
    network = lifter()
    frozen = network.encoder.fc1.weight.requires_grad_(False)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    UAO().optimize(network, keypoints, CAMERA, root)
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())
    asks = [p for p in network.parameters() if not p.requires_grad]
    assert len(asks) == 1
    assert asks[0] is frozen
    assert all(p.grad is None for p in network.parameters())


def test_bfloat16_stays_close() -> None:
    keypoints, root = scene(noise=0.05)
    network = lifter()
    start = UAO(n_steps=0).optimize(network, keypoints, CAMERA, root)
    exact = UAO().optimize(network, keypoints, CAMERA, root)
    half = UAO(precision="bfloat16").optimize(network, keypoints, CAMERA, root)
    moved = (exact - start).norm(dim=-1).mean()
    assert (half - exact).norm(dim=-1).mean() < 0.3 * moved


def test_errors_say_what_to_do() -> None:
    keypoints, root = scene()
    with pytest.raises(OptionError, match="screen coordinates"):
        UAO().optimize(ScaleTokens(width=16, n_layers=1, n_heads=2), keypoints, CAMERA, root)
    for wrong in ({"chunk": 0}, {"anchor": "none"}, {"reduction": "sum"}, {"precision": "half"}):
        with pytest.raises((OptionError, TypeCheckError)):
            UAO(**wrong)  # type: ignore[arg-type]
