"""EasyMocap's ``intri.yml`` and ``extri.yml``: cameras by name, world to camera in meters.

``intri.yml`` has ``names``, and per name ``K_<name>``, ``dist_<name>`` and perhaps ``H_<name>``,
``W_<name>``; ``extri.yml`` has ``R_<name>`` (a rotation vector) or ``Rot_<name>`` (a matrix), and
``T_<name>``. Either file, or the folder of both, may be given; the other is looked for beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypopose.io.camera_files.camera_format import CameraFormat, Tables
from hypopose.io.camera_files.yaml_text import MAX_BYTES, parse_yaml
from hypopose.io.source import Source

INTRI, EXTRI = "intri.yml", "extri.yml"


def suits(source: Source) -> bool:
    """One of the two files, by name or keys, or a folder with ``intri.yml``."""
    if source.is_folder:
        return (source.path / INTRI).is_file()
    if source.path.suffix.lower() not in (".yml", ".yaml"):
        return False
    return source.path.name in (INTRI, EXTRI) or any(
        line.startswith("K_") and "opencv-matrix" in line for line in source.opening
    )


def read(source: Source) -> Tables:
    """Every camera that has a matrix."""
    folder = source.path if source.is_folder else source.path.parent
    given = None if source.is_folder or source.path.name == EXTRI else source
    intri = _values(given or Source(folder / INTRI))
    extri = _values(Source(folder / EXTRI)) if (folder / EXTRI).is_file() else {}
    names = [str(key)[2:] for key in intri if str(key).startswith("K_")]
    return {name: _table(name, intri, {**intri, **extri}) for name in names}


def _values(source: Source) -> Mapping[str, Any]:
    values = parse_yaml(source.read_text(MAX_BYTES, "a camera file"), str(source.path))
    if not isinstance(values, Mapping):
        raise source.error("no names and matrices", "give EasyMocap's intri.yml")
    return values


def _table(name: str, intri: Mapping[str, Any], both: Mapping[str, Any]) -> dict[str, Any]:
    found = {
        "matrix": intri[f"K_{name}"],
        "distortions": intri.get(f"dist_{name}", intri.get(f"D_{name}")),
        "rotation": both.get(f"Rot_{name}", both.get(f"R_{name}")),
        "translation": both.get(f"T_{name}"),
    }
    if f"H_{name}" in both and f"W_{name}" in both:
        found["size"] = [both[f"W_{name}"], both[f"H_{name}"]]
    return {key: value for key, value in found.items() if value is not None}


FORMAT = CameraFormat("EasyMocap intri.yml and extri.yml", suits, read, unit="m")
