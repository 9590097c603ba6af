"""The page, the PDF and the folder: whole, self-contained, and honest about what they know."""

from __future__ import annotations

import base64
import csv
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import hypopose
from hypopose.ambiguity import analyze
from hypopose.cli import main
from hypopose.datasets import example_pair
from hypopose.diffusion import seeded_noise
from hypopose.errors import OptionError, ShapeError, SkeletonMismatchError
from hypopose.evaluation import Evaluator, calibration_results, save_results
from hypopose.io import Result, load_hypotheses, save_result
from hypopose.report.cited_calibration import calibration_sentence
from hypopose.report.exhibits import NO_TRUTH, Report, findings, scene_findings, tables
from hypopose.report.page import page, save_report
from hypopose.report.panel import MISSING, Scene, pack, panel_data, unpack
from hypopose.samplers.boneflips import BoneFlips
from hypopose.types import Hypotheses, Keypoints2D, Poses3D, Skeleton

VOID = {"meta", "link", "img", "input", "br"}


class Outline(HTMLParser):
    """Ids, alt texts and outside addresses; complains about tags that do not close."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.bare_images = 0
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.ids += [v for k, v in attrs if k == "id" and v]
        self.addresses += [v for k, v in attrs if k in ("src", "href") and v]
        self.bare_images += tag == "img" and not found.get("alt")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def clip(n_frames: int = 8) -> tuple[Keypoints2D, Poses3D]:
    return example_pair(n_frames)


def scene(n: int = 8, name: str = "walk <1>", n_frames: int = 8) -> Scene:
    keypoints, truth = clip(n_frames)
    hypotheses = BoneFlips().sample(keypoints, n, seeded_noise(0))
    found = analyze(hypotheses) if n >= 5 else None
    return Scene(name, hypotheses, keypoints, None, truth, found, {"sampler": "boneflips"})


@pytest.fixture(scope="module")
def report() -> Report:
    seen = scene()
    evaluator = Evaluator(distributions=True)
    assert seen.truth is not None
    for label in ("a", "b"):
        evaluator.add(seen.hypotheses, seen.truth, [label])
    return Report("A & B", (calibration_results("flips", evaluator),), (seen,), ("A remark.",))


@pytest.fixture(scope="module")
def text(report: Report) -> str:
    return page(report)


def test_the_page_is_whole_and_points_nowhere_outside(text: str) -> None:
    outline = Outline(text)
    assert outline.open == []
    assert len(set(outline.ids)) == len(outline.ids)
    assert outline.bare_images == 0
    assert all(a.startswith(("data:", "#")) for a in outline.addresses)
    inside = {a.removeprefix("#") for a in outline.addresses if a.startswith("#")}
    assert inside <= set(outline.ids)
    assert "<title>A &amp; B</title>" in text
    assert "walk &lt;1&gt;" in text


def test_oracle_scores_stand_apart(report: Report, text: str) -> None:
    plain, oracle = (next(t for t in tables(report) if t.key == k)
                     for k in ("scores", "oracle_scores"))  # fmt: skip
    assert not any("best hypothesis" in row[0] for row in plain.rows)
    assert all("best hypothesis" in row[0] for row in oracle.rows)
    assert "<section class='oracle' id='table-oracle_scores'>" in text


def test_every_kind_of_ece_is_shown_with_three_digits(report: Report) -> None:
    rows = [row for table in tables(report) for row in table.rows if row[0].startswith("ECE")]
    assert any("median joint" in row[0] for row in rows)
    assert all(re.match(r"0\.\d{3}( |$)", cell) for row in rows for cell in row[1:])


def test_settings_and_ground_truth_are_on_the_page(text: str) -> None:
    assert "compared with only" in text
    assert "cluster bootstrap" in text


def test_with_truth_there_is_no_warning(text: str) -> None:
    assert "Calibration needs truth" not in text


def test_without_truth_the_page_says_so_and_shows_the_rest() -> None:
    text = page(Report("no truth", scenes=(scene(),)))
    assert NO_TRUTH.split(".", maxsplit=1)[0] in text
    assert "id='figure-spread_0'" in text
    assert "id='figure-trajectories_0'" in text
    assert "figure-calibration" not in text
    assert "towards/away" in text
    assert "Scores" not in text


def test_results_alone_make_a_page_without_scripts(report: Report) -> None:
    text = page(replace(report, scenes=()))
    assert "<script" not in text
    assert "figure-calibration" in text


def test_a_single_sequence_is_warned_about(report: Report) -> None:
    seen = report.scenes[0]
    evaluator = Evaluator(distributions=True)
    assert seen.truth is not None
    evaluator.add(seen.hypotheses, seen.truth, ["only"])
    said = findings(Report("x", (calibration_results("one", evaluator),)))
    assert any("single sequence" in s for s in said)
    assert not any("single sequence" in s for s in findings(report))


def test_few_hypotheses_are_shown_without_analysis() -> None:
    few = scene(3)
    assert "five are needed" in scene_findings(few)[0]
    assert "figure-spread" not in page(Report("few", scenes=(few,)))


def test_an_empty_report_and_twins_are_refused(report: Report) -> None:
    with pytest.raises(OptionError, match="at least one"):
        Report("nothing")
    with pytest.raises(OptionError, match="share a name"):
        Report("twins", scenes=(*report.scenes, *report.scenes))


def test_scenes_are_one_clip_of_one_skeleton() -> None:
    keypoints, truth = clip()
    x = Hypotheses(truth.joints[None], truth.skeleton)
    with pytest.raises(ShapeError, match="different lengths"):
        Scene("x", x, clip(5)[0])
    with pytest.raises(ShapeError, match="without batch axes"):
        Scene("x", Hypotheses(x.joints[None], x.skeleton), keypoints)
    other = Poses3D(truth.joints[:, :1], Skeleton("point", ("pelvis",), (-1,)))
    with pytest.raises(SkeletonMismatchError, match="convert first"):
        Scene("x", x, keypoints, truth=other)


def test_packing_keeps_a_third_of_a_tenth_millimetre_and_nan() -> None:
    x = torch.randn(4, 5, 3, generator=torch.Generator().manual_seed(0))
    x[1, 2, 0] = torch.nan
    packed = pack(x)
    back = unpack(packed)
    assert np.isnan(back[1, 2, 0])
    assert np.nanmax(np.abs(back - x.double().numpy())) <= packed["scale"] / 2 * 1.000001
    assert packed["scale"] < 3.5 / 32767 * 1.3
    assert unpack(pack(torch.zeros(2))).tolist() == [0, 0]
    assert np.iinfo(np.int16).min == MISSING


def test_the_panel_thins_what_is_long_and_says_so() -> None:
    seen = scene(8, n_frames=9)
    data = panel_data(seen, max_hypotheses=3, max_frames=5)
    assert data["shown"] == [0, 4, 7]
    assert data["frames"] == [0, 2, 4, 6, 8]
    assert data["notes"] == ["5 of 9 frames are shown", "3 of 8 hypotheses are drawn"]
    mean = unpack(data["mean"])
    np.testing.assert_allclose(mean, seen.hypotheses.joints.mean(0)[data["frames"]], atol=1e-4)
    assert data["reprojection"]["shape"] == [3, 5, 17, 2]


def test_hypotheses_are_drawn_with_the_focal_lengths_they_believe_in() -> None:
    """Twice the focal length, twice as far from the image's center; the keypoints stay."""
    seen = scene(2)
    assert seen.keypoints.camera is not None
    focal, center = seen.keypoints.camera.focal, seen.keypoints.camera.center.numpy()
    own = replace(seen.hypotheses, focal=focal.mean() * torch.tensor([1.0, 2.0]))
    data = panel_data(replace(seen, hypotheses=own))
    before, after = (unpack(d["reprojection"]) for d in (panel_data(seen), data))
    np.testing.assert_allclose(after[0], before[0], atol=0.1)
    np.testing.assert_allclose(after[1] - center, 2 * (before[1] - center), atol=0.3)


