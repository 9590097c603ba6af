"""Predictions of anybody: every layout gives the same answers, every wrong one names its cure."""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from protocol_folders import dictionary, h36m_view, make_h36m, rotation_of
from protocol_numbers import relative

from hypopose.datasets.protocols import ProtocolData, make_protocol
from hypopose.datasets.protocols.h36m_cameras import _PLACES, CAMERA_IDS
from hypopose.errors import FormatError, OptionError
from hypopose.evaluation import Layout, Predictions, check_predictions
from hypopose.evaluation.prediction_checks import scale_was_taken
from hypopose.evaluation.protocol_results import stated
from hypopose.io.prediction_files import read_predictions
from hypopose.skeletons import H36M17

Views = dict[tuple[str, str, int], np.ndarray]
"""Subject, take and camera to ``(F, 17, 3)``."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> tuple[ProtocolData, Views]:
    """A folder and the true poses of its views."""
    folder = tmp_path_factory.mktemp("h36m")
    world = make_h36m(folder)
    truth = {
        (subject, take, camera): relative(h36m_view(motion, subject, camera)[0])
        for subject, takes in world.items()
        for take, motion in takes.items()
        if (subject, take) != ("S11", "Directions")
        for camera in range(4)
    }
    return make_protocol("h36m", partial=True, stride=2).open(folder), truth


def answers(truth: Views, seed: int = 0) -> Views:
    """Predictions that are a little off, in size too."""
    rng = np.random.default_rng(seed)
    return {k: 0.98 * y + rng.normal(0, 0.01, y.shape) for k, y in truth.items()}


def save(path: Path, arrays: dict[str, np.ndarray]) -> None:
    np.savez(path.with_suffix(".npz"), **arrays)
    path.with_suffix(".npz").rename(path)


def names(x: Views, pattern: str = "{}/{}/{}") -> dict[str, np.ndarray]:
    return {pattern.format(s, t, CAMERA_IDS[c]): array for (s, t, c), array in x.items()}


def nested(x: Views) -> dict[str, dict[str, list[np.ndarray]]]:
    """As VideoPose3D nests keypoints."""
    found: dict[str, dict[str, list[np.ndarray]]] = {}
    for (subject, take, _), array in x.items():
        found.setdefault(subject, {}).setdefault(take, []).append(array)
    return found


def as_npz(path: Path, x: Views) -> None:
    save(path, names(x))


def as_words(path: Path, x: Views) -> None:
    save(path, names(x, "results_{}_{}.{}"))


def as_pickled(path: Path, x: Views) -> None:
    save(path, {"predictions": dictionary(nested(x))})


def as_pickle(path: Path, x: Views) -> None:
    path.write_bytes(pickle.dumps(nested(x), protocol=2))


def as_json(path: Path, x: Views) -> None:
    lists = {
        s: {t: [c.tolist() for c in cs] for t, cs in own.items()} for s, own in nested(x).items()
    }
    path.write_text(json.dumps({"fps": 50, "poses": lists}))


def as_hdf5(path: Path, x: Views) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        for name, array in names(x).items():
            file[name] = array


def as_matlab(path: Path, x: Views) -> None:
    from scipy.io import savemat

    spelled = {k.replace("/", "_").replace(" ", "_"): v for k, v in names(x).items()}
    savemat(path, {k: v.T[:, :, None] for k, v in spelled.items()})  # (3, 17, 1, N)


def as_one_array(path: Path, x: Views) -> None:
    np.save(path, np.concatenate(list(x.values())))


def as_rows_of_51(path: Path, x: Views) -> None:
    np.save(path, np.concatenate(list(x.values())).reshape(-1, 51))


def as_counted_frames(path: Path, x: Views) -> None:
    np.save(path, np.concatenate([array[::2] for array in x.values()]))


LAYOUTS: dict[str, tuple[str, Callable[[Path, Views], None]]] = {
    "an array a view": ("x.npz", as_npz),
    "other separators": ("x.npz", as_words),
    "nested and pickled": ("x.npz", as_pickled),
    "a pickle of Python 2": ("x.pkl", as_pickle),
    "JSON": ("x.json", as_json),
    "HDF5": ("x.h5", as_hdf5),
    "MATLAB": ("x.mat", as_matlab),
    "one array": ("x.npy", as_one_array),
    "rows": ("x.npy", as_rows_of_51),
    "counted frames only": ("x.npy", as_counted_frames),
}


def poses(predictions: Predictions) -> list[torch.Tensor]:
    """Answers at the frames that count."""
    found = []
    for entry in predictions.data.entries:
        joints = predictions(entry, predictions.data.load(entry)).joints
        rows = entry.counted if joints.shape[1] == entry.n_frames else slice(None)
        found.append(joints[:, rows])
    return found


@pytest.mark.parametrize("kind", LAYOUTS)
def test_every_layout_gives_the_same_answers(
    data: tuple[ProtocolData, Views], tmp_path: Path, kind: str
) -> None:
    views, truth = data
    x = answers(truth)
    name, write = LAYOUTS[kind]
    write(tmp_path / name, x)
    predictions = Predictions(read_predictions(tmp_path / name), views)
    for found, array in zip(poses(predictions), x.values(), strict=True):
        np.testing.assert_allclose(found[0].numpy(), relative(array)[::2], atol=1e-12)
    facts = check_predictions(predictions)
    assert not scale_was_taken(facts)


@pytest.mark.parametrize("order", ["HN", "NH"])
def test_hypotheses_stand_in_front_or_behind_frames(
    data: tuple[ProtocolData, Views], tmp_path: Path, order: str
) -> None:
    views, truth = data
    sets = [answers(truth, seed) for seed in range(3)]
    together = {k: np.stack([s[k] for s in sets], 0 if order == "HN" else 1) for k in truth}
    save(tmp_path / "x.npz", names(together))
    found = poses(Predictions(read_predictions(tmp_path / "x.npz"), views))
    for joints, key in zip(found, truth, strict=True):
        for h in range(3):
            np.testing.assert_allclose(joints[h].numpy(), relative(sets[h][key])[::2], atol=1e-12)


def to_world(x: Views) -> Views:
    turned = {}
    for (subject, take, camera), array in x.items():
        q = np.array(_PLACES[subject][camera])[:4]
        turned[subject, take, camera] = array @ rotation_of(q / np.linalg.norm(q)).T
    return turned


def in_3dhp_order(x: Views) -> Views:
    order = [10, 8, 14, 15, 16, 11, 12, 13, 1, 2, 3, 4, 5, 6, 0, 7, 9]
    return {k: array[:, order] for k, array in x.items()}


FLIP = list(H36M17.flip_order)
WRONG: dict[str, Callable[[Views], Views]] = {
    "--unit mm": lambda x: {k: 1000 * v for k, v in x.items()},
    "--unit cm": lambda x: {k: 100 * v for k, v in x.items()},
    "--axes=x,-y,-z": lambda x: {k: v * [1, -1, -1] for k, v in x.items()},
    "--axes=x,-y,z": lambda x: {k: v * [1, -1, 1] for k, v in x.items()},
    "--axes=-x,y,z": lambda x: {k: v * [-1, 1, 1] for k, v in x.items()},
    "--axes=x,-z,y": lambda x: {k: v[..., [0, 2, 1]] * [1, 1, -1] for k, v in x.items()},
    "--swap-sides": lambda x: {k: v[:, FLIP] for k, v in x.items()},
    "--frame=world": to_world,
    "--skeleton=3dhp17": in_3dhp_order,
}
"""Cure -> what it undoes."""


def cured(layout: Layout, message: str) -> Layout:
    """The layout after the options that a message names are added."""
    found = re.findall(r"--(unit|axes|frame|skeleton)[ =]([\w,-]+)", message)
    changes = {name: value.rstrip(",") for name, value in found}
    return replace(layout, **changes, swap_sides=layout.swap_sides or "--swap-sides" in message)


@pytest.mark.parametrize("cure", WRONG)
def test_a_wrong_layout_names_a_cure_that_works(
    data: tuple[ProtocolData, Views], tmp_path: Path, cure: str
) -> None:
    views, truth = data
    save(tmp_path / "x.npz", names(WRONG[cure](answers(truth))))
    predictions = Predictions(read_predictions(tmp_path / "x.npz"), views)
    with pytest.raises(FormatError) as error:
        check_predictions(predictions)
    assert cure in str(error.value)
    assert "\n" not in str(error.value)
    better = replace(predictions, layout=cured(Layout(), str(error.value)))
    check_predictions(better)
    if cure != "--skeleton=3dhp17":  # whose head and neck are other points
        for found, array in zip(poses(better), answers(truth).values(), strict=True):
            np.testing.assert_allclose(found[0].numpy(), relative(array)[::2], atol=1e-9)


def test_several_mistakes_are_cured_one_after_another(
    data: tuple[ProtocolData, Views], tmp_path: Path
) -> None:
    views, truth = data
    x = {k: 1000 * v[:, FLIP] * [1, -1, 1] for k, v in answers(truth).items()}
    save(tmp_path / "x.npz", names(x))
    predictions = Predictions(read_predictions(tmp_path / "x.npz"), views)
    n_cures = 0
    for _ in range(4):
        try:
            check_predictions(predictions)
            break
        except FormatError as error:
            n_cures += 1
            layout = cured(predictions.layout, str(error))
            predictions = replace(predictions, layout=layout)
    assert n_cures == 2
    assert predictions.layout == Layout("mm", "x,-y,z", swap_sides=True)


def test_an_option_too_many_is_to_be_left_out(
    data: tuple[ProtocolData, Views], tmp_path: Path
) -> None:
    views, truth = data
    save(tmp_path / "x.npz", names(answers(truth)))
    file = read_predictions(tmp_path / "x.npz")
    with pytest.raises(FormatError, match="leave out --swap-sides"):
        check_predictions(Predictions(file, views, Layout(swap_sides=True)))
    with pytest.raises(FormatError, match="add --unit m"):
        check_predictions(Predictions(file, views, Layout(unit="mm")))


def some(x: Views, change: Callable[[np.ndarray], np.ndarray]) -> Views:
    first = next(iter(x))
    return {**x, first: change(x[first])}


def with_nan(array: np.ndarray) -> np.ndarray:
    broken = array.copy()
    broken[3, 5] = np.nan
    return broken


REFUSED: dict[str, tuple[Callable[[Views], dict[str, np.ndarray]], str]] = {
    "NaN": (lambda x: names(some(x, with_nan)), "in 1 of 9 frames, the first at 3; answer every"),
    "a view is missing": (lambda x: dict(list(names(x).items())[:-1]), "for 1 of 20 views"),
    "a view twice": (
        lambda x: names(x) | names(dict(list(x.items())[:1]), "old/{}/{}/{}"), "twice, the second",
    ),
    "too few frames": (
        lambda x: names(some(x, lambda a: a[:-2])), "is (7, 17, 3), but the view has 9 frames, or",
    ),
    "other joints": (lambda x: names(some(x, lambda a: a[:, :15])), "has 15 joints, not 17"),
    "one array too short": (
        lambda x: {"poses": np.concatenate(list(x.values()))[:-1]}, "the 20 views have 164 frames",
    ),
    "the truth": (names, "equal the ground truth"),
    "in no unit": (lambda x: names({k: 7 * v for k, v in x.items()}), "bring them to meters"),
    "noise": (
        lambda x: names({k: np.random.default_rng(i).normal(0, 0.35, v.shape)
                         for i, (k, v) in enumerate(x.items())}),
        "one constant pose reaches",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_right_is_refused(
    data: tuple[ProtocolData, Views], tmp_path: Path, kind: str
) -> None:
    views, truth = data
    make, says = REFUSED[kind]
    x = truth if kind == "the truth" else answers(truth)
    save(tmp_path / "x.npz", make(x))
    with pytest.raises(FormatError) as error:
        check_predictions(Predictions(read_predictions(tmp_path / "x.npz"), views))
    assert says in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("x.npz", b"PK\x03\x04cut", "not a readable array file"),
        ("x.json", b"[[1, 2], [3]]", "lists of unequal length"),
        ("x.json", b'{"fps": 3}', "holds no arrays of joints"),
        ("x.pkl", pickle.dumps(print), "it needs builtins.print"),
        ("x.csv", b"a,b\n1,2\n", "save them as npz, npy, h5, mat, json or pkl"),
        ("x.npy", b"\x93NUMPY\x01\x00", "not a readable array file"),
    ],
)
def test_files_that_hold_no_predictions(
    tmp_path: Path, name: str, content: bytes, says: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FormatError) as error:
        read_predictions(tmp_path / name)
    assert says in str(error.value)


def test_true_sizes_are_noticed_and_statements_are_checked(
    data: tuple[ProtocolData, Views], tmp_path: Path
) -> None:
    views, truth = data
    x = answers(truth)
    scaled = {
        k: v * np.linalg.norm(truth[k], axis=-1).mean(-1)[:, None, None]
        / np.linalg.norm(relative(v), axis=-1).mean(-1)[:, None, None]
        for k, v in x.items()
    }  # fmt: skip
    save(tmp_path / "x.npz", names(scaled))
    facts = check_predictions(Predictions(read_predictions(tmp_path / "x.npz"), views))
    assert scale_was_taken(facts)
    assert stated({"root": "truth"})["root"] == "ground truth"
    with pytest.raises(OptionError, match="no detail 'luck'"):
        stated({"luck": "much"})
