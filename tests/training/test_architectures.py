"""Every network trains, as whatever it can be, and what comes out samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from hypopose.cli import main
from hypopose.datasets import Motion
from hypopose.errors import OptionError
from hypopose.io import load_hypotheses
from hypopose.networks import Hourglass, MPMLifter, load_network
from hypopose.networks.hot import BACKBONES
from hypopose.training import ARCHITECTURES, TrainConfig, Trainer, train
from hypopose.training.batches import FOCALS, BatchMaker
from hypopose.training.objectives import OBJECTIVES, keypoint_batches

SMALL = {"width": 16, "n_layers": 2, "n_heads": 2, "mlp_ratio": 2.0}
WIDE = {"mpm", "mpm-lifter", "convformer"}
CASES = [
    (name, objective)
    for name, architecture in ARCHITECTURES.items()
    for objective in dict.fromkeys((architecture.options.get("objective", "x0"), "lift"))
    # A prior reads no keypoints, a decoder of surfaces lifts none.
    if (name, objective) not in (("motion-prior", "lift"), ("pmce", "lift"))
]
CASES += [
    ("mixste2", "lift-mixste"),
    ("motionagformer", "lift-motionagformer"),
    ("mpm", "complete"),
]


def config_of(name: str, objective: str, tiny: TrainConfig, **changes: object) -> TrainConfig:
    """Nine frames, tiny, everything else as the architecture says."""
    options = {**ARCHITECTURES[name].options, **SMALL, "lengths": (9,), "length_shares": (1.0,)}
    if name.removeprefix("hot-") in WIDE:
        options["width"] = 32
    if "frame-tokens" in name:
        options["lift_share"] = 0.1
    given = {"network": name, "batch_frames": 45, **options, "objective": objective, **changes}
    return tiny.with_options(**given)


def test_every_network_that_can_be_wrapped_is_also_an_hourglass(
    tiny: TrainConfig,
) -> None:
    made = {
        type(architecture.make(config_of(name, "lift", tiny), "math").network).__name__
        for name, architecture in ARCHITECTURES.items()
        if name.startswith("hot-")
    }
    assert made == set(BACKBONES)


def test_every_network_takes_a_step(tiny: TrainConfig) -> None:
    for name, objective in CASES:
        row = Trainer(config_of(name, objective, tiny, batch_frames=18)).step()
        assert row["grad_norm"] > 0, name


def test_a_batch_of_one_window_is_refused_where_it_cannot_be_normalized(tiny: TrainConfig) -> None:
    assert Trainer(config_of("gla-gcn", "lift", tiny, batch_frames=9)).step()["grad_norm"] > 0
    with pytest.raises(OptionError, match="batch_frames=18 or more, got 17"):
        Trainer(config_of("mpm-lifter", "lift", tiny, batch_frames=17))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "objective"), CASES)
def test_the_loss_falls(name: str, objective: str, tiny: TrainConfig) -> None:
    options = {"learning_rate": 5e-3, "n_frames": 10**9, "batch_frames": 90}
    trainer = Trainer(config_of(name, objective, tiny, **options))
    rows = [next(iter(trainer.step().values())) for _ in range(40)]
    first, last = sum(rows[:8]) / 8, sum(rows[-8:]) / 8
    assert last < 0.85 * first
    assert all(x.isfinite().all() for x in trainer.averaged().state_dict().values())


@pytest.mark.parametrize("name", ["ktpformer", "mpm-lifter", "mpm"])
def test_batch_statistics_go_with_the_averaged_weights(name: str, tiny: TrainConfig) -> None:
    objective = ARCHITECTURES[name].options.get("objective", "x0")
    trainer = Trainer(config_of(name, objective, tiny))
    trainer.step()
    ours, theirs = trainer.network.state_dict(), trainer.averaged().state_dict()
    statistics = [k for k in ours if "running" in k or "num_batches" in k]
    assert statistics
    assert all(torch.equal(ours[k], theirs[k]) for k in statistics)


@pytest.mark.parametrize(
    ("name", "objective", "sampler"),
    [("ktpformer", "x0", "d3dp"), ("gla-gcn", "lift", "lifter"), ("mpm", "mask", "lifter")],
)
def test_trained_weights_sample_from_the_command_line(
    name: str, objective: str, sampler: str, tiny: TrainConfig, tmp_path: Path
) -> None:
    weights = train(config_of(name, objective, tiny, n_frames=45), tmp_path / "run")
    assert load_network(weights).info.n_frames == 9
    xy = np.random.default_rng(0).uniform(200, 800, (12, 17, 2))
    if name == "mpm":
        xy[3:5, 16] = np.nan  # confidence 0 is a gap it reads
    np.save(tmp_path / "walk.npy", xy)
    out = tmp_path / "walk.npz"
    arguments = [
        "sample", str(tmp_path / "walk.npy"), "-o", str(out), "--skeleton", "h36m17",
        "--weights", str(weights), "--sampler", sampler, "--image-size", "1000", "1000",
        "--n-hypotheses", "1", "--no-overview",
    ]  # fmt: skip
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    joints = load_hypotheses(out).hypotheses.joints
    assert joints.shape == (1, 12, 17, 3)
    assert joints.isfinite().all()


def test_the_command_takes_a_network_with_what_suits_it(shard: Path, tmp_path: Path) -> None:
    arguments = [
        "train", str(tmp_path / "run"), "--shard", str(shard), "--network", "hot-mixste2",
        "--objective", "lift", "--n-frames", "27", "--set", "width=16", "--set", "n_layers=2",
        "--set", "n_heads=2", "--set", "batch_frames=27", "--set", "bf16=false",
    ]  # fmt: skip
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    network = load_network(tmp_path / "run" / "weights")
    assert isinstance(network, Hourglass)
    assert (network.config.keep, network.config.at) == (9, 1)
    assert network.info.forms == ("lifter",)
    arguments[arguments.index("hot-mixste2")] = "mixste3"
    arguments[1] = str(tmp_path / "other")
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 2
    assert "no network 'mixste3'" in done.output


def test_a_pretrained_encoder_starts_the_lifter(tiny: TrainConfig, tmp_path: Path) -> None:
    pretrained = train(config_of("mpm", "mask", tiny, n_frames=45), tmp_path / "run")
    trainer = Trainer(config_of("mpm-lifter", "lift", tiny, start=str(pretrained)))
    assert isinstance(trainer.network, MPMLifter)
    theirs = load_network(pretrained).state_dict()
    ours = trainer.network.state_dict()
    shared = [k for k in ours if k.startswith(("encoder2d", "shared_layers"))]
    assert len(shared) > 20
    assert all(torch.equal(ours[k], theirs[k]) for k in shared)


def test_what_does_not_fit_is_an_error(tiny: TrainConfig) -> None:
    with pytest.raises(OptionError, match="is not a denoiser"):
        Trainer(config_of("gla-gcn", "x0", tiny))
    with pytest.raises(OptionError, match="lift_share=0"):
        Trainer(config_of("mixste2", "x0", tiny, lift_share=0.1))
    with pytest.raises(OptionError, match=r"lengths=\[9\]"):
        Trainer(config_of("mixste2", "x0", tiny, lengths=(5, 9), length_shares=(0.5, 0.5)))
    with pytest.raises(OptionError, match="by threes"):
        Trainer(config_of("gla-gcn", "lift", tiny, lengths=(8,)))


@pytest.mark.parametrize("network", ["frame-tokens", "mixste2"])
def test_options_of_the_detector_reach_every_kind_of_input(
    network: str, tiny: TrainConfig, motion: Motion
) -> None:
    config = config_of(network, "x0", tiny, lift_share=0.0).with_options(clean=1.0, exact=1.0)
    batch = keypoint_batches(motion, torch.device("cpu"), config)(
        30, 5, torch.Generator().manual_seed(0)
    )
    assert (batch.encoded.confidence == 1).all()


@pytest.mark.parametrize("objective", ["x0", "lift", "mask", "diffpose"])
def test_options_of_bodies_and_detector_reach_every_objective(
    objective: str, tiny: TrainConfig, motion: Motion
) -> None:
    network = {"x0": "mixste2", "lift": "mixste2", "mask": "mpm", "diffpose": "frame-tokens"}
    config = config_of(network[objective], objective, tiny, lift_share=0.0)
    made = config.with_options(spine_sd=0.1, noisy_px=(7.0, 7.5), pitched=0.3)
    batches = OBJECTIVES[objective].make_batches(motion, torch.device("cpu"), made)
    maker = getattr(batches, "batches", batches)
    assert maker.bodies.options.spine_sd == 0.1
    assert maker.noise.noisy_px == (7.0, 7.5)
    assert maker.pitched == 0.3


@pytest.mark.parametrize("gaps", [True, False])
def test_screen_batches_are_projections_of_their_targets(motion: Motion, gaps: bool) -> None:
    make = BatchMaker(motion, torch.device("cpu"), inputs="screen", gaps=gaps)
    batch = make(64, 5, torch.Generator().manual_seed(0))
    xy, confidence = batch.encoded.xy, batch.encoded.confidence
    assert batch.target[:, :, 0].abs().max() == 0
    assert bool((confidence == 0).any()) == gaps
    assert bool((xy == 0).all(-1).any()) == gaps
    whole = (confidence > 0).all((1, 2))
    # The same body twice as far off is half as large: image over metric size is focal over depth.
    size = xy[whole].std(2).norm(dim=-1) / batch.target[whole][..., :2].std(2).norm(dim=-1)
    assert (size > FOCALS[0] / 12).all()
    assert (size < FOCALS[1] / 0.3).all()
    # Image axes are camera axes: x grows to the right and y downwards in both.
    a, b = xy[whole], batch.target[whole][..., :2]
    a, b = a - a.mean(2, keepdim=True), b - b.mean(2, keepdim=True)
    likeness = (a * b).sum((2, 3)) / (a.norm(dim=(2, 3)) * b.norm(dim=(2, 3)))
    assert likeness.median() > 0.95
