"""A small object is decoded again at a finer spacing."""

from __future__ import annotations

import numpy as np

from SegAnyPETLib.preprocess import Region
from SegAnyPETLib.session.canvas import Canvas, Window
from SegAnyPETLib.session.object_extent import clicked_object, extent_lps_mm, is_cut
from SegAnyPETLib.session.prompted_decoder import PromptedDecoder
from SegAnyPETLib.session.region_network import Click

FITS_SHARE = 0.45  # of the finer region's width: the rest is the surroundings the network needs
KEPT_SHARE = 0.15  # a known finer region is used again when the object stays this far from its faces


def refine(decoder: PromptedDecoder, canvas: Canvas, coarse: Window) -> Canvas:
    """Decode the newest positive click's object in the finest region it fits into; the finer answer wins.

    The finer answer is given the clicks in view and the coarse logits as mask prompt. It is thrown away when it does
    not contain the click, or is cut by a face of its region.
    """
    clicks = [c for c in decoder.clicks if c.positive and coarse.region.contains(c.lps_mm)]
    region = finer_region(decoder, canvas, coarse, clicks[-1]) if clicks else None
    if region is None:
        return canvas
    fine = decoder.decode(region, canvas)
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
