"""Motion shards: clips of 17 joints in world coordinates (meters, z up) at 50 Hz.

The format is one npz a shard, without pickled objects: ``joints`` int16 (N, 17, 3) with ``scale``
(meters a step), ``fps``, and one entry per clip in ``start``, ``length``, ``name``, ``subject``,
``action``, ``license`` and ``split``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from hypopose.errors import FormatError, OptionError
from hypopose.simulation.motion import Motion

SPLITS = ("train", "val", "test")


def load_motion(paths: str | Path | Sequence[str | Path], split: str = "train") -> Motion:
    """Read one split of one or several motion shards.

    Args:
        paths: Shard files.
        split: ``"train"``, ``"val"`` or ``"test"``.

    Returns:
        The clips of that split, in the order of the files.

    Raises:
        FormatError: If a file is absent or no motion shard.
        OptionError: If the split is unknown or empty.
    """
    if split not in SPLITS:
        raise OptionError(f"Unknown split {split!r}; choose one of {', '.join(SPLITS)}.")
    files = [Path(p) for p in ([paths] if isinstance(paths, str | Path) else paths)]
    joints: list[np.ndarray] = []
    lengths: list[int] = []
    labels: list[tuple[str, str, str]] = []
    fps = set()
    for file in files:
        shard = _read(file)
        fps.add(float(shard["fps"]))
        for i in np.flatnonzero(shard["split"] == split):
            first, n = int(shard["start"][i]), int(shard["length"][i])
            joints.append(
                shard["joints"][first : first + n].astype(np.float32) * float(shard["scale"])
            )
            lengths.append(n)
            labels.append((str(shard["name"][i]), str(shard["action"][i]), file.stem))
    if not joints:
        raise OptionError(
            f"No {split!r} clip in {', '.join(f.name for f in files)}; name more shards."
        )
    if len(fps) > 1:
        raise FormatError(f"Shards differ in frame rate ({sorted(fps)}); resample them first.")
    length = torch.tensor(lengths)
    names, actions, shards = zip(*labels, strict=True)
    return Motion(
        torch.from_numpy(np.concatenate(joints)),
        length.cumsum(0) - length,
        length,
        fps.pop(),
        names,
        actions,
        shards,
    )


def _read(file: Path) -> dict[str, np.ndarray]:
    needed = ("joints", "scale", "fps", "start", "length", "name", "action", "split")
    try:
        with np.load(file, allow_pickle=False) as archive:
            return {key: archive[key] for key in needed}
    except (OSError, ValueError, KeyError) as error:
        raise FormatError(
            f"{file} is not a motion shard (npz with {', '.join(needed)}): {error}"
        ) from error
