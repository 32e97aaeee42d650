"""Read the images of a study that was found: its PET as stored, its CT once on the grid of the PET."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from SegAnyPETLib.batch.study import FoundStudy
from SegAnyPETLib.data.ct_series import AIR_HU, CTSeries, open_ct_series
from SegAnyPETLib.data.pet_series import PETSeries, read_pet_files
from SegAnyPETLib.errors import InputError
from SegAnyPETLib.geometry import Grid, VoxelBox
from SegAnyPETLib.preprocess import average_groups, averaging_factors, resample_linear, voxels_inside


def read_found_pet(study: FoundStudy) -> PETSeries:
    """Read the PET series that was chosen.

    Raises:
        InputError: None was chosen; the message repeats why.
        DICOMError: A file of it cannot be used, see `read_pet_files`.
    """
    if study.pet is None:
        reasons = " ".join((*study.problems, *study.doubts))
        msg = f"Expected a study with a PET series to segment; none was chosen. {reasons}".strip()
        raise InputError(msg)
    return read_pet_files(study.pet.files, series_instance_uid=study.pet.series_instance_uid)


def read_found_ct(study: FoundStudy, grid: Grid) -> NDArray[np.float32] | None:
    """The study's CT sampled linearly on `grid`, as float32 (K, J, I) in HU; None where no CT was found.

    Where the CT is finer than the grid, groups of its voxels are averaged first, against aliasing; only one group
    of slices is held at full resolution at a time. Outside the CT the value is that of air, -1024 HU.

    Raises:
        DICOMError: A file of the CT cannot be used.
        InconsistentSeriesError: Its slices do not make up a volume.
    """
    if study.ct is None:
        return None
    ct = open_ct_series(study.ct.files, series_instance_uid=study.ct.series_instance_uid)
    averaged, coarse = _averaged(ct, averaging_factors(ct.grid, grid))
    values = resample_linear(averaged, coarse, grid, outside=AIR_HU)
    values[~voxels_inside(grid, ct.grid)] = AIR_HU  # the last group of slices may reach beyond the image
    return values


def _averaged(ct: CTSeries, factors: tuple[int, int, int]) -> tuple[NDArray[np.float32], Grid]:
    """The whole CT with groups of `factors` voxels averaged, and its grid; memory is that of the result."""
    count = ct.grid.shape_kji[0]
    planes: list[NDArray[np.float32]] = []
    grids: list[Grid] = []
    for start in range(0, count, factors[0]):
        stop = min(start + factors[0], count)
        box = VoxelBox((start, 0, 0), (stop, *ct.grid.shape_kji[1:]))
        slab = ct.grid.crop(box)
        plane, grid = average_groups(ct.read_planes(start, stop), slab, slab.box, factors)
        planes.append(plane)
        grids.append(grid)
    values = np.concatenate(planes)
    first = grids[0]
    return values, Grid(values.shape, first.spacing_ijk_mm, first.origin_lps_mm, first.direction)
