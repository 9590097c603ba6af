"""Humanoid rigs, locked feet and several people, read back by libraries that are not ours."""

from __future__ import annotations

import importlib
import re
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from handed_body import N_FRAMES, placed
from scipy.spatial.transform import Rotation

from hypopose.datasets import example_motion, example_pair
from hypopose.errors import OptionError
from hypopose.io import ExportOptions, export_result
from hypopose.io.results import Result
from hypopose.io.writers import bvh_animation, export_people, gltf
from hypopose.io.writers.humanoid import BONES, RIGS
from hypopose.io.writers.performing import performed
from hypopose.io.writers.rig import lowest
from hypopose.io.writers.scene import build_scene
from hypopose.skeletons import H36M17, H36M21
from hypopose.types import Camera, Hypotheses, Poses3D


def walking(n_frames: int = 50) -> Result:
    """A walk in a world with z up and the floor at 0, seen by a camera that knows it."""
    world = example_motion(n_frames).double()
    level = torch.tensor([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    camera = replace(
        Camera.from_fov((1000, 1000)),
        rotation=level,
        translation=torch.tensor([0.0, 1.0, 4.0]),
        assumed=False,
    )
    cam = world.float() @ level.T + camera.translation
    root = cam[:, 0]
    keypoints = replace(example_pair(n_frames)[0], camera=camera)
    pose = Poses3D(cam - root[:, None], H36M17, root)
    return Result(Hypotheses(pose.joints[None], H36M17, root[None]), pose, keypoints, seed=0)


def read_bvh(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        bvhio = importlib.import_module("bvhio")
    root = bvhio.readAsHierarchy(str(path))
    frames = []
    for frame in range(N_FRAMES):
        root.loadPose(frame)
        frames.append({joint.Name: tuple(joint.PositionWorld) for joint, _, _ in root.layout()})
    return {name: np.array([at[name] for at in frames]) / 100 for name in frames[0]}


def read_glb(path):
    """Places of named nodes: pygltflib opens it, glTF's rules move it."""
    file = importlib.import_module("pygltflib").GLTF2().load(str(path))
    blob = file.binary_blob()

    def array(index):
        accessor = file.accessors[index]
        width = {"SCALAR": 1, "VEC3": 3, "VEC4": 4, "MAT4": 16}[accessor.type]
        start = file.bufferViews[accessor.bufferView].byteOffset
        return np.frombuffer(blob, "<f4", accessor.count * width, start).reshape(-1, width)

    moved = {}
    for channel in file.animations[0].channels:
        output = file.animations[0].samplers[channel.sampler].output
        moved[channel.target.node, channel.target.path] = array(output).astype(float)
    n, at = max(len(v) for v in moved.values()), {}

    def walk(node, place, turn):
        step = moved.get((node, "translation"), np.array(file.nodes[node].translation or [0] * 3))
        place = place + np.einsum("fab,fb->fa", turn, np.broadcast_to(step, (n, 3)))
        if (node, "rotation") in moved:
            turn = turn @ Rotation.from_quat(moved[node, "rotation"]).as_matrix()
        at[file.nodes[node].name] = place
        for child in file.nodes[node].children or []:
            walk(child, place, turn)

    for node in file.scenes[0].nodes:
        walk(node, np.zeros((n, 3)), np.broadcast_to(np.eye(3), (n, 3, 3)))
    return file, at


@pytest.mark.parametrize("rig", RIGS)
@pytest.mark.parametrize("ending", ["bvh", "glb"])
def test_bones_have_the_rigs_names_and_constant_lengths(result, tmp_path, rig, ending):
    path = tmp_path / f"out.{ending}"
    done = export_result(path, result, ExportOptions(rig=rig))
    found = read_bvh(path) if ending == "bvh" else read_glb(path)[1]
    assert set(RIGS[rig]) <= set(found)
    assert f"rig {rig}" in done.notes[-1]
    for i, bone in enumerate(BONES):
        if bone.parent >= 0:
            a, b = (found[RIGS[rig][k]] for k in (bone.parent, i))
            length = np.linalg.norm(b - a, axis=-1)
            assert length.std() < 1e-4
            assert length.min() > 0.02  # no bone of no length, no helper


def test_bones_are_listed_depth_first():
    """A BVH lists its hierarchy so, and its columns follow."""
    listed: list[int] = []

    def walk(i):
        listed.append(i)
        for child in [c for c, bone in enumerate(BONES) if bone.parent == i]:
            walk(child)

    walk(0)
    assert listed == list(range(len(BONES)))


def test_limbs_point_where_the_joints_say(result, tmp_path):
    export_result(tmp_path / "out.bvh", result, ExportOptions(rig="mixamo", frame="camera"))
    found = read_bvh(tmp_path / "out.bvh")
    at = placed(result) * [1, -1, -1]  # y up
    for a, b, start, end in (
        ("LeftUpLeg", "LeftLeg", "left_hip", "left_knee"),
        ("RightLeg", "RightFoot", "right_knee", "right_ankle"),
        ("LeftArm", "LeftForeArm", "left_shoulder", "left_elbow"),
        ("RightForeArm", "RightHand", "right_elbow", "right_wrist"),
    ):
        rig = found[f"mixamorig:{b}"] - found[f"mixamorig:{a}"]
        seen = at[:, H36M17.index(end)] - at[:, H36M17.index(start)]
        cosine = (rig * seen).sum(-1) / np.linalg.norm(rig, axis=-1) / np.linalg.norm(seen, axis=-1)
        assert cosine.min() > 1 - 1e-6


def test_the_ends_of_a_bvh_have_a_length(result, tmp_path):
    export_result(tmp_path / "out.bvh", result, ExportOptions(rig="mixamo"))
    text = (tmp_path / "out.bvh").read_text()
    ends = re.findall(r"End Site\s*\{\s*OFFSET (\S+) (\S+) (\S+)", text)
    assert len(ends) == 5  # head, hands, feet
    assert all(np.linalg.norm([float(x) for x in end]) > 5 for end in ends)


def test_a_vrm_animation_names_its_bones(result, tmp_path):
    export_result(tmp_path / "out.glb", result, ExportOptions(rig="vrm"))
    file, _ = read_glb(tmp_path / "out.glb")
    assert file.extensionsUsed == ["VRMC_vrm_animation"]
    extension = file.extensions["VRMC_vrm_animation"]
    assert extension["specVersion"] == "1.0"
    bones = extension["humanoid"]["humanBones"]
    assert {file.nodes[b["node"]].name for b in bones.values()} == set(RIGS["vrm"])
    needed = {"hips", "spine", "head", "leftUpperLeg", "rightFoot", "leftHand", "rightLowerArm"}
    assert needed < set(bones)
    moved = {c.target.node for c in file.animations[0].channels if c.target.path == "translation"}
    assert moved == {bones["hips"]["node"]}


def test_locked_feet_hold_still_and_bones_stay(tmp_path):
    result = walking()
    g = torch.Generator().manual_seed(0)
    noise = 0.006 * torch.randn(50, 1, 3, generator=g)
    shaken = replace(result.pose, root=result.pose.root + noise[:, 0])
    result = replace(result, pose=shaken)
    plain, locked = (
        build_scene(result, ExportOptions(rig="mixamo", lock_feet=lock), bvh_animation.DEFAULTS)
        for lock in (False, True)
    )
    before, after = (performed(scene, scene.takes[0]) for scene in (plain, locked))
    words = re.search(r"locked in (\d+) contacts: (\S+) mm of slide each, (\S+) mm", after.note)
    n, was, now = int(words[1]), float(words[2]), float(words[3])
    assert n >= 2
    assert was > 20
    assert now < 0.2 * was
    a, b = before.places(), after.places()
    rig = before.rig
    for i, parent in enumerate(rig.parents):
        if parent >= 0:
            length = np.linalg.norm(b[:, i] - b[:, parent], axis=-1)
            assert np.allclose(length, np.linalg.norm(rig.offsets[i]))
    assert np.abs(a - b).max() < 25  # centimeters: a motion, not another one
    assert np.allclose(np.linalg.det(after.turns), 1)
    away = ExportOptions(lock_feet=True, root="none")
    scene = build_scene(result, away, bvh_animation.DEFAULTS)
    with pytest.raises(OptionError, match="this motion has none"):
        performed(scene, scene.takes[0])


def test_in_place_takes_the_level_way_out_only():
    result = walking()
    options = ExportOptions(rig="vrm")
    moving, still = (
        performed(scene, scene.takes[0])
        for scene in (
            build_scene(result, replace(options, in_place=on), gltf.DEFAULTS)
            for on in (False, True)
        )
    )
    assert np.ptp(moving.root[:, [0, 2]], axis=0).max() > 1
    assert np.ptp(still.root[:, [0, 2]], axis=0) == pytest.approx([0, 0], abs=1e-9)
    assert np.allclose(still.root[:, 1], moving.root[:, 1])
    assert np.allclose(still.turns, moving.turns)


def test_a_humanoid_without_a_world_is_put_on_the_floor(result):
    options = ExportOptions(rig="mixamo", frame="camera")
    scene = build_scene(result, options, bvh_animation.DEFAULTS)
    performance = performed(scene, scene.takes[0])
    heights = lowest(performance, scene)
    assert np.quantile(heights, 0.05) == pytest.approx(0, abs=1e-6)
    assert performance.root[0, [0, 2]] == pytest.approx([0, 0], abs=1e-9)
    assert "put on a floor" in performance.note
    world = build_scene(result, ExportOptions(rig="mixamo"), bvh_animation.DEFAULTS)
    assert "put on a floor" not in performed(world, world.takes[0]).note


def test_several_people_stand_in_one_gltf(result, tmp_path):
    other = replace(walking(8), person="ann")
    camera = replace(result.keypoints, camera=other.keypoints.camera)
    done = export_people(tmp_path / "two.glb", [replace(result, keypoints=camera), other])
    file, at = read_glb_lengths(tmp_path / "two.glb")
    assert [skin.name for skin in file.skins] == ["person_0", "person_ann"]
    assert len({node.name for node in file.nodes}) == len(file.nodes)
    assert at == {N_FRAMES, 8}
    assert {m.primitives[0].material for m in file.meshes} == {0}  # both opaque
    assert [note.partition(":")[0] for note in done.notes][-2:] == ["person_0", "person_ann"]
    with pytest.raises(OptionError, match=r"two\.bvh: such a file holds one person"):
        export_people(tmp_path / "two.bvh", [result, other])
    blind = replace(other, keypoints=replace(other.keypoints, camera=None))
    with pytest.raises(OptionError, match="different frames"):
        export_people(tmp_path / "x.glb", [result, blind])


def test_people_of_one_recording_stand_where_they_stood(result, tmp_path):
    """Each has a world of its own, below its own feet; one scene has one world."""
    note = ("world frame estimated from feet: camera looks 2.0 degrees down",)
    first = replace(result, notes=note)
    apart = torch.tensor([1.0, 0.0, 0.0])
    camera = result.keypoints.camera
    moved = replace(camera, translation=camera.translation + apart)
    x, pose = result.hypotheses, result.pose
    second = replace(
        first,
        person="ann",
        hypotheses=replace(x, root=x.root + apart),
        pose=replace(pose, root=pose.root + apart),
        keypoints=replace(result.keypoints, camera=moved),
    )
    for options in (ExportOptions(rig="vrm"), ExportOptions(rig="vrm", frame="camera")):
        export_people(tmp_path / "two.glb", [first, second], options)
        _, at = read_glb(tmp_path / "two.glb")
        hips = [at[name] for name in at if "hips" in name]
        assert len(hips) == 2, list(at)
        assert np.linalg.norm((hips[1] - hips[0])[:, [0, 2]], axis=-1) == pytest.approx(1, abs=1e-3)
    one = export_people(tmp_path / "two.glb", [first, second])
    assert "all stand in the world estimated for the first" in one.notes
    other = export_people(tmp_path / "two.glb", [first, replace(second, source="b.json")])
    assert "each person stands in a world of its own" in other.notes[0]


def test_an_estimated_floor_is_put_under_a_humanoid(result):
    guessed = replace(
        result, notes=("world frame estimated from feet: camera looks 2 degrees down",)
    )
    scene = build_scene(guessed, ExportOptions(rig="vrm"), gltf.DEFAULTS)
    performance = performed(scene, scene.takes[0])
    assert np.quantile(lowest(performance, scene), 0.05) == pytest.approx(0, abs=1e-6)
    known = performed(replace(scene, result=result), scene.takes[0])
    assert np.allclose((known.root - performance.root) @ scene.to_z_up.T[:, :2], 0, atol=1e-9)


def read_glb_lengths(path):
    """The file, and how many frames its tracks have."""
    file = importlib.import_module("pygltflib").GLTF2().load(str(path))
    return file, {file.accessors[s.input].count for s in file.animations[0].samplers}


@pytest.mark.parametrize("name", ["rig", "lock_feet", "in_place"])
def test_formats_without_rotations_refuse(result, tmp_path, name):
    options = ExportOptions(**{name: "vrm" if name == "rig" else True})
    with pytest.raises(OptionError, match=rf"{name} is about rotations of bones"):
        export_result(tmp_path / "out.csv", result, options)


def test_jitter_slide_and_the_floor_are_measured():
    result = walking()
    g = torch.Generator().manual_seed(0)
    noise = 0.02 * torch.randn(50, 1, 3, generator=g)
    shaken = replace(result, pose=replace(result.pose, root=result.pose.root + noise[:, 0]))
    notes = {}
    for name, own in (("calm", result), ("shaken", shaken)):
        for lock in (False, True):
            options = ExportOptions(rig="vrm", lock_feet=lock)
            scene = build_scene(own, options, gltf.DEFAULTS)
            performance = performed(scene, scene.takes[0])
            notes[name, lock] = performance.note
            deep = max(0.0, -1000 * float(lowest(performance, scene).min()))
            assert f"up to {deep:.0f} mm below the floor" in performance.note
    told = {k: re.search(r"jitter ([\d.]+) mm", note)[1] for k, note in notes.items()}
    assert float(told["shaken", False]) > float(told["calm", False]) + 3
    slide = {k: re.search(r"feet slide (\d+) mm a contact", note) for k, note in notes.items()}
    assert int(slide["shaken", False][1]) > int(slide["calm", False][1])
    assert slide["shaken", True] is None  # told as before and after
    apart = build_scene(result, ExportOptions(root="none"), gltf.DEFAULTS)
    assert "slide" not in performed(apart, apart.takes[0]).note


def test_feet_of_a_humanoid_point_to_known_toes():
    result = walking(8)
    x = result.pose.joints
    ankles, legs = x[:, [6, 6, 3, 3]], torch.tensor([0.04, 0.2, 0.04, 0.2])[:, None]
    along = torch.tensor([[-0.3, 0.8, 0.5], [0.3, 0.4, 0.8], [-0.3, 0.8, 0.5], [0.3, 0.4, 0.8]])
    with_feet = torch.cat((x, ankles + legs * along), 1)
    pose = Poses3D(with_feet, H36M21, result.pose.root)
    hypotheses = Hypotheses(with_feet[None], H36M21, result.pose.root[None])
    both = replace(result, hypotheses=hypotheses, pose=pose)
    scene = build_scene(both, ExportOptions(rig="vrm"), gltf.DEFAULTS)
    performance = performed(scene, scene.takes[0])
    foot = performance.rig.names.index("leftFoot")
    seen = scene.takes[0].joints
    way = seen[:, H36M21.index("left_big_toe")] - seen[:, H36M21.index("left_ankle")]
    turned = (performance.globally()[:, foot] @ performance.rig.tips[foot, :, None])[..., 0]
    cosine = (way * turned).sum(-1) / np.linalg.norm(way, axis=-1) / np.linalg.norm(turned, axis=-1)
    assert np.allclose(cosine, 1)
