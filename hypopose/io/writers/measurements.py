"""Tables of quantities: tidy CSV and Parquet, or one NetCDF.

CSV and Parquet are up to four tables; ``_summary`` and the others are added to the name:

==============  ==================================================================================
table           rows and columns
==============  ==================================================================================
``OUT``         per person, quantity, side and frame: ``mean``, ``median``, ``low_50``, ``high_50``,
                ``low_80``, ``high_80``, ``low_95``, ``high_95``, and ``share``, the hypotheses that
                have a value, ``intervals`` (``as sampled`` or ``recalibrated``) and
                ``coverage_80``, how often 80 % intervals of this quantity held the truth on the
                test split; left out if no quantity per frame was asked for
``_summary``    per person, quantity, side and ``statistic``: ``value`` of a quantity per clip;
                ``mean``, ``least`` and ``greatest`` over frames of the others (least and greatest
                without the extreme 2 % of frames); columns as above. ``coverage_80`` is empty for
                values over frames, whose intervals are others
``_events``     per person and event of a foot: ``kind`` (``strike``, ``lift``), ``side``, ``time``,
                its interval, and ``probability``, the hypotheses that have it
``_samples``    on request: per person, quantity, side, frame and hypothesis: ``value``
==============  ==================================================================================

NetCDF has a variable per quantity, named with its side, over ``individuals``, ``time`` (quantities
per frame) and ``statistic``; with samples also ``<name>_samples`` over ``hypothesis``.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hypopose.errors import OptionError
from hypopose.io.atomic import write_atomically, write_together
from hypopose.io.parsing.csv_rows import as_cell
from hypopose.io.writers.optional import require
from hypopose.quantities import LEVELS, Measurement, Measurements, interval

Table = dict[str, list[Any]]
"""Columns of equal length."""

ENDINGS = ("csv", "parquet", "nc")
"""What tables of quantities are written as."""

_ENDS = [f"{end}_{100 * level:g}" for level in LEVELS for end in ("low", "high")]


def measurement_paths(
    path: str | Path, people: Sequence[Measurements], *, samples: bool = False
) -> tuple[Path, ...]:
    """The files that :func:`write_measurements` would write.

    Raises:
        OptionError: If the ending is another one.
    """
    path = Path(path)
    if check_measurement_ending(path) == "nc":
        return (path,)
    return tuple(_files(path, _tables(people, samples)))


def check_measurement_ending(path: str | Path) -> str:
    """The format of a table's file name, before anything is measured.

    Args:
        path: Where to.

    Returns:
        ``csv``, ``parquet`` or ``nc``.

    Raises:
        OptionError: If it ends in anything else.
        BackendError: If a package is not installed.

    Example:
        >>> check_measurement_ending("knee.csv")
        'csv'
    """
    ending = Path(path).suffix.lower().removeprefix(".")
    if ending not in ENDINGS:
        raise OptionError(f"Quantities are written as .csv, .parquet or .nc, not as {str(path)!r}.")
    if ending != "csv":
        require({"parquet": "pyarrow.parquet", "nc": "xarray"}[ending], ending)
    return ending


def write_measurements(
    path: str | Path, people: Sequence[Measurements], *, samples: bool = False
) -> tuple[Path, ...]:
    """Write what was measured of one or several people, see the module.

    Args:
        path: Where to; ends in ``.csv``, ``.parquet`` or ``.nc``.
        people: Of one recording, or of several.
        samples: Whether the values of every hypothesis are written too.

    Returns:
        The files; all of them appear, or none.

    Raises:
        OptionError: If the ending is another one, or the folder does not exist.
        BackendError: If a package is not installed.

    Example:
        >>> import hypopose, tempfile
        >>> keypoints, _ = hypopose.datasets.example_pair()
        >>> result = hypopose.estimate(keypoints, sampler="boneflips", n_hypotheses=3)
        >>> folder = Path(tempfile.mkdtemp())
        >>> done = write_measurements(folder / "a.csv", [hypopose.measure(result, "knee_flexion")])
        >>> [p.name for p in done]
        ['a.csv', 'a_summary.csv', 'a_events.csv']
    """
    path = Path(path)
    ending = check_measurement_ending(path)
    if ending == "nc":
        dataset = to_dataset(people, samples=samples)
        with write_atomically(path) as temporary:
            dataset.to_netcdf(temporary, engine="scipy", format="NETCDF3_64BIT")
        return (path,)
    files = _files(path, _tables(people, samples))
    write = _write_csv if ending == "csv" else _write_parquet
    with write_together(list(files)) as written:
        for temporary, table in zip(written, files.values(), strict=True):
            write(temporary, table)
    return tuple(files)


def _files(path: Path, tables: dict[str, Table]) -> dict[Path, Table]:
    """Tables by path; the first takes the path as it is."""
    kept = [(name, table) for name, table in tables.items() if next(iter(table.values()), None)]
    if not kept:
        raise OptionError("Nothing was measured, so there is no table to write; see the notes.")
    named = [f"_{name}" for name, _ in kept]
    named[0] = ""
    return {
        path.with_name(f"{path.stem}{ending}{path.suffix}"): table
        for ending, (_, table) in zip(named, kept, strict=True)
    }


def _tables(people: Sequence[Measurements], samples: bool) -> dict[str, Table]:
    found = {
        "frames": _joined([_frames(p, m) for p in people for m in p.values()]),
        "summary": _joined([_summary(p, m) for p in people for m in p.values()]),
        "events": _joined([_events(p) for p in people]),
    }
    if samples:
        found["samples"] = _joined([_samples(p, m) for p in people for m in p.values()])
    return found


def _joined(parts: list[Table]) -> Table:
    columns = list(parts[0]) if parts else []
    return {name: [value for part in parts for value in part[name]] for name in columns}


def _named(person: Measurements, measurement: Measurement, n: int) -> Table:
    """The first columns of n rows."""
    q = measurement.quantity
    words = {"person": person.person, "quantity": q.family, "side": q.side, "unit": q.unit}
    return {name: [value] * n for name, value in words.items()}


def _statistics(measurement: Measurement) -> Table:
    """Mean, median and ends of intervals; a row a frame, or one."""
    columns = {"mean": measurement.mean, "median": measurement.median}
    for level in LEVELS:
        low, high = measurement.interval(level)
        columns |= {f"low_{100 * level:g}": low, f"high_{100 * level:g}": high}
    columns["share"] = measurement.share
    return {name: np.atleast_1d(values).tolist() for name, values in columns.items()}


def _frames(person: Measurements, measurement: Measurement) -> Table:
    n = person.n_frames if measurement.quantity.per == "frame" else 0
    time = _times(n, measurement.fps)
    table = _named(person, measurement, n) | {"frame": list(range(n)), "time": time.tolist()}
    statistics = _statistics(measurement) | _evidence(measurement, max(n, 1))
    return table | {name: values[:n] for name, values in statistics.items()}


def _summary(person: Measurements, measurement: Measurement) -> Table:
    parts = []
    for statistic, value in measurement.over_frames().items():
        parts.append(
            _named(person, value, 1)
            | {"statistic": [statistic]}
            | _statistics(value)
            | _evidence(value, 1)
        )
    return _joined(parts)


def _evidence(measurement: Measurement, n: int) -> Table:
    """Whether intervals are recalibrated, and their measured coverage, n times."""
    state = "recalibrated" if measurement.stretch else "as sampled"
    held = measurement.evidence.get(0.8, math.nan)
    return {"intervals": [state] * n, "coverage_80": [held] * n}


def _events(person: Measurements) -> Table:
    table: Table = {
        "person": [person.person] * len(person.events),
        "kind": [event.kind for event in person.events],
        "side": [event.side for event in person.events],
        "time": [event.time for event in person.events],
        "std": [event.std for event in person.events],
    }
    for level in LEVELS:
        ends = [interval(np.array(event.times), level) for event in person.events]
        table[f"low_{100 * level:g}"] = [float(low) for low, _ in ends]
        table[f"high_{100 * level:g}"] = [float(high) for _, high in ends]
    return table | {"probability": [event.probability for event in person.events]}


def _samples(person: Measurements, measurement: Measurement) -> Table:
    values = measurement.values
    n_hypotheses, n = len(values), values.shape[1] if values.ndim == 2 else 1
    frames = list(range(n)) if measurement.quantity.per == "frame" else [None]
    return _named(person, measurement, values.size) | {
        "frame": frames * n_hypotheses,
        "hypothesis": [h for h in range(n_hypotheses) for _ in range(n)],
        "value": values.ravel().tolist(),
    }


def _times(n: int, fps: float | None) -> NDArray[np.float64]:
    return np.full(n, np.nan) if fps is None else np.arange(n) / fps


def _write_csv(path: Path, table: Table) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(table)
        writer.writerows(map(_cell, row) for row in zip(*table.values(), strict=True))


def _cell(value: Any) -> Any:
    """Six significant digits; unknown is empty; text that is no formula."""
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.6g}"
    return as_cell(value) if isinstance(value, str) else value


def _write_parquet(path: Path, table: Table) -> None:
    pa = require("pyarrow", "parquet")
    parquet = require("pyarrow.parquet", "parquet")
    with path.open("wb") as stream:
        parquet.write_table(pa.table(table), stream, compression="zstd")


def to_dataset(people: Sequence[Measurements], *, samples: bool = False) -> Any:
    """What was measured as an ``xarray.Dataset``, see the module.

    Args:
        people: Measured people; shorter motions end in NaN.
        samples: Whether the values of every hypothesis are in it.

    Raises:
        BackendError: If xarray is not installed.
    """
    xarray = require("xarray", "nc")
    n_frames = max((p.n_frames for p in people), default=0)
    fps = next((p.fps for p in people), None)
    n_hypotheses = _n_hypotheses(people) if samples else 0
    variables: dict[str, Any] = {}
    for name in dict.fromkeys(name for p in people for name in p):
        own = [p.get(name) for p in people]
        variables |= _variables(name, own, n_frames, n_hypotheses)
    time, unit = _clock(n_frames, fps)
    coordinates: dict[str, Any] = {
        "individuals": [*map(_individual, people)],
        "statistic": ["mean", "median", *_ENDS, "share"],
        "time": time,
    }
    return xarray.Dataset(variables, coordinates, _attributes(people, unit))


def _individual(measured: Measurements) -> str:
    return f"person_{measured.person or '0'}"


def _attributes(people: Sequence[Measurements], time_unit: str) -> dict[str, str]:
    """The source of measurements, and their notes."""
    return {
        "source_software": "HypoPose",
        "source_file": ", ".join(dict.fromkeys(p.source for p in people)),
        "time_unit": time_unit,
        "notes": "\n".join(dict.fromkeys(note for p in people for note in p.notes)),
    }


def _clock(n_frames: int, fps: float | None) -> tuple[NDArray[Any], str]:
    """The moments of frames, and their unit."""
    frames = np.arange(n_frames)
    return (frames, "frames") if fps is None else (frames / fps, "seconds")


def _n_hypotheses(people: Sequence[Measurements]) -> int:
    return max((len(m.samples) for p in people for m in p.values()), default=0)


def _variables(
    name: str, own: Sequence[Measurement | None], n_frames: int, n_hypotheses: int
) -> dict[str, Any]:
    """A quantity of all people: its statistics, and its samples of so many hypotheses."""
    quantity = next(m for m in own if m is not None).quantity
    frames = (n_frames,) if quantity.per == "frame" else ()
    axes = ("individuals", "time")[: 1 + len(frames)]
    attributes = {"units": quantity.unit, "definition": quantity.definition}
    data = np.stack([_padded(_stacked(m), (*frames, 3 + len(_ENDS))) for m in own])
    found = {name: ((*axes, "statistic"), data, attributes)}
    if n_hypotheses:
        data = np.stack([_padded(_last(m), (*frames, n_hypotheses)) for m in own])
        found[f"{name}_samples"] = ((*axes, "hypothesis"), data, attributes)
    return found


def _stacked(measurement: Measurement | None) -> NDArray[np.float64] | None:
    """Statistics, last axis."""
    if measurement is None:
        return None
    ends = [end for level in LEVELS for end in measurement.interval(level)]
    columns = (measurement.mean, measurement.median, *ends, measurement.share)
    return np.stack(columns, -1)


def _last(measurement: Measurement | None) -> NDArray[np.float64] | None:
    return None if measurement is None else np.moveaxis(measurement.values, 0, -1)


def _padded(values: NDArray[np.float64] | None, shape: tuple[int, ...]) -> NDArray[np.float64]:
    out = np.full(shape, np.nan)
    if values is not None:
        out[tuple(slice(n) for n in values.shape)] = values
    return out
