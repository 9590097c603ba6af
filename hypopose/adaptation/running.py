"""Adapt weights to recordings in a folder: train, judge on what was held back, merge, write."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from hypopose.adaptation.builds import (
    BuildPosterior,
    estimate_builds,
    simulate_response,
    worth_using,
)
from hypopose.adaptation.card import adaptation_card
from hypopose.adaptation.judging import Change, Scores, compare, has_improved, judge
from hypopose.adaptation.labels import (
    LabelBatchMaker,
    LabeledClip,
    labels_from_teacher,
    labels_from_views,
)
from hypopose.adaptation.mixing import MixedBatchMaker, Part
from hypopose.adaptation.options import AdaptOptions
from hypopose.adaptation.placement import AlignedBatchMaker, Stands
from hypopose.adaptation.recordings import Recording, Split, split_recordings, with_vertical
from hypopose.datasets.shards import load_motion
from hypopose.datasets.synthetic import synthetic_motion
from hypopose.errors import CheckpointError, OptionError
from hypopose.io.atomic import write_atomically
from hypopose.networks import load_network
from hypopose.networks.base import Network
from hypopose.networks.load import BUNDLED
from hypopose.networks.low_rank import add_low_rank, merge_low_rank
from hypopose.networks.pretrained import PretrainedNetwork, save_weights
from hypopose.samplers import DistributionalDiffusion
from hypopose.samplers.recommended import SAMPLER_FILE, read_recommended
from hypopose.simulation import DetectionOptions, Motion
from hypopose.training import BatchMaker, TrainConfig, Trainer
from hypopose.training.loop import Report, Run
from hypopose.training.new_network import new_network
from hypopose.training.trainer import averaged_network
from hypopose.training.validation import HeldOut, hold_out, validate_generator

RUN_ENDING = ".adapting"
"""Ends the name of the folder of an unfinished run, next to the output."""

BACK = (1.0, 0.75, 0.5, 0.25)
"""Shares of the adapted weights that are tried until little enough was forgotten."""

MOST_HELD_OUT = 48
"""Windows of validation motion."""

MOST_JUDGED = 40
"""Clips that are judged."""

Say = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Source:
    """Weights to start from, and motion to replay.

    Args:
        folder: Of the weights.
        config: What they were trained with.
        motion: To replay.
        validation: Motion of other people; None if there is none.
        names: What the motion is called.
    """

    folder: Path
    config: TrainConfig
    motion: Motion
    validation: HeldOut | None
    names: tuple[str, ...]

    def network(self, weights: dict[str, Tensor] | None = None) -> PretrainedNetwork:
        """The network with the first weights, or with others."""
        if weights is not None:
            return averaged_network(self.config, weights)
        return load_network(self.folder)

    def sampler(self, network: PretrainedNetwork) -> DistributionalDiffusion:
        """The sampler that the weights recommend."""
        known = {f.name for f in fields(DistributionalDiffusion)}
        told = {k: v for k, v in read_recommended(self.folder).items() if k in known}
        return DistributionalDiffusion(cast(Network, network), **told)


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
        is_finished: False if it was stopped; the same call goes on.
    """

    weights: Path | None
    changes: dict[str, Change]
    forgetting: dict[str, Change]
    share: float
    builds: BuildPosterior | None
    frames: int
    seconds: float
    is_finished: bool = True

    @property
    def has_improved(self) -> bool:
        """Whether weights were written."""
        return self.weights is not None


class AdaptationTrainer(Trainer):
    """A trainer of mixed batches, whose averaged weights label the target now and then.

    Args:
        config: The run's options.
        parts: Kinds of windows; one called ``"teacher"`` is labeled anew.
        rank: Of low-rank adapters; 0 trains everything.
        relabel: Makes the teacher's clips from a network; None without a teacher.
        every: Steps after which it does.
    """

    def __init__(
        self,
        config: TrainConfig,
        parts: Sequence[Part],
        rank: int = 0,
        relabel: Callable[[Network, torch.Generator], list[LabeledClip]] | None = None,
        every: int = 60,
    ) -> None:
        self.rank, self.relabel, self.every = rank, relabel, every
        self.labeled_at = -1
        super().__init__(config, MixedBatchMaker(parts), self._adapters if rank else None)

    def _adapters(self, network: PretrainedNetwork) -> None:
        add_low_rank(network, self.rank)

    def step(self) -> dict[str, float]:
        """Label anew where it is time, then take an optimizer step."""
        due = self.progress.step // self.every
        if self.relabel is not None and due != self.labeled_at:
            seed = self.config.compute.seed + 7919 * (due + 1)
            generator = torch.Generator(self.device).manual_seed(seed)
            clips = self.relabel(cast(Network, self.averaged()), generator)
            for part in cast(MixedBatchMaker, self.make_batch).parts:
                if part.name == "teacher":
                    cast(LabelBatchMaker, part.maker).replace(clips)
            self.labeled_at = due
        return super().step()

    def averaged(self) -> PretrainedNetwork:
        """A plain network with the averaged weights, adapters folded in."""
        if not self.rank:
            return super().averaged()
        network = load_like(self.config)
        add_low_rank(network, self.rank)
        network.load_state_dict(self.ema.weights)
        return merge_low_rank(network).to(self.device).eval()


