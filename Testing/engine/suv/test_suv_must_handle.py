"""Each special case of PET headers that SUV must get right or refuse; the arithmetic is written out by hand.

The default series: 74 kg, 370 MBq of F-18 (half-life 6586.2 s) at 10:00:00, series and acquisition at 11:00:00, so
SUVbw = c · 74000 g / (370e6 Bq · 2^(-3600/6586.2)) = c · 2e-4 · 2^(3600/6586.2).
"""

from __future__ import annotations

import math
from datetime import datetime

import numpy as np
import pytest
from pet_dicom_builder import DELETED, drug, pet_slices, stored_values, write_slices
from pydicom.dataelem import DataElement

from SegAnyPETLib.data import read_pet_series
from SegAnyPETLib.errors import InconsistentSeriesError, MissingTagError, SegAnyPETWarning, SUVError
from SegAnyPETLib.suv import StatedValues, compute_suv

HALF_LIFE = 6586.2
AN_HOUR = 2 ** (3600 / HALF_LIFE)  # 1.4606 times more decay-corrected activity than at administration


@pytest.fixture
def factors(tmp_path):
    """Factor of each slice from rescaled value to SUV, for a series with these tags."""

    def of(*, kind="bw", stated=None, change=None, **tags):
        slices = pet_slices(**tags)
        for k, dataset in enumerate(slices):
            if change:
                change(dataset, k)
        write_slices(tmp_path, slices)
        series = read_pet_series(tmp_path)
        volume = compute_suv(series, kind=kind, stated=stated)
        ratio = volume.array / series.values
        assert np.allclose(ratio, ratio[:, :1, :1], rtol=1e-6)
        return ratio[:, 0, 0]

    return of


def test_activity_corrected_to_the_start_of_the_series(factors):
    assert factors() == pytest.approx([2e-4 * AN_HOUR] * 5, rel=1e-6)
    assert pytest.approx(2.9213e-4, rel=1e-4) == 2e-4 * AN_HOUR


def test_01_slope_differs_per_slice(tmp_path):
    write_slices(tmp_path, pet_slices(slopes=["1", "2", "3", "4", "5"]))
    array = compute_suv(read_pet_series(tmp_path)).array
    expected = stored_values() * np.arange(1, 6)[:, None, None] * 2e-4 * AN_HOUR
    assert array == pytest.approx(expected, rel=1e-6)


def test_02_intercept_is_refused(factors):
    with pytest.raises(SUVError, match=r"RescaleIntercept \(0028,1052\) .* should be 0; found -1024"):
        factors(RescaleIntercept="-1024")


def test_03_dose_in_mbq_is_converted_with_a_warning(factors):
    with pytest.warns(SegAnyPETWarning, match=r"RadionuclideTotalDose \(0018,1074\) is 370: read as MBq, 3.7e\+08 Bq"):
        assert factors(drug_tags={"RadionuclideTotalDose": "370"}) == pytest.approx([2e-4 * AN_HOUR] * 5, rel=1e-6)


@pytest.mark.parametrize("dose", ["10", "0.37", "370000", "0", "-5", "1e12"])  # mCi? GBq? kBq?
def test_03_dose_of_unclear_unit_is_refused(factors, dose):
    with pytest.raises(SUVError, match="unit cannot be told"):
        factors(drug_tags={"RadionuclideTotalDose": dose})


def test_04_weight_in_grams_is_converted_with_a_warning(factors):
    with pytest.warns(SegAnyPETWarning, match="74000: read as grams, 74 kg"):
        assert factors(PatientWeight="74000") == pytest.approx([2e-4 * AN_HOUR] * 5, rel=1e-6)


@pytest.mark.parametrize("weight", ["0", "-70", "700", "1e6"])
def test_04_impossible_weight_is_refused(factors, weight):
    with pytest.raises(SUVError, match=r"PatientWeight \(0010,1030\) should be kg"):
        factors(PatientWeight=weight)


def test_04_missing_weight_is_asked_for(factors):
    with pytest.raises(MissingTagError, match=r"PatientWeight \(0010,1030\).*patient_weight_kg=") as error:
        factors(PatientWeight=DELETED)
    assert error.value.keyword == "PatientWeight"


def test_04_stated_weight_replaces_the_missing_one(factors):
    got = factors(PatientWeight=DELETED, stated=StatedValues(patient_weight_kg=37.0))
    assert got == pytest.approx([1e-4 * AN_HOUR] * 5, rel=1e-6)


