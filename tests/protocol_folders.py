"""Tiny synthetic data sets in official layouts: a walking body, no licensed bytes.

The geometry here is numpy of its own, so that what the package reads and projects is compared with
something else.
"""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from hypopose.datasets import example_motion
from hypopose.datasets.protocols import h36m_cameras
from hypopose.datasets.protocols.human36m import ACTIONS

H36M_KEPT = [0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27]


def walk(n_frames: int, seed: int) -> np.ndarray:
    """``(F, 17, 3)`` world meters, z up: the built-in walk, its joints moved a little."""
    rng = np.random.default_rng(seed)
    start = int(rng.integers(0, 40))
    joints = example_motion(start + n_frames).numpy().astype(np.float64)[start:]
    return joints + rng.normal(0, 0.02, joints.shape)


def dictionary(value: Any) -> np.ndarray:
    """A 0-d object array, as numpy pickles dictionaries."""
    array = np.empty((), dtype=object)
    array[()] = value
    return array


def rotation_of(q: np.ndarray) -> np.ndarray:
    """Rotation matrix of a unit quaternion (w, x, y, z), by rotating the axes one at a time."""
    w, u = q[0], q[1:]
    return np.stack([v + 2 * np.cross(u, np.cross(u, v) + w * v) for v in np.eye(3)], axis=1)


def h36m_view(world: np.ndarray, subject: str, camera: int) -> tuple[np.ndarray, np.ndarray]:
    """Camera-frame meters and pixels with the lens of VideoPose3D."""
    placed = np.array(h36m_cameras._PLACES[subject][camera])
    q = placed[:4] / np.linalg.norm(placed[:4])
    points = (world - placed[4:] / 1000) @ rotation_of(q)  # rows times R is R transposed
    _, _, fx, fy, cx, cy, k1, k2, k3, p1, p2 = h36m_cameras._LENSES[camera]
    m = points[..., :2] / points[..., 2:]
    r2 = (m**2).sum(-1, keepdims=True)
    tangential = m @ np.array([p1, p2])
    bent = m * (1 + k1 * r2 + k2 * r2**2 + k3 * r2**3 + tangential[..., None])
    bent = bent + np.array([p1, p2]) * r2
    return points, bent * np.array([fx, fy]) + np.array([cx, cy])


def h36m_takes(takes: dict[str, dict[str, int]]) -> dict[str, dict[str, np.ndarray]]:
    """Subject -> take -> world motion of so many frames."""
    return {
        subject: {take: walk(n, 100 * i + j) for j, (take, n) in enumerate(own.items())}
        for i, (subject, own) in enumerate(takes.items())
    }


SOME_TAKES = {
    "S9": {"Directions 1": 9, "Eating": 6, "Walking": 8},
    "S11": {"Eating 2": 7, "Walking 1": 11, "Directions": 4},
}
ALL_TAKES = {
    subject: {f"{action}{n}": 2 for action in ACTIONS for n in ("", " 1")}
    for subject in ("S9", "S11")
}


def make_h36m(
    folder: Path,
    takes: dict[str, dict[str, int]] | None = None,
    detections: str = "cpn_ft_h36m_dbb",
) -> dict[str, dict[str, np.ndarray]]:
    """Write both files; the poses that the views show, subject -> take -> world motion."""
    world = h36m_takes(takes or SOME_TAKES)
    rng = np.random.default_rng(7)
    positions, keypoints = {}, {}
    for subject, own in world.items():
        positions[subject], keypoints[subject] = {}, {}
        for take, motion in own.items():
            full = rng.normal(0, 0.3, (len(motion), 32, 3)) + motion[:, :1]
            full[:, H36M_KEPT] = motion
            positions[subject][take] = full.astype(np.float32)
            pixels = [h36m_view(motion, subject, c)[1] for c in range(4)]
            longer = [np.concatenate([p, p[-1:]]) for p in pixels]  # 2D may outlast the motion
            noise = [rng.normal(0, 3, p.shape) for p in longer]
            keypoints[subject][take] = [
                (p + n).astype(np.float32) for p, n in zip(longer, noise, strict=True)
            ]
    folder.mkdir(parents=True, exist_ok=True)
    positions["S1"] = {"Walking": np.zeros((3, 32, 3), np.float32)}  # training subjects lie beside
    np.savez_compressed(folder / "data_3d_h36m.npz", positions_3d=dictionary(positions))
    sides = [[4, 5, 6, 11, 12, 13], [1, 2, 3, 14, 15, 16]]
    metadata = {"layout_name": "h36m", "num_joints": 17, "keypoints_symmetry": sides}
    np.savez_compressed(
        folder / f"data_2d_h36m_{detections}.npz",
        positions_2d=dictionary(keypoints), metadata=dictionary(metadata),
    )  # fmt: skip
    # float32 is what the file keeps
    return {s: {t: m.astype(np.float32).astype(np.float64) for t, m in own.items()}
            for s, own in world.items()}  # fmt: skip