def load_like(config: TrainConfig) -> PretrainedNetwork:
    """A network of the configured kind, with any weights."""
    return new_network(config)


def load_source(
    weights: str | Path | None, motion: str | Path | None, options: AdaptOptions
) -> Source:
    """Weights that can be adapted, with motion.

    Args:
        weights: Folder or name; None for the default ones.
        motion: Folder of motion shards; None for the synthetic figures that ship.
        options: Of adaptation.

    Raises:
        CheckpointError: If the weights do not say how they were trained, or are no generator.
        OptionError: If the folder has no motion shards.
    """
    folder = _folder(weights or "distributional-frame-small")
    try:
        text = (folder / "training.json").read_text(encoding="utf-8")
    except OSError:
        raise CheckpointError(
            f"{folder} has no training.json, which adaptation needs: adapt weights made with "
            "hypopose train, or the default ones."
        ) from None
    config = TrainConfig.from_json(text)
    if config.objective.name != "energy":
        raise CheckpointError(
            f"{folder} was trained for {config.objective.name!r}; adaptation keeps spreads honest "
            "by the energy score and needs a generator, such as the default weights."
        )
    moving, validation, names = _motion(motion, config)
    return Source(folder, _adapting(config, folder, names, options), moving, validation, names)


def _folder(weights: str | Path) -> Path:
    own = Path(weights)
    return BUNDLED / str(weights) if not own.is_dir() and (BUNDLED / str(weights)).is_dir() else own


def _motion(
    folder: str | Path | None, config: TrainConfig
) -> tuple[Motion, HeldOut | None, tuple[str, ...]]:
    """Motion to replay, windows of other people, and names of the shards."""
    if folder is None:
        windows = _first(hold_out(synthetic_motion("val"), stride=27))
        return synthetic_motion("train"), windows, ("synthetic",)
    there = sorted(Path(folder).glob("*.npz"))
    named = [p for p in there if p.name in config.data.shards] or there
    if not named:
        raise OptionError(
            f"{folder} holds no motion shards (.npz); make one with hypopose data prepare MOCAP "
            "-o motion.npz, or leave --motion out to replay synthetic figures."
        )
    motion = load_motion(named, "train", exclude=config.data.exclude)
    try:
        val = load_motion(named, "val", exclude=config.data.exclude)
    except OptionError:
        return motion, None, tuple(p.name for p in named)
    validation = _first(hold_out(val)) if int(val.length.max()) >= 27 else None
    return motion, validation, tuple(p.name for p in named)


def _first(held_out: HeldOut) -> HeldOut:
    """Some of the windows, evenly taken."""
    n = len(held_out.truth.joints)
    pick = torch.linspace(0, n - 1, min(n, MOST_HELD_OUT)).round().long()
    k, truth = held_out.keypoints, held_out.truth
    return HeldOut(
        replace(k, xy=k.xy[pick]),
        replace(
            truth,
            joints=truth.joints[pick],
            root=None if truth.root is None else truth.root[pick],
        ),
        held_out.world[pick],
    )


