"""Masks and volumes as NIfTI."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk  # noqa: N813  the name everybody knows it by
from numpy.typing import NDArray

from SegAnyPETLib.data.atomic import write_atomically
from SegAnyPETLib.data.segment import as_mask
from SegAnyPETLib.errors import GeometryError, OutputError
from SegAnyPETLib.geometry import Grid

NIFTI_ENDINGS = (".nii", ".nii.gz")


def write_mask_nifti(path: Path | str, mask: NDArray[Any], *, grid: Grid) -> Path:  # any 0/1 dtype
    """Write a mask (K, J, I) as unsigned 8 bit, 0 and 1. An empty mask is written: no lesion is a result too.

    NIfTI keeps the geometry in single precision, about 1e-4 mm at one metre from the origin.

    Raises:
        GeometryError: The mask does not fit the grid, or holds other values than 0 and 1.
        OutputError: The name does not end in .nii or .nii.gz, or the file cannot be written.
    """
    return _write(Path(path), as_mask(mask, grid=grid).astype(np.uint8), grid)


def write_labels_nifti(path: Path | str, labels: NDArray[np.integer[Any]], *, grid: Grid) -> Path:  # any integers
    """Write labels (K, J, I), 0 for the background, as unsigned 8 bit, or 16 bit where there are more than 255.

    Raises:
        GeometryError: The labels do not fit the grid, or are outside 0 to 65535.
        OutputError: The name does not end in .nii or .nii.gz, or the file cannot be written.
    """
    values = np.asarray(labels)
    highest = int(values.max())
    if values.shape != grid.shape_kji or int(values.min()) < 0 or highest > np.iinfo(np.uint16).max:
        msg = (
            f"Expected labels from 0 to 65535 on the grid, shape (K, J, I) = {grid.shape_kji}; found {values.min()} to "
            f"{highest}, shape {values.shape}."
        )
        raise GeometryError(msg)
    return _write(Path(path), values.astype(np.uint8 if highest <= np.iinfo(np.uint8).max else np.uint16), grid)


def write_volume_nifti(path: Path | str, array: NDArray[Any], *, grid: Grid) -> Path:  # any real dtype
    """Write a scalar volume (K, J, I) as 32 bit float, for example SUVs; NIfTI has no place for their unit.

    Raises:
        GeometryError: The array does not fit the grid.
        OutputError: The name does not end in .nii or .nii.gz, or the file cannot be written.
    """
    values = np.asarray(array)
    if values.shape != grid.shape_kji:
        msg = f"Expected an array on the grid, shape (K, J, I) = {grid.shape_kji}; found {values.shape}."
        raise GeometryError(msg)
    return _write(Path(path), values.astype(np.float32), grid)


def _write(path: Path, array: NDArray[Any], grid: Grid) -> Path:  # uint8, uint16 or float32
    require_ending(path, NIFTI_ENDINGS)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(grid.spacing_ijk_mm)
    image.SetOrigin(grid.origin_lps_mm)
    image.SetDirection(np.asarray(grid.direction).ravel().tolist())
    with write_atomically(path) as temporary:
        try:
            sitk.WriteImage(image, str(temporary), useCompression=path.name.endswith(".gz"))
        except RuntimeError as error:
            # ITK gives no errno; what it says ("write error: No space left") is kept for the reader.
            cause = str(error).strip().splitlines()[-1]
            msg = f"Cannot write {path}: {cause}. Nothing was left half-written; check space and permission."
            raise OutputError(msg) from error
    return path


def require_ending(path: Path, endings: tuple[str, ...]) -> None:
    """Refuse a name whose ending would mislead every other program.

    Raises:
        OutputError: `path` ends in none of `endings`.
    """
    if not path.name.lower().endswith(endings):
        msg = f"Expected a file name ending in {' or '.join(endings)}; found {path.name}. Rename it."
        raise OutputError(msg)
