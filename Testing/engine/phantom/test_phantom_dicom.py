"""The phantom series judged by pydicom, by GDCM and, where installed, by dciodvfy."""

from __future__ import annotations

import math
import shutil
import subprocess
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK

from SegAnyPETLib.errors import OutputError, SUVError
from SegAnyPETLib.geometry import Grid
from SegAnyPETLib.phantom import Acquisition, Phantom, centred_grid, nema_phantom, write_phantom_series

# Type 1 and type 2 attributes of the PET Image IOD (PS3.3 A.21), module by module, conditions met by a static series.
TYPE_1 = [
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "Modality",
    "FrameOfReferenceUID",
    "SeriesDate",
    "SeriesTime",
    "Units",
    "CountsSource",
    "SeriesType",
    "NumberOfSlices",
    "DecayCorrection",
    "PixelSpacing",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PixelData",
    "ImageType",
    "RescaleIntercept",
    "RescaleSlope",
    "FrameReferenceTime",
    "ImageIndex",
]
TYPE_2 = [
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
    "SeriesNumber",
    "PositionReferenceIndicator",
    "Manufacturer",
    "CorrectedImage",
    "CollimatorType",
    "RadiopharmaceuticalInformationSequence",
    "PatientOrientationCodeSequence",
    "PatientGantryRelationshipCodeSequence",
    "SliceThickness",
    "InstanceNumber",
    "ContentDate",
    "ContentTime",
    "AcquisitionDate",
    "AcquisitionTime",
    "ActualFrameDuration",
]


def small_phantom(orientation="oblique", suv=6.0) -> Phantom:
    grid = centred_grid((9, 14, 11), (4.07, 3.2, 6.1), centre_lps_mm=(-88.0, 45.0, 1203.0), orientation=orientation)
    centre = tuple(grid.kji_to_lps((4.3, 6.8, 5.1)))
    return nema_phantom(grid=grid, diameters_mm=(22.0,), centres_lps_mm=[centre], sphere_suv=suv)


def read_slices(folder: Path) -> list[pydicom.Dataset]:
    slices = [pydicom.dcmread(path) for path in folder.iterdir()]
    normal = np.cross(*np.asarray(slices[0].ImageOrientationPatient, float).reshape(2, 3))
    return sorted(slices, key=lambda s: float(np.dot(normal, np.asarray(s.ImagePositionPatient, float))))


def rescaled(slices: list[pydicom.Dataset]) -> np.ndarray:
    return np.stack([s.pixel_array * float(s.RescaleSlope) + float(s.RescaleIntercept) for s in slices])


@pytest.mark.parametrize("units", ["BQML", "CNTS", "GML", "CM2ML"])
@pytest.mark.parametrize("decay_correction", ["START", "ADMIN", "NONE"])
def test_every_slice_has_all_attributes_the_pet_iod_requires(tmp_path, units, decay_correction):
    acquisition = Acquisition(units=units, decay_correction=decay_correction)
    folder = write_phantom_series(small_phantom(), tmp_path / "PET", acquisition=acquisition)
    slices = read_slices(folder)
    assert len(slices) == 9
    for item in slices:
        assert item.file_meta.MediaStorageSOPClassUID == "1.2.840.10008.5.1.4.1.1.128"
        assert [k for k in TYPE_1 if k not in item or item[k].is_empty] == []
        assert [k for k in TYPE_2 if k not in item] == []
        assert ("DecayFactor" in item) == (decay_correction != "NONE")
        assert ("DECY" in item.CorrectedImage) == (decay_correction != "NONE")
        assert item.PatientName == "SegAnyPET^Phantom"
        assert float(item.RescaleIntercept) == 0.0
        assert all(len(str(item[k].value)) <= 16 for k in ("RescaleSlope", "SliceThickness", "FrameReferenceTime"))
    assert len({item.SOPInstanceUID for item in slices}) == 9
    assert len({item.RescaleSlope for item in slices}) > 4
    assert {(i.SeriesInstanceUID, i.FrameOfReferenceUID, i.StudyInstanceUID) for i in slices}.__len__() == 1


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (Debian package dicom3tools) is not installed")
@pytest.mark.parametrize("decay_correction", ["START", "ADMIN", "NONE"])
def test_dciodvfy_finds_nothing_wrong(tmp_path, decay_correction):
    acquisition = Acquisition(decay_correction=decay_correction)
    folder = write_phantom_series(small_phantom("sagittal"), tmp_path / "PET", acquisition=acquisition)
    for path in sorted(folder.iterdir())[:2]:
        verdict = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
        assert (verdict.stdout + verdict.stderr).split("\n", 1)[0] == "PETImage"
        assert "Error" not in verdict.stdout + verdict.stderr
        assert "Warning" not in verdict.stdout + verdict.stderr


