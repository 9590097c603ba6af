"""OpenSim's text files: TRC markers, and MOT joint coordinates.

TRC: a marker per joint, millimeters by default, an empty cell where a joint is unknown.
The axes stand behind the file's name in the first line, where the format has free text. Beside it
stand set-up files of OpenSim's Scale and Inverse Kinematics tools, see
:mod:`hypopose.io.writers.opensim_setups`.

MOT: joint coordinates by the names and signs of OpenSim's full-body model, degrees and meters
(:mod:`hypopose.quantities.opensim_coordinates`); ``nan`` where a joint is unknown.

Both have y up by default, as OpenSim's models do, and one file a motion. A TRC of several people
has their markers side by side, ``P0:left_knee``, ``P1:left_knee``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from hypopose.io.atomic import write_atomically
from hypopose.io.writers.scene import Defaults, ExportScene
from hypopose.io.writers.several_people import label_prefixes, over_same_frames
from hypopose.io.writers.take_motion import body_motion_of
from hypopose.quantities import opensim_coordinates

TRC_DEFAULTS = Defaults(which="aggregate", up="y", root="placed", unit="mm", needs_rate=True)
MOT_DEFAULTS = Defaults(
    which="aggregate", up="y", root="placed", unit="m", fixed=("up", "unit"), needs_rate=True
)


def write_trc(path: Path, scene: ExportScene) -> tuple[str, ...]:
    """Write markers for OpenSim's inverse kinematics."""
    return _write_markers(path, scene, scene.takes[0].joints, scene.skeleton.joint_names)


def write_trc_of_people(path: Path, scenes: Sequence[ExportScene]) -> tuple[str, ...]:
    """Write the markers of several people over the same frames; names begin with the person."""
    scenes, notes = over_same_frames(scenes)
    prefixes = label_prefixes([scene.called for scene in scenes])
    names = [
        f"{prefix}{name}"
        for prefix, scene in zip(prefixes, scenes, strict=True)
        for name in scene.skeleton.joint_names
    ]
    joints = np.concatenate([scene.takes[0].joints for scene in scenes], 1)
    return (
        *_write_markers(path, scenes[0], joints, names),
        *notes,
        f"markers begin with {', '.join(prefixes)}; no set-ups, which are of one person",
    )


def _write_markers(
    path: Path, scene: ExportScene, joints: NDArray[np.float64], names: Sequence[str]
) -> tuple[str, ...]:
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
    """Write joint coordinates as an OpenSim motion.

    Raises:
        SkeletonMismatchError: If the skeleton lacks hips, knees, ankles, shoulders, elbows, wrists,
            pelvis or thorax.
    """
    found = opensim_coordinates(body_motion_of(scene, scene.takes[0]))
    values = torch.stack(list(found.values()), -1).numpy()
    columns = ["time", *found]
    header = [
        path.stem,
        "version=1",
        f"nRows={len(values)}",
        f"nColumns={len(columns)}",
        "inDegrees=yes",
        f"Coordinates of OpenSim's full-body model (Rajagopal, 2016); {scene.axes}",
        "endheader",
        "\t".join(columns),
    ]
    lines = [
        "\t".join([f"{f / scene.rate:.6f}", *(f"{v:.6f}" for v in row)])
        for f, row in enumerate(values.tolist())
    ]
    ankles = "" if any(name.startswith("ankle") for name in found) else "; ankles left out: no feet"
    return (
        *_write(path, [*header, *lines]),
        f"joint coordinates of Rajagopal's full-body model, degrees and meters{ankles}",
    )


def _cell(value: float) -> str:
    return f"{value:.4f}" if math.isfinite(value) else ""


def _write(path: Path, lines: list[str]) -> tuple[str, ...]:
    with write_atomically(path) as temporary:
        temporary.write_bytes(("\n".join(lines) + "\n").encode("utf-8", "backslashreplace"))
    return ()
