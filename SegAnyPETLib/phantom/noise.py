"""Correlated noise as reconstructed PET shows it, drawn from a seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from SegAnyPETLib.geometry import Grid

FWHM_PER_SIGMA = float(2 * np.sqrt(2 * np.log(2)))


@dataclass(frozen=True)
class Noise:
    """Zero-mean Gaussian noise whose standard deviation grows with a power of the activity.

    Attributes:
        seed: The same seed gives the same noise.
        relative_sd: Standard deviation divided by activity where the activity is `reference_suv`.
        reference_suv: Usually that of the liver.
        correlation_fwhm_mm: Width of the noise grain.
        exponent: 0.5 is Poisson-like, 1 as after iterative reconstruction.
    """

    seed: int
    relative_sd: float = 0.1
    reference_suv: float = 2.2
    correlation_fwhm_mm: float = 4.0
    exponent: float = 0.5

    def added_to(self, activity_suv: NDArray[np.float32], *, grid: Grid) -> NDArray[np.float32]:
        """A new array (K, J, I) with noise added, clipped at 0."""
        sigma = self.relative_sd * self.reference_suv * (activity_suv / self.reference_suv) ** self.exponent
        noisy = activity_suv + sigma * self._unit_field(grid)
        return np.maximum(noisy, 0).astype(np.float32)

    def _unit_field(self, grid: Grid) -> NDArray[np.float32]:
        sigma = self.correlation_fwhm_mm / FWHM_PER_SIGMA / np.asarray(grid.spacing_kji_mm)
        white = np.random.default_rng(self.seed).standard_normal(grid.shape_kji, dtype=np.float32)
        grain = ndimage.gaussian_filter(white, sigma, mode="wrap")
        gain = np.prod([_kernel_norm(float(s)) for s in sigma])  # wrap keeps the variance the same everywhere
        return np.asarray(grain / gain, dtype=np.float32)


def _kernel_norm(sigma_voxels: float) -> float:
    impulse = np.zeros(2 * int(4 * sigma_voxels + 1) + 1)
    impulse[impulse.size // 2] = 1.0
    return float(np.linalg.norm(ndimage.gaussian_filter1d(impulse, sigma_voxels, mode="constant")))
