"""Low-rank adapters: train a few numbers beside frozen attention, then fold them into the weights.

Hu et al., "LoRA: Low-rank adaptation of large language models", ICLR 2022, as PoSynDA uses it (Liu
et al., "PoSynDA: Multi-hypothesis pose synthesis domain adaptation for robust 3D human pose
estimation", ACM MM 2023): every linear of every attention gets an adapter of rank 4, and nothing
else of the network is trained. A network adapted to a few minutes of video forgets little, because
it can change in few directions only.

| paper, released code | here |
| --- | --- |
| W x + b | ``linear`` |
| D (rank, in), normal with deviation 1/rank | ``lora_down`` |
| U (out, rank), zero at first | ``lora_up`` |
| s | ``scale`` |
| W + s U D | :func:`merge_low_rank` |

Tensors carry the released names, behind those of our modules: ``spatial.0.qkv.lora_up.weight`` is
the released ``STEblocks.0.attn.qkv.lora_up.weight``. Departures: none in numbers. Any linear can be
adapted, of any network; the published choice is the default.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hypopose.errors import OptionError

ATTENTION_LINEARS = ("qkv", "out", "proj", "linear_q", "linear_k", "linear_v")
"""What attention calls its linears, in the networks of this package."""

N = TypeVar("N", bound=nn.Module)


class LowRankLinear(nn.Module):
    """A linear layer and a trained correction of low rank: W x + b + s U drop(D x).

    Args:
        linear: The layer; its weights are kept and frozen.
        rank: Of the correction.
        scale: s.
        dropout: Of D x, in training.
        generator: Where the first D comes from; seeded with 0 if None.

    Raises:
        OptionError: If the rank is not from 1 to the smaller side of the layer, or another option
            is out of range.

    Example:
        >>> layer = nn.Linear(8, 24)
        >>> adapted, x = LowRankLinear(layer, rank=2), torch.randn(3, 8)
        >>> torch.equal(adapted(x), layer(x))  # the correction starts at zero
        True
    """

    def __init__(
        self,
        linear: nn.Linear,
        rank: int = 4,
        scale: float = 1.0,
        dropout: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        largest = min(linear.in_features, linear.out_features)
        if not 1 <= rank <= largest:
            raise OptionError(f"rank is a whole number from 1 to {largest} here, got {rank}.")
        if not scale > 0 or not 0 <= dropout < 1:
            raise OptionError(
                f"scale must be positive and dropout from 0 to below 1, got {scale} and {dropout}."
            )
        self.linear, self.rank, self.scale = linear.requires_grad_(False), rank, scale
        self.drop = nn.Dropout(dropout)
        weight = linear.weight
        self.lora_down = nn.Linear(linear.in_features, rank, bias=False).to(weight)
        self.lora_up = nn.Linear(rank, linear.out_features, bias=False).to(weight)
        source = torch.Generator().manual_seed(0) if generator is None else generator
        first = torch.randn(self.lora_down.weight.shape, generator=source) / rank
        self.lora_down.weight.data.copy_(first)
        nn.init.zeros_(self.lora_up.weight)

    def forward(self, x: Float[Tensor, "*any n_in"]) -> Float[Tensor, "*any n_out"]:
        """The layer's output, corrected."""
        return self.linear(x) + self.scale * self.lora_up(self.drop(self.lora_down(x)))

    @torch.no_grad()
    def merged(self) -> nn.Linear:
        """A plain linear layer with the same output in eval mode: W + s U D.

        Example:
            >>> adapted = LowRankLinear(nn.Linear(8, 24), rank=2)
            >>> nn.init.normal_(adapted.lora_up.weight).shape
            torch.Size([24, 2])
            >>> x = torch.randn(3, 8)
            >>> torch.allclose(adapted.merged()(x), adapted(x), atol=1e-5)
            True
        """
        n_out, n_in = self.linear.weight.shape
        bias = self.linear.bias
        plain = nn.Linear(n_in, n_out, bias=bias is not None).to(self.linear.weight)
        correction = self.lora_up.weight.double() @ self.lora_down.weight.double()
        plain.weight.copy_(self.linear.weight.double() + self.scale * correction)
        if bias is not None:
            plain.bias.copy_(bias)
        return plain


