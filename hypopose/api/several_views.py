"""People from several placed views: triangulated, or as a product of single-view posteriors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hypopose import __version__
from hypopose.api.making import make_sampler
from hypopose.api.rigs import People, check_placed, common_people, in_step, total_std
from hypopose.diffusion import seeded_noise
from hypopose.errors import OptionError, UndeterminedError
from hypopose.io.camera_files import CameraRig, RigClock
from hypopose.io.results import Result
from hypopose.multiview import (
    ErrorMemory,
    Gates,
    Synchronized,
    TimeOffset,
    Triangulated,
    ViewTracks,
    fuse_hypotheses,
    match_known,
    synchronize,
    triangulate_people,
    view_tracks,
)
from hypopose.skeletons import H36M17, conversion_matrix, convert, convert_points
from hypopose.types import Camera, Hypotheses, Keypoints2D, NoiseSource, Poses3D, Skeleton

AGREEING = 0.8
"""Where a smaller share of joints agrees, files and cameras are probably mixed up."""

WORSE = 1.5
"""The same where residuals are larger than those that the rig was found with by such a factor."""


@dataclass(frozen=True, eq=False)
class Together:
    """Views on one clock, and who is who in them.

    Args:
        names: Of the views.
        cameras: Of the views.
        tracks: What each saw.
        keypoints: Everybody in each view.
        clocks: Of each view against the first.
        people: Number of each person in each view; -1 where it does not show them.
        rig_rms_px: Residuals that the rig was found with, the largest of any view; infinite if
            unknown.
    """

    names: tuple[str, ...]
    cameras: tuple[Camera, ...]
    tracks: tuple[ViewTracks, ...]
    keypoints: tuple[tuple[Keypoints2D, ...], ...]
    clocks: tuple[TimeOffset, ...]
    people: np.ndarray
    rig_rms_px: float = np.inf

    @property
    def seen(self) -> Synchronized:
        """Everybody in every view at the moments of the first view's frames."""
        return synchronize(self.tracks, self.clocks, self.people)

    @property
    def alone(self) -> tuple[tuple[str, int], ...]:
        """Views and numbers of people whom no other view shows, and who are left out."""
        return tuple(
            (name, i)
            for name, track, own in zip(self.names, self.tracks, self.people, strict=True)
            for i in range(track.n_people)
            if i not in own
        )

    def of_person(self, person: int) -> list[tuple[int, Keypoints2D]]:
        """The views that show a person, and their keypoints on the first view's clock."""
        n = self.tracks[0].n_frames
        return [
            (v, in_step(self.keypoints[v][i], clock.frames, clock.rate, n))
            for v, clock in enumerate(self.clocks)
            if (i := int(self.people[v, person])) >= 0
        ]


def bring_together(
    views: Mapping[str, People], rig: CameraRig, clocks: Mapping[str, RigClock] | None = None
) -> Together:
    """Put the views of a rig on one clock, and find out who is who.

    Args:
        views: Name of a camera of the rig -> who it saw; the first one's frames are the result's.
        rig: Cameras in one world.
        clocks: By name, instead of the rig's.

    Raises:
        OptionError: If a name is not a camera of the rig, there are fewer than two, a camera moves,
            or two files have the same keypoints.
        UndeterminedError: If no person is seen by two views.
    """
    _check_names(list(views), rig)
    check_placed(rig)
    people = common_people({n: _seen_by(rig.cameras[n], who) for n, who in views.items()})
    tracks = tuple(view_tracks(name, p) for name, p in people.items())
    own = dict(rig.clocks) if clocks is None else dict(clocks)
    times = against_first([own.get(name, RigClock()) for name in views])
    cameras = tuple(rig.cameras[name] for name in views)
    pairing = match_known(tracks, cameras, times)
    if not pairing.shape[1]:
        raise UndeterminedError(
            "Nobody is seen by two of these cameras: no joints agree with the cameras' geometry. "
            "Check that each file belongs to its camera, and that the recordings are in step "
            "(--offset VIEW FRAMES)."
        )
    listed = tuple(tuple(p) for p in people.values())
    known = [x for n in views if isinstance(x := rig.rms_px.get(n), int | float)]
    return Together(
        tuple(views), cameras, tracks, listed, times, pairing, max(known, default=np.inf)
    )


def _check_names(views: Sequence[str], rig: CameraRig) -> None:
    if len(views) < 2 or not rig.cameras.keys() >= {*views}:
        raise OptionError(
            f"Views go by the names of the rig's cameras, two or more of "
            f"{', '.join(rig.cameras)}; got {', '.join(views)}."
        )


def _seen_by(camera: Camera, people: People) -> list[Keypoints2D]:
    listed = people.values() if isinstance(people, Mapping) else people
    return [keypoints.with_camera(camera) for keypoints in listed]


