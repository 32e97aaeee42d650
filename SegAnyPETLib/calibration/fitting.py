"""From observations to a `Calibration`: each choice is made, and each figure measured, on cases left out of the fit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from SegAnyPETLib.calibration.expected_dice import fit_score
from SegAnyPETLib.calibration.interval import LEVELS, conformal_margin, conformity_score, volumes_at
from SegAnyPETLib.calibration.observation import Observation
from SegAnyPETLib.calibration.reliability import case_weights, fit_temperatures, mean_surprise
from SegAnyPETLib.errors import InputError
from SegAnyPETLib.model.calibration import Calibration, PromptCalibration
from SegAnyPETLib.session.confidence import Temperatures

FIRST_PROMPTS = (1, 2, 3, 5)  # what a click can still change falls with their number; 1, 2, 3 to 4, 5 and more
SCORE_CANDIDATES: tuple[tuple[str, ...], ...] = (
    ("sharpness",),
    ("sharpness", "prompts"),
    ("sharpness", "prompts", "volume"),
)


@dataclass(frozen=True)
class Choices:
    """What is chosen by leaving one fold out after the other.

    Attributes:
        two_sided: One temperature for either side of the mask's border.
        features: Of the score (see `expected_dice.FEATURES`).
        level: Where the volume interval starts (see `Calibration.interval_level`).
    """

    two_sided: bool = False
    features: tuple[str, ...] = ("sharpness",)
    level: float = 0.25


@dataclass(frozen=True)
class HeldOut:
    """One observation under a calibration that was fitted without its fold.

    Attributes:
        observation: What was seen.
        temperatures: Of the probability.
        score: Expected Dice.
        interval_ml: Of the volume; None for an empty mask.
    """

    observation: Observation
    temperatures: Temperatures
    score: float
    interval_ml: tuple[float, float] | None

    @property
    def is_covered(self) -> bool:
        """The interval holds the true volume; an empty mask has no interval and covers nothing."""
        if self.interval_ml is None:
            return False
        low, high = self.interval_ml
        return low <= self.observation.reference_ml <= high


def choose(observations: Sequence[Observation], *, coverage: float) -> tuple[Choices, dict[str, dict[str, float]]]:
    """The choices that do best on left-out folds, and the figure each candidate got.

    Probability by negative log-likelihood, score by mean absolute error, and the interval by its mean width in ln of
    volume (the margin sees to the coverage of each candidate).
    """
    tried: dict[str, dict[str, float]] = {"surprise_nats": {}, "score_error": {}, "interval_width": {}}
    best = Choices()
    surprise = tried["surprise_nats"]
    for two_sided in (False, True):
        held_out = leave_folds_out(observations, replace(best, two_sided=two_sided), coverage=coverage)
        of = {id(one.observation): one.temperatures for one in held_out}
        name = "two temperatures" if two_sided else "one temperature"
        surprise[name] = mean_surprise([one.observation for one in held_out], lambda o, of=of: of[id(o)])  # type: ignore[misc]  # mypy does not infer defaults of lambdas
    best = replace(best, two_sided=surprise["two temperatures"] < surprise["one temperature"])
    errors = tried["score_error"]
    for features in SCORE_CANDIDATES:
        held_out = leave_folds_out(observations, replace(best, features=features), coverage=coverage)
        gaps = np.abs([one.score - one.observation.dice for one in held_out])
        errors[" + ".join(features)] = float(case_weights([one.observation for one in held_out]) @ gaps)
    best = replace(best, features=tuple(min(errors, key=lambda name: errors[name]).split(" + ")))
    widths = tried["interval_width"]
    for level in LEVELS:
        widths[str(level)] = mean_width(leave_folds_out(observations, replace(best, level=level), coverage=coverage))
    return replace(best, level=float(min(widths, key=lambda name: widths[name]))), tried


def leave_folds_out(observations: Sequence[Observation], choices: Choices, *, coverage: float) -> list[HeldOut]:
    """Fit without each fold in turn and apply the fit to it.

    Raises:
        InputError: All cases are of one fold.
    """
    folds = sorted({observation.fold for observation in observations})
    if len(folds) < 2:
        msg = f"Expected cases of at least two folds to calibrate on; found {len(folds)}. Give more cases."
        raise InputError(msg)
    held_out: list[HeldOut] = []
    for fold in folds:
        rest = [observation for observation in observations if observation.fold != fold]
        calibration = fit_calibration(rest, choices, coverage=coverage, conditions="")
        held_out += [_applied(calibration, one) for one in observations if one.fold == fold]
    return held_out


def fit_calibration(
    observations: Sequence[Observation], choices: Choices, *, coverage: float, conditions: str
) -> Calibration:
    """Fit everything on all observations.

    Args:
        observations: With at least one after a first click.
        choices: From `choose`.
        coverage: Share of cases whose true volume the interval shall hold.
        conditions: Cases and protocol in words, kept with the calibration.

    Raises:
        InputError: Every mask after some number of clicks is empty.
    """
    entries = []
    for start, group in _groups(observations):
        temperatures = fit_temperatures(group, two_sided=choices.two_sided)
        with_mask = [observation for observation in group if observation.mask_voxels]
        if not with_mask:
            msg = f"Expected a mask after {start} clicks in at least one case; found none. Use another model or cases."
            raise InputError(msg)
        scores = [conformity_score(observation, temperatures, level=choices.level) for observation in with_mask]
        margin = conformal_margin(with_mask, scores, coverage=coverage)
        entries.append(PromptCalibration(start, temperatures.inside, temperatures.outside, margin))
    score = fit_score(observations, features=choices.features)
    return Calibration(tuple(entries), score, choices.level, coverage, conditions)


def mean_width(held_out: Sequence[HeldOut]) -> float:
    """Mean ln of upper over lower end of the intervals; each case weighs the same."""
    known = [(one.observation, one.interval_ml) for one in held_out if one.interval_ml is not None]
    widths: NDArray[np.float64] = np.log([high / low for _, (low, high) in known])
    return float(case_weights([observation for observation, _ in known]) @ widths)


def _groups(observations: Sequence[Observation]) -> Iterator[tuple[int, list[Observation]]]:
    """The observations of each group of clicks that occurs."""
    for start, end in pairwise((*FIRST_PROMPTS, None)):
        group = [o for o in observations if o.click >= (start or 1) and (end is None or o.click < end)]
        if start is not None and group:
            yield start, group


def _applied(calibration: Calibration, observation: Observation) -> HeldOut:
    entry = calibration.after(observation.click)
    temperatures = Temperatures(entry.temperature_inside, entry.temperature_outside)
    score = calibration.score.expected_dice(
        observation.soft_dice, prompts=observation.click, volume_ml=observation.mask_ml
    )
    if not observation.mask_voxels:
        return HeldOut(observation, temperatures, score, None)
    low, high = volumes_at(observation, temperatures, level=calibration.interval_level)
    factor = float(np.exp(entry.volume_margin))
    interval = min(low / factor, observation.mask_ml), max(high * factor, observation.mask_ml)
    return HeldOut(observation, temperatures, score, interval)