def add_low_rank(
    network: nn.Module,
    rank: int = 4,
    scale: float = 1.0,
    dropout: float = 0.0,
    *,
    linears: Sequence[str] = ATTENTION_LINEARS,
    generator: torch.Generator | None = None,
) -> list[str]:
    """Freeze a network and put adapters on its linears, in place.

    Load weights first: the names of adapted layers change. Outputs are the same until a step is
    taken.

    Args:
        network: Any of :data:`hypopose.networks.NETWORKS`, or another module.
        rank: Of every correction.
        scale: Of every correction.
        dropout: Between the two factors, in training.
        linears: Last parts of the names of the layers to adapt; those of attention by default.
        generator: Where the first factors come from; seeded with 0 if None.

    Returns:
        Names of the layers that got an adapter.

    Raises:
        OptionError: If the network has adapters already, or no such layer, or an option is out of
            range.

    Example:
        >>> from hypopose.networks import FrameTokens
        >>> network = FrameTokens(width=16, n_layers=2, n_heads=2)
        >>> add_low_rank(network, rank=2)
        ['blocks.0.qkv', 'blocks.0.out', 'blocks.1.qkv', 'blocks.1.out']
        >>> sum(p.numel() for p in network.parameters() if p.requires_grad)
        384
    """
    if any(True for _ in _adapted(network)):
        raise OptionError("The network has adapters already; fold them in with merge_low_rank.")
    found = {n: m for n, m in network.named_modules() if isinstance(m, nn.Linear)}
    chosen = [name for name in found if name.rpartition(".")[2] in linears]
    if not chosen:
        there = sorted({name.rpartition(".")[2] for name in found})
        raise OptionError(
            f"{type(network).__name__} has no linear layer named {' or '.join(linears)}; it has "
            f"{', '.join(there) or 'none'}. Name some with linears=."
        )
    source = torch.Generator().manual_seed(0) if generator is None else generator
    network.requires_grad_(False)
    for name in chosen:
        _put(network, name, LowRankLinear(found[name], rank, scale, dropout, source))
    return chosen


def merge_low_rank(network: N) -> N:
    """Fold adapters into plain weights, in place; the network can be saved and loaded as before.

    Args:
        network: With adapters or without.

    Returns:
        The same network; its outputs in eval mode are as they were, and all of its parameters can
        be trained again.

    Example:
        >>> from hypopose.networks import FrameTokens
        >>> network = FrameTokens(width=16, n_layers=2, n_heads=2)
        >>> names = set(network.state_dict())
        >>> _ = add_low_rank(network, rank=2)
        >>> set(merge_low_rank(network).state_dict()) == names
        True
    """
    for name, module in list(_adapted(network)):
        _put(network, name, module.merged().train(module.training))
    network.requires_grad_(True)
    return network


def low_rank_state(network: nn.Module) -> dict[str, Tensor]:
    """The trained numbers alone, by name: what has to be kept of an adapted network.

    Args:
        network: With adapters.

    Returns:
        Copies; load them with ``network.load_state_dict(state, strict=False)``.

    Example:
        >>> from hypopose.networks import FrameTokens
        >>> network = FrameTokens(width=16, n_layers=1, n_heads=2)
        >>> _ = add_low_rank(network, rank=2)
        >>> [name for name in low_rank_state(network) if "out" in name]
        ['blocks.0.out.lora_down.weight', 'blocks.0.out.lora_up.weight']
    """
    kept: dict[str, Tensor] = {}
    for name, module in _adapted(network):
        for part in ("lora_down", "lora_up"):
            weight: Tensor = getattr(module, part).weight
            kept[f"{name}.{part}.weight"] = weight.detach().clone()
    return kept


def _adapted(network: nn.Module) -> Iterator[tuple[str, LowRankLinear]]:
    for name, module in network.named_modules():
        if isinstance(module, LowRankLinear):
            yield name, module


def _put(network: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, own = name.rpartition(".")
    setattr(network.get_submodule(parent), own, module)
