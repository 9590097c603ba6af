"""Detectors of 2D keypoints behind one protocol, and the choice of one."""

from hypopose.video.detectors.base import Detector, Seen
from hypopose.video.detectors.choice import DETECTORS, choose_detector

__all__ = ["DETECTORS", "Detector", "Seen", "choose_detector"]
