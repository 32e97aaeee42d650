"""A method under evaluation whose every answer is written beforehand, and an oblique image for it."""

from dataclasses import dataclass

import numpy as np

from SegAnyPETLib.geometry import Grid

GRID = Grid(
    (20, 22, 26),
    (4.0, 5.0, 3.0),
    (-31.0, 12.5, 870.0),
    ((0.8, -0.6, 0.0), (0.6, 0.8, 0.0), (0.0, 0.0, 1.0)),
)


@dataclass(frozen=True)
class AnImage:
    """What the protocol needs of an image."""

    array: np.ndarray
    grid: Grid


class Painter:
    """Answers click number n with the n-th mask of a script, and notes every click."""

    def __init__(self, masks):
        self.masks = masks
        self.clicks = []
        self.images = []

    def start(self, image):
        self.images.append(image)
        self.clicks = []

    def click(self, kji, *, positive):
        self.clicks.append((kji, positive))
        return self.masks[len(self.clicks) - 1], 0.75


def a_box(k, j, i):
    mask = np.zeros(GRID.shape_kji, dtype=bool)
    mask[slice(*k), slice(*j), slice(*i)] = True
    return mask
