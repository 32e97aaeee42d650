"""All decoding of one step: which points a region is given, and which mask it starts from."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from SegAnyPETLib.clicks import deepest_voxel
from SegAnyPETLib.geometry import VoxelBox
from SegAnyPETLib.preprocess import Region
from SegAnyPETLib.session.canvas import UNKNOWN_LOGIT, Canvas, Window
from SegAnyPETLib.session.locality import keep_far_from
from SegAnyPETLib.session.obedience import change_to_obey
from SegAnyPETLib.session.prompt_clicks import box_field
from SegAnyPETLib.session.prompts import Box
from SegAnyPETLib.session.region_network import Click, RegionNetwork


class PromptedDecoder:
    """Decodes regions with the prompts of one step.

    Args:
        network: The network on the image.
        clicks: All clicks up to this step, oldest first.
        cancel: Checked before every call of the network.
    """

    def __init__(self, network: RegionNetwork, clicks: Sequence[Click], *, cancel: threading.Event | None) -> None:
        self.network = network
        self.clicks = tuple(clicks)
        self._cancel = cancel

    def new_region(self, point_lps_mm: tuple[float, float, float], spacing_mm: float) -> Region:
        """The region around a point, in the network's shape and axis order."""
        spec = self.network.preprocessing
        return Region.around(point_lps_mm, shape=spec.roi_shape, spacing_mm=spacing_mm, tensor_axes=spec.tensor_axes)

    def decode(
        self,
        region: Region,
        canvas: Canvas,
        *,
        start_box: Box | None = None,
        extra_click: Click | None = None,
    ) -> Window:
        """Decode `region`.

        Args:
            region: Where.
            canvas: What is known so far; it becomes the mask prompt, unknown places as logit 0.
            start_box: A box whose ellipsoid becomes the mask prompt instead.
            extra_click: One more point, for regions that hold none of the user's.
        """
        orders = [click for click in self.clicks if region.contains(click.lps_mm)]
        clicks = orders[-1:] if self.network.preprocessing.points == "newest" else list(orders)
        if extra_click is not None:
            clicks.append(extra_click)
        before = self._known(region, canvas)
        mask_logits = self._mask_prompt(region, before, start_box)
        logits = self.network.decode(region, clicks, mask_logits=mask_logits, cancel=self._cancel)
        if before is not None and start_box is None and len(self.clicks) > 1:
            grid = region.grid_of(self.network.preprocessing.mask_shape)
            logits = keep_far_from(self.clicks[-1], logits, before=before, grid=grid, number=len(self.clicks))
        window = Window.of(region, logits, step=len(self.clicks), image_grid=self.network.image.grid)
        change = change_to_obey(
            window.logits_on_image, window.grid, orders, suv=window.on_image(self.network.suv_in(region))
        )
        return window if change is None else window.corrected(change)

    def honour_newest(self, canvas: Canvas) -> Canvas:
        """`canvas` with the newest click obeyed in the image's own voxel, whatever the network found around it."""
        click = self.clicks[-1]
        image = self.network.image.grid
        k, j, i = image.nearest_voxel_kji(click.lps_mm)
        voxel = image.crop(VoxelBox((k, j, i), (k + 1, j + 1, i + 1)))
        windows = [w for w in canvas.windows if w.region.contains(click.lps_mm)]
        if not windows or (canvas.sample_on_image(voxel)[0, 0, 0] >= 0) == click.positive:
            return canvas
        top = windows[-1]  # painted last
        change = change_to_obey(
            top.logits_on_image,
            top.grid,
            [click],
            suv=top.on_image(self.network.suv_in(top.region)),
            even_if_empty=True,
        )
        return canvas if change is None else canvas.with_window(top.corrected(change))

    def click_in_overlap(self, region: Region, canvas: Canvas) -> Click | None:
        """A positive point at the deepest voxel of the mask so far within `region`; None where there is no mask."""
        grid = region.grid_of(self.network.preprocessing.mask_shape)
        mask = canvas.sample(grid, unknown=-1.0) >= 0
        if not mask.any():
            return None
        x, y, z = (float(c) for c in grid.kji_to_lps(deepest_voxel(mask, spacing_kji_mm=grid.spacing_kji_mm)))
        return Click((x, y, z), positive=True)

    def _known(self, region: Region, canvas: Canvas) -> NDArray[np.float32] | None:
        """The logits so far in `region`, NaN where there are none; None where nothing is known at all."""
        if not canvas.reaches(region):
            return None
        return canvas.sample(region.grid_of(self.network.preprocessing.mask_shape), unknown=np.nan)

    def _mask_prompt(
        self, region: Region, before: NDArray[np.float32] | None, start_box: Box | None
    ) -> NDArray[np.float32] | None:
        spec = self.network.preprocessing
        if start_box is not None:
            return box_field(start_box, region.grid_of(spec.mask_shape))
        if before is not None:
            return np.nan_to_num(before, nan=UNKNOWN_LOGIT)
        return np.zeros(spec.mask_shape, dtype=np.float32) if spec.mask_prompt_first == "zeros" else None
