"""Training in several stages: runs that start from one another's weights, and averages of them.

Recipes (:mod:`hypopose.training.recipe_files`) run in a folder, one folder a stage, and go on where
they stopped:

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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypopose.errors import FormatError, OptionError
from hypopose.io.atomic import write_atomically
from hypopose.networks.pretrained import WEIGHTS_FILE
from hypopose.training.averaging import average_weights
from hypopose.training.config import TrainConfig
from hypopose.training.loop import Report, train
from hypopose.training.run_state import Progress, read_state
from hypopose.training.weights_export import export

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
        config = config.with_options(start=str(folder / stage.start / "weights"))
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
        return tuple(_stage(row) for row in rows)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise FormatError(f"{path} does not hold stages of training: {error}.") from error


def _stage(row: Any) -> Stage:
    config = row["config"]
    if config is not None:
        config = TrainConfig.from_json(json.dumps(config))
    return Stage(**{**row, "config": config})
