"""Mean and median with an interval that says how much another set of patients could change them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from SegAnyPETLib.errors import GeometryError

RESAMPLES = 2000
COVERAGE_PERCENT = 95.0


@dataclass(frozen=True)
class Estimate:
    """A figure over patients.

    Attributes:
        count: Number of patients.
        mean: Over patients.
        mean_interval: 95 % bootstrap interval of the mean.
        median: Over patients.
        median_interval: 95 % bootstrap interval of the median.
    """

    count: int
    mean: float
    mean_interval: tuple[float, float]
    median: float
    median_interval: tuple[float, float]


def compute_estimate(values: Sequence[float], *, resamples: int = RESAMPLES, seed: int = 0) -> Estimate:
    """Mean and median of one value per patient, with percentile bootstrap intervals over patients.

    The same seed draws the same patients for every figure, so that figures of one run belong together.

    Raises:
        GeometryError: There are no values.

    Source:
        Efron, Tibshirani: An Introduction to the Bootstrap (1993), chapter 13, percentile interval.
    """
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1 or sample.size == 0:
        msg = f"Expected one value per patient; found an array of shape {sample.shape}."
        raise GeometryError(msg)
    drawn = sample[np.random.default_rng(seed).integers(sample.size, size=(resamples, sample.size))]
    return Estimate(
        count=sample.size,
        mean=float(sample.mean()),
        mean_interval=_interval(drawn.mean(axis=1)),
        median=float(np.median(sample)),
        median_interval=_interval(np.median(drawn, axis=1)),
    )


def _interval(statistics: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> tuple[float, float]:
    tail = (100.0 - COVERAGE_PERCENT) / 2.0
    low, high = np.percentile(statistics, (tail, 100.0 - tail))
    return float(low), float(high)
