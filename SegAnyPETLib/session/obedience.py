"""A click is an order: the mask must hold a positive click and spare a negative one.

A network may leave a click unanswered, above all one against its own view of the image. What is then missing
to `OBEYED_LOGIT` at the click is added there and, fading, to the tissue around it that looks alike, as a bilateral
filter weighs neighbours (Tomasi and Manduchi 1998, ICCV, doi:10.1109/ICCV.1998.710815).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from SegAnyPETLib.geometry import Grid
from SegAnyPETLib.session.region_network import Click

FloatArray = NDArray[np.float32]

LEAST_LOGIT = 0.1  # what counts as obeyed; more than 0, because the image's voxel is not quite at the click
OBEYED_LOGIT = 1.0  # probability 0.73 at the click itself, where it was not
REACH_MM = 10.0  # standard deviation of the fading with distance
REACH_VOXELS = 1.0  # at least, so that a coarse grid can hold the correction
LIKENESS = 0.25  # standard deviation of the fading with the difference of ln(1 + SUV), about a quarter of the uptake
WEAKEST = 0.2  # of the weight the correction has at the click itself, between voxels of different uptake
PASSES = 2  # clicks close to one another disturb each other


def change_to_obey(
    logits: NDArray[np.floating], grid: Grid, clicks: Sequence[Click], *, suv: FloatArray, even_if_empty: bool = False
) -> FloatArray | None:
    """What must be added to logits that contradict clicks, so that all are obeyed.

    Args:
        logits: (d, h, w) on `grid`.
        grid: Of the logits.
        clicks: Inside the grid, oldest first; the newest is obeyed last.
        suv: (d, h, w) on the same grid.
        even_if_empty: Also where the network finds nothing at all in the region, which is an answer too while it is
            asked at several resolutions.

    Returns:
        (d, h, w), or None where every click is obeyed already.
    """
    if not even_if_empty and not (logits >= 0).any():
        return None
    start = logits.astype(np.float32)
    corrected = start
    likeness = np.log1p(np.maximum(suv, 0.0))
    for _ in range(PASSES):
        for click in clicks:
            corrected = _obey(corrected, grid, click, likeness)
    return None if corrected is start else corrected - start


def _obey(logits: FloatArray, grid: Grid, click: Click, likeness: FloatArray) -> FloatArray:
    place = grid.lps_to_kji(click.lps_mm)
    sign = 1.0 if click.positive else -1.0
    answer = sign * _at(logits, place)
    if answer >= LEAST_LOGIT:
        return logits
    weight = _weight(grid, place, likeness)
    amount = sign * (OBEYED_LOGIT - answer) / max(_at(weight, place), WEAKEST)
    return logits + np.float32(amount) * weight


def _weight(grid: Grid, place: NDArray[np.float64], likeness: FloatArray) -> FloatArray:
    """How much of the correction each voxel gets, 0 to 1."""
    spacing = np.asarray(grid.spacing_kji_mm)
    reach_mm = np.maximum(REACH_MM, REACH_VOXELS * spacing)
    k, j, i = (
        np.exp(-0.5 * ((np.arange(n) - p) * s / r) ** 2)
        for n, p, s, r in zip(grid.shape_kji, place, spacing, reach_mm, strict=True)
    )
    near = k[:, None, None] * j[None, :, None] * i[None, None, :]
    alike = np.exp(-0.5 * ((likeness - _at(likeness, place)) / LIKENESS) ** 2)
    return np.asarray(near * alike, dtype=np.float32)


def _at(values: FloatArray, place: NDArray[np.float64]) -> float:
    """Linear interpolation at a continuous index; the border value holds beyond the outer centres."""
    return float(ndimage.map_coordinates(values, place[:, None], order=1, mode="nearest")[0])