def test_ellipsoids_hold_four_fifths_of_a_normal() -> None:
    keypoints, _ = clip(1)
    g = torch.Generator().manual_seed(0)
    x = torch.randn(3000, 1, 17, 3, generator=g) * torch.tensor([0.02, 0.03, 0.2])
    seen = Scene("n", Hypotheses(x, keypoints.skeleton), keypoints)
    data = panel_data(seen)
    a = unpack(data["ellipsoids"])[0, 5]
    factor = np.array([[a[0], 0, 0], [a[1], a[2], 0], [a[3], a[4], a[5]]])
    inside = np.linalg.norm(
        np.linalg.solve(factor, (x[:, 0, 5] - x[:, 0, 5].mean(0)).numpy().T), axis=0
    )
    assert abs((inside < 1).mean() - 0.8) < 0.02


def test_twenty_hypotheses_of_300_frames_stay_far_below_15_mb() -> None:
    keypoints, truth = clip(300)
    x = truth.joints + 0.1 * torch.randn(20, 300, 17, 3)
    root = torch.tensor([0.0, 0.0, 5.0]).expand(20, 300, 3)
    seen = Scene("long", Hypotheses(x, truth.skeleton, root), keypoints, truth=truth)
    assert len(page(Report("long", scenes=(seen,)))) < 4e6


def test_script_cannot_be_closed_by_data() -> None:
    text = page(Report("x", scenes=(replace(scene(3), name="</script><b>"),)))
    assert "</script><b>" not in text
    assert Outline(text).open == []


