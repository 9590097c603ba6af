"""Nobody is mixed with anybody: crossings, gaps, re-entries, partial bodies, unordered people."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypopose.io.detections import Detections
from hypopose.io.people.tracking import TrackingOptions, track
from hypopose.skeletons import get_skeleton


def as_detections(frames, ids=None, scores=None):
    """``frames`` is a list of lists of (who, xy); returns the detections and who each row is."""
    rows = [(f, who, xy) for f, group in enumerate(frames) for who, xy in group]
    detections = Detections(
        skeleton=get_skeleton("coco17"),
        frames=np.array([f for f, _, _ in rows]),
        xy=np.stack([xy for _, _, xy in rows]),
        confidence=None,
        ids=tuple(ids) if ids is not None else (None,) * len(rows),
        scores=scores,
        first_frame=0,
        last_frame=len(frames) - 1,
    )
    return detections, [who for _, who, _ in rows]


def owners(detections, who, options=None):
    """The set of true people in every track."""
    return [{who[r] for r in rows} for rows in track(detections, options).values()]


def walk(figure, x, speed, f, scale=1.0, phase=0.0):
    xy = figure("coco17", (x + speed * f, 100 + 10 * (1 - scale)), scale)
    swing = 18 * scale * np.sin(0.4 * f + phase)
    xy[[9, 16], 0] += swing
    xy[[10, 15], 0] -= swing
    return xy


def crossing(figure, n=60, seed=0, hidden=()):
    rng = np.random.default_rng(seed)
    frames = []
    for f in range(n):
        a = walk(figure, 100, 8, f) + rng.normal(0, 1, (17, 2))
        b = walk(figure, 600, -8, f, 0.9, 1.0) + rng.normal(0, 1, (17, 2))
        group = [("a", a)] + ([] if f in hidden else [("b", b)])
        frames.append([group[i] for i in rng.permutation(len(group))])
    return frames


@pytest.mark.parametrize("seed", range(5))
def test_crossing_in_unstable_order(figure, seed):
    detections, who = as_detections(crossing(figure, seed=seed))
    assert owners(detections, who) == [{"a"}, {"b"}] or owners(detections, who) == [{"b"}, {"a"}]


def test_crossing_while_one_is_hidden(figure):
    detections, who = as_detections(crossing(figure, hidden=range(28, 34)))
    assert owners(detections, who) == [{"a"}, {"b"}]


def test_reentry_within_the_gap_is_the_same_person_and_later_is_new(figure):
    frames = [[] if 5 <= f < 15 else [("a", walk(figure, 300, 0, f))] for f in range(20)]
    detections, who = as_detections(frames)
    assert len(track(detections, TrackingOptions(max_gap=10))) == 1
    assert len(track(detections, TrackingOptions(max_gap=9))) == 2
    assert owners(detections, who) == [{"a"}]


def test_partial_bodies_keep_their_person(figure):
    frames = []
    for f in range(30):
        a, b = walk(figure, 200, 2, f), walk(figure, 420, -1, f)
        if 10 <= f < 20:
            a[5:] = np.nan  # only the head
            b[:11] = np.nan  # only the legs
        frames.append([("b", b), ("a", a)] if f % 3 else [("a", a), ("b", b)])
    detections, who = as_detections(frames)
    assert sorted(map(sorted, owners(detections, who))) == [["a"], ["b"]]


def test_ghosts_come_last_and_take_nobodys_place(figure):
    frames = [[("a", walk(figure, 300, 1, f))] for f in range(20)]
    frames[7].insert(0, ("ghost", figure("coco17", (900, 500), 0.3)))
    detections, who = as_detections(frames)
    assert owners(detections, who) == [{"a"}, {"ghost"}]


def test_given_identities_keep_their_names_and_others_are_followed(figure):
    frames = [[("a", walk(figure, 200, 0, f)), ("b", walk(figure, 500, 0, f))] for f in range(6)]
    detections, who = as_detections(frames, ids=[n for _ in range(6) for n in ("12", None)])
    people = track(detections)
    assert list(people) == ["untracked-0", "12"] or list(people) == ["12", "untracked-0"]
    assert {who[r] for r in people["12"]} == {"a"}


def test_an_identity_twice_in_a_frame_stays_with_the_better_detection(figure):
    full, partial = figure("coco17"), figure("coco17", (900, 100))
    partial[4:] = np.nan
    detections, who = as_detections([[("p", partial), ("f", full)]] * 3, ids=["1"] * 6)
    people = track(detections)
    assert {who[r] for r in people["1"]} == {"f"}
    assert {who[r] for r in people["untracked-0"]} == {"p"}


def test_nobody_is_followed_across_separate_images(figure):
    detections, _ = as_detections([[("a", figure("coco17"))]] * 3)
    detections = Detections(**{**vars(detections), "shared_clock": False})
    assert len(track(detections)) == 3


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(1, 12))
def test_every_detection_belongs_to_exactly_one_person_once_a_frame(seed, n_people, n_frames):
    rng = np.random.default_rng(seed)
    frames = [
        [(k, rng.uniform(1, 800, (17, 2))) for k in range(rng.integers(0, n_people + 1))]
        for _ in range(n_frames)
    ]
    if not any(frames):
        return
    detections, who = as_detections(frames)
    people = list(track(detections).values())
    assert sorted(r for rows in people for r in rows.tolist()) == list(range(len(who)))
    for rows in people:
        assert (np.diff(detections.frames[rows]) > 0).all()
    assert all(len(a) >= len(b) for a, b in pairwise(people))
