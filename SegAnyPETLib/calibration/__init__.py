"""Fits what makes a model's confidence mean something: calibrated probability, expected Dice, volume interval.

Public names: `Observation`, `observe_case`, `choose`, `fit_calibration`, `leave_folds_out`, `describe_calibration` and
`write_reliability_figure`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from SegAnyPETLib.calibration.figure import write_reliability_figure
    from SegAnyPETLib.calibration.fitting import choose, fit_calibration, leave_folds_out
    from SegAnyPETLib.calibration.observation import Observation, observe_case
    from SegAnyPETLib.calibration.report import describe_calibration

_HOMES = {
    "Observation": "observation",
    "choose": "fitting",
    "describe_calibration": "report",
    "fit_calibration": "fitting",
    "leave_folds_out": "fitting",
    "observe_case": "observation",
    "write_reliability_figure": "figure",
}

__all__ = [
    "Observation",
    "choose",
    "describe_calibration",
    "fit_calibration",
    "leave_folds_out",
    "observe_case",
    "write_reliability_figure",
]


def __getattr__(name: str) -> Any:
    """Load the part that holds `name` only when it is asked for."""
    if name not in _HOMES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
