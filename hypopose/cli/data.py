"""``hypopose data``: your own motion capture, prepared for training."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hypopose.cli.overwrite import force_option, refuse_existing
from hypopose.errors import FormatError, HypoPoseError, OptionError

if TYPE_CHECKING:
    from hypopose.datasets.capture import Clip, Options


@click.group()
def data() -> None:
    """Prepare motion for training."""


EXAMPLES = """\b
Examples:
  hypopose data prepare mocap/ -o motion.npz --license CC-BY-4.0
  hypopose data prepare cmu/ -o cmu.npz --val 07 --test 08"""


@data.command(epilog=EXAMPLES)
@click.argument("places", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Shard (npz).")
@click.option("--val", multiple=True, metavar="SUBJECT", help="Into the validation split.")
@click.option("--test", multiple=True, metavar="SUBJECT", help="Into the test split.")
@click.option("--license", "license_words", help="Terms of the data, kept with every clip.")
@click.option("--fps", type=float, help="Frame rate where a file does not say; AMC: 120.")
@click.option(
    "--unit", default="auto", show_default=True, help="m, cm, mm, inch, cmu; auto: by the legs."
)
@click.option("--up", default="auto", show_default=True, help="y or z; auto: where the head is.")
@click.option(
    "--joints",
    "joints_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="TOML or JSON that names the joints of a rig of your own: left_hip = ...",
)
@click.option(
    "--body-model",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="model.npz of SMPL-H or SMPL-X, for AMASS.",
)
@force_option
def prepare(places: tuple[Path, ...], output: Path, force: bool, **options: Any) -> None:
    """Convert capture files to a motion shard: BVH, CMU's ASF/AMC, AMASS, Human3.6M, 3DHP.

    PLACES are files or folders, read to the bottom. Clips become Human3.6M's 17 joints at 50 Hz,
    meters, z up, floor at 0; jumps are cut out. A bad file is reported and the others go on.

    Exit code 0: all done. 1: some files failed. 2: nothing was written.
    """
    refuse_existing(output, force=force)
    from hypopose.datasets.capture import Options, find_sources, write_shard

    chosen = Options(
        license=options["license_words"],
        fps=options["fps"],
        unit=options["unit"],
        up=options["up"],
        joints=_joints(options["joints_file"]),
        body_model=options["body_model"],
    )
    sources = [source for place in places for source in find_sources(place)]
    clips: list[Clip] = []
    failed = 0
    for source in sources:
        try:
            found = _clips(source, chosen)
        except HypoPoseError as error:
            failed += 1
            click.echo(f"failed  {source.path}: {error}", err=True)
            continue
        clips += found
        frames = sum(len(clip.joints) for clip in found)
        click.echo(f"read    {source.path} ({source.kind}): {len(found)} clips, {frames} frames")
    frames_of = write_shard(output, _unique(clips), val=options["val"], test=options["test"])
    words = ", ".join(f"{split} {n}" for split, n in frames_of.items() if n)
    click.echo(f"{output}: {len(clips)} clips; frames: {words}; {failed} files failed")
    terms = sorted({clip.license for clip in clips})
    click.echo(f"terms: {'; '.join(t or 'not stated' for t in terms)}")
    if failed:
        raise SystemExit(1)


def _clips(source: Any, options: Options) -> list[Clip]:
    from hypopose.datasets.capture import cleaned, read_source

    return [piece for clip in read_source(source, options) for piece in cleaned(clip)]


def _unique(clips: list[Clip]) -> list[Clip]:
    """Clips of the same name (other folders) get a number."""
    from dataclasses import replace

    seen: dict[str, int] = {}
    out = []
    for clip in clips:
        seen[clip.name] = seen.get(clip.name, 0) + 1
        n = seen[clip.name]
        out.append(clip if n == 1 else replace(clip, name=f"{clip.name}_{n}"))
    return out


def _joints(path: Path | None) -> dict[str, str] | None:
    if path is None:
        return None
    try:
        text = path.read_text(encoding="utf-8")
        names = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise FormatError(f"{path} is neither TOML nor JSON: {error}.") from error
    if not isinstance(names, dict) or not all(isinstance(v, str) for v in names.values()):
        raise OptionError(f"{path} must map names of parts to names of joints.")
    return names
