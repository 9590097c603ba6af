"""Predictions of any method for the views of a protocol.

A file names its sequences as it likes; paths are compared as words, and what stands in front does
not matter: ``results/S9_Directions 1.54138969`` is the view ``S9/Directions 1/54138969``. A single
array without names holds all views one after another, in the order of the protocol.

Axes of an array: ``(N, J, 3)``, ``(H, N, J, 3)`` or ``(N, H, J, 3)``, where N counts all frames of
a view, or those that the protocol counts. Joints are those of the protocol, of its source skeleton,
or of a skeleton that is named. Where the protocol knows true surfaces, J may be their number of
vertices: joints are then regressed, and vertices scored too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import torch
from torch import Tensor

from hypopose.datasets.protocols import ProtocolData, ProtocolView, SurfaceTruth, ViewEntry
from hypopose.errors import OptionError
from hypopose.evaluation.protocol_draws import Answer, evaluated_joints
from hypopose.io.prediction_files import PredictionFile, words_of
from hypopose.skeletons import get_skeleton
from hypopose.types import Skeleton

UNITS = {"m": 1.0, "cm": 0.01, "mm": 0.001}
"""Unit -> meters."""
FRAMES = ("camera", "world")
_AXIS = {"x": 0, "y": 1, "z": 2}


@dataclass(frozen=True)
class Layout:
    """How the numbers of a file are meant.

    Args:
        unit: ``m``, ``cm`` or ``mm``.
        axes: Where camera x (right), y (down) and z (forward) are found: ``x,-y,-z`` for y up and z
            backward.
        swap_sides: Exchange left and right joints.
        frame: ``camera``; ``world`` is turned into the camera's frame, if its rotation is known.
        skeleton: Name of the joint set; empty for the protocol's.

    Raises:
        OptionError: If an option is unknown.

    Example:
        >>> Layout(axes="x,-y,-z").turn.diagonal().tolist()
        [1.0, -1.0, -1.0]
    """

    unit: str = "m"
    axes: str = "x,y,z"
    swap_sides: bool = False
    frame: str = "camera"
    skeleton: str = ""

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise OptionError(f"A unit is one of {', '.join(UNITS)}; got {self.unit!r}.")
        if self.frame not in FRAMES:
            raise OptionError(f"A frame is one of {', '.join(FRAMES)}; got {self.frame!r}.")
        if self.skeleton:
            get_skeleton(self.skeleton)
        names = sorted(word.strip().lstrip("+-") for word in self.axes.split(","))
        if names != ["x", "y", "z"]:
            raise OptionError(
                f"Axes are x, y and z with signs, such as x,-y,-z; got {self.axes!r}."
            )

    @property
    def turn(self) -> Tensor:
        """The matrix that brings the file's coordinates to ours, ``(3, 3)`` float64."""
        matrix = torch.zeros(3, 3, dtype=torch.float64)
        for row, word in enumerate(self.axes.split(",")):
            name = word.strip()
            matrix[row, _AXIS[name.lstrip("+-")]] = -1.0 if name.startswith("-") else 1.0
        return matrix

    def described(self) -> dict[str, str]:
        """As settings in words."""
        return {
            "prediction unit": self.unit,
            "prediction axes": self.axes + (", sides swapped" if self.swap_sides else ""),
            "prediction frame": self.frame,
            "prediction joints": self.skeleton or "the protocol's",
        }


