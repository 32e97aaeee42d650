"""Times of PET headers that SUV must get right or refuse; the arithmetic is written out by hand, see `suv_by_hand`."""

from __future__ import annotations

import math
from datetime import datetime

import pytest
from pet_dicom_builder import DELETED
from pydicom.dataelem import DataElement
from suv_by_hand import AN_HOUR, HALF_LIFE

from SegAnyPETLib.errors import InconsistentSeriesError, MissingTagError, SegAnyPETWarning, SUVError
from SegAnyPETLib.suv import StatedValues


def test_activity_corrected_to_the_start_of_the_series(factors):
    assert factors() == pytest.approx([2e-4 * AN_HOUR] * 5, rel=1e-6)
    assert pytest.approx(2.9213e-4, rel=1e-4) == 2e-4 * AN_HOUR


@pytest.mark.parametrize("absent", ["RadiopharmaceuticalStartTime", "RadiopharmaceuticalStartDateTime"])
def test_06_either_start_tag_alone_suffices(factors, absent):
    assert factors(drug_tags={absent: DELETED}) == pytest.approx([2e-4 * AN_HOUR] * 5, rel=1e-6)


def test_06_without_either_start_tag_the_time_is_asked_for(factors):
    neither = {"RadiopharmaceuticalStartTime": DELETED, "RadiopharmaceuticalStartDateTime": DELETED}
    with pytest.raises(MissingTagError, match=r"\(0018,1078\).*\(0018,1072\).*administered_at="):
        factors(drug_tags=neither)
    stated = StatedValues(administered_at=datetime(2025, 1, 1, 9, 0))
    got = factors(drug_tags=neither, stated=stated)
    assert got == pytest.approx([2e-4 * 2 ** (7200 / HALF_LIFE)] * 5, rel=1e-6)


def test_06_contradicting_start_tags_are_refused(factors):
    with pytest.raises(SUVError, match=r"\(0018,1078\) and .* \(0018,1072\) are 1800 s apart"):
        factors(drug_tags={"RadiopharmaceuticalStartTime": "103000"})


def test_06_start_time_written_to_the_minute_goes_with_the_exact_date_time(factors):
    tags = {"RadiopharmaceuticalStartTime": "1000", "RadiopharmaceuticalStartDateTime": "20250101100030"}
    assert factors(drug_tags=tags) == pytest.approx([2e-4 * 2 ** (3570 / HALF_LIFE)] * 5, rel=1e-6)


def test_07_midnight_between_administration_and_scan(factors):
    # 23:30 to 00:30 of the next day is one hour
    tags = {"RadiopharmaceuticalStartTime": "233000", "RadiopharmaceuticalStartDateTime": DELETED}
    times = {"SeriesTime": "003000", "AcquisitionTime": "003000"}
    assert factors(drug_tags=tags, **times) == pytest.approx([2e-4 * AN_HOUR] * 5, rel=1e-6)


def test_07_start_time_a_little_after_the_scan_is_not_taken_for_the_day_before(factors):
    tags = {"RadiopharmaceuticalStartTime": "110500", "RadiopharmaceuticalStartDateTime": DELETED}
    with pytest.raises(SUVError, match=r"0 to 10 half-lives before .* it is 23.917 h"):
        factors(drug_tags=tags)


def test_07_start_date_time_after_the_scan_is_refused(factors):
    tags = {"RadiopharmaceuticalStartTime": DELETED, "RadiopharmaceuticalStartDateTime": "20250101113000"}
    with pytest.raises(SUVError, match=r"it is -0.500 h"):
        factors(drug_tags=tags)


def test_07_start_date_shifted_by_anonymization_is_refused(factors):
    with pytest.raises(SUVError, match="half-lives before"):
        factors(drug_tags={"RadiopharmaceuticalStartDateTime": "20190101100000"})


