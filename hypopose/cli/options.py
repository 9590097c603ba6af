"""Options that several commands share: one spelling, one help text, one order.

``@shared("sampler", "weights", "seed")`` gives a command these options in the order of the table
here, whatever order they are named in. Options that were renamed keep working for one release:
``@click.command(cls=renamed({"--method": "--aggregate"}))``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

Declared = tuple[tuple[str, ...], dict[str, Any]]


def pixels(value: str) -> int:
    """A whole number of pixels; an image size is two of them.

    Raises:
        click.BadParameter: If it is none, in words that show how a size is written.
    """
    try:
        return int(value)
    except ValueError:
        raise click.BadParameter(
            f"{value!r} is not a whole number of pixels; write --image-size 1920 1080."
        ) from None


def warn_of_former(former: str, now: str) -> None:
    """One line on standard error: the former name works for one release more."""
    click.echo(f"Warning: {former} is now {now}; the former name goes with 0.2.", err=True)


def _calibrator(ctx: click.Context, option: click.Parameter, value: str | None) -> str | None:
    if value != "box":
        return value
    warn_of_former("--calibrator box", "--calibrator bundled")
    return "bundled"


OPTIONS: dict[str, Declared] = {
    # what is written
    "output": (
        ("-o", "--output"),
        {"required": True, "type": click.Path(path_type=Path), "help": "File to write."},
    ),
    # what is read
    "person": (("--person",), {"help": "Only this person; default: everybody."}),
    "skeleton": (
        ("--skeleton",),
        {"help": "Skeleton of the keypoints, if the file states none: a name or a TOML file."},
    ),
    "input_format": (
        ("--input-format",),
        {"help": "Read the keypoints as this format instead of detecting it."},
    ),
    "image_size": (
        ("--image-size",),
        {"type": (pixels, pixels), "metavar": "W H", "help": "Image size in pixels, also as WxH."},
    ),
    "fps": (
        ("--fps",),
        {"type": float, "help": "Frames per second, if the file states none."},
    ),
    # how an unusual file is read
    "y_up": (("--y-up",), {"is_flag": True, "help": "y grows upwards, as Apple Vision writes it."}),
    "fractions": (
        ("--fractions",),
        {"is_flag": True, "help": "Coordinates are fractions of the image; give --image-size."},
    ),
    "resample": (
        ("--resample",),
        {"type": float, "metavar": "HZ", "help": "Bring irregular time stamps to this rate."},
    ),
    "ignore_identities": (
        ("--ignore-identities",),
        {"is_flag": True, "help": "Track people by position, whatever identities the file gives."},
    ),
    "keep_identities": (
        ("--keep-identities",),
        {"is_flag": True, "help": "Keep identities even if they cannot be one person each."},
    ),
    "min_joints": (
        ("--min-joints",),
        {
            "type": click.IntRange(0, 12),
            "metavar": "N",
            "help": "Leave out people who never have N of 12 body joints; default: 4.",
        },
    ),
    # how hypotheses are drawn
    "sampler": (
        ("--sampler",),
        {
            "help": "distributional, d3dp, boneflips, diffpose, platypose, ..., or your own: "
            "package.module:Class or ./file.py:Class. Default: the one the weights were trained "
            "for.",
        },
    ),
    "weights": (("--weights",), {"help": "Bundled weights by name, or a folder of weights."}),
    "n_hypotheses": (
        ("--n-hypotheses",),
        {"default": 20, "show_default": True, "help": "3D motions to draw."},
    ),
    "n_steps": (
        ("--n-steps",),
        {"type": int, "help": "Network evaluations per draw; default: what the weights recommend."},
    ),
    "settings": (
        ("--set", "settings"),
        {
            "multiple": True,
            "metavar": "NAME=VALUE",
            "help": "Any other option of the sampler: --set flip=false --set precision=bfloat16.",
        },
    ),
    "seed": (
        ("--seed",),
        {"default": 0, "show_default": True, "help": "Same seed, same hypotheses."},
    ),
    "device": (
        ("--device",),
        {"default": "cpu", "show_default": True, "help": "cpu, cuda or cuda:1."},
    ),
    # what is made of them
    "aggregate": (
        ("--aggregate",),
        {
            "help": "How hypotheses become one motion: mean, median, medoid, jpma, ppma, "
            "silhouette (needs --mask), or your own: package.module:function or "
            "./file.py:function. Default: mean; with --mask silhouette, refined mean.",
        },
    ),
    "masks": (
        ("--mask", "masks"),
        {
            "type": click.Path(path_type=Path),
            "metavar": "MASKS",
            "help": "Masks of the people: a folder of PNG files, COCO's run lengths (JSON), or "
            "npz. See docs/how-to/masks.md.",
        },
    ),
    "mask_values": (
        ("--mask-values",),
        {
            "type": click.Choice(["person", "people", "parts"]),
            "help": "What numbers in masks mean: all but 0 one person, a number each (255 "
            "unknown), or Graphonomy's 20 classes.",
        },
    ),
    "mask_start": (
        ("--mask-start",),
        {
            "type": click.IntRange(0),
            "metavar": "N",
            "help": "Number of the mask of the first frame; default: 0, else the lowest there is.",
        },
    ),
    "calibrator": (
        ("--calibrator",),
        {
            "callback": _calibrator,
            "help": "Recalibrate the hypotheses with this calibrator file, or 'bundled' for the "
            "one shipped with the weights.",
        },
    ),
}
"""Name of the parameter -> how it is declared; the order is that of every command's help."""


