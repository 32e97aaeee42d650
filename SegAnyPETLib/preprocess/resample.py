"""Linear resampling between the image's grid and a region, in both directions.

Only the needed part of the source is copied. A voxel reaches half its spacing around its centre: within the
outermost half voxel the border value holds, beyond it the value is the stated outside value.
"""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk  # noqa: N813  the name everybody knows it by
from numpy.typing import NDArray

from SegAnyPETLib.errors import GeometryError
from SegAnyPETLib.geometry import Grid, VoxelBox
from SegAnyPETLib.preprocess.region import Region

FloatVolume = NDArray[np.float32]

BORDER = 1e-6  # voxels
FINER_BY = 2.0  # from this ratio of spacings on, the image is averaged before it is sampled


def resample_to_region(array: FloatVolume, grid: Grid, region: Region) -> FloatVolume:
    """Sample an image on a region, linearly; zero outside the image.

    Along every image axis whose spacing is at most half the region's, whole groups of voxels are averaged first
    (as many as fit into one region voxel), against aliasing: noise of a fine grid would else be picked up voxel
    by voxel. Groups start at index 0 of the image, so the same voxel falls into the same group for every region.
    Coarser images are sampled as they are, like the reference networks were trained.

    Args:
        array: (K, J, I) on `grid`; read only, never copied whole.
        grid: Grid of `array`.
        region: Where to sample.

    Returns:
        (D, H, W) float32, a new array.

    Raises:
        GeometryError: `array` does not have the shape of `grid`.
    """
    _check_shape(array, grid)
    per_k, per_j, per_i = (max(1, int(region.spacing_mm / s + 1e-6)) for s in grid.spacing_kji_mm)
    factors = per_k, per_j, per_i
    if max(factors) < FINER_BY:
        return resample_linear(array, grid, region.grid, outside=0.0)
    needed = _needed_box(region.grid, grid)
    if needed.is_empty:
        return np.zeros(region.shape, dtype=np.float32)
    averaged, coarse = average_groups(array, grid, needed, factors)
    sampled = resample_linear(averaged, coarse, region.grid, outside=0.0)
    if any(n % f for n, f in zip(grid.shape_kji, factors, strict=True)):
        sampled[~voxels_inside(region.grid, grid)] = 0.0  # the last group reaches beyond the image
    return sampled


def resample_from_region(
    values: FloatVolume, region: Region, grid: Grid, *, box: VoxelBox, outside: float
) -> FloatVolume:
    """Sample values that fill a region on a box of the image's grid, linearly.

    Args:
        values: (d, h, w) spread evenly over the region: its own shape, or a coarser one such as mask logits.
        region: The region they fill.
        grid: The image's grid.
        box: Voxels of `grid` wanted; not empty.
        outside: The value of voxels outside the region.

    Returns:
        Float32 array of the box's shape.
    """
    return resample_linear(values, region.grid_of(values.shape), grid.crop(box), outside=outside)


def resample_linear(array: FloatVolume, source: Grid, target: Grid, *, outside: float) -> FloatVolume:
    """Sample `array`, given on `source`, at the voxel centres of `target`, linearly, as float32.

    Raises:
        GeometryError: `array` does not have the shape of `source`.
    """
    _check_shape(array, source)
    needed = _needed_box(target, source)
    if needed.is_empty:
        return np.full(target.shape_kji, outside, dtype=np.float32)
    cropped = np.ascontiguousarray(array[needed.slices], dtype=np.float32)
    image = _to_sitk(cropped, source.crop(needed))
    resampler = sitk.ResampleImageFilter()
    resampler.SetSize(target.shape_kji[::-1])
    resampler.SetOutputSpacing(target.spacing_ijk_mm)
    resampler.SetOutputOrigin(target.origin_lps_mm)
    resampler.SetOutputDirection(np.asarray(target.direction).ravel().tolist())
    resampler.SetInterpolator(sitk.sitkLinear)
    resampler.SetDefaultPixelValue(float(outside))
    return np.asarray(sitk.GetArrayFromImage(resampler.Execute(image)), dtype=np.float32)


