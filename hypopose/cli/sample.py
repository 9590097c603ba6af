"""``hypopose sample``: keypoint files in, hypotheses and a picture per person out."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

import click

from hypopose.cli.camera_options import camera_options
from hypopose.cli.footage_options import footage_options
from hypopose.cli.jobs import FORMATS, plan_jobs
from hypopose.cli.log import open_log
from hypopose.cli.multi_camera import view_option
from hypopose.cli.options import MASKS, READING, shared
from hypopose.cli.overwrite import force_option
from hypopose.cli.running import run_all
from hypopose.cli.summary import finish
from hypopose.cli.worker import make_worker
from hypopose.errors import OptionError

EXAMPLES = """\b
Examples:
  hypopose sample walk.json -o walk.npz
  hypopose sample walk.mp4 -o walk.npz
  hypopose sample walk.json -o walk.npz --image-size 1920 1080 --height 1.78
  hypopose sample walk.json -o walk.npz --mask walk-masks/
  hypopose sample clips/ -o results/ --sampler d3dp --calibrator bundled
  hypopose sample walk.json -o walk.npz --sampler ./jitter.py:Jitter"""


@click.command(epilog=EXAMPLES)
@click.argument("inputs", nargs=-1, required=True, type=click.Path(path_type=Path))
@shared(
    "person", "skeleton", "input_format", "image_size", "fps", *READING,
    output={"help": "Result file; a folder for several inputs. Several people: OUT_<person>."},
)  # fmt: skip
@footage_options
@camera_options
@view_option
@shared(
    "sampler", "weights", "n_hypotheses", "n_steps", "settings", "seed", "device",
    "aggregate", "calibrator", *MASKS,
)  # fmt: skip
@click.option(
    "--refine", is_flag=True, help="Move hypotheses until they reproject, as hypopose refine does."
)
@click.option(
    "--format",
    "file_formats",
    type=click.Choice(FORMATS),
    multiple=True,
    help="Also write every result in this format, with the defaults of hypopose export; repeat "
    "for several.",
)
@click.option(
    "--view-html", is_flag=True, help="Also write OUT.html: the 3D player, for any browser."
)
@click.option("--no-overview", is_flag=True, help="Write no PNG.")
@click.option(
    "--jobs",
    "n_processes",
    type=click.IntRange(1, 1024),
    help="Inputs to process at once; default: one per idle core.",
)
@click.option(
    "--threads",
    type=click.IntRange(1, 1024),
    help="Threads for each input; default: one, or as many as cores are idle for large inputs.",
)
@click.option(
    "--shard",
    metavar="I/N",
    help="Only the I-th of N parts of the inputs, for an array of cluster jobs.",
)
@click.option(
    "--cluster",
    metavar="WHERE",
    help="Work on a Dask cluster: local, slurm, or the address of a scheduler (extra "
    "hypopose[cluster]); --jobs is the number of workers to start.",
)
@click.option(
    "--log", "log_file", type=click.Path(path_type=Path), help="Add a line per input to this file."
)
@click.option("--log-json", is_flag=True, help="Write the lines of --log as JSON.")
@force_option
def sample(inputs: tuple[Path, ...], output: Path, **options: Any) -> None:
    """Draw 3D motions for 2D keypoint files, or videos, and write one result per person.

    INPUTS are files or folders: of keypoints or, with the extra hypopose[video], videos, pictures
    and camera:0, whose detections are kept next to the result. A folder of OpenPose frames, or of
    pictures, is one input; any other folder stands for all inputs in it. A file that cannot be read
    is reported and the others are processed; a table at the end lists all inputs.

    Run the same command again to continue a stopped run: npz results of the same input and options
    are kept. Other existing files are left untouched without --force. Several runs on one folder,
    on one machine or many, share the work.

    Exit code 0: all done. 1: some of several inputs failed. 2: nothing was written.
    """
    plan = plan_jobs(inputs, output).shard(options["shard"])
    if not plan.jobs:
        click.echo("There are fewer inputs than parts; this part has none.")
        return
    cluster = options.pop("cluster")
    if cluster is not None and not plan.is_batch:
        raise OptionError("--cluster works on a folder or several inputs; there is one input.")
    if options["masks"] is not None and plan.is_batch:
        raise OptionError("--mask goes with one input; there is a folder, or several inputs.")
    start = time.perf_counter()
    make = partial(make_worker, options, plan.jobs[:2])
    with open_log(options["log_file"], as_json=options["log_json"]) as log:
        rows = run_all(plan, make, options["n_processes"], log, cluster)
    finish(rows, is_batch=plan.is_batch, seconds=time.perf_counter() - start)
