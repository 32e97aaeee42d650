"""How far a correcting click reaches: a click goes into the middle of what is wrong.

Everything nearer to the click than the border of the mask it corrects is then wrong too, in the direction of the click
at least. Between that border and the true one the click sits halfway, so this distance is also what is known best about
the size of the error.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

LARGEST_REACH_MM = 32.0  # a click this far from the mask says no more than that something was missed


def reach_of_click(
    mask: NDArray[np.bool_], kji: Sequence[int], *, spacing_kji_mm: Sequence[float], limit_mm: float = LARGEST_REACH_MM
) -> float:
    """Distance in mm from the centre of the clicked voxel to the nearest one on the other side of the mask's border.

    Args:
        mask: (K, J, I), the mask before the click, or the part of it within `limit_mm` of the click.
        kji: The clicked voxel.
        spacing_kji_mm: Along K, J, I.
        limit_mm: Nothing further away is looked at.

    Returns:
        0 to `limit_mm`: the limit where there is no border within it, 0 where the mask is empty (nothing is corrected).
    """
    if not mask.any():
        return 0.0
    spacing = np.asarray(spacing_kji_mm, dtype=np.float64)
    steps = np.ceil(limit_mm / spacing).astype(int)
    low = np.maximum(np.asarray(kji) - steps, 0)
    high = np.minimum(np.asarray(kji) + steps + 1, mask.shape)
    around = mask[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    other = np.argwhere(around != mask[tuple(kji)])
    if not len(other):
        return limit_mm
    offsets = (other + low - np.asarray(kji)) * spacing
    return float(min(limit_mm, np.sqrt((offsets**2).sum(axis=1).min())))
