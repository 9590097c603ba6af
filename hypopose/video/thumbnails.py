"""Small pictures of a video for a page: one for each of some frames of a result."""

from __future__ import annotations

import base64
import io
from pathlib import Path

from hypopose.errors import OptionError
from hypopose.io.results import Result
from hypopose.video.decode import Clip, open_footage

MAX_SIDE = 480
QUALITY = 70


def thumbnails(footage: Path, result: Result, at_most: int = 150) -> dict[int, str]:
    """What the camera saw in frames of a result.

    Args:
        footage: What the keypoints were found in.
        result: One person's result; it states where in the footage it begins.
        at_most: Number of pictures, evenly spaced; one takes about 15 kB.

    Returns:
        Frame -> JPEG as a ``data:`` address.

    Raises:
        OptionError: If the footage shows pictures of another size.
        FormatError: If it cannot be read.
    """
    from PIL import Image

    read_from = result.made_with.get("footage") or {}
    start, keypoints = float(read_from.get("start", 0.0)), result.keypoints
    reader = open_footage(footage, Clip(start=start, max_side=MAX_SIDE))
    try:
        if keypoints.image_size not in (None, reader.footage.size):
            raise OptionError(
                f"{footage} shows {reader.footage.size} pixels, the keypoints were found in "
                f"{keypoints.image_size}; give the video they were detected in."
            )
        step, found = max(1, -(-keypoints.n_frames // at_most)), {}
        for frame in reader.frames():
            f = round((frame.seconds - start) * (keypoints.fps or 1.0))
            if f >= keypoints.n_frames:
                break
            if f % step == 0 and f not in found:
                buffer = io.BytesIO()
                Image.fromarray(frame.rgb).save(buffer, "JPEG", quality=QUALITY)
                packed = base64.b64encode(buffer.getvalue()).decode("ascii")
                found[f] = f"data:image/jpeg;base64,{packed}"
        return found
    finally:
        reader.close()
