"""Pages of small pictures, one line per case, to see at a glance what a checker cannot."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from SegAnyPETLib.clicks import deepest_voxel
from SegAnyPETLib.errors import OutputError
from SegAnyPETLib.finetune.cohort.cases import CohortCase
from SegAnyPETLib.finetune.cohort.findings import SEVERITIES, Finding, rounded_ml
from SegAnyPETLib.finetune.cohort.manifest import CohortEntry
from SegAnyPETLib.geometry import VoxelBox
from SegAnyPETLib.report.drawing import (
    FAINT,
    INK,
    NEGATIVE_COLOUR,
    box_corners_lps_mm,
    draw_contour,
    draw_scale_bar,
    show_plane,
    usual_window_suv,
    write_figure,
)
from SegAnyPETLib.report.planes import AXIAL, CORONAL, SAGITTAL, FlatImage, Float3, View, sample_plane
from SegAnyPETLib.version import __version__

CASES_ON_A_PAGE = 12
COLUMNS = 2  # of cases
VIEWS = (AXIAL, CORONAL, SAGITTAL)
CONTOUR = "#0a6ed1"
MARGIN_MM = 30.0
LEAST_HALF_MM, MOST_HALF_MM = 45.0, 400.0
HOT_PERCENTILE = 95.0
SAMPLES = 220
PANE, GAP, CASE_GAP, EDGE = 1.7, 0.05, 0.35, 0.2  # inches, as all that follow
TITLE, LINE, ROW_GAP, FOOT = 0.2, 0.14, 0.16, 0.3
LINES = 3  # of findings below a title
CHARACTERS = 112  # of a line of findings


@dataclass(frozen=True)
class Thumbnail:
    """What is drawn of a case; its volume is no longer needed.

    Attributes:
        title: Name, patient, quality and split.
        details: Sizes and SUV.
        findings: What the checker said, most severe first.
        panes: View, image and label; none where the case cannot be opened.
        window_suv: What is black.
    """

    title: str
    details: str
    findings: tuple[str, ...]
    panes: tuple[tuple[View, FlatImage, FlatImage], ...] = field(default=(), repr=False)
    window_suv: float = 7.0


def make_thumbnail(entry: CohortEntry, case: CohortCase | None, findings: Sequence[Finding] = ()) -> Thumbnail:
    """Planes through the deepest voxel of the largest lesion, or through the image's middle where there is none."""
    title = f"{entry.case}  (patient {entry.patient}, {entry.quality}, {entry.split})"
    ordered = sorted(findings, key=lambda one: SEVERITIES.index(one.severity))
    said = tuple(f"{one.severity}: {one.message}" for one in ordered)
    if case is None:
        return Thumbnail(title, "cannot be opened", said)
    grid, label = case.grid, case.label
    if case.lesions:
        first = case.lesions[0]
        deepest = deepest_voxel(first.mask, spacing_kji_mm=grid.spacing_kji_mm)
        through = grid.kji_to_lps(np.add(deepest, first.box.start_kji))
        corners = box_corners_lps_mm(grid, first.box)
        half = float((corners.max(axis=0) - corners.min(axis=0)).max()) / 2 + MARGIN_MM
        centre = (corners.max(axis=0) + corners.min(axis=0)) / 2
        hot = float(np.percentile(case.suv[label], HOT_PERCENTILE))
    else:
        corners = box_corners_lps_mm(grid, VoxelBox.of_shape(grid.shape_kji))
        centre = through = (corners.max(axis=0) + corners.min(axis=0)) / 2
        half, hot = float((corners.max(axis=0) - corners.min(axis=0)).max()) / 2, 0.0
    half = min(max(half, LEAST_HALF_MM), MOST_HALF_MM)
    panes = []
    for view in VIEWS:
        middle = _position([through[axis] if axis == view.normal else centre[axis] for axis in range(3)])
        step = 2 * half / SAMPLES
        pet = sample_plane(case.suv, grid, view, centre_lps_mm=middle, half_size_mm=half, step_mm=step)
        mask = sample_plane(label.view(np.uint8), grid, view, centre_lps_mm=middle, half_size_mm=half, step_mm=step)
        panes.append((view, pet, mask))
    window = max(usual_window_suv(case.image), hot)
    spacing = " x ".join(f"{size:.2g}" for size in grid.spacing_ijk_mm)
    details = (
        f"{len(case.lesions)} lesion(s), {rounded_ml(case.volume_ml)}, voxels {spacing} mm, black: SUV {window:.1f}"
    )
    return Thumbnail(title, details, said, tuple(panes), window)


