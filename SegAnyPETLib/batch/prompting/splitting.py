"""Touching foci kept apart: basins of a landscape, joined again where no deep saddle lies between them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

FloatArray = NDArray[np.float32]
Labels = NDArray[np.int32]
Float3 = tuple[float, float, float]
Number = TypeVar("Number", np.int32, np.float32)

# Half of the 26 neighbours: each pair of voxels is looked at once.
_FORWARD = [step for step in product((-1, 0, 1), repeat=3) if step > (0, 0, 0)]


@dataclass(frozen=True)
class SaddleRule:
    """When two basins are two foci: all of this must hold, else they are joined.

    Attributes:
        highest_share: The saddle is at most this share of the lower of the two peaks.
        least_drop: And lies at least this far below it, in the unit of the landscape.
        least_peak: The lower peak is at least this high.
        least_distance_mm: The peaks are at least this far apart.
        fewest_voxels: Each basin has at least this many voxels.
    """

    highest_share: float
    least_drop: float
    least_peak: float
    least_distance_mm: float
    fewest_voxels: int


def split_by_saddles(
    landscape: FloatArray, inside: NDArray[np.bool_], *, rule: SaddleRule, spacing_kji_mm: Float3
) -> Labels:
    """Number the foci of `inside`, 1 and up, 0 outside.

    Each voxel belongs to the peak that is reached from it by always going to the highest of the 26 neighbours. Basins
    are then joined over their saddles, the highest saddle first, unless `rule` says that they are two. The result
    does not depend on the machine: equal voxels are ordered by their index.

    Args:
        landscape: (K, J, I).
        inside: (K, J, I); what is to be split. Parts that do not touch are never joined.
        rule: What keeps two basins apart.
        spacing_kji_mm: Distance of voxel centres.

    Source:
        The catchment basins of a watershed with merging by dynamics: Najman and Schmitt 1996, IEEE Trans Pattern Anal
        Mach Intell 18:1163.
    """
    labels, peaks = _basins(landscape, inside)
    if len(peaks) < 2:
        return labels
    joined = _join(labels, peaks, landscape, rule, spacing_kji_mm)
    _, numbers = np.unique(joined, return_inverse=True)
    renamed = np.concatenate([[0], numbers + 1]).astype(np.int32)
    return np.asarray(renamed[labels], dtype=np.int32)


def touching_pairs(labels: Labels) -> list[tuple[int, int]]:
    """Pairs of labels (lower first) of which voxels are neighbours over faces, edges or corners."""
    found: set[tuple[int, int]] = set()
    for first, second in _neighbour_views(labels):
        meet = (first > 0) & (second > 0) & (first != second)
        pairs = np.unique(np.sort(np.stack([first[meet], second[meet]]), axis=0), axis=1)
        found |= {(int(a), int(b)) for a, b in pairs.T}
    return sorted(found)


def _basins(landscape: FloatArray, inside: NDArray[np.bool_]) -> tuple[Labels, NDArray[np.int64]]:
    """A label for each basin, and the flat index of each one's peak (of label n at n - 1)."""
    flat = np.flatnonzero(inside)
    order = np.lexsort((-flat, landscape.ravel()[flat]))  # of equal voxels the first in K, J, I order is the highest
    rank = np.zeros(inside.shape, dtype=np.int32)
    rank.ravel()[flat[order]] = np.arange(1, len(flat) + 1, dtype=np.int32)
    highest = ndimage.maximum_filter(rank, size=3, mode="constant", cval=0)
    to_rank = np.zeros(len(flat) + 1, dtype=np.int32)
    to_rank[rank.ravel()[flat]] = highest.ravel()[flat]
    while True:
        further = to_rank[to_rank]
        if np.array_equal(further, to_rank):
            break
        to_rank = further
    tops, numbers = np.unique(to_rank[1:], return_inverse=True)
    labels = np.zeros(inside.shape, dtype=np.int32)
    labels.ravel()[flat[order]] = numbers + 1
    return labels, np.asarray(flat[order][tops - 1])


def _join(
    labels: Labels, peaks: NDArray[np.int64], landscape: FloatArray, rule: SaddleRule, spacing_kji_mm: Float3
) -> NDArray[np.int64]:
    """For each basin the number of the focus it belongs to."""
    height = landscape.ravel()[peaks].astype(np.float64)
    place_mm = np.stack(np.unravel_index(peaks, labels.shape), axis=-1) * np.asarray(spacing_kji_mm)
    voxels = np.bincount(labels.ravel())[1:].astype(np.int64)
    root = np.arange(len(peaks))

    def find(n: int) -> int:
        while root[n] != n:
            root[n] = root[root[n]]
            n = int(root[n])
        return n

    for saddle, first, second in _saddles(labels, landscape):
        a, b = find(first), find(second)
        if a == b:
            continue
        high, low = (a, b) if (height[a], -peaks[a]) >= (height[b], -peaks[b]) else (b, a)
        are_two = (
            saddle <= rule.highest_share * height[low]
            and height[low] - saddle >= rule.least_drop
            and height[low] >= rule.least_peak
            and float(np.linalg.norm(place_mm[high] - place_mm[low])) >= rule.least_distance_mm
            and min(voxels[high], voxels[low]) >= rule.fewest_voxels
        )
        if not are_two:
            root[low] = high
            voxels[high] += voxels[low]
    return np.array([find(n) for n in range(len(peaks))])


def _saddles(labels: Labels, landscape: FloatArray) -> list[tuple[float, int, int]]:
    """Of every pair of basins that touch the highest way over, the highest first: height and both numbers from 0."""
    keys, heights = [], []
    count = int(labels.max())
    for (first, second), (here, there) in zip(_neighbour_views(labels), _neighbour_views(landscape), strict=True):
        meet = (first > 0) & (second > 0) & (first != second)
        a, b = first[meet].astype(np.int64), second[meet].astype(np.int64)
        keys.append(np.minimum(a, b) * (count + 1) + np.maximum(a, b))
        heights.append(np.minimum(here[meet], there[meet]))
    key, height = np.concatenate(keys), np.concatenate(heights)
    order = np.lexsort((-height, key))
    first_of_pair = np.flatnonzero(np.diff(key[order], prepend=-1))
    pairs, ways = key[order][first_of_pair], height[order][first_of_pair]
    ranked = np.lexsort((pairs, -ways))
    return [
        (float(ways[n]), int(pairs[n] // (count + 1)) - 1, int(pairs[n] % (count + 1)) - 1) for n in ranked.tolist()
    ]


def _neighbour_views(array: NDArray[Number]) -> list[tuple[NDArray[Number], NDArray[Number]]]:
    """For each of 13 directions two views of `array` that hold neighbours at the same index."""
    views = []
    for step in _FORWARD:
        here = tuple(slice(max(0, -s), array.shape[a] - max(0, s)) for a, s in enumerate(step))
        there = tuple(slice(max(0, s), array.shape[a] + min(0, s)) for a, s in enumerate(step))
        views.append((array[here], array[there]))
    return views
