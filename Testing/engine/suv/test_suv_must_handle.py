"""Dose, nuclide, body and corrections in PET headers that SUV must get right or refuse; see `suv_by_hand`."""

from __future__ import annotations

import numpy as np
import pytest
from pet_dicom_builder import DELETED, drug, pet_slices, stored_values, write_slices
from suv_by_hand import AN_HOUR

from SegAnyPETLib.data import read_pet_series
from SegAnyPETLib.errors import MissingTagError, SegAnyPETWarning, SUVError
from SegAnyPETLib.suv import StatedValues, compute_suv


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
