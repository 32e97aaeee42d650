"""What goes through the pipes, and that rubbish ends in a clear error."""

from __future__ import annotations

import io
import json
import struct
from dataclasses import asdict

import numpy as np
import pytest
from engine_talk import oblique_image

from SegAnyPETLib import errors
from SegAnyPETLib.errors import MissingTagError, PromptError, SegAnyPETError, SetupError, WorkerError
from SegAnyPETLib.geometry import VoxelBox
from SegAnyPETLib.session import Box, ClickHint, Point, SeedMask
from SegAnyPETLib.session.packed_mask import PackedMask
from SegAnyPETLib.suv import compute_measures
from SegAnyPETLib.worker.frames import LARGEST_HEADER, LARGEST_PAYLOAD, MAGIC, Frame, read_frame, write_frame
from SegAnyPETLib.worker.messages import (
    error_from_fields,
    error_to_fields,
    grid_from_fields,
    grid_to_fields,
    hint_from_fields,
    mask_from_message,
    mask_to_fields,
    measures_from_fields,
    prompts_from_message,
    prompts_to_message,
)


def through_json(fields):
    return json.loads(json.dumps(fields))


def written(*frames):
    stream = io.BytesIO()
    for frame in frames:
        write_frame(stream, frame)
    return stream.getvalue()


def two_balls():
    mask = np.zeros((11, 13, 17), dtype=bool)
    mask[2:5, 3:9, 4:7] = True
    mask[3, 4, 5] = False
    mask[9, 12, 16] = True
    return mask


def test_frames_arrive_in_order_and_the_end_between_two_is_no_error():
    frames = [Frame("predict", {"request": 7, "lesion": "Läsion"}, bytes(range(256))), Frame("bye")]
    stream = io.BytesIO(written(*frames))
    assert [read_frame(stream), read_frame(stream), read_frame(stream)] == [*frames, None]


def test_a_frame_cut_off_anywhere_is_an_error():
    data = written(Frame("predict", {"request": 7}, b"12345"))
    for size in range(1, len(data)):
        with pytest.raises(WorkerError, match=r"Expected \d+ more bytes"):
            read_frame(io.BytesIO(data[:size]))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"Hello, I am a library that prints\n", "Something else writes to the pipe"),
        (struct.pack("<4sIQ", MAGIC, LARGEST_HEADER + 1, 0), "at most"),
        (struct.pack("<4sIQ", MAGIC, 2, LARGEST_PAYLOAD + 1), "at most"),
        (struct.pack("<4sIQ", MAGIC, 2, 0) + b"[]", "JSON object"),
        (struct.pack("<4sIQ", MAGIC, 2, 0) + b"{}", "JSON object"),
        (struct.pack("<4sIQ", MAGIC, 4, 0) + b"null", "JSON object"),
        (struct.pack("<4sIQ", MAGIC, 3, 0) + b"\xff\xfe\xfd", "JSON object"),
        (struct.pack("<4sIQ", MAGIC, 100_000, 0) + b"[" * 100_000, "JSON object"),
    ],
)
def test_rubbish_is_refused_in_words(data, words):
    with pytest.raises(WorkerError, match=words):
        read_frame(io.BytesIO(data))


def test_a_frame_that_nobody_would_read_is_not_written():
    stream = io.BytesIO()
    with pytest.raises(WorkerError, match="at most"):
        write_frame(stream, Frame("predict", {"lesion": "x" * LARGEST_HEADER}))
    assert stream.getvalue() == b""


def test_damaged_frames_are_refused_or_read_but_never_anything_else():
    rng = np.random.default_rng(5)
    whole = written(Frame("predict", {"request": 1, "prompts": [{"is": "point"}]}, bytes(40)))
    for _ in range(3000):
        data = bytearray(whole)
        for place in rng.integers(0, len(data), rng.integers(1, 6)):
            data[place] = rng.integers(0, 256)
        try:
            frame = read_frame(io.BytesIO(bytes(data)))
        except WorkerError:
            continue
        assert isinstance(frame, Frame)