def _adapting(
    config: TrainConfig, folder: Path, names: tuple[str, ...], options: AdaptOptions
) -> TrainConfig:
    """The options of the weights' training with those of adaptation."""
    budget: dict[str, Any] = (
        {"minutes": options.minutes}
        if options.n_frames is None
        else {"minutes": None, "n_frames": options.n_frames}
    )
    longest = max(config.data.lengths)
    lengths = [n for n in (9, 27, 81) if n <= longest] or [longest]
    return config.with_options(
        shards=list(names),
        start=str(folder),
        lengths=lengths,
        length_shares=[0.1, 0.5, 0.4][: len(lengths)],
        batch_frames=options.batch_frames,
        optimizer="adamw",
        learning_rate=options.learning_rate,
        final_share=0.01,
        warmup_steps=20,
        ema_decay=0.99,
        checkpoint_seconds=60.0,
        validate_seconds=1e9,
        bf16=None,
        compile=False,
        seed=options.seed,
        device=options.device,
        **budget,
    )


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
    o, tell = options or AdaptOptions(), say or (lambda line: None)
    output = Path(output)
    source = load_source(weights, motion, o)
    run = output.with_name(output.name + RUN_ENDING)
    _check_same(run, o, recordings)
    first = source.network()
    split = prepared(recordings, source, first, o)
    tell(
        f"{sum(r.n_frames for r in split.used):,} frames of {len(split.used)} recordings to adapt "
        f"to, {len(split.held_back)} clips held back"
    )
    builds = find_builds(first, source, split.used, o, scale_std)
    if builds is not None:
        for person, tall, std in zip(
            builds.people, builds.stature.tolist(), builds.stature_std.tolist(), strict=True
        ):
            tell(f"{person}: stature {tall:.2f} ± {std:.2f} m")
    trainer = make_trainer(source, split, o, builds)
    running = Run(source.config, run, report, None, trainer, None)
    running.go()
    progress = trainer.progress
    if progress.share(source.config) < 1:
        return Adapted(None, {}, {}, 0.0, builds, progress.frames, progress.seconds, False)
    tell("judging on what was held back")
    result = _judged(source, split, trainer, first, builds, o)
    if result.has_improved:
        write_adapted(output, source, o, result, mixed(first, trainer.averaged(), result.share))
    shutil.rmtree(run)
    return Adapted(
        output if result.has_improved else None,
        result.changes,
        result.forgetting,
        result.share,
        builds,
        progress.frames,
        progress.seconds,
    )


