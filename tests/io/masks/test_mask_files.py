"""Readers of masks: PNG files, COCO's run lengths, npz."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from hypopose.errors import FormatError, OptionError
from hypopose.io import Source, load_masks
from hypopose.io.mask_files import decode_mask, encode_mask

BOX = np.zeros((6, 8), bool)
BOX[1:4, 2:5] = True
OTHER = np.zeros((6, 8), bool)
OTHER[2:6, 6:8] = True


@pytest.fixture
def source(tmp_path: Path) -> Source:
    path = tmp_path / "masks.json"
    path.write_text("[]")
    return Source(path)


def compressed(counts: list[int]) -> str:
    """Written from the format's description, one bit group at a time."""
    text = ""
    for i, count in enumerate(counts):
        rest = count - counts[i - 2] if i > 2 else count
        while True:
            low, rest = rest & 31, rest >> 5
            done = rest == (-1 if low & 16 else 0)
            text += chr(48 + low + (0 if done else 32))
            if done:
                break
    return text


@pytest.mark.parametrize(
    ("text", "counts"), [("3452", [3, 4, 5, 6]), ("395I", [3, 9, 5, 2]), ("T3", [100])]
)
def test_compressed_counts_by_hand(source: Source, text: str, counts: list[int]) -> None:
    assert compressed(counts) == text
    n = sum(counts)
    mask = decode_mask(source, {"size": [n, 1], "counts": text}, "entry 0")
    assert np.flatnonzero(mask).tolist() == [
        i for i in range(n) if np.searchsorted(np.cumsum(counts), i, "right") % 2
    ]


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_law_both_kinds_of_run_lengths_give_the_mask_back(
    tmp_path_factory: pytest.TempPathFactory, h: int, w: int, seed: int, share: float
) -> None:
    path = tmp_path_factory.mktemp("rle") / "a.json"
    path.write_text("[]")
    mask = np.random.default_rng(seed).random((h, w)) < share
    coded = encode_mask(mask)
    assert coded["counts"][0] == 0 or not mask[0, 0]
    packed = {**coded, "counts": compressed(coded["counts"])}
    for value in (coded, packed):
        assert np.array_equal(decode_mask(Source(path), value, "entry 0"), mask)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"size": [2, 2], "counts": [1, 2]}, "counts make 3 pixels"),
        ({"size": [2, 2], "counts": [-1, 5]}, "no list of whole numbers"),
        ({"size": [2, 2], "counts": "x"}, "damaged"),
        ({"size": [2, 2], "counts": "\u20ac"}, "damaged"),
        ({"size": [2, 2], "counts": ""}, "damaged"),
        ({"size": [2, 10**9], "counts": [1]}, "size"),
        ({"size": "big", "counts": [1]}, "size"),
        ([[1.0, 2.0, 3.0]], "annToRLE"),
        (None, "size"),
    ],
)
def test_damaged_run_lengths_are_refused_in_one_line(
    source: Source, value: Any, words: str
) -> None:
    with pytest.raises(FormatError, match=words) as caught:
        decode_mask(source, value, "entry 3")
    assert "entry 3" in str(caught.value)


def write_pngs(folder: Path, frames: dict[int, np.ndarray], mode: str | None = None) -> Path:
    folder.mkdir()
    for number, values in frames.items():
        image = Image.fromarray(values.astype(np.uint8))
        (image if mode is None else image.convert(mode)).save(folder / f"mask_{number:05d}.png")
    return folder


def test_pictures_are_matched_by_number(tmp_path: Path) -> None:
    masks = load_masks(write_pngs(tmp_path / "m", {3: BOX * 255, 12: OTHER * 1}))
    assert (masks.numbers, masks.size, masks.start) == ((3, 12), (8, 6), 3)
    assert "mask 3 is taken for the first frame" in masks.notes[0]
    assert np.array_equal(masks.read(3).people[0], BOX)
    assert np.array_equal(masks.read(12).people[0], OTHER)
    assert load_masks(tmp_path / "m", mask_start=1).start == 1


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA"])
def test_pictures_of_every_mode(tmp_path: Path, mode: str) -> None:
    masks = load_masks(write_pngs(tmp_path / "m", {0: BOX * 255}, mode))
    assert np.array_equal(masks.read(0).people[0], BOX)


