"""RT Structure Sets of our writer, and drawn by hand; matplotlib says which points lie in a polygon."""

from __future__ import annotations

import random
import warnings

import numpy as np
import pydicom
import pytest
from matplotlib.path import Path as Outline
from structure_set_builder import FRAME_OF_REFERENCE, contour, ellipse, in_slice, structure_set
from test_dicom_seg_input import changed, series_on
from test_reader_fuzz import mutated
from test_rtstruct_output import awkward_segments, grid_of
from three_segments import ORIENTATIONS, some_segments

from SegAnyPETLib.data import polygon_parity, rtstruct_input, write_rtstruct
from SegAnyPETLib.data.rtstruct_input import read_rtstruct
from SegAnyPETLib.data.segment import LESION, Algorithm
from SegAnyPETLib.errors import DICOMError, GeometryError, InconsistentSeriesError, SegAnyPETError, SegAnyPETWarning
from SegAnyPETLib.geometry import Grid
from SegAnyPETLib.phantom import centred_grid


def fine_grid(shape=(12, 61, 57)) -> Grid:
    return centred_grid(shape, (1.3, 1.1, 4.7), centre_lps_mm=(-88.0, 45.0, 1203.0), orientation="oblique")


def inside(grid: Grid, offsets_ij_mm: np.ndarray) -> np.ndarray:
    """Pixels (J, I) whose centres lie in the polygon, as matplotlib finds them in mm."""
    j, i = np.mgrid[: grid.shape_kji[1], : grid.shape_kji[2]]
    x = (i - (grid.shape_kji[2] - 1) / 2) * grid.spacing_ijk_mm[0]
    y = (j - (grid.shape_kji[1] - 1) / 2) * grid.spacing_ijk_mm[1]
    return (
        Outline(offsets_ij_mm, closed=False).contains_points(np.column_stack([x.ravel(), y.ravel()])).reshape(x.shape)
    )


@pytest.mark.parametrize("orientation", [*ORIENTATIONS, "flipped"])
def test_what_was_written_is_read_back_voxel_for_voxel(tmp_path, orientation):
    series, segments = series_on(grid_of(orientation), tmp_path), awkward_segments()
    read = read_rtstruct(write_rtstruct(tmp_path / "rt.dcm", source=series, segments=segments), grid=series.grid)
    for found, expected in zip(read, segments, strict=True):
        np.testing.assert_array_equal(found.mask, expected.mask)
        assert (found.label, found.terminology) == (expected.label, expected.terminology)
        assert found.color_rgb == pytest.approx(expected.color_rgb, abs=0.003)
    assert read[0].algorithm == segments[0].algorithm
    assert read[2].algorithm == Algorithm("total", "2", is_automatic=True)


def test_an_ellipse_drawn_on_oblique_slices_is_filled_as_matplotlib_does(tmp_path):
    grid, outline = fine_grid(), ellipse((22.3, 13.9))
    path = structure_set(tmp_path / "rt.dcm", {"Tumour": [contour(in_slice(grid, k, outline)) for k in range(3, 9)]})
    [read] = read_rtstruct(path, grid=grid, frame_of_reference_uid=FRAME_OF_REFERENCE)
    expected = inside(grid, outline)
    for k in range(12):
        np.testing.assert_array_equal(read.mask[k], expected if 3 <= k < 9 else np.zeros_like(expected))
    volume = np.pi * 22.3 * 13.9 * 6 * 4.7 / 1000
    assert read.mask.sum() * grid.voxel_volume_ml == pytest.approx(volume, rel=0.01)
    assert (read.label, read.terminology, read.algorithm) == ("Tumour", LESION, None)


def test_a_contour_inside_another_is_a_hole_and_one_inside_that_is_not(tmp_path):
    grid = fine_grid()
    outlines = [ellipse((25.0, 21.0)), ellipse((15.0, 12.0), centre=(3.0, -2.0)), ellipse((6.0, 4.0))]
    path = structure_set(tmp_path / "rt.dcm", {"Ring": [contour(in_slice(grid, 5, points)) for points in outlines]})
    [read] = read_rtstruct(path, grid=grid)
    outer, hole, island = (inside(grid, points) for points in outlines)
    np.testing.assert_array_equal(read.mask[5], outer ^ hole ^ island)
    assert not read.mask[5][~outer].any()


