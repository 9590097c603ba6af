"""Detectors behind one protocol: MediaPipe on a body with known 3D, RTMPose, the choice."""

from __future__ import annotations

import hashlib
import inspect
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from rendered_body import standing, walk

from hypopose.errors import BackendError, CheckpointError, OptionError
from hypopose.skeletons import H36M17, convert, get_skeleton
from hypopose.video.detectors import DETECTORS, Detector, choice, choose_detector
from hypopose.video.detectors.mediapipe import MediaPipe
from hypopose.video.detectors.rtmpose import KEYPOINTS, PEOPLE, RTMPose


@pytest.fixture(scope="module")
def mediapipe() -> MediaPipe:
    pytest.importorskip("mediapipe", reason="MediaPipe is not installed")
    return MediaPipe()


@pytest.mark.video
@pytest.mark.filterwarnings("ignore")  # MediaPipe's own imports warn
def test_mediapipe_finds_the_joints_of_a_rendered_walker(
    mediapipe: MediaPipe, tmp_path: Path
) -> None:
    pytest.importorskip("av", reason="PyAV is not installed")
    from footage import write_clip

    from hypopose.video import detect_people

    frames, xy, _, _ = walk(12)
    path = write_clip(tmp_path / "walk.mp4", frames)
    people = detect_people(path, mediapipe)
    assert set(people) == {"0"}
    found = convert(people["0"], H36M17).xy.numpy()
    height = np.ptp(xy[..., 1], axis=1).mean()
    limbs = [1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16]
    error = np.linalg.norm(found - xy, axis=-1)[:, limbs]
    assert np.isfinite(error).all()
    assert np.median(error) < 0.03 * height
    assert "mediapipe sees one person a frame at most" in people["0"].notes


@pytest.mark.video
@pytest.mark.filterwarnings("ignore")
def test_mediapipes_keypoints_move_with_the_picture() -> None:
    pytest.importorskip("mediapipe", reason="MediaPipe is not installed")
    detector = MediaPipe(follow=False)
    picture = standing()
    first, second = detector.detect(picture[:570, :480]), detector.detect(picture[20:590, 12:492])
    assert len(first) == len(second) == 1
    head_and_shoulders = slice(0, 13)
    shift = (second.xy - first.xy)[0, head_and_shoulders]
    # It looks at a square around the person, which lands elsewhere: 1 % of the person is usual.
    np.testing.assert_allclose(np.nanmedian(shift, 0), [-12, -20], atol=8.0)
    assert len(detector.detect(np.full((200, 200, 3), 90, np.uint8))) == 0
    detector.close()


def fake_rtmlib(monkeypatch: pytest.MonkeyPatch, n_people: int = 2) -> list[Any]:
    """A module that answers as rtmlib does, and what it was asked."""
    asked: list[Any] = []

    class Yolox:
        def __init__(self, onnx_model: str, model_input_size: tuple[int, int]) -> None:
            asked.append((onnx_model, model_input_size))

        def __call__(self, image: np.ndarray) -> np.ndarray:
            asked.append(image[0, 0].tolist())
            return np.array([[10.0, 20, 30, 60], [50, 20, 80, 90]])[:n_people]

    class Pose:
        def __init__(self, onnx_model: str, model_input_size: tuple[int, int]) -> None:
            asked.append((onnx_model, model_input_size))

        def __call__(self, image: np.ndarray, bboxes: Any) -> tuple[np.ndarray, np.ndarray]:
            scores = np.full((len(bboxes), 26), 1.1)
            scores[:, 3] = -0.2
            return np.tile(np.asarray(bboxes)[:, None, :2], (1, 26, 1)), scores

    module = ModuleType("rtmlib")
    module.YOLOX, module.RTMPose = Yolox, Pose  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "rtmlib", module)
    return asked


