"""Existing files are kept unless ``--force`` is given; inputs are never overwritten."""

from __future__ import annotations

from pathlib import Path

import click

from hypopose.errors import OptionError

force_option = click.option(
    "--force", is_flag=True, help="Replace existing files; without it they are left untouched."
)


def refuse_existing(*paths: Path | None, force: bool) -> None:
    """Stop before the work starts if a file of that name would be replaced.

    Args:
        *paths: Files, or folders that will be filled; an empty folder is free, None is no file.
        force: True to let them be replaced.

    Raises:
        OptionError: If one of them exists.

    Example:
        >>> refuse_existing(Path("no/such/file.npz"), None, force=False)
    """
    for path in paths:
        if path is None or force or not _taken(path):
            continue
        what = "is a folder with files in it" if path.is_dir() else "exists already"
        raise OptionError(f"{path} {what}; give another name, or --force to replace it.")


def refuse_overwriting(source: Path, *outputs: Path) -> None:
    """Stop if an input would be replaced by what is made of it, ``--force`` or not.

    Args:
        source: The input.
        *outputs: Files that will be written.

    Raises:
        OptionError: If the input is one of them.

    Example:
        >>> refuse_overwriting(Path("walk.json"), Path("walk.npz"))
    """
    for output in outputs:
        if source.resolve() == output.resolve():
            raise OptionError(f"{source} would be replaced by its own result; give another -o.")


def _taken(path: Path) -> bool:
    return any(path.iterdir()) if path.is_dir() else path.exists() or path.is_symlink()
