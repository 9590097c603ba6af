"""The recordings themselves: each file is stored once, and each case finds its weights."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

HERE = Path(__file__).parent
CASES = sorted(path.parent for path in HERE.glob("*/*/meta.json"))


def test_no_bytes_are_stored_twice() -> None:
    names: dict[str, list[str]] = {}
    for path in sorted(HERE.rglob("*.safetensors")):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        names.setdefault(digest, []).append(str(path.relative_to(HERE)))
    assert not [same for same in names.values() if len(same) > 1]


def test_borrowed_weights_exist() -> None:
    for case in CASES:
        holder = json.loads((case / "meta.json").read_text()).get("weights_from")
        if holder is not None:
            assert (HERE / holder / "weights.safetensors").is_file(), case
            assert not (case / "weights.safetensors").exists(), case
