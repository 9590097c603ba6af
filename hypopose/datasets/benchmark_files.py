"""Benchmark definitions as JSON: reading them by name or path, and writing them."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from importlib.resources import files
from pathlib import Path
from typing import Any

from hypopose.datasets.benchmark import Benchmark, BenchmarkView
from hypopose.errors import FormatError, OptionError
from hypopose.simulation.option_checks import from_dict, given

FORMAT = "hypopose benchmark 1"

DETECTOR = ("sigma_px", "persistence", "outliers", "swaps", "missing", "episode")
"""Parameters of the detector that definitions always state."""


def benchmark_names() -> tuple[str, ...]:
    """Names of the definitions in the package.

    Returns:
        Sorted.

    Example:
        >>> "test-clean" in benchmark_names()
        True
    """
    folder = files("hypopose.datasets") / "benchmarks"
    return tuple(
        sorted(f.name.removesuffix(".json") for f in folder.iterdir() if f.name.endswith(".json"))
    )


def load_benchmark(name: str | Path) -> Benchmark:
    """Read a definition by name, or from a file.

    Args:
        name: One of :func:`benchmark_names`, or the path of a JSON file.

    Returns:
        The benchmark.

    Raises:
        OptionError: If there is no such benchmark.
        FormatError: If the file is not a definition.

    Example:
        >>> load_benchmark("test-clean").split
        'test'
    """
    if str(name) in benchmark_names():
        text = (files("hypopose.datasets") / "benchmarks" / f"{name}.json").read_text(
            encoding="utf-8"
        )
    elif Path(name).is_file():
        text = Path(name).read_text(encoding="utf-8")
    else:
        raise OptionError(
            f"There is no benchmark {str(name)!r}; choose one of "
            f"{', '.join(benchmark_names())}, or give the path of a definition."
        )
    return from_json(text, str(name))


def to_json(benchmark: Benchmark) -> str:
    """Write a definition: one line a joint of the mean pose, and one a view.

    Args:
        benchmark: Complete.

    Returns:
        JSON that :func:`from_json` reads.
    """
    data = {"format": FORMAT, **asdict(benchmark), "detector": _detector(benchmark)}
    tables = {
        "mean_pose": [list(point) for point in data.pop("mean_pose")],
        "views": [list(view.values()) for view in data.pop("views")],
    }
    parts = [json.dumps(data, indent=1)[:-2]]
    for key, rows in tables.items():
        body = ",\n  ".join(json.dumps(row, separators=(",", ":")) for row in rows)
        parts.append(f' "{key}": [\n  {body}\n ]')
    return ",\n".join(parts) + "\n}\n"


def _detector(benchmark: Benchmark) -> dict[str, Any] | None:
    """The detector's main parameters, and those details that differ from their defaults."""
    noise = benchmark.detector
    if noise is None:
        return None
    return {name: getattr(noise, name) for name in DETECTOR} | given(noise)


def from_json(text: str, source: str = "definition") -> Benchmark:
    """Read a definition.

    Args:
        text: What :func:`to_json` wrote.
        source: Named in errors.

    Returns:
        The benchmark.

    Raises:
        FormatError: If it is not one.

    Example:
        >>> benchmark = load_benchmark("val-clean")
        >>> from_json(to_json(benchmark)).views == benchmark.views
        True
    """
    try:
        data = json.loads(text)
        if not isinstance(data, dict) or data.pop("format", None) != FORMAT:
            raise ValueError(f"format is not {FORMAT!r}")
        names = [f.name for f in fields(BenchmarkView)]
        data["views"] = [dict(zip(names, row, strict=True)) for row in data.get("views", ())]
        return from_dict(Benchmark, data, name="it")
    except (TypeError, ValueError, RecursionError) as error:
        raise FormatError(
            f"{source} is not a benchmark definition ({error}); write one with "
            "hypopose.datasets.to_json."
        ) from error
