"""The container of binary glTF: one JSON text and one buffer, written directly.

glTF 2.0, sections 3.6, 4.4 and 5, https://registry.khronos.org/glTF/specs/2.0/glTF-2.0.html.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hypopose.io.atomic import write_atomically

_FLOAT, _UBYTE, _USHORT, _UINT = 5126, 5121, 5123, 5125
_COMPONENTS = {"f4": _FLOAT, "u1": _UBYTE, "u2": _USHORT, "u4": _UINT}
_TYPES = {1: "SCALAR", 3: "VEC3", 4: "VEC4", 16: "MAT4"}
VERTICES, INDICES = 34962, 34963
"""What graphics hardware takes an array for: ``ARRAY_BUFFER``, ``ELEMENT_ARRAY_BUFFER``."""


@dataclass
class GlbBuffer:
    """The binary chunk and the accessors into it."""

    data: bytearray = field(default_factory=bytearray)
    views: list[dict[str, Any]] = field(default_factory=list)
    accessors: list[dict[str, Any]] = field(default_factory=list)

    def add(
        self, values: NDArray[Any], dtype: str, *, bounds: bool = False, target: int | None = None
    ) -> int:
        """Append an array and return its accessor.

        Args:
            values: ``(n,)`` or ``(n, c)``.
            dtype: ``"f4"``, ``"u1"``, ``"u2"`` or ``"u4"``.
            bounds: Whether the accessor states least and greatest values.
            target: What graphics hardware takes it for; None for data of animations.
        """
        array = np.ascontiguousarray(values, dtype=f"<{dtype}")
        width = 1 if array.ndim == 1 else array.shape[1]
        self.data += b"\0" * (-len(self.data) % 4)
        view = {"buffer": 0, "byteOffset": len(self.data), "byteLength": array.nbytes}
        self.views.append(view if target is None else {**view, "target": target})
        self.data += array.tobytes()
        accessor: dict[str, Any] = {
            "bufferView": len(self.views) - 1,
            "componentType": _COMPONENTS[dtype],
            "count": len(array),
            "type": _TYPES[width],
        }
        if bounds:
            table = array.reshape(len(array), -1)
            accessor |= {"min": table.min(0).tolist(), "max": table.max(0).tolist()}
        self.accessors.append(accessor)
        return len(self.accessors) - 1


def write_container(path: Path, content: dict[str, Any], buffer: GlbBuffer) -> None:
    """Write a .glb file, whole or not at all.

    Args:
        path: Where to.
        content: The document; its buffer, views and accessors are filled in here.
        buffer: Everything that accessors of the document name.
    """
    data = bytes(buffer.data) + b"\0" * (-len(buffer.data) % 4)
    content = {
        **content,
        "bufferViews": buffer.views,
        "accessors": buffer.accessors,
        "buffers": [{"byteLength": len(data)}],
    }
    text = json.dumps(content, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    total = 12 + 8 + len(text) + 8 + len(data)
    with write_atomically(path) as temporary, temporary.open("wb") as file:
        file.write(struct.pack("<4sII", b"glTF", 2, total))
        file.write(struct.pack("<I4s", len(text), b"JSON") + text)
        file.write(struct.pack("<I4s", len(data), b"BIN\0") + data)


def quaternions(turns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotations over time as glTF stores them: (x, y, z, w), of one hemisphere throughout.

    Args:
        turns: Matrices ``(F, 3, 3)``.

    Example:
        >>> quaternions(np.eye(3)[None]).tolist()
        [[0.0, 0.0, 0.0, 1.0]]
    """
    from scipy.spatial.transform import Rotation

    quaternions = Rotation.from_matrix(turns).as_quat()
    flips = np.sign((quaternions[1:] * quaternions[:-1]).sum(-1))
    flips[flips == 0] = 1
    quaternions[1:] *= np.cumprod(flips)[:, None]
    return np.asarray(quaternions)
