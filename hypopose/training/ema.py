"""Exponential moving average of weights."""

from __future__ import annotations

import torch
from torch import nn


class EMA:
    """Averaged weights of a network; the decay grows with the updates as (1 + n) / (10 + n).

    Buffers (running statistics of batch norms) are copied, not averaged.

    Args:
        network: Whose weights are averaged.
        decay: Largest decay.

    Example:
        >>> layer = nn.Linear(1, 1, bias=False)
        >>> ema = EMA(layer, 0.9)
        >>> ema.update(layer)
        >>> bool((ema.weights["weight"] == layer.weight).all())
        True
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.n_updates = 0
        self.weights = {name: x.detach().clone() for name, x in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Move the averages towards the network's weights."""
        self.n_updates += 1
        decay = min(self.decay, (1 + self.n_updates) / (10 + self.n_updates))
        parameters = dict(network.named_parameters())
        for name, x in network.state_dict().items():
            if name in parameters:
                self.weights[name].lerp_(x, 1 - decay)
            else:
                self.weights[name].copy_(x)
