"""Laws of every skeleton."""

from __future__ import annotations

import pytest
import torch
from strategies import normals

from hypopose.errors import SkeletonMismatchError
from hypopose.skeletons import SKELETONS, get_skeleton

ALL = list(SKELETONS.values())


@pytest.mark.parametrize("skeleton", ALL, ids=lambda s: s.name)
class TestEverySkeleton:
    def test_flip_twice_is_identity(self, skeleton) -> None:
        order = torch.tensor(skeleton.flip_order)
        points = normals(0, 4, skeleton.n_joints, 2)
        assert torch.equal(points[:, order][:, order], points)
        assert sorted(order.tolist()) == list(range(skeleton.n_joints))

    def test_left_and_right_are_namesakes(self, skeleton) -> None:
        names = skeleton.joint_names
        for a, b in zip(skeleton.left, skeleton.right, strict=True):
            assert names[a].replace("left", "right") == names[b]
        sided = {i for i, n in enumerate(names) if "left" in n or "right" in n}
        assert sided == {*skeleton.left, *skeleton.right}

    def test_the_tree_is_symmetric(self, skeleton) -> None:
        order = skeleton.flip_order
        for joint, parent in enumerate(skeleton.parents):
            mirrored = -1 if parent < 0 else order[parent]
            assert skeleton.parents[order[joint]] == mirrored

    def test_all_joints_hang_on_one_root(self, skeleton) -> None:
        assert skeleton.parents.count(-1) == 1
        for joint in range(skeleton.n_joints):
            at = joint
            for _ in range(skeleton.n_joints):
                at = skeleton.parents[at] if at != skeleton.root else at
            assert at == skeleton.root

    def test_it_is_found_by_name(self, skeleton) -> None:
        assert get_skeleton(skeleton.name) is skeleton
        assert get_skeleton(skeleton) is skeleton


def test_unknown_names_are_refused_with_a_list() -> None:
    with pytest.raises(SkeletonMismatchError, match="coco17"):
        get_skeleton("coco")
