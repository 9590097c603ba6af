"""Recipes of several stages: how the weights in the box were made, by one command.

The default's recipe is regression first (a denoiser sees most frames for the time it takes), then
the energy score from its weights, with averages of networks in between, which paid most. A recipe
runs in a folder, one folder a stage, and goes on where it stopped:

| file | what |
| --- | --- |
| ``stages.json`` | the stages, every option spelled out; written once |
| ``1-denoiser/`` ... | a run each (:mod:`hypopose.training.loop`), or an average's ``weights/`` |
| ``weights/`` | those of the last stage, when it is done |
| ``STOP`` | make it, and the stage stops cleanly |
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hypopose.errors import FormatError, OptionError
from hypopose.io.atomic import write_atomically
from hypopose.networks.load import BOX
from hypopose.networks.pretrained import WEIGHTS_FILE
from hypopose.training.averaging import average_weights
from hypopose.training.config import TrainConfig
from hypopose.training.export import export
from hypopose.training.loop import Report, train
from hypopose.training.trainer import Progress, read_state

STAGES_FILE = "stages.json"


@dataclass(frozen=True)
class Stage:
    """A run, or an average of the networks of earlier stages.

    Args:
        name: Of its folder.
        config: The run's options; None for an average.
        start: Stage whose weights it starts from.
        average: Stage -> how much it counts; the first has the largest tensors.

    Raises:
        OptionError: If it is neither a run nor an average, or both.
    """

    name: str
    config: TrainConfig | None = None
    start: str | None = None
    average: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.config is None) == (not self.average):
            raise OptionError(f"Stage {self.name!r} is a run or an average; give it one of both.")


def default_recipe(shards: Sequence[str], **changes: Any) -> tuple[Stage, ...]:
    """The stages of ``distributional-frame-small``.

    Budgets are the frames that each stage saw, so that a machine of any speed does the same. All
    other options of the first and the last run are read from the ``training.json`` beside the
    weights in the box.

    Args:
        shards: Motion, in the order of :func:`default_shards`.
        **changes: Options of :class:`TrainConfig` for every stage. ``n_frames`` or ``minutes`` are
            budgets of the whole recipe, of which each stage gets its share.

    Raises:
        OptionError: If an option is decided by the stages.
    """
    fixed = sorted({"objective", "start", "network", "n_latent", "shards"} & set(changes))
    if fixed:
        raise OptionError(f"The stages of a recipe decide {', '.join(fixed)}; leave it out.")
    free: dict[str, Any] = {
        **{"shards": tuple(shards), "minutes": None, "start": None},
        **{"bf16": None, "compile": False, "device": "cpu"},
    }
    first = replace(boxed("d3dp-frame-small"), **{**free, "n_frames": 25_446_570})
    last = replace(boxed("distributional-frame-small"), **free)
    energy = replace(
        first,
        objective="energy",
        n_latent=last.n_latent,
        learning_rate=5e-4,
        one_step_share=0.8,
        tumbling=0.05,
        seed=1,
    )
    freer = replace(
        energy,
        learning_rate=2e-4,
        one_step_share=0.85,
        recombine=0.75,
        warmup_steps=150,
        ema_decay=0.999,
        bone_sd=(0.06, 0.055),
        free_pairs=True,
        direction_sd=0.05,
        n_frames=4_530_000,
    )
    recorded = replace(
        freer,
        learning_rate=4e-4,
        one_step_share=0.9,
        tumbling=0.08,
        warmup_steps=200,
        ema_decay=0.9993,
        direction_sd=0.06,
        recorded_bones=0.8,
        seed=2,
        n_frames=11_473_367,
    )
    shared = replace(
        recorded,
        network_options={"n_shared": 4},
        optimizer="muon",
        batch_frames=3888,
        learning_rate=8e-4,
        final_share=0.19,  # what a longer fall had come to when it was cut
        warmup_steps=40,
        ema_decay=0.998,
        tumbling=0.15,
        recorded_reach=1.3,
        norms=last.norms,
        flicker=0.0,
        seed=3,
        n_frames=21_684_878,
    )
    calm = replace(
        shared,
        learning_rate=2.5e-4,
        final_share=0.01,
        warmup_steps=20,
        tumbling=0.08,
        recombine=0.65,
        bone_sd=(0.045, 0.035),
        direction_sd=0.04,
        recorded_reach=1.15,
        seed=4,
        n_frames=10_338_390,
    )
    known = replace(
        calm,
        learning_rate=7e-4,
        final_share=0.43,  # as above
        warmup_steps=40,
        tumbling=0.1,
        bone_sd=(0.05, 0.045),
        direction_sd=0.05,
        as_recorded=0.4,
        spine_sd=0.025,
        length_shares=(0.04, 0.06, 0.06, 0.36, 0.1, 0.38),
        seed=5,
        n_frames=13_395_262,
    )
    exact = replace(
        known,
        learning_rate=3e-4,
        final_share=0.54,  # as above
        warmup_steps=20,
        tumbling=0.08,
        bone_sd=(0.045, 0.035),
        direction_sd=0.04,
        as_recorded=0.45,
        spine_sd=0.02,
        exact=0.3,
        seed=6,
        n_frames=6_167_872,
    )
    detected = replace(
        exact,
        learning_rate=1.8e-4,
        final_share=0.01,
        clean=0.38,
        noisy_px=(1.5, 9.0),
        ends_alone=0.5,
        seed=7,
        n_frames=8_730_118,
    )
    whole = replace(detected, learning_rate=3e-4, recombine=0.35, seed=8, n_frames=2_521_062)
    longest = replace(
        whole, learning_rate=7e-4, warmup_steps=40, batch_frames=5832, n_frames=34_000_000
    )
    others = replace(
        longest,
        learning_rate=2.5e-4,
        warmup_steps=20,
        as_recorded=0.25,
        clean=0.25,
        exact=0.17,
        seed=9,
        n_frames=4_600_000,
    )
    coco = replace(
        others,
        learning_rate=7e-4,
        warmup_steps=40,
        length_shares=(0.04, 0.05, 0.05, 0.24, 0.1, 0.52),
        recombine=0.3,
        as_recorded=0.35,
        pair_freedom=0.4,
        clean=0.5,
        exact=0.4,
        as_coco=0.45,
        seed=10,
        n_frames=27_533_480,
    )
    wider = replace(
        coco,
        learning_rate=2.5e-4,
        warmup_steps=20,
        as_recorded=0.2,
        clean=0.45,
        exact=0.35,
        as_coco=0.55,
        seed=11,
        n_frames=2_594_806,
    )
    rays = replace(
        coco,
        network_options={"n_shared": 4, "on_rays": True},
        learning_rate=6e-4,
        clean=0.55,
        exact=0.5,
        seed=12,
        n_frames=18_052_627,
    )
    people = replace(
        rays,
        learning_rate=2.5e-4,
        warmup_steps=20,
        as_recorded=0.2,
        clean=0.5,
        exact=0.43,
        as_coco=0.5,
        seed=13,
        n_frames=2_046_587,
    )
    steady = replace(
        people, learning_rate=4e-4, as_recorded=0.25, steady=0.35, seed=14, n_frames=4_000_078
    )
    again = replace(
        steady,
        learning_rate=6e-4,
        warmup_steps=40,
        bone_sd=(0.05, 0.04),
        direction_sd=0.045,
        spine_sd=0.025,
        as_recorded=0.4,
        exact=0.45,
        as_coco=0.55,
        steady=0.3,
        seed=15,
        n_frames=22_513_331,
    )
    stages = (
        Stage("1-denoiser", first),
        Stage("2-generator", replace(energy, n_frames=7_750_000), "1-denoiser"),
        Stage("3-average", average={"2-generator": 0.3, "1-denoiser": 0.7}),
        Stage("4-freer", freer, "3-average"),
        Stage("5-average", average={"4-freer": 0.7, "1-denoiser": 0.3}),
        Stage("6-recorded", recorded, "5-average"),
        Stage("7-average", average={"6-recorded": 0.9, "1-denoiser": 0.1}),
        Stage("8-shared", shared, "7-average"),
        Stage("9-calm", calm, "8-shared"),
        Stage("10-known", known, "9-calm"),
        Stage("11-exact", exact, "10-known"),
        Stage("12-detected", detected, "11-exact"),
        Stage("13-whole", whole, "12-detected"),
        Stage("14-longest", longest, "13-whole"),
        Stage("15-others", others, "14-longest"),
        Stage("16-coco", coco, "15-others"),
        Stage("17-wider", wider, "16-coco"),
        Stage("18-average", average={"17-wider": 0.6, "16-coco": 0.4}),
        Stage("19-rays", rays, "18-average"),
        Stage("20-people", people, "19-rays"),
        Stage("21-steady", steady, "20-people"),
        Stage("22-average", average={"21-steady": 0.6, "20-people": 0.4}),
        Stage("23-again", again, "22-average"),
        Stage("24-own-bones", last, "23-again"),
        Stage("25-average", average={"24-own-bones": 0.6, "22-average": 0.4}),
    )
    return with_changes(stages, changes)


RECIPES = {"default": default_recipe}
"""Name -> recipe, for ``hypopose train --config NAME``."""


def boxed(weights: str) -> TrainConfig:
    """The options that weights in the box were trained with."""
    return TrainConfig.from_json((BOX / weights / "training.json").read_text(encoding="utf-8"))


def default_shards(folder: str | Path) -> tuple[str, ...]:
    """The motion shards of the default weights, in a folder.

    Raises:
        FormatError: If one of them is not there.
    """
    return shards_in(folder, boxed("distributional-frame-small").shards)


def shards_in(folder: str | Path, names: Sequence[str]) -> tuple[str, ...]:
    """Shards by file name, in a folder.

    Raises:
        FormatError: If one of them is not there.
    """
    paths = [Path(folder) / Path(name).name for name in names]
    absent = [path.name for path in paths if not path.is_file()]
    if absent:
        raise FormatError(
            f"{folder} lacks {', '.join(absent)}, which these weights were trained on. Name the "
            "folder of the motion shards, or other shards with --shard."
        )
    return tuple(str(path) for path in paths)


def with_changes(stages: Sequence[Stage], changes: Mapping[str, Any]) -> tuple[Stage, ...]:
    """The same stages with other options; budgets are divided by the stages' frames."""
    rest = {k: v for k, v in changes.items() if k not in ("n_frames", "minutes")}
    total = sum(stage.config.n_frames for stage in stages if stage.config is not None)

    def changed(config: TrainConfig) -> TrainConfig:
        own, n_layers = dict(config.network_options), rest.get("n_layers", config.n_layers)
        if "n_shared" in own:  # networks of other sizes share what leaves a block for the noise
            own["n_shared"] = max(0, min(own["n_shared"], n_layers - 1))
        own |= rest.get("network_options", {})
        share = config.n_frames / total
        budget: dict[str, Any] = {}
        if changes.get("n_frames") is not None:
            budget["n_frames"] = max(1, round(share * changes["n_frames"]))
        if changes.get("minutes") is not None:
            budget["minutes"] = share * changes["minutes"]
        return replace(config, **{**rest, **budget, "network_options": own})

    return tuple(
        stage if stage.config is None else replace(stage, config=changed(stage.config))
        for stage in stages
    )