@pytest.mark.parametrize("orientation", ["axial", "coronal", "sagittal", "oblique"])
def test_gdcm_reads_the_grid_and_the_activity_that_were_written(tmp_path, orientation):
    phantom = small_phantom(orientation)
    folder = write_phantom_series(phantom, tmp_path / "PET")
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    image = reader.Execute()
    found = Grid(
        SimpleITK.GetArrayViewFromImage(image).shape,
        image.GetSpacing(),
        image.GetOrigin(),
        tuple(np.reshape(image.GetDirection(), (3, 3))),
    )
    assert found.is_close(phantom.grid, tolerance_mm=1e-3)
    # 350 MBq in 70 kg, 60 minutes of fluorine-18 (half-life 6586.2 s) before the scan: hand calculation.
    bqml_per_suv = 350e6 / 70e3 * 2 ** (-3600 / 6586.2)
    assert SimpleITK.GetArrayFromImage(image) == pytest.approx(phantom.activity_suv * bqml_per_suv, rel=2e-4, abs=1.0)


STORED_PER_SUV = {
    # 350 MBq, 70 kg, 1.75 m, F-18, 60 min uptake, 180 s frame; lambda T = ln2 180 / 6586.2 = 0.018943695.
    ("BQML", "START"): 5000 * 2 ** (-3600 / 6586.2),
    ("BQML", "ADMIN"): 5000.0,
    ("BQML", "NONE"): 5000 * 2 ** (-3600 / 6586.2) * (1 - math.exp(-0.018943695)) / 0.018943695,
    ("CNTS", "START"): 5000 * 2 ** (-3600 / 6586.2) / 8,
    ("GML", "START"): 1.0,
    ("CM2ML", "START"): 71.84 * 70**0.425 * 175**0.725 / 70000,  # surface 1.848 m2 over 70 kg
}


@pytest.mark.parametrize(("units", "decay_correction"), STORED_PER_SUV)
def test_activity_returns_within_half_a_step_of_each_slices_slope(tmp_path, units, decay_correction):
    phantom = small_phantom()
    acquisition = Acquisition(units=units, decay_correction=decay_correction)
    slices = read_slices(write_phantom_series(phantom, tmp_path / "PET", acquisition=acquisition))
    values = rescaled(slices)
    expected = phantom.activity_suv.astype(np.float64) * STORED_PER_SUV[units, decay_correction]
    slopes = np.array([float(s.RescaleSlope) for s in slices])[:, None, None]
    assert (np.abs(values - expected) <= 0.5 * slopes * (1 + 1e-6) + 1e-8 * expected).all()
    assert max(int(s.pixel_array.max()) for s in slices) == 32767


def test_the_philips_factors_lead_back_to_suv_and_to_activity(tmp_path):
    phantom = small_phantom()
    item = read_slices(write_phantom_series(phantom, tmp_path / "PET", acquisition=Acquisition(units="CNTS")))[4]
    counts = item.pixel_array * float(item.RescaleSlope)
    block = item.private_block(0x7053, "Philips PET Private Group")
    assert block.get_tag(0x00) == (0x7053, 0x1000)
    assert counts * float(block[0x00].value) == pytest.approx(phantom.activity_suv[4], rel=1e-4)
    bqml = phantom.activity_suv[4] * STORED_PER_SUV["BQML", "START"]
    assert counts * float(block[0x09].value) == pytest.approx(bqml, rel=1e-4)


