"""SegAnyPET: click a lesion in a PET, get its 3D mask and SUV measures.

The names below load what they need on first use; importing this package loads neither torch nor slicer.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from SegAnyPETLib.version import __version__

if TYPE_CHECKING:
    from SegAnyPETLib.data import (
        PETSeries,
        Segment,
        Terminology,
        read_pet_series,
        read_volume_file,
        write_dicom_seg,
        write_mask_nifti,
        write_rtstruct,
        write_seg_nrrd,
    )
    from SegAnyPETLib.errors import SegAnyPETError, SegAnyPETWarning
    from SegAnyPETLib.geometry import Grid, VoxelBox
    from SegAnyPETLib.model import download_model, load_model, registered_models
    from SegAnyPETLib.phantom import body_phantom, nema_phantom, write_phantom_series
    from SegAnyPETLib.session import Box, InteractiveSession, Point, Prediction, SeedMask
    from SegAnyPETLib.suv import (
        LesionMeasures,
        StatedValues,
        SUVVolume,
        compute_measures,
        compute_suv,
        read_suv_image,
    )

_HOMES = {
    "Box": "session",
    "Grid": "geometry",
    "InteractiveSession": "session",
    "LesionMeasures": "suv",
    "PETSeries": "data",
    "Point": "session",
    "Prediction": "session",
    "SUVVolume": "suv",
    "SeedMask": "session",
    "SegAnyPETError": "errors",
    "SegAnyPETWarning": "errors",
    "Segment": "data",
    "StatedValues": "suv",
    "Terminology": "data",
    "VoxelBox": "geometry",
    "body_phantom": "phantom",
    "compute_measures": "suv",
    "compute_suv": "suv",
    "download_model": "model",
    "load_model": "model",
    "nema_phantom": "phantom",
    "read_pet_series": "data",
    "read_suv_image": "suv",
    "read_volume_file": "data",
    "registered_models": "model",
    "write_dicom_seg": "data",
    "write_mask_nifti": "data",
    "write_phantom_series": "phantom",
    "write_rtstruct": "data",
    "write_seg_nrrd": "data",
}

__all__ = [
    "Box",
    "Grid",
    "InteractiveSession",
    "LesionMeasures",
    "PETSeries",
    "Point",
    "Prediction",
    "SUVVolume",
    "SeedMask",
    "SegAnyPETError",
    "SegAnyPETWarning",
    "Segment",
    "StatedValues",
    "Terminology",
    "VoxelBox",
    "__version__",
    "body_phantom",
    "compute_measures",
    "compute_suv",
    "download_model",
    "load_model",
    "nema_phantom",
    "read_pet_series",
    "read_suv_image",
    "read_volume_file",
    "registered_models",
    "write_dicom_seg",
    "write_mask_nifti",
    "write_phantom_series",
    "write_rtstruct",
    "write_seg_nrrd",
]


def __getattr__(name: str) -> Any:  # a module attribute may be anything
    """Load the part that holds `name` only when it is asked for."""
    if name not in _HOMES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """The public names, for completion in a console."""
    return __all__
