"""Two methods side by side against a known truth: a page and a PDF.

Run it as a script, or cell by cell; it needs no data and writes into a folder:

    python examples/calibration_report.py [FOLDER]
"""

from __future__ import annotations

# %% A motion whose truth is known, cut into clips
import sys
import tempfile
from pathlib import Path

import hypopose
from hypopose.ambiguity import analyze
from hypopose.calibration import Settings
from hypopose.report.exhibits import Report
from hypopose.report.judgement import Judge, save_judgement
from hypopose.report.page import save_report
from hypopose.report.panel import Scene

folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="hypopose_"))
folder.mkdir(parents=True, exist_ok=True)
keypoints, truth = hypopose.datasets.example_pair(24)

# %% Judge each method; each update is a clip, and clips of one recording share its label
judgements, scenes = [], []
for name in ("boneflips", "d3dp"):
    judge = Judge(name, Settings(seed=0), {"data": "the synthetic walk in the box"})
    for seed in range(3):
        hypotheses = hypopose.sample(keypoints, n_hypotheses=20, sampler=name, seed=seed)
        judge.update(hypotheses, truth, [f"walk {seed}"], keypoints=keypoints)
    judgements.append(judge.compute())
    save_judgement(folder / f"{name}.json", judgements[-1])
    scenes.append(Scene(name, hypotheses, keypoints, truth=truth, ambiguity=analyze(hypotheses)))

# %% One report; the same from the command line: hypopose report boneflips.json d3dp.json -o r.html
report = Report("Two methods on a synthetic walk", tuple(judgements), tuple(scenes))
for ending in ("html", "pdf"):
    for path in save_report(folder / f"report.{ending}", report):
        print(path)
for judgement in judgements:
    print(judgement.name, {s.key: round(s.value, 3) for s in judgement.scores[:3]})
