"""Provenance of a result: hashes of all files read, version, machine and time."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hypopose import __version__
from hypopose.datasets.protocols.protocol_data import sha256_of
from hypopose.distributed import available_cores

CPU_INFO = Path("/proc/cpuinfo")
"""Where Linux names the processor."""


def run_record(data: Mapping[str, str], *, method: Path | None = None) -> dict[str, Any]:
    """Provenance of an evaluation.

    Args:
        data: File name -> SHA-256 of the data that were read.
        method: The file of predictions, or the folder of weights; None for neither.

    Returns:
        JSON-ready: ``data_sha256`` is of all files together, in the order of their names.

    Example:
        >>> run_record({"a.npz": "00"})["data_files"]
        {'a.npz': '00'}
    """
    lines = "".join(f"{name} {data[name]}\n" for name in sorted(data))
    record: dict[str, Any] = {
        "hypopose": __version__,
        "data_sha256": hashlib.sha256(lines.encode()).hexdigest(),
        "data_files": dict(data),
        "machine": machine(),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return record if method is None else {**record, **_of_method(method)}


def _of_method(path: Path) -> dict[str, Any]:
    """Hashes of predictions, or of every file of weights."""
    if path.is_dir():
        files = sorted(p for p in path.iterdir() if p.suffix in (".json", ".safetensors"))
        return {"weights_files": {p.name: sha256_of(p) for p in files}}
    return {"prediction_sha256": sha256_of(path)}


def machine() -> dict[str, str]:
    """Processor, cores, system, and the versions that numbers may depend on.

    Example:
        >>> sorted(machine())
        ['cores', 'numpy', 'processor', 'python', 'system', 'torch']
    """
    return {
        "processor": _processor(),
        "cores": str(available_cores()),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }


def _processor() -> str:
    try:
        lines = CPU_INFO.read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        return platform.processor() or "unknown"
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or "unknown")
