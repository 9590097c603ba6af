"""What a training run is made of: frozen dataclasses by concern, which travel as JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hypopose.errors import FormatError, OptionError
from hypopose.simulation import BodyOptions, DetectionOptions
from hypopose.simulation.option_checks import check_range, check_shares, from_dict
from hypopose.training.target_options import TargetOptions

MOST = 1e15
"""No count or budget is larger."""


@dataclass(frozen=True)
class DataOptions:
    """What is drawn from, and how much of it in a batch.

    Args:
        shards: Motion shards to draw from, see :func:`hypopose.datasets.load_motion`.
        exclude: Names of clips to leave out; ``*`` and ``?`` stand for any letters.
        batch_frames: Frames per optimizer step.
        lengths: Window lengths; each batch has one of them.
        length_shares: How often each length comes.

    Raises:
        OptionError: If lengths and shares do not belong together.
    """

    shards: tuple[str, ...]
    exclude: tuple[str, ...] = ()
    batch_frames: int = 1296
    lengths: tuple[int, ...] = (1, 9, 17, 27, 41, 81)
    length_shares: tuple[float, ...] = (0.04, 0.08, 0.08, 0.45, 0.1, 0.25)

    @property
    def longest(self) -> int:
        """Frames of the longest window."""
        return max(self.lengths)

    def __post_init__(self) -> None:
        if not self.shards:
            raise OptionError("Name at least one motion shard to train on.")
        check_range(self, 1.0, 1e7, "batch_frames")
        shares = self.length_shares
        if len(self.lengths) != len(shares) or not all(1 <= n <= 1e5 for n in self.lengths):
            raise OptionError("Give positive window lengths, and one share for each of them.")
        if min(shares) < 0 or not sum(shares) > 0:
            raise OptionError(f"length_shares are not negative and not all 0, got {shares}.")


@dataclass(frozen=True)
class CameraOptions:
    """Virtual cameras, see :func:`hypopose.simulation.place_cameras`.

    Args:
        pitched: Share of windows seen by cameras of any pitch: up to 60 degrees above, and as far
            below as the floor allows, 25 degrees at most.
    """

    pitched: float = 0.0

    def __post_init__(self) -> None:
        check_shares(self, "pitched")


@dataclass(frozen=True)
class NetworkOptions:
    """The network that is trained.

    Args:
        name: A name in :data:`hypopose.training.ARCHITECTURES`.
        width: Width of a token.
        n_layers: Transformer blocks.
        n_heads: Attention heads.
        mlp_ratio: Hidden over outer width of the MLPs.
        n_latent: Channels of latent noise, for the objective ``"energy"``.
        start: Weights to start from, a folder or the name of bundled ones; tensors that fit are
            taken, larger ones filled.
        low_rank: Rank of adapters on the attention, which are then all that is trained, and which
            are folded in when weights are exported; 0 trains everything.
        options: Further options of the network, by name.
    """

    name: str = "frame-tokens"
    width: int = 256
    n_layers: int = 6
    n_heads: int = 8
    mlp_ratio: float = 3.0
    n_latent: int = 0
    start: str | None = None
    low_rank: int = 0
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_range(self, 1.0, 2.0**16, "width")
        check_range(self, 1.0, 1000.0, "n_layers", "n_heads")
        check_range(self, 0.0, 1000.0, "mlp_ratio")
        check_range(self, 0.0, 2.0**16, "n_latent", "low_rank")
        if self.low_rank and self.start is None:
            raise OptionError("low_rank adapts trained weights; say which with start.")


@dataclass(frozen=True)
class ObjectiveOptions:
    """What the network is trained for.

    Args:
        name: A name in :data:`hypopose.training.OBJECTIVES`.
        one_step_share: Share of windows that the objective ``"energy"`` draws from pure noise.
        n_draws: Draws per window of the objective ``"energy"``.
        norms: Its weights of distances of joints, poses, clips and changes between frames.
        flicker: Size of the noise that is new in every frame, for the objective ``"energy"``; 0
            draws motions from one noise per window.
        lift_share: Share of batches without a noisy pose, for the lifter form.
        n_timesteps: Timesteps of the cosine schedule.
        scale: Poses in meters are multiplied by it before noise is added: unit variance.
        clamp: Noisy poses are held within this many meters per coordinate; no arm is longer.
    """

    name: str = "x0"
    one_step_share: float = 0.7
    n_draws: int = 2
    norms: tuple[float, float, float, float] = (1.0, 1.0, 0.5, 2.0)
    flicker: float = 1.0
    lift_share: float = 0.05
    n_timesteps: int = 1000
    scale: float = 3.0
    clamp: float = 1.7

    def __post_init__(self) -> None:
        check_shares(self, "one_step_share", "lift_share")
        check_range(self, 0.0, 2.0, "flicker")
        check_range(self, 2.0, 1e5, "n_timesteps")
        check_range(self, 1e-6, 1e6, "scale", "clamp")
        if not 2 <= self.n_draws <= 1000 or min(self.norms) < 0 or not any(self.norms):
            raise OptionError(
                "An energy score needs n_draws of 2 or more, and norms: four weights, none below "
                "0 and one above."
            )


@dataclass(frozen=True)
class OptimizerOptions:
    """How weights are updated.

    Args:
        name: ``"adamw"``, or ``"muon"`` for the matrices inside the blocks.
        learning_rate: Peak learning rate.
        final_share: Learning rate at the end, as a share of the peak.
        weight_decay: Decay of weight matrices.
        warmup_steps: Steps of linear warm-up.
        clip_norm: Gradients are scaled down to this norm.
        ema_decay: Decay of the averaged weights, reached gradually.
    """

    name: str = "adamw"
    learning_rate: float = 8e-4
    final_share: float = 0.01
    weight_decay: float = 0.05
    warmup_steps: int = 500
    clip_norm: float = 1.0
    ema_decay: float = 0.998

    def __post_init__(self) -> None:
        check_shares(self, "final_share", "ema_decay")
        check_range(self, 0.0, 1e6, "learning_rate", "weight_decay", "warmup_steps", "clip_norm")


@dataclass(frozen=True)
class BudgetOptions:
    """How long a run lasts, and how often it looks up.

    Args:
        minutes: Wall-clock time. The learning rate falls with the share of it used.
        n_frames: Frames, where ``minutes`` is None.
        checkpoint_seconds: Time between checkpoints.
        validate_seconds: Time between validations.
    """

    minutes: float | None = None
    n_frames: int = 20_000_000
    checkpoint_seconds: float = 120.0
    validate_seconds: float = 600.0

    def __post_init__(self) -> None:
        if not (0 < self.n_frames < MOST and (self.minutes is None or 0 < self.minutes < MOST)):
            raise OptionError("The budget must be positive: minutes, or n_frames.")
        check_range(self, 0.0, MOST, "checkpoint_seconds", "validate_seconds")


@dataclass(frozen=True)
class ComputeOptions:
    """Where and how a run computes.

    Args:
        device: ``"cpu"`` or ``"cuda"``.
        bf16: Matrix products in bfloat16; None where the hardware has them (AMX or AVX-512
            on CPUs).
        compile: Compile the blocks: a third faster, needs a C++ compiler on CPU and a minute.
        seed: Decides weights, batches and noise.
    """

    device: str = "cpu"
    bf16: bool | None = None
    compile: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        check_range(self, 0.0, 2.0**62, "seed")


@dataclass(frozen=True)
class TrainConfig:
    """Options of :func:`hypopose.training.train`; JSON keeps them next to the checkpoint.

    Every option can also be given by its own name, see :meth:`from_options`: names are unique, and
    ``network``, ``objective``, ``optimizer`` and ``network_options`` stand for ``network.name``,
    ``objective.name``, ``optimizer.name`` and ``network.options``.

    Args:
        data: Motion, and what a batch is.
        bodies: How bodies in motion are drawn.
        cameras: How virtual cameras are placed.
        noise: How detectors see bodies.
        network: What is trained.
        objective: What it is trained for.
        optimizer: How weights are updated.
        budget: How long.
        compute: Where.
        target: People without 3D that it also learns from.

    Raises:
        OptionError: If options contradict each other.

    Example:
        >>> config = TrainConfig.from_options(shards=("walks.npz",), minutes=70.0)
        >>> TrainConfig.from_json(config.to_json()) == config
        True
        >>> config.with_options(learning_rate=1e-3).optimizer.learning_rate
        0.001
    """

    data: DataOptions
    bodies: BodyOptions = field(default_factory=BodyOptions)
    cameras: CameraOptions = field(default_factory=CameraOptions)
    noise: DetectionOptions = field(default_factory=DetectionOptions)
    network: NetworkOptions = field(default_factory=NetworkOptions)
    objective: ObjectiveOptions = field(default_factory=ObjectiveOptions)
    optimizer: OptimizerOptions = field(default_factory=OptimizerOptions)
    budget: BudgetOptions = field(default_factory=BudgetOptions)
    compute: ComputeOptions = field(default_factory=ComputeOptions)
    target: TargetOptions = field(default_factory=TargetOptions)

    def __post_init__(self) -> None:
        drawn = self.objective.flicker or self.network.n_latent
        if self.objective.name == "energy" and not drawn:
            raise OptionError("Without flicker and n_latent all draws are equal; give one of them.")

    @staticmethod
    def from_options(**options: Any) -> TrainConfig:
        """A configuration from options by their own names, or by section.

        Args:
            **options: For example ``shards=("walks.npz",), width=128, optimizer="muon"``, or
                ``data={"shards": ["walks.npz"]}``.

        Raises:
            OptionError: If an option does not exist, or has a value it cannot have.
        """
        return from_dict(TrainConfig, nested(options), name="training")

    def with_options(self, **options: Any) -> TrainConfig:
        """The same configuration with other options, named as for :meth:`from_options`."""
        changed = dataclasses.asdict(self)
        for section, values in nested(options).items():
            if not isinstance(values, dict):
                raise OptionError(f"{section} holds options by name, got {values!r}.")
            changed[section] |= values
        return from_dict(TrainConfig, changed, name="training")

    def to_json(self) -> str:
        """The options as JSON text, by section."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"

    @staticmethod
    def from_json(text: str, **changes: Any) -> TrainConfig:
        """Options from JSON text, by section or, as older versions wrote them, by their own names.

        Args:
            text: A JSON object; options it does not name keep their defaults.
            **changes: Options that override the text's, named as for :meth:`from_options`.

        Raises:
            FormatError: If the text is not a JSON object, or has options that do not exist.
        """
        try:
            options = json.loads(text)
            if not isinstance(options, dict):
                raise ValueError("it is not a JSON object")
            told = nested(options)
            for section, values in nested(changes).items():
                told[section] = {**told.get(section, {}), **values}
            return from_dict(TrainConfig, told, name="training")
        except (ValueError, TypeError, RecursionError) as error:
            raise FormatError(f"This is not a training configuration: {error}.") from error


