"""
A calibration report
====================

Two methods side by side against known motion: a page and a PDF.

Run it as a script, or cell by cell; it needs no data and writes into a folder:

    python examples/calibration_report.py [FOLDER]
"""

from __future__ import annotations

# %% A motion with known ground truth
import sys
import tempfile
from pathlib import Path

import hypopose
from hypopose.ambiguity import analyze
from hypopose.calibration import Settings
from hypopose.evaluation import Evaluator, calibration_results, save_results
from hypopose.report.exhibits import Report
from hypopose.report.page import save_report
from hypopose.report.panel import Scene

folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="hypopose_"))
folder.mkdir(parents=True, exist_ok=True)
keypoints, truth = hypopose.datasets.example_pair(24)

# %% Measure each method; clips of one recording share a label
results, scenes = [], []
for name in ("boneflips", "d3dp"):
    evaluator = Evaluator(settings=Settings(seed=0), distributions=True)
    for seed in range(3):
        hypotheses = hypopose.sample(keypoints, n_hypotheses=20, sampler=name, seed=seed)
        evaluator.add(hypotheses, truth, [f"walk {seed}"], keypoints=keypoints)
    results.append(calibration_results(name, evaluator, {"data": "the bundled synthetic walk"}))
    save_results(folder / f"{name}.json", results[-1])
    scenes.append(Scene(name, hypotheses, keypoints, truth=truth, ambiguity=analyze(hypotheses)))

# %% One report; the same from the command line: hypopose report boneflips.json d3dp.json -o r.html
report = Report("Two methods on a synthetic walk", tuple(results), tuple(scenes))
for ending in ("html", "pdf"):
    for path in save_report(folder / f"report.{ending}", report):
        print(path)
for result in results:
    print(result.name, {key: round(e.value, 3) for key, e in list(result.scores.items())[:3]})
