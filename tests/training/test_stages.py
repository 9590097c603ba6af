"""Recipes of several stages: one command, resumable, ends with the last stage's weights."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file

from hypopose.cli import main
from hypopose.datasets import Motion
from hypopose.errors import BackendError, FormatError, OptionError
from hypopose.networks import load_network
from hypopose.networks.load import BUNDLED
from hypopose.training import TrainConfig, Trainer, export, train
from hypopose.training.objectives import keypoint_batches
from hypopose.training.recipe_files import load_recipe, shards_in
from hypopose.training.run_state import half_bits, read_state
from hypopose.training.stages import Stage, read_stages, train_stages

STAGES = [
    *("1-denoiser", "2-generator", "3-average", "4-freer", "5-average", "6-recorded", "7-average"),
    *("8-shared", "9-calm", "10-known", "11-exact", "12-detected"),
    *("13-whole", "14-longest", "15-others", "16-coco", "17-wider", "18-average"),
    *("19-rays", "20-people", "21-steady", "22-average", "23-again", "24-own-bones"),
    "25-average",
]


def bundled(weights: str) -> TrainConfig:
    """The options that bundled weights were trained with."""
    path = BUNDLED / weights / "training.json"
    return TrainConfig.from_json(path.read_text(encoding="utf-8"))


def default_stages(shards: tuple[str, ...] = ("x.npz",), **changes: Any) -> tuple[Stage, ...]:
    return load_recipe("default").with_shards(shards, **changes)


@pytest.fixture
def motion_folder(shard: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "motion"
    folder.mkdir()
    for name in ("cmu_own_bodies.npz", *load_recipe("default").shards):
        shutil.copy(shard, folder / name)
    return folder


def stages(tiny: TrainConfig) -> tuple[Stage, ...]:
    energy = tiny.with_options(objective="energy", n_latent=12)
    return (
        Stage("a", tiny),
        Stage("b", energy, start="a"),
        Stage("mean", average={"b": 1.0, "a": 3.0}),
        Stage("c", energy, start="mean"),
    )


def test_the_recipe_makes_what_the_bundled_weights_start_from() -> None:
    recipe = default_stages()
    assert [stage.name for stage in recipe] == STAGES
    box = bundled("distributional-frame-small")
    last = [stage.config for stage in recipe if stage.config][-1]
    # The bundled weights were trained further, from what the recipe makes.
    assert box.network.start == "distributional-frame-small"
    sizes = ("width", "n_layers", "n_heads", "mlp_ratio", "n_latent", "name")
    assert all(getattr(box.network, n) == getattr(last.network, n) for n in sizes)
    assert last.network.options.items() <= box.network.options.items()
    formed = {s.name: s.config.noise.as_coco for s in recipe if s.config}
    coco = [formed.pop(STAGES[i]) for i in (15, 18, 19, 20, 16, 22, 23)]
    assert 0 < coco[0] == coco[1] < coco[2] == coco[3] < coco[4] == coco[5] == coco[6]
    assert not any(formed.values())
    first = recipe[0].config
    assert first is not None
    assert first.objective.name == "x0"
    d3dp = bundled("d3dp-frame-small").network  # trained further, from what the first stage makes
    assert all(getattr(d3dp, n) == getattr(first.network, n) for n in sizes)
    assert d3dp.start == "d3dp-frame-small"
    assert all(s.config is None or s.config.data.shards == ("x.npz",) for s in recipe)


def test_small_networks_and_further_options_keep_what_stages_decide() -> None:
    def options(**changes: Any) -> list[dict[str, Any]]:
        return [s.config.network.options for s in default_stages(**changes) if s.config]

    for given, n in (({}, 4), ({"n_layers": 3}, 2), ({"n_layers": 1}, 0)):
        rest = options(**given)[-15:]
        assert rest[:10] == [{"n_shared": n}] * 10
        assert rest[10:] == [{"n_shared": n, "on_rays": True}] * 5
    further = options(network_options={"perspective": True})
    assert further[0] == {"perspective": True}
    assert further[-1] == {"perspective": True, "n_shared": 4, "on_rays": True}


def test_budgets_are_shared_and_options_hold_for_every_stage() -> None:
    whole = [s.config for s in default_stages() if s.config]
    small = [
        s.config for s in default_stages(n_frames=10_000, device="cuda", bf16=False) if s.config
    ]
    assert sum(c.budget.n_frames for c in small) == pytest.approx(10_000, abs=4)
    ratio = [a.budget.n_frames / b.budget.n_frames for a, b in zip(small, whole, strict=True)]
    assert max(ratio) == pytest.approx(min(ratio), rel=0.01)
    assert all(c.compute.device == "cuda" and c.compute.bf16 is False for c in small)
    minutes = [s.config.budget.minutes for s in default_stages(minutes=60) if s.config]
    assert sum(m for m in minutes if m is not None) == pytest.approx(60)
    with pytest.raises(OptionError, match="decide objective"):
        default_stages(objective="flow")


def test_stages_follow_one_another(tiny: TrainConfig, tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = []
    weights = train_stages(tmp_path / "run", stages(tiny), report=rows.append)
    assert weights == tmp_path / "run" / "weights"
    assert list(dict.fromkeys(row["stage"] for row in rows)) == ["a", "b", "c"]
    a, b, mean, c = (
        load_file(tmp_path / "run" / name / "weights" / "model.safetensors")
        for name in ("a", "b", "mean", "c")
    )
    name = "to_pose.weight"
    assert torch.allclose(mean[name], (b[name].float() + 3 * a[name].float()) / 4)
    final = load_file(weights / "model.safetensors")
    assert all((final[k] == v).all() for k, v in c.items())
    assert load_network(weights).info.n_latent == 12
    assert json.loads((weights / "sampler.json").read_text())["sampler"] == "distributional"
    # Done stages are left alone.
    before = (tmp_path / "run/a/state.pt").stat().st_mtime_ns
    assert train_stages(tmp_path / "run") == weights
    assert (tmp_path / "run/a/state.pt").stat().st_mtime_ns == before


def test_a_stopped_recipe_goes_on_and_ends_the_same(tiny: TrainConfig, tmp_path: Path) -> None:
    whole = train_stages(tmp_path / "whole", stages(tiny))
    assert whole is not None
    run = tmp_path / "run"

    def stop(row: dict[str, Any]) -> None:
        if row["stage"] == "b":
            (run / "STOP").touch()

    run.mkdir()
    (run / "STOP").touch()
    assert train_stages(run, stages(tiny)) is None  # stopped in its first stage
    (run / "STOP").unlink()
    assert train_stages(run, report=stop) is None or (run / "STOP").exists()
    (run / "STOP").unlink()
    again = train_stages(run)
    assert again is not None
    one, two = (load_file(folder / "model.safetensors") for folder in (whole, again))
    assert all((one[k] == two[k]).all() for k in one)


def test_a_begun_recipe_takes_no_other_config(tiny: TrainConfig, tmp_path: Path) -> None:
    (tmp_path / "STOP").touch()
    train_stages(tmp_path, stages(tiny))
    told = CliRunner().invoke(main, ["train", str(tmp_path), "--config", "other.json"])
    assert told.exit_code == 2
    assert "already holds a recipe" in told.output


def test_stages_travel_as_json(tiny: TrainConfig, tmp_path: Path) -> None:
    (tmp_path / "STOP").touch()
    train_stages(tmp_path, stages(tiny))
    assert read_stages(tmp_path / "stages.json") == stages(tiny)
    with pytest.raises(OptionError, match="already holds a recipe"):
        train_stages(tmp_path, stages(tiny))
    (tmp_path / "stages.json").write_text('[{"name": 3}]')
    with pytest.raises(FormatError, match="not hold stages"):
        train_stages(tmp_path)
    with pytest.raises(OptionError, match="no recipe yet"):
        train_stages(tmp_path / "elsewhere")
    with pytest.raises(OptionError, match="run or an average"):
        Stage("nothing")


SMALL = [
    "--set", "width=16", "--set", "n_layers=1", "--set", "n_heads=2", "--set", "batch_frames=40",
    "--set", "lengths=[4]", "--set", "length_shares=[1.0]", "--n-frames", "600",
]  # fmt: skip


def test_one_command_trains_the_default(motion_folder: Path, tmp_path: Path) -> None:
    run = str(tmp_path / "run")
    given = ["train", run, "--config", "default", "--motion", str(motion_folder), *SMALL]
    told = CliRunner().invoke(main, given)
    assert told.exit_code == 0, told.output
    network = load_network(tmp_path / "run/weights")
    assert network.info.n_latent == bundled("distributional-frame-small").network.n_latent
    seen = [
        read_state(tmp_path / "run" / name / "state.pt")["progress"]["frames"]
        for name in STAGES
        if "average" not in name
    ]
    assert 600 <= sum(seen) < 600 + 40 * len(seen)  # each ends with a whole batch
    more = CliRunner().invoke(main, ["train", run])
    assert more.exit_code == 0, more.output
    assert "weights ->" in more.output


def test_the_command_refuses_recipes_in_one_line(motion_folder: Path, tmp_path: Path) -> None:
    run, motion = str(tmp_path / "run"), str(motion_folder)
    (tmp_path / "empty").mkdir()
    cases = [
        ([], "--motion FOLDER"),
        (["--motion", str(tmp_path / "empty")], "cmu_permissive.npz"),
        (["--motion", motion, "--set", "widht=3"], "widht"),
        (["--motion", motion, "--set", "shards=5"], "takes a list of files"),
        (["--motion", motion, "--shard", f"{motion}/cmu_permissive.npz"], "motion once"),
        (["--motion", motion, "--objective", "flow"], "decide objective"),
        (["--motion", motion, "--device", "cuda"], "torch sees no GPU"),
        (["--motion", motion, "--device", "abacus"], "no device 'abacus'"),
    ]
    for given, says in cases:
        if "cuda" in given and torch.cuda.is_available():
            continue
        told = CliRunner().invoke(main, ["train", run, "--config", "default", *given])
        assert told.exit_code == 2, told.output
        assert says in told.output.replace("\n", " ")
        shutil.rmtree(run, ignore_errors=True)
    told = CliRunner().invoke(main, ["train", run, "--config", "no-such.json"])
    assert told.exit_code == 2
    assert "name a JSON file" in told.output
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text("{}")
    given = ["train", run, "--config", "default", "--motion", motion]
    told = CliRunner().invoke(main, given)
    assert told.exit_code == 2
    assert "holds a single run" in told.output


def test_shards_are_found_in_the_motion_folder(motion_folder: Path, tmp_path: Path) -> None:
    config = bundled("d3dp-frame-small").with_options(
        minutes=None, n_frames=40, compile=False, start=None
    )
    (tmp_path / "training.json").write_text(config.to_json())
    run = tmp_path / "run"
    given = ["train", str(run), "--config", str(tmp_path / "training.json")]
    small = [x if x != "600" else "40" for x in SMALL]
    told = CliRunner().invoke(main, [*given, "--motion", str(motion_folder), *small])
    assert told.exit_code == 0, told.output
    shards = json.loads((run / "config.json").read_text())["data"]["shards"]
    assert shards == list(shards_in(motion_folder, config.data.shards))


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here")
def test_a_gpu_that_is_not_there_is_refused(tiny: TrainConfig) -> None:
    with pytest.raises(BackendError, match="torch sees no GPU"):
        Trainer(tiny.with_options(device="cuda"))


def test_batches_are_made_where_they_are_wanted(motion: Motion, tiny: TrainConfig) -> None:
    """On a device that holds no numbers, every array of the maker must have been sent there."""
    maker = keypoint_batches(motion, torch.device("meta"), tiny)
    held = [x for x in vars(maker.bodies).values() if isinstance(x, torch.Tensor)]
    assert held
    assert all(x.device.type == "meta" for x in held)


def test_bfloat16_is_chosen_by_hardware_unless_asked(
    tiny: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert TrainConfig.from_options(shards=("a",)).compute.bf16 is None
    for amx, avx in ((True, False), (False, True), (False, False)):
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda amx=amx: amx)
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda avx=avx: avx)
        assert half_bits(tiny.with_options(bf16=None)) == (amx or avx)
        assert half_bits(tiny.with_options(bf16=True))
        assert not half_bits(tiny.with_options(bf16=False))


def test_a_clock_is_told_in_frames_beside_the_weights(tiny: TrainConfig, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(tiny.with_options(minutes=0.01), run)
    seen = read_state(run / "state.pt")["progress"]["frames"]
    told = json.loads((export(run, tmp_path / "out") / "training.json").read_text())
    assert told["budget"]["n_frames"] == seen
    assert told["budget"]["minutes"] == 0.01
