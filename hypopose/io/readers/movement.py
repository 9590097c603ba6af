"""NetCDF as ``movement`` lays it out: ``position`` (time, space, keypoints, individuals).

``confidence`` (time, keypoints, individuals) may be beside it; the coordinates ``keypoints`` and
``individuals`` hold names, and ``space`` x and y. With the attribute ``fps`` and times in seconds,
frames are time times fps; otherwise time counts frames. NetCDF-4 (an HDF5 file) and NetCDF-3 are
read. ``skeleton`` and ``image_size`` are attributes that HypoPose adds when it writes one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Int

from hypopose.io.detections import Detections
from hypopose.io.format import Format, ReadOptions
from hypopose.io.parsing.named_joints import dense_detections
from hypopose.io.parsing.stated_facts import stated_facts
from hypopose.io.source import Source

_AXES = ("time", "space", "keypoints", "individuals")
_ALIASES = {"keypoint": "keypoints", "individual": "individuals"}


def sniff(source: Source) -> bool:
    """A NetCDF file with ``position`` and ``keypoints``."""
    if source.container not in ("hdf5", "netcdf3"):
        return False
    names = source.tree.arrays.keys()
    return "/position" in names and bool({"/keypoints", "/keypoint"} & names)


def read(source: Source, options: ReadOptions) -> Detections:
    """Read all individuals."""
    if not sniff(source):
        raise source.error("no variables 'position' and 'keypoints'", "it is not movement's layout")
    position = _ordered(source, "/position")  # time, space, keypoints, individuals
    names, people = _labels(source, "keypoints"), _labels(source, "individuals")
    if len(names) != position.shape[2] or (people and len(people) != position.shape[3]):
        raise source.error(
            f"position {position.shape} for {len(names)} keypoints", "write it again"
        )
    x, y = (position[:, i].swapaxes(1, 2) for i in _space(source, position.shape[1]))
    confidence = _confidence(source, x.shape)
    facts = stated_facts(source, _stated(source), skeleton_told=options.skeleton is not None)
    skeleton = facts.pop("skeleton")
    if options.skeleton is None and skeleton is not None:
        options = replace(options, skeleton=skeleton)
    frames = _frames(source, len(x), facts["fps"])
    return dense_detections(
        source, options, names, x, y, confidence, people or None, frames, **facts
    )


def _confidence(source: Source, shape: tuple[int, ...]) -> np.ndarray | None:
    if "/confidence" not in source.tree.arrays:
        return None
    confidence = _ordered(source, "/confidence")[:, 0].swapaxes(1, 2)
    if confidence.shape != shape:
        raise source.error(f"confidence {confidence.shape} for {shape}", "write it again")
    return confidence if np.isfinite(confidence).any() else None


def _stated(source: Source) -> dict[str, Any]:
    found = {}
    for name in ("skeleton", "image_size", "fps", "approximate"):
        value = source.tree.attribute("", name)
        value = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        if name == "fps" and isinstance(value, list) and len(value) == 1:
            value = value[0]
        if value is not None and value not in ("", "None"):
            found[name] = value
    return found


def _dimensions(source: Source, path: str) -> list[str]:
    """Names of a variable's axes, by the coordinates of the same length where nothing says."""
    given = source.tree.attribute(path, "dimensions")
    if isinstance(given, list):
        return [_ALIASES.get(str(name), str(name)) for name in given]
    array = source.tree.arrays[path]
    usual = [axis for axis in _AXES if axis != "space" or path == "/position"]
    if array.ndim == len(usual) - 1:
        usual = usual[:-1]
    return _by_length(source, array.shape, usual) or usual


def _by_length(source: Source, shape: tuple[int, ...], usual: list[str]) -> list[str] | None:
    """A transposed variable, where lengths tell its axes apart."""
    lengths = {axis: source.tree.arrays[f"/{axis}"].shape[:1] for axis in usual
               if f"/{axis}" in source.tree.arrays}  # fmt: skip
    if all(lengths.get(a, (n,)) == (n,) for a, n in zip(usual, shape, strict=False)):
        return usual
    places = []
    for n in shape:
        fitting = [a for a in usual if lengths.get(a) == (n,) and a not in places]
        if len(fitting) != 1:
            return None
        places.append(fitting[0])
    return places


def _ordered(source: Source, path: str) -> np.ndarray:
    """A variable with the axes time, space, keypoints, individuals, each at least 1 long."""
    array, axes = source.tree.arrays[path], _dimensions(source, path)
    known = {"time", "keypoints"} <= set(axes) <= set(_AXES) and len(set(axes)) == len(axes)
    if array.dtype.kind not in "iuf" or array.ndim != len(axes) or not known:
        raise source.error(
            f"{path[1:]} has the axes {', '.join(axes)} and the shape {array.shape}",
            "give (time, space, keypoints, individuals)",
        )
    wanted = [axis for axis in _AXES if axis in axes]
    array = array.astype(np.float64).transpose([axes.index(axis) for axis in wanted])
    for i, axis in enumerate(_AXES):
        if axis not in axes:
            array = np.expand_dims(array, i)
    return array


def _space(source: Source, n: int) -> tuple[int, int]:
    names = _labels(source, "space")
    if "z" in names or n == 3:
        raise source.error("3D positions", "HypoPose reads 2D keypoints in pixels")
    if names and {"x", "y"} <= set(names) and len(names) == n:
        return names.index("x"), names.index("y")
    if n == 2:
        return 0, 1
    raise source.error(f"{n} space coordinates", "give x and y")


def _labels(source: Source, axis: str) -> list[str]:
    for name in (f"/{axis}", f"/{axis.removesuffix('s')}"):
        if name in source.tree.arrays:
            array = source.tree.arrays[name]
            if array.dtype.kind == "S" and array.ndim == 2 and array.dtype.itemsize == 1:
                # NetCDF-3 has characters only.
                return [b"".join(row).decode("utf-8", "replace").rstrip("\0 ") for row in array]
            return source.tree.texts(name)
    return []


def _frames(source: Source, n: int, fps: float | None) -> Int[np.ndarray, " F"]:
    time = source.tree.arrays.get("/time")
    if time is None or time.dtype.kind not in "iuf" or time.shape != (n,):
        return np.arange(n)
    unit = source.tree.attribute("", "time_unit")
    seconds = fps is not None and unit not in ("frames", b"frames")
    count = time.astype(np.float64) * (fps if seconds and fps else 1.0)
    frames = np.round(count)
    whole = (np.abs(count - frames) < 0.1) & (frames >= 0) & (frames <= 2**53)
    if not whole.all() or len(np.unique(frames)) != n:
        raise source.error(
            "its times are no multiples of 1 / fps", "give times in seconds with fps, or in frames"
        )
    return frames.astype(np.int64)


FORMAT = Format(
    name="movement",
    description="NetCDF of movement and xarray: position (time, space, keypoints, individuals)",
    sniff=sniff,
    read=read,
)
