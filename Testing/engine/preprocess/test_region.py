"""Where a region lies, and in which order its tensor runs."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from SegAnyPETLib.errors import GeometryError, ModelError
from SegAnyPETLib.geometry import Grid
from SegAnyPETLib.preprocess import Region, resample_to_region, tensor_direction

SHAPE = (12, 16, 20)  # unequal sides show exchanged axes
positions = st.tuples(*[st.floats(-400, 400)] * 3)


def a_region(tensor_axes="kji_lps", spacing_mm=2.5, centre=(31.0, -58.0, 410.0), shape=SHAPE):
    return Region(centre, shape, spacing_mm, tensor_axes)


def test_kji_lps_tensor_runs_along_z_y_x_of_lps():
    region = a_region("kji_lps")
    centre = np.array(region.centre_lps_mm)

    step = [region.tensor_to_lps(np.eye(3)[axis]) - region.tensor_to_lps(np.zeros(3)) for axis in range(3)]

    np.testing.assert_allclose(step, [[0, 0, 2.5], [0, 2.5, 0], [2.5, 0, 0]], atol=1e-12)
    np.testing.assert_allclose(region.tensor_to_lps([5.5, 7.5, 9.5]), centre, atol=1e-12)


def test_ijk_ras_tensor_runs_along_x_y_z_of_ras():
    region = a_region("ijk_ras")

    step = [region.tensor_to_lps(np.eye(3)[axis]) - region.tensor_to_lps(np.zeros(3)) for axis in range(3)]

    np.testing.assert_allclose(step, [[-2.5, 0, 0], [0, -2.5, 0], [0, 0, 2.5]], atol=1e-12)


def test_ijk_ras_tensor_equals_nibabels_canonical_array():
    """Nibabel's closest canonical (RAS+) array of an image is what the reference hands to its network."""
    grid = Grid((20, 16, 12), (2.5, 2.5, 2.5), (3.0, -58.0, 410.0))
    array = np.random.default_rng(3).random(grid.shape_kji, dtype=np.float32)
    ras_affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ grid.ijk_to_lps
    canonical = nibabel.as_closest_canonical(nibabel.Nifti1Image(array.transpose(2, 1, 0), ras_affine))
    middle = tuple(grid.kji_to_lps((np.array(grid.shape_kji) - 1) / 2))
    region = Region(middle, (12, 16, 20), 2.5, "ijk_ras")

    tensor = resample_to_region(array, grid, region)

    np.testing.assert_allclose(tensor, np.asarray(canonical.dataobj), atol=1e-6)


def test_kji_lps_tensor_equals_the_array_of_an_aligned_image():
    grid = Grid((12, 16, 20), (2.5, 2.5, 2.5), (3.0, -58.0, 410.0))
    array = np.random.default_rng(4).random(grid.shape_kji, dtype=np.float32)
    middle = tuple(grid.kji_to_lps((np.array(grid.shape_kji) - 1) / 2))

    tensor = resample_to_region(array, grid, Region(middle, SHAPE, 2.5, "kji_lps"))

    np.testing.assert_allclose(tensor, array, atol=1e-6)


@pytest.mark.parametrize("tensor_axes", ["kji_lps", "ijk_ras"])
@given(point=positions)
def test_world_to_tensor_and_back_is_exact(tensor_axes, point):
    region = a_region(tensor_axes)

    there_and_back = region.tensor_to_lps(region.lps_to_tensor(point))

    np.testing.assert_allclose(there_and_back, point, atol=1e-9)


@pytest.mark.parametrize("tensor_axes", ["kji_lps", "ijk_ras"])
def test_a_click_has_the_voxel_index_computed_by_hand(tensor_axes):
    region = a_region(tensor_axes)  # its low corner's voxel centre is 2.5 * (n - 1) / 2 from the centre
    click = np.array([31.0 + 5.0, -58.0 - 7.5, 410.0 + 1.25])
    by_hand = {
        "kji_lps": (5.5 + 0.5, 7.5 - 3.0, 9.5 + 2.0),
        "ijk_ras": (5.5 - 2.0, 7.5 + 3.0, 9.5 + 0.5),
    }[tensor_axes]

    np.testing.assert_allclose(region.lps_to_tensor(click), by_hand, atol=1e-12)


@given(point=positions)
def test_a_region_around_a_point_holds_it_near_its_centre(point):
    region = Region.around(point, shape=SHAPE, spacing_mm=2.5, tensor_axes="kji_lps")

    assert np.abs(np.subtract(region.centre_lps_mm, point)).max() <= 5.0 + 1e-3  # half of four voxels


def test_nearby_points_share_one_region():
    regions = {
        Region.around((100.0 + d, -45.0 - d, 4.0 + d), shape=SHAPE, spacing_mm=4.0, tensor_axes="kji_lps")
        for d in (-2.0, -0.7, 0.0, 0.3)
    }

    assert len(regions) == 1


@pytest.mark.parametrize("tensor_axes", ["kji_lps", "ijk_ras"])
def test_shifting_there_and_back_gives_the_same_region(tensor_axes):
    region = Region.around((17.3, -211.9, 88.8), shape=SHAPE, spacing_mm=1.7, tensor_axes=tensor_axes)

    for axis in range(3):
        assert region.shifted(axis, 1).shifted(axis, -1) == region
        moved = np.subtract(region.shifted(axis, 1).centre_lps_mm, region.centre_lps_mm)
        along = region.tensor_to_lps(np.eye(3)[axis]) - region.tensor_to_lps(np.zeros(3))
        np.testing.assert_allclose(moved, along * (SHAPE[axis] // 2), atol=2e-3)


@pytest.mark.parametrize("tensor_axes", ["kji_lps", "ijk_ras"])
def test_a_coarser_grid_fills_the_same_region(tensor_axes):
    region = a_region(tensor_axes)
    coarse = region.grid_of((3, 4, 5))

    faces = [region.grid.kji_to_lps(corner) for corner in ((-0.5, -0.5, -0.5), (11.5, 15.5, 19.5))]
    coarse_faces = [coarse.kji_to_lps(corner) for corner in ((-0.5, -0.5, -0.5), (2.5, 3.5, 4.5))]

    np.testing.assert_allclose(coarse_faces, faces, atol=1e-9)
    assert coarse.spacing_ijk_mm == pytest.approx((10.0, 10.0, 10.0))


def test_depth_share_is_half_in_the_centre_zero_on_a_face_and_negative_outside():
    region = a_region()

    assert region.depth_share(region.centre_lps_mm) == pytest.approx(0.5)
    assert region.depth_share((31.0 - 25.0, -58.0, 410.0)) == pytest.approx(0.0)  # W: 20 voxels of 2.5 mm
    assert region.depth_share((31.0 - 30.0, -58.0, 410.0)) == pytest.approx(-0.1)


def test_a_region_without_finite_centre_is_refused():
    with pytest.raises(GeometryError, match="finite centre"):
        a_region(centre=(0.0, np.nan, 0.0))


def test_an_unknown_tensor_order_is_refused():
    with pytest.raises(ModelError, match="kji_lps"):
        tensor_direction("ras_zyx")