def against_first(clocks: Sequence[RigClock]) -> tuple[TimeOffset, ...]:
    """Clocks against the first of these, which need not be the rig's first.

    Args:
        clocks: Each against the rig's first.

    Example:
        >>> first, second = against_first([RigClock(10.0, 2.0), RigClock(4.0, 1.0)])
        >>> second.frames, second.rate
        (-1.0, 0.5)
    """
    first = clocks[0]
    return tuple(
        TimeOffset(
            c.offset - c.rate * first.offset / first.rate, c.rate / first.rate, 0.0, np.inf, np.inf
        )
        for c in clocks
    )


def triangulate_views(
    together: Together, *, scale_std: float = 0.0, n_hypotheses: int = 20, seed: int = 0,
    gates: Gates | None = None, source: str = "",
) -> dict[str, Result]:  # fmt: skip
    """People in three dimensions from placed views, with covariances.

    Args:
        together: Views on one clock.
        scale_std: Relative standard deviation of the rig's size.
        n_hypotheses: Motions drawn from the covariances.
        seed: Decides these.
        gates: Which points are kept; NaN for the others.
        source: File of the first view, for the record.

    Returns:
        A result per person, by the first view's numbering where it shows them. Motions are in the
        first camera's frame, Human3.6M-17. Their errors last as long as the residuals do, see
        :class:`hypopose.multiview.ErrorMemory`; that of the size is one of the whole motion.

    Raises:
        SkeletonMismatchError: If the skeleton has no conversion to Human3.6M-17.
    """
    found = triangulate_people(together.seen, together.cameras)
    kept = (gates or Gates()).passed(found)
    skeleton = together.tracks[0].skeleton
    results = {}
    for person in range(kept.shape[0]):
        label = str(person)
        points, covariance = _in_first(together, found, kept, person)
        pose = _pose(points, covariance, skeleton, scale_std)
        hypotheses = _drawn(
            points, covariance, skeleton, found.memory, scale_std, n_hypotheses,
            seeded_noise(seed, [label]),
        )  # fmt: skip
        seen_by = [together.names[v] for v, _ in together.of_person(person)]
        results[label] = Result(
            hypotheses,
            pose,
            _first_keypoints(together, person),
            seed,
            sampler={
                "name": "triangulation",
                "views": seen_by,
                "noise_px": _mean_noise(found),
                "memory": [round(x, 3) for x in astuple(found.memory)],
            },
            aggregate="triangulation",
            person=label,
            source=source,
            version=__version__,
            notes=_notes(together, found, kept, person, scale_std),
        )
    return results


def fuse_views(
    together: Together,
    *,
    n_hypotheses: int = 20,
    seed: int = 0,
    method: str = "importance",
    source: str = "",
    **options: Any,
) -> dict[str, Result]:
    """Combine a sampler's hypotheses of single views.

    Args:
        together: Views on one clock.
        n_hypotheses: Motions to draw, of each view and of the combination.
        seed: Decides them.
        method: See :func:`hypopose.multiview.fuse_hypotheses`.
        source: File of the first view, for the record.
        **options: Of :func:`hypopose.make_sampler`: ``sampler``, ``weights``, ...

    Returns:
        A result per person in the first camera's frame; roots are triangulated.

    Raises:
        OptionError: If an option is unknown.
    """
    sampler = make_sampler(options.pop("sampler", None), **options)
    found = triangulate_people(together.seen, together.cameras)
    kept = Gates().passed(found)
    results = {}
    for person in range(kept.shape[0]):
        label, noise = str(person), seeded_noise(seed, [str(person)])
        shown = together.of_person(person)
        drawn = [sampler.sample(convert(k, H36M17), n_hypotheses, noise) for _, k in shown]
        cameras = [together.cameras[v] for v, _ in shown]
        fused = fuse_hypotheses(drawn, cameras, n_hypotheses, noise, method)  # type: ignore[arg-type]
        joints = _turned(fused.joints, cameras[0], together.cameras[0])
        points, covariance = _in_first(together, found, kept, person)
        root = _pose(points, covariance, together.tracks[0].skeleton, 0.0).root
        assert root is not None  # of a pose that was triangulated
        hypotheses = Hypotheses(joints, H36M17, root.expand(len(joints), -1, -1))
        pose = Poses3D(joints.mean(0), H36M17, root, joints.std(0))
        results[label] = Result(
            hypotheses,
            pose,
            _first_keypoints(together, person),
            seed,
            sampler={
                "name": "product of single views",
                "method": method,
                "views": [together.names[v] for v, _ in shown],
            },
            aggregate="mean",
            person=label,
            source=source,
            version=__version__,
            notes=_notes(together, found, kept, person, 0.0),
        )
    return results


