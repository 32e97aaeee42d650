"""The score: a fractional logit model of Dice, and how well it does on cases it was not fitted to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from SegAnyPETLib.calibration.observation import Observation
from SegAnyPETLib.calibration.reliability import case_weights
from SegAnyPETLib.model.calibration import ScoreMap, score_features

FEATURES = ("intercept", "sharpness", "prompts", "volume")  # in the order of `score_features`
RIDGE = 1e-3  # keeps weights finite where cases are few; small against the spread of 30 cases
BINS = 10


def fit_score(observations: Sequence[Observation], *, features: Sequence[str]) -> ScoreMap:
    """The weights of the largest quasi-likelihood (Papke and Wooldridge 1996, J. Appl. Econometrics 11, 619).

    Args:
        observations: Those with an empty mask take no part: their score is 0.
        features: Names out of `FEATURES` that may have a weight other than 0; the intercept always has.
    """
    used = [observation for observation in observations if observation.mask_voxels]
    table = np.array([feature_row(observation) for observation in used])
    dice, weights = np.array([observation.dice for observation in used]), case_weights(used)
    free = [name == "intercept" or name in features for name in FEATURES]

    def loss(theta: NDArray[np.float64]) -> float:
        total = table @ theta
        surprise = np.logaddexp(0.0, total) - dice * total
        return float(weights @ surprise + RIDGE * np.square(theta[1:]).sum())

    limits = [
        (None, None) if name != "sharpness" and is_free else (0.0, None if is_free else 0.0)
        for name, is_free in zip(FEATURES, free, strict=True)
    ]
    found = optimize.minimize(loss, np.zeros(len(FEATURES)), bounds=limits, method="L-BFGS-B")
    return ScoreMap(**dict(zip(FEATURES, (float(value) for value in found.x), strict=True)))


def feature_row(observation: Observation) -> tuple[float, float, float, float]:
    """The features of one mask."""
    return score_features(observation.soft_dice, prompts=observation.click, volume_ml=observation.mask_ml)


def describe_scores(observations: Sequence[Observation], scores: Sequence[float]) -> dict[str, float | None]:
    """Mean absolute error, correlations and calibration error of scores against true Dice; each case weighs the same.

    The calibration error is that of `reliability`, over ten equal bins of the score: |mean Dice - mean score|.
    A correlation is None where one side does not vary.
    """
    found, dice, weights = np.array(scores), np.array([o.dice for o in observations]), case_weights(observations)
    index = np.minimum((found * BINS).astype(int), BINS - 1)
    gaps = np.abs(np.bincount(index, weights * (dice - found), BINS))
    varies = np.ptp(found) > 0 and np.ptp(dice) > 0
    return {
        "mean_absolute_error": float(weights @ np.abs(dice - found)),
        "bias": float(weights @ (found - dice)),
        "expected_calibration_error": float(gaps.sum()),
        "pearson": float(stats.pearsonr(found, dice).statistic) if varies else None,
        "spearman": float(stats.spearmanr(found, dice).statistic) if varies else None,
    }
