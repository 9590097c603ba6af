"""Adapt weights to recordings in a folder: train, judge on what was held back, merge, write."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hypopose.adaptation.adapt_options import AdaptOptions
from hypopose.adaptation.builds import BuildPosterior
from hypopose.adaptation.judging import Change, Scores, compare, judge, verdict
from hypopose.adaptation.keeping import Way, forgotten, ways_back
from hypopose.adaptation.parts import find_builds, make_trainer
from hypopose.adaptation.pose_refinement import refine_network
from hypopose.adaptation.recordings import Recording, Split, split_recordings, with_vertical
from hypopose.adaptation.sources import SYNTHETIC, SourceDomain, load_source
from hypopose.adaptation.trainer import AdaptationTrainer
from hypopose.adaptation.writing import write_adapted
from hypopose.errors import OptionError
from hypopose.networks.pretrained import PretrainedNetwork
from hypopose.training.loop import Report, Run

RUN_ENDING = ".adapting"
"""Ends the name of the folder of an unfinished run, next to the output."""

MOST_JUDGED = 40
"""Clips that are judged."""

Say = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Adapted:
    """What adaptation came to.

    Args:
        weights: Where they are; None if nothing improved and nothing was written.
        changes: Scores of what was held back, before and after.
        forgetting: Scores on validation motion, before and after, in mm.
        share: Of the adapted weights; the rest is the first weights.
        builds: What was learned of the people; None if it was not asked for.
        frames: Trained on.
        seconds: Of training.
        is_finished: False if it was stopped; the same call resumes it.
        against: Why nothing was written.
        is_refined: Whether a refinement unit corrects the poses.
    """

    weights: Path | None
    changes: dict[str, Change]
    forgetting: dict[str, Change]
    share: float
    builds: BuildPosterior | None
    frames: int
    seconds: float
    is_finished: bool = True
    against: str = ""
    is_refined: bool = False

    @property
    def has_improved(self) -> bool:
        """Whether weights were written."""
        return self.weights is not None


def adapt_recordings(
    recordings: Sequence[Recording],
    output: str | Path,
    *,
    weights: str | Path | None = None,
    motion: str | Path | None = None,
    options: AdaptOptions | None = None,
    scale_std: float = 0.0,
    report: Report | None = None,
    say: Say | None = None,
) -> Adapted:
    """Adapt weights to recordings, and write them if what was held back says that they are better.

    Args:
        recordings: Of the target.
        output: Folder of weights; an unfinished run is kept next to it.
        weights: To start from; None for the default ones.
        motion: Folder of motion shards; None for synthetic figures.
        options: Of adaptation.
        scale_std: Relative standard deviation of the size of labels from several views.
        report: Called with every row of the training's log.
        say: Called with a line about what is done.

    Raises:
        OptionError: If nothing can be learned from, or options contradict an unfinished run's.
        CheckpointError: If the weights cannot be adapted.
    """
    o, tell = _with_budget(options, recordings), say or (lambda line: None)
    output = Path(output)
    source = load_source(weights, motion, o)
    run = output.with_name(output.name + RUN_ENDING)
    _check_same(run, o, recordings)
    first = source.network()
    split = prepared(recordings, source, first, o)
    _tell_what_is_used(source, split, tell)
    builds = find_builds(source, split.used, source.config, scale_std)
    _tell_statures(builds, tell)
    trainer = make_trainer(source.config, source.motion, split.used, builds)
    running = Run(source.config, run, report, None, trainer, None)
    running.go()
    progress = trainer.progress
    if progress.share(source.config) < 1:
        return Adapted(None, {}, {}, 0.0, builds, progress.frames, progress.seconds, False)
    tell("judging on what was held back")
    way, changes, against = _judged(source, split, trainer, first, o)
    kept = None
    if o.refinement and not against:
        refined, scores, objection = _refined(source, split, trainer, first, way, o)
        tell(f"refinement {o.refiner}: {f'left out, {objection}' if objection else 'kept'}")
        kept = None if objection else (refined, scores)
    way, changes = kept or (way, changes)
    result = Adapted(
        None if against else output,
        changes,
        way.forgetting,
        way.share,
        builds,
        progress.frames,
        progress.seconds,
        against=against,
        is_refined=kept is not None,
    )
    if result.has_improved:
        write_adapted(output, source, o, result, way.network)
    shutil.rmtree(run)
    return result


def _with_budget(options: AdaptOptions | None, recordings: Sequence[Recording]) -> AdaptOptions:
    """The options, with the number of frames that such recordings take by default."""
    has_labels = any(r.label is not None for r in recordings)
    return (options or AdaptOptions()).with_budget(has_labels=has_labels)


def _tell_what_is_used(source: SourceDomain, split: Split, tell: Say) -> None:
    """A line about the recordings, and one about synthetic motion."""
    n_shown = sum(int(r.placed.sum()) for r in split.used)
    tell(
        f"{n_shown:,} frames of {len(split.used)} recordings to adapt to, "
        f"{len(split.held_back)} clips held back"
    )
    if source.names == (SYNTHETIC,):
        tell("synthetic figures are replayed: what is forgotten of real motion is not known")


def _tell_statures(builds: BuildPosterior | None, tell: Say) -> None:
    """A line about the stature of each person, where it was estimated."""
    if builds is None:
        return
    statures = zip(builds.stature.tolist(), builds.stature_std.tolist(), strict=True)
    for person, (tall, std) in zip(builds.people, statures, strict=True):
        tell(f"{person}: stature {tall:.2f} ± {std:.2f} m")


def prepared(
    recordings: Sequence[Recording], source: SourceDomain, first: PretrainedNetwork, o: AdaptOptions
) -> Split:
    """Recordings with a vertical, and what is held back.

    Args:
        recordings: All.
        source: Weights.
        first: Their network.
        o: Options.
    """
    sampler = source.sampler(first)
    whole = [with_vertical(r, sampler) for r in recordings]
    return split_recordings(whole, o.hold_back)


def _judged(
    source: SourceDomain,
    split: Split,
    trainer: AdaptationTrainer,
    first: PretrainedNetwork,
    o: AdaptOptions,
) -> tuple[Way, dict[str, Change], str]:
    """The adapted network, or a part of the way back, that scores better and forgets little.

    Returns:
        The interpolation, scores before and after, and why it is not kept ("" if it is).
    """
    clips = _some(split.held_back)
    given = {"height": o.height, "seed": o.seed}
    before: Scores = judge(source.sampler(first), clips, **given)  # type: ignore[arg-type]
    found: tuple[Way, dict[str, Change], str] | None = None
    for way in ways_back(source, trainer, first):
        if not way.is_kept(o.tolerated):
            found = found or (way, {}, f"more than {100 * o.tolerated:.0f} % is forgotten")
            continue
        after = judge(source.sampler(way.network), clips, **given)  # type: ignore[arg-type]
        changes = compare(before, after)
        against = verdict(changes)
        if found is None or not found[1] or not against:
            found = way, changes, against
        if not against:
            break
    assert found is not None  # ways_back yields at least one
    return found


def _refined(
    source: SourceDomain, split: Split, trainer: AdaptationTrainer, first: PretrainedNetwork,
    way: Way, o: AdaptOptions,
) -> tuple[Way, dict[str, Change], str]:  # fmt: skip
    """The adapted network with a refinement unit.

    Returns:
        The network, scores of the first network and of it, and why it is not kept ("" if it is):
        it has to score better than the adapted network without the unit.
    """
    clips = _some(split.held_back)
    network = refine_network(way.network, trainer, o.refinement)
    found = replace(way, network=network, forgetting=forgotten(source, first, network))
    before, without, after = (
        judge(source.sampler(n), clips, height=o.height, seed=o.seed)
        for n in (first, way.network, network)
    )
    objection = verdict(compare(without, after))
    if not objection and not found.is_kept(o.tolerated):
        objection = f"more than {100 * o.tolerated:.0f} % is forgotten"
    return found, compare(before, after), objection


def _some(clips: Sequence[Recording]) -> list[Recording]:
    """Moments evenly taken, each with all its views."""
    moments: dict[tuple[str, int], list[Recording]] = {}
    for clip in clips:
        moments.setdefault((clip.person, clip.first_frame), []).append(clip)
    step = max(1, -(-len(clips) // MOST_JUDGED))
    return [clip for seen in list(moments.values())[::step] for clip in seen]


def _check_same(run: Path, o: AdaptOptions, recordings: Sequence[Recording]) -> None:
    """An unfinished run goes on only with the options and recordings it was begun with."""
    own = run / "adaptation.json"
    frames = [[r.person, r.view, r.n_frames] for r in recordings]
    now = {**o.to_json(), "recordings": frames}
    for name in ("minutes", "device"):
        now.pop(name)
    if own.exists() and json.loads(own.read_text(encoding="utf-8")) != now:
        raise OptionError(
            f"{run} holds an unfinished run with other options or recordings; finish it with "
            "those, or remove the folder."
        )
    run.mkdir(parents=True, exist_ok=True)
    (run / "STOP").unlink(missing_ok=True)
    own.write_text(json.dumps(now), encoding="utf-8")
