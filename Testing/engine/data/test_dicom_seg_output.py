"""Written DICOM SEG read by highdicom, and by hand with pydicom, voxel by voxel in the world."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from three_segments import ORIENTATIONS, awkward_grid, some_segments, sorted_points, world_points, write_enhanced_pet

from SegAnyPETLib.data import PETHeader, PETSeries, Segment, read_pet_series, write_dicom_seg
from SegAnyPETLib.errors import DICOMError, GeometryError, OutputError
from SegAnyPETLib.phantom import nema_phantom, write_phantom_series


def a_series(folder: Path, orientation: str = "oblique") -> PETSeries:
    grid = awkward_grid(orientation)
    centre = tuple(grid.kji_to_lps((4, 6, 5)))
    phantom = nema_phantom(grid=grid, diameters_mm=(22.0,), centres_lps_mm=[centre])
    return read_pet_series(write_phantom_series(phantom, folder / "PET"))


def frames_in_world(seg: pydicom.Dataset, number: int) -> np.ndarray:
    """LPS centres of the voxels of one segment, from the attributes alone."""
    rows, columns = seg.Rows, seg.Columns
    bits = np.unpackbits(np.frombuffer(seg.PixelData, np.uint8), bitorder="little")
    shared = seg.SharedFunctionalGroupsSequence[0]
    points = []
    for n, frame in enumerate(seg.PerFrameFunctionalGroupsSequence):
        if frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber != number:
            continue
        orientation = (shared if "PlaneOrientationSequence" in shared else frame).PlaneOrientationSequence[0]
        spacing = (shared if "PixelMeasuresSequence" in shared else frame).PixelMeasuresSequence[0].PixelSpacing
        along_row, along_column = np.asarray(orientation.ImageOrientationPatient, float).reshape(2, 3)
        position = np.asarray(frame.PlanePositionSequence[0].ImagePositionPatient, float)
        plane = bits[n * rows * columns : (n + 1) * rows * columns].reshape(rows, columns)
        points += [position + i * spacing[1] * along_row + j * spacing[0] * along_column for j, i in np.argwhere(plane)]
    return sorted_points(np.array(points))


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_each_segment_lies_where_its_mask_lies(tmp_path, orientation):
    series, segments = a_series(tmp_path, orientation), some_segments()
    seg = pydicom.dcmread(write_dicom_seg(tmp_path / "seg.dcm", source=series, segments=segments))
    assert (seg.SOPClassUID, seg.Modality, seg.SegmentationType) == ("1.2.840.10008.5.1.4.1.1.66.4", "SEG", "BINARY")
    for number, segment in enumerate(segments, start=1):
        found, expected = frames_in_world(seg, number), world_points(segment.mask, awkward_grid(orientation))
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() < 0.021


def test_highdicom_reads_the_masks_labels_and_codes_that_were_written(tmp_path):
    series, segments = a_series(tmp_path), some_segments()
    path = write_dicom_seg(tmp_path / "seg.dcm", source=series, segments=segments)
    seg = highdicom.seg.segread(path)
    uids = [pydicom.dcmread(f, stop_before_pixels=True).SOPInstanceUID for f in series.source_files]
    masks = seg.get_pixels_by_source_instance(uids, assert_missing_frames_are_empty=True)
    assert masks.shape == (9, 13, 11, 3)
    for number, segment in enumerate(segments, start=1):
        assert np.array_equal(masks[..., number - 1].astype(bool), segment.mask)
        item = seg.get_segment_description(number)
        assert (item.segment_label, item.tracking_id) == (segment.label, segment.label)
        assert item.segmented_property_category.value == segment.terminology.category.value
        assert item.segmented_property_type.value == segment.terminology.type.value
        red, green, blue = highdicom.color.CIELabColor.from_dicom_value(item.RecommendedDisplayCIELabValue).to_rgb()
        assert np.abs(np.array([red, green, blue]) / 255 - segment.color_rgb).max() < 0.02
    first, node, kidney = (seg.get_segment_description(n) for n in (1, 2, 3))
    assert first.algorithm_type.value == node.algorithm_type.value == "SEMIAUTOMATIC"
    assert kidney.algorithm_type.value == "AUTOMATIC"
    assert (first.algorithm_identification.name, first.algorithm_identification.version) == ("lite", "0.1.0")
    assert node.algorithm_identification.name == "SegAnyPET"
    assert first.anatomic_regions[0].value == "10200004"
    modifier = kidney.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence[0]
    assert (modifier.CodeValue, modifier.CodeMeaning) == ("7771000", "Left")
    assert len({first.tracking_uid, node.tracking_uid, kidney.tracking_uid}) == 3


def test_the_seg_refers_to_its_study_series_and_images(tmp_path):
    series = a_series(tmp_path)
    seg = pydicom.dcmread(
        write_dicom_seg(tmp_path / "seg.dcm", some_segments()[0].mask, source=series, label="Left lung")
    )
    source = [pydicom.dcmread(f, stop_before_pixels=True) for f in series.source_files]
    assert seg.StudyInstanceUID == source[0].StudyInstanceUID
    assert seg.FrameOfReferenceUID == source[0].FrameOfReferenceUID
    assert seg.PatientID == source[0].PatientID
    assert seg.SeriesInstanceUID != source[0].SeriesInstanceUID
    referenced = seg.ReferencedSeriesSequence[0]
    assert referenced.SeriesInstanceUID == series.series_instance_uid
    assert {i.ReferencedSOPInstanceUID for i in referenced.ReferencedInstanceSequence} <= {
        s.SOPInstanceUID for s in source
    }
    assert seg.SegmentSequence[0].SegmentLabel == "Left lung"
    assert len(seg.PerFrameFunctionalGroupsSequence) == 3  # empty planes are left out
    for frame in seg.PerFrameFunctionalGroupsSequence:
        derived = frame.DerivationImageSequence[0].SourceImageSequence[0]
        [image] = [s for s in source if s.SOPInstanceUID == derived.ReferencedSOPInstanceUID]
        assert image.ImagePositionPatient == frame.PlanePositionSequence[0].ImagePositionPatient


def test_a_multi_frame_source_is_referred_to_frame_by_frame(tmp_path):
    series = a_series(tmp_path)
    order = np.array([3, 0, 8, 1, 5, 2, 7, 4, 6])  # frame n shows slice order[n]
    file = write_enhanced_pet(tmp_path / "PET", tmp_path / "enhanced.dcm", frame_order=order)
    enhanced = PETSeries(
        values=series.values,
        units="BQML",
        grid=series.grid,
        header=PETHeader(units="BQML"),
        source_files=(file,) * 9,
        frame_numbers=tuple(int(n) + 1 for n in np.argsort(order)),
        series_instance_uid=series.series_instance_uid,
        is_multiframe=True,
    )
    segments = some_segments()
    seg = pydicom.dcmread(write_dicom_seg(tmp_path / "seg.dcm", source=enhanced, segments=segments))
    for number, segment in enumerate(segments, start=1):
        found, expected = frames_in_world(seg, number), world_points(segment.mask, series.grid)
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() < 0.021
    for frame in seg.PerFrameFunctionalGroupsSequence:
        position = np.asarray(frame.PlanePositionSequence[0].ImagePositionPatient, float)
        k = round(float(series.grid.lps_to_kji(position)[0]))
        source = frame.DerivationImageSequence[0].SourceImageSequence[0]
        assert source.ReferencedFrameNumber == enhanced.frame_numbers[k]


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (Debian package dicom3tools) is not installed")
def test_dciodvfy_finds_nothing_wrong_with_the_seg(tmp_path):
    path = write_dicom_seg(tmp_path / "seg.dcm", source=a_series(tmp_path), segments=some_segments()[:2])
    verdict = subprocess.run(["dciodvfy", str(path)], capture_output=True, check=False)
    assert (verdict.stdout + verdict.stderr).decode(errors="replace").strip() == "Segmentation"


def test_a_source_that_an_anonymizer_has_thinned_is_still_accepted(tmp_path):
    series = a_series(tmp_path)
    for file in series.source_files:
        dataset = pydicom.dcmread(file)
        for keyword in ("AccessionNumber", "StudyID", "StudyTime", "ReferringPhysicianName", "PatientBirthDate"):
            del dataset[keyword]
        dataset.save_as(file)
    seg = pydicom.dcmread(write_dicom_seg(tmp_path / "seg.dcm", some_segments()[0].mask, source=series))
    assert seg.AccessionNumber == ""
    assert seg.SegmentSequence[0].SegmentLabel == "Lesion"


def test_a_source_that_is_gone_or_lacks_its_frame_of_reference_is_told(tmp_path):
    series = a_series(tmp_path)
    dataset = pydicom.dcmread(series.source_files[0])
    del dataset.FrameOfReferenceUID
    dataset.save_as(series.source_files[0])
    with pytest.raises(DICOMError, match=r"lacks or contradicts.*seg\.nrrd"):
        write_dicom_seg(tmp_path / "seg.dcm", some_segments()[0].mask, source=series)
    series.source_files[4].unlink()
    with pytest.raises(DICOMError, match="cannot be read any more"):
        write_dicom_seg(tmp_path / "seg.dcm", some_segments()[0].mask, source=series)
    assert not (tmp_path / "seg.dcm").exists()


def test_what_cannot_be_a_seg_is_refused_and_leaves_nothing(tmp_path):
    series, segments = a_series(tmp_path), some_segments()
    mask = segments[0].mask
    with pytest.raises(GeometryError, match="on the image's grid"):
        write_dicom_seg(tmp_path / "seg.dcm", mask.transpose(2, 1, 0), source=series)
    with pytest.raises(OutputError, match="no voxel"):
        write_dicom_seg(tmp_path / "seg.dcm", np.zeros_like(mask), source=series)
    with pytest.raises(OutputError, match="found both"):
        write_dicom_seg(tmp_path / "seg.dcm", mask, source=series, segments=segments)
    with pytest.raises(OutputError, match="found neither"):
        write_dicom_seg(tmp_path / "seg.dcm", source=series)
    with pytest.raises(OutputError, match="label only for a single mask"):
        write_dicom_seg(tmp_path / "seg.dcm", source=series, segments=segments, label="x")
    with pytest.raises(OutputError, match=r"ending in \.dcm"):
        write_dicom_seg(tmp_path / "seg.nii", mask, source=series)
    assert [p.name for p in tmp_path.iterdir()] == ["PET"]


def test_a_tracking_uid_given_by_the_caller_is_kept(tmp_path):
    segment = replace(some_segments()[0], tracking_uid="1.2.826.0.1.3680043.8.498.77")
    assert isinstance(segment, Segment)
    seg = pydicom.dcmread(write_dicom_seg(tmp_path / "seg.dcm", source=a_series(tmp_path), segments=[segment]))
    assert seg.SegmentSequence[0].TrackingUID == "1.2.826.0.1.3680043.8.498.77"


def test_names_with_accents_survive_a_source_in_latin_1(tmp_path):
    series = a_series(tmp_path)
    for file in series.source_files:
        dataset = pydicom.dcmread(file)
        dataset.SpecificCharacterSet = "ISO_IR 100"
        dataset.PatientName = "Müller^Jörg"
        dataset.save_as(file)
    segment = replace(some_segments()[0], label="Lymphknoten präaortal µ 腫瘍")
    seg = pydicom.dcmread(write_dicom_seg(tmp_path / "seg.dcm", source=series, segments=[segment]))
    assert seg.PatientName == "Müller^Jörg"
    assert seg.SegmentSequence[0].SegmentLabel == "Lymphknoten präaortal µ 腫瘍"


def test_a_source_with_values_longer_than_allowed_is_repeated_without_complaint(tmp_path):
    series = a_series(tmp_path)
    for file in series.source_files:
        dataset = pydicom.dcmread(file)
        dataset.add(pydicom.DataElement(0x00200010, "SH", "AN IDENTIFIER TOO LONG", validation_mode=0))
        dataset["PatientName"] = pydicom.DataElement(0x00100010, "PN", "no carets", validation_mode=0)
        dataset.save_as(file)
    seg = pydicom.dcmread(write_dicom_seg(tmp_path / "seg.dcm", some_segments()[0].mask, source=series))
    assert seg.PatientName == "no carets"
