"""The click protocol, against hand-made masks and a brute-force search over all pairs of voxels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from SegAnyPETLib.clicks import deepest_voxel, next_click
from SegAnyPETLib.errors import GeometryError, PromptError

SPACING_KJI_MM = (3.27, 5.47, 4.1)


def brute_force_deepest(mask, spacing):
    """Distance of every voxel inside to every voxel outside, one layer around the image included."""
    padded = np.pad(mask, 1)
    inside = np.argwhere(padded) * spacing
    outside = np.argwhere(~padded) * spacing
    depth = np.sqrt(((inside[:, None] - outside[None]) ** 2).sum(-1)).min(1)
    winner = np.flatnonzero(depth > depth.max() - 1e-9)[0]
    return tuple(int(v) for v in np.argwhere(padded)[winner] - 1)


def ball(shape, centre, radius_mm, spacing=SPACING_KJI_MM):
    offsets = (np.indices(shape) - np.reshape(centre, (3, 1, 1, 1))) * np.reshape(spacing, (3, 1, 1, 1))
    return (offsets**2).sum(0) <= radius_mm**2


def test_deepest_voxel_of_a_ball_is_its_centre():
    mask = ball((21, 17, 19), (9, 8, 11), 20.0)
    assert deepest_voxel(mask, spacing_kji_mm=SPACING_KJI_MM) == (9, 8, 11)


def test_distance_is_in_mm_not_in_voxels():
    mask = np.zeros((5, 30, 30), dtype=bool)
    mask[1:4, 2:28, 2:7] = True  # 3 x 26 x 5 voxels
    mask[0:5, 20:25, 15:22] = True  # 5 x 5 x 7 voxels
    thick_slices = deepest_voxel(mask, spacing_kji_mm=(20.0, 1.0, 1.0))
    thin_slices = deepest_voxel(mask, spacing_kji_mm=(1.0, 1.0, 20.0))
    assert thick_slices == (0, 22, 17)  # 3 mm to the j border, the slices being 20 mm thick
    assert thin_slices == (2, 22, 15)  # 3 mm to the j and k borders, 20 mm to the i border


def test_image_border_counts_as_border():
    mask = np.zeros((9, 9, 9), dtype=bool)
    mask[0:5, :, :] = True  # fills the lower part of the image up to every border
    assert deepest_voxel(mask, spacing_kji_mm=(1.0, 1.0, 1.0))[0] == 2


def test_equally_deep_voxels_give_the_smallest_index():
    mask = np.zeros((3, 3, 8), dtype=bool)
    mask[1, 1, 1:7] = True
    assert deepest_voxel(mask, spacing_kji_mm=SPACING_KJI_MM) == (1, 1, 1)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10**6),
    shape=st.tuples(st.integers(1, 7), st.integers(1, 8), st.integers(1, 9)),
    density=st.floats(0.3, 0.98),
)
def test_deepest_voxel_equals_a_brute_force_search(seed, shape, density):
    mask = np.random.default_rng(seed).random(shape) < density
    mask.flat[0] = True
    assert deepest_voxel(mask, spacing_kji_mm=SPACING_KJI_MM) == brute_force_deepest(mask, SPACING_KJI_MM)


def test_empty_mask_is_refused():
    with pytest.raises(PromptError, match="empty mask"):
        deepest_voxel(np.zeros((3, 4, 5), dtype=bool), spacing_kji_mm=SPACING_KJI_MM)


def test_an_empty_prediction_is_clicked_in_the_middle_of_the_reference():
    reference = ball((21, 17, 19), (9, 8, 11), 20.0)
    click = next_click(reference, np.zeros_like(reference), spacing_kji_mm=SPACING_KJI_MM)
    assert click == ((9, 8, 11), True)


def test_a_reference_of_two_parts_is_clicked_in_its_larger_part_though_the_smaller_is_deeper():
    reference = np.zeros((9, 40, 40), dtype=bool)
    reference[3:5, 2:38, 2:18] = True  # flat and large
    reference[1:8, 22:29, 30:37] = True  # a cube: deeper
    reference[:, :, 18:30] = False
    first = next_click(reference, np.zeros_like(reference), spacing_kji_mm=(1.0, 1.0, 1.0))
    assert first is not None
    assert first[0][2] < 18
    assert deepest_voxel(reference, spacing_kji_mm=(1.0, 1.0, 1.0)) == (4, 25, 33)


def test_missed_voxels_give_a_positive_click_and_spurious_ones_a_negative_click():
    reference = ball((21, 17, 19), (9, 8, 11), 20.0)
    too_large = reference | ball((21, 17, 19), (16, 4, 4), 9.0)
    assert next_click(reference, too_large, spacing_kji_mm=SPACING_KJI_MM) == ((16, 4, 4), False)
    assert next_click(too_large, reference, spacing_kji_mm=SPACING_KJI_MM) == ((16, 4, 4), True)


def test_diagonal_voxels_are_one_component():
    reference = np.zeros((6, 7, 8), dtype=bool)
    reference[0, 0, 0] = reference[1, 1, 1] = reference[2, 2, 2] = True  # three voxels that meet at corners
    reference[5, 6, 6:8] = True  # two voxels face to face
    click = next_click(reference, np.zeros_like(reference), spacing_kji_mm=SPACING_KJI_MM)
    assert click == ((0, 0, 0), True)


def test_missed_and_spurious_voxels_side_by_side_are_two_components():
    reference = np.zeros((3, 3, 12), dtype=bool)
    prediction = reference.copy()
    reference[1, 1, 1:5] = True  # 4 missed
    prediction[1, 1, 5:10] = True  # 5 spurious, touching
    assert next_click(reference, prediction, spacing_kji_mm=SPACING_KJI_MM) == ((1, 1, 5), False)


@pytest.mark.parametrize("missed_first", [True, False])
def test_components_of_one_size_give_the_one_with_the_smallest_index(missed_first):
    first, second = np.zeros((2, 5, 6, 7), dtype=bool)
    first[1, 2, 3:5] = True
    second[3, 0, 0:2] = True
    reference, prediction = (first, second) if missed_first else (second, first)
    assert next_click(reference, prediction, spacing_kji_mm=SPACING_KJI_MM) == ((1, 2, 3), missed_first)


def test_equal_masks_need_no_click():
    mask = ball((21, 17, 19), (9, 8, 11), 20.0)
    assert next_click(mask, mask.copy(), spacing_kji_mm=SPACING_KJI_MM) is None


def test_masks_of_different_shape_are_refused():
    with pytest.raises(GeometryError, match="one shape"):
        next_click(np.zeros((3, 4, 5), bool), np.zeros((3, 4, 6), bool), spacing_kji_mm=SPACING_KJI_MM)


@pytest.mark.parametrize("spacing", [(1.0, 0.0, 1.0), (1.0, 1.0), (1.0, float("nan"), 1.0)])
def test_bad_spacing_is_refused(spacing):
    with pytest.raises(GeometryError, match="positive spacings"):
        deepest_voxel(np.ones((2, 2, 2), bool), spacing_kji_mm=spacing)
