"""Masks of people from any segmenter: PNG files, COCO's run lengths, npz."""

from hypopose.io.mask_files.mask_loading import load_masks
from hypopose.io.mask_files.mask_windows import silhouettes_of, with_silhouettes
from hypopose.io.mask_files.masks import FrameMasks, Masks
from hypopose.io.mask_files.run_lengths import decode_mask, encode_mask

__all__ = [
    "FrameMasks",
    "Masks",
    "decode_mask",
    "encode_mask",
    "load_masks",
    "silhouettes_of",
    "with_silhouettes",
]
