"""Shapes with an exact inside, and the fraction of each voxel they fill."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from SegAnyPETLib.geometry import Grid, VoxelBox

FloatArray = NDArray[np.float64]

SLAB_VOXELS = 100_000  # so many voxels at once keep the coordinates in the cache: twice as fast as a million


class Shape(Protocol):
    """A solid in LPS mm."""

    @property
    def balls(self) -> tuple[tuple[tuple[float, float, float], float], ...]:
        """Centres and radii in mm of balls that together enclose the shape."""

    def depth_mm(self, x: FloatArray, y: FloatArray, z: FloatArray) -> FloatArray:
        """At least 0 inside, negative outside; its size is a lower bound of the distance to the surface.

        Args:
            x: LPS x of the points in mm; the three may have any shapes that broadcast together.
            y: LPS y.
            z: LPS z.
        """


@dataclass(frozen=True)
class Ellipsoid:
    """An ellipsoid, or with an exponent above 2 a boxier superellipsoid: sum over axes of |u/a|^exponent <= 1.

    Attributes:
        centre_lps_mm: Its centre.
        semi_axes_mm: Half lengths along its own three axes.
        turn_deg: Rotation about LPS x, then y, then z, of its axes.
        exponent: At least 2.
    """

    centre_lps_mm: tuple[float, float, float]
    semi_axes_mm: tuple[float, float, float]
    turn_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)
    exponent: float = 2.0

    @property
    def balls(self) -> tuple[tuple[tuple[float, float, float], float], ...]:
        """One ball around the whole."""
        corner = float(np.linalg.norm(self.semi_axes_mm))
        return ((self.centre_lps_mm, max(self.semi_axes_mm) if self.exponent == 2.0 else corner),)

    @property
    def volume_ml(self) -> float | None:
        """Closed form for an ellipsoid, None for a superellipsoid."""
        return 4 / 3 * np.pi * float(np.prod(self.semi_axes_mm)) / 1000.0 if self.exponent == 2.0 else None

    @cached_property
    def _to_unit(self) -> FloatArray:
        axes = Rotation.from_euler("xyz", self.turn_deg, degrees=True).as_matrix()
        return np.asarray(axes / np.asarray(self.semi_axes_mm))

    def depth_mm(self, x: FloatArray, y: FloatArray, z: FloatArray) -> FloatArray:
        """A step of s mm changes the unit radius by at most s / the smallest semi-axis, which gives the bound."""
        offsets = [value - middle for value, middle in zip((x, y, z), self.centre_lps_mm, strict=True)]
        half = self.exponent / 2
        powers = []
        for own_axis in range(3):
            square = _weighted_sum(self._to_unit[:, own_axis], offsets) ** 2
            powers.append(square if half == 1.0 else square**2 if half == 2.0 else square**half)
        radius = (powers[0] + powers[1] + powers[2]) ** (1 / self.exponent)
        return np.asarray((1.0 - radius) * min(self.semi_axes_mm))


def _weighted_sum(weights: FloatArray, arrays: Sequence[FloatArray]) -> FloatArray:
    """Leaves out what counts nothing: along the world axes, two of three terms, which would only grow the result."""
    terms = [weight * array for weight, array in zip(weights, arrays, strict=True) if abs(weight) > 1e-12]
    total: FloatArray = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def ball(centre_lps_mm: tuple[float, float, float], diameter_mm: float) -> Ellipsoid:
    """A ball."""
    radius = diameter_mm / 2
    return Ellipsoid(centre_lps_mm, (radius, radius, radius))


@dataclass(frozen=True)
class Cluster:
    """Everything that lies in one of `members` and in none of `without`."""

    members: tuple[Shape, ...]
    without: tuple[Shape, ...] = ()

    @property
    def balls(self) -> tuple[tuple[tuple[float, float, float], float], ...]:
        """The balls of all members."""
        return tuple(item for member in self.members for item in member.balls)

    def depth_mm(self, x: FloatArray, y: FloatArray, z: FloatArray) -> FloatArray:
        """The deepest of the members, cut where another shape begins."""
        depth = np.maximum.reduce([member.depth_mm(x, y, z) for member in self.members])
        for other in self.without:
            depth = np.minimum(depth, -other.depth_mm(x, y, z))
        return np.asarray(depth)


def bounding_box(shape: Shape, grid: Grid) -> VoxelBox:
    """A box of voxels of `grid` (possibly empty) outside of which no voxel touches the shape."""
    low, high = np.full(3, np.inf), np.full(3, -np.inf)
    for centre, radius in shape.balls:
        middle = grid.lps_to_kji(centre)
        reach = radius / np.asarray(grid.spacing_kji_mm)
        low, high = np.minimum(low, middle - reach), np.maximum(high, middle + reach)
    start, stop = np.floor(low + 0.5).astype(int), np.floor(high + 0.5).astype(int) + 1
    return VoxelBox(tuple(start), tuple(stop)).intersection(grid.box)


def voxel_fraction(shape: Shape, grid: Grid, *, samples: int) -> tuple[VoxelBox, NDArray[np.float32]]:
    """How much of each voxel the shape fills, 0 to 1.

    Voxels away from the surface are exact; those it may cut are sampled at samples^3 regular points.

    Returns:
        A box of voxels outside of which the fraction is 0, and the fractions (K, J, I) in that box.
    """
    box = bounding_box(shape, grid)
    fraction = np.zeros(box.shape_kji, dtype=np.float32)
    if box.is_empty:
        return box, fraction
    depth = max(1, SLAB_VOXELS // (box.shape_kji[1] * box.shape_kji[2]))
    k, j, i = (np.arange(a, b, dtype=np.float64) for a, b in zip(box.start_kji, box.stop_kji, strict=True))
    for first in range(0, len(k), depth):
        slab = slice(first, first + depth)
        fraction[slab] = _slab_fraction(shape, grid, (k[slab, None, None], j[:, None], i), samples)
    return box, fraction


def _slab_fraction(
    shape: Shape, grid: Grid, kji: tuple[FloatArray, FloatArray, FloatArray], samples: int
) -> NDArray[np.float32]:
    depth = shape.depth_mm(*_world(grid, kji))
    fraction = (depth >= 0).astype(np.float32)
    cut = np.abs(depth) <= np.linalg.norm(grid.spacing_ijk_mm) / 2
    centres = [np.broadcast_to(index, cut.shape)[cut] for index in kji]
    inside = np.zeros(len(centres[0]), dtype=np.int64)
    steps = (np.arange(samples) + 0.5) / samples - 0.5
    for dk, dj, di in product(steps, steps, steps):
        inside += shape.depth_mm(*_world(grid, (centres[0] + dk, centres[1] + dj, centres[2] + di))) >= 0
    fraction[cut] = inside / samples**3
    return fraction


def _world(grid: Grid, kji: tuple[FloatArray, FloatArray, FloatArray]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """LPS coordinates of voxel indices, each no larger than its own axes need."""
    matrix, ijk = grid.ijk_to_lps, kji[::-1]
    x, y, z = (_weighted_sum(matrix[axis, :3], ijk) + matrix[axis, 3] for axis in range(3))
    return x, y, z


def truth_mask(shape: Shape, grid: Grid, *, samples: int = 6) -> tuple[NDArray[np.bool_], float]:
    """Voxels at least half filled by the shape, bool (K, J, I), and the filled volume in ml."""
    box, fraction = voxel_fraction(shape, grid, samples=samples)
    mask = np.zeros(grid.shape_kji, dtype=bool)
    mask[box.slices] = fraction >= 0.5
    return mask, float(fraction.sum(dtype=np.float64)) * grid.voxel_volume_ml


def overlapping(shape: Shape, others: Sequence[Shape]) -> tuple[Shape, ...]:
    """Those of `others` that may overlap `shape`, judged by their enclosing balls."""
    return tuple(
        other
        for other in others
        if any(np.linalg.norm(np.subtract(a, b)) < ra + rb for a, ra in shape.balls for b, rb in other.balls)
    )
