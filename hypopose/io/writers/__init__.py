"""Results as other programs read them: one file per format, one table.

A result is chosen from, turned and scaled once (:mod:`hypopose.io.writers.scene`); a format only
writes. ``docs/reference/file-formats.md`` shows the layouts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hypopose.errors import OptionError
from hypopose.io.atomic import write_together
from hypopose.io.results import Result, write_npz
from hypopose.io.writers import (
    bvh_animation,
    c3d,
    gltf,
    named_arrays,
    netcdf,
    opensim,
    opensim_setups,
    tidy_results,
)
from hypopose.io.writers.optional import require
from hypopose.io.writers.scene import (
    Defaults,
    ExportOptions,
    ExportScene,
    build_scene,
    numbered_path,
)
from hypopose.io.writers.several_people import check_together, in_one_world, person_names

__all__ = [
    "EXPORTERS",
    "ExportOptions",
    "Exported",
    "Exporter",
    "beside_paths",
    "check_ending",
    "export_paths",
    "export_people",
    "export_result",
    "save_result",
]


class Beside(NamedTuple):
    """Files that a format writes beside its first motion."""

    paths: Callable[[Path], tuple[Path, ...]]
    contents: Callable[[Path, ExportScene], dict[Path, bytes]]


@dataclass(frozen=True)
class Exporter:
    """A format.

    Args:
        description: For people.
        write: Writes a scene whole or not at all; returns what a user should know.
        defaults: Options where the caller names none.
        one_motion: Whether a file holds one motion, so that all of them become a file each.
        max_frames: Frames that a file holds; longer motions become several.
        packages: What must be installed.
        beside: Further files of the first motion: their paths, and their contents.
        write_people: Writes scenes of several people into one file; None if it holds one person.
    """

    description: str
    write: Callable[[Path, ExportScene], tuple[str, ...]]
    defaults: Defaults
    one_motion: bool = False
    max_frames: int | None = None
    packages: tuple[str, ...] = ()
    beside: Beside | None = None
    write_people: Callable[[Path, Sequence[ExportScene]], tuple[str, ...]] | None = None


@dataclass(frozen=True)
class Exported:
    """What an export did.

    Args:
        paths: The files written, one or several motions.
        axes: Frame, axes and unit in words.
        notes: What was assumed, bridged or changed.
        beside: Further files that belong to them.
    """

    paths: tuple[Path, ...]
    axes: str
    notes: tuple[str, ...]
    beside: tuple[Path, ...] = ()


EXPORTERS: dict[str, Exporter] = {
    "npz": Exporter("named arrays", named_arrays.write_npz, named_arrays.DEFAULTS),
    "json": Exporter("named arrays as text", named_arrays.write_json, named_arrays.DEFAULTS),
    "csv": Exporter(
        "tidy table",
        tidy_results.write_csv,
        tidy_results.DEFAULTS,
        write_people=tidy_results.write_csv_of_people,
    ),
    "parquet": Exporter(
        "tidy table",
        tidy_results.write_parquet,
        tidy_results.DEFAULTS,
        packages=("pyarrow.parquet",),
        write_people=tidy_results.write_parquet_of_people,
    ),
    "nc": Exporter(
        "NetCDF with movement's dimensions",
        netcdf.write_netcdf,
        netcdf.DEFAULTS,
        packages=("xarray",),
    ),
    "c3d": Exporter(
        "C3D points, 1 sigma as residual",
        c3d.write_c3d,
        c3d.DEFAULTS,
        True,
        c3d.MAX_FRAMES,
        ("ezc3d",),
        write_people=c3d.write_c3d_of_people,
    ),
    "trc": Exporter(
        "OpenSim markers and set-ups",
        opensim.write_trc,
        opensim.TRC_DEFAULTS,
        True,
        beside=Beside(opensim_setups.setup_paths, opensim_setups.setup_files),
        write_people=opensim.write_trc_of_people,
    ),
    "mot": Exporter("OpenSim joint coordinates", opensim.write_mot, opensim.MOT_DEFAULTS, True),
    "bvh": Exporter(
        "rotations of constant bones", bvh_animation.write_bvh, bvh_animation.DEFAULTS, True
    ),
    "glb": Exporter(
        "glTF animation", gltf.write_glb, gltf.DEFAULTS, write_people=gltf.write_people
    ),
}
"""Formats by ending."""


def export_result(
    path: str | Path, result: Result, options: ExportOptions | None = None
) -> Exported:
    """Write a result for another program, in the format of the ending.

    Args:
        path: Where to. With all motions in a format that holds one, hypotheses go beside it as
            ``PATH_h00``, ``PATH_h01``, ...
        result: What to write.
        options: Which motions, in which frame, axes and unit; the format's choice by default.

    Returns:
        The files and what is to be known about them.

    Raises:
        OptionError: If the ending is unknown, or the format cannot do what was chosen.
        MissingCameraError: If the world frame is wanted of a camera without extrinsics.
        BackendError: If a package is not installed.

    Example:
        >>> import hypopose, tempfile
        >>> keypoints, _ = hypopose.datasets.example_pair()
        >>> result = hypopose.estimate(keypoints, sampler="boneflips", n_hypotheses=2)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     done = export_result(Path(folder) / "walk.trc", result)
        >>> done.axes
        'camera frame; x right; y up; z backward; millimeters; joints at their places'
    """
    path = Path(path)
    exporter = EXPORTERS[check_ending(path)]
    scene = build_scene(result, options or ExportOptions(), exporter.defaults)
    files = _files(path, scene, exporter)
    beside = exporter.beside.contents(path, scene) if exporter.beside else {}
    if len(files) == 1 and not beside:
        notes = [exporter.write(path, scene)]
    else:
        with write_together([*files, *beside]) as written:
            motions = zip(written, files.values(), strict=False)
            notes = [exporter.write(temporary, motion) for temporary, motion in motions]
            for temporary, content in zip(written[len(files) :], beside.values(), strict=True):
                temporary.write_bytes(content)
    added = scene.notes[len(result.notes) :]
    parts = _part_notes(files, exporter)
    said = (note for lines in notes for note in lines)
    return Exported(tuple(files), scene.axes, (*added, *parts, *said), tuple(beside))


def export_people(
    path: str | Path, results: Sequence[Result], options: ExportOptions | None = None
) -> Exported:
    """Write several people into one file, for example those of one video.

    A glTF shows them in one scene, a table has a column ``person``, and labels of C3D and TRC begin
    with the person, ``P0:left_knee``. Where each has a world that was estimated from feet, all of
    one recording take that of the first, so that they stand where they stood.

    Args:
        path: Where to; ends in ``.glb``, ``.csv``, ``.parquet``, ``.trc`` or ``.c3d``.
        results: A person each; motions begin together.
        options: As for :func:`export_result`.

    Returns:
        The file and what is to be known about it.

    Raises:
        OptionError: If the format holds one person, or the results are in different frames or, for
            C3D and TRC, of different frame rates.
        MissingCameraError: As for :func:`export_result`.
        BackendError: As for :func:`export_result`.

    Example:
        >>> import hypopose, tempfile
        >>> keypoints, _ = hypopose.datasets.example_pair()
        >>> result = hypopose.estimate(keypoints, sampler="boneflips", n_hypotheses=2)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     done = export_people(Path(folder) / "two.glb", [result, result])
        >>> len(done.notes)
        3
    """
    path = Path(path)
    chosen = options or ExportOptions()
    exporter = EXPORTERS[check_ending(path)]
    write = _people_writer(path, exporter, chosen)
    names, numbered = person_names(results)
    results, told = in_one_world(results)
    scenes = [build_scene(result, chosen, exporter.defaults) for result in results]
    check_together(scenes)
    way = scenes[0].takes[0].joints[:, scenes[0].skeleton.root]
    start = next((place for place in way if np.isfinite(place).all()), None)
    pairs = zip(scenes, names, strict=True)
    scenes = [replace(scene, origin=start, called=name) for scene, name in pairs]
    notes = write(path, scenes)
    added = [note for s in scenes for note in s.notes[len(s.result.notes) :]]
    return Exported((path,), scenes[0].axes, (*numbered, *told, *dict.fromkeys(added), *notes))


def _people_writer(
    path: Path, exporter: Exporter, options: ExportOptions
) -> Callable[[Path, Sequence[ExportScene]], tuple[str, ...]]:
    """What writes several people.

    Raises:
        OptionError: If the format holds one person, or one motion of each and all are wanted.
    """
    if exporter.write_people is None:
        known = ", ".join(f".{n}" for n, e in EXPORTERS.items() if e.write_people is not None)
        raise OptionError(
            f"{path.name}: such a file holds one person; export each to a file of its own, or all "
            f"of them to one of {known}."
        )
    if options.which == "all" and exporter.one_motion:
        raise OptionError(
            f"{path.name}: with several people such a file holds one motion of each; export "
            "'aggregate' or a hypothesis by its number, or all to .csv."
        )
    return exporter.write_people


def export_paths(
    path: str | Path, result: Result, options: ExportOptions | None = None
) -> tuple[Path, ...]:
    """The files :func:`export_result` would write, those beside the motions last.

    Raises:
        OptionError: As there.
    """
    path = Path(path)
    exporter = EXPORTERS[check_ending(path)]
    options = options or ExportOptions()
    which = options.which if options.which is not None else exporter.defaults.which
    short = exporter.max_frames is None or result.keypoints.n_frames <= exporter.max_frames
    beside = beside_paths(path)
    if short and (which != "all" or not exporter.one_motion):
        return (path, *beside)
    return (*_files(path, build_scene(result, options, exporter.defaults), exporter), *beside)


def beside_paths(path: str | Path) -> tuple[Path, ...]:
    """Files that an export writes beside its first motion.

    Args:
        path: Of the export.

    Returns:
        For a TRC the set-up files of OpenSim; nothing for other formats.

    Raises:
        OptionError: If no format has that ending.

    Example:
        >>> [p.name for p in beside_paths("walk.trc")], beside_paths("walk.bvh")
        (['walk_markers.xml', 'walk_scale.xml', 'walk_ik.xml'], ())
    """
    beside = EXPORTERS[check_ending(path)].beside
    return () if beside is None else beside.paths(Path(path))


def _files(path: Path, scene: ExportScene, exporter: Exporter) -> dict[Path, ExportScene]:
    """What goes into which file."""
    scenes = {path: scene}
    if exporter.one_motion and len(scene.takes) > 1:
        scenes = {numbered_path(path, t): replace(scene, takes=(t,)) for t in scene.takes}
    most = exporter.max_frames
    if most is None or scene.n_frames <= most:
        return scenes
    n_parts = -(-scene.n_frames // most)
    return {
        whole.with_name(f"{whole.stem}_part{part + 1}{whole.suffix}"): _part(s, part * most, most)
        for whole, s in scenes.items()
        for part in range(n_parts)
    }


def _part(scene: ExportScene, start: int, n: int) -> ExportScene:
    """Some frames of a scene."""
    rows = slice(start, start + n)
    takes = tuple(
        replace(
            take,
            joints=take.joints[rows],
            root=None if take.root is None else take.root[rows],
            std=None if take.std is None else take.std[rows],
        )
        for take in scene.takes
    )
    last = start + len(takes[0].joints) - 1
    return replace(scene, takes=takes, notes=(*scene.notes, f"frames {start} to {last}"))


def _part_notes(files: Mapping[Path, ExportScene], exporter: Exporter) -> tuple[str, ...]:
    if exporter.max_frames is None or not any("_part" in path.stem for path in files):
        return ()
    names = ", ".join(path.name for path in list(files)[:4])
    return (f"a file holds {exporter.max_frames} frames, so the motion is in {names}",)


def check_ending(path: str | Path) -> str:
    """The format of a file name, before any work is done.

    Args:
        path: Where to.

    Returns:
        A key of :data:`EXPORTERS`.

    Raises:
        OptionError: If no format has that ending.
        BackendError: If the format needs a package that is not installed.

    Example:
        >>> check_ending("walk.TRC")
        'trc'
    """
    ending = Path(path).suffix.lower().removeprefix(".")
    if ending not in EXPORTERS:
        known = ", ".join(f".{name}" for name in EXPORTERS)
        raise OptionError(f"Results are written as {known}, not as {str(path)!r}.")
    for package in EXPORTERS[ending].packages:
        require(package, ending)
    return ending


def save_result(path: str | Path, result: Result) -> tuple[str, ...]:
    """Write a result: the full record as .npz, else what another program reads, by its ending.

    Args:
        path: Where to; written whole or not at all.
        result: What to write.

    Returns:
        What was assumed or changed on the way; nothing for the record.

    Raises:
        OptionError: If the ending is another one, the sampler's options are not plain values, or
            the folder is absent.
        BackendError: If a package is not installed.
    """
    if check_ending(path) == "npz":
        write_npz(path, result)
        return ()
    return export_result(path, result).notes
