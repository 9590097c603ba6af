"""HypoPose's own npz: keypoints, or the keypoints a result was made from."""

from __future__ import annotations

import numpy as np

from hypopose.io.detections import Detections
from hypopose.io.format import Format, ReadOptions
from hypopose.io.native import MARK, is_native, keypoints_from, read_metadata
from hypopose.io.parsing.skeleton_detection import check_joints
from hypopose.io.source import Source
from hypopose.io.untrusted.arrays import NpzArchive


def read(source: Source, options: ReadOptions) -> Detections:
    """Read the keypoints, of a result those it was made from."""
    archive = NpzArchive(source)
    metadata = read_metadata(source, archive)
    if metadata.get(MARK) == "result":
        keypoints = keypoints_from(source, archive, metadata.get("keypoints"), "keypoints_")
    else:
        keypoints = keypoints_from(source, archive, metadata)
    if keypoints.xy.dim() != 3 or keypoints.n_frames == 0:
        raise source.error(f"keypoints {tuple(keypoints.xy.shape)}", "give (frames, joints, 2)")
    if not bool(keypoints.detected.any()):
        raise source.error(
            "holds no keypoints: no frame has one, as in results of hypopose import",
            "give the keypoints that a detector found",
        )
    if options.skeleton is not None:
        check_joints(source, options.skeleton, keypoints.skeleton.n_joints)
    n_frames = keypoints.n_frames
    return Detections(
        skeleton=options.skeleton or keypoints.skeleton,
        frames=np.arange(n_frames),
        xy=keypoints.xy.numpy(),
        confidence=None if keypoints.confidence is None else keypoints.confidence.numpy(),
        covariance=None if keypoints.covariance is None else keypoints.covariance.numpy(),
        ids=("0",) * n_frames,
        first_frame=0,
        last_frame=n_frames - 1,
        image_size=keypoints.image_size,
        fps=keypoints.fps,
        camera=keypoints.camera,
        approximate=keypoints.approximate,
        notes=keypoints.notes,
    )


FORMAT = Format(
    name="hypopose",
    description="HypoPose's own .npz: keypoints, or the keypoints of a result",
    sniff=is_native,
    read=read,
    exact=True,
)
