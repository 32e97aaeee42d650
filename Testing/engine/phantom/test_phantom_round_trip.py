"""Activity to DICOM to SUV and back, through the library's own reader and conversion."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest

from SegAnyPETLib.data import read_pet_series
from SegAnyPETLib.phantom import Acquisition, Phantom, body_phantom, centred_grid, nema_phantom, write_phantom_series
from SegAnyPETLib.suv import compute_suv

ALL_STORED_FORMS = [
    *(("BQML", correction) for correction in ("START", "ADMIN", "NONE")),
    ("CNTS", "START"),
    ("GML", "START"),
    ("CM2ML", "START"),
]


def oblique_phantom(suv=9.0) -> Phantom:
    grid = centred_grid((13, 19, 16), (4.07, 3.2, 6.1), centre_lps_mm=(-88.0, 45.0, 1203.0), orientation="oblique")
    centre = tuple(grid.kji_to_lps((6.3, 9.8, 7.1)))
    return nema_phantom(grid=grid, diameters_mm=(28.0,), centres_lps_mm=[centre], sphere_suv=suv)


def half_a_step(phantom: Phantom) -> np.ndarray:
    """Half a rescale step per slice, in SUV: the slice's maximum / 32767 / 2; and single precision on top."""
    highest = phantom.activity_suv.max(axis=(1, 2), keepdims=True).astype(np.float64)
    return highest / 32767 / 2 * (1 + 1e-5) + phantom.activity_suv * 3e-7


@pytest.mark.parametrize(("units", "decay_correction"), ALL_STORED_FORMS)
def test_suv_returns_within_half_a_step_of_the_stored_values(tmp_path, units, decay_correction):
    phantom = oblique_phantom()
    acquisition = Acquisition(units=units, decay_correction=decay_correction, sex="F", weight_kg=61.5, height_m=1.66)
    series = read_pet_series(write_phantom_series(phantom, tmp_path / "PET", acquisition=acquisition))
    image = compute_suv(series, kind="bw")
    assert series.units == units
    assert image.grid.is_close(phantom.grid)
    assert (np.abs(image.array - phantom.activity_suv) <= half_a_step(phantom)).all()


@pytest.mark.parametrize("orientation", ["axial", "coronal", "sagittal", "oblique"])
def test_the_body_returns_in_every_orientation(tmp_path, orientation):
    grid = centred_grid((14, 26, 22), (4.0, 4.4, 5.2), centre_lps_mm=(45.0, -20.0, -310.0), orientation=orientation)
    phantom = body_phantom(grid=grid)
    image = compute_suv(read_pet_series(write_phantom_series(phantom, tmp_path / "PET")))
    assert image.grid.is_close(phantom.grid)
    assert (np.abs(image.array - phantom.activity_suv) <= half_a_step(phantom)).all()


def test_a_scan_past_midnight_returns(tmp_path):
    phantom = oblique_phantom()
    acquisition = Acquisition(injected_at=datetime(2026, 3, 2, 23, 31, 7), uptake_s=3777.25, frame_s=420.0)
    image = compute_suv(read_pet_series(write_phantom_series(phantom, tmp_path / "PET", acquisition=acquisition)))
    assert (np.abs(image.array - phantom.activity_suv) <= half_a_step(phantom)).all()


def test_the_round_trip_of_representable_activity_is_bit_for_bit(tmp_path):
    # 64 kg and 262.144 MBq corrected to the injection: 1 g/ml is 4096 Bq/ml, so that steps of 1/1024 g/ml are whole
    # multiples of every slope, which is a power of two.
    smooth = oblique_phantom(suv=15.0)
    steps = np.rint(smooth.activity_suv * 1024).astype(np.float32) / np.float32(1024)
    phantom = replace(smooth, activity_suv=steps)
    acquisition = Acquisition(weight_kg=64.0, dose_bq=262.144e6, decay_correction="ADMIN")
    folder = write_phantom_series(phantom, tmp_path / "a", acquisition=acquisition, power_of_two_slopes=True)
    image = compute_suv(read_pet_series(folder))
    assert np.array_equal(image.array, steps)
    again = replace(phantom, activity_suv=image.array.copy())
    second = write_phantom_series(again, tmp_path / "b", acquisition=acquisition, power_of_two_slopes=True)
    assert [p.read_bytes() for p in sorted(folder.iterdir())] == [p.read_bytes() for p in sorted(second.iterdir())]
