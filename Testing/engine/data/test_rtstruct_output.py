"""Written RT Structure Sets read by pydicom, and filled again from the attributes of the images alone."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from polygon_filling import fillings
from three_segments import ORIENTATIONS, awkward_grid, some_segments, write_enhanced_pet

from SegAnyPETLib.data import PETHeader, PETSeries, Segment, read_pet_series, write_dicom_seg, write_rtstruct
from SegAnyPETLib.data.segment import ANATOMICAL_STRUCTURE, METASTASIS, ORGAN_TERMS, Code, Terminology
from SegAnyPETLib.errors import DICOMError, GeometryError, InconsistentSeriesError, MissingTagError, OutputError
from SegAnyPETLib.geometry import Grid
from SegAnyPETLib.phantom import nema_phantom, write_phantom_series

SHAPE = (9, 13, 11)
# Rows and columns run against the patient's axes, slices towards the feet.
FLIPPED = ((-1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, -1.0))


def grid_of(orientation: str, shape=SHAPE) -> Grid:
    grid = awkward_grid("axial" if orientation == "flipped" else orientation, shape)
    return replace(grid, direction=FLIPPED) if orientation == "flipped" else grid


def series_on(grid: Grid, folder: Path) -> PETSeries:
    middle = tuple(grid.kji_to_lps(np.floor_divide(grid.shape_kji, 2)))
    phantom = nema_phantom(grid=grid, diameters_mm=(22.0,), centres_lps_mm=[middle])
    return read_pet_series(write_phantom_series(phantom, folder / "PET"))


@pytest.fixture
def a_series(tmp_path):
    return series_on(grid_of("oblique"), tmp_path)


def awkward_segments() -> list[Segment]:
    """Three plain ones; voxels alone, in touch by a corner and at the border; holes in holes; noise; everything."""
    scattered, hollow, full = (np.zeros(SHAPE, bool) for _ in range(3))
    scattered[0, 0, 0] = scattered[8, 12, 10] = scattered[4, 5, 5] = True
    scattered[4, 6, 6] = scattered[4, 7, 5] = scattered[4, 12, 0:4] = scattered[2, :, 10] = True
    hollow[3, 1:12, 1:10] = True
    hollow[3, 3:10, 3:8] = False
    hollow[3, 5:8, 5] = hollow[3, 5:8, 6] = True
    hollow[3, 6, 5] = hollow[3, 2, 2] = hollow[3, 10, 8] = False
    hollow[4] = ~hollow[3]
    full[:] = True
    noise = np.random.default_rng(5).random(SHAPE) < 0.6
    return [
        *some_segments(),
        *(
            Segment(name, mask)
            for name, mask in (("Scattered", scattered), ("Hollow", hollow), ("Full", full), ("Noise", noise))
        ),
    ]


def planes_of(series: PETSeries) -> dict[str, pydicom.Dataset]:
    """Headers of single-frame images by SOP Instance UID."""
    headers = [pydicom.dcmread(file, stop_before_pixels=True) for file in series.source_files]
    return {header.SOPInstanceUID: header for header in headers}


def in_plane_ji(contour: pydicom.Dataset, image: pydicom.Dataset) -> np.ndarray:
    """Pixel indices of the contour's points by the image's own equation (C.7.6.2.1.1); they lie in its plane."""
    points = np.asarray(contour.ContourData, float).reshape(-1, 3) - np.asarray(image.ImagePositionPatient, float)
    along_row, along_column = np.asarray(image.ImageOrientationPatient, float).reshape(2, 3)
    between_rows, between_columns = (float(value) for value in image.PixelSpacing)
    assert contour.NumberOfContourPoints == len(points) >= 4
    assert np.abs(points @ np.cross(along_row, along_column)).max() < 1e-5
    return np.stack([points @ along_column / between_rows, points @ along_row / between_columns], axis=-1)


def contours_of(rtstruct: pydicom.Dataset, number: int) -> list[pydicom.Dataset]:
    [region] = [item for item in rtstruct.ROIContourSequence if item.ReferencedROINumber == number]
    assert [contour.ContourNumber for contour in region.ContourSequence] == list(
        range(1, len(region.ContourSequence) + 1)
    )
    assert {contour.ContourGeometricType for contour in region.ContourSequence} == {"CLOSED_PLANAR"}
    return list(region.ContourSequence)


def filled(rtstruct: pydicom.Dataset, number: int, series: PETSeries) -> list[np.ndarray]:
    """The region's mask, once for each way in which programs fill and combine contours."""
    polygons: dict[str, list[np.ndarray]] = {}
    images = planes_of(series)
    for contour in contours_of(rtstruct, number):
        [reference] = contour.ContourImageSequence
        image = images[reference.ReferencedSOPInstanceUID]
        assert reference.ReferencedSOPClassUID == image.SOPClassUID
        polygons.setdefault(image.SOPInstanceUID, []).append(in_plane_ji(contour, image))
    shape = series.grid.shape_kji[1:]
    per_slice = [fillings(polygons.get(uid, []), shape) for uid in images]
    return [np.stack(planes) for planes in zip(*per_slice, strict=True)]


