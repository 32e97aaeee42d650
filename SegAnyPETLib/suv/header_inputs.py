"""Weight, height, sex, dose and half-life from a header, in the standard's units or refused.

A value in a wrong unit is converted only where no other reading is possible; the conversion is recorded and warned
of. Everything else that looks off is refused: nothing is invented.
"""

from __future__ import annotations

import math

from SegAnyPETLib.data.pet_header import PETHeader
from SegAnyPETLib.errors import MissingTagError, SUVError
from SegAnyPETLib.suv.audit import Audit
from SegAnyPETLib.suv.stated import StatedValues

HEAVIEST_KG = 350.0  # above any patient a scanner takes
LEAST_GRAMS, MOST_GRAMS = 1000.0, 350_000.0
TALLEST_M, LEAST_CM, MOST_CM = 2.6, 25.0, 260.0
LEAST_BQ, MOST_BQ = 1e6, 1e11  # one MBq to 100 GBq
LEAST_MBQ, MOST_MBQ = 30.0, 1e4  # where Bq are expected; below 30 the number could as well be mCi
HALF_LIFE_TOLERANCE = 0.03

# Code Value (SCT, then the older SRT) -> half-life in s; CID 4020, half-lives from the Laboratoire National Henri
# Becquerel. Only to catch a half-life in minutes or of another nuclide; the header's own value is used.
HALF_LIVES_S = {
    ("77004003", "C-111A1"): 6586.2,  # F-18
    ("40565003", "C-105A1"): 1221.8,  # C-11
    ("21576001", "C-107A1"): 597.9,  # N-13
    ("129504001", "C-B1038"): 122.24,  # O-15
    ("35337001", "C-131A3"): 4057.7,  # Ga-68
    ("3932008", "C-127A2"): 45_724.0,  # Cu-64
    ("40937006", "C-114A5"): 360_806.0,  # I-124
    ("63360001", "C-168A4"): 282_280.0,  # Zr-89
    ("14691008", "C-162A7"): 230_760.0,  # Y-90
}


def patient_weight_kg(header: PETHeader, stated: StatedValues, audit: Audit) -> float:
    """Body weight in kg; grams are recognized.

    Raises:
        MissingTagError: Patient's Weight (0010,1030) is absent.
        SUVError: It is no weight.
    """
    if stated.patient_weight_kg is not None:
        return _stated(stated.patient_weight_kg, "patient weight (kg)", audit, most=HEAVIEST_KG)
    weight = header.patient_weight
    if weight is None:
        raise _missing(
            keyword="PatientWeight", tag="(0010,1030)", needed_for="the SUV", how="StatedValues(patient_weight_kg=...)"
        )
    if 0 < weight <= HEAVIEST_KG:
        audit.used("patient weight (kg)", weight, source="PatientWeight (0010,1030)")
        return weight
    if LEAST_GRAMS < weight <= MOST_GRAMS:
        audit.doubt(f"PatientWeight (0010,1030) is {weight:g}: read as grams, {weight / 1000:g} kg.")
        audit.used("patient weight (kg)", weight / 1000, source="PatientWeight (0010,1030) in g")
        return weight / 1000
    msg = (
        f"PatientWeight (0010,1030) should be kg; found {weight:g}, which is neither kg nor g of a patient. "
        "State it with StatedValues(patient_weight_kg=...)."
    )
    raise SUVError(msg)


def patient_height_cm(header: PETHeader, stated: StatedValues, audit: Audit) -> float:
    """Body height in cm; a header in cm instead of m is recognized.

    Raises:
        MissingTagError: Patient's Size (0010,1020) is absent.
        SUVError: It is no height.
    """
    if stated.patient_height_m is not None:
        return 100.0 * _stated(stated.patient_height_m, "patient height (m)", audit, most=TALLEST_M)
    size = header.patient_size
    if not size:
        raise _missing(
            keyword="PatientSize",
            tag="(0010,1020)",
            needed_for="this normalization",
            how="StatedValues(patient_height_m=...)",
            found=size,
        )
    if 0 < size <= TALLEST_M:
        audit.used("patient height (m)", size, source="PatientSize (0010,1020)")
        return 100.0 * size
    if LEAST_CM <= size <= MOST_CM:
        audit.doubt(f"PatientSize (0010,1020) is {size:g}: read as cm, {size / 100:g} m.")
        audit.used("patient height (m)", size / 100, source="PatientSize (0010,1020) in cm")
        return size
    msg = (
        f"PatientSize (0010,1020) should be m; found {size:g}, which is neither m nor cm of a patient. "
        "State it with StatedValues(patient_height_m=...)."
    )
    raise SUVError(msg)


