"""How far each voxel is from the border of a mask, in millimetres, and which side of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from SegAnyPETLib.errors import GeometryError
from SegAnyPETLib.geometry import VoxelBox

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
    inside = np.zeros(mask.shape)
    box = box_around(mask, reach_mm=0.0, spacing_kji_mm=spacing_kji_mm)
    inside[box] = ndimage.distance_transform_edt(mask[box], sampling=spacing_kji_mm)
    outside = ndimage.distance_transform_edt(~mask, sampling=spacing_kji_mm)
    half = min(spacing_kji_mm) / 2
    return np.asarray(np.where(mask, inside - half, half - outside), dtype=np.float32)


def moved_share(label: NDArray[np.bool_], *, outward_mm: float, spacing_kji_mm: Spacing) -> NDArray[np.float32]:
    """How much of each voxel lies in the label once its border is moved, 0 to 1, (K, J, I).

    Borders are moved by less than a voxel too; a border that stays cuts no voxel.
    """
    if not outward_mm or not has_border(label):
        return label.astype(np.float32)
    voxel_mm = min(spacing_kji_mm)
    share = np.zeros(label.shape, dtype=np.float32)
    reach_mm = max(outward_mm, 0.0) + voxel_mm  # beyond it is none
    box = box_around(label, reach_mm=reach_mm, spacing_kji_mm=spacing_kji_mm)
    distance = signed_distance_mm(label[box], spacing_kji_mm=spacing_kji_mm)
    share[box] = np.clip(0.5 + (distance + outward_mm) / voxel_mm, 0, 1)
    return share


def within_mm(mask: NDArray[np.bool_], *, reach_mm: float, spacing_kji_mm: Spacing) -> NDArray[np.bool_]:
    """The voxels whose centre is at most so far from that of a voxel of the mask, (K, J, I); none where it is empty."""
    near = np.zeros(mask.shape, dtype=bool)
    if mask.any():
        box = box_around(mask, reach_mm=reach_mm, spacing_kji_mm=spacing_kji_mm)
        near[box] = ndimage.distance_transform_edt(~mask[box], sampling=spacing_kji_mm) <= reach_mm
    return near


def box_around(mask: NDArray[np.bool_], *, reach_mm: float, spacing_kji_mm: Spacing) -> tuple[slice, slice, slice]:
    """The part of an array that holds a mask, all within `reach_mm` of it, and one voxel more where there is one.

    Distances there are what they are in the whole: the nearest voxel on the other side of the border lies in it. They
    are calculated there alone since those of 128 voxels a side take most of a second.
    """
    voxels = int(np.ceil(reach_mm / min(spacing_kji_mm))) + 1
    return VoxelBox.of_mask(mask).expanded(voxels).intersection(VoxelBox.of_shape(mask.shape)).slices


def has_border(mask: NDArray[np.bool_]) -> bool:
    """True where some voxels are in the mask and some are not."""
    return bool(mask.any() and not mask.all())


def border_voxels(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The voxels on both sides of the border (six neighbours); the image's end is no border."""
    cross = ndimage.generate_binary_structure(3, 1)
    grown = ndimage.binary_dilation(mask, cross)
    return np.asarray(grown & ~ndimage.binary_erosion(mask, cross, border_value=1))


def label_offset_mm(
    label: NDArray[np.bool_], other: NDArray[np.bool_], *, spacing_kji_mm: Spacing, limit_mm: float
) -> float | None:
    """By how much a label's border lies outside another mask's, in mm; None where either has no border.

    The mean of the label's signed distance over the voxels on both sides of the other's border, less the same of the
    other's own, so that equal masks have an offset of 0.

    Args:
        label: (K, J, I).
        other: (K, J, I), what the label is compared with.
        spacing_kji_mm: Voxel size along k, j, i.
        limit_mm: Each voxel counts at most so much: a missing part is no offset.
    """
    if not has_border(label) or not has_border(other):
        return None
    box = box_around(label | other, reach_mm=0.0, spacing_kji_mm=spacing_kji_mm)
    label, other = label[box], other[box]
    at = border_voxels(other)
    theirs = signed_distance_mm(label, spacing_kji_mm=spacing_kji_mm)[at]
    own = signed_distance_mm(other, spacing_kji_mm=spacing_kji_mm)[at]
    return float(np.mean(np.clip(theirs - own, -limit_mm, limit_mm)))
