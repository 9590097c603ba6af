"""Every cure that an error names is applied, and works: one table for all errors.

A case triggers an error and then does what the message says. Every message of the packages in
``PACKAGES`` that names an option or a command must be said by a case, or stand in ``APART`` with
the reason why it cannot be tried here. The command line's words are checked for all packages.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from cures import ROOT, messages
from walker import in_axes, rig, walk, write_trc

import hypopose
from hypopose.cameras import resolve_camera
from hypopose.cli import COMMANDS, main
from hypopose.cli.wording import _OPTIONS as KEYWORDS
from hypopose.cli.wording import in_cli_words
from hypopose.errors import HypoPoseError
from hypopose.evaluation import read_truth
from hypopose.evaluation.result_files import load_results
from hypopose.io import (
    ExportOptions,
    export_result,
    load,
    load_cameras,
    load_hypotheses,
    load_people,
    save_camera,
    save_keypoints,
    save_people,
    save_result,
)
from hypopose.io.writers import export_people
from hypopose.report.gather import gather, match_truths
from hypopose.skeletons import convert, get_skeleton
from hypopose.types import Camera, Hypotheses, Keypoints2D, Poses3D

PACKAGES = (
    "io", "cameras", "skeletons", "evaluation/truth.py", "evaluation/result_files.py",
    "evaluation/benchmark_draws.py", "report/gather.py", "datasets/capture", "api/importing.py",
    "api/sampling.py", "api/pipeline.py", "cli/benchmark_options.py", "cli/camera_options.py",
    "cli/complete.py", "cli/data.py", "cli/evaluate.py", "cli/jobs.py", "cli/multi_camera.py",
    "cli/overwrite.py", "cli/report.py", "cli/resume.py", "cli/set_option.py", "cli/tracks.py",
    "samplers/mcmc", "samplers/platypose", "calibration/fitting.py", "networks/inputs.py",
)  # fmt: skip

APART = {
    "a project of SLEAP's, not its analysis file": "SLEAP's own command is named",
    "Writing": "the package is installed here",
    "holds parameters of a body model": "body models have licenses of their own",
    "could be": "no file fits two of the bundled formats",
    "state the true one": "tests/cli/test_multi_camera.py",
    "MCMC draws clips of up to": "takes a minute; tests/samplers/mcmc",
    "Several views need cameras with rotation": "tests/samplers/platypose",
}
"""Messages, and why their cure is not applied here."""

SIZE = (640, 480)
COCO = get_skeleton("coco17").joint_names
H36M = get_skeleton("h36m17").joint_names


class RefusedError(Exception):
    """The command line refused."""


class Box:
    """A folder, and the files that cases need."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.number = 0

    def path(self, name: str) -> Path:
        self.number += 1
        return self.folder / f"{self.number}_{name}"

    def write(self, name: str, text: str) -> Path:
        path = self.path(name)
        path.write_text(text)
        return path

    def person(self, n: int = 6, x: float = 300.0) -> Keypoints2D:
        """Somebody who stands in a picture of 640 x 480 pixels."""
        body = walk(COCO, n)
        xy = np.stack([x - 100 * body[..., 1], 420 - 200 * body[..., 2]], -1)
        xy[..., 0] += 200.0
        return Keypoints2D(torch.from_numpy(xy).float(), get_skeleton("coco17"), fps=25.0)

    def keypoints(self, name: str = "walk.json", **changes: Any) -> Path:
        path = self.path(name)
        save_people(path, {"0": replace(self.person(), image_size=SIZE, **changes)})
        return path

    def result(self, **changes: Any) -> Path:
        path = self.path("walk.npz")
        person = replace(self.person(), image_size=SIZE, **changes)
        save_result(path, hypopose.estimate(person, sampler="boneflips", n_hypotheses=3))
        return path

    def points(self, x: np.ndarray) -> Path:
        path = self.path("points.npy")
        np.save(path, x)
        return path

    def calibration(self, translation: str = "[0, 0, 4]", size: str = "[640, 480]") -> Path:
        stated = f"size = {size}\n" if size else ""
        return self.write(
            "rig.toml",
            "".join(
                f'[{name}]\nname = "{name}"\n{stated}rotation = [0, {angle}, 0]\n'
                f"matrix = [[600, 0, 320], [0, 600, 240], [0, 0, 1]]\ntranslation = {translation}\n"
                for name, angle in (("one", 0), ("two", 1.2))
            ),
        )

    def run(self, *words: object) -> str:
        """Run a command; a refusal is an error."""
        done = CliRunner().invoke(main, [str(word) for word in words])
        if done.exit_code:
            if done.exception is not None and not isinstance(done.exception, SystemExit):
                raise done.exception
            raise RefusedError(" ".join(done.output.split()))
        return done.output

    def sample(self, *words: object) -> str:
        return self.run("sample", *words, "--sampler", "boneflips", "--n-hypotheses", 2,
                        "--no-overview", "--jobs", 1)  # fmt: skip


Case = Callable[[Box], Iterator[Callable[[], Any]]]
CASES: dict[str, Case] = {}


def case(function: Case) -> Case:
    """A generator of two calls: the first is refused, the second is the cure."""
    CASES[function.__name__] = function
    return function


# --- reading keypoints --------------------------------------------------------------------------


@case
def fractions_need_an_image_size(box):
    body = (box.person().xy / torch.tensor(SIZE)).numpy()
    rows = [f"0 .5 .5 .5 .9 {' '.join(f'{v:.4f}' for v in frame.ravel())}" for frame in body]
    folder = box.path("labels")
    folder.mkdir()
    for i, row in enumerate(rows):
        (folder / f"a_{i}.txt").write_text(row)
    yield lambda: load(folder)
    yield lambda: load(folder, image_size=SIZE)


@case
def joints_of_no_known_skeleton(box):
    body = box.person().xy[:3].tolist()
    rows = [f"{f},{j},{x},{y}" for f, xy in enumerate(body) for j, (x, y) in enumerate(xy)]
    path = box.write("a.csv", "\n".join(["frame,joint,x,y", *rows]))
    yield lambda: box.sample(path, "-o", box.path("out.npz"), "--image-size", *SIZE)
    yield lambda: box.sample(path, "-o", box.path("out.npz"), "--image-size", *SIZE,
                             "--skeleton", "coco17")  # fmt: skip


