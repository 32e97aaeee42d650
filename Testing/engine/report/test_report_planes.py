"""Planes and projections against voxels whose world position is known by hand."""

from __future__ import annotations

import numpy as np
import pytest

from SegAnyPETLib.geometry import Grid
from SegAnyPETLib.phantom import centred_grid
from SegAnyPETLib.report.planes import AXIAL, CORONAL, SAGITTAL, project_maximum, sample_plane

VIEWS = [AXIAL, CORONAL, SAGITTAL]
SHAPE, SPACING = (9, 14, 11), (4.0, 3.0, 6.5)


def one_hot(grid: Grid, kji: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """An image with one bright voxel, and where that lies (by the matrix, not by the code under test)."""
    array = np.zeros(grid.shape_kji, np.float32)
    array[kji] = 5.0
    k, j, i = kji
    return array, np.asarray(grid.ijk_to_lps @ (i, j, k, 1.0))[:3]


def brightest(flat) -> np.ndarray:
    """World coordinates (across, up) of the centre of mass of an image."""
    left, right, low, high = flat.extent_mm
    rows, columns = flat.pixels.shape
    across = left + (np.arange(columns) + 0.5) * (right - left) / columns
    up = low + (np.arange(rows) + 0.5) * (high - low) / rows
    weight = flat.pixels / flat.pixels.sum()
    return np.array([(weight.sum(axis=0) * across).sum(), (weight.sum(axis=1) * up).sum()])


@pytest.mark.parametrize("view", VIEWS, ids=lambda v: v.name)
@pytest.mark.parametrize("orientation", ["axial", "coronal", "sagittal", "oblique"])
@pytest.mark.parametrize("kji", [(2, 3, 8), (6, 11, 1)])
def test_a_projection_shows_a_voxel_where_it_is(view, orientation, kji):
    grid = centred_grid(SHAPE, SPACING, centre_lps_mm=(31.0, -77.0, 412.0), orientation=orientation)
    array, lps = one_hot(grid, kji)
    flat = project_maximum(array, grid, view)
    tolerance = 1.6 if orientation == "oblique" else 1e-3
    assert brightest(flat) == pytest.approx(lps[[view.across, view.up]], abs=tolerance)
    if orientation != "oblique":
        assert flat.pixels.max() == 5.0
        pixel = [(flat.extent_mm[1] - flat.extent_mm[0]) / flat.pixels.shape[1]]
        pixel.append((flat.extent_mm[3] - flat.extent_mm[2]) / flat.pixels.shape[0])
        axes = np.abs(np.asarray(grid.direction)).argmax(axis=1)  # which of i, j, k runs along x, y, z
        assert pixel == pytest.approx([SPACING[axes[view.across]], SPACING[axes[view.up]]])


def test_flipped_axes_are_shown_where_they_are():
    direction = ((-1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, -1.0))  # as a NIfTI in RAS with slices from the head
    grid = Grid(SHAPE, SPACING, (55.0, -20.0, 900.0), direction)
    array, lps = one_hot(grid, (2, 3, 8))
    for view in VIEWS:
        assert brightest(project_maximum(array, grid, view)) == pytest.approx(lps[[view.across, view.up]], abs=1e-3)


@pytest.mark.parametrize("view", VIEWS, ids=lambda v: v.name)
@pytest.mark.parametrize("orientation", ["axial", "coronal", "sagittal", "oblique"])
def test_a_plane_through_a_voxel_shows_it_in_the_middle(view, orientation):
    grid = centred_grid(SHAPE, SPACING, centre_lps_mm=(31.0, -77.0, 412.0), orientation=orientation)
    array, lps = one_hot(grid, (4, 7, 5))
    centre = (float(lps[0]), float(lps[1]), float(lps[2]))
    flat = sample_plane(array, grid, view, centre_lps_mm=centre, half_size_mm=12.0, step_mm=0.25)
    assert brightest(flat) == pytest.approx(lps[[view.across, view.up]], abs=0.05)
    assert flat.pixels.max() == pytest.approx(5.0, rel=0.15)
    away = list(centre)
    away[view.normal] += 14.0
    beside = sample_plane(array, grid, view, centre_lps_mm=tuple(away), half_size_mm=12.0, step_mm=0.25)
    assert beside.pixels.max() == 0.0


def test_the_plane_of_a_ramp_is_the_ramp():
    grid = centred_grid(SHAPE, SPACING, centre_lps_mm=(31.0, -77.0, 412.0), orientation="oblique")
    points = grid.kji_to_lps(np.moveaxis(np.indices(SHAPE), 0, -1))
    ramp = (points @ (0.3, -0.2, 0.1) + 20).astype(np.float32)
    flat = sample_plane(ramp, grid, CORONAL, centre_lps_mm=(31.0, -77.0, 412.0), half_size_mm=8.0, step_mm=1.0)
    x = 31.0 - 8 + np.arange(16) + 0.5
    z = 412.0 - 8 + np.arange(16) + 0.5
    expected = 0.3 * x[None, :] - 0.2 * -77.0 + 0.1 * z[:, None] + 20
    assert flat.pixels == pytest.approx(expected, abs=1e-3)


def test_outside_the_image_a_plane_is_empty():
    grid = centred_grid(SHAPE, SPACING)
    flat = sample_plane(np.ones(SHAPE, np.float32), grid, AXIAL, centre_lps_mm=(500.0, 0, 0), half_size_mm=5, step_mm=1)
    assert not flat.pixels.any()
