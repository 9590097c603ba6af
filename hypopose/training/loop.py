"""Unattended training in a folder: checkpoints, log, resume, a clean way to stop.

A run's folder holds

| file | what |
| --- | --- |
| ``config.json`` | the options |
| ``state.pt`` | the latest checkpoint |
| ``log.jsonl`` | one JSON object a line: loss and rate every 10 s, validations |
| ``weights/`` | the averaged weights, when training ends |
| ``STOP`` | make it (``touch RUN/STOP``) and training stops cleanly after the current step |
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from hypopose.errors import OptionError
from hypopose.training.batches import motion_of
from hypopose.training.config import TrainConfig
from hypopose.training.run_state import Trainer
from hypopose.training.validation import HeldOut, hold_out
from hypopose.training.weights_export import export

LOG_SECONDS = 10.0

Report = Callable[[dict[str, Any]], None]


def train(
    config: TrainConfig,
    folder: str | Path,
    *,
    report: Report | None = None,
    stop: Path | None = None,
    trainer: Trainer | None = None,
) -> Path:
    """Train until the budget is used, or the folder holds a file named ``STOP``.

    If the folder has a checkpoint, training resumes from it. With a budget in frames a run that
    was interrupted ends with the same weights as one that was not; with a budget in minutes the
    learning rate follows the clock, so that it only comes close.

    Args:
        config: The run's options.
        folder: Made if absent.
        report: Called with every row of the log.
        stop: Another file than the folder's ``STOP``.
        trainer: What takes the steps; None for one made of the options. A run with a target has
            that of :func:`hypopose.api.adapting.target_trainer`.

    Returns:
        The folder of the averaged weights.

    Raises:
        OptionError: If the options name a target and no trainer is given.
        CheckpointError: If the folder's checkpoint belongs to another network.
    """
    if config.target.keypoints and trainer is None:
        raise OptionError(
            "These options name a target; give the trainer of hypopose.api.adapting."
            "target_trainer, or run hypopose train."
        )
    held_out = None if trainer is None else held_out_windows(config)
    run = Run(config, Path(folder), report, stop, trainer, held_out)
    run.go()
    return export(run.folder, run.folder / "weights")


class Run:
    """A trainer in its folder, with a clock and a log.

    Args:
        config: The run's options.
        folder: Made if absent; its checkpoint is taken up.
        report: Called with every row of the log.
        stop: File that ends training when it appears; ``STOP`` in the folder if None.
        trainer: What takes the steps; None for one made of the options.
        held_out: What validations judge; None for the shards' validation subjects.
    """

    def __init__(
        self,
        config: TrainConfig,
        folder: Path,
        report: Report | None = None,
        stop: Path | None = None,
        trainer: Trainer | None = None,
        held_out: HeldOut | None = None,
    ) -> None:
        self.config, self.folder, self.report = config, folder, report
        self.stop = folder / "STOP" if stop is None else stop
        self.trainer = Trainer(config) if trainer is None else trainer
        self.held_out = held_out_windows(config) if trainer is None else held_out
        folder.mkdir(parents=True, exist_ok=True)
        self.checkpoint = folder / "state.pt"
        if self.checkpoint.exists():
            self.trainer.resume(self.checkpoint)
        (folder / "config.json").write_text(config.to_json(), encoding="utf-8")
        self.before = self.trainer.progress.seconds
        self.began = time.monotonic()

    def go(self) -> None:
        """Step until the budget is used or ``STOP`` appears; checkpoint at the end."""
        config, progress = self.config, self.trainer.progress
        save = Every(config.budget.checkpoint_seconds)
        check = Every(config.budget.validate_seconds)
        log = Every(LOG_SECONDS)
        seen, rows = progress.frames, list[dict[str, float]]()
        while progress.share(config) < 1 and not self.stop.exists():
            row = self.trainer.step()
            progress.seconds = self.before + time.monotonic() - self.began
            rows.append(row)
            if log.due():
                rate = round((progress.frames - seen) / log.restart())
                name = next(iter(row))  # loss or loss_mm
                mean = sum(r[name] for r in rows) / len(rows)
                self.write({**row, name: mean, "frames_per_s": rate})
                seen, rows = progress.frames, []
            if save.due():
                self.trainer.save(self.checkpoint)
                save.restart()
            if check.due():
                self.validate()
                check.restart()
                log.restart()
                seen, rows = progress.frames, []
        self.trainer.save(self.checkpoint)
        self.validate()

    def validate(self) -> None:
        """Log the errors on held-out subjects, if the shards have any."""
        if self.held_out is None:
            return
        with torch.autocast(self.trainer.device.type, torch.bfloat16, enabled=self.trainer.half):
            averaged = self.trainer.averaged()
            self.write(self.trainer.objective.validate(averaged, self.held_out, self.config))

    def write(self, row: dict[str, Any]) -> None:
        """Append a row, led by the progress, to the log and hand it to the reporter."""
        p = self.trainer.progress
        row = {"step": p.step, "frames": p.frames, "seconds": round(p.seconds, 1), **row}
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        if self.report is not None:
            self.report({**row, "share": p.share(self.config)})


class Every:
    """A timer for intervals.

    Args:
        seconds: The interval.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.since = time.monotonic()

    def due(self) -> bool:
        """Whether the interval is over."""
        return time.monotonic() - self.since >= self.seconds

    def restart(self) -> float:
        """Begin again; the seconds since the last time."""
        now = time.monotonic()
        elapsed, self.since = now - self.since, now
        return elapsed


def held_out_windows(config: TrainConfig) -> HeldOut | None:
    """Windows of the shards' validation subjects; None if they have none long enough."""
    try:
        motion = motion_of(config, "val")
    except OptionError:
        return None
    return hold_out(motion) if int(motion.length.max()) >= 27 else None
