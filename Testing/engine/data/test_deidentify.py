"""The confidentiality profile: identifying text planted in every attribute, and what a reader still finds."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.datadict import DicomDictionary, keyword_for_tag
from pydicom.dataelem import DataElement
from test_dicom_seg_input import series_on
from three_segments import awkward_grid, some_segments

from SegAnyPETLib.data import PETSeries, write_dicom_seg, write_rtstruct
from SegAnyPETLib.data.deidentify import deidentify, deidentify_file
from SegAnyPETLib.data.dicom_seg_input import read_dicom_seg
from SegAnyPETLib.data.rtstruct_input import read_rtstruct
from SegAnyPETLib.data.written_identity import derived_uid
from SegAnyPETLib.errors import DICOMError, InputError
from SegAnyPETLib.report.dicom_sr import write_dicom_sr
from SegAnyPETLib.report.sr_content import SRBurden, SRFinding
from SegAnyPETLib.suv import SUVVolume, compute_measures

SALT = bytes(range(32))
PLANTED = "Zwiebelfisch"  # of a name that no attribute holds by itself
# Each text value representation, with a value that holds the planted word as far as its form allows.
TEXT_FORMS = {"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"}
PLANTED_UID = "1.2.826.0.1.3680043.8.498.4711"
PLANTED_DATE, PLANTED_AGE = "19530217", "071Y"
NAMES = ("seg.dcm", "sr.dcm", "rt.dcm")


@pytest.fixture
def a_series(tmp_path) -> PETSeries:
    series = series_on(awkward_grid(), tmp_path)
    for file in series.source_files:
        image = pydicom.dcmread(file)
        image.PatientName, image.PatientID = f"{PLANTED}^Anna", f"{PLANTED}-1"
        image.PatientBirthDate, image.AccessionNumber = PLANTED_DATE, PLANTED
        image.StudyDescription, image.DeviceSerialNumber = f"PET {PLANTED}", PLANTED
        image.InstitutionName, image.StationName = f"{PLANTED} Hospital", PLANTED
        image.save_as(file)
    return series


def write_all(folder: Path, series: PETSeries) -> list[Path]:
    """SEG, report and structure set of the same lesions, whose names are a person's."""
    segments = [
        replace(segment, label=f"{PLANTED} {n}", tracking_uid=derived_uid("lesion", str(n)))
        for n, segment in enumerate(some_segments())
    ]
    image = SUVVolume(series.values, series.grid)
    seg = write_dicom_seg(folder / NAMES[0], source=series, segments=segments)
    findings = [
        SRFinding(s.label, s.tracking_uid, n, compute_measures(image, s.mask), s.terminology, note=PLANTED)
        for n, s in enumerate(segments, start=1)
    ]
    burden = SRBurden(3, 1.5, 2.5, "g", dmax_mm=20.0, note=f"of {PLANTED}")
    report = write_dicom_sr(folder / NAMES[1], source=series, segmentation=seg, findings=findings, burden=burden)
    return [seg, report, write_rtstruct(folder / NAMES[2], source=series, segments=segments)]


def planted_value(vr: str) -> object:
    if vr in TEXT_FORMS:
        return PLANTED
    return {
        "UI": PLANTED_UID,
        "DA": PLANTED_DATE,
        "DT": f"{PLANTED_DATE}101112",
        "TM": "171819.5",
        "AS": PLANTED_AGE,
        "UN": PLANTED.encode(),
        "OB": PLANTED.encode(),
        "DS": PLANTED,
        "IS": PLANTED,
    }.get(vr)


def plant(dataset: pydicom.Dataset) -> None:
    """The word in each attribute that is there, and in every other one of the dictionary with text, at any depth."""
    for element in list(dataset):
        if element.VR == "SQ":
            for item in element.value:
                plant(item)
        elif element.keyword not in ("PixelData", "SOPClassUID", "ValueType", "SegmentNumber", "ROINumber"):
            value = planted_value(element.VR)
            if value is not None and element.VR not in ("UI", "DS", "IS", "OB"):
                dataset[element.tag] = DataElement(element.tag, element.VR, value, validation_mode=0)
    block = dataset.private_block(0x0099, PLANTED, create=True)
    block.add_new(0x01, "LO", PLANTED)


