"""Estimate a person, the people of a scene, or those of a file in one call.

Each makes a :class:`hypopose.api.Pipeline` and uses it once; for many files make one yourself.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from hypopose.api.pipeline import make_pipeline
from hypopose.io.results import Result
from hypopose.types import Keypoints2D

Callback = Callable[[Any], None]


def estimate(
    keypoints: Keypoints2D,
    *,
    person: str = "",
    source: str = "",
    callback: Callback | None = None,
    **options: Any,
) -> Result:
    """Sample and aggregate one person, and keep the record that a result file stores.

    Args:
        keypoints: One person, no batch axes.
        person: The person's label, for the record.
        source: The file, for the record.
        callback: Called after every step, see :func:`sample`; not with ``focal``.
        **options: Of :func:`make_pipeline`: ``sampler``, ``weights``, ``n_hypotheses``,
            ``aggregate``, ``seed``, ``calibrator``, ``refine``, ``height`` and others; further
            fields of the method.

    Returns:
        Hypotheses, the aggregate, the prepared keypoints with their camera, and how they came
        about; write it with :func:`save_result`.

    Raises:
        OptionError: If an option is unknown or out of range, or two contradict each other.
        SkeletonMismatchError: If the keypoints' skeleton has no conversion.

    Example:
        >>> import hypopose
        >>> keypoints, _ = hypopose.datasets.example_pair()
        >>> result = hypopose.estimate(keypoints, sampler="boneflips", n_hypotheses=3)
        >>> result.aggregate, result.seed
        ('mean', 0)
    """
    pipeline = make_pipeline(**options)
    return pipeline.estimate(keypoints, person=person, source=source, callback=callback)


def estimate_people(
    people: Mapping[str, Keypoints2D],
    *,
    only: Collection[str] | None = None,
    source: str = "",
    callback: Callback | None = None,
    **options: Any,
) -> dict[str, Result]:
    """Estimate people seen by one camera; if it is unknown, all share one estimate of it.

    Args:
        people: As :func:`load_people` returns them.
        only: Sample these; the others only help to find the camera. None for everybody.
        source: The file, for the record.
        callback: Called after every step, see :func:`sample`.
        **options: As for :func:`estimate`.

    Returns:
        A result by identity, in the order of ``people``.

    Raises:
        OptionError: As for :func:`estimate`, or if further cameras saw one person of several.

    Example:
        >>> import hypopose
        >>> keypoints, _ = hypopose.datasets.example_pair()
        >>> results = estimate_people({"0": keypoints}, sampler="boneflips", n_hypotheses=3)
        >>> results["0"].person
        '0'
    """
    pipeline = make_pipeline(**options)
    return pipeline.estimate_people(people, only=only, source=source, callback=callback)


def estimate_file(
    path: str | Path,
    *,
    person: str | None = None,
    reading: Mapping[str, Any] | None = None,
    callback: Callback | None = None,
    **options: Any,
) -> dict[str, Result]:
    """Estimate the people of a keypoint file, as ``hypopose sample`` does.

    Args:
        path: A keypoint file, or a folder of one file per frame.
        person: Only this person, by identity; None for everybody.
        reading: Options of :func:`load_people`, for example ``{"image_size": (1920, 1080)}``.
        callback: Called after every step, see :func:`sample`.
        **options: As for :func:`estimate`.

    Returns:
        A result by identity; write each with :func:`save_result`.

    Raises:
        FormatError: If the file is not what its format says.
        OptionError: As for :func:`estimate`.

    Example:
        >>> import tempfile, hypopose
        >>> keypoints, _ = hypopose.datasets.example_pair()
        >>> path = Path(tempfile.mkdtemp()) / "walk.npz"
        >>> hypopose.io.save_keypoints(path, keypoints)
        >>> results = hypopose.estimate_file(path, sampler="boneflips", n_hypotheses=3)
        >>> [len(result.hypotheses) for result in results.values()]
        [3]
    """
    pipeline = make_pipeline(**options)
    return pipeline.estimate_file(path, person=person, callback=callback, **(reading or {}))
