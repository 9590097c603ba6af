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
SLOW = Path(__file__).parent / "slow.txt"


def slow_tests() -> list[str]:
    """The test functions that tests/slow.txt lists."""
    lines = [line.partition("#")[0].strip() for line in SLOW.read_text().splitlines()]
    return [line for line in lines if line]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    listed = set(slow_tests())
    for item in items:
        if {item.nodeid, item.nodeid.partition("[")[0]} & listed:
            item.add_marker(pytest.mark.slow)


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
