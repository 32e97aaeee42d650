"""The CT of a study on the grid of its PET, in Hounsfield units."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pet_dicom_builder import ORIGIN, oblique_axes
from study_folders import add_ct, add_series, series_uid

from SegAnyPETLib.batch.finding import find_studies, read_found_ct, read_found_pet
from SegAnyPETLib.data import open_ct_series
from SegAnyPETLib.errors import DICOMError, InconsistentSeriesError
from SegAnyPETLib.geometry import Grid

SLOPE, INTERCEPT = 2.0, -1000.0
HU = {"slopes": str(SLOPE), "RescaleIntercept": str(INTERCEPT), "RescaleType": "HU"}


def linear_hu(points_lps_mm):
    """A field that linear interpolation and averaging of symmetric groups give back exactly, in whole steps of HU."""
    return 40.0 + np.asarray(points_lps_mm) @ np.array([0.7, -0.4, 0.5])


def ct_of_field(folder, *, shape, spacing_ijk, origin=ORIGIN, axes=None, **tags):
    """A CT whose HU are `linear_hu`, rounded to the slope."""
    axes = oblique_axes() if axes is None else axes
    grid = Grid(shape, tuple(spacing_ijk), tuple(origin), tuple(map(tuple, axes)))
    points = grid.kji_to_lps(np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1))
    stored = np.rint((linear_hu(points) - INTERCEPT) / SLOPE).astype(np.int16)
    add_ct(folder, stored=stored, spacing_ijk=spacing_ijk, origin=origin, axes=axes, **{**HU, **tags})
    return grid


def points_of(grid):
    return grid.kji_to_lps(np.stack(np.meshgrid(*map(np.arange, grid.shape_kji), indexing="ij"), axis=-1))


@pytest.mark.parametrize("finer", [(1, 1, 1), (4, 3, 1), (3, 2, 2)], ids=str)
def test_a_field_in_the_patient_is_the_same_on_the_grid_of_the_pet(tmp_path, finer):
    add_series(tmp_path / "pet", 1)
    spacing = np.array([4.0, 3.0, 2.5]) / finer
    margin = -2.0 * oblique_axes() @ np.array([4.0, 3.0, 2.5])
    shape = tuple(int(n) for n in (np.array([5, 4, 6]) + 4) * finer[::-1] + 1)  # the last groups are not full
    ct_of_field(tmp_path / "ct", shape=shape, spacing_ijk=spacing, origin=np.array(ORIGIN) + margin)
    (study,) = find_studies([tmp_path], workspace=tmp_path / "w")
    grid = read_found_pet(study).grid
    values = read_found_ct(study, grid)
    assert values.shape == grid.shape_kji
    assert values.dtype == np.float32
    # The field is stored in steps of 2 HU.
    np.testing.assert_allclose(values, linear_hu(points_of(grid)), atol=1.01)


def test_outside_the_ct_there_is_air(tmp_path):
    add_series(tmp_path / "pet", 1)
    ct_of_field(tmp_path / "ct", shape=(3, 4, 6), spacing_ijk=(4.0, 3.0, 2.5))
    (study,) = find_studies([tmp_path], workspace=tmp_path / "w")
    values = read_found_ct(study, read_found_pet(study).grid)
    assert (values[3:] == -1024).all()
    assert (values[:3] > -1000).all()


def test_a_study_without_ct_gives_none(tmp_path):
    add_series(tmp_path / "pet", 1)
    (study,) = find_studies([tmp_path], workspace=tmp_path / "w")
    assert read_found_ct(study, read_found_pet(study).grid) is None


def test_padding_below_air_becomes_air(tmp_path):
    files = add_ct(tmp_path, stored=np.full((3, 4, 6), -2000, dtype=np.int16), **HU)
    assert (open_ct_series(files, series_instance_uid=series_uid(50)).read_planes(0, 3) == -1024).all()


def test_slices_come_in_the_order_of_their_positions(tmp_path):
    grid = ct_of_field(tmp_path, shape=(5, 4, 6), spacing_ijk=(1.0, 1.5, 2.0))
    ct = open_ct_series(sorted(tmp_path.iterdir()), series_instance_uid=series_uid(50))
    assert ct.grid.is_close(grid, tolerance_mm=1e-3)
    np.testing.assert_allclose(ct.read_planes(1, 4), linear_hu(points_of(grid))[1:4], atol=1.01)


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ({"RescaleType": "MGML"}, "Hounsfield"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, "something else"),
        ({"SeriesInstanceUID": "1.2.3"}, "is of another"),
    ],
)
def test_files_that_are_no_ct_in_hounsfield_units_are_refused(tmp_path, tags, message):
    files = add_ct(tmp_path, **{**HU, **tags})
    with pytest.raises(DICOMError, match=message):
        open_ct_series(files, series_instance_uid=series_uid(50))


def test_a_ct_with_a_gap_is_refused_when_it_is_read(tmp_path):
    add_series(tmp_path / "pet", 1)
    add_ct(tmp_path / "ct", **HU)
    (study,) = find_studies([tmp_path], workspace=tmp_path / "w")
    series = open_ct_series(study.ct.files, series_instance_uid=study.ct.series_instance_uid)
    files = tuple(path for path in study.ct.files if path != series.source_files[2])
    holed = replace(study, ct=replace(study.ct, files=files))
    with pytest.raises(InconsistentSeriesError, match="missing"):
        read_found_ct(holed, read_found_pet(study).grid)


def test_a_ct_with_a_damaged_file_is_not_taken(tmp_path):
    add_series(tmp_path / "pet", 1)
    path = add_ct(tmp_path / "ct")[0]
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.index(b"\x28\x00\x30\x00") + 10])
    (study,) = find_studies([tmp_path], workspace=tmp_path / "w")
    assert study.ct is None
    assert "every CT series has damaged files" in study.choice
    assert not study.problems
