"""Draws the module's icon and the thumbnail of its sample study: `python Testing/panel/draw_icons.py`.

The other icons are SVG and drawn by hand; these two are PNG because the Extensions Index and Sample Data ask for it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch, Polygon

ICONS = Path(__file__).resolve().parents[2] / "SegAnyPET" / "Resources" / "Icons"
ICON_SIZE, THUMBNAIL_SIZE = (128, 128), (260, 280)  # pixels, width and height
DPI = 100
CURSOR = np.array([(0, 0), (0, -34), (8, -26), (14, -39), (20, -36), (14, -24), (25, -24)])


def figure(size, *, face):
    made = Figure(figsize=(size[0] / DPI, size[1] / DPI), dpi=DPI, facecolor=face)
    FigureCanvasAgg(made)
    axes = made.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    return made, axes


def draw_icon():
    """A hot lesion in a body's outline, its contour, and the cursor that clicked it."""
    made, axes = figure(ICON_SIZE, face="none")
    axes.set_xlim(0, 128)
    axes.set_ylim(0, 128)
    axes.add_patch(FancyBboxPatch((8, 8), 112, 112, boxstyle="round,pad=0,rounding_size=22", fc="#16324f", ec="none"))
    y, x = np.mgrid[0:128, 0:128]
    for (cx, cy), width, color in (((56, 74), 21, (1.0, 0.62, 0.16)), ((56, 74), 9, (1.0, 0.97, 0.85))):
        glow = np.zeros((128, 128, 4))
        glow[..., :3] = color
        glow[..., 3] = np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * width**2))
        axes.imshow(glow, origin="lower", extent=(0, 128, 0, 128), clip_path=axes.patches[0], clip_on=True, zorder=2)
    axes.add_patch(Circle((56, 74), 27, fill=False, ec="#3ddc84", lw=4, zorder=3))
    axes.add_patch(Polygon(CURSOR * 1.25 + (62, 68), closed=True, fc="white", ec="#16324f", lw=2, zorder=4))
    return made


def draw_thumbnail():
    """The phantom from the front, as its highest SUV along each ray."""
    from SegAnyPETLib.phantom import body_phantom

    phantom = body_phantom()
    made, axes = figure(THUMBNAIL_SIZE, face="white")
    depth, height = phantom.grid.spacing_kji_mm[0], phantom.grid.spacing_kji_mm[2]
    front = phantom.activity_suv.max(axis=1)
    axes.imshow(front, cmap="gray_r", vmin=0, vmax=10, origin="lower", aspect=depth / height, interpolation="bilinear")
    return made


if __name__ == "__main__":
    for name, draw in (("SegAnyPET", draw_icon), ("SegAnyPETPhantom", draw_thumbnail)):
        draw().savefig(ICONS / f"{name}.png", dpi=DPI, metadata={"Software": None})
