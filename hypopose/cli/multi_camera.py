"""``--view``: further cameras of one person, for samplers that read several."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from hypopose.cli.options import reading_given
from hypopose.errors import OptionError

if TYPE_CHECKING:
    from hypopose.io import RigClock
    from hypopose.types import Keypoints2D

Command = TypeVar("Command", bound=Callable[..., Any])


def view_option(command: Command) -> Command:
    """Give a command the option of this file."""
    return click.option(
        "--view",
        "view_files",
        type=(click.Path(path_type=Path), str),
        multiple=True,
        metavar="INPUT FILE[:NAME]",
        help="Keypoints of the same person and frames by another camera, and that camera, placed "
        "in one world with z up as --camera is; repeat for more. With --sampler platypose.",
    )(command)


def load_views(options: Mapping[str, Any], inputs: Sequence[Path]) -> tuple[Keypoints2D, ...]:
    """Keypoints of the further cameras, ready to sample.

    Args:
        options: Of the command.
        inputs: What the first camera saw; one file.

    Returns:
        One person per ``--view``, in the order given.

    Raises:
        OptionError: If the sampler reads one camera only, there are several inputs, a file or a
            camera comes twice, another option contradicts the cameras, or it is not clear who is
            meant.
    """
    if not options["view_files"]:
        return ()
    from hypopose.api import default_sampler, prepare
    from hypopose.api.making import options_of
    from hypopose.cli.camera_options import read_camera
    from hypopose.io import load, load_people
    from hypopose.plugins import look_up
    from hypopose.samplers import SAMPLERS

    sampler = options["sampler"] or default_sampler(options["weights"])
    method = look_up("samplers", sampler, SAMPLERS)
    if "views" not in options_of(method):
        raise OptionError(
            f"The sampler {sampler!r} reads one camera; --view needs --sampler platypose."
        )
    if len(inputs) > 1:
        raise OptionError("--view belongs to one input; give the others in runs of their own.")
    if options["camera_file"] is None:
        raise OptionError("--view needs to know where the first camera stands: add --camera.")
    _refuse_contradictions(options)
    _refuse_repeats(options, inputs[0])
    names = {"format": "input_format", "skeleton": "skeleton", "fps": "fps"}
    given = {k: options[v] for k, v in names.items() if options[v] is not None}
    given |= reading_given(options)
    views = []
    for path, camera in options["view_files"]:
        placed = read_camera(camera, options, path)
        read = {**given, "camera": placed}
        if options["person"] is not None:
            views.append(prepare(load(path, person=options["person"], **read)))
            continue
        people = load_people(path, **read)
        if len(people) > 1:
            raise OptionError(
                f"{path} shows {len(people)} people: {', '.join(people)}. Say who with --person, "
                "the same label in every file."
            )
        views.append(prepare(next(iter(people.values()))))
    together = _on_one_clock(views, options, inputs[0])
    _check_rig(_first_view(options, inputs[0], given), list(together))
    return together


def _on_one_clock(
    views: Sequence[Keypoints2D], options: Mapping[str, Any], first: Path
) -> tuple[Keypoints2D, ...]:
    """The views at the moments of the first input's frames, if a rig knows their clocks."""
    from hypopose.api.rigs import in_step
    from hypopose.api.several_views import against_first
    from hypopose.io import inspect, split_camera_name

    names = {"format": "input_format", "skeleton": "skeleton", "image_size": "image_size"}
    n_frames = inspect(first, **{k: options[v] for k, v in names.items()}).n_frames
    given = [(first, options["camera_file"], n_frames)]
    given += [
        (path, camera, keypoints.n_frames)
        for (path, camera), keypoints in zip(options["view_files"], views, strict=True)
    ]
    clocks = [_clock_in_rig(camera, path, n, options) for path, camera, n in given]
    known = [clock for clock in clocks if clock is not None]
    if len(known) < len(given) or len({split_camera_name(c)[0] for _, c, _ in given}) > 1:
        _warn_of_offsets(options, first)
        return tuple(views)
    times = against_first(known)[1:]
    return tuple(
        view if (t.frames, t.rate) == (0, 1) else in_step(view, t.frames, t.rate, n_frames)
        for view, t in zip(views, times, strict=True)
    )


