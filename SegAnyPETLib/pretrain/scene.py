"""One training crop, whoever drew it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Scene:
    """A crop of a PET image and what is to be segmented in it.

    Attributes:
        suv: SUVbw, (D, H, W) float32.
        fraction: Share of each voxel that belongs to the structure, (D, H, W) float32, 0 to 1.
        spacing_mm: Isotropic voxel size.
    """

    suv: NDArray[np.float32]
    fraction: NDArray[np.float32]
    spacing_mm: float

    @property
    def target(self) -> NDArray[np.bool_]:
        """The voxels at least half of which belong to the structure, (D, H, W)."""
        return self.fraction >= np.float32(0.5)
