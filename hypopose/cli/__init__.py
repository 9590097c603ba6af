"""The ``hypopose`` command: one file per subcommand, loaded when it is called.

A subcommand lives in ``hypopose/cli/<name>.py`` as a click command called ``<name>``; this file
only lists the names with a line of help, so that ``hypopose --help`` does not import torch.

Exit codes: 0 when all went well, 1 when some inputs of several failed (the others are written),
2 when nothing could be done. Our own errors are one line on standard error.
"""

from __future__ import annotations

import importlib
import io
import math
import re
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import click

from hypopose import __version__
from hypopose.cli.wording import in_cli_words
from hypopose.errors import HypoPoseError


class CommandEntry(NamedTuple):
    """A command in the list: what it does, and how it is called."""

    help: str
    example: str


GROUPS: dict[str, dict[str, CommandEntry]] = {
    "Estimate 3D motion": {
        "sample": CommandEntry(
            "Draw 3D hypotheses for 2D keypoint files.", "hypopose sample walk.json -o walk.npz"
        ),
        "live": CommandEntry(
            "Draw 3D hypotheses of the newest frame, from a camera, a video or keypoints.",
            "hypopose live camera:0 -o live.jsonl",
        ),
        "refine": CommandEntry(
            "Move the hypotheses of a result until they reproject.",
            "hypopose refine walk.npz -o refined.npz",
        ),
        "aggregate": CommandEntry(
            "Compute another aggregate from the hypotheses of a result.",
            "hypopose aggregate walk.npz -o median.npz --aggregate median",
        ),
    },
    "Use several cameras": {
        "cameras": CommandEntry(
            "Find the positions of cameras from people seen by all of them.",
            "hypopose cameras front.json side.json -o rig.json --height 1.78",
        ),
        "triangulate": CommandEntry(
            "Reconstruct people in 3D from several cameras of known position.",
            "hypopose triangulate front.json side.json --camera rig.json -o walk.npz",
        ),
    },
    "Use results elsewhere": {
        "measure": CommandEntry(
            "Measure angles, gait, speeds and more, each with its uncertainty.",
            "hypopose measure walk.npz -o walk.csv --what knee_flexion --plot",
        ),
        "import": CommandEntry(
            "Read 3D motion of other programs: TRC, C3D, BVH, CSV, JSON, npy, npz.",
            "hypopose import walk.trc -o walk.npz",
        ),
        "render": CommandEntry(
            "Draw hypotheses over the frames of a video.",
            "hypopose render walk.npz --video walk.mp4 -o overlay.mp4",
        ),
        "mesh": CommandEntry(
            "Fit a body with a surface to the hypotheses of a result.",
            "hypopose mesh walk.npz -o walk.glb",
        ),
        "export": CommandEntry(
            "Write a result as C3D, TRC, BVH, glTF, tables or NetCDF, or a network as ONNX.",
            "hypopose export walk.npz -o walk.bvh",
        ),
    },
    "Measure accuracy and calibration": {
        "evaluate": CommandEntry(
            "Score a sampler or a result against ground truth.",
            "hypopose evaluate walk.npz --truth truth.npz",
        ),
        "calibrate": CommandEntry(
            "Measure how often regions of the hypotheses contain the truth.",
            "hypopose calibrate results -o calibration.json",
        ),
        "calibrate-weights": CommandEntry(
            "Measure the calibration of weights, and write it beside them.",
            "hypopose calibrate-weights motion runs/mine/weights",
        ),
        "fit-calibrator": CommandEntry(
            "Fit a calibrator to results with known truth.",
            "hypopose fit-calibrator results -o calibrator.json",
        ),
        "report": CommandEntry(
            "Build a calibration and ambiguity report.", "hypopose report walk.npz -o report.html"
        ),
    },
    "Find, show and correct keypoints": {
        "detect": CommandEntry(
            "Find 2D keypoints in a video, pictures or a camera's stream.",
            "hypopose detect walk.mp4 -o walk.json",
        ),
        "info": CommandEntry(
            "Show what is in a keypoint or result file.", "hypopose info walk.json"
        ),
        "tracks": CommandEntry(
            "Show and correct the identities of people.",
            "hypopose tracks walk.json --keep-main -o main.csv",
        ),
        "complete": CommandEntry(
            "Fill in missing 2D keypoints, or joints of a 3D motion.",
            "hypopose complete walk.json -o complete.csv",
        ),
        "convert-keypoints": CommandEntry(
            "Convert keypoints to another format and skeleton.",
            "hypopose convert-keypoints walk.json -o walk.csv --to h36m17",
        ),
    },
    "Train networks": {
        "data": CommandEntry(
            "Prepare motion capture for training.", "hypopose data prepare mocap -o motion.npz"
        ),
        "adapt": CommandEntry(
            "Adapt weights to your own cameras and people, without 3D.",
            "hypopose adapt walk.json -o weights/mine --motion motion",
        ),
        "train": CommandEntry(
            "Train a network on motion data.",
            "hypopose train runs/mine --config default --motion motion",
        ),
        "convert": CommandEntry(
            "Convert an official checkpoint to a folder of weights.",
            "hypopose convert d3dp.bin -o weights",
        ),
    },
}
"""Heading -> command -> what ``hypopose --help`` shows."""

