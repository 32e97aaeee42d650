"""Read an image file that holds SUV, or activity with a stated factor."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from SegAnyPETLib.data.volume_file import NonFinite, VolumeFile, read_volume_with_fields
from SegAnyPETLib.errors import SegAnyPETWarning, SUVError
from SegAnyPETLib.suv.plausibility import plausibility_doubts
from SegAnyPETLib.suv.value_summary import summarize_values
from SegAnyPETLib.suv.volume import SUVKind, SUVProvenance, SUVVolume, check_kind

ImageUnits = Literal["suv", "bqml"]
_RAW_WORDS = ("bqml", "bq/ml", "bq/cc", "kbq", "becquerel", "cnts", "counts")
_UNIT_FIELDS = ("units", "sample units", "measurementunits", "descrip", "intent_name", "dicom.units")


def read_suv_image(
    path: Path | str,
    *,
    kind: SUVKind = "bw",
    units: ImageUnits = "suv",
    suv_factor: float | None = None,
    non_finite: NonFinite = "refuse",
) -> SUVVolume:
    """Read a NIfTI, NRRD or MetaImage file as SUV.

    Such files seldom say their units: by calling this the caller states them. Values that cannot be SUV, or a header
    that says otherwise, are refused.

    Args:
        path: ``.nii``, ``.nii.gz``, ``.nrrd`` or ``.mha``.
        kind: What the SUV is normalized by.
        units: ``suv``, or ``bqml`` for activity in Bq/ml, which needs `suv_factor`.
        suv_factor: SUV per Bq/ml: for body weight, weight in g over the dose in Bq at the time the image was decay
            corrected to.
        non_finite: ``zero`` sets NaN and infinite voxels to 0 with a warning; they are refused otherwise.

    Returns:
        The SUV volume on the file's own grid. Negative values are kept.

    Raises:
        InputError: There is no such file, it is damaged, not scalar, or holds NaN.
        GeometryError: It is not 3D or its geometry is unusable.
        SUVError: The values or the header say that it is no SUV; it is a mask; or units and factor do not go together.

    Warns:
        SegAnyPETWarning: The values are unusual for SUV; the file does not say where it lies in the patient.
    """
    check_kind(kind)
    _check_arguments(units, suv_factor)
    volume = read_volume_with_fields(path, non_finite=non_finite)
    name = Path(path).name
    said = _units_said(volume)
    if units == "suv":
        _check_no_raw_units(said, name)
        array, formula = volume.array, "values are SUV already, as stated by the caller"
    else:
        array = np.asarray(volume.array * np.float64(suv_factor or 0.0), dtype=np.float32)
        formula = f"SUV{kind} = c · {suv_factor:g} (factor stated by the caller)"
    _check_no_mask(volume, name)
    doubts = plausibility_doubts(summarize_values(array), name=name)
    for doubt in doubts:
        warnings.warn(doubt, SegAnyPETWarning, stacklevel=2)
    inputs = {"units in the file": said or "not said"}
    if suv_factor is not None:
        inputs["factor to SUV"] = f"{suv_factor:.10g} (stated by the caller)"
    provenance = SUVProvenance(source=f"image file, units {units}", formula=formula, inputs=inputs, warnings=doubts)
    return SUVVolume(array, volume.grid, kind, provenance)


def _check_arguments(units: str, suv_factor: float | None) -> None:
    if units not in get_args(ImageUnits):
        msg = f"units should be one of {', '.join(get_args(ImageUnits))}; found {units!r}."
        raise SUVError(msg)
    if units == "suv" and suv_factor is not None:
        msg = "suv_factor goes with units='bqml'; values in SUV are not converted twice. Leave one of the two out."
        raise SUVError(msg)
    if units == "bqml" and not (suv_factor is not None and 0 < suv_factor < 1):
        msg = (
            f"units='bqml' needs suv_factor, SUV per Bq/ml, between 0 and 1 (about 2e-4); found {suv_factor}. "
            "For body weight it is the weight in g over the dose in Bq, decayed to the time of the image."
        )
        raise SUVError(msg)


def _units_said(volume: VolumeFile) -> str:
    return "; ".join(volume.fields[key] for key in _UNIT_FIELDS if volume.fields.get(key))


def _check_no_raw_units(said: str, name: str) -> None:
    lowered = said.lower()
    if any(word in lowered for word in _RAW_WORDS) and "suv" not in lowered:
        msg = (
            f"{name} was said to hold SUV, but its header says {said!r}. Convert it first, or read it with "
            "units='bqml' and suv_factor=."
        )
        raise SUVError(msg)


def _check_no_mask(volume: VolumeFile, name: str) -> None:
    is_segmentation = any(key.startswith("segment0_") for key in volume.fields)
    top = float(volume.array.max())
    has_mask_values = top in (1.0, 255.0) and bool(((volume.array == 0) | (volume.array == top)).all())
    if is_segmentation or has_mask_values:
        msg = f"{name} is a mask, not an SUV image. Check that it is the PET."
        raise SUVError(msg)