@dataclass(frozen=True, eq=False)
class Predictions:
    """A file of predictions as a method that answers views.

    Args:
        file: The arrays.
        data: The protocol.
        layout: How the numbers are meant.

    Raises:
        FormatError: If a view has no array, or an array does not fit its view.
    """

    file: PredictionFile
    data: ProtocolData
    layout: Layout = Layout()

    def __post_init__(self) -> None:
        _ = self.arrays

    @cached_property
    def arrays(self) -> Mapping[str, Callable[[], np.ndarray]]:
        """View -> a call that reads its array."""
        by_name = self._by_name()
        missing = [entry.name for entry in self.data.entries if entry.name not in by_name]
        if not missing:
            return by_name
        if not by_name and len(self.file.loads) == 1:
            return self._in_order()
        raise self.file.error(
            f"has no predictions for {len(missing)} of {len(self.data.entries)} views, such as "
            f"{missing[0]}; it holds {self.file.listed}",
            f"name arrays like {_some_names(self.data)}, or save one array of all frames in the "
            "order of the views",
        )

    def _by_name(self) -> dict[str, Callable[[], np.ndarray]]:
        known = {
            words_of(alias): entry.name
            for entry in self.data.entries
            for alias in (entry.name, *entry.aliases)
        }
        recordings: dict[tuple[str, ...], list[str]] = {}
        for words, name in known.items():
            if words[-1].isdigit() and int(words[-1]) == len(recordings.get(words[:-1], [])):
                recordings.setdefault(words[:-1], []).append(name)
        found: dict[str, Callable[[], np.ndarray]] = {}
        for place in self.file.loads:
            for name, load in self._views_at(place, known, recordings).items():
                if name in found:
                    raise self.file.error(
                        f"holds {name} twice, the second time as {place}",
                        "keep the predictions only",
                    )
                found[name] = load
        return found

    def _views_at(
        self,
        place: str,
        known: Mapping[tuple[str, ...], str],
        recordings: Mapping[tuple[str, ...], list[str]],
    ) -> dict[str, Callable[[], np.ndarray]]:
        """The view that a place names; or all cameras of a recording, along the first axis."""
        words = words_of(place)
        ends = [words[i:] for i in range(len(words))]
        name = next((known[end] for end in ends if end in known), None)
        if name is not None:
            return {name: partial(self.file.array, place)}
        views = next((recordings[end] for end in ends if end in recordings), [])
        return {view: partial(self._camera, place, i, len(views)) for i, view in enumerate(views)}

    def _camera(self, place: str, index: int, n_cameras: int) -> np.ndarray:
        array = self.file.array(place)
        if array.ndim not in (4, 5) or len(array) != n_cameras:
            raise self.file.error(
                f"{place} is {array.shape}, not ({n_cameras} cameras, frames, joints, 3)",
                f"name arrays like {_some_names(self.data)}",
            )
        return np.asarray(array[index])

    def _in_order(self) -> dict[str, Callable[[], np.ndarray]]:
        """One array cut into views: all frames, or those that count."""
        array = _with_coordinates(self.file.array(next(iter(self.file.loads))))
        entries = self.data.entries
        n_all, n_counted = [e.n_frames for e in entries], [len(e.counted) for e in entries]
        for lengths in (n_all, n_counted):
            axis = _frame_axis(array, sum(lengths))
            if axis is not None:
                starts = np.cumsum([0, *lengths])
                return {
                    entry.name: partial(_cut, array, axis, int(start), n)
                    for entry, start, n in zip(entries, starts, lengths, strict=False)
                }
        raise self.file.error(
            f"holds an array {array.shape}; the {len(entries)} views have {sum(n_all)} frames, of "
            f"which {sum(n_counted)} count",
            f"give (N, J, 3) or (H, N, J, 3), or name arrays like {_some_names(self.data)}",
        )

    def __call__(self, entry: ViewEntry, view: ProtocolView) -> Answer:
        """The predictions for a view, brought to meters, camera frame and the protocol's joints.

        Raises:
            FormatError: If the array does not fit the view, or holds NaN.
        """
        points = self._points(entry)
        surface = self.data.surface
        if surface is not None and points.shape[-2] == surface.regressor.shape[-1]:
            return self._surface(entry, points, view, surface)
        skeleton = self._skeleton(entry, points.shape[-2])
        points = UNITS[self.layout.unit] * points @ self.layout.turn.mT
        if self.layout.frame == "world":
            points = self._in_camera(entry, points, view)
        if skeleton is None:
            points = torch.cat([torch.zeros_like(points[..., :1, :]), points], -2)
            points = points[..., _root_first(self.data.skeleton), :]
            skeleton = self.data.skeleton
        if self.layout.swap_sides:
            points = points[..., list(skeleton.flip_order), :]
        if skeleton.n_joints == len(self.data.joints) and not self.layout.skeleton:
            root = self.data.skeleton.root
            return Answer(points - points[..., root : root + 1, :])
        return Answer(evaluated_joints(points, skeleton, self.data))

    def _surface(
        self, entry: ViewEntry, points: Tensor, view: ProtocolView, surface: SurfaceTruth
    ) -> Answer:
        """Vertices, and the joints that are regressed from them."""
        if self.layout.swap_sides:
            raise self.file.error(
                f"{entry.name} holds vertices, whose sides cannot be exchanged",
                "leave out --swap-sides; a mirrored body is corrected by --axes=-x,y,z",
            )
        points = UNITS[self.layout.unit] * points @ self.layout.turn.mT
        if self.layout.frame == "world":
            points = self._in_camera(entry, points, view)
        joints = surface.regressor.to(points) @ points
        points = points - joints[..., self.data.source_skeleton.root, None, :]
        answer = evaluated_joints(joints, self.data.source_skeleton, self.data)
        return Answer(answer, vertices=points)

    def _points(self, entry: ViewEntry) -> Tensor:
        """``(H, N, J, 3)`` float64 as the file has them."""
        array = _with_coordinates(self.arrays[entry.name]())
        n_all, n_counted = entry.n_frames, len(entry.counted)
        for n in (n_all, n_counted):
            axis = _frame_axis(array, n)
            if axis is not None:
                array = array[None] if array.ndim == 3 else np.moveaxis(array, axis, 1)
                points = torch.from_numpy(np.array(array, dtype=np.float64, order="C"))
                self._check_finite(entry, points)
                return points
        frames = f"{n_all} frames" + (f", or {n_counted} that count" if n_counted < n_all else "")
        raise self.file.error(
            f"{entry.name} is {array.shape}, but the view has {frames}",
            "give (N, J, 3) or (H, N, J, 3)",
        )

    def _check_finite(self, entry: ViewEntry, points: Tensor) -> None:
        bad = ~points.isfinite().all(-1).all(-1).all(0)
        if bool(bad.any()):
            first = int(bad.nonzero()[0])
            raise self.file.error(
                f"{entry.name} holds NaN or infinity in {int(bad.sum())} of {len(bad)} frames, the "
                f"first at {first}",
                "answer every frame: leaving hard ones out would flatter the method",
            )

    def _skeleton(self, entry: ViewEntry, n_joints: int) -> Skeleton | None:
        """Which joints the array has; None for the evaluated ones without their root."""
        data = self.data
        if self.layout.skeleton:
            chosen = get_skeleton(self.layout.skeleton)
            known: dict[int, Skeleton | None] = {chosen.n_joints: chosen}
        else:
            known = {data.source_skeleton.n_joints: data.source_skeleton}
            known[data.skeleton.n_joints] = data.skeleton
            if data.exclude_root:
                known.setdefault(data.skeleton.n_joints - 1, None)
        if n_joints not in known:
            raise self.file.error(
                f"{entry.name} has {n_joints} joints, not {' or '.join(map(str, known))}",
                f"give those of {data.source_skeleton.name}, or name them with skeleton=NAME",
            )
        return known[n_joints]

    def _in_camera(self, entry: ViewEntry, points: Tensor, view: ProtocolView) -> Tensor:
        if view.rotation is None:
            raise self.file.error(
                f"the camera of {entry.name} has no known rotation", "give camera-frame coordinates"
            )
        rotation = view.rotation.to(points)
        if rotation.dim() == 3 and points.shape[1] != len(rotation):
            rotation = rotation[torch.from_numpy(entry.counted)]
        return points @ (rotation.mT if rotation.dim() == 2 else rotation.mT[None])


def _cut(array: np.ndarray, axis: int, start: int, n: int) -> np.ndarray:
    return array[(slice(None),) * axis + (slice(start, start + n),)]


def _some_names(data: ProtocolData) -> str:
    first = data.entries[0]
    return repr((first.name, *first.aliases)[-1])


def _with_coordinates(array: np.ndarray) -> np.ndarray:
    """``(..., 3 J)`` as ``(..., J, 3)``."""
    if array.shape[-1] != 3 and array.shape[-1] % 3 == 0 and array.ndim in (2, 3):
        return array.reshape(*array.shape[:-1], -1, 3)
    return array


def _frame_axis(array: np.ndarray, n: int) -> int | None:
    """Which axis of ``(N, J, 3)``, ``(H, N, J, 3)`` or ``(N, H, J, 3)`` counts n frames."""
    if array.ndim not in (3, 4) or array.shape[-1] != 3:
        return None
    axes = (0,) if array.ndim == 3 else (1, 0)
    return next((axis for axis in axes if array.shape[axis] == n), None)


def _root_first(skeleton: Skeleton) -> list[int]:
    """Order that brings joints with the root in front to those of a skeleton."""
    order = list(range(1, skeleton.n_joints))
    order.insert(skeleton.root, 0)
    return order