@pytest.mark.parametrize("orientation", [*ORIENTATIONS, "flipped"])
def test_filling_the_contours_gives_back_exactly_the_voxels(tmp_path, orientation):
    series, segments = series_on(grid_of(orientation), tmp_path), awkward_segments()
    rtstruct = pydicom.dcmread(write_rtstruct(tmp_path / "rt.dcm", source=series, segments=segments))
    assert (rtstruct.SOPClassUID, rtstruct.Modality) == ("1.2.840.10008.5.1.4.1.1.481.3", "RTSTRUCT")
    for number, segment in enumerate(segments, start=1):
        ways = filled(rtstruct, number, series)
        assert len(ways) == 4
        for mask in ways:
            np.testing.assert_array_equal(mask, segment.mask)


def test_slices_held_in_the_other_order_get_the_same_contours(tmp_path, a_series):
    segments = awkward_segments()
    turned = replace(
        a_series,
        values=a_series.values[::-1],
        source_files=a_series.source_files[::-1],
        grid=Grid.from_ijk_to_lps(
            a_series.grid.ijk_to_lps @ np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, -1, 8], [0, 0, 0, 1.0]]),
            shape_kji=SHAPE,
        ),
    )
    upside_down = [replace(segment, mask=segment.mask[::-1]) for segment in segments]
    rtstruct = pydicom.dcmread(write_rtstruct(tmp_path / "rt.dcm", source=turned, segments=upside_down))
    for number, segment in enumerate(segments, start=1):
        np.testing.assert_array_equal(filled(rtstruct, number, a_series)[0], segment.mask)


def test_contours_lie_in_the_planes_of_images_that_are_not_quite_evenly_spaced(tmp_path):
    folder = series_on(grid_of("axial"), tmp_path).source_files[0].parent
    for number, file in enumerate(sorted(folder.iterdir())):
        image = pydicom.dcmread(file)
        x, y, z = (float(value) for value in image.ImagePositionPatient)
        image.ImagePositionPatient = [round(x + 0.01, 3), y, round(z + 0.02 * (-1) ** number, 2)]
        image.save_as(file)
    series = read_pet_series(folder)
    rtstruct = pydicom.dcmread(write_rtstruct(tmp_path / "rt.dcm", source=series, segments=awkward_segments()))
    images = planes_of(series)
    for contour in contours_of(rtstruct, 6):
        image = images[contour.ContourImageSequence[0].ReferencedSOPInstanceUID]
        assert set(contour.ContourData[2::3]) == {image.ImagePositionPatient[2]}
    np.testing.assert_array_equal(filled(rtstruct, 7, series)[0], awkward_segments()[6].mask)


def test_the_frames_of_a_multi_frame_source_are_referred_to(tmp_path, a_series):
    order = np.array([3, 0, 8, 1, 5, 2, 7, 4, 6])  # frame n shows slice order[n]
    file = write_enhanced_pet(tmp_path / "PET", tmp_path / "enhanced.dcm", frame_order=order)
    enhanced = PETSeries(
        values=a_series.values,
        units="BQML",
        grid=a_series.grid,
        header=PETHeader(units="BQML"),
        source_files=(file,) * 9,
        frame_numbers=tuple(int(n) + 1 for n in np.argsort(order)),
        series_instance_uid=a_series.series_instance_uid,
        is_multiframe=True,
    )
    segments, slices = awkward_segments(), list(planes_of(a_series).values())
    rtstruct = pydicom.dcmread(write_rtstruct(tmp_path / "rt.dcm", source=enhanced, segments=segments))
    uid = pydicom.dcmread(file).SOPInstanceUID
    for number, segment in enumerate(segments, start=1):
        polygons: list[list[np.ndarray]] = [[] for _ in range(9)]
        for contour in contours_of(rtstruct, number):
            [reference] = contour.ContourImageSequence
            assert reference.ReferencedSOPInstanceUID == uid
            k = order[reference.ReferencedFrameNumber - 1]
            polygons[k].append(in_plane_ji(contour, slices[k]))
        np.testing.assert_array_equal(np.stack([fillings(p, SHAPE[1:])[0] for p in polygons]), segment.mask)


