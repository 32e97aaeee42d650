"""What `predict` returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from SegAnyPETLib.geometry import VoxelBox
from SegAnyPETLib.session.packed_mask import PackedMask


@dataclass(frozen=True, eq=False)
class Prediction:
    """A mask on the image's own grid, and how sure the model is of it.

    Attributes:
        packed: The mask, one bit per voxel of its box.
        changed: Holds every voxel that differs from the prediction returned before, or from any mask that undo,
            redo or reset showed since; empty when nothing changed.
        score: Confidence, 0 to 1: the soft Dice of probability and mask (see `soft_dice`), 0 for an empty mask.
        notices: What the user should know; each was also given as a `SegAnyPETWarning`, once.
    """

    packed: PackedMask
    changed: VoxelBox
    score: float
    notices: tuple[str, ...]
    make_probability: Callable[[], NDArray[np.float32]] = field(repr=False)

    @cached_property
    def mask(self) -> NDArray[np.bool_]:
        """(K, J, I), read-only, made when first asked for."""
        mask = self.packed.to_array()
        mask.setflags(write=False)
        return mask

    @cached_property
    def probability(self) -> NDArray[np.float32]:
        """(K, J, I) float32, read-only, made when first asked for.

        The model's probability before parts far from every click were dropped; 0 where every decoded region is below
        5 %, and where nothing was decoded.
        """
        probability = self.make_probability()
        probability.setflags(write=False)
        return probability
