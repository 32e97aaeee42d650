"""Clicks, baselines and metrics on the 30 real cases against figures measured before this code was written.

Mean Dice after one click at the deepest voxel: sphere of 40 mm .54, ellipsoid from the image extent alone .68,
41 % threshold .61 and, with holes filled, .66; the ellipsoid on images with cut faces .53. The rules of the thresholds
were known in words only, hence the tolerance.
"""

import numpy as np
import pytest

from SegAnyPETLib.clicks import deepest_voxel
from SegAnyPETLib.evaluation import compute_dice, cut_faces, find_cases, read_case
from SegAnyPETLib.evaluation.baselines import crop_margin_mm, ellipsoid, run_baselines


@pytest.fixture(scope="module")
def all_cases(real_data_folder):
    return [read_case(folder) for folder in find_cases(real_data_folder / "sts")]


def test_floors_are_those_measured_before(all_cases):
    found: dict[str, list[float]] = {}
    for case in all_cases:
        spacing = case.image.grid.spacing_kji_mm
        click = deepest_voxel(case.reference, spacing_kji_mm=spacing)
        for name, mask in run_baselines(case.image.array, click, spacing, margin_mm=50.0).items():
            found.setdefault(name, []).append(compute_dice(mask, case.reference))
    assert len(all_cases) == 30
    assert np.mean(found["sphere_40_mm"]) == pytest.approx(0.54, abs=0.005)
    assert np.mean(found["image_extent_ellipsoid"]) == pytest.approx(0.68, abs=0.005)
    assert np.mean(found["threshold_41_percent"]) == pytest.approx(0.61, abs=0.02)
    assert np.mean(found["threshold_41_percent_filled"]) == pytest.approx(0.66, abs=0.02)


def test_cut_faces_take_away_what_the_crop_tells(all_cases):
    dice = []
    for whole in all_cases:
        case, _ = cut_faces(whole, limit_mm=45.0, seed=0)
        blind = ellipsoid(case.reference.shape, case.image.grid.spacing_kji_mm, margin_mm=crop_margin_mm(45.0))
        dice.append(compute_dice(blind, case.reference))
        assert case.reference.sum() == whole.reference.sum()
    assert np.mean(dice) == pytest.approx(0.53, abs=0.03)
