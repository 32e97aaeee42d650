"""What people read: the table of measures, a picture of the study with the contours, and a gallery of cases.

The names load on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from SegAnyPETLib.report.dicom_sr import write_dicom_sr
    from SegAnyPETLib.report.gallery import GalleryCell, GalleryRow, write_gallery
    from SegAnyPETLib.report.picture import write_picture
    from SegAnyPETLib.report.sr_content import SRBurden, SRFinding
    from SegAnyPETLib.report.study_page import PageRow, write_study_page
    from SegAnyPETLib.report.table import MeasuresRow, write_measures_csv, write_measures_json

_HOMES = {
    "GalleryCell": "gallery",
    "GalleryRow": "gallery",
    "MeasuresRow": "table",
    "PageRow": "study_page",
    "SRBurden": "sr_content",
    "SRFinding": "sr_content",
    "write_dicom_sr": "dicom_sr",
    "write_gallery": "gallery",
    "write_measures_csv": "table",
    "write_measures_json": "table",
    "write_picture": "picture",
    "write_study_page": "study_page",
}

__all__ = [
    "GalleryCell",
    "GalleryRow",
    "MeasuresRow",
    "PageRow",
    "SRBurden",
    "SRFinding",
    "write_dicom_sr",
    "write_gallery",
    "write_measures_csv",
    "write_measures_json",
    "write_picture",
    "write_study_page",
]


def __getattr__(name: str) -> Any:  # a module attribute may be anything
    if name not in _HOMES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
