"""One more prompt: from the state after n - 1 prompts to the state after n.

A prediction is a pure function of the image, the model and the ordered prompts. It is this fold:

1. The prompt becomes a click (`click_of`) that reaches as far as the border of the mask before. The network is given
   all clicks in view so far (or the newest only, as the model's entry says) and, as mask prompt, the logits of the
   state before, seen on the region. At the very first prompt the mask prompt is what the model's entry says.
   Far from a later click the logits before it stay (see `locality`). Clicks the network leaves unanswered are then
   enforced (see `obedience`).
2. The click is decoded in the finest known region in which it lies deep enough (`KNOWN_SHARE` of the width from
   every face), so another click there costs one decode. Else a region of the start spacing is placed around it.
   A negative click where nothing was predicted and no region is near changes nothing.
3. At the very first click, a much smaller whole object at the finest spacing takes the coarse answer's place
   (see `look_closer`).
4. When the object is cut by a face of the region, it is followed (see `following`).
5. When it fits well into a region of finer spacing, it is decoded there too and the finer answer wins; where a
   finer answer is cut by its faces, the step is done again at the start spacing.
6. A click that corrects a mask and is still not obeyed, because the network finds nothing where it is, is enforced.
   While nothing was found at all, that is the answer: a lesion the network does not see is not made up.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil

import numpy as np
from numpy.typing import NDArray

from SegAnyPETLib.clicks import LARGEST_REACH_MM, reach_of_click
from SegAnyPETLib.geometry import Grid, VoxelBox
from SegAnyPETLib.preprocess import Region
from SegAnyPETLib.session.canvas import Canvas
from SegAnyPETLib.session.following import follow_object
from SegAnyPETLib.session.object_extent import clicked_object, is_cut, outgrows
from SegAnyPETLib.session.packed_mask import PackedMask
from SegAnyPETLib.session.postprocess import keep_clicked_components, soft_dice, threshold
from SegAnyPETLib.session.prompt_clicks import click_of
from SegAnyPETLib.session.prompted_decoder import PromptedDecoder
from SegAnyPETLib.session.prompts import Box, Point, Prompt, SeedMask
from SegAnyPETLib.session.refinement import look_closer, refine
from SegAnyPETLib.session.region_network import Click, RegionNetwork

KNOWN_SHARE = 0.125


@dataclass(frozen=True, eq=False)
class State:
    """Everything known after some prompts.

    Attributes:
        canvas: Decoded windows.
        clicks: One per prompt, in order.
        mask: The result on the image's grid.
        score: See `soft_dice`.
        notices: What the user should be told about this step.
    """

    canvas: Canvas
    clicks: tuple[Click, ...]
    mask: PackedMask
    score: float
    notices: tuple[str, ...] = ()


def blank_state(network: RegionNetwork) -> State:
    """The state before any prompt."""
    return State(Canvas(), (), PackedMask.empty(network.image.grid.shape_kji), 0.0)


def advance(
    network: RegionNetwork, before: State, prompts: Sequence[Prompt], *, cancel: threading.Event | None
) -> State:
    """The state after `prompts`, given that after all but the last of them.

    Raises:
        PredictionCancelled: `cancel` was set; nothing was changed.
        SegAnyPETError: The model failed; nothing was changed.
    """
    prompt = prompts[-1]
    click = click_of(prompt, network.image)
    clicks = (*before.clicks, replace(click, reach_mm=_reach_mm(click, before.mask, network.image.grid)))
    canvas = replace(before.canvas, limits=_limits(prompts))
    if isinstance(prompt, SeedMask):
        canvas = replace(canvas, windows=(), seed=(prompt.packed, network.image.grid))
    decoder = PromptedDecoder(network, clicks, cancel=cancel)
    notices: tuple[str, ...] = ()
    if not _changes_nothing(canvas, clicks[-1]):
        canvas, notices = _decode(decoder, canvas, prompt)
        if not before.mask.box.is_empty:
            canvas = decoder.honour_newest(canvas)
    return _finished(network, canvas, decoder.clicks, prompts, notices)


def _decode(decoder: PromptedDecoder, canvas: Canvas, prompt: Prompt) -> tuple[Canvas, tuple[str, ...]]:
    start_mm = decoder.network.preprocessing.spacings_mm[0]
    start_box = prompt if isinstance(prompt, Box) else None
    click = decoder.clicks[-1]
    finest = _known_region(canvas, click, coarsest_mm=start_mm)
    if finest is not None and finest.spacing_mm < start_mm:
        fine = decoder.decode(finest, canvas, start_box=start_box)
        found = clicked_object(fine, decoder.clicks)
        painted = canvas.with_window(fine)
        if not is_cut(fine, found, canvas=painted, image_grid=decoder.network.image.grid):
            return painted, ()
    starts = replace(canvas, windows=tuple(w for w in canvas.windows if w.region.spacing_mm == start_mm))
    region = _known_region(starts, click, coarsest_mm=start_mm) or _start_region(decoder, prompt)
    coarse = decoder.decode(region, canvas, start_box=start_box)
    if isinstance(prompt, Point) and (closer := look_closer(decoder, canvas, coarse)) is not None:
        return closer, ()
    canvas, followed, notices = follow_object(decoder, canvas.with_window(coarse), coarse)
    outgrown = {
        w.region
        for w in canvas.windows
        if w.region.spacing_mm < start_mm and any(outgrows(w, c, decoder.clicks) for c in (coarse, *followed))
    }
    canvas = canvas.without(outgrown)
    if followed:
        return canvas, notices
    return refine(decoder, canvas, coarse), ()


def _finished(
    network: RegionNetwork,
    canvas: Canvas,
    clicks: tuple[Click, ...],
    prompts: Sequence[Prompt],
    notices: tuple[str, ...],
) -> State:
    grid = network.image.grid
    parts = list(canvas.visible_parts(grid))
    seeds = [p.packed for p in prompts if isinstance(p, SeedMask)]
    boxes = [p for p in prompts if isinstance(p, Box)]
    mask, dropped = keep_clicked_components(
        threshold(parts, grid), clicks, grid=grid, seed=seeds[-1] if seeds else None, boxes=boxes
    )
    return State(canvas, clicks, mask, soft_dice(parts, mask, grid), notices + dropped)


def _reach_mm(click: Click, mask: PackedMask, grid: Grid) -> float:
    """How far the click reaches, given the mask it corrects."""
    if mask.box.is_empty:
        return 0.0
    k, j, i = grid.nearest_voxel_kji(click.lps_mm)
    steps = [ceil(LARGEST_REACH_MM / s) for s in grid.spacing_kji_mm]
    low = (max(0, k - steps[0]), max(0, j - steps[1]), max(0, i - steps[2]))
    around = VoxelBox(low, (k + steps[0] + 1, j + steps[1] + 1, i + steps[2] + 1)).intersection(grid.box)
    nearby = mask.inside(around)
    if not nearby.any():
        return LARGEST_REACH_MM
    return reach_of_click(nearby, (k - low[0], j - low[1], i - low[2]), spacing_kji_mm=grid.spacing_kji_mm)


def _limits(prompts: Sequence[Prompt]) -> tuple[Box, ...]:
    boxes = tuple(p for p in prompts if isinstance(p, Box))
    points = [p.lps_mm for p in prompts if isinstance(p, Point) and p.positive]
    outside = any(not any(box.contains(point) for box in boxes) for point in points)
    return () if outside else boxes


def _changes_nothing(canvas: Canvas, click: Click) -> bool:
    """A negative click where no region is and nothing was predicted: there is nothing to take away."""
    if click.positive or canvas.is_blank or any(w.region.contains(click.lps_mm) for w in canvas.windows):
        return False
    if canvas.seed is None:
        return True
    seed, grid = canvas.seed
    k, j, i = grid.nearest_voxel_kji(click.lps_mm)
    return not seed.inside(VoxelBox((k, j, i), (k + 1, j + 1, i + 1))).any()


def _known_region(canvas: Canvas, click: Click, *, coarsest_mm: float) -> Region | None:
    """The finest, and of those the most central, known region in which the click lies deep enough."""
    depths = [(w.region.spacing_mm, -w.region.depth_share(click.lps_mm), w.region) for w in canvas.windows]
    known = [(s, d, r) for s, d, r in depths if -d >= KNOWN_SHARE and s <= coarsest_mm]
    return min(known, key=lambda entry: entry[:2])[2] if known else None


def _start_region(decoder: PromptedDecoder, prompt: Prompt) -> Region:
    """A new region of the start spacing: around the click, or around a whole box or seed that fits into it."""
    spec = decoder.network.preprocessing
    around_click = decoder.new_region(decoder.clicks[-1].lps_mm, spec.spacings_mm[0])
    if isinstance(prompt, Point):
        return around_click
    low, high = _extent(prompt, decoder.network.image.grid)
    x, y, z = (float(c) for c in (low + high) / 2)
    around_all = decoder.new_region((x, y, z), spec.spacings_mm[0])
    fits = min(around_all.depth_share(low), around_all.depth_share(high)) > 0
    return around_all if fits else around_click


def _extent(prompt: Box | SeedMask, grid: Grid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if isinstance(prompt, Box):
        return np.asarray(prompt.lps_mm_min), np.asarray(prompt.lps_mm_max)
    box = prompt.packed.box
    corners = np.stack(np.meshgrid(*zip(box.start_kji, np.subtract(box.stop_kji, 1), strict=True), indexing="ij"), -1)
    lps = grid.kji_to_lps(corners.reshape(-1, 3))
    return lps.min(axis=0), lps.max(axis=0)
