"""Grids, axes and frames: the one place for geometry.

Arrays are (K, J, I): I runs fastest in memory and along a DICOM row, K over slices. World is LPS in mm
(x to patient left, y to posterior, z to the head), as in DICOM and ITK. Continuous voxel indices have
their integers at voxel centres, so a voxel reaches from -0.5 to +0.5 around its index.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from SegAnyPETLib.errors import GeometryError

FloatArray = NDArray[np.float64]

ORTHOGONALITY_TOLERANCE = 1e-3  # cosine between axes; beyond this a grid is sheared, not merely rounded
LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])  # its own inverse


@dataclass(frozen=True)
class VoxelBox:
    """A half-open box of voxels: start included, stop excluded, both (k, j, i)."""

    start_kji: tuple[int, int, int]
    stop_kji: tuple[int, int, int]

    @classmethod
    def of_shape(cls, shape_kji: Sequence[int]) -> VoxelBox:
        """The box of a whole array of `shape_kji`."""
        return cls((0, 0, 0), _int3(shape_kji))

    @classmethod
    def of_mask(cls, mask: NDArray[np.bool_]) -> VoxelBox:
        """The smallest box around the true voxels of `mask` (K, J, I); empty when there are none."""
        start, stop = [], []
        for axis in range(3):
            others = tuple(a for a in range(3) if a != axis)
            hit = np.flatnonzero(mask.any(axis=others))
            start.append(int(hit[0]) if hit.size else 0)
            stop.append(int(hit[-1]) + 1 if hit.size else 0)
        return cls(_int3(start), _int3(stop))

    @property
    def shape_kji(self) -> tuple[int, int, int]:
        """Number of voxels along k, j, i; zero where the box is empty."""
        return _int3([max(0, b - a) for a, b in zip(self.start_kji, self.stop_kji, strict=True)])

    @property
    def is_empty(self) -> bool:
        """True when the box holds no voxel."""
        return 0 in self.shape_kji

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """Index an array (K, J, I) with this to get the box."""
        k, j, i = (slice(a, b) for a, b in zip(self.start_kji, self.stop_kji, strict=True))
        return k, j, i

    def union(self, other: VoxelBox) -> VoxelBox:
        """The smallest box around both; an empty box adds nothing."""
        if self.is_empty or other.is_empty:
            return other if self.is_empty else self
        return VoxelBox(
            _int3(np.minimum(self.start_kji, other.start_kji)), _int3(np.maximum(self.stop_kji, other.stop_kji))
        )

    def intersection(self, other: VoxelBox) -> VoxelBox:
        """The voxels in both; empty when they do not meet."""
        start = np.maximum(self.start_kji, other.start_kji)
        return VoxelBox(_int3(start), _int3(np.maximum(start, np.minimum(self.stop_kji, other.stop_kji))))

    def expanded(self, voxels: int) -> VoxelBox:
        """Grown by `voxels` on every face (shrunk when negative)."""
        return VoxelBox(_int3(np.subtract(self.start_kji, voxels)), _int3(np.add(self.stop_kji, voxels)))

    def shifted(self, offset_kji: Sequence[int]) -> VoxelBox:
        """Moved by `offset_kji` voxels."""
        return VoxelBox(_int3(np.add(self.start_kji, offset_kji)), _int3(np.add(self.stop_kji, offset_kji)))


@dataclass(frozen=True)
class Grid:
    """Where the voxels of an array (K, J, I) lie in the patient.

    Attributes:
        shape_kji: Number of voxels along k, j, i.
        spacing_ijk_mm: Distance between voxel centres along i, j, k, positive.
        origin_lps_mm: Centre of voxel (0, 0, 0).
        direction: 3 x 3 rows; column n is the LPS unit vector of axis i, j, k (as in ITK).

    Raises:
        GeometryError: A size or spacing is not positive and finite, or the axes are not orthonormal.
    """

    shape_kji: tuple[int, int, int]
    spacing_ijk_mm: tuple[float, float, float]
    origin_lps_mm: tuple[float, float, float]
    direction: tuple[tuple[float, float, float], ...] = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape_kji", _int3(self.shape_kji))
        object.__setattr__(self, "spacing_ijk_mm", _float3(self.spacing_ijk_mm))
        object.__setattr__(self, "origin_lps_mm", _float3(self.origin_lps_mm))
        direction = np.asarray(self.direction, dtype=np.float64)
        if direction.shape != (3, 3) or not np.isfinite(direction).all():
            msg = f"Expected a finite 3 x 3 direction matrix; found shape {direction.shape}: {direction.tolist()}."
            raise GeometryError(msg)
        object.__setattr__(self, "direction", tuple(_float3(row) for row in direction))
        if min(self.shape_kji) < 1:
            msg = f"Expected at least one voxel along each axis; found shape (K, J, I) = {self.shape_kji}."
            raise GeometryError(msg)
        spacing = np.asarray(self.spacing_ijk_mm)
        if not (np.isfinite(spacing).all() and (spacing > 0).all() and np.isfinite(self.origin_lps_mm).all()):
            msg = (
                f"Expected finite positive spacing and a finite origin; found spacing {self.spacing_ijk_mm} mm, "
                f"origin {self.origin_lps_mm} mm."
            )
            raise GeometryError(msg)
        if np.abs(direction.T @ direction - np.eye(3)).max() > ORTHOGONALITY_TOLERANCE:
            msg = (
                f"Expected perpendicular unit axes; found direction {direction.tolist()}. "
                "Resample the image to a grid without shear first."
            )
            raise GeometryError(msg)

    @classmethod
    def from_ijk_to_lps(cls, ijk_to_lps: ArrayLike, *, shape_kji: Sequence[int]) -> Grid:
        """Build a grid from the 4 x 4 matrix that takes (i, j, k, 1) to LPS mm."""
        matrix = np.asarray(ijk_to_lps, dtype=np.float64)
        if matrix.shape != (4, 4):
            msg = f"Expected a 4 x 4 matrix from (i, j, k, 1) to LPS mm; found shape {matrix.shape}."
            raise GeometryError(msg)
        spacing = np.linalg.norm(matrix[:3, :3], axis=0)
        if not (spacing > 0).all():
            msg = f"Expected three independent axes; found spacing {spacing.tolist()} mm."
            raise GeometryError(msg)
        direction = tuple(_float3(row) for row in matrix[:3, :3] / spacing)
        return cls(_int3(shape_kji), _float3(spacing), _float3(matrix[:3, 3]), direction)

    @cached_property
    def ijk_to_lps(self) -> FloatArray:
        """4 x 4 matrix that takes (i, j, k, 1) to LPS mm. Treat as read-only."""
        matrix = np.eye(4)
        matrix[:3, :3] = np.asarray(self.direction) * np.asarray(self.spacing_ijk_mm)
        matrix[:3, 3] = self.origin_lps_mm
        matrix.setflags(write=False)
        return matrix

    @cached_property
    def lps_to_ijk(self) -> FloatArray:
        """Inverse of `ijk_to_lps`. Treat as read-only."""
        matrix = np.asarray(np.linalg.inv(self.ijk_to_lps), dtype=np.float64)
        matrix.setflags(write=False)
        return matrix

    @property
    def spacing_kji_mm(self) -> tuple[float, float, float]:
        """Spacing in the order of the array axes."""
        return self.spacing_ijk_mm[2], self.spacing_ijk_mm[1], self.spacing_ijk_mm[0]

    @property
    def voxel_volume_ml(self) -> float:
        """Volume of one voxel in ml."""
        return float(np.prod(self.spacing_ijk_mm)) / 1000.0

    @property
    def box(self) -> VoxelBox:
        """The box of all voxels."""
        return VoxelBox.of_shape(self.shape_kji)

    def lps_to_kji(self, points_lps_mm: ArrayLike) -> FloatArray:
        """Continuous voxel indices (..., 3) as (k, j, i) of points (..., 3) in LPS mm."""
        points = np.asarray(points_lps_mm, dtype=np.float64)
        return (points @ self.lps_to_ijk[:3, :3].T + self.lps_to_ijk[:3, 3])[..., ::-1]

    def kji_to_lps(self, points_kji: ArrayLike) -> FloatArray:
        """LPS mm (..., 3) of continuous voxel indices (..., 3) as (k, j, i)."""
        points = np.asarray(points_kji, dtype=np.float64)[..., ::-1]
        return points @ self.ijk_to_lps[:3, :3].T + self.ijk_to_lps[:3, 3]

    def contains_kji(self, point_kji: ArrayLike) -> bool:
        """True when the continuous index lies in the image, half a voxel around the outer centres included."""
        point = np.asarray(point_kji, dtype=np.float64)
        return bool((point >= -0.5).all() and (point <= np.asarray(self.shape_kji) - 0.5).all())

    def nearest_voxel_kji(self, point_lps_mm: ArrayLike) -> tuple[int, int, int]:
        """Index of the voxel that holds the point.

        Raises:
            GeometryError: The point lies outside the image.
        """
        kji = self.lps_to_kji(point_lps_mm)
        if not self.contains_kji(kji):
            low, high = self.bounds_lps_mm
            msg = (
                f"Point {tuple(np.round(np.asarray(point_lps_mm, dtype=float), 2).tolist())} mm (LPS) lies outside the "
                f"image, which reaches from {low} to {high} mm."
            )
            raise GeometryError(msg)
        return _int3(np.clip(np.floor(kji + 0.5), 0, np.asarray(self.shape_kji) - 1))

    @property
    def bounds_lps_mm(self) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
        """Lowest and highest LPS coordinate of the voxel centres, rounded to 0.1 mm, for messages."""
        corners = np.stack(np.meshgrid(*[(0, n - 1) for n in self.shape_kji], indexing="ij"), axis=-1).reshape(-1, 3)
        lps = self.kji_to_lps(corners)
        return _float3(np.round(lps.min(axis=0), 1)), _float3(np.round(lps.max(axis=0), 1))

    def crop(self, box: VoxelBox) -> Grid:
        """The grid of the voxels in `box`, which may reach beyond the image (the grid is then extended)."""
        if box.is_empty:
            msg = f"Expected a box with voxels; found {box}."
            raise GeometryError(msg)
        origin = self.kji_to_lps(box.start_kji)
        return Grid(box.shape_kji, self.spacing_ijk_mm, _float3(origin), self.direction)

    def is_close(self, other: Grid, *, tolerance_mm: float = 1e-3) -> bool:
        """True when both have the same shape and every corner agrees within `tolerance_mm`."""
        if self.shape_kji != other.shape_kji:
            return False
        corners = np.stack(np.meshgrid(*[(0, n - 1) for n in self.shape_kji], indexing="ij"), axis=-1).reshape(-1, 3)
        return bool(np.abs(self.kji_to_lps(corners) - other.kji_to_lps(corners)).max() <= tolerance_mm)


def _int3(values: ArrayLike) -> tuple[int, int, int]:
    a, b, c = (int(v) for v in np.asarray(values).ravel())
    return a, b, c


def _float3(values: ArrayLike) -> tuple[float, float, float]:
    a, b, c = (float(v) for v in np.asarray(values).ravel())
    return a, b, c
