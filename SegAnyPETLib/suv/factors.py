"""Factors from stored PET values to SUV, one per slice.

Source of the rules: DICOM PS3.3 C.8.9; QIBA FDG-PET/CT profile, vendor-neutral pseudo-code; manual and digital
reference objects of SUV computation (IBSI-SUV), whose phantoms are the test.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from SegAnyPETLib.data.pet_header import PETHeader
from SegAnyPETLib.errors import MissingTagError, SUVError
from SegAnyPETLib.suv.audit import Audit
from SegAnyPETLib.suv.body import (
    body_surface_area_cm2,
    ideal_body_weight_kg,
    lean_body_mass_james_kg,
    lean_body_mass_kg,
    lean_body_mass_morgan_kg,
)
from SegAnyPETLib.suv.header_inputs import dose_bq, half_life_s, patient_height_cm, patient_sex, patient_weight_kg
from SegAnyPETLib.suv.stated import StatedValues
from SegAnyPETLib.suv.times import acquisition_times, administration_time, reference_times

FloatArray = NDArray[np.float64]
_MASSES = {
    "LBM": lean_body_mass_morgan_kg,
    "LBMJAMES128": lean_body_mass_james_kg,
    "LBMJANMA": lean_body_mass_kg,
    "IBW": ideal_body_weight_kg,
}
_SUV_TYPE_OF_KIND = {"bw": "BW", "lbm": "LBMJANMA", "ibw": "IBW", "bsa": "BSA"}


def suv_factors(header: PETHeader, *, kind: str, stated: StatedValues, audit: Audit) -> FloatArray:
    """Multiplier of each slice from its stored values (after rescaling) to SUV of `kind`.

    Args:
        header: The header of the series.
        kind: bw, lbm (Janmahasatian), bsa or ibw.
        stated: What the caller states instead of the header.
        audit: Notes inputs, formula and doubts.

    Returns:
        One factor per slice, (K,).

    Raises:
        MissingTagError: A tag the conversion needs is absent.
        SUVError: Values contradict each other, or their units cannot be converted.
    """
    found = _suv_type_of_values(header)
    if found == _SUV_TYPE_OF_KIND[kind]:
        audit.formula = f"values are SUV ({found}) already"
        return np.ones(len(header.slices))
    if found is None:
        to_body_weight = _from_counts(header, stated, audit)
    else:
        to_body_weight = np.full(len(header.slices), _from_suv_type(header, found, stated, audit))
    return to_body_weight * _from_body_weight(header, kind, stated, audit)


def _suv_type_of_values(header: PETHeader) -> str | None:
    """The SUV Type of values that are SUV already; None for activity or counts."""
    allowed = {"GML": ("BW", *_MASSES), "CM2ML": ("BSA",)}.get(header.units or "")
    if allowed is None:
        return None
    found = header.suv_type or allowed[0]  # PS3.3 C.8.9.1: absent means body weight (or area, by the unit)
    if found not in allowed:
        msg = (
            f"Units (0054,1001) {header.units} goes with SUVType (0054,1006) {', '.join(allowed)}; found {found}. "
            "Ask where the series was made which of the two is right."
        )
        raise SUVError(msg)
    return found


def _from_suv_type(header: PETHeader, found: str, stated: StatedValues, audit: Audit) -> float:
    if found == "BW":
        audit.formula = "values are SUV (BW) already"
        return 1.0
    weight = patient_weight_kg(header, stated, audit)
    height = patient_height_cm(header, stated, audit)
    if found == "BSA":
        audit.formula = "values are SUV (BSA) already; SUVbw = value · W·1000 / BSA[cm²]"
        return weight * 1000.0 / body_surface_area_cm2(weight, height)
    audit.formula = f"values are SUV ({found}) already; SUVbw = value · W / {found}"
    return weight / _MASSES[found](weight, height, sex=patient_sex(header, stated, audit))


def _from_counts(header: PETHeader, stated: StatedValues, audit: Audit) -> FloatArray:
    if header.units is None:
        raise MissingTagError(
            keyword="Units",
            tag="(0054,1001)",
            needed_for="the SUV",
            advice="Export the series again, or save it as an SUV image and use read_suv_image.",
        )
    if header.units == "BQML":
        return _from_activity(header, stated, audit)
    if header.units == "CNTS":
        return _from_philips_counts(header, stated, audit)
    msg = (
        f"Units (0054,1001) should be BQML, CNTS, GML or CM2ML; found {header.units}. "
        "Export the series in Bq/ml or as SUV."
    )
    raise SUVError(msg)


def _from_philips_counts(header: PETHeader, stated: StatedValues, audit: Audit) -> FloatArray:
    suv = [item.philips_suv_factor or 0.0 for item in header.slices]
    if all(factor > 0 for factor in suv):
        audit.formula = "SUVbw = counts · Philips SUV scale factor (7053,1000)"
        audit.used("Philips SUV scale factor", suv[0], source="(7053,1000) of the first slice")
        return np.array(suv)
    activity = [item.philips_activity_factor or 0.0 for item in header.slices]
    if all(factor > 0 for factor in activity):
        factors = np.array(activity) * _from_activity(header, stated, audit)
        audit.formula = f"Bq/ml = counts · Philips activity factor (7053,1009); {audit.formula}"
        audit.used("Philips activity scale factor", activity[0], source="(7053,1009) of the first slice")
        return factors
    raise MissingTagError(
        keyword="Philips SUV Scale Factor",
        tag="(7053,1000)",
        needed_for="the SUV of Units CNTS (or the activity concentration factor (7053,1009))",
        advice="Export the series in Bq/ml, or keep the private tags when anonymizing.",
        found="neither in all slices",
    )


def _from_activity(header: PETHeader, stated: StatedValues, audit: Audit) -> FloatArray:
    decay = header.decay_correction
    _check_decay_corrected(header)
    grams = 1000.0 * patient_weight_kg(header, stated, audit)
    dose = dose_bq(header, stated, audit)
    if decay == "ADMIN":
        audit.formula = "SUVbw = c · W / A (c decay corrected to administration)"
        audit.reference_time_source = "administration, by DecayCorrection (0054,1102) ADMIN"
        return np.full(len(header.slices), grams / dose)
    half_life = half_life_s(header, stated, audit)
    rate = math.log(2) / half_life
    if decay == "NONE":
        audit.formula = "SUVbw = c · W / A · λT / (1 - exp(-λT)) · exp(λ (t_acq - t_adm)), per slice"
        audit.reference_time_source = "AcquisitionTime (0008,0032) of each slice"
        times = acquisition_times(header)
        given = administration_time(header, stated, audit, reference_at=min(times), half_life_s=half_life)
        decays = rate * np.array([_frame_duration_s(item.frame_duration_s) for item in header.slices])
        elapsed = np.array([(moment - given).total_seconds() for moment in times])
        return grams / dose * decays / -np.expm1(-decays) * np.exp(rate * elapsed)
    audit.formula = "SUVbw = c · W / (A · exp(-λ (t_ref - t_adm)))"
    times = reference_times(header, stated, audit, half_life_s=half_life)
    given = administration_time(header, stated, audit, reference_at=min(times), half_life_s=half_life)
    elapsed = np.array([(moment - given).total_seconds() for moment in times])
    return grams / (dose * np.exp(-rate * elapsed))


def _from_body_weight(header: PETHeader, kind: str, stated: StatedValues, audit: Audit) -> float:
    if kind == "bw":
        return 1.0
    weight = patient_weight_kg(header, stated, audit)
    height = patient_height_cm(header, stated, audit)
    if kind == "bsa":
        area = body_surface_area_cm2(weight, height)
        audit.used("body surface area (cm2)", area, source="DuBois")
        audit.formula += "; SUVbsa = SUVbw · BSA[cm²] / (W·1000)"
        return area / (1000.0 * weight)
    sex = patient_sex(header, stated, audit)
    mass = _MASSES[_SUV_TYPE_OF_KIND[kind]](weight, height, sex=sex)
    name = "lean body mass" if kind == "lbm" else "ideal body weight"
    audit.used(f"{name} (kg)", mass, source="Janmahasatian" if kind == "lbm" else "IBSI-SUV manual")
    audit.formula += f"; SUV{kind} = SUVbw · {kind.upper()} / W"
    return mass / weight


def _check_decay_corrected(header: PETHeader) -> None:
    decay = header.decay_correction
    if decay is None:
        raise MissingTagError(
            keyword="DecayCorrection",
            tag="(0054,1102)",
            needed_for="the SUV of activity",
            advice="Export the series again with its PET tags.",
        )
    if decay not in ("START", "ADMIN", "NONE"):
        msg = f"DecayCorrection (0054,1102) should be START, ADMIN or NONE; found {decay!r}. Export the series again."
        raise SUVError(msg)
    says_corrected = "DECY" in header.corrected_image
    if header.corrected_image and says_corrected != (decay != "NONE"):
        msg = (
            f"DecayCorrection (0054,1102) is {decay}, but CorrectedImage (0028,0051) is "
            f"{'/'.join(header.corrected_image)}, {'with' if says_corrected else 'without'} DECY. "
            "Ask where the series was made which of the two is right."
        )
        raise SUVError(msg)


def _frame_duration_s(duration: float | None) -> float:
    if duration is None or duration <= 0:
        raise MissingTagError(
            keyword="ActualFrameDuration",
            tag="(0018,1242)",
            needed_for="DecayCorrection (0054,1102) NONE",
            advice="Export the series again with its frame durations, or decay corrected.",
            found="nothing" if duration is None else f"{duration:g} s",
        )
    return duration
