"""All clicks given so far, and the adapter that lets a function of them be evaluated like a session."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from SegAnyPETLib.evaluation.baselines import distance_from

if TYPE_CHECKING:
    from SegAnyPETLib.suv import SUVVolume

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float32]
Index = tuple[int, int, int]


@dataclass(frozen=True)
class PlacedClicks:
    """Clicked voxels (k, j, i), in the order they were given.

    Attributes:
        positive: Inside the object.
        negative: Outside it.
    """

    positive: tuple[Index, ...] = ()
    negative: tuple[Index, ...] = ()

    def with_click(self, kji: Sequence[int], *, positive: bool) -> PlacedClicks:
        """These clicks and one more."""
        k, j, i = (int(index) for index in kji)
        if positive:
            return PlacedClicks((*self.positive, (k, j, i)), self.negative)
        return PlacedClicks(self.positive, (*self.negative, (k, j, i)))


# Values (K, J, I) in SUV, all clicks, spacing along K, J, I in mm; gives the mask (K, J, I).
Segmenter = Callable[[FloatArray, PlacedClicks, Sequence[float]], BoolArray]


class ClassicalMethod:
    """A `ClickedMethod` that computes its mask anew from the image and all clicks so far; it has no score."""

    def __init__(self, segment: Segmenter) -> None:
        self._segment = segment

    def start(self, image: SUVVolume) -> None:
        """Take a new image and forget all earlier clicks."""
        self._image = image
        self._clicks = PlacedClicks()

    def click(self, kji: Sequence[int], *, positive: bool) -> tuple[BoolArray, None]:
        """Add one click at a voxel; the mask (K, J, I) of all clicks so far."""
        self._clicks = self._clicks.with_click(kji, positive=positive)
        return self._segment(self._image.array, self._clicks, self._image.grid.spacing_kji_mm), None


def distance_to_nearest(
    clicks: Sequence[Sequence[float]], shape_kji: Sequence[int], spacing_kji_mm: Sequence[float]
) -> NDArray[np.float64]:
    """Distance of every voxel (K, J, I) from the nearest of `clicks` in mm; infinite without clicks."""
    nearest: NDArray[np.float64] = np.full(tuple(shape_kji), np.inf)
    for click in clicks:
        np.minimum(nearest, distance_from(click, shape_kji, spacing_kji_mm), out=nearest)
    return nearest
