"""Small synthetic PET crops with exact truth: one lesion, its surroundings, a point spread and correlated noise.

Two worlds: the one a base model learned from (small, hot, sharp, quiet) and a site's (larger, fainter, with cold cores
and neighbours, blurred, noisy). Uptake is drawn on a grid twice as fine; a voxel belongs to the lesion when at least
half of it does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from SegAnyPETLib.finetune.crops import LabelledCrop

SIZE, SPACING_MM, FINER = 16, 4.0, 2
FWHM_PER_SIGMA = 2.3548
SMALLEST_VOXELS = 12


@dataclass(frozen=True)
class World:
    """Ranges of what lesions look like: radius and blur (FWHM) in mm, contrast to the background, relative noise."""

    radius_mm: tuple[float, float]
    contrast: tuple[float, float]
    fwhm_mm: tuple[float, float]
    noise: tuple[float, float]
    cold_core_share: float
    neighbour_share: float
    neighbour_gap_mm: tuple[float, float] = (8, 18)


BASE = World((5, 9), (5, 12), (4.5, 5.5), (0.02, 0.06), 0.0, 0.1)
SITE = World((8, 22), (1.6, 5), (6, 9), (0.08, 0.25), 0.6, 0.9, (2, 10))


def sample_lesion(rng, world, *, case):
    """One crop with its true label."""
    while True:
        fine = SIZE * FINER
        axis = (np.arange(fine) - (fine - 1) / 2) * SPACING_MM / FINER
        place = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"))
        radius = rng.uniform(*world.radius_mm)
        centre = rng.normal(0, 4.0, 3)
        lesion, depth = _shape(rng, place, centre, radius)
        background = rng.uniform(0.5, 2.0) * (1 + 0.2 * ndimage.gaussian_filter(rng.standard_normal(lesion.shape), 4))
        uptake = background.copy()
        level = background.mean() * rng.uniform(*world.contrast)
        if rng.random() < world.neighbour_share:
            direction = rng.standard_normal(3)
            away = centre + direction / np.linalg.norm(direction) * (radius + rng.uniform(*world.neighbour_gap_mm))
            uptake[_shape(rng, place, away, rng.uniform(5, 12))[0]] = level * rng.uniform(0.5, 1.5)
        uptake[lesion] = level * (1 + 0.15 * ndimage.gaussian_filter(rng.standard_normal(lesion.shape), 3)[lesion] * 10)
        if radius > 11 and rng.random() < world.cold_core_share:
            uptake[depth > rng.uniform(0.45, 0.65)] = background.mean() * rng.uniform(0.8, 1.5)
        uptake = np.maximum(uptake, 0)
        blurred = ndimage.gaussian_filter(uptake, rng.uniform(*world.fwhm_mm) / FWHM_PER_SIGMA / (SPACING_MM / FINER))
        label = _coarse(lesion.astype(np.float64)) >= 0.5
        if label.sum() >= SMALLEST_VOXELS:
            suv = _noisy(rng, _coarse(blurred), rng.uniform(*world.noise))
            return LabelledCrop(suv.astype(np.float32), label, SPACING_MM, case)


def _shape(rng, place, centre, radius):
    """An ellipsoid with bumps, and how deep each voxel lies in it: 0 at the border, 1 in the middle."""
    axes = radius * rng.uniform(0.75, 1.3, 3)
    offset = place - centre[:, None, None, None]
    turn = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    local = np.tensordot(turn, offset, axes=1) / axes[:, None, None, None]
    away = np.sqrt((local**2).sum(axis=0))
    direction = local / np.maximum(away, 1e-6)
    bumps = sum(
        rng.normal(0, 0.08) * np.sin(k * direction[n] * 3 + rng.uniform(0, 6)) for n in range(3) for k in (1, 2)
    )
    depth = 1 - away / (1 + bumps)
    return depth > 0, depth


def _coarse(fine):
    n = fine.shape[0] // FINER
    return fine.reshape(n, FINER, n, FINER, n, FINER).mean(axis=(1, 3, 5))


def _noisy(rng, suv, relative):
    """Correlated noise that grows with the square root of uptake."""
    noise = ndimage.gaussian_filter(rng.standard_normal(suv.shape), 0.7)
    return np.maximum(suv + relative * np.sqrt(np.maximum(suv, 0) * suv.mean()) * noise / noise.std(), 0)
