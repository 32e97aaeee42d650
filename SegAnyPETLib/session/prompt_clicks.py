"""From prompts to what the network understands: clicks, and a mask to start from."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from SegAnyPETLib.clicks import deepest_voxel
from SegAnyPETLib.errors import GeometryError, PromptError
from SegAnyPETLib.geometry import Grid, VoxelBox
from SegAnyPETLib.session.canvas import BACKGROUND_LOGIT
from SegAnyPETLib.session.prompts import Box, Point, Prompt
from SegAnyPETLib.session.protocols import PETImage
from SegAnyPETLib.session.region_network import Click

BOX_LOGIT = 6.0  # in the middle of a box; zero, so probability one half, on the ellipsoid that fills it
MIDDLE_SHARE = 0.5  # of a box's width along each axis, where its hottest place is looked for
SMOOTHING_VOXELS = 3


def check_prompt(prompt: Prompt, image: PETImage) -> None:
    """Refuse a prompt that does not fit the image.

    Raises:
        PromptError: A point lies outside the image, a box does not meet it, or a seed has another shape.
    """
    grid = image.grid
    if isinstance(prompt, Point):
        try:
            grid.nearest_voxel_kji(prompt.lps_mm)
        except GeometryError as error:
            msg = f"{error} Click inside the image; mind that positions are LPS (RAS has x and y with the other sign)."
            raise PromptError(msg) from error
    elif isinstance(prompt, Box):
        if not prompt.mask_on(grid).any():
            low, high = grid.bounds_lps_mm
            msg = (
                f"Expected a box that holds voxel centres of the image, which reaches from {low} to {high} mm (LPS); "
                f"found {prompt.lps_mm_min} to {prompt.lps_mm_max} mm."
            )
            raise PromptError(msg)
    elif prompt.packed.shape_kji != grid.shape_kji:
        msg = (
            f"Expected a seed mask on the image's grid, shape (K, J, I) = {grid.shape_kji}; "
            f"found {prompt.packed.shape_kji}. Resample it first."
        )
        raise PromptError(msg)


def click_of(prompt: Prompt, image: PETImage) -> Click:
    """The point the network is given for `prompt`.

    A box gives the hottest place of its middle half (by a running mean of 3 voxels a side), a seed mask its deepest
    voxel; both positive.
    """
    if isinstance(prompt, Point):
        return Click(prompt.lps_mm, prompt.positive)
    if isinstance(prompt, Box):
        return Click(_hottest_place(prompt, image), positive=True)
    box = prompt.packed.box
    deepest = deepest_voxel(prompt.packed.inside_box(), spacing_kji_mm=image.grid.spacing_kji_mm)
    return Click(_lps(image.grid.crop(box), deepest), positive=True)


def box_field(box: Box, grid: Grid) -> NDArray[np.float32]:
    """A soft mask prompt (K, J, I) for a box: an ellipsoid that fills it, background outside the box."""
    inside = box.mask_on(grid)
    centre = grid.lps_to_kji(box.centre_lps_mm)
    half_mm = (np.asarray(box.lps_mm_max) - np.asarray(box.lps_mm_min)) / 2
    squared = np.zeros(grid.shape_kji)
    offsets = [np.arange(n, dtype=np.float64) - c for n, c in zip(grid.shape_kji, centre, strict=True)]
    for axis in range(3):
        per_i, per_j, per_k = grid.ijk_to_lps[axis, :3] / half_mm[axis]
        k, j, i = offsets[0] * per_k, offsets[1] * per_j, offsets[2] * per_i
        squared += (k[:, None, None] + j[None, :, None] + i[None, None, :]) ** 2
    return np.where(inside, BOX_LOGIT * (1.0 - np.sqrt(squared)), BACKGROUND_LOGIT).astype(np.float32)


def _hottest_place(box: Box, image: PETImage) -> tuple[float, float, float]:
    """The hottest voxel of the middle of `box`; of the whole box where the middle holds no voxel centre."""
    centre = np.asarray(box.centre_lps_mm)
    half = (np.asarray(box.lps_mm_max) - centre) * MIDDLE_SHARE
    middle = Box(tuple(centre - half), tuple(centre + half))
    wanted = middle if middle.mask_on(image.grid).any() else box
    voxels = VoxelBox.of_mask(wanted.mask_on(image.grid))
    around = voxels.expanded(SMOOTHING_VOXELS // 2).intersection(image.grid.box)
    smooth = ndimage.uniform_filter(image.array[around.slices].astype(np.float32), SMOOTHING_VOXELS, mode="nearest")
    smooth[~wanted.mask_on(image.grid.crop(around))] = -np.inf
    return _lps(image.grid.crop(around), np.unravel_index(int(smooth.argmax()), smooth.shape))


def _lps(grid: Grid, kji: ArrayLike) -> tuple[float, float, float]:
    x, y, z = (float(c) for c in grid.kji_to_lps(kji))
    return x, y, z
