"""``hypopose import``: another program's 3D motion as a result file."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hypopose.cli.jobs import Job
from hypopose.cli.options import shared
from hypopose.cli.overwrite import force_option, refuse_existing, refuse_overwriting
from hypopose.errors import FormatError, OptionError

if TYPE_CHECKING:
    from hypopose.io.results import Result
    from hypopose.types import Camera

EXAMPLES = """\b
Examples:
  hypopose import walk.trc -o walk.npz
  hypopose import points.npy -o walk.npz --skeleton h36m17 --unit mm --up z
  hypopose import markers.trc -o truth.npz --to h36m17 --camera calibration.toml:cam01
  hypopose import a.bvh b.bvh -o both.npz --to h36m17"""


@click.command("import", epilog=EXAMPLES)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@shared(
    "fps",
    person={"help": "Only this person; default: everybody, as OUT_person<name>."},
    skeleton={"help": "Skeleton of the joints, where FILES do not say: a name or a TOML file."},
    input_format={"help": "Read FILES as this format of 3D motion instead of detecting it."},
    output={"help": "Result file, npz."},
)
@click.option("--to", "target", help="Convert to this skeleton: a name or a TOML file.")
@click.option(
    "--unit",
    metavar="UNIT",
    help="m, cm, mm, or meters per unit; default: the file's, or the only one that gives limbs "
    "of human size.",
)
@click.option(
    "--up",
    type=click.Choice(["native", "y", "z", "x", "-x", "-z"]),
    help="Axis that points up; native: y down, a camera's frame. Default: the axis along which "
    "people stand.",
)
@click.option("--mirror", is_flag=True, help="The file's axes are left-handed, as Unity's.")
@click.option(
    "--camera",
    "camera_file",
    metavar="FILE[:NAME]",
    help="A camera placed in the file's axes: the motion is brought into its frame.",
)
@click.option("--camera-unit", metavar="UNIT", help="Unit of the camera file; see hypopose sample.")
@force_option
def import_motion(files: tuple[Path, ...], output: Path, force: bool, **options: Any) -> None:
    """Make a result of FILES, 3D motion of other programs; each file is a hypothesis.

    FILES are TRC, C3D (hypopose[export]), BVH, CSV (anipose, DeepLabCut 3D, FreeMoCap, tidy), npy
    or npz of (frames, joints, 3), VideoPose3D's data_3d_*.npz, JSON of MediaPipe's world landmarks,
    MMPose or Azure Kinect, or EasyMocap's folder. The result works with hypopose evaluate, export
    and report, and as --truth.
    """
    from hypopose.api import import_motion as imported
    from hypopose.io import save_result

    if output.suffix.lower() != ".npz":
        raise OptionError(f"{output}: a result is written as .npz; name it so.")
    for file in files:
        refuse_overwriting(file, output)
    camera = _camera(options)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        results = imported(
            files,
            skeleton=options["skeleton"],
            to=options["target"],
            unit=options["unit"],
            up=options["up"],
            mirror=options["mirror"],
            fps=options["fps"],
            camera=camera,
            format=options["input_format"],
        )
    said = [str(warning.message) for warning in caught]
    for message in dict.fromkeys(said):
        click.echo(f"Warning: {_in_words(message)}", err=True)
    results = _chosen(files[0], results, options["person"])
    paths = Job(files[0], output).outputs_of(list(results))
    refuse_existing(*paths, force=force)
    for path, result in zip(paths, results.values(), strict=True):
        save_result(path, result)
        click.echo(f"-> {path}: {_words(result)}")
        for note in result.notes:
            if not any(message.endswith(note) for message in said):
                click.echo(f"   {_in_words(note)}")


def _camera(options: Mapping[str, Any]) -> Camera | None:
    """The camera that is named, if one is."""
    from hypopose.cli.camera_options import read_camera
    from hypopose.cli.wording import in_cli_words

    if options["camera_file"] is None:
        return None
    try:
        return read_camera(options["camera_file"], {**options, "image_size": None})
    except FormatError as error:  # its unit is --camera-unit, the motion's --unit
        raise FormatError(in_cli_words(str(error))) from None


def _chosen(file: Path, results: dict[str, Result], person: str | None) -> dict[str, Result]:
    if person is None:
        return results
    if person not in results:
        names = ", ".join(list(results)[:12])
        raise OptionError(f"No person {person!r} in {file}; it has {names}.")
    return {person: results[person]}


def _words(result: Result) -> str:
    made = result.sampler
    h, f, j = result.hypotheses.joints.shape[:3]
    rate = "rate unknown" if result.keypoints.fps is None else f"{result.keypoints.fps:g} Hz"
    several = f"{h} hypotheses, " if h > 1 else ""
    skeleton = result.hypotheses.skeleton.name
    return f"{made['format']}, {several}{f} frames, {rate}, {skeleton} ({j} joints)"


def _in_words(note: str) -> str:
    from hypopose.cli.wording import in_cli_words

    return in_cli_words(note, "import")