DHP_CAMERAS = {
    "TS1": (1500.003, 1500.654, 1017.377, 1043.062),
    "TS2": (1503.755, 1501.296, 1015.233, 1038.678),
    "TS3": (1499.995, 1500.595, 1017.389, 1043.048),
    "TS4": (1499.890, 1500.759, 1017.363, 1042.989),
    "TS5": (1683.403, 1671.998, 939.937, 560.197),
    "TS6": (1683.905, 1672.674, 939.850, 560.115),
}
DHP_FROM_H36M = [10, 8, 14, 15, 16, 11, 12, 13, 1, 2, 3, 4, 5, 6, 0, 7, 9]


def in_front(n_frames: int, seed: int, depth: float = 4.0) -> np.ndarray:
    """The walk in a camera's frame: x right, y down, z forward, ``(F, 17, 3)`` meters."""
    world = walk(n_frames, seed)
    away = world - world[:1, :1]
    return np.stack([away[..., 0], -away[..., 2], away[..., 1] + depth], -1)


def dhp_sequences(frames: dict[str, int]) -> dict[str, dict[str, np.ndarray]]:
    """Millimeters and pixels in 3DHP's order, the other annotation, marks and activities."""
    found = {}
    for i, (name, n) in enumerate(frames.items()):
        joints = 1000 * in_front(n, 50 + i)[:, DHP_FROM_H36M]
        fx, fy, cx, cy = DHP_CAMERAS[name]
        pixels = joints[..., :2] / joints[..., 2:] * [fx, fy] + [cx, cy]
        root = joints[:, 14:15]
        valid = (np.arange(n) % 3 != 1).astype(np.uint8)
        found[name] = {
            "annot2": pixels, "annot3": joints, "univ_annot3": 1.1 * (joints - root) + root,
            "valid_frame": valid, "activity_annotation": 1 + np.arange(n) // 4,
        }  # fmt: skip
    return found


DHP_FRAMES = {"TS1": 9, "TS2": 6, "TS3": 5, "TS4": 6, "TS5": 8, "TS6": 7}


def make_3dhp(
    folder: Path, frames: dict[str, int] | None = None
) -> dict[str, dict[str, np.ndarray]]:
    """Write the official files; HDF5 has MATLAB's axes in reverse, behind a header of its own."""
    import h5py

    sequences = dhp_sequences(frames or DHP_FRAMES)
    for name, arrays in sequences.items():
        (folder / name).mkdir(parents=True)
        path = folder / name / "annot_data.mat"
        with h5py.File(path, "w", userblock_size=512) as file:
            for key, array in arrays.items():
                stored = array[:, None] if array.ndim == 3 else array[:, None].astype(np.float64)
                file[key] = stored
        with path.open("r+b") as file:
            file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")
    return sequences


def make_3dhp_archive(
    folder: Path, annotation: str = "annot3", frames: dict[str, int] | None = None
) -> dict[str, dict[str, np.ndarray]]:
    """Write the archive of lifters."""
    sequences = dhp_sequences(frames or DHP_FRAMES)
    data = {
        name: {"data_2d": x["annot2"], "data_3d": x[annotation], "valid": x["valid_frame"]}
        for name, x in sequences.items()
    }
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "data_test_3dhp.npz", data=dictionary(data))
    return sequences


EVA_FROM_H36M = [0, 8, 11, 12, 13, 14, 15, 16, 4, 5, 6, 1, 2, 3, 10]
EVA_TAKES = {
    "Validate/S1": {"Walking 1 chunk0": 6, "Walking 1 chunk2": 4, "Jog 1 chunk0": 5,
                    "Box 1 chunk0": 4, "Gestures 1 chunk0": 4},
    "Validate/S2": {"Walking 1 chunk1": 5, "Jog 1 chunk0": 4, "Box 1 chunk1": 4},
    "Validate/S3": {"Walking 1 chunk0": 4, "Jog 1 chunk0": 5, "Box 1 chunk0": 4},
}  # fmt: skip


def make_humaneva(folder: Path) -> dict[str, dict[str, np.ndarray]]:
    """Write both archives; subject -> take -> world motion."""
    from hypopose.datasets.protocols.humaneva import CAMERAS

    rng = np.random.default_rng(11)
    positions, keypoints = {}, {}
    for i, (subject, takes) in enumerate(EVA_TAKES.items()):
        positions[subject], keypoints[subject] = {}, {}
        for j, (take, n) in enumerate(takes.items()):
            motion = walk(n, 900 + 10 * i + j)[:, EVA_FROM_H36M].astype(np.float32)
            positions[subject][take] = motion
            views = [eva_view(motion.astype(np.float64), subject, c) for c in range(3)]
            assert len(CAMERAS) == len(views)
            keypoints[subject][take] = [
                (600 * v[..., :2] / v[..., 2:] + [320, 240] + rng.normal(0, 1, (*v.shape[:2], 2)))
                .astype(np.float32)
                for v in views
            ]  # fmt: skip
    keypoints["Unlabeled/S4"] = {}
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "data_3d_humaneva15.npz", positions_3d=dictionary(positions))
    metadata = {"layout_name": "humaneva15", "num_joints": 15, "keypoints_symmetry": [[], []]}
    np.savez(
        folder / "data_2d_humaneva15_detectron_pt_coco.npz",
        positions_2d=dictionary(keypoints), metadata=dictionary(metadata),
    )  # fmt: skip
    return {s: {t: m.astype(np.float64) for t, m in own.items()} for s, own in positions.items()}


