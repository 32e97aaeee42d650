"""A small object is decoded again at a finer spacing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from SegAnyPETLib.geometry import Grid
from SegAnyPETLib.preprocess import Region
from SegAnyPETLib.session.canvas import Canvas, Window
from SegAnyPETLib.session.object_extent import BoolArray, clicked_object, extent_lps_mm, is_cut
from SegAnyPETLib.session.prompted_decoder import PromptedDecoder
from SegAnyPETLib.session.region_network import Click

FITS_SHARE = 0.45  # of the finer region's width: the rest is the surroundings the network needs
KEPT_SHARE = 0.15  # a known finer region is used again when the object stays this far from its faces
LEAK_RATIO = 64.0  # four times as wide along each axis: then the coarse answer ran away from a small focus
SMALLEST_FOCUS_ML = 0.25  # an answer smaller than a sphere of 8 mm is more likely noise than a focus
FOCUS_CONTRAST = 1.3  # mean uptake of a focus over that around it, or the reverse: else it is a piece of an organ
AROUND_MM = 8.0  # how far from the focus that is looked at


def look_closer(decoder: PromptedDecoder, canvas: Canvas, coarse: Window) -> Canvas | None:
    """Ask at the finest spacing whether the very first click meant a small focus that the coarse answer missed.

    A focus of a few voxels fades at the start spacing, and the network may then answer with the tissue around it. The
    finest region around the click is decoded on its own, without the coarse answer as mask prompt. When it holds a
    whole object at the click that stands out from its surroundings, and the coarse one is more than `LEAK_RATIO` times
    as large, the fine one is right.

    Later clicks add to or take from an object that is known by then, so they are not asked about.

    Returns:
        The canvas with the fine window in place of the coarse one, or None where the coarse answer stands.
    """
    clicks = decoder.clicks
    finest_mm = min(decoder.network.preprocessing.spacings_mm)
    if len(clicks) > 1 or finest_mm == coarse.region.spacing_mm:
        return None
    coarse_ml = _volume_ml(coarse, clicked_object(coarse, clicks))
    if coarse_ml < LEAK_RATIO * SMALLEST_FOCUS_ML:
        return None
    alone = canvas.without({coarse.region})
    fine = decoder.decode(decoder.new_region(clicks[0].lps_mm, finest_mm), alone)
    found = clicked_object(fine, clicks)
    fine_ml = _volume_ml(fine, found)
    if fine_ml < SMALLEST_FOCUS_ML or coarse_ml <= LEAK_RATIO * fine_ml:
        return None
    if is_cut(fine, found, canvas=canvas, image_grid=decoder.network.image.grid):
        return None
    if not _stands_out(decoder.network.suv_in(fine.region), found, fine.grid):
        return None
    return alone.with_window(fine)


def refine(decoder: PromptedDecoder, canvas: Canvas, coarse: Window) -> Canvas:
    """Decode the newest positive click's object in the finest region it fits into; the finer answer wins.

    The finer answer is given the clicks in view, but not the coarse logits as mask prompt: they make small objects too
    large (a sphere of 10 mm at 10:1, PSF 6 mm, by `lite`: 3.5 times its volume with them, 1.1 times without). It is
    thrown away when it does not contain the click, or is cut by a face of its region.
    """
    clicks = [c for c in decoder.clicks if c.positive and coarse.region.contains(c.lps_mm)]
    region = finer_region(decoder, canvas, coarse, clicks[-1]) if clicks else None
    if region is None:
        return canvas
    fine = decoder.decode(region, canvas.without({coarse.region}))
    found = clicked_object(fine, clicks[-1:])
    if not found.any() or is_cut(fine, found, canvas=canvas, image_grid=decoder.network.image.grid):
        return canvas.without({region})
    return canvas.with_window(fine)


def finer_region(decoder: PromptedDecoder, canvas: Canvas, coarse: Window, click: Click) -> Region | None:
    """The region of the finest spacing into which the clicked object fits; None where none is finer or wide enough.

    Where the coarse answer does not contain the click, the object may be too small for it: the finest spacing, then,
    around the click.
    """
    found = clicked_object(coarse, [click])
    low, high = extent_lps_mm(coarse, found) if found.any() else (np.asarray(click.lps_mm), np.asarray(click.lps_mm))
    spec = decoder.network.preprocessing
    for spacing_mm in sorted(s for s in spec.spacings_mm if s < coarse.region.spacing_mm):
        if max(high - low) > FITS_SHARE * min(spec.roi_shape) * spacing_mm:
            continue
        for window in canvas.windows:
            known = window.region
            if known.spacing_mm == spacing_mm and min(known.depth_share(low), known.depth_share(high)) >= KEPT_SHARE:
                return known
        x, y, z = (float(c) for c in (low + high) / 2)
        return decoder.new_region((x, y, z), spacing_mm)
    return None


def _stands_out(suv: NDArray[np.float32], found: BoolArray, grid: Grid) -> bool:
    """The object's mean uptake differs from that around it by a factor of `FOCUS_CONTRAST`."""
    distance_mm = ndimage.distance_transform_edt(~found, sampling=grid.spacing_kji_mm)
    around = ~found & (distance_mm <= AROUND_MM)
    if not around.any():
        return False
    inside, outside = float(suv[found].mean()), float(suv[around].mean())
    return max(inside, outside) >= FOCUS_CONTRAST * min(inside, outside)


def _volume_ml(window: Window, found: BoolArray) -> float:
    return float(found.sum()) * window.grid.voxel_volume_ml