def train_stages(
    folder: str | Path, stages: Sequence[Stage] | None = None, *, report: Report | None = None
) -> Path | None:
    """Run a recipe, or go on with the one in the folder.

    Args:
        folder: Made if absent.
        stages: In order; None for those the folder was begun with.
        report: Called with every row of a stage's log, and the ``stage``.

    Returns:
        The folder of the last stage's weights; None if ``STOP`` ended it before.

    Raises:
        OptionError: If the folder holds a recipe already and another is given, or holds none.
    """
    folder = Path(folder)
    stages = _begun(folder, stages)
    for stage in stages:
        if not _go(folder, stage, report):
            return None
    target = folder / "weights"
    shutil.copytree(folder / stages[-1].name / "weights", target, dirs_exist_ok=True)
    return target


def _go(folder: Path, stage: Stage, report: Report | None) -> bool:
    """Do what is left of a stage; whether it is done."""
    own = folder / stage.name
    if stage.config is None:
        if not (own / "weights" / WEIGHTS_FILE).exists():
            shares: dict[str | Path, float] = {
                folder / name / "weights": share for name, share in stage.average.items()
            }
            average_weights(shares, own / "weights")
        return True
    config = stage.config
    if stage.start is not None:
        config = replace(config, start=str(folder / stage.start / "weights"))
    if not _done(own, config):
        told = None if report is None else lambda row: report({**row, "stage": stage.name})
        train(config, own, report=told, stop=folder / "STOP")
    elif not (own / "weights" / WEIGHTS_FILE).exists():
        export(own, own / "weights")
    return _done(own, config)


