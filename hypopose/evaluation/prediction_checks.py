"""Check the stated unit, axes, sides and frame of predictions against the truth.

Numbers in another unit, axes that point elsewhere, sides that are exchanged and joints in another
order give errors of decimeters that look like those of a bad method. Each is undone on a sample of
frames; if that leaves less than :data:`MUCH_BETTER` of the error, the file is refused and the
message names the option that corrects it. A prediction equal to the truth is refused too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import permutations, product

import torch
from torch import Tensor

from hypopose.errors import SkeletonMismatchError
from hypopose.evaluation.predictions import UNITS, Layout, Predictions
from hypopose.evaluation.protocol_draws import chosen_entries
from hypopose.skeletons import SKELETONS

N_VIEWS = 12
N_FRAMES = 40
MUCH_BETTER = 0.6
"""Share of the error that a suspicion leaves at most."""
TOO_FAR_M = 0.06
"""Errors below this are no reason to suspect anything."""
SAME_M = 1e-5
"""Predictions this close to the truth are a copy of it."""
SAME_SIZE = 1e-3
"""Bodies whose size differs from the truth's by less, in every frame, were scaled by it."""


@dataclass(frozen=True, eq=False)
class Sample:
    """Predictions beside the truth for some frames of one view.

    Args:
        raw: ``(F, J, 3)`` mean hypotheses in meters, axes and sides as in the file.
        truth: ``(F, J, 3)``.
        rotation: World to camera, ``(3, 3)`` or ``(F, 3, 3)``; None if unknown.
    """

    raw: Tensor
    truth: Tensor
    rotation: Tensor | None

    def moved(self, layout: Layout, flip: list[int]) -> Tensor:
        """The predictions as a layout has them, ``(F, J, 3)``."""
        x = (self.raw[:, flip] if layout.swap_sides else self.raw) @ layout.turn.mT
        if layout.frame == "camera" or self.rotation is None:
            return x
        return x @ self.rotation.mT


@dataclass(frozen=True, eq=False)
class Samples:
    """Samples of many views.

    Args:
        views: One each.
        flip: Order of the joints after sides are exchanged.
    """

    views: list[Sample]
    flip: list[int]

    def errors(self, layout: Layout) -> Tensor:
        """Distances of joints, ``(frames, J)`` meters."""
        moved = [(view.moved(layout, self.flip), view.truth) for view in self.views]
        return torch.cat([(x - y).norm(dim=-1) for x, y in moved])

    def error(self, layout: Layout) -> float:
        """Their mean."""
        return float(self.errors(layout).mean())

    @property
    def sizes(self) -> Tensor:
        """Size of every predicted body over the true one's, ``(frames,)``."""
        x = torch.cat([view.raw.norm(dim=-1).mean(-1) for view in self.views])
        y = torch.cat([view.truth.norm(dim=-1).mean(-1) for view in self.views])
        return x / y


def check_predictions(predictions: Predictions) -> dict[str, str]:
    """Refuse predictions whose stated unit, axes or frame are wrong.

    Args:
        predictions: With the layout that the user stated.

    Returns:
        What was measured, in words, for the settings of the evaluation.

    Raises:
        FormatError: With the option that corrects it.
    """
    samples, layout = sample_of(predictions), predictions.layout
    size = samples.sizes
    _check_unit(predictions, float(size.median()))
    errors = samples.errors(layout)
    _check_copy(predictions, errors)
    error = float(errors.mean())
    if error > TOO_FAR_M:
        _check_layout(predictions, samples, error)
        _check_turned(predictions, samples, error)
        _check_constant(predictions, samples, error)
    low, high = size.quantile(0.05), size.quantile(0.95)
    words = f"{size.median():.3f} (90 % of frames {low:.3f} to {high:.3f})"
    if bool(((size - 1).abs() < SAME_SIZE).double().mean() > 0.95):
        words += TAKEN
    return {SIZE: words}


SIZE = "body size over the truth's"
TAKEN = ": equal to the truth's, so the scale was taken from it"


def scale_was_taken(facts: dict[str, str]) -> bool:
    """Whether the measured facts say that bodies were scaled by the truth."""
    return facts.get(SIZE, "").endswith(TAKEN)


def sample_of(predictions: Predictions) -> Samples:
    """Frames spread over views spread over the protocol."""
    data, layout = predictions.data, predictions.layout
    plain = replace(predictions, layout=Layout(unit=layout.unit, skeleton=layout.skeleton))
    found = []
    for entry in chosen_entries(data, N_VIEWS):
        view = data.load(entry)
        answer = plain(entry, view).joints.mean(0)
        counted = torch.from_numpy(entry.counted)
        rows = counted if len(answer) == entry.n_frames else torch.arange(len(counted))
        some = torch.linspace(0, len(counted) - 1, min(N_FRAMES, len(counted))).long()
        y = view.truth.joints[counted[some]][:, list(data.joints)].double()
        rotation = None if view.rotation is None else view.rotation.double()
        if rotation is not None and rotation.dim() == 3:
            rotation = rotation[counted[some]]
        y = y - y[:, data.skeleton.root, None]
        found.append(Sample(answer[rows[some]].double(), y, rotation))
    return Samples(found, list(data.skeleton.flip_order))