@case
def labels_of_26_points(box):
    names = get_skeleton("halpe26").joint_names
    x = walk(names, 3) - [0, 2.0, 0]
    xy = np.stack([300 - 100 * x[..., 1], 300 - 100 * x[..., 2]], -1) / SIZE
    low, high = xy.min(1), xy.max(1)
    folder = box.path("labels")
    folder.mkdir()
    for f in range(3):
        numbers = [0, *(low[f] + high[f]) / 2, *(high[f] - low[f]), *xy[f].ravel()]
        (folder / f"a_{f}.txt").write_text(" ".join(f"{v:.6f}" for v in numbers))
    yield lambda: load(folder, image_size=SIZE)
    yield lambda: load(folder, image_size=SIZE, skeleton="halpe26")


@case
def coordinates_that_are_fractions(box):
    path = box.points((box.person().xy / torch.tensor(SIZE)).numpy())
    yield lambda: load(path, skeleton="coco17")
    yield lambda: load(path, skeleton="coco17", fractions=True, image_size=SIZE)


def _about_the_middle(box: Box) -> tuple[Path, Path]:
    """Fractions from -1 to 1, and pixels."""
    xy = box.person().xy
    return box.points((2 * xy / torch.tensor(SIZE) - 1).numpy()), box.points(xy.numpy())


@case
def fractions_from_minus_one(box):
    fractions, pixels = _about_the_middle(box)
    yield lambda: load(fractions, skeleton="coco17")
    yield lambda: load(pixels, skeleton="coco17", image_size=SIZE)


@case
def fractions_that_are_negative(box):
    fractions, pixels = _about_the_middle(box)
    yield lambda: load(fractions, skeleton="coco17", fractions=True, image_size=SIZE)
    yield lambda: load(pixels, skeleton="coco17", image_size=SIZE)


@case
def fractions_without_a_size(box):
    path = box.points((box.person().xy / torch.tensor(SIZE)).numpy())
    yield lambda: load(path, skeleton="coco17", fractions=True)
    yield lambda: load(path, skeleton="coco17", fractions=True, image_size=SIZE)


@case
def upwards_without_a_size(box):
    path = box.points(box.person().xy.numpy())
    yield lambda: load(path, skeleton="coco17", y_up=True)
    yield lambda: load(path, skeleton="coco17", y_up=True, image_size=SIZE)


@case
def a_skeleton_that_is_not_named(box):
    path = box.points(box.person().xy.numpy())
    yield lambda: load(path)
    yield lambda: load(path, skeleton="coco17")


@case
def a_named_skeleton_with_other_joints(box):
    path = box.points(box.person().xy.numpy())
    yield lambda: load(path, skeleton="body25")
    yield lambda: load(path, skeleton="coco17")


@case
def an_archive_that_names_no_skeleton_of_ours(box):
    path = box.path("a.npz")
    np.savez(path, xy=box.person().xy.numpy(), skeleton="horse22")
    yield lambda: load(path)
    yield lambda: load(path, skeleton="coco17")


@case
def a_table_that_names_no_skeleton_of_ours(box):
    rows = [f"{f},{n},{x:.1f},{y:.1f}" for f, frame in enumerate(box.person().xy.tolist())
            for n, (x, y) in zip(COCO, frame, strict=True)]  # fmt: skip
    path = box.write("a.csv", "\n".join(["# skeleton: horse22", "frame,joint,x,y", *rows]))
    yield lambda: load(path)
    yield lambda: load(path, skeleton="coco17")


@case
def a_data_set_that_is_not_known(box):
    frames = [{"frame_id": f, "instances": [{"keypoints": xy, "keypoint_scores": [0.9] * 17}]}
              for f, xy in enumerate(box.person().xy.tolist())]  # fmt: skip
    top = {"meta_info": {"dataset_name": "horse10"}, "instance_info": frames}
    path = box.write("a.json", json.dumps(top))
    yield lambda: load(path)
    yield lambda: load(path, skeleton="coco17")


@case
def a_model_with_other_keypoints(box):
    folder = box.path("labels")
    folder.mkdir()
    for i in range(3):
        (folder / f"a_{i}.txt").write_text("0 .5 .5 .5 .9 " + " ".join(["0.5"] * 54))
    names = {"image_size": SIZE, "min_joints": 0}
    yield lambda: load(folder, **names)
    yield lambda: load(folder, skeleton="coco18", **names)


@case
def names_that_are_no_skeletons(box):
    body = box.person().xy.tolist()
    rows = [f"{f},p{chr(97 + j)},{x:.1f},{y:.1f}" for f, frame in enumerate(body)
            for j, (x, y) in enumerate(frame)]  # fmt: skip
    path = box.write("a.csv", "\n".join(["frame,joint,x,y", *rows]))
    names = "\n".join(f'{joint} = "p{chr(97 + j)}"' for j, joint in enumerate(COCO))
    toml = box.write("names.toml", f'skeleton = "coco17"\n[names]\n{names}')
    yield lambda: load(path, skeleton="coco17")
    yield lambda: load(path, skeleton=str(toml))


@case
def irregular_times(box):
    times = np.cumsum(np.random.default_rng(0).uniform(0.02, 0.06, 30))
    person = box.person(30)
    rows = [f"{t:.4f},{n},{x:.1f},{y:.1f}"
            for t, frame in zip(times, person.xy.tolist(), strict=True)
            for n, (x, y) in zip(COCO, frame, strict=True)]  # fmt: skip
    path = box.write("a.csv", "\n".join(["time_s,joint,x,y", *rows]))
    told: list[float] = []

    def refused():
        try:
            load(path)
        except HypoPoseError as error:
            told.append(float(re.search(r"resample=(\d+)", str(error))[1]))
            raise

    yield refused
    yield lambda: load(path, resample=told[0])


@case
def resampling_without_a_rate(box):
    path = box.points(box.person(20).xy.numpy())
    yield lambda: load(path, skeleton="coco17", resample=50)
    yield lambda: load(path, skeleton="coco17", resample=50, fps=25)


@case
def too_little_of_anybody(box):
    person = box.person()
    xy = torch.full_like(person.xy, torch.nan)
    xy[:, :5] = person.xy[:, :5]
    path = box.points(xy.numpy())
    yield lambda: load_people(path, skeleton="coco17")
    yield lambda: load_people(path, skeleton="coco17", min_joints=0)


