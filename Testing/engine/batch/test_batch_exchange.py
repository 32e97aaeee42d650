"""A study handed to an application and back: what arrives is what was given."""

from __future__ import annotations

import numpy as np
import pytest

from SegAnyPETLib.batch.exchange import ExchangedLesion, read_image, read_lesions, write_image, write_lesions
from SegAnyPETLib.data.segment import LYMPH_NODE, Segment
from SegAnyPETLib.errors import InputError
from SegAnyPETLib.geometry import Grid
from SegAnyPETLib.suv import SUVVolume

SHAPE = (5, 7, 9)
MATRIX = np.array([[1.9, 0.3, -0.2, -40.0], [-0.3, 2.1, 0.1, 12.0], [0.2, -0.1, 3.3, 801.5], [0, 0, 0, 1]])


@pytest.fixture
def an_image():
    # An orthogonal turn about no axis of the patient, with unequal voxels.
    turn, _ = np.linalg.qr(MATRIX[:3, :3])
    matrix = np.eye(4)
    matrix[:3, :3] = turn @ np.diag([2.0, 2.5, 3.3])
    matrix[:3, 3] = MATRIX[:3, 3]
    values = np.random.default_rng(3).normal(2, 1, SHAPE).astype(np.float32)
    return SUVVolume(values, Grid.from_ijk_to_lps(matrix, shape_kji=SHAPE), "lbm")


def test_voxels_place_and_kind_of_an_image_arrive_bit_for_bit(tmp_path, an_image):
    write_image(tmp_path, an_image)
    found = read_image(tmp_path)
    np.testing.assert_array_equal(found.array, an_image.array)
    np.testing.assert_array_equal(found.grid.ijk_to_lps, an_image.grid.ijk_to_lps)
    assert found.kind == "lbm"


def test_masks_names_and_meanings_of_lesions_arrive_in_their_order(tmp_path):
    first, second = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    first[1:3, 2:6, 3:8] = first[4, 6, 8] = True
    second[0, 0, 0] = True
    given = [
        Segment("Node, left ~ 2 \u00b5", first, (0.25, 0.5, 0.75), LYMPH_NODE, tracking_uid="2.25.7"),
        Segment("Mass", second),
    ]
    write_lesions(tmp_path, map(ExchangedLesion.of, given))
    found = [lesion.segment() for lesion in read_lesions(tmp_path)]
    for one, other in zip(found, given, strict=True):
        np.testing.assert_array_equal(one.mask, other.mask)
        assert (one.label, one.color_rgb, one.terminology) == (other.label, other.color_rgb, other.terminology)
    assert [lesion.tracking_uid for lesion in found] == ["2.25.7", None]


def test_a_study_without_a_lesion_arrives_without_one(tmp_path):
    write_lesions(tmp_path, [])
    assert list(read_lesions(tmp_path)) == []


def test_what_is_not_there_or_damaged_is_an_error_that_says_what_to_do(tmp_path, an_image):
    with pytest.raises(InputError, match="Open the study again"):
        read_image(tmp_path)
    with pytest.raises(InputError, match="Open the study again"):
        list(read_lesions(tmp_path))
    write_image(tmp_path, an_image)
    (tmp_path / "image.json").write_text('{"kind": "lbm"}', encoding="utf-8")
    with pytest.raises(InputError, match="Open the study again"):
        read_image(tmp_path)
