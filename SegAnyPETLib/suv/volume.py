"""The SUV volume, and how it is made from a PET series."""

from __future__ import annotations

import warnings
from copy import copy
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from SegAnyPETLib.errors import GeometryError, MissingTagError, SegAnyPETWarning, SUVError
from SegAnyPETLib.geometry import Grid
from SegAnyPETLib.suv.audit import Audit
from SegAnyPETLib.suv.factors import suv_factors
from SegAnyPETLib.suv.plausibility import HOTTEST_MEAN_SUV
from SegAnyPETLib.suv.stated import StatedValues
from SegAnyPETLib.suv.value_summary import ValueSummary, summarize_values

if TYPE_CHECKING:
    from collections.abc import Mapping

    from SegAnyPETLib.data.pet_series import PETSeries

SUVKind = Literal["bw", "lbm", "bsa", "ibw"]
SUV_UNITS: Mapping[str, str] = MappingProxyType({"bw": "g/ml", "lbm": "g/ml", "ibw": "g/ml", "bsa": "cm2/ml"})


@dataclass(frozen=True)
class SUVProvenance:
    """How an SUV volume came about; holds no name, identifier or date of the patient.

    Attributes:
        source: What was read, for example ``PET DICOM series, Units BQML``.
        formula: The formula used.
        reference_time_source: Where the time of the decay correction was taken from.
        inputs: Each value used, with its unit in the name and its source in the text.
        warnings: What was corrected or tolerated.
    """

    source: str
    formula: str
    reference_time_source: str = "not needed"
    inputs: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:  # JSON values
        """The same as plain dictionaries and lists, for JSON."""
        return {
            "source": self.source,
            "formula": self.formula,
            "reference_time_source": self.reference_time_source,
            "inputs": dict(self.inputs),
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True)
class SUVVolume:
    """Standardized uptake values on a grid.

    Attributes:
        array: float32 (K, J, I), made read-only; negative values of the reconstruction are kept.
        grid: Where the voxels lie.
        kind: bw (body weight), lbm (lean body mass), bsa (body surface area) or ibw (ideal body weight).
        provenance: How the values came about.
        values: Their range and mean, found when the volume was made.

    Raises:
        GeometryError: The array does not have the grid's shape.
        SUVError: The kind is unknown, or a value is not finite.
    """

    array: NDArray[np.float32] = field(repr=False)
    grid: Grid
    kind: SUVKind = "bw"
    provenance: SUVProvenance = field(default=SUVProvenance("made in memory", "none"), repr=False)
    values: ValueSummary = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_kind(self.kind)
        array = np.ascontiguousarray(self.array, dtype=np.float32)
        if array.shape != self.grid.shape_kji:
            msg = f"Expected an array of the grid's shape {self.grid.shape_kji}; found {array.shape}."
            raise GeometryError(msg)
        values = summarize_values(array)
        if not values.is_finite:
            bad = int((~np.isfinite(array)).sum())
            msg = f"Expected finite SUVs; found {bad} NaN or infinite voxel(s) of {array.size}. Repair the image first."
            raise SUVError(msg)
        if array is self.array and array.flags.writeable:
            array = array.copy()  # the caller's own array must not become read-only behind his back
        array.setflags(write=False)
        object.__setattr__(self, "array", array)
        object.__setattr__(self, "values", values)

    def with_provenance(self, provenance: SUVProvenance) -> SUVVolume:
        """The same volume with another account of how it came about; its voxels are shared and not checked again."""
        made = copy(self)
        object.__setattr__(made, "provenance", provenance)
        return made

    @property
    def unit(self) -> str:
        """``g/ml``, or ``cm2/ml`` for body surface area."""
        return SUV_UNITS[self.kind]

    def to_sitk(self) -> Any:  # SimpleITK ships no types
        """The volume as a `SimpleITK.Image` (float32) that shares nothing with this one."""
        import SimpleITK

        image = SimpleITK.GetImageFromArray(self.array)
        image.SetSpacing(self.grid.spacing_ijk_mm)
        image.SetOrigin(self.grid.origin_lps_mm)
        image.SetDirection([value for row in self.grid.direction for value in row])
        return image


