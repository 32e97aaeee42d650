"""The part of an image around the clicks as a graph with seeds, for methods that grow from seeds.

Nothing here depends on where the image ends: the graph reaches a fixed distance from the positive clicks, and where
the image stops earlier its border values go on. What lies beyond that distance is background.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from SegAnyPETLib.evaluation.classical.placed_clicks import (
    BoolArray,
    FloatArray,
    PlacedClicks,
    distance_to_nearest,
)
from SegAnyPETLib.phantom.noise import FWHM_PER_SIGMA

LOWEST_SUV = 0.2
FOREGROUND, BACKGROUND, UNKNOWN = 1, -1, 0


@dataclass(frozen=True)
class SeededBlock:
    """Voxels around the positive clicks, with seeds.

    Attributes:
        values: (K, J, I) float64, SUV of the block; border values beyond the image.
        labels: (K, J, I) int8: 1 seed of the object, -1 seed of the background, 0 unknown.
        start_kji: Index in the image of the block's first voxel; may be negative.
        spacing_kji_mm: Along K, J, I.
    """

    values: NDArray[np.float64]
    labels: NDArray[np.int8]
    start_kji: tuple[int, int, int]
    spacing_kji_mm: tuple[float, float, float]

    def in_image(self, mask: BoolArray, shape_kji: Sequence[int]) -> BoolArray:
        """A mask of the block as a mask of the image of `shape_kji`; false outside the block."""
        whole: BoolArray = np.zeros(tuple(shape_kji), dtype=bool)
        low = np.maximum(self.start_kji, 0)
        high = np.minimum(np.add(self.start_kji, mask.shape), shape_kji)
        inner = tuple(slice(a - s, b - s) for a, b, s in zip(low, high, self.start_kji, strict=True))
        whole[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = mask[inner]
        return whole


def make_seeded_block(
    values_suv: FloatArray,
    clicks: PlacedClicks,
    spacing_kji_mm: Sequence[float],
    *,
    reach_mm: float,
    seed_radii_mm: tuple[float, float],
) -> SeededBlock:
    """The block that holds everything within `reach_mm` of a positive click, and its seeds.

    Each click makes a ball of seeds, the first one of the first radius, all others of the second; where balls meet,
    a voxel belongs to the nearer click. A clicked voxel is a seed however small the ball.

    Args:
        values_suv: (K, J, I) in SUV.
        clicks: At least one positive one.
        spacing_kji_mm: Voxel spacing along K, J, I in mm.
        reach_mm: Distance from the positive clicks at which everything is background.
        seed_radii_mm: Of the first positive click, and of all other clicks.
    """
    spacing = np.asarray(spacing_kji_mm, dtype=np.float64)
    margin = np.ceil(reach_mm / spacing).astype(int) + 1
    positive = np.asarray(clicks.positive)
    start, stop = positive.min(axis=0) - margin, positive.max(axis=0) + margin + 1
    indices = [np.clip(np.arange(a, b), 0, n - 1) for a, b, n in zip(start, stop, values_suv.shape, strict=True)]
    values = values_suv[np.ix_(*indices)].astype(np.float64)
    step = (float(spacing[0]), float(spacing[1]), float(spacing[2]))

    def distance(chosen: Sequence[Sequence[int]]) -> NDArray[np.float64]:
        return distance_to_nearest([np.subtract(kji, start) for kji in chosen], values.shape, step)

    first, others, negative = (distance(c) for c in (clicks.positive[:1], clicks.positive[1:], clicks.negative))
    to_positive = np.minimum(first, others)
    labels = np.zeros(values.shape, dtype=np.int8)
    labels[to_positive > reach_mm] = BACKGROUND
    is_ball = (first <= seed_radii_mm[0]) | (others <= seed_radii_mm[1])
    labels[is_ball & (to_positive <= negative)] = FOREGROUND
    labels[(negative <= seed_radii_mm[1]) & (negative < to_positive)] = BACKGROUND
    for group, label in ((clicks.positive, FOREGROUND), (clicks.negative, BACKGROUND)):
        for kji in group:
            index = np.subtract(kji, start)
            if ((index >= 0) & (index < values.shape)).all():  # a negative click may lie far away
                labels[tuple(index)] = label
    return SeededBlock(values, labels, (int(start[0]), int(start[1]), int(start[2])), step)


@dataclass(frozen=True)
class Edges:
    """Pairs of face neighbours of a block, by flat index.

    Attributes:
        first: One voxel of each pair.
        second: The other one.
        length_mm: Distance of their centres.
    """

    first: NDArray[np.intp]
    second: NDArray[np.intp]
    length_mm: NDArray[np.float64]


def face_edges(shape_kji: Sequence[int], spacing_kji_mm: Sequence[float]) -> Edges:
    """Every pair of face neighbours in a block (K, J, I), each once."""
    index = np.arange(np.prod(shape_kji)).reshape(tuple(shape_kji))
    first, second, length = [], [], []
    for axis, step in enumerate(spacing_kji_mm):
        ahead = np.moveaxis(index, axis, 0)
        first.append(ahead[:-1].ravel())
        second.append(ahead[1:].ravel())
        length.append(np.full(first[-1].size, float(step)))
    return Edges(np.concatenate(first), np.concatenate(second), np.concatenate(length))


def log_uptake(block: SeededBlock, *, smoothing_fwhm_mm: float) -> NDArray[np.float64]:
    """Logarithm of the block's smoothed SUV (K, J, I), so that a faint border counts like a strong one.

    0.2 is added, and negative values are 0: below that uptake differences are noise.
    """
    sigma = smoothing_fwhm_mm / FWHM_PER_SIGMA / np.asarray(block.spacing_kji_mm)
    smooth = ndimage.gaussian_filter(block.values, sigma, mode="nearest")
    logarithm: NDArray[np.float64] = np.log(np.maximum(smooth, 0.0) + LOWEST_SUV)
    return logarithm
