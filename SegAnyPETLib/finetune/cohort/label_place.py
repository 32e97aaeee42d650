"""Whether a label fits better somewhere else: shifted by a few millimetres, or mirrored.

The measure is the step of uptake across the label's border, the mean of ln(1 + SUV) in a shell inside it less that in
a shell outside. A label that was drawn on its image has most of that step where it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from SegAnyPETLib.finetune.cohort.cases import CohortLesion
from SegAnyPETLib.geometry import Grid

SHELL_MM = 6.0
FARTHEST_MM = 20.0
STEP_MM = 2.5  # between the shifts that are tried, at least a voxel
MOST_PLACES = 6000  # of a shell that are looked at
LEAST_OVERLAP = 0.6  # of the shells that must lie in the image, for a shift to count
AXIS_WORDS = ("left-right", "front-back", "head-foot")


@dataclass(frozen=True)
class BetterPlace:
    """Where a label fits best.

    Attributes:
        step: Of ln(1 + SUV) across the border where the label is.
        best_step: The highest one among the places that were tried.
        shift_lps_mm: From the label to the best place; zeros where it is best already.
    """

    step: float
    best_step: float
    shift_lps_mm: tuple[float, float, float]

    @property
    def distance_mm(self) -> float:
        """Length of the shift."""
        return float(np.linalg.norm(self.shift_lps_mm))


@dataclass(frozen=True, eq=False)
class BorderShells:
    """The voxels near the border of a label, as indices (n, 3) of the image along k, j, i.

    Attributes:
        inside: Of the label, within 6 mm of its border.
        outside: Of no lesion, within 6 mm of one.
    """

    inside: NDArray[np.int64]
    outside: NDArray[np.int64]


def border_shells(lesions: Iterable[CohortLesion], label: NDArray[np.bool_], grid: Grid) -> BorderShells:
    """Both shells, lesion by lesion, so that lesions far apart cost no more than close ones.

    The end of the image is no border. A shell is at least one voxel thick.

    Args:
        lesions: Of the label.
        label: All of them, (K, J, I).
        grid: Of the label.
    """
    spacing = grid.spacing_kji_mm
    reach = max(SHELL_MM, max(spacing)) + 1e-6
    margin = int(np.ceil(reach / min(spacing))) + 1
    found: tuple[list[NDArray[np.int64]], list[NDArray[np.int64]]] = ([], [])
    for lesion in lesions:
        box = lesion.box.expanded(margin).intersection(grid.box)
        near, own = label[box.slices], lesion.placed_in(box)
        inside = own & (ndimage.distance_transform_edt(near, sampling=spacing) <= reach)
        outside = ~near & (ndimage.distance_transform_edt(~own, sampling=spacing) <= reach)
        if near.all():
            inside, outside = np.zeros_like(own), np.zeros_like(own)
        for shell, kept in zip((inside, outside), found, strict=True):
            kept.append(np.argwhere(shell) + box.start_kji)
    inner, outer = (np.unique(np.concatenate(kept), axis=0) for kept in found)
    return BorderShells(inner, outer)


def best_shift(suv: NDArray[np.float32], shells: BorderShells, grid: Grid) -> BetterPlace:
    """Try shifts by whole voxels, about 2.5 mm apart, of up to 20 mm in all directions.

    Args:
        suv: (K, J, I).
        shells: Of the label; neither is empty.
        grid: Of the image.
    """
    spacing = np.asarray(grid.spacing_kji_mm)
    reach = np.floor(FARTHEST_MM / spacing + 1e-6).astype(np.int64)
    both = np.concatenate([shells.inside, shells.outside])
    start = both.min(axis=0) - reach
    values = _padded(suv, start, both.max(axis=0) + reach + 1)
    weights = np.isfinite(values)
    values = np.where(weights, values, 0.0)
    inside, outside = (_thinned(places) - start for places in (shells.inside, shells.outside))
    offsets = _offsets(reach, spacing)
    steps = np.array([_step_at(values, weights, inside, outside, offset) for offset in offsets])
    here = float(steps[np.flatnonzero((offsets == 0).all(axis=1))[0]])
    best = int(steps.argmax())
    moved = grid.kji_to_lps(offsets[best]) - grid.kji_to_lps((0, 0, 0))
    x, y, z = (float(value) for value in moved)
    return BetterPlace(here, float(steps[best]), (x, y, z))


def mirrored_steps(suv: NDArray[np.float32], shells: BorderShells, grid: Grid) -> dict[str, float]:
    """The step across the border of the label mirrored along each axis of the image, by the name of the axis."""
    worlds = np.abs(np.asarray(grid.direction)).argmax(axis=0)  # of i, j, k
    found = {}
    for axis in range(3):
        means = []
        for places in (shells.inside, shells.outside):
            mirrored = places.copy()
            mirrored[:, axis] = suv.shape[axis] - 1 - mirrored[:, axis]
            k, j, i = mirrored.T
            means.append(float(np.log1p(np.maximum(suv[k, j, i], 0)).mean()))
        found[AXIS_WORDS[int(worlds[2 - axis])]] = means[0] - means[1]
    return found


def _padded(suv: NDArray[np.float32], start: NDArray[np.int64], stop: NDArray[np.int64]) -> NDArray[np.float32]:
    """ln(1 + SUV) from one index to another, which may lie outside the image; NaN there."""
    padded = np.full(tuple(stop - start), np.nan, dtype=np.float32)
    low, high = np.maximum(start, 0), np.minimum(stop, suv.shape)
    source = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    target = tuple(slice(a, b) for a, b in zip(low - start, high - start, strict=True))
    padded[target] = np.log1p(np.maximum(suv[source], 0))
    return padded


def _thinned(places: NDArray[np.int64]) -> NDArray[np.int64]:
    """At most `MOST_PLACES` of them, evenly."""
    return places[:: max(1, -(-len(places) // MOST_PLACES))]


def _offsets(reach: NDArray[np.int64], spacing: NDArray[np.float64]) -> NDArray[np.int64]:
    """Shifts (n, 3) in voxels, the one by nothing among them."""
    steps = np.maximum(1, np.round(STEP_MM / spacing).astype(int))
    lines = [np.arange(-(n // step) * step, n + 1, step) for n, step in zip(reach, steps, strict=True)]
    offsets = np.stack(np.meshgrid(*lines, indexing="ij"), axis=-1).reshape(-1, 3)
    return np.asarray(offsets[np.linalg.norm(offsets * spacing, axis=1) <= FARTHEST_MM])


def _step_at(
    values: NDArray[np.float32],
    weights: NDArray[np.bool_],
    inside: NDArray[np.int64],
    outside: NDArray[np.int64],
    offset: NDArray[np.int64],
) -> float:
    """The step across the border of the shifted label; minus infinity where too much of it is outside the image."""
    means = []
    for places in (inside, outside):
        k, j, i = (places + offset).T
        known = int(weights[k, j, i].sum())
        if known < LEAST_OVERLAP * len(places) or not known:
            return -np.inf
        means.append(float(values[k, j, i].sum(dtype=np.float64)) / known)
    return means[0] - means[1]
