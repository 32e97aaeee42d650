"""Careless labels of thresholds that are too high are found out, and drawn down to where careful ones end."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from SegAnyPETLib.finetune.cohort_level import CohortLevel
from SegAnyPETLib.finetune.config import CPCLConfig
from SegAnyPETLib.finetune.crops import SYNTHETIC_CASE, LabelledCrop
from SegAnyPETLib.finetune.uptake_level import best_threshold, drawn_to_level

SPACING = (3.0, 4.0, 5.0)
SHAPE = (30, 27, 23)


def away_mm(centre_mm, spacing=SPACING, shape=SHAPE):
    places = np.meshgrid(*[np.arange(n) * size for n, size in zip(shape, spacing, strict=True)], indexing="ij")
    return np.sqrt(sum((place - middle) ** 2 for place, middle in zip(places, centre_mm, strict=True)))


def fading(radius_mm=26.0, centre_mm=(45.0, 52.0, 55.0), **grid):
    """Uptake that falls from 9 in the middle to 3 at the border, in a background of 1; and where the lesion is."""
    away = away_mm(centre_mm, **grid)
    return np.where(away <= radius_mm, 9 - 6 * away / radius_mm, 1.0).astype(np.float32), away <= radius_mm


def fit(label, suv):
    return best_threshold(label, suv, spacing_kji_mm=SPACING, near_mm=20.0)


@pytest.mark.parametrize("share", [0.41, 0.6])
def test_a_thresholds_label_is_known_by_its_level(share):
    suv, lesion = fading()
    label = lesion & (suv >= share * suv.max())
    assert fit(label, suv).level == pytest.approx(suv[label].min() / suv.max())
    assert fit(label, suv).dice == 1


def test_a_label_by_hand_has_a_level_too_but_no_threshold_gives_it():
    label = away_mm((45.0, 62.0, 55.0)) <= 18.0  # beside the middle, and not as large as the lesion
    suv, _lesion = fading()
    near = ndimage.distance_transform_edt(~label, sampling=SPACING) <= 20.0
    shares = np.arange(0.05, 1.0, 0.01)
    masks = [near & (suv >= share * suv[label].max()) for share in shares]
    dice = [2 * (mask & label).sum() / (mask.sum() + label.sum()) for mask in masks]
    assert fit(label, suv).dice == pytest.approx(max(dice), abs=0.01)
    assert fit(label, suv).level == pytest.approx(shares[int(np.argmax(dice))], abs=0.02)
    assert fit(label, suv).dice < 0.85


def test_a_label_of_nothing_but_zeros_has_a_level_too():
    suv, lesion = np.zeros(SHAPE, dtype=np.float32), away_mm((45.0, 52.0, 55.0)) <= 20.0
    assert np.isfinite(fit(lesion, suv).level)


def test_a_label_is_drawn_down_to_its_lesion_and_to_nothing_that_is_apart():
    suv, lesion = fading()
    apart = away_mm((45.0, 52.0, 12.0)) <= 8.0
    suv[apart] = 6.0
    core = lesion & (suv >= 0.7 * suv.max())
    whole = drawn_to_level(core, suv, level=3 / 9, spacing_kji_mm=SPACING, reach_mm=30.0)
    np.testing.assert_array_equal(whole, lesion)
    near = drawn_to_level(core, suv, level=3 / 9, spacing_kji_mm=SPACING, reach_mm=6.0)
    assert core.sum() < near.sum() < lesion.sum()
    assert ndimage.distance_transform_edt(~core, sampling=SPACING)[near].max() <= 6.0


def test_holes_are_filled_and_nothing_of_the_label_is_lost():
    suv, lesion = fading()
    middle = away_mm((45.0, 52.0, 55.0)) <= 7.0
    suv[middle] = 0.5  # a cold core
    label = lesion & (suv >= 0.6 * suv.max())
    label[2, 2, 2] = True
    whole = drawn_to_level(label, suv, level=3 / 9, spacing_kji_mm=SPACING, reach_mm=30.0)
    assert whole[middle].all()
    assert whole[2, 2, 2]


def crops(count, *, first, share=None):
    """Lesions of slightly different size and place, labelled wholly or by a share of the hottest voxel."""
    found = []
    for number in range(first, first + count):
        rng = np.random.default_rng(number)
        centre = np.array((50.0, 46.0, 48.0)) + rng.uniform(-4, 4, 3)
        suv, lesion = fading(rng.uniform(22, 30), centre, spacing=(4.0,) * 3, shape=(26, 23, 24))
        suv *= np.float32(rng.uniform(0.7, 1.4))
        label = lesion if share is None else lesion & (suv >= share * suv.max())
        found.append((LabelledCrop(suv, label, 4.0, number), lesion))
    return found


def labelled(pairs):
    return [crop for crop, _lesion in pairs]


@pytest.mark.parametrize("share", [0.6, 0.75])
def test_thresholds_that_are_too_high_are_found_out_and_made_whole(share):
    careful, careless = crops(4, first=1), crops(6, first=20, share=share)
    cohort = CohortLevel(CPCLConfig())
    whole = cohort.made_whole(labelled(careful), labelled(careless))
    assert cohort.level == pytest.approx(3 / 9, abs=0.05)
    for crop, (given, lesion) in zip(whole, careless, strict=True):
        assert 2 * (given.label & lesion).sum() / (given.label.sum() + lesion.sum()) < 0.75
        assert 2 * (crop.label & lesion).sum() / (crop.label.sum() + lesion.sum()) > 0.95
        assert (crop.case, crop.suv is given.suv) == (given.case, True)


def moved(pairs, mm):
    found = []
    for crop, lesion in pairs:
        inside = ndimage.distance_transform_edt(crop.label, sampling=crop.spacing_kji_mm)
        outside = ndimage.distance_transform_edt(~crop.label, sampling=crop.spacing_kji_mm)
        found.append((replace(crop, label=outside <= mm if mm > 0 else inside > -mm), lesion))
    return found


@pytest.mark.parametrize("mm", [8.0, 0.0, -6.0])
def test_labels_that_no_threshold_gives_stay_the_very_same(mm):
    careful, careless = crops(4, first=1), moved(crops(6, first=20), mm)
    for crop, _lesion in careless:  # uptake that follows no border, so that a smaller label is no threshold's
        crop.suv[...] *= np.random.default_rng(crop.case).uniform(0.5, 1.5, crop.suv.shape)
    stay_the_same(CohortLevel(CPCLConfig()), labelled(careful), labelled(careless))


def test_thresholds_at_the_careful_labels_level_stay_the_very_same():
    stay_the_same(CohortLevel(CPCLConfig()), labelled(crops(4, first=1)), labelled(crops(6, first=20, share=0.36)))


def stay_the_same(cohort, careful, careless):
    assert all(one is other for one, other in zip(cohort.made_whole(careful, careless), careless, strict=True))
    assert cohort.level is None


def test_nothing_is_said_from_two_cases_however_often_they_are_looked_at():
    careful, careless = labelled(crops(2, first=1)), labelled(crops(6, first=20, share=0.7))
    cohort = CohortLevel(CPCLConfig())
    for _ in range(5):
        cohort.made_whole(careful, careless)
    assert cohort.level is None
    cohort.made_whole(labelled(crops(1, first=9)), careless)
    assert cohort.level is not None


def test_made_up_lesions_do_not_count_and_old_looks_are_forgotten():
    careful, careless = labelled(crops(3, first=1)), labelled(crops(3, first=20, share=0.7))
    cohort = CohortLevel(CPCLConfig(looks_remembered=3))
    cohort.made_whole([replace(crop, case=SYNTHETIC_CASE) for crop in careful], careless)
    assert cohort.careful == []
    cohort.made_whole(careful, careless)
    assert cohort.level is not None
    cohort.made_whole([careful[0]] * 3, careless)
    assert cohort.level is None
