"""Studies and images for tests of prompts, on grids that hide no swapped axis."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy import ndimage

from SegAnyPETLib.batch.study import FoundStudy, SeriesFiles
from SegAnyPETLib.geometry import Grid
from SegAnyPETLib.phantom.objects import centred_grid
from SegAnyPETLib.suv import SUVVolume

FINER = 3
FWHM_PER_SIGMA = 2.3548


def a_study(*files: Path, uid: str = "1.2.826.0.1.77", patient: str = "p77") -> FoundStudy:
    pet = SeriesFiles(f"{uid}.1", "PT", "", files)
    return FoundStudy(uid, patient, "somewhere", None, pet, None, "the only one")


def balls(grid: Grid, *, background: float, fwhm_mm: float, spheres) -> SUVVolume:
    """Balls (centre LPS, diameter mm, SUV), painted on a grid three times finer, blurred there, taken at centres."""
    fine = [np.arange(n * FINER) / FINER - (FINER // 2) / FINER for n in grid.shape_kji]
    places = grid.kji_to_lps(np.stack(np.meshgrid(*fine, indexing="ij"), axis=-1))
    values = np.full(places.shape[:3], background)
    for centre, diameter, suv in spheres:
        values[((places - centre) ** 2).sum(axis=-1) <= (diameter / 2) ** 2] = suv
    sigma = [fwhm_mm / FWHM_PER_SIGMA / s * FINER for s in grid.spacing_kji_mm]
    blurred = ndimage.gaussian_filter(values, sigma)
    middle = slice(FINER // 2, None, FINER)
    return SUVVolume(blurred[middle, middle, middle].astype(np.float32), grid)


def oblique_grid(shape_kji=(26, 30, 36), spacing_ijk_mm=(4.1, 3.7, 4.6)) -> Grid:
    return centred_grid(shape_kji, spacing_ijk_mm, centre_lps_mm=(31.0, -52.0, 210.0), orientation="oblique")
