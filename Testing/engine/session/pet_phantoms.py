"""Images whose truth is known in closed form, on grids that hide no swapped axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from SegAnyPETLib.geometry import Grid

HOT_SUV = 10.0
COLD_SUV = 1.0


@dataclass(frozen=True)
class Volume:
    array: NDArray[np.float32]
    grid: Grid


def rotation(degrees_xyz: Sequence[float]) -> NDArray[np.float64]:
    """Turn about x, then y, then z."""
    turn = np.eye(3)
    for axis, degrees in enumerate(degrees_xyz):
        c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
        one = np.eye(3)
        p, q = [a for a in range(3) if a != axis]
        one[p, p], one[p, q], one[q, p], one[q, q] = c, -s, s, c
        turn = one @ turn
    return turn


def oblique_grid(
    shape_kji: tuple[int, int, int] = (40, 52, 61),
    spacing_ijk_mm: tuple[float, float, float] = (3.1, 2.7, 4.2),
    origin_lps_mm: tuple[float, float, float] = (-93.0, 41.0, -217.0),
    degrees_xyz: Sequence[float] = (12.0, -7.0, 21.0),
    flips: Sequence[float] = (1.0, 1.0, 1.0),
) -> Grid:
    """Anisotropic, oblique, off-centre, of unequal sides."""
    direction = rotation(degrees_xyz) * np.asarray(flips)
    return Grid(shape_kji, spacing_ijk_mm, origin_lps_mm, tuple(map(tuple, direction)))


def voxel_centres_lps(grid: Grid) -> NDArray[np.float64]:
    index = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape_kji), indexing="ij"), axis=-1)
    return grid.kji_to_lps(index)


def ellipsoid(grid: Grid, centre_lps: Sequence[float], radii_mm: Sequence[float]) -> NDArray[np.bool_]:
    """Voxel centres inside an ellipsoid with axes along the world's."""
    return (((voxel_centres_lps(grid) - centre_lps) / np.asarray(radii_mm)) ** 2).sum(axis=-1) <= 1.0


def hot(grid: Grid, *masks: NDArray[np.bool_]) -> Volume:
    """Hot objects in a warm background."""
    array = np.full(grid.shape_kji, COLD_SUV, dtype=np.float32)
    for mask in masks:
        array[mask] = HOT_SUV
    return Volume(array, grid)


def dice(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    return float(2 * (first & second).sum() / (first.sum() + second.sum()))


def blurred_ball(grid: Grid, centre_lps: Sequence[float], radius_mm: float, *, edge_mm: float = 6.0) -> Volume:
    """A ball whose uptake falls linearly over `edge_mm`, half way at its surface, so that its surface is sub-voxel."""
    distance = np.linalg.norm(voxel_centres_lps(grid) - centre_lps, axis=-1)
    share = np.clip((radius_mm - distance) / edge_mm + 0.5, 0.0, 1.0)
    return Volume((COLD_SUV + share * (HOT_SUV - COLD_SUV)).astype(np.float32), grid)


def centroid_lps(mask: NDArray[np.bool_], grid: Grid) -> NDArray[np.float64]:
    return grid.kji_to_lps(np.argwhere(mask)).mean(axis=0)


def moved(point: Sequence[float], offset_mm: Sequence[float]) -> tuple[float, float, float]:
    x, y, z = (float(a + b) for a, b in zip(point, offset_mm, strict=True))
    return x, y, z
