"""``hypopose complete``: gaps in 2D keypoints or 3D motions filled in, and flagged."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from hypopose.cli.options import READING, reading_given, shared
from hypopose.cli.overwrite import force_option, refuse_existing, refuse_overwriting
from hypopose.errors import OptionError

if TYPE_CHECKING:
    from hypopose.samplers.completion import CompletedKeypoints
    from hypopose.types import Keypoints2D, Poses3D

_KEYPOINT_OPTIONS = ("below", "person", "input_format", "image_size", "camera_file")


EXAMPLES = """\b
Examples:
  hypopose complete walk.json -o walk-complete.csv
  hypopose complete walk.json -o walk-complete.csv --below 0.3"""


@click.command(epilog=EXAMPLES)
@click.argument("source", metavar="INPUT", type=click.Path(path_type=Path))
@shared(
    "person", "input_format", "image_size", "fps", *READING,
    skeleton={"help": "Skeleton of INPUT, if it does not state it; with --3d h36m17."},
    output={"help": "New file: .csv, .parquet, .nc or, for one person, .npz; with --3d .npz."},
)  # fmt: skip
@click.option(
    "--3d",
    "in_3d",
    is_flag=True,
    help="INPUT is a 3D motion: npy, or npz (array 'joints'), of (F, J, 3) camera-frame meters.",
)
@click.option(
    "--camera", "camera_file", metavar="FILE[:NAME]", help="See docs/reference/cameras.md."
)
@click.option("--below", type=float, help="Also replace keypoints of lower confidence than this.")
@shared(
    "sampler", "n_hypotheses", "device",
    weights={"help": "Bundled weights by name, or a folder of weights: of a sampler or an MPM."},
    seed={"help": "Same seed, same result."},
)  # fmt: skip
@force_option
def complete(source: Path, output: Path, in_3d: bool, force: bool, **options: Any) -> None:
    """Fill in what is missing in INPUT and write a new file; what was detected is not changed.

    INPUT is a keypoint file, or a result of hypopose sample, whose hypotheses are used. Every
    filled keypoint is listed in OUT.filled.csv with its standard deviation in pixels.
    """
    if options["fps"] is not None and not options["fps"] > 0:
        raise OptionError(f"--fps must be positive, got {options['fps']:g}.")
    flags = output.with_suffix(".filled.csv")
    written = (output,) if in_3d else (output, flags)
    refuse_overwriting(source, *written)
    refuse_existing(*written, force=force)
    if in_3d:
        _complete_motion(source, output, options)
        return
    from hypopose.io.writers.keypoint_tables import check_writable

    check_writable(output)
    done = _completed(source, output, options)
    _write(output, flags, done)
    for name, one in done.items():
        who = f"{name}: " if len(done) > 1 else ""
        click.echo(f"{who}{_words(one)} -> {output}")


def _completed(
    source: Path, output: Path, options: dict[str, Any]
) -> dict[str, CompletedKeypoints]:
    from hypopose.api import complete as completed
    from hypopose.io.writers.keypoint_tables import check_writable

    drawn = _from_result(source, options)
    if drawn is not None:
        return drawn
    people = _people(source, options)
    check_writable(output, people)
    names = ("weights", "sampler", "n_hypotheses", "below", "seed", "device")
    chosen = {name: options[name] for name in names}
    if not any(_has_gaps(k, options["below"]) for k in people.values()):
        raise OptionError(f"{source} has no gaps; there is nothing to complete.")
    return {name: completed(keypoints, **chosen) for name, keypoints in people.items()}


def _has_gaps(keypoints: Keypoints2D, below: float | None) -> bool:
    doubted = False
    if below is not None and keypoints.confidence is not None:
        doubted = bool((keypoints.confidence < below).any())
    return doubted or not bool(keypoints.detected.all())


def _from_result(source: Path, options: dict[str, Any]) -> dict[str, CompletedKeypoints] | None:
    """Keypoints of a result file by its own hypotheses; None if it is not a result."""
    from hypopose.errors import FormatError
    from hypopose.io import load_hypotheses
    from hypopose.samplers.completion import complete_keypoints

    if source.suffix.lower() != ".npz":
        return None
    try:
        result = load_hypotheses(source)
    except FormatError:
        return None
    context = click.get_current_context()
    for name in options:
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise OptionError(
                f"{source} is a result and has its hypotheses; leave out "
                f"--{name.removesuffix('_file').replace('_', '-')}."
            )
    if bool(result.keypoints.detected.all()):
        raise OptionError(f"{source} has no gaps; there is nothing to complete.")
    return {result.person: complete_keypoints(result.keypoints, result.hypotheses)}


def _people(source: Path, options: dict[str, Any]) -> dict[str, Keypoints2D]:
    from hypopose.api import share_camera
    from hypopose.cli.camera_options import read_camera
    from hypopose.io import load, load_people

    given = {name: options[name] for name in ("skeleton", "image_size", "fps")}
    given["format"] = options["input_format"]
    given = {name: value for name, value in given.items() if value is not None}
    given |= reading_given(options)
    if options["camera_file"] is not None:
        given["camera"] = read_camera(options["camera_file"], options, source)
    if options["person"] is not None:
        return {options["person"]: load(source, person=options["person"], **given)}
    return share_camera(load_people(source, **given))


def _write(output: Path, flags: Path, done: dict[str, CompletedKeypoints]) -> None:
    from hypopose.io import save_people, write_atomically

    save_people(output, {name: one.keypoints for name, one in done.items()})
    with write_atomically(flags) as partial, partial.open("w", encoding="utf-8", newline="") as f:
        table = csv.writer(f, lineterminator="\n")
        table.writerow(("frame", "person", "joint", "x", "y", "std_px"))
        for name, one in done.items():
            joints = one.keypoints.skeleton.joint_names
            for frame, j in one.filled.nonzero().tolist():
                x, y = one.keypoints.xy[frame, j].tolist()
                std = float(one.std[frame, j])
                row = (f"{x:.6g}", f"{y:.6g}", "" if std != std else f"{std:.4g}")  # noqa: PLR0124
                table.writerow((frame, name, joints[j], *row))


def _words(one: CompletedKeypoints) -> str:
    n, left = int(one.filled.sum()), ~one.keypoints.detected
    words = f"{n} of {one.filled.numel()} keypoints filled"
    spread = one.std[one.filled].nanmedian() if n else None
    if spread is not None and bool(spread.isfinite()):
        words += f", give or take {float(spread):.0f} px (median)"
    if bool(left.any()):
        names = one.keypoints.skeleton.joint_names
        never = [names[j] for j in left.any(0).nonzero()[:, 0].tolist()]
        words += f"; still missing: {', '.join(never[:6])}{', ...' if len(never) > 6 else ''}"
    return words


def _complete_motion(source: Path, output: Path, options: dict[str, Any]) -> None:
    from hypopose.api import complete as completed
    from hypopose.io.native import save_arrays, skeleton_to_dict

    for name in _KEYPOINT_OPTIONS:
        if options[name] is not None:
            word = name.removesuffix("_file").replace("_", "-")
            raise OptionError(f"--{word} is for 2D keypoints; leave it out with --3d.")
    if output.suffix.lower() != ".npz":
        raise OptionError(f"{output}: a completed 3D motion is written as .npz; name it so.")
    poses = _read_motion(source, options["skeleton"] or "h36m17")
    names = ("weights", "sampler", "n_hypotheses", "seed", "device", "fps")
    done = completed(poses, **{name: options[name] for name in names})
    std = done.poses.std
    assert std is not None  # it has just been made
    save_arrays(
        output,
        {"joints": done.joints, "filled": done.filled, "std": std},
        {
            "hypopose": "motion",
            "schema": 1,
            "skeleton": skeleton_to_dict(poses.skeleton),
            "units": "m, frame of the input; std per coordinate; filled is 1 where it was missing",
        },
    )
    n = int(done.filled.sum())
    spread = std.square().mean(-1).sqrt()[done.filled].median()
    known = f", give or take {1000 * float(spread):.0f} mm (median)" if spread.isfinite() else ""
    click.echo(f"{n} of {done.filled.numel()} joints filled{known} -> {output}")


def _read_motion(path: Path, skeleton: str) -> Poses3D:
    import torch

    from hypopose.io.source import Source
    from hypopose.io.untrusted.arrays import NpzArchive, read_npy
    from hypopose.skeletons import get_skeleton
    from hypopose.types import Poses3D

    source, known = Source(path), get_skeleton(skeleton)
    if source.is_npz:
        archive = NpzArchive(source)
        if "joints" not in archive.names:
            raise source.error("has no array 'joints'", "name the 3D motion so")
        values = archive.array("joints")
    else:
        values = read_npy(source, source.read_bytes())
    if values.shape[1:] != (known.n_joints, 3) or values.dtype.kind not in "iuf" or not len(values):
        raise source.error(
            f"holds {values.dtype} {values.shape}",
            f"give frames, {known.n_joints} joints of {known.name}, meters in the camera frame",
        )
    joints = torch.from_numpy(values.astype("float32"))
    if bool(torch.isfinite(joints).all()):
        raise OptionError(f"{path} has no gaps; there is nothing to complete.")
    return Poses3D(joints, known)
