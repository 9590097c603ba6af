"""Samples of a quantity and their statistics: mean, median, intervals."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.errors import OptionError
from hypopose.quantities.foot_events import EventEstimate, Feet
from hypopose.quantities.gait import strides
from hypopose.quantities.intervals import interval, median
from hypopose.quantities.quantity import Quantity
from hypopose.quantities.ranges import TAILS


@dataclass(frozen=True, eq=False)
class Measurement:
    """A quantity of one person, one value per hypothesis: their spread is its uncertainty.

    Args:
        quantity: What was measured.
        samples: ``(H, F)`` of a quantity per frame, ``(H)`` of one per clip; NaN where a hypothesis
            has no value.
        fps: Frames per second; None if unknown.
        stretch: Factor about the median by nominal level, of a recalibration; empty: as sampled.
        evidence: Coverage of such intervals by nominal level, measured on the test split; empty if
            it was not.

    Example:
        >>> import torch
        >>> from hypopose.quantities import QUANTITIES
        >>> angles = torch.tensor([[10.0], [20.0], [30.0]])
        >>> knee = Measurement(QUANTITIES["left_knee_flexion"], angles)
        >>> knee.mean.tolist(), [end.tolist() for end in knee.interval(0.5)]
        ([20.0], [[10.0], [30.0]])
    """

    quantity: Quantity
    samples: Float[Tensor, "H *frames"]
    fps: float | None = None
    stretch: Mapping[float, float] = field(default_factory=dict)
    evidence: Mapping[float, float] = field(default_factory=dict)

    @property
    def values(self) -> Float[np.ndarray, "H *frames"]:
        """The samples as float64 of numpy; angles per frame within half a turn of their mean."""
        values = np.asarray(self.samples.detach().cpu().double().numpy())
        wraps = self.quantity.unit == "deg" and self.quantity.per == "frame"
        return near_mean(values) if wraps else values

    @property
    def share(self) -> Float[np.ndarray, "*frames"]:
        """Share of the hypotheses that have a value."""
        return np.asarray(np.isfinite(self.values).mean(0))

    @property
    def mean(self) -> Float[np.ndarray, "*frames"]:
        """Mean over the hypotheses that have a value; NaN if none has."""
        known = np.isfinite(self.values)
        total = np.where(known, self.values, 0.0).sum(0)
        return np.asarray(np.where(known.any(0), total / np.maximum(known.sum(0), 1), np.nan))

    @property
    def median(self) -> Float[np.ndarray, "*frames"]:
        """Median over the hypotheses that have a value; NaN if none has."""
        return median(self.values)

    def interval(
        self, level: float
    ) -> tuple[Float[np.ndarray, "*frames"], Float[np.ndarray, "*frames"]]:
        """The central interval, recalibrated where a recalibration was applied.

        It ends where the quantity's possible values end: a knee is not flexed by less than 0°.

        Args:
            level: Nominal coverage; of a recalibrated measurement one of its levels.

        Returns:
            Lower and upper end; NaN for probabilities, and where fewer than two hypotheses have a
            value.

        Raises:
            OptionError: If the level is out of range, or the recalibration does not have it.
        """
        if self.stretch and level not in self.stretch:
            known = ", ".join(f"{100 * x:g}" for x in self.stretch)
            raise OptionError(
                f"The recalibration of {self.quantity.name} has levels {known} %, not "
                f"{100 * level:g} %; use one of them, or measure without recalibrating."
            )
        low, high = interval(self.values, level)
        if not self.quantity.has_intervals:
            return np.full_like(low, np.nan), np.full_like(high, np.nan)
        factor, middle = self.stretch.get(level, 1.0), self.median
        least, greatest = self.quantity.least, self.quantity.greatest
        ends = [middle + factor * (end - middle) for end in (low, high)]
        low, high = (np.asarray(np.clip(end, least, greatest)) for end in ends)
        return low, high

    def over_frames(self) -> dict[str, Measurement]:
        """Numbers per clip: the value itself, or mean, least and greatest over frames.

        Least and greatest leave out 2 % of the frames at their end, as ranges of motion do.

        Returns:
            Measurements by what they are; those over frames are not recalibrated, and no coverage
            of theirs was measured.
        """
        if self.quantity.per == "clip":
            return {"value": self}
        quantity = replace(self.quantity, per="clip")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a hypothesis without any value
            found = {
                "mean": np.nanmean(self.values, 1),
                "least": np.nanquantile(self.values, TAILS, axis=1),
                "greatest": np.nanquantile(self.values, 1 - TAILS, axis=1),
            }
        kept = found if self.quantity.has_intervals else {"mean": found["mean"]}
        return {
            name: Measurement(quantity, torch.from_numpy(value), self.fps)
            for name, value in kept.items()
        }


@dataclass(frozen=True, eq=False)
class Measurements(Mapping[str, Measurement]):
    """What was measured of one person, by the names of quantities.

    Args:
        measured: Measurements by name.
        person: Who.
        source: The file the keypoints came from.
        n_frames: Of the motion.
        fps: Frames per second; None if unknown.
        events: When feet strike and leave the ground; empty if there is no walking.
        feet: The events of every hypothesis, for gait cycles; None if they were not looked for.
        notes: What was assumed, and what was left out.
    """

    measured: Mapping[str, Measurement]
    person: str = "0"
    source: str = ""
    n_frames: int = 0
    fps: float | None = None
    events: tuple[EventEstimate, ...] = ()
    feet: Feet | None = None
    notes: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Measurement:
        return self.measured[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.measured)

    def __len__(self) -> int:
        return len(self.measured)

    def families(self) -> dict[str, list[Measurement]]:
        """Measurements by family: both sides together."""
        found: dict[str, list[Measurement]] = {}
        for measurement in self.values():
            found.setdefault(measurement.quantity.family, []).append(measurement)
        return found


def near_mean(angles: Float[np.ndarray, "H *frames"]) -> Float[np.ndarray, "H *frames"]:
    """Angles in degrees, each turned by whole turns to lie near the circular mean of its column.

    Args:
        angles: Of the hypotheses; NaN where unknown.

    Returns:
        The same angles; 179 and -179 become 179 and 181, or -181 and -179.

    Example:
        >>> near_mean(np.array([179.0, -179.0, 178.0])).tolist()
        [179.0, 181.0, 178.0]
    """
    turn = np.exp(1j * np.radians(angles))
    mean = np.where(np.isfinite(angles), turn, 0).sum(0)
    middle = np.degrees(np.angle(mean))
    return np.asarray(angles - 360 * np.round((angles - middle) / 360))


CYCLE = 101
"""Points of a normalized gait cycle: 0 to 100 %."""


def gait_cycles(measurement: Measurement, feet: Feet) -> Float[np.ndarray, "n 101"]:
    """A quantity over 0 to 100 % of every gait cycle of every hypothesis.

    A cycle goes from a foot's strike to its next: the quantity's own side, or the left.

    Args:
        measurement: Of a quantity per frame.
        feet: Events of the same hypotheses.

    Returns:
        Cycles, all hypotheses together; none if there is no walking.

    Example:
        >>> from hypopose.datasets import example_motion
        >>> from hypopose.quantities import QUANTITIES, BodyMotion, find_feet
        >>> from hypopose.skeletons import H36M17
        >>> walk = BodyMotion(example_motion(75)[None], H36M17, fps=25.0)
        >>> knee = QUANTITIES["left_knee_flexion"]
        >>> gait_cycles(Measurement(knee, knee.compute(walk), 25.0), find_feet(walk)).shape
        (2, 101)
    """
    side = measurement.quantity.side or "left"
    cycles = []
    for i, values in enumerate(measurement.values):
        frames = np.arange(len(values))
        for start, end, *_ in strides(feet, i, side):
            at = np.linspace(start, end, CYCLE) * feet.fps
            cycles.append(np.interp(at, frames, values))
    return np.array(cycles).reshape(-1, CYCLE)