def write_tiny_models(folder: Path) -> None:
    """A person in the middle half of every picture, all keypoints at the brightest place."""
    from onnx import TensorProto, checker, helper, numpy_helper, save

    def write(
        name: str, nodes: list[tuple[str, list[str], str, dict[str, Any]]],
        reads: list[int], gives: dict[str, tuple[int, list[int]]], known: dict[str, Any],
    ) -> None:  # fmt: skip
        image = helper.make_tensor_value_info("input", TensorProto.FLOAT, reads)
        outs = [helper.make_tensor_value_info(k, *kind) for k, kind in gives.items()]
        values = [numpy_helper.from_array(np.asarray(v), k) for k, v in known.items()]
        made = [helper.make_node(op, ins, [out], **more) for op, ins, out, more in nodes]
        graph = helper.make_graph(made, name, [image], outs, values)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        checker.check_model(model)
        save(model, folder / f"{name}.onnx")

    real, whole = TensorProto.FLOAT, TensorProto.INT64
    write(
        "people",
        [
            ("ReduceMean", ["input"], "mean", {"axes": [1, 2, 3], "keepdims": 0}),
            ("Mul", ["mean", "none"], "nothing", {}),
            ("Add", ["box", "nothing"], "dets", {}),
            ("Identity", ["label"], "labels", {}),
        ],
        [1, 3, 640, 640],
        {"dets": (real, [1, 1, 5]), "labels": (whole, [1, 1])},
        {
            "none": np.float32(0), "label": np.zeros((1, 1), np.int64),
            "box": np.array([[[160, 0, 480, 640, 0.9]]], np.float32),
        },
    )  # fmt: skip
    nodes, known = [], {"one": np.array([1]), "two": np.array([2])}
    for axis, others, n in (("x", [1, 2], 192), ("y", [1, 3], 256)):
        out = f"simcc_{axis}"
        known |= {f"twice_{axis}": np.array([1, n, 2]), f"flat_{axis}": np.array([1, 2 * n])}
        known |= {f"all_{axis}": np.array([1, 26, 2 * n])}
        nodes += [
            ("ReduceMax", ["input"], f"a{axis}", {"axes": others, "keepdims": 0}),
            ("Unsqueeze", [f"a{axis}", "two"], f"b{axis}", {}),
            ("Expand", [f"b{axis}", f"twice_{axis}"], f"c{axis}", {}),
            ("Reshape", [f"c{axis}", f"flat_{axis}"], f"d{axis}", {}),
            ("Unsqueeze", [f"d{axis}", "one"], f"e{axis}", {}),
            ("Expand", [f"e{axis}", f"all_{axis}"], out, {}),
        ]
    write(
        "keypoints", nodes, [1, 3, 256, 192],
        {"simcc_x": (real, [1, 26, 384]), "simcc_y": (real, [1, 26, 512])}, known,
    )  # fmt: skip


def models(folder: Path) -> Path:
    folder.mkdir()
    (folder / "people.onnx").write_bytes(b"people")
    (folder / f"{KEYPOINTS.file}.onnx").write_bytes(b"keypoints")
    return folder


def test_rtmpose_gives_halpe_keypoints_of_everybody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = fake_rtmlib(monkeypatch)
    detector = RTMPose(models(tmp_path / "models"))
    assert isinstance(detector, Detector)
    red = np.zeros((100, 100, 3), np.uint8)
    red[..., 0] = 255
    seen = detector.detect(red)
    assert asked[-1] == [0, 0, 255]  # rtmlib reads blue first
    assert [size for _, size in asked[:2]] == [PEOPLE.size, KEYPOINTS.size]
    assert seen.xy.shape == (2, 26, 2)
    assert seen.confidence.max() == 1.0
    assert np.isnan(seen.xy[:, 3]).all()
    assert detector.describe()["sha256"]["people.onnx"] == hashlib.sha256(b"people").hexdigest()
    fake_rtmlib(monkeypatch, n_people=0)
    assert len(RTMPose(tmp_path / "models").detect(red)) == 0


def test_rtmposes_models_are_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_rtmlib(monkeypatch)
    folder = models(tmp_path / "models")
    digest = hashlib.sha256(b"people").hexdigest()
    (folder / "SHA256SUMS").write_text(f"{digest}  people.onnx\n")
    RTMPose(folder)
    (folder / "people.onnx").write_bytes(b"other")
    with pytest.raises(CheckpointError, match="SHA256SUMS says"):
        RTMPose(folder)
    (folder / "people.onnx").unlink()
    with pytest.raises(BackendError, match="there is neither"):
        RTMPose(folder)


