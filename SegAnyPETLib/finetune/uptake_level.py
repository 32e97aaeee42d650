"""Whether a label is what a threshold gives, at which level, and how to draw it down to a lower one.

A threshold that is too high leaves out all but the hottest part of a lesion. Moving the border does not give the rest
back, since it is not equally wide on every side.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from SegAnyPETLib.finetune.signed_distance import Spacing, box_around, within_mm

LEAST_SUV = 1e-6  # of a hottest voxel; a label of nothing but zeros has one too
NEIGHBOURS_26 = np.ones((3, 3, 3), dtype=bool)


class ThresholdFit(NamedTuple):
    """The threshold whose mask near a label overlaps it best.

    Attributes:
        level: As a share of the label's hottest voxel.
        dice: Of label and mask; 1 where the label is what a threshold gives.
    """

    level: float
    dice: float


def best_threshold(
    label: NDArray[np.bool_], suv: NDArray[np.float32], *, spacing_kji_mm: Spacing, near_mm: float
) -> ThresholdFit:
    """Try every threshold there is.

    Args:
        label: (K, J, I), with at least one voxel.
        suv: (K, J, I), SUV.
        spacing_kji_mm: Voxel size along k, j, i.
        near_mm: How far around the label voxels count.
    """
    near = within_mm(label, reach_mm=near_mm, spacing_kji_mm=spacing_kji_mm)
    values, is_inside = suv[near], label[near]
    hottest_first = np.argsort(-values, kind="stable")
    taken = np.arange(1, len(values) + 1)
    dice = 2 * np.cumsum(is_inside[hottest_first]) / (taken + is_inside.sum())
    best = int(dice.argmax())
    return ThresholdFit(float(values[hottest_first][best] / max(suv[label].max(), LEAST_SUV)), float(dice[best]))


def drawn_to_level(
    label: NDArray[np.bool_], suv: NDArray[np.float32], *, level: float, spacing_kji_mm: Spacing, reach_mm: float
) -> NDArray[np.bool_]:
    """The label (K, J, I) with what hangs together with it at a level of uptake or above, holes filled.

    Args:
        label: (K, J, I), with at least one voxel; all of it is kept.
        suv: (K, J, I), SUV.
        level: As a share of the label's hottest voxel.
        spacing_kji_mm: Voxel size along k, j, i.
        reach_mm: Nothing farther from the label is added.
    """
    box = box_around(label, reach_mm=reach_mm, spacing_kji_mm=spacing_kji_mm)
    own, values = label[box], suv[box]
    near = within_mm(own, reach_mm=reach_mm, spacing_kji_mm=spacing_kji_mm)
    parts, _ = ndimage.label((near & (values >= level * values[own].max())) | own, NEIGHBOURS_26)
    whole = np.zeros_like(label)
    whole[box] = ndimage.binary_fill_holes(np.isin(parts, np.unique(parts[own])))
    return whole