def patient_sex(header: PETHeader, stated: StatedValues, audit: Audit) -> str:
    """M, F or O.

    Raises:
        MissingTagError: Patient's Sex (0010,0040) is absent.
        SUVError: It is none of these.
    """
    sex = stated.patient_sex if stated.patient_sex is not None else header.patient_sex
    if sex is None:
        raise _missing(
            keyword="PatientSex",
            tag="(0010,0040)",
            needed_for="this normalization",
            how="StatedValues(patient_sex=...)",
        )
    if sex not in ("M", "F", "O"):
        msg = f"PatientSex (0010,0040) should be M, F or O; found {sex!r}. State it with StatedValues(patient_sex=...)."
        raise SUVError(msg)
    if sex == "O":
        audit.doubt("PatientSex (0010,0040) is O: the mean of the formulas for men and women is taken.")
    source = "stated by the caller" if stated.patient_sex is not None else "PatientSex (0010,0040)"
    audit.used("patient sex", sex, source=source)
    return sex


def dose_bq(header: PETHeader, stated: StatedValues, audit: Audit) -> float:
    """Activity given in Bq; MBq are recognized.

    Raises:
        MissingTagError: Radionuclide Total Dose (0018,1074) is absent.
        SUVError: It is no dose, may be MBq or mCi or kBq, or several radiopharmaceuticals were given.
    """
    if stated.dose_bq is not None:
        return _stated(stated.dose_bq, "dose (Bq)", audit, most=MOST_BQ)
    if header.radiopharmaceutical_count > 1:
        msg = (
            f"Expected one item in RadiopharmaceuticalInformationSequence (0054,0016); found "
            f"{header.radiopharmaceutical_count}. State dose, half-life and time with StatedValues."
        )
        raise SUVError(msg)
    dose = header.radionuclide_total_dose
    if dose is None:
        raise _missing(
            keyword="RadionuclideTotalDose", tag="(0018,1074)", needed_for="the SUV", how="StatedValues(dose_bq=...)"
        )
    if header.is_dose_in_mbq and LEAST_BQ <= dose * 1e6 <= MOST_BQ:
        audit.used("dose (Bq)", dose * 1e6, source="RadionuclideTotalDose (0018,1074) in MBq, as Enhanced PET has it")
        return dose * 1e6
    if LEAST_BQ <= dose <= MOST_BQ:
        if header.is_dose_in_mbq:
            audit.doubt(f"RadionuclideTotalDose (0018,1074) of Enhanced PET should be MBq; {dose:g} is read as Bq.")
        audit.used("dose (Bq)", dose, source="RadionuclideTotalDose (0018,1074)")
        return dose
    if LEAST_MBQ <= dose < MOST_MBQ:
        audit.doubt(f"RadionuclideTotalDose (0018,1074) is {dose:g}: read as MBq, {dose * 1e6:g} Bq.")
        audit.used("dose (Bq)", dose * 1e6, source="RadionuclideTotalDose (0018,1074) in MBq")
        return dose * 1e6
    msg = (
        f"RadionuclideTotalDose (0018,1074) should be Bq, {LEAST_BQ:g} to {MOST_BQ:g}; found {dose:g}, whose unit "
        "cannot be told. State it with StatedValues(dose_bq=...)."
    )
    raise SUVError(msg)


def half_life_s(header: PETHeader, stated: StatedValues, audit: Audit) -> float:
    """Half-life in seconds, checked against the radionuclide where the header names one.

    Raises:
        MissingTagError: Radionuclide Half Life (0018,1075) is absent.
        SUVError: It is not positive, or not that of the named radionuclide.
    """
    if stated.half_life_s is not None:
        return _stated(stated.half_life_s, "half-life (s)", audit, most=math.inf)
    half_life = header.radionuclide_half_life_s
    if half_life is None:
        raise _missing(
            keyword="RadionuclideHalfLife",
            tag="(0018,1075)",
            needed_for="decay correction",
            how="StatedValues(half_life_s=...)",
        )
    expected = next((s for codes, s in HALF_LIVES_S.items() if header.radionuclide_code in codes), half_life)
    if half_life <= 0 or abs(half_life / expected - 1) > HALF_LIFE_TOLERANCE:
        msg = (
            f"RadionuclideHalfLife (0018,1075) should be {expected:g} s for radionuclide {header.radionuclide_code}; "
            f"found {half_life:g}. State it with StatedValues(half_life_s=...)."
        )
        raise SUVError(msg)
    audit.used("half-life (s)", half_life, source="RadionuclideHalfLife (0018,1075)")
    return half_life


def _stated(value: float, name: str, audit: Audit, *, most: float) -> float:
    if not 0 < value <= most:
        msg = f"The stated {name} should be positive and at most {most:g}; found {value}. Check its unit."
        raise SUVError(msg)
    audit.used(name, value, source="stated by the caller")
    return float(value)


def _missing(*, keyword: str, tag: str, needed_for: str, how: str, found: float | None = None) -> MissingTagError:
    shown = "nothing" if found is None else f"{found:g}"
    advice = f"State it with compute_suv(series, stated={how})."
    return MissingTagError(keyword, tag, needed_for=needed_for, advice=advice, found=shown)