def test_a_keyhole_leaves_its_hole_empty(tmp_path):
    grid = fine_grid()
    outer, hole = ellipse((25.0, 21.0), turn=0.0), ellipse((10.0, 8.0), turn=0.0)[::-1]
    keyhole = np.concatenate([outer, outer[:1], np.roll(hole, 1, axis=0), hole[-1:]])
    [read] = read_rtstruct(
        structure_set(tmp_path / "rt.dcm", {"Ring": [contour(in_slice(grid, 5, keyhole))]}), grid=grid
    )
    expected = inside(grid, outer) & ~inside(grid, hole)
    assert (read.mask[5] != expected).sum() <= 2  # the channel may run through a centre
    assert not read.mask[5][30, 28]


def test_contours_between_the_slices_keep_the_volume(tmp_path):
    grid = fine_grid()
    heights_mm = np.arange(-19.0, 19.1, 2.0)  # 20 planes, 2 mm apart: a cylinder 40 mm high
    outline = ellipse((20.0, 16.0))
    contours = [contour(in_slice(grid, 5.5 + mm / 4.7, outline)) for mm in heights_mm]
    with pytest.warns(SegAnyPETWarning, match=r"1 region\(s\) drawn between the slices"):
        [read] = read_rtstruct(structure_set(tmp_path / "rt.dcm", {"Rod": contours}), grid=grid)
    used = np.flatnonzero(read.mask.any(axis=(1, 2)))
    centres_mm = (np.arange(12) - 5.5) * 4.7
    np.testing.assert_array_equal(used, np.flatnonzero(np.abs(centres_mm) < 20.0))
    assert read.mask.sum() * grid.voxel_volume_ml == pytest.approx(np.pi * 20 * 16 * 40 / 1000, rel=0.07)


def test_the_thickness_that_a_contour_states_is_used_between_the_slices(tmp_path):
    grid, outline = fine_grid(), ellipse((20.0, 16.0))
    thick = [contour(in_slice(grid, 5.4, outline), ContourSlabThickness=14.1)]
    thin = [contour(in_slice(grid, 5.4, outline), ContourSlabThickness=4.7)]
    with pytest.warns(SegAnyPETWarning, match="between the slices"):
        first, second = read_rtstruct(structure_set(tmp_path / "rt.dcm", {"A": thick, "B": thin}), grid=grid)
    assert np.flatnonzero(first.mask.any(axis=(1, 2))).tolist() == [4, 5, 6]
    assert np.flatnonzero(second.mask.any(axis=(1, 2))).tolist() == [5]


def test_lesions_on_single_slices_are_not_smeared_over_the_gap(tmp_path):
    grid, outline = fine_grid(), ellipse((9.0, 7.0))
    contours = [contour(in_slice(grid, k, outline)) for k in (2, 9)]
    [read] = read_rtstruct(structure_set(tmp_path / "rt.dcm", {"Two": contours}), grid=grid)
    assert np.flatnonzero(read.mask.any(axis=(1, 2))).tolist() == [2, 9]


def test_drawing_on_every_other_slice_is_told(tmp_path):
    grid, outline = fine_grid(), ellipse((9.0, 7.0))
    contours = [contour(in_slice(grid, k, outline)) for k in (2, 4, 6, 8)]
    with pytest.warns(SegAnyPETWarning, match="every other slice"):
        [read] = read_rtstruct(structure_set(tmp_path / "rt.dcm", {"Sparse": contours}), grid=grid)
    assert np.flatnonzero(read.mask.any(axis=(1, 2))).tolist() == [2, 4, 6, 8]


def test_contours_across_the_slices_are_refused(tmp_path):
    grid = fine_grid()
    points = in_slice(grid, 5, ellipse((20.0, 16.0)))
    points[:, 2] = points[:, 2][::-1]
    with pytest.raises(GeometryError, match=r"parallel to the slices.*region 11"):
        read_rtstruct(structure_set(tmp_path / "rt.dcm", {"Tilted": [contour(points)]}), grid=grid)


def test_points_and_open_lines_are_left_out_with_a_word(tmp_path):
    grid = fine_grid()
    drawn = in_slice(grid, 5, ellipse((20.0, 16.0)))
    contours = [
        contour(drawn),
        contour(drawn[:1], "POINT"),
        contour(drawn[:9], "OPEN_PLANAR"),
        contour(drawn[:9], "OPEN_PLANAR"),
        contour(drawn[:2]),
    ]
    with pytest.warns(SegAnyPETWarning) as told:
        [read] = read_rtstruct(structure_set(tmp_path / "rt.dcm", {"Mixed": contours}), grid=grid)
    words = " ".join(str(warning.message) for warning in told)
    assert "1 contour(s) that enclose nothing (POINT)" in words
    assert "2 contour(s) that enclose nothing (OPEN_PLANAR)" in words
    assert "1 contour(s) of fewer than three points" in words
    np.testing.assert_array_equal(read.mask[5], inside(grid, ellipse((20.0, 16.0))))


