"""What the header of a PET series says about activity, time and patient: typed, but not yet judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import date, datetime, time, timedelta

from pydicom.dataset import Dataset

from SegAnyPETLib.data.dicom_values import (
    calendar_date,
    clock_time,
    date_time,
    items,
    needed_number,
    number,
    parse_datetime,
    private_text,
    text,
    texts,
    utc_offset,
)
from SegAnyPETLib.errors import DICOMError, InconsistentSeriesError

PHILIPS_GROUP, PHILIPS_CREATOR = 0x7053, "Philips PET Private Group"
GE_GROUP, GE_CREATOR = 0x0009, "GEMS_PETD_01"


@dataclass(frozen=True)
class SliceHeader:
    """What may differ from slice to slice.

    Attributes:
        rescale_slope: Rescale Slope (0028,1053).
        rescale_intercept: Rescale Intercept (0028,1052).
        acquired_at: Acquisition Date (0008,0022) and Time (0008,0032), else Frame Acquisition DateTime (0018,9074),
            else Acquisition DateTime (0008,002A).
        frame_duration_s: Actual Frame Duration (0018,1242), else Frame Acquisition Duration (0018,9220), in seconds.
        frame_reference_time_s: Frame Reference Time (0054,1300) in seconds.
        philips_suv_factor: Private (7053,xx00).
        philips_activity_factor: Private (7053,xx09).
    """

    rescale_slope: float
    rescale_intercept: float
    acquired_at: datetime | None = None
    frame_duration_s: float | None = None
    frame_reference_time_s: float | None = None
    philips_suv_factor: float | None = None
    philips_activity_factor: float | None = None


@dataclass(frozen=True)
class PETHeader:
    """What all slices of a PET series share, as the header says it; None where it says nothing.

    Dates and times are those of the header's own zone. Nothing here identifies the patient.

    Attributes:
        units: Units (0054,1001).
        suv_type: SUV Type (0054,1006).
        decay_correction: Decay Correction (0054,1102): NONE, START or ADMIN.
        corrected_image: Corrected Image (0028,0051), for example ("ATTN", "DECY").
        manufacturer: Manufacturer (0008,0070).
        patient_weight: Patient's Weight (0010,1030); kg by the standard.
        patient_size: Patient's Size (0010,1020); m by the standard.
        patient_sex: Patient's Sex (0010,0040).
        radionuclide_total_dose: Radionuclide Total Dose (0018,1074); Bq by the standard, MBq in Enhanced PET.
        is_dose_in_mbq: True for Enhanced PET, whose isotope module (PS3.3 C.8.22.4) has the dose in MBq.
        radionuclide_half_life_s: Radionuclide Half Life (0018,1075).
        radionuclide_code: Code Value of the Radionuclide Code Sequence (0054,0300).
        radiopharmaceutical_count: Items of the Radiopharmaceutical Information Sequence (0054,0016).
        radiopharmaceutical_start_time: Radiopharmaceutical Start Time (0018,1072).
        radiopharmaceutical_start_datetime: Radiopharmaceutical Start DateTime (0018,1078); aware if it has an offset.
        series_at: Series Date (0008,0021) and Time (0008,0031).
        utc_offset: Timezone Offset From UTC (0008,0201).
        decay_corrected_to: Decay Correction DateTime (0018,9701) of Enhanced PET.
        ge_scan_at: Private GE PET scan date-time (0009,xx0D).
        slices: One per slice, k = 0 first.
    """

    units: str | None
    suv_type: str | None = None
    decay_correction: str | None = None
    corrected_image: tuple[str, ...] = ()
    manufacturer: str | None = None
    patient_weight: float | None = None
    patient_size: float | None = None
    patient_sex: str | None = None
    radionuclide_total_dose: float | None = None
    is_dose_in_mbq: bool = False
    radionuclide_half_life_s: float | None = None
    radionuclide_code: str | None = None
    radiopharmaceutical_count: int = 0
    radiopharmaceutical_start_time: time | None = None
    radiopharmaceutical_start_datetime: datetime | None = None
    series_at: datetime | None = None
    utc_offset: timedelta | None = None
    decay_corrected_to: datetime | None = None
    ge_scan_at: datetime | None = None
    slices: tuple[SliceHeader, ...] = ()


def series_header(datasets: Sequence[Dataset], *, names: Sequence[str]) -> PETHeader:
    """The header of a series of single-frame slices, in slice order.

    Args:
        datasets: One header per slice.
        names: What to call each slice in an error message.

    Raises:
        InconsistentSeriesError: Slices contradict each other.
        DICOMError: A value is malformed.
    """
    shared = [shared_values(dataset) for dataset in datasets]
    for values, name in zip(shared[1:], names[1:], strict=True):
        _check_same(shared[0], values, names=(names[0], name))
    return replace(shared[0], slices=tuple(slice_values(dataset) for dataset in datasets))


def shared_values(dataset: Dataset) -> PETHeader:
    """The values of one single-frame header that all slices must share.

    Raises:
        DICOMError: A value is malformed.
    """
    drugs = items(dataset, "RadiopharmaceuticalInformationSequence")
    drug = drugs[0] if drugs else Dataset()
    nuclides = items(drug, "RadionuclideCodeSequence")
    return PETHeader(
        units=text(dataset, "Units"),
        suv_type=text(dataset, "SUVType"),
        decay_correction=text(dataset, "DecayCorrection"),
        corrected_image=tuple(sorted(set(texts(dataset, "CorrectedImage")))),
        manufacturer=text(dataset, "Manufacturer"),
        patient_weight=number(dataset, "PatientWeight"),
        patient_size=number(dataset, "PatientSize"),
        patient_sex=text(dataset, "PatientSex"),
        radionuclide_total_dose=number(drug, "RadionuclideTotalDose"),
        radionuclide_half_life_s=number(drug, "RadionuclideHalfLife"),
        radionuclide_code=text(nuclides[0], "CodeValue") if nuclides else None,
        radiopharmaceutical_count=len(drugs),
        radiopharmaceutical_start_time=clock_time(drug, "RadiopharmaceuticalStartTime"),
        radiopharmaceutical_start_datetime=date_time(drug, "RadiopharmaceuticalStartDateTime"),
        series_at=_combined(calendar_date(dataset, "SeriesDate"), clock_time(dataset, "SeriesTime")),
        utc_offset=utc_offset(dataset),
        decay_corrected_to=date_time(dataset, "DecayCorrectionDateTime"),
        ge_scan_at=_ge_scan_at(dataset),
    )


def slice_values(dataset: Dataset) -> SliceHeader:
    """The values of one single-frame header that may differ from slice to slice.

    Raises:
        MissingTagError: The rescale slope is missing.
        DICOMError: A value is malformed.
    """
    slope = needed_number(
        dataset,
        "RescaleSlope",
        needed_for="the values of every PET slice",
        advice="Export the series again as PET images.",
    )
    acquired_at = _combined(calendar_date(dataset, "AcquisitionDate"), clock_time(dataset, "AcquisitionTime"))
    return SliceHeader(
        rescale_slope=slope,
        rescale_intercept=number(dataset, "RescaleIntercept") or 0.0,
        acquired_at=acquired_at
        or date_time(dataset, "FrameAcquisitionDateTime")
        or date_time(dataset, "AcquisitionDateTime"),
        frame_duration_s=_seconds(
            number(dataset, "ActualFrameDuration") or number(dataset, "FrameAcquisitionDuration")
        ),
        frame_reference_time_s=_seconds(number(dataset, "FrameReferenceTime")),
        philips_suv_factor=_philips_factor(dataset, 0x00),
        philips_activity_factor=_philips_factor(dataset, 0x09),
    )


def _check_same(first: PETHeader, other: PETHeader, *, names: tuple[str, str]) -> None:
    for field in fields(PETHeader):
        a, b = getattr(first, field.name), getattr(other, field.name)
        if a != b:
            msg = (
                f"Slices of one series contradict each other: {field.name.replace('_', ' ')} is {a} in {names[0]} "
                f"and {b} in {names[1]}. Export the series again, or remove the files that do not belong to it."
            )
            raise InconsistentSeriesError(msg)


def _philips_factor(dataset: Dataset, element: int) -> float | None:
    word = private_text(dataset, group=PHILIPS_GROUP, creator=PHILIPS_CREATOR, element=element, vendor="PHILIPS")
    if word is None:
        return None
    try:
        return float(word)
    except ValueError as error:
        msg = (
            f"Philips private factor (7053,10{element:02X}) should be numeric; found {word[:40]!r}. Re-export the file."
        )
        raise DICOMError(msg) from error


def _ge_scan_at(dataset: Dataset) -> datetime | None:
    word = private_text(dataset, group=GE_GROUP, creator=GE_CREATOR, element=0x0D, vendor="GE ")
    return None if word is None else parse_datetime(word, name="GE private scan date-time (0009,100D)")


def _combined(day: date | None, clock: time | None) -> datetime | None:
    return None if day is None or clock is None else datetime.combine(day, clock)


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000.0
