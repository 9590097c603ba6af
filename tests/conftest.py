"""What every test may use."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import pytest
import torch

mpl.use("Agg")
torch.set_num_threads(1)

SHARED = Path(__file__).parents[2] / "shared"


@pytest.fixture
def shared() -> Path:
    """The folder of licensed and uncommitted files; the test skips, visibly, where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"licensed data is not at {SHARED}")
    return SHARED


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--golden-dir", type=Path, help="Folder of recorded cases, <system>/<case>/.")
