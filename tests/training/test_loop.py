from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file

from hypopose.cli import main
from hypopose.errors import CheckpointError, FormatError, OptionError
from hypopose.networks import load_network
from hypopose.training import TrainConfig, Trainer, export, train
from hypopose.training.objectives import OBJECTIVES


def weights(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {k: v.clone() for k, v in trainer.ema.weights.items()}


def test_the_loss_falls(tiny: TrainConfig) -> None:
    trainer = Trainer(tiny.with_options(learning_rate=1e-2, n_frames=10**9, batch_frames=80))
    rows = [trainer.step() for _ in range(40)]
    first, last = (sum(r["loss_mm"] for r in part) / 10 for part in (rows[:10], rows[-10:]))
    assert last < 0.75 * first


@pytest.mark.parametrize(("objective", "name"), [("x0", "loss_mm"), ("flow", "loss")])
def test_logs_say_millimeters_where_the_loss_is_a_length(
    tiny: TrainConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    objective: str,
    name: str,
) -> None:
    monkeypatch.setattr("hypopose.training.loop.LOG_SECONDS", 0.0)
    rows: list[dict[str, Any]] = []
    train(tiny.with_options(objective=objective, n_frames=80), tmp_path, report=rows.append)
    losses = [{key for key in row if key.startswith("loss")} for row in rows]
    assert [row for row in losses if row] == [{name}] * 2
    assert OBJECTIVES[objective].logged(0.05) == {name: 50.0 if name == "loss_mm" else 0.05}


def test_same_seed_same_weights(tiny: TrainConfig) -> None:
    runs = [Trainer(tiny.with_options(seed=seed)) for seed in (0, 0, 1)]
    for trainer in runs:
        for _ in range(3):
            trainer.step()
    one, two, other = (weights(t) for t in runs)
    assert all((one[k] == two[k]).all() for k in one)
    assert not all((one[k] == other[k]).all() for k in one)


def test_training_leaves_the_global_random_state_alone(tiny: TrainConfig) -> None:
    before = torch.random.get_rng_state()
    Trainer(tiny).step()
    assert (torch.random.get_rng_state() == before).all()


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_resumed_run_ends_as_an_uninterrupted_one(
    tiny: TrainConfig, tmp_path: Path, optimizer: str
) -> None:
    tiny = tiny.with_options(optimizer=optimizer)
    whole = Trainer(tiny)
    for _ in range(6):
        whole.step()
    half = Trainer(tiny)
    for _ in range(3):
        half.step()
    half.save(tmp_path / "state.pt")
    rest = Trainer(tiny)
    rest.resume(tmp_path / "state.pt")
    for _ in range(3):
        rest.step()
    assert rest.progress == whole.progress
    for name, value in weights(whole).items():
        assert (weights(rest)[name] == value).all(), name
    for name, parameter in whole.network.named_parameters():
        assert (dict(rest.network.named_parameters())[name] == parameter).all(), name


def test_muon_turns_the_matrices_inside_the_blocks_and_nothing_else(tiny: TrainConfig) -> None:
    config = tiny.with_options(
        optimizer="muon", weight_decay=0.0, warmup_steps=0, learning_rate=0.01
    )
    trainer = Trainer(config)
    names = {id(p): name for name, p in trainer.network.named_parameters()}
    adamw, muon = (
        {names[id(p)] for group in optimizer.param_groups for p in group["params"]}
        for optimizer in trainer.optimizers
    )
    assert muon == {f"blocks.0.{part}.weight" for part in ("qkv", "out", "up", "down")}
    assert adamw | muon == set(names.values())
    assert not adamw & muon
    before = {k: v.clone() for k, v in trainer.network.state_dict().items()}
    trainer.step()
    moved = {k: v - before[k] for k, v in trainer.network.state_dict().items()}
    # AdamW's first step is the learning rate times the gradient's sign; Muon's is as large as
    # AdamW's later ones: 0.2 of the learning rate, root mean square, if all directions count.
    step = moved["from_keypoints.weight"].abs()
    assert step[step > 0].median().item() == pytest.approx(0.01, rel=1e-4)
    for name in muon:
        assert 0.0008 < moved[name].square().mean().sqrt().item() < 0.0025, name
    hourglass = config.with_options(network="hot-frame-tokens", n_layers=2)
    assert len(Trainer(hourglass).optimizers[1].param_groups[0]["params"]) == 8
    with pytest.raises(OptionError, match="MixSTE2 has no blocks"):
        Trainer(
            config.with_options(
                network="mixste2", lengths=(8,), length_shares=(1.0,), lift_share=0.0
            )
        )
    with pytest.raises(OptionError, match="adamw or muon"):
        Trainer(tiny.with_options(optimizer="sgd"))


def test_options_out_of_range_are_refused(tiny: TrainConfig) -> None:
    assert tiny.with_options(recorded_reach=1.4, flicker=2.0).bodies.recorded_reach == 1.4
    still = tiny.with_options(objective="energy", flicker=0.0, n_latent=12)
    assert still.objective.flicker == 0
    for options, told in (
        ({"recorded_reach": -0.1}, "recorded_reach is a number between 0 and 2, got -0.1"),
        ({"flicker": 2.5}, "flicker is a number between 0 and 2"),
        ({"flicker": float("inf")}, "flicker is a finite number"),
        ({"objective": "energy", "flicker": 0.0}, "all draws are equal"),
        ({"recorded_bones": 1.4}, "recorded_bones is a share"),
        ({"as_recorded": -0.2}, "as_recorded is a share"),
        ({"as_coco": 1.01}, "as_coco is a share"),
        ({"pair_freedom": -0.5}, "pair_freedom is a share"),
        ({"exact": 0.5}, "exact .* at most 0.45, got 0.5"),
        ({"clean": 0.2, "exact": 0.3}, "exact .* at most 0.2, got 0.3"),
        ({"noisy_px": (3.0, 1.0)}, "noisy_px is an interval"),
        ({"spine_sd": -0.01}, "spine_sd is a number between 0 and 2"),
    ):
        with pytest.raises(OptionError, match=told):
            tiny.with_options(**options)


def test_checkpoints_of_one_optimizer_are_still_read(tiny: TrainConfig, tmp_path: Path) -> None:
    trainer, path = Trainer(tiny), tmp_path / "state.pt"
    trainer.step()
    trainer.save(path)
    state = torch.load(path, weights_only=True)
    (state["optimizer"],) = state["optimizer"]
    torch.save(state, path)
    again = Trainer(tiny)
    again.resume(path)
    assert again.progress == trainer.progress
    assert again.step() == trainer.step()


def test_a_run_leaves_log_checkpoint_and_weights(tiny: TrainConfig, tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = []
    folder = train(tiny, tmp_path / "run", report=rows.append)
    assert folder == tmp_path / "run" / "weights"
    logged = [json.loads(line) for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    assert logged[-1]["frames"] >= tiny.budget.n_frames
    assert logged[-1]["mean_mpjpe_mm_5_steps"] > 0
    assert rows[-1]["share"] == 1.0
    network = load_network(folder)
    assert network.info.max_frames == 8
    options = json.loads((folder / "sampler.json").read_text())
    assert options == OBJECTIVES["x0"].sampling | {"scale": 3.0, "clamp": 1.7}
    assert (folder / "README.md").read_text().startswith("# weights\n")
    assert json.loads((folder / "training.json").read_text())["data"]["shards"] == ["walks.npz"]
    # Weights are the averages, rounded to float16.
    state = torch.load(tmp_path / "run/state.pt", weights_only=True)
    stored = load_file(folder / "model.safetensors")
    assert all((stored[k] == v.half()).all() for k, v in state["ema"].items())


def test_stop_and_go_on(tiny: TrainConfig, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "STOP").touch()
    train(tiny, run)
    assert torch.load(run / "state.pt", weights_only=True)["progress"]["step"] == 0
    (run / "STOP").unlink()
    train(tiny, run)
    assert torch.load(run / "state.pt", weights_only=True)["progress"]["frames"] >= 240


def test_what_an_author_wrote_beside_weights_is_kept(tiny: TrainConfig, tmp_path: Path) -> None:
    run, out = tmp_path / "run", tmp_path / "run" / "weights"
    train(tiny.with_options(n_frames=1), run)
    (out / "README.md").write_text("mine")
    (out / "sampler.json").write_text('{"eta": 0.5, "scale": 7.0}')
    export(run, out)
    assert (out / "README.md").read_text() == "mine"
    options = json.loads((out / "sampler.json").read_text())
    assert options == OBJECTIVES["x0"].sampling | {"eta": 0.5, "scale": 3.0, "clamp": 1.7}


def test_weights_can_be_exported_in_a_byte_each(tiny: TrainConfig, tmp_path: Path) -> None:
    run = tmp_path / "run"
    large = train(tiny.with_options(width=64, n_frames=1), run)
    small = export(run, tmp_path / "small", small=True)
    sizes = [(folder / "model.safetensors").stat().st_size for folder in (large, small)]
    assert sizes[1] < 0.7 * sizes[0]
    a, b = load_network(large).state_dict(), load_network(small).state_dict()
    assert all((a[k] - b[k]).abs().max() <= a[k].abs().max() / 127 for k in a)


def test_foreign_checkpoints_are_refused(tiny: TrainConfig, tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    trainer = Trainer(tiny)
    with pytest.raises(CheckpointError, match="no checkpoint yet"):
        trainer.resume(path)
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(CheckpointError, match="not a training checkpoint"):
        trainer.resume(path)
    torch.save({"network": {}}, path)
    with pytest.raises(CheckpointError, match="of this version"):
        trainer.resume(path)
    Trainer(tiny.with_options(width=32)).save(path)
    with pytest.raises(CheckpointError, match="another size"):
        trainer.resume(path)
    with pytest.raises(CheckpointError, match="not the folder of a training run"):
        export(tmp_path, tmp_path / "out")


def test_options_travel_as_json(tiny: TrainConfig) -> None:
    assert TrainConfig.from_json(tiny.to_json()) == tiny
    assert TrainConfig.from_json(tiny.to_json(), seed=7).compute.seed == 7
    for text in ("{", "[]", '{"widht": 3, "shards": ["a"]}', "{}"):
        with pytest.raises(FormatError, match="not a training configuration"):
            TrainConfig.from_json(text)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shards": ()}, "at least one motion shard"),
        ({"lengths": (1,)}, "one share for each"),
        ({"minutes": 0.0}, "budget must be positive"),
        ({"recombine": 1.5}, "recombine is a share"),
    ],
)
def test_wrong_options_are_refused(tiny: TrainConfig, change: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        tiny.with_options(**change)


SMALL = [
    "--set", "width=16", "--set", "n_layers=1", "--set", "n_heads=2", "--set", "bf16=false",
    "--set", "batch_frames=40", "--set", "lengths=[4]", "--set", "length_shares=[1.0]",
]  # fmt: skip


def test_the_command_trains_resumes_and_exports(shard: Path, tmp_path: Path) -> None:
    run = str(tmp_path / "run")
    cli = CliRunner()
    first = cli.invoke(main, ["train", run, "--shard", str(shard), "--n-frames", "80", *SMALL])
    assert first.exit_code == 0, first.output
    assert "weights ->" in first.output
    more = cli.invoke(main, ["train", run, "--n-frames", "160"])
    assert more.exit_code == 0, more.output
    state = torch.load(tmp_path / "run/state.pt", weights_only=True)
    assert state["progress"]["frames"] == 160
    out = cli.invoke(main, ["train", run, "--export", str(tmp_path / "out")])
    assert out.exit_code == 0, out.output
    assert (tmp_path / "out/model.safetensors").exists()
    again = str(tmp_path / "again")
    recipe = str(tmp_path / "out/training.json")
    same = ["train", again, "--config", recipe, "--shard", str(shard), "--n-frames", "40"]
    assert cli.invoke(main, same).exit_code == 0


def test_the_command_refuses_in_one_line(shard: Path, tmp_path: Path) -> None:
    cli = CliRunner()
    run = str(tmp_path / "run")
    cases = [
        (["train", run], "--shard FILE.npz"),
        (["train", run, "--shard", str(shard), "--set", "width:3"], "NAME=VALUE"),
        (["train", run, "--shard", str(shard), "--set", "widht=3"], "widht"),
        (["train", run, "--export", str(tmp_path / "out")], "not the folder of a training run"),
    ]
    for arguments, message in cases:
        result = cli.invoke(main, arguments)
        assert result.exit_code == 2, result.output
        assert message in result.output
    assert not (tmp_path / "run").exists()
    (tmp_path / "run").mkdir()
    (tmp_path / "run/config.json").write_text("{}")
    result = cli.invoke(main, ["train", run, "--seed", "3"])
    assert result.exit_code == 2
    assert "already holds a run" in result.output


def test_a_generator_is_trained_from_a_denoiser(tiny: TrainConfig, tmp_path: Path) -> None:
    start = train(tiny, tmp_path / "denoiser")
    config = tiny.with_options(objective="energy", n_latent=12, start=str(start))
    folder = train(config, tmp_path / "generator")
    last = json.loads((tmp_path / "generator/log.jsonl").read_text().splitlines()[-1])
    assert {"mean_mpjpe_mm_1_steps", "energy_mm_1_steps", "ece_3_steps"} <= last.keys()
    assert load_network(folder).info.n_latent == 12
    options = json.loads((folder / "sampler.json").read_text())
    assert (options["sampler"], options["n_steps"]) == ("distributional", 1)
    assert json.loads((folder / "training.json").read_text())["network"]["start"] == "weights"


def test_larger_networks_start_from_the_corner_that_fits(tiny: TrainConfig, tmp_path: Path) -> None:
    start = train(tiny.with_options(n_frames=1), tmp_path / "run")
    small = load_file(start / "model.safetensors")
    network = Trainer(tiny.with_options(n_latent=12, start=str(start))).network
    state = network.state_dict()
    assert (state["from_pose.weight"][:, :51] == small["from_pose.weight"]).all()
    assert state["from_pose.weight"][:, 51:].std() > 0
    assert (state["to_pose.weight"] == small["to_pose.weight"]).all()


def test_a_run_starts_from_bundled_weights_by_name(tiny: TrainConfig) -> None:
    sizes = {"width": 256, "n_layers": 6, "n_heads": 8}
    network = Trainer(tiny.with_options(start="d3dp-frame-small", **sizes)).network
    bundled = load_network("d3dp-frame-small").state_dict()
    assert network.state_dict()["to_pose.weight"].equal(bundled["to_pose.weight"])
    with pytest.raises(CheckpointError, match="d3dp-frame-small"):
        Trainer(tiny.with_options(start="no-such-weights"))


def test_a_scale_for_other_weights_is_exported_without_them(
    tiny: TrainConfig, tmp_path: Path
) -> None:
    base = "d3dp-frame-small"
    sizes = {"width": 256, "n_layers": 6, "n_heads": 8, "mlp_ratio": 3.0}
    config = tiny.with_options(
        network={"name": "scale-tokens", "options": {"base": base}, **sizes},
        objective="uncertainty", lift_share=0.0, n_frames=1,
    )  # fmt: skip
    folder = train(config, tmp_path / "run")
    assert {name.split(".")[0] for name in load_file(folder / "model.safetensors")} == {"to_scale"}
    body, whole = load_network(base).state_dict(), load_network(folder).state_dict()
    assert whole["to_pose.weight"].equal(body["to_pose.weight"])


@pytest.mark.parametrize(
    ("option", "cure"),
    [({"objective": "fame"}, "x0, energy"), ({"network": "brain"}, "frame-tokens")],
)
def test_unknown_names_list_the_known(tiny: TrainConfig, option: dict[str, Any], cure: str) -> None:
    with pytest.raises(OptionError, match=cure):
        Trainer(tiny.with_options(**option))
