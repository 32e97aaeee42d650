"""Grids agree with ITK, which has its own idea of where voxels lie."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813  its customary name
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from SegAnyPETLib.errors import GeometryError
from SegAnyPETLib.geometry import Grid, VoxelBox

positive = st.floats(0.5, 8.0)
anywhere = st.floats(-900, 900)
angles = st.floats(-180, 180)


def direction_of(rotation: Rotation, *, flipped: bool = False) -> tuple[tuple[float, float, float], ...]:
    matrix = rotation.as_matrix()
    if flipped:
        matrix[:, 2] *= -1
    return tuple(tuple(row) for row in matrix)  # type: ignore[misc]


@pytest.fixture
def grid() -> Grid:
    """Oblique, anisotropic, off-centre, unequal sides."""
    turn = Rotation.from_euler("zyx", [20, -35, 50], degrees=True)
    return Grid((7, 11, 5), (2.0, 3.5, 4.25), (-130.5, 44.0, 712.0), direction_of(turn))


@given(
    st.tuples(positive, positive, positive),
    st.tuples(anywhere, anywhere, anywhere),
    st.tuples(angles, angles, angles),
    st.booleans(),
    st.tuples(st.floats(-5, 20), st.floats(-5, 20), st.floats(-5, 20)),
)
def test_points_lie_where_itk_puts_them(
    spacing: tuple[float, float, float],
    origin: tuple[float, float, float],
    turn: tuple[float, float, float],
    flipped: bool,
    index_ijk: tuple[float, float, float],
) -> None:
    direction = direction_of(Rotation.from_euler("zyx", turn, degrees=True), flipped=flipped)
    grid = Grid((9, 8, 7), spacing, origin, direction)
    image = sitk.Image([7, 8, 9], sitk.sitkUInt8)
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    image.SetDirection(np.ravel(direction))
    expected = image.TransformContinuousIndexToPhysicalPoint(index_ijk)
    np.testing.assert_allclose(grid.kji_to_lps(index_ijk[::-1]), expected, atol=1e-6)
    np.testing.assert_allclose(grid.lps_to_kji(expected), index_ijk[::-1], atol=1e-6)


def test_a_grid_is_rebuilt_from_its_matrix(grid: Grid) -> None:
    assert Grid.from_ijk_to_lps(grid.ijk_to_lps, shape_kji=grid.shape_kji).is_close(grid, tolerance_mm=1e-9)


def test_a_crop_keeps_its_voxels_in_place(grid: Grid) -> None:
    box = VoxelBox((2, 3, 1), (6, 9, 4))
    np.testing.assert_allclose(grid.crop(box).kji_to_lps((1, 2, 0)), grid.kji_to_lps((3, 5, 1)), atol=1e-9)
    assert grid.crop(box).shape_kji == (4, 6, 3)


def test_a_crop_may_reach_beyond_the_image(grid: Grid) -> None:
    box = grid.box.expanded(2)
    np.testing.assert_allclose(grid.crop(box).kji_to_lps((2, 2, 2)), grid.origin_lps_mm, atol=1e-9)


def test_the_voxel_volume_is_the_product_of_the_spacings(grid: Grid) -> None:
    assert grid.voxel_volume_ml == pytest.approx(0.02975)  # 2 x 3.5 x 4.25 mm3 = 29.75 mm3
    assert grid.spacing_kji_mm == (4.25, 3.5, 2.0)


def test_half_a_voxel_around_the_image_belongs_to_it(grid: Grid) -> None:
    assert grid.nearest_voxel_kji(grid.kji_to_lps((-0.49, 10.49, 2.4))) == (0, 10, 2)
    assert grid.nearest_voxel_kji(grid.kji_to_lps((6.49, 4.51, 4.49))) == (6, 5, 4)
    with pytest.raises(GeometryError, match="outside the image"):
        grid.nearest_voxel_kji(grid.kji_to_lps((-0.51, 5, 2)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"spacing_ijk_mm": (2.0, 0.0, 3.0)}, "positive spacing"),
        ({"spacing_ijk_mm": (2.0, float("nan"), 3.0)}, "positive spacing"),
        ({"origin_lps_mm": (0.0, float("inf"), 3.0)}, "finite origin"),
        ({"shape_kji": (4, 0, 4)}, "at least one voxel"),
        ({"direction": ((1.0, 0.2, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))}, "without shear"),
        ({"direction": ((1.0, 0.0), (0.0, 1.0))}, "3 x 3"),
    ],
)
def test_impossible_grids_are_refused(change: dict[str, object], message: str) -> None:
    sound = {"shape_kji": (4, 5, 6), "spacing_ijk_mm": (1.0, 2.0, 3.0), "origin_lps_mm": (0.0, 0.0, 0.0)}
    with pytest.raises(GeometryError, match=message):
        Grid(**{**sound, **change})  # type: ignore[arg-type]


def test_grids_are_close_only_when_every_corner_is(grid: Grid) -> None:
    nudged = Grid(grid.shape_kji, grid.spacing_ijk_mm, (-130.5, 44.0, 712.01), grid.direction)
    assert grid.is_close(nudged, tolerance_mm=0.02)
    assert not grid.is_close(nudged)
    assert not grid.is_close(Grid((7, 11, 6), grid.spacing_ijk_mm, grid.origin_lps_mm, grid.direction))


def test_the_box_of_a_mask_is_tight_and_half_open() -> None:
    mask = np.zeros((6, 7, 8), dtype=bool)
    mask[1, 2, 3] = mask[4, 5, 3] = True
    box = VoxelBox.of_mask(mask)
    assert box == VoxelBox((1, 2, 3), (5, 6, 4))
    assert mask[box.slices].sum() == 2
    assert VoxelBox.of_mask(np.zeros((2, 2, 2), dtype=bool)).is_empty


def test_boxes_combine_as_sets_of_voxels() -> None:
    a, b, nothing = VoxelBox((0, 1, 2), (4, 5, 6)), VoxelBox((2, 0, 5), (9, 3, 7)), VoxelBox((3, 3, 3), (3, 4, 4))
    assert a.union(b) == VoxelBox((0, 0, 2), (9, 5, 7))
    assert a.intersection(b) == VoxelBox((2, 1, 5), (4, 3, 6))
    assert a.union(nothing) == a
    assert a.intersection(a.shifted((10, 0, 0))).is_empty
    assert a.expanded(1).expanded(-1) == a