SECTIONS: dict[str, type] = {
    "data": DataOptions,
    "bodies": BodyOptions,
    "cameras": CameraOptions,
    "noise": DetectionOptions,
    "network": NetworkOptions,
    "objective": ObjectiveOptions,
    "optimizer": OptimizerOptions,
    "budget": BudgetOptions,
    "compute": ComputeOptions,
    "target": TargetOptions,
}
"""Section of :class:`TrainConfig` -> its dataclass."""

PLACES: dict[str, tuple[str, str]] = {
    **{
        f.name: (section, f.name)
        for section, kind in SECTIONS.items()
        for f in dataclasses.fields(kind)
        if f.name not in ("name", "options")
    },
    **{section: (section, "name") for section in ("network", "objective", "optimizer")},
    "network_options": ("network", "options"),
}
"""An option's own name -> its section, and its name there."""


def nested(options: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Options by section, of options by section, by their own names, or by dotted names.

    Args:
        options: For example ``{"width": 64, "optimizer": "muon", "bodies.tumbling": 0.1}``.

    Raises:
        OptionError: If there is no such option.

    Example:
        >>> nested({"width": 64, "optimizer": "muon", "bodies.tumbling": 0.1})
        {'network': {'width': 64}, 'optimizer': {'name': 'muon'}, 'bodies': {'tumbling': 0.1}}
    """
    out: dict[str, dict[str, Any]] = {}
    for key, value in options.items():
        if key in SECTIONS and not (key in PLACES and isinstance(value, str)):
            if not isinstance(value, dict):
                raise OptionError(f"{key} holds options by name, got {value!r}.")
            out.setdefault(key, {}).update(value)
            continue
        section, name = _place(key)
        out.setdefault(section, {})[name] = value
    return out


def _place(key: str) -> tuple[str, str]:
    section, dot, name = key.partition(".")
    if dot and section in SECTIONS:
        return section, name
    if key not in PLACES:
        raise OptionError(
            f"There is no option {key!r} of training; see hypopose.training.TrainConfig."
        )
    return PLACES[key]
