"""What a training run is made of, as one frozen dataclass that travels as JSON."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any

from hypopose.errors import FormatError, OptionError
from hypopose.training.views import CLEAN, NOISY_PX


@dataclass(frozen=True)
class TrainConfig:
    """Options of :func:`hypopose.training.train`; JSON keeps them beside the checkpoint.

    Args:
        shards: Motion shards to draw from, see :mod:`hypopose.datasets.motion`.
        minutes: Budget of wall-clock time. The learning rate falls with the share of it used.
        n_frames: Budget in frames, where ``minutes`` is None.
        batch_frames: Frames per optimizer step.
        lengths: Window lengths; each batch has one of them.
        length_shares: How often each length comes.
        recombine: Share of windows whose body parts come from different clips.
        seated_share: Share of parts drawn from shards called ``procedural...``.
        optimizer: ``"adamw"``, or ``"muon"`` for the matrices inside the blocks.
        learning_rate: Peak learning rate.
        final_share: Learning rate at the end, as a share of the peak.
        weight_decay: Decay of weight matrices.
        warmup_steps: Steps of linear warm-up.
        clip_norm: Gradients are scaled down to this norm.
        ema_decay: Decay of the averaged weights, reached gradually.
        tumbling: Share of windows whose bodies lean or fall in any direction.
        bone_sd: Relative spread of bone lengths: of the whole body, and of each pair of bones.
        free_pairs: Whether hips, shoulders, neck and head vary more than other bones.
        pair_freedom: How much of that is drawn, 0 (like other bones) to 1.
        direction_sd: Spread of a constant tilt of every bone, in radians.
        recorded_bones: Share of windows whose mean bones lie between the Human3.6M skeleton's and
            the recorded bodies'.
        recorded_reach: How far they go that way: 1 to the recorded bodies, more for past them, so
            that real people stand inside what is drawn and not at its edge.
        as_recorded: Share of windows with the bone lengths of one recorded body, unchanged.
        spine_sd: Spread in meters of how far before or behind the trunk the spine joint lies.
        pitched: Share of windows seen by cameras of any pitch: up to 60 degrees above, and as far
            below as the floor allows, 25 degrees at most.
        clean: Share of windows whose keypoints are nearly clean.
        exact: Share of windows, among the clean ones, with exact keypoints: no detector, and nobody
            who means another point by a joint.
        noisy_px: Range of the other windows' noise, in pixels of a subject 400 px tall.
        ends_alone: Share of swapped sides of which forearms, or shins, change places alone.
        as_coco: Share of windows whose joints are formed from a COCO-17 detector's keypoints;
            ``clean`` and ``exact`` are shares of the others, ``noisy_px``, ``ends_alone`` and
            ``steady`` hold for both.
        steady: Share of noisy windows whose errors do not tremble.
        network: A name in :data:`hypopose.training.NETWORKS`.
        network_options: Further options of the network, by name.
        objective: A name in :data:`hypopose.training.OBJECTIVES`.
        start: Folder of weights to start from; tensors that fit are taken, larger ones filled.
        n_latent: Channels of latent noise, for the objective ``"energy"``.
        one_step_share: Share of windows that the objective ``"energy"`` draws from pure noise.
        n_draws: Draws per window of the objective ``"energy"``.
        norms: Its weights of distances of joints, poses, clips and changes between frames.
        flicker: Size of the noise that is fresh in every frame, for the objective ``"energy"``: 0
            for motions that do not tremble.
        lift_share: Share of batches without a noisy pose, for the lifter form.
        n_timesteps: Timesteps of the cosine schedule.
        scale: Poses in meters are multiplied by it before noise is added: unit variance.
        clamp: Noisy poses are held within this many meters per coordinate; no arm is longer.
        width: Width of a token.
        n_layers: Transformer blocks.
        n_heads: Attention heads.
        mlp_ratio: Hidden over outer width of the MLPs.
        bf16: Matrix products in bfloat16; None where the hardware has them (AMX or AVX-512
            on CPUs).
        compile: Compile the blocks: a third faster, needs a C++ compiler on CPU and a minute.
        seed: Decides weights, batches and noise.
        device: ``"cpu"`` or ``"cuda"``.
        checkpoint_seconds: Time between checkpoints.
        validate_seconds: Time between validations.

    Raises:
        OptionError: If options contradict each other.

    Example:
        >>> config = TrainConfig(shards=("walks.npz",), minutes=70.0)
        >>> TrainConfig.from_json(config.to_json()) == config
        True
    """

    shards: tuple[str, ...]
    minutes: float | None = None
    n_frames: int = 20_000_000
    batch_frames: int = 1296
    lengths: tuple[int, ...] = (1, 9, 17, 27, 41, 81)
    length_shares: tuple[float, ...] = (0.04, 0.08, 0.08, 0.45, 0.1, 0.25)
    recombine: float = 0.6
    seated_share: float = 0.3
    optimizer: str = "adamw"
    learning_rate: float = 8e-4
    final_share: float = 0.01
    weight_decay: float = 0.05
    warmup_steps: int = 500
    clip_norm: float = 1.0
    ema_decay: float = 0.998
    tumbling: float = 0.0
    bone_sd: tuple[float, float] = (0.05, 0.035)
    free_pairs: bool = False
    pair_freedom: float = 1.0
    direction_sd: float = 0.0
    recorded_bones: float = 0.0
    recorded_reach: float = 1.0
    as_recorded: float = 0.0
    spine_sd: float = 0.0
    pitched: float = 0.0
    clean: float = CLEAN
    exact: float = 0.0
    noisy_px: tuple[float, float] = NOISY_PX
    ends_alone: float = 0.0
    as_coco: float = 0.0
    steady: float = 0.0
    network: str = "frame-tokens"
    network_options: dict[str, Any] = field(default_factory=dict)
    objective: str = "x0"
    start: str | None = None
    n_latent: int = 0
    one_step_share: float = 0.7
    n_draws: int = 2
    norms: tuple[float, float, float, float] = (1.0, 1.0, 0.5, 2.0)
    flicker: float = 1.0
    lift_share: float = 0.05
    n_timesteps: int = 1000
    scale: float = 3.0
    clamp: float = 1.7
    width: int = 256
    n_layers: int = 6
    n_heads: int = 8
    mlp_ratio: float = 3.0
    bf16: bool | None = None
    compile: bool = False
    seed: int = 0
    device: str = "cpu"
    checkpoint_seconds: float = 120.0
    validate_seconds: float = 600.0

    def __post_init__(self) -> None:
        if not self.shards:
            raise OptionError("Name at least one motion shard to train on.")
        if len(self.lengths) != len(self.length_shares) or min(self.lengths, default=0) < 1:
            raise OptionError("Give positive window lengths, and one share for each of them.")
        if not (self.n_frames > 0 and (self.minutes is None or self.minutes > 0)):
            raise OptionError("The budget must be positive: minutes, or n_frames.")
        if self.n_draws < 2 or len(self.norms) != 4 or min(self.norms) < 0 or not any(self.norms):
            raise OptionError(
                "An energy score needs n_draws of 2 or more, and norms: four weights, none below "
                "0 and one above."
            )
        if self.objective == "energy" and not self.flicker and not self.n_latent:
            raise OptionError(
                "Without flicker and without n_latent nothing tells draws apart; give one of them."
            )
        self._check_ranges()

    def _check_ranges(self) -> None:
        if len(self.noisy_px) != 2 or not 0 <= self.noisy_px[0] <= self.noisy_px[1] < 100:
            raise OptionError(f"noisy_px is a range of pixels, got {self.noisy_px}.")
        most = {"flicker": 2, "recorded_reach": 2, "spine_sd": 2, "clean": 1, "exact": self.clean}
        for name, limit in most.items():
            if not 0 <= getattr(self, name) <= limit:
                raise OptionError(f"{name} lies between 0 and {limit}, got {getattr(self, name)}.")
        for name in (
            "recombine",
            "seated_share",
            "tumbling",
            "one_step_share",
            "lift_share",
            "recorded_bones",
            "as_recorded",
            "ends_alone",
            "as_coco",
            "steady",
            "pair_freedom",
            "pitched",
        ):
            if not 0 <= getattr(self, name) <= 1:
                raise OptionError(f"{name} is a share, 0 to 1, got {getattr(self, name)}.")

    @property
    def of_bodies(self) -> dict[str, Any]:
        """Options of :class:`hypopose.training.bodies.BodyMaker`, by name."""
        names = (
            *("recombine", "seated_share", "tumbling", "bone_sd", "free_pairs", "pair_freedom"),
            *("direction_sd", "recorded_bones", "recorded_reach", "as_recorded", "spine_sd"),
        )
        return {name: getattr(self, name) for name in names}

    @property
    def of_keypoints(self) -> dict[str, Any]:
        """Options of :class:`hypopose.training.batches.BatchMaker`, by name."""
        return {"detector": self.of_detector, "pitched": self.pitched, **self.of_bodies}

    @property
    def of_detector(self) -> dict[str, Any]:
        """Options of :func:`hypopose.training.views.detect`, by name."""
        names = ("clean", "exact", "noisy_px", "ends_alone", "as_coco", "steady")
        return {name: getattr(self, name) for name in names}

    def to_json(self) -> str:
        """The options as JSON text."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"

    @staticmethod
    def from_json(text: str, **changes: Any) -> TrainConfig:
        """Options from JSON text.

        Args:
            text: A JSON object; options it does not name keep their defaults.
            **changes: Options that override the text's.

        Raises:
            FormatError: If the text is no JSON object, or has options that do not exist.
        """
        try:
            options = {**json.loads(text), **changes}
            kinds = {field.name: str(field.type) for field in dataclasses.fields(TrainConfig)}
            return TrainConfig(**{k: _read(v, kinds.get(k, "")) for k, v in options.items()})
        except (json.JSONDecodeError, TypeError) as error:
            raise FormatError(f"This is no training configuration: {error}.") from error


def _read(value: Any, kind: str) -> Any:
    """A value as its field has it: JSON knows neither tuples nor that 600 may be a float."""
    if isinstance(value, list):
        return tuple(_read(item, kind) for item in value)
    whole = isinstance(value, int) and not isinstance(value, bool)
    return float(value) if whole and "float" in kind else value