def eva_view(world: np.ndarray, subject: str, camera: int) -> np.ndarray:
    """Camera-frame meters."""
    from hypopose.datasets.protocols.humaneva import CAMERAS

    placed = np.array(CAMERAS[subject.split("/")[1]][camera])
    q = placed[:4] / np.linalg.norm(placed[:4])
    return (world - placed[4:] / 1000) @ rotation_of(q)


PW_PEOPLE = {"outdoors_fencing_01": 1, "downtown_car_00": 2}
SMPL_NEAR_H36M = [0, 4, 1, 0, 5, 2, 7, 6, 3, 8, 6, 3, 8, 11, 14, 9, 11, 14, 12, 15, 13, 16, 13, 16]


COCO18_NEAR_SMPL = [15, 12, 17, 19, 21, 16, 18, 20, 2, 5, 8, 1, 4, 7, 15, 15, 15, 15]


def pw_sequence(n_people: int, n_frames: int, seed: int) -> dict[str, Any]:
    """What a file of 3DPW holds, apart from what nothing reads."""
    rng = np.random.default_rng(seed)
    angle = rng.uniform(-0.4, 0.4)
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0],
                     [-np.sin(angle), 0, np.cos(angle)]])  # fmt: skip
    cameras = np.tile(np.eye(4), (n_frames, 1, 1))
    cameras[:, :3, :3], cameras[:, :3, 3] = turn, [0.1, 0.2, 0.3]
    joints, seen = [], []
    lens = np.array([[1960.0, 0, 540], [0, 1960.0, 960], [0, 0, 1]])
    for i in range(n_people):
        body = in_front(n_frames, seed + i)[:, SMPL_NEAR_H36M]
        body = body + rng.normal(0, 0.02, body.shape)
        joints.append((body @ turn - np.array([0.1, 0.2, 0.3]) @ turn).reshape(n_frames, 72))
        pixels = body[:, COCO18_NEAR_SMPL] @ lens.T
        xy = pixels[..., :2] / pixels[..., 2:]
        found = np.concatenate([xy, np.full((n_frames, 18, 1), 0.8)], -1)
        found[0, 3] = 0.0
        seen.append(found.transpose(0, 2, 1))
    valid = np.ones(n_frames, int)
    valid[-1] = 0
    return {
        "jointPositions": joints, "poses2d": seen, "cam_poses": cameras, "cam_intrinsics": lens,
        "campose_valid": [valid] * n_people, "genders": ["f", "m"][:n_people],
        "poses": [rng.normal(0, 0.2, (n_frames, 72)) for _ in range(n_people)],
        "betas": [rng.normal(0, 1, 10) for _ in range(n_people)],
        "trans": [rng.normal([0, 0, 4], 0.1, (n_frames, 3)) for _ in range(n_people)],
        "sequence": "x", "img_frame_ids": np.arange(n_frames),
    }  # fmt: skip


def make_3dpw(folder: Path, *, seen: bool = True) -> dict[str, dict[str, Any]]:
    """Write two sequences as pickles of Python 2 would be; without keypoints if they are not seen,
    for surfaces that are elsewhere than the joints."""
    place = folder / "sequenceFiles" / "test"
    place.mkdir(parents=True)
    found = {}
    for i, (name, n) in enumerate(PW_PEOPLE.items()):
        found[name] = pw_sequence(n, 7 + i, 40 + i)
        for keypoints in found[name]["poses2d"]:
            keypoints[:, 2] *= seen
        (place / f"{name}.pkl").write_bytes(pickle.dumps(found[name], protocol=2))
    return found


def make_pairs(folder: Path) -> dict[str, np.ndarray]:
    """Keypoint files with truths, two videos of one person and one of another."""
    import torch

    from hypopose.cameras import project
    from hypopose.io import save_keypoints
    from hypopose.skeletons import H36M17
    from hypopose.types import Camera, Keypoints2D

    (folder / "truth").mkdir(parents=True)
    camera, found = Camera.from_fov((1000, 1000)), {}
    for i, name in enumerate(("anna_1", "anna_2", "ben")):
        joints = in_front(6 + i, 70 + i)
        found[name] = joints
        xy = project(torch.from_numpy(joints), camera).float()
        save_keypoints(folder / f"{name}.npz", Keypoints2D(
            xy, H36M17, camera=camera, image_size=(1000, 1000), fps=50.0))  # fmt: skip
        np.savez(folder / "truth" / f"{name}.npz", joints=joints)
    index = {
        "anna_1": {"action": "walk", "sequence": "anna"},
        "anna_2": {"action": "stroll", "sequence": "anna"},
        "ben": {"action": "walk"},
    }
    (folder / "index.json").write_text(json.dumps(index))
    return found
