"""The digital reference objects for SUV and two real studies, where somebody has put them.

A correct conversion of each phantom gives, inside its mask, minimum 0.20, median 1.00 and maximum 4.00, to two
decimals or one stored count, whichever is larger. The phantoms are CC BY 4.0, https://github.com/oncoray/suv_computation.
"""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pytest
import SimpleITK

from SegAnyPETLib.data import read_pet_series
from SegAnyPETLib.errors import SegAnyPETWarning
from SegAnyPETLib.suv import compute_suv, read_suv_image

PHANTOMS = {
    "DRO_0_0": None,
    "DRO_2_1": None,
    "DRO_2_2": "PatientSex .* is O",
    "DRO_2_4": None,
    "DRO_3_0": "368.08: read as MBq",
    "DRO_3_2": None,
    "DRO_3_4": None,
    "DRO_4_1": None,
    "DRO_5_0": None,
}


@pytest.mark.parametrize("name", PHANTOMS)
def test_reference_object_has_its_known_uptake(real_data_folder, name):
    folder = real_data_folder / "suv_dro" / name
    if not folder.is_dir():
        pytest.skip(f"no phantom at {folder}")
    assert_known_uptake(folder, warning=PHANTOMS[name])


def test_every_further_reference_object_has_its_known_uptake(real_data_folder):
    folders = [f for f in sorted((real_data_folder / "suv_dro").glob("DRO_?_?")) if f.name not in PHANTOMS]
    if not folders:
        pytest.skip("only the nine common phantoms are there; put the others of suv_computation beside them")
    for folder in folders:
        assert_known_uptake(folder, warning=None)


def assert_known_uptake(folder, *, warning):
    series = read_pet_series(folder / "PT")
    with pytest.warns(SegAnyPETWarning, match=warning) if warning else nullcontext():
        volume = compute_suv(series)
    mask = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(folder / "mask" / "DRO_mask.nii.gz"))) > 0
    inside = volume.array[mask]
    a_count = max(item.rescale_slope for item in series.header.slices) * float((inside / series.values[mask]).max())
    tolerance = max(0.005, a_count)
    assert inside.min() == pytest.approx(0.20, abs=tolerance)
    assert np.median(inside) == pytest.approx(1.00, abs=tolerance)
    assert inside.max() == pytest.approx(4.00, abs=tolerance)


@pytest.mark.parametrize("case", ["STS_042", "STS_044"])
def test_dicom_study_equals_its_nifti_to_the_last_bit(real_data_folder, case):
    study = real_data_folder / "sts_dicom" / case
    if not study.is_dir():
        pytest.skip(f"no study at {study}")
    volume = compute_suv(read_pet_series(study))  # the contour object beside the slices is left aside
    nifti = read_suv_image(real_data_folder / "sts" / case / "pet.nii.gz")

    assert np.array_equal(volume.array, nifti.array)
    assert volume.grid.is_close(nifti.grid, tolerance_mm=1e-3)


@pytest.mark.parametrize("case", ["STS_002", "STS_020", "STS_044"])
def test_nifti_equals_what_simpleitk_reads(real_data_folder, case):
    path = real_data_folder / "sts" / case / "pet.nii.gz"
    volume, image = read_suv_image(path), SimpleITK.ReadImage(str(path))
    again = volume.to_sitk()

    assert np.array_equal(volume.array, SimpleITK.GetArrayFromImage(image))
    assert again.GetSpacing() == pytest.approx(image.GetSpacing(), abs=1e-5)
    assert again.GetOrigin() == pytest.approx(image.GetOrigin(), abs=1e-4)
    assert again.GetDirection() == pytest.approx(image.GetDirection(), abs=1e-6)