def plant_everything(dataset: pydicom.Dataset) -> None:
    """Every attribute of the dictionary that the object has not, at the top."""
    for number, (vr, _, _, retired, keyword) in DicomDictionary.items():
        value = planted_value(vr)
        if value is None or not keyword or number in dataset or number >> 16 in (0x0002, 0xFFFE) or vr in ("DS", "IS"):
            continue
        if keyword in ("DataSetTrailingPadding", "SOPClassUID") or retired:
            continue
        dataset.add(DataElement(number, vr, value, validation_mode=0))
    nested = pydicom.Dataset()
    nested.add(DataElement(0x00100010, "PN", PLANTED))
    dataset.OtherPatientIDsSequence = [nested]
    dataset.RequestAttributesSequence = [nested]
    dataset.ReferencedSeriesSequence = [*dataset.get("ReferencedSeriesSequence", ()), nested]


def every_value(dataset: pydicom.Dataset):
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                yield from every_value(item)
        else:
            yield element


@pytest.mark.parametrize("name", NAMES)
def test_nothing_planted_in_any_attribute_survives(tmp_path, a_series, name):
    write_all(tmp_path, a_series)
    dataset = pydicom.dcmread(tmp_path / name)
    plant(dataset)
    plant_everything(dataset)
    assert len(dataset) > 1000
    dataset.file_meta.SourceApplicationEntityTitle = PLANTED
    dataset.preamble = PLANTED.encode().ljust(128, b"\0")
    deidentify(dataset, salt=SALT)
    dataset.save_as(tmp_path / name, enforce_file_format=True)
    content = (tmp_path / name).read_bytes()
    for trace in (PLANTED, PLANTED_UID, PLANTED_DATE, PLANTED_AGE, "171819"):
        assert trace.encode() not in content, trace
    assert not any(element.tag.is_private for element in every_value(pydicom.dcmread(tmp_path / name)))


def test_no_planted_text_of_a_report_survives_where_its_codes_are_right(tmp_path, a_series):
    write_all(tmp_path, a_series)
    report = pydicom.dcmread(tmp_path / NAMES[1])
    texts = [element for element in every_value(report) if element.keyword == "TextValue"]
    for element in texts:
        element.value = PLANTED
    deidentify(report, salt=SALT).save_as(tmp_path / NAMES[1], enforce_file_format=True)
    assert len(texts) > 15
    assert PLANTED.encode() not in (tmp_path / NAMES[1]).read_bytes()
    assert {e.value for e in every_value(report) if e.keyword == "TextValue"} >= {"REMOVED"}


def test_text_in_the_place_of_a_number_does_not_survive(tmp_path, a_series):
    path = write_all(tmp_path, a_series)[2]
    structures = pydicom.dcmread(path)
    structures.StructureSetROISequence[0].ROIVolume = "7777.77777777"
    structures.save_as(path)
    path.write_bytes(path.read_bytes().replace(b"7777.77777777", PLANTED.encode() + b" "))
    assert PLANTED.encode() not in deidentify_file(path, salt=SALT).read_bytes()
    assert "ROIVolume" not in pydicom.dcmread(path).StructureSetROISequence[0]


@pytest.mark.parametrize("name", NAMES)
def test_an_object_as_we_write_it_keeps_nothing_of_the_patient(tmp_path, a_series, name):
    write_all(tmp_path, a_series)
    before = pydicom.dcmread(tmp_path / name)
    uids = {str(e.value) for e in every_value(before) if e.VR == "UI" and not str(e.value).startswith("1.2.840.10008.")}
    assert len(uids) >= 5
    content = deidentify_file(tmp_path / name, salt=SALT, keep=["lite"]).read_bytes()
    for trace in (PLANTED, PLANTED_DATE, before.StudyDate, before.StudyTime[:6], *uids):
        assert str(trace).encode() not in content, trace
    after = pydicom.dcmread(tmp_path / name)
    assert after.PatientIdentityRemoved == "YES"
    assert next(item.CodeValue for item in after.DeidentificationMethodCodeSequence) == "113100"
    assert after.LongitudinalTemporalInformationModified == "REMOVED"
    assert after.PatientID.startswith("ANON-")
    assert (after.PatientBirthDate, after.PatientSex, after.StudyDate) == ("", "", "")


