"""The deterministic click protocol: where a careful reader would click first, and next.

A reference mask reaches a method under test only through these clicks. Ties are broken by the smallest
index in K, J, I order, so that the same masks give the same clicks on every machine.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from SegAnyPETLib.errors import GeometryError, PromptError
from SegAnyPETLib.geometry import VoxelBox

BoolArray = NDArray[np.bool_]

NEIGHBOURS_26 = np.ones((3, 3, 3), dtype=bool)
# Equal distances reached along different axes differ in the last bits; this tells rounding from a true difference.
TIE_TOLERANCE = 1e-9


def deepest_voxel(mask: BoolArray, *, spacing_kji_mm: Sequence[float]) -> tuple[int, int, int]:
    """The voxel of `mask` with the largest distance to the border of `mask`.

    The distance runs from voxel centre to the nearest voxel centre outside the mask, in mm. Beyond the
    image nothing belongs to the mask: the image border counts as border.

    Args:
        mask: (K, J, I); true inside.
        spacing_kji_mm: Voxel spacing along K, J, I in mm.

    Returns:
        Index (k, j, i); of several equally deep voxels the one with the smallest index.

    Raises:
        PromptError: The mask is empty: there is nothing to click at.
        GeometryError: The mask is not 3D or a spacing is not positive.
    """
    checked = _checked(mask)
    spacing = _checked_spacing(spacing_kji_mm)
    box = VoxelBox.of_mask(checked)
    if box.is_empty:
        msg = "Expected a mask with at least one voxel; found an empty mask. There is nothing to click at."
        raise PromptError(msg)
    # One layer around the mask's own box holds, for every voxel inside, a nearest voxel outside.
    padded = np.pad(checked[box.slices], 1)
    distance_mm = ndimage.distance_transform_edt(padded, sampling=spacing)
    deepest = np.flatnonzero(distance_mm >= distance_mm.max() * (1.0 - TIE_TOLERANCE))[0]
    k, j, i = (int(index) - 1 for index in np.unravel_index(deepest, padded.shape))
    return k + box.start_kji[0], j + box.start_kji[1], i + box.start_kji[2]


def next_click(
    reference: BoolArray, prediction: BoolArray, *, spacing_kji_mm: Sequence[float]
) -> tuple[tuple[int, int, int], bool] | None:
    """The next click a careful reader would give: into the middle of the largest error.

    Missed voxels (in the reference only) and spurious ones (in the prediction only) are split into
    components of 26 neighbours, separately. The component with most voxels is clicked at its deepest
    voxel. Of components of one size the one that holds the smallest index in K, J, I order is taken.

    Args:
        reference: (K, J, I); what the mask should be.
        prediction: (K, J, I); what it is; may be empty.
        spacing_kji_mm: Voxel spacing along K, J, I in mm.

    Returns:
        Index (k, j, i) and True for a positive click (missed), False for a negative one (spurious);
        None where both masks agree in every voxel.

    Raises:
        GeometryError: The masks are not 3D or differ in shape, or a spacing is not positive.
    """
    wanted, found = _checked(reference), _checked(prediction)
    if wanted.shape != found.shape:
        msg = f"Expected two masks of one shape; found {wanted.shape} and {found.shape}. Resample one of them first."
        raise GeometryError(msg)
    spacing = _checked_spacing(spacing_kji_mm)
    candidates = [
        (*component, positive)
        for component, positive in (
            (_largest_component(wanted & ~found), True),
            (_largest_component(found & ~wanted), False),
        )
        if component is not None
    ]
    if not candidates:
        return None
    _, _, component, positive = min(candidates, key=lambda candidate: candidate[:2])
    return deepest_voxel(component, spacing_kji_mm=spacing), positive


def _largest_component(error: BoolArray) -> tuple[int, int, BoolArray] | None:
    """The largest 26-component as (minus its voxel count, its smallest flat index, mask); None when empty."""
    box = VoxelBox.of_mask(error)
    if box.is_empty:
        return None
    labels, _ = ndimage.label(error[box.slices], structure=NEIGHBOURS_26)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    largest = np.flatnonzero(sizes == sizes.max())
    # The first voxel in flat order of any largest component names the component to take.
    first = np.flatnonzero(np.isin(labels, largest))[0]
    component = np.zeros(error.shape, dtype=bool)
    component[box.slices] = labels == labels.ravel()[first]
    return -int(sizes.max()), int(np.flatnonzero(component)[0]), component


def _checked(mask: BoolArray) -> BoolArray:
    array = np.asarray(mask)
    if array.ndim != 3:
        msg = f"Expected a 3D mask (K, J, I); found {array.ndim} dimensions, shape {array.shape}."
        raise GeometryError(msg)
    return array.astype(bool, copy=False)


def _checked_spacing(spacing_kji_mm: Sequence[float]) -> tuple[float, float, float]:
    spacing = np.asarray(spacing_kji_mm, dtype=np.float64)
    if spacing.shape != (3,) or not (np.isfinite(spacing).all() and (spacing > 0).all()):
        msg = f"Expected three positive spacings in mm, along K, J, I; found {spacing_kji_mm}."
        raise GeometryError(msg)
    return float(spacing[0]), float(spacing[1]), float(spacing[2])