@case
def too_many_people_at_once(box):
    flat = np.concatenate([box.person().xy[0].numpy(), np.full((17, 1), 0.9)], 1).ravel().tolist()
    entries = [{"image_id": f"{i * 1000}.jpg", "category_id": 1, "keypoints": flat, "score": 1.0,
                "idx": i, "box": [0, 0, 9, 9]} for i in range(200)]  # fmt: skip
    path = box.write("a.json", json.dumps(entries))
    told = {"min_joints": 0, "keep_identities": True}
    yield lambda: load_people(path, **told)
    yield lambda: load(path, person="7", **told)


@case
def a_result_without_keypoints(box):
    out = box.path("a.npz")
    path = write_trc(box.path("a.trc"), H36M, in_axes(walk(H36M), "y"))
    save_result(out, hypopose.import_motion(path)["0"])
    yield lambda: load(out)
    yield lambda: load(box.keypoints())


@case
def a_turn_without_a_size(box):
    path = box.points(box.person().xy.numpy())
    yield lambda: load(path, skeleton="coco17", rotate=90)
    yield lambda: load(path, skeleton="coco17", rotate=90, image_size=SIZE)


@case
def no_keypoint_and_no_size(box):
    empty = Keypoints2D(torch.full((3, 17, 2), torch.nan), get_skeleton("coco17"))
    yield lambda: resolve_camera(empty)
    yield lambda: resolve_camera(replace(empty, image_size=SIZE))


@case
def normalized_keypoints_and_no_size(box):
    small = Keypoints2D(torch.rand(3, 17, 2), get_skeleton("coco17"))
    yield lambda: resolve_camera(small)
    yield lambda: resolve_camera(replace(small, image_size=SIZE))


@case
def skeletons_without_a_conversion(box):
    rows = [f"{f},p{j},{x:.1f},{y:.1f}" for f, frame in enumerate(box.person().xy.tolist())
            for j, (x, y) in enumerate(frame)]  # fmt: skip
    path = box.write("a.csv", "\n".join(["frame,joint,x,y", *rows]))
    names = "\n".join(f'{joint} = "p{j}"' for j, joint in enumerate(COCO))
    toml = box.write("names.toml", f'skeleton = "coco17"\n[names]\n{names}')
    target = get_skeleton("h36m17")
    yield lambda: convert(load(path), target)
    yield lambda: convert(load(path, skeleton=str(toml)), target)


@case
def a_network_of_screen_coordinates_without_a_size(box):
    from hypopose.networks.inputs import _encode_screen

    person = convert(box.person(), get_skeleton("h36m17"))
    yield lambda: _encode_screen(person)
    yield lambda: _encode_screen(replace(person, image_size=SIZE))


# --- cameras ------------------------------------------------------------------------------------


@case
def a_calibration_without_a_size(box):
    path = box.calibration(size="")
    yield lambda: load_cameras(path)
    yield lambda: load_cameras(path, SIZE)


@case
def a_calibration_in_no_unit(box):
    path = box.calibration(translation="[0, 0, 300]")
    yield lambda: load_cameras(path)
    yield lambda: load_cameras(path, unit="cm")


@case
def a_photo_without_a_focal_length(box):
    from PIL import Image

    photo, keypoints = box.path("a.jpg"), box.keypoints()
    Image.new("RGB", SIZE).save(photo)
    out = box.path("o.npz")
    yield lambda: box.sample(keypoints, "-o", out, "--camera", photo)
    yield lambda: box.sample(keypoints, "-o", out, "--fov", 55, "--image-size", *SIZE)


@case
def a_photo_that_is_none(box):
    photo, keypoints = box.path("a.jpg"), box.keypoints()
    photo.write_bytes(b"\xff\xd8\xff\xe0" + bytes(100))
    out = box.path("o.npz")
    yield lambda: box.sample(keypoints, "-o", out, "--camera", photo)
    yield lambda: box.sample(keypoints, "-o", out, "--focal", 700, "--image-size", *SIZE)


@case
def a_focal_length_that_is_none(box):
    keypoints, out = box.keypoints(), box.path("o.npz")
    yield lambda: box.sample(keypoints, "-o", out, "--focal", -5, "--image-size", *SIZE)
    yield lambda: box.sample(keypoints, "-o", out, "--focal", 700, "--image-size", *SIZE)


@case
def an_angle_without_a_size(box):
    keypoints, out = box.keypoints(), box.path("o.npz")
    yield lambda: box.sample(keypoints, "-o", out, "--fov", 55)
    yield lambda: box.sample(keypoints, "-o", out, "--fov", 55, "--image-size", *SIZE)


@case
def a_camera_motion_and_a_floor(box):
    keypoints, out = box.keypoints(), box.path("o.npz")
    motion = _camera_motion(box)
    yield lambda: box.sample(keypoints, "-o", out, "--camera-motion", motion, "--ground")
    yield lambda: box.sample(keypoints, "-o", out, "--camera-motion", motion)


@case
def a_camera_motion_that_is_not_there(box):
    keypoints, out = box.keypoints(), box.path("o.npz")
    yield lambda: box.sample(keypoints, "-o", out, "--camera-motion", box.path("no.csv"))
    yield lambda: box.sample(keypoints, "-o", out, "--camera-motion", _camera_motion(box))


def _camera_motion(box: Box) -> Path:
    rows = [f"{f},0,0,{0.1 * f},1,0,0,0" for f in range(6)]
    return box.write("motion.csv", "\n".join(["frame,tx,ty,tz,qw,qx,qy,qz", *rows]))


@case
def a_world_without_a_camera(box):
    made, out = hypopose.load_hypotheses(box.result()), box.path("o.trc")
    chosen = ExportOptions(frame="world")
    camera = replace(
        made.keypoints.camera, rotation=torch.eye(3), translation=torch.tensor([0, 0, 4.0])
    )
    placed = replace(made, keypoints=replace(made.keypoints, camera=camera))
    yield lambda: export_result(out, made, chosen)
    yield lambda: export_result(out, placed, chosen)


