"""What a calibration is worth, as JSON: measured on cases left out of each fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import pairwise
from typing import Any

import numpy as np

from SegAnyPETLib.calibration.expected_dice import describe_scores
from SegAnyPETLib.calibration.fitting import FIRST_PROMPTS, HeldOut, mean_width
from SegAnyPETLib.calibration.reliability import Reliability, case_weights, measure_reliability
from SegAnyPETLib.model.calibration import Calibration
from SegAnyPETLib.session.confidence import Temperatures

SCHEMA = "seganypet-calibration/1"


def describe_calibration(
    calibration: Calibration,
    held_out: Sequence[HeldOut],
    *,
    tried: Mapping[str, Mapping[str, float]],
    about: Mapping[str, Any],
) -> dict[str, Any]:
    """The report: `calibration` fitted on all cases; every figure from fits without the case's fold.

    `probability` has the curve and its errors before and after, over the box of mask and reference grown by 20 mm,
    and over its doubtful voxels (0.05 to 0.95) alone. `score` compares the expected Dice with the uncalibrated soft
    Dice and with the mean Dice said of every mask. `volume_interval` has the share of cases it held, and its width as
    upper over lower end, by clicks. `choices` are the candidates' figures; the best of each was taken, which makes the
    figures here a little better than on new cases.
    """
    observations = [one.observation for one in held_out]
    return {
        "schema": SCHEMA,
        "calibration": asdict(calibration),
        "cases": len({observation.case for observation in observations}),
        "masks": len(observations),
        "probability": _probability(held_out),
        "score": _score(held_out),
        "volume_interval": _intervals(held_out),
        "choices": {name: dict(figures) for name, figures in tried.items()},
        "masks_held_out": [_line(one) for one in held_out],
        "about": dict(about),
    }


def curves(held_out: Sequence[HeldOut], *, doubtful_only: bool = False) -> tuple[Reliability, Reliability]:
    """The reliability before calibration and, held out, after."""
    observations = [one.observation for one in held_out]
    fitted = {id(one.observation): one.temperatures for one in held_out}
    return (
        measure_reliability(observations, lambda _: Temperatures(), doubtful_only=doubtful_only),
        measure_reliability(observations, lambda one: fitted[id(one)], doubtful_only=doubtful_only),
    )


def _probability(held_out: Sequence[HeldOut]) -> dict[str, Any]:
    before, after = curves(held_out)
    doubtful_before, doubtful_after = curves(held_out, doubtful_only=True)
    return {
        "expected_calibration_error": {
            "before": before.expected_calibration_error,
            "after": after.expected_calibration_error,
            "doubtful_before": doubtful_before.expected_calibration_error,
            "doubtful_after": doubtful_after.expected_calibration_error,
        },
        "curve_before": _curve(before),
        "curve_after": _curve(after),
    }


def _curve(reliability: Reliability) -> list[dict[str, float]]:
    """The bins that hold voxels."""
    columns = zip(reliability.probability, reliability.frequency, reliability.share, strict=True)
    return [
        {"probability": float(probability), "frequency": float(frequency), "share": float(share)}
        for probability, frequency, share in columns
        if share > 0
    ]


def _score(held_out: Sequence[HeldOut]) -> dict[str, Any]:
    observations = [one.observation for one in held_out]
    mean = float(case_weights(observations) @ [observation.dice for observation in observations])
    return {
        "expected_dice": describe_scores(observations, [one.score for one in held_out]),
        "soft_dice": describe_scores(observations, [observation.soft_dice for observation in observations]),
        "mean_of_all": describe_scores(observations, [mean] * len(observations)),
    }


def _intervals(held_out: Sequence[HeldOut]) -> dict[str, Any]:
    groups = {"all": list(held_out)}
    for start, end in pairwise((*FIRST_PROMPTS, 10**9)):
        members = [one for one in held_out if start <= one.observation.click < end]
        if members:
            groups[f"from_{start}_clicks"] = members
    return {name: _interval(members) for name, members in groups.items()}


def _interval(members: Sequence[HeldOut]) -> dict[str, float | None]:
    ratios = [one.interval_ml[1] / one.interval_ml[0] for one in members if one.interval_ml is not None]
    covered = [float(one.is_covered) for one in members]
    return {
        "covered": float(case_weights([one.observation for one in members]) @ covered),
        "median_upper_over_lower": float(np.median(ratios)) if ratios else None,
        "geometric_mean_upper_over_lower": float(np.exp(mean_width(members))) if ratios else None,
    }


def _line(one: HeldOut) -> dict[str, Any]:
    return {
        "case": one.observation.case,
        "click": one.observation.click,
        "dice": one.observation.dice,
        "expected_dice": one.score,
        "reference_ml": one.observation.reference_ml,
        "volume_ml": one.observation.mask_ml,
        "volume_interval_ml": one.interval_ml,
    }
