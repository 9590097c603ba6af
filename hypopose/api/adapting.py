"""Adapt weights to one's own cameras and people: keypoint files in, a folder of weights out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.adaptation import (
    AdaptationTrainer,
    Adapted,
    AdaptOptions,
    Recording,
    View3D,
    adapt_recordings,
    find_builds,
    make_trainer,
    refine_network,
)
from hypopose.adaptation.adapt_run import Say
from hypopose.adaptation.parts import check_objective
from hypopose.adaptation.recordings import (
    MIN_FRAMES,
    TILT_STD_DEG,
    can_be_adapted_to,
    root_shares,
    with_vertical,
)
from hypopose.adaptation.sources import reference_source
from hypopose.api.rigs import People, floor_of, statures
from hypopose.api.sampling import share_camera
from hypopose.api.several_views import Together, bring_together
from hypopose.cameras import resolve_camera
from hypopose.errors import OptionError
from hypopose.io.camera_files import CameraRig, RigClock
from hypopose.multiview import Gates, triangulate_people
from hypopose.networks.pretrained import save_weights
from hypopose.optimization.stature import SHORTEST, TALLEST
from hypopose.simulation.option_checks import from_dict
from hypopose.skeletons import H36M17, conversion_matrix, convert, convert_points
from hypopose.training import TrainConfig, train
from hypopose.training.batches import motion_of
from hypopose.training.loop import Report
from hypopose.types import Keypoints2D

MOST_TILT_DEG = 15.0
"""Degrees by which people may lean from z where z is up."""

UNSURE_DEG = 15.0
"""Standard deviation of the vertical where people do not tell it."""

MISREAD = ((1000, "m"), (100, "m"), (10, "cm"), (0.1, "mm"), (0.01, "cm"), (0.001, "mm"))
"""What makes people's size plausible, and the unit that the rig then has."""


def adapt(
    targets: Mapping[str, People | Keypoints2D],
    output: str | Path,
    *,
    rig: CameraRig | None = None,
    clocks: Mapping[str, RigClock] | None = None,
    weights: str | Path | None = None,
    motion: str | Path | None = None,
    report: Report | None = None,
    say: Say | None = None,
    **options: Any,
) -> Adapted:
    """Adapt weights to your own people and cameras, without 3D.

    A fifth of every recording is not used for training. Weights are written only if a proper score
    on it improved, see :mod:`hypopose.adaptation.judging`.

    Args:
        targets: Name of a recording -> who is in it. With a rig, names of its cameras, whose
            recordings show the same people at the same time.
        output: Folder of weights, for ``weights=`` everywhere. An unfinished run is kept next to it, and
            the same call resumes it.
        rig: Cameras in one world: labels from several views.
        clocks: Of the recordings, instead of the rig's.
        weights: To start from; None for the default ones.
        motion: Folder of motion shards that are replayed; None for the synthetic figures that ship.
        report: Called with every row of the training's log.
        say: Called with lines about what is done.
        **options: Of :class:`hypopose.adaptation.AdaptOptions`: ``minutes``, ``height``, ``rank``,
            ``seed`` and others.

    Returns:
        Scores before and after, and where the weights are.

    Raises:
        OptionError: If no person is detected long enough, or an option is out of range.
        CheckpointError: If the weights cannot be adapted.

    Example:
        >>> import tempfile, hypopose
        >>> keypoints, _ = hypopose.datasets.example_pair(30)
        >>> folder = Path(tempfile.mkdtemp()) / "mine"
        >>> budget = {"n_frames": 27, "batch_frames": 27, "builds": False}
        >>> adapted = hypopose.adapt({"walk": keypoints}, folder, **budget)
        >>> adapted.has_improved == folder.exists()
        True
    """  # noqa: E501
    chosen = from_dict(AdaptOptions, options, name="adaptation")
    recordings, scale_std = recordings_of(targets, rig, clocks)
    return adapt_recordings(
        recordings,
        output,
        weights=weights,
        motion=motion,
        options=chosen,
        scale_std=scale_std,
        report=report,
        say=say,
    )


