"""Mending who is who: splits, merges, keeps; what is suspicious; and the commands for it."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
from click.testing import CliRunner

from hypopose.cli import main
from hypopose.errors import OptionError
from hypopose.io import load_people
from hypopose.io.detections import Detections
from hypopose.io.people import identities
from hypopose.io.people.given_identities import believable_identities
from hypopose.io.recording import read_recording
from hypopose.io.source import DoubtfulInputWarning
from hypopose.skeletons import get_skeleton


@pytest.fixture
def swapped(write_as, figure):
    """Two people whose names are swapped from frame 6 of 12 on, as a tracker does."""
    frames = [
        [figure("coco17", (100 + 3 * f, 90)), figure("coco17", (700 - 3 * f, 90))]
        for f in range(12)
    ]
    path = write_as("alphapose", frames)
    entries = json.loads(path.read_text())
    for i, entry in enumerate(entries):
        entry["idx"] = [1, 2][(i % 2) ^ (i // 2 >= 6)]
    path.write_text(json.dumps(entries))
    return path


def run(*words):
    return CliRunner().invoke(main, [str(w) for w in words], catch_exceptions=False)


def test_a_swap_is_seen_and_mended(swapped, tmp_path):
    kept = "--keep-identities"
    shown = run("tracks", swapped, kept)
    assert "2 people in 12 frames (2 named by the file, 0 followed)" in shown.output
    assert "--split 1 6" in shown.output
    assert "--split 2 6" in shown.output
    out = tmp_path / "mended.csv"
    words = ["--split", 1, 6, "--split", 2, 6, "--merge", 1, "2-2", "--merge", 2, "1-2"]
    done = run("tracks", swapped, kept, *words, "-o", out)
    assert done.exit_code == 0, done.output
    assert "jump" not in done.output
    people = load_people(out)
    assert sorted(people) == ["1", "2"]
    for keypoints in people.values():
        steps = np.diff(keypoints.xy[:, 0, 0].numpy())
        np.testing.assert_allclose(np.abs(steps), 3, atol=1e-3)
    assert (
        "exists already; give another name, or --force" in run("tracks", swapped, "-o", out).output
    )
    assert run("tracks", swapped, "-o", out, "--force").exit_code == 0


def test_a_swap_is_undone_unless_identities_are_kept(swapped):
    with pytest.warns(DoubtfulInputWarning, match="1, 2 ignored"):
        people = load_people(swapped)
    assert sorted(people) == ["0", "1"]
    for keypoints in people.values():
        np.testing.assert_allclose(np.abs(np.diff(keypoints.xy[:, 0, 0].numpy())), 3, atol=1e-3)


def test_a_person_who_comes_back_is_found(write_as, figure, tmp_path):
    frames = [[] if 5 <= f < 50 else [figure("coco17", (300 + f, 90))] for f in range(60)]
    path = write_as("mmpose", frames)
    shown = run("tracks", path)
    assert "perhaps one: 0 begins 45 frames after 1 ended" in shown.output
    assert "--merge 1 0" in shown.output
    run("tracks", path, "--merge", "1", "0", "-o", tmp_path / "one.npz")
    (keypoints,) = load_people(tmp_path / "one.npz").values()
    assert int(keypoints.detected.any(-1).sum()) == 15
    assert len(read_recording(path, None, None).people) == 2
    assert "1 people" in run("tracks", path, "--max-gap", 50).output
    assert "1 people" in run("tracks", path, "--keep-main").output


def test_split_and_merged_again_the_main_person_stays(write_as, figure):
    whole, partial = figure("coco17"), figure("coco17", (600, 90))
    partial[8:] = 0
    recording = read_recording(write_as("mmpose", [[whole, partial]] * 8), None, None)
    again = identities.merge(identities.split(recording, "0", 3), "0", "0-2")
    assert list(again.people) == list(recording.people) == ["0", "1"]


def test_merging_keeps_the_better_detection(write_as, figure):
    whole, partial = figure("coco17"), figure("coco17", (500, 90))
    partial[8:] = 0
    recording = read_recording(write_as("mmpose", [[whole, partial]] * 4), None, None)
    one = identities.merge(recording, "1", "0")
    (rows,) = one.people.values()
    assert len(rows) == 4
    assert np.isfinite(one.detections.xy[rows]).all()


def test_what_cannot_be_done(swapped):
    recording = read_recording(swapped, None, None, keep_identities=True)
    for call, message in (
        (lambda: identities.split(recording, "1", 0), "both sides of frame 0"),
        (lambda: identities.split(recording, "1", 99), "both sides"),
        (lambda: identities.merge(recording, "1", "1"), "with itself"),
        (lambda: identities.merge(recording, "1", "5"), "No person '5'.*'1', '2'"),
        (lambda: identities.keep(recording, ["x"]), "No person 'x'"),
    ):
        with pytest.raises(OptionError, match=message):
            call()
    both = run("tracks", swapped, "--keep", "1", "--keep-main")
    assert (both.exit_code, "not both" in both.output) == (2, True)


def test_convert_keypoints(swapped, tmp_path):
    out = tmp_path / "out.csv"
    words = ["--keep-identities", "--skeleton", "mpii16", "--fps", 30]
    done = run("convert-keypoints", swapped, "-o", out, *words)
    assert done.exit_code == 0, done.output
    for words in (
        "2 people, 12 frames, mpii16",
        "from coco17: 12 joints copied",
        "approximate pelvis: 0.5 left_hip + 0.5 right_hip",
        "approximate head_top:",
    ):
        assert words in done.output
    assert load_people(out, keep_identities=True)["1"].fps == 30
    again = run("convert-keypoints", out, "-o", out, "--force")
    assert (again.exit_code, "replaced by its own result" in again.output) == (2, True)
    nobody = run("convert-keypoints", swapped, "-o", tmp_path / "b.npz", "--person", "7")
    assert (nobody.exit_code, "No person '7'" in nobody.output) == (2, True)
    words = ["--keep-identities", "--person", "2"]
    assert run("convert-keypoints", swapped, "-o", tmp_path / "b.npz", *words).exit_code == 0


def test_info_of_several_files(swapped, tmp_path):
    (tmp_path / "bad.json").write_text("{}")
    some = run("info", swapped, tmp_path / "bad.json")
    assert some.exit_code == 1
    assert "format      alphapose" in some.output
    assert "bad.json" in some.output
    assert run("info", tmp_path / "bad.json", tmp_path / "bad.json").exit_code == 2
    assert run("info", tmp_path / "bad.json").exit_code == 2


@pytest.mark.shared
def test_the_two_real_people_in_any_order(shared, tmp_path):
    """Shuffled within every frame, the two people of the real recording stay themselves."""
    source = shared / "data/keypoints/openpose/pose2sim_body25b_single"
    straight = read_recording(source, None, "body25b")
    rng = np.random.default_rng(0)
    folder = tmp_path / "shuffled"
    folder.mkdir()
    for path in source.iterdir():
        frame = json.loads(path.read_text())
        frame["people"] = [frame["people"][i] for i in rng.permutation(len(frame["people"]))]
        (folder / path.name).write_text(json.dumps(frame))
    mixed = read_recording(folder, None, "body25b")
    for rows, others in zip(straight.people.values(), mixed.people.values(), strict=True):
        np.testing.assert_array_equal(straight.detections.xy[rows], mixed.detections.xy[others])
    assert not identities.jumps(mixed)


def _by_hand(detections, name, fps):
    """Whether an identity is in two places, and whether it is too fast: one pair at a time."""
    rows = [i for i, who in enumerate(detections.ids) if who == name]
    rows.sort(key=lambda i: detections.frames[i])
    frames = [int(detections.frames[i]) for i in rows]

    def pairs(indices):
        moves = []
        for a, b in indices:
            shift = detections.xy[b] - detections.xy[a]
            shift = shift[np.isfinite(shift).all(-1)]
            move = np.median(shift, axis=0) if len(shift) >= 6 else np.zeros(2)
            bend = np.median(np.linalg.norm(shift - move, axis=-1)) if len(shift) >= 6 else 0.0
            sizes = [np.linalg.norm(np.ptp(x[np.isfinite(x).all(-1)], axis=0))
                     for x in (detections.xy[a], detections.xy[b])]  # fmt: skip
            moves.append((np.linalg.norm(move), max(*sizes, 1.0), bend))
        usual = np.quantile([size for _, size, _ in moves], 0.9) if moves else 0.0
        return [(d, max(size, 0.5 * usual), bend) for d, size, bend in moves]

    same = [(rows[i], rows[i + 1]) for i in range(len(rows) - 1) if frames[i] == frames[i + 1]]
    n_apart = sum(d > 0.5 * size for d, size, _ in pairs(same))
    twice = n_apart > 0.02 * len(set(frames))
    first = [i for i in range(len(rows)) if i == 0 or frames[i] != frames[i - 1]]
    steps = list(pairwise(first))
    rate = fps or 30.0
    fast = False
    for (a, b), (d, size, bend) in zip(
        steps, pairs([(rows[a], rows[b]) for a, b in steps]), strict=True
    ):
        gap = frames[b] - frames[a]
        reach = max(0.3 if fps else 0.45, 15.0 / 1.7 / rate * gap)
        fast |= bool(d > reach * size and bend < 0.5 * d and gap <= rate)
    return twice, fast and not twice


@pytest.mark.parametrize("fps", [None, 25.0])
@pytest.mark.parametrize("seed", range(12))
def test_impossible_identities_are_those_found_one_by_one(seed, fps):
    rng = np.random.default_rng(seed)
    frames, ids, xy = [], [], []
    for person in range(4):
        place, size = rng.uniform(100, 900, 2), rng.uniform(40, 300)
        pose = rng.uniform(0, 1, (17, 2)) * size
        for frame in range(30):
            for _ in range(rng.choice([0, 1, 2], p=[0.15, 0.82, 0.03])):
                place = place + rng.normal(0, size * rng.choice([0.02, 0.3]), 2)
                body = place + pose + rng.normal(0, 3, (17, 2))
                body[rng.random(17) < 0.3] = np.nan
                frames.append(frame)
                ids.append(str(person))
                xy.append(body)
    order = rng.permutation(len(frames))
    detections = Detections(
        skeleton=get_skeleton("coco17"), frames=np.array(frames)[order], xy=np.array(xy)[order],
        confidence=None, ids=tuple(ids[i] for i in order), first_frame=0, last_frame=29,
    )  # fmt: skip
    believed, doubts = believable_identities(detections, fps)
    lost = {name for name, kept in zip(detections.ids, believed.ids, strict=True) if kept is None}
    by_hand = {name: _by_hand(detections, name, fps) for name in dict.fromkeys(detections.ids)}
    assert lost == {name for name, found in by_hand.items() if any(found)}
    assert len(doubts) == any(t for t, _ in by_hand.values()) + any(f for _, f in by_hand.values())
