"""The whole way from keypoints to a result, as ``hypopose sample`` goes it.

A :class:`Pipeline` is made once, with its networks and its calibrator loaded, and estimates any
number of people, scenes or files.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch

from hypopose import __version__
from hypopose.api import masking, sampling
from hypopose.api.added_feet import add_feet
from hypopose.api.making import (
    describe_sampler,
    resolve_sampler,
    skeleton_read_by,
    weights_label,
)
from hypopose.api.postprocessing import adjust, read_calibrator, recalibrate, refine
from hypopose.calibration import Calibrator
from hypopose.checks import check_room
from hypopose.diffusion import seeded_noise
from hypopose.distributed import threads as threads_of
from hypopose.errors import FormatError, OptionError
from hypopose.io import Masks, load, load_camera_motion, load_people
from hypopose.io.people.enough_seen import body_joints
from hypopose.io.results import Result
from hypopose.optimization import FocalPosterior, sample_with_focal
from hypopose.quantities.measurement_doubts import unseen_words
from hypopose.types import Hypotheses, Keypoints2D, Sampler

Callback = Callable[[Any], None]


@dataclass(frozen=True)
class Pipeline:
    """What is done with keypoints, in the order of the fields. Make it with :func:`make_pipeline`.

    Args:
        sampler: The method.
        weights: How results name its weights; None for the bundled ones.
        n_hypotheses: How many motions.
        aggregate: How to reduce them to one.
        seed: Same seed, same hypotheses.
        focal: A posterior over an unknown focal length, or ``"estimate"`` to infer it from the
            people of a scene: every hypothesis gets its own, the record's camera the median.
        refine: Whether hypotheses are moved until they reproject.
        masks: Of the people, in the same frames: they weigh hypotheses (aggregate
            ``"silhouette"``), or with ``refine`` move them.
        calibrator: Recalibrates the spread; not with ``refine``.
        calibrator_name: How results name it.
        camera_motion: File with the poses of a moving camera.
        smooth: Standard deviation of joints' acceleration in m/s².
        height: The subject's stature in meters.
        ground: Whether gravity and floor are estimated; not with ``camera_motion``.
        feet: Whether heels and toes are added where the detector gave them, see
            :func:`hypopose.api.add_feet`.
        notes: Added to every result.
        threads: Of the processor; None for what suits the size of the input and the idle cores.
    """

    sampler: Sampler
    weights: str | Path | None = None
    n_hypotheses: int = 20
    aggregate: str = "mean"
    seed: int = 0
    focal: FocalPosterior | Literal["estimate"] | None = None
    refine: bool = False
    masks: Masks | None = None
    calibrator: Calibrator | None = None
    calibrator_name: str = ""
    camera_motion: str | Path | None = None
    smooth: float | None = None
    height: float | None = None
    ground: bool = False
    feet: bool = False
    notes: tuple[str, ...] = ()
    threads: int | None = None

    def __post_init__(self) -> None:
        sampling.check_aggregation(self.aggregate)
        masking.choose_aggregate(self.aggregate, masks=self.masks is not None, refine=self.refine)
        if self.refine and self.calibrator is not None:
            raise OptionError(
                "Calibrators are fitted to hypotheses that were not refined; give refine or a "
                "calibrator, not both."
            )
        if self.camera_motion is not None and self.ground:
            raise OptionError("A camera motion brings its own world; leave out ground.")

    def estimate(
        self,
        keypoints: Keypoints2D,
        *,
        person: str = "",
        source: str = "",
        callback: Callback | None = None,
    ) -> Result:
        """Estimate one person; see :func:`estimate`."""
        people = self.estimate_people({person: keypoints}, source=source, callback=callback)
        return people[person]

    def estimate_people(
        self,
        people: Mapping[str, Keypoints2D],
        *,
        only: Collection[str] | None = None,
        source: str = "",
        callback: Callback | None = None,
    ) -> dict[str, Result]:
        """Estimate the people of one scene; see :func:`estimate_people`."""
        if getattr(self.sampler, "views", ()):
            _check_alone(people, source)
        names = [name for name in people if only is None or name in only]
        if not names:
            return {}
        with threads_of(self.threads, work=self._n_poses(people.values())):
            sized = {
                name: masking.sized_by(keypoints, self.masks) for name, keypoints in people.items()
            }
            people = sampling.share_camera(sized)
            focal = self._focal_of(list(people.values()))
            results = {
                name: self._finish(
                    self._draw(people[name], focal, callback, alone=len(people) == 1)
                )
                for name in names
            }
            if self.feet:
                results = {name: add_feet(result, people[name]) for name, result in results.items()}
        return {n: replace(result, person=n, source=source) for n, result in results.items()}

    def estimate_file(
        self,
        path: str | Path,
        *,
        person: str | None = None,
        callback: Callback | None = None,
        **reading: Any,
    ) -> dict[str, Result]:
        """Estimate the people of a file; see :func:`estimate_file`."""
        people = read_people(path, person, **reading)
        return self.estimate_people(people, source=source_name(path), callback=callback)

    def _n_poses(self, people: Collection[Keypoints2D]) -> int:
        """How many poses are drawn, counted anew for every step."""
        frames = sum(keypoints.n_frames for keypoints in people)
        return frames * self.n_hypotheses * int(getattr(self.sampler, "n_steps", 1))

    def _focal_of(self, people: Sequence[Keypoints2D]) -> FocalPosterior | None:
        if self.focal == "estimate":
            return sampling.estimate_focal(people, self.sampler, seed=self.seed)
        assert not isinstance(self.focal, str)
        return self.focal

    def _draw(
        self,
        keypoints: Keypoints2D,
        focal: FocalPosterior | None,
        callback: Callback | None,
        *,
        alone: bool,
    ) -> Result:
        """Hypotheses and their aggregate, with the record of how they were made."""
        prepared = sampling.prepare(keypoints, skeleton_read_by(self.sampler))
        said: list[str] = []  # notes of the method about its run

        def listen(state: Any) -> None:
            said.extend([state.note] if hasattr(state, "note") else [])
            if callback is not None:
                callback(state)

        if focal is not None:
            prepared = _with_focal(prepared, focal)
        hypotheses = self._sample(prepared, focal, listen)
        assumed = getattr(self.sampler, "assumptions", lambda _: ())(prepared)
        seen, unseen = self._see(prepared, alone=alone)
        how = "mean" if unseen and self.aggregate == masking.WEIGHTS else self.aggregate
        name, origin = sampling.describe_aggregation(how)
        hidden = unseen_words(keypoints, body_joints(keypoints.skeleton))
        pose, masks, weighed = masking.combine(hypotheses, seen, how)
        return Result(
            hypotheses=hypotheses,
            pose=pose,
            keypoints=seen,
            seed=self.seed,
            sampler=describe_sampler(self.sampler),
            weights=weights_label(self.sampler, self.weights),
            aggregate=name,
            version=__version__,
            notes=(*prepared.notes, *assumed, *said, *unseen, *weighed, *origin, *hidden),
            masks=masks,
        )

    def _see(self, keypoints: Keypoints2D, *, alone: bool) -> tuple[Keypoints2D, tuple[str, ...]]:
        """Keypoints with what masks show; a note if they do not show one person of several."""
        try:
            return masking.see(keypoints, self.masks), ()
        except FormatError as error:
            if alone:
                raise
            return keypoints, (f"no masks: {str(error).rstrip('.')}",)

    def _sample(
        self, keypoints: Keypoints2D, focal: FocalPosterior | None, callback: Callback
    ) -> Hypotheses:
        if focal is None:
            return sampling.sample(
                keypoints,
                n_hypotheses=self.n_hypotheses,
                sampler=self.sampler,
                seed=self.seed,
                callback=callback,
            )
        noise = seeded_noise(self.seed)
        n_joints = self.sampler.skeleton.n_joints
        check_room(self.n_hypotheses, keypoints.xy.shape[:-2].numel(), n_joints)
        with torch.no_grad():
            return sample_with_focal(keypoints, focal, self.sampler, self.n_hypotheses, noise)

    def _finish(self, result: Result) -> Result:
        """Refined or recalibrated, then smoothed, scaled and placed."""
        if self.refine:
            result = refine(result, seed=self.seed, aggregate=self.aggregate)
        if self.calibrator is not None:
            name = self.calibrator_name
            result = recalibrate(result, self.calibrator, name=name, aggregate=self.aggregate)
        if self.camera_motion is not None:
            result = _with_motion(result, Path(self.camera_motion))
        result = adjust(
            result,
            height=self.height,
            smooth=self.smooth,
            ground=self.ground,
            aggregate=self.aggregate,
        )
        return replace(result, notes=(*result.notes, *self.notes))


def make_pipeline(
    *,
    sampler: str | Sampler | None = None,
    weights: str | Path | None = None,
    n_hypotheses: int = 20,
    n_steps: int | None = None,
    aggregate: str | None = None,
    seed: int = 0,
    device: str = "cpu",
    focal: FocalPosterior | Literal["estimate"] | None = None,
    refine: bool = False,
    masks: Masks | str | Path | None = None,
    calibrator: Calibrator | str | Path | None = None,
    camera_motion: str | Path | None = None,
    smooth: float | None = None,
    height: float | None = None,
    ground: bool = False,
    feet: bool = False,
    notes: Sequence[str] = (),
    threads: int | None = None,
    **options: Any,
) -> Pipeline:
    """Load networks and calibrator once, for many files.

    Args:
        sampler: A name, see :func:`make_sampler`, or a method you made yourself.
        weights: Bundled weights by name, or a folder of weights; None for the default. With a
            method you made yourself it is only recorded.
        n_hypotheses: How many motions.
        n_steps: Network evaluations per draw; None for what the weights recommend.
        aggregate: How to reduce them to one, see :func:`aggregate`; None for the mean, with masks
            that are not refined into for ``"silhouette"``.
        seed: Same seed, same hypotheses.
        device: Where the network runs.
        focal: A posterior over an unknown focal length, see :func:`estimate_focal`, or
            ``"estimate"`` to infer it from everybody in the scene.
        refine: Move hypotheses until they reproject, see :func:`refine`.
        masks: Of the people, in the same frames: a path, or what :func:`hypopose.io.load_masks`
            gives. They weigh hypotheses, or with ``refine`` move them; results say so.
        calibrator: A calibrator, its file, or ``"bundled"``, see :func:`recalibrate`.
        camera_motion: File with the poses of a moving camera.
        smooth: Standard deviation of joints' acceleration in m/s², see :func:`adjust`.
        height: The subject's stature in meters.
        ground: Estimate gravity and floor from feet: a world with z up.
        feet: Add heels and toes where the detector gave them, see :func:`hypopose.api.add_feet`.
        notes: Added to every result.
        threads: Of the processor; None for one for small inputs, the idle cores for large ones.
        **options: Further fields of the method.

    Returns:
        A pipeline with the methods ``estimate``, ``estimate_people`` and ``estimate_file``.

    Raises:
        OptionError: If an option is unknown or out of range, or two contradict each other.

    Example:
        >>> import hypopose
        >>> keypoints, _ = hypopose.datasets.example_pair()
        >>> pipeline = make_pipeline(sampler="boneflips", n_hypotheses=3)
        >>> len(pipeline.estimate(keypoints).hypotheses)
        3
    """
    by_name = sampler is None or isinstance(sampler, str)
    made = resolve_sampler(sampler, weights if by_name else None, n_steps, device, options)
    name, mover = "", None
    if isinstance(calibrator, Calibrator):
        name, mover = type(calibrator).__name__, calibrator
    elif calibrator is not None:
        name, mover = read_calibrator(calibrator, weights, _name_or_none(sampler))
    return Pipeline(
        sampler=made,
        weights=weights,
        n_hypotheses=n_hypotheses,
        aggregate=masking.choose_aggregate(aggregate, masks=masks is not None, refine=refine),
        seed=seed,
        focal=focal,
        refine=refine,
        masks=masking.open_masks(masks),
        calibrator=mover,
        calibrator_name=name,
        camera_motion=camera_motion,
        smooth=smooth,
        height=height,
        ground=ground,
        feet=feet,
        notes=tuple(notes),
        threads=threads,
    )


def read_people(
    path: str | Path, person: str | None = None, **reading: Any
) -> dict[str, Keypoints2D]:
    """Everybody in a file, or one person, by identity."""
    if person is None:
        return load_people(path, **reading)
    return {person: load(path, person=person, **reading)}


def source_name(path: str | Path) -> str:
    """How a result names its input: without folders, bytes that are not UTF-8 escaped."""
    return os.fsencode(Path(path).name).decode("utf-8", "backslashreplace")


def _check_alone(people: Collection[str], source: str) -> None:
    """Further cameras saw one person."""
    if len(people) > 1:
        raise OptionError(
            f"{source or 'The scene'} shows {len(people)} people: {', '.join(people)}. Name "
            "the person whom the other cameras saw: person=."
        )


def _name_or_none(sampler: str | Sampler | None) -> str | None:
    return sampler if isinstance(sampler, str) else None


def _with_focal(keypoints: Keypoints2D, focal: FocalPosterior) -> Keypoints2D:
    """Keypoints whose assumed focal length is the posterior's median, with a note of it."""
    assert keypoints.camera is not None  # prepare checked it
    median = keypoints.camera.focal.new_full((2,), focal.median)
    notes = (n for n in keypoints.notes if not n.startswith("camera assumed"))
    return replace(
        keypoints,
        camera=replace(keypoints.camera, focal=median, assumed=True),
        notes=(*notes, focal.describe()),
    )


def _with_motion(result: Result, path: Path) -> Result:
    """The result with a moving camera."""
    keypoints = result.keypoints
    if keypoints.camera is None:
        return result
    moving = load_camera_motion(path, keypoints.camera, keypoints.n_frames)
    notes = (*result.notes, f"camera motion from {path.name}")
    return replace(result, keypoints=replace(keypoints, camera=moving), notes=notes)
