"""BVH: a hierarchy of constant bones and its rotations, for animation programs.

One file a motion, centimeters and y up by default (BVH has no place to say so). The root
has three places and three rotations, every other joint ``Zrotation Xrotation Yrotation`` in
degrees, applied as ``R = Rz Rx Ry``. How places become rotations: :mod:`hypopose.io.writers.rig`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hypopose.io.atomic import write_atomically
from hypopose.io.writers.performing import performed
from hypopose.io.writers.rig import BoneRig
from hypopose.io.writers.scene import Defaults, ExportScene

DEFAULTS = Defaults(
    which="aggregate", up="y", root="placed", unit="cm", needs_rate=True, turns=True
)


def write_bvh(path: Path, scene: ExportScene) -> tuple[str, ...]:
    """Write one motion; returns how far constant bones are from the original."""
    performance = performed(scene, scene.takes[0])
    angles = euler_zxy(performance.turns)
    rows = np.concatenate((performance.root, angles.reshape(len(angles), -1)), axis=1)
    with (
        write_atomically(path) as temporary,
        temporary.open("w", encoding="ascii", errors="replace", newline="\n") as file,
    ):
        file.write("HIERARCHY\n")
        file.writelines(f"{line}\n" for line in _hierarchy(performance.rig, 0, ""))
        file.write(f"MOTION\nFrames: {len(rows)}\nFrame Time: {1 / scene.rate:.9f}\n")
        np.savetxt(file, rows, fmt="%.6f")
    return (performance.note,)


def _hierarchy(rig: BoneRig, node: int, indent: str) -> Iterator[str]:
    """Lines of a node and everything below it."""
    children = rig.children(node)
    x, y, z = rig.offsets[node] + 0.0  # no negative zeros
    root = rig.parents[node] < 0
    yield f"{indent}{'ROOT' if root else 'JOINT'} {rig.names[node].replace(' ', '_')}"
    yield f"{indent}{{"
    yield f"{indent}\tOFFSET {x:.6f} {y:.6f} {z:.6f}"
    places = "6 Xposition Yposition Zposition" if root else "3"
    yield f"{indent}\tCHANNELS {places} Zrotation Xrotation Yrotation"
    for child in children:
        yield from _hierarchy(rig, child, indent + "\t")
    if not children:
        x, y, z = rig.tips[node] + 0.0
        yield f"{indent}\tEnd Site"
        yield f"{indent}\t{{"
        yield f"{indent}\t\tOFFSET {x:.6f} {y:.6f} {z:.6f}"
        yield f"{indent}\t}}"
    yield f"{indent}}}"


def euler_zxy(turns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Angles of ``R = Rz Rx Ry`` in degrees, without jumps from frame to frame.

    Args:
        turns: ``(F, N, 3, 3)``.

    Returns:
        ``(F, N, 3)`` in the order z, x, y.

    Example:
        >>> euler_zxy(np.eye(3)[None, None]).ravel().tolist()
        [0.0, 0.0, 0.0]
    """
    r = turns
    x = np.arctan2(r[..., 2, 1], np.hypot(r[..., 0, 1], r[..., 1, 1]))
    z = np.arctan2(-r[..., 0, 1], r[..., 1, 1])
    y = np.arctan2(-r[..., 2, 0], r[..., 2, 2])
    locked = np.hypot(r[..., 0, 1], r[..., 1, 1]) < 1e-9
    z = np.where(locked, np.arctan2(r[..., 1, 0], r[..., 0, 0]), z)
    y = np.where(locked, 0.0, y)
    return np.degrees(_continuous(np.stack((z, x, y), -1))) + 0.0


def _continuous(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of the ways to say the same rotation, the one nearest to the frame before."""
    angles = angles.copy()
    full = 2 * np.pi
    for f in range(1, len(angles)):
        before, now = angles[f - 1], angles[f]
        other = np.stack((now[:, 0] + np.pi, np.pi - now[:, 1], now[:, 2] + np.pi), -1)
        near = [w - full * np.round((w - before) / full) for w in (now, other)]
        far = [np.abs(w - before).sum(-1, keepdims=True) for w in near]
        angles[f] = np.where(far[0] <= far[1], near[0], near[1])
    return angles