@case
def a_world_without_any_camera(box):
    path = write_trc(box.path("a.trc"), H36M, in_axes(walk(H36M), "y"))
    cameras, out, told = box.calibration(), box.path("w.trc"), box.path("told.npz")
    save_result(told, hypopose.import_motion(path)["0"])
    placed = box.path("placed.npz")
    box.run("import", path, "-o", placed, "--camera", f"{cameras}:one")
    yield lambda: box.run("export", told, "-o", out, "--frame", "world")
    yield lambda: box.run("export", placed, "-o", out, "--frame", "world")


# --- several cameras ----------------------------------------------------------------------------


def _views(box: Box, **changes: Any) -> Callable[[], Any]:
    from hypopose.cli.multi_camera import load_views

    calibration = box.calibration()
    one = changes.pop("inputs", [box.keypoints()])
    options = {
        "view_files": [(box.keypoints(), f"{calibration}:two")],
        "camera_file": f"{calibration}:one",
        "sampler": "platypose", "weights": None, "input_format": None, "skeleton": None,
        "fps": None, "person": None, "image_size": None, "camera_unit": None, "height": None,
        "ground": False, "camera_motion": None, **changes,
    }  # fmt: skip
    return lambda: load_views(options, one)


@case
def a_view_for_a_sampler_of_one_camera(box):
    yield _views(box, sampler="boneflips")
    yield _views(box, sampler="platypose")


@case
def a_view_for_several_inputs(box):
    yield _views(box, inputs=[box.keypoints(), box.keypoints()])
    yield _views(box)


@case
def a_view_without_the_first_camera(box):
    yield _views(box, camera_file=None)
    yield _views(box)


@case
def a_view_of_several_people(box):
    two = box.path("two.json")
    save_people(two, {"ann": replace(box.person(), image_size=SIZE),
                      "bob": replace(box.person(x=450), image_size=SIZE)})  # fmt: skip
    cameras = box.calibration()
    views = [(two, f"{cameras}:two")]
    yield _views(box, view_files=views, camera_file=f"{cameras}:one")
    yield _views(box, view_files=views, camera_file=f"{cameras}:one", person="ann")


@case
def a_view_and_a_height(box):
    yield _views(box, height=1.8)
    yield _views(box)


@case
def keypoints_given_twice(box):
    same = box.keypoints()
    cameras = box.calibration()
    yield _views(
        box, inputs=[same], view_files=[(same, f"{cameras}:two")], camera_file=f"{cameras}:one"
    )
    yield _views(box)


@case
def a_camera_given_twice(box):
    cameras = box.calibration()
    one, two = (f"{cameras}:one", f"{cameras}:two")
    yield _views(box, view_files=[(box.keypoints(), one)], camera_file=one)
    yield _views(box, view_files=[(box.keypoints(), two)], camera_file=one)


@case
def cameras_in_a_wrong_unit(box):
    files = []
    for view in rig(0.001)[:2]:
        keypoints, camera = box.path("view.json"), box.path("camera.json")
        save_people(keypoints, {"0": replace(view, camera=None)})
        save_camera(camera, view.camera)
        files.append((keypoints, camera))
    (one, first), (two, second) = files
    told = {"inputs": [one], "view_files": [(two, str(second))], "camera_file": str(first)}
    yield _views(box, **told, camera_unit="m")
    yield _views(box, **told, camera_unit="mm")


@case
def several_people_for_several_cameras(box):
    pipeline = hypopose.make_pipeline(sampler="platypose", views=(box.person(),))
    people = {"ann": box.person(), "bob": box.person(x=450)}
    yield lambda: pipeline.estimate_people(people)
    yield lambda: pipeline.estimate_people({"ann": people["ann"]}, only=())


# --- 3D motion ----------------------------------------------------------------------------------


@case
def motion_without_a_skeleton(box):
    path = box.points(walk(COCO))
    yield lambda: hypopose.import_motion(path)
    yield lambda: hypopose.import_motion(path, skeleton="coco17")


@case
def motion_in_a_wrong_skeleton(box):
    path = box.points(walk(COCO))
    yield lambda: hypopose.import_motion(path, skeleton="h36m17")
    yield lambda: hypopose.import_motion(path, skeleton="coco17")


@case
def motion_in_no_format(box):
    keypoints, out = box.keypoints(), box.path("o.npz")
    yield lambda: box.run("import", keypoints, "-o", out)
    yield lambda: box.sample(keypoints, "-o", out)


@case
def image_landmarks_as_motion(box):
    joints = get_skeleton("mediapipe33").joint_names
    x = in_axes(walk(joints), "native") * 0.3 + [0.2, 0.6, 0.0]
    x[..., 2] = np.random.default_rng(0).normal(0, 0.05, x.shape[:2])
    path = box.points(x)
    told = {"skeleton": "mediapipe33"}
    yield lambda: hypopose.import_motion(path, **told)
    yield lambda: hypopose.import_motion(path, unit="m", **told)


@case
def motion_with_no_axis_up(box):
    c, s = np.cos(0.8), np.sin(0.8)
    x = walk(COCO)[..., [2, 1, 0]] * [1, 1, -1] @ np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    path = box.points(x)
    yield lambda: hypopose.import_motion(path, skeleton="coco17")
    yield lambda: hypopose.import_motion(path, skeleton="coco17", up="z")


@case
def motion_of_an_archive_with_a_strange_skeleton(box):
    path = box.path("a.npz")
    np.savez(path, joints=walk(COCO), skeleton="horse22")
    named = box.path("b.npz")
    np.savez(named, joints=walk(COCO))
    yield lambda: hypopose.import_motion(path)
    yield lambda: hypopose.import_motion(named, skeleton="coco17")


@case
def motion_in_no_unit(box):
    path = box.points(7.3 * walk(COCO))
    told: list[str] = []

    def refused():
        try:
            hypopose.import_motion(path, skeleton="coco17")
        except HypoPoseError as error:
            told.append(re.search(r"unit=([\d.e-]+\d)", str(error))[1])
            raise

    yield refused
    yield lambda: hypopose.import_motion(path, skeleton="coco17", unit=told[0])


@case
def motion_in_another_unit_than_told(box):
    path, out = box.points(1000 * walk(COCO)), box.path("o.npz")
    words = ("import", path, "-o", out, "--skeleton", "coco17", "--unit")
    yield lambda: box.run(*words, "m")
    yield lambda: box.run(*words, "mm")