def test_a_region_beyond_the_image_is_cut_and_one_outside_left_out(tmp_path):
    grid, outline = fine_grid(), ellipse((45.0, 40.0))
    far = ellipse((9.0, 7.0), centre=(500.0, 0.0))
    regions = {
        "Leber (liver)": [contour(in_slice(grid, k, outline)) for k in (10, 11, 12)],
        "Elsewhere": [contour(in_slice(grid, 3, far))],
    }
    path = structure_set(tmp_path / "rt.dcm", regions)
    with pytest.warns(SegAnyPETWarning) as told:
        [read] = read_rtstruct(path, grid=grid)
    words = " ".join(str(warning.message) for warning in told)
    assert "1 contour(s) above or below the image" in words
    assert "1 region(s) without a voxel in the image" in words
    assert "Leber" not in words  # a name may be a person's
    np.testing.assert_array_equal(read.mask[11], inside(grid, outline))
    assert read.terminology.category.meaning == read.terminology.type.meaning == "Anatomical Structure"


def test_regions_of_another_frame_of_reference_are_refused(tmp_path):
    grid = fine_grid()
    drawn = {"A": [contour(in_slice(grid, 5, ellipse((20.0, 16.0))))]}
    path = structure_set(tmp_path / "rt.dcm", {**drawn, "B": drawn["A"]})
    with pytest.raises(InconsistentSeriesError, match=r"frame of reference 1\.2\.3; those of rt\.dcm"):
        read_rtstruct(path, grid=grid, frame_of_reference_uid="1.2.3")
    changed(path, lambda d: setattr(d.StructureSetROISequence[1], "ReferencedFrameOfReferenceUID", "1.2.9"))
    with pytest.warns(SegAnyPETWarning, match=r"1 region\(s\) in another frame of reference"):
        [read] = read_rtstruct(path, grid=grid, frame_of_reference_uid=FRAME_OF_REFERENCE)
    assert read.label == "A"


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda d: setattr(d, "SOPClassUID", "1.2.840.10008.5.1.4.1.1.128"), DICOMError, "Expected an RT Structure"),
        (lambda d: setattr(d.StructureSetROISequence[0], "ROINumber", 12), InconsistentSeriesError, "different whole"),
        (lambda d: setattr(first_contour(d), "ContourData", [1, 2, 3, 4]), DICOMError, "triplets"),
        (lambda d: setattr(first_contour(d), "ContourData", [1e9] * 9), DICOMError, "triplets of mm"),
        (lambda d: setattr(d, "ROIContourSequence", []), GeometryError, "No region"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_reason(tmp_path, change, error, words):
    grid = fine_grid()
    drawn = [contour(in_slice(grid, 5, ellipse((20.0, 16.0))))]
    path = changed(structure_set(tmp_path / "rt.dcm", {"A": drawn, "B": drawn}), change)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SegAnyPETWarning)
        with pytest.raises(error, match=words):
            read_rtstruct(path, grid=grid)


def first_contour(dataset: pydicom.Dataset) -> pydicom.Dataset:
    return dataset.ROIContourSequence[0].ContourSequence[0]


def test_more_points_or_crossings_than_anybody_draws_are_refused(tmp_path, monkeypatch):
    grid = fine_grid()
    path = structure_set(tmp_path / "rt.dcm", {"A": [contour(in_slice(grid, 5, ellipse((20.0, 16.0))))]})
    monkeypatch.setattr(polygon_parity, "MOST_CROSSINGS", 40)
    with pytest.raises(DICOMError, match="more than 40 crossings"):
        read_rtstruct(path, grid=grid)
    monkeypatch.setattr(rtstruct_input, "MOST_POINTS", 100)
    with pytest.raises(DICOMError, match="more than 100 contour points"):
        read_rtstruct(path, grid=grid)


def test_files_damaged_at_random_are_read_or_refused_with_an_error_of_ours(tmp_path):
    series = series_on(grid_of("oblique"), tmp_path)
    path = write_rtstruct(tmp_path / "rt.dcm", source=series, segments=some_segments())
    valid, random_ = path.read_bytes(), random.Random(20250103)
    found: dict[str, int] = {}
    for _ in range(150):
        path.write_bytes(mutated(valid, random_, head=len(valid)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SegAnyPETWarning)
            try:
                answer = "read"
                assert all(segment.mask.any() for segment in read_rtstruct(path, grid=series.grid))
            except SegAnyPETError as error:
                answer = type(error).__name__
        found[answer] = found.get(answer, 0) + 1
    assert found["read"] > 10
    assert found["DICOMError"] > 10