def _check_unit(predictions: Predictions, ratio: float) -> None:
    if 0.5 < ratio < 2.0:
        return
    given = predictions.layout.unit
    for unit, factor in UNITS.items():
        if 0.5 < ratio * factor / UNITS[given] < 2.0:
            raise predictions.file.error(
                f"its bodies are {ratio:.3g} times the size of the truth's: {unit}, not {given}",
                f"add --unit {unit}",
            )
    raise predictions.file.error(
        f"its bodies are {ratio:.3g} times the size of the truth's",
        "bring them to meters, or score scale-free numbers with --unchecked",
    )


def _check_copy(predictions: Predictions, errors: Tensor) -> None:
    close = (errors < SAME_M).all(-1)
    if bool(close.any()):
        raise predictions.file.error(
            f"{int(close.sum())} of {len(close)} frames looked at equal the ground truth",
            "give predictions; to score the truth itself add --unchecked",
        )


def _check_layout(predictions: Predictions, samples: Samples, error: float) -> None:
    """Another layout that leaves much less of the error: the best of all is the cure."""
    layout = predictions.layout
    left, better = min(
        [(samples.error(other), other) for other in _other_layouts(layout, samples)]
        + _other_skeletons(predictions),
        key=lambda candidate: candidate[0],
    )
    if left < MUCH_BETTER * error:
        raise predictions.file.error(
            f"its mean error is {1000 * error:.0f} mm, and {1000 * left:.0f} mm with "
            f"{_differing(layout, better)}",
            _cure(layout, better),
        )


def _other_layouts(layout: Layout, samples: Samples) -> Iterator[Layout]:
    """All 48 ways to name and sign the axes, with and without exchanged sides, in both frames."""
    for axes in _all_axes():
        for swap in (False, True):
            yield replace(layout, axes=axes, swap_sides=swap)
    if layout.frame == "camera" and all(view.rotation is not None for view in samples.views):
        yield replace(layout, frame="world")
    yield replace(layout, frame="camera")


def _all_axes() -> Iterator[str]:
    for order in permutations("xyz"):
        for signs in product(("", "-"), repeat=3):
            yield ",".join(sign + name for sign, name in zip(signs, order, strict=True))


def _differing(given: Layout, better: Layout) -> str:
    """What differs between two layouts, in words."""
    words = {"axes": "other axes", "swap_sides": "sides exchanged", "frame": "another frame",
             "skeleton": "joints of another skeleton"}  # fmt: skip
    return " and ".join(
        said for name, said in words.items() if getattr(given, name) != getattr(better, name)
    )


def _cure(given: Layout, better: Layout) -> str:
    """What to change on the command line."""
    words = [
        f"--{name}={getattr(better, name)}"
        for name in ("axes", "frame", "skeleton")
        if getattr(better, name) != getattr(given, name)
    ]
    words += ["--swap-sides"] if better.swap_sides and not given.swap_sides else []
    less = given.swap_sides and not better.swap_sides
    parts = [f"add {' '.join(words)}"] if words else []
    return " and ".join([*parts, *(["leave out --swap-sides"] if less else [])])


def _check_turned(predictions: Predictions, samples: Samples, error: float) -> None:
    """Refuse predictions that one rotation per view would correct: their frame is unknown."""
    layout = predictions.layout
    turned = []
    for view in samples.views:
        x = view.moved(layout, samples.flip)
        turned.append((x @ _best_rotation(x, view.truth).mT - view.truth).norm(dim=-1))
    best = float(torch.cat(turned).mean())
    if best < MUCH_BETTER * error and all(len(view.raw) > 1 for view in samples.views):
        raise predictions.file.error(
            f"its mean error is {1000 * error:.0f} mm, and {1000 * best:.0f} mm after every view "
            "is turned as a whole",
            "give camera-frame coordinates (x right, y down, z forward), or add --unchecked",
        )


def _best_rotation(x: Tensor, y: Tensor) -> Tensor:
    """R with ``R x`` closest to y over all points (Kabsch)."""
    u, _, vh = torch.linalg.svd(y.flatten(0, -2).mT @ x.flatten(0, -2))
    sign = torch.ones(3, dtype=x.dtype)
    sign[-1] = torch.sign(torch.linalg.det(u @ vh))
    return u @ torch.diag(sign) @ vh


def _other_skeletons(predictions: Predictions) -> list[tuple[float, Layout]]:
    """Errors with the joints in the order of another skeleton with as many joints."""
    source, layout = predictions.data.source_skeleton, predictions.layout
    found: list[tuple[float, Layout]] = []
    for name, skeleton in SKELETONS.items():
        if layout.skeleton or skeleton.n_joints != source.n_joints or name == source.name:
            continue
        other = replace(layout, skeleton=name)
        try:
            moved = sample_of(replace(predictions, layout=other))
        except SkeletonMismatchError:  # joints that it cannot form
            continue
        found.append((moved.error(other), other))
    return found


def _check_constant(predictions: Predictions, samples: Samples, error: float) -> None:
    """Worse than always answering with the mean true pose: sequences or frames out of order."""
    truths = torch.cat([view.truth for view in samples.views])
    constant = float((truths - truths.mean(0)).norm(dim=-1).mean())
    if len(truths) > 20 and error > 1.5 * constant:
        raise predictions.file.error(
            f"its mean error is {1000 * error:.0f} mm; one constant pose reaches "
            f"{1000 * constant:.0f} mm",
            "check the order of views and joints, name arrays by view, or add --unchecked",
        )
