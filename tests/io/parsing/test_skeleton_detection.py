"""Equal counts, different orders: documented defaults, overruled only by clear geometry."""

from __future__ import annotations

import pytest

from hypopose.errors import FormatError
from hypopose.io import SkeletonGuessWarning, load
from hypopose.io.parsing.skeleton_detection import CLEAR_RATIO, bone_length
from hypopose.io.source import DoubtfulInputWarning
from hypopose.skeletons import get_skeleton


def test_25_points_default_to_body25_and_geometry_may_overrule(write_as, figure):
    folder = write_as("openpose", [[figure("body25b")]] * 2)
    with pytest.warns(SkeletonGuessWarning, match=r"taken as body25b.*override"):
        keypoints = load(folder)
    assert keypoints.skeleton.name == "body25b"
    assert any("taken as body25b" in note for note in keypoints.notes)
    named = load(folder, skeleton="body25b")
    assert named.skeleton.name == "body25b"
    assert not named.notes
    with pytest.warns(DoubtfulInputWarning, match="look like body25b"):
        forced = load(folder, skeleton="body25")
    assert forced.skeleton.name == "body25"
    assert any("look like body25b" in note for note in forced.notes)


def test_25_points_that_agree_say_so(write_as, figure):
    keypoints = load(write_as("openpose", [[figure("body25")]]))
    assert any("geometry agrees" in note for note in keypoints.notes)


def test_few_points_keep_the_default_and_admit_doubt(write_as, figure):
    xy = figure("body25b")
    xy[5:] = 0
    keypoints = load(write_as("openpose", [[xy]]), min_joints=0)
    assert keypoints.skeleton.name == "body25"
    assert any("does not rule out body25b" in note for note in keypoints.notes)


def test_named_by_meta_info(write_as, figure):
    keypoints = load(write_as("mmpose-topdown", [[figure("coco17")]]))
    assert any("names the skeleton coco17" in note for note in keypoints.notes)


@pytest.mark.parametrize("kind", ["openpose", "alphapose", "mmpose", "coco-results"])
def test_unknown_counts_are_refused_with_the_cure(kind, write_as, figure):
    path = write_as(kind, [[figure("h36m17")[:13]]])
    with pytest.raises(FormatError, match=r"13 keypoints.*describe the skeleton in a file"):
        load(path)


@pytest.mark.parametrize(
    ("right", "wrong"), [("body25", "body25b"), ("body25b", "body25"), ("h36m17", "coco17")]
)
def test_a_wrong_order_draws_longer_bones(right, wrong, figure):
    drawn = [figure(right)]
    as_right = bone_length(drawn, get_skeleton(right))
    assert bone_length(drawn, get_skeleton(wrong)) > CLEAR_RATIO * as_right
