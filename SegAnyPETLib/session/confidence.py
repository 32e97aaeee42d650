"""How sure the model is, voxel by voxel: probability, entropy and the volume's interval, from the decoded logits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from SegAnyPETLib.geometry import Grid, VoxelBox
from SegAnyPETLib.session.canvas import Canvas
from SegAnyPETLib.session.packed_mask import PackedMask
from SegAnyPETLib.session.postprocess import sigmoid

FloatArray = NDArray[np.float32]

NEAR_MM = 20.0  # doubt further than this from the mask's box is about something else than its volume


@dataclass(frozen=True, slots=True)
class Temperatures:
    """What divides logits before they become probabilities, on either side of the mask's border; 1 changes nothing.

    Attributes:
        inside: For logits of at least zero.
        outside: For logits below zero.
    """

    inside: float = 1.0
    outside: float = 1.0

    def logit_of(self, probability: float) -> float:
        """The network's logit at which the calibrated probability is `probability` (between 0 and 1)."""
        scaled = float(np.log(probability / (1.0 - probability)))
        return scaled * (self.inside if scaled >= 0 else self.outside)


@dataclass(frozen=True, eq=False)
class ObjectLogits:
    """The network's logits of the clicked object on the image's grid.

    Attributes:
        box: The part of the image that holds every voxel whose logit may exceed `FAINT_LOGIT`.
        values: (k, j, i) in `box`, as the network gave them; minus infinity where nothing was decoded, and around
            parts that were dropped from the mask because nobody clicked them.
    """

    box: VoxelBox
    values: FloatArray

    def probability(self, temperatures: Temperatures) -> FloatArray:
        """Probability in `box`; at least one half exactly in the mask."""
        scale = np.where(
            self.values >= 0, np.float32(1 / temperatures.inside), np.float32(1 / temperatures.outside)
        ).astype(np.float32, copy=False)
        return sigmoid(self.values * scale)

    def near(self, mask: PackedMask, grid: Grid) -> FloatArray:
        """The values in the mask's box grown by `NEAR_MM`, a view; empty for an empty mask."""
        steps = [int(np.ceil(NEAR_MM / spacing)) for spacing in grid.spacing_kji_mm]
        start, stop = mask.box.start_kji, mask.box.stop_kji
        if mask.box.is_empty:
            return self.values[:0]
        low = [max(0, n - step) for n, step in zip(start, steps, strict=True)]
        high = [n + step for n, step in zip(stop, steps, strict=True)]
        around = VoxelBox((low[0], low[1], low[2]), (high[0], high[1], high[2])).intersection(self.box)
        return self.values[around.shifted([-n for n in self.box.start_kji]).slices]


def object_logits(canvas: Canvas, mask: PackedMask, grid: Grid) -> ObjectLogits:
    """Sample what was decoded on the image's grid, without the parts nobody clicked.

    A voxel goes with the part of the uncut mask (logits of at least zero) that is nearest to it: where that part was
    dropped, its faint surroundings are dropped too.

    Args:
        canvas: What was decoded.
        mask: The mask the user sees.
        grid: Of the image.
    """
    parts = list(canvas.visible_parts(grid))
    around = VoxelBox((0, 0, 0), (0, 0, 0))
    for box, _ in parts:
        around = around.union(box)
    values = np.full(around.shape_kji, -np.inf, dtype=np.float32)
    for box, logits in parts:
        values[box.shifted([-n for n in around.start_kji]).slices] = logits
    uncut = values >= 0
    dropped = uncut & ~mask.inside(around)
    if dropped.any():
        nearest = ndimage.distance_transform_edt(
            ~uncut, sampling=grid.spacing_kji_mm, return_distances=False, return_indices=True
        )
        values[dropped[tuple(nearest)]] = -np.inf
    return ObjectLogits(around, values)


def entropy_bits(probability: FloatArray) -> FloatArray:
    """Binary entropy -p log2 p - (1 - p) log2 (1 - p), 0 (certain) to 1 (one half), float32; 0 at p of 0 and 1."""
    p = probability.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        bits = -(p * np.log2(p) + (1.0 - p) * np.log2(1.0 - p))
    return np.where((p > 0) & (p < 1), bits, 0.0).astype(np.float32)


def volume_bounds_ml(logits: FloatArray, temperatures: Temperatures, *, level: float, voxel_ml: float) -> list[float]:
    """Volumes in ml with a probability of at least 1 - level, and of at least level; one voxel at least.

    Args:
        logits: Near the mask, any shape.
        temperatures: Of the probability.
        level: Above 0, at most 0.5.
        voxel_ml: Volume of a voxel.
    """
    limits = (temperatures.logit_of(1.0 - level), temperatures.logit_of(level))
    return [max(1, int(np.count_nonzero(logits >= limit))) * voxel_ml for limit in limits]
