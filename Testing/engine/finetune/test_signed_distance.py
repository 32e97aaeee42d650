"""Distances of masks are looked for around them only; they are those of the whole array."""

import numpy as np
import pytest
from scipy import ndimage

from SegAnyPETLib.clicks.sampling import sample_first_click
from SegAnyPETLib.finetune.signed_distance import moved_share, signed_distance_mm, within_mm

SPACING = (2.0, 3.1, 4.3)


@pytest.fixture(params=range(6))
def a_mask(request):
    """Pieces of any form, some at the end of the array."""
    rng = np.random.default_rng(request.param)
    field = ndimage.gaussian_filter(rng.standard_normal((22, 17, 29)), 2)
    return field > np.quantile(field, 0.75 + 0.04 * request.param)


def whole_distances(mask):
    inside = ndimage.distance_transform_edt(mask, sampling=SPACING)
    outside = ndimage.distance_transform_edt(~mask, sampling=SPACING)
    return inside, outside


def test_signed_distances_and_moved_borders_are_those_of_the_whole_array(a_mask):
    inside, outside = whole_distances(a_mask)
    wanted = np.where(a_mask, inside - 1.0, 1.0 - outside).astype(np.float32)
    np.testing.assert_array_equal(signed_distance_mm(a_mask, spacing_kji_mm=SPACING), wanted)
    for outward_mm in (-5.0, -0.7, 1.0, 6.5):
        share = np.clip(0.5 + (wanted + outward_mm) / 2.0, 0, 1)
        found = moved_share(a_mask, outward_mm=outward_mm, spacing_kji_mm=SPACING)
        np.testing.assert_allclose(found, share, atol=1e-6)


def test_what_is_near_a_mask_is_found_to_the_last_voxel(a_mask):
    _, outside = whole_distances(a_mask)
    np.testing.assert_array_equal(within_mm(a_mask, reach_mm=7.3, spacing_kji_mm=SPACING), outside <= 7.3)
    assert not within_mm(np.zeros_like(a_mask), reach_mm=7.3, spacing_kji_mm=SPACING).any()


def test_the_first_click_in_the_middle_is_the_deepest_voxel_of_the_whole_array(a_mask):
    depth = ndimage.distance_transform_edt(np.pad(a_mask, 1))[1:-1, 1:-1, 1:-1]
    deepest = np.unravel_index(depth.argmax(), depth.shape)
    clicks = [sample_first_click(np.random.default_rng(n), a_mask, np.ones(a_mask.shape)) for n in range(40)]
    assert clicks.count(tuple(int(n) for n in deepest)) >= 5  # 35 % of the clicks, less those that tremble