@case
def motion_without_limbs(box):
    x = np.random.default_rng(0).normal(0, 1, (5, 5, 3))
    path, out = write_trc(box.path("a.trc"), "abcde", x, unit=""), box.path("o.npz")
    yield lambda: box.run("import", path, "-o", out)
    yield lambda: box.run("import", path, "-o", out, "--unit", "m")


@case
def a_format_of_motion_that_the_file_is_not_in(box):
    path, out = write_trc(box.path("a.trc"), H36M, in_axes(walk(H36M), "y")), box.path("o.npz")
    yield lambda: box.run("import", path, "-o", out, "--input-format", "bvh")
    yield lambda: box.run("import", path, "-o", out)


@case
def motions_in_two_skeletons(box):
    a = write_trc(box.path("a.trc"), H36M, in_axes(walk(H36M), "y"))
    b = write_trc(box.path("b.trc"), COCO, in_axes(walk(COCO), "y"))
    yield lambda: hypopose.import_motion([a, b])
    yield lambda: hypopose.import_motion([a, b], to="h36m17")


@case
def a_truth_in_another_skeleton(box):
    made = load_hypotheses(box.result())
    path = write_trc(box.path("b.trc"), COCO, in_axes(walk(COCO, 6), "y"))
    coco, h36m = box.path("coco.npz"), box.path("h36m.npz")
    save_result(coco, hypopose.import_motion(path)["0"])
    save_result(h36m, hypopose.import_motion(path, to="h36m17")["0"])
    yield lambda: read_truth(coco, made.hypotheses)
    yield lambda: read_truth(h36m, made.hypotheses)


@case
def an_aggregate_that_needs_keypoints(box):
    path, out = write_trc(box.path("a.trc"), H36M, in_axes(walk(H36M), "y")), box.path("a.npz")
    save_result(out, hypopose.import_motion(path)["0"])
    words = ("aggregate", out, "-o", box.path("o.npz"), "--aggregate")
    yield lambda: box.run(*words, "jpma")
    yield lambda: box.run(*words, "median")


# --- results and files --------------------------------------------------------------------------


@case
def a_file_that_is_no_result(box):
    yield lambda: load_hypotheses(box.keypoints())
    yield lambda: load_hypotheses(box.result())


@case
def keypoints_that_are_no_result(box):
    path = box.path("k.npz")
    save_keypoints(path, box.person())
    yield lambda: load_hypotheses(path)
    yield lambda: load_hypotheses(box.result())


@case
def a_file_that_exists(box):
    result, out = box.result(), box.write("a.trc", "mine")
    yield lambda: box.run("export", result, "-o", out)
    yield lambda: box.run("export", result, "-o", out, "--force")


@case
def a_file_that_exists_and_is_no_result(box):
    keypoints, out = box.keypoints(), box.write("a.npz", "mine")
    yield lambda: box.sample(keypoints, "-o", out)
    yield lambda: box.sample(keypoints, "-o", out, "--force")


@case
def a_result_that_was_made_differently(box):
    keypoints, out = box.keypoints(), box.path("a.npz")
    box.sample(keypoints, "-o", out)
    yield lambda: box.sample(keypoints, "-o", out, "--seed", 3)
    yield lambda: box.sample(keypoints, "-o", out, "--seed", 3, "--force")


@case
def a_folder_without_results(box):
    from hypopose.evaluation import folder_draws

    empty, full = box.path("empty"), box.path("full")
    empty.mkdir()
    (full / "truth").mkdir(parents=True)
    made = load_hypotheses(box.result())
    save_result(full / "a.npz", made)
    np.save(full / "truth" / "a.npy", made.pose.joints.numpy())
    yield lambda: list(folder_draws(empty))
    yield lambda: list(folder_draws(full))


def _evaluation(box: Box) -> tuple[Path, Path]:
    """A result of ``hypopose evaluate``, and one of ``hypopose calibrate``."""
    folder = box.path("results")
    (folder / "truth").mkdir(parents=True)
    person = replace(box.person(), image_size=SIZE)
    made = hypopose.estimate(person, sampler="boneflips", n_hypotheses=5)
    save_result(folder / "a.npz", made)
    np.save(folder / "truth" / "a.npy", made.pose.joints.numpy())
    evaluated, calibrated = box.path("e.json"), box.path("c.json")
    box.run("evaluate", folder / "a.npz", "--truth", folder / "truth" / "a.npy", "-o", evaluated)
    box.run("calibrate", folder, "-o", calibrated)
    return evaluated, calibrated


@case
def a_json_without_calibration(box):
    other = box.write("a.json", '{"hypopose": "keypoints"}')
    yield lambda: load_results(other)
    yield lambda: load_results(_evaluation(box)[1])


@case
def text_that_is_no_calibration(box):
    other = box.write("a.json", "{")
    yield lambda: load_results(other)
    yield lambda: load_results(_evaluation(box)[1])


# --- commands -----------------------------------------------------------------------------------


@case
def a_rate_that_is_none(box):
    path, out = box.points(_with_a_gap(box)), box.path("o.npz")
    words = ("complete", path, "-o", out, "--skeleton", "coco17", "--sampler", "boneflips",
             "--n-hypotheses", 2, "--image-size", *SIZE)  # fmt: skip
    yield lambda: box.run(*words, "--fps", -1)
    yield lambda: box.run(*words, "--fps", 25)


def _with_a_gap(box: Box) -> np.ndarray:
    xy = box.person().xy.numpy().copy()
    xy[2, 9] = np.nan
    return xy


@case
def neither_a_result_nor_a_benchmark(box):
    result = box.result()
    truth = box.points(load_hypotheses(result).pose.joints.numpy())
    yield lambda: box.run("evaluate")
    yield lambda: box.run("evaluate", result, "--truth", truth)


@case
def a_result_without_a_truth(box):
    result = box.result()
    truth = box.points(load_hypotheses(result).pose.joints.numpy())
    yield lambda: box.run("evaluate", result)
    yield lambda: box.run("evaluate", result, "--truth", truth)


@case
def a_benchmark_without_its_motion(box):
    yield lambda: box.run("evaluate", "--benchmark", "test-clean", "--sampler", "boneflips")
    yield lambda: box.run("evaluate", "--benchmark", "synthetic", "--sampler", "mean-pose",
                          "--limit", 2, "--n-hypotheses", 2)  # fmt: skip


