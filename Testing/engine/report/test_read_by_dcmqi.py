"""SEG and measurement report read by dcmqi, another implementation, which 3D Slicer uses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK
from test_dicom_sr import BURDEN, a_seg, a_series, findings  # noqa: F401  fixtures

from SegAnyPETLib.report import write_dicom_sr

PROGRAMS = Path(sys.executable).parent

pytestmark = pytest.mark.skipif(
    not (PROGRAMS / "tid1500reader").is_file(), reason="dcmqi is not installed in this environment"
)


def call(program: str, *options: str | Path) -> None:
    subprocess.run([PROGRAMS / program, *map(str, options)], check=True, capture_output=True)


def test_dcmqi_finds_each_voxel_of_the_seg_where_it_lies(tmp_path, a_series, a_seg):  # noqa: F811
    call("segimage2itkimage", "--inputDICOM", a_seg, "--outputDirectory", tmp_path, "-t", "nrrd", "-p", "mask")
    first, second = np.zeros((2, 5, 9, 7), bool)
    first[1:3, 2:5, 3] = second[4, 8, 6] = True
    for number, mask in ((1, first), (2, second)):
        image = SimpleITK.ReadImage(tmp_path / f"mask-{number}.nrrd")
        voxels = np.argwhere(SimpleITK.GetArrayFromImage(image))[:, ::-1].tolist()
        found = np.array([image.TransformIndexToPhysicalPoint(ijk) for ijk in voxels])
        expected = np.array([(a_series.grid.ijk_to_lps @ (i, j, k, 1.0))[:3] for k, j, i in np.argwhere(mask)])
        assert found.shape == expected.shape
        for point in expected:
            assert np.linalg.norm(found - point, axis=1).min() < 0.01


def test_dcmqi_reads_the_measures_of_each_lesion_and_of_the_study(tmp_path, a_series, a_seg):  # noqa: F811
    path = write_dicom_sr(tmp_path / "sr.dcm", source=a_series, segmentation=a_seg, findings=findings(), burden=BURDEN)
    call("tid1500reader", "--inputDICOM", path, "--outputMetadata", tmp_path / "report.json")
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert (report["CompletionFlag"], report["VerificationFlag"]) == ("COMPLETE", "UNVERIFIED")
    lesion, _, burden = report["Measurements"]
    assert (lesion["TrackingIdentifier"], lesion["ReferencedSegment"]) == ("Lesion 1", 1)
    assert lesion["segmentationSOPInstanceUID"] == pydicom.dcmread(a_seg).SOPInstanceUID
    assert lesion["SourceSeriesForImageSegmentation"] == a_series.series_instance_uid
    assert lesion["FindingSite"]["CodeMeaning"] == "Kidney"
    values = {
        (item["quantity"]["CodeMeaning"], item.get("derivationModifier", {}).get("CodeMeaning")): float(item["value"])
        for item in lesion["measurementItems"]
    }
    assert values["SUVbw", "Maximum"] == pytest.approx(12.3456789012)
    assert values["SUVbw", "Peak Value Within ROI"] == 9.0
    assert (values["Metabolic Volume", None], values["Total Lesion Glycolysis", None]) == (10.5, 63.0)
    assert burden["TrackingIdentifier"] == "Total tumour burden"
