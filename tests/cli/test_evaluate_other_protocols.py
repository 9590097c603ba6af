"""``hypopose evaluate --protocol`` on synthetic HumanEva, 3DPW and folders of one's own."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from protocol_folders import dictionary, eva_view, make_3dpw, make_humaneva, make_pairs
from protocol_numbers import mean_of_means, per_frame, relative

from hypopose.cli import main
from hypopose.datasets.protocols import PROTOCOLS, fetch_notes, make_protocol
from hypopose.errors import FormatError, OptionError

KEYS = ("mpjpe_mean_mm", "p_mpjpe_mean_mm", "n_mpjpe_mean_mm", "energy_score_joint_mm", "crps_mm",
        "mpjpe_oracle_joint_best_mm", "p_mpjpe_oracle_pose_best_frame_mm")  # fmt: skip
FOURTEEN_OF_SMPL = [8, 5, 2, 1, 4, 7, 21, 19, 17, 16, 18, 20, 12, 15]


def evaluated(folder: Path, protocol: str, *options: object) -> dict:
    out = folder / "out.json"
    done = CliRunner().invoke(
        main,
        ["evaluate", "--protocol", protocol, "--data", str(folder / "data"), "-o", str(out),
         *map(str, options)],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    return json.loads(out.read_text())


def guesses(truths: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Two hypotheses a view, root-relative ``(2, F, J, 3)``."""
    rng = np.random.default_rng(2)
    return {k: 0.97 * y + rng.normal(0, 0.05, (2, *y.shape)) for k, y in truths.items()}


def check(data: dict, values: list[dict], groups: list[str] | None = None) -> None:
    scores = data["scores"] | data["oracle_scores"]
    means = data["means"] | data["oracle_means"]
    for key in KEYS:
        pooled = np.concatenate([v[key] for v in values]).mean()
        assert scores[key]["value"] == pytest.approx(pooled, rel=1e-6), key
        if groups is not None:
            expected = mean_of_means([v[key] for v in values], groups)
            assert means[key]["value"] == pytest.approx(expected, rel=1e-6), key


def test_humaneva(tmp_path: Path) -> None:
    world = make_humaneva(tmp_path / "data")
    truths, groups = {}, []
    for subject, takes in world.items():
        for take, motion in takes.items():
            if take.startswith("Gestures"):
                continue
            for camera in range(3):
                truths[f"{subject}/{take}/{camera}"] = relative(eva_view(motion, subject, camera))
                groups.append(f"{take.split(' ')[0]} {subject[-2:]}")
    x = {k: relative(v) for k, v in guesses(truths).items()}
    np.savez(tmp_path / "theirs.npz", **x)
    data = evaluated(tmp_path, "humaneva", "--prediction", tmp_path / "theirs.npz")
    check(data, [per_frame(x[k], y) for k, y in truths.items()], groups)
    assert len(data["groupings"]["action"]) == 9
    assert data["settings"]["n_sequences"] == 9  # chunks of a recording are one sequence


def persons(sequences: dict[str, dict]) -> dict[str, np.ndarray]:
    """Camera-frame SMPL joints of valid frames by person."""
    found = {}
    for name in sorted(sequences):
        stored = sequences[name]
        for i, joints in enumerate(stored["jointPositions"]):
            world = joints.reshape(-1, 24, 3)
            turn, shift = stored["cam_poses"][:, :3, :3], stored["cam_poses"][:, None, :3, 3]
            placed = np.einsum("fij,fnj->fni", turn, world) + shift
            found[f"{name}/{i}"] = placed[stored["campose_valid"][i] > 0]
    return found


def test_3dpw_with_smpls_own_joints(tmp_path: Path) -> None:
    truths = {k: relative(y) for k, y in persons(make_3dpw(tmp_path / "data")).items()}
    x = {k: relative(v) for k, v in guesses(truths).items()}
    np.savez(tmp_path / "theirs.npz", **x)
    data = evaluated(tmp_path, "3dpw", "--prediction", tmp_path / "theirs.npz",
                     "--variant", "partial=true")  # fmt: skip
    some = FOURTEEN_OF_SMPL
    check(data, [per_frame(x[k][..., some, :], y[:, some]) for k, y in truths.items()])
    assert data["settings"]["joints"] == "14 of smpl24 beside the root, which only aligns"
    assert "PARTIAL DATA: 2 of 24 sequences" in data["settings"]["notes"][-1]
    fourteen = {k: v[..., some, :] for k, v in x.items()}  # the pelvis is at the origin already
    np.savez(tmp_path / "theirs.npz", **fourteen)
    again = evaluated(tmp_path, "3dpw", "--prediction", tmp_path / "theirs.npz",
                      "--variant", "partial=true", "--force")  # fmt: skip
    assert again["scores"]["mpjpe_mean_mm"] == data["scores"]["mpjpe_mean_mm"]


