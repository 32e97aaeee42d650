"""When the dose was given, and to which time the activity of each slice is corrected."""

from __future__ import annotations

import math
from datetime import datetime, timedelta, timezone

from SegAnyPETLib.data.pet_header import PETHeader
from SegAnyPETLib.errors import InconsistentSeriesError, MissingTagError, SUVError
from SegAnyPETLib.suv.audit import Audit
from SegAnyPETLib.suv.stated import StatedValues

CLOCK_TOLERANCE_S = 1.0  # some tags are written without fractions
START_TAGS_TOLERANCE_S = 60.0  # between the two start tags, one of which may be written to the minute
REFERENCE_SPREAD_S = 60.0  # between the back-computed reference times of the slices; 0.6 % of SUV for F-18
MOST_HALF_LIVES = 10.0  # after which a thousandth is left and the header must be wrong
SAME_DAY_HALF_LIFE_S = 43_200.0  # a nuclide of longer half-life may have been given days before
_ADVICE_START = "State it with compute_suv(series, stated=StatedValues(administered_at=...))."
_ADVICE_REFERENCE = "State it with compute_suv(series, stated=StatedValues(reference_at=...))."


def mean_decay_offset_s(frame_duration_s: float, *, half_life_s: float) -> float:
    """Time after the start of a frame at which the activity equals its mean over the frame.

    Source:
        T_ave = ln(λT / (1 − exp(−λT))) / λ; QIBA FDG-PET/CT profile, vendor-neutral pseudo-code.
    """
    decays = math.log(2) / half_life_s * frame_duration_s
    return math.log(decays / -math.expm1(-decays)) * half_life_s / math.log(2) if decays > 0 else 0.0


def reference_times(
    header: PETHeader, stated: StatedValues, audit: Audit, *, half_life_s: float
) -> tuple[datetime, ...]:
    """The time to which each slice is decay corrected, for DecayCorrection START: the scan start.

    In this order: what the caller states; Decay Correction DateTime of Enhanced PET; the private GE scan date-time;
    the series time unless it lies after the first acquisition (then the series was made later, by post-processing);
    else computed back per slice from acquisition time, frame duration and frame reference time, or, where the frame
    reference times are all 0, the first acquisition.

    Args:
        header: The header of the series.
        stated: What the caller states.
        audit: Notes the source.
        half_life_s: Half-life of the radionuclide.

    Returns:
        One naive local time per slice.

    Raises:
        MissingTagError: A time is absent.
        InconsistentSeriesError: The slices were corrected to different times.
        SUVError: A timezone is ambiguous.
    """
    count = len(header.slices)
    named = (
        (stated.reference_at, "stated by the caller"),
        (header.decay_corrected_to, "DecayCorrectionDateTime (0018,9701)"),
        (header.ge_scan_at, "GE private scan date-time (0009,100D)"),
    )
    for moment, source in named:
        if moment is not None:
            audit.reference_time_source = source
            return (local_time(moment, header, name=source),) * count
    acquired = acquisition_times(header)
    if header.series_at is None:
        raise MissingTagError(
            keyword="SeriesTime", tag="(0008,0031)", needed_for="the time of decay correction", advice=_ADVICE_REFERENCE
        )
    if header.series_at <= min(acquired) + timedelta(seconds=CLOCK_TOLERANCE_S):
        audit.reference_time_source = "SeriesDate (0008,0021) and SeriesTime (0008,0031)"
        return (header.series_at,) * count
    return _reference_of_late_series(header, acquired, audit, half_life_s=half_life_s)


def acquisition_times(header: PETHeader) -> tuple[datetime, ...]:
    """The start of each slice's acquisition, naive local.

    Raises:
        MissingTagError: A slice has none.
    """
    times = [item.acquired_at for item in header.slices]
    if any(moment is None for moment in times):
        raise MissingTagError(
            keyword="AcquisitionTime",
            tag="(0008,0032)",
            needed_for="the time of decay correction",
            advice=_ADVICE_REFERENCE,
        )
    return tuple(local_time(t, header, name="AcquisitionDateTime (0008,002A)") for t in times if t is not None)


def administration_time(
    header: PETHeader, stated: StatedValues, audit: Audit, *, reference_at: datetime, half_life_s: float
) -> datetime:
    """When the dose was given, naive local, before `reference_at`.

    A start time without date is the last such time before the reference time, so a midnight between them is no harm.

    Raises:
        MissingTagError: Neither start tag is there.
        SUVError: The start tags contradict each other or the reference time, or the day cannot be told.
    """
    if stated.administered_at is not None:
        moment, source = local_time(stated.administered_at, header, name="administered_at"), "stated by the caller"
    elif header.radiopharmaceutical_start_datetime is not None:
        source = "RadiopharmaceuticalStartDateTime (0018,1078)"
        moment = local_time(header.radiopharmaceutical_start_datetime, header, name=source)
        _check_start_tags(header, moment)
    elif header.radiopharmaceutical_start_time is not None:
        source = "RadiopharmaceuticalStartTime (0018,1072)"
        moment = _last_before(header, reference_at, half_life_s=half_life_s)
    else:
        raise MissingTagError(
            keyword="RadiopharmaceuticalStartDateTime",
            tag="(0018,1078)",
            needed_for="decay correction (or RadiopharmaceuticalStartTime (0018,1072))",
            advice=_ADVICE_START,
        )
    elapsed = (reference_at - moment).total_seconds()
    if not 0 <= elapsed <= MOST_HALF_LIVES * half_life_s:
        msg = (
            f"The dose should be given 0 to {MOST_HALF_LIVES:g} half-lives before the reference time "
            f"({audit.reference_time_source}); by {source} it is {elapsed / 3600:.3f} h. {_ADVICE_START}"
        )
        raise SUVError(msg)
    audit.used("time from administration to reference (s)", elapsed, source=source)
    return moment