@case
def a_baseline_with_weights(box):
    words = ("evaluate", "--benchmark", "synthetic", "--sampler", "mean-pose", "--limit", 2,
             "--n-hypotheses", 2)  # fmt: skip
    yield lambda: box.run(*words, "--n-steps", 3)
    yield lambda: box.run(*words)


@case
def sampling_options_for_results(box):
    result = box.result()
    truth = box.points(load_hypotheses(result).pose.joints.numpy())
    yield lambda: box.run("evaluate", result, "--truth", truth, "--n-steps", 3)
    yield lambda: box.run("evaluate", result, "--truth", truth)


@case
def a_folder_that_is_none(box):
    yield lambda: box.run("calibrate", box.keypoints(), "-o", box.path("c.json"))
    yield lambda: box.run("calibrate", "--help")


@case
def a_method_of_fitting_that_is_none(box):
    from hypopose.calibration.fitting import FITS, check_method

    yield lambda: check_method("best")
    yield lambda: [check_method(name) for name in FITS]


@case
def a_part_that_is_none(box):
    a, b, out = box.keypoints(), box.keypoints(), box.path("out")
    yield lambda: box.sample(a, b, "-o", out, "--shard", "3/2")
    yield lambda: box.sample(a, b, "-o", out, "--shard", "1/2")


@case
def a_part_of_one_input(box):
    a, b, out = box.keypoints(), box.keypoints(), box.path("out")
    yield lambda: box.sample(a, "-o", box.path("o.npz"), "--shard", "1/2")
    yield lambda: box.sample(a, b, "-o", out, "--shard", "1/2")


@case
def views_by_set(box):
    keypoints, out = box.keypoints(), box.path("o.npz")
    yield lambda: box.sample(keypoints, "-o", out, "--set", "views=a")
    yield _views(box)


@case
def a_setting_without_a_value(box):
    keypoints, out = box.keypoints(), box.path("o.npz")
    yield lambda: box.sample(keypoints, "-o", out, "--set", "plane")
    yield lambda: box.sample(keypoints, "-o", out, "--set", "plane=0.2")


@case
def keep_twice(box):
    keypoints = box.keypoints()
    yield lambda: box.run("tracks", keypoints, "--keep", "0", "--keep-main")
    yield lambda: box.run("tracks", keypoints, "--keep-main")


@case
def quantities_of_a_report_without_a_name(box):
    path, out = box.result(), box.path("out.html")
    yield lambda: box.run("report", path, "-o", out, "--height", 1.8)
    yield lambda: box.run("report", path, "-o", out, "--height", 1.8, "--what", "knee_flexion")


@case
def quantities_of_a_report_without_a_result(box):
    path, out = box.result(), box.path("out.html")
    judged = box.path("judged.json")
    truth = box.path("truth.npy")
    np.save(truth, load_hypotheses(path).hypotheses.joints.mean(0).numpy())
    box.run("evaluate", path, "--truth", truth, "-o", judged)
    yield lambda: box.run("report", judged, "-o", out, "--what", "knee_flexion")
    yield lambda: box.run("report", path, judged, "-o", out, "--what", "knee_flexion")


@case
def names_for_some_of_the_results(box):
    a, b, out = box.result(), box.result(), box.path("r.html")
    yield lambda: box.run("report", a, b, "-o", out, "--name", "mine")
    yield lambda: gather([a, b], names=["mine", "yours"])


@case
def names_for_some_of_the_results_in_python(box):
    a, b = box.result(), box.result()
    yield lambda: gather([a, b], names=["mine"])
    yield lambda: gather([a, b], names=["mine", "yours"])


@case
def truths_for_some_of_the_results(box):
    a, b, c, out = box.result(), box.result(), box.result(), box.path("r.html")
    truth = box.points(load_hypotheses(a).pose.joints.numpy())
    yield lambda: box.run("report", a, b, c, "-o", out, "--truth", truth, "--truth", truth)
    yield lambda: match_truths([truth], [a, b, c])


# --- motion capture -----------------------------------------------------------------------------


def _bvh(box: Box, name: str = "walk.bvh", **changes: str) -> Path:
    """HypoPose's own export, perhaps with other names of joints."""
    made = hypopose.load_hypotheses(box.result())
    long = replace(made, **_repeated(made, 10))
    path = box.path(name)
    export_result(path, long)
    text = path.read_text()
    for before, after in changes.items():
        text = text.replace(before, after)
    path.write_text(text)
    return path


def _repeated(made: Any, n: int) -> dict[str, Any]:
    hypotheses, pose, keypoints = made.hypotheses, made.pose, made.keypoints
    return {
        "hypotheses": replace(hypotheses, joints=hypotheses.joints.repeat(1, n, 1, 1),
                              root=hypotheses.root.repeat(1, n, 1)),
        "pose": replace(pose, joints=pose.joints.repeat(n, 1, 1), root=pose.root.repeat(n, 1),
                        std=None),
        "keypoints": replace(keypoints, xy=keypoints.xy.repeat(n, 1, 1), confidence=None),
    }  # fmt: skip


def _prepare(box: Box, *words: object) -> Callable[[], str]:
    return lambda: box.run("data", "prepare", *words, "-o", box.path("shard.npz"))


@case
def a_subject_without_a_name(box):
    path = _bvh(box)
    yield _prepare(box, path, "--subject", "a*=")
    yield _prepare(box, path, "--subject", "a*=anna")


@case
def a_rate_of_capture_that_is_none(box):
    path = _bvh(box)
    yield _prepare(box, path, "--fps", 9000)
    yield _prepare(box, path, "--fps", 25)


@case
def a_split_that_names_nobody(box):
    path = _bvh(box)
    yield _prepare(box, path, "--val", "bert")
    yield _prepare(box, path, "--val", "bert", "--subject", "bert", "--subject", "bert")


