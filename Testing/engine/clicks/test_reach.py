"""A correcting click reaches as far as the border of the mask it corrects."""

from __future__ import annotations

import numpy as np
import pytest

from SegAnyPETLib.clicks import LARGEST_REACH_MM, reach_of_click

SPACING_KJI_MM = (5.0, 2.0, 3.0)


@pytest.fixture
def a_slab() -> np.ndarray:
    """True for j from 10 on, in an image of unequal sides."""
    mask = np.zeros((12, 40, 20), dtype=bool)
    mask[:, 10:] = True
    return mask


def test_a_missed_place_reaches_to_the_mask(a_slab: np.ndarray) -> None:
    """From j = 4 to the first voxel inside, j = 10, are six steps of 2 mm."""
    assert reach_of_click(a_slab, (6, 4, 9), spacing_kji_mm=SPACING_KJI_MM) == pytest.approx(12.0)


def test_a_spurious_place_reaches_out_of_the_mask(a_slab: np.ndarray) -> None:
    """From j = 13 to the last voxel outside, j = 9, are four steps of 2 mm."""
    assert reach_of_click(a_slab, (0, 13, 19), spacing_kji_mm=SPACING_KJI_MM) == pytest.approx(8.0)


def test_the_nearest_border_counts_in_millimetres_not_in_voxels() -> None:
    """One voxel away along k are 5 mm, two along j are 4 mm."""
    mask = np.zeros((9, 9, 9), dtype=bool)
    mask[5, 4, 4] = mask[4, 6, 4] = True
    assert reach_of_click(mask, (4, 4, 4), spacing_kji_mm=SPACING_KJI_MM) == pytest.approx(4.0)


def test_a_click_far_from_everything_reaches_no_further_than_the_limit(a_slab: np.ndarray) -> None:
    assert reach_of_click(a_slab, (6, 39, 9), spacing_kji_mm=SPACING_KJI_MM) == LARGEST_REACH_MM
    assert reach_of_click(a_slab, (6, 39, 9), spacing_kji_mm=SPACING_KJI_MM, limit_mm=7.0) == 7.0


def test_where_nothing_was_predicted_nothing_is_corrected() -> None:
    assert reach_of_click(np.zeros((4, 5, 6), dtype=bool), (1, 2, 3), spacing_kji_mm=SPACING_KJI_MM) == 0.0
