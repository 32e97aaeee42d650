"""Outlines of lesions on a projection, each with a number in the margin and a thin line that leads to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from SegAnyPETLib.geometry import Grid, VoxelBox
from SegAnyPETLib.report.drawing import Axes, draw_contour
from SegAnyPETLib.report.planes import FlatImage, Float3, FloatImage, View, project_maximum

GUTTER = 0.3  # inches beside a projection, where its numbers stand
NUMBER_GAP = 0.125  # inches from one number to the next
NUMBER_SIZE = 7.5  # points


@dataclass(frozen=True, eq=False)
class Outline:
    """One lesion in a projection.

    Attributes:
        number: Written beside it.
        flat: Its projected mask, of the part around it.
        colour: Red, green, blue, 0 to 1.
        is_dashed: Marked as of another sort than the others.
    """

    number: int
    flat: FlatImage
    colour: Float3
    is_dashed: bool

    @property
    def middle_mm(self) -> tuple[float, float]:
        """Middle of its pixels, across and up."""
        rows, columns = np.nonzero(self.flat.pixels > 0.5)
        return self._across_mm(float(columns.mean())), self._up_mm(float(rows.mean()))

    def ends_mm(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Its left and its right end at half of its height, across and up, where lines may touch it."""
        rows = np.flatnonzero((self.flat.pixels > 0.5).any(axis=1))
        row = int(rows[np.abs(rows - rows.mean()).argmin()])
        columns = np.flatnonzero(self.flat.pixels[row] > 0.5)
        up = self._up_mm(row)
        return (self._across_mm(columns[0] - 0.5), up), (self._across_mm(columns[-1] + 0.5), up)

    def _across_mm(self, column: float) -> float:
        left, right, _, _ = self.flat.extent_mm
        return float(left + (column + 0.5) * (right - left) / self.flat.pixels.shape[1])

    def _up_mm(self, row: float) -> float:
        _, _, low, high = self.flat.extent_mm
        return float(low + (row + 0.5) * (high - low) / self.flat.pixels.shape[0])


def closed_part(mask: NDArray[np.bool_], grid: Grid) -> tuple[FloatImage, Grid]:
    """The part of a mask (K, J, I) around its voxels, with a rim of zeros so that its contour closes, and its grid."""
    box = VoxelBox.of_mask(mask)
    return np.pad(mask[box.slices], 1).astype(np.float32), grid.crop(box.expanded(1))


def outline_of(
    part: tuple[FloatImage, Grid], view: View, *, number: int, colour: Float3, is_dashed: bool = False
) -> Outline:
    """The outline of what `closed_part` gave, on a grid of any orientation."""
    flat = project_maximum(*part, view)
    if not (flat.pixels > 0.5).any():  # one oblique voxel between the samples: its brightest sample stands for it
        flat = FlatImage(flat.pixels / flat.pixels.max(), flat.extent_mm)
    return Outline(number, flat, colour, is_dashed)


def draw_outlines(axes: Axes, shown: FlatImage, outlines: Sequence[Outline], *, most_numbers: int) -> None:
    """Draw all outlines, and the numbers of the first ones in the margins, none upon another.

    Args:
        axes: With the projection in it, of its final size.
        shown: The projection.
        outlines: In the order of their importance.
        most_numbers: How many get a number at most.
    """
    for outline in reversed(outlines):
        draw_contour(axes, outline.flat, outline.colour, width=1.0, is_dashed=outline.is_dashed)
    left, right, low, high = shown.extent_mm
    width_inches, height_inches = axes.get_window_extent().size / axes.figure.dpi
    gap_mm = NUMBER_GAP * (high - low) / height_inches
    numbered = outlines[: min(most_numbers, 2 * int(height_inches / NUMBER_GAP))]
    for is_right, side in enumerate(_sides(numbered, middle_mm=(left + right) / 2)):
        ups = [outline.middle_mm[1] for outline in side]
        margin = 0.05 * (right - left) / width_inches
        across = right + margin if is_right else left - margin
        for outline, up in zip(
            side, _spread(ups, gap=gap_mm, low=low + gap_mm / 2, high=high - gap_mm / 2), strict=True
        ):
            _draw_number(axes, outline, (across, up), is_right=bool(is_right))


def _sides(outlines: Sequence[Outline], *, middle_mm: float) -> tuple[list[Outline], list[Outline]]:
    """Those to be numbered on the left and on the right, from bottom to top, at most six tenths on one side."""
    ordered = sorted(outlines, key=lambda outline: outline.middle_mm[0])
    split = sum(outline.middle_mm[0] < middle_mm for outline in ordered)
    fewest = (4 * len(ordered)) // 10
    split = min(max(split, fewest), len(ordered) - fewest)
    left, right = (sorted(part, key=lambda one: one.middle_mm[1]) for part in (ordered[:split], ordered[split:]))
    return left, right


def _spread(places: Sequence[float], *, gap: float, low: float, high: float) -> list[float]:
    """Places in rising order, moved as little as possible (least squares) to be `gap` apart and in the range."""
    from scipy.optimize import isotonic_regression

    if not places:
        return []
    steps = gap * np.arange(len(places))
    fitted = isotonic_regression(np.asarray(places) - steps).x
    return list(np.clip(fitted, low, max(low, high - steps[-1])) + steps)


def _draw_number(axes: Axes, outline: Outline, place_mm: tuple[float, float], *, is_right: bool) -> None:
    axes.annotate(
        str(outline.number),
        outline.ends_mm()[is_right],
        place_mm,
        annotation_clip=False,
        color=outline.colour,
        fontsize=NUMBER_SIZE,
        weight="bold",
        style="italic" if outline.is_dashed else "normal",
        ha="left" if is_right else "right",
        va="center",
        arrowprops={
            "arrowstyle": "-",
            "linewidth": 0.6,
            "linestyle": "dotted" if outline.is_dashed else "solid",
            "color": outline.colour,
            "shrinkA": 1.0,
            "shrinkB": 0.0,
            "relpos": (0.0 if is_right else 1.0, 0.5),
        },
    )
