"""The region a network sees: a cube-like grid of equal spacing, aligned to the world axes.

A region is described by an ordinary `Grid` whose (K, J, I) are the tensor's (D, H, W). The order and the signs
of the tensor axes live in that grid's direction matrix alone, so nothing is ever transposed or flipped by hand:
resampling onto the grid makes the tensor, resampling from it brings the answer back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from SegAnyPETLib.errors import GeometryError, ModelError
from SegAnyPETLib.geometry import Grid, VoxelBox

TensorAxes = Literal["kji_lps", "ijk_ras"]

LATTICE_VOXELS = 4  # centres lie on multiples of this, so that nearby requests share one region
MICROMETRE_MM = 1e-3

# Columns are the LPS directions of the grid's i, j, k, that is of the tensor's W, H, D.
_DIRECTIONS = {
    "kji_lps": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
    "ijk_ras": ((0.0, 0.0, -1.0), (0.0, -1.0, 0.0), (1.0, 0.0, 0.0)),
}


def tensor_direction(tensor_axes: TensorAxes) -> tuple[tuple[float, float, float], ...]:
    """Direction matrix of the grid whose (K, J, I) are the tensor's (D, H, W).

    `kji_lps`: D, H, W run along world +z, +y, +x. `ijk_ras`: D, H, W run along RAS +x, +y, +z, that is LPS -x,
    -y, +z; this is how torchio's canonical orientation hands volumes to SAM-Med3D and SegAnyPET.

    Raises:
        ModelError: No tensor order has that name.
    """
    if tensor_axes not in _DIRECTIONS:
        msg = f"Expected tensor axes out of {get_args(TensorAxes)}; found {tensor_axes!r}. Check the model's entry."
        raise ModelError(msg)
    return _DIRECTIONS[tensor_axes]


@dataclass(frozen=True)
class Region:
    """One placement of the network's input in the patient.

    Attributes:
        centre_lps_mm: Centre of the region (between voxels where a size is even), rounded to 1 micrometre.
        shape: Voxels along the tensor's D, H, W.
        spacing_mm: Edge of the isotropic voxels.
        tensor_axes: Where D, H, W point; see `tensor_direction`.
    """

    centre_lps_mm: tuple[float, float, float]
    shape: tuple[int, int, int]
    spacing_mm: float
    tensor_axes: TensorAxes

    def __post_init__(self) -> None:
        centre = np.asarray(self.centre_lps_mm, dtype=np.float64)
        if centre.shape != (3,) or not np.isfinite(centre).all():
            msg = f"Expected a finite centre (x, y, z) in LPS mm; found {self.centre_lps_mm}."
            raise GeometryError(msg)
        # Equal regions must be equal keys, whatever sum of shifts led to them; + 0.0 turns -0.0 into 0.0.
        x, y, z = (float(c) + 0.0 for c in np.round(centre / MICROMETRE_MM) * MICROMETRE_MM)
        object.__setattr__(self, "centre_lps_mm", (round(x, 3) + 0.0, round(y, 3) + 0.0, round(z, 3) + 0.0))
        tensor_direction(self.tensor_axes)

    @classmethod
    def around(
        cls, point_lps_mm: ArrayLike, *, shape: Sequence[int], spacing_mm: float, tensor_axes: TensorAxes
    ) -> Region:
        """The region centred on the lattice point nearest to `point_lps_mm`.

        The lattice has `LATTICE_VOXELS` voxels between its points and starts at the world's origin. The point is
        therefore at most half of that from the centre, along each axis.
        """
        pitch = LATTICE_VOXELS * spacing_mm
        x, y, z = (float(c) for c in np.floor(np.asarray(point_lps_mm, dtype=np.float64) / pitch + 0.5) * pitch)
        depth, height, width = (int(size) for size in shape)
        return cls((x, y, z), (depth, height, width), float(spacing_mm), tensor_axes)

    @cached_property
    def grid(self) -> Grid:
        """The grid whose (K, J, I) are the tensor's (D, H, W)."""
        return self.grid_of(self.shape)

    def grid_of(self, shape: Sequence[int]) -> Grid:
        """The grid of `shape` voxels that fills this region, for example that of mask logits at a stride."""
        direction = np.asarray(tensor_direction(self.tensor_axes))
        size_ijk = np.asarray(self.shape[::-1], dtype=np.float64)
        spacing_ijk = size_ijk * self.spacing_mm / np.asarray(shape[::-1], dtype=np.float64)
        first = direction @ ((np.asarray(shape[::-1]) - 1) / 2 * spacing_ijk)
        origin = np.asarray(self.centre_lps_mm) - first
        depth, height, width = (int(n) for n in shape)
        return Grid((depth, height, width), tuple(spacing_ijk), tuple(origin), tensor_direction(self.tensor_axes))

    def lps_to_tensor(self, points_lps_mm: ArrayLike) -> NDArray[np.float64]:
        """Continuous voxel indices (..., 3) along D, H, W of points (..., 3) in LPS mm."""
        return self.grid.lps_to_kji(points_lps_mm)

    def tensor_to_lps(self, indices_dhw: ArrayLike) -> NDArray[np.float64]:
        """LPS mm (..., 3) of continuous voxel indices (..., 3) along D, H, W."""
        return self.grid.kji_to_lps(indices_dhw)

    def depth_share(self, point_lps_mm: ArrayLike) -> float:
        """How deep a point lies: 0 on a face, 0.5 in the centre, negative outside, as a share of the region's width."""
        share = (self.lps_to_tensor(point_lps_mm) + 0.5) / np.asarray(self.shape)
        return float(np.minimum(share, 1.0 - share).min())

    def contains(self, point_lps_mm: ArrayLike) -> bool:
        """True when the point lies in the region, its faces included."""
        return self.grid.contains_kji(self.lps_to_tensor(point_lps_mm))

    def shifted(self, axis: int, sign: int) -> Region:
        """The region half a width further along tensor axis 0 (D), 1 (H) or 2 (W); it overlaps this one by half."""
        index = (np.asarray(self.shape, dtype=np.float64) - 1) / 2
        index[axis] += sign * (self.shape[axis] // 2)
        x, y, z = (float(c) for c in self.tensor_to_lps(index))
        return Region((x, y, z), self.shape, self.spacing_mm, self.tensor_axes)

    def box_in(self, grid: Grid) -> VoxelBox:
        """The smallest box of voxels of `grid` that holds every voxel centre inside this region."""
        return box_covering(self.grid, self.grid.box, grid)


def box_covering(source: Grid, source_box: VoxelBox, target: Grid) -> VoxelBox:
    """The smallest box of `target` that holds every voxel centre inside `source_box`, outer faces included."""
    faces = np.stack([np.asarray(source_box.start_kji) - 0.5, np.asarray(source_box.stop_kji) - 0.5])
    corners = np.stack(np.meshgrid(*faces.T, indexing="ij"), axis=-1).reshape(-1, 3)
    kji = target.lps_to_kji(source.kji_to_lps(corners))
    # The margin absorbs rounding of the two matrix products; a voxel too many costs nothing.
    start = np.ceil(kji.min(axis=0) - 1e-6).astype(int)
    stop = np.floor(kji.max(axis=0) + 1e-6).astype(int) + 1
    return VoxelBox(tuple(start), tuple(np.maximum(start, stop))).intersection(target.box)
