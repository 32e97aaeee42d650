"""What a person can tell the model: points, boxes and seed masks. Each is valid once built."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from SegAnyPETLib.errors import PromptError
from SegAnyPETLib.geometry import Grid
from SegAnyPETLib.session.packed_mask import PackedMask


@dataclass(frozen=True)
class Point:
    """A click.

    Attributes:
        lps_mm: Where, (x, y, z) in LPS mm.
        positive: True: this belongs to the object. False: it does not.

    Raises:
        PromptError: The position is not three finite numbers.
    """

    lps_mm: tuple[float, float, float]
    positive: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "lps_mm", _position(self.lps_mm))
        object.__setattr__(self, "positive", bool(self.positive))


@dataclass(frozen=True)
class Box:
    """A box around the object, its faces parallel to the world axes.

    The model itself knows no boxes. A box becomes: a region centred on it; a soft ellipsoid in it as the mask
    prompt; a positive point at the hottest place of its middle half (see `box_click`); and a limit, for the result
    is clipped to the union of all boxes, unless a positive click lies outside every box.

    Attributes:
        lps_mm_min: Lowest x, y, z in mm; any two opposite corners may be given, they are put in order.
        lps_mm_max: Highest x, y, z in mm.

    Raises:
        PromptError: A corner is not three finite numbers, or the box has no extent along an axis.
    """

    lps_mm_min: tuple[float, float, float]
    lps_mm_max: tuple[float, float, float]

    def __post_init__(self) -> None:
        corners = np.asarray([_position(self.lps_mm_min), _position(self.lps_mm_max)])
        if not (corners[0] != corners[1]).all():
            msg = (
                f"Expected a box with an extent along each axis; found {self.lps_mm_min} to {self.lps_mm_max} mm (LPS)."
            )
            raise PromptError(msg)
        object.__setattr__(self, "lps_mm_min", _position(corners.min(axis=0)))
        object.__setattr__(self, "lps_mm_max", _position(corners.max(axis=0)))

    @property
    def centre_lps_mm(self) -> tuple[float, float, float]:
        """The middle of the box."""
        return _position((np.asarray(self.lps_mm_min) + np.asarray(self.lps_mm_max)) / 2)

    def contains(self, points_lps_mm: ArrayLike) -> NDArray[np.bool_]:
        """Which points (..., 3) lie in the box, its faces included."""
        points = np.asarray(points_lps_mm, dtype=np.float64)
        return np.asarray(((points >= self.lps_mm_min) & (points <= self.lps_mm_max)).all(axis=-1))

    def mask_on(self, grid: Grid) -> NDArray[np.bool_]:
        """Which voxel centres of `grid` lie in the box, (K, J, I)."""
        inside = np.ones(grid.shape_kji, dtype=bool)
        k, j, i = (np.arange(n, dtype=np.float64) for n in grid.shape_kji)
        for axis in range(3):
            per_i, per_j, per_k, first = grid.ijk_to_lps[axis]
            lps = first + (k * per_k)[:, None, None] + (j * per_j)[None, :, None] + (i * per_i)[None, None, :]
            inside &= (lps >= self.lps_mm_min[axis]) & (lps <= self.lps_mm_max[axis])
        return inside


@dataclass(frozen=True, init=False)
class SeedMask:
    """A mask to start from, for example a segment made earlier.

    The seed replaces what was predicted so far: it becomes the mask prompt (+6 inside, -6 outside, as logits)
    together with one positive point at its deepest voxel, and the model answers with its own version. Where no
    region is decoded the seed itself stays. Clicks may follow.

    Attributes:
        packed: The mask, one bit per voxel.

    Raises:
        PromptError: The mask is not 3D, or empty.
    """

    packed: PackedMask

    def __init__(self, mask: ArrayLike) -> None:
        array = np.asarray(mask)
        if array.ndim != 3 or not array.any():
            found = f"{array.ndim} dimensions" if array.ndim != 3 else "no voxel set"
            msg = f"Expected a seed mask (K, J, I) on the image's grid with at least one voxel; found {found}."
            raise PromptError(msg)
        object.__setattr__(self, "packed", PackedMask.of(array != 0))

    @classmethod
    def from_packed(cls, packed: PackedMask) -> SeedMask:
        """The seed for a mask that is packed already, without unpacking it.

        Raises:
            PromptError: The mask is empty.
        """
        if packed.box.is_empty:
            return cls(np.zeros((1, 1, 1), dtype=bool))  # raises, in the same words
        seed = object.__new__(cls)
        object.__setattr__(seed, "packed", packed)
        return seed

    @property
    def mask(self) -> NDArray[np.bool_]:
        """(K, J, I) on the image's grid, a new array."""
        return self.packed.to_array()


Prompt = Point | Box | SeedMask


def _position(value: ArrayLike) -> tuple[float, float, float]:
    try:
        position = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        msg = f"Expected a position (x, y, z) in LPS mm; found {value!r}."
        raise PromptError(msg) from error
    if position.shape != (3,) or not np.isfinite(position).all():
        msg = f"Expected a position of three finite numbers (x, y, z) in LPS mm; found {value!r}."
        raise PromptError(msg)
    return float(position[0]), float(position[1]), float(position[2])
