"""Standardized uptake values: decay, units, factors, the SUV volume and its measures.

The names load on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from SegAnyPETLib.suv.image_file import read_suv_image
    from SegAnyPETLib.suv.measures import LesionMeasures, compute_measures
    from SegAnyPETLib.suv.stated import StatedValues
    from SegAnyPETLib.suv.volume import SUVKind, SUVProvenance, SUVVolume, compute_suv

_HOMES = {
    "LesionMeasures": "measures",
    "SUVKind": "volume",
    "SUVProvenance": "volume",
    "SUVVolume": "volume",
    "StatedValues": "stated",
    "compute_measures": "measures",
    "compute_suv": "volume",
    "read_suv_image": "image_file",
}

__all__ = [
    "LesionMeasures",
    "SUVKind",
    "SUVProvenance",
    "SUVVolume",
    "StatedValues",
    "compute_measures",
    "compute_suv",
    "read_suv_image",
]


def __getattr__(name: str) -> Any:  # a module attribute may be anything
    if name not in _HOMES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
