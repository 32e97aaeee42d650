"""DICOM SEG of our writer and of highdicom's, read onto grids of all kinds; SimpleITK resamples for comparison."""

from __future__ import annotations

import random
import warnings
from dataclasses import replace
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
import SimpleITK
from pydicom.uid import ExplicitVRLittleEndian, RLELossless
from test_reader_fuzz import mutated
from three_segments import ORIENTATIONS, awkward_grid, some_segments

from SegAnyPETLib.data import PETSeries, Segment, read_pet_series, write_dicom_seg
from SegAnyPETLib.data.dicom_seg_input import read_dicom_seg
from SegAnyPETLib.data.segment import LESION, Algorithm
from SegAnyPETLib.errors import DICOMError, GeometryError, InconsistentSeriesError, SegAnyPETError, SegAnyPETWarning
from SegAnyPETLib.geometry import Grid, VoxelBox
from SegAnyPETLib.phantom import centred_grid, nema_phantom, write_phantom_series

SHAPE = (9, 13, 11)


def series_on(grid: Grid, folder: Path) -> PETSeries:
    middle = tuple(grid.kji_to_lps(np.floor_divide(grid.shape_kji, 2)))
    phantom = nema_phantom(grid=grid, diameters_mm=(22.0,), centres_lps_mm=[middle])
    return read_pet_series(write_phantom_series(phantom, folder / "PET"))


@pytest.fixture
def a_series(tmp_path):
    return series_on(awkward_grid(), tmp_path)


@pytest.fixture
def a_seg(tmp_path, a_series):
    return write_dicom_seg(tmp_path / "seg.dcm", source=a_series, segments=some_segments())


def changed(path: Path, change) -> Path:
    dataset = pydicom.dcmread(path)
    change(dataset)
    dataset.save_as(path)
    return path


