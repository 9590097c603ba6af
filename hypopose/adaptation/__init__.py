"""Adapt weights to recordings without 3D labels.

Layout::

    recordings.py   people in front of cameras; which part is held back
    sources.py      weights to start from, and motion
    placement.py    source motions placed where the target's people stand (PoseDA)
    bending.py      the same, of bodies that a generator changes (PoseDA, reconstructed)
    builds.py       how they are built, and where their detector sees joints
    labels.py       target windows labeled by several views (EpipolarPose) or a teacher (PoSynDA)
    parts.py        which of these a run has; mixing.py: batches of all kinds; trainer.py: steps
    pose_refinement.py  a unit that corrects poses (EpipolarPose), trained last
    judging.py      proper scores without 3D
    keeping.py      what is forgotten
    adapt_run.py    train, judge, merge, write (writing.py, card.py)
"""

from hypopose.adaptation.adapt_options import AdaptOptions
from hypopose.adaptation.adapt_run import Adapted, adapt_recordings
from hypopose.adaptation.bending import BentBatchMaker
from hypopose.adaptation.builds import BuildPosterior, Response, estimate_builds, simulate_response
from hypopose.adaptation.judging import Change, compare, judge, verdict
from hypopose.adaptation.labels import (
    LabelBatchMaker,
    LabeledClip,
    labels_from_teacher,
    labels_from_views,
)
from hypopose.adaptation.mixing import MixedBatchMaker, Part
from hypopose.adaptation.parts import find_builds, make_trainer
from hypopose.adaptation.placement import AlignedBatchMaker, Stands
from hypopose.adaptation.pose_refinement import refine_network
from hypopose.adaptation.recordings import Recording, Split, View3D, split_recordings
from hypopose.adaptation.sources import SourceDomain, load_source
from hypopose.adaptation.trainer import AdaptationTrainer

__all__ = [
    "AdaptOptions",
    "AdaptationTrainer",
    "Adapted",
    "AlignedBatchMaker",
    "BentBatchMaker",
    "BuildPosterior",
    "Change",
    "LabelBatchMaker",
    "LabeledClip",
    "MixedBatchMaker",
    "Part",
    "Recording",
    "Response",
    "SourceDomain",
    "Split",
    "Stands",
    "View3D",
    "adapt_recordings",
    "compare",
    "estimate_builds",
    "find_builds",
    "judge",
    "labels_from_teacher",
    "labels_from_views",
    "load_source",
    "make_trainer",
    "refine_network",
    "simulate_response",
    "split_recordings",
    "verdict",
]
