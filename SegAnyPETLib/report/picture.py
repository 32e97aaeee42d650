"""A picture of the study: two maximum-intensity projections and the three planes through a click, with contours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from SegAnyPETLib.data.segment import as_mask
from SegAnyPETLib.errors import OutputError
from SegAnyPETLib.geometry import VoxelBox
from SegAnyPETLib.report.drawing import (
    FAINT,
    INK,
    POSITIVE_COLOUR,
    Axes,
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
from SegAnyPETLib.report.planes import AXIAL, CORONAL, SAGITTAL, FlatImage, Float3, View, project_maximum, sample_plane
from SegAnyPETLib.version import __version__

if TYPE_CHECKING:
    from SegAnyPETLib.data import Segment
    from SegAnyPETLib.session import Point
    from SegAnyPETLib.suv import SUVVolume

LEAST_HALF_FIELD_MM = 70.0
MARGIN_MM = 30.0  # around the lesion in the planes
STEP_MM = 0.75


@dataclass(frozen=True)
class _Scene:
    image: SUVVolume
    segments: Sequence[Segment]
    clicks: Sequence[Point]
    centre_lps_mm: Float3
    window_suv: float


def write_picture(
    path: Path | str,
    image: SUVVolume,
    segments: Sequence[Segment] = (),
    *,
    clicks: Sequence[Point] = (),
    centre_lps_mm: Float3 | None = None,
    window_suv: float | None = None,
    caption: str = "",
) -> Path:
    """Write a PNG: projections from the front and the left, and the axial, coronal and sagittal plane.

    PET is shown inverted (black is high), in radiological orientation (the patient's right is on the left of the
    picture), every pixel at its true size in mm whatever the voxels are.

    Args:
        path: Ends in .png.
        image: The SUV volume, on any grid.
        segments: Drawn as contours in their colours; masks on the grid of `image`.
        clicks: Drawn where they lie: + positive, x negative; in a plane only those within a voxel of it.
        centre_lps_mm: Where the planes cross; by default the first click, else the hottest voxel of the first segment,
            else of the image.
        window_suv: SUV shown as black; by default 7, or the highest value of the image where that is lower.
        caption: A line below, for example the model's name. No patient identifiers are added.

    Raises:
        GeometryError: A mask does not fit the image.
        OutputError: The name does not end in .png, the window is not positive, or the file cannot be written.
    """
    path = require_png_name(path)
    for segment in segments:
        as_mask(segment.mask, grid=image.grid)
    if window_suv is None:
        window_suv = usual_window_suv(image)
    if not window_suv > 0:
        msg = f"Expected a positive SUV for black; found {window_suv}. Give window_suv."
        raise OutputError(msg)
    centre = centre_lps_mm or _default_centre(image, segments, clicks)
    figure = _figure(_Scene(image, segments, clicks, centre, window_suv), caption)
    write_figure(path, figure)
    return path


def _default_centre(image: SUVVolume, segments: Sequence[Segment], clicks: Sequence[Point]) -> Float3:
    if clicks:
        return clicks[0].lps_mm
    values = image.array
    if segments and segments[0].mask.any():
        values = np.where(segments[0].mask, image.array, -np.inf)
    x, y, z = (float(v) for v in image.grid.kji_to_lps(np.unravel_index(int(values.argmax()), values.shape)))
    return x, y, z


def _figure(scene: _Scene, caption: str) -> Any:  # a matplotlib Figure
    from matplotlib.figure import Figure

    projections = [(view, project_maximum(scene.image.array, scene.image.grid, view)) for view in (CORONAL, SAGITTAL)]
    height = 7.0
    widths = [min(max(height * 0.92 * _aspect(flat), 1.6), 4.0) for _, flat in projections]
    plane = 0.46 * height
    figure = Figure(figsize=(sum(widths) + 2 * plane + 0.9, height + 0.5), dpi=130, facecolor="white")
    columns = figure.add_gridspec(
        1, 3, width_ratios=[*widths, 2 * plane], left=0.02, right=0.93, top=0.95, bottom=0.055, wspace=0.06
    )
    for column, (view, flat) in enumerate(projections):
        _draw_projection(figure.add_subplot(columns[0, column]), scene, view, flat)
    planes = columns[0, 2].subgridspec(2, 2, wspace=0.04, hspace=0.12)
    shown: Any = None
    for cell, view in ((planes[0, 0], AXIAL), (planes[0, 1], CORONAL), (planes[1, 0], SAGITTAL)):
        shown = _draw_plane(figure.add_subplot(cell), scene, view)
    _draw_legend(figure.add_subplot(planes[1, 1]), scene)
    bar = figure.colorbar(shown, cax=figure.add_axes((0.945, 0.55, 0.012, 0.36)))
    bar.set_label(f"SUV{scene.image.kind} ({scene.image.unit})", fontsize=8, color=INK)
    bar.ax.tick_params(labelsize=7, colors=INK)
    note = f"{caption}    " if caption else ""
    figure.text(0.02, 0.018, f"{note}SegAnyPET {__version__}, for research only", fontsize=7.5, color=FAINT)
    return figure


def _aspect(flat: FlatImage) -> float:
    left, right, low, high = flat.extent_mm
    return (right - left) / (high - low)


def _draw_projection(axes: Axes, scene: _Scene, view: View, flat: FlatImage) -> None:
    show_plane(axes, flat, view, scene.window_suv)
    for segment in scene.segments:
        box = VoxelBox.of_mask(segment.mask)
        if box.is_empty:
            continue
        around = box.expanded(1)  # so that the contour closes
        inner = np.pad(segment.mask[box.slices], 1).astype(np.float32)
        draw_contour(axes, project_maximum(inner, scene.image.grid.crop(around), view), segment.color_rgb, width=1.1)
    for click in scene.clicks:
        mark_click(axes, view, click)
    _cross_hair(axes, view, scene.centre_lps_mm)
    axes.set_title(f"maximum, {view.name}", fontsize=8.5, color=INK, pad=3)
    draw_scale_bar(axes, flat.extent_mm)


def _draw_plane(axes: Axes, scene: _Scene, view: View) -> Any:  # the image, for the colour bar
    grid, centre = scene.image.grid, scene.centre_lps_mm
    half = _half_field_mm(scene)

    def sampled(array: Any) -> FlatImage:  # float32, or a mask
        return sample_plane(array, grid, view, centre_lps_mm=centre, half_size_mm=half, step_mm=STEP_MM)

    flat = sampled(scene.image.array)
    shown = show_plane(axes, flat, view, scene.window_suv)
    for segment in scene.segments:
        draw_contour(axes, sampled(segment.mask.view(np.uint8)), segment.color_rgb, width=1.5)
    for click in scene.clicks:
        if is_near_plane(click, grid, view, centre_lps_mm=centre):
            mark_click(axes, view, click)
    _cross_hair(axes, view, centre)
    axis = "xyz"[view.normal]
    axes.set_title(f"{view.name}, {axis} = {centre[view.normal]:.0f} mm", fontsize=8.5, color=INK, pad=3)
    draw_scale_bar(axes, flat.extent_mm)
    return shown


def _half_field_mm(scene: _Scene) -> float:
    """Enough for the segment at the centre (or nearest to it), and not less than gives an idea of the surroundings."""
    best, half = np.inf, LEAST_HALF_FIELD_MM
    for segment in scene.segments:
        box = VoxelBox.of_mask(segment.mask)
        if box.is_empty:
            continue
        offsets = np.abs(box_corners_lps_mm(scene.image.grid, box) - np.asarray(scene.centre_lps_mm))
        reach, distance = float(offsets.max()), float(np.linalg.norm(offsets.mean(axis=0)))
        if distance < best:
            best, half = distance, max(LEAST_HALF_FIELD_MM, min(reach, 150.0) + MARGIN_MM)
    return half


def _cross_hair(axes: Axes, view: View, centre: Float3) -> None:
    """Ticks at the edges only: lines across would hide what the picture is for."""
    x = axes.transData.transform((centre[view.across], 0))[0]
    y = axes.transData.transform((0, centre[view.up]))[1]
    across, up = axes.transAxes.inverted().transform((x, y))
    style = {"transform": axes.transAxes, "color": POSITIVE_COLOUR, "linewidth": 1.0}
    if 0 <= across <= 1:
        axes.plot([across, across], [0.0, 0.03], **style)
        axes.plot([across, across], [0.97, 1.0], **style)
    if 0 <= up <= 1:
        axes.plot([0.0, 0.03], [up, up], **style)
        axes.plot([0.97, 1.0], [up, up], **style)


def _draw_legend(axes: Axes, scene: _Scene) -> None:
    axes.set_axis_off()
    axes.set(xlim=(0, 1), ylim=(0, 1))
    line = 0.97
    for segment in scene.segments[:12]:
        values = scene.image.array[segment.mask]
        volume_ml = values.size * scene.image.grid.voxel_volume_ml
        figures = f"SUVmax {values.max():.1f}, {volume_ml:.1f} ml" if values.size else "empty"
        axes.plot([0.02, 0.09], [line - 0.012] * 2, color=segment.color_rgb, linewidth=3)
        axes.text(0.12, line, segment.label, fontsize=8, color=INK, va="center")
        axes.text(0.12, line - 0.035, figures, fontsize=7, color=FAINT, va="center")
        line -= 0.078
    if len(scene.segments) > 12:
        axes.text(0.12, line, f"and {len(scene.segments) - 12} more", fontsize=7.5, color=FAINT, va="center")