def written_by_highdicom(path: Path, source: PETSeries, pixels: np.ndarray, kind: str, **options) -> Path:
    """A SEG of another writer, two segments; `pixels` as highdicom takes them for `kind`."""
    images = [pydicom.dcmread(file) for file in source.source_files]
    code = highdicom.sr.CodedConcept("108369006", "SCT", "Neoplasm")
    descriptions = [
        highdicom.seg.SegmentDescription(
            segment_number=number,
            segment_label=f"Part {number}",
            segmented_property_category=highdicom.sr.CodedConcept("49755003", "SCT", "Altered"),
            segmented_property_type=code,
            algorithm_type="MANUAL",
        )
        for number in (1, 2)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        highdicom.seg.Segmentation(
            source_images=images,
            pixel_array=pixels,
            segmentation_type=kind,
            segment_descriptions=descriptions,
            series_instance_uid=highdicom.UID(),
            series_number=7,
            sop_instance_uid=highdicom.UID(),
            instance_number=1,
            manufacturer="Somebody",
            manufacturer_model_name="else",
            software_versions="1",
            device_serial_number="1",
            **options,
        ).save_as(path)
    return path


def flipped_and_turned(grid: Grid) -> Grid:
    """The same voxel centres, with k along the old j, j along the old i backwards, i along the old k."""
    k, j, i = grid.shape_kji
    turn = np.array([[0, -1, 0, i - 1], [0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 1.0]])
    return Grid.from_ijk_to_lps(grid.ijk_to_lps @ turn, shape_kji=(j, i, k))


def resampled(mask: np.ndarray, grid: Grid, onto: Grid) -> np.ndarray:
    def image(array, where):
        result = SimpleITK.GetImageFromArray(array.astype(np.uint8))
        result.SetSpacing(where.spacing_ijk_mm)
        result.SetOrigin(where.origin_lps_mm)
        result.SetDirection([value for row in where.direction for value in row])
        return result

    target = image(np.zeros(onto.shape_kji), onto)
    moved = SimpleITK.Resample(
        image(mask, grid), target, SimpleITK.Transform(), SimpleITK.sitkNearestNeighbor, 0.0, SimpleITK.sitkUInt8
    )
    return SimpleITK.GetArrayFromImage(moved) == 1


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_what_was_written_is_read_back_voxel_for_voxel(tmp_path, orientation):
    series, segments = series_on(awkward_grid(orientation), tmp_path), some_segments()
    segments[0] = replace(segments[0], tracking_uid="1.2.826.0.1.3680043.8.498.77")
    read = read_dicom_seg(write_dicom_seg(tmp_path / "seg.dcm", source=series, segments=segments), grid=series.grid)
    for found, expected in zip(read, segments, strict=True):
        np.testing.assert_array_equal(found.mask, expected.mask)
        assert (found.label, found.terminology) == (expected.label, expected.terminology)
        assert found.color_rgb == pytest.approx(expected.color_rgb, abs=0.02)
    assert (read[0].algorithm, read[2].algorithm) == (segments[0].algorithm, segments[2].algorithm)
    assert read[0].tracking_uid == "1.2.826.0.1.3680043.8.498.77"
    assert len({segment.tracking_uid for segment in read}) == 3


def test_lesions_on_few_slices_far_apart_stay_on_these_slices(tmp_path, a_series):
    mask = np.zeros(SHAPE, bool)
    mask[1, 3, 4] = mask[7, 8:10, 2] = True
    [read] = read_dicom_seg(write_dicom_seg(tmp_path / "seg.dcm", mask, source=a_series), grid=a_series.grid)
    np.testing.assert_array_equal(read.mask, mask)


def test_one_frame_alone_stays_one_slice(tmp_path, a_series):
    mask = np.zeros(SHAPE, bool)
    mask[6, 2:4, 10] = True
    [read] = read_dicom_seg(write_dicom_seg(tmp_path / "seg.dcm", mask, source=a_series), grid=a_series.grid)
    np.testing.assert_array_equal(read.mask, mask)


def test_a_flipped_and_turned_grid_with_the_same_centres_gets_the_same_voxels(a_seg, a_series):
    grid = flipped_and_turned(a_series.grid)
    for found, expected in zip(read_dicom_seg(a_seg, grid=grid), some_segments(), strict=True):
        np.testing.assert_array_equal(found.mask, expected.mask.transpose(1, 2, 0)[:, ::-1, :])


def test_a_larger_grid_with_the_same_centres_gets_the_same_voxels(a_seg, a_series):
    box = VoxelBox((-2, -1, -3), (12, 20, 12))
    for found, expected in zip(read_dicom_seg(a_seg, grid=a_series.grid.crop(box)), some_segments(), strict=True):
        np.testing.assert_array_equal(found.mask[2:11, 1:14, 3:14], expected.mask)
        assert found.mask.sum() == expected.mask.sum()


def test_what_lies_outside_the_image_is_told(a_seg, a_series):
    part = a_series.grid.crop(VoxelBox((0, 0, 0), (5, 13, 11)))
    with pytest.warns(SegAnyPETWarning, match=r"Parts of 2 segment\(s\).*outside the image"):
        read = read_dicom_seg(a_seg, grid=part)
    assert [segment.label for segment in read] == ["Lesion 1", "Knoten 2 (µ)"]
    np.testing.assert_array_equal(read[1].mask, some_segments()[1].mask[:5])


@pytest.mark.parametrize("spacing", [(2.3, 1.9, 2.9), (9.1, 7.7, 10.3)], ids=["finer", "coarser"])
def test_on_another_grid_each_voxel_takes_the_nearest_pixel(tmp_path, a_series, spacing):
    mask = np.zeros(SHAPE, bool)
    mask[1:8, 2:11, 2:9] = np.random.default_rng(3).random((7, 9, 7)) < 0.7
    path = write_dicom_seg(tmp_path / "seg.dcm", mask, source=a_series)
    other = centred_grid((21, 24, 26), spacing, centre_lps_mm=(-86.7, 44.3, 1205.1), orientation="sagittal")
    with pytest.warns(SegAnyPETWarning, match="another grid than the image"):
        [read] = read_dicom_seg(path, grid=other)
    expected = resampled(mask, a_series.grid, other)
    assert expected.sum() > 20
    np.testing.assert_array_equal(read.mask, expected)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless])