def test_pdf_and_folder_are_written(report: Report, tmp_path: Path) -> None:
    (pdf,) = save_report(tmp_path / "r.pdf", report)
    data = pdf.read_bytes()
    assert data.startswith(b"%PDF")
    assert len(re.findall(rb"/Type /Page\b", data)) >= 12
    sizes = set(re.findall(rb"/MediaBox \[([^\]]*)\]", data))
    assert len(sizes) == 1  # A4 across, all of them
    written = save_report(tmp_path / "folder", report)
    names = {path.name for path in written}
    assert {"report.html", "report.pdf", "calibration.svg", "body.png", "scores.csv"} <= names
    figure = base64.b64encode((tmp_path / "folder" / "calibration.svg").read_bytes())
    assert figure in (tmp_path / "folder" / "report.html").read_bytes()  # drawn once for both
    with (tmp_path / "folder" / "scores.csv").open() as file:
        assert next(csv.reader(file)) == ["score", "flips"]
    with pytest.raises(OptionError, match="written as"):
        save_report(tmp_path / "r.docx", report)


def test_the_calibration_of_the_weights_is_cited(report: Report) -> None:
    known = report.scenes[0]
    for weights in ("distributional-frame-small", "mine", ""):
        scene = replace(known, settings={"weights": weights or "none", "spread": "as sampled"})
        assert scene_findings(scene)[0] == calibration_sentence(weights)
    moved = {"weights": "distributional-frame-small", "spread": "recalibrated by chain"}
    assert "before recalibration" in scene_findings(replace(known, settings=moved))[0]


def test_the_page_needs_no_library(text: str) -> None:
    assert text.count("<script>") == 1
    assert len(text.split("<script>")[1]) < 30_000
    assert "THREE" not in text


def result(seed: int, n_frames: int = 8) -> Result:
    keypoints, truth = clip(n_frames)
    h = BoneFlips().sample(keypoints, 6, seeded_noise(seed))
    return Result(h, truth, keypoints, seed, {"name": f"flips{seed}"}, source="walk.json")