def _clock_in_rig(
    camera: str, path: Path, n_frames: int, options: Mapping[str, Any]
) -> RigClock | None:
    """The clock of a camera, if it is one of a rig that was found from this recording."""
    from hypopose.io import load_rig, split_camera_name

    file, name = split_camera_name(camera)
    if file.suffix.lower() != ".json" or name is None:
        return None
    rig = load_rig(file, options["image_size"], unit=options.get("camera_unit"))
    clock = rig.clocks.get(name)
    return clock if clock is not None and clock.belongs_to(path, n_frames) else None


def _first_view(
    options: Mapping[str, Any], path: Path, given: Mapping[str, Any]
) -> Keypoints2D | None:
    """The first camera's keypoints of the person; None if the file shows several."""
    from hypopose.api import prepare
    from hypopose.cli.camera_options import read_camera
    from hypopose.io import load_people

    camera = read_camera(options["camera_file"], options, path)
    people = load_people(path, **given, camera=camera)
    if options["person"] is not None:
        return prepare(people[options["person"]]) if options["person"] in people else None
    return prepare(next(iter(people.values()))) if len(people) == 1 else None


def _check_rig(first: Keypoints2D | None, views: Sequence[Keypoints2D]) -> None:
    """Refuse cameras that give people impossible sizes, and warn of those that look elsewhere."""
    from hypopose.cameras.rig_scale import rig_scale

    if first is None:
        return
    scale = rig_scale([first, *views])
    if not scale.plausible:
        unit = scale.unit_words()
        raise OptionError(
            f"Seen by these cameras, limbs are {scale.limb:.3g} m long, and no person's are: the "
            f"unit of the camera files is wrong. Name it: --camera-unit {unit or 'UNIT'}."
        )
    if not scale.meets:
        click.echo(
            f"Warning: the rays of these cameras pass each other by {scale.miss:.0%} of their "
            "length: check that each --view has its own camera, and that the frames are the same.",
            err=True,
        )


def describe_views(options: Mapping[str, Any]) -> tuple[str, ...]:
    """A note for the result per further camera: whose keypoints, and which camera.

    Example:
        >>> describe_views({"view_files": [(Path("in/side.csv"), "rig.json:side")]})
        ('also seen in side.csv by the camera rig.json:side',)
    """
    return tuple(
        f"also seen in {path.name} by the camera {Path(camera).name}"
        for path, camera in options["view_files"]
    )


def _refuse_contradictions(options: Mapping[str, Any]) -> None:
    for name in ("height", "ground", "camera_motion"):
        if options[name]:
            raise OptionError(
                "Cameras in one world know scale, floor and motion; leave out "
                f"--{name.replace('_', '-')} or --view."
            )


def _refuse_repeats(options: Mapping[str, Any], first: Path) -> None:
    """Refuse a view given twice, which would make hypotheses overconfident."""
    from hypopose.io import split_camera_name

    given = [(first, options["camera_file"]), *options["view_files"]]
    files = [path.resolve() for path, _ in given]
    cameras = [(path.resolve(), name) for path, name in (split_camera_name(c) for _, c in given)]
    for i, (path, camera) in enumerate(given):
        if files[i] in files[:i]:
            raise OptionError(f"{path} is given twice; every --view has keypoints of its own.")
        if cameras[i] in cameras[:i]:
            raise OptionError(f"The camera {camera} is given twice; name another in --view.")


def _warn_of_offsets(options: Mapping[str, Any], first: Path) -> None:
    """Frames are paired in order, so files that number them differently may be out of step."""
    from hypopose.io import inspect

    names = {"format": "input_format", "skeleton": "skeleton", "image_size": "image_size"}
    read = {k: options[v] for k, v in names.items()}
    starts = {p: inspect(p, **read).first_frame for p in (first, *dict(options["view_files"]))}
    for path, start in starts.items():
        if start != starts[first]:
            click.echo(
                f"Warning: {path} starts at frame {start}, {first} at frame {starts[first]}; they "
                "are taken to be the same moment.",
                err=True,
            )
