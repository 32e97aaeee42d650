"""How far each voxel is from the border of a mask, in millimetres, and which side of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from SegAnyPETLib.errors import GeometryError

Spacing = tuple[float, float, float]


def signed_distance_mm(mask: NDArray[np.bool_], *, spacing_kji_mm: Spacing) -> NDArray[np.float32]:
    """Distance (K, J, I) to the border of a mask, positive inside.

    The border is taken to run midway between voxels: along an axis the first voxel inside has plus half its size, the
    first one outside minus that.

    Args:
        mask: (K, J, I) bool, neither empty nor everything.
        spacing_kji_mm: Voxel size along k, j, i.

    Raises:
        GeometryError: The mask has no border.
    """
    if not has_border(mask):
        msg = f"Expected a mask with voxels inside and outside; found {int(mask.sum())} of {mask.size} inside."
        raise GeometryError(msg)
    inside = ndimage.distance_transform_edt(mask, sampling=spacing_kji_mm)
    outside = ndimage.distance_transform_edt(~mask, sampling=spacing_kji_mm)
    half = min(spacing_kji_mm) / 2
    return np.asarray(np.where(mask, inside - half, half - outside), dtype=np.float32)


def moved_share(label: NDArray[np.bool_], *, outward_mm: float, spacing_kji_mm: Spacing) -> NDArray[np.float32]:
    """How much of each voxel lies in the label once its border is moved, 0 to 1, (K, J, I).

    Borders are moved by less than a voxel too; a border that stays cuts no voxel.
    """
    if not outward_mm or not has_border(label):
        return label.astype(np.float32)
    distance = signed_distance_mm(label, spacing_kji_mm=spacing_kji_mm)
    return np.asarray(np.clip(0.5 + (distance + outward_mm) / min(spacing_kji_mm), 0, 1), dtype=np.float32)


def has_border(mask: NDArray[np.bool_]) -> bool:
    """True where some voxels are in the mask and some are not."""
    return bool(mask.any() and not mask.all())


def border_voxels(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The voxels on both sides of the border (six neighbours); the image's end is no border."""
    cross = ndimage.generate_binary_structure(3, 1)
    grown = ndimage.binary_dilation(mask, cross)
    return np.asarray(grown & ~ndimage.binary_erosion(mask, cross, border_value=1))
