"""Enhanced PET: one file, many frames, each value looked up in its functional group."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from SegAnyPETLib.data.pet_header import PETHeader
from SegAnyPETLib.errors import DICOMError
from SegAnyPETLib.geometry import Grid


def read_multiframe(path: Path) -> tuple[NDArray[np.float32], Grid, PETHeader, tuple[int, ...]]:
    """Values, grid, header and frame numbers of a multi-frame file."""
    msg = f"{path} is a multi-frame PET object, which is not read yet. Convert it to single slices."
    raise DICOMError(msg)
