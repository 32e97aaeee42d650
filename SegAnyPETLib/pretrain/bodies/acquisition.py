"""From uptake on the 2 mm grid to a PET image: breathing, point spread, voxels, noise.

The first three are linear and separable, so each axis is one matrix from 2 mm slices to voxels; the truth goes through
the matrix of the voxels alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from SegAnyPETLib.geometry import VoxelBox
from SegAnyPETLib.pretrain.bodies.canvas import VOXEL_MM
from SegAnyPETLib.pretrain.synthetic import FWHM_PER_SIGMA

FloatVolume = NDArray[np.float32]
FloatMatrix = NDArray[np.float64]
ATTENUATION_PER_MM = 0.0045  # of the variance; half of 0.0096 / mm for water at 511 keV
MEAN_THICKNESS_MM = 280.0
NOISE_FLOOR_SUV = 0.05
GIBBS_GAIN, GIBBS_FWHM_MM = 0.15, 5.0


@dataclass(frozen=True)
class Scanner:
    """What one acquisition does to the activity.

    Attributes:
        fwhm_mm: Of the point spread across the slices and inside them: (z, y, x).
        gibbs: Whether edges are overshot, as by reconstructions with the point spread function.
        noise: Relative standard deviation at the liver's uptake in a body of mean thickness, after reconstruction.
        noise_fwhm_mm: Correlation of the noise.
        noise_exponent: 0.5 grows like counts, 1 in proportion to uptake.
        gain: Calibration.
    """

    fwhm_mm: tuple[float, float, float]
    gibbs: bool
    noise: float
    noise_fwhm_mm: float
    noise_exponent: float
    gain: float


def draw_scanner(rng: np.random.Generator) -> Scanner:
    """FWHM 4 to 7.5 mm, up to 1.5 more along z; liver noise 2 to 25 %, correlated over 3 to 6 mm; gain 0.8 to 1.25."""
    fwhm = float(rng.uniform(4.0, 7.5))
    return Scanner(
        fwhm_mm=(fwhm + float(rng.uniform(0.0, 1.5)), fwhm, fwhm),
        gibbs=bool(rng.random() < 0.15),
        noise=float(np.exp(rng.uniform(np.log(0.02), np.log(0.25)))),
        noise_fwhm_mm=float(rng.uniform(3.0, 6.0)),
        noise_exponent=float(rng.uniform(0.5, 1.0)),
        gain=float(np.exp(rng.uniform(np.log(0.8), np.log(1.25)))),
    )


def voxel_matrix(edges_mm: FloatMatrix, *, count: int, step_mm: float) -> FloatMatrix:
    """Box average: share of each voxel between two `edges_mm` (m + 1) that each of `count` slices fills, (m, n).

    The slices are `step_mm` thick and the first begins at 0.
    """
    low, high = edges_mm[:-1, None], edges_mm[1:, None]
    slices = np.arange(count) * step_mm
    overlap = np.minimum(high, slices + step_mm) - np.maximum(low, slices)
    return np.asarray(np.maximum(overlap, 0.0) / (high - low))


def spread_matrix(count: int, *, fwhm_mm: float, step_mm: float) -> FloatMatrix:
    """Gaussian point spread between `count` slices `step_mm` apart, (n, n); outside there is nothing."""
    sigma = fwhm_mm / FWHM_PER_SIGMA / step_mm
    distance = np.subtract.outer(np.arange(count), np.arange(count))
    return np.asarray(np.exp(-0.5 * (distance / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi)))


def apply_separable(volume: FloatVolume, matrices: tuple[FloatMatrix, FloatMatrix, FloatMatrix]) -> FloatVolume:
    """Apply one matrix along z, one along y, one along x of `volume` (z, y, x)."""
    along_z, along_y, along_x = (torch.from_numpy(np.asarray(m, dtype=np.float32)) for m in matrices)
    depth, height, width = volume.shape
    out = torch.from_numpy(np.ascontiguousarray(volume)).reshape(depth, height * width)
    out = (along_z @ out).reshape(len(along_z), height, width)
    out = torch.matmul(torch.matmul(along_y, out), along_x.T)
    return np.asarray(out.numpy(), dtype=np.float32)


def voxel_fractions(mask: NDArray[np.bool_], boxes: Sequence[FloatMatrix]) -> FloatVolume:
    """Share of each voxel that `mask` (z, y, x) fills, given the `voxel_matrix` along z, y and x."""
    box = VoxelBox.of_mask(mask)  # most of the window is empty
    if box.is_empty:
        return np.zeros([len(b) for b in boxes], dtype=np.float32)
    along_z, along_y, along_x = (b[:, s] for b, s in zip(boxes, box.slices, strict=True))
    return np.clip(apply_separable(mask[box.slices].astype(np.float32), (along_z, along_y, along_x)), 0, 1)


def noise_free_image(
    uptake: FloatVolume,
    boxes: Sequence[FloatMatrix],
    scanner: Scanner,
    *,
    moved: FloatMatrix,
    spacing_kji_mm: tuple[float, float, float],
) -> FloatVolume:
    """Breathing, point spread and voxels, before any noise, (K, J, I).

    Args:
        uptake: SUV on the 2 mm grid (z, y, x).
        boxes: The `voxel_matrix` along z, y and x.
        scanner: Point spread, and whether edges overshoot.
        moved: Average over the phases of breathing, see `Breathing.matrix`.
        spacing_kji_mm: Voxel size.
    """
    along_z, along_y, along_x = (
        box @ spread_matrix(count, fwhm_mm=fwhm, step_mm=VOXEL_MM)
        for box, count, fwhm in zip(boxes, uptake.shape, scanner.fwhm_mm, strict=True)
    )
    clean = apply_separable(uptake, (along_z @ moved, along_y, along_x))
    return sharpen_edges(clean, spacing_kji_mm=spacing_kji_mm) if scanner.gibbs else clean


def add_scan_noise(
    rng: np.random.Generator,
    suv: FloatVolume,
    scanner: Scanner,
    *,
    spacing_kji_mm: tuple[float, float, float],
    liver_suv: float,
    thickness_mm: FloatVolume,
) -> FloatVolume:
    """Correlated noise that depends on uptake and on the body around; the result is not negative.

    sigma² = s² · suv^(2 gamma) · exp(0.0045 / mm · (thickness - 280 mm)), with s such that the coefficient of variation
    is `scanner.noise` at `liver_suv` in a body 280 mm thick.

    Args:
        rng: Source of the noise.
        suv: Noise-free image (K, J, I).
        scanner: Its size, correlation and exponent.
        spacing_kji_mm: Voxel size.
        liver_suv: Uptake at which the size is meant.
        thickness_mm: Mean chord of the body through each voxel; broadcasts to the image.
    """
    sigmas = [scanner.noise_fwhm_mm / FWHM_PER_SIGMA / spacing for spacing in spacing_kji_mm]
    white = ndimage.gaussian_filter(rng.standard_normal(suv.shape, dtype=np.float32), sigmas, truncate=3.0)
    base = max(liver_suv, NOISE_FLOOR_SUV)
    uptake = np.maximum(suv, NOISE_FLOOR_SUV) / np.float32(base)
    scale = scanner.noise * base * uptake ** np.float32(scanner.noise_exponent) / max(float(white.std()), 1e-6)
    scale = scale * np.exp(0.5 * ATTENUATION_PER_MM * (thickness_mm - MEAN_THICKNESS_MM))
    return np.asarray(np.maximum(suv + scale * white, 0), dtype=np.float32)


def sharpen_edges(suv: FloatVolume, *, spacing_kji_mm: tuple[float, float, float]) -> FloatVolume:
    """Overshoot at edges as resolution modelling makes it: x + 0.15 (x - blurred x)."""
    sigmas = [GIBBS_FWHM_MM / FWHM_PER_SIGMA / spacing for spacing in spacing_kji_mm]
    smooth = ndimage.gaussian_filter(suv, sigmas)
    return np.asarray(np.maximum(suv + GIBBS_GAIN * (suv - smooth), 0), dtype=np.float32)