def write_thumbnails(
    folder: Path | str, thumbnails: Sequence[Thumbnail], *, per_page: int = CASES_ON_A_PAGE
) -> tuple[Path, ...]:
    """Write ``page_01.png`` and so on: axial, coronal and sagittal planes with the label's contour, one line per case.

    PET is shown inverted, in radiological orientation and true to scale, as in the library's other pictures.

    Args:
        folder: Made where it is absent; pages of the same name are replaced.
        thumbnails: In order.
        per_page: Cases on a page.

    Raises:
        OutputError: There is nothing to draw, or the folder cannot be written.
    """
    folder = Path(folder)
    if not thumbnails:
        msg = "Expected at least one case to draw; found none."
        raise OutputError(msg)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"Cannot make the folder {folder}: {error.strerror}. Choose a folder you may write to."
        raise OutputError(msg) from error
    pages = [thumbnails[n : n + per_page] for n in range(0, len(thumbnails), per_page)]
    paths = []
    for number, page in enumerate(pages, start=1):
        path = folder / f"page_{number:02d}.png"
        write_figure(path, _figure(page, f"Page {number} of {len(pages)}"))
        paths.append(path)
    return tuple(paths)


def _position(values: Sequence[float]) -> Float3:
    x, y, z = (float(value) for value in values)
    return x, y, z


def _figure(page: Sequence[Thumbnail], where: str) -> Any:  # a matplotlib Figure
    from matplotlib.figure import Figure

    columns = min(COLUMNS, len(page))
    rows = [page[n : n + columns] for n in range(0, len(page), columns)]
    lines = [min(LINES, max(len(thumbnail.findings) for thumbnail in row)) for row in rows]
    case_width = len(VIEWS) * PANE + (len(VIEWS) - 1) * GAP
    width = 2 * EDGE + columns * case_width + (columns - 1) * CASE_GAP
    heights = [TITLE + LINE * (1 + count) + PANE + ROW_GAP for count in lines]
    height = 2 * EDGE + sum(heights) + FOOT
    figure = Figure(figsize=(width, height), dpi=110, facecolor="white")
    top = height - EDGE
    for row, row_height in zip(rows, heights, strict=True):
        for n, thumbnail in enumerate(row):
            left = EDGE + n * (case_width + CASE_GAP)
            _draw(figure, thumbnail, left, top, bottom=top - row_height + ROW_GAP)
        top -= row_height
    foot = f"{where}. Blue: the label. SegAnyPET {__version__}, for research only"
    _write(figure, EDGE, EDGE + FOOT / 2, foot, fontsize=7.5, color=FAINT)
    return figure


def _draw(figure: Any, thumbnail: Thumbnail, left: float, top: float, *, bottom: float) -> None:  # a matplotlib Figure
    width, height = figure.get_size_inches()
    _write(figure, left, top, thumbnail.title, fontsize=8.5, weight="bold", color=INK)
    _write(figure, left, top - TITLE, thumbnail.details, fontsize=7, color=FAINT)
    lines = [textwrap.shorten(text, CHARACTERS, placeholder=" …") for text in thumbnail.findings]
    if len(lines) > LINES:
        lines = [*lines[: LINES - 1], f"and {len(lines) - LINES + 1} more"]
    for n, line in enumerate(lines, start=1):
        colour = FAINT if line.startswith("note") else NEGATIVE_COLOUR
        _write(figure, left, top - TITLE - n * LINE, line, fontsize=6.5, color=colour)
    for n, (view, pet, mask) in enumerate(thumbnail.panes):
        place = (left + n * (PANE + GAP)) / width, bottom / height, PANE / width, PANE / height
        axes = figure.add_axes(place)
        show_plane(axes, pet, view, thumbnail.window_suv)
        draw_contour(axes, mask, CONTOUR, width=1.1)
        draw_scale_bar(axes, pet.extent_mm)


def _write(figure: Any, left: float, top: float, text: str, **style: Any) -> None:  # matplotlib's Figure and properties
    """At inches from the left and the bottom; a $ in a name is a dollar, not mathematics."""
    width, height = figure.get_size_inches()
    figure.text(left / width, top / height, text, va="top", parse_math=False, **style)
