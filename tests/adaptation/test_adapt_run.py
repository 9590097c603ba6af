"""Adaptation as a whole, with tiny weights: it repeats, goes on, writes or does not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import hypopose
from hypopose.adaptation import (
    AdaptOptions,
    Recording,
    adapt_recordings,
    adapt_run,
    keeping,
    sources,
)
from hypopose.adaptation.judging import Change
from hypopose.errors import CheckpointError, OptionError
from hypopose.networks import RefinedNetwork, RefinementTransformer, load_network

QUICK = {
    "n_frames": 3 * 54,
    "batch_frames": 54,
    "builds": False,
    "refresh_steps": 2,
    "learning_rate": 0.05,
}


@pytest.fixture(autouse=True)
def few_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MOST_HELD_OUT", 2)
    monkeypatch.setattr(keeping, "remembered", lambda n, s: {"energy_mm_1_steps": 100.0})


def improve(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the scores are."""
    monkeypatch.setattr(adapt_run, "verdict", lambda changes: "")


def go(recording: Recording, out: Path, weights: Path, **options: Any) -> adapt_run.Adapted:
    chosen = AdaptOptions(**{**QUICK, **options})
    return adapt_recordings([recording], out, weights=weights, options=chosen)


@pytest.mark.parametrize("rank", [0, 2])
def test_weights_are_written_whole_and_repeat(
    walker: Recording,
    tiny_weights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    rank: int,
) -> None:
    improve(monkeypatch)
    told = [go(walker, tmp_path / n, tiny_weights, rank=rank, max_forgetting=9.0) for n in "ab"]
    assert told[0].has_improved
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"]
    files = {p.name for p in (tmp_path / "a").iterdir()}
    assert files >= {"README.md", "config.json", "model.safetensors", "sampler.json"}
    states = [load_network(tmp_path / n).state_dict() for n in "ab"]
    first = load_network(tiny_weights).state_dict()
    assert states[0].keys() == first.keys()  # adapters are folded in
    assert all(torch.equal(states[0][k], states[1][k]) for k in first)
    moved = {k for k, x in first.items() if not torch.allclose(states[0][k], x, atol=2e-3)}
    assert moved
    if rank:
        assert all("qkv" in k or "out" in k for k in moved)
    drawn = hypopose.sample(walker.keypoints, n_hypotheses=2, weights=tmp_path / "a")
    assert len(drawn) == 2
    card = (tmp_path / "a" / "README.md").read_text()
    assert "| hidden |" in card
    assert str(tmp_path) not in card + (tmp_path / "a" / "training.json").read_text()


def test_nothing_is_written_if_nothing_improved(
    walker: Recording, tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapt_run, "compare", lambda a, b: {"hidden": Change(1.0, 2.0, 0.1, 5)})
    adapted = go(walker, tmp_path / "out", tiny_weights)
    assert not adapted.has_improved
    assert list(tmp_path.iterdir()) == []