def test_pictures_cut_out_by_their_opacity(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    opacity = np.uint8(255 * BOX)[..., None]
    for name, color in (("black", np.zeros((6, 8, 3))), ("photo", rng.integers(0, 255, (6, 8, 3)))):
        folder = tmp_path / name
        folder.mkdir()
        picture = np.concatenate([color.astype(np.uint8), opacity], -1)
        Image.fromarray(picture).save(folder / "mask_0.png")
        assert np.array_equal(load_masks(folder).read(0).people[0], BOX)


def test_a_palette_may_begin_with_white(tmp_path: Path) -> None:
    picture = Image.fromarray(np.uint8(~BOX), "P")
    picture.putpalette([255, 255, 255, 0, 0, 0])
    picture.save(tmp_path / "mask_0.png")
    assert np.array_equal(load_masks(tmp_path).read(0).people[0], BOX)
    labels = load_masks(tmp_path, mask_values="people").read(0)
    assert np.array_equal(labels.people[0], ~BOX)


def test_sixteen_bits_and_far_too_many_pixels(tmp_path: Path) -> None:
    Image.fromarray(np.uint16(65535 * BOX)).save(tmp_path / "mask_0.png")
    assert np.array_equal(load_masks(tmp_path).read(0).people[0], BOX)
    head = (tmp_path / "mask_0.png").read_bytes()
    sides = struct.pack(">II", 16000, 16000)
    claimed = b"IHDR" + sides + head[24:29]
    data = head[:12] + claimed + struct.pack(">I", zlib.crc32(claimed)) + head[33:]
    (tmp_path / "mask_0.png").write_bytes(data)
    with pytest.raises(FormatError, match="too many pixels; write smaller masks"):
        load_masks(tmp_path)


def test_what_numbers_mean_is_said_or_asked(tmp_path: Path) -> None:
    labels = BOX * 1 + OTHER * 2
    labels[0, 0] = 255
    folder = write_pngs(tmp_path / "m", {0: labels})
    with pytest.raises(FormatError, match=r"holds the numbers 0, 1, 2, 255.*mask_values=people"):
        load_masks(folder).read(0)
    people = load_masks(folder, mask_values="people").read(0)
    assert [int(m.sum()) for m in people.people] == [9, 8]
    assert people.unknown is not None
    assert int(people.unknown.sum()) == 1
    parts = load_masks(folder, mask_values="parts").read(0)
    assert parts.labels is not None
    assert np.array_equal(parts.people[0], BOX | OTHER)
    assert int(load_masks(folder, mask_values="person").read(0).people[0].sum()) == 18
    wrong = write_pngs(tmp_path / "w", {0: BOX * 77})
    with pytest.raises(FormatError, match="77 is none of the 20 classes"):
        load_masks(wrong, mask_values="parts").read(0)
    with pytest.raises(OptionError, match="mask_values"):
        load_masks(folder, mask_values="animals")


def test_soft_edges_are_cut_at_half(tmp_path: Path) -> None:
    ramp = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (4, 1))
    folder = write_pngs(tmp_path / "m", {0: ramp})
    assert int(load_masks(folder).read(0).people[0][0].sum()) == 32


