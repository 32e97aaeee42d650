"""Contours of single slices, filled again by rules written here and in matplotlib."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.path import Path as DrawnPath
from polygon_filling import fillings
from scipy import ndimage

from SegAnyPETLib.data.voxel_contours import trace_contours

SHAPES = {
    "one voxel": ["#"],
    "diagonal neighbours": ["#.", ".#"],
    "other diagonal": [".#", "#."],
    "hole": ["###", "#.#", "###"],
    "holes that meet in a corner": ["####", "#.##", "##.#", "####"],
    "ring closed only in a corner": [".###", "#..#", "#..#", "####"],
    "hole open at a corner": ["##.", "#.#", "###"],
    "three holes in a column": ["###", "#.#", "###", "#.#", "###", "#.#", "###"],
    "island in a hole": ["#######", "#.....#", "#.###.#", "#.#.#.#", "#.###.#", "#.....#", "#######"],
    "comb": ["#.#.#", "#.#.#", "#####"],
    "chequers": ["#.#.", ".#.#", "#.#.", ".#.#"],
    "all": ["###", "###"],
}


@pytest.fixture
def rng():
    return np.random.default_rng(11)


def plane(rows: list[str]) -> np.ndarray:
    return np.array([[c == "#" for c in row] for row in rows])


def pieces(mask: np.ndarray) -> int:
    return ndimage.label(mask)[1]  # edge to edge


def area(polygon: np.ndarray) -> float:
    y, x = polygon.T
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)


def check(mask: np.ndarray) -> None:
    polygons = trace_contours(mask)
    for filled in fillings(polygons, mask.shape):
        np.testing.assert_array_equal(filled, mask)
    assert len(polygons) == pieces(mask)
    assert sum(area(polygon) for polygon in polygons) == mask.sum()


@pytest.mark.parametrize("margin", [0, 1])
@pytest.mark.parametrize("rows", SHAPES.values(), ids=SHAPES)
def test_filling_gives_the_voxels_back(rows, margin):
    check(np.pad(plane(rows), margin))


def test_every_mask_of_three_by_three_comes_back():
    for number in range(2**9):
        check(np.array([number >> bit & 1 for bit in range(9)], bool).reshape(3, 3))


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7, 0.9, 0.97])
def test_ragged_masks_with_many_holes_come_back(rng, share):
    for shape in ((7, 9), (23, 17), (1, 12), (30, 2)):
        check(rng.random(shape) < share)


def test_matplotlib_fills_the_same_voxels(rng):
    mask = ndimage.binary_closing(rng.random((40, 50)) < 0.4)
    centres = np.stack(np.indices(mask.shape), axis=-1).reshape(-1, 2)
    filled = np.zeros(mask.size, bool)
    for polygon in trace_contours(mask):
        filled ^= DrawnPath(np.vstack([polygon, polygon[:1]]), closed=True).contains_points(centres)
    np.testing.assert_array_equal(filled.reshape(mask.shape), mask)


def test_one_voxel_is_its_square():
    [square] = trace_contours(np.pad(plane(["#"]), 2))
    assert square.tolist() == [[1.5, 1.5], [1.5, 2.5], [2.5, 2.5], [2.5, 1.5]]


def test_a_hole_is_reached_through_a_channel_of_no_width_inside_the_mask():
    [polygon] = trace_contours(plane(["####", "####", "##.#", "####"]))
    assert polygon.tolist() == [
        [-0.5, -0.5],
        [-0.5, 1.75],
        [1.5, 1.75],
        [1.5, 1.5],
        [2.5, 1.5],
        [2.5, 2.5],
        [1.5, 2.5],
        [1.5, 1.75],
        [-0.5, 1.75],
        [-0.5, 3.5],
        [3.5, 3.5],
        [3.5, -0.5],
    ]


def test_channels_pass_through_voxels_only(rng):
    mask = ndimage.binary_closing(rng.random((40, 50)) < 0.45)
    assert pieces(~np.pad(mask, 1)) > 5
    channels = 0
    for polygon in trace_contours(mask):
        for (j0, i0), (j1, i1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
            if i0 % 1 == 0.75 and i0 == i1:
                low, high = sorted((j0, j1))
                assert mask[int(low + 0.5) : int(high + 0.5), int(i0 + 0.25)].all()
                channels += 1
    assert channels >= 10


def test_no_point_is_near_a_voxel_centre(rng):
    for polygon in trace_contours(rng.random((30, 30)) < 0.7):
        assert (np.abs(polygon - np.rint(polygon)).max(axis=1) >= 0.25).all()


def test_an_empty_slice_has_no_contour():
    assert trace_contours(np.zeros((4, 5), bool)) == []