def surface(arrays: dict, poses: np.ndarray, betas: np.ndarray, trans: np.ndarray) -> np.ndarray:
    """SMPL's vertices of one frame, with homogeneous matrices."""
    from scipy.spatial.transform import Rotation

    n = arrays["shapedirs"].shape[-1]
    shaped = arrays["v_template"] + arrays["shapedirs"] @ betas[:n]
    joints = arrays["J_regressor"] @ shaped
    turns = Rotation.from_rotvec(poses.reshape(24, 3)).as_matrix()
    bends = (turns[1:] - np.eye(3)).ravel()
    posed = shaped + arrays["posedirs"] @ bends
    places: list[np.ndarray] = []
    for i, parent in enumerate(arrays["parents"]):
        own = np.eye(4)
        own[:3, :3] = turns[i]
        own[:3, 3] = joints[i] - (joints[parent] if parent >= 0 else 0)
        places.append(own if parent < 0 else places[parent] @ own)
    out = np.zeros_like(posed)
    for i, place in enumerate(places):
        moved = (posed - joints[i]) @ place[:3, :3].T + place[:3, 3]
        out += arrays["weights"][:, i : i + 1] * moved
    return out + trans


def make_bodies(folder: Path) -> tuple[dict, np.ndarray, dict[str, str]]:
    """Arrays of a body in SMPL's layout, a regressor right first, and the variant that names both;
    the stored regressor has left first."""
    from hypopose.bodies.example import example_arrays
    from hypopose.skeletons import H36M17, SMPL24

    rng = np.random.default_rng(0)
    arrays = example_arrays(n_shapes=2)
    arrays = {k: v.astype(np.float64) if v.dtype.kind == "f" else v for k, v in arrays.items()}
    arrays["posedirs"] = rng.normal(0, 0.002, (len(arrays["v_template"]), 3, 207))
    blended = 0.8 * arrays["weights"] + 0.2 * np.roll(arrays["weights"], 1, axis=1)
    arrays["weights"] = blended
    near = {"thorax": "spine3", "neck": "neck", "spine": "spine2", "head": "head"}
    regressor = np.zeros((17, len(arrays["v_template"])))
    for j, name in enumerate(H36M17.joint_names):
        bone = SMPL24.index(near.get(name, name))
        regressor[j, 4 * bone : 4 * bone + 4] = [0.4, 0.3, 0.2, 0.1]
    flipped = regressor[list(H36M17.flip_order)]  # left first: brought to the usual order
    np.save(folder / "regressor.npy", flipped)
    models = folder / "models"
    models.mkdir()
    for gender in ("male", "FEMALE"):
        np.savez(models / f"SMPL_{gender}.npz", **arrays)
    return arrays, regressor, {
        "regressor": str(folder / "regressor.npy"), "body_models": str(models)
    }  # fmt: skip


def test_3dpw_with_vertices(tmp_path: Path) -> None:
    sequences = make_3dpw(tmp_path / "data", seen=False)
    arrays, regressor, variant = make_bodies(tmp_path)
    rng = np.random.default_rng(1)
    predicted, expected = {}, []
    for name in sorted(sequences):
        stored = sequences[name]
        for i, poses in enumerate(stored["poses"]):
            valid, turns = stored["campose_valid"][i] > 0, stored["cam_poses"][:, :3, :3]
            world = np.stack([
                surface(arrays, p, stored["betas"][i], t)
                for p, t in zip(poses, stored["trans"][i], strict=True)
            ])  # fmt: skip
            truth = world @ turns.transpose(0, 2, 1)
            x = np.stack([truth + rng.normal(0, 0.08, truth.shape) for _ in range(2)])
            predicted[f"{name}/{i}"] = 1000 * x + 500
            off = x.mean(0) - (regressor @ x.mean(0))[:, :1] - truth + (regressor @ truth)[:, :1]
            expected.append(1000 * np.linalg.norm(off, axis=-1).mean(-1)[valid])
    np.savez(tmp_path / "theirs.npz", **predicted)
    options = ("--variant", "partial=true", *(f"--variant={k}={v}" for k, v in variant.items()))
    data = evaluated(tmp_path, "3dpw", "--prediction", tmp_path / "theirs.npz", "--unit", "mm",
                     *options)  # fmt: skip
    found = data["scores"]["pve_mean_mm"]["value"]
    assert found == pytest.approx(np.concatenate(expected).mean(), rel=1e-6)
    assert data["scores"]["pve_single_mm"]["value"] > found
    assert data["settings"]["joints"].startswith("14 of h36m17")
    done = CliRunner().invoke(main, [
        "evaluate", "--protocol", "3dpw", "--data", str(tmp_path / "data"), "--unit", "mm",
        "--prediction", str(tmp_path / "theirs.npz"), *options, "--swap-sides",
        "--unchecked",
    ])  # fmt: skip
    assert done.exit_code == 2
    assert "--axes=-x,y,z" in done.output


