"""Check that the poses of a folder project onto its keypoints, so that the files belong together.

Axes that point elsewhere, cameras in another order, poses from the pelvis and keypoints of another
recording all give errors that look like those of a bad method. A few frames of a few views are
projected; where half of the joints lie farther from their keypoints than :data:`TOO_FAR` of the
body's size in the image, the folder is refused. Views without a camera are not looked at.
"""

from __future__ import annotations

import torch

from hypopose.cameras import project
from hypopose.datasets.protocols.folder_checks import Checks
from hypopose.datasets.protocols.protocol_data import ProtocolData, ViewEntry
from hypopose.errors import SkeletonMismatchError
from hypopose.skeletons import convert

TOO_FAR = 0.4
"""Share of the diagonal of a body's frame in the image; detectors that err reach a tenth."""
N_VIEWS, N_FRAMES = 8, 10


def check_reprojection(checks: Checks, data: ProtocolData) -> ProtocolData:
    """Refuse poses that are seen elsewhere.

    Args:
        checks: Of the folder.
        data: What it holds.

    Returns:
        The same data.

    Raises:
        FormatError: If keypoints lie far from the projected poses in half of the views looked at.
    """
    n = min(N_VIEWS, len(data.entries))
    some = [data.entries[i * len(data.entries) // n] for i in range(n)]
    found = [(entry.name, off) for entry in some if (off := _off(data, entry)) is not None]
    bad = [(name, off) for name, off in found if off > TOO_FAR]
    if 2 * len(bad) > len(found):
        name, off = max(bad, key=lambda item: item[1])
        raise checks.error(
            f"the keypoints of {name} lie {100 * off:.0f} % of the body's size from its projected "
            "poses",
            "give poses and keypoints that belong together: frame, axes, and order of cameras",
        )
    return data


def _off(data: ProtocolData, entry: ViewEntry) -> float | None:
    """Median distance over the diagonal of the body's frame; None if it cannot be told."""
    view = data.load(entry)
    keypoints, root = view.keypoints, view.truth.root
    if keypoints is None or keypoints.camera is None or root is None:
        return None
    try:
        seen = convert(keypoints, data.source_skeleton).xy
    except SkeletonMismatchError:
        return None
    counted = entry.counted
    rows = torch.from_numpy(counted[:: max(1, len(counted) // N_FRAMES)].copy())
    placed = (view.truth.joints + root[:, None])[rows]
    shown = project(placed.float(), keypoints.camera)
    known = shown.isfinite()
    low = torch.where(known, shown, torch.inf).amin(-2)
    high = torch.where(known, shown, -torch.inf).amax(-2)
    size = (high - low).norm(dim=-1)
    off = (shown - seen[rows]).norm(dim=-1) / size[:, None]
    told = off[off.isfinite()]
    return float(told.median()) if len(told) else None
