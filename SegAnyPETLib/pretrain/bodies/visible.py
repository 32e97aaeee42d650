"""Which objects can be seen at all, and so be clicked."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from SegAnyPETLib.geometry import VoxelBox

SURROUNDINGS_MM = 10.0
HOTTER, COLDER = 1.3, 0.77


def is_visible(
    suv: NDArray[np.float32], fraction: NDArray[np.float32], *, spacing_kji_mm: tuple[float, float, float]
) -> bool:
    """Whether an object stands out in a noise-free image.

    It does if its mean or its 90th percentile is at least 1.3 times the median of the 10 mm around it, or its mean at
    most 0.77 times that.

    Args:
        suv: Noise-free image (K, J, I); exact zeros are outside of the image.
        fraction: Share of each voxel that belongs to the object, (K, J, I).
        spacing_kji_mm: Voxel size.
    """
    inside = fraction >= 0.5
    found = VoxelBox.of_mask(inside)
    if found.is_empty:
        return False
    grow = [int(np.ceil(SURROUNDINGS_MM / s)) for s in spacing_kji_mm]
    box = tuple(slice(max(0, s.start - g), s.stop + g) for s, g in zip(found.slices, grow, strict=True))
    inside, suv, fraction = inside[box], suv[box], fraction[box]
    around = ndimage.uniform_filter(inside.astype(np.float32), [2 * g + 1 for g in grow], mode="constant") > 1e-6
    around &= (fraction < 0.1) & (suv > 0)
    if not around.any():
        return False
    level = max(float(np.median(suv[around])), 0.02)
    values = suv[inside]
    mean = float(values.mean())
    return max(mean, float(np.quantile(values, 0.9))) >= HOTTER * level or mean <= COLDER * level
