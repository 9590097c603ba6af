"""``--log FILE``: a line per input, as text or as JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from hypopose.cli.summary import SummaryRow


@dataclass(frozen=True)
class Log:
    """Notes what became of each input.

    Args:
        file: Its path; None for no log.
        as_json: Whether each line is a JSON object.
    """

    file: IO[str] | None = None
    as_json: bool = False

    def note(self, source: Path, rows: Sequence[SummaryRow]) -> None:
        """Write the line of an input, at once.

        Args:
            source: The input.
            rows: One per person, or one that says why it failed.
        """
        if self.file is None:
            return
        entry = _entry(source, rows)
        line = json.dumps(entry, ensure_ascii=True) if self.as_json else _text(entry)
        self.file.write(f"{line}\n")
        self.file.flush()


@contextmanager
def open_log(path: Path | None, *, as_json: bool) -> Iterator[Log]:
    """A log that adds to a file, or that writes nothing without one.

    Args:
        path: The file, or None.
        as_json: Whether each line is a JSON object.
    """
    if path is None:
        yield Log()
        return
    with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
        yield Log(file, as_json)


def _entry(source: Path, rows: Sequence[SummaryRow]) -> dict[str, Any]:
    error = next((row.error for row in rows if row.error), None)
    kept = all(row.kept for row in rows)
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "input": str(source),
        "state": "failed" if error else "kept" if kept else "done",
        "people": 0 if error else len(rows),
        "frames": sum(row.n_frames for row in rows),
        "seconds": {k: round(v, 4) for k, v in rows[0].seconds.items()} if rows else {},
        "results": [row.written for row in rows if row.written],
        "error": error,
    }


def _text(entry: dict[str, Any]) -> str:
    seconds = ", ".join(f"{stage} {s:.2f} s" for stage, s in entry["seconds"].items())
    what = entry["error"] or f"{entry['people']} people, {entry['frames']} frames, {seconds}"
    return f"{entry['time']} {entry['state']} {entry['input']}: {what}"
