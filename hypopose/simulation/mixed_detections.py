"""Keypoints of training windows: a mixture of exact, clean, noisy, steady and COCO detections.

Keypoints are rays (normalized image plane). Noise is stated in pixels of a person 400 px tall, as
detectors are usually compared. A window belongs to one kind:

| kind | keypoints |
| --- | --- |
| exact | projections of the joints, complete, confidence 1 |
| clean | errors below 0.3 px |
| noisy | errors of a detector of the Human3.6M-17 joints, :data:`.H36M_TRAINING` |
| COCO | a COCO-17 detector's keypoints, :data:`.COCO_TRAINING`, converted as for a user's file |

Most people's keypoints come from COCO-17 detectors. Pelvis, spine, thorax, neck and head are then
not detected but formed from hips, shoulders and face, and err as those do; without one hip there is
no pelvis. So the simulated bodies get a face, the detector's errors are those of COCO's points, and
:func:`hypopose.skeletons.convert` forms the other joints.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.errors import OptionError
from hypopose.simulation.coco_points import draw_coco_points
from hypopose.simulation.detector_noise import COCO_TRAINING, H36M_TRAINING, DetectorNoise, Gaps
from hypopose.simulation.option_checks import check_interval, check_shares
from hypopose.simulation.people import People, draw_points_of_people
from hypopose.simulation.random_draws import Draws
from hypopose.skeletons import COCO17, H36M17, convert
from hypopose.types import Keypoints2D

PERSON_HEIGHT = 1.7
"""Meters; at depth z a person's height is 1.7 / z in the plane of rays."""


@dataclass(frozen=True)
class DetectionOptions:
    """How training windows are seen by detectors.

    Args:
        clean: Share of windows whose keypoints are nearly clean.
        exact: Share of windows, among the clean ones, whose keypoints are the joints' projections.
        noisy_px: Range of the other windows' noise, in pixels of a person 400 px tall.
        ends_alone: Share of swapped sides of which forearms, or lower legs, change places alone.
        as_coco: Share of windows whose joints are formed from a COCO-17 detector's keypoints;
            ``clean`` and ``exact`` are shares of the others, ``noisy_px``, ``ends_alone`` and
            ``steady`` hold for both.
        steady: Share of noisy windows whose errors are constant and slow only, as those of
            filtered detections, without swapped sides.

    Raises:
        OptionError: If a value is out of range.
    """

    clean: float = 0.45
    exact: float = 0.0
    noisy_px: tuple[float, float] = (0.5, 8.0)
    ends_alone: float = 0.0
    as_coco: float = 0.0
    steady: float = 0.0

    def __post_init__(self) -> None:
        check_shares(self, "clean", "exact", "ends_alone", "as_coco", "steady")
        check_interval(self, 0.0, 100.0, "noisy_px")
        if self.exact > self.clean:
            raise OptionError(
                f"exact is a share of all windows among the clean ones, at most {self.clean}, "
                f"got {self.exact}."
            )

    def of(self, noise: DetectorNoise) -> DetectorNoise:
        """A detector with these options' noise level and swaps."""
        sides = replace(noise.sides, ends_alone=self.ends_alone)
        return replace(noise, sigma_px=self.noisy_px, sides=sides)


def detect(
    seen: Float[Tensor, "B F J 3"],
    draws: Draws,
    options: DetectionOptions | None = None,
    *,
    joints: Float[Tensor, "B F J 3"] | None = None,
    gaps: bool = True,
    people: People | None = None,
) -> tuple[Float[Tensor, "B F J 2"], Float[Tensor, "B F J"]]:
    """Keypoints that detectors report of simulated bodies, and their confidences.

    Args:
        seen: Camera-frame positions where a detector places joints, meters.
        draws: Random numbers.
        options: Shares of the kinds of windows.
        joints: The joints themselves, for exact windows and COCO's points; ``seen`` if None, and no
            window is exact.
        gaps: Whether a COCO-17 detector misses keypoints. The other detector always does: callers
            that use none put the joints themselves there.
        people: Whose points a COCO-17 detector sees, one a window; faces by rule if None.

    Returns:
        Rays (NaN where missing) and confidences (0 where missing).
    """
    options = options or DetectionOptions()
    clean = draws.chance(options.clean, len(seen))
    steady = draws.chance(options.steady, len(seen)) if options.steady else None
    noise = options.of(H36M_TRAINING)
    rays, confidence = noise.simulate(
        project_rays(seen), _height(seen), draws, clean=clean, steady=steady
    )
    if joints is not None and options.exact:
        exact = (clean & draws.chance(options.exact / options.clean, len(seen)))[:, None, None]
        rays = torch.where(exact[..., None], project_rays(joints), rays)
        confidence = torch.where(exact, 1.0, confidence)
    if options.as_coco:
        some = draws.chance(options.as_coco, len(seen))
        points = (seen if joints is None else joints)[some]
        rays[some], confidence[some] = detect_as_coco(
            points,
            draws,
            options,
            gaps=gaps,
            people=None if people is None else people.pick(some.nonzero()[:, 0]),
        )
    return rays, confidence


def detect_as_coco(
    joints: Float[Tensor, "B F 17 3"],
    draws: Draws,
    options: DetectionOptions | None = None,
    *,
    noise: DetectorNoise | None = None,
    gaps: bool = True,
    people: People | None = None,
) -> tuple[Float[Tensor, "B F 17 2"], Float[Tensor, "B F 17"]]:
    """Rays and confidences of Human3.6M's joints, formed from a COCO-17 detector's.

    Args:
        joints: Camera-frame positions, meters.
        draws: Random numbers.
        options: Noise level, swaps, and the share of steady windows; the other shares do not count.
        noise: The detector; :data:`.COCO_TRAINING` if None.
        gaps: Whether keypoints are missing.
        people: Whose points the detector sees, one a window; faces by rule if None.

    Returns:
        Rays (NaN where they cannot be formed) and confidences (0 there).
    """
    options = options or DetectionOptions()
    points = (
        draw_coco_points(joints, draws)
        if people is None
        else draw_points_of_people(joints, people, draws)
    )
    steady = draws.chance(options.steady, len(joints)) if options.steady else None
    noise = noise or COCO_TRAINING
    noise = options.of(noise if gaps else replace(noise, missing=0.0, gaps=Gaps()))
    noisy, trust = noise.simulate(project_rays(points), _height(joints), draws, steady=steady)
    formed = convert(Keypoints2D(noisy, COCO17, confidence=trust), H36M17)
    assert formed.confidence is not None  # given, so kept
    return formed.xy, formed.confidence


def project_rays(points: Float[Tensor, "B F J 3"]) -> Float[Tensor, "B F J 2"]:
    """Where camera-frame positions meet the plane z = 1; nothing is nearer than 0.2 m."""
    return points[..., :2] / points[..., 2:].clamp(min=0.2)


def _height(points: Float[Tensor, "B F J 3"]) -> Float[Tensor, " B"]:
    """Height of a person at each window's mean depth, in the plane of rays."""
    return PERSON_HEIGHT / points[:, :, 0, 2].mean(1).clamp(min=0.5)
