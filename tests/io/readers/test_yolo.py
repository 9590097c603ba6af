"""YOLO's pose labels: what Ultralytics writes comes back in pixels, frame by frame."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hypopose.errors import FormatError, HypoPoseError
from hypopose.io import detect_format, inspect, load, load_people

SIZE = (640, 480)


def row(xy, *extra, third=0.75, kind=0):
    """One line as ``save_txt`` writes it: %g, fractions of the image."""
    values = xy / SIZE
    if third is not None:
        values = np.column_stack([values, np.broadcast_to(third, len(values))])
    numbers = (kind, 0.5, 0.5, 0.4, 0.6, *values.ravel(), *extra)
    return " ".join(f"{v:g}" for v in numbers) + "\n"


@pytest.fixture
def labels(tmp_path):
    folder = tmp_path / "labels"
    folder.mkdir()

    def write(frames, name="walk"):
        for number, rows in frames.items():
            (folder / f"{name}_{number}.txt").write_text("".join(rows))
        return folder

    return write


def walk(figure, f, x=150.0):
    return figure("coco17", (x + 5 * f, 90))


def test_frames_of_two_followed_people(labels, figure):
    """Nobody in frame 3, for which YOLO writes no file; the order of people changes."""
    frames = {}
    for f in (1, 2, 4, 5):
        rows = [row(walk(figure, f)), row(walk(figure, f, 400))]
        frames[f] = rows[:: -1 if f % 2 else 1]
    folder = labels(frames)
    assert detect_format(folder) == "yolo"
    people = load_people(folder, image_size=SIZE)
    assert len(people) == 2
    seen = [0, 1, 3, 4]
    for keypoints, x in zip(people.values(), sorted(
        (150, 400), key=lambda x: abs(people["0"].xy[0, 0, 0] - x)), strict=True):  # fmt: skip
        expected = np.stack([walk(figure, f + 1, x) for f in seen])
        np.testing.assert_allclose(keypoints.xy[seen].numpy(), expected, atol=0.01)
        assert keypoints.detected.any(-1).tolist() == [True, True, False, True, True]
        assert keypoints.confidence[0].unique().tolist() == [0.75]
        assert keypoints.image_size == SIZE


def test_track_ids_and_confidences(labels, figure):
    """Both behind the keypoints; ids are absent from a frame in which nobody is tracked."""
    folder = labels({
        1: [row(walk(figure, 1), 0.9, 7), row(walk(figure, 1, 400), 0.8, 3)],
        2: [row(walk(figure, 2), 0.9), row(walk(figure, 2, 400), 0.8)],
        3: [row(walk(figure, 3, 400), 0.8, 3), row(walk(figure, 3), 0.9, 7)],
    })  # fmt: skip
    people = load_people(folder, image_size=SIZE)
    assert {"3", "7"} < people.keys()
    np.testing.assert_allclose(people["7"].xy[2].numpy(), walk(figure, 3), atol=0.01)


@pytest.mark.parametrize(
    ("extra", "names"), [((1, 2), {"1", "2"}), ((0.9, 0.4), {"0", "1"}), ((1, 1), {"1"})]
)
def test_a_lone_number_is_an_id_if_it_is_whole(labels, figure, extra, names):
    rows = [row(walk(figure, 1), extra[0])]
    rows += [row(walk(figure, 1, 400), extra[1])] if extra[0] != extra[1] else []
    assert load_people(labels({1: rows}), image_size=SIZE).keys() == names


def test_training_labels_have_flags_and_no_visibility_is_no_confidence(labels, figure, tmp_path):
    flags = np.arange(17) % 3
    xy = walk(figure, 0) * (flags > 0)[:, None]
    keypoints = load(labels({1: [row(xy, third=flags)]}), image_size=SIZE)
    assert keypoints.confidence[0].tolist() == (flags > 0).astype(float).tolist()
    (tmp_path / "one.txt").write_text(row(walk(figure, 0), third=None))
    keypoints = load(tmp_path / "one.txt", image_size=SIZE)
    assert keypoints.confidence is None
    np.testing.assert_allclose(keypoints.xy[0].numpy(), walk(figure, 0), atol=0.01)


def test_an_empty_file_is_a_frame_without_people_and_classes_are_passed_over(labels, figure):
    folder = labels({0: [], 1: [row(walk(figure, 1)), row(walk(figure, 1, 400), kind=2)]})
    (folder / "classes.txt").write_text("person\nball\n")
    info = inspect(folder, image_size=SIZE)
    assert (info.n_frames, info.frames_without_people, len(info.people)) == (2, 1, 1)
    assert any("classes other than 0" in note for note in info.notes)


def test_other_skeletons_are_named(labels, figure):
    folder = labels({1: [row(figure("mpii16", (200, 90)))]})
    with pytest.raises(FormatError, match=r"53 numbers, not class, box and 17 keypoints; name the"):
        load(folder, image_size=SIZE)
    keypoints = load(folder, image_size=SIZE, skeleton="mpii16")
    np.testing.assert_allclose(keypoints.xy[0].numpy(), figure("mpii16", (200, 90)), atol=0.01)


def test_scattered_images_are_people_of_their_own(labels, figure):
    folder = labels({139: [row(walk(figure, 1))], 90_000: [row(walk(figure, 2))]}, "coco")
    assert sorted(load_people(folder, image_size=SIZE)) == ["139/0", "90000/0"]


BOX = "0.5 0.5 0.2 0.2 "
PERSON = f"0 {BOX}" + "0.5 " * 51
BAD = {
    "boxes": (f"0 {BOX}", "a box without keypoints; predict with a pose model"),
    "boxes with ids": (f"0 {BOX} 0.9 4", "a box without keypoints"),
    "no people": (f"3{PERSON[1:]}", "no row of class 0, a person, only of class 3"),
    "cut off": (f"0 {BOX}" + "0.5 " * 40, "45 numbers, not class, box and 17"),
    "text": (f"{PERSON}\nperson", "line 2: no row of numbers"),
    "class": (f"{PERSON}\n-1 0", "begins with its class, not with -1"),
    "NaN class": (f"{PERSON}\nnan 1", "its class, not with nan"),
    "extra": (f"{PERSON} -4", "-4 behind the keypoints is neither"),
    "mixed": (f"{PERSON}\n0 {BOX}" + "0.5 " * 34, "rows with and without visibility"),
    "all missing": (f"0 {BOX}" + "0 " * 51, "no keypoint of any person is detected"),
    "far": (f"0 {BOX}" + "9e9 " * 51, "outside any image"),
    "one line of 5 MB": (f"0 {BOX}" + "0.5 " * 1_250_000, "bytes for one frame"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_refused(tmp_path, name):
    text, expected = BAD[name]
    path = tmp_path / "walk_1.txt"
    path.write_text(text)
    with pytest.raises(FormatError, match=expected) as caught:
        load(path, image_size=SIZE, format="yolo")
    assert "\n" not in str(caught.value)


def test_the_image_size_is_needed(labels, figure):
    with pytest.raises(FormatError, match=r"YOLO's keypoints are fractions.*image_size=\(W, H\)"):
        load(labels({1: [row(walk(figure, 1))]}))


def test_a_folder_without_labels_is_refused(tmp_path):
    with pytest.raises(FormatError, match=r"no .txt file in the folder"):
        load(tmp_path, image_size=SIZE, format="yolo")


def test_folders_of_several_recordings_and_links_are_refused(labels, figure, tmp_path):
    folder = labels({1: [row(walk(figure, 1))]})
    (folder / "walk_2.txt").symlink_to(tmp_path / "elsewhere.txt")
    (tmp_path / "elsewhere.txt").write_text(row(walk(figure, 2)))
    with pytest.raises(FormatError, match=r"a link out of the folder"):
        load(folder, image_size=SIZE)
    (folder / "walk_2.txt").unlink()
    (folder / "run_2.txt").write_text(row(walk(figure, 2)))
    with pytest.raises(FormatError, match=r"several recordings \(run_ and walk_\)"):
        load(folder, image_size=SIZE)


def test_people_without_a_track_beside_people_with_one(labels, figure):
    frames = {f: [row(walk(figure, f), *((3,) if f > 1 else ()))] for f in (1, 2, 3)}
    people = inspect(labels(frames), image_size=SIZE, format="yolo").people
    assert {person.id: person.n_frames for person in people}["3"] == 2
    assert sum(person.n_frames for person in people) == 3


@settings(max_examples=80, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(
    st.lists(
        st.lists(st.sampled_from(["0", "1", "0.5", "nan", "-3", "1e400", "x", "7"]), max_size=70),
        max_size=4,
    ),
    st.integers(0, 60),
)
def test_any_rows_are_read_or_refused(tmp_path, rows, n):
    start = "0 0.5 0.5 0.2 0.2 " + "0.25 " * n
    path = tmp_path / "any_1.txt"
    path.write_text("\n".join(start + " ".join(words) for words in rows))
    refused = ""
    try:
        info = inspect(path, format="yolo", image_size=SIZE)
    except HypoPoseError as error:
        refused = str(error)
    assert refused or info.people
    assert "\n" not in refused
