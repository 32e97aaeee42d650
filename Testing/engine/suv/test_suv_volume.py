"""The SUV volume as a value: what it accepts, shows, and gives away."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
from pet_dicom_builder import oblique_axes, pet_slices, write_slices

from SegAnyPETLib.data import read_pet_series
from SegAnyPETLib.errors import GeometryError, SUVError
from SegAnyPETLib.geometry import Grid
from SegAnyPETLib.suv import SUVVolume, compute_suv

DIRECTION = tuple(tuple(row) for row in oblique_axes().tolist())
GRID = Grid((2, 3, 4), (4.0, 3.0, 2.5), (-31.5, 12.25, 407.75), DIRECTION)


def test_array_of_another_shape_is_refused():
    with pytest.raises(GeometryError, match=r"shape \(2, 3, 4\); found \(4, 3, 2\)"):
        SUVVolume(np.zeros((4, 3, 2)), GRID)


def test_nan_is_refused():
    array = np.zeros((2, 3, 4))
    array[0, 0, 0] = np.nan
    with pytest.raises(SUVError, match="1 NaN or infinite"):
        SUVVolume(array, GRID)


def test_unknown_kind_is_refused():
    with pytest.raises(SUVError, match="kind"):
        SUVVolume(np.zeros((2, 3, 4)), GRID, "lean")


def test_array_is_read_only_and_the_callers_stays_writeable():
    mine = np.ones((2, 3, 4), np.float32)
    volume = SUVVolume(mine, GRID)
    mine[0, 0, 0] = 5
    assert volume.array[0, 0, 0] == 1
    with pytest.raises(ValueError, match="read-only"):
        volume.array[0, 0, 0] = 2


@pytest.mark.parametrize(("kind", "unit"), [("bw", "g/ml"), ("lbm", "g/ml"), ("ibw", "g/ml"), ("bsa", "cm2/ml")])
def test_unit_follows_the_kind(kind, unit):
    assert SUVVolume(np.zeros((2, 3, 4)), GRID, kind).unit == unit


def test_simpleitk_image_lies_where_the_volume_lies():
    array = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    image = SUVVolume(array, GRID).to_sitk()

    assert image.GetPixel((3, 1, 0)) == array[0, 1, 3]
    assert image.TransformContinuousIndexToPhysicalPoint((2.5, 0.25, 1.0)) == pytest.approx(
        GRID.kji_to_lps((1.0, 0.25, 2.5)), abs=1e-6
    )


def test_provenance_shows_formula_inputs_and_reference_time_and_no_identity(tmp_path):
    write_slices(tmp_path, pet_slices())
    provenance = compute_suv(read_pet_series(tmp_path), kind="lbm").provenance
    shown = json.dumps(provenance.to_dict(), ensure_ascii=False)

    assert "exp(-λ (t_ref - t_adm))" in provenance.formula
    assert provenance.reference_time_source == "SeriesDate (0008,0021) and SeriesTime (0008,0031)"
    assert provenance.inputs["dose (Bq)"] == "370000000 (RadionuclideTotalDose (0018,1074))"
    assert provenance.inputs["time from administration to reference (s)"].startswith("3600 ")
    assert provenance.inputs["patient weight (kg)"].startswith("74 ")
    for secret in ("Nobody", "NOBODY", "20250101", "1.2.826"):
        assert secret not in shown


def test_volume_travels_to_another_process(tmp_path):
    write_slices(tmp_path, pet_slices())
    volume = compute_suv(read_pet_series(tmp_path))
    copy = pickle.loads(pickle.dumps(volume))

    assert np.array_equal(copy.array, volume.array)
    assert copy.grid == volume.grid
    assert copy.provenance == volume.provenance


def test_conversion_leaves_the_series_as_it_was(tmp_path):
    write_slices(tmp_path, pet_slices())
    series = read_pet_series(tmp_path)
    before = series.values.copy()
    compute_suv(series)
    assert np.array_equal(series.values, before)
