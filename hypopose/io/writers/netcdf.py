"""NetCDF through xarray, with the dimensions of the movement package.

=================  =================================================================================
variable           dimensions and meaning
=================  =================================================================================
``position``       (time, space, keypoints, individuals): the aggregate, or the chosen hypothesis
``confidence``     (time, keypoints, individuals): of the 2D keypoints; NaN if unknown
``std``            like position: standard deviation of the hypotheses; absent if unknown
``hypotheses``     (hypothesis, time, space, keypoints, individuals): absent unless all are exported
``root``           (time, space, individuals): where the root is; absent if unknown or left out
``hypotheses_root``  (hypothesis, time, space, individuals)
=================  =================================================================================

The file is classic NetCDF (64-bit offsets), which every NetCDF library reads. ``time`` is in
seconds, or frame numbers if the rate is unknown (``time_unit`` says which).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hypopose.io.atomic import write_atomically
from hypopose.io.writers.optional import require
from hypopose.io.writers.scene import Defaults, ExportScene, Take

DEFAULTS = Defaults()


def write_netcdf(path: Path, scene: ExportScene) -> tuple[str, ...]:
    """Write the data set of :func:`to_dataset`."""
    dataset = to_dataset(scene)
    with write_atomically(path) as temporary:
        dataset.to_netcdf(temporary, engine="scipy", format="NETCDF3_64BIT")
    return ()


def to_dataset(scene: ExportScene) -> Any:
    """The scene as an ``xarray.Dataset``.

    Args:
        scene: What to export.

    Returns:
        The data set of the module's table, float32.

    Raises:
        BackendError: If xarray is not installed.
    """
    xarray = require("xarray", "nc")
    main, numbered = scene.takes[0], [t for t in scene.takes[1:] if t.hypothesis is not None]
    variables: dict[str, Any] = {
        "position": (_DIMENSIONS, _person(main.joints)),
        "confidence": (("time", "keypoints", "individuals"), _confidence(scene)),
    }
    if main.std is not None:
        variables["std"] = (_DIMENSIONS, _person(main.std))
    if main.root is not None:
        variables["root"] = (_ROOT, _person(main.root))
    variables |= _hypotheses(numbered)
    frames = np.arange(scene.n_frames, dtype="int32")
    coordinates: dict[str, Any] = {
        "time": frames if scene.times is None else scene.times,
        "space": ["x", "y", "z"],
        "keypoints": list(scene.skeleton.joint_names),
        "individuals": [f"person_{scene.result.person or '0'}"],
    }
    if numbered:
        coordinates["hypothesis"] = np.array([t.hypothesis for t in numbered], dtype="int32")
    dataset = xarray.Dataset(variables, coordinates, _attributes(scene))
    for name in set(variables) - {"confidence"}:
        dataset[name].attrs["units"] = scene.unit
    return dataset


def _hypotheses(numbered: list[Take]) -> dict[str, Any]:
    if not numbered:
        return {}
    joints = np.stack([_person(take.joints) for take in numbered])
    roots = [_person(take.root) for take in numbered if take.root is not None]
    found = {"hypotheses": (("hypothesis", *_DIMENSIONS), joints)}
    return found | ({"hypotheses_root": (("hypothesis", *_ROOT), np.stack(roots))} if roots else {})


_DIMENSIONS = ("time", "space", "keypoints", "individuals")
_ROOT = ("time", "space", "individuals")


def _person(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """``(F, J, 3)`` or ``(F, 3)`` with space second and one individual last."""
    return np.moveaxis(values, -1, 1)[..., None].astype("float32")


def _confidence(scene: ExportScene) -> NDArray[np.float32]:
    keypoints = scene.result.keypoints
    same = keypoints.skeleton == scene.skeleton
    if keypoints.confidence is None or not same:
        shape = (scene.n_frames, scene.skeleton.n_joints, 1)
        return np.full(shape, np.nan, dtype="float32")
    return keypoints.confidence.cpu().numpy().astype("float32")[..., None]


def _attributes(scene: ExportScene) -> dict[str, Any]:
    known = {
        "ds_type": "poses",
        "source_software": "HypoPose",
        "source_file": scene.result.source,
        "time_unit": "frames" if scene.fps is None else "seconds",
        "space_unit": scene.unit,
        "axes": scene.axes,
        "hypopose": json.dumps(scene.record()),
    }
    return known if scene.fps is None else {"fps": float(scene.fps), **known}
