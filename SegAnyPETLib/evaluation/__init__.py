"""How good a promptable method is: simulated clicks on cases with a reference, metrics, baselines, intervals.

Public names are in `__all__`; the JSON they are written as is described in `results`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from SegAnyPETLib.evaluation.bootstrap import Estimate, compute_estimate
    from SegAnyPETLib.evaluation.cases import Case, cut_faces, find_cases, read_case
    from SegAnyPETLib.evaluation.classical import classical_methods
    from SegAnyPETLib.evaluation.methods import ClickedMethod, SessionMethod
    from SegAnyPETLib.evaluation.metrics import Agreement, compute_agreement, compute_dice, compute_surface_distances
    from SegAnyPETLib.evaluation.protocol import CaseResult, ClickResult, EvaluationProtocol, evaluate_case
    from SegAnyPETLib.evaluation.results import EvaluationResult, FailedCase
    from SegAnyPETLib.evaluation.robustness import RobustnessResult, robustness_protocols
    from SegAnyPETLib.evaluation.shifts import Shift

_HOMES = {
    "Agreement": "metrics",
    "Case": "cases",
    "CaseResult": "protocol",
    "ClickResult": "protocol",
    "ClickedMethod": "methods",
    "Estimate": "bootstrap",
    "EvaluationProtocol": "protocol",
    "EvaluationResult": "results",
    "FailedCase": "results",
    "RobustnessResult": "robustness",
    "SessionMethod": "methods",
    "Shift": "shifts",
    "classical_methods": "classical",
    "compute_agreement": "metrics",
    "compute_dice": "metrics",
    "compute_estimate": "bootstrap",
    "compute_surface_distances": "metrics",
    "cut_faces": "cases",
    "evaluate_case": "protocol",
    "find_cases": "cases",
    "read_case": "cases",
    "robustness_protocols": "robustness",
}

__all__ = [
    "Agreement",
    "Case",
    "CaseResult",
    "ClickResult",
    "ClickedMethod",
    "Estimate",
    "EvaluationProtocol",
    "EvaluationResult",
    "FailedCase",
    "RobustnessResult",
    "SessionMethod",
    "Shift",
    "classical_methods",
    "compute_agreement",
    "compute_dice",
    "compute_estimate",
    "compute_surface_distances",
    "cut_faces",
    "evaluate_case",
    "find_cases",
    "read_case",
    "robustness_protocols",
]


def __getattr__(name: str) -> Any:
    """Load the part that holds `name` only when it is asked for."""
    if name not in _HOMES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
