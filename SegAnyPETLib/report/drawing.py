"""How every picture shows PET, contours, clicks and scale, so that all pictures look the same."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from SegAnyPETLib.data import write_atomically
from SegAnyPETLib.errors import OutputError
from SegAnyPETLib.geometry import Grid, VoxelBox
from SegAnyPETLib.report.planes import FlatImage, Float3, View
from SegAnyPETLib.version import __version__

if TYPE_CHECKING:
    from SegAnyPETLib.session import Point
    from SegAnyPETLib.suv import SUVVolume

Axes = Any  # matplotlib ships no types that mypy follows

USUAL_WINDOW_SUV = 7.0  # white to black, as PET is read
POSITIVE_COLOUR, NEGATIVE_COLOUR = "#00a651", "#e8112d"
INK, FAINT = "#1a1a1a", "#666666"
LETTER_PLACES = ((0.0, 0.5), (1.0, 0.5), (0.5, 1.0), (0.5, 0.0))
LETTER_STYLE = {"ha": "center", "va": "center", "fontsize": 9, "weight": "bold", "color": INK}
BAR_LENGTHS_MM = (200, 100, 50, 20, 10, 5)


def require_png_name(path: Path | str) -> Path:
    """`path`, whose name ends in .png.

    Raises:
        OutputError: It does not.
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        msg = f"Expected a file name ending in .png; found {path.name}. Rename it."
        raise OutputError(msg)
    return path


def write_figure(path: Path, figure: Any) -> None:  # a matplotlib Figure
    """Write a figure as PNG, whole or not at all.

    Raises:
        OutputError: The file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    with write_atomically(path) as temporary:
        FigureCanvasAgg(figure).print_png(temporary, metadata={"Software": f"SegAnyPET {__version__}"})


def usual_window_suv(image: SUVVolume) -> float:
    """The SUV shown as black: 7, or the highest value of the image where that is lower and positive."""
    highest = float(image.array.max())
    return min(USUAL_WINDOW_SUV, highest) if highest > 0 else USUAL_WINDOW_SUV


def box_corners_lps_mm(grid: Grid, box: VoxelBox) -> NDArray[np.float64]:
    """Centres of the eight corner voxels of a box that is not empty, (8, 3) in mm."""
    k, j, i = ((start, stop - 1) for start, stop in zip(box.start_kji, box.stop_kji, strict=True))
    return grid.kji_to_lps(np.stack(np.meshgrid(k, j, i, indexing="ij"), axis=-1).reshape(8, 3))


def is_near_plane(click: Point, grid: Grid, view: View, *, centre_lps_mm: Float3) -> bool:
    """True within a voxel of the plane of `view` through `centre_lps_mm`."""
    thickness_mm = float(np.abs(np.asarray(grid.ijk_to_lps)[view.normal, :3]).max())
    return abs(click.lps_mm[view.normal] - centre_lps_mm[view.normal]) <= thickness_mm


def show_plane(axes: Axes, flat: FlatImage, view: View, window_suv: float) -> Any:  # an AxesImage
    """PET from white (SUV 0) to black (`window_suv`), true to scale, with the letters of the patient's sides."""
    left, right, low, high = flat.extent_mm
    shown = axes.imshow(
        flat.pixels,
        cmap="gray_r",
        vmin=0,
        vmax=window_suv,
        origin="lower",
        extent=flat.extent_mm,
        interpolation="bilinear",
    )
    axes.set_xlim(left, right)
    axes.set_ylim(*((high, low) if view.is_up_decreasing else (low, high)))
    axes.set_aspect("equal")
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(color=FAINT, linewidth=0.5)
    for letter, (x, y) in zip(view.letters, LETTER_PLACES, strict=True):
        inwards = (13 - 26 * x, 13 - 26 * y)
        text = axes.annotate(letter, (x, y), inwards, "axes fraction", "offset points", **LETTER_STYLE)
        text.set_path_effects(_halo(2.0))
    return shown


def _halo(width: float) -> list[Any]:  # matplotlib path effects
    """A white rim, `width` points wide, that keeps a line or text readable on black."""
    from matplotlib import patheffects

    return [patheffects.withStroke(linewidth=width, foreground="white")]


def draw_contour(axes: Axes, flat: FlatImage, colour: Float3 | str, *, width: float, is_dashed: bool = False) -> None:
    """The border of a mask at 0.5, nothing where the plane misses the mask.

    Dashed and without a rim it can lie over another contour and leave that one visible.
    """
    if not flat.pixels.min() < 0.5 < flat.pixels.max():
        return
    rows, columns = flat.pixels.shape
    left, right, low, high = flat.extent_mm
    across = left + (np.arange(columns) + 0.5) * (right - left) / columns
    up = low + (np.arange(rows) + 0.5) * (high - low) / rows
    style = "dashed" if is_dashed else "solid"
    lines = axes.contour(across, up, flat.pixels, levels=[0.5], colors=[colour], linewidths=width, linestyles=style)
    if not is_dashed:
        lines.set_path_effects([*_halo(width + 1.2), *_plain()])


def _plain() -> list[Any]:  # matplotlib path effects
    from matplotlib import patheffects

    return [patheffects.Normal()]


def mark_click(axes: Axes, view: View, click: Point, *, size: float = 8.0) -> None:
    """+ for a positive click, x for a negative one, `size` points wide, where it lies in the plane of `view`."""
    sign, colour = ("+", POSITIVE_COLOUR) if click.positive else ("x", NEGATIVE_COLOUR)
    where = [click.lps_mm[view.across]], [click.lps_mm[view.up]]
    marks = axes.plot(*where, sign, color=colour, markersize=size, markeredgewidth=1.0 + size / 10)
    marks[0].set_path_effects([*_halo(2.6 + size / 10), *_plain()])


def draw_scale_bar(axes: Axes, extent_mm: tuple[float, float, float, float]) -> None:
    """A bar of a round length, at most four tenths of the plane, at its lower left."""
    left, right, _, _ = extent_mm
    length_mm = next((n for n in BAR_LENGTHS_MM if n <= 0.4 * (right - left)), BAR_LENGTHS_MM[-1])
    share = length_mm / (right - left)
    bar = axes.plot([0.06, 0.06 + share], [0.055, 0.055], transform=axes.transAxes, color=INK, linewidth=2)
    bar[0].set_path_effects([*_halo(3.5), *_plain()])
    text = axes.text(
        0.06, 0.066, f"{length_mm / 10:g} cm", transform=axes.transAxes, fontsize=7, color=INK, ha="left", va="bottom"
    )
    text.set_path_effects(_halo(2.0))
