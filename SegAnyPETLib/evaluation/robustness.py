"""How much a result loses when users click elsewhere or another scanner made the image.

The JSON object (`to_json_object`), schema "seganypet-robustness/1":

    schema      "seganypet-robustness/1"
    about       what the caller adds: method, model, software, machine, peak memory
    standard    the protocol of the standard run
    after_click "1" and "5" (the last click where there are fewer); per variation, "standard" among them:
                dice, and change, its Dice less that of the standard run, case by case (null for the standard itself);
                each with count, mean, mean_interval, median, median_interval as in an evaluation
    failures    per variation the number of runs that ended in an error
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from SegAnyPETLib.errors import InputError
from SegAnyPETLib.evaluation.bootstrap import Estimate, compute_estimate
from SegAnyPETLib.evaluation.protocol import EvaluationProtocol
from SegAnyPETLib.evaluation.results import EvaluationResult
from SegAnyPETLib.evaluation.shifts import Shift

SCHEMA = "seganypet-robustness/1"
STANDARD = "standard"
SHOWN_CLICKS = (1, 5)
SHIFTS = ("blur:5", "noise:0.15", "voxel:2", "voxel:6", "suv:0.8", "suv:1.25")


def robustness_protocols(standard: EvaluationProtocol, *, repeats: int = 5) -> dict[str, EvaluationProtocol]:
    """The standard run, every other first click and every shift, by name; the standard is first.

    Args:
        standard: With the deepest voxel as first click and without a shift.
        repeats: Of every first click that is drawn.

    Raises:
        InputError: `standard` is not standard.
    """
    if standard.first_click != "deepest" or standard.shift is not None:
        msg = f"Expected a standard run, from the deepest voxel and without a shift, to vary; found {standard}."
        raise InputError(msg)
    drawn = replace(standard, first_click="random", repeats=repeats)
    return {
        STANDARD: standard,
        "first click random": drawn,
        "first click hottest": replace(standard, first_click="hottest"),
        "first click jittered by 5 mm": replace(drawn, first_click="jittered", jitter_mm=5.0),
        "first click jittered by 10 mm": replace(drawn, first_click="jittered", jitter_mm=10.0),
        "first click one voxel outside": replace(drawn, first_click="outside"),
        **{f"shift {text}": replace(standard, shift=Shift.parse(text)) for text in SHIFTS},
    }


@dataclass(frozen=True)
class RobustnessResult:
    """The results of `robustness_protocols`, by name.

    Attributes:
        runs: With the standard run among them.

    Raises:
        InputError: The standard run is missing.
    """

    runs: dict[str, EvaluationResult]

    def __post_init__(self) -> None:
        if STANDARD not in self.runs:
            msg = f"Expected a run named {STANDARD!r} to compare with; found {', '.join(self.runs) or 'none'}."
            raise InputError(msg)

    @property
    def shown_clicks(self) -> tuple[int, ...]:
        """After which clicks the runs are compared."""
        last = self.runs[STANDARD].protocol.clicks
        return tuple(dict.fromkeys(min(click, last) for click in SHOWN_CLICKS))

    def change(self, name: str, click: int) -> Estimate | None:
        """Dice of a run less that of the standard run, over the cases that both have; None where they share none."""
        here, standard = (self.runs[run].per_case(lambda case: case.after(click).dice) for run in (name, STANDARD))
        changes = [dice - standard[case] for case, dice in here.items() if case in standard]
        return compute_estimate(changes, seed=self.runs[STANDARD].protocol.seed) if changes else None

    def to_json_object(self, *, about: Mapping[str, Any]) -> dict[str, Any]:
        """The documented JSON object (see this module); `about` is written as it is."""
        return {
            "schema": SCHEMA,
            "about": dict(about),
            "standard": asdict(self.runs[STANDARD].protocol),
            "after_click": {
                str(click): {
                    name: {
                        "dice": _optional(run.estimate_after(click, "dice")),
                        "change": None if name == STANDARD else _optional(self.change(name, click)),
                    }
                    for name, run in self.runs.items()
                }
                for click in self.shown_clicks
            },
            "failures": {name: len(run.failures) for name, run in self.runs.items()},
        }


def _optional(estimate: Estimate | None) -> dict[str, Any] | None:
    return None if estimate is None else asdict(estimate)
