"""Measurement reports read back by highdicom and pydicom, against measures written down by hand."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from pydicom.sr.codedict import codes

from SegAnyPETLib.data import Code, PETSeries, Segment, read_pet_series, write_dicom_seg
from SegAnyPETLib.data.segment import LEFT, LESION, LYMPH_NODE, Algorithm, Terminology
from SegAnyPETLib.errors import DICOMError, InconsistentSeriesError, OutputError
from SegAnyPETLib.phantom import centred_grid, nema_phantom, write_phantom_series
from SegAnyPETLib.report.dicom_sr import write_dicom_sr
from SegAnyPETLib.report.sr_content import SUV_CODES, SRBurden, SRFinding
from SegAnyPETLib.suv import LesionMeasures

UIDS = ("1.2.826.0.1.3680043.8.498.71", "1.2.826.0.1.3680043.8.498.72")
IDENTITY = {
    "series_instance_uid": "1.2.3.4.1",
    "sop_instance_uid": "1.2.3.4.2",
    "written_at": datetime(2025, 3, 9, 23, 5, 7),
}
IN_KIDNEY = Terminology(LESION.category, LESION.type, region=Code("64033007", "SCT", "Kidney"), type_modifier=LEFT)


def measures(kind="bw", suv_max=12.3456789012) -> LesionMeasures:
    return LesionMeasures(
        kind=kind,
        suv_unit="cm2/ml" if kind == "bsa" else "g/ml",
        voxel_count=321,
        volume_ml=10.5,
        mtv_ml=10.5,
        suv_max=suv_max,
        suv_max_lps_mm=(1.0, -2.0, 3.5),
        suv_mean=6.0,
        suv_sd=1.25,
        suv_median=5.75,
        suv_min=2.5,
        suv_peak=9.0,
        suv_peak_lps_mm=(1.5, -2.5, 4.0),
        suv_peak_is_truncated=False,
        tlg=63.0,
        tlg_unit="cm2" if kind == "bsa" else "g",
        centroid_lps_mm=(0.0, -1.0, 2.0),
    )


def findings(kind="bw") -> list[SRFinding]:
    return [
        SRFinding("Lesion 1", UIDS[0], 1, measures(kind), IN_KIDNEY, confidence=0.875, volume_interval_ml=(8.25, 13.0)),
        SRFinding("Blase µ", UIDS[1], 2, measures(kind, 30.0), LYMPH_NODE, note="Physiological: urinary bladder."),
    ]


BURDEN = SRBurden(1, 10.5, 63.0, "g", dmax_mm=432.1, note="Physiological uptake is not counted.")


@pytest.fixture
def a_series(tmp_path) -> PETSeries:
    grid = centred_grid((5, 9, 7), (4.1, 3.2, 5.7), centre_lps_mm=(-88.0, 45.0, 1203.0), orientation="oblique")
    phantom = nema_phantom(grid=grid, diameters_mm=(12.0,), centres_lps_mm=[tuple(grid.kji_to_lps((2, 4, 3)))])
    return read_pet_series(write_phantom_series(phantom, tmp_path / "PET"))


@pytest.fixture
def a_seg(tmp_path, a_series) -> Path:
    first, second = np.zeros((2, 5, 9, 7), bool)
    first[1:3, 2:5, 3] = second[4, 8, 6] = True
    segments = [
        Segment("Lesion 1", first, terminology=IN_KIDNEY, tracking_uid=UIDS[0]),
        Segment("Blase µ", second, terminology=LYMPH_NODE, tracking_uid=UIDS[1]),
    ]
    return write_dicom_seg(tmp_path / "seg.dcm", source=a_series, segments=segments)


def values_of(group) -> dict[tuple[str, str], tuple[float, str]]:
    """Value and unit by (measure, derivation), code meanings."""
    found = {}
    for item in group.get_measurements():
        how = item.derivation.meaning if item.derivation is not None else ""
        found[item.name.meaning, how] = (item.value, item.unit.value)
    return found


def texts_of(group, meaning: str) -> list[str]:
    items = group[0].ContentSequence
    return [i.TextValue for i in items if i.ValueType == "TEXT" and i.ConceptNameCodeSequence[0].CodeMeaning == meaning]


def test_each_lesion_is_measured_on_its_segment(tmp_path, a_series, a_seg):
    path = write_dicom_sr(
        tmp_path / "sr.dcm",
        source=a_series,
        segmentation=a_seg,
        findings=findings(),
        algorithm=Algorithm("lite", "0.1.0"),
    )
    report = highdicom.sr.srread(path)
    seg = pydicom.dcmread(a_seg)
    groups = report.content.get_volumetric_roi_measurement_groups()
    assert [group.tracking_uid for group in groups] == list(UIDS)
    assert [group.tracking_identifier for group in groups] == ["Lesion 1", "Blase µ"]
    for number, group in enumerate(groups, start=1):
        [on_segment, of_series] = list(group.referenced_segment)
        [reference] = on_segment.ReferencedSOPSequence
        assert (reference.ReferencedSOPInstanceUID, reference.ReferencedSegmentNumber) == (seg.SOPInstanceUID, number)
        assert a_series.series_instance_uid == of_series.UID
        assert group.method == codes.DCM.SUVBodyWeightCalculationMethod
        assert texts_of(group, "Algorithm Name") == ["lite"]
        assert texts_of(group, "Algorithm Version") == ["0.1.0"]
    [site] = groups[0].finding_sites
    assert (site.value, site.laterality) == (codes.SCT.Kidney, codes.SCT.Left)
    assert groups[0].finding_type == codes.SCT.Neoplasm
    assert groups[0].finding_category == codes.SCT.MorphologicallyAbnormalStructure
    assert groups[1].finding_sites == []
    assert values_of(groups[0]) == {
        ("SUVbw", "Mean"): (6.0, "g/ml{SUVbw}"),
        ("SUVbw", "Maximum"): (12.3456789012, "g/ml{SUVbw}"),
        ("SUVbw", "Minimum"): (2.5, "g/ml{SUVbw}"),
        ("SUVbw", "Standard Deviation"): (1.25, "g/ml{SUVbw}"),
        ("SUVbw", "Median"): (5.75, "g/ml{SUVbw}"),
        ("SUVbw", "Peak Value Within ROI"): (9.0, "g/ml{SUVbw}"),
        ("Volume", ""): (10.5, "ml"),
        ("Metabolic Volume", ""): (10.5, "ml"),
        ("Total Lesion Glycolysis", ""): (63.0, "g"),
    }
    assert texts_of(groups[0], "Comment") == [
        "Confidence of the algorithm in its own segmentation: 0.88 of 1.",
        "The true volume is expected between 8.25 and 13 ml.",
    ]
    assert texts_of(groups[1], "Comment") == ["Physiological: urinary bladder."]


def test_the_burden_of_the_study_is_a_group_without_a_region(tmp_path, a_series, a_seg):
    path = write_dicom_sr(tmp_path / "sr.dcm", source=a_series, segmentation=a_seg, findings=findings(), burden=BURDEN)
    [group] = highdicom.sr.srread(path).content.get_image_measurement_groups()
    assert group.tracking_identifier == "Total tumour burden"
    assert values_of(group) == {
        ("Number of lesions", ""): (1.0, "1"),
        ("Metabolic Volume", "Total"): (10.5, "ml"),
        ("Total Lesion Glycolysis", "Total"): (63.0, "g"),
        ("Distance", "Maximum"): (432.1, "mm"),
    }
    assert texts_of(group, "Comment") == ["Physiological uptake is not counted."]


def test_the_report_is_preliminary_and_refers_to_images_and_segmentation(tmp_path, a_series, a_seg):
    path = write_dicom_sr(tmp_path / "sr.dcm", source=a_series, segmentation=a_seg, findings=findings(), burden=BURDEN)
    report, first = pydicom.dcmread(path), pydicom.dcmread(a_series.source_files[0])
    assert report.SOPClassUID == "1.2.840.10008.5.1.4.1.1.88.34"
    assert (report.CompletionFlag, report.VerificationFlag, report.PreliminaryFlag) == (
        "COMPLETE",
        "UNVERIFIED",
        "PRELIMINARY",
    )
    assert (report.StudyInstanceUID, report.PatientID) == (first.StudyInstanceUID, first.PatientID)
    title = report.ConceptNameCodeSequence[0]
    assert (title.CodeValue, title.CodingSchemeDesignator) == ("126000", "DCM")
    [study] = report.CurrentRequestedProcedureEvidenceSequence
    referred = {i.ReferencedSOPInstanceUID for s in study.ReferencedSeriesSequence for i in s.ReferencedSOPSequence}
    images = {pydicom.dcmread(file).SOPInstanceUID for file in a_series.source_files}
    assert referred == {*images, pydicom.dcmread(a_seg).SOPInstanceUID}
    [observer] = highdicom.sr.srread(path).content.get_observer_contexts()
    assert observer.observer_type == codes.DCM.Device


@pytest.mark.parametrize("kind", ["bw", "lbm", "bsa", "ibw"])
def test_codes_of_each_suv_are_those_of_the_standard(tmp_path, a_series, a_seg, kind):
    path = write_dicom_sr(tmp_path / "sr.dcm", source=a_series, segmentation=a_seg, findings=findings(kind))
    [group, _] = highdicom.sr.srread(path).content.get_volumetric_roi_measurement_groups()
    suv = group.get_measurements()[0]
    assert (
        suv.name
        == {
            "bw": codes.DCM.Suvbw,
            "lbm": codes.DCM.SuvlbmJanma,
            "bsa": codes.DCM.Suvbsa,
            "ibw": codes.DCM.Suvibw,
        }[kind]
    )
    assert (
        suv.unit
        == {
            "bw": codes.UCUM.StandardizedUptakeValueBodyWeight,
            "lbm": codes.UCUM.StandardizedUptakeValueLeanBodyMassJanma,
            "bsa": codes.UCUM.StandardizedUptakeValueBodySurfaceArea,
            "ibw": codes.UCUM.StandardizedUptakeValueIdealBodyWeight,
        }[kind]
    )
    assert (
        group.method
        == {
            "bw": codes.DCM.SUVBodyWeightCalculationMethod,
            "lbm": codes.DCM.SUVLeanBodyMassCalculationJanmahasatianMethod,
            "bsa": codes.DCM.SUVBodySurfaceAreaCalculationMethod,
            "ibw": codes.DCM.SUVIdealBodyWeightCalculationMethod,
        }[kind]
    )
    assert values_of(group)["Total Lesion Glycolysis", ""] == (63.0, "cm2" if kind == "bsa" else "g")
    assert [code.meaning for code in SUV_CODES[kind]] == [suv.name.meaning, suv.unit.meaning, group.method.meaning]


def test_a_study_without_a_lesion_is_reported_too(tmp_path, a_series):
    none = SRBurden(0, 0.0, 0.0, "g", note="No focus above the threshold.")
    path = write_dicom_sr(tmp_path / "sr.dcm", source=a_series, segmentation=None, findings=[], burden=none)
    content = highdicom.sr.srread(path).content
    assert content.get_volumetric_roi_measurement_groups() == []
    [group] = content.get_image_measurement_groups()
    assert values_of(group)["Number of lesions", ""] == (0.0, "1")


def test_the_same_findings_with_the_same_identity_give_the_same_bytes(tmp_path, a_series, a_seg):
    options = {"source": a_series, "segmentation": a_seg, "findings": findings(), "burden": BURDEN, **IDENTITY}
    first = write_dicom_sr(tmp_path / "first.dcm", **options).read_bytes()
    assert first == write_dicom_sr(tmp_path / "second.dcm", **options).read_bytes()


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (Debian package dicom3tools) is not installed")
@pytest.mark.parametrize("kind", ["bw", "bsa"])
def test_dciodvfy_finds_nothing_wrong_with_the_report(tmp_path, a_series, a_seg, kind):
    path = write_dicom_sr(
        tmp_path / "sr.dcm", source=a_series, segmentation=a_seg, findings=findings(kind), burden=BURDEN
    )
    verdict = subprocess.run(["dciodvfy", str(path)], capture_output=True, check=False)
    assert (verdict.stdout + verdict.stderr).decode(errors="replace").strip() == "Comprehensive3DSR"


def test_a_report_that_contradicts_its_segmentation_is_refused_and_leaves_nothing(tmp_path, a_series, a_seg):
    path = tmp_path / "sr.dcm"
    other = [replace(findings()[0], tracking_uid="1.2.3")]
    with pytest.raises(OutputError, match=r"segment 1 with tracking UID 1\.2\.3.*found 1\.2\.826"):
        write_dicom_sr(path, source=a_series, segmentation=a_seg, findings=other)
    with pytest.raises(OutputError, match="segment 3 with tracking UID"):
        write_dicom_sr(path, source=a_series, segmentation=a_seg, findings=[replace(findings()[0], segment_number=3)])
    with pytest.raises(OutputError, match=r"found none\. Write the DICOM SEG first"):
        write_dicom_sr(path, source=a_series, segmentation=None, findings=findings())
    elsewhere = replace(a_series, series_instance_uid="1.2.9")
    with pytest.raises(InconsistentSeriesError, match="found one of another series"):
        write_dicom_sr(path, source=elsewhere, segmentation=a_seg, findings=findings())
    with pytest.raises(OutputError, match=r"ending in \.dcm"):
        write_dicom_sr(tmp_path / "sr.txt", source=a_series, segmentation=a_seg, findings=findings())
    a_series.source_files[2].unlink()
    with pytest.raises(DICOMError, match="cannot be read any more"):
        write_dicom_sr(path, source=a_series, segmentation=a_seg, findings=findings())
    assert sorted(file.name for file in tmp_path.iterdir()) == ["PET", "seg.dcm"]


def test_names_with_accents_survive_a_source_in_latin_1(tmp_path, a_series, a_seg):
    for file in a_series.source_files:
        dataset = pydicom.dcmread(file)
        dataset.SpecificCharacterSet = "ISO_IR 100"
        dataset.PatientName = "Müller^Jörg"
        dataset.save_as(file)
    report = pydicom.dcmread(
        write_dicom_sr(tmp_path / "sr.dcm", source=a_series, segmentation=a_seg, findings=findings())
    )
    assert report.PatientName == "Müller^Jörg"


def test_a_source_that_an_anonymizer_has_thinned_is_still_accepted(tmp_path, a_series, a_seg):
    for file in a_series.source_files:
        dataset = pydicom.dcmread(file)
        for keyword in ("AccessionNumber", "StudyID", "StudyTime", "ReferringPhysicianName", "PatientBirthDate"):
            del dataset[keyword]
        dataset.save_as(file)
    report = pydicom.dcmread(
        write_dicom_sr(tmp_path / "sr.dcm", source=a_series, segmentation=a_seg, findings=findings())
    )
    assert report.AccessionNumber == ""
