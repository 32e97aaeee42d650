"""PET series, volume files and masks: read, check, write.

The names load on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from SegAnyPETLib.data.atomic import write_atomically
    from SegAnyPETLib.data.ct_series import CTSeries, open_ct_series
    from SegAnyPETLib.data.deidentify import deidentify_file
    from SegAnyPETLib.data.dicom_seg_input import read_dicom_seg
    from SegAnyPETLib.data.dicom_seg_output import write_dicom_seg
    from SegAnyPETLib.data.nifti_output import write_mask_nifti, write_volume_nifti
    from SegAnyPETLib.data.pet_header import PETHeader, SliceHeader
    from SegAnyPETLib.data.pet_series import PETSeries, list_pet_series, read_pet_files, read_pet_series
    from SegAnyPETLib.data.rtstruct_input import read_rtstruct
    from SegAnyPETLib.data.rtstruct_output import write_rtstruct
    from SegAnyPETLib.data.seg_nrrd_output import write_seg_nrrd
    from SegAnyPETLib.data.segment import Algorithm, Code, Segment, Terminology
    from SegAnyPETLib.data.series_choice import SeriesSummary
    from SegAnyPETLib.data.volume_file import read_volume_file

_HOMES = {
    "Algorithm": "segment",
    "CTSeries": "ct_series",
    "Code": "segment",
    "PETHeader": "pet_header",
    "PETSeries": "pet_series",
    "Segment": "segment",
    "SeriesSummary": "series_choice",
    "SliceHeader": "pet_header",
    "Terminology": "segment",
    "deidentify_file": "deidentify",
    "list_pet_series": "pet_series",
    "open_ct_series": "ct_series",
    "read_dicom_seg": "dicom_seg_input",
    "read_pet_files": "pet_series",
    "read_pet_series": "pet_series",
    "read_rtstruct": "rtstruct_input",
    "read_volume_file": "volume_file",
    "write_atomically": "atomic",
    "write_dicom_seg": "dicom_seg_output",
    "write_mask_nifti": "nifti_output",
    "write_rtstruct": "rtstruct_output",
    "write_seg_nrrd": "seg_nrrd_output",
    "write_volume_nifti": "nifti_output",
}

__all__ = [
    "Algorithm",
    "CTSeries",
    "Code",
    "PETHeader",
    "PETSeries",
    "Segment",
    "SeriesSummary",
    "SliceHeader",
    "Terminology",
    "deidentify_file",
    "list_pet_series",
    "open_ct_series",
    "read_dicom_seg",
    "read_pet_files",
    "read_pet_series",
    "read_rtstruct",
    "read_volume_file",
    "write_atomically",
    "write_dicom_seg",
    "write_mask_nifti",
    "write_rtstruct",
    "write_seg_nrrd",
    "write_volume_nifti",
]


def __getattr__(name: str) -> Any:  # a module attribute may be anything
    if name not in _HOMES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
