"""Spheres of the NEMA image quality phantom, blurred in closed form: exact at every voxel centre of any grid."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import erf

from SegAnyPETLib.errors import GeometryError
from SegAnyPETLib.geometry import Grid
from SegAnyPETLib.phantom.noise import FWHM_PER_SIGMA, Noise
from SegAnyPETLib.phantom.objects import Phantom, PhantomObject, centred_grid
from SegAnyPETLib.phantom.shapes import ball, bounding_box, truth_mask

NEMA_DIAMETERS_MM = (10.0, 13.0, 17.0, 22.0, 28.0, 37.0)
NEMA_RING_RADIUS_MM = 57.2
SUB_VOXEL_OFFSET_MM = (0.7, -1.1, 0.4)  # no sphere centre falls onto a voxel centre or corner of the usual grids


def sphere_profile(radius_mm: ArrayLike, *, diameter_mm: float, fwhm_mm: float) -> NDArray[np.float64]:
    """A ball of height 1 convolved with an isotropic Gaussian, at distances from its centre.

    Args:
        radius_mm: Distances from the centre, any shape.
        diameter_mm: Diameter of the ball.
        fwhm_mm: Full width at half maximum of the Gaussian.

    Returns:
        Values between 0 and 1, shaped like `radius_mm`.

    Raises:
        GeometryError: A width is not positive.

    Source:
        p(r) = 1/2 [erf((R-r)/(sqrt2 s)) + erf((R+r)/(sqrt2 s))] - s/(r sqrt(2 pi)) [exp(-(R-r)^2/2s^2) -
        exp(-(R+r)^2/2s^2)], the convolution integral in spherical coordinates; its limit at r = 0 is
        erf(R/(sqrt2 s)) - sqrt(2/pi) (R/s) exp(-R^2/2s^2).
    """
    if not (diameter_mm > 0 and fwhm_mm > 0):
        msg = f"Expected positive widths; found diameter {diameter_mm} mm and FWHM {fwhm_mm} mm."
        raise GeometryError(msg)
    r = np.abs(np.asarray(radius_mm, dtype=np.float64))
    sigma, big_r = fwhm_mm / FWHM_PER_SIGMA, diameter_mm / 2
    low, high = (big_r - r) / sigma, (big_r + r) / sigma
    # Below a thousandth of sigma the difference of exponentials cancels; there the limit is right to 1e-6.
    near = r < 1e-3 * sigma
    safe_r = np.where(near, 1.0, r)
    tail = sigma / (safe_r * np.sqrt(2 * np.pi)) * (np.exp(-(low**2) / 2) - np.exp(-(high**2) / 2))
    limit = np.sqrt(2 / np.pi) * big_r / sigma * np.exp(-((big_r / sigma) ** 2) / 2)
    profile = 0.5 * (erf(low / np.sqrt(2)) + erf(high / np.sqrt(2))) - np.where(near, limit, tail)
    return np.asarray(np.clip(profile, 0.0, 1.0))


def nema_phantom(
    *,
    grid: Grid | None = None,
    diameters_mm: Sequence[float] = NEMA_DIAMETERS_MM,
    centres_lps_mm: Sequence[tuple[float, float, float]] | None = None,
    background_suv: float = 1.0,
    sphere_suv: float = 4.0,
    fwhm_mm: float = 6.0,
    noise: Noise | None = None,
) -> Phantom:
    """Hot (or cold) spheres in a uniform unbounded background, exact at the voxel centres of any grid.

    Args:
        grid: Where to sample; by default 30 x 60 x 64 voxels of 3 x 3 x 4 mm around LPS (0, 0, 0).
        diameters_mm: One sphere each; by default the six of NEMA NU 2.
        centres_lps_mm: Their centres; by default on a ring of 57.2 mm radius around the middle of the grid, in the
            axial plane of the patient, shifted by a fixed part of a voxel.
        background_suv: Activity around the spheres, in g/ml.
        sphere_suv: Activity in the spheres before blurring.
        fwhm_mm: Width of the Gaussian point spread.
        noise: Added after blurring; none by default.

    Raises:
        GeometryError: A centre is missing, a sphere lies outside the grid, or a width is not positive.
    """
    if grid is None:
        grid = centred_grid((30, 60, 64), (3.0, 3.0, 4.0))
    centres = _ring_centres(grid, len(diameters_mm)) if centres_lps_mm is None else tuple(centres_lps_mm)
    if len(centres) != len(diameters_mm):
        msg = f"Expected one centre for each of {len(diameters_mm)} spheres; found {len(centres)}."
        raise GeometryError(msg)
    points = grid.kji_to_lps(np.moveaxis(np.indices(grid.shape_kji), 0, -1))
    activity = np.full(grid.shape_kji, background_suv, dtype=np.float64)
    for centre, diameter in zip(centres, diameters_mm, strict=True):
        distance = np.linalg.norm(points - np.asarray(centre), axis=-1)
        profile = sphere_profile(distance, diameter_mm=diameter, fwhm_mm=fwhm_mm)
        activity += (sphere_suv - background_suv) * profile
    objects = tuple(_sphere(c, d, sphere_suv, grid) for c, d in zip(centres, diameters_mm, strict=True))
    sampled = activity.astype(np.float32)
    return Phantom(sampled if noise is None else noise.added_to(sampled, grid=grid), grid, objects, fwhm_mm)


def _ring_centres(grid: Grid, count: int) -> tuple[tuple[float, float, float], ...]:
    middle = grid.kji_to_lps((np.asarray(grid.shape_kji) - 1) / 2) + SUB_VOXEL_OFFSET_MM
    angles = 2 * np.pi * np.arange(count) / count
    ring = np.stack([np.cos(angles), np.sin(angles), np.zeros(count)], axis=-1) * NEMA_RING_RADIUS_MM + middle
    return tuple((float(x), float(y), float(z)) for x, y, z in ring)


def _sphere(centre: tuple[float, float, float], diameter_mm: float, suv: float, grid: Grid) -> PhantomObject:
    shape = ball(centre, diameter_mm)
    if bounding_box(shape, grid).is_empty:
        msg = (
            f"The sphere of {diameter_mm:g} mm at {centre} mm (LPS) lies outside the grid; move it or use more voxels."
        )
        raise GeometryError(msg)
    mask, sampled_ml = truth_mask(shape, grid, samples=8)
    whole = _is_whole(shape.centre_lps_mm, diameter_mm / 2, grid)
    volume = 4 / 3 * np.pi * (diameter_mm / 2) ** 3 / 1000.0 if whole else sampled_ml
    return PhantomObject(f"sphere {diameter_mm:g} mm", "lesion", mask, centre, suv, volume)


def _is_whole(centre: tuple[float, float, float], radius_mm: float, grid: Grid) -> bool:
    kji, reach = grid.lps_to_kji(centre), radius_mm / np.asarray(grid.spacing_kji_mm)
    return bool((kji - reach >= -0.5).all() and (kji + reach <= np.asarray(grid.shape_kji) - 0.5).all())
