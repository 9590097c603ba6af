"""Check what a built wheel and source distribution contain, and print their sizes.

Usage: python .ci/check_distribution.py dist
"""

from __future__ import annotations

import sys
import tarfile
import zipfile
from pathlib import Path

MAX_WHEEL_MB = 25
MAX_SDIST_MB = 30
WHEEL_ROOTS = {"hypopose"}
NEEDED = (
    "hypopose/__init__.py",
    "hypopose/py.typed",
    "hypopose/weights/distributional-frame-small/config.json",
    "hypopose/weights/distributional-frame-small/model.safetensors",
    "hypopose/weights/distributional-frame-small/README.md",
)
NEVER = {"benchmarks", "tests", "fuzz", "docs", ".ci", ".github"}
CACHES = {"__pycache__", ".mypy_cache", ".pytest_cache"}


def faults(names: list[str], roots: set[str] | None) -> list[str]:
    """What is missing from, or should not be in, a distribution with these file names."""
    parts = {name: name.split("/") for name in names}
    found = [f"misses {name}" for name in NEEDED if name not in names]
    found += [f"contains {name}" for name in names if parts[name][0] in NEVER]
    found += [f"contains {name}" for name in names if CACHES & {*parts[name]}]
    if roots is not None:
        others = {parts[name][0] for name in names} - roots - NEVER
        found += [f"contains {name}" for name in sorted(others) if not name.endswith(".dist-info")]
    return found


def check(path: Path) -> list[str]:
    """Print the size of one distribution and return its faults."""
    megabytes = path.stat().st_size / 1e6
    wheel = path.suffix == ".whl"
    if wheel:
        names = [n for n in zipfile.ZipFile(path).namelist() if not n.endswith("/")]
    else:
        with tarfile.open(path) as archive:
            members = [m.name for m in archive.getmembers() if m.isfile()]
        names = [name.split("/", 1)[1] for name in members]
    print(f"{path.name}: {megabytes:.1f} MB, {len(names)} files")
    found = faults(names, WHEEL_ROOTS if wheel else None)
    limit = MAX_WHEEL_MB if wheel else MAX_SDIST_MB
    if megabytes > limit:
        found.append(f"is {megabytes:.1f} MB, more than {limit} MB")
    return [f"{path.name} {fault}" for fault in found]


def main(folder: Path) -> None:
    """Check the one wheel and the one source distribution of a folder."""
    wheels, sdists = list(folder.glob("*.whl")), list(folder.glob("*.tar.gz"))
    if len(wheels) != 1 or len(sdists) != 1:
        sys.exit(f"{folder} should hold one wheel and one .tar.gz; it holds {wheels + sdists}")
    found = check(wheels[0]) + check(sdists[0])
    if found:
        sys.exit("\n".join(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