def test_3dpw_with_a_regressor(tmp_path: Path) -> None:
    sequences = make_3dpw(tmp_path / "data", seen=False)
    arrays, regressor, variant = make_bodies(tmp_path)
    models = tmp_path / "models"
    data = make_protocol("3dpw", partial=True, **variant).open(tmp_path / "data")
    assert data.skeleton.n_joints == 15
    for entry in data.entries:
        name, i = entry.name.split("/")
        stored = sequences[name]
        view = data.load(entry)
        for f in range(entry.n_frames):
            parameters = (stored[key][int(i)] for key in ("poses", "trans"))
            poses, trans = (value[f] for value in parameters)
            world = regressor @ surface(arrays, poses, stored["betas"][int(i)], trans)
            camera = stored["cam_poses"][f]
            expected = relative(world @ camera[:3, :3].T + camera[:3, 3])
            np.testing.assert_allclose(view.truth.joints[f].numpy(), expected, atol=1e-9)
    with pytest.raises(OptionError, match="body_models"):
        make_protocol("3dpw", regressor="x.npy")
    (models / "SMPL_male.npz").unlink()
    with pytest.raises(FormatError, match="0 npz files with 'male'"):
        make_protocol("3dpw", partial=True, **variant).open(tmp_path / "data")


def test_a_folder_of_ones_own(tmp_path: Path) -> None:
    truths = {k: relative(y) for k, y in make_pairs(tmp_path / "data").items()}
    x = {k: relative(v) for k, v in guesses(truths).items()}
    np.savez(tmp_path / "theirs.npz", **x)
    data = evaluated(tmp_path, "custom", "--prediction", tmp_path / "theirs.npz")
    values = [per_frame(x[k], y) for k, y in truths.items()]
    check(data, values, ["walk", "stroll", "walk"])
    assert data["settings"]["n_sequences"] == 2
    sampled = evaluated(tmp_path, "custom", "--sampler", "boneflips", "--n-hypotheses", 2,
                        "--force", "--variant", "keypoints_are=truth")  # fmt: skip
    assert sampled["column"] == "NOT DEPLOYABLE: the method was given the true keypoints"


def test_aist_is_grouped_by_genre_and_dance(tmp_path: Path) -> None:
    from hypopose.skeletons import COCO17

    make_pairs(tmp_path)
    (tmp_path / "index.json").unlink()
    order = [10, 10, 10, 10, 10, 11, 14, 12, 15, 13, 16, 4, 1, 5, 2, 6, 3]
    for old, new in (("anna_1", "c01"), ("anna_2", "c02"), ("ben", "c09")):
        name = f"gBR_sBM_{new}_d04_mBR0_ch01"
        with np.load(tmp_path / "truth" / f"{old}.npz") as stored:
            joints = stored["joints"][:, order]
        joints[1, 3] = np.nan
        (tmp_path / "truth" / f"{old}.npz").unlink()
        np.save(tmp_path / "truth" / f"{name}.npy", joints)
        (tmp_path / f"{old}.npz").rename(tmp_path / f"{name}.npz")
    data = make_protocol("aist++").open(tmp_path)
    assert list(data.groupings["action"]) == ["gBR"]
    assert {entry.sequence for entry in data.entries} == {"gBR_sBM_d04_mBR0_ch01"}
    assert data.source_skeleton.name == "h36m17"  # COCO has no pelvis to align at
    assert "truth of coco17 formed into h36m17" in data.notes
    assert data.gaps
    assert 1 not in data.entries[0].counted
    assert data.load(data.entries[0]).truth.joints.shape[1] == len(COCO17.joint_names)


