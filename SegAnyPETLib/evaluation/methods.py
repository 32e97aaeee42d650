"""What is evaluated: anything that takes an image and then clicks, one after the other."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from SegAnyPETLib.errors import SegAnyPETWarning
from SegAnyPETLib.session import InteractiveSession, Point
from SegAnyPETLib.suv import SUVVolume


class ClickedMethod(Protocol):
    """An image, then clicks; after each click a mask. It never sees the reference."""

    def start(self, image: SUVVolume) -> None:
        """Take a new image and forget all earlier clicks."""

    def click(self, kji: Sequence[int], *, positive: bool) -> tuple[NDArray[np.bool_], float | None]:
        """Add one click at a voxel; return the mask (K, J, I) of all clicks so far and the method's own score of it."""


class SessionMethod:
    """An `InteractiveSession` under evaluation, driven as a user would drive it."""

    def __init__(self, session: InteractiveSession) -> None:
        self._session = session

    def start(self, image: SUVVolume) -> None:
        """Set the session's image, which also drops its prompts."""
        self._session.set_image(image)
        self._grid = image.grid

    def click(self, kji: Sequence[int], *, positive: bool) -> tuple[NDArray[np.bool_], float]:
        """Add a point at the voxel's centre and predict; what the session would tell a user is not shown."""
        x, y, z = (float(value) for value in self._grid.kji_to_lps(kji))
        self._session.add(Point(lps_mm=(x, y, z), positive=positive))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SegAnyPETWarning)
            prediction = self._session.predict()
        return prediction.mask, prediction.score
