"""Filling by the even-odd rule, against matplotlib, against the rays of `polygon_filling`, and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.path import Path as Outline
from polygon_filling import fillings

from SegAnyPETLib.data.polygon_parity import fill_even_odd

SHAPE = (17, 23)


def star(seed: int, count: int) -> np.ndarray:
    """A closed line that crosses itself and leaves the slice, its corners on no pixel centre."""
    return np.random.default_rng(seed).uniform((-4, -4), (21, 27), (count, 2)) + 0.0123456


@pytest.mark.parametrize("seed", range(6))
def test_a_line_that_crosses_itself_is_filled_where_rays_cross_it_oddly(seed):
    polygon = star(seed, 3 + 5 * seed)
    np.testing.assert_array_equal(fill_even_odd([polygon], SHAPE), fillings([polygon], SHAPE)[0])


@pytest.mark.parametrize("seed", range(4))
def test_a_convex_polygon_is_filled_as_matplotlib_does(seed):
    angle = np.sort(np.random.default_rng(seed).uniform(0, 2 * np.pi, 9))
    polygon = np.column_stack([8.1 + 7.3 * np.sin(angle), 11.2 + 9.7 * np.cos(angle)])
    j, i = np.mgrid[: SHAPE[0], : SHAPE[1]]
    expected = Outline(polygon).contains_points(np.column_stack([j.ravel(), i.ravel()])).reshape(SHAPE)
    np.testing.assert_array_equal(fill_even_odd([polygon], SHAPE), expected)


def test_several_polygons_are_exclusive_or():
    polygons = [star(seed, 7) for seed in (11, 12, 13)]
    np.testing.assert_array_equal(fill_even_odd(polygons, SHAPE), fillings(polygons, SHAPE)[1])


def test_neighbours_that_share_an_edge_through_centres_share_no_pixel():
    upper = np.array([(2, 3), (2, 9), (6, 9), (6, 3)], float)
    lower, right = np.add(upper, (4, 0)), np.add(upper, (0, 6))
    counts = sum(fill_even_odd([polygon], SHAPE).astype(int) for polygon in (upper, lower, right))
    assert counts.max() == 1
    assert counts[2:6, 3:9].all()
    assert counts.sum() == 3 * 4 * 6


def test_decimals_rounded_away_do_not_move_the_edge():
    polygon = np.array([(2, 3), (2, 9), (6, 9), (6, 3)], float)
    expected = fill_even_odd([polygon], SHAPE)
    for seed in range(5):
        shaken = polygon + np.random.default_rng(seed).uniform(-4e-5, 4e-5, polygon.shape)
        np.testing.assert_array_equal(fill_even_odd([shaken], SHAPE), expected)


def test_the_winding_does_not_matter_and_nothing_fills_nothing():
    polygon = star(3, 12)
    np.testing.assert_array_equal(fill_even_odd([polygon], SHAPE), fill_even_odd([polygon[::-1]], SHAPE))
    assert not fill_even_odd([], SHAPE).any()
    assert not fill_even_odd([np.array([(4.2, 5.1), (4.2, 9.9), (4.2, 7.0)])], SHAPE).any()
