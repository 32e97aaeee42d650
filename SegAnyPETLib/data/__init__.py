"""PET series, volume files and masks: read, check, write.

The names load on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from SegAnyPETLib.data.pet_header import PETHeader, SliceHeader
    from SegAnyPETLib.data.pet_series import PETSeries, list_pet_series, read_pet_series
    from SegAnyPETLib.data.series_choice import SeriesSummary
    from SegAnyPETLib.data.volume_file import read_volume_file

_HOMES = {
    "PETHeader": "pet_header",
    "PETSeries": "pet_series",
    "SeriesSummary": "series_choice",
    "SliceHeader": "pet_header",
    "list_pet_series": "pet_series",
    "read_pet_series": "pet_series",
    "read_volume_file": "volume_file",
}

__all__ = [
    "PETHeader",
    "PETSeries",
    "SeriesSummary",
    "SliceHeader",
    "list_pet_series",
    "read_pet_series",
    "read_volume_file",
]


def __getattr__(name: str) -> Any:  # a module attribute may be anything
    if name not in _HOMES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
