"""What was measured about a model's confidence, kept with its registry entry; this file loads no torch.

Three corrections, each for a number of prompts: of the probability, of the score, and the margin of the volume
interval. They hold for the weights and the kind of cases they were fitted on; `seganypet calibrate` fits them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from SegAnyPETLib.errors import ModelError

LEAST_ML = 1e-3  # an empty volume has no logarithm


@dataclass(frozen=True, slots=True)
class ScoreMap:
    """Expected Dice of a mask: 1 / (1 + exp(-s)), s a weighted sum.

    A fractional logit model, Papke and Wooldridge 1996, J. Appl. Econometrics 11, 619.

    Attributes:
        intercept: Constant term.
        sharpness: Weight of the logit of the uncalibrated soft Dice; not negative, so a sharper mask scores higher.
        prompts: Weight of the natural logarithm of the number of prompts.
        volume: Weight of the natural logarithm of the mask's volume in ml.
    """

    intercept: float
    sharpness: float
    prompts: float = 0.0
    volume: float = 0.0

    def __post_init__(self) -> None:
        _require(self.sharpness >= 0, "sharpness", "not negative", self.sharpness)

    def expected_dice(self, soft_dice: float, *, prompts: int, volume_ml: float) -> float:
        """Expected Dice, 0 to 1; 0 for an empty mask."""
        if volume_ml <= 0:
            return 0.0
        features = score_features(soft_dice, prompts=prompts, volume_ml=volume_ml)
        weights = (self.intercept, self.sharpness, self.prompts, self.volume)
        total = sum(weight * feature for weight, feature in zip(weights, features, strict=True))
        return 1.0 / (1.0 + math.exp(-min(max(total, -30.0), 30.0)))


@dataclass(frozen=True, slots=True)
class PromptCalibration:
    """The corrections from a number of prompts on.

    Probability: sigmoid(logit / temperature), Guo et al. 2017, ICML, PMLR 70, 1321; one temperature on either side
    of the mask's border, where the probability stays one half, so the mask stays the same.

    Attributes:
        from_prompts: The smallest number of prompts they are for.
        temperature_inside: Divides logits of at least zero.
        temperature_outside: Divides logits below zero.
        volume_margin: Both ends of the volume interval are moved outwards by this factor's natural logarithm; it may
            be negative where the probabilities alone give an interval that is too wide.
    """

    from_prompts: int
    temperature_inside: float
    temperature_outside: float
    volume_margin: float

    def __post_init__(self) -> None:
        _require(self.from_prompts >= 1, "from_prompts", "at least 1", self.from_prompts)
        for name in ("temperature_inside", "temperature_outside"):
            _require(0 < getattr(self, name) < math.inf, name, "positive", getattr(self, name))
        _require(math.isfinite(self.volume_margin), "volume_margin", "finite", self.volume_margin)


@dataclass(frozen=True, slots=True)
class Calibration:
    """Everything that was fitted for one model.

    Attributes:
        prompts: By number of prompts, ascending; the first from 1 on.
        score: Makes the expected Dice.
        interval_level: Probability a; the volume interval starts from the volumes with at least 1 - a and at least a.
        coverage: Share of cases whose true volume the interval was made to hold, for example 0.9.
        conditions: The cases and the protocol in words.
    """

    prompts: tuple[PromptCalibration, ...]
    score: ScoreMap
    interval_level: float
    coverage: float
    conditions: str

    def __post_init__(self) -> None:
        starts = [entry.from_prompts for entry in self.prompts]
        _require(starts[:1] == [1] and all(a < b for a, b in pairwise(starts)), "prompts", "ascending from 1", starts)
        _require(0 < self.interval_level <= 0.5, "interval_level", "above 0 and at most 0.5", self.interval_level)
        _require(0 < self.coverage < 1, "coverage", "between 0 and 1", self.coverage)

    def after(self, prompts: int) -> PromptCalibration:
        """The corrections after that many prompts (1 or more)."""
        return max(
            (entry for entry in self.prompts if entry.from_prompts <= max(1, prompts)), key=lambda e: e.from_prompts
        )

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Calibration:
        """Build from the object `seganypet calibrate` writes.

        Raises:
            ModelError: A field is missing, unknown or out of its range.
        """
        try:
            fields = dict(entry)
            prompts = tuple(PromptCalibration(**one) for one in fields.pop("prompts"))
            return cls(prompts=prompts, score=ScoreMap(**fields.pop("score")), **fields)
        except (TypeError, KeyError, AttributeError) as error:
            message = f"Expected the fields of a calibration, found {sorted(entry)}: {error}"
            raise ModelError(message) from error


def score_features(soft_dice: float, *, prompts: int, volume_ml: float) -> tuple[float, float, float, float]:
    """What a `ScoreMap` weighs: 1, the logit of soft Dice, ln of prompts, ln of volume in ml."""
    inner = min(max(soft_dice, 1e-3), 1.0 - 1e-3)
    return 1.0, math.log(inner / (1.0 - inner)), math.log(max(1, prompts)), math.log(max(volume_ml, LEAST_ML))


def _require(fits: bool, name: str, expected: str, found: object) -> None:
    if not fits:
        message = f"Expected {name} of a calibration to be {expected}, found {found!r}."
        raise ModelError(message)