def test_objects_of_one_run_still_refer_to_each_other(tmp_path, a_series):
    for path in write_all(tmp_path, a_series):
        deidentify_file(path, salt=SALT)
    seg, report, structures = (pydicom.dcmread(tmp_path / name) for name in NAMES)
    assert seg.StudyInstanceUID == report.StudyInstanceUID == structures.StudyInstanceUID
    assert seg.StudyInstanceUID.startswith("2.25.")
    assert seg.PatientID == report.PatientID == structures.PatientID
    assert len({seg.SeriesInstanceUID, report.SeriesInstanceUID, structures.SeriesInstanceUID}) == 3
    values = list(every_value(report))
    referred = {e.value for e in values if e.keyword == "ReferencedSOPInstanceUID"}
    assert seg.SOPInstanceUID in referred
    tracked = {item.TrackingUID for item in seg.SegmentSequence}
    assert tracked <= {e.value for e in values if e.keyword == "UID"}
    assert {item.TrackingID for item in seg.SegmentSequence} <= {e.value for e in values if e.keyword == "TextValue"}
    images = {i.ReferencedSOPInstanceUID for s in seg.ReferencedSeriesSequence for i in s.ReferencedInstanceSequence}
    contoured = {e.value for e in every_value(structures) if e.keyword == "ReferencedSOPInstanceUID"}
    assert images <= contoured
    assert structures.ReferencedFrameOfReferenceSequence[0].FrameOfReferenceUID == seg.FrameOfReferenceUID


def test_masks_numbers_and_codes_are_as_before(tmp_path, a_series):
    paths = write_all(tmp_path, a_series)
    numbers = [e.value for e in every_value(pydicom.dcmread(paths[1])) if e.keyword == "NumericValue"]
    for path in paths:
        deidentify_file(path, salt=SALT, keep=["lite", "total"])
    for read, name, label in ((read_dicom_seg, NAMES[0], "Segment 1"), (read_rtstruct, NAMES[2], "Region 1")):
        found = read(tmp_path / name, grid=a_series.grid)
        assert found[0].label == label
        for segment, expected in zip(found, some_segments(), strict=True):
            np.testing.assert_array_equal(segment.mask, expected.mask)
            assert segment.terminology == expected.terminology
    assert read_dicom_seg(tmp_path / NAMES[0], grid=a_series.grid)[2].algorithm.name == "total"
    report = list(every_value(pydicom.dcmread(tmp_path / NAMES[1])))
    assert [e.value for e in report if e.keyword == "NumericValue"] == numbers
    assert "Finding Site" in {e.value for e in report if e.keyword == "CodeMeaning"}


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (Debian package dicom3tools) is not installed")
def test_dciodvfy_finds_no_error_in_what_was_deidentified(tmp_path, a_series):
    for path in write_all(tmp_path, a_series):
        deidentify_file(path, salt=SALT)
        verdict = subprocess.run(["dciodvfy", str(path)], capture_output=True, check=False)
        words = (verdict.stdout + verdict.stderr).decode(errors="replace")
        assert "Error" not in words
        # Study date, time and ID are empty by the profile; a DICOMDIR would want them.
        assert all("DICOMDIR" in line for line in words.splitlines() if line.startswith("Warning")), words


def test_another_salt_gives_other_uids_and_the_same_salt_the_same_bytes(tmp_path, a_series):
    paths = write_all(tmp_path, a_series)
    contents = []
    for salt in (SALT, SALT, SALT[::-1]):
        folder = tmp_path / f"run {len(contents)}"
        folder.mkdir()
        copy = Path(shutil.copy(paths[0], folder))
        contents.append(deidentify_file(copy, salt=salt).read_bytes())
    assert contents[0] == contents[1] != contents[2]


def test_a_code_that_is_not_of_the_standard_becomes_other(tmp_path, a_series):
    write_all(tmp_path, a_series)
    seg = pydicom.dcmread(tmp_path / NAMES[0])
    item = seg.SegmentSequence[0]
    item.SegmentedPropertyTypeCodeSequence[0].CodeValue = "4711"
    item.AnatomicRegionSequence[0].CodeMeaning = PLANTED
    deidentify(seg, salt=SALT)
    assert item.SegmentedPropertyTypeCodeSequence[0].CodeMeaning == "Other"
    assert item.AnatomicRegionSequence[0].CodeMeaning == "Liver"


def test_a_short_salt_and_objects_of_others_are_refused(tmp_path, a_series):
    image = pydicom.dcmread(a_series.source_files[0])
    with pytest.raises(DICOMError, match="Expected a SEG, a Comprehensive 3D SR or an RT Structure Set"):
        deidentify(image, salt=SALT)
    with pytest.raises(InputError, match="at least 16 bytes; found 4"):
        deidentify(image, salt=b"salt")


def test_every_keyword_of_the_table_is_one_of_the_dictionary():
    from SegAnyPETLib.data import deidentify_table as table

    known = {keyword_for_tag(tag) for tag in DicomDictionary}
    listed = [table.SEQUENCES, table.CODE_SEQUENCES, table.NUMBERS, table.UIDS, table.CLASS_UIDS]
    listed += [table.CODE_STRINGS, table.TEXTS, table.EMPTY, table.DUMMIES]
    names = [name for part in listed for name in part]
    assert set(names) <= known
    assert len(names) == len(set(names))
