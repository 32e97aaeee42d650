"""Planes and projections of a volume on any grid, laid out as radiologists look at them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from SegAnyPETLib.geometry import Grid

FloatImage = NDArray[np.float32]
Float3 = tuple[float, float, float]

ALIGNED_COSINE = 1 - 1e-7  # beyond 0.026 degrees an axis counts as oblique, half a millimetre at one metre
MOST_PIXELS = 400  # along each axis of a resampled projection


@dataclass(frozen=True)
class View:
    """How a plane is shown.

    Attributes:
        name: What radiologists call it.
        across: LPS axis from left to right on the screen, increasing.
        up: LPS axis along the height of the screen.
        is_up_decreasing: True where the axis decreases from bottom to top.
        normal: LPS axis through the screen.
        letters: What lies left, right, top and bottom on the screen.
    """

    name: str
    across: int
    up: int
    is_up_decreasing: bool
    normal: int
    letters: tuple[str, str, str, str]


AXIAL = View("axial", 0, 1, True, 2, ("R", "L", "A", "P"))  # seen from the feet
CORONAL = View("coronal", 0, 2, False, 1, ("R", "L", "H", "F"))  # seen from the front
SAGITTAL = View("sagittal", 1, 2, False, 0, ("A", "P", "H", "F"))  # seen from the left


@dataclass(frozen=True)
class FlatImage:
    """An image in a plane of the world.

    Attributes:
        pixels: Float32, rows along `up` from its lowest coordinate, columns along `across`.
        extent_mm: Outer edges: across low, across high, up low, up high.
    """

    pixels: FloatImage
    extent_mm: tuple[float, float, float, float]


def sample_plane(
    array: NDArray[np.float32], grid: Grid, view: View, *, centre_lps_mm: Float3, half_size_mm: float, step_mm: float
) -> FlatImage:
    """Linear interpolation on a square plane through `centre_lps_mm`; 0 outside the image.

    Args:
        array: (K, J, I); a mask may be given as 0 and 1, its border is then at 0.5.
        grid: Where `array` lies; any orientation.
        view: Which plane.
        centre_lps_mm: The middle of the square.
        half_size_mm: Half its side.
        step_mm: Distance between samples.
    """
    count = max(2, round(2 * half_size_mm / step_mm))
    offsets = ((np.arange(count) + 0.5) / count - 0.5) * 2 * half_size_mm
    points = np.empty((count, count, 3))
    points[...] = centre_lps_mm
    points[..., view.across] += offsets[None, :]
    points[..., view.up] += offsets[:, None]
    index = np.moveaxis(grid.lps_to_kji(points), -1, 0)
    pixels = ndimage.map_coordinates(array, index, order=1, mode="constant", cval=0.0, output=np.float32)
    across, up = centre_lps_mm[view.across], centre_lps_mm[view.up]
    extent = (across - half_size_mm, across + half_size_mm, up - half_size_mm, up + half_size_mm)
    return FlatImage(np.asarray(pixels), extent)


def project_maximum(array: NDArray[np.float32], grid: Grid, view: View) -> FlatImage:
    """Maximum along the normal of `view`: exact for grids along the world axes, else of a linear resampling."""
    order = _world_axes(grid)
    if order is None:
        array, grid = _resampled_to_world(array, grid)
        order = (0, 1, 2)
    # Array axis of LPS axis a: ijk axis n is array axis 2 - n.
    axis = {a: 2 - n for n, a in enumerate(order)}
    flat = array.max(axis=axis[view.normal])
    if axis[view.up] > axis[view.across]:
        flat = flat.T
    direction, spacing = np.asarray(grid.direction), grid.spacing_ijk_mm
    extent: list[float] = []
    for a, flat_axis in ((view.across, 1), (view.up, 0)):
        n = 2 - axis[a]
        first = float(grid.origin_lps_mm[a])
        last = first + float(direction[a, n]) * spacing[n] * (grid.shape_kji[axis[a]] - 1)
        if direction[a, n] < 0:
            flat = np.flip(flat, flat_axis)
        extent += [min(first, last) - spacing[n] / 2, max(first, last) + spacing[n] / 2]
    return FlatImage(np.ascontiguousarray(flat, dtype=np.float32), (extent[0], extent[1], extent[2], extent[3]))


def _world_axes(grid: Grid) -> tuple[int, int, int] | None:
    """The LPS axis along which i, j and k run, up to sign; None for an oblique grid."""
    direction = np.abs(np.asarray(grid.direction))
    if (direction.max(axis=0) < ALIGNED_COSINE).any():
        return None
    i, j, k = (int(n) for n in direction.argmax(axis=0))
    return i, j, k


def _resampled_to_world(array: NDArray[np.float32], grid: Grid) -> tuple[FloatImage, Grid]:
    corners = np.stack(np.meshgrid(*[(0, n - 1) for n in grid.shape_kji], indexing="ij"), axis=-1).reshape(-1, 3)
    lps = grid.kji_to_lps(corners)
    low, high = lps.min(axis=0), lps.max(axis=0)
    step = np.maximum(min(grid.spacing_ijk_mm), (high - low) / MOST_PIXELS)
    shape = np.ceil((high - low) / step).astype(int) + 1
    world = Grid((shape[2], shape[1], shape[0]), (step[0], step[1], step[2]), (low[0], low[1], low[2]))
    matrix = grid.lps_to_ijk @ world.ijk_to_lps
    # The same map for (k, j, i): both orders reversed.
    turned = matrix[:3, :3][::-1, ::-1]
    result = ndimage.affine_transform(
        array, turned, offset=matrix[:3, 3][::-1], output_shape=world.shape_kji, order=1, output=np.float32
    )
    return np.asarray(result), world
