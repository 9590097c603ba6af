"""Keypoint files of people without 3D that weights learn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypopose.cli.view_files import (
    cameras_of_views,
    clocks_of,
    names_in_rig,
    offsets_of,
    read_views,
    view_names,
    with_focal,
)
from hypopose.errors import OptionError

if TYPE_CHECKING:
    from hypopose.training import TargetOptions


def read_targets(
    paths: Sequence[Path], options: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """People by recording, and the rig with clocks if there is one.

    Args:
        paths: Files or folders.
        options: Of the command.

    Raises:
        FormatError: If a file is not what its format says.
        OptionError: If options contradict each other, or a name is not a camera of the rig.
    """
    if options["rig_file"] is None:
        if options["offsets"]:
            raise OptionError("--offset belongs to several views; give --views RIG too.")
        names = view_names(paths, options["names"], least=1)
        files = read_views(paths, names, options, cameras_of_views(options, paths, names))
        return with_focal(files, options), {}
    from hypopose.io import load_rig

    known = [f"--{w}" for w in ("focal", "fov") if options[w] is not None]
    if known or options["camera_file"] is not None:
        raise OptionError("--views has the cameras; leave --camera, --focal and --fov out.")
    rig = load_rig(options["rig_file"], options["image_size"], unit=options["camera_unit"])
    names = names_in_rig(paths, {**options, "camera_file": options["rig_file"]}, rig)
    files = read_views(paths, names, options, rig.cameras)
    clocks = clocks_of(files, rig, offsets_of(options, names))
    return {file.name: file.people for file in files}, {"rig": rig, "clocks": clocks}


def read_target(target: TargetOptions) -> tuple[dict[str, Any], dict[str, Any]]:
    """The same for the target of a training run.

    Args:
        target: With keypoints.
    """
    options: dict[str, Any] = {
        "rig_file": target.rig, "camera_file": target.camera, "names": (), "offsets": (),
        "focal": None, "fov": None, "image_size": None, "camera_unit": None,
    }  # fmt: skip
    return read_targets([Path(path) for path in target.keypoints], options)
