"""Units of PET headers that SUV must get right or refuse; the arithmetic is written out by hand, see `suv_by_hand`."""

from __future__ import annotations

import pytest
from pet_dicom_builder import DELETED
from suv_by_hand import AN_HOUR

from SegAnyPETLib.errors import MissingTagError, SUVError


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
