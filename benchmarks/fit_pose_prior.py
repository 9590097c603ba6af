"""Fit the bundled pose prior to motion shards.

    python benchmarks/fit_pose_prior.py --shard cmu_permissive.npz --shard procedural_seated.npz

Poses are drawn as training batches are: recombined, mirrored, tilted, seen by virtual cameras.
"""

from __future__ import annotations

from pathlib import Path

import click
import torch

from hypopose.bodies.proportions import BONE_LENGTHS
from hypopose.datasets import load_motion
from hypopose.samplers.pose_prior import BUNDLED, fit_pose_prior
from hypopose.simulation import BodyMaker, Draws, place_cameras


@click.command()
@click.option("--shard", "shards", multiple=True, required=True, help="Motion shards.")
@click.option("-o", "--output", type=click.Path(path_type=Path), default=BUNDLED, show_default=True)
@click.option("--n-poses", default=20_000, show_default=True)
@click.option("--n-components", default=32, show_default=True)
def main(shards: tuple[str, ...], output: Path, n_poses: int, n_components: int) -> None:
    """Draw poses, fit, and say how likely unseen ones are."""
    parts = []
    for split, n in (("train", n_poses), ("val", n_poses // 10)):
        draws = Draws(torch.Generator().manual_seed(0))
        bodies = BodyMaker(load_motion(shards, split), draws.device)(n, 1, draws).joints
        rotation, position = place_cameras(bodies, draws)
        parts.append(((bodies - position[:, None, None]) @ rotation.mT[:, None])[:, 0])
    prior = fit_pose_prior(parts[0], BONE_LENGTHS, n_components)
    prior.save(output)
    click.echo(f"{output}: {output.stat().st_size / 1000:.0f} kB")
    for split, joints in zip(("train", "val"), parts, strict=True):
        click.echo(f"{split}: {score(prior, joints):.2f} nats a pose")


def score(prior, joints: torch.Tensor) -> float:
    from torch.nn.functional import normalize

    from hypopose.samplers.pose_prior import heading_of, turned

    parent, child = (list(side) for side in zip(*prior.skeleton.bones, strict=True))
    u = normalize((joints[:, child] - joints[:, parent]).double(), dim=-1)
    return float(prior.log_directions(turned(u, heading_of(u))).mean())


if __name__ == "__main__":
    main()