def test_a_stopped_run_goes_on(
    walker: Recording, tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends as one that was not stopped: the teacher, its labels and the critics are kept."""
    improve(monkeypatch)
    step = adapt_run.AdaptationTrainer.step
    parts = {"augmented": 0.3, "aligned": 0.2, "teacher": 0.2, "n_frames": 4 * 54}

    def stopping(trainer: adapt_run.AdaptationTrainer) -> dict[str, float]:
        (tmp_path / "out.adapting" / "STOP").touch()
        return step(trainer)

    with monkeypatch.context() as patch:
        patch.setattr(adapt_run.AdaptationTrainer, "step", stopping)
        stopped = go(walker, tmp_path / "out", tiny_weights, **parts)
    assert not stopped.is_finished
    assert stopped.frames == 54
    with pytest.raises(OptionError, match="with other options"):
        go(walker, tmp_path / "out", tiny_weights, **parts, seed=5)
    done = go(walker, tmp_path / "out", tiny_weights, **parts)
    assert done.frames == 4 * 54
    whole = go(walker, tmp_path / "whole", tiny_weights, **parts)
    assert whole.frames == done.frames
    states = [load_network(tmp_path / n).state_dict() for n in ("out", "whole")]
    assert all(torch.equal(states[0][k], x) for k, x in states[1].items())


def test_little_is_forgotten_by_going_part_of_the_way(
    walker: Recording, tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    improve(monkeypatch)
    energies = iter([100.0, 110.0, 104.0, 102.0])
    monkeypatch.setattr(keeping, "remembered", lambda n, s: {"energy_mm_1_steps": next(energies)})
    adapted = go(walker, tmp_path / "out", tiny_weights)
    assert adapted.share == 0.5
    assert adapted.forgetting["energy_mm_1_steps"].after == 102.0


def test_nothing_is_written_if_too_much_is_forgotten_all_the_way(
    walker: Recording, tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    improve(monkeypatch)
    energies = iter([100.0, 110.0, 110.0, 110.0, 110.0])
    monkeypatch.setattr(keeping, "remembered", lambda n, s: {"energy_mm_1_steps": next(energies)})
    adapted = go(walker, tmp_path / "out", tiny_weights)
    assert not adapted.has_improved
    assert "more than 3 % is forgotten" in adapted.against


def test_the_way_back_is_gone_until_what_is_held_back_is_better(
    walker: Recording, tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = iter(["hidden became worse", "hidden became worse", ""])
    monkeypatch.setattr(adapt_run, "verdict", lambda changes: next(told))
    adapted = go(walker, tmp_path / "out", tiny_weights)
    assert adapted.share == 0.5
    assert adapted.has_improved
    assert (tmp_path / "out" / "model.safetensors").exists()


def test_few_clips_are_judged_with_all_their_views(walker: Recording) -> None:
    keypoints = replace(walker.keypoints, xy=walker.keypoints.xy[:20], confidence=None)
    clips = [
        replace(walker, keypoints=keypoints, view=view, first_frame=first)
        for view in "ab"
        for first in range(0, 60 * 20, 20)
    ]
    some = adapt_run._some(clips)
    assert len(some) <= adapt_run.MOST_JUDGED
    moments = [clip.first_frame for clip in some]
    assert all(moments.count(m) == 2 for m in moments)


def test_weights_that_cannot_be_adapted_are_refused(
    walker: Recording, tiny_weights: Path, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match=r"no training\.json"):
        go(walker, tmp_path / "out", tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    text = json.loads((tiny_weights / "training.json").read_text())
    text["objective"]["name"] = "x0"
    (other / "training.json").write_text(json.dumps(text))
    with pytest.raises(CheckpointError, match="needs a generator"):
        go(walker, tmp_path / "out", other)
    with pytest.raises(OptionError, match="no motion shards"):
        adapt_recordings([walker], tmp_path / "out", weights=tiny_weights, motion=other)


def test_without_a_budget_the_labels_decide_how_long_it_takes() -> None:
    plain = AdaptOptions()
    assert plain.with_budget(has_labels=False).n_frames == 80_000
    assert plain.with_budget(has_labels=True).n_frames == 1_200_000
    assert AdaptOptions(view_labels=0.0).with_budget(has_labels=True).n_frames == 80_000
    for told in (AdaptOptions(minutes=5.0), AdaptOptions(n_frames=27)):
        assert told.with_budget(has_labels=True) == told


@pytest.mark.parametrize(
    "wrong", [{"height": 9.0}, {"aligned": 2.0}, {"minutes": 0.0}, {"refiner": "none"}]
)
def test_options_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        AdaptOptions(**wrong)  # type: ignore[arg-type]


def test_a_transformer_may_refine_instead_of_the_unit(
    walker: Recording, tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapt_run, "verdict", lambda changes: "")
    values = {**QUICK, "learning_rate": 1e-9, "refinement": 1.0, "refiner": "transformer"}
    out = tmp_path / "out"
    adapted = adapt_recordings([walker], out, weights=tiny_weights, options=AdaptOptions(**values))
    assert adapted.is_refined
    network = load_network(out)
    assert isinstance(network, RefinedNetwork)
    assert isinstance(network.unit, RefinementTransformer)
    assert "refining transformer (PoSynDA)" in (out / "README.md").read_text()
    drawn, first = (
        hypopose.sample(walker.keypoints, n_hypotheses=2, weights=w) for w in (out, tiny_weights)
    )
    assert float((drawn.joints - first.joints).norm(dim=-1).mean()) > 1e-3


@pytest.mark.parametrize("is_better", [True, False])
def test_a_refinement_unit_is_kept_where_it_is_better(
    walker: Recording, tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    is_better: bool,
) -> None:  # fmt: skip
    """It is trained after the network, moves its poses, and can be started from again."""
    said: list[str] = []
    answers = iter(["", "" if is_better else "hidden became worse"])
    monkeypatch.setattr(adapt_run, "verdict", lambda changes: next(answers))
    options = AdaptOptions(**{**QUICK, "learning_rate": 1e-9, "refinement": 1.0})
    out = tmp_path / "out"
    adapted = adapt_recordings(
        [walker], out, weights=tiny_weights, options=options, say=said.append
    )
    assert adapted.is_refined == is_better
    words = "kept" if is_better else "left out, hidden became worse"
    assert f"refinement unit: {words}" in said
    network = load_network(out)
    assert isinstance(network, RefinedNetwork) == is_better
    assert ("refinement unit" in (out / "README.md").read_text()) == is_better
    drawn, first = (
        hypopose.sample(walker.keypoints, n_hypotheses=2, weights=w) for w in (out, tiny_weights)
    )
    moved = (drawn.joints - first.joints).norm(dim=-1).mean()
    assert (float(moved) > 1e-3) == is_better
    if is_better:
        monkeypatch.setattr(adapt_run, "verdict", lambda changes: "")
        again = go(walker, tmp_path / "again", out)
        assert again.has_improved
