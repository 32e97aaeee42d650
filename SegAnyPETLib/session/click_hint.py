"""Where the next click would tell most: the place around which most is expected to be wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from SegAnyPETLib.geometry import Grid, VoxelBox

DOUBTFUL = 0.05  # a voxel is doubtful when its probability is this far from 0 and from 1
REACH_MM = 12.0  # standard deviation of what counts as around a place, about as far as a click changes a mask


@dataclass(frozen=True, slots=True)
class ClickHint:
    """A place to look at, and to click if the mask is wrong there.

    Attributes:
        lps_mm: Centre of a doubtful voxel, LPS in mm.
        positive: The answer the model expects there: True where the place is in the mask. Only the image tells.
        probability: Of the object at that voxel.
        expected_error_ml: Volume expected to be wrong around it, on its side of the mask's border: the sum of
            min(p, 1 - p), fading with distance as a Gaussian of `REACH_MM`.
    """

    lps_mm: tuple[float, float, float]
    positive: bool
    probability: float
    expected_error_ml: float


def next_click_hint(probability: NDArray[np.float32], box: VoxelBox, grid: Grid) -> ClickHint | None:
    """The doubtful voxel around which most is expected to be wrong.

    A mask that holds too much and one that lacks something are errors of two kinds: what is doubtful in the mask and
    what is doubtful outside are weighed separately. A thin doubtful shell lies around every mask; that is why nearness
    counts, and not what is connected. Ties go to outside the mask, then to the smallest index in K, J, I order.

    Args:
        probability: (k, j, i) in `box`.
        box: The part of the image that was decoded.
        grid: Of the image.

    Returns:
        None where nothing is doubtful.
    """
    error = np.minimum(probability, np.float32(1.0) - probability)
    doubtful = error > DOUBTFUL
    used = VoxelBox.of_mask(doubtful)
    if used.is_empty:
        return None
    probability, error, doubtful = probability[used.slices], error[used.slices], doubtful[used.slices]
    spacing = np.asarray(grid.spacing_kji_mm)
    best_ml, best, is_inside = -1.0, 0, False
    for positive in (False, True):
        side = doubtful & ((probability >= 0.5) == positive)
        mean = ndimage.gaussian_filter(np.where(side, error, np.float32(0.0)), REACH_MM / spacing, mode="constant")
        around_ml = np.where(side, mean, -1.0) * ((2.0 * np.pi) ** 1.5 * REACH_MM**3 / 1000.0)
        index = int(np.argmax(around_ml))
        if around_ml.flat[index] > best_ml:
            best_ml, best, is_inside = float(around_ml.flat[index]), index, positive
    at = np.unravel_index(best, probability.shape)
    kji = [int(n) + a + b for n, a, b in zip(at, used.start_kji, box.start_kji, strict=True)]
    x, y, z = (float(value) for value in grid.kji_to_lps(kji))
    return ClickHint((x, y, z), is_inside, float(probability[at]), best_ml)