def _done(run: Path, config: TrainConfig) -> bool:
    """Whether a run has used its budget."""
    state = run / "state.pt"
    return state.exists() and Progress(**read_state(state)["progress"]).share(config) >= 1


def _begun(folder: Path, stages: Sequence[Stage] | None) -> tuple[Stage, ...]:
    """The folder's stages; given ones are written down first."""
    path = folder / STAGES_FILE
    if path.exists():
        if stages is not None:
            raise OptionError(
                f"{folder} already holds a recipe. Give no other options to go on with it, or name "
                "another folder."
            )
        return read_stages(path)
    if stages is None:
        raise OptionError(f"{folder} holds no recipe yet; say which.")
    folder.mkdir(parents=True, exist_ok=True)
    with write_atomically(path) as partial:
        partial.write_text(stages_json(stages), encoding="utf-8")
    return tuple(stages)


def stages_json(stages: Sequence[Stage]) -> str:
    """Stages as JSON text."""
    return json.dumps([dataclasses.asdict(stage) for stage in stages], indent=1) + "\n"


def read_stages(path: Path) -> tuple[Stage, ...]:
    """Stages from a file that :func:`train_stages` wrote.

    Raises:
        FormatError: If it is something else.
    """
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        configs = [
            None if row["config"] is None else TrainConfig.from_json(json.dumps(row["config"]))
            for row in rows
        ]
        return tuple(
            Stage(**{**row, "config": config}) for row, config in zip(rows, configs, strict=True)
        )
    except (ValueError, TypeError, KeyError) as error:
        raise FormatError(f"{path} holds no stages of training: {error}.") from error
