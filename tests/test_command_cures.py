"""Cures that commands and the rooms behind them name, applied; see :mod:`test_cures`.

Messages about reading files are in ``test_cures.py``, those of training, protocols and clusters in
``test_learning_cures.py``, of videos in ``video/test_video_cures.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from cures import CureTable
from test_cures import H36M, SIZE, Box, RefusedError
from walker import in_axes, walk, write_trc
from walker import rig as walker_rig

import hypopose
from hypopose.errors import HypoPoseError
from hypopose.io import load_hypotheses, save_people, save_result

PACKAGES = (
    "cli/adapt.py", "cli/calibrate.py", "cli/measure.py", "cli/mesh.py", "cli/options.py",
    "cli/sample.py", "cli/triangulate.py", "cli/view_files.py", "aggregation", "bodies",
    "quantities/body_motion.py", "quantities/table.py", "report/mesh_pictures.py",
    "calibration/calibrator_files.py", "checks.py",
)  # fmt: skip
APART = {
    "--cluster": "tests/cli/test_cluster.py",
    "The vertices would take": "gigabytes; tests/bodies",
}
"""Messages, and why their cure is not applied here."""

TABLE = CureTable(PACKAGES, APART)
case = TABLE.case


# --- several views ------------------------------------------------------------------------------


def rig(box: Box, names: tuple[str, ...] = ("view0", "view1", "view2")) -> tuple[list[Path], Path]:
    """Keypoint files of three views in a folder of their own, and the file of their cameras."""
    folder = box.path("views")
    folder.mkdir()
    files, text = [], ""
    for name, view in zip(names, walker_rig(), strict=True):
        camera = view.camera
        assert camera is not None
        assert camera.rotation is not None
        assert camera.translation is not None
        files.append(folder / f"{name}.json")
        save_people(files[-1], {"0": replace(view, camera=None)})
        (f, _), (cx, cy) = camera.focal.tolist(), camera.center.tolist()
        text += (
            f'[{name}]\nname = "{name}"\nsize = [1280, 720]\n'
            f"matrix = [[{f}, 0, {cx}], [0, {f}, {cy}], [0, 0, 1]]\n"
            f"rotation = {camera.rotation.tolist()}\ntranslation = {camera.translation.tolist()}\n"
        )
    return files, box.write("cameras.toml", text)


def triangulated(box: Box, *words: object, names: tuple[str, ...] = ()) -> Callable[[], str]:
    files, cameras = rig(box, names) if names else rig(box)
    out = box.path("out.npz")
    return lambda: box.run("triangulate", *files, "--camera", cameras, "-o", out, *words)


@case
def a_residual_that_is_none(box):
    yield triangulated(box, "--max-residual", -1)
    yield triangulated(box, "--max-residual", 30)


@case
def no_hypothesis(box):
    yield triangulated(box, "--n-hypotheses", 0)
    yield triangulated(box, "--n-hypotheses", 1)


@case
def a_sampler_for_triangulating(box):
    yield triangulated(box, "--sampler", "boneflips")
    yield triangulated(box)


@case
def names_for_some_views(box):
    yield triangulated(box, "--name", "view0")
    yield triangulated(box, "--name", "view0", "--name", "view1", "--name", "view2")


@case
def an_offset_of_the_first_view(box):
    yield triangulated(box, "--offset", "view0", 2)
    yield triangulated(box, "--offset", "view1", 0)


@case
def views_that_no_camera_is_named_like(box):
    files, cameras = rig(box)
    words = ("triangulate", *files, "--camera", cameras, "-o", box.path("o.npz"))
    other = box.write("other.toml", cameras.read_text().replace("view", "cam"))
    named = ("--name", "cam0", "--name", "cam1", "--name", "cam2")
    yield lambda: box.run(*words[:4], "--camera", other, "-o", box.path("p.npz"))
    yield lambda: box.run(*words[:4], "--camera", other, "-o", box.path("p.npz"), *named)


@case
def lenses_that_are_named_otherwise(box):
    files, cameras = rig(box)
    other = box.write("other.toml", cameras.read_text().replace("view", "cam"))
    words = ("cameras", *files, "--camera", other, "-o", box.path("rig.json"), "--height", 1.75)
    named = ("--name", "cam0", "--name", "cam1", "--name", "cam2")
    yield lambda: box.run(*words)
    yield lambda: box.run(*words, *named)


@case
def views_that_nothing_tells_apart(box):
    from hypopose.cli.view_files import view_names

    one = box.keypoints()
    link = one.parent / "." / one.name
    both = [one, Path(str(link).replace(one.name, f"x/../{one.name}"))]
    yield lambda: _same(both)
    yield lambda: view_names([*both[:1], box.keypoints()], ("front", "side"))


def _same(paths: list[Path]) -> None:
    """Files that differ in nothing that a name could be made of."""
    from hypopose.cli.view_files import _telling_apart

    _telling_apart([path.resolve() for path in paths])


@case
def a_focal_length_that_is_none(box):
    files, _ = rig(box)
    words = ("cameras", *files, "-o", box.path("rig.json"), "--height", 1.75, "--focal")
    focal = walker_rig()[0].camera
    assert focal is not None
    yield lambda: box.run(*words, -5)
    yield lambda: box.run(*words, float(focal.focal[0]))


# --- samples and masks --------------------------------------------------------------------------


def masks(box: Box) -> Path:
    from PIL import Image

    folder = box.path("masks")
    folder.mkdir()
    for f in range(6):
        mask = np.zeros((SIZE[1], SIZE[0]), np.uint8)
        mask[60:470, 230:370] = 255
        Image.fromarray(mask).save(folder / f"{f:04}.png")
    return folder


@case
def how_to_read_a_mask_that_is_not_given(box):
    keypoints, out = box.keypoints(), box.path("o.npz")
    yield lambda: box.sample(keypoints, "-o", out, "--mask-start", 0)
    yield lambda: box.sample(keypoints, "-o", out, "--mask-start", 0, "--mask", masks(box))


@case
def a_mask_for_two(box):
    keypoints, other = box.keypoints(), box.keypoints()
    shown = masks(box)
    yield lambda: box.sample(keypoints, other, "-o", box.path("o"), "--mask", shown)
    yield lambda: box.sample(keypoints, "-o", box.path("o.npz"), "--mask", shown)


@case
def weighing_by_masks_that_are_not_there(box):
    result, out = box.result(), box.path("o.npz")
    yield lambda: box.run("aggregate", result, "-o", out, "--aggregate", "silhouette")
    yield lambda: box.run("aggregate", result, "-o", out, "--aggregate", "mean")


@case
def more_than_the_memory_holds(box):
    words = {"sampler": "boneflips"}
    yield lambda: hypopose.sample(box.person(), n_hypotheses=10**12, **words)
    yield lambda: hypopose.sample(box.person(), n_hypotheses=3, **words)


@case
def a_calibrator_that_is_none(box):
    from hypopose.calibration import load_calibrator

    keypoints, out = box.keypoints(), box.path("o.npz")
    bundled = Path(hypopose.__file__).parent / "weights" / "d3dp-frame-small" / "calibrator.json"
    other = box.write("c.json", "")
    yield lambda: box.sample(keypoints, "-o", out, "--calibrator", other)
    yield lambda: load_calibrator(bundled)


# --- measures and surfaces ----------------------------------------------------------------------


@case
def a_plot_of_no_frames(box):
    words = ("measure", box.result(), "-o", box.path("m.csv"), "--plot", "--what")
    yield lambda: box.run(*words, "left_knee_flexion_range")
    yield lambda: box.run(*words, "knee_flexion")


@case
def a_quantity_that_is_none(box):
    words = ("measure", box.result(), "-o", box.path("m.csv"), "--what")
    yield lambda: box.run(*words, "knee_flexions")
    yield lambda: (box.run("measure", "--list"), box.run(*words, "knee_flexion"))


@case
def speeds_without_a_rate(box):
    words = ("measure", box.result(fps=None), "-o", box.path("m.csv"), "--what", "com_speed",
             "--height", 1.8)  # fmt: skip
    yield lambda: box.run(*words)
    yield lambda: box.run(*words, "--fps", 30)


@case
def speeds_without_a_place(box):
    made = load_hypotheses(box.result())
    bare = replace(made, hypotheses=replace(made.hypotheses, root=None),
                   pose=replace(made.pose, root=None))  # fmt: skip
    lost, out = box.path("lost.npz"), box.path("m.csv")
    save_result(lost, bare)
    words = ("-o", out, "--what", "com_speed", "--height", 1.8)
    yield lambda: box.run("measure", lost, *words)
    yield lambda: box.run("measure", box.result(), *words)


@case
def a_surface_turned_twice(box):
    result, out = box.result(), box.path("o.glb")
    yield lambda: box.run("mesh", result, "-o", out, "--up", "z")
    yield lambda: box.run("mesh", result, "-o", out)


@case
def a_surface_that_no_bones_move(box):
    result, out = box.result(), box.path("o.glb")
    yield lambda: box.run("mesh", result, "-o", out, "--shape", "frame")
    yield lambda: box.run("mesh", result, "-o", out, "--shape", "shared")


@case
def a_picture_of_a_turned_surface(box):
    words = ("mesh", box.result(), "-o", box.path("o.ply"), "--frame", 2, "--picture",
             box.path("o.png"))  # fmt: skip
    yield lambda: box.run(*words, "--up", "z")
    yield lambda: box.run(*words)


@case
def a_picture_in_the_place_of_the_surface(box):
    out = box.path("o.ply")
    words = ("mesh", box.result(), "-o", out, "--frame", 2, "--picture")
    yield lambda: box.run(*words, out)
    yield lambda: box.run(*words, box.path("o.png"))


@case
def a_frame_without_a_body(box):
    path = write_trc(box.path("a.trc"), H36M, in_axes(walk(H36M), "y"))
    made = hypopose.import_motion(path)["0"]
    joints = made.hypotheses.joints.clone()
    joints[:, 3] = torch.nan
    pose = made.pose.joints.clone()
    pose[3] = torch.nan
    out = box.path("gap.npz")
    save_result(out, replace(made, hypotheses=replace(made.hypotheses, joints=joints),
                             pose=replace(made.pose, joints=pose)))  # fmt: skip
    words = ("mesh", out, "-o", box.path("o.ply"), "--frame")
    yield lambda: box.run(*words, 3)
    yield lambda: box.run(*words, 2)


@pytest.mark.parametrize("name", TABLE.cases)
def test_the_cure_works(name: str, tmp_path: Path) -> None:
    TABLE.apply(name, Box(tmp_path), (HypoPoseError, RefusedError))


def test_every_message_that_names_a_cure_is_tried(tmp_path: Path) -> None:
    TABLE.check_all(tmp_path, Box, (HypoPoseError, RefusedError))
