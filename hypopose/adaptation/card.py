"""The model card of adapted weights."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from hypopose import __version__
from hypopose.adaptation.adapt_options import AdaptOptions
from hypopose.adaptation.judging import UNITS, Change

if TYPE_CHECKING:
    from hypopose.adaptation.adapt_run import Adapted

CARD = """# {name}

The weights `{start}`, adapted to recordings without 3D with HypoPose {version}: a generator for the
sampler `distributional`, merged and in float16. `hypopose sample WALK --weights {name}` takes them.

- **Good for** the people, cameras and detector they were adapted to. On others use `{start}`.
- Trained on {frames:,} frames in {minutes:.1f} min, with {motion} as source motion; {share:.0f} %
  of the adapted weights and {rest:.0f} % of the first ones. Options: `adaptation.json`,
  `training.json`.
{people}{refined}
## What was held back

No 3D is known of it. Lower is better; all but `reprojection` are proper scores, which
neither narrower nor wider regions improve by themselves. Changes have their standard error.

{changes}

## What was forgotten

Validation motion of other people, mm.

{forgetting}
"""


ONE_STEP = "_1_steps"
"""Ends the names of scores of hypotheses that are drawn in one evaluation."""

REFINED = {
    "unit": "- A refinement unit (EpipolarPose), trained last, corrects every hypothesis.\n",
    "transformer": "- A refining transformer (PoSynDA), trained last, corrects every hypothesis.\n",
}


def adaptation_card(
    name: str, start: str, motion: Sequence[str], options: AdaptOptions, result: Adapted
) -> str:
    """A card in Markdown.

    Args:
        name: Of the folder.
        start: The weights that were adapted.
        motion: Source motion.
        options: Of adaptation.
        result: What it came to.
    """
    builds, people = result.builds, ""
    if builds is not None:
        rows = zip(builds.people, builds.stature.tolist(), builds.stature_std.tolist(), strict=True)
        told = ", ".join(f"{who} {tall:.2f} ± {std:.2f} m" for who, tall, std in rows)
        people = f"- People, by stature: {told}.\n"
    return CARD.format(
        name=name,
        start=start,
        version=__version__,
        frames=result.frames,
        minutes=result.seconds / 60,
        motion=", ".join(motion),
        share=100 * result.share,
        rest=100 * (1 - result.share),
        people=people,
        refined=REFINED[options.refiner] if result.is_refined else "",
        changes=table(result.changes),
        forgetting=table(result.forgetting) if result.forgetting else "Not measured.",
    )


def table(changes: Mapping[str, Change]) -> str:
    """Scores before and after, as a Markdown table."""
    lines = ["| score | before | after | change |", "| --- | --- | --- | --- |"]
    lines += [
        f"| {name.removesuffix(ONE_STEP)} | {' | '.join(_cells(name, c))} |"
        for name, c in changes.items()
    ]
    return "\n".join(lines)


def lines(changes: Mapping[str, Change]) -> list[str]:
    """The same for a terminal."""
    return [
        "  {:<22} {:>12} -> {:>12} {}".format(name.removesuffix(ONE_STEP), *_cells(name, change))
        for name, change in changes.items()
    ]


def _cells(name: str, change: Change) -> tuple[str, str, str]:
    unit = UNITS.get(name, "")
    unit = f" {unit}" if unit else ""
    digits = 3 if max(abs(change.before), abs(change.after)) < 2 else 1
    per = 100 / change.before if change.before else 0.0
    error = per * change.std_error
    sure = f" ± {error:.1f}" if 0 < error < math.inf else ""
    return (
        f"{change.before:.{digits}f}{unit}",
        f"{change.after:.{digits}f}{unit}",
        f"{per * (change.after - change.before):+.1f}{sure} %",
    )
