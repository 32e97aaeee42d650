"""From logits on the image's grid to the mask the user sees, and how sure the model is of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from SegAnyPETLib.geometry import Grid, VoxelBox
from SegAnyPETLib.session.packed_mask import PackedMask
from SegAnyPETLib.session.prompts import Box
from SegAnyPETLib.session.region_network import Click

BoolArray = NDArray[np.bool_]
Part = tuple[VoxelBox, NDArray[np.float32]]  # a box of the image's grid and its logits

NEIGHBOURS_26 = np.ones((3, 3, 3), dtype=bool)
RIM_VOXELS = 2  # how far around the mask's box doubtful voxels count against the score

NO_COMPONENT_NOTICE = (
    "No part of the prediction contains a positive click, so all of it was kept. Add another click, or undo."
)


def threshold(parts: Sequence[Part], grid: Grid) -> PackedMask:
    """The voxels of `grid` with a probability of at least one half (a logit of at least zero)."""
    around = VoxelBox((0, 0, 0), (0, 0, 0))
    for box, _ in parts:
        around = around.union(box)
    mask = np.zeros(around.shape_kji, dtype=bool)
    for box, logits in parts:
        mask[box.shifted([-n for n in around.start_kji]).slices] = logits >= 0
    return PackedMask.of_part(mask, around, shape_kji=grid.shape_kji)


def keep_clicked_components(
    mask: PackedMask, clicks: Sequence[Click], *, grid: Grid, seed: PackedMask | None, boxes: Sequence[Box]
) -> tuple[PackedMask, tuple[str, ...]]:
    """Drop the parts of the mask that nobody clicked.

    Parts are connected over faces, edges and corners. A part is kept when it contains the voxel of a positive
    click or one of the 26 around it, when it overlaps the seed, or when it lies in a box in which no other part
    was clicked. When that would leave nothing, everything is kept and a notice says so; with negative clicks alone
    everything is kept.

    Returns:
        The mask, and notices for the user.
    """
    positive = [click.lps_mm for click in clicks if click.positive]
    if mask.box.is_empty or not positive:
        return mask, ()
    part = mask.inside_box()
    labels, count = ndimage.label(part, structure=NEIGHBOURS_26)
    kept = _labels_at(labels, grid.crop(mask.box).lps_to_kji(positive))
    if seed is not None:
        kept |= set(np.unique(labels[seed.inside(mask.box)]).tolist())
    kept.discard(0)
    for box in boxes:
        inside = set(np.unique(labels[box.mask_on(grid.crop(mask.box))]).tolist()) - {0}
        kept |= set() if inside & kept else inside
    if not kept:
        return mask, (NO_COMPONENT_NOTICE,)
    if len(kept) == count:
        return mask, ()
    chosen = np.zeros(count + 1, dtype=bool)
    chosen[list(kept)] = True
    return PackedMask.of_part(chosen[labels], mask.box, shape_kji=mask.shape_kji), ()


def components_at(mask: BoolArray, indices_kji: NDArray[np.float64]) -> BoolArray:
    """The 26-connected parts of `mask` that contain, or touch, one of the continuous indices (N, 3)."""
    labels, count = ndimage.label(mask, structure=NEIGHBOURS_26)
    chosen = np.zeros(count + 1, dtype=bool)
    chosen[list(_labels_at(labels, indices_kji))] = True
    chosen[0] = False
    return np.asarray(chosen[labels])


def soft_dice(parts: Sequence[Part], mask: PackedMask, grid: Grid) -> float:
    """How sharply the probability p separates the mask m from its surroundings, 0 to 1.

    2 * sum(p m) / (sum(p) + sum(m)) over the mask's box grown by `RIM_VOXELS`: 1 when every voxel of the mask is
    certain and none around it is doubtful; 0 for an empty mask. It is made of uncalibrated probabilities; the
    expected Dice a user sees is fitted to it (see `model.calibration.ScoreMap`).
    """
    if mask.box.is_empty:
        return 0.0
    near = mask.box.expanded(RIM_VOXELS).intersection(grid.box)
    total_p = total_pm = 0.0
    for box, logits in parts:
        common = box.intersection(near)
        if common.is_empty:
            continue
        probability = sigmoid(logits[common.shifted([-n for n in box.start_kji]).slices])
        total_p += float(probability.sum(dtype=np.float64))
        total_pm += float(probability[mask.inside(common)].sum(dtype=np.float64))
    return min(1.0, 2.0 * total_pm / (total_p + mask.voxel_count))


def sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """1 / (1 + exp(-logit)), float32, without overflow."""
    return np.asarray(np.float32(0.5) * (np.tanh(np.float32(0.5) * logits) + np.float32(1.0)), dtype=np.float32)


def _labels_at(labels: NDArray[np.int32], indices_kji: NDArray[np.float64]) -> set[int]:
    found: set[int] = set()
    for index in np.floor(np.atleast_2d(indices_kji) + 0.5).astype(int):
        around = tuple(slice(max(0, n - 1), max(0, n + 2)) for n in index)
        found |= set(np.unique(labels[around]).tolist())
    return found
