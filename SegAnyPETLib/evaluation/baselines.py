"""What one click gives without any learning, and what no click at all gives: the floors beside every result.

A method that is not clearly above these has learnt nothing. `ellipsoid` does not even look at the image:
it shows how much the crop of an image gives away.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float32]

NEIGHBOURS_26 = np.ones((3, 3, 3), dtype=bool)
THRESHOLD_FRACTION = 0.41  # of the maximum: Boellaard et al. 2015, EANM FDG guideline 2.0
SEARCH_RADIUS_MM = 20.0  # how far from the click its maximum and its component are looked for
SPHERE_RADIUS_MM = 40.0
CROP_MARGIN_MM = 50.0  # the IBSI crops of the sarcoma cases end 5 cm from the lesion


def threshold_region(values_suv: FloatArray, click_kji: Sequence[int], spacing_kji_mm: Sequence[float]) -> BoolArray:
    """The 41 % threshold region of the click.

    Voxels of at least 41 % of the highest SUV within 20 mm of the click; of their 26-components the one
    nearest to the click. A click into a cold centre thus still finds its hot rim.

    Args:
        values_suv: (K, J, I) in SUV.
        click_kji: The clicked voxel.
        spacing_kji_mm: Voxel spacing along K, J, I in mm.

    Returns:
        (K, J, I); empty where nothing near the click has an uptake above zero.
    """
    distance_mm = distance_from(click_kji, values_suv.shape, spacing_kji_mm)
    maximum = float(values_suv[distance_mm <= SEARCH_RADIUS_MM].max())
    if maximum <= 0:
        return np.zeros(values_suv.shape, dtype=bool)
    above = values_suv >= THRESHOLD_FRACTION * maximum
    labels, _ = ndimage.label(above, structure=NEIGHBOURS_26)
    nearest = np.argmin(np.where(above, distance_mm, np.inf))
    region: BoolArray = labels == labels.flat[nearest]
    return region


def fill_holes(mask: BoolArray) -> BoolArray:
    """`mask` (K, J, I) with its holes filled in 3D, then slice by slice along K, J and I."""
    filled: BoolArray = ndimage.binary_fill_holes(mask)
    for axis in range(3):
        slices = [ndimage.binary_fill_holes(plane) for plane in np.moveaxis(filled, axis, 0)]
        filled = np.moveaxis(np.stack(slices), 0, axis)
    return filled


def ellipsoid(shape_kji: Sequence[int], spacing_kji_mm: Sequence[float], *, margin_mm: float) -> BoolArray:
    """An ellipsoid in the middle of an image of `shape_kji` that ends `margin_mm` from each face.

    Neither the voxels nor the click are looked at. Where the image is smaller than that, a half axis is a
    tenth of the image.
    """
    extent_mm = np.multiply(shape_kji, spacing_kji_mm)
    axes_mm = np.maximum(extent_mm / 2.0 - margin_mm, extent_mm / 10.0)
    centre = (np.asarray(shape_kji) - 1) / 2.0
    return distance_from(centre, shape_kji, np.divide(spacing_kji_mm, axes_mm)) <= 1.0


def crop_margin_mm(cut_faces_mm: float) -> float:
    """The margin a cheater would expect: 50 mm less the mean of a uniform cut of up to `cut_faces_mm`."""
    return CROP_MARGIN_MM - cut_faces_mm / 2.0


def distance_from(
    centre_kji: Sequence[float] | NDArray[np.float64],
    shape_kji: Sequence[int],
    spacing_kji_mm: Sequence[float] | NDArray[np.float64],
) -> NDArray[np.float64]:
    """Distance of every voxel (K, J, I) from a continuous index, in mm."""
    k, j, i = (
        ((np.arange(size) - at) * step) ** 2
        for size, at, step in zip(shape_kji, centre_kji, spacing_kji_mm, strict=True)
    )
    distance_mm: NDArray[np.float64] = np.sqrt(k[:, None, None] + j[None, :, None] + i[None, None, :])
    return distance_mm


def run_baselines(
    values_suv: FloatArray, click_kji: Sequence[int], spacing_kji_mm: Sequence[float], *, margin_mm: float
) -> dict[str, BoolArray]:
    """Every baseline's mask (K, J, I) for one positive click, by name."""
    region = threshold_region(values_suv, click_kji, spacing_kji_mm)
    return {
        "threshold_41_percent": region,
        "threshold_41_percent_filled": fill_holes(region),
        "sphere_40_mm": distance_from(click_kji, values_suv.shape, spacing_kji_mm) <= SPHERE_RADIUS_MM,
        "image_extent_ellipsoid": ellipsoid(values_suv.shape, spacing_kji_mm, margin_mm=margin_mm),
    }
