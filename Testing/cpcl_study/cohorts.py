"""Sites whose labels are learned from: careful cases, careless ones, and clean cases for the test no training sees.

A site has `noises` (how its careless labels may be wrong), `base()` (what the base model learned from), `base_file`
(that model, where it is stored), `cohort(seed, noise)` and `test(seed)`. Images and truths of a seed are the same for
every noise; None leaves the careless labels clean.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from real_lesions import read_lesions
from small_lesions import BASE, SITE, sample_lesion

from SegAnyPETLib.finetune.crops import LabelledCrop
from SegAnyPETLib.finetune.label_noise import LabelNoise, add_label_noise

CAREFUL, CARELESS, TEST, BASE_CASES = 4, 24, 60, 300
REAL_CARELESS = 14  # with 4 careful ones; the other 12 of 30 are for the test
TEST_SEED, BASE_SEED, SPLIT_SEED = 900_001, 800_001, 700_001


def two_levels(**amounts):
    """The first level of every kind at even places, the second at odd ones."""
    return tuple(LabelNoise(kind.replace("_", " "), amount) for kind, both in amounts.items() for amount in both)


class SyntheticSite:
    """Lesions of another world than the base model knows."""

    base_file = Path(__file__).with_name("base.safetensors")
    noises = two_levels(
        dilated=(4.0, 8.0), eroded=(3.0, 5.0), threshold=(0.41, 0.6), shifted=(4.0, 8.0),
        part_missing=(0.25, 0.5), random_size=(2.0, 4.0), ragged=(2.0, 4.0),
    )  # fmt: skip

    def base(self):
        return Cohort(_lesions(BASE_SEED, BASE_CASES, BASE), [])

    def cohort(self, seed, noise):
        cases = _lesions(seed, CAREFUL + CARELESS, SITE)
        return Cohort(cases[:CAREFUL], [_mislabelled(seed, crop, noise) for crop in cases[CAREFUL:]])

    def test(self, _seed):
        return _lesions(TEST_SEED, TEST, SITE)


class RealSite:
    """Real lesions, split anew by every seed; the base model knows the synthetic site's."""

    base_file = None
    noises = two_levels(
        dilated=(8.0, 12.0), eroded=(6.0, 9.0), threshold=(0.41, 0.6), shifted=(8.0, 16.0),
        part_missing=(0.25, 0.5), random_size=(4.0, 8.0), ragged=(4.0, 8.0),
    )  # fmt: skip

    def __init__(self, folder):
        self._folder = folder

    def base(self):
        return Cohort(_lesions(BASE_SEED, BASE_CASES, SITE), [])

    def cohort(self, seed, noise):
        cases = self._split(seed)
        careless = cases[CAREFUL : CAREFUL + REAL_CARELESS]
        return Cohort(cases[:CAREFUL], [_mislabelled(seed, crop, noise) for crop in careless])

    def test(self, seed):
        return self._split(seed)[CAREFUL + REAL_CARELESS :]

    def _split(self, seed):
        lesions = _real_lesions(self._folder)
        return [lesions[n] for n in np.random.default_rng([SPLIT_SEED, seed]).permutation(len(lesions))]


class Cohort:
    """A `CropSource` of a few cases, each turned and flipped anew whenever it is drawn."""

    def __init__(self, careful, careless):
        self.careful_cases, self.careless_cases = careful, careless

    def careful(self, rng, count):
        return self._drawn(rng, self.careful_cases, count)

    def careless(self, rng, count):
        return self._drawn(rng, self.careless_cases, count)

    def _drawn(self, rng, cases, count):
        return [turned(rng, cases[rng.integers(len(cases))]) for _ in range(count)]


def turned(rng, crop):
    """With its axes in another order and direction, and a little brighter or darker."""
    axes, flips = rng.permutation(3), np.flatnonzero(rng.random(3) < 0.5)
    suv, label = (np.ascontiguousarray(np.flip(a.transpose(axes), flips)) for a in (crop.suv, crop.label))
    return LabelledCrop(suv * np.float32(rng.uniform(0.8, 1.25)), label, crop.spacing_mm, crop.case)


def _lesions(seed, count, world):
    return [sample_lesion(np.random.default_rng([seed, n]), world, case=n) for n in range(count)]


@lru_cache(maxsize=1)
def _real_lesions(folder):
    return read_lesions(folder)


def _mislabelled(seed, crop, noise):
    if noise is None:
        return crop
    rng = np.random.default_rng([seed, crop.case, 1])
    label = add_label_noise(rng, crop.label, crop.suv, noise=noise, spacing_kji_mm=crop.spacing_kji_mm)
    return LabelledCrop(crop.suv, label, crop.spacing_mm, crop.case)
