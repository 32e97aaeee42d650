"""Headers of eight scanners and the factors another implementation finds for them.

Header values and factors are the test data of calculate-suv, the library behind OHIF
(https://github.com/cornerstonejs/calculate-suv, MIT licence, commit dc72aa1); expected to its tolerance of 1e-6.
"""

from __future__ import annotations

import warnings

import pytest
from pet_dicom_builder import DELETED, pet_slices, write_slices

from SegAnyPETLib.data import read_pet_series
from SegAnyPETLib.errors import SegAnyPETWarning
from SegAnyPETLib.suv import compute_suv

# weight, dose, half-life, start time, series time, acquisition time, frame reference ms, frame duration ms, factor
VENDORS = {
    "siemens": ("67", 374e6, 6586.2, "083045.000000", "104829.000000", "104830.351370", 38513.36, 74324, 4.2748316e-4),
    "ge": ("52", 152022720, 6586.2001953125, "084500.00", "095621", "095621", 0, 120000, 5.3673877e-4),
    "philips": ("64", 126e6, 6586.199707, "100058", "110155", "110156", 1328700, 120700, 7.4637470e-4),
    "siemens, series time a moment late": (
        "65", 225e6, 6586.2, "114100.000000", "123515.000000", "123514.999995", 59936.854672596, 120000, 4.0691569e-4,
    ),
    "cps, series made later": (
        "69", 388e6, 6586.2, "120037.000000", "134918.000000", "130348.234000", 0, 180000, 2.6503313e-4,
    ),
    "start without a date": (
        "102", 412e6, 6586.2, "125000.000000", "135431.843000", "141555.687000", 1372857.92, 180000, 3.7210892e-4,
    ),
}  # fmt: skip


@pytest.mark.parametrize("vendor", VENDORS)
def test_factor_of_activity_agrees_with_another_implementation(tmp_path, vendor):
    weight, dose, half_life, start, series_time, acquired, reference_ms, duration_ms, factor = VENDORS[vendor]
    tags = {
        "RadionuclideTotalDose": str(dose),
        "RadionuclideHalfLife": str(half_life),
        "RadiopharmaceuticalStartTime": start,
        "RadiopharmaceuticalStartDateTime": DELETED,
    }
    slices = pet_slices(
        PatientWeight=weight,
        SeriesTime=series_time,
        AcquisitionTime=acquired,
        FrameReferenceTime=str(reference_ms),
        ActualFrameDuration=str(duration_ms),
        drug_tags=tags,
    )
    assert found(tmp_path, slices) == pytest.approx(factor, abs=1e-6)


@pytest.mark.parametrize(
    ("suv", "activity", "factor"), [("0.000551", "1.602563", 5.51e-4), ("0.000728", None, 7.28e-4)]
)
def test_philips_factor_of_counts_agrees_with_another_implementation(tmp_path, suv, activity, factor):
    slices = pet_slices(Units="CNTS", PatientWeight="54")
    for dataset in slices:
        block = dataset.private_block(0x7053, "Philips PET Private Group", create=True)
        block.add_new(0x00, "DS", suv)
        if activity is not None:
            block.add_new(0x09, "DS", activity)
    assert found(tmp_path, slices) == pytest.approx(factor, abs=1e-9)


def found(folder, slices) -> float:
    write_slices(folder, slices)
    series = read_pet_series(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SegAnyPETWarning)
        volume = compute_suv(series)
    return float(volume.array[0, 0, 0] / series.values[0, 0, 0])
