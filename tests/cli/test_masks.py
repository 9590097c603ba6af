"""``--mask`` of ``hypopose sample``, ``refine`` and ``aggregate``, and the keyword ``masks``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image

import hypopose
from hypopose.bodies import make_body
from hypopose.cli import main
from hypopose.io import Masks
from hypopose.io.mask_files import encode_mask
from hypopose.rendering import render_surface

N = 6


def run(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def sample(folder: Path, *words: object) -> Result:
    fixed = ("--skeleton", "h36m17", "--sampler", "boneflips", "--n-hypotheses", 3,
             "--no-overview", "--fps", 25)  # fmt: skip
    return run("sample", folder / "walk.npy", *fixed, *words)


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keypoints, and masks of the body around their truth as PNG files and run lengths."""
    folder = tmp_path_factory.mktemp("masks")
    keypoints, truth = hypopose.datasets.example_pair(N)
    np.save(folder / "walk.npy", keypoints.xy.numpy())
    body = make_body("capsules").around(truth.joints + truth.root[:, None])
    picture = render_surface(body.vertices, body.faces, keypoints.camera, size=(500, 500))
    masks = picture.alpha.numpy() > 0.5
    (folder / "png").mkdir()
    for f, mask in enumerate(masks):
        image = Image.fromarray(mask.astype(np.uint8) * 255).resize((1000, 1000))
        image.save(folder / "png" / f"{f + 1:03d}.png")
    (folder / "half.json").write_text(json.dumps([encode_mask(mask) for mask in masks]))
    np.savez(folder / "labels.npz", masks=masks.astype(np.uint8) * 3)
    return folder


