"""Skeletons in TOML, and conversions by name between any two."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import random_keypoints

from hypopose.errors import FormatError
from hypopose.skeletons import (
    BODY25,
    BODY25B,
    COCO17,
    CONVERSIONS,
    H36M17,
    MEDIAPIPE33,
    MPII16,
    SKELETONS,
    convert,
    get_conversion,
    load_skeleton,
)
from hypopose.skeletons.joint_name_conversions import TRUNK, recipes_by_name

MINE = """
name = "clinic9"
joints = ["pelvis", "left_hip", "right_hip", "left_shoulder", "right_shoulder",
          "left_knee", "right_knee", "nose", "hat"]
[parents]
left_knee = "left_hip"
right_knee = "right_hip"
hat = "nose"
[names]
left_hip = "LHip"
"""


def test_a_table_of_ones_own(tmp_path) -> None:
    (tmp_path / "mine.toml").write_text(MINE)
    file = load_skeleton(tmp_path / "mine.toml")
    assert file.skeleton.parents == (-1, 0, 0, 0, 0, 1, 2, 0, 7)
    assert (file.skeleton.left, file.skeleton.right) == ((1, 3, 5), (2, 4, 6))
    assert file.names == {"left_hip": "LHip"}
    ours = convert(random_keypoints(0, file.skeleton, 2), H36M17)
    assert ours.approximate == ("spine", "thorax", "neck", "head")
    assert ours.detected[..., H36M17.index("left_knee")].all()
    assert not ours.detected[..., H36M17.index("left_wrist")].any()


def test_names_for_a_skeleton_there_is(tmp_path) -> None:
    (tmp_path / "a.toml").write_text('skeleton = "coco17"\n[names]\nnose = "Snout"\n')
    file = load_skeleton(tmp_path / "a.toml")
    assert (file.skeleton, file.names) == (COCO17, {"nose": "Snout"})


BAD = {
    "nothing": ("", "needs a name"),
    "no toml": ("name = ", "is not TOML"),
    "no joints": ("name = 'a'", "needs joints"),
    "twice": ("name = 'a'\njoints = ['b', 'b']", "unique name"),
    "taken": ("name = 'coco17'\njoints = ['b']", "that no skeleton has yet"),
    "unknown": ("skeleton = 'cat'", "skeleton is one of"),
    "both": ("skeleton = 'coco17'\njoints = ['b']", "without joints"),
    "key": ("name = 'a'\njoints = ['b']\nbones = 3", "unknown key 'bones'"),
    "parent": ("name = 'a'\njoints = ['b']\n[parents]\nb = 'c'", "'c', which is not among"),
    "circle": ("name='a'\njoints=['b','c','d']\n[parents]\nc='d'\nd='c'", "in a circle"),
    "names": ("skeleton = 'coco17'\n[names]\nfoot = 'x'", "'foot', no joint of coco17"),
    "two": ("skeleton='coco17'\n[names]\nnose='x'\nleft_eye='x'", "one name to two"),
    "deep": ("a = " + "[" * 5000, "is not TOML"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_tables(tmp_path, name) -> None:
    text, expected = BAD[name]
    (tmp_path / "bad.toml").write_text(text)
    with pytest.raises(FormatError) as caught:
        load_skeleton(tmp_path / "bad.toml")
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_absent_and_binary_files(tmp_path) -> None:
    with pytest.raises(FormatError, match=r"does not exist"):
        load_skeleton(tmp_path / "none.toml")
    (tmp_path / "b.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FormatError, match=r"is not UTF-8"):
        load_skeleton(tmp_path / "b.toml")


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.text(alphabet="abn[]={}'\"\n. ,joints", max_size=60), st.sampled_from(["", MINE]))
def test_any_text_is_a_skeleton_or_refused(tmp_path, text, start) -> None:
    (tmp_path / "any.toml").write_text(start + text, encoding="utf-8")
    refused, n_joints = "", 0
    try:
        n_joints = load_skeleton(tmp_path / "any.toml").skeleton.n_joints
    except FormatError as error:
        refused = str(error)
    assert bool(refused) != bool(n_joints)
    assert "\n" not in refused


BODIES = [s for s in SKELETONS.values() if set(TRUNK) <= set(s.joint_names)]
PAIRS = list(itertools.permutations(BODIES, 2))


def test_every_human_skeleton_converts_to_every_other() -> None:
    assert {s.name for s in BODIES} == set(SKELETONS)
    for source, target in PAIRS:
        conversion = get_conversion(source, target)
        for joint, alternatives in conversion.recipes.items():
            assert joint in target.joint_names
            for blend in alternatives:
                assert sum(blend.values()) == pytest.approx(1)
                assert set(blend) <= set(source.joint_names)
        assert set(TRUNK) <= set(conversion.recipes)
        described = conversion.describe()
        assert len(described) <= target.n_joints + 1
        for joint in conversion.approximate:
            assert any(line.startswith(f"{joint}: ") for line in described) or not (
                conversion.recipes.get(joint)
            )


@pytest.mark.parametrize(("source", "target"), [(H36M17, BODY25), (BODY25B, MPII16)])
def test_one_name_is_not_one_place(source, target) -> None:
    """Human3.6M's neck is between neck and nose; BODY_25's lies between the shoulders."""
    recipes, approximate = recipes_by_name(source, target)  # type: ignore[misc]
    if target is BODY25:
        assert recipes["neck"][0] == {"thorax": 1.0}
    else:
        assert recipes["neck"][0] == {"neck": 1.0}  # both the upper neck
    assert ("neck" in approximate) == (target is BODY25)


def test_formed_points_lie_on_a_body() -> None:
    """From a standing body with known heights, the formed points have theirs."""
    xy = torch.full((1, 33, 2), 0.0)
    for i, name in enumerate(MEDIAPIPE33.joint_names):
        y = {"hip": 100.0, "shoulder": 0.0, "ear": -39.0, "eye": -39.0, "nose": -31.0}
        xy[0, i, 1] = next((v for part, v in y.items() if part in name), 50.0)
    from hypopose.types import Keypoints2D

    mpii = convert(Keypoints2D(xy, MEDIAPIPE33), MPII16)
    height = dict(zip(MPII16.joint_names, mpii.xy[0, :, 1].tolist(), strict=True))
    assert height["pelvis"] == pytest.approx(100)
    assert height["thorax"] == pytest.approx(0)
    assert height["neck"] == pytest.approx(-12)
    assert height["head_top"] == pytest.approx(-64)
    assert (MEDIAPIPE33.name, MPII16.name) not in CONVERSIONS
