"""Whether values can be SUV at all: wide bars, so that only a wrong unit or a wrong image is stopped."""

from __future__ import annotations

from SegAnyPETLib.errors import SUVError
from SegAnyPETLib.suv.value_summary import ValueSummary

COLDEST_SUV = -20.0  # below it the image is a CT
DOUBTFUL_NEGATIVE_SUV = -1.0
HOTTEST_MEAN_SUV = 100.0  # mean of the positive voxels; a whole body in Bq/ml has some thousand
DOUBTFUL_MEAN_SUV = 20.0  # a crop around the bladder may reach it


def plausibility_doubts(values: ValueSummary, *, name: str) -> tuple[str, ...]:
    """What is unusual about values that are said to be SUV.

    Raises:
        SUVError: They cannot be SUV.
    """
    if values.low < COLDEST_SUV or values.high <= 0:
        msg = (
            f"{name} is no SUV image: its values reach from {values.low:g} to {values.high:g}, like a CT or an empty "
            "image. Check that it is the PET."
        )
        raise SUVError(msg)
    mean = values.mean_of_positive
    if mean > HOTTEST_MEAN_SUV:
        msg = (
            f"{name} is no SUV image: the mean of its positive voxels is {mean:g}, where a body has about 1; it looks "
            "like Bq/ml. Convert it first, or read it with units='bqml' and suv_factor=, or read the DICOM series."
        )
        raise SUVError(msg)
    doubts = []
    if mean > DOUBTFUL_MEAN_SUV:
        doubts.append(f"{name}: the mean of the positive voxels is {mean:g}, unusually high for SUV. Check the units.")
    if values.low < DOUBTFUL_NEGATIVE_SUV:
        doubts.append(f"{name}: the lowest voxel is {values.low:g}, unusually negative for SUV. Check the units.")
    return tuple(doubts)
