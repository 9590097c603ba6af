"""How the bundled DiffPose weights were made: a start cut from the D3DP weights, then training.

    python benchmarks/diffpose_weights.py cut START --shard cmu_permissive.npz ...
    hypopose train RUN --config hypopose/weights/diffpose-frame-small/training.json \
        --start START --motion MOTION

The start keeps three of the six blocks, the three with which the training loss is least, and of
their MLPs the 640 of 768 hidden units that contribute most (mean square of the activation times
the norm of what it writes). Twelve batches decide.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import click
import torch
from torch import Tensor
from torch.nn import functional

from hypopose.datasets import load_motion
from hypopose.diffusion import cosine_schedule
from hypopose.networks import FrameTokens, load_network
from hypopose.networks.pretrained import save_weights
from hypopose.training import BatchMaker, x0_loss

N_BLOCKS, N_HIDDEN = 3, 640


@click.group()
def main() -> None:
    """Make the start of the DiffPose weights."""


@main.command()
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--shard", "shards", multiple=True, required=True, help="Motion shards.")
@click.option("--weights", default="d3dp-frame-small", show_default=True)
def cut(target: Path, shards: tuple[str, ...], weights: str) -> None:
    """Write a smaller network that starts where WEIGHTS are."""
    torch.manual_seed(0)
    network = load_network(weights)
    assert isinstance(network, FrameTokens)
    batches = BatchMaker(load_motion(shards, "train"), torch.device("cpu"))
    generator = torch.Generator().manual_seed(0)
    drawn = [batches(16, 27, generator) for _ in range(12)]
    kept = best_blocks(network, drawn)
    units = [best_units(network, i, drawn) for i in kept]
    state = cut_state(network, kept, units)
    target.mkdir(parents=True, exist_ok=True)
    options = {**network.config, "n_layers": N_BLOCKS, "mlp_ratio": N_HIDDEN / 256}
    (target / "config.json").write_text(json.dumps(options, indent=2, default=str))
    save_weights(state, target)
    click.echo(f"blocks {kept} -> {target}")


@torch.no_grad()
def loss_of(network: FrameTokens, drawn: list) -> float:
    generator, schedule = torch.Generator().manual_seed(1), cosine_schedule()
    losses = [x0_loss(network, b, schedule, generator, scale=3.0, clamp=1.7) for b in drawn]
    return float(torch.stack(losses).mean())


def best_blocks(network: FrameTokens, drawn: list) -> tuple[int, ...]:
    blocks, losses = network.blocks, {}
    for kept in itertools.combinations(range(len(blocks)), N_BLOCKS):
        network.blocks = torch.nn.ModuleList(blocks[i] for i in kept)
        losses[kept] = loss_of(network, drawn[:3])
        click.echo(f"{kept}: {1000 * losses[kept]:.1f} mm")
    network.blocks = blocks
    return min(losses, key=losses.__getitem__)


def best_units(network: FrameTokens, i: int, drawn: list) -> Tensor:
    """Hidden units of block i's MLP, those that say most, in order."""
    block, squares = network.blocks[i], []

    def listen(_: torch.nn.Module, __: tuple[Tensor, ...], hidden: Tensor) -> None:
        squares.append(functional.relu(hidden).pow(4).mean((0, 1)))

    handle = block.up.register_forward_hook(listen)
    loss_of(network, drawn)
    handle.remove()
    says = torch.stack(squares).mean(0) * block.down.weight.square().sum(0)
    return says.topk(N_HIDDEN).indices.sort().values


def cut_state(
    network: FrameTokens, kept: tuple[int, ...], units: list[Tensor]
) -> dict[str, Tensor]:
    state = {k: v for k, v in network.state_dict().items() if not k.startswith("blocks.")}
    for new, (old, rows) in enumerate(zip(kept, units, strict=True)):
        for name, tensor in network.blocks[old].state_dict().items():
            kept_part = tensor
            if name.startswith("up."):
                kept_part = tensor[rows]
            elif name == "down.weight":
                kept_part = tensor[:, rows]
            state[f"blocks.{new}.{name}"] = kept_part.contiguous()
    return state


if __name__ == "__main__":
    main()