def test_it_refers_to_its_study_series_and_images(tmp_path, a_series):
    rtstruct = pydicom.dcmread(
        write_rtstruct(tmp_path / "rt.dcm", some_segments()[0].mask, source=a_series, label="Left lung")
    )
    images = planes_of(a_series)
    first = next(iter(images.values()))
    for keyword in ("PatientID", "PatientName", "PatientSex", "StudyInstanceUID", "StudyDate", "FrameOfReferenceUID"):
        assert rtstruct[keyword].value == first[keyword].value, keyword
    assert rtstruct.SeriesInstanceUID != first.SeriesInstanceUID
    [frame] = rtstruct.ReferencedFrameOfReferenceSequence
    assert frame.FrameOfReferenceUID == first.FrameOfReferenceUID
    [study] = frame.RTReferencedStudySequence
    assert study.ReferencedSOPInstanceUID == first.StudyInstanceUID
    [series] = study.RTReferencedSeriesSequence
    assert series.SeriesInstanceUID == a_series.series_instance_uid
    assert [item.ReferencedSOPInstanceUID for item in series.ContourImageSequence] == list(images)
    [region] = rtstruct.StructureSetROISequence
    assert (region.ROIName, region.ReferencedFrameOfReferenceUID) == ("Left lung", first.FrameOfReferenceUID)
    [pixels] = rtstruct.ROIContourSequence[0].SourcePixelPlanesCharacteristicsSequence
    assert list(pixels.PixelSpacing) == [3.2, 4.1]
    assert float(pixels.SpacingBetweenSlices) == pytest.approx(5.7)
    np.testing.assert_allclose(pixels.ImagePositionPatient, a_series.grid.origin_lps_mm, atol=1e-9)
    np.testing.assert_allclose(pixels.ImageOrientationPatient, np.array(a_series.grid.direction).T[:2].ravel())
    assert rtstruct.ApprovalStatus == "UNAPPROVED"


def test_names_colours_codes_and_algorithms_are_those_of_the_segments(tmp_path, a_series):
    tissue = Terminology(Code("85756007", "SCT", "Tissue"), Code("87784001", "SCT", "Soft tissue"))
    long_code = Terminology(ANATOMICAL_STRUCTURE, Code("12345678901234567", "SCT", "Somewhere"))
    mask = some_segments()[0].mask
    more = [
        Segment("Metastasis", mask, terminology=METASTASIS),
        Segment("Soft", mask, terminology=tissue),
        Segment("Liver", mask, terminology=ORGAN_TERMS["liver"]),
        Segment("Long", mask, terminology=long_code),
    ]
    segments = [*some_segments(), *more]
    rtstruct = pydicom.dcmread(write_rtstruct(tmp_path / "rt.dcm", source=a_series, segments=segments))
    regions, seen = rtstruct.StructureSetROISequence, rtstruct.RTROIObservationsSequence
    assert [region.ROIName for region in regions] == [segment.label for segment in segments]
    assert [region.ROINumber for region in regions] == [item.ReferencedROINumber for item in seen] == [*range(1, 8)]
    assert len({item.ObservationNumber for item in seen}) == 7
    assert [list(item.ROIDisplayColor) for item in rtstruct.ROIContourSequence][1:3] == [[26, 153, 242], [0, 255, 128]]
    assert [region.ROIGenerationAlgorithm for region in regions][:3] == ["SEMIAUTOMATIC", "SEMIAUTOMATIC", "AUTOMATIC"]
    assert regions[0].ROIGenerationDescription == "lite 0.1.0"
    assert float(regions[2].ROIVolume) == pytest.approx(4.1 * 3.2 * 5.7 / 1000, rel=1e-5)
    assert [item.RTROIInterpretedType for item in seen] == ["GTV", "GTV", "ORGAN", "GTV", "", "ORGAN", "ORGAN"]
    for item, segment in zip(seen[:6], segments[:6], strict=True):
        [category], [identified] = item.SegmentedPropertyCategoryCodeSequence, item.RTROIIdentificationCodeSequence
        assert category.CodeValue == segment.terminology.category.value
        assert (identified.CodeValue, identified.CodeMeaning) == (
            segment.terminology.type.value,
            segment.terminology.type.meaning,
        )
    assert seen[0].AnatomicRegionSequence[0].CodeMeaning == "Liver"
    assert seen[2].RTROIIdentificationCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence[0].CodeMeaning == "Left"
    assert seen[6].RTROIIdentificationCodeSequence[0].LongCodeValue == "12345678901234567"


