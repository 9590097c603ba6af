"""What ``hypopose detect`` and ``sample`` print for broken and odd videos, as a table.

    python benchmarks/bad_videos.py -o bad-videos.md

Makes the videos of tests/bad_footage.py from a rendered walk, gives each to both commands in a
process of its own, and writes what was printed, the exit code, seconds of processor time and peak
memory. Processes are copies of one that has imported everything, which takes 2 to 3 s more.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from bad_footage import COLORLESS, READ, REFUSED, Frames
from rendered_body import walk


def load() -> None:
    """Import what commands import, once for all of them."""
    import av
    import mediapipe

    import hypopose.video.decoding
    import hypopose.video.pictures

    hypopose.sample(hypopose.datasets.example_pair(9)[0], n_hypotheses=2)
    assert av
    assert mediapipe


def run(command: str, source: Path, output: Path) -> tuple[int, list[str], float, int]:
    """Exit code, lines, processor seconds and peak MB of one command in a process of its own."""
    from hypopose.cli import main as hypopose_main

    with tempfile.TemporaryFile("w+") as said:
        child = os.fork()
        if child == 0:
            for stream in (1, 2):
                os.dup2(said.fileno(), stream)
            sys.argv = ["hypopose", command, str(source), "-o", str(output)]
            code = 70
            try:
                hypopose_main()
                code = 0
            except SystemExit as end:
                code = int(end.code or 0)
            except BaseException:
                traceback.print_exc()
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        _, status, usage = os.wait4(child, 0)
        said.seek(0)
        lines = [line.rstrip() for line in said if line.strip()]
    exit_code = os.waitstatus_to_exitcode(status)
    seconds = usage.ru_utime + usage.ru_stime
    return exit_code, lines, seconds, usage.ru_maxrss // 1024


def frames_for(name: str, frames: Frames) -> Frames:
    """What is cut off or scratched is made of all frames, others of one second."""
    long = any(word in name for word in ("half", "nearly", "scratched"))
    return frames if long else frames[:25]


def told(lines: Sequence[str], folder: Path) -> str:
    """Lines of a command without what every run prints."""
    usual = ("Note: detector ", "Note: mediapipe sees", "W0000", "I0000", "INFO:",
             "WARNING: All log", "Wrote ")  # fmt: skip
    kept = [line.replace(f"{folder}/", "") for line in lines]
    return "<br>".join(k for k in kept if not k.startswith(usual)) or "(nothing)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--only", nargs="*", help="names of files")
    parser.add_argument("--command", choices=("detect", "sample"), nargs="*",
                        default=("detect", "sample"))  # fmt: skip
    parser.add_argument("--keep", type=Path, help="folder for the videos")
    parser.add_argument("--all-lines", action="store_true")
    args = parser.parse_args()
    frames, *_ = walk(60, 480)
    load()
    rows = ["| file | command | exit | s | MB | printed |", "| --- | --- | --- | --- | --- | --- |"]
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.keep or Path(scratch)
        folder.mkdir(exist_ok=True)
        for name, make, _ in (*REFUSED, *READ, COLORLESS):
            if args.only and name not in args.only:
                continue
            source = make(folder / name, frames_for(name, frames))
            for command in args.command:
                out = (
                    Path(scratch) / f"{name}.out" / {"detect": "o.json", "sample": "o.npz"}[command]
                )
                out.parent.mkdir(exist_ok=True)
                code, lines, seconds, memory = run(command, source, out)
                text = "<br>".join(lines) if args.all_lines else told(lines, folder)
                text = text.replace("|", "/").replace(str(scratch), "")
                rows.append(f"| {name} | {command} | {code} | {seconds:.1f} | {memory} | {text} |")
                print(rows[-1], flush=True)
    if args.output is not None:
        args.output.write_text("\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
