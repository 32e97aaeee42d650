"""Header values as they come from untrusted files."""

from __future__ import annotations

from datetime import datetime, time, timedelta, timezone

import pytest
from pet_dicom_builder import pet_slices, write_slices
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from SegAnyPETLib.data import read_pet_series
from SegAnyPETLib.data.dicom_values import number, numbers, parse_date, parse_datetime, parse_time, private_text, text
from SegAnyPETLib.errors import DICOMError


def raw(tag: int, vr: str | None, value: bytes, *, little: bool = True) -> Dataset:
    element = RawDataElement(BaseTag(tag), vr, len(value), value, 0, vr is None, little)
    return Dataset({BaseTag(tag): element})


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("093015.25", time(9, 30, 15, 250000)),
        ("093015.1234567", time(9, 30, 15, 123456)),
        ("093015", time(9, 30, 15)),
        ("0930", time(9, 30)),
        ("09", time(9)),
        ("09:30:15", time(9, 30, 15)),
        ("235960", time(23, 59, 59)),  # a leap second
    ],
)
def test_times_of_every_length_are_understood(word, expected):
    assert parse_time(word, name="Time") == expected


@pytest.mark.parametrize("word", ["", "9", "240000", "096000", "noon", "09301", "-90000", "093015.", "09 30"])
def test_what_is_no_time_is_refused_by_name(word):
    with pytest.raises(DICOMError, match="AcquisitionTime should be a time of day"):
        parse_time(word, name="AcquisitionTime")


@pytest.mark.parametrize("word", ["20250230", "2025", "20251301", "today", "20250101T10"])
def test_what_is_no_date_is_refused_by_name(word):
    with pytest.raises(DICOMError, match="SeriesDate should be a date"):
        parse_date(word, name="SeriesDate")


def test_date_times_are_understood_with_and_without_offset():
    assert parse_datetime("20250101093015.5", name="x") == datetime(2025, 1, 1, 9, 30, 15, 500000)
    zone = timezone(-timedelta(hours=3, minutes=30))
    assert parse_datetime("202501010930-0330", name="x") == datetime(2025, 1, 1, 9, 30, tzinfo=zone)


@pytest.mark.parametrize("word", ["20250101", "202501", "20250101093015+9900", "20259901093015", "x"])
def test_what_is_no_date_time_is_refused(word):
    with pytest.raises(DICOMError, match="StartDateTime should"):
        parse_datetime(word, name="StartDateTime")


def test_decimal_longer_than_the_standard_allows_is_read_exactly():
    assert number(raw(0x00101030, "DS", b"69.123456789012345678 "), "PatientWeight") == 69.123456789012345678


@pytest.mark.parametrize("value", [b"abc", b"1,5", b"nan", b"inf", b"1e999", b"0x10", b"\xff\xfe"])
def test_what_is_no_number_is_refused_by_tag(value):
    with pytest.raises(DICOMError, match=r"PatientWeight \(0010,1030\) should be"):
        number(raw(0x00101030, "DS", value), "PatientWeight")


def test_several_values_where_one_belongs_are_refused():
    with pytest.raises(DICOMError, match="should have 1 values"):
        number(raw(0x00101030, "DS", b"70\\80"), "PatientWeight")


@pytest.mark.parametrize("value", [b"", b"  ", b"\0\0"])
def test_empty_values_are_absent(value):
    assert number(raw(0x00101030, "DS", value), "PatientWeight") is None
    assert text(raw(0x00541001, "CS", value), "Units") is None


@pytest.mark.parametrize(
    ("vr", "little", "value"),
    [("US", True, b"\x02\x01"), ("US", False, b"\x01\x02"), (None, True, b"\x02\x01"), ("UN", True, b"\x02\x01")],
)
def test_binary_numbers_are_decoded_as_the_file_writes_them(vr, little, value):
    assert number(raw(0x00280010, vr, value, little=little), "Rows") == 258


def test_long_malformed_value_is_cut_in_the_message():
    with pytest.raises(DICOMError) as error:
        numbers(raw(0x00200032, "DS", b"x" * 5000), "ImagePositionPatient")
    assert len(str(error.value)) < 300


def test_private_value_of_unknown_representation_is_read_through_its_creator():
    dataset = raw(0x70531000, "UN", b"0.00055 ")
    dataset._dict.update(raw(0x70530010, "LO", b"Philips PET Private Group")._dict)
    found = private_text(dataset, group=0x7053, creator="Philips PET Private Group", element=0, vendor="PHILIPS")
    assert found == "0.00055"


@pytest.mark.parametrize(
    ("keyword", "value"), [("PatientWeight", "heavy"), ("SeriesTime", "25"), ("ActualFrameDuration", "long")]
)
def test_malformed_value_in_a_file_names_its_tag(tmp_path, keyword, value):
    slices = pet_slices()
    for dataset in slices:
        element = dataset[keyword]
        dataset[keyword] = type(element)(element.tag, "LO", value)
    write_slices(tmp_path, slices)
    with pytest.raises(DICOMError, match=keyword):
        read_pet_series(tmp_path)


def test_malformed_philips_factor_is_refused(tmp_path):
    slices = pet_slices()
    for dataset in slices:
        dataset.private_block(0x7053, "Philips PET Private Group", create=True).add_new(0, "LO", "much")
    write_slices(tmp_path, slices)
    with pytest.raises(DICOMError, match=r"\(7053,1000\) should be numeric"):
        read_pet_series(tmp_path)
