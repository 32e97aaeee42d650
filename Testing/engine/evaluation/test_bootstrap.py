"""Bootstrap intervals against the normal theory and a plain loop."""

import numpy as np
import pytest

from SegAnyPETLib.errors import GeometryError
from SegAnyPETLib.evaluation import compute_estimate


def test_interval_of_a_mean_is_close_to_normal_theory():
    values = np.random.default_rng(3).normal(0.7, 0.12, size=60)
    estimate = compute_estimate(values)
    half = 1.96 * values.std() / np.sqrt(values.size)
    assert estimate.mean == pytest.approx(values.mean())
    assert estimate.mean_interval == pytest.approx((values.mean() - half, values.mean() + half), abs=0.15 * half)


def test_median_is_resampled_too():
    values = [0.1, 0.2, 0.9]
    estimate = compute_estimate(values)
    assert estimate.median == 0.2
    assert estimate.median_interval == (0.1, 0.9)  # all three the same value: 1 draw in 27, more than 2.5 %


def test_the_same_seed_gives_the_same_interval_and_another_seed_another():
    values = np.random.default_rng(3).random(30)
    assert compute_estimate(values, seed=1) == compute_estimate(values, seed=1)
    assert compute_estimate(values, seed=1) != compute_estimate(values, seed=2)


def test_one_patient_has_no_spread():
    assert compute_estimate([0.5]).mean_interval == (0.5, 0.5)


def test_no_patient_is_refused():
    with pytest.raises(GeometryError, match="one value per patient"):
        compute_estimate([])
