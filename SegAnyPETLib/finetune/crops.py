"""What a step of training looks at: crops with a label somebody drew, careful or careless."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from SegAnyPETLib.preprocess.normalize import Normalization, normalize

SYNTHETIC_CASE = -1  # the number of a crop that is of no case


@dataclass(frozen=True, eq=False)
class LabelledCrop:
    """One crop.

    Attributes:
        suv: (D, H, W) float32, SUV.
        label: (D, H, W) bool, as it was drawn; at least one voxel.
        spacing_mm: Isotropic voxel size.
        case: Whose it is; the number of the case in its cohort, or `SYNTHETIC_CASE`.
        normalization: What the network that learns from it is given instead of SUV, see `preprocess.normalize`.
    """

    suv: NDArray[np.float32]
    label: NDArray[np.bool_]
    spacing_mm: float
    case: int
    normalization: Normalization = "log_suv"

    @property
    def spacing_kji_mm(self) -> tuple[float, float, float]:
        """The same along each axis."""
        return (self.spacing_mm,) * 3


class CropSource(Protocol):
    """Draws crops of a cohort."""

    def careful(self, rng: np.random.Generator, count: int) -> list[LabelledCrop]:
        """So many crops of carefully labelled cases."""

    def careless(self, rng: np.random.Generator, count: int) -> list[LabelledCrop]:
        """So many crops of carelessly labelled cases."""


def to_volumes(crops: Sequence[LabelledCrop], device: torch.device) -> Tensor:
    """What a network is given of crops, (B, 1, D, H, W) float32, each normalized as a session normalizes a region."""
    volumes = np.stack([normalize(crop.suv, crop.normalization) for crop in crops])
    return torch.from_numpy(volumes)[:, None].to(device)


def to_masks(masks: Sequence[NDArray[np.generic]], device: torch.device) -> Tensor:
    """Masks or weights (B, 1, D, H, W) float32."""
    return torch.from_numpy(np.stack(masks).astype(np.float32))[:, None].to(device)
