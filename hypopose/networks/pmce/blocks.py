"""Parts of PMCE: adaptive layer norm, attention within and between streams, MLPs.

Modules carry the names of the released tensors.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

EPSILON = 1e-6
"""Added to the standard deviation, as released."""


class AdaLayerNorm(nn.Module):
    """Layer norm whose scale and shift come from a condition.

    ``y = gamma(f) (x - mean) / (std + 1e-6) + beta(f)`` with the unbiased standard deviation; gamma
    does not start at 1, as released.

    Args:
        width: Channels.
        cond_dim: Channels of the condition.
    """

    def __init__(self, width: int, cond_dim: int) -> None:
        super().__init__()
        self.mlp_gamma = nn.Linear(cond_dim, width)
        self.mlp_beta = nn.Linear(cond_dim, width)

    def forward(
        self, x: Float[Tensor, "B N C"], condition: Float[Tensor, "B D"]
    ) -> Float[Tensor, "B N C"]:
        """Normalize over channels."""
        C = x.shape[-1]
        # torch's own norm takes a third of the time; its variance is biased, and eps is within.
        scaled = functional.layer_norm(x, (C,), eps=EPSILON**2)
        gamma = self.mlp_gamma(condition) * ((C - 1) / C) ** 0.5
        return torch.addcmul(self.mlp_beta(condition)[:, None], gamma[:, None], scaled)


class SelfAttention(nn.Module):
    """Multi-head attention of tokens to each other.

    Args:
        width: Channels.
        n_heads: Heads.
    """

    def __init__(self, width: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Float[Tensor, "B N C"]) -> Float[Tensor, "B N C"]:
        """Attend."""
        q, k, v = (split(y, self.n_heads) for y in self.qkv(x).chunk(3, -1))
        return self.proj(attend(q, k, v))


class CrossAttention(nn.Module):
    """Attention of one stream to another, whose values have a width of their own.

    Args:
        width: Channels of queries and keys.
        value_width: Channels of values.
        n_heads: Heads.
    """

    def __init__(self, width: int, value_width: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.wq = nn.Linear(width, width)
        self.wk = nn.Linear(width, width)
        self.wv = nn.Linear(value_width, value_width)
        self.proj = nn.Linear(value_width, width)

    def forward(
        self,
        queries: Float[Tensor, "B N C"],
        keys: Float[Tensor, "B M C"],
        values: Float[Tensor, "B M D"],
    ) -> Float[Tensor, "B N C"]:
        """Attend."""
        q, k = split(self.wq(queries), self.n_heads), split(self.wk(keys), self.n_heads)
        return self.proj(attend(q, k, split(self.wv(values), self.n_heads)))


def split(x: Float[Tensor, "B N C"], n_heads: int) -> Float[Tensor, "B heads N _D"]:
    """Channels into heads."""
    B, N, C = x.shape
    return x.reshape(B, N, n_heads, C // n_heads).transpose(1, 2)


def attend(
    q: Float[Tensor, "B heads N D"],
    k: Float[Tensor, "B heads M D"],
    v: Float[Tensor, "B heads M E"],
) -> Float[Tensor, "B N _C"]:
    """Softmax attention with scale 1/√D, heads joined again."""
    out = functional.scaled_dot_product_attention(q, k, v)
    return out.transpose(1, 2).flatten(2)


class DropPath(nn.Module):
    """Leaves whole branches out while training, for some items of the batch.

    Args:
        rate: How often.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, branch: Float[Tensor, "B *any"]) -> Float[Tensor, "B *any"]:
        """The branch, or 0, with the mean kept."""
        if not self.training or self.rate == 0.0:
            return branch
        shape = (len(branch), *(1,) * (branch.dim() - 1))
        keep = torch.rand(shape, device=branch.device) >= self.rate
        return branch * keep.to(branch) / (1 - self.rate)