def local_time(moment: datetime, header: PETHeader, *, name: str) -> datetime:
    """A date-time on the clock of the header, without timezone.

    Raises:
        SUVError: It carries an offset from UTC, but the header's own zone cannot be told.
    """
    if moment.tzinfo is None:
        return moment
    offset = _header_offset(header)
    if offset is None:
        msg = (
            f"{name} carries an offset from UTC, but TimezoneOffsetFromUTC (0008,0201) is missing, so it cannot be "
            "compared with the series time. State the times with StatedValues."
        )
        raise SUVError(msg)
    return moment.astimezone(timezone(offset)).replace(tzinfo=None)


def _header_offset(header: PETHeader) -> timedelta | None:
    if header.utc_offset is not None:
        return header.utc_offset
    first = header.slices[0].acquired_at if header.slices else None
    for moment in (header.decay_corrected_to, header.ge_scan_at, first):
        if moment is not None and moment.tzinfo is not None:
            return moment.utcoffset()
    start, clock = header.radiopharmaceutical_start_datetime, header.radiopharmaceutical_start_time
    if start is not None and clock is not None and start.replace(tzinfo=None).time() == clock:
        return start.utcoffset()
    return None


def _reference_of_late_series(
    header: PETHeader, acquired: tuple[datetime, ...], audit: Audit, *, half_life_s: float
) -> tuple[datetime, ...]:
    if all(item.frame_reference_time_s == 0 for item in header.slices):
        audit.reference_time_source = "earliest AcquisitionTime (0008,0032)"
        audit.doubt(
            "SeriesTime (0008,0031) lies after the acquisition and FrameReferenceTime (0054,1300) is 0 everywhere: the "
            "earliest AcquisitionTime (0008,0032) is taken as the time of decay correction, as QIBA advises."
        )
        return (min(acquired),) * len(acquired)
    audit.reference_time_source = (
        "computed back from AcquisitionTime (0008,0032), ActualFrameDuration (0018,1242) and FrameReferenceTime "
        "(0054,1300), because SeriesTime (0008,0031) lies after the acquisition"
    )
    return _computed_back(header, acquired, half_life_s=half_life_s)


def _computed_back(header: PETHeader, acquired: tuple[datetime, ...], *, half_life_s: float) -> tuple[datetime, ...]:
    times = []
    for item, moment in zip(header.slices, acquired, strict=True):
        for value, keyword, tag in (
            (item.frame_duration_s, "ActualFrameDuration", "(0018,1242)"),
            (item.frame_reference_time_s, "FrameReferenceTime", "(0054,1300)"),
        ):
            if value is None:
                raise MissingTagError(
                    keyword,
                    tag,
                    needed_for="the time of decay correction, as SeriesTime (0008,0031) lies after the acquisition",
                    advice=_ADVICE_REFERENCE,
                )
        offset = mean_decay_offset_s(item.frame_duration_s or 0.0, half_life_s=half_life_s)
        times.append(moment + timedelta(seconds=offset - (item.frame_reference_time_s or 0.0)))
    spread = (max(times) - min(times)).total_seconds()
    if spread > REFERENCE_SPREAD_S:
        msg = (
            "SeriesTime (0008,0031) lies after the acquisition, and the scan start computed back from AcquisitionTime "
            f"(0008,0032) and FrameReferenceTime (0054,1300) differs by {spread:.0f} s between slices, so these tags "
            f"contradict each other. {_ADVICE_REFERENCE}"
        )
        raise InconsistentSeriesError(msg)
    return tuple(times)


def _last_before(header: PETHeader, reference_at: datetime, *, half_life_s: float) -> datetime:
    if half_life_s > SAME_DAY_HALF_LIFE_S:
        msg = (
            f"With a half-life of {half_life_s / 3600:.1f} h the dose may have been given days before, but only "
            "RadiopharmaceuticalStartTime (0018,1072) is there, without a date; RadiopharmaceuticalStartDateTime "
            f"(0018,1078) is missing. {_ADVICE_START}"
        )
        raise SUVError(msg)
    clock = header.radiopharmaceutical_start_time
    moment = datetime.combine(reference_at.date(), clock) if clock is not None else reference_at
    return moment - timedelta(days=1) if moment > reference_at else moment


def _check_start_tags(header: PETHeader, moment: datetime) -> None:
    clock = header.radiopharmaceutical_start_time
    if clock is None:
        return
    apart = abs((datetime.combine(moment.date(), clock) - moment).total_seconds())
    if min(apart, 86_400 - apart) > START_TAGS_TOLERANCE_S:
        msg = (
            f"RadiopharmaceuticalStartDateTime (0018,1078) and RadiopharmaceuticalStartTime (0018,1072) are "
            f"{min(apart, 86_400 - apart):.0f} s apart and contradict each other. {_ADVICE_START}"
        )
        raise SUVError(msg)