class TestCommand:
    def run(self, *arguments: object) -> tuple[int, str]:
        done = CliRunner().invoke(main, ["report", *map(str, arguments)])
        return done.exit_code, done.output

    def test_the_fitted_surface_is_shown_with_its_error(self, tmp_path: Path) -> None:
        save_result(tmp_path / "walk.npz", result(0))
        code, said = self.run(tmp_path / "walk.npz", "--mesh", "-o", tmp_path / "r.html")
        assert code == 0, said
        text = (tmp_path / "r.html").read_text()
        assert "figure-surface_0" in text
        assert re.search(r"joints are \d+\.\d mm from the aggregate's", text.replace("&#x27;", "'"))
        assert len(Outline(text).ids) == len(set(Outline(text).ids))
        code, said = self.run(tmp_path / "walk.npz", "--body", "anny", "-o", tmp_path / "b.html")
        assert code == 2
        assert "add --mesh" in said
        assert not (tmp_path / "b.html").exists()

    def test_two_methods_side_by_side(self, tmp_path: Path) -> None:
        for seed in (0, 1):
            save_result(tmp_path / f"{seed}.npz", result(seed))
        np.save(tmp_path / "truth.npy", clip()[1].joints.numpy() + 1.0)  # any origin
        code, said = self.run(
            tmp_path / "0.npz", tmp_path / "1.npz", "--truth", tmp_path / "truth.npy",
            "-o", tmp_path / "r.html", "--title", "Two",
        )  # fmt: skip
        assert code == 0, said
        text = (tmp_path / "r.html").read_text()
        assert "flips0" in text
        assert "flips1" in text
        assert "Calibration needs truth" not in text

    def test_files_of_one_sampler_are_one_method(self, tmp_path: Path) -> None:
        for i in range(2):
            save_result(tmp_path / f"{i}.npz", result(0))
        np.savez(tmp_path / "truth.npz", joints=clip()[1].joints.numpy())
        code, said = self.run(
            tmp_path / "0.npz", tmp_path / "1.npz", "--truth", tmp_path / "truth.npz",
            "-o", tmp_path / "r.html",
        )  # fmt: skip
        assert code == 0, said
        text = (tmp_path / "r.html").read_text()
        assert "<th scope='row'>sequences</th><td>2</td>" in text
        assert "<option value='1'>flips0, 1</option>" in text

    def test_a_calibration_and_a_result_of_one_sampler_are_one_column(
        self, report: Report, tmp_path: Path
    ) -> None:
        from hypopose.report.gather import gather

        measured = replace(
            report.results[0],
            name="flips0",
            settings={**report.results[0].settings, "data": "benchmark x"},
        )
        save_results(tmp_path / "a.json", measured)
        save_result(tmp_path / "0.npz", result(0))
        np.save(tmp_path / "truth.npy", clip()[1].joints.numpy())
        paths = [tmp_path / "a.json", tmp_path / "0.npz"]
        heads = {t.key: t.head for t in tables(gather(paths))}
        assert heads["settings"] == ("setting", "flips0")
        assert heads["scores"] == ("score", "flips0")
        both = gather(paths, [tmp_path / "truth.npy"])
        heads = {t.key: t.head for t in tables(both)}
        assert heads["scores"] == ("score", "flips0, x", "flips0, these files")
        assert heads["settings"] == ("setting", "flips0, x", "flips0, these files")

    def test_methods_get_the_shortest_names_that_tell_them_apart(self) -> None:
        from hypopose.report.gather import method_names

        one = result(0)
        other = replace(one, sampler={**one.sampler, "eta": 1})
        paths = [Path(name) for name in "abcd"]
        found = method_names(
            {paths[0]: one, paths[1]: replace(one, seed=3), paths[2]: replace(one, weights="w"),
             paths[3]: replace(other, weights="w")}
        )  # fmt: skip
        assert list(found.values()) == ["flips0", "flips0", "flips0 (w)", "flips0 (w) (2)"]

    def test_results_and_names(self, report: Report, tmp_path: Path) -> None:
        save_results(tmp_path / "a.json", report.results[0])
        code, said = self.run(tmp_path / "a.json", "--name", "mine", "-o", tmp_path / "r.pdf")
        assert code == 0, said
        assert (tmp_path / "r.pdf").stat().st_size > 10_000

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (["0.npz", "-o", "r.docx"], "written as .html"),
            (["0.npz", "--name", "a", "--name", "b", "-o", "r.html"], "--name once for each"),
            (["0.npz", "--truth", "t.npy", "--truth", "t.npy", "-o", "r.html"], "--truth once"),
            (["0.npz", "--truth", "short.npy", "-o", "r.html"], "need a truth"),
            (["0.npz", "--truth", "other.npz", "-o", "r.html"], "no array 'joints'"),
            (["absent.npz", "-o", "r.html"], "absent.npz"),
            (["bad.json", "-o", "r.html"], "not JSON"),
        ],
    )
    def test_mistakes_are_one_line_and_write_nothing(
        self, arguments: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        save_result("0.npz", result(0))
        np.save("t.npy", clip()[1].joints.numpy())
        np.save("short.npy", np.zeros((2, 17, 3)))
        np.savez("other.npz", pose=np.zeros(3))
        Path("bad.json").write_text("{")
        code, said = self.run(*arguments)
        assert code == 2
        assert says in said
        assert len(said.strip().splitlines()) == 1
        assert not list(tmp_path.glob("r.*"))


def test_data_on_the_page_is_json(text: str) -> None:
    found = re.search(r"id='panel-data'>(.*?)</script>", text, re.DOTALL)
    assert found is not None
    (data,) = json.loads(found.group(1))
    assert data["hypotheses"]["shape"] == [8, 8, 17, 3]


def test_quantities_are_a_table_with_intervals_and_a_figure_each(tmp_path: Path) -> None:
    keypoints, _ = clip(20)
    hypotheses = BoneFlips().sample(keypoints, 4, seeded_noise(0))
    pose = Poses3D(hypotheses.joints.mean(0), hypotheses.skeleton)
    save_result(tmp_path / "walk.npz", Result(hypotheses, pose, keypoints, seed=0))
    run = CliRunner()
    call = ["report", str(tmp_path / "walk.npz"), "-o"]
    done = run.invoke(main, [*call, str(tmp_path / "out"), "--what", "knee_flexion,trunk_lean"])
    assert done.exit_code == 0, done.output
    text = (tmp_path / "out" / "report.html").read_text()
    outline = Outline(text)
    assert {"table-quantities", "figure-quantity_knee_flexion", "figure-quantity_trunk_lean"} <= {
        *outline.ids
    }
    assert "#table-quantities" in outline.addresses
    rows = list(csv.reader((tmp_path / "out" / "quantities.csv").read_text().splitlines()))
    names = [row[0] for row in rows[1:]]
    assert names[:3] == [
        f"left knee flexion, {word} (deg)" for word in ("mean", "least", "greatest")
    ]
    measured = hypopose.measure(load_hypotheses(tmp_path / "walk.npz"), "left_knee_flexion")
    mean = measured["left_knee_flexion"].over_frames()["mean"]
    low, high = mean.interval(0.8)
    assert rows[1][1] == f"{float(mean.median):.4g} ({low:.4g} to {high:.4g})"
    alone = run.invoke(main, [*call, str(tmp_path / "x.html"), "--height", "1.7"])
    assert alone.exit_code == 2
    assert "add --what" in alone.output