def test_05_height_in_cm_is_converted_with_a_warning(factors):
    # DuBois: 71.84 · 74^0.425 · 175^0.725 = 71.84 · 6.229325 · 42.284366 = 18922.8 cm2, over 74000 g
    area = 71.84 * 74**0.425 * 175**0.725
    assert area == pytest.approx(18923, abs=1)
    expected = [2e-4 * AN_HOUR * area / 74000] * 5
    assert factors(kind="bsa") == pytest.approx(expected, rel=1e-6)
    with pytest.warns(SegAnyPETWarning, match="175: read as cm, 1.75 m"):
        assert factors(kind="bsa", PatientSize="175") == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("size", ["2.9", "17.5", "1750", "-1.7"])
def test_05_impossible_height_is_refused_where_it_is_needed(factors, size):
    with pytest.raises(SUVError, match=r"PatientSize \(0010,1020\) should be m"):
        factors(kind="lbm", PatientSize=size)


@pytest.mark.parametrize("size", [DELETED, "0"])
def test_05_missing_height_is_asked_for_only_where_it_is_needed(factors, size):
    assert factors(PatientSize=size) == pytest.approx([2e-4 * AN_HOUR] * 5, rel=1e-6)
    with pytest.raises(MissingTagError, match="PatientSize"):
        factors(kind="ibw", PatientSize=size)


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


def philips(**values):
    def add(dataset, _):
        block = dataset.private_block(0x7053, "Philips PET Private Group", create=True)
        for element, value in values.items():
            block.add_new(int(element[1:], 16), "DS", value)

    return add


def test_12_counts_with_the_philips_suv_factor(factors):
    assert factors(Units="CNTS", change=philips(x00="0.00055")) == pytest.approx([0.00055] * 5, rel=1e-6)


def test_12_counts_with_the_philips_activity_factor_only(factors):
    got = factors(Units="CNTS", change=philips(x00="0", x09="2.5"))
    assert got == pytest.approx([2.5 * 2e-4 * AN_HOUR] * 5, rel=1e-6)


def test_12_counts_with_neither_factor_are_refused(factors):
    with pytest.raises(MissingTagError, match=r"\(7053,1000\).*\(7053,1009\)"):
        factors(Units="CNTS")


def test_12_factor_whose_private_creator_was_lost_is_read_for_philips_only(factors):
    def add(dataset, _):
        dataset.add_new(0x70531000, "DS", "0.00055")

    got = factors(Units="CNTS", Manufacturer="Philips Medical Systems", change=add)
    assert got == pytest.approx([0.00055] * 5, rel=1e-6)
    with pytest.raises(MissingTagError):
        factors(Units="CNTS", Manufacturer="Another", change=add)


def test_12_philips_factor_is_not_applied_to_activity(factors):
    assert factors(change=philips(x00="0.00055")) == pytest.approx([2e-4 * AN_HOUR] * 5, rel=1e-6)


@pytest.mark.parametrize("suv_type", [DELETED, "BW"])
def test_13_values_in_suv_are_not_converted_again(factors, suv_type):
    assert factors(Units="GML", SUVType=suv_type, PatientWeight=DELETED) == pytest.approx([1.0] * 5)


@pytest.mark.parametrize(
    ("suv_type", "mass"),
    [
        ("LBM", 1.10 * 74 - 120 * (74 / 175) ** 2),  # 59.94 kg
        ("LBMJAMES128", 1.10 * 74 - 128 * (74 / 175) ** 2),  # 58.51 kg
        ("LBMJANMA", 9270 * 74 / (6680 + 216 * 74 / 1.75**2)),  # 57.65 kg
        ("IBW", 48.0 + 1.06 * (175 - 152)),  # 72.38 kg
    ],
)
def test_13_suv_by_another_mass_becomes_suv_by_weight(factors, suv_type, mass):
    assert factors(Units="GML", SUVType=suv_type) == pytest.approx([74 / mass] * 5, rel=1e-6)


@pytest.mark.parametrize(("kind", "suv_type"), [("lbm", "LBMJANMA"), ("ibw", "IBW")])
def test_13_suv_of_the_wanted_kind_stays_as_it_is(factors, kind, suv_type):
    got = factors(kind=kind, Units="GML", SUVType=suv_type, PatientWeight=DELETED, PatientSize=DELETED)
    assert got == pytest.approx([1.0] * 5)