def test_a_name_is_used_once_and_is_one_value(tmp_path, a_series):
    mask = some_segments()[0].mask
    labels = ["Node", "Node", "x" * 64, "x" * 64, "Node (2)", "left\\right"]
    path = write_rtstruct(tmp_path / "rt.dcm", source=a_series, segments=[Segment(label, mask) for label in labels])
    names = [region.ROIName for region in pydicom.dcmread(path).StructureSetROISequence]
    assert names == ["Node", "Node (2)", "x" * 64, "x" * 60 + " (2)", "Node (2) (2)", "left/right"]


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (Debian package dicom3tools) is not installed")
def test_dciodvfy_finds_nothing_wrong(tmp_path, a_series):
    path = write_rtstruct(tmp_path / "rt.dcm", source=a_series, segments=awkward_segments())
    verdict = subprocess.run(["dciodvfy", str(path)], capture_output=True, check=False)
    assert (verdict.stdout + verdict.stderr).decode(errors="replace").strip() == "RTStructureSet"


def test_a_contour_longer_than_explicit_vr_can_hold_is_written_whole(tmp_path):
    series = series_on(grid_of("oblique", (2, 150, 160)), tmp_path)
    mask = np.random.default_rng(3).random(series.grid.shape_kji) < 0.8
    rtstruct = pydicom.dcmread(write_rtstruct(tmp_path / "rt.dcm", mask, source=series))
    assert max(len(str(contour.ContourData)) for contour in contours_of(rtstruct, 1)) > 2**16
    np.testing.assert_array_equal(filled(rtstruct, 1, series)[0], mask)


def test_coordinates_are_written_as_short_decimals(tmp_path, a_series):
    path = write_rtstruct(tmp_path / "rt.dcm", source=a_series, segments=awkward_segments())
    for contour in contours_of(pydicom.dcmread(path), 7):
        assert all(len(str(value)) <= 16 for value in contour.ContourData)


def test_a_source_that_an_anonymizer_has_thinned_is_still_accepted(tmp_path, a_series):
    for file in a_series.source_files:
        dataset = pydicom.dcmread(file)
        for keyword in ("AccessionNumber", "StudyID", "StudyTime", "ReferringPhysicianName", "SeriesNumber"):
            del dataset[keyword]
        dataset.PatientIdentityRemoved = "YES"
        dataset.save_as(file)
    rtstruct = pydicom.dcmread(write_rtstruct(tmp_path / "rt.dcm", some_segments()[0].mask, source=a_series))
    assert (rtstruct.AccessionNumber, rtstruct.PatientIdentityRemoved) == ("", "YES")


def test_names_with_accents_survive_a_source_in_latin_1(tmp_path, a_series):
    for file in a_series.source_files:
        dataset = pydicom.dcmread(file)
        dataset.SpecificCharacterSet = "ISO_IR 100"
        dataset.PatientName = "Müller^Jörg"
        dataset.StudyDescription = "Ganzkörper"
        dataset.save_as(file)
    segment = replace(some_segments()[0], label="Lymphknoten präaortal µ 腫瘍")
    rtstruct = pydicom.dcmread(write_rtstruct(tmp_path / "rt.dcm", source=a_series, segments=[segment]))
    assert (rtstruct.PatientName, rtstruct.StudyDescription) == ("Müller^Jörg", "Ganzkörper")
    assert rtstruct.StructureSetROISequence[0].ROIName == "Lymphknoten präaortal µ 腫瘍"


