"""Softmax attention behind one small interface; the backend is chosen by name.

| backend | computed by | needs |
| --- | --- | --- |
| ``sdpa`` (default) | ``torch.nn.functional.scaled_dot_product_attention`` | nothing |
| ``math`` | the formula, softmax(q kᵀ / √D) v | nothing; memory grows with N² |
| ``xformers`` | ``xformers.ops.memory_efficient_attention`` | the extra, and an NVIDIA GPU |

All give equal results up to rounding. A backend that cannot run raises; it is never replaced
silently. Queries that may attend to nothing come out as 0 in every backend.

Networks exported to ONNX hold the formula in place of ``sdpa``: torch writes ``sdpa`` with four
axes only, and so that it gives NaN where there is nothing to attend to.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
from collections.abc import Callable
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from hypopose.checks import check_choice
from hypopose.errors import BackendError

Backend = Literal["sdpa", "math", "xformers"]


def attention(
    q: Float[Tensor, "*batch heads N D"],
    k: Float[Tensor, "*batch heads M D"],
    v: Float[Tensor, "*batch heads M D"],
    mask: Bool[Tensor, "..."] | None = None,
    backend: Backend = "sdpa",
) -> Float[Tensor, "*batch heads N D"]:
    """Scaled dot-product attention, scale 1/√D.

    Args:
        q: Queries.
        k: Keys.
        v: Values.
        mask: True where a query may attend to a key; broadcasts to (*batch, heads, N, M). A key
            mask ``(B, M)`` is passed as ``mask[:, None, None, :]``.
        backend: How to compute it, see the module's table.

    Returns:
        The attended values; 0 for queries that may attend to nothing.

    Raises:
        BackendError: If the backend is absent or cannot run on these tensors.

    Example:
        >>> q = torch.randn(2, 4, 5, 8)
        >>> torch.allclose(attention(q, q, q), attention(q, q, q, backend="math"), atol=1e-6)
        True
    """
    out = BACKENDS[backend](q, k, v, mask)
    if mask is None:
        return out
    return out * mask.any(-1, keepdim=True)


def check_backend(backend: str) -> None:
    """Raise unless the backend can run on this machine; networks call this when they are built.

    Raises:
        OptionError: If no backend has that name.
        BackendError: If xformers is not installed, or has no GPU to run on.
    """
    check_choice("attention", backend, BACKENDS)
    if backend == "xformers":
        _xformers_ops()


def _sdpa(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    if torch.compiler.is_exporting():
        return _math(q, k, v, mask)
    return functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)


def _math(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    logits = (q @ k.transpose(-1, -2)) / math.sqrt(q.shape[-1])
    if mask is not None:
        logits = logits.masked_fill(~mask, torch.finfo(logits.dtype).min)
    return logits.softmax(-1) @ v


def _xformers(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    ops = _xformers_ops()
    _check_cuda(q)
    *batch, heads, n, d = q.shape
    m = k.shape[-2]
    bias = None
    if mask is not None:
        # xformers requires rows of the bias to be aligned to 8 elements.
        bias = q.new_zeros(q[..., 0, 0].numel() // heads, heads, n, -(-m // 8) * 8)[..., :m]
        visible = mask.expand(*batch, heads, n, m).reshape(bias.shape)
        bias.masked_fill_(~visible, torch.finfo(q.dtype).min)
    rows = [x.reshape(-1, heads, x.shape[-2], d).transpose(1, 2) for x in (q, k, v)]
    out: Tensor = ops.memory_efficient_attention(*rows, attn_bias=bias)
    return out.transpose(1, 2).reshape(*batch, heads, n, d)


def _check_cuda(q: Tensor) -> None:
    if q.device.type != "cuda":
        raise BackendError(
            f"attention='xformers' runs on NVIDIA GPUs, but these tensors are on "
            f"{q.device.type!r}. Move the network with .to('cuda') or choose attention='sdpa'."
        )


def _xformers_ops() -> Any:
    if importlib.util.find_spec("xformers") is None:
        raise BackendError(
            "attention='xformers' was chosen, but xformers is not installed. Install it with "
            "pip install 'hypopose[xformers]', or choose attention='sdpa'."
        )
    if not torch.cuda.is_available():
        raise BackendError(
            "attention='xformers' was chosen, but torch sees no NVIDIA GPU here. Choose "
            "attention='sdpa', which gives equal results."
        )
    try:
        return importlib.import_module("xformers.ops")
    except (ImportError, OSError, RuntimeError) as error:
        raise BackendError(
            f"xformers is installed but does not load ({error}). Install the wheel made for this "
            "torch and CUDA, or choose attention='sdpa'."
        ) from error


BACKENDS: dict[str, Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor]] = {
    "sdpa": _sdpa,
    "math": _math,
    "xformers": _xformers,
}