def target_trainer(
    config: TrainConfig,
    targets: Mapping[str, People | Keypoints2D],
    *,
    rig: CameraRig | None = None,
    clocks: Mapping[str, RigClock] | None = None,
) -> AdaptationTrainer:
    """A trainer that learns from a target too, for :func:`hypopose.training.train`.

    Nothing is held back, and nothing is judged. How people are built is read from the weights that
    the run starts from if they are a generator's, else from the default ones.

    Args:
        config: Of the run; ``config.target`` says what is learned.
        targets: As in :func:`adapt`.
        rig: Cameras in one world.
        clocks: Of the recordings, instead of the rig's.

    Raises:
        OptionError: If no one is seen long enough, or the objective cannot be trained for on a
            target.
    """
    recordings, scale_std = recordings_of(targets, rig, clocks)
    motion = motion_of(config, "train")
    check_objective(config)
    reference = reference_source(config, motion)
    sampler = reference.sampler(reference.network())
    upright = [with_vertical(recording, sampler) for recording in recordings]
    builds = find_builds(reference, upright, config, scale_std)
    return make_trainer(config, motion, upright, builds)


def train_on_target(
    config: TrainConfig,
    folder: str | Path,
    targets: Mapping[str, People | Keypoints2D],
    *,
    rig: CameraRig | None = None,
    clocks: Mapping[str, RigClock] | None = None,
    report: Report | None = None,
) -> Path:
    """Train as :func:`hypopose.training.train` does, on a target too.

    Args:
        config: Of the run; ``config.target`` says what is learned. With a ``refinement`` the
            weights that are written at the end have a refinement unit, whatever it brings.
        folder: Of the run.
        targets: As in :func:`adapt`.
        rig: Cameras in one world.
        clocks: Of the recordings, instead of the rig's.
        report: Called with every row of the log.

    Returns:
        The folder of the averaged weights.

    Raises:
        OptionError: If no person is seen long enough, the objective cannot be trained for on a
            target, or such networks cannot be refined.
    """
    trainer = target_trainer(config, targets, rig=rig, clocks=clocks)
    weights = train(config, folder, report=report, trainer=trainer)
    if config.target.refinement and trainer.progress.share(config) >= 1:
        network = refine_network(trainer.averaged().cpu(), trainer, config.target.refinement)
        network.save_config(weights)
        save_weights(network.state_dict(), weights)
    return weights


def recordings_of(
    targets: Mapping[str, People | Keypoints2D],
    rig: CameraRig | None = None,
    clocks: Mapping[str, RigClock] | None = None,
) -> tuple[list[Recording], float]:
    """Recordings of everybody who is seen long enough, with labels where there is a rig.

    Args:
        targets: Name of a recording -> who is in it.
        rig: Cameras of these names in one world.
        clocks: Of the recordings, instead of the rig's.

    Returns:
        Recordings, and the relative standard deviation of the size of their labels.

    Raises:
        OptionError: If no person is detected long enough.
    """
    given = {n: _people(p) for n, p in targets.items()}
    if rig is None:
        found = [
            Recording(k, f"{name}/{i}" if len(people) > 1 else name)
            for name, people in given.items()
            for i, k in enumerate(_with_camera(people))
            if can_be_adapted_to(k)
        ]
        scale_std = 0.0
    else:
        found = _from_rig(bring_together(given, rig, clocks), rig)
        scale_std = rig.scale_std
    if not found:
        raise OptionError(
            f"Nobody is seen with hips and half of the joints in {MIN_FRAMES} frames or more; give "
            "longer recordings."
        )
    return found, scale_std


def _people(given: People | Keypoints2D) -> list[Keypoints2D]:
    if isinstance(given, Keypoints2D):
        return [given]
    return list(given.values()) if isinstance(given, Mapping) else list(given)


