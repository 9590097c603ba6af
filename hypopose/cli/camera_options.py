"""Options of ``hypopose sample`` about the camera, scale and time."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from hypopose.cli.wording import in_cli_words
from hypopose.errors import FormatError, HypoPoseError, OptionError

if TYPE_CHECKING:
    from hypopose.types import Camera

Command = TypeVar("Command", bound=Callable[..., Any])

PRESETS = {"walk": 3.0, "sport": 10.0, "fine": 30.0}
"""Name -> typical acceleration in m/s² that motions are smoothed with."""

preset_option = click.option(
    "--preset",
    type=click.Choice(list(PRESETS)),
    help="Smooth as suits walking (3 m/s²), sport (10) or fine, quick motion (30).",
)


def smooth_of(preset: str | None, smooth: float | None = None) -> float | None:
    """The acceleration of a preset, or the one that was given.

    Raises:
        OptionError: If both are given.

    Example:
        >>> smooth_of("sport"), smooth_of(None, 5.0), smooth_of(None)
        (10.0, 5.0, None)
    """
    if preset is None:
        return smooth
    if smooth is not None:
        raise OptionError("--preset and --smooth contradict each other; give one of them.")
    return PRESETS[preset]


_OPTIONS = (
    click.option(
        "--camera",
        "camera_file",
        metavar="FILE[:NAME]",
        help="Camera: JSON, a calibration of OpenCV, Pose2Sim, anipose, Caliscope, EasyMocap, "
        "OpenCap, Qualisys, Vicon, calib.io, Agisoft or COLMAP, or a photo whose EXIF block names "
        "its focal length. See docs/reference/cameras.md.",
    ),
    click.option(
        "--camera-unit",
        metavar="UNIT",
        help="Unit of the camera file's translations: m, cm, mm, or meters per unit such as 0.025; "
        "default: the format's, or inferred.",
    ),
    click.option(
        "--rotate",
        type=click.Choice(["90", "180", "270"]),
        callback=lambda _, __, value: None if value is None else int(value),
        metavar="DEGREES",
        help="Turn the picture clockwise by 90, 180 or 270 degrees: keypoints, image size and the "
        "camera of the file.",
    ),
    click.option("--focal", type=float, help="Focal length in pixels; the center is the image's."),
    click.option("--fov", type=float, help="Field of view along the longer side, in degrees."),
    click.option(
        "--estimate-focal",
        is_flag=True,
        help="Infer the focal length from the keypoints; every hypothesis gets its own.",
    ),
    click.option(
        "--camera-motion",
        type=click.Path(),
        help="Poses of a moving camera: csv, COLMAP images.txt or a TUM trajectory.",
    ),
    click.option("--height", type=float, help="The subject's stature in meters: sets the scale."),
    click.option(
        "--smooth",
        type=float,
        metavar="M/S²",
        help="Smooth over time; typical acceleration: 3 for walking, 10 for sports.",
    ),
    preset_option,
    click.option(
        "--ground", is_flag=True, help="Estimate gravity and floor from feet: a world with z up."
    ),
    click.option(
        "--feet",
        is_flag=True,
        help="Add heels and big toes, derived from their 2D points and the ankles; for BODY_25, "
        "Halpe-26, whole bodies and MediaPipe.",
    ),
)


def camera_options(command: Command) -> Command:
    """Give a command the options of this file."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def refuse_contradictions(options: Mapping[str, Any]) -> None:
    """Stop before anything is loaded if options about the camera do not go together.

    Args:
        options: Of the command.

    Raises:
        OptionError: If options contradict each other or are out of range.
        FormatError: If there is no such file.
    """
    refuse_two_lenses(options)
    if options["focal"] is not None and not 0 < options["focal"] < float("inf"):
        raise OptionError(f"--focal is a length in pixels, got {options['focal']}.")
    for name in ("height", "smooth"):
        if options[name] is not None and not options[name] > 0:
            raise OptionError(f"--{name} must be positive, got {options[name]}.")
    if options["camera_motion"] is not None:
        _check_camera_motion(options["camera_motion"], options["ground"])


def refuse_two_lenses(options: Mapping[str, Any]) -> None:
    """Raise if more than one option says what the camera's lens is."""
    names = ("camera_file", "focal", "fov", "estimate_focal")
    given = [name for name in names if options.get(name) not in (None, False)]
    if len(given) > 1:
        words = " and ".join(f"--{name.removesuffix('_file').replace('_', '-')}" for name in given)
        raise OptionError(f"{words} contradict each other; give one of them.")


def _check_camera_motion(motion: str, ground: bool) -> None:
    if ground:
        raise OptionError("--camera-motion brings its own world; leave out --ground.")
    if not Path(motion).is_file():
        raise FormatError(f"{motion}: there is no such file; check the path of --camera-motion.")


def read_camera(text: str, options: Mapping[str, Any], keypoints: Path | None = None) -> Camera:
    """A camera of a file, with what was inferred about it printed.

    Args:
        text: ``FILE[:NAME]``.
        options: Of the command: the image size and the file's unit are taken from them.
        keypoints: Names the image size if neither the file nor the options do.

    Raises:
        FormatError: If the file is not a camera's.
        OptionError: If the file has no such camera.
    """
    from hypopose.io import NoImageSizeError, load_camera, split_camera_name

    path, name = split_camera_name(text)
    unit, size = options.get("camera_unit"), options["image_size"]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        try:
            camera = load_camera(path, name, size, unit=unit)
        except NoImageSizeError:
            size = _stated_size(options, keypoints)
            if size is None:
                raise
            camera = load_camera(path, name, size, unit=unit)
    for message in dict.fromkeys(str(warning.message) for warning in caught):
        click.echo(f"Warning: {in_cli_words(message)}.", err=True)
    return camera


def _stated_size(options: Mapping[str, Any], keypoints: Path | None) -> tuple[int, int] | None:
    """The image size that the keypoints' file names."""
    from hypopose.io import inspect

    if keypoints is None:
        return None
    try:
        return inspect(keypoints, format=options.get("input_format")).image_size
    except HypoPoseError:
        return None  # reading it later raises the error


def camera_of(options: Mapping[str, Any], keypoints: Path | None = None) -> Camera | None:
    """The camera from a file, a focal length or an angle; None leaves it to be assumed.

    Args:
        options: Of the command.
        keypoints: Names the image size if neither the camera's file nor the options do.

    Raises:
        OptionError: If the image size is needed and missing.
        FormatError: If the file is not a camera's.
    """
    size = options["image_size"]
    if options["camera_file"] is not None:
        return read_camera(options["camera_file"], options, keypoints)
    focal, fov = options["focal"], options["fov"]
    if focal is None and fov is None:
        return None
    if size is None:
        word = "--focal" if fov is None else "--fov"
        raise OptionError(f"{word} needs the image size too: add --image-size W H.")
    from hypopose.types import Camera

    if fov is not None:
        return replace(Camera.from_fov(size, fov), assumed=False)
    import torch

    return Camera(torch.tensor([focal, focal]), torch.tensor(size) / 2, size)
