"""Files of surfaces, read back by readers that are not ours."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pygltflib
import pytest
from scipy.spatial.transform import Rotation

import hypopose
from hypopose.api.meshes import make_meshes
from hypopose.bodies import PARTS, ArrayBody, CapsuleBody
from hypopose.bodies.example import example_arrays
from hypopose.bodies.mesh_files import MESH_WRITERS, mesh_ending, save_mesh
from hypopose.bodies.mesh_glb import strongest, vertex_normals
from hypopose.bodies.mesh_scenes import MeshScene, nearest_known
from hypopose.errors import OptionError
from hypopose.report.mesh_pictures import draw_mesh, nearest_triangles


@pytest.fixture(scope="module")
def result() -> hypopose.Result:
    keypoints, _ = hypopose.datasets.example_pair(6)
    return hypopose.estimate(keypoints, sampler="boneflips", n_hypotheses=4)


@pytest.fixture(scope="module")
def scene(result: hypopose.Result) -> MeshScene:
    return make_meshes(result, motion="all")


def read_accessor(gltf: pygltflib.GLTF2, index: int) -> np.ndarray:
    accessor = gltf.accessors[index]
    view = gltf.bufferViews[accessor.bufferView]
    width = {"SCALAR": 1, "VEC3": 3, "VEC4": 4, "MAT4": 16}[accessor.type]
    kind = {5126: "<f4", 5121: "u1", 5123: "<u2", 5125: "<u4"}[accessor.componentType]
    start = (view.byteOffset or 0) + (accessor.byteOffset or 0)
    flat = np.frombuffer(gltf.binary_blob(), kind, accessor.count * width, start)
    return flat.reshape(accessor.count, width)


def skinned(gltf: pygltflib.GLTF2, mesh: int, frame: int) -> np.ndarray:
    """Vertices of a frame, computed as a viewer does."""
    node = next(n for n in gltf.nodes if n.mesh == mesh)
    skin = gltf.skins[node.skin]
    poses = {i: (n.translation, n.rotation) for i, n in enumerate(gltf.nodes)}
    for channel in gltf.animations[0].channels if gltf.animations else []:
        sampler = gltf.animations[0].samplers[channel.sampler]
        value = read_accessor(gltf, sampler.output)[frame]
        at = poses[channel.target.node]
        poses[channel.target.node] = (
            (value, at[1]) if channel.target.path == "translation" else (at[0], value)
        )
    attributes = gltf.meshes[mesh].primitives[0].attributes
    position = read_accessor(gltf, attributes.POSITION)
    owners, weights = (read_accessor(gltf, i) for i in (attributes.JOINTS_0, attributes.WEIGHTS_0))
    bind = read_accessor(gltf, skin.inverseBindMatrices).reshape(-1, 4, 4)
    np.testing.assert_array_equal(bind, np.tile(np.eye(4), (len(bind), 1, 1)))
    each = np.zeros((len(skin.joints), *position.shape))
    for i, joint in enumerate(skin.joints):
        shift, turn = poses[joint]
        each[i] = position @ Rotation.from_quat(turn).as_matrix().T + np.asarray(shift)
    rows = np.arange(len(position))
    return sum(weights[:, [k]] * each[owners[:, k], rows] for k in range(4))


def test_a_viewer_sees_the_surface_move(scene: MeshScene, tmp_path: Path) -> None:
    notes = save_mesh(tmp_path / "walk.glb", scene)
    gltf = pygltflib.GLTF2().load(str(tmp_path / "walk.glb"))
    assert len(gltf.meshes) == len(scene.takes) == 5
    for mesh in (0, 3):
        assert gltf.meshes[mesh].name == scene.takes[mesh].label
        for frame in (0, 3, 5):
            off = np.abs(skinned(gltf, mesh, frame) - scene.takes[mesh].vertices[frame])
            assert off.max() < 0.05
            assert np.median(off) < 1e-4
    assert "departs from the surface by" in notes[0]
    times = read_accessor(gltf, gltf.animations[0].samplers[0].input)[:, 0]
    np.testing.assert_allclose(times, np.arange(6) / 25, atol=1e-6)
    faces = read_accessor(gltf, gltf.meshes[0].primitives[0].indices).reshape(-1, 3)
    np.testing.assert_array_equal(faces, scene.faces)
    assert gltf.materials[1].alphaMode == "BLEND"


def test_spread_is_in_the_file_as_numbers_and_colors(scene: MeshScene, tmp_path: Path) -> None:
    save_mesh(tmp_path / "walk.glb", scene)
    gltf = pygltflib.GLTF2().load(str(tmp_path / "walk.glb"))
    attributes = gltf.meshes[0].primitives[0].attributes
    spread = read_accessor(gltf, attributes._SPREAD)[:, 0]
    assert scene.spread is not None
    np.testing.assert_allclose(spread, scene.spread.mean(0), atol=1e-6)
    parts = read_accessor(gltf, attributes._PART)[:, 0]
    np.testing.assert_array_equal(parts, scene.part_labels)
    colors = read_accessor(gltf, attributes.COLOR_0)
    assert (colors[:, 3] == 1).all()
    assert colors[:, :3].min() >= 0
    brightest, darkest = colors[spread.argmax()], colors[spread.argmin()]
    assert brightest[0] > 0.5 > darkest[0]  # viridis ends in yellow
    extras = gltf.scenes[0].extras
    assert extras["unit"] == "m"
    assert extras["axes"] == "camera frame; x right; y up; z backward; meters"
    assert extras["spread_colors"]["map"] == "viridis"
    assert extras["body"] == "capsules"
    assert extras["n_hypotheses"] == 4
    assert extras["joint_error_mm"] > 0
    normals = read_accessor(gltf, attributes.NORMAL)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-4)


def test_one_frame_is_not_animated(scene: MeshScene, tmp_path: Path) -> None:
    save_mesh(tmp_path / "walk.glb", replace(scene, takes=scene.takes[:1]), frame=2)
    gltf = pygltflib.GLTF2().load(str(tmp_path / "walk.glb"))
    assert not gltf.animations
    off = np.abs(skinned(gltf, 0, 0) - scene.takes[0].vertices[2])
    assert np.median(off) < 1e-4


def read_ply(path: Path) -> tuple[list[str], np.ndarray, np.ndarray]:
    data = path.read_bytes()
    end = data.index(b"end_header\n") + len(b"end_header\n")
    header = data[:end].decode("ascii").splitlines()
    n = next(int(line.split()[2]) for line in header if line.startswith("element vertex"))
    names = [
        line.split()[1:] for line in header if line.startswith("property") and "list" not in line
    ]
    kinds = {"float": "<f4", "uchar": "u1"}
    table = np.frombuffer(data, [(name, kinds[kind]) for kind, name in names], n, end)
    faces = np.frombuffer(data[end + table.nbytes :], [("n", "u1"), ("c", "<i4", 3)])
    return header, table, faces["c"]


def test_the_nearer_triangle_hides_the_farther_one() -> None:
    near = [[2.0, 2.0, 1.0], [9.0, 2.0, 1.0], [2.0, 9.0, 1.0]]
    through = [[0.0, 0.0, 0.0], [12.0, 0.0, 4.0], [0.0, 12.0, 0.0]]  # in front where x > 3
    colors = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    picture = nearest_triangles(np.array([near, through]), colors, 12)
    assert picture[4, 2].tolist() == [1.0, 0.0, 0.0, 1.0]
    assert picture[4, 4].tolist() == [0.0, 0.0, 1.0, 1.0]
    assert picture[11, 11, 3] == 0
    assert 0 < picture[6, 5, 3] < 1


def test_ply_holds_one_frame(scene: MeshScene, tmp_path: Path) -> None:
    notes = save_mesh(tmp_path / "walk.ply", scene, frame=1)
    assert notes == ("4 further motions are left out; .npz holds them",)
    header, table, faces = read_ply(tmp_path / "walk.ply")
    assert header[:2] == ["ply", "format binary_little_endian 1.0"]
    assert any("meters" in line for line in header)
    places = np.stack([table[name] for name in "xyz"], 1)
    np.testing.assert_allclose(places, scene.takes[0].vertices[1], atol=1e-6)
    assert scene.spread is not None
    np.testing.assert_allclose(table["spread"], scene.spread[1], atol=1e-6)
    np.testing.assert_array_equal(faces, scene.faces)
    record = next(line for line in header if line.startswith("comment record"))
    assert json.loads(record.removeprefix("comment record "))["unit"] == "m"
    save_mesh(tmp_path / "middle.ply", scene)
    assert any("frame 3" in line for line in read_ply(tmp_path / "middle.ply")[0])


def test_npz_holds_everything(result: hypopose.Result, tmp_path: Path) -> None:
    scene = make_meshes(result, motion="all", up="native", shape="hypothesis")
    save_mesh(tmp_path / "walk.npz", scene)
    with np.load(tmp_path / "walk.npz", allow_pickle=False) as stored:
        assert stored["vertices"].shape == (5, 6, 324, 3)
        assert stored["labels"].tolist() == ["aggregate", "h00", "h01", "h02", "h03"]
        assert stored["spread"].shape == (6, 324)
        assert PARTS[stored["part_labels"].min()] == "head"
        assert stored["shape"].shape == (5, 6, 11)
        metadata = json.loads(str(stored["metadata"]))
        joints = stored["joints"]
    assert metadata["axes"] == "camera frame; x right; y down; z forward; meters"
    placed = result.hypotheses.joints + result.hypotheses.root[..., None, :]
    assert np.abs(joints[1:] - placed.numpy()).mean() < 0.05
    save_mesh(tmp_path / "one.npz", scene, frame=4)
    with np.load(tmp_path / "one.npz") as one:
        np.testing.assert_array_equal(
            one["vertices"][:, 0], np.stack([take.vertices[4] for take in scene.takes])
        )


def test_axes_are_turned(result: hypopose.Result) -> None:
    native, y, z = (make_meshes(result, up=up).takes[0].vertices for up in ("native", "y", "z"))
    np.testing.assert_allclose(y, native * [1, -1, -1], atol=1e-5)
    np.testing.assert_allclose(z, np.stack([native[..., 0], native[..., 2], -native[..., 1]], -1))


def test_surfaces_that_are_no_skin(result: hypopose.Result, tmp_path: Path) -> None:
    free = make_meshes(result, shape="frame")
    assert free.record["joint_error_mm"] < make_meshes(result).record["joint_error_mm"]
    with pytest.raises(OptionError, match="fit with --shape shared"):
        save_mesh(tmp_path / "walk.glb", free)
    assert not (tmp_path / "walk.glb").exists()
    save_mesh(tmp_path / "walk.ply", free)
    one = make_meshes(result, shape="hypothesis", motion=2)
    assert [take.label for take in one.takes] == ["h02"]
    save_mesh(tmp_path / "walk.glb", one)


def test_a_body_of_arrays(result: hypopose.Result, tmp_path: Path) -> None:
    scene = make_meshes(result, body=ArrayBody(example_arrays()))
    save_mesh(tmp_path / "walk.glb", scene)
    gltf = pygltflib.GLTF2().load(str(tmp_path / "walk.glb"))
    np.testing.assert_allclose(skinned(gltf, 0, 2), scene.takes[0].vertices[2], atol=1e-4)


def test_frames_without_a_body(result: hypopose.Result, tmp_path: Path) -> None:
    joints = result.hypotheses.joints.clone()
    joints[:, 2] = np.nan
    pose = result.pose.joints.clone()
    pose[2] = np.nan
    holes = replace(
        result,
        hypotheses=replace(result.hypotheses, joints=joints),
        pose=replace(result.pose, joints=pose),
    )
    scene = make_meshes(holes)
    notes = save_mesh(tmp_path / "walk.glb", scene)
    assert "1 frames in which the body is unknown" in notes[1]
    with pytest.raises(OptionError, match="could not be placed in frame 2"):
        save_mesh(tmp_path / "walk.ply", scene, frame=2)
    with pytest.raises(OptionError, match="could not be placed in frame 2"):
        draw_mesh(tmp_path / "walk.png", scene, 2)
    empty = make_meshes(replace(holes, pose=replace(holes.pose, joints=pose * np.nan)))
    with pytest.raises(OptionError, match="could not be placed in any frame"):
        save_mesh(tmp_path / "none.glb", empty)


def test_one_hypothesis_has_no_spread(tmp_path: Path) -> None:
    keypoints, _ = hypopose.datasets.example_pair(3)
    scene = make_meshes(hypopose.estimate(keypoints, sampler="boneflips", n_hypotheses=1))
    assert scene.spread is None
    for ending in MESH_WRITERS:
        save_mesh(tmp_path / f"walk.{ending}", scene)
    assert np.isnan(read_ply(tmp_path / "walk.ply")[1]["spread"]).all()
    draw_mesh(tmp_path / "walk.png", scene)


def test_pictures(scene: MeshScene, tmp_path: Path) -> None:
    from PIL import Image

    draw_mesh(tmp_path / "walk.png", scene, 0)
    picture = np.asarray(Image.open(tmp_path / "walk.png").convert("RGB"))
    assert (picture.reshape(-1, 3).max(1) < 250).mean() > 0.03
    for bad in (-1, 6):
        with pytest.raises(OptionError, match="There is no frame"):
            draw_mesh(tmp_path / "no.png", scene, bad)


def test_what_is_refused(result: hypopose.Result, scene: MeshScene, tmp_path: Path) -> None:
    assert mesh_ending("a.b/walk.PLY") == "ply"
    with pytest.raises(OptionError, match=r"written as \.glb, \.ply, \.npz, not as 'walk.obj'"):
        mesh_ending("walk.obj")
    with pytest.raises(OptionError, match="There is no frame 6; the clip has 6"):
        save_mesh(tmp_path / "walk.ply", scene, frame=6)
    for bad in ("mean", 4):
        with pytest.raises(OptionError, match=r"motion is 'aggregate'|There is no hypothesis 4"):
            make_meshes(result, motion=bad)
    with pytest.raises(OptionError, match="up='x'"):
        make_meshes(result, up="x")


def test_helpers() -> None:
    weights = np.array([[0.1, 0.2, 0.3, 0.15, 0.25]])
    owners, shares = strongest(weights)
    assert sorted(owners[0].tolist()) == [1, 2, 3, 4]
    assert shares.sum() == pytest.approx(1)
    assert nearest_known(np.array([True])).tolist() == [0]
    body = CapsuleBody()
    vertices = body.bind(body.shapes.mean).vertices.numpy()
    outwards = vertices - vertices.reshape(18, 18, 3).mean(1).repeat(18, 0)
    normals: Any = vertex_normals(vertices, body.faces.numpy())
    assert (np.sum(normals * outwards, 1) > 0).all()


def test_too_many_surfaces_are_refused_before_the_fit(
    result: hypopose.Result, scene: MeshScene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_bytes = 12 * scene.takes[0].vertices[..., 0].size
    monkeypatch.setattr("hypopose.bodies.mesh_files.MAX_BYTES", n_bytes)
    with pytest.raises(OptionError, match=r"write one motion \(--motion aggregate\)"):
        make_meshes(result, motion="all")
    one = make_meshes(result)
    assert save_mesh(tmp_path / "one.npz", one) == ()
    monkeypatch.setattr("hypopose.bodies.mesh_files.MAX_BYTES", n_bytes - 1)
    with pytest.raises(OptionError, match=r"write one frame \(--frame N\)"):
        save_mesh(tmp_path / "two.npz", one)
    save_mesh(tmp_path / "two.npz", one, 0)
