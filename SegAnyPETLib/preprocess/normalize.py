"""Intensities as each network was trained to see them."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from SegAnyPETLib.errors import ModelError

Normalization = Literal["zscore_positive", "log_suv"]

HIGHEST_SUV = 100.0  # bladder and injection site reach this; what lies above carries no information


def normalize(volume: NDArray[np.float32], normalization: Normalization) -> NDArray[np.float32]:
    """Normalize the voxels of one region.

    Args:
        volume: (D, H, W), SUV; not changed.
        normalization: `zscore_positive`: (v - mean) / std, mean and std (N - 1) over the voxels above zero, applied
            to every voxel, so zeros become negative. `log_suv`: ln(1 + SUV) with SUV clipped to 0..100.

    Returns:
        A new float32 array of the same shape. With `zscore_positive` a region with fewer than two voxels above
        zero, or with all of them equal, has no scale: the mean is subtracted and nothing is divided.

    Raises:
        ModelError: No normalization has that name.

    Source:
        `zscore_positive`: torchio `ZNormalization` with the mask v > 0, as SAM-Med3D and SegAnyPET use it. The
        original raises an error where we leave the scale alone, because a click into air must not end a session.
    """
    if normalization in _NORMALIZERS:
        return _NORMALIZERS[normalization](volume)
    msg = (
        f"Expected a normalization out of {get_args(Normalization)}; found {normalization!r}. Check the model's entry."
    )
    raise ModelError(msg)


def _log_suv(volume: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.log1p(np.clip(volume, 0.0, HIGHEST_SUV)).astype(np.float32, copy=False)


def _zscore_positive(volume: NDArray[np.float32]) -> NDArray[np.float32]:
    positive = volume[volume > 0]
    mean = float(positive.mean(dtype=np.float64)) if positive.size else 0.0
    std = float(positive.std(ddof=1, dtype=np.float64)) if positive.size > 1 else 0.0
    scaled = (volume - np.float32(mean)) / np.float32(std if std > 0 else 1.0)
    return np.asarray(scaled, dtype=np.float32)


_NORMALIZERS = {"log_suv": _log_suv, "zscore_positive": _zscore_positive}
