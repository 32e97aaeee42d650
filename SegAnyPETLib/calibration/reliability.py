"""Probability against frequency: the reliability curve, its expected calibration error, and the temperatures.

Each case weighs the same, however large its lesion; so does each of its clicks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from SegAnyPETLib.calibration.observation import CENTRES, Observation
from SegAnyPETLib.session.confidence import Temperatures

FloatArray = NDArray[np.float64]
TemperaturesOf = Callable[[Observation], Temperatures]

BINS = 15
DOUBTFUL = (0.05, 0.95)
LEAST_TEMPERATURE, LARGEST_TEMPERATURE = 0.1, 20.0


@dataclass(frozen=True, eq=False)
class Reliability:
    """Frequency of the reference in bins of equal width of the probability.

    Attributes:
        probability: (BINS,), mean probability of the bin's voxels; NaN where there is none.
        frequency: (BINS,), share of them in the reference; NaN where there is none.
        share: (BINS,), share of all voxels; sums to 1.
    """

    probability: FloatArray
    frequency: FloatArray
    share: FloatArray

    @property
    def expected_calibration_error(self) -> float:
        """Mean of |frequency - probability| over voxels, Naeini et al. 2015, AAAI 29, 2901."""
        has_voxels = self.share > 0
        return float((self.share * np.abs(self.frequency - self.probability))[has_voxels].sum())


def measure_reliability(
    observations: Sequence[Observation], temperatures_of: TemperaturesOf, *, doubtful_only: bool = False
) -> Reliability:
    """The reliability curve over the domain of all observations.

    Args:
        observations: At least one.
        temperatures_of: What to apply to which observation, so that held-out fits can be measured.
        doubtful_only: Only voxels whose probability lies within `DOUBTFUL`.
    """
    voxels, positive, summed = (np.zeros(BINS) for _ in range(3))
    for observation, weight in zip(observations, _weights(observations), strict=True):
        probability = np.append(probabilities(temperatures_of(observation)), 0.0)
        inside = np.append(observation.inside, observation.absent[0]) * weight
        both = inside + np.append(observation.outside, observation.absent[1]) * weight
        if doubtful_only:
            is_meant = (probability >= DOUBTFUL[0]) & (probability <= DOUBTFUL[1])
            probability, inside, both = probability[is_meant], inside[is_meant], both[is_meant]
        index = np.minimum((probability * BINS).astype(int), BINS - 1)
        voxels += np.bincount(index, both, BINS)
        positive += np.bincount(index, inside, BINS)
        summed += np.bincount(index, both * probability, BINS)
    with np.errstate(invalid="ignore"):
        return Reliability(summed / voxels, positive / voxels, voxels / voxels.sum())


def fit_temperatures(observations: Sequence[Observation], *, two_sided: bool) -> Temperatures:
    """The temperatures of the largest likelihood, Guo et al. 2017, ICML, PMLR 70, 1321.

    Voxels without a logit take no part. Where nothing lies on a side, its temperature is 1.

    Args:
        observations: At least one.
        two_sided: One temperature for either side of the mask's border, instead of one for both.
    """
    weights = _weights(observations)
    inside = weights @ np.array([observation.inside for observation in observations])
    outside = weights @ np.array([observation.outside for observation in observations])
    if not two_sided:
        both = _best(lambda t: _surprise(inside, outside, Temperatures(t, t)))
        return Temperatures(both, both)
    is_known = inside + outside > 0
    return Temperatures(
        _best(lambda t: _surprise(inside, outside, Temperatures(t, 1.0))) if is_known[CENTRES > 0].any() else 1.0,
        _best(lambda t: _surprise(inside, outside, Temperatures(1.0, t))) if is_known[CENTRES < 0].any() else 1.0,
    )


def mean_surprise(observations: Sequence[Observation], temperatures_of: TemperaturesOf) -> float:
    """Mean negative log-likelihood of the reference per voxel of the domain, in nats, over voxels with a logit."""
    total = 0.0
    for observation, weight in zip(observations, _weights(observations), strict=True):
        total += weight * _surprise(observation.inside, observation.outside, temperatures_of(observation))
    return total


def _surprise(inside: NDArray[np.number], outside: NDArray[np.number], temperatures: Temperatures) -> float:
    """Sum over counts (BINS,) of -ln sigmoid(z) = ln(1 + exp(-z)), and of ln(1 + exp(z)) for the complement."""
    scaled = _scaled(temperatures)
    return float(inside @ np.logaddexp(0.0, -scaled) + outside @ np.logaddexp(0.0, scaled))


def probabilities(temperatures: Temperatures) -> FloatArray:
    """Probability at the centre of each bin of logits."""
    return np.asarray(special.expit(_scaled(temperatures)))


def case_weights(observations: Sequence[Observation]) -> FloatArray:
    """(N,) weights that sum to 1: every case the same, and within a case every observation."""
    counts = Counter(observation.case for observation in observations)
    return np.array([1.0 / (len(counts) * counts[observation.case]) for observation in observations])


def _weights(observations: Sequence[Observation]) -> FloatArray:
    """Weights of single voxels."""
    voxels = np.array([observation.domain_voxels for observation in observations], dtype=np.float64)
    return np.asarray(case_weights(observations) / voxels)


def _scaled(temperatures: Temperatures) -> FloatArray:
    return np.asarray(CENTRES / np.where(CENTRES > 0, temperatures.inside, temperatures.outside))


def _best(loss: Callable[[float], float]) -> float:
    limits = np.log([LEAST_TEMPERATURE, LARGEST_TEMPERATURE])
    found = optimize.minimize_scalar(lambda log_t: loss(float(np.exp(log_t))), bounds=limits, method="bounded")
    return float(np.exp(found.x))
