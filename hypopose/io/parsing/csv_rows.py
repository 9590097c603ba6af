"""Rows of comma-separated text, one at a time, however large the file.

Comments at the top, ``# name: value``, are kept. The separator is a comma, semicolon or tab,
whichever the first row has most of.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence

import numpy as np

from hypopose.io.source import Source

MAX_LINE_BYTES = 2**20
MAX_CSV_BYTES = 2 * 2**30
MAX_COMMENTS = 100
MAX_COLUMNS = 100_000
MISSING = ("", "na", "n/a", "nan", "null", "none", "-")
"""What programs write into cells without a number."""
_FORMULA = ("=", "+", "-", "@")
"""What spreadsheets take for the beginning of a formula."""


def comments(source: Source) -> dict[str, str]:
    """What the comments at the top of a file say: ``# name: value``."""
    found: dict[str, str] = {}
    for line in source.opening:
        if not line.startswith("#"):
            break
        name, colon, value = line.lstrip("# ").partition(":")
        if colon:
            found[name.strip().lower()] = value.strip()
    return found


def first_rows(source: Source, n: int = 5) -> list[list[str]]:
    """The first rows, for finding out the format; empty if it is no such text."""
    lines = [line for line in source.opening if not line.startswith("#")][:n]
    if not lines or max(line.count(_separator(lines[0])) for line in lines) > MAX_COLUMNS:
        return []
    try:
        return list(csv.reader(lines, delimiter=_separator(lines[0])))
    except csv.Error:
        return []


def rows(source: Source) -> Iterator[tuple[int, list[str]]]:
    """All rows with the number of the line they end in; empty lines are left out.

    Raises:
        FormatError: If the file is too large, no UTF-8, or not in rows.
    """
    size = source.path.stat().st_size
    if size > MAX_CSV_BYTES:
        raise source.error(f"{size / 2**30:.1f} GiB of text", "save it as Parquet")
    first = next((line for line in source.opening if not line.startswith("#")), "")
    reader = csv.reader(_lines(source), delimiter=_separator(first))
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            place = f"line {reader.line_num}"
            raise source.error(f"not in rows ({error})", "write it again", place) from None
        if row is None:
            return
        if row:
            yield reader.line_num, row


def number(source: Source, text: str, place: str) -> float:
    """A cell as a number; empty, or one of :data:`MISSING`, is NaN.

    Raises:
        FormatError: If it is none.
    """
    text = text.strip()
    if text.lower() in MISSING:
        return float("nan")
    try:
        return float(text)
    except ValueError:
        if _decimal_comma(source, text):
            return float(text.replace(",", "."))
        cure = "remove the line if it holds units" if place == "line 2" else "write it again"
        raise source.error(f"expected a number, got {text[:40]!r}", cure, place) from None


def _decimal_comma(source: Source, text: str) -> bool:
    """Whether a cell is a number with a comma, in a table whose separator is none."""
    first = next((line for line in source.opening if not line.startswith("#")), "")
    return _separator(first) != "," and bool(re.fullmatch(r"[-+]?\d{1,12},\d{1,20}", text))


def find_column(names: Sequence[str], aliases: Sequence[str]) -> int | None:
    """The column that is called by the first of these names that is there."""
    return next((names.index(alias) for alias in aliases if alias in names), None)


def as_cell(text: str) -> str:
    """A name as a cell that no spreadsheet takes for a formula; :func:`from_cell` undoes it.

    Example:
        >>> as_cell("=1+1"), as_cell("ann")
        ("'=1+1", 'ann')
    """
    return f"'{text}" if text.lstrip("'")[:1] in _FORMULA else text


def from_cell(text: str) -> str:
    """The name that :func:`as_cell` wrote.

    Example:
        >>> from_cell("'=1+1"), from_cell("'ann")
        ('=1+1', "'ann")
    """
    guarded = text.startswith("'") and text.lstrip("'")[:1] in _FORMULA
    return text[1:] if guarded else text


def check_width(source: Source, row: list[str], width: int, line: int) -> None:
    """Refuse a row with another number of cells than the header.

    Raises:
        FormatError: If the numbers differ.
    """
    if len(row) != width:
        raise source.error(
            f"{len(row)} cells, but {width} columns", "the file may be cut off", f"line {line}"
        )


def as_frame(source: Source, value: float, place: str) -> int:
    """A frame number.

    Raises:
        FormatError: If it is no whole number from 0.
    """
    if not 0 <= value < 2**53 or value != np.floor(value):
        raise source.error(f"expected a frame number from 0, got {value:g}", "number the frames",
                           place)  # fmt: skip
    return int(value)


def _separator(line: str) -> str:
    return max(",;\t", key=line.count)


def _lines(source: Source) -> Iterator[str]:
    """Lines after the comments, which become empty so that line numbers stay right."""
    top = True
    with source.path.open("rb") as file:
        number = 0
        while raw := file.readline(MAX_LINE_BYTES + 1):
            number += 1
            if len(raw) > MAX_LINE_BYTES:
                raise source.error(
                    f"longer than {MAX_LINE_BYTES} bytes", "write one row per line",
                    f"line {number}",
                )  # fmt: skip
            try:
                text = raw.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError:
                raise source.error(
                    "text is not UTF-8", "save it as UTF-8", f"line {number}"
                ) from None
            top = top and (text.startswith("#") or not text.strip())
            yield "\n" if top and number <= MAX_COMMENTS else text
