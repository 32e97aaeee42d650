"""Cohorts of a site: careful cases, careless ones, and clean cases for the test that no training sees."""

from __future__ import annotations

import numpy as np
from small_lesions import BASE, SITE, sample_lesion

from SegAnyPETLib.finetune.crops import LabelledCrop
from SegAnyPETLib.finetune.label_noise import add_label_noise

CAREFUL, CARELESS, TEST, BASE_CASES = 4, 24, 60, 300
TEST_SEED, BASE_SEED = 900_001, 800_001


class Cohort:
    """A `CropSource` of a few cases, each turned and flipped anew whenever it is drawn."""

    def __init__(self, careful, careless):
        self._careful, self._careless = careful, careless

    def careful(self, rng, count):
        return self._drawn(rng, self._careful, count)

    def careless(self, rng, count):
        return self._drawn(rng, self._careless, count)

    def _drawn(self, rng, cases, count):
        return [turned(rng, cases[rng.integers(len(cases))]) for _ in range(count)]


def turned(rng, crop):
    """With its axes in another order and direction, and a little brighter or darker."""
    axes, flips = rng.permutation(3), np.flatnonzero(rng.random(3) < 0.5)
    suv, label = (np.ascontiguousarray(np.flip(a.transpose(axes), flips)) for a in (crop.suv, crop.label))
    return LabelledCrop(suv * np.float32(rng.uniform(0.8, 1.25)), label, crop.spacing_mm, crop.case)


def base_cohort():
    """What the base model learned from."""
    return Cohort([sample_lesion(np.random.default_rng([BASE_SEED, n]), BASE, case=n) for n in range(BASE_CASES)], [])


def synthetic_site(seed, noise):
    """A site's cohort; the same images and truths for every noise.

    Args:
        seed: Of the cohort.
        noise: `LabelNoise` of the careless labels; None leaves them clean.
    """
    cases = [sample_lesion(np.random.default_rng([seed, n]), SITE, case=n) for n in range(CAREFUL + CARELESS)]
    careless = [mislabelled(np.random.default_rng([seed, n, 1]), crop, noise) for n, crop in enumerate(cases[CAREFUL:])]
    return Cohort(cases[:CAREFUL], careless)


def mislabelled(rng, crop, noise):
    if noise is None:
        return crop
    label = add_label_noise(rng, crop.label, crop.suv, noise=noise, spacing_kji_mm=crop.spacing_kji_mm)
    return LabelledCrop(crop.suv, label, crop.spacing_mm, crop.case)


def synthetic_test():
    """Clean lesions of the site's world."""
    return [sample_lesion(np.random.default_rng([TEST_SEED, n]), SITE, case=n) for n in range(TEST)]