def test_bad_folders_are_refused(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(FormatError, match="0 PNG files"):
        load_masks(empty)
    folder = write_pngs(tmp_path / "m", {0: BOX * 255, 1: np.zeros((5, 5))})
    with pytest.raises(FormatError, match="another size"):
        load_masks(folder).read(1)
    (folder / "mask_00002.png").write_bytes(b"no picture")
    with pytest.raises(FormatError, match="is not a PNG"):
        load_masks(folder).read(2)
    cut = (folder / "mask_00000.png").read_bytes()[:-30]
    (folder / "mask_00003.png").write_bytes(cut)
    with pytest.raises(FormatError, match="cannot be read"):
        load_masks(folder).read(3)
    colors = np.zeros((6, 8, 3), np.uint8)
    colors[..., 1] = 9
    Image.fromarray(colors).save(folder / "mask_00004.png")
    with pytest.raises(FormatError, match="colors, not labels"):
        load_masks(folder).read(4)
    with pytest.raises(FormatError, match="no masks in"):
        load_masks(folder / "mask_00000.png")


def test_coco_results(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    entries = [
        {"image_id": 4, "category_id": 1, "segmentation": encode_mask(BOX), "score": 0.9},
        {"image_id": "frame_5.jpg", "category_id": 1, "segmentation": encode_mask(OTHER)},
        {"image_id": 4, "category_id": 62, "segmentation": encode_mask(OTHER)},
    ]
    path.write_text(json.dumps(entries))
    masks = load_masks(path)
    assert (masks.numbers, masks.size) == ((4, 5), (8, 6))
    four = masks.read(4)
    assert np.array_equal(four.people[0], BOX)
    assert np.array_equal(four.unknown, OTHER)  # a chair may hide the person


def test_coco_annotations(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    top = {
        "images": [{"id": 70, "frame_id": 0}, {"id": 71, "frame_id": 1}],
        "annotations": [
            {"image_id": 70, "category_id": 3, "segmentation": encode_mask(BOX)},
            {"image_id": 70, "category_id": 3, "segmentation": encode_mask(OTHER), "iscrowd": 1},
            {"image_id": 71, "category_id": 3, "segmentation": []},
        ],
        "categories": [{"id": 3, "name": "person"}],
    }
    path.write_text(json.dumps(top))
    masks = load_masks(path)
    assert masks.numbers == (0, 1)
    assert np.array_equal(masks.read(0).people[0], BOX)
    assert np.array_equal(masks.read(0).unknown, OTHER)
    assert masks.read(1).people == ()


def test_a_plain_list_of_masks(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps([encode_mask(BOX), None, encode_mask(OTHER)]))
    masks = load_masks(path)
    assert masks.numbers == (0, 1, 2)
    assert masks.read(1).people == ()
    path.write_text(json.dumps([encode_mask(BOX), encode_mask(OTHER[:, :5])]))
    with pytest.raises(FormatError, match="one size"):
        load_masks(path)
    path.write_text("[null]")
    with pytest.raises(FormatError, match="no masks"):
        load_masks(path)
    path.write_text('{"a": 1}')
    with pytest.raises(FormatError, match="expected a list"):
        load_masks(path)


def test_arrays(tmp_path: Path) -> None:
    path = tmp_path / "m.npz"
    np.savez(path, masks=np.stack([BOX, OTHER]), frames=[7, 5], unknown=np.stack([OTHER, BOX]))
    masks = load_masks(path)
    assert (masks.numbers, masks.start) == ((5, 7), 5)
    assert np.array_equal(masks.read(7).people[0], BOX)
    assert np.array_equal(masks.read(7).unknown, OTHER)
    np.savez(path, anything=np.stack([BOX, OTHER])[None])
    assert len(load_masks(path).read(0).people) == 2
    for wrong, words in (
        ({"masks": np.zeros((2, 3))}, "give booleans"),
        ({"masks": np.zeros((1, 3, 3), bool), "frames": [0, 1]}, "1 different whole numbers"),
        ({"masks": np.zeros((1, 3, 3), bool), "unknown": np.zeros((1, 2, 3), bool)}, "unknown"),
        ({"a": BOX, "b": BOX}, "no array 'masks'"),
    ):
        np.savez(path, **wrong)
        with pytest.raises(FormatError, match=words):
            load_masks(path)


def test_masks_are_turned_as_the_picture_is(tmp_path: Path) -> None:
    path = tmp_path / "m.npz"
    np.savez(path, masks=BOX[None])
    once = load_masks(path, rotate=90)
    assert once.size == (6, 8)
    assert np.array_equal(once.read(0).people[0], np.rot90(BOX, -1))
    assert np.array_equal(load_masks(path, rotate=180).read(0).people[0], BOX[::-1, ::-1])
