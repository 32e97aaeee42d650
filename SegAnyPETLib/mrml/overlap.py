"""What a lesion does to the other segments where it meets them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from SegAnyPETLib.geometry import Grid, VoxelBox
from SegAnyPETLib.mrml.frames import Node
from SegAnyPETLib.mrml.segments import BoolArray, packedFromSegment, partFromSegment
from SegAnyPETLib.session.packed_mask import PackedMask

OverlapRule = Literal["overwrite", "keep", "lock"]
OVERLAP_RULES: tuple[OverlapRule, ...] = ("overwrite", "keep", "lock")


@dataclass(frozen=True)
class Placed:
    """A mask as it may be shown.

    Attributes:
        mask: What the segment gets.
        taken: ID of another segment -> its mask before and after voxels were taken from it.
    """

    mask: PackedMask
    taken: dict[str, tuple[PackedMask, PackedMask]]


def placeMask(
    mask: PackedMask,
    segmentationNode: Node,
    segmentID: str,
    *,
    grid: Grid,
    rule: OverlapRule,
    known: Mapping[str, PackedMask],
) -> Placed:
    """Apply the rule for overlaps; nothing is written.

    Args:
        mask: As predicted.
        segmentationNode: Holds the segment and the others.
        segmentID: The segment the mask is for.
        grid: Of the volume.
        rule: ``overwrite``: the others lose the voxels; ``keep``: both hold them; ``lock``: the others keep theirs and
            the mask loses them.
        known: ID of a segment -> what it is known to hold; other segments are read.
    """
    if rule == "keep" or mask.box.is_empty:
        return Placed(mask, {})
    own = mask.inside_box()
    taken: dict[str, tuple[PackedMask, PackedMask]] = {}
    for otherID in segmentationNode.GetSegmentation().GetSegmentIDs():
        if otherID == segmentID:
            continue
        other = known.get(otherID)
        if other is not None and other.box.intersection(mask.box).is_empty:
            continue
        if other is not None:
            common = own & other.inside(mask.box)
        else:
            common = own & partFromSegment(segmentationNode, otherID, grid=grid, box=mask.box)
        if not common.any():
            continue
        if rule == "lock":
            own &= ~common
        else:
            before = other or packedFromSegment(segmentationNode, otherID, grid=grid)
            taken[otherID] = (before, without(before, mask))
    return Placed(_packed(own, mask.box, mask) if rule == "lock" else mask, taken)


def without(mask: PackedMask, other: PackedMask) -> PackedMask:
    """The voxels of `mask` that are not in `other`."""
    if mask.box.is_empty:
        return mask
    return _packed(mask.inside_box() & ~other.inside(mask.box), mask.box, mask)


def _packed(part: BoolArray, box: VoxelBox, like: PackedMask) -> PackedMask:
    return PackedMask.of_part(part, box, shape_kji=like.shape_kji)