def _needed_box(target: Grid, source: Grid) -> VoxelBox:
    """Voxels of `source` that sampling on `target` can touch, their neighbours included."""
    last = np.asarray(target.shape_kji) - 1.0
    corners = np.stack(np.meshgrid(*[(0.0, n) for n in last], indexing="ij"), axis=-1).reshape(-1, 3)
    kji = source.lps_to_kji(target.kji_to_lps(corners))
    start = np.floor(kji.min(axis=0)).astype(int) - 1
    stop = np.ceil(kji.max(axis=0)).astype(int) + 2
    return VoxelBox(tuple(start), tuple(stop)).intersection(source.box)


def averaging_factors(source: Grid, target: Grid) -> tuple[int, int, int]:
    """How many voxels of `source` to average along k, j and i before sampling on `target`, against aliasing.

    As many as fit into the longest step that one voxel of `target` makes along that axis; 1 where it is coarser.
    """
    steps = np.abs(source.lps_to_ijk[:3, :3] @ target.ijk_to_lps[:3, :3]).max(axis=1)
    per_i, per_j, per_k = (max(1, int(step + 1e-6)) for step in steps)
    return per_k, per_j, per_i


def average_groups(
    array: FloatVolume, grid: Grid, needed: VoxelBox, factors: tuple[int, int, int]
) -> tuple[FloatVolume, Grid]:
    """Mean of groups of `factors` voxels around `needed`, and their grid; an unfinished last group repeats its edge."""
    f = np.asarray(factors)
    start = (np.asarray(needed.start_kji) // f - 1).clip(min=0) * f
    groups = -(-(np.asarray(needed.stop_kji) - start) // f) + 1
    stop = np.minimum(start + groups * f, grid.shape_kji)
    groups = -(-(stop - start) // f)
    crop = array[VoxelBox(tuple(start), tuple(stop)).slices]
    missing = groups * f - (stop - start)
    if missing.any():
        crop = np.pad(crop, [(0, int(m)) for m in missing], mode="edge")
    for axis in (2, 1, 0):
        shape = list(crop.shape)
        shape[axis : axis + 1] = [int(groups[axis]), factors[axis]]
        crop = crop.reshape(shape).mean(axis=axis + 1, dtype=np.float32) if factors[axis] > 1 else crop
    spacing = np.asarray(grid.spacing_kji_mm) * f
    origin = grid.kji_to_lps(start + (f - 1) / 2)
    return crop, Grid(crop.shape, tuple(spacing[::-1]), tuple(origin), grid.direction)


def voxels_inside(target: Grid, source: Grid) -> NDArray[np.bool_]:
    """Which voxel centres of `target` lie in the image of `source`, (K, J, I) of `target`.

    Centres on the image's very border count as outside, because rounding decides what the resampler does there.
    """
    step = source.lps_to_ijk[:3, :3] @ target.ijk_to_lps[:3, :3]
    first = source.lps_to_kji(target.origin_lps_mm)
    inside = np.ones(target.shape_kji, dtype=bool)
    k, j, i = (np.arange(n, dtype=np.float64) for n in target.shape_kji)
    for axis in range(3):
        per_i, per_j, per_k = step[2 - axis]
        index = first[axis] + (k * per_k)[:, None, None] + (j * per_j)[None, :, None] + (i * per_i)[None, None, :]
        inside &= (index > BORDER - 0.5) & (index < source.shape_kji[axis] - 0.5 - BORDER)
    return inside


def _to_sitk(array: FloatVolume, grid: Grid) -> sitk.Image:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(grid.spacing_ijk_mm)
    image.SetOrigin(grid.origin_lps_mm)
    image.SetDirection(np.asarray(grid.direction).ravel().tolist())
    return image


def _check_shape(array: FloatVolume, grid: Grid) -> None:
    if array.shape != grid.shape_kji:
        msg = f"Expected an array of the grid's shape {grid.shape_kji}; found {array.shape}. Check the axis order."
        raise GeometryError(msg)