def test_a_source_with_values_longer_than_allowed_is_repeated_without_complaint(tmp_path, a_series):
    for file in a_series.source_files:
        dataset = pydicom.dcmread(file)
        dataset.add(pydicom.DataElement(0x00200010, "SH", "AN IDENTIFIER TOO LONG", validation_mode=0))
        dataset["PatientName"] = pydicom.DataElement(0x00100010, "PN", "no carets", validation_mode=0)
        dataset.save_as(file)
    rtstruct = pydicom.dcmread(write_rtstruct(tmp_path / "rt.dcm", some_segments()[0].mask, source=a_series))
    assert rtstruct.PatientName == "no carets"


def test_a_source_that_is_gone_or_lacks_its_frame_of_reference_is_told(tmp_path, a_series):
    dataset = pydicom.dcmread(a_series.source_files[2])
    del dataset.FrameOfReferenceUID
    dataset.save_as(a_series.source_files[2])
    with pytest.raises(MissingTagError, match=r"\(0020,0052\).*RT Structure Set.*seg\.nrrd"):
        write_rtstruct(tmp_path / "rt.dcm", some_segments()[0].mask, source=a_series)
    a_series.source_files[4].unlink()
    with pytest.raises(DICOMError, match="cannot be read any more"):
        write_rtstruct(tmp_path / "rt.dcm", some_segments()[0].mask, source=a_series)
    assert not (tmp_path / "rt.dcm").exists()


def test_a_malformed_value_of_the_patient_is_repeated_as_it_is(tmp_path, a_series):
    file = a_series.source_files[0]
    content = file.read_bytes()
    assert content.count(b"70.0") == 1
    file.write_bytes(content.replace(b"70.0", b"7x.0"))
    rtstruct = pydicom.dcmread(write_rtstruct(tmp_path / "rt.dcm", some_segments()[0].mask, source=a_series))
    assert rtstruct.get_item("PatientWeight").value.strip() == b"7x.0"


def test_files_that_changed_places_since_they_were_read_are_refused(tmp_path, a_series):
    first, second = a_series.source_files[3:5]
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)
    with pytest.raises(InconsistentSeriesError, match=r"as slice 3 of the series was read.*read the series again"):
        write_rtstruct(tmp_path / "rt.dcm", some_segments()[0].mask, source=a_series)


def test_what_cannot_be_contoured_is_refused_and_leaves_nothing(tmp_path, a_series):
    segments = some_segments()
    mask = segments[0].mask
    with pytest.raises(GeometryError, match="on the image's grid"):
        write_rtstruct(tmp_path / "rt.dcm", mask.transpose(2, 1, 0), source=a_series)
    with pytest.raises(OutputError, match="'Gone' has no voxel, so there is nothing to write"):
        write_rtstruct(tmp_path / "rt.dcm", source=a_series, segments=[*segments, Segment("Gone", np.zeros_like(mask))])
    with pytest.raises(OutputError, match="found both"):
        write_rtstruct(tmp_path / "rt.dcm", mask, source=a_series, segments=segments)
    with pytest.raises(OutputError, match="at least one segment"):
        write_rtstruct(tmp_path / "rt.dcm", source=a_series, segments=[])
    with pytest.raises(OutputError, match="label only for a single mask"):
        write_rtstruct(tmp_path / "rt.dcm", source=a_series, segments=segments, label="x")
    with pytest.raises(OutputError, match=r"ending in \.dcm"):
        write_rtstruct(tmp_path / "rt.rtss", mask, source=a_series)
    assert [path.name for path in tmp_path.iterdir()] == ["PET"]


def test_a_seg_and_a_structure_set_of_one_series_are_series_of_their_own(tmp_path, a_series):
    mask = some_segments()[0].mask
    seg = pydicom.dcmread(write_dicom_seg(tmp_path / "seg.dcm", mask, source=a_series))
    rtstruct = pydicom.dcmread(write_rtstruct(tmp_path / "rt.dcm", mask, source=a_series))
    assert seg.StudyInstanceUID == rtstruct.StudyInstanceUID
    assert len({seg.SeriesInstanceUID, rtstruct.SeriesInstanceUID, a_series.series_instance_uid}) == 3
    assert seg.SeriesNumber != rtstruct.SeriesNumber