def _turned(joints: Tensor, of: Camera, to: Camera) -> Tensor:
    """Root-relative joints from one camera's axes into another's."""
    assert of.rotation is not None  # checked
    assert to.rotation is not None
    return joints @ (to.rotation @ of.rotation.mT).mT


def _in_first(
    together: Together, found: Triangulated, kept: np.ndarray, person: int
) -> tuple[Tensor, Tensor]:
    """A person's joints (F, J, 3) and covariances in the first camera's frame."""
    camera = together.cameras[0]
    assert camera.rotation is not None  # checked
    assert camera.translation is not None
    R, t = camera.rotation.double(), camera.translation.double()
    keep = torch.from_numpy(kept[person])[..., None]
    points = torch.where(keep, torch.from_numpy(found.points[person]), torch.nan)
    covariance = torch.from_numpy(found.covariance[person])
    covariance = torch.where(keep[..., None], covariance, 0.0)
    return points @ R.mT + t, R @ covariance @ R.mT


def _pose(points: Tensor, covariance: Tensor, skeleton: Skeleton, scale_std: float) -> Poses3D:
    """The pose in Human3.6M-17 with its covariance.

    Errors of joints formed from the same points are correlated, so that a hip relative to the
    pelvis is more precise than its own covariance.
    """
    joints = convert_points(points, skeleton, H36M17)
    same = skeleton.name == H36M17.name
    C = torch.eye(17).double() if same else conversion_matrix(skeleton, H36M17)
    own = torch.einsum("kj,fjab->fkab", (C - C[:1]).square(), covariance)
    relative = joints - joints[:, :1]
    own = own + scale_std**2 * relative[..., :, None] * relative[..., None, :]
    own = torch.where(torch.isfinite(relative).all(-1)[..., None, None], own, torch.nan)
    return Poses3D(
        relative.float(), H36M17, joints[:, 0].float(), total_std(own).float(), own.float()
    )


def _drawn(
    points: Tensor, covariance: Tensor, skeleton: Skeleton, memory: ErrorMemory,
    scale_std: float, n: int, noise: NoiseSource,
) -> Hypotheses:  # fmt: skip
    """Motions with errors that are as large as the covariances say, and last as long."""
    factor = torch.linalg.cholesky(covariance + 1e-12 * torch.eye(3, dtype=covariance.dtype))
    F, J = points.shape[:2]
    found = []
    for _ in range(n):
        z = noise((1, 1, 2 * F + 1, J + 1, 3))[0, 0].double().cpu()
        size = 1 + scale_std * z[0, J, 0]
        errors = torch.from_numpy(memory.errors(z[:, :J].numpy()))
        moved = size * (points + (factor @ errors[..., None])[..., 0])
        found.append(convert_points(moved, skeleton, H36M17))
    drawn = torch.stack(found)
    place = drawn[:, :, :1]
    return Hypotheses((drawn - place).float(), H36M17, place[:, :, 0].float())


def _first_keypoints(together: Together, person: int) -> Keypoints2D:
    """A person's keypoints in the first view, Human3.6M-17; NaN if it does not show them."""
    i = int(together.people[0, person])
    keypoints = together.keypoints[0][max(i, 0)]
    if i < 0:
        nothing = torch.full_like(keypoints.xy, torch.nan)
        zero = torch.zeros_like(nothing[..., 0])
        keypoints = replace(keypoints, xy=nothing, confidence=zero, covariance=None)
    return convert(keypoints, H36M17)


def _mean_noise(found: Triangulated) -> float:
    return round(float(found.noise_px.mean()), 3)


def _notes(
    together: Together, found: Triangulated, kept: np.ndarray, person: int, scale_std: float
) -> tuple[str, ...]:
    views = [
        f"{together.names[v]} as person {int(together.people[v, person])}"
        for v, _ in together.of_person(person)
    ]
    residual = found.residual_px[:, person]
    rms = float(np.sqrt(np.nanmean(np.where(kept[person], residual, np.nan) ** 2)))
    notes = [
        f"seen by {', '.join(views)}",
        f"reprojection RMS {rms:.1f} px; {100 * kept[person].mean():.0f} % of the joints are "
        "seen by two views and agree",
    ]
    twice = found.n_views[person] >= 2
    agreeing = (kept[person] & twice).sum() / max(twice.sum(), 1)
    check = "check that each file belongs to its camera, and that the recordings are in step"
    if agreeing < AGREEING:
        notes.append(f"only {100 * agreeing:.0f} % of the joints that two views see agree: {check}")
    elif rms > WORSE * together.rig_rms_px:
        notes.append(
            f"the cameras were found with residuals of {together.rig_rms_px:.1f} px: {check}"
        )
    if scale_std:
        notes.append(f"size known to {100 * scale_std:.1f} %")
    return tuple(notes)
