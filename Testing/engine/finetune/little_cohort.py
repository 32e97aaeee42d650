"""A cohort of a few small cases on oblique, anisotropic grids, with labels that are right until spoilt."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy import ndimage

from SegAnyPETLib.data import write_mask_nifti, write_volume_nifti
from SegAnyPETLib.finetune.cohort import CohortEntry, Manifest
from SegAnyPETLib.geometry import Grid
from SegAnyPETLib.phantom import centred_grid
from SegAnyPETLib.phantom.noise import Noise

SHAPE = (34, 40, 44)
SPACING_IJK = (4.0, 3.5, 4.5)


@dataclass
class LittleCase:
    """An image and its label in memory, changed freely before they are written."""

    name: str
    suv: np.ndarray
    label: np.ndarray
    grid: Grid
    patient: str = ""
    quality: str = "HQ"
    split: str = "train"
    label_grid: Grid | None = None


@dataclass
class LittleCohort:
    """Cases and the folder they are written to."""

    folder: Path
    cases: list[LittleCase] = field(default_factory=list)

    def add(self, seed: int, **changes) -> LittleCase:
        case = little_case(seed)
        for name, value in changes.items():
            setattr(case, name, value)
        self.cases.append(case)
        return case

    def manifest(self) -> Manifest:
        """Written as CASE/pet.nii.gz and CASE/gtv.nii.gz."""
        return Manifest(tuple(self._written(case) for case in self.cases))

    def _written(self, case: LittleCase) -> CohortEntry:
        place = self.folder / case.name
        place.mkdir(parents=True, exist_ok=True)
        image = write_volume_nifti(place / "pet.nii.gz", case.suv, grid=case.grid)
        grid = case.label_grid or case.grid
        if case.label.dtype == bool:
            label = write_mask_nifti(place / "gtv.nii.gz", case.label, grid=grid)
        else:
            label = write_volume_nifti(place / "gtv.nii.gz", case.label, grid=grid)
        return CohortEntry(case.name, case.patient or case.name, image, label, case.quality, case.split)


def little_case(seed: int, *, shape=SHAPE, orientation: str = "oblique") -> LittleCase:
    """A lesion and a hotter organ in a warm body, blurred, noisy; the label is the lesion as it was made."""
    rng = np.random.default_rng(seed)
    grid = centred_grid(shape, SPACING_IJK, centre_lps_mm=(-60.0, 25.0, 900.0), orientation=orientation)
    index = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), axis=-1)
    mm = (index - np.asarray(shape) / 2) * np.asarray(grid.spacing_kji_mm)
    lesion = _ellipsoid(mm, np.array([18.0, -12.0, -24.0]) + rng.uniform(-4, 4, 3), rng.uniform(13, 20, 3))
    organ = _ellipsoid(mm, np.array([-42.0, 40.0, 45.0]) + rng.uniform(-4, 4, 3), rng.uniform(14, 18, 3))
    activity = np.where(lesion, rng.uniform(6, 9), np.where(organ, 11.0, 1.0))
    activity = np.where(lesion, activity * np.exp(mm[..., 1] / 60 + 0.3), activity)  # as if it thinned out to one side
    texture = ndimage.gaussian_filter(rng.standard_normal(shape), 2.0)
    activity = activity * np.exp(0.15 * texture / texture.std())
    sigma = [6.0 / 2.355 / size for size in grid.spacing_kji_mm]
    suv = ndimage.gaussian_filter(activity, sigma).astype(np.float32)
    suv = Noise(seed, relative_sd=0.12).added_to(suv, grid=grid)
    return LittleCase(f"case_{seed:03d}", suv, lesion, grid)


def moved(array: np.ndarray, offset_kji: tuple[int, int, int]) -> np.ndarray:
    """Shifted by whole voxels, with nothing coming in."""
    result = np.zeros_like(array)
    source, target = [], []
    for step, size in zip(offset_kji, array.shape, strict=True):
        source.append(slice(max(0, -step), size - max(0, step)))
        target.append(slice(max(0, step), size - max(0, -step)))
    result[tuple(target)] = array[tuple(source)]
    return result


def _ellipsoid(mm: np.ndarray, centre: np.ndarray, half_axes: np.ndarray) -> np.ndarray:
    return (((mm - centre) / half_axes) ** 2).sum(axis=-1) <= 1