def test_a_fraction_of_at_least_half_is_inside(tmp_path, a_series, syntax):
    values = np.random.default_rng(4).integers(0, 201, (*SHAPE, 2))
    path = written_by_highdicom(
        tmp_path / "seg.dcm",
        a_series,
        values / 200.0,
        "FRACTIONAL",
        max_fractional_value=200,
        transfer_syntax_uid=syntax,
    )
    read = read_dicom_seg(path, grid=a_series.grid)
    for n, segment in enumerate(read):
        np.testing.assert_array_equal(segment.mask, values[..., n] >= 100)
    assert read[0].algorithm is None


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless])
def test_a_label_map_is_taken_apart(tmp_path, a_series, syntax):
    labels = np.random.default_rng(5).integers(0, 3, SHAPE).astype(np.uint8)
    path = written_by_highdicom(tmp_path / "seg.dcm", a_series, labels, "LABELMAP", transfer_syntax_uid=syntax)
    first, second = read_dicom_seg(path, grid=a_series.grid)
    np.testing.assert_array_equal(first.mask, labels == 1)
    np.testing.assert_array_equal(second.mask, labels == 2)
    assert (first.label, second.label) == ("Part 1", "Part 2")


def test_highdicom_reads_the_same_pixels(tmp_path, a_seg, a_series):
    uids = [pydicom.dcmread(f, stop_before_pixels=True).SOPInstanceUID for f in a_series.source_files]
    theirs = highdicom.seg.segread(a_seg).get_pixels_by_source_instance(uids, assert_missing_frames_are_empty=True)
    for n, segment in enumerate(read_dicom_seg(a_seg, grid=a_series.grid)):
        np.testing.assert_array_equal(segment.mask, theirs[..., n].astype(bool))


def test_images_that_are_not_quite_evenly_spaced_are_still_its_own(tmp_path):
    folder = series_on(awkward_grid("axial"), tmp_path).source_files[0].parent
    for number, file in enumerate(sorted(folder.iterdir())):
        image = pydicom.dcmread(file)
        x, y, z = (float(value) for value in image.ImagePositionPatient)
        image.ImagePositionPatient = [round(x + 0.01, 3), y, round(z + 0.02 * (-1) ** number, 2)]
        image.save_as(file)
    series = read_pet_series(folder)
    read = read_dicom_seg(
        write_dicom_seg(tmp_path / "s.dcm", source=series, segments=some_segments()), grid=series.grid
    )
    for found, expected in zip(read, some_segments(), strict=True):
        np.testing.assert_array_equal(found.mask, expected.mask)


def test_another_frame_of_reference_is_refused_and_its_own_accepted(a_seg, a_series):
    own = pydicom.dcmread(a_seg).FrameOfReferenceUID
    assert len(read_dicom_seg(a_seg, grid=a_series.grid, frame_of_reference_uid=own)) == 3
    with pytest.raises(InconsistentSeriesError, match=r"frame of reference 1\.2\.3.*Register"):
        read_dicom_seg(a_seg, grid=a_series.grid, frame_of_reference_uid="1.2.3")


