"""A picture of several cases, one row each: what a method's mask looks like beside the reference after some clicks."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from SegAnyPETLib.clicks import deepest_voxel
from SegAnyPETLib.data.segment import as_mask
from SegAnyPETLib.errors import OutputError
from SegAnyPETLib.geometry import VoxelBox
from SegAnyPETLib.report.drawing import (
    FAINT,
    INK,
    NEGATIVE_COLOUR,
    POSITIVE_COLOUR,
    box_corners_lps_mm,
    draw_contour,
    draw_scale_bar,
    is_near_plane,
    mark_click,
    require_png_name,
    show_plane,
    usual_window_suv,
    write_figure,
)
from SegAnyPETLib.report.planes import AXIAL, CORONAL, FlatImage, Float3, View, sample_plane
from SegAnyPETLib.version import __version__

if TYPE_CHECKING:
    from SegAnyPETLib.session import Point
    from SegAnyPETLib.suv import SUVVolume

BoolArray = NDArray[np.bool_]

VIEWS = (AXIAL, CORONAL)
REFERENCE_COLOUR, MASK_COLOUR = "#ff7f0e", "#0a6ed1"
LEAST_HALF_FIELD_MM = 35.0
MARGIN_MM = 20.0  # around reference and masks
FARTHEST_SPILL_MM = 40.0  # how far beyond the reference a mask still widens the field
HOT_PERCENTILE = 95.0  # of the reference: what is black at least, so that a hot lesion keeps its structure
SAMPLES = 320  # along each side of a plane
PANE, GAP, CELL_GAP, EDGE = 2.3, 0.06, 0.3, 0.15  # inches, as all that follow
HEADER, TITLE, ROW_GAP = 0.25, 0.2, 0.2
LEGEND, LINE = 0.3, 0.15
CLICK_SIZE = 5.5  # points: small lesions must stay visible below it
CHARACTERS_PER_INCH = 17.0  # at 7.5 points, with room for wide letters


@dataclass(frozen=True)
class GalleryCell:
    """One mask of a case.

    Attributes:
        title: For example the number of clicks and the Dice.
        mask: (K, J, I) on the grid of the row's image; may be empty.
        clicks: Those that led to it.
    """

    title: str
    mask: BoolArray
    clicks: Sequence[Point] = ()


@dataclass(frozen=True)
class GalleryRow:
    """One case.

    Attributes:
        title: For example the case's name; the reference's volume and the SUV window are written below it.
        image: The SUV volume, on any grid.
        reference: (K, J, I), not empty.
        cells: From left to right.
    """

    title: str
    image: SUVVolume
    reference: BoolArray
    cells: Sequence[GalleryCell]


@dataclass(frozen=True)
class _Pane:
    view: View
    pet: FlatImage
    reference: FlatImage
    mask: FlatImage
    clicks: Sequence[Point]


@dataclass(frozen=True)
class _Row:
    """What is drawn of a `GalleryRow`; the volumes are no longer needed."""

    title: str
    details: str
    window_suv: float
    cells: Sequence[tuple[str, Sequence[_Pane]]]


def write_gallery(path: Path | str, rows: Iterable[GalleryRow], *, caption: str = "", note: str = "") -> Path:
    """Write a PNG: per cell the axial and the coronal plane through the reference's deepest voxel.

    PET is shown inverted, from SUV 0 to 7 (less in an image without such values, more where the reference is hotter),
    in radiological orientation and true to scale; all planes of a row show the same field.

    Args:
        path: Ends in .png.
        rows: Used one after the other: a generator keeps one image in memory.
        caption: A line below the legend, for example what was evaluated.
        note: A paragraph below it, for example what the data's license wants said.

    Raises:
        GeometryError: A mask does not fit its image.
        PromptError: A reference is empty.
        OutputError: The name does not end in .png, there is no row or a row has no cell, or the file cannot be written.
    """
    path = require_png_name(path)
    sampled = [_sample_row(row) for row in rows]
    if not sampled or not all(row.cells for row in sampled):
        msg = f"Expected at least one row, each with at least one mask; found {[len(row.cells) for row in sampled]}."
        raise OutputError(msg)
    write_figure(path, _figure(sampled, caption, note))
    return path


def _sample_row(row: GalleryRow) -> _Row:
    grid = row.image.grid
    for mask in (row.reference, *(cell.mask for cell in row.cells)):
        as_mask(mask, grid=grid)
    through = _position(grid.kji_to_lps(deepest_voxel(row.reference, spacing_kji_mm=grid.spacing_kji_mm)))
    centre, half = _field(row)

    def panes(cell: GalleryCell) -> list[_Pane]:
        return [_sample_pane(row, cell, view, _moved(centre, view, through), half) for view in VIEWS]

    values = row.image.array[row.reference]
    window = max(usual_window_suv(row.image), float(np.percentile(values, HOT_PERCENTILE)))
    volume_ml = values.size * grid.voxel_volume_ml
    details = f"reference {_rounded(volume_ml)} ml, black: SUV {window:.1f}"
    return _Row(row.title, details, window, [(cell.title, panes(cell)) for cell in row.cells])


def _sample_pane(row: GalleryRow, cell: GalleryCell, view: View, centre: Float3, half: float) -> _Pane:
    grid = row.image.grid

    def sampled(array: Any) -> FlatImage:  # float32, or a mask
        return sample_plane(array, grid, view, centre_lps_mm=centre, half_size_mm=half, step_mm=2 * half / SAMPLES)

    near = [click for click in cell.clicks if is_near_plane(click, grid, view, centre_lps_mm=centre)]
    return _Pane(
        view, sampled(row.image.array), sampled(row.reference.view(np.uint8)), sampled(cell.mask.view(np.uint8)), near
    )


def _field(row: GalleryRow) -> tuple[Float3, float]:
    """Middle and half side of the square in mm: the reference, and what masks spill around it up to a limit."""
    grid = row.image.grid
    corners = box_corners_lps_mm(grid, VoxelBox.of_mask(row.reference))
    low, high = corners.min(axis=0), corners.max(axis=0)
    seen_low, seen_high = low, high
    for cell in row.cells:
        box = VoxelBox.of_mask(cell.mask)
        if not box.is_empty:
            spilt = box_corners_lps_mm(grid, box)
            seen_low = np.minimum(seen_low, np.maximum(spilt.min(axis=0), low - FARTHEST_SPILL_MM))
            seen_high = np.maximum(seen_high, np.minimum(spilt.max(axis=0), high + FARTHEST_SPILL_MM))
    half = float((seen_high - seen_low).max()) / 2 + MARGIN_MM
    return _position((seen_low + seen_high) / 2), max(LEAST_HALF_FIELD_MM, half)


def _moved(centre: Float3, view: View, through: Float3) -> Float3:
    """`centre`, moved along the normal of `view` into the plane through `through`."""
    return _position([through[axis] if axis == view.normal else centre[axis] for axis in range(3)])


def _position(values: Any) -> Float3:  # an array, or a list of three
    x, y, z = (float(value) for value in values)
    return x, y, z


def _rounded(volume_ml: float) -> str:
    return f"{volume_ml:.2f}" if volume_ml < 1 else f"{volume_ml:.1f}" if volume_ml < 100 else f"{volume_ml:.0f}"


def _figure(rows: Sequence[_Row], caption: str, note: str) -> Any:  # a matplotlib Figure
    from matplotlib.figure import Figure

    columns = max(len(row.cells) for row in rows)
    cell_width = len(VIEWS) * PANE + (len(VIEWS) - 1) * GAP
    width = 2 * EDGE + columns * cell_width + (columns - 1) * CELL_GAP
    texts = [caption, note, f"SegAnyPET {__version__}, for research only"]
    lines = [line for text in texts for line in textwrap.wrap(text, round((width - 2 * EDGE) * CHARACTERS_PER_INCH))]
    legend = LEGEND if columns > 1 else LEGEND + LINE
    row_height = HEADER + TITLE + PANE + ROW_GAP
    height = EDGE + len(rows) * row_height + legend + len(lines) * LINE + EDGE
    figure = Figure(figsize=(width, height), dpi=130, facecolor="white")
    top = height - EDGE
    for row in rows:
        _write(figure, EDGE, top, row.title, fontsize=9.5, weight="bold", color=INK)
        _write(figure, EDGE + cell_width, top - HEADER, row.details, fontsize=8.5, color=FAINT, ha="right")
        for column, (title, panes) in enumerate(row.cells):
            left = EDGE + column * (cell_width + CELL_GAP)
            _write(figure, left, top - HEADER, title, fontsize=8.5, color=INK)
            for number, pane in enumerate(panes):
                corner = (left + number * (PANE + GAP), top - HEADER - TITLE - PANE)
                area = (corner[0] / width, corner[1] / height, PANE / width, PANE / height)
                _draw_pane(figure.add_axes(area), pane, row.window_suv)
        top -= row_height
    _draw_legend(figure, top / height, columns=4 if columns > 1 else 2)
    for number, line in enumerate(lines):
        _write(figure, EDGE, top - legend - number * LINE, line, fontsize=7.5, color=FAINT)
    return figure


def _write(figure: Any, left: float, top: float, text: str, **style: Any) -> None:  # matplotlib's Figure and properties
    """At inches from the left and the bottom; a $ in a name or note is a dollar, not mathematics."""
    width, height = figure.get_size_inches()
    figure.text(left / width, top / height, text, va="top", parse_math=False, **style)


def _draw_pane(axes: Any, pane: _Pane, window_suv: float) -> None:  # matplotlib Axes
    show_plane(axes, pane.pet, pane.view, window_suv)
    draw_contour(axes, pane.mask, MASK_COLOUR, width=1.5)
    draw_contour(axes, pane.reference, REFERENCE_COLOUR, width=1.2, is_dashed=True)
    for click in pane.clicks:
        mark_click(axes, pane.view, click, size=CLICK_SIZE)
    draw_scale_bar(axes, pane.pet.extent_mm)


def _draw_legend(figure: Any, top: float, *, columns: int) -> None:  # a matplotlib Figure
    from matplotlib.lines import Line2D

    handles: list[Any] = [
        Line2D([], [], color=MASK_COLOUR, linewidth=1.5, label="mask"),
        Line2D([], [], color=REFERENCE_COLOUR, linewidth=1.2, linestyle="dashed", label="reference"),
    ]
    for sign, colour, name in (("+", POSITIVE_COLOUR, "positive"), ("x", NEGATIVE_COLOUR, "negative")):
        label = f"{name} click near the plane"
        handles.append(Line2D([], [], linestyle="none", marker=sign, color=colour, markeredgewidth=1.5, label=label))
    place = (EDGE / float(figure.get_size_inches()[0]), top)
    figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=place,
        borderaxespad=0,
        borderpad=0.2,
        ncols=columns,
        frameon=False,
        fontsize=8,
    )
