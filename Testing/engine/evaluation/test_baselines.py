"""Baselines on images whose threshold regions are known by construction."""

import numpy as np
import pytest

from SegAnyPETLib.evaluation.baselines import (
    crop_margin_mm,
    ellipsoid,
    fill_holes,
    run_baselines,
    threshold_region,
)

SPACING_KJI_MM = (3.0, 5.0, 4.0)


def test_threshold_region_is_the_component_at_the_click():
    values = np.full((20, 24, 22), 0.5, dtype=np.float32)
    values[4:9, 5:9, 6:12] = 10.0
    values[9, 5:9, 6:12] = 4.2  # 42 % of the maximum
    values[10, 5:9, 6:12] = 4.0  # 40 %
    values[15:18, 18:22, 16:20] = 50.0  # another lesion, more than 20 mm away
    region = threshold_region(values, (6, 7, 9), SPACING_KJI_MM)
    expected = np.zeros(values.shape, dtype=bool)
    expected[4:10, 5:9, 6:12] = True
    np.testing.assert_array_equal(region, expected)


def test_a_click_into_a_cold_core_finds_its_rim_and_filling_closes_it():
    values = np.full((20, 24, 22), 0.5, dtype=np.float32)
    values[5:12, 6:12, 6:13] = 8.0
    values[7:10, 8:10, 8:11] = 1.0
    click = (8, 9, 9)
    masks = run_baselines(values, click, SPACING_KJI_MM, margin_mm=50.0)
    rim = masks["threshold_41_percent"]
    assert not rim[click]
    assert rim.sum() == 7 * 6 * 7 - 3 * 2 * 3
    assert masks["threshold_41_percent_filled"].sum() == 7 * 6 * 7


def test_holes_open_along_one_axis_are_filled_slice_by_slice():
    tube = np.zeros((6, 9, 9), dtype=bool)
    tube[1:5, 2:7, 2:7] = True
    tube[:, 4, 4] = False  # a channel along k, open at both ends
    assert fill_holes(tube).sum() == 4 * 25


def test_an_image_without_uptake_gives_an_empty_region():
    region = threshold_region(np.zeros((5, 6, 7), dtype=np.float32), (2, 3, 4), SPACING_KJI_MM)
    assert not region.any()


def test_the_sphere_has_the_volume_of_a_ball_of_40_mm():
    values = np.ones((40, 24, 30), dtype=np.float32)
    ball = run_baselines(values, (20, 12, 15), SPACING_KJI_MM, margin_mm=50.0)["sphere_40_mm"]
    assert ball.sum() * 0.06 == pytest.approx(4 / 3 * np.pi * 4.0**3, rel=0.02)  # ml


def test_the_ellipsoid_ends_at_the_margin_and_ignores_image_and_click():
    shape = (60, 40, 44)  # 180 x 200 x 176 mm
    mask = ellipsoid(shape, SPACING_KJI_MM, margin_mm=50.0)
    assert mask.sum() * 0.06 == pytest.approx(4 / 3 * np.pi * 4.0 * 5.0 * 3.8, rel=0.02)  # ml
    np.testing.assert_array_equal(mask, mask[::-1, ::-1, ::-1])


def test_cutting_faces_lowers_the_margin_by_the_mean_cut():
    assert crop_margin_mm(45.0) == 27.5
