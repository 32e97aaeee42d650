"""Masks that lie on planes of their own, taken onto a grid: each voxel takes the pixel its centre lies in.

Where the pixels' centres are voxel centres (the same grid, a part of it, a flipped or turned one) this is exact.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from SegAnyPETLib.data.planes import EXPORT_AGAIN, Plane
from SegAnyPETLib.data.slice_stack import COSINE_TOLERANCE, LEAST_POSITION_TOLERANCE_MM, SPACING_TOLERANCE_MM
from SegAnyPETLib.errors import InconsistentSeriesError
from SegAnyPETLib.geometry import Grid, VoxelBox

MISPLACED = 0.1  # of the distance between planes: a plane farther from an even place belongs to no even stack
EXACT = 0.05  # of a voxel: centres nearer than this coincide; real slices are not quite evenly spaced
_ROUNDING = 1e-6  # of a pixel: a centre on the border of two pixels must not fall to either by a rounding error


@dataclass(frozen=True)
class PlaneStack:
    """Parallel planes with even distances, of which many may be missing.

    Attributes:
        first: The lowest plane along the normal.
        distance_mm: Between neighbouring places.
        places: For each plane, in the order given, its place above the first: a whole number.
        offsets_ji: For each plane how many pixels (n, 2) its first pixel lies from that of `first`, in the plane.
    """

    first: Plane
    distance_mm: float
    places: tuple[int, ...]
    offsets_ji: NDArray[np.float64]

    @property
    def grid(self) -> Grid:
        """The grid of which the planes are slices, or parts of them."""
        rows, columns = self.first.shape_ji
        matrix = np.eye(4)
        along_i, along_j = self.first.spacing_ij_mm
        matrix[:3, 0] = np.multiply(self.first.row_axis, along_i)
        matrix[:3, 1] = np.multiply(self.first.column_axis, along_j)
        matrix[:3, 2] = self.first.normal * self.distance_mm
        matrix[:3, 3] = self.first.position_lps_mm
        return Grid.from_ijk_to_lps(matrix, shape_kji=(max(self.places) + 1, rows, columns))

    def is_exact_on(self, grid: Grid) -> bool:
        """True when every pixel centre is the centre of a voxel of `grid`, or would be if it went on."""
        mine = self.grid
        matrix = grid.lps_to_ijk @ mine.ijk_to_lps
        steps = np.round(matrix[:3, :3])
        if not np.array_equal(np.sort(np.abs(steps), axis=0), [[0, 0, 0], [0, 0, 0], [1, 1, 1]]):
            return False
        drift = np.abs(matrix[:3, :3] - steps) @ np.asarray(mine.shape_kji[::-1])
        start = np.abs(matrix[:3, 3] - np.round(matrix[:3, 3]))
        sideways = np.abs(self.offsets_ji - np.round(self.offsets_ji)).max(initial=0.0)
        return bool((drift + start).max() + sideways < EXACT)


def stack_with_gaps(planes: Sequence[Plane], *, grid: Grid, distance_mm: float | None) -> PlaneStack:
    """Find the even stack that planes belong to of which many are missing or occur again.

    Args:
        planes: At least one.
        grid: Of the image; planes on its slices have its distance, unless the file says theirs is a larger one.
        distance_mm: What the file says of the distance between slices; believed only where the planes agree with it.

    Raises:
        InconsistentSeriesError: The planes differ in size, spacing, orientation or frame of reference, or do not lie
            at even distances.
    """
    first = planes[0]
    for plane in planes[1:]:
        _check_like(first, plane)
    positions = np.array([plane.position_lps_mm for plane in planes])
    heights = positions @ first.normal
    lowest = int(np.argmin(heights))
    heights = heights - heights[lowest]
    on_slices_mm = _distance_of_slices(first, positions, grid)
    distance = _distance_between(heights, distance_mm, on_slices_mm) or max(first.spacing_ij_mm)
    top = float(heights.max())
    distance = top / round(top / distance) if round(top / distance) else distance  # the mean is the better one
    along_i, along_j = first.spacing_ij_mm
    shifts = positions - positions[lowest]
    offsets = np.stack([shifts @ first.column_axis / along_j, shifts @ first.row_axis / along_i], axis=-1)
    places = tuple(round(height / distance) for height in heights.tolist())
    return PlaneStack(planes[lowest], distance, places, offsets)


def sample_frames(
    stack: PlaneStack, frames: Mapping[int, Iterable[tuple[int, NDArray[np.uint8]]]], *, grid: Grid
) -> dict[int, NDArray[np.bool_]]:
    """The masks on `grid`.

    Args:
        stack: Where the planes lie.
        frames: For each mask its pixels: the number of the plane in the stack, and the plane packed by `np.packbits`.
        grid: Where the masks shall lie.

    Returns:
        For each key of `frames` a mask (K, J, I), which may be empty.
    """
    masks = {number: np.zeros(grid.shape_kji, dtype=bool) for number in frames}
    by_place: dict[int, list[tuple[int, int, NDArray[np.uint8]]]] = {}
    for number, planes in frames.items():
        for n, packed in planes:
            by_place.setdefault(stack.places[n], []).append((number, n, packed))
    box = _box_around(stack, grid)
    if box.is_empty:
        return masks
    mine = stack.grid
    (k0, j0, i0), (k1, j1, i1) = box.start_kji, box.stop_kji
    plane_ji = np.stack(np.meshgrid(np.arange(j0, j1), np.arange(i0, i1), indexing="ij"), axis=-1)
    for k in range(k0, k1):
        points = np.concatenate([np.full((*plane_ji.shape[:2], 1), k), plane_ji], axis=-1)
        source = mine.lps_to_kji(grid.kji_to_lps(points))
        place = _nearest(source[..., 0])
        for at in np.unique(place).tolist():
            here = place == at
            for number, n, packed in by_place.get(at, ()):
                inside = _pixels_at(packed, source[here][:, 1:] - stack.offsets_ji[n], stack.first.shape_ji)
                masks[number][k, j0:j1, i0:i1][here] |= inside
    return masks


def _box_around(stack: PlaneStack, grid: Grid) -> VoxelBox:
    """Voxels that a pixel may reach."""
    rows, columns = stack.first.shape_ji
    low = np.concatenate([[0.0], stack.offsets_ji.min(axis=0)]) - 0.5
    farthest = np.add(stack.offsets_ji.max(axis=0), (rows - 1, columns - 1))
    high = np.concatenate([[float(max(stack.places))], farthest]) + 0.5
    corners = np.stack(np.meshgrid(*zip(low, high, strict=True), indexing="ij"), axis=-1).reshape(-1, 3)
    reached = grid.lps_to_kji(stack.grid.kji_to_lps(corners))
    start, stop = np.floor(reached.min(axis=0)).astype(int), np.ceil(reached.max(axis=0)).astype(int) + 1
    return VoxelBox(_three(start), _three(stop)).intersection(grid.box)


def _three(values: NDArray[np.int_]) -> tuple[int, int, int]:
    k, j, i = values.tolist()
    return k, j, i


def _nearest(index: NDArray[np.float64]) -> NDArray[np.int_]:
    return np.floor(index + 0.5 + _ROUNDING).astype(int)


def _pixels_at(
    packed: NDArray[np.uint8], index_ji: NDArray[np.float64], shape_ji: tuple[int, int]
) -> NDArray[np.bool_]:
    rows, columns = shape_ji
    j, i = _nearest(index_ji).T
    is_inside = (j >= 0) & (j < rows) & (i >= 0) & (i < columns)
    flat = np.where(is_inside, j * columns + i, 0)
    bits = packed[flat >> 3] >> (7 - (flat & 7)) & 1
    return np.asarray(is_inside & (bits == 1))


def _check_like(first: Plane, other: Plane) -> None:
    turned = max(
        np.abs(np.subtract(first.row_axis, other.row_axis)).max(),
        np.abs(np.subtract(first.column_axis, other.column_axis)).max(),
    )
    stretched = np.abs(np.subtract(first.spacing_ij_mm, other.spacing_ij_mm)).max()
    if (
        turned > COSINE_TOLERANCE
        or stretched > SPACING_TOLERANCE_MM
        or first.shape_ji != other.shape_ji
        or first.frame_of_reference != other.frame_of_reference
    ):
        msg = (
            f"Expected frames of one size, pixel spacing, orientation and frame of reference; {first.name} and "
            f"{other.name} differ. {EXPORT_AGAIN}"
        )
        raise InconsistentSeriesError(msg)


def _distance_of_slices(plane: Plane, positions: NDArray[np.float64], grid: Grid) -> float | None:
    """The slice distance of `grid` where the planes lie on its slices, else None."""
    is_parallel = abs(plane.normal @ np.asarray(grid.direction)[:, 2]) > 1 - COSINE_TOLERANCE**2
    k = grid.lps_to_kji(positions)[:, 0]
    return grid.spacing_ijk_mm[2] if is_parallel and np.abs(k - np.round(k)).max() <= MISPLACED else None


def _distance_between(heights: NDArray[np.float64], said_mm: float | None, on_slices_mm: float | None) -> float | None:
    steps = np.diff(np.sort(heights))
    steps = steps[steps > LEAST_POSITION_TOLERANCE_MM]
    if not steps.size:
        return said_mm if said_mm is not None and said_mm > 0 else on_slices_mm
    least = float(steps.min())
    is_said = said_mm is not None and abs(said_mm - least) <= LEAST_POSITION_TOLERANCE_MM
    for distance in (least if is_said else on_slices_mm, said_mm, least):
        if distance is None or distance <= LEAST_POSITION_TOLERANCE_MM:
            continue
        places = heights / distance
        if np.abs(places - np.round(places)).max() <= MISPLACED:
            return distance
    msg = (
        f"Expected frames at even distances; the distances between them are {np.round(np.unique(steps)[:5], 3)} mm. "
        "Resample the segmentation to an evenly spaced image first."
    )
    raise InconsistentSeriesError(msg)
