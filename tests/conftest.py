"""What every test may use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import jaxtyping
import matplotlib as mpl
import pytest
import torch

mpl.use("Agg")
torch.set_num_threads(1)

SHARED = Path(__file__).parents[2] / "shared"
HERE = Path(__file__).parent


def listed_tests(marker: str) -> set[str]:
    """What tests/slow.txt or tests/thorough.txt lists: functions, or one of their parameters."""
    lines = (HERE / f"{marker}.txt").read_text().splitlines()
    return {line.partition("#")[0].strip() for line in lines} - {""}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    slow, thorough = listed_tests("slow"), listed_tests("thorough")
    begun: set[str] = set()
    for item in items:
        function, _, parameters = item.nodeid.partition("[")
        if {item.nodeid, function} & slow:
            item.add_marker(pytest.mark.slow)
        # The first parameters of a function stay in the README's command.
        first = bool(parameters) and function not in begun
        if item.nodeid in thorough or (function in thorough and not first):
            item.add_marker(pytest.mark.thorough)
        begun.add(function)


@pytest.fixture
def shared() -> Path:
    """The folder of licensed and uncommitted files; the test skips, visibly, where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"licensed data is not at {SHARED}")
    return SHARED


@pytest.fixture
def onnx_extra() -> Iterator[None]:
    """The packages of the onnx extra; the test skips, visibly, where one is absent.

    Sizes of a traced graph are symbols, which run-time checks take for no integers: they are off.
    """
    for package in ("onnx", "onnxruntime", "onnxscript"):
        pytest.importorskip(package, reason="needs pip install 'hypopose[onnx]'")
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--golden-dir", type=Path, help="Folder of recorded cases, <system>/<case>/.")
