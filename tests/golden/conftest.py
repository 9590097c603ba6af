"""Recorded cases: ``golden("d3dp/denoiser")`` finds one, or skips saying where it looked."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from torch import Tensor

collect_ignore_glob = ["*/*/record.py"]  # scripts that made recordings, not tests
HERE = Path(__file__).parent
SHARED = HERE.parents[2] / "shared" / "golden"


@dataclass(frozen=True)
class Case:
    """One recorded case: sizes and options come from ``meta``, never from the test.

    Cases of one system that share their weights store them once: ``meta["weights_from"]`` names
    the case of the same folder of recordings, such as ``platypose/prior``, that holds the file.
    """

    path: Path

    @property
    def meta(self) -> dict[str, Any]:
        meta: dict[str, Any] = json.loads((self.path / "meta.json").read_text())
        return meta

    @property
    def io(self) -> dict[str, Tensor]:
        return load_file(self.path / "io.safetensors")

    @property
    def weights(self) -> dict[str, Tensor]:
        holder = self.path
        if not (holder / "weights.safetensors").is_file():
            holder = self.path.parents[1] / self.meta["weights_from"]
        return load_file(holder / "weights.safetensors")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str], Case]:
    """Find a case in ``--golden-dir`` if given, else beside the tests, else in ../shared."""
    given = request.config.getoption("--golden-dir")
    places = [given] if given else [HERE, SHARED]

    def find(name: str) -> Case:
        for place in places:
            if (place / name / "meta.json").is_file():
                return Case(place / name)
        looked = " and ".join(str(place) for place in places)
        pytest.skip(f"recorded case {name} is not in {looked}")

    return find
