"""Detectors of 2D keypoints behind one protocol, and the choice of one."""

from hypopose.video.detectors.choice import DETECTORS, choose_detector
from hypopose.video.detectors.protocol import Detector, Seen

__all__ = ["DETECTORS", "Detector", "Seen", "choose_detector"]
