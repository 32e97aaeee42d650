"""Which pixels polygons fill, by the rules that programs use; written from their definitions."""

from __future__ import annotations

import numpy as np


def crossings(polygon: np.ndarray, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """How often the ray from each pixel's centre along its row meets the polygon (n, 2), as count and as winding."""
    count, winding = np.zeros(shape, int), np.zeros(shape, int)
    (j0, i0), (j1, i1) = polygon.T, np.roll(polygon, -1, axis=0).T
    for j in range(shape[0]):
        spans = (j >= np.minimum(j0, j1)) & (j < np.maximum(j0, j1))
        at = i0[spans] + (j - j0[spans]) / (j1 - j0)[spans] * (i1 - i0)[spans]
        met = at[:, None] > np.arange(shape[1])
        count[j] = met.sum(axis=0)
        winding[j] = (met * np.sign(j1 - j0)[spans, None]).sum(axis=0)
    return count, winding


def fillings(polygons: list[np.ndarray], shape: tuple[int, int]) -> list[np.ndarray]:
    """The pixels inside: by the even-odd and by the winding rule, polygons united and exclusive-or."""
    rays = [crossings(np.asarray(polygon, float), shape) for polygon in polygons]
    even_odd = [count % 2 == 1 for count, _ in rays]
    nonzero = [winding != 0 for _, winding in rays]
    return [
        combine.reduce([np.zeros(shape, bool), *inside])
        for inside in (even_odd, nonzero)
        for combine in (np.logical_or, np.logical_xor)
    ]
