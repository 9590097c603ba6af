"""From footage to keypoints and back: decoding, detectors, overlays, live streams.

What needs the extra ``hypopose[video]`` is imported when it is used; without it the error says how
to install it.
"""

from hypopose.video.decode import Clip, Footage, Frame, open_footage
from hypopose.video.detect import DetectOptions, detect_people
from hypopose.video.detectors import DETECTORS, Detector, Seen, choose_detector
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
