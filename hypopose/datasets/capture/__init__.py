"""Motion capture in common file formats, made into motion shards to train on."""

from hypopose.datasets.capture.amass import RestJoints, load_body_model, read_amass
from hypopose.datasets.capture.animation_rigs import to_h36m17
from hypopose.datasets.capture.asf_amc import read_amc, read_asf
from hypopose.datasets.capture.capture_files import (
    KINDS,
    CaptureFile,
    Options,
    find_sources,
    read_source,
)
from hypopose.datasets.capture.lifter_archives import read_3dhp, read_h36m
from hypopose.datasets.capture.recorded_clip import CapturedRig, RecordedClip, cleaned
from hypopose.datasets.capture.shard_writer import write_shard
from hypopose.io.motion_files.bvh_rig import read_bvh

__all__ = [
    "KINDS",
    "CaptureFile",
    "CapturedRig",
    "Options",
    "RecordedClip",
    "RestJoints",
    "cleaned",
    "find_sources",
    "load_body_model",
    "read_3dhp",
    "read_amass",
    "read_amc",
    "read_asf",
    "read_bvh",
    "read_h36m",
    "read_source",
    "to_h36m17",
    "write_shard",
]