@case
def a_rig_that_is_not_known(box):
    path = _bvh(box, pelvis="zz", thorax="chestbone")
    names = {side + part: f"{side}{part}" for side in ("left_", "right_")
             for part in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")}  # fmt: skip
    toml = box.write("joints.toml", "\n".join(
        f'{a} = "{b}"' for a, b in {**names, "neck": "neck", "head_base": "neck",
                                    "head_end": "head", "spine": "spine"}.items()))  # fmt: skip
    yield _prepare(box, path)
    yield _prepare(box, path, "--joints", toml)


@case
def a_rig_in_another_unit_than_told(box):
    path = _bvh(box)
    yield _prepare(box, path, "--unit", "m")
    yield _prepare(box, path, "--unit", "cm")


@case
def joints_that_are_no_parts(box):
    path = _bvh(box)
    yield _prepare(box, path, "--joints", box.write("j.toml", 'left_tail = "a"'))
    yield _prepare(box, path)


@case
def joints_of_another_file(box):
    path = _bvh(box)
    yield _prepare(box, path, "--joints", box.write("j.toml", 'left_hip = "zzz"'))
    yield _prepare(box, path)


@case
def a_shard_as_capture(box):
    shard = box.path("done.npz")
    path = _bvh(box)
    box.run("data", "prepare", path, "-o", shard)
    yield _prepare(box, shard)
    yield lambda: box.run("train", "--help")


@case
def units_and_axes_of_rigs_that_are_none(box):
    from hypopose.datasets.capture import CapturedRig, to_h36m17

    rig = CapturedRig(H36M, get_skeleton("h36m17").parents, walk(H36M), 50.0)
    yield lambda: to_h36m17(rig, unit="mile")
    yield lambda: to_h36m17(rig, unit="m")


@case
def axes_of_rigs_that_are_none(box):
    from hypopose.datasets.capture import CapturedRig, to_h36m17

    rig = CapturedRig(H36M, get_skeleton("h36m17").parents, walk(H36M), 50.0)
    yield lambda: to_h36m17(rig, up="north")
    yield lambda: to_h36m17(rig, up="z")


@case
def a_rig_without_a_rate(box):
    from hypopose.datasets.capture import CapturedRig, Options
    from hypopose.datasets.capture.capture_files import _rig_clip

    rig = CapturedRig(H36M, get_skeleton("h36m17").parents, walk(H36M), None)
    place = Path("walk.amc")
    yield lambda: _rig_clip(place, rig, Options(), "")
    yield lambda: _rig_clip(place, rig, Options(fps=50.0), "")


@case
def a_json_that_is_no_evaluation(box):
    other = box.write("a.json", '{"a": 1}')
    yield lambda: load_results(other)
    yield lambda: load_results(_evaluation(box)[0])


# --- masks --------------------------------------------------------------------------------------


def _masks(box: Box, *, labels: bool = False, first: int = 0) -> Path:
    """A box around the person in every frame, and in a second color beside them."""
    xy = box.person().xy
    mask = np.zeros((6, SIZE[1], SIZE[0]), np.uint8)
    (left, top), (right, bottom) = xy.amin((0, 1)).int().tolist(), xy.amax((0, 1)).int().tolist()
    mask[:, top : bottom + 1, left : right + 1] = 1
    if labels:
        mask[:, :5, :5] = 2
        mask[:, :5, 9:14] = 30
    path = box.path("masks.npz")
    np.savez(path, masks=mask, frames=np.arange(first, first + 6))
    return path


def _weigh(box: Box, path: Path, *words: object) -> Callable[[], str]:
    return lambda: box.sample(box.keypoints(), "-o", box.path("a.npz"), "--mask", path, *words)


@case
def masks_whose_numbers_are_not_clear(box):
    path = _masks(box, labels=True)
    yield _weigh(box, path)
    yield _weigh(box, path, "--mask-values", "people")


@case
def masks_that_are_no_classes(box):
    path = _masks(box, labels=True)
    yield _weigh(box, path, "--mask-values", "parts")
    yield _weigh(box, path, "--mask-values", "person")


@case
def masks_of_another_stretch(box):
    path = _masks(box, first=7)
    yield _weigh(box, path, "--mask-start", 20)
    yield _weigh(box, path, "--mask-start", 7)


@case
def masks_of_another_shape(box):
    path = _masks(box)
    plain = box.path("plain.json")
    save_people(plain, {"0": box.person()})
    out = ("-o", box.path("a.npz"), "--mask", path)
    yield lambda: box.sample(plain, *out, "--image-size", 640, 640)
    yield lambda: box.sample(plain, *out, "--image-size", 640, 480)


@case
def an_aggregate_without_masks(box):
    path = box.result()
    words = ("aggregate", path, "-o", box.path("a.npz"), "--aggregate", "silhouette")
    yield lambda: box.run(*words)
    yield lambda: box.run(*words, "--mask", _masks(box))


@case
def options_of_masks_without_masks(box):
    path = box.result()
    words = ("refine", path, "-o", box.path("a.npz"), "--n-steps", 1, "--mask-start", 0)
    yield lambda: box.run(*words)
    yield lambda: box.run(*words, "--mask", _masks(box))


@case
def masks_for_several_inputs(box):
    paths = (box.keypoints(), box.keypoints())
    words = ("--mask", _masks(box))
    yield lambda: box.sample(*paths, "-o", box.path("out"), *words)
    yield lambda: box.sample(paths[0], "-o", box.path("a.npz"), *words)


# --- the law ------------------------------------------------------------------------------------

SAID: dict[str, str] = {}
"""What the first call of each case said."""


@case
def two_ways_of_smoothing(box):
    path = box.keypoints()
    words = ("-o", box.path("a.npz"), "--preset", "walk")
    yield lambda: box.sample(path, *words, "--smooth", 5)
    yield lambda: box.sample(path, *words)


@case
def people_in_different_frames(box):
    lens = Camera.from_fov(SIZE)
    turned = replace(lens, rotation=torch.tensor([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]),
                     translation=torch.tensor([0.0, 1.0, 4.0]), assumed=False)  # fmt: skip
    known = hypopose.load_hypotheses(box.result(camera=turned))
    unknown = hypopose.load_hypotheses(box.result())
    yield lambda: export_people(box.path("two.glb"), [known, unknown])
    yield lambda: [export_people(box.path("one.glb"), [result]) for result in (known, unknown)]


def _two(box, fps=None):
    one, other = (hypopose.load_hypotheses(box.result()) for _ in range(2))
    keypoints = one.keypoints if fps is None else replace(one.keypoints, fps=fps)
    return [replace(one, person="ann", keypoints=keypoints), other]


@case
def several_people_in_a_bvh(box):
    yield lambda: export_people(box.path("two.bvh"), _two(box))
    yield lambda: [
        [export_people(box.path(f"two.{e}"), _two(box)) for e in ("csv", "c3d", "trc", "glb")],
        [export_result(box.path(f"{r.person}.bvh"), r) for r in _two(box)],
    ]


@case
def several_people_with_all_their_motions(box):
    every = ExportOptions(which="all")
    yield lambda: export_people(box.path("two.trc"), _two(box), every)
    yield lambda: [
        export_people(box.path("two.trc"), _two(box), ExportOptions(which=1)),
        export_people(box.path("two.csv"), _two(box), every),
    ]


@case
def people_of_different_rates(box):
    yield lambda: export_people(box.path("two.trc"), _two(box, 17.0))
    yield lambda: export_people(box.path("two.trc"), _two(box, 17.0), ExportOptions(fps=25.0))


@case
def a_crowd_in_a_c3d(box):
    crowd = [replace(_two(box)[0], person=str(i)) for i in range(10)]
    yield lambda: export_people(box.path("crowd.c3d"), crowd)
    yield lambda: [
        export_people(box.path("crowd.c3d"), crowd[:5]),
        export_people(box.path("crowd.trc"), crowd),
    ]


@case
def feet_of_a_motion_without_a_place(box):
    path = box.result()
    words = ("export", path, "-o", box.path("a.bvh"), "--lock-feet")
    yield lambda: box.run(*words, "--root", "none")
    yield lambda: box.run(*words)


@case
def a_humanoid_rig_for_another_skeleton(box):
    result = hypopose.load_hypotheses(box.result())
    coco = get_skeleton("coco17")
    body = torch.from_numpy(walk(COCO, result.pose.joints.shape[0])).float()
    body = body - body[:, coco.root, None]
    other = replace(
        result, hypotheses=Hypotheses(body.expand(3, *body.shape), coco), pose=Poses3D(body, coco)
    )
    yield lambda: export_result(box.path("a.bvh"), other, ExportOptions(rig="mixamo"))
    yield lambda: export_result(box.path("b.bvh"), other)


@case
def a_body_without_a_surface(box):
    path, out = box.result(), box.path("surface.html")
    yield lambda: box.run("report", path, "-o", out, "--body", "capsules")
    yield lambda: box.run("report", path, "-o", out, "--body", "capsules", "--mesh")


@case
def a_surface_without_a_result(box):
    judged, out = _evaluation(box)[1], box.path("surface.html")
    yield lambda: box.run("report", judged, "-o", out, "--mesh")
    yield lambda: box.run("report", judged, "-o", out)


def refusal(name: str, box: Box) -> tuple[str, Callable[[], Any]]:
    """What is said, and the cure."""
    first, cure = CASES[name](box)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises((HypoPoseError, RefusedError)) as caught:
            first()
    SAID[name] = str(caught.value)
    return SAID[name], cure


@pytest.mark.parametrize("name", CASES)
def test_the_cure_works(name: str, tmp_path: Path) -> None:
    said, cure = refusal(name, Box(tmp_path))
    assert "\n" not in said
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cure()


def test_every_message_that_names_a_cure_is_tried(tmp_path: Path) -> None:
    for name in CASES:
        if name not in SAID:
            folder = tmp_path / name
            folder.mkdir()
            refusal(name, Box(folder))
    missing = [
        f"{m.place}: {m.templates[0][:120]}"
        for m in messages(PACKAGES)
        if not any(m.says(text) for text in SAID.values())
        and not any(word in text for word in APART for text in m.templates)
    ]
    assert not missing, "\n".join(missing)


def options_of_commands() -> set[str]:
    def walk_down(command: click.Command) -> Iterator[str]:
        for parameter in command.params:
            yield from parameter.opts
        for child in getattr(command, "commands", {}).values():
            yield from walk_down(child)

    commands = [main.get_command(click.Context(main), name) for name in COMMANDS]
    return {word for command in commands if command for word in walk_down(command)} | {"--help"}


ELSEWHERE = {"--keypoint_scale", "--keypoint-scale", "--layout", "--save-as"}
"""Options of other programs that messages name."""


def test_messages_name_options_that_there_are() -> None:
    known = options_of_commands() | ELSEWHERE
    rooms = tuple(sorted(p.name for p in ROOT.iterdir() if p.is_dir() and p.name[0] not in "_."))
    wrong = []
    for message in messages(rooms):
        for text in map(in_cli_words, message.templates):
            if "sleap-convert" in text:
                continue
            for word in re.findall(r"(?<![\w-])--[a-z][a-z_-]+", text):
                if word not in known:
                    wrong.append(f"{message.place}: {word}")
    assert not wrong, "\n".join(wrong)


def test_messages_name_commands_that_there_are() -> None:
    rooms = tuple(sorted(p.name for p in ROOT.iterdir() if p.is_dir() and p.name[0] not in "_."))
    called = re.compile(r"(?<![\w/.-])hypopose ([a-z]+(?:-[a-z]+)*)(?: ([a-z]+(?:-[a-z]+)*))?")
    wrong, n = [], 0
    for message in messages(rooms):
        for text in message.templates:
            for name, child in called.findall(text):
                n += 1
                command = main.get_command(click.Context(main), name)
                children = getattr(command, "commands", None)
                if command is None or (children is not None and child not in children):
                    wrong.append(f"{message.place}: hypopose {name} {child}")
    assert n > 10
    assert not wrong, "\n".join(wrong)


def test_messages_of_the_command_line_are_in_its_words() -> None:
    rooms = tuple(sorted(p.name for p in ROOT.iterdir() if p.is_dir() and p.name[0] not in "_."))
    keyword = re.compile(rf"(?<![\w.-])(?:{'|'.join(KEYWORDS)})=")
    for message in messages(rooms):
        for text in message.templates:
            assert not keyword.search(in_cli_words(text)), message.place
            both = re.search(r"(--[a-z-]+)[^.;]*\bin Python\b", text)
            assert both is None, f"{message.place}: says it twice on the command line"


def test_keywords_are_options() -> None:
    assert set(KEYWORDS.values()) <= options_of_commands()