def eva(change: Callable[[dict], object], which: str = "3d", key: str = "positions") -> Callable:
    def damage(folder: Path) -> None:
        name = {"3d": "data_3d_humaneva15.npz",
                "2d": "data_2d_humaneva15_detectron_pt_coco.npz"}[which]  # fmt: skip
        with np.load(folder / name, allow_pickle=True) as stored:
            arrays = {k: stored[k].item() for k in stored.files}
        change(arrays[f"{key}_{which}" if key == "positions" else key])
        np.savez(folder / name, **{k: dictionary(v) for k, v in arrays.items()})

    return damage


def take(change: Callable, subject: str = "Validate/S1", name: str = "Jog 1 chunk0") -> Callable:
    def apply(positions: dict) -> None:
        positions[subject][name] = change(positions[subject][name])

    return apply


def pw(key: str, change: Callable) -> Callable[[Path], None]:
    """A file of 3DPW with one entry changed; None takes it away."""

    def damage(folder: Path) -> None:
        path = folder / "sequenceFiles" / "test" / "downtown_car_00.pkl"
        stored = pickle.loads(path.read_bytes())
        stored[key] = change(stored[key])
        if stored[key] is None:
            del stored[key]
        path.write_bytes(pickle.dumps(stored, protocol=2))

    return damage


def pw_bytes(content: bytes) -> Callable[[Path], object]:
    return lambda f: (f / "sequenceFiles/test/downtown_car_00.pkl").write_bytes(content)


def pair(change: Callable[[np.ndarray], np.ndarray], key: str = "joints") -> Callable:
    def damage(folder: Path) -> None:
        path = folder / "truth" / "ben.npz"
        with np.load(path) as stored:
            joints = stored["joints"]
        np.savez(path, **{key: change(joints)})

    return damage


def cut(name: str) -> Callable[[Path], object]:
    return lambda f: (f / name).write_bytes((f / name).read_bytes()[:-400])