COMMANDS = {name: entry for commands in GROUPS.values() for name, entry in commands.items()}


MODULES = {"import": "import_motion"}
"""Commands whose module and function have another name, because Python keeps theirs."""


CONTINUED = ("sample", "detect")
"""Commands that go on with a run that Ctrl-C stopped."""


_SIZE = re.compile(r"(?<![^\0])(--image-size)[\0=](\d+)[xX](\d+)(?![^\0])")
"""A size as one word, in arguments that are joined by NUL."""


class CommandError(click.ClickException):
    """One line on standard error, exit code 2."""

    exit_code = 2


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports one when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import ``hypopose.cli.<name>`` and take the command of that name."""
        if cmd_name not in COMMANDS:
            return None
        name = MODULES.get(cmd_name, cmd_name.replace("-", "_"))
        module = importlib.import_module(f"hypopose.cli.{name}")
        command: click.Command = getattr(module, name)
        return _checked(command)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands by what they are for, each with an example, without importing them."""
        wide = max(map(len, COMMANDS))
        for heading, commands in GROUPS.items():
            with formatter.section(heading):
                for name, entry in commands.items():
                    formatter.write_dl([(name.ljust(wide), entry.help)])
                    formatter.write(f"{'':{wide + 4}}{entry.example}\n")

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; our errors and the system's become one line and exit code 2.

        What a terminal cannot show, such as names of files that are not UTF-8, is escaped.
        """
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")
        try:
            with _warnings_as_lines(ctx):
                return super().invoke(ctx)
        except (HypoPoseError, OSError) as error:
            raise CommandError(one_line(error, ctx.invoked_subcommand)) from error
        except KeyboardInterrupt:
            if ctx.invoked_subcommand not in CONTINUED:
                raise
            click.echo("Stopped; the same command continues the run.", err=True)
            raise click.exceptions.Exit(1) from None


def _checked(command: click.Command) -> click.Command:
    """The command, which refuses "not a number", as it passes every range, and repeated options."""
    if "make_parser" in vars(command):
        return command  # checked before
    for parameter in command.params:
        if isinstance(parameter.type, click.types.FloatParamType) and parameter.callback is None:
            parameter.callback = _number
    make_parser = command.make_parser

    def make_checking_parser(ctx: click.Context) -> Any:
        parser = make_parser(ctx)
        parse = parser.parse_args

        def parse_args(args: list[str]) -> tuple[dict[str, Any], list[str], list[click.Parameter]]:
            values, rest, order = parse(_with_sizes_apart(args))
            _refuse_repeated(order, ctx)
            return values, rest, order

        parser.parse_args = parse_args  # type: ignore[method-assign]
        return parser

    command.make_parser = make_checking_parser  # type: ignore[method-assign]
    for child in getattr(command, "commands", {}).values():
        _checked(child)
    return command


def _with_sizes_apart(args: list[str]) -> list[str]:
    """``--image-size 1280x720`` as ``--image-size 1280 720``, which click asks for.

    Example:
        >>> _with_sizes_apart(["a.json", "--image-size", "1280x720"])
        ['a.json', '--image-size', '1280', '720']
    """
    text = "\0".join(args)
    return re.sub(_SIZE, r"\1\0\2\0\3", text).split("\0") if args else args


def _refuse_repeated(order: list[click.Parameter], ctx: click.Context) -> None:
    """Refuse an option of one value that was given twice: click would take the last silently.

    Args:
        order: What was given, once for each time.
        ctx: Of the command.
    """
    for parameter, n in Counter(order).items():
        if n > 1 and isinstance(parameter, click.Option) and not parameter.is_flag:
            if parameter.multiple or parameter.count:
                continue
            name = max(parameter.opts, key=len)
            raise click.UsageError(f"{name} was given {n} times; give it once.", ctx)


def _number(ctx: click.Context, parameter: click.Parameter, value: Any) -> Any:
    """The value of an option; refused if it is, or holds, "not a number"."""
    values = value if isinstance(value, tuple) else (value,)
    if any(isinstance(v, float) and math.isnan(v) for v in values):
        raise click.BadParameter("nan is not a number; give one.", ctx, parameter)
    return value


@contextmanager
def _warnings_as_lines(ctx: click.Context) -> Iterator[None]:
    """Print what a command warned of, each once, as a line on standard error."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        try:
            yield
        finally:
            said = dict.fromkeys(" ".join(str(w.message).split()) for w in caught)
            for message in said:
                click.echo(f"Warning: {in_cli_words(message, ctx.invoked_subcommand)}", err=True)


def one_line(error: BaseException, command: str | None = None) -> str:
    r"""An error as one line: the system's names its file, ours are sentences already.

    Args:
        error: Any.
        command: Whose options the line names.

    Example:
        >>> one_line(ValueError("two\nlines"))
        'two lines'
    """
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}."
    return in_cli_words(" ".join(str(error).split()), command) or type(error).__name__


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="hypopose")
def main() -> None:
    """2D keypoints in, many plausible 3D motions out, with calibrated uncertainty.

    `hypopose COMMAND --help` lists the options of a command, with examples.
    """