def test_prompts_arrive_exactly():
    other = np.roll(two_balls(), 1, axis=2)
    prompts = (
        Point((0.1, -1 / 3, 1e-17), positive=False),
        SeedMask(two_balls()),
        Box((1.0, 2.0, 3.0), (-4.5, 6.0, 3.1)),
        SeedMask(other),
        Point((1e300, 5.0, -0.0)),
    )
    fields, payload = prompts_to_message(prompts)
    received = prompts_from_message(through_json(fields), payload)
    assert received == prompts
    np.testing.assert_array_equal(received[1].mask, two_balls())


@pytest.mark.parametrize("mask", [two_balls(), np.zeros((2, 3, 4), dtype=bool)])
def test_masks_arrive_exactly(mask):
    packed = PackedMask.of(mask)
    np.testing.assert_array_equal(mask_from_message(through_json(mask_to_fields(packed)), packed.bits).to_array(), mask)


@pytest.mark.parametrize(
    "damage",
    [
        {"shape_kji": [4, 4, 4]},
        {"box": [[0, 0, 0], [8, 10, 14]]},
        {"box": [[-2, 3, 4], [6, 13, 17]]},
        {"box": [[0, 0, 0], [8, 10]]},
        {"box": None},
        {"shape_kji": ["a", "b", "c"]},
        {"shape_kji": [float("nan"), 1, 1]},
        {"shape_kji": [10**400, 1, 1]},
    ],
)
def test_masks_that_contradict_themselves_are_refused(damage):
    packed = PackedMask.of(two_balls())
    with pytest.raises(WorkerError, match="Expected"):
        mask_from_message({**mask_to_fields(packed), **damage}, packed.bits)


@pytest.mark.parametrize(
    "fields",
    [None, 5, ["point"], [{"is": "point"}], [{"is": "point", "lps_mm": [1, 2], "positive": True}], [{"is": "seed"}]],
)
def test_prompts_that_are_none_are_refused(fields):
    with pytest.raises(WorkerError, match="Expected prompts"):
        prompts_from_message(fields, b"")


def test_grid_measures_and_hint_arrive_exactly():
    image = oblique_image()
    mask = np.zeros(image.grid.shape_kji, dtype=bool)
    mask[3:9, 4:9, 7:11] = True
    measures = compute_measures(image, mask)
    hint = ClickHint((1.0, 2.0, 3.0), True, 0.1, 2.5)
    assert grid_from_fields(through_json(grid_to_fields(image.grid))) == image.grid
    assert measures_from_fields(through_json(asdict(measures))) == measures
    assert hint_from_fields(through_json(asdict(hint))) == hint
    assert measures_from_fields(None) is hint_from_fields(None) is None
    for wrong in ({}, {"lps_mm": 3}, 7):
        with pytest.raises(WorkerError):
            hint_from_fields(wrong)
        with pytest.raises(WorkerError):
            measures_from_fields({**wrong, "unknown": 1} if isinstance(wrong, dict) else wrong)
    with pytest.raises(WorkerError, match="Expected a grid"):
        grid_from_fields({**grid_to_fields(image.grid), "spacing_ijk_mm": [0, 1, 1]})


@pytest.mark.parametrize(
    "error",
    [
        PromptError("The point lies outside."),
        SetupError("Install it.", restart_required=True),
        MissingTagError("PatientWeight", "(0010,1030)", needed_for="SUV", advice="State it."),
    ],
)
def test_errors_arrive_as_what_they_are(error):
    received = error_from_fields(through_json(error_to_fields(error)))
    assert type(received) is type(error)
    assert str(received) == str(error)
    assert vars(received) == vars(error)


@pytest.mark.parametrize("name", ["SystemExit", "annotations", "__builtins__", "SegAnyPETWarning", "Unheard"])
def test_only_errors_of_ours_are_made_by_name(name):
    assert type(error_from_fields({"class": name, "message": "Words.", "facts": {}})) is WorkerError


def test_every_error_of_ours_can_be_sent():
    kinds = [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, SegAnyPETError)]
    for kind in kinds:
        received = error_from_fields({"class": kind.__name__, "message": "Words.", "facts": {}})
        assert type(received) is kind
        assert str(received) == "Words."


def test_the_box_of_an_empty_mask_needs_no_bits():
    assert PackedMask.empty((3, 4, 5)).box == VoxelBox((0, 0, 0), (0, 0, 0))
    with pytest.raises(WorkerError):
        mask_from_message(mask_to_fields(PackedMask.empty((3, 4, 5))), b"\x01")
