"""The ``hypopose`` command: one file per subcommand, loaded when it is called.

A subcommand lives in ``hypopose/cli/<name>.py`` as a click command called ``<name>``; this file
only lists the names with a line of help, so that ``hypopose --help`` does not import torch.

Exit codes: 0 when all went well, 1 when some inputs of several failed (the others are written),
2 when nothing could be done. Our own errors are one line on standard error.
"""

from __future__ import annotations

import importlib
import io
import sys
from typing import Any

import click

from hypopose import __version__
from hypopose.errors import HypoPoseError

COMMANDS = {
    "sample": "Draw 3D hypotheses for 2D keypoint files.",
    "detect": "Find 2D keypoints in a video, pictures or a camera's stream.",
    "refine": "Move the hypotheses of a result file until they reproject.",
    "complete": "Fill in missing 2D keypoints, or joints of a 3D motion.",
    "aggregate": "Make one motion of the hypotheses in a result file.",
    "export": "Write a result as C3D, TRC, BVH, glTF, tables or NetCDF, or a network as ONNX.",
    "evaluate": "Measure a sampler or a result against known 3D motion.",
    "calibrate": "Judge hypotheses against the truth, and fit what mends their spread.",
    "report": "Show methods side by side: calibration, ambiguity, a 3D panel.",
    "info": "Say what is in a keypoint or result file.",
    "convert-keypoints": "Convert keypoints to another format and skeleton.",
    "tracks": "Show who is who in a keypoint file, and mend it.",
    "convert": "Turn an official checkpoint into a folder of weights.",
    "train": "Train a network on motion data.",
    "data": "Make motion capture of your own ready to train on.",
}


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
        name = cmd_name.replace("-", "_")
        module = importlib.import_module(f"hypopose.cli.{name}")
        command: click.Command = getattr(module, name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; our errors and the system's become one line and exit code 2.

        What a terminal cannot show, such as names of files that are no UTF-8, is escaped.
        """
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")
        try:
            return super().invoke(ctx)
        except HypoPoseError as error:
            raise CommandError(one_line(error)) from error
        except OSError as error:
            raise CommandError(one_line(error)) from error


def one_line(error: BaseException) -> str:
    r"""An error as one line: the system's name its file, ours are sentences already.

    Example:
        >>> one_line(ValueError("two\nlines"))
        'two lines'
    """
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}."
    return " ".join(str(error).split()) or type(error).__name__


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="hypopose")
def main() -> None:
    """2D keypoints in, many plausible 3D motions out, with their uncertainty."""