def compute_suv(series: PETSeries, *, kind: SUVKind = "bw", stated: StatedValues | None = None) -> SUVVolume:
    """Convert a PET series to SUV as its header says; values that are SUV already are not converted again.

    Args:
        series: The series; its values are left as they are.
        kind: The normalizer: body weight, lean body mass (Janmahasatian), body surface area, or ideal body weight.
        stated: Values to use instead of the header's, each recorded in the provenance.

    Returns:
        The SUV volume on the series' own grid.

    Raises:
        MissingTagError: A tag that the conversion needs is absent; the message says how to state its value.
        InconsistentSeriesError: The slices were decay corrected to different times.
        SUVError: Attenuation was not corrected, a value contradicts another or has an ambiguous unit, the stored
            values have an intercept, or the units cannot be converted.

    Warns:
        SegAnyPETWarning: A header value was converted or tolerated; also in the provenance.

    Source:
        See `SegAnyPETLib.suv.factors`.
    """
    check_kind(kind)
    stated = stated or StatedValues()
    audit = Audit()
    _check_attenuation(series, stated, audit)
    _check_intercepts(series)
    factors = suv_factors(series.header, kind=kind, stated=stated, audit=audit)
    if not (np.isfinite(factors).all() and (factors > 0).all()):
        msg = f"The factor to SUV should be positive; found {factors.min():g} to {factors.max():g}. Check the header."
        raise SUVError(msg)
    audit.used("factor to SUV", float(factors[0]), source="first slice")
    for text in audit.warnings:
        warnings.warn(text, SegAnyPETWarning, stacklevel=2)
    array = _scaled(series.values, factors)
    mean = summarize_values(array).mean_of_positive
    if mean > HOTTEST_MEAN_SUV:  # shown, not warned of: the header is explicit, and phantoms may be that hot
        audit.doubt(f"The mean of the positive voxels is SUV {mean:.4g}, a body has about 1. Check dose and weight.")
    provenance = SUVProvenance(
        source=f"PET DICOM series, Units {series.units}",
        formula=audit.formula,
        reference_time_source=audit.reference_time_source,
        inputs=dict(audit.inputs),
        warnings=(*series.warnings, *audit.warnings),
    )
    return SUVVolume(array, series.grid, kind, provenance)


def check_kind(kind: str) -> None:
    """Refuse an unknown kind of SUV.

    Raises:
        SUVError: It is none of bw, lbm, bsa, ibw.
    """
    if kind not in get_args(SUVKind):
        msg = f"kind should be one of {', '.join(get_args(SUVKind))}; found {kind!r}."
        raise SUVError(msg)


def _check_attenuation(series: PETSeries, stated: StatedValues, audit: Audit) -> None:
    corrections = series.header.corrected_image
    is_corrected = stated.is_attenuation_corrected
    if is_corrected is not None:
        audit.used("attenuation corrected", str(is_corrected), source="stated by the caller")
    elif not corrections:
        raise MissingTagError(
            keyword="CorrectedImage",
            tag="(0028,0051)",
            needed_for="the SUV, which only attenuation corrected images have",
            advice="State it with compute_suv(series, stated=StatedValues(is_attenuation_corrected=True)).",
        )
    else:
        is_corrected = "ATTN" in corrections
    if not is_corrected:
        msg = (
            f"SUV needs an attenuation corrected image; CorrectedImage (0028,0051) is "
            f"{'/'.join(corrections) or 'empty'}, without ATTN. Use the attenuation corrected series."
        )
        raise SUVError(msg)


def _check_intercepts(series: PETSeries) -> None:
    for k, item in enumerate(series.header.slices):
        if item.rescale_intercept != 0:
            msg = (
                f"RescaleIntercept (0028,1052) of a PET image should be 0; found {item.rescale_intercept:g} in slice "
                f"{k}. The values may have been changed by a converter; export the original series."
            )
            raise SUVError(msg)


def _scaled(values: NDArray[np.float32], factors: NDArray[np.float64]) -> NDArray[np.float32]:
    if (factors == 1.0).all():
        return values
    scaled = np.empty(values.shape, dtype=np.float32)
    for k, factor in enumerate(factors):
        np.multiply(values[k], factor, out=scaled[k], dtype=np.float64, casting="same_kind")
    scaled.setflags(write=False)
    return scaled
