"""All backends compute the same attention; one that cannot run says so and is never replaced."""

from __future__ import annotations

import importlib.util

import pytest
import torch

from hypopose.errors import BackendError, OptionError
from hypopose.networks import attention as room
from hypopose.networks.attention import attention, check_backend
from hypopose.networks.mixste import MixSTE2

needs_xformers = pytest.mark.skipif(
    importlib.util.find_spec("xformers") is None or not torch.cuda.is_available(),
    reason="xformers or an NVIDIA GPU is absent",
)
OTHERS = ["math", pytest.param("xformers", marks=[needs_xformers, pytest.mark.cuda])]


def random_qkv(device: str) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    shapes = [(3, 2, 5, 8), (3, 2, 7, 8), (3, 2, 7, 8)]
    return [torch.randn(shape, generator=generator).to(device) for shape in shapes]


@pytest.mark.parametrize("backend", OTHERS)
@pytest.mark.parametrize("masked", [False, True])
def test_backends_agree(backend: str, masked: bool) -> None:
    q, k, v = random_qkv("cuda" if backend == "xformers" else "cpu")
    mask = torch.arange(7, device=q.device).lt(4)[None, None, None] if masked else None
    expected = attention(q, k, v, mask)
    assert torch.allclose(attention(q, k, v, mask, backend), expected, atol=1e-5)


@pytest.mark.parametrize("backend", ["sdpa", "math"])
def test_masked_keys_do_not_matter_and_nothing_to_see_is_zero(backend: str) -> None:
    q, k, v = random_qkv("cpu")
    mask = torch.ones(3, 1, 1, 7, dtype=torch.bool)
    mask[:, ..., 4:] = False
    mask[2] = False
    out = attention(q, k, v, mask, backend)
    k[..., 4:, :], v[..., 4:, :] = 100.0, -100.0
    assert torch.equal(attention(q, k, v, mask, backend), out)
    assert torch.equal(out[2], torch.zeros_like(out[2]))
    assert torch.allclose(out[:2], attention(q, k[..., :4, :], v[..., :4, :])[:2], atol=1e-6)


def test_uniform_attention_is_the_mean() -> None:
    v = torch.arange(6.0).reshape(1, 1, 6, 1)
    zeros = torch.zeros(1, 1, 6, 1)
    assert attention(zeros, zeros, v)[0, 0, 0, 0].item() == pytest.approx(2.5)


def test_absent_xformers_is_an_error_when_the_network_is_built(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BackendError, match=r"pip install 'hypopose\[xformers\]'"):
        MixSTE2(n_frames=2, width=16, depth=1, attention="xformers")


def test_unusable_xformers_is_an_error_that_names_the_cure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(BackendError, match="no NVIDIA GPU"):
        check_backend("xformers")

    def broken(name: str) -> None:
        raise OSError("undefined symbol")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(importlib, "import_module", broken)
    with pytest.raises(BackendError, match="undefined symbol"):
        check_backend("xformers")


def test_xformers_refuses_cpu_tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_xformers_ops", lambda: None)
    q, k, v = random_qkv("cpu")
    with pytest.raises(BackendError, match="on 'cpu'"):
        attention(q, k, v, backend="xformers")


def test_xformers_is_given_its_layout(monkeypatch: pytest.MonkeyPatch) -> None:
    class Ops:
        @staticmethod
        def memory_efficient_attention(
            q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, attn_bias: torch.Tensor | None
        ) -> torch.Tensor:
            rows = [x.transpose(1, 2) for x in (q, k, v)]
            out = torch.nn.functional.scaled_dot_product_attention(*rows, attn_mask=attn_bias)
            return out.transpose(1, 2)

    monkeypatch.setattr(room, "_xformers_ops", lambda: Ops)
    monkeypatch.setattr(room, "_check_cuda", lambda q: None)
    q, k, v = random_qkv("cpu")
    mask = torch.arange(7).lt(4)[None, None, None]
    for visible in (None, mask):
        expected = attention(q, k, v, visible, "math")
        assert torch.allclose(attention(q, k, v, visible, "xformers"), expected, atol=1e-5)


def test_an_unknown_backend_is_an_option_error() -> None:
    with pytest.raises(OptionError, match="sdpa, math, xformers"):
        check_backend("flash9")
