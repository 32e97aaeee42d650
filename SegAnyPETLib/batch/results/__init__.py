"""What is left of a study when it is done: its folder of results, and the tables over all studies.

The names load on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from SegAnyPETLib.batch.results.stored_lesions import load_lesions
    from SegAnyPETLib.batch.results.study_folder import is_complete, read_study_json, repair_study_folder
    from SegAnyPETLib.batch.results.study_writing import replace_lesions, write_study
    from SegAnyPETLib.batch.results.tables import write_tables

_HOMES = {
    "is_complete": "study_folder",
    "load_lesions": "stored_lesions",
    "read_study_json": "study_folder",
    "repair_study_folder": "study_folder",
    "replace_lesions": "study_writing",
    "write_study": "study_writing",
    "write_tables": "tables",
}

__all__ = [
    "is_complete",
    "load_lesions",
    "read_study_json",
    "repair_study_folder",
    "replace_lesions",
    "write_study",
    "write_tables",
]


def __getattr__(name: str) -> Any:  # a module attribute may be anything
    if name not in _HOMES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