@pytest.mark.parametrize(("units", "suv_type"), [("GML", "BSA"), ("CM2ML", "BW"), ("GML", "NONSENSE")])
def test_13_unit_and_type_that_contradict_are_refused(factors, units, suv_type):
    with pytest.raises(SUVError, match=r"Units \(0054,1001\).*SUVType \(0054,1006\)"):
        factors(Units=units, SUVType=suv_type)


@pytest.mark.parametrize("suv_type", [DELETED, "BSA"])
def test_14_suv_by_surface_area(factors, suv_type):
    area = 71.84 * 74**0.425 * 175**0.725  # cm2
    assert factors(Units="CM2ML", SUVType=suv_type) == pytest.approx([74000 / area] * 5, rel=1e-6)
    assert factors(kind="bsa", Units="CM2ML", SUVType=suv_type) == pytest.approx([1.0] * 5)


@pytest.mark.parametrize("units", ["CPS", "PROPCPS", "PCNT", "MLMING"])
def test_15_other_units_are_refused(factors, units):
    with pytest.raises(SUVError, match=rf"Units \(0054,1001\) should be BQML, CNTS, GML or CM2ML; found {units}"):
        factors(Units=units)


def test_15_missing_units_are_refused(factors):
    with pytest.raises(MissingTagError, match=r"Units \(0054,1001\)"):
        factors(Units=DELETED)


@pytest.mark.parametrize(
    ("half_life", "nuclide"),
    [("4057.7", "C-131A3"), ("230760", "C-162A7"), ("574300", "Lu-177"), ("1221.8", "C-105A1"), ("282280", "C-168A4")],
)
def test_16_other_radionuclides_decay_by_their_own_half_life(factors, half_life, nuclide):
    from pet_dicom_builder import code

    tags = {"RadionuclideHalfLife": half_life, "RadionuclideCodeSequence": [code(nuclide, "SRT", "nuclide")]}
    assert factors(drug_tags=tags) == pytest.approx([2e-4 * 2 ** (3600 / float(half_life))] * 5, rel=1e-6)


def test_16_positron_fraction_is_not_applied(factors):
    got = factors(drug_tags={"RadionuclidePositronFraction": "0.0000318"})  # Y-90
    assert got == pytest.approx([2e-4 * AN_HOUR] * 5, rel=1e-6)


@pytest.mark.parametrize("half_life", ["109.77", "4057.7", "0", "-6586.2"])  # minutes; gallium; nonsense
def test_16_half_life_of_another_nuclide_is_refused(factors, half_life):
    with pytest.raises(SUVError, match=r"RadionuclideHalfLife \(0018,1075\) should be 6586.2 s"):
        factors(drug_tags={"RadionuclideHalfLife": half_life})


def test_16_long_half_life_without_a_date_is_refused(factors):
    tags = {
        "RadionuclideHalfLife": "282280",
        "RadionuclideCodeSequence": DELETED,
        "RadiopharmaceuticalStartDateTime": DELETED,
    }
    with pytest.raises(SUVError, match=r"78.4 h the dose may have been given days before"):
        factors(drug_tags=tags)


def test_17_uncorrected_attenuation_is_refused(factors):
    with pytest.raises(SUVError, match=r"CorrectedImage \(0028,0051\) is DECY/NORM, without ATTN"):
        factors(CorrectedImage=["NORM", "DECY"])


def test_17_missing_corrections_are_asked_for(factors):
    with pytest.raises(MissingTagError, match=r"CorrectedImage \(0028,0051\).*is_attenuation_corrected="):
        factors(CorrectedImage=DELETED)
    got = factors(CorrectedImage=DELETED, stated=StatedValues(is_attenuation_corrected=True))
    assert got == pytest.approx([2e-4 * AN_HOUR] * 5, rel=1e-6)


@pytest.mark.parametrize(("decay", "corrected"), [("START", ["ATTN"]), ("ADMIN", ["ATTN"]), ("NONE", ["ATTN", "DECY"])])
def test_17_decay_tags_that_contradict_are_refused(factors, decay, corrected):
    with pytest.raises(SUVError, match=rf"DecayCorrection \(0054,1102\) is {decay}, but CorrectedImage"):
        factors(DecayCorrection=decay, CorrectedImage=corrected)


@pytest.mark.parametrize(("decay", "error"), [(DELETED, MissingTagError), ("SOMETIMES", SUVError)])
def test_17_decay_correction_is_needed_and_must_be_known(factors, decay, error):
    with pytest.raises(error, match=r"DecayCorrection \(0054,1102\)"):
        factors(DecayCorrection=decay)