Damages = dict[str, tuple[Callable[[Path], object], str]]
DAMAGES: dict[str, Damages] = {
    "humaneva": {
        "no 3D": (lambda f: (f / "data_3d_humaneva15.npz").unlink(), "lacks data_3d_humaneva15"),
        "no 2D": (
            lambda f: (f / "data_2d_humaneva15_detectron_pt_coco.npz").rename(
                f / "data_2d_humaneva15_gt.npz"
            ),
            "give --variant keypoints=gt",
        ),
        "cut off": (cut("data_3d_humaneva15.npz"), "not a readable array file"),
        "a subject": (eva(lambda p: p.pop("Validate/S2")), "lacks the subject Validate/S2"),
        "an action": (
            eva(lambda p: p["Validate/S3"].pop("Box 1 chunk0")), "Validate/S3 lacks Box",
        ),
        "joints": (eva(take(lambda x: x[:, :14])), "is (5, 14, 3), not (any, 15, 3)"),
        "NaN": (eva(take(lambda x: x * np.nan)), "holds NaN"),
        "millimeters": (eva(take(lambda x: x * 1000)), "bring it to meters"),
        "no frames": (eva(take(lambda x: x[:0])), "is (0, 15, 3)"),
        "cameras": (eva(take(lambda x: x[:2]), "2d"), "has 2 cameras, not 3"),
        "keypoints": (eva(take(lambda x: [c[:1] for c in x]), "2d"), "has 1 frames of keypoints"),
        "a take": (eva(lambda p: p["Validate/S1"].pop("Jog 1 chunk0"), "2d"), "Jog 1 chunk0"),
        "layout": (eva(lambda m: m.update(num_joints=13), "2d", "metadata"), "with 13 joints"),
    },
    "3dpw": {
        "no files": (
            lambda f: (f / "sequenceFiles").rename(f / "other"), "holds 0 of 24 sequences",
        ),
        "code in the pickle": (pw_bytes(pickle.dumps({"a": print})), "it needs builtins.print"),
        "no pickle": (pw_bytes(b"text"), "its pickle is refused"),
        "no dictionary": (pw_bytes(pickle.dumps([1, 2])), "is not a dictionary"),
        "no joints": (pw("jointPositions", lambda x: None), "lacks the entries jointPositions"),
        "no person": (pw("jointPositions", lambda x: []), "has no person"),
        "23 joints": (
            pw("jointPositions", lambda x: [p[:, :69] for p in x]), "is (8, 69), not (any, 72)",
        ),
        "NaN": (pw("jointPositions", lambda x: [p * np.nan for p in x]), "holds NaN"),
        "millimeters": (pw("jointPositions", lambda x: [1000 * p for p in x]), "to meters"),
        "fewer cameras": (pw("cam_poses", lambda x: x[:-1]), "is (7, 4, 4), not (8, 4, 4)"),
        "no rotations": (pw("cam_poses", lambda x: 2 * x), "a matrix that is not a rotation"),
        "cameras in millimeters": (
            pw("cam_poses", lambda x: x * np.array([1, 1, 1, 1000])), "of the body's size",
        ),
        "a normalized lens": (
            pw("cam_intrinsics", lambda x: np.array([[1.0, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])),
            "from its projected poses",
        ),
        "cut off": (pw_bytes(pickle.dumps({"a": 1})[:-4]), "its pickle is refused"),
        "no lens": (pw("cam_intrinsics", lambda x: 0 * x), "is not a camera matrix"),
        "keypoints of others": (pw("poses2d", lambda x: x[:1]), "poses2d[1] is not an array"),
        "marks": (pw("campose_valid", lambda x: [v[:3] for v in x]), "is (3,), not (8)"),
    },
    "custom": {
        "no truths": (lambda f: (f / "truth").rename(f / "t"), "holds no truths"),
        "no keypoints": (lambda f: (f / "ben.npz").unlink(), "lacks keypoints ben.npz"),
        "no truth": (lambda f: (f / "truth" / "ben.npz").unlink(), "lacks truths of ben"),
        "two truths": (
            lambda f: np.save(f / "truth" / "ben.npy", np.zeros((8, 17, 3))), "two truths of ben",
        ),
        "another array": (pair(lambda x: x, "poses"), "lacks the array joints; it has poses"),
        "fewer frames": (pair(lambda x: x[:-1]), "has 8 frames of keypoints for 7 of truth"),
        "other joints": (pair(lambda x: x[:, :16]), "joints is (8, 16, 3), not (any, 17, 3)"),
        "millimeters": (pair(lambda x: 1000 * x), "bring it to meters"),
        "y up": (pair(lambda x: x * [1, -1, -1]), "stands behind the camera"),
        "all NaN": (pair(lambda x: x * np.nan), "has no frame with all joints"),
        "cut off": (cut("truth/ben.npz"), "not a readable array file"),
        "truths in other axes": (
            lambda f: [np.savez(p, joints=np.load(p)["joints"][..., [2, 1, 0]])
                       for p in sorted((f / "truth").glob("*.npz"))],
            "from its projected poses",
        ),
        "no coordinates": (pair(lambda x: x[..., :2]), "joints is (8, 17, 2)"),
        "no frames": (pair(lambda x: x[:0]), "joints is (0, 17, 3)"),
        "a damaged index": (
            lambda f: (f / "index.json").write_text('{"ben": '), "not valid JSON",
        ),
        "other keypoints": (
            lambda f: np.savez(f / "ben.npz", xy=np.zeros((8, 17, 2))), "is not a keypoint file",
        ),
        "an index of others": (
            lambda f: (f / "index.json").write_text('{"carl": {}}'), "names carl, which have no",
        ),
        "an index of lists": (
            lambda f: (f / "index.json").write_text('{"ben": ["walk"]}'), "has no texts action",
        ),
    },
}  # fmt: skip
MAKE = {"humaneva": make_humaneva, "3dpw": make_3dpw, "custom": make_pairs}


@pytest.mark.parametrize(
    ("protocol", "kind"), [(name, kind) for name, kinds in DAMAGES.items() for kind in kinds]
)
def test_a_damaged_folder_is_refused(tmp_path: Path, protocol: str, kind: str) -> None:
    MAKE[protocol](tmp_path)
    damage, says = DAMAGES[protocol][kind]
    damage(tmp_path)
    variant = {"partial": True} if protocol == "3dpw" else {}
    with pytest.raises(FormatError) as error:
        make_protocol(protocol, **variant).open(tmp_path)
    message = str(error.value)
    assert says in message
    assert "\n" not in message


def test_parts_are_refused_unless_named(tmp_path: Path) -> None:
    make_3dpw(tmp_path)
    with pytest.raises(FormatError, match=r"holds 2 of 24 sequences.*partial=true"):
        make_protocol("3dpw").open(tmp_path)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_notes_say_where_terms_and_layout(name: str) -> None:
    text = fetch_notes(name)
    assert f"(protocol {name})" in text
    for word in ("Terms:", "FOLDER/", f"hypopose evaluate --protocol {name} "):
        assert word in text
