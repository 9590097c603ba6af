"""From footage to keypoints and back: decoding, detectors, overlays, live streams.

Packages of the extra ``hypopose[video]`` are imported when they are used; without them the error
states how to install them.
"""

from hypopose.video.decode import Clip, Footage, Frame, open_footage
from hypopose.video.detectors import DETECTORS, Detector, Seen, choose_detector
from hypopose.video.footage_keypoints import DetectOptions, detect_people
from hypopose.video.stream import CausalStream, frame_of

__all__ = [
    "DETECTORS",
    "CausalStream",
    "Clip",
    "DetectOptions",
    "Detector",
    "Footage",
    "Frame",
    "Seen",
    "choose_detector",
    "detect_people",
    "frame_of",
    "open_footage",
]
