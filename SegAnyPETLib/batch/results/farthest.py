"""The largest distance between points or between the voxels of masks, at a bounded cost."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import spatial

from SegAnyPETLib.geometry import Grid, VoxelBox

FloatArray = NDArray[np.float64]

FEW_POINTS = 500  # so few are compared at once sooner than their hull is found
ROWS_AT_ONCE = 1024


def farthest_apart_mm(points_lps_mm: ArrayLike) -> float:
    """Largest distance between two of the points (n, 3); 0 for fewer than two."""
    points = np.asarray(points_lps_mm, dtype=np.float64).reshape(-1, 3)
    if len(points) > FEW_POINTS:
        points = _hull(points)
    rows = (points[start : start + ROWS_AT_ONCE] for start in range(0, len(points), ROWS_AT_ONCE))
    return max((float(spatial.distance.cdist(part, points).max()) for part in rows), default=0.0)


def outermost_voxels_lps_mm(masks: Iterable[NDArray[np.bool_]], *, grid: Grid) -> FloatArray:
    """Centres (n, 3) of the voxels that can be farthest from any other: the two ends of every row of each mask."""
    ends = [np.empty((0, 3))]
    for mask in masks:
        box = VoxelBox.of_mask(mask)
        if not box.is_empty:
            ends.append(grid.kji_to_lps(np.argwhere(_row_ends(mask[box.slices])) + np.asarray(box.start_kji)))
    return np.concatenate(ends)


def _row_ends(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Voxels that are the first or the last one of their row along every axis.

    The two farthest points of a set are corners of its convex hull, and a voxel between two others is no corner.
    """
    chosen = mask.copy()
    for axis in range(3):
        along = np.moveaxis(mask, axis, -1)
        first, last = along.argmax(axis=-1), along.shape[-1] - 1 - along[..., ::-1].argmax(axis=-1)
        places = np.arange(along.shape[-1])
        is_end = (places == first[..., None]) | (places == last[..., None])
        chosen &= np.moveaxis(is_end, -1, axis)
    return chosen


def _hull(points: FloatArray) -> FloatArray:
    try:
        return np.asarray(points[spatial.ConvexHull(points).vertices])
    except spatial.QhullError:  # all in one plane: they have no hull in space, and are few
        return points