def test_representable_activity_returns_bit_for_bit(tmp_path):
    # 64 kg and 262.144 MBq, corrected to the injection: 1 g/ml is 4096 Bq/ml, a power of two. Activity in steps of
    # 1/1024 g/ml up to 16 is then a whole number of any power-of-two slope that fits 15 bits.
    smooth = small_phantom(suv=15.5)
    steps = np.rint(smooth.activity_suv * 1024).astype(np.float32) / np.float32(1024)
    phantom = replace(smooth, activity_suv=steps)
    acquisition = Acquisition(weight_kg=64.0, dose_bq=262.144e6, decay_correction="ADMIN")
    slices = read_slices(
        write_phantom_series(phantom, tmp_path / "PET", acquisition=acquisition, power_of_two_slopes=True)
    )
    bqml = rescaled(slices)
    assert np.array_equal(bqml, steps.astype(np.float64) * 4096)
    assert np.array_equal((bqml * 64000.0 / 262.144e6).astype(np.float32), steps)


def test_times_and_dose_are_written_so_that_suv_can_be_computed(tmp_path):
    acquisition = Acquisition(
        injected_at=datetime(2026, 3, 2, 23, 40, 5, 250000), uptake_s=3723.5, dose_bq=287.5e6, frame_s=150.0
    )
    item = read_slices(write_phantom_series(small_phantom(), tmp_path / "PET", acquisition=acquisition))[0]
    dose = item.RadiopharmaceuticalInformationSequence[0]
    assert (dose.RadiopharmaceuticalStartTime, dose.RadionuclideTotalDose) == ("234005.250000", 287.5e6)
    assert dose.RadiopharmaceuticalStartDateTime == "20260302234005.250000"
    assert (item.SeriesDate, item.SeriesTime) == ("20260303", "004208.750000")  # past midnight
    assert (item.AcquisitionDate, item.AcquisitionTime) == ("20260303", "004208.750000")
    assert item.ActualFrameDuration == 150000
    # The mean of a decaying frame is met a little before its middle: 75 s - lambda T^2 / 24 = 74.9014 s.
    assert float(item.FrameReferenceTime) == pytest.approx(75000 - math.log(2) / 6586.2 * 150**2 / 24 * 1000, abs=0.5)


def test_the_same_phantom_gives_the_same_files_and_another_gives_other_uids(tmp_path):
    first = write_phantom_series(small_phantom(), tmp_path / "a")
    second = write_phantom_series(small_phantom(), tmp_path / "b")
    other = write_phantom_series(small_phantom(suv=5.0), tmp_path / "c")
    assert [p.read_bytes() for p in sorted(first.iterdir())] == [p.read_bytes() for p in sorted(second.iterdir())]
    assert read_slices(first)[0].SeriesInstanceUID != read_slices(other)[0].SeriesInstanceUID


def test_an_empty_slice_is_written_as_zeros(tmp_path):
    phantom = small_phantom()
    emptied = phantom.activity_suv.copy()
    emptied[2] = 0
    slices = read_slices(write_phantom_series(replace(phantom, activity_suv=emptied), tmp_path / "PET"))
    assert not slices[2].pixel_array.any()


def test_a_folder_in_use_is_left_alone(tmp_path):
    (tmp_path / "patient.dcm").write_text("keep")
    with pytest.raises(OutputError, match="in use"):
        write_phantom_series(small_phantom(), tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["patient.dcm"]


@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf])
def test_impossible_activity_is_refused_and_nothing_is_left(tmp_path, bad):
    phantom = small_phantom()
    values = phantom.activity_suv.copy()
    values[1, 2, 3] = bad
    with pytest.raises(SUVError, match="finite activity"):
        write_phantom_series(replace(phantom, activity_suv=values), tmp_path / "PET")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("wrong", [{"weight_kg": 0.0}, {"dose_bq": -1.0}, {"uptake_s": -5.0}, {"frame_s": 0.0}])
def test_an_impossible_acquisition_is_refused(wrong):
    with pytest.raises(SUVError, match="Expected positive"):
        Acquisition(**wrong)
