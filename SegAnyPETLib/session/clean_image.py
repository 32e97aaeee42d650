"""The image as the network may see it: of the right shape, every voxel finite."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from SegAnyPETLib.errors import GeometryError
from SegAnyPETLib.geometry import Grid
from SegAnyPETLib.session.protocols import PETImage

GAPS_NOTICE = "Expected finite SUVs; found {voxels} voxels that are NaN or infinite. They count as 0."


@dataclass(frozen=True, eq=False)
class CleanImage:
    """The image with every voxel finite.

    Attributes:
        array: (K, J, I) float32 in SUV.
        grid: Where the voxels lie.
    """

    array: NDArray[np.float32]
    grid: Grid


def without_gaps(image: PETImage) -> tuple[CleanImage, int]:
    """The image as float32 with 0 for every voxel that is not finite, and how many were not.

    The array is copied only where something must change, and never changed itself.

    Raises:
        GeometryError: The array is not of the grid's shape (K, J, I).
    """
    array = np.asarray(image.array)
    if array.shape != image.grid.shape_kji:
        msg = f"Expected a 3D array of the grid's shape {image.grid.shape_kji}; found {array.shape}."
        raise GeometryError(msg)
    values = array.astype(np.float32, copy=False)
    bad_voxels = sum(int(plane.size - np.count_nonzero(np.isfinite(plane))) for plane in values)
    if bad_voxels:
        values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    return CleanImage(values, image.grid), bad_voxels
