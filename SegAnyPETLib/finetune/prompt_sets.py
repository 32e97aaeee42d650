"""Prompts drawn from a mask: independent sets for the ensemble, and clicks that follow each other for learning."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from SegAnyPETLib.clicks.reach import reach_of_click
from SegAnyPETLib.clicks.sampling import sample_first_click, sample_next_click
from SegAnyPETLib.model.lite import LARGEST_REACH_VOXELS

MaskArray = NDArray[np.bool_]
Placed = tuple[tuple[float, float, float, float], int]  # coordinates and reach in voxels, and the label
MOST_INSIDE, MOST_OUTSIDE = 4, 3
SHELL_VOXELS = (3.0, 6.0)  # how far outside the mask the negative points of a set lie
INNER_SHARE = 0.5  # of the greatest depth, where the positive ones lie
NOBODY: Placed = ((0.0, 0.0, 0.0, 0.0), -1)
VOXELS = (1.0, 1.0, 1.0)


def sample_prompt_set(rng: np.random.Generator, mask: MaskArray) -> list[Placed]:
    """One to four points well inside a mask, and up to three in a shell around it, in no order."""
    depth = np.asarray(ndimage.distance_transform_edt(np.pad(mask, 1)))[1:-1, 1:-1, 1:-1]
    inner = np.argwhere(depth >= INNER_SHARE * depth.max())
    placed = [_at(inner[rng.integers(len(inner))], 1) for _ in range(int(rng.integers(1, MOST_INSIDE + 1)))]
    away = ndimage.distance_transform_edt(~mask)
    shell = np.argwhere((away >= SHELL_VOXELS[0]) & (away <= SHELL_VOXELS[1]))
    wanted = int(rng.integers(MOST_OUTSIDE + 1)) if len(shell) else 0
    return placed + [_at(shell[rng.integers(len(shell))], 0) for _ in range(wanted)]


def to_points(sets: Sequence[Sequence[Placed]], device: torch.device) -> tuple[Tensor, Tensor]:
    """Coordinates with reach (B, N, 4) and labels (B, N) for `decode`; shorter sets are filled with ignored points."""
    longest = max(len(each) for each in sets)
    filled = [[*each, *[NOBODY] * (longest - len(each))] for each in sets]
    coords = torch.tensor([[place for place, _ in each] for each in filled], dtype=torch.float32, device=device)
    return coords, torch.tensor([[label for _, label in each] for each in filled], device=device)


class FollowingClicks:
    """Clicks as a person makes them, one after the other, on a batch of masks.

    Args:
        rngs: One generator for each mask.
        masks: What is to be segmented, (K, J, I) each.
        suvs: The images, for first clicks on the hottest voxel.
    """

    def __init__(
        self, rngs: Sequence[np.random.Generator], masks: Sequence[MaskArray], suvs: Sequence[NDArray[np.float32]]
    ) -> None:
        self._rngs, self._masks = rngs, masks
        self.sets: list[list[Placed]] = [
            [_at(sample_first_click(rng, mask, suv), 1)] for rng, mask, suv in zip(rngs, masks, suvs, strict=True)
        ]

    def correct(self, predicted: NDArray[np.bool_]) -> None:
        """Add one click per mask where `predicted` (B, K, J, I) is wrong."""
        for rng, mask, answer, clicks in zip(self._rngs, self._masks, predicted, self.sets, strict=True):
            found = sample_next_click(rng, mask, answer)
            if found is None:
                clicks.append(NOBODY)
                continue
            click, is_positive = found
            reach = reach_of_click(answer, click, spacing_kji_mm=VOXELS, limit_mm=LARGEST_REACH_VOXELS)
            clicks.append(_at(click, int(is_positive), reach))


def _at(index: Sequence[int] | NDArray[np.intp], label: int, reach: float = 0.0) -> Placed:
    k, j, i = (float(n) for n in index)
    return (k, j, i, reach), label