@pytest.mark.parametrize(
    ("start", "seconds"),
    [
        ("10", 3600),
        ("1000", 3600),
        ("100030", 3570),
        ("100030.5", 3569.5),
        ("100030.500000", 3569.5),
        ("10:00:30", 3570),
    ],
)
def test_08_short_fractional_and_old_times(factors, start, seconds):
    tags = {"RadiopharmaceuticalStartDateTime": DELETED}

    def write(dataset, _):
        raw = DataElement(0x00181072, "LO", start)  # LO: the builder's own library would refuse some of them as TM
        dataset.RadiopharmaceuticalInformationSequence[0][0x00181072] = raw

    assert factors(drug_tags=tags, change=write) == pytest.approx([2e-4 * 2 ** (seconds / HALF_LIFE)] * 5, rel=1e-6)


def test_09_series_time_later_than_acquisition_is_not_the_reference(factors):
    # Reformatted at 15:00. Two beds of T = 300 s at 11:02:30 and 11:07:30; their mean activity is reached T_ave after
    # the start, λ = ln2/6586.2, λT = 0.031573: T_ave = ln(λT/(1 - e^-λT))/λ = 149.61 s. FrameReferenceTime counts from
    # the scan start 11:00:00: 150 + 149.61 and 450 + 149.61 s. So t_ref = 11:00:00 for both.
    rate = math.log(2) / HALF_LIFE
    mean = math.log(rate * 300 / (1 - math.exp(-rate * 300))) / rate
    assert mean == pytest.approx(149.605, abs=0.001)
    tags = {
        "SeriesTime": "150000",
        "AcquisitionTime": lambda k: "110230" if k < 2 else "110730",
        "FrameReferenceTime": lambda k: f"{1000 * (mean + (150 if k < 2 else 450)):.3f}",
    }
    assert factors(**tags) == pytest.approx([2e-4 * AN_HOUR] * 5, rel=1e-6)


def test_09_acquisitions_that_give_different_scan_starts_are_refused(factors):
    # Constant acquisition time but a frame reference time that grows by the bed: real on one vendor's scanners.
    tags = {"SeriesTime": "150000", "FrameReferenceTime": lambda k: str(150000 + 200000 * k)}
    with pytest.raises(InconsistentSeriesError, match="differs by 800 s between slices"):
        factors(**tags)


def test_09_frame_reference_times_left_at_zero_give_the_first_acquisition_with_a_warning(factors):
    times = {"SeriesTime": "150000", "FrameReferenceTime": "0", "AcquisitionTime": lambda k: f"11{5 * k:02d}00"}
    with pytest.warns(SegAnyPETWarning, match=r"FrameReferenceTime \(0054,1300\) is 0 everywhere"):
        assert factors(**times) == pytest.approx([2e-4 * AN_HOUR] * 5, rel=1e-6)


@pytest.mark.parametrize("keyword", ["FrameReferenceTime", "ActualFrameDuration"])
def test_09_series_time_later_without_frame_times_is_refused(factors, keyword):
    with pytest.raises(MissingTagError, match=keyword):
        factors(SeriesTime="150000", **{keyword: DELETED})


def test_09_constant_acquisition_time_equal_to_series_time_is_never_computed_back(factors):
    got = factors(FrameReferenceTime=lambda k: str(250000 * k))
    assert got == pytest.approx([2e-4 * AN_HOUR] * 5, rel=1e-6)


def test_09_series_time_before_later_beds_is_the_reference_for_all(factors):
    got = factors(AcquisitionTime=lambda k: f"11{5 * k:02d}00")
    assert got == pytest.approx([2e-4 * AN_HOUR] * 5, rel=1e-6)


def test_09_ge_private_scan_time_wins(factors):
    def add(dataset, _):
        dataset.private_block(0x0009, "GEMS_PETD_01", create=True).add_new(0x0D, "DT", "20250101110000.00")

    got = factors(SeriesTime="150000", FrameReferenceTime=lambda k: str(250000 * k), change=add)
    assert got == pytest.approx([2e-4 * AN_HOUR] * 5, rel=1e-6)


def test_09_private_time_in_a_block_of_another_creator_is_not_believed(factors):
    def add(dataset, _):
        dataset.private_block(0x0009, "SOMEBODY ELSE", create=True).add_new(0x0D, "DT", "20250101120000.00")

    assert factors(Manufacturer="GE MEDICAL SYSTEMS", change=add) == pytest.approx([2e-4 * AN_HOUR] * 5, rel=1e-6)


