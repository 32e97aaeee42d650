"""Resampling against scipy, which shares no code with SimpleITK."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from SegAnyPETLib.errors import GeometryError
from SegAnyPETLib.geometry import Grid, VoxelBox
from SegAnyPETLib.preprocess import Region, resample_from_region, resample_linear, resample_to_region

SHAPE = (14, 18, 22)


def turned(degrees_xyz, flips=(1.0, 1.0, 1.0)):
    turn = np.eye(3)
    for axis, degrees in enumerate(degrees_xyz):
        c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
        one = np.eye(3)
        p, q = [a for a in range(3) if a != axis]
        one[p, p], one[p, q], one[q, p], one[q, q] = c, -s, s, c
        turn = one @ turn
    return tuple(map(tuple, turn * np.asarray(flips)))


def an_image(shape=(17, 23, 31), spacing=(3.9, 3.1, 5.3), degrees=(9.0, -14.0, 33.0), flips=(1, 1, 1), seed=0):
    grid = Grid(shape, spacing, (-44.0, 17.0, -301.0), turned(degrees, flips))
    return np.random.default_rng(seed).random(shape, dtype=np.float32) + 1.0, grid


def centre_of(grid):
    return tuple(grid.kji_to_lps((np.asarray(grid.shape_kji) - 1) / 2))


def sampled_by_scipy(array, source, target):
    """Linear interpolation, border value within the outer half voxel, zero beyond."""
    index = np.stack(np.meshgrid(*(np.arange(n) for n in target.shape_kji), indexing="ij"), axis=-1)
    kji = source.lps_to_kji(target.kji_to_lps(index))
    last = np.asarray(array.shape) - 1
    inside = ((kji >= -0.5) & (kji <= last + 0.5)).all(axis=-1)
    near_face = (np.abs(np.stack([kji + 0.5, kji - last - 0.5])) < 1e-4).any(axis=(0, -1))
    values = ndimage.map_coordinates(array.astype(np.float64), np.moveaxis(np.clip(kji, 0, last), -1, 0), order=1)
    return np.where(inside, values, 0.0), ~near_face


@pytest.mark.parametrize("tensor_axes", ["kji_lps", "ijk_ras"])
@pytest.mark.parametrize("flips", [(1, 1, 1), (-1, -1, 1), (1, -1, -1), (-1, 1, 1), (-1, -1, -1)])
def test_a_region_of_an_oblique_image_equals_scipys(tensor_axes, flips):
    array, grid = an_image(flips=flips)
    region = Region(tuple(np.add(centre_of(grid), (1.3, -2.2, 0.7))), SHAPE, 3.0, tensor_axes)

    tensor = resample_to_region(array, grid, region)

    expected, comparable = sampled_by_scipy(array, grid, region.grid)
    np.testing.assert_allclose(tensor[comparable], expected[comparable], atol=2e-5)
    assert tensor.dtype == np.float32


@settings(max_examples=40, deadline=None)
@given(
    degrees=st.tuples(*[st.floats(-180, 180)] * 3),
    spacing=st.tuples(*[st.floats(1.6, 6.0)] * 3),
    flips=st.tuples(*[st.sampled_from([-1.0, 1.0])] * 3),
    offset=st.tuples(*[st.floats(-60, 60)] * 3),
    tensor_axes=st.sampled_from(["kji_lps", "ijk_ras"]),
)
def test_any_grid_and_any_placement_equal_scipys(degrees, spacing, flips, offset, tensor_axes):
    array, grid = an_image(shape=(9, 12, 15), spacing=spacing, degrees=degrees, flips=flips)
    region = Region(tuple(np.add(centre_of(grid), offset)), (7, 8, 10), 3.0, tensor_axes)

    tensor = resample_to_region(array, grid, region)

    expected, comparable = sampled_by_scipy(array, grid, region.grid)
    np.testing.assert_allclose(tensor[comparable], expected[comparable], atol=1e-4)


@pytest.mark.parametrize("tensor_axes", ["kji_lps", "ijk_ras"])
def test_logits_back_on_the_image_equal_scipys_within_the_box(tensor_axes):
    _, grid = an_image()
    region = Region(centre_of(grid), (16, 20, 24), 3.0, tensor_axes)
    logits = np.random.default_rng(5).normal(size=(8, 10, 12)).astype(np.float32)
    box = VoxelBox((3, 5, 2), (15, 20, 30))

    back = resample_from_region(logits, region, grid, box=box, outside=0.0)

    expected, comparable = sampled_by_scipy(logits, region.grid_of(logits.shape), grid.crop(box))
    assert back.shape == (12, 15, 28)
    np.testing.assert_allclose(back[comparable], expected[comparable], atol=2e-5)


@pytest.mark.parametrize("tensor_axes", ["kji_lps", "ijk_ras"])
def test_a_linear_field_survives_the_way_there_and_back_exactly(tensor_axes):
    """Linear interpolation is exact for linear fields: any error would be one of geometry."""
    _, grid = an_image(shape=(30, 34, 38))
    index = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape_kji), indexing="ij"), axis=-1)
    field = (grid.kji_to_lps(index) @ [0.11, -0.23, 0.31]).astype(np.float32)
    region = Region(centre_of(grid), SHAPE, 2.0, tensor_axes)
    box = region.box_in(grid)

    back = resample_from_region(resample_to_region(field, grid, region), region, grid, box=box, outside=np.nan)

    inner = np.array([region.depth_share(p) > 0.1 for p in grid.kji_to_lps(index)[box.slices].reshape(-1, 3)])
    np.testing.assert_allclose(back.ravel()[inner], field[box.slices].ravel()[inner], atol=1e-4)
    assert inner.sum() > 200


def test_the_box_of_a_region_holds_every_voxel_inside_it_and_little_more():
    _, grid = an_image(shape=(30, 34, 38))
    region = Region(tuple(np.add(centre_of(grid), (20.0, -11.0, 40.0))), SHAPE, 3.0, "kji_lps")
    index = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape_kji), indexing="ij"), axis=-1)
    inside = np.array([region.contains(p) for p in grid.kji_to_lps(index).reshape(-1, 3)]).reshape(grid.shape_kji)

    box = region.box_in(grid)

    assert inside.sum() == inside[box.slices].sum() > 0
    needed = VoxelBox.of_mask(inside)
    assert np.subtract(needed.start_kji, box.start_kji).max() <= 4  # corners of the turned region hold no centre


def test_beyond_the_outer_half_voxel_all_is_zero():
    grid = Grid((6, 7, 8), (4.0, 4.0, 4.0), (0.0, 0.0, 0.0))
    region = Region((0.0, 0.0, 0.0), (8, 8, 8), 1.0, "kji_lps")  # voxel centres at -3.5 .. 3.5 mm

    tensor = resample_to_region(np.ones(grid.shape_kji, dtype=np.float32), grid, region)

    expected = np.zeros((8, 8, 8))
    expected[2:, 2:, 2:] = 1.0  # centres from -1.5 mm on lie within the outer half voxel (-2 mm)
    np.testing.assert_array_equal(tensor, expected)


def test_a_region_that_misses_the_image_is_all_zero():
    array, grid = an_image()
    for spacing_mm in (3.0, 12.0):
        region = Region((5000.0, 0.0, 0.0), SHAPE, spacing_mm, "kji_lps")
        assert not resample_to_region(array, grid, region).any()


def test_a_much_finer_image_is_averaged_not_picked():
    """White noise of variance 1 on 1 mm voxels: 4 mm groups average 64 of them, linear sampling lowers it further."""
    grid = Grid((90, 95, 101), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    noise = np.random.default_rng(7).normal(size=grid.shape_kji).astype(np.float32)
    region = Region((50.0, 47.0, 45.0), (16, 16, 16), 4.0, "kji_lps")

    tensor = resample_to_region(noise, grid, region)

    assert tensor.var() <= 1.0 / 64 * 1.3
    assert tensor.var() >= 1.0 / 64 / 8 * 0.5  # but it is not blurred away


@pytest.mark.parametrize("shape", [(64, 64, 64), (61, 66, 71)])
def test_averaging_keeps_a_linear_field_in_place(shape):
    grid = Grid(shape, (1.1, 0.9, 1.3), (-20.0, 13.0, -5.0), turned((8.0, -20.0, 5.0)))
    index = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), axis=-1)
    field = (grid.kji_to_lps(index) @ [0.3, -0.2, 0.7]).astype(np.float32)
    region = Region(centre_of(grid), (6, 7, 8), 4.0, "ijk_ras")

    tensor = resample_to_region(field, grid, region)

    centres = region.tensor_to_lps(np.stack(np.meshgrid(*(np.arange(n) for n in region.shape), indexing="ij"), axis=-1))
    np.testing.assert_allclose(tensor, centres @ [0.3, -0.2, 0.7], atol=1e-4)


def test_an_unfinished_last_group_does_not_widen_the_image():
    grid = Grid((10, 11, 9), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))  # 4 does not divide these sizes
    region = Region((8.0, 8.0, 8.0), (12, 12, 12), 4.0, "kji_lps")

    tensor = resample_to_region(np.ones(grid.shape_kji, dtype=np.float32), grid, region)

    centres = region.tensor_to_lps(np.stack(np.meshgrid(*(np.arange(12),) * 3, indexing="ij"), axis=-1))
    inside = ((centres >= -0.5) & (centres <= np.array([8.5, 10.5, 9.5]))).all(axis=-1)
    np.testing.assert_array_equal(tensor, inside.astype(np.float32))


def test_averaging_does_not_depend_on_where_the_region_lies():
    grid = Grid((64, 64, 64), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    noise = np.random.default_rng(9).random(grid.shape_kji, dtype=np.float32)
    first = resample_to_region(noise, grid, Region((30.0, 30.0, 30.0), (8, 8, 8), 3.0, "kji_lps"))
    moved = resample_to_region(noise, grid, Region((30.0, 30.0, 36.0), (8, 8, 8), 3.0, "kji_lps"))

    np.testing.assert_allclose(first[2:], moved[:-2], atol=1e-6)


def test_only_the_needed_part_of_a_large_image_is_copied():
    grid = Grid((300, 300, 300), (2.0, 2.0, 2.0), (0.0, 0.0, 0.0))
    array = np.zeros(grid.shape_kji, dtype=np.float32)  # 108 MB, never touched
    tracemalloc.start()
    try:
        resample_to_region(array, grid, Region((300.0, 300.0, 300.0), (32, 32, 32), 4.0, "kji_lps"))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 8e6  # the part is 64 voxels a side: 1 MB


def test_an_array_of_another_shape_is_refused():
    array, grid = an_image()
    with pytest.raises(GeometryError, match="axis order"):
        resample_linear(array.transpose(2, 1, 0), grid, grid, outside=0.0)
