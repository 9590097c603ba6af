"""Files that are there already: kept, unless the user says ``--force``."""

from __future__ import annotations

from pathlib import Path

import click

from hypopose.errors import OptionError

force_option = click.option(
    "--force", is_flag=True, help="Replace what exists; without it, nothing that exists is touched."
)


def refuse_existing(*paths: Path | None, force: bool) -> None:
    """Stop before the work starts if a file of that name would be replaced.

    Args:
        *paths: Files, or folders that will be filled; an empty folder is free, None is no file.
        force: True to let them be replaced.

    Raises:
        OptionError: If one of them is there.

    Example:
        >>> refuse_existing(Path("no/such/file.npz"), None, force=False)
    """
    for path in paths:
        if path is None or force or not _taken(path):
            continue
        what = "is a folder with files in it" if path.is_dir() else "exists already"
        raise OptionError(f"{path} {what}; give another name, or --force to replace it.")


def _taken(path: Path) -> bool:
    return any(path.iterdir()) if path.is_dir() else path.exists() or path.is_symlink()