MASKS = ("masks", "mask_values", "mask_start")
"""The options about masks."""


def masks_given(options: Mapping[str, Any], rotate: int | None = None) -> Any:
    """The masks that the command line names, opened; None for none.

    Args:
        options: Of the command.
        rotate: Degrees clockwise that the picture is turned by.

    Raises:
        FormatError: If they cannot be read.
        OptionError: If there are options about masks, but no masks.
    """
    from hypopose.errors import OptionError
    from hypopose.io import load_masks

    given = {name: options[name] for name in MASKS[1:] if options[name] is not None}
    if options["masks"] is None:
        if given:
            raise OptionError(
                "--mask-values and --mask-start say how to read --mask; give it, too."
            )
        return None
    return load_masks(options["masks"], rotate=rotate, **given)


READING = (
    "y_up", "fractions", "resample", "ignore_identities", "keep_identities", "min_joints",
)  # fmt: skip
"""The options of :class:`hypopose.io.format.Reading`."""


def reading_given(options: Mapping[str, Any]) -> dict[str, Any]:
    """How an unusual file is read, as far as the command line says."""
    given = {name: options.get(name) for name in READING}
    return {name: v for name, v in given.items() if v is not None and v is not False}


def shared(*names: str, **changes: Mapping[str, Any]) -> Callable[[Decorated], Decorated]:
    """Give a command options of the table.

    Args:
        *names: Which.
        **changes: What differs for this command by name, for example ``output={"help": "..."}``.

    Returns:
        A decorator.
    """

    def decorate(command: Decorated) -> Decorated:
        for name in reversed(OPTIONS):
            if name in names or name in changes:
                words, declared = OPTIONS[name]
                command = click.option(*words, **{**declared, **changes.get(name, {})})(command)
        return command

    return decorate


def renamed(words: Mapping[str, str]) -> type[click.Command]:
    """A class of commands that still take options by their former names, with a warning.

    Args:
        words: Former name -> name, each with its dashes.

    Returns:
        The class, for ``@click.command(cls=...)``.
    """

    class Command(click.Command):
        def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
            return super().parse_args(ctx, [_now(word, words) for word in args])

    return Command


def _now(word: str, words: Mapping[str, str]) -> str:
    name, equals, value = word.partition("=")
    if name not in words:
        return word
    warn_of_former(name, words[name])
    return f"{words[name]}{equals}{value}"
