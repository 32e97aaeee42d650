"""The volume's interval: conformalized, so that it holds the true volume in a stated share of new cases.

It starts from the volumes of high and of low probability and moves both ends by one factor, as in conformalized
quantile regression (Romano, Patterson, Candes 2019, NeurIPS 32), here in the logarithm of the volume. The factor is
the smallest that reaches the coverage over the calibration cases and one more, unknown, that misses (split-conformal
prediction: Vovk, Gammerman, Shafer 2005, Algorithmic Learning in a Random World; Lei et al. 2018, JASA 113, 1094).
Several clicks of one case are not exchangeable with those of another: each case weighs the same, however many it has
(Lee, Barber, Willett 2023, arXiv:2306.06342).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from SegAnyPETLib.calibration.observation import CENTRES, Observation
from SegAnyPETLib.calibration.reliability import case_weights
from SegAnyPETLib.session.confidence import Temperatures

LEVELS = (0.45, 0.35, 0.25, 0.15, 0.05)


def volumes_at(observation: Observation, temperatures: Temperatures, *, level: float) -> tuple[float, float]:
    """Volumes near the mask with a probability of at least 1 - level and of at least level; one voxel at least, in ml.

    Counts as `session.confidence.volume_bounds_ml` does, up to the width of a bin.
    """
    limits = (temperatures.logit_of(1.0 - level), temperatures.logit_of(level))
    low, high = (max(1, int(observation.near[limit <= CENTRES].sum())) * observation.voxel_ml for limit in limits)
    return low, high


def conformity_score(observation: Observation, temperatures: Temperatures, *, level: float) -> float:
    """The least margin, in ln of volume, with which the interval holds the true volume; negative if it easily does."""
    low, high = np.log(volumes_at(observation, temperatures, level=level))
    truth = float(np.log(observation.reference_ml))
    return float(max(low - truth, truth - high))


def conformal_margin(observations: Sequence[Observation], scores: Sequence[float], *, coverage: float) -> float:
    """The smallest margin for which cases, and an unknown one that misses, are covered to `coverage`.

    Args:
        observations: Say which case each score is of.
        scores: From `conformity_score`.
        coverage: Share of cases, for example 0.9.

    Returns:
        The largest score where the cases are too few for `coverage` (fewer than 9 for 0.9).
    """
    values: NDArray[np.float64] = np.asarray(scores, dtype=np.float64)
    cases = len({observation.case for observation in observations})
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(case_weights(observations)[order]) * cases / (cases + 1)
    enough = np.flatnonzero(reached >= coverage - 1e-9)
    return float(values[order[enough[0]]] if enough.size else values[order[-1]])
