"""One training run in memory: network, optimizer, averages, random states, progress."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hypopose.diffusion import cosine_schedule
from hypopose.errors import BackendError, CheckpointError, OptionError
from hypopose.io.atomic import write_atomically
from hypopose.networks.attention import Backend
from hypopose.networks.compiling import compile_blocks
from hypopose.networks.low_rank import add_low_rank, merge_low_rank
from hypopose.networks.pretrained import PretrainedNetwork
from hypopose.training.batches import motion_of
from hypopose.training.config import OptimizerOptions, TrainConfig
from hypopose.training.ema import EMA
from hypopose.training.muon import Muon
from hypopose.training.new_network import new_network, start_from
from hypopose.training.objectives import OBJECTIVES, LossContext, MakeBatch, Objective


@dataclass
class Progress:
    """How far a run has come.

    Args:
        step: Optimizer steps.
        frames: Frames seen.
        seconds: Wall-clock time used, over all sittings.
    """

    step: int = 0
    frames: int = 0
    seconds: float = 0.0

    def share(self, config: TrainConfig) -> float:
        """Share of the budget used, 0 to 1."""
        budget = config.budget
        if budget.minutes is not None:
            return min(1.0, self.seconds / (60 * budget.minutes))
        return min(1.0, self.frames / budget.n_frames)


def learning_rate(config: TrainConfig, step: int, share: float) -> float:
    """Linear warm-up over steps times half a cosine over the budget.

    Example:
        >>> options = {"shards": ("a.npz",), "warmup_steps": 10, "learning_rate": 1.0}
        >>> config = TrainConfig.from_options(**options)
        >>> [round(learning_rate(config, *at), 3) for at in ((4, 0.0), (99, 0.5), (99, 1.0))]
        [0.5, 0.505, 0.01]
    """
    o = config.optimizer
    warm = min(1.0, (step + 1) / max(1, o.warmup_steps))
    cosine = 0.5 * (1 + math.cos(math.pi * share))
    return o.learning_rate * warm * (o.final_share + (1 - o.final_share) * cosine)


class Trainer:
    """Holds a run and takes its steps.

    Args:
        config: The run's options. Same options, same steps: all randomness comes from ``seed``.
        make_batch: Draws batches; None for what the objective makes of the shards.
    """

    def __init__(self, config: TrainConfig, make_batch: MakeBatch | None = None) -> None:
        self.config = config
        self.objective = objective_of(config)
        self.device = device_of(config)
        self.half = half_bits(config)
        # Back-propagation in bfloat16 through fused attention is slow on CPUs.
        attention: Backend = "math" if self.device.type == "cpu" and self.half else "sdpa"
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.compute.seed)
            self.network = new_network(config, attention).to(self.device)
        start = config.network.start or config.network.options.get("base")
        if start is not None:
            start_from(self.network, start)
        if config.network.low_rank:
            add_low_rank(self.network, config.network.low_rank)
        if config.compute.compile:
            compile_blocks(self.network)
        self.optimizers = make_optimizers(self.network, config)
        self.ema = EMA(self.network, config.optimizer.ema_decay)
        self.progress = Progress()
        self.generator = torch.Generator(self.device).manual_seed(config.compute.seed)
        self.choices = torch.Generator().manual_seed(config.compute.seed)
        self.schedule = cosine_schedule(config.objective.n_timesteps)
        if make_batch is None:
            motion = motion_of(config, "train")
            make_batch = self.objective.make_batches(motion, self.device, config)
        self.make_batch = make_batch

    def step(self) -> dict[str, float]:
        """Take one optimizer step.

        Returns:
            Loss (``loss_mm`` if it is a length, else ``loss``), gradient norm and learning rate.
        """
        config, progress = self.config, self.progress
        shares = torch.tensor(config.data.length_shares)
        F = config.data.lengths[int(torch.multinomial(shares, 1, generator=self.choices))]
        B = max(1, config.data.batch_frames // F)
        batch = self.make_batch(B, F, self.generator)
        context = LossContext(config, self.schedule, self.generator, self.choices)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            loss = self.objective.loss(self.network, batch, context)
        self.network.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), config.optimizer.clip_norm)
        lr = learning_rate(config, progress.step, progress.share(config))
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = lr
            optimizer.step()
        self.ema.update(self.network)
        progress.step += 1
        progress.frames += B * F
        shown = self.objective.logged(float(loss.detach()))
        return {**shown, "grad_norm": float(norm), "lr": lr}

    def averaged(self) -> PretrainedNetwork:
        """A network with the averaged weights, ready for inference."""
        return averaged_network(self.config, self.ema.weights).to(self.device)

    def save(self, path: Path) -> None:
        """Write everything needed to go on; the file is replaced in one move."""
        state = {
            "network": self.network.state_dict(),
            "optimizer": [optimizer.state_dict() for optimizer in self.optimizers],
            "ema": self.ema.weights,
            "ema_updates": self.ema.n_updates,
            "generator": self.generator.get_state(),
            "lengths": self.choices.get_state(),
            "progress": asdict(self.progress),
        }
        more = self.more_state()
        with write_atomically(path) as partial:
            torch.save({**state, "more": more} if more else state, partial)

    def more_state(self) -> dict[str, Any]:
        """What else going on needs: tensors, numbers, texts, and lists and dictionaries of them."""
        return {}

    def load_more_state(self, state: dict[str, Any]) -> None:
        """Undo :meth:`more_state`."""

    def resume(self, path: Path) -> None:
        """Go on from a checkpoint: on one device, steps repeat exactly.

        Raises:
            CheckpointError: If the file is not a checkpoint of such a run.
        """
        state = read_state(path)
        try:
            self.network.load_state_dict(state["network"])
            saved = state["optimizer"]
            saved = saved if isinstance(saved, list) else [saved]  # older checkpoints have only one
            for optimizer, of in zip(self.optimizers, saved, strict=True):
                optimizer.load_state_dict(of)
            for name, value in state["ema"].items():
                self.ema.weights[name].copy_(value)
        except (RuntimeError, ValueError) as error:
            raise CheckpointError(
                f"{path} belongs to a network of another size, or another optimizer: {error}"
            ) from error
        self.ema.n_updates = state["ema_updates"]
        self.generator.set_state(state["generator"])
        self.choices.set_state(state["lengths"])
        self.progress = Progress(**state["progress"])
        self.load_more_state(state.get("more", {}))


def objective_of(config: TrainConfig) -> Objective:
    """What a run trains for.

    Raises:
        OptionError: If there is no such objective.
    """
    name = config.objective.name
    if name not in OBJECTIVES:
        raise OptionError(f"There is no objective {name!r}; choose one of {', '.join(OBJECTIVES)}.")
    return OBJECTIVES[name]


def device_of(config: TrainConfig) -> torch.device:
    """Where a run's network lives and its batches are made.

    Raises:
        OptionError: If there is no such device.
        BackendError: If it is a GPU and torch sees none.
    """
    name = config.compute.device
    try:
        device = torch.device(name)
    except RuntimeError:
        raise OptionError(f"There is no device {name!r}; use cpu or cuda.") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise BackendError(
            f"device={name!r} was asked for, but torch sees no GPU; use device='cpu'."
        )
    return device


def half_bits(config: TrainConfig) -> bool:
    """Whether matrix products run in bfloat16: as asked, else where the hardware multiplies them.

    Example:
        >>> half_bits(TrainConfig.from_options(shards=("a.npz",), bf16=False))
        False
    """
    if config.compute.bf16 is not None:
        return config.compute.bf16
    if torch.device(config.compute.device).type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()


def averaged_network(config: TrainConfig, weights: dict[str, torch.Tensor]) -> PretrainedNetwork:
    """The configured network with given weights, in eval mode; adapters are folded in."""
    network = new_network(config)
    if config.network.low_rank:
        add_low_rank(network, config.network.low_rank)
    network.load_state_dict(weights)
    return merge_low_rank(network).eval()


def read_state(path: Path) -> dict[str, Any]:
    """Read a checkpoint; only tensors, numbers and strings are accepted.

    Raises:
        CheckpointError: If the file is absent, damaged or not a checkpoint.
    """
    keys = {"network", "optimizer", "ema", "ema_updates", "generator", "lengths", "progress"}
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} is absent; the run has no checkpoint yet.") from error
    except Exception as error:  # torch raises many kinds for damaged files
        raise CheckpointError(f"{path} is not a training checkpoint: {error}") from error
    if not isinstance(state, dict) or set(state) - {"more"} != keys:
        raise CheckpointError(f"{path} is not a training checkpoint of this version.")
    return state


def make_optimizers(network: nn.Module, config: TrainConfig) -> list[torch.optim.Optimizer]:
    """AdamW for all parameters; with ``optimizer="muon"`` Muon for the matrices inside the blocks.

    Raises:
        OptionError: If there is no such optimizer, or the network has no blocks.
    """
    o = config.optimizer
    if o.name not in ("adamw", "muon"):
        raise OptionError(f"There is no optimizer {o.name!r}; use adamw or muon.")
    trained = [p for p in network.parameters() if p.requires_grad]
    if o.name == "adamw":
        return [_adamw(trained, o)]
    turned = _matrices_in_blocks(network)
    known = {id(p) for p in turned}
    adamw = _adamw([p for p in trained if id(p) not in known], o)
    return [adamw, Muon(turned, lr=o.learning_rate, weight_decay=o.weight_decay)]


def _adamw(parameters: Sequence[Tensor], options: OptimizerOptions) -> torch.optim.AdamW:
    """Weight decay for matrices only."""
    matrices = [p for p in parameters if p.dim() > 1]
    rest = [p for p in parameters if p.dim() <= 1]
    groups = [
        {"params": matrices, "weight_decay": options.weight_decay},
        {"params": rest, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=options.learning_rate, betas=(0.9, 0.99), fused=True)


def _matrices_in_blocks(network: nn.Module) -> list[Tensor]:
    """The matrices that Muon turns."""
    inside = [m for name, m in network.named_modules() if "blocks" in name.split(".")]
    linear = [m.weight for m in inside if isinstance(m, nn.Linear) and m.weight.requires_grad]
    if not linear:
        raise OptionError(
            f"{type(network).__name__} has no blocks whose matrices Muon could turn; use adamw."
        )
    return linear