def test_sampling_weighs_by_masks_and_says_so(box: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.npz"
    done = sample(box, "-o", out, "--mask", box / "png")
    assert done.exit_code == 0, done.output
    assert "Note: out: weighted by the masks of png (2 looks in 6 frames)" in done.output
    result = hypopose.load_hypotheses(out)
    assert result.aggregate == "silhouette"
    assert result.masks["file"] == "png"
    assert result.masks["used"] == "weights"
    weights = result.masks["weights"]  # each rounded to four decimals
    assert sum(weights) == pytest.approx(1, abs=5e-5 * len(weights))
    assert result.keypoints.camera.image_size == (1000, 1000)  # taken from the masks
    assert any("image size 1000 x 1000 taken from the masks" in n for n in result.notes)
    assert any("mask 1 is taken for the first frame" in n for n in result.notes)
    again = sample(box, "-o", out, "--mask", box / "png")
    assert "kept, made before with the same options" in again.output
    other = sample(box, "-o", out, "--mask", box / "half.json")
    assert other.exit_code == 2
    assert "the masks has changed" in other.output


def test_refining_moves_into_masks_and_says_so(box: Path, tmp_path: Path) -> None:
    drawn, out = tmp_path / "a.npz", tmp_path / "b.npz"
    size = ("--image-size", 1000, 1000)
    assert sample(box, "-o", drawn, *size).exit_code == 0
    assert hypopose.load_hypotheses(drawn).masks == {}
    done = run("refine", drawn, "-o", out, "--n-steps", 2, "--mask", box / "half.json")
    assert done.exit_code == 0, done.output
    assert "Note: refined against the keypoints and the masks of half.json (2 looks)" in done.output
    result = hypopose.load_hypotheses(out)
    assert (result.aggregate, result.masks["used"]) == ("mean", "refinement")
    assert "masks of 500 x 500 scaled to the image of 1000 x 1000" in result.notes
    twice = run("aggregate", out, "-o", tmp_path / "c.npz", "--mask", box / "half.json")
    assert twice.exit_code == 2
    assert "count masks twice" in twice.output
    at_once = sample(box, "-o", tmp_path / "d.npz", *size, "--mask", box / "png", "--refine")
    assert at_once.exit_code == 0, at_once.output
    assert "Note: d: refined against the keypoints and the masks of png" in at_once.output
    assert hypopose.load_hypotheses(tmp_path / "d.npz").aggregate == "mean"


def test_aggregating_by_masks(box: Path, tmp_path: Path) -> None:
    drawn, out = tmp_path / "a.npz", tmp_path / "b.npz"
    assert sample(box, "-o", drawn, "--image-size", 1000, 1000).exit_code == 0
    done = run("aggregate", drawn, "-o", out, "--mask", box / "png")
    assert done.exit_code == 0, done.output
    assert "Note: weighted by the masks of png" in done.output
    assert "silhouette of 3 hypotheses" in done.output
    weighted = hypopose.load_hypotheses(out)
    assert not torch.equal(weighted.pose.joints, hypopose.load_hypotheses(drawn).pose.joints)
    back = run("aggregate", out, "-o", tmp_path / "c.npz", "--aggregate", "mean")
    assert back.exit_code == 0, back.output
    plain = hypopose.load_hypotheses(tmp_path / "c.npz")
    assert plain.masks == {}
    assert not any("masks" in note for note in plain.notes)
    refined = run("refine", out, "-o", tmp_path / "d.npz", "--n-steps", 1)
    assert refined.exit_code == 0, refined.output
    assert hypopose.load_hypotheses(tmp_path / "d.npz").aggregate == "mean"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--mask", "labels.npz", "--aggregate", "median"), "not for 'median'"),
        (("--mask", "labels.npz", "--aggregate", "silhouette", "--refine"), "count masks twice"),
        (("--aggregate", "silhouette"), "give --mask FILE"),
        (("--mask-values", "person"), "give it, too"),
        (("--mask", "labels.npz", "--mask-start", "4"), "are empty"),
        (("--mask", "nothing"), "does not exist"),
        (("--mask", "walk.npy"), "no masks in"),
    ],
)
def test_what_is_refused_in_one_line(
    box: Path, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    here = [box / w if w.endswith((".npz", ".npy", "nothing")) else w for w in words]
    if "--mask-start" in words:
        np.savez(box / "one.npz", masks=np.zeros((N, 500, 500), bool))
        here[1] = box / "one.npz"
    done = sample(box, "-o", tmp_path / "a.npz", "--image-size", 1000, 1000, *here)
    assert done.exit_code == 2, done.output
    assert said in done.output
    assert not (tmp_path / "a.npz").exists()


def test_one_person_of_several_without_masks_is_noted(box: Path) -> None:
    keypoints, _ = hypopose.datasets.example_pair(N)
    from dataclasses import replace

    away = replace(keypoints, xy=keypoints.xy - 400)
    masks = hypopose.io.load_masks(box / "half.json")
    found = hypopose.api.estimate_people(
        {"a": keypoints, "b": away}, sampler="boneflips", n_hypotheses=3, masks=masks
    )
    assert [r.aggregate for r in found.values()] == ["silhouette", "mean"]
    assert found["b"].masks == {}
    assert any(note.startswith("no masks: half.json") for note in found["b"].notes)


def test_the_verbs_take_masks(box: Path) -> None:
    keypoints, _ = hypopose.datasets.example_pair(N)
    hypotheses = hypopose.sample(keypoints, sampler="boneflips", n_hypotheses=3)
    by_path = hypopose.aggregate(hypotheses, keypoints, masks=box / "half.json")
    in_memory = Masks.of(np.load(box / "labels.npz")["masks"] > 0)
    by_array = hypopose.aggregate(hypotheses, keypoints, "silhouette", masks=in_memory)
    assert torch.equal(by_path.joints, by_array.joints)
    with pytest.raises(hypopose.HypoPoseError, match="'silhouette', not by 'mean'"):
        hypopose.aggregate(hypotheses, keypoints, "mean", masks=in_memory)
    plain = hypopose.refine(hypotheses, keypoints, n_steps=2)
    moved = hypopose.refine(hypotheses, keypoints, n_steps=2, masks=in_memory)
    assert not torch.equal(plain.joints, moved.joints)
