"""Real lesions for the study: one crop per case folder (see the README's section on evaluation), around the lesion."""

from __future__ import annotations

import numpy as np

from SegAnyPETLib.evaluation.cases import find_cases, read_case
from SegAnyPETLib.finetune.crops import LabelledCrop
from SegAnyPETLib.preprocess.region import Region
from SegAnyPETLib.preprocess.resample import resample_to_region

SIZE, SPACING_MM = 20, 6.0


def read_lesions(folder):
    """A crop of 20 voxels of 6 mm for every case, with the reference mask as label; larger lesions are cut."""
    return [_crop(read_case(path), number) for number, path in enumerate(find_cases(folder))]


def _crop(case, number):
    grid = case.image.grid
    middle = grid.kji_to_lps(np.argwhere(case.reference).mean(axis=0))
    region = Region(tuple(middle), (SIZE,) * 3, SPACING_MM, "kji_lps")
    suv = resample_to_region(case.image.array, grid, region)
    share = resample_to_region(case.reference.astype(np.float32), grid, region)
    return LabelledCrop(suv, share >= 0.5, SPACING_MM, number)
