"""The cases of an evaluation: one folder per case, with an image in SUV and a reference mask (see `case_folder`)."""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Collection
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from SegAnyPETLib.data.case_folder import IMAGE_NAME, REFERENCE_NAME, case_number
from SegAnyPETLib.errors import GeometryError, InputError, SegAnyPETWarning
from SegAnyPETLib.geometry import VoxelBox

if TYPE_CHECKING:
    from SegAnyPETLib.suv import SUVVolume


@dataclass(frozen=True)
class Case:
    """One image with its reference.

    Attributes:
        name: Name of the case's folder.
        image: In SUV.
        reference: (K, J, I) on the image's grid, not empty, read-only.
    """

    name: str
    image: SUVVolume
    reference: NDArray[np.bool_]


def find_cases(
    data: Path, *, names: Collection[str] | None = None, fold: tuple[int, int] | None = None
) -> tuple[Path, ...]:
    """The case folders of `data`, sorted by name.

    Args:
        data: Folder of case folders.
        names: Only these cases; shell patterns too (`*`, `?`, `[abc]`, upper and lower case differ).
        fold: (k, n): only cases whose number (the last digits of the name) leaves the rest k when divided
            by n. A fixed rule, so that everybody's folds are the same.

    Raises:
        InputError: There is no case, a name or pattern fits no case, or a case has no number to make folds from.

    Warns:
        SegAnyPETWarning: A folder has an image and no reference; it is no case.
    """
    with_image = sorted(path.parent for path in data.glob(f"*/{IMAGE_NAME}"))
    found = tuple(path for path in with_image if (path / REFERENCE_NAME).is_file())
    if found and len(found) < len(with_image):
        left_out = ", ".join(path.name for path in with_image if path not in found)
        msg = f"Left out {left_out}: no {REFERENCE_NAME} beside {IMAGE_NAME}."
        warnings.warn(msg, SegAnyPETWarning, stacklevel=2)
    if not found:
        msg = f"Expected folders CASE/{IMAGE_NAME} with CASE/{REFERENCE_NAME} in {data}; found none. Check --data."
        raise InputError(msg)
    if names is not None:
        missing = sorted(name for name in names if not any(_is_named(path, name) for path in found))
        if missing:
            msg = f"Expected the cases {', '.join(missing)} in {data}; found no such folder with both files."
            raise InputError(msg)
        found = tuple(path for path in found if any(_is_named(path, name) for name in names))
    if fold is not None:
        rest, parts = fold
        found = tuple(path for path in found if case_number(path.name) % parts == rest)
        if not found:
            msg = f"Expected cases whose number leaves {rest} when divided by {parts}; found none. Choose another fold."
            raise InputError(msg)
    return found


def _is_named(folder: Path, name: str) -> bool:
    """A folder whose own name holds a bracket is found by that name too."""
    return folder.name == name or fnmatchcase(folder.name, name)


def read_case(folder: Path) -> Case:
    """Read one case folder; values are taken as body-weight SUV.

    Raises:
        GeometryError: Mask and image lie on different grids, or the mask is empty.
        SUVError: The values cannot be SUV.
    """
    from SegAnyPETLib.data import read_volume_file
    from SegAnyPETLib.suv import read_suv_image

    image = read_suv_image(folder / IMAGE_NAME, kind="bw")
    values, grid = read_volume_file(folder / REFERENCE_NAME)
    if not grid.is_close(image.grid, tolerance_mm=0.01):
        msg = (
            f"Expected {REFERENCE_NAME} of case {folder.name} on the grid of {IMAGE_NAME}; found shape "
            f"{grid.shape_kji} and origin {grid.origin_lps_mm} against {image.grid.shape_kji} and "
            f"{image.grid.origin_lps_mm}. Resample the mask first."
        )
        raise GeometryError(msg)
    reference: NDArray[np.bool_] = values > 0.5
    if not reference.any():
        msg = f"Expected a reference mask in case {folder.name}; found an empty one. Leave the case out."
        raise GeometryError(msg)
    reference.setflags(write=False)
    return Case(folder.name, image, reference)


def cut_faces(case: Case, *, limit_mm: float, seed: int) -> tuple[Case, VoxelBox]:
    """Cut a random slab off each face of the image, so that the crop no longer tells where the lesion is.

    Each face loses whole voxels, at most a uniform random 0 to `limit_mm`, drawn from the seed and the
    case's name alone. The reference is never cut and gets no new contact with a border: one voxel is left
    between both. A face the reference touches already stays as it is.

    Returns:
        The case on the smaller grid, and the box of the old image it covers.
    """
    generator = np.random.default_rng([seed, zlib.crc32(case.name.encode())])
    wanted_mm = generator.uniform(0.0, limit_mm, size=(2, 3))
    spacing = np.asarray(case.image.grid.spacing_kji_mm)
    shape = np.asarray(case.reference.shape)
    box = VoxelBox.of_mask(case.reference)
    margin = np.stack([np.asarray(box.start_kji), shape - np.asarray(box.stop_kji)])
    cut = np.minimum((wanted_mm / spacing).astype(int), np.maximum(margin - 1, 0))
    low, high = cut[0], shape - cut[1]
    kept = VoxelBox((int(low[0]), int(low[1]), int(low[2])), (int(high[0]), int(high[1]), int(high[2])))
    array = np.ascontiguousarray(case.image.array[kept.slices])
    reference = np.ascontiguousarray(case.reference[kept.slices])
    array.setflags(write=False)
    reference.setflags(write=False)
    return Case(case.name, replace(case.image, array=array, grid=case.image.grid.crop(kept)), reference), kept
