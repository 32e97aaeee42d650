"""Parts that bulge out of a larger focus and take up much less or much more than it, such as a node at the bladder."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from SegAnyPETLib.batch.prompting.splitting import Labels
from SegAnyPETLib.geometry import Grid

NEIGHBOURS_26 = np.ones((3, 3, 3), dtype=bool)
BODY_RADIUS_MM = 15.0  # a focus must hold a ball of this radius to have bulges
BALL_SHARE = 0.65  # of its largest ball: what a ball of this size cannot reach bulges out
LEAST_RADIUS_MM = 5.0
UPTAKE_RATIO = 1.5

BULGES_IN_WORDS = (
    f"A part that bulges out of a focus more than {2 * BODY_RADIUS_MM:g} mm thick (a ball of {100 * BALL_SHARE:.0f} % "
    f"of its largest one does not fit in there), is at least {2 * LEAST_RADIUS_MM:g} mm thick itself and differs in "
    f"mean uptake by a factor of {UPTAKE_RATIO:g} or more is a focus of its own."
)


def depth_mm(mask: NDArray[np.bool_], grid: Grid) -> NDArray[np.float32]:
    """Distance of each voxel of `mask` from its surface, which lies half a voxel before the first voxel outside."""
    spacing = grid.spacing_kji_mm
    distance = ndimage.distance_transform_edt(np.pad(mask, 1), sampling=spacing)[1:-1, 1:-1, 1:-1]
    return np.asarray(distance - min(spacing) / 2, dtype=np.float32)


def opened(mask: NDArray[np.bool_], radius_mm: float, grid: Grid) -> NDArray[np.bool_]:
    """What balls of `radius_mm` that stay in the mask can reach."""
    deep = depth_mm(mask, grid) >= radius_mm
    if not deep.any():
        return deep
    to_deep = ndimage.distance_transform_edt(~deep, sampling=grid.spacing_kji_mm)
    return np.asarray(mask & (to_deep <= radius_mm))


def split_bulges(values: NDArray[np.float32], labels: Labels, grid: Grid) -> Labels:
    """Labels with the bulges of each focus as foci of their own, numbered from 1."""
    split = labels.copy()
    count = int(labels.max())
    for number, where in enumerate(ndimage.find_objects(labels), start=1):
        mask = labels[where] == number
        for bulge in _bulges(values[where], mask, grid):
            count += 1
            split[where][bulge] = count
    return split


def _bulges(values: NDArray[np.float32], mask: NDArray[np.bool_], grid: Grid) -> list[NDArray[np.bool_]]:
    deepest = float(depth_mm(mask, grid).max())
    if deepest < BODY_RADIUS_MM:
        return []
    body = opened(mask, BALL_SHARE * deepest, grid)
    body_mean = float(values[body].mean())
    thick = opened(mask & ~body, LEAST_RADIUS_MM, grid)
    parts, count = ndimage.label(thick, structure=NEIGHBOURS_26)
    found = []
    for number in range(1, count + 1):
        bulge = parts == number
        low, high = sorted((float(values[bulge].mean()), body_mean))
        if high >= UPTAKE_RATIO * low:
            found.append(bulge)
    return found
