"""A mask kept as one bit per voxel of its own box, so that a long history stays small."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from SegAnyPETLib.geometry import VoxelBox

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class PackedMask:
    """A mask (K, J, I), true only inside `box`.

    Attributes:
        shape_kji: Shape of the whole mask.
        box: The smallest box around its true voxels; empty when there are none.
        bits: The box's voxels in C order, eight per byte.
    """

    shape_kji: tuple[int, int, int]
    box: VoxelBox
    bits: bytes

    @classmethod
    def empty(cls, shape_kji: tuple[int, int, int]) -> PackedMask:
        """A mask without a true voxel."""
        return cls(shape_kji, VoxelBox((0, 0, 0), (0, 0, 0)), b"")

    @classmethod
    def of(cls, mask: BoolArray) -> PackedMask:
        """Pack a whole mask (K, J, I)."""
        return cls.of_part(mask, VoxelBox.of_shape(mask.shape), shape_kji=VoxelBox.of_shape(mask.shape).shape_kji)

    @classmethod
    def of_part(cls, part: BoolArray, box: VoxelBox, *, shape_kji: tuple[int, int, int]) -> PackedMask:
        """Pack `part`, the voxels in `box` of a mask that is false elsewhere."""
        tight = VoxelBox.of_mask(part)
        if tight.is_empty:
            return cls.empty(shape_kji)
        return cls(shape_kji, tight.shifted(box.start_kji), np.packbits(part[tight.slices]).tobytes())

    @cached_property
    def voxel_count(self) -> int:
        """Number of true voxels."""
        return int(np.count_nonzero(np.unpackbits(np.frombuffer(self.bits, dtype=np.uint8))))

    def inside_box(self) -> BoolArray:
        """The voxels of `box`, a new array."""
        flat = np.unpackbits(np.frombuffer(self.bits, dtype=np.uint8), count=int(np.prod(self.box.shape_kji)))
        return flat.reshape(self.box.shape_kji).astype(bool)

    def inside(self, box: VoxelBox) -> BoolArray:
        """The voxels of any `box` in the image, a new array."""
        part = np.zeros(box.shape_kji, dtype=bool)
        common = self.box.intersection(box)
        if not common.is_empty:
            to = common.shifted([-n for n in box.start_kji]).slices
            part[to] = self.inside_box()[common.shifted([-n for n in self.box.start_kji]).slices]
        return part

    def to_array(self) -> BoolArray:
        """The whole mask (K, J, I), a new array."""
        mask = np.zeros(self.shape_kji, dtype=bool)
        if not self.box.is_empty:
            mask[self.box.slices] = self.inside_box()
        return mask

    def difference_box(self, other: PackedMask) -> VoxelBox:
        """The smallest box around the voxels in which both differ; empty when they are equal."""
        both = self.box.union(other.box)
        if both.is_empty or (self.box == other.box and self.bits == other.bits):
            return VoxelBox((0, 0, 0), (0, 0, 0))
        differing = VoxelBox.of_mask(self.inside(both) ^ other.inside(both))
        return differing.shifted(both.start_kji) if not differing.is_empty else differing
