"""Files by URL (``s3://``, ``gs://``, ``https://``, ``memory://``), through fsspec.

Readers and writers work on local files: a remote file is fetched first, and stored when it is
complete. fsspec comes with torch; some stores need a further package, see :func:`file_system`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hypopose.errors import BackendError, FormatError

MAX_BYTES = 20_000_000_000
"""A larger file is not fetched."""

_URL = re.compile(r"([a-z][a-z0-9+.-]+):/+(?=.)", re.IGNORECASE)


def url_of(path: str | Path) -> str | None:
    """The URL that a path stands for, or None for a local path.

    ``Path`` makes one slash of two; a folder that is there keeps its name.

    Example:
        >>> url_of(Path("s3://bucket/walk.json")), url_of("walk.json"), url_of("camera:0")
        ('s3://bucket/walk.json', None, None)
    """
    text = str(path)
    match = _URL.match(text)
    if match is None or Path(text.split("/", maxsplit=1)[0]).exists():
        return None
    from fsspec.core import available_protocols

    scheme = match[1].lower()
    return f"{scheme}://{text[match.end() :]}" if scheme in available_protocols() else None


def is_remote(path: str | Path) -> bool:
    """Whether a path is a URL.

    Example:
        >>> is_remote("https://example.org/walk.json")
        True
    """
    return url_of(path) is not None


def file_system(url: str) -> Any:
    """The fsspec file system of a URL.

    Raises:
        BackendError: If its package is not installed, or it cannot be reached.
    """
    import fsspec

    try:
        return fsspec.core.url_to_fs(url)[0]
    except ImportError as error:
        raise BackendError(
            f"{url}: {str(error).splitlines()[0]}: pip install 'hypopose[cloud]', or the package "
            "of that store."
        ) from None
    except (ValueError, OSError) as error:
        raise BackendError(f"{url}: {error}; check the URL.") from None


def files_below(url: str) -> list[str]:
    """URLs of all files in a folder and its folders, in order; a file is itself.

    Raises:
        FormatError: If there is nothing of that name.
    """
    system = file_system(url)
    with _explained(url):
        if system.isfile(url):
            return [url]
        found = sorted(str(system.unstrip_protocol(name)) for name in system.find(url))
    if not found:
        raise FormatError(f"{url}: there is no such file or folder; check the URL.")
    return found


def names_beginning(folder: str, start: str) -> list[str]:
    """Names of files in a folder that begin so; none where the folder is not there.

    Args:
        folder: URL of a folder.
        start: Of the names.
    """
    system = file_system(folder)
    with _explained(folder):
        if not system.isdir(folder):
            return []
        names = (str(name).rstrip("/").rsplit("/", 1)[-1] for name in system.ls(folder, False))
        return sorted(name for name in names if name.startswith(start))


def exists(path: str | Path) -> bool:
    """Whether a file is there, local or by URL."""
    url = url_of(path)
    if url is None:
        return Path(path).exists()
    with _explained(url):
        return bool(file_system(url).exists(url))


def fetch(url: str, target: Path) -> Path:
    """Copy a file, or a folder of files, here.

    Args:
        url: Which.
        target: Its new local path.

    Returns:
        The target.

    Raises:
        FormatError: If it is not there, or too large.
    """
    system = file_system(url)
    with _explained(url):
        is_file = bool(system.isfile(url))
        size = system.info(url).get("size") or 0 if is_file else system.du(url)
        if size > MAX_BYTES:
            raise FormatError(f"{url}: {size} bytes are more than {MAX_BYTES}; fetch it yourself.")
        if is_file:
            system.get_file(url, str(target))
        else:
            system.get(url.rstrip("/") + "/", f"{target}/", recursive=True)
    return target


def store(path: Path, url: str) -> None:
    """Copy a local file to a URL, whole or not at all where the store can do that.

    Raises:
        FormatError: If the store refuses it.
    """
    system = file_system(url)
    with _explained(url):
        system.makedirs(url.rsplit("/", 1)[0], exist_ok=True)
        system.put_file(str(path), url)


@contextmanager
def _explained(url: str) -> Iterator[None]:
    """Whatever a store raises, as one line that names the URL."""
    try:
        yield
    except (FormatError, BackendError):
        raise
    except FileNotFoundError:
        raise FormatError(f"{url}: there is no such file or folder; check the URL.") from None
    except NotImplementedError:
        raise FormatError(f"{url}: this store cannot be written to; name another -o.") from None
    except Exception as error:  # every store has errors of its own
        line = (str(error) or type(error).__name__).splitlines()[0][:200]
        raise FormatError(f"{url}: {line}; check the URL and your rights there.") from None