def test_19_uptake_that_no_body_has_is_noted(tmp_path):
    # 1 MBq instead of 370: mean stored value 2153.5 · 0.5 Bq/ml · 74000 g / 1e6 Bq · 2^(3600/6586.2) = 116.4
    write_slices(tmp_path, pet_slices(drug_tags={"RadionuclideTotalDose": "1000000"}))
    provenance = compute_suv(read_pet_series(tmp_path)).provenance
    assert provenance.warnings == (
        "The mean of the positive voxels is SUV 116.4, a body has about 1. Check dose and weight.",
    )


def test_20_start_time_goes_with_the_day_of_the_scan_not_of_today(factors):
    days = {"SeriesDate": "20010222", "AcquisitionDate": "20010222"}
    got = factors(drug_tags={"RadiopharmaceuticalStartDateTime": DELETED}, **days)
    assert got == pytest.approx([2e-4 * AN_HOUR] * 5, rel=1e-6)


def test_21_two_radiopharmaceuticals_are_refused(factors):
    def add(dataset, _):
        dataset.RadiopharmaceuticalInformationSequence.append(drug())

    with pytest.raises(SUVError, match=r"one item in RadiopharmaceuticalInformationSequence \(0054,0016\); found 2"):
        factors(change=add)


@pytest.mark.parametrize(
    ("keyword", "expected"),
    [("RadionuclideTotalDose", "RadionuclideTotalDose"), ("RadionuclideHalfLife", "RadionuclideHalfLife")],
)
def test_missing_dose_or_half_life_is_asked_for(factors, keyword, expected):
    with pytest.raises(MissingTagError) as error:
        factors(drug_tags={keyword: DELETED})
    assert error.value.keyword == expected


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


@pytest.mark.parametrize(
    ("sex", "mass"),
    [
        ("M", 9270 * 74 / (6680 + 216 * 74 / 1.75**2)),
        ("F", 9270 * 74 / (8780 + 244 * 74 / 1.75**2)),
    ],
)
def test_suv_by_lean_body_mass(factors, sex, mass):
    assert factors(kind="lbm", PatientSex=sex) == pytest.approx([2e-4 * AN_HOUR * mass / 74] * 5, rel=1e-6)


def test_suv_by_ideal_body_weight(factors):
    mass = 45.5 + 0.91 * (175 - 152)  # 66.43 kg
    assert factors(kind="ibw", PatientSex="F") == pytest.approx([2e-4 * AN_HOUR * mass / 74] * 5, rel=1e-6)


def test_sex_other_takes_the_mean_of_both_with_a_warning(factors):
    mass = ((48.0 + 1.06 * 23) + (45.5 + 0.91 * 23)) / 2
    with pytest.warns(SegAnyPETWarning, match=r"PatientSex \(0010,0040\) is O"):
        got = factors(kind="ibw", PatientSex="O")
    assert got == pytest.approx([2e-4 * AN_HOUR * mass / 74] * 5, rel=1e-6)


@pytest.mark.parametrize(("sex", "error"), [(DELETED, MissingTagError), ("X", SUVError)])
def test_unknown_sex_is_asked_for_where_it_is_needed(factors, sex, error):
    assert factors(PatientSex=sex) == pytest.approx([2e-4 * AN_HOUR] * 5, rel=1e-6)
    with pytest.raises(error, match=r"PatientSex \(0010,0040\)"):
        factors(kind="lbm", PatientSex=sex)


def test_formula_that_does_not_hold_for_a_body_is_refused(factors):
    with pytest.raises(SUVError, match="ideal body weight of 74 kg and 90 cm comes out as -"):
        factors(kind="ibw", PatientSize="0.9")


def test_stated_values_win_over_the_header_and_are_marked(tmp_path):
    write_slices(tmp_path, pet_slices())
    stated = StatedValues(dose_bq=185e6, half_life_s=6600.0, patient_weight_kg=37.0)
    volume = compute_suv(read_pet_series(tmp_path), stated=stated)
    expected = stored_values() * 0.5 * 2e-4 * 2 ** (3600 / 6600)
    assert volume.array == pytest.approx(expected, rel=1e-6)
    assert volume.provenance.inputs["dose (Bq)"] == "185000000 (stated by the caller)"


@pytest.mark.parametrize("stated", [{"patient_weight_kg": -1.0}, {"dose_bq": 0.0}, {"patient_weight_kg": 74000.0}])
def test_impossible_stated_value_is_refused(factors, stated):
    with pytest.raises(SUVError, match="The stated"):
        factors(stated=StatedValues(**stated))