def prepared(
    recordings: Sequence[Recording], source: Source, first: PretrainedNetwork, o: AdaptOptions
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


def find_builds(
    first: PretrainedNetwork,
    source: Source,
    used: Sequence[Recording],
    o: AdaptOptions,
    scale_std: float = 0.0,
) -> BuildPosterior | None:
    """What the first weights say of the people, see :mod:`hypopose.adaptation.builds`.

    Args:
        first: The network.
        source: Weights and motion.
        used: Recordings.
        o: Options.
        scale_std: Relative standard deviation of the size of labels.

    Returns:
        None if it is not asked for, or not worth using.
    """
    if not (o.builds and o.aligned):
        return None
    network = cast(Network, first.to(o.device))
    generator = torch.Generator(o.device).manual_seed(o.seed)
    given = (network, source.config)
    noise = target_noise(source.config, used)
    like = replace(source.config, noise=noise)
    response = simulate_response(network, like, source.motion, Stands.of(used), generator)
    found = estimate_builds(*given, used, response, generator, height=o.height, scale_std=scale_std)
    first.to("cpu")
    measured = any(r.label is not None for r in used)
    return worth_using(found, o.height is not None or measured)


def target_noise(config: TrainConfig, recordings: Sequence[Recording]) -> DetectionOptions:
    """The detector of training, as often with COCO's points as the target's joints are formed.

    Args:
        config: The options of training.
        recordings: The target's.
    """
    formed = sum(r.is_formed for r in recordings) / len(recordings)
    return replace(config.noise, as_coco=formed)


def make_trainer(
    source: Source, split: Split, o: AdaptOptions, builds: BuildPosterior | None
) -> AdaptationTrainer:
    """The trainer of a target.

    Args:
        source: Weights and motion.
        split: The target.
        o: Options.
        builds: Of the people.

    Raises:
        OptionError: If the shares leave nothing to train on.
    """
    config, device = source.config, torch.device(o.device)
    n_draws = config.objective.n_draws
    given = (config.bodies, config.noise, config.cameras.pitched)
    parts = []
    if o.aligned:
        like = (config.bodies, target_noise(config, split.used), config.cameras.pitched)
        stands = Stands.of(split.used)
        aligned = AlignedBatchMaker(source.motion, stands, device, *like, builds=builds)
        parts.append(Part("aligned", o.aligned, aligned))
    seen = labels_from_views(split.used) if o.view_labels else []
    if seen:
        parts.append(Part("views", o.view_labels, LabelBatchMaker(seen, n_draws)))
    relabel = None
    if o.teacher:
        nothing = unlabeled_clips(split.used)
        parts.append(Part("teacher", o.teacher, LabelBatchMaker(nothing, n_draws)))

        def relabel(network: Network, generator: torch.Generator) -> list[LabeledClip]:
            return labels_from_teacher(network, split.used, config, generator, builds=builds)

    total = sum(part.share for part in parts)
    rest = max(0.15, 1 - total)
    parts.append(Part("replay", rest, BatchMaker(source.motion, device, *given)))
    return AdaptationTrainer(config, parts, o.rank, relabel, o.refresh_steps)


def unlabeled_clips(recordings: Sequence[Recording]) -> list[LabeledClip]:
    """Clips without any label, until a teacher gives some."""
    return [
        LabeledClip(r.rays, r.confidence, r.fps, torch.full((r.n_frames, 17, 3), torch.nan))
        for r in recordings
    ]


def mixed(first: PretrainedNetwork, last: PretrainedNetwork, share: float) -> PretrainedNetwork:
    """A network between two.

    Args:
        first: Where training began.
        last: Where it ended; changed in place.
        share: Of the last.
    """
    start = first.state_dict()
    with torch.no_grad():
        for name, x in last.state_dict().items():
            if x.is_floating_point():
                x.copy_(torch.lerp(start[name].to(x), x, share))
    return last.cpu().eval()


def _judged(
    source: Source,
    split: Split,
    trainer: AdaptationTrainer,
    first: PretrainedNetwork,
    builds: BuildPosterior | None,
    o: AdaptOptions,
) -> Adapted:
    """Scores before and after, with as much of the adapted weights as may be forgotten for."""
    network, share, forgetting = part_of_the_way(source, trainer, first, o)
    clips = _some(split.held_back)
    given = {"height": o.height, "seed": o.seed}
    before: Scores = judge(source.sampler(first), clips, **given)  # type: ignore[arg-type]
    after = judge(source.sampler(network), clips, **given)  # type: ignore[arg-type]
    changes = compare(before, after)
    improved = has_improved(changes)
    return Adapted(
        Path() if improved else None,
        changes,
        forgetting,
        share,
        builds,
        trainer.progress.frames,
        trainer.progress.seconds,
    )


def part_of_the_way(
    source: Source, trainer: AdaptationTrainer, first: PretrainedNetwork, o: AdaptOptions
) -> tuple[PretrainedNetwork, float, dict[str, Change]]:
    """As much of the adapted weights as may be forgotten for.

    Args:
        source: Weights and motion.
        trainer: Done.
        first: The first weights.
        o: Options.

    Returns:
        The network, the share of the adapted weights in it, and scores on validation motion.
    """
    remembered = _remembered(first, source)
    share, forgetting = 1.0, dict[str, Change]()
    network = first
    for share in BACK:
        network = mixed(first, trainer.averaged(), share)
        forgetting = {
            name: Change(before, after, 0.0, 1)
            for (name, before), after in zip(
                remembered.items(), _remembered(network, source).values(), strict=True
            )
        }
        energy = [c for name, c in forgetting.items() if name.startswith("energy")]
        if all(c.after <= (1 + o.tolerated) * c.before for c in energy):
            break
    return network, share, forgetting


def _some(clips: Sequence[Recording]) -> list[Recording]:
    """Moments evenly taken, each with all its views."""
    moments: dict[tuple[str, int], list[Recording]] = {}
    for clip in clips:
        moments.setdefault((clip.person, clip.first_frame), []).append(clip)
    step = max(1, -(-len(clips) // MOST_JUDGED))
    return [clip for seen in list(moments.values())[::step] for clip in seen]


def _remembered(network: PretrainedNetwork, source: Source) -> dict[str, float]:
    if source.validation is None:
        return {}
    o = source.config.objective
    given = {"scale": o.scale, "clamp": o.clamp, "flicker": o.flicker}
    return validate_generator(network, source.validation, **given)


def write_adapted(
    output: Path, source: Source, o: AdaptOptions, result: Adapted, network: PretrainedNetwork
) -> None:
    """Write a folder of weights: whole, or not at all.

    Args:
        output: Replaced if it exists.
        source: Where it started.
        o: Options.
        result: What it came to.
        network: Merged.
    """
    partial = output.with_name(output.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    network.save_config(partial)
    save_weights(
        {k: v.to(torch.float16).contiguous() if v.is_floating_point() else v.contiguous()
         for k, v in network.state_dict().items()},
        partial,
    )  # fmt: skip
    recommended = source.folder / SAMPLER_FILE
    if recommended.is_file():
        shutil.copy(recommended, partial / SAMPLER_FILE)
    config = source.config.with_options(start=source.folder.name, n_frames=max(1, result.frames))
    texts = {
        "training.json": config.to_json(),
        "adaptation.json": json.dumps(o.to_json(), indent=2) + "\n",
        "README.md": adaptation_card(output.name, source.folder.name, source.names, o, result),
    }
    for name, text in texts.items():
        with write_atomically(partial / name) as path:
            path.write_text(text, encoding="utf-8")
    if output.exists():
        shutil.rmtree(output)
    partial.rename(output)


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
