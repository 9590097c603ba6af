"""OpenSim's text files: TRC markers, and the same places as a MOT (storage) table.

TRC: a marker per joint, millimeters unless told otherwise, an empty cell where a joint is unknown.
The axes stand behind the file's name in the first line, where the format has free text.

MOT: columns ``time`` and ``<joint>_tx``, ``_ty``, ``_tz``, always in meters (a storage file has no
place for another unit); ``nan`` where a joint is unknown.

Both have y up by default, as OpenSim's models do, and one file a motion.
"""

from __future__ import annotations

import math
from pathlib import Path

from hypopose.io.atomic import write_atomically
from hypopose.io.writers.scene import Defaults, ExportScene

TRC_DEFAULTS = Defaults(which="aggregate", up="y", root="placed", unit="mm", needs_rate=True)
MOT_DEFAULTS = Defaults(
    which="aggregate", up="y", root="placed", unit="m", fixed=("unit",), needs_rate=True
)


def write_trc(path: Path, scene: ExportScene) -> tuple[str, ...]:
    """Write markers for OpenSim's inverse kinematics."""
    joints, names = scene.takes[0].joints, scene.skeleton.joint_names
    rate, n = f"{scene.rate:.6g}", len(joints)
    axes = "".join(f"\tX{j}\tY{j}\tZ{j}" for j in range(1, len(names) + 1))
    header = [
        f"PathFileType\t4\t(X/Y/Z)\t{path.name}; {scene.axes}",
        "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame"
        "\tOrigNumFrames",
        f"{rate}\t{rate}\t{n}\t{len(names)}\t{scene.unit}\t{rate}\t1\t{n}",
        "Frame#\tTime\t" + "\t".join(f"{name}\t\t" for name in names).rstrip("\t"),
        "\t" + axes,
        "",
    ]
    lines = [
        "\t".join([str(f + 1), f"{f / scene.rate:.6f}", *map(_cell, frame.ravel().tolist())])
        for f, frame in enumerate(joints)
    ]
    return _write(path, [*header, *lines])


def write_mot(path: Path, scene: ExportScene) -> tuple[str, ...]:
    """Write places as an OpenSim storage table."""
    joints, names = scene.takes[0].joints, scene.skeleton.joint_names
    columns = ["time", *(f"{name}_t{axis}" for name in names for axis in "xyz")]
    header = [
        path.stem,
        "version=1",
        f"nRows={len(joints)}",
        f"nColumns={len(columns)}",
        "inDegrees=no",
        f"Places of joints; {scene.axes}",
        "endheader",
        "\t".join(columns),
    ]
    lines = [
        "\t".join([f"{f / scene.rate:.6f}", *(f"{v:.6f}" for v in frame.ravel().tolist())])
        for f, frame in enumerate(joints)
    ]
    return _write(path, [*header, *lines])


def _cell(value: float) -> str:
    return f"{value:.4f}" if math.isfinite(value) else ""


def _write(path: Path, lines: list[str]) -> tuple[str, ...]:
    with write_atomically(path) as temporary:
        temporary.write_bytes(("\n".join(lines) + "\n").encode("utf-8", "backslashreplace"))
    return ()
