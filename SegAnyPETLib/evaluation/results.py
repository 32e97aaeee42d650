"""The result of an evaluation: per case, as mean and median with bootstrap interval, and as JSON.

The JSON object (`to_json_object`), schema "seganypet-evaluation/2":

    schema      "seganypet-evaluation/2"
    about       what the caller adds: method, model, software, machine, peak memory
    protocol    clicks, first_click, cut_faces_mm, seed, jitter_mm, repeats, shift (null, or kind and amount)
    cases       list; per run (a case once per repeat)
      case        name
      repeat      0 for the first draw of the first click
      clicks      list; per click: click (1 for the first), kji, lps_mm, positive, is_obeyed, score, seconds and
                  the agreement after it: dice, surface_dice_4mm, surface_dice_2mm, hd95_mm, volume_ratio,
                  tlg_ratio, suv_mean_ratio
      auc         area under Dice over clicks 1 to 5 (at most 4)
      clicks_to_dice_080, clicks_to_dice_085    first click that reaches it, null where none does
      baselines   per baseline its agreement for the first click
      beside      per method that was given the same clicks its Dice after each of them, a list
      kept        start_kji and stop_kji of the part of the image that was used
    failures    list; per run that ended in an error, which is in no figure: case, repeat, error (its kind), message
    summary
      cases        number of cases with a result
      failed       number of runs that ended in an error
      after_click  per click number ("1" to "10"), per figure of the agreement and for the seconds: count, mean,
                   mean_interval, median, median_interval (95 % bootstrap over cases, 2,000 resamples; repeats of a
                   case are averaged first); null where no case has the figure
      baselines    per baseline the same figures
      beside       per method that was given the same clicks, per click number: dice, and lead, the evaluated method's
                   Dice less this one's, case by case; each with the same statistics
      auc          the same figures
      clicks_to_dice_080, clicks_to_dice_085    reached and failed (runs), mean_capped (a failure counts as
                  the protocol's number of clicks)
      share_of_clicks_lowering_dice    of all clicks but the first: Dice falls by more than 0.02
      share_of_clicks_obeyed           of all clicks
      seconds     first_click and next_click: median, percentile_95 (null where there is no next click)

A case whose mask is perfect before the last click keeps that agreement for the remaining clicks, and so do the methods
beside it, which then got fewer clicks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from SegAnyPETLib.errors import InputError
from SegAnyPETLib.evaluation.bootstrap import Estimate, compute_estimate
from SegAnyPETLib.evaluation.metrics import Agreement
from SegAnyPETLib.evaluation.protocol import CaseResult, EvaluationProtocol

SCHEMA = "seganypet-evaluation/2"
LOSS_OF_DICE = 0.02
DICE_TARGETS = {"clicks_to_dice_080": 0.80, "clicks_to_dice_085": 0.85}
FIGURES = tuple(field.name for field in fields(Agreement))


@dataclass(frozen=True)
class FailedCase:
    """A run of one case that ended in an error.

    Attributes:
        case: Name.
        repeat: 0 for the first draw of the first click.
        error: Kind of the error, the name of its class.
        message: What it said.
    """

    case: str
    repeat: int
    error: str
    message: str


@dataclass(frozen=True)
class EvaluationResult:
    """All cases of one run.

    Attributes:
        protocol: How the cases were treated.
        cases: At least one; a case once per repeat.
        failures: Runs without a result; they are in no figure.

    Raises:
        InputError: There is no case.
    """

    protocol: EvaluationProtocol
    cases: tuple[CaseResult, ...]
    failures: tuple[FailedCase, ...] = ()

    def __post_init__(self) -> None:
        if not self.cases:
            msg = "Expected the result of at least one case; found none."
            raise InputError(msg)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the cases with a result, each once, in order."""
        return tuple(dict.fromkeys(case.case for case in self.cases))

    def per_case(self, value_of: Callable[[CaseResult], float | None]) -> dict[str, float]:
        """One value per case, the mean over its repeats; without the cases that have none."""
        found: dict[str, list[float]] = {}
        for case in self.cases:
            value = value_of(case)
            if value is not None:
                found.setdefault(case.case, []).append(value)
        return {name: float(np.mean(values)) for name, values in found.items()}

    def estimate_after(self, click: int, figure: str) -> Estimate | None:
        """Mean and median of one figure of `Agreement` after a click; None where no case has it."""
        return self._estimate(lambda case: getattr(case.after(click), figure))

    def estimate_of_baseline(self, baseline: str, figure: str) -> Estimate | None:
        """Mean and median of one figure of `Agreement` for a baseline; None where no case has it."""
        return self._estimate(lambda case: getattr(case.baselines[baseline], figure))

    def estimate_beside(self, name: str, click: int) -> Estimate | None:
        """Mean and median of the Dice of a method that was given the same clicks."""
        return self._estimate(lambda case: case.dice_beside(name, click))

    def estimate_of_lead(self, name: str, click: int) -> Estimate | None:
        """Dice of the evaluated method less that of one beside it, paired by case."""
        return self._estimate(lambda case: case.after(click).dice - case.dice_beside(name, click))

    def estimate_of_auc(self) -> Estimate | None:
        """Mean and median of the area under Dice over clicks 1 to 5."""
        return self._estimate(lambda case: case.auc)

    def estimate_of_seconds(self, click: int) -> Estimate | None:
        """Mean and median of the seconds one click took; None where no case came that far."""
        return self._estimate(lambda case: case.clicks[click - 1].seconds if click <= len(case.clicks) else None)

    def share_of_clicks_lowering_dice(self) -> float | None:
        """Share of all clicks but the first that lower Dice by more than 0.02; None without such clicks."""
        steps = [
            after.agreement.dice - before.agreement.dice
            for case in self.cases
            for before, after in zip(case.clicks, case.clicks[1:], strict=False)
        ]
        return float(np.mean(np.asarray(steps) < -LOSS_OF_DICE)) if steps else None

    def share_of_clicks_obeyed(self) -> float:
        """Share of all clicks whose voxel is on the right side of the mask they led to."""
        return float(np.mean([click.is_obeyed for case in self.cases for click in case.clicks]))

    def seconds(self) -> dict[str, dict[str, float] | None]:
        """Median and 95th percentile of the seconds of first and of next clicks."""
        first = [case.clicks[0].seconds for case in self.cases]
        following = [click.seconds for case in self.cases for click in case.clicks[1:]]
        return {"first_click": _spread(first), "next_click": _spread(following)}

    def clicks_to(self, dice: float) -> dict[str, float | int]:
        """How many runs reach `dice`, how many never do, and the mean number of clicks with failures capped."""
        needed = [case.clicks_to(dice) for case in self.cases]
        capped = [self.protocol.clicks if count is None else count for count in needed]
        failed = needed.count(None)
        return {"reached": len(needed) - failed, "failed": failed, "mean_capped": float(np.mean(capped))}

    def to_json_object(self, *, about: Mapping[str, Any]) -> dict[str, Any]:
        """The documented JSON object (see this module).

        Args:
            about: What the caller knows of model, software and machine; written as it is.
        """
        return {
            "schema": SCHEMA,
            "about": dict(about),
            "protocol": asdict(self.protocol),
            "cases": [_case_object(case) for case in self.cases],
            "failures": [asdict(failure) for failure in self.failures],
            "summary": self._summary(),
        }

    def _summary(self) -> dict[str, Any]:
        clicks = range(1, self.protocol.clicks + 1)
        return {
            "cases": len(self.names),
            "failed": len(self.failures),
            "after_click": {
                str(click): {figure: _optional(self.estimate_after(click, figure)) for figure in FIGURES}
                | {"seconds": _optional(self.estimate_of_seconds(click))}
                for click in clicks
            },
            "baselines": {
                name: {figure: _optional(self.estimate_of_baseline(name, figure)) for figure in FIGURES}
                for name in self.cases[0].baselines
            },
            "beside": {
                name: {
                    str(click): {
                        "dice": _optional(self.estimate_beside(name, click)),
                        "lead": _optional(self.estimate_of_lead(name, click)),
                    }
                    for click in clicks
                }
                for name in self.cases[0].beside
            },
            "auc": _optional(self.estimate_of_auc()),
            **{name: self.clicks_to(dice) for name, dice in DICE_TARGETS.items()},
            "share_of_clicks_lowering_dice": self.share_of_clicks_lowering_dice(),
            "share_of_clicks_obeyed": self.share_of_clicks_obeyed(),
            "seconds": self.seconds(),
        }

    def _estimate(self, value_of: Callable[[CaseResult], float | None]) -> Estimate | None:
        values = list(self.per_case(value_of).values())
        return compute_estimate(values, seed=self.protocol.seed) if values else None


def _case_object(case: CaseResult) -> dict[str, Any]:
    clicks = []
    for click in case.clicks:
        flat = asdict(click)
        clicks.append(flat | flat.pop("agreement"))
    return {
        "case": case.case,
        "repeat": case.repeat,
        "clicks": clicks,
        "auc": case.auc,
        **{name: case.clicks_to(dice) for name, dice in DICE_TARGETS.items()},
        "baselines": {name: asdict(agreement) for name, agreement in case.baselines.items()},
        "beside": {name: list(dice) for name, dice in case.beside.items()},
        "kept": asdict(case.kept),
    }


def _optional(estimate: Estimate | None) -> dict[str, Any] | None:
    return None if estimate is None else asdict(estimate)


def _spread(seconds: Sequence[float]) -> dict[str, float] | None:
    if not seconds:
        return None
    return {"median": float(np.median(seconds)), "percentile_95": float(np.percentile(seconds, 95))}
