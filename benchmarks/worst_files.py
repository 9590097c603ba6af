"""Seconds and memory of files of 1 MB that are made to be slow, as a table.

    python benchmarks/worst_files.py -o worst-files.md

Reads the texts of tests/io/untrusted/test_worst_cases.py, each in a process of its own: a copy of
one that has imported everything and read a small file of the kind.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "io" / "untrusted"))

from test_worst_cases import CASES, MEGABYTE, READERS, seconds


def measured(read: Callable[[Path], object], path: Path) -> tuple[float, int]:
    """Processor seconds and MB at most of one reading; infinite seconds if it ended otherwise."""
    child = os.fork()
    if child == 0:
        seconds(read, path)
        os._exit(0)
    _, status, usage = os.wait4(child, 0)
    taken = usage.ru_utime + usage.ru_stime
    return (taken if status == 0 else float("inf")), usage.ru_maxrss // 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--only", nargs="*", help="beginnings of names")
    parser.add_argument("--megabytes", type=float, default=1.0)
    args = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for kind, name in CASES:
            if args.only and not name.startswith(tuple(args.only)):
                continue
            cases, read = READERS[kind]
            file, text = cases[name]
            path = Path(scratch) / file
            path.write_bytes(text(2**12).encode("latin-1"))
            seconds(read, path)
            path.write_bytes(text(int(args.megabytes * MEGABYTE)).encode("latin-1"))
            taken, memory = measured(read, path)
            path.unlink()
            rows.append((taken, memory, kind, name))
            print(f"{kind}: {name}: {taken:.2f} s, {memory} MB", flush=True)
    lines = ["| reader | text | s | MB |", "| --- | --- | --- | --- |"]
    lines += [f"| {k} | {n} | {t:.1f} | {m} |" for t, m, k, n in sorted(rows, reverse=True)]
    if args.output is not None:
        args.output.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
