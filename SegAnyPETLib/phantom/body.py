"""A body-like study: organs and lesions of known shape, blurred on a grid finer than the voxels."""

from __future__ import annotations

from math import ceil

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from SegAnyPETLib.errors import GeometryError
from SegAnyPETLib.geometry import Grid, VoxelBox
from SegAnyPETLib.phantom.anatomy import BODY_PARTS, BodyPart
from SegAnyPETLib.phantom.noise import FWHM_PER_SIGMA, Noise
from SegAnyPETLib.phantom.objects import Phantom, PhantomObject, centred_grid
from SegAnyPETLib.phantom.shapes import Cluster, Ellipsoid, Shape, bounding_box, overlapping, truth_mask, voxel_fraction

Int3 = tuple[int, int, int]

# A Gaussian sampled at this many points per FWHM is band-limited to about 1e-6, so the blur is not aliased.
SAMPLES_PER_FWHM = 2.4


def body_phantom(*, grid: Grid | None = None, fwhm_mm: float = 6.0, noise: Noise | None = None) -> Phantom:
    """An adult from the head to the thighs with thirteen organs and eight lesions.

    The lesions: a lung nodule of 20 mm, an ellipsoid in the liver, a lobulated nodal mass, a thigh mass with a necrotic
    core, one that touches the bladder, one that touches the heart, a cervical node of 10 mm, and one in a vertebra. The
    truth is the shape; the activity is its blur, right to 0.7 % of the local contrast everywhere (0.1 % rms).

    Args:
        grid: Where to sample, any orientation; objects outside are left out. By default the whole body in axial slices,
            188 x 60 x 90 voxels of 4.07 x 4.07 x 5 mm.
        fwhm_mm: Width of the Gaussian point spread.
        noise: Added after blurring; none by default.

    Raises:
        GeometryError: The width is not positive, or no object lies in the grid.
    """
    if not fwhm_mm > 0:
        msg = f"Expected a positive FWHM; found {fwhm_mm} mm."
        raise GeometryError(msg)
    if grid is None:
        grid = centred_grid((188, 60, 90), (4.07, 4.07, 5.0), centre_lps_mm=(0.0, 0.0, -10.0))
    activity = _blurred_activity(grid, fwhm_mm)
    objects = _objects(grid)
    if not objects:
        low, high = grid.bounds_lps_mm
        msg = f"No organ or lesion lies in the grid, which reaches from {low} to {high} mm (LPS); move it."
        raise GeometryError(msg)
    return Phantom(activity if noise is None else noise.added_to(activity, grid=grid), grid, objects, fwhm_mm)


def _objects(grid: Grid) -> tuple[PhantomObject, ...]:
    taken = np.zeros(grid.shape_kji, dtype=bool)  # a voxel shared half and half goes to the later part
    objects = []
    for index in reversed(range(len(BODY_PARTS))):
        part = BODY_PARTS[index]
        if part.kind is None or bounding_box(part.shape, grid).is_empty:
            continue
        later = overlapping(part.shape, [other.shape for other in BODY_PARTS[index + 1 :]])
        region = Cluster((part.shape,), without=later)
        mask, volume_ml = truth_mask(region, grid, samples=6 if part.kind == "lesion" else 3)
        mask &= ~taken
        taken |= mask
        if mask.any():
            objects.append(PhantomObject(part.name, part.kind, mask, _centre(part.shape), part.suv, volume_ml))
    return tuple(reversed(objects))


def _centre(shape: Shape) -> tuple[float, float, float]:
    if isinstance(shape, Ellipsoid):
        return shape.centre_lps_mm
    return shape.balls[0][0]


def _blurred_activity(grid: Grid, fwhm_mm: float) -> NDArray[np.float32]:
    """Paint on a finer grid that reaches beyond the edges, blur there, take the values at the voxel centres."""
    margin = grid.box
    reach = [ceil(1.5 * fwhm_mm / s) for s in grid.spacing_kji_mm]
    padded = VoxelBox(_int3(np.subtract(margin.start_kji, reach)), _int3(np.add(margin.stop_kji, reach)))
    factor = _int3([max(1, ceil(s * SAMPLES_PER_FWHM / fwhm_mm)) for s in grid.spacing_kji_mm])
    fine = _refined(grid.crop(padded), factor)
    values = np.zeros(fine.shape_kji, dtype=np.float32)
    for part in BODY_PARTS:
        _paint(values, fine, part)
    step = np.asarray(fine.spacing_kji_mm)
    # Painting averages over a fine voxel (step^2/12), and an even factor averages two of them (step^2/4): both are
    # part of the point spread already.
    already = step**2 / 12 + np.where(np.asarray(factor) % 2 == 0, step**2 / 4, 0.0)
    sigma = np.sqrt((fwhm_mm / FWHM_PER_SIGMA) ** 2 - already) / step
    ndimage.gaussian_filter(values, sigma, output=values, mode="nearest")
    for axis in range(3):
        values = _at_centres(values, factor[axis], axis)
    inner = tuple(slice(r, r + n) for r, n in zip(reach, grid.shape_kji, strict=True))
    return np.ascontiguousarray(values[inner])


def _refined(grid: Grid, factor_kji: Int3) -> Grid:
    factor = np.asarray(factor_kji)
    first = grid.kji_to_lps((1 / factor - 1) / 2)
    x, y, z = (float(v) for v in first)
    i, j, k = (float(v) for v in np.asarray(grid.spacing_ijk_mm) / factor[::-1])
    return Grid(_int3(np.asarray(grid.shape_kji) * factor), (i, j, k), (x, y, z), grid.direction)


def _paint(values: NDArray[np.float32], grid: Grid, part: BodyPart) -> None:
    layers = [(part.shape, part.suv)] if part.core is None else [(part.shape, part.suv), (part.core, part.core_suv)]
    for shape, suv in layers:
        box, fraction = voxel_fraction(shape, grid, samples=2 if part.kind is None else 4)
        region = values[box.slices]
        region += fraction * (np.float32(suv) - region)


def _at_centres(values: NDArray[np.float32], factor: int, axis: int) -> NDArray[np.float32]:
    def every(first: int) -> NDArray[np.float32]:
        index = [slice(None)] * 3
        index[axis] = slice(first, None, factor)
        return values[tuple(index)]

    middle = factor // 2
    return every(middle) if factor % 2 else (every(middle - 1) + every(middle)) * np.float32(0.5)


def _int3(values: object) -> Int3:
    a, b, c = (int(v) for v in np.asarray(values).ravel())
    return a, b, c