def _with_camera(people: Sequence[Keypoints2D]) -> list[Keypoints2D]:
    """Everybody in Human3.6M-17, with the camera of the file."""
    converted = {str(i): convert(k, H36M17) for i, k in enumerate(people)}
    return [resolve_camera(k) for k in share_camera(converted).values()]


def _from_rig(together: Together, rig: CameraRig) -> list[Recording]:
    """A recording per person and view, on the first view's clock, with the same labels."""
    triangulated = triangulate_people(together.seen, together.cameras)
    kept = Gates().passed(triangulated)
    good = np.where(kept[..., None], triangulated.points, np.nan)
    _check_size(good, together)
    vertical, tilt_std_deg = _vertical(good, together)
    recordings = []
    for person in range(kept.shape[0]):
        joints, covariance = _in_world(
            together, triangulated.points[person], triangulated.covariance[person], kept[person]
        )
        for v, keypoints in together.of_person(person):
            camera = together.cameras[v]
            assert camera.rotation is not None  # of a rig
            assert camera.translation is not None
            R, t = camera.rotation.double(), camera.translation.double()
            own = replace(convert(keypoints, H36M17), camera=camera)
            if not can_be_adapted_to(own):
                continue
            label = View3D(
                (joints @ R.mT + t).float(),
                (R @ covariance @ R.mT).float(),
                rig.scale_std,
                root_shares(together.tracks[0].skeleton),
            )
            up = camera.rotation.float() @ vertical
            place = (f"person {person}", together.names[v])
            recordings.append(Recording(own, *place, label, up, tilt_std_deg))
    return recordings


def _check_size(points: Float[np.ndarray, "P F J 3"], together: Together) -> None:
    """Refuse rigs whose unit makes people of no person's size."""
    tall = statures(points, together.tracks[0])
    tall = tall[np.isfinite(tall)]
    middle = float(np.median(tall)) if len(tall) else 1.7
    if not SHORTEST <= middle <= TALLEST:
        unit = next((u for by, u in MISREAD if SHORTEST <= middle * by <= TALLEST), None)
        named = "" if unit is None else f"name its unit, --camera-unit {unit}, or "
        raise OptionError(
            f"Seen by these cameras, people are {middle:.3g} m tall, so the scale of the rig is "
            f"wrong: {named}find the rig again with hypopose cameras --height METERS."
        )


def _vertical(
    points: Float[np.ndarray, "P F J 3"], together: Together
) -> tuple[Float[Tensor, "3"], float]:
    """Up in the rig's world, and its standard deviation in degrees.

    Worlds of rigs have z up as a rule, but some are a camera's frame. People decide.
    """
    z = torch.tensor([0.0, 0.0, 1.0])
    ground = floor_of(points, together.tracks[0])
    if ground is None:
        return z, UNSURE_DEG
    angle = math.degrees(math.acos(float((ground.up.float() @ z).clamp(-1.0, 1.0))))
    if angle < max(MOST_TILT_DEG, 3 * ground.tilt_std_deg):
        return z, 1.0
    return ground.up.float(), max(TILT_STD_DEG, ground.tilt_std_deg)


def _in_world(
    together: Together, points: np.ndarray, covariance: np.ndarray, kept: np.ndarray
) -> tuple[Tensor, Tensor]:
    """Joints and covariances of a person in Human3.6M-17 and the rig's world."""
    skeleton = together.tracks[0].skeleton
    keep = torch.from_numpy(kept)
    joints = torch.where(keep[..., None], torch.from_numpy(points), torch.nan)
    spread = torch.where(keep[..., None, None], torch.from_numpy(covariance), 0.0)
    joints = convert_points(joints, skeleton, H36M17)
    if skeleton.name != H36M17.name:
        weights = conversion_matrix(skeleton, H36M17).square()
        spread = torch.einsum("kj,fjab->fkab", weights, spread)
    return joints, spread
