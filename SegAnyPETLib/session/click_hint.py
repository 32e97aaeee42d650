"""Where the next click would tell most: the middle of the most doubtful place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from SegAnyPETLib.clicks import deepest_voxel
from SegAnyPETLib.geometry import Grid, VoxelBox
from SegAnyPETLib.session.postprocess import NEIGHBOURS_26

DOUBTFUL = 0.05  # a voxel is doubtful when its probability is this far from 0 and from 1


@dataclass(frozen=True, slots=True)
class ClickHint:
    """A place to look at, and to click if the mask is wrong there.

    Attributes:
        lps_mm: Centre of a voxel, LPS in mm.
        positive: The answer the model expects there: True where the place is in the mask. Only the image tells.
        probability: Of the object at that voxel.
        expected_error_ml: Volume expected to be wrong in the whole doubtful place: sum of min(p, 1 - p).
    """

    lps_mm: tuple[float, float, float]
    positive: bool
    probability: float
    expected_error_ml: float


def next_click_hint(probability: NDArray[np.float32], box: VoxelBox, grid: Grid) -> ClickHint | None:
    """The deepest voxel of the doubtful place with the largest expected error.

    Doubtful voxels in the mask and outside are split into parts of 26 neighbours, separately: a part is one possible
    error, as `clicks.next_click` sees errors. Ties are broken by the smallest index in K, J, I order.

    Args:
        probability: (k, j, i) in `box`.
        box: The part of the image that was decoded.
        grid: Of the image.

    Returns:
        None where nothing is doubtful.
    """
    error = np.minimum(probability, 1.0 - probability)
    best: tuple[float, NDArray[np.bool_], bool] | None = None
    for positive, side in ((False, probability < 0.5), (True, probability >= 0.5)):
        labels, count = ndimage.label((error > DOUBTFUL) & side, structure=NEIGHBOURS_26)
        if not count:
            continue
        masses = ndimage.sum_labels(error, labels, index=np.arange(1, count + 1))
        largest = int(np.argmax(masses))
        if best is None or masses[largest] > best[0]:
            best = float(masses[largest]), labels == largest + 1, positive
    if best is None:
        return None
    mass, part, positive = best
    k, j, i = deepest_voxel(part, spacing_kji_mm=grid.spacing_kji_mm)
    at = [n + start for n, start in zip((k, j, i), box.start_kji, strict=True)]
    x, y, z = (float(value) for value in grid.kji_to_lps(at))
    voxel_ml = float(np.prod(grid.spacing_kji_mm)) / 1000.0
    return ClickHint((x, y, z), positive, float(probability[k, j, i]), mass * voxel_ml)
