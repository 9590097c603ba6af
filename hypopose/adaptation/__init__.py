"""Adapt weights to recordings without 3D labels.

Layout::

    recordings.py   people in front of cameras; which part is held back
    placement.py    source motions where the target's people stand (PoseDA)
    builds.py       how they are built, and where their detector sees joints
    labels.py       target windows labeled by several views (EpipolarPose) or a teacher (PoSynDA)
    mixing.py       batches of all kinds
    judging.py      proper scores without 3D
    running.py      train, judge, merge, write
    card.py         the model card
"""

from hypopose.adaptation.builds import BuildPosterior, Response, estimate_builds, simulate_response
from hypopose.adaptation.judging import Change, compare, has_improved, judge
from hypopose.adaptation.labels import (
    LabelBatchMaker,
    LabeledClip,
    labels_from_teacher,
    labels_from_views,
)
from hypopose.adaptation.mixing import MixedBatchMaker, Part
from hypopose.adaptation.options import AdaptOptions
from hypopose.adaptation.placement import AlignedBatchMaker, Stands
from hypopose.adaptation.recordings import Recording, Split, View3D, split_recordings
from hypopose.adaptation.running import AdaptationTrainer, Adapted, adapt_recordings

__all__ = [
    "AdaptOptions",
    "AdaptationTrainer",
    "Adapted",
    "AlignedBatchMaker",
    "BuildPosterior",
    "Change",
    "LabelBatchMaker",
    "LabeledClip",
    "MixedBatchMaker",
    "Part",
    "Recording",
    "Response",
    "Split",
    "Stands",
    "View3D",
    "adapt_recordings",
    "compare",
    "estimate_builds",
    "has_improved",
    "judge",
    "labels_from_teacher",
    "labels_from_views",
    "simulate_response",
    "split_recordings",
]
