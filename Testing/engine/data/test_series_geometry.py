"""Where the voxels of a series lie, whatever the order and orientation of its files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pet_dicom_builder import (
    COLUMNS,
    COUNT,
    DELETED,
    ORIGIN,
    ROWS,
    SPACING_IJK,
    decimal,
    oblique_axes,
    pet_slices,
    stored_values,
    write_slices,
)

from SegAnyPETLib.data import read_pet_series
from SegAnyPETLib.errors import DICOMError, InconsistentSeriesError, MissingTagError


def read(folder: Path, slices):
    write_slices(folder, slices)
    return read_pet_series(folder)


def test_oblique_anisotropic_series_is_read_where_it_was_written(tmp_path):
    series = read(tmp_path, pet_slices())

    assert series.grid.shape_kji == (COUNT, ROWS, COLUMNS)
    assert series.grid.spacing_ijk_mm == pytest.approx(SPACING_IJK, abs=1e-9)
    assert series.grid.origin_lps_mm == pytest.approx(ORIGIN, abs=1e-9)
    assert np.allclose(series.grid.direction, oblique_axes(), atol=1e-9)
    assert np.array_equal(series.values, stored_values() * 0.5)


def test_same_series_read_by_gdcm_gives_the_same_grid_and_values(tmp_path):
    series = read(tmp_path, pet_slices(slopes=["0.5", "0.25", "1.5", "0.125", "3"]))
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp_path)))
    image = reader.Execute()

    assert series.grid.spacing_ijk_mm == pytest.approx(image.GetSpacing(), abs=1e-6)
    assert series.grid.origin_lps_mm == pytest.approx(image.GetOrigin(), abs=1e-6)
    assert np.allclose(np.ravel(series.grid.direction), image.GetDirection(), atol=1e-6)
    assert np.allclose(series.values, SimpleITK.GetArrayFromImage(image), rtol=1e-6)


def test_source_files_follow_the_slices(tmp_path):
    paths = write_slices(tmp_path, pet_slices())
    assert list(read_pet_series(tmp_path).source_files) == paths


@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    angles=st.tuples(*[st.floats(-3.1, 3.1)] * 3),
    spacing=st.tuples(*[st.floats(0.7, 9.0)] * 3),
    origin=st.tuples(*[st.floats(-900.0, 900.0)] * 3),
    order=st.permutations(range(4)),
    index=st.tuples(st.floats(0, 3), st.floats(0, 2), st.floats(0, 4)),
)
def test_every_sub_voxel_place_survives_any_orientation_and_file_order(
    tmp_path_factory, angles, spacing, origin, order, index
):
    axes = oblique_axes(angles)
    slices = pet_slices(stored=stored_values(4, 3, 5), axes=axes, spacing_ijk=spacing, origin=origin)
    for number, k in enumerate(order):
        slices[k].InstanceNumber = number + 1
    series = read(tmp_path_factory.mktemp("series"), [slices[k] for k in order])

    k, j, i = index
    expected = np.array(origin) + axes @ (np.array(spacing) * [i, j, k])
    assert np.allclose(series.grid.kji_to_lps(index), expected, atol=1e-4)
    assert np.array_equal(series.values, stored_values(4, 3, 5) * 0.5)
    assert np.linalg.det(np.array(series.grid.direction)) == pytest.approx(1.0)


def test_slices_written_against_the_normal_are_turned_round_so_that_the_grid_is_right_handed(tmp_path):
    axes = oblique_axes()
    axes[:, 2] *= -1  # files run against the cross product of row and column
    series = read(tmp_path, pet_slices(axes=axes))

    assert np.linalg.det(np.array(series.grid.direction)) == pytest.approx(1.0)
    assert np.array_equal(series.values, stored_values()[::-1] * 0.5)
    assert series.grid.kji_to_lps((COUNT - 1, 0, 0)) == pytest.approx(ORIGIN, abs=1e-6)


def test_slice_location_spacing_between_slices_and_instance_number_are_not_believed(tmp_path):
    lies = {"SliceLocation": lambda k: str(-7.0 * k), "SpacingBetweenSlices": "-1", "SliceThickness": "99"}
    series = read(tmp_path, pet_slices(**lies, InstanceNumber=lambda k: 42))

    assert series.grid.spacing_ijk_mm == pytest.approx(SPACING_IJK, abs=1e-9)
    assert np.array_equal(series.values, stored_values() * 0.5)


def test_single_slice_is_refused_as_no_volume(tmp_path):
    with pytest.raises(InconsistentSeriesError, match="at least two slices"):
        read(tmp_path, pet_slices(stored=stored_values(1)))


@pytest.mark.parametrize("count", [4, 5, 9])
def test_missing_slice_is_named_by_its_neighbours(tmp_path, count):
    slices = pet_slices(stored=stored_values(count))
    names = [f"slice{k}.dcm" for k in range(count)]
    del slices[1], names[1]
    write_slices(tmp_path, slices, names=names)

    with pytest.raises(
        InconsistentSeriesError, match=r"missing: slice0.dcm and slice2.dcm are 5.000 mm apart"
    ) as error:
        read_pet_series(tmp_path)
    assert "about 1 between them" in str(error.value)


def test_slice_slightly_off_its_place_is_tolerated_and_far_off_is_refused(tmp_path):
    def shifted(millimetres):
        normal = oblique_axes()[:, 2]
        slices = pet_slices()
        moved = np.array([float(v) for v in slices[2].ImagePositionPatient]) + normal * millimetres
        slices[2].ImagePositionPatient = [decimal(v) for v in moved]
        return slices

    # 2 % of 2.5 mm is the stated tolerance: 0.05 mm
    assert read(tmp_path / "near", shifted(0.04)).grid.spacing_ijk_mm[2] == pytest.approx(2.5)
    with pytest.raises(InconsistentSeriesError, match="evenly spaced"):
        read(tmp_path / "far", shifted(0.08))


def test_sideways_shift_of_a_tilted_stack_is_refused(tmp_path):
    slices = pet_slices()
    for k, dataset in enumerate(slices):
        place = np.array([float(v) for v in dataset.ImagePositionPatient]) + oblique_axes()[:, 0] * 0.2 * k
        dataset.ImagePositionPatient = [decimal(v) for v in place]
    with pytest.raises(InconsistentSeriesError, match="sideways"):
        read(tmp_path, slices)


def test_copy_of_a_file_is_named_as_a_copy(tmp_path):
    slices = pet_slices()
    write_slices(tmp_path, slices)
    write_slices(tmp_path / "again", slices[1:2])
    with pytest.raises(InconsistentSeriesError, match=r"6 slices at 5 places.*copies of the same image"):
        read_pet_series(tmp_path)


def test_two_time_frames_at_one_place_are_named_as_gated_or_dynamic(tmp_path):
    first, second = pet_slices(), pet_slices(SOPInstanceUID=lambda k: f"1.2.3.{k + 1}")
    with pytest.raises(InconsistentSeriesError, match=r"10 slices at 5 places.*gated, dynamic"):
        read(tmp_path, [*first, *second])


@pytest.mark.parametrize("series_type", ["DYNAMIC", "GATED"])
def test_dynamic_and_gated_series_are_refused_by_name(tmp_path, series_type):
    with pytest.raises(InconsistentSeriesError, match=f"SeriesType .0054,1000. of .* is {series_type}"):
        read(tmp_path, pet_slices(SeriesType=[series_type, "IMAGE"]))


@pytest.mark.parametrize("series_type", [["WHOLE BODY", "IMAGE"], ["WHOLEBODY", "IMAGE"], DELETED])
def test_whole_body_series_are_read(tmp_path, series_type):
    assert read(tmp_path, pet_slices(SeriesType=series_type)).values.shape == (COUNT, ROWS, COLUMNS)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"FrameOfReferenceUID": "1.2.3"}, "frame of reference"),
        ({"PixelSpacing": ["3", "4.1"]}, "pixel spacing"),
        ({"ImageOrientationPatient": ["1", "0", "0", "0", "1", "0"]}, "orientation"),
        ({"Rows": COLUMNS, "Columns": ROWS}, "size"),
    ],
)
def test_one_slice_of_another_geometry_is_refused_and_named(tmp_path, change, found):
    slices = pet_slices()
    for keyword, value in change.items():
        setattr(slices[3], keyword, value)
    with pytest.raises(InconsistentSeriesError, match=rf"should agree.*024-3.dcm have {found}"):
        read(tmp_path, slices)


@pytest.mark.parametrize("keyword", ["PatientID", "StudyInstanceUID"])
def test_two_patients_under_one_series_uid_are_refused_without_their_names(tmp_path, keyword):
    slices = pet_slices()
    setattr(slices[2], keyword, "1.2.99")
    with pytest.raises(InconsistentSeriesError, match=f"more than one {keyword}") as error:
        read(tmp_path, slices)
    assert "NOBODY" not in str(error.value)
    assert "1.2.99" not in str(error.value)


@pytest.mark.parametrize("keyword", ["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RescaleSlope"])
def test_missing_geometry_or_slope_names_the_tag(tmp_path, keyword):
    slices = pet_slices()
    delattr(slices[2], keyword)
    with pytest.raises(MissingTagError) as error:
        read(tmp_path, slices)
    assert error.value.keyword == keyword
    assert error.value.tag in str(error.value)


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("ImageOrientationPatient", ["1", "0", "0", "1", "0", "0"]),
        ("ImageOrientationPatient", ["2", "0", "0", "0", "1", "0"]),
        ("ImageOrientationPatient", ["0", "0", "0", "0", "0", "0"]),
        ("ImagePositionPatient", ["0", "0"]),
        ("ImagePositionPatient", ["1e30", "0", "0"]),
        ("PixelSpacing", ["0", "4"]),
        ("PixelSpacing", ["-3", "4"]),
    ],
)
def test_impossible_geometry_names_the_tag(tmp_path, keyword, value):
    slices = pet_slices()
    setattr(slices[1], keyword, value)
    with pytest.raises(DICOMError, match=keyword):
        read(tmp_path, slices)


def test_contradicting_weights_of_two_slices_are_refused(tmp_path):
    slices = pet_slices(PatientWeight=lambda k: "74" if k != 3 else "75")
    with pytest.raises(InconsistentSeriesError, match=r"patient weight is 74.0 in 003-0.dcm and 75.0 in 024-3.dcm"):
        read(tmp_path, slices)