def test_09_private_time_in_a_second_block_is_found(factors):
    def add(dataset, _):
        dataset.private_block(0x0009, "SOMEBODY ELSE", create=True).add_new(0x0D, "DT", "20250101120000.00")
        dataset.private_block(0x0009, "GEMS_PETD_01", create=True).add_new(0x0D, "DT", "20250101110000.00")

    assert factors(SeriesTime="150000", change=add) == pytest.approx([2e-4 * AN_HOUR] * 5, rel=1e-6)


def test_10_decay_corrected_to_administration_needs_no_times(factors):
    got = factors(
        DecayCorrection="ADMIN",
        AcquisitionTime=DELETED,
        SeriesTime=DELETED,
        drug_tags={"RadiopharmaceuticalStartTime": DELETED, "RadiopharmaceuticalStartDateTime": DELETED},
    )
    assert got == pytest.approx([2e-4] * 5, rel=1e-6)


def test_11_without_decay_correction_each_frame_is_corrected_by_itself(factors):
    # At 11:00 and 11:10; mean over T = 300 s: λT/(1 - e^-λT) with λT = 0.0315730 is 1.015869
    rate = math.log(2) / HALF_LIFE
    frame = rate * 300 / (1 - math.exp(-rate * 300))
    assert frame == pytest.approx(1.01587, abs=1e-5)
    got = factors(
        DecayCorrection="NONE",
        CorrectedImage=["ATTN"],
        AcquisitionTime=lambda k: "110000" if k < 2 else "111000",
    )
    expected = [2e-4 * frame * AN_HOUR] * 2 + [2e-4 * frame * 2 ** (4200 / HALF_LIFE)] * 3
    assert got == pytest.approx(expected, rel=1e-6)


def test_11_without_decay_correction_the_frame_duration_is_needed(factors):
    with pytest.raises(MissingTagError, match=r"ActualFrameDuration \(0018,1242\)"):
        factors(DecayCorrection="NONE", CorrectedImage=["ATTN"], ActualFrameDuration=DELETED)


def test_20_start_time_goes_with_the_day_of_the_scan_not_of_today(factors):
    days = {"SeriesDate": "20010222", "AcquisitionDate": "20010222"}
    got = factors(drug_tags={"RadiopharmaceuticalStartDateTime": DELETED}, **days)
    assert got == pytest.approx([2e-4 * AN_HOUR] * 5, rel=1e-6)


@pytest.mark.parametrize("keyword", ["SeriesTime", "SeriesDate", "AcquisitionTime", "AcquisitionDate"])
def test_missing_scan_time_is_asked_for(factors, keyword):
    with pytest.raises(MissingTagError, match="reference_at="):
        factors(**{keyword: DELETED})
    stated = StatedValues(reference_at=datetime(2025, 1, 1, 11, 0))
    assert factors(stated=stated, **{keyword: DELETED}) == pytest.approx([2e-4 * AN_HOUR] * 5, rel=1e-6)


def test_start_in_another_zone_is_compared_on_the_same_clock(factors):
    # 09:00 UTC is 10:00 at +0100
    tags = {"RadiopharmaceuticalStartTime": DELETED, "RadiopharmaceuticalStartDateTime": "20250101090000+0000"}
    got = factors(drug_tags=tags, TimezoneOffsetFromUTC="+0100")
    assert got == pytest.approx([2e-4 * AN_HOUR] * 5, rel=1e-6)


def test_start_with_an_offset_but_no_zone_of_the_series_is_refused(factors):
    tags = {"RadiopharmaceuticalStartTime": DELETED, "RadiopharmaceuticalStartDateTime": "20250101090000+0000"}
    with pytest.raises(SUVError, match=r"TimezoneOffsetFromUTC \(0008,0201\) is missing"):
        factors(drug_tags=tags)


def test_start_with_an_offset_whose_clock_time_is_the_start_time_needs_no_zone(factors):
    got = factors(drug_tags={"RadiopharmaceuticalStartDateTime": "20250101100000.00+0100"})
    assert got == pytest.approx([2e-4 * AN_HOUR] * 5, rel=1e-6)