def test_codes_and_labels_that_cannot_be_used_are_replaced(a_seg, a_series):
    def spoil(dataset):
        first, second, third = dataset.SegmentSequence
        first.SegmentLabel = "\t" + "x" * 60 + "\r\n y z"
        del first.SegmentedPropertyTypeCodeSequence
        second.SegmentLabel = ""
        second.TrackingUID = "not a uid"
        second.SegmentedPropertyTypeCodeSequence[0].CodeMeaning = "a^b"
        del third.SegmentAlgorithmName
        del third.RecommendedDisplayCIELabValue
        third.SegmentationAlgorithmIdentificationSequence = []

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        changed(a_seg, spoil)
    first, second, third = read_dicom_seg(a_seg, grid=a_series.grid)
    assert (first.label, first.terminology) == ("x" * 60 + " y z", LESION)
    assert (second.label, second.tracking_uid, second.terminology) == ("Segment 2", None, LESION)
    assert (third.algorithm, third.color_rgb) == (None, Segment.color_rgb)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda d: setattr(d, "SOPClassUID", "1.2.840.10008.5.1.4.1.1.128"), DICOMError, "Expected a DICOM SEG"),
        (lambda d: setattr(d, "NumberOfFrames", 99), InconsistentSeriesError, "announces 99"),
        (lambda d: setattr(d, "PixelData", d.PixelData[:8]), DICOMError, "truncated"),
        (lambda d: setattr(d, "SegmentSequence", d.SegmentSequence[:1]), InconsistentSeriesError, "segment 2"),
        (lambda d: setattr(d.SegmentSequence[1], "SegmentNumber", 1), InconsistentSeriesError, "different whole"),
        (lambda d: setattr(d, "SegmentationType", "CURVE"), DICOMError, "should be BINARY"),
        (lambda d: (setattr(d, "Rows", 60000), setattr(d, "Columns", 60000)), DICOMError, "60000 rows"),
        (lambda d: delattr(d, "SharedFunctionalGroupsSequence"), DICOMError, "ImageOrientationPatient"),
        (lambda d: setattr(d, "PixelData", bytes(len(d.PixelData))), GeometryError, "No segment"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_reason(a_seg, a_series, change, error, words):
    changed(a_seg, change)
    with pytest.raises(error, match=words):
        read_dicom_seg(a_seg, grid=a_series.grid)


def test_far_from_the_image_there_is_nothing_to_read(a_seg, a_series):
    away = replace(a_series.grid, origin_lps_mm=(5000.0, 0.0, 0.0))
    with pytest.warns(SegAnyPETWarning), pytest.raises(GeometryError, match="inside the image"):
        read_dicom_seg(a_seg, grid=away)


def test_more_segments_than_anybody_has_are_refused_before_memory_is_taken(a_seg, a_series):
    def multiply(dataset):
        dataset.SegmentSequence[0].SegmentNumber = 60000
        sequence = list(dataset.SegmentSequence)
        for number in range(4, 4200):
            item = pydicom.Dataset()
            item.SegmentNumber = number
            sequence.append(item)
        dataset.SegmentSequence = sequence

    changed(a_seg, multiply)
    with pytest.raises(DICOMError, match="has 4199 segments"):
        read_dicom_seg(a_seg, grid=a_series.grid)


def test_files_damaged_at_random_are_read_or_refused_with_an_error_of_ours(tmp_path, a_seg, a_series):
    valid, random_ = a_seg.read_bytes(), random.Random(20250102)
    found: dict[str, int] = {}
    for _ in range(150):
        a_seg.write_bytes(mutated(valid, random_, head=len(valid)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SegAnyPETWarning)
            try:
                read = read_dicom_seg(a_seg, grid=a_series.grid)
                answer = "read"
                assert all(segment.mask.shape == SHAPE and segment.mask.any() for segment in read)
            except SegAnyPETError as error:
                answer = type(error).__name__
        found[answer] = found.get(answer, 0) + 1
    assert found["read"] > 20
    assert found["DICOMError"] > 20


def test_an_automatic_algorithm_without_a_version_is_still_named(a_seg, a_series):
    def strip(dataset):
        item = dataset.SegmentSequence[2]
        del item.SegmentationAlgorithmIdentificationSequence

    changed(a_seg, strip)
    assert read_dicom_seg(a_seg, grid=a_series.grid)[2].algorithm == Algorithm("total", "unknown", is_automatic=True)