def test_models_that_were_fetched_are_told_by_their_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_rtmlib(monkeypatch)
    (tmp_path / "fetched.onnx").write_bytes(b"fetched")
    rtmlib: Any = sys.modules["rtmlib"]
    rtmlib.YOLOX.onnx_model = rtmlib.RTMPose.onnx_model = str(tmp_path / "fetched.onnx")
    digest = hashlib.sha256(b"fetched").hexdigest()
    assert RTMPose().describe()["sha256"] == {"fetched.onnx": digest}
    (tmp_path / "SHA256SUMS").write_text(f"{'0' * 64}  fetched.onnx\n")
    with pytest.raises(CheckpointError, match="SHA256SUMS says"):
        RTMPose()


def test_a_model_that_cannot_be_fetched_says_where_to_put_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake_rtmlib(monkeypatch)

    def offline(*_: Any, **__: Any) -> None:
        raise OSError("Name or service not known")

    monkeypatch.setattr(sys.modules["rtmlib"], "YOLOX", offline)
    with pytest.raises(BackendError, match=r"could not be fetched.*--detector-models"):
        RTMPose()


def test_rtmlib_still_takes_what_it_is_given() -> None:
    rtmlib = pytest.importorskip("rtmlib", reason="rtmlib is not installed")
    for model, call in ((rtmlib.YOLOX, ()), (rtmlib.RTMPose, ("bboxes",))):
        made = inspect.signature(model.__init__).parameters
        assert {"onnx_model", "model_input_size"} <= set(made)
        assert set(call) <= set(inspect.signature(model.__call__).parameters)


@pytest.mark.onnx
def test_rtmpose_runs_models_of_their_signature(tmp_path: Path) -> None:
    pytest.importorskip("rtmlib", reason="rtmlib is not installed")
    pytest.importorskip("onnx", reason="ONNX is not installed")
    write_tiny_models(tmp_path)
    picture = np.full((480, 480, 3), 20, np.uint8)
    picture[198:203, 298:303] = 255
    seen = RTMPose(tmp_path).detect(picture)
    np.testing.assert_allclose(seen.boxes, [[120, 0, 360, 480]], atol=1)
    np.testing.assert_allclose(seen.xy, np.full((1, 26, 2), (300.5, 200.5)), atol=4)
    assert (seen.confidence > 0.5).all()


def test_the_choice_takes_what_is_installed_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    class Here:
        name = "here"
        skeleton = get_skeleton("coco17")
        max_people = None

        def detect(self, rgb: Any) -> Any: ...

        def reset(self) -> None: ...

        def describe(self) -> dict[str, Any]: ...

        def close(self) -> None: ...

    def broken(models: Path | None) -> Any:
        raise BackendError("its models cannot be fetched")

    found = {"present": object(), "absent": None}
    monkeypatch.setattr(choice.importlib.util, "find_spec", found.get)
    monkeypatch.setattr(choice, "DETECTORS", {
        "one": ("absent", lambda m: Here()), "two": ("present", broken),
        "three": ("present", lambda m: Here()),
    })  # fmt: skip
    made, why = choose_detector()
    assert made.name == "here"
    assert "detector three" in why
    assert "two: its models cannot be fetched" in why
    monkeypatch.setattr(choice, "DETECTORS", {"two": ("present", broken)})
    with pytest.raises(BackendError, match="cannot be fetched"):
        choose_detector()
    monkeypatch.setattr(choice, "DETECTORS", {"one": ("absent", lambda m: Here())})
    with pytest.raises(BackendError, match=r"pip install 'hypopose\[video\]'.*yolo pose"):
        choose_detector()


def test_unknown_detectors_are_refused() -> None:
    with pytest.raises(OptionError, match="auto, rtmpose, mediapipe"):
        choose_detector("openpose")
    assert set(DETECTORS) == {"rtmpose", "mediapipe"}


def test_a_detector_that_is_not_installed_names_its_install_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "rtmlib", None)
    with pytest.raises(BackendError, match=r"pip install 'hypopose\[rtmpose\]'"):
        choose_detector("rtmpose")
