"""SLEAP's analysis HDF5: ``tracks`` (track, 2, node, frame) with NaN where missing.

``node_names`` names the joints, ``track_names`` the people, ``point_scores`` (track, node, frame)
is the confidence. Files written with the axes the other way round, as some tools do, are
recognized by the sizes of ``node_names``. SLEAP's projects (``.slp``) are known, and refused with
the way to export them.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from hypopose.io.detections import Detections
from hypopose.io.format import Format, ReadOptions
from hypopose.io.parsing.named_joints import dense_detections
from hypopose.io.source import Source


def sniff(source: Source) -> bool:
    """An HDF5 file with ``tracks`` and ``node_names``, or a project."""
    if source.container != "hdf5":
        return False
    return {"/tracks", "/node_names"} <= source.tree.arrays.keys() or _is_project(source)


def _is_project(source: Source) -> bool:
    names = source.tree.arrays.keys()
    return "/videos_json" in names and "/instances/instance_id" in names


def read(source: Source, options: ReadOptions) -> Detections:
    """Read all tracks."""
    tree = source.tree
    if "/tracks" not in tree.arrays and sniff(source):
        raise source.error(
            "a project of SLEAP's, not its analysis file",
            "export it: sleap-convert --format analysis -o walk.h5 walk.slp",
        )
    if not sniff(source):
        raise source.error("no data sets 'tracks' and 'node_names'", f"it has {tree.listed}")
    nodes = tree.texts("/node_names")
    tracks = _tracks(source, tree.arrays["/tracks"], len(nodes))
    scores = tree.arrays.get("/point_scores")
    confidence = None if scores is None else _scores(source, scores, tracks)
    people = None
    if "/track_names" in tree.arrays:
        people = tree.texts("/track_names")
        if len(people) != len(tracks):
            raise source.error(
                f"{len(people)} track_names for {len(tracks)} tracks", "export it again"
            )
    x, y = (np.moveaxis(tracks[:, i], -1, 0) for i in (0, 1))  # (F, P, K)
    return dense_detections(source, options, nodes, x, y, confidence, people)


def _tracks(source: Source, array: np.ndarray, n_nodes: int) -> Float[np.ndarray, "P 2 K F"]:
    if array.dtype.kind in "iuf" and array.ndim == 4:
        if array.shape[1:3] == (2, n_nodes):
            return array.astype(np.float64)
        if array.shape[1:3] == (n_nodes, 2):  # (frame, node, 2, track)
            return array.astype(np.float64).T
    raise source.error(
        f"tracks {array.shape} of {array.dtype} for {n_nodes} node_names",
        "export it as SLEAP analysis HDF5: (track, 2, node, frame)",
    )


def _scores(
    source: Source, scores: np.ndarray, tracks: Float[np.ndarray, "P 2 K F"]
) -> Float[np.ndarray, "F P K"] | None:
    shape = (tracks.shape[0], tracks.shape[2], tracks.shape[3])
    if scores.dtype.kind in "iuf" and scores.shape == shape[::-1] != shape:
        scores = scores.T
    if scores.dtype.kind not in "iuf" or scores.shape != shape:
        raise source.error(f"point_scores {scores.shape} for tracks {shape}", "export it again")
    # Labels by hand have no score: a track without a single one is not unsure, but unscored.
    if not np.nan_to_num(scores).any():
        return None
    return np.moveaxis(scores.astype(np.float64), -1, 0)


FORMAT = Format(
    name="sleap",
    description="SLEAP analysis HDF5: tracks, node_names, point_scores",
    sniff=sniff,
    read=read,
)
