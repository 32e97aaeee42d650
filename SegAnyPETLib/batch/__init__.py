"""Whole studies with nobody watching: find them, prompt them, segment them, write what a hospital reads.

The names load on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from SegAnyPETLib.batch.journal import Journal
    from SegAnyPETLib.batch.outcome import StudyOutcome
    from SegAnyPETLib.batch.runner import RunProgress, RunSummary, run_batch
    from SegAnyPETLib.batch.settings import BatchSettings
    from SegAnyPETLib.batch.study import FoundStudy, SeriesFiles
    from SegAnyPETLib.batch.study_run import run_study

_HOMES = {
    "BatchSettings": "settings",
    "FoundStudy": "study",
    "Journal": "journal",
    "RunProgress": "runner",
    "RunSummary": "runner",
    "SeriesFiles": "study",
    "StudyOutcome": "outcome",
    "run_batch": "runner",
    "run_study": "study_run",
}

__all__ = [
    "BatchSettings",
    "FoundStudy",
    "Journal",
    "RunProgress",
    "RunSummary",
    "SeriesFiles",
    "StudyOutcome",
    "run_batch",
    "run_study",
]


def __getattr__(name: str) -> Any:  # a module attribute may be anything
    if name not in _HOMES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
