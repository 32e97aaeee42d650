"""What has been decoded so far: windows of logits, painted over one another on whatever grid is asked for.

Logits stay in the regions they were decoded in; the image's grid is sampled on demand. The windows of one spacing
and one step form a layer, in which each place is decided by the windows around it, each weighted by how far the place
is from the window's nearest face. Layers are painted over one another: coarse ones first, and of one spacing the
newest last. A layer is opaque in its interior and fades towards its outer faces (`RAMP_SHARE`), so results join
without a seam; where nothing lies beneath, it counts fully up to its faces.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import groupby
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from SegAnyPETLib.geometry import Grid, VoxelBox
from SegAnyPETLib.preprocess import Region, resample_from_region, resample_linear, voxels_inside
from SegAnyPETLib.preprocess.region import box_covering
from SegAnyPETLib.session.packed_mask import PackedMask
from SegAnyPETLib.session.prompts import Box

FloatArray = NDArray[np.float32]
AnyFloat = TypeVar("AnyFloat", bound=np.floating[Any])

RAMP_SHARE = 0.125  # share of a region's width over which a layer fades
SEED_LOGIT = 6.0
BACKGROUND_LOGIT = -6.0
SLAB_VOXELS = 8_000_000
FAINT_LOGIT = -3.0  # below this (probability 0.047) a window is not sampled on the image
UNKNOWN_LOGIT = 0.0  # the mask prompt where nothing has been decoded: neither object nor background


@dataclass(frozen=True, eq=False)
class Window:
    """What the network answered in one region.

    Attributes:
        region: Where.
        logits: (d, h, w) float16, spread evenly over the region; read-only.
        step: Number of the prompt it was decoded for.
        image_grid: The image the region was taken from.
    """

    region: Region
    logits: NDArray[np.float16]
    step: int
    image_grid: Grid

    @classmethod
    def of(cls, region: Region, logits: FloatArray, *, step: int, image_grid: Grid) -> Window:
        """Keep `logits` in half precision: it moves a surface by less than a thousandth of a voxel."""
        limit = float(np.finfo(np.float16).max)
        kept = np.clip(logits, -limit, limit).astype(np.float16)
        kept.setflags(write=False)
        return cls(region, kept, step, image_grid)

    @cached_property
    def grid(self) -> Grid:
        """The grid of the logits."""
        return self.region.grid_of(self.logits.shape)

    @property
    def logits_on_image(self) -> NDArray[np.float16]:
        """The logits with those outside the image replaced, see `on_image`."""
        return self.on_image(self.logits)

    def on_image(self, values: NDArray[AnyFloat]) -> NDArray[AnyFloat]:
        """Values (d, h, w) of the window with those outside the image replaced by the nearest inside.

        Beyond the image the network sees zeros and says background; without this, interpolation would take an object
        that runs out of the image away from its outermost voxels.
        """
        nearest = _nearest_inside(self.grid, self.image_grid)
        return values if nearest is None else np.asarray(values[nearest])

    def corrected(self, change: FloatArray) -> Window:
        """This window with `change` (d, h, w) added to its logits."""
        return Window.of(self.region, self.logits + change, step=self.step, image_grid=self.image_grid)

    @property
    def depth_share(self) -> FloatArray:
        """(d, h, w), distance to the nearest face as a share of the width: 0.5 in the centre, almost 0 at the faces."""
        depth, height, width = self.logits.shape
        return _depth_share((depth, height, width))

    def visible_box(self, grid: Grid) -> VoxelBox:
        """Voxels of `grid` where the logits may exceed `FAINT_LOGIT`."""
        box = VoxelBox.of_mask(self.logits > FAINT_LOGIT)
        if box.is_empty:
            return box
        return box_covering(self.grid, box.expanded(1).intersection(self.grid.box), grid)


Painted = tuple[Window, NDArray[np.float16]]  # a window and the logits that stand for it


@dataclass(frozen=True, eq=False)
class Canvas:
    """All windows of one state of the session, and the seed beneath them.

    Attributes:
        windows: In painting order.
        seed: A mask on the image's grid beneath all windows, with the grid it lies on.
        limits: The result is clipped to the union of these boxes; no boxes, no limit.
    """

    windows: tuple[Window, ...] = ()
    seed: tuple[PackedMask, Grid] | None = None
    limits: tuple[Box, ...] = ()

    @property
    def is_blank(self) -> bool:
        """True while nothing was decoded or seeded."""
        return not self.windows and self.seed is None

    def reaches(self, region: Region) -> bool:
        """True when something is known in `region`."""
        return self.seed is not None or any(not w.region.box_in(region.grid).is_empty for w in self.windows)

    def with_window(self, window: Window) -> Canvas:
        """This canvas with `window` in place of an older one of the same region."""
        others = [w for w in self.windows if w.region != window.region]
        painted = sorted([*others, window], key=_layer)
        return replace(self, windows=tuple(painted))

    def without(self, regions: set[Region]) -> Canvas:
        """This canvas without the windows of `regions`."""
        return replace(self, windows=tuple(w for w in self.windows if w.region not in regions))

    def sample(self, grid: Grid, *, unknown: float) -> FloatArray:
        """Logits at the voxels of `grid`, (K, J, I) float32; `unknown` where nothing was decoded or seeded."""
        return self._painted([(w, w.logits) for w in self.windows], grid, unknown=unknown)

    def sample_on_image(self, grid: Grid) -> FloatArray:
        """The same for a part of the image's own grid: up to the image's border logits are those inside it."""
        return self._painted([(w, w.logits_on_image) for w in self.windows], grid, unknown=BACKGROUND_LOGIT)

    def _painted(self, windows: list[Painted], grid: Grid, *, unknown: float) -> FloatArray:
        if self.seed is None and len(windows) == 1:
            window, values = windows[0]
            return self._limited(_sampled(window, grid, values, outside=unknown), grid)
        logits = np.zeros(grid.shape_kji, dtype=np.float32)
        cover = np.zeros(grid.shape_kji, dtype=np.float32)
        if self.seed is not None:
            logits = _sampled_seed(*self.seed, grid)
            cover[...] = 1.0
        for _, layer in groupby(windows, key=lambda entry: _layer(entry[0])):
            _paint(list(layer), grid, logits, cover)
        known = cover > 0
        np.divide(logits, cover, out=logits, where=known)
        logits[~known] = unknown
        return self._limited(logits, grid)

    def visible_parts(self, grid: Grid) -> Iterator[tuple[VoxelBox, FloatArray]]:
        """Disjoint boxes of the image and their logits; outside them the object's probability is below 5 %.

        A large box is sampled slab by slab, which bounds the memory of blending.
        """
        boxes = [window.visible_box(grid) for window in self.windows]
        if self.seed is not None:
            boxes.append(self.seed[0].box.expanded(1).intersection(grid.box))
        for box in merge_overlapping([box for box in boxes if not box.is_empty]):
            for slab in _slabs(box):
                yield slab, self.sample_on_image(grid.crop(slab))

    def _limited(self, logits: FloatArray, grid: Grid) -> FloatArray:
        if self.limits:
            inside = np.zeros(grid.shape_kji, dtype=bool)
            for box in self.limits:
                inside |= box.mask_on(grid)
            np.minimum(logits, np.float32(BACKGROUND_LOGIT), out=logits, where=~inside)
        return logits


def merge_overlapping(boxes: list[VoxelBox]) -> list[VoxelBox]:
    """Join boxes that overlap into the box around both, until all are disjoint."""
    merged: list[VoxelBox] = []
    for box in boxes:
        joined = box
        while True:
            touching = [other for other in merged if not other.intersection(joined).is_empty]
            if not touching:
                break
            merged = [other for other in merged if other not in touching]
            for other in touching:
                joined = joined.union(other)
        merged.append(joined)
    return merged


def _slabs(box: VoxelBox) -> Iterator[VoxelBox]:
    """The box in slices along k of at most `SLAB_VOXELS`, of at least one slice each."""
    _, rows, columns = box.shape_kji
    thickness = max(1, SLAB_VOXELS // (rows * columns))
    (first, *low), (last, *high) = box.start_kji, box.stop_kji
    for k in range(first, last, thickness):
        yield VoxelBox((k, low[0], low[1]), (min(k + thickness, last), high[0], high[1]))


def _layer(window: Window) -> tuple[float, int]:
    """Painting order: coarse before fine, and of one spacing old before new."""
    return -window.region.spacing_mm, window.step


@lru_cache(maxsize=4)  # windows of one shape share it; a history of windows must not each keep one
def _depth_share(shape: tuple[int, int, int]) -> FloatArray:
    shares = [(np.arange(n) + 0.5) / n for n in shape]
    d, h, w = (np.minimum(s, 1.0 - s).astype(np.float32) for s in shares)
    return np.asarray(np.minimum(np.minimum(d[:, None, None], h[None, :, None]), w[None, None, :]))


@lru_cache(maxsize=8)  # successive clicks ask for the same regions
def _nearest_inside(grid: Grid, image_grid: Grid) -> tuple[NDArray[np.int32], ...] | None:
    """For each voxel of `grid` the index of the nearest one inside the image; None when all or none are inside."""
    inside = voxels_inside(grid, image_grid)
    if inside.all() or not inside.any():
        return None
    return tuple(ndimage.distance_transform_edt(~inside, return_distances=False, return_indices=True))


def _paint(layer: list[Painted], grid: Grid, logits: FloatArray, cover: FloatArray) -> None:
    """Blend the windows of one layer over what is there; `logits` holds values already multiplied by `cover`."""
    boxes = [window.region.box_in(grid) for window, _ in layer]
    around = boxes[0]
    for box in boxes[1:]:
        around = around.union(box)
    if around.is_empty:
        return
    weighted, weight, deepest = (np.zeros(around.shape_kji, dtype=np.float32) for _ in range(3))
    for (window, values), box in zip(layer, boxes, strict=True):
        if box.is_empty:
            continue
        part = box.shifted([-n for n in around.start_kji]).slices
        depth = _sampled(window, grid.crop(box), window.depth_share, outside=0.0)
        weighted[part] += depth * _sampled(window, grid.crop(box), values, outside=0.0)
        weight[part] += depth
        np.maximum(deepest[part], depth, out=deepest[part])
    opacity = np.minimum(deepest / RAMP_SHARE, 1.0)
    np.divide(weighted, weight, out=weighted, where=weight > 0)
    for field, top in ((logits, weighted * opacity), (cover, opacity)):
        field[around.slices] *= 1.0 - opacity
        field[around.slices] += top


def _sampled(window: Window, grid: Grid, values: NDArray[np.floating], *, outside: float) -> FloatArray:
    if grid == window.grid:
        return np.array(values, dtype=np.float32)  # exact, and no resampler is needed
    return resample_from_region(
        np.asarray(values, dtype=np.float32), window.region, grid, box=grid.box, outside=outside
    )


def _sampled_seed(mask: PackedMask, image_grid: Grid, grid: Grid) -> FloatArray:
    """The seed as logits, linear between voxels."""
    box = mask.box.expanded(1).intersection(image_grid.box)
    inside = mask.inside(box).astype(np.float32)
    part = image_grid.crop(box)
    share = inside if grid == part else resample_linear(inside, part, grid, outside=0.0)
    return share * np.float32(SEED_LOGIT - BACKGROUND_LOGIT) + np.float32(BACKGROUND_LOGIT)
