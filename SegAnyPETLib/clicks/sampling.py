"""Random clicks for training: what people do, mistakes included.

The mixture follows the click simulation of interactive-segmentation training (Sofiiuk et al. 2022, RITM,
arXiv:2102.06583) with two habits of PET readers added: clicking the middle, and clicking the hottest spot. Robot users
are too tidy (Marinov et al. 2024, arXiv:2404.01816), so hands tremble, some first clicks miss, and some
later ones say what is known already.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from SegAnyPETLib.geometry import VoxelBox

INNER_SHARE_OF_DEPTH = 0.5  # "inner" voxels are at least this deep, as a share of the greatest depth
FIRST_CLICK_MIDDLE = 0.35
FIRST_CLICK_HOTTEST = 0.25
FIRST_CLICK_ANYWHERE = 0.15  # the rest: an inner voxel
FIRST_CLICK_MISSES = 0.03  # goes to a voxel just outside the target
LATER_CLICK_ANYWHERE = 0.10  # the rest: an inner voxel of the largest error
LATER_CLICK_REDUNDANT = 0.05  # says what the mask says already
TREMBLING = 0.3  # share of clicks that land beside where they were meant, with a standard deviation of a voxel

MaskArray = NDArray[np.bool_]
Index = tuple[int, int, int]


def sample_first_click(rng: np.random.Generator, target: MaskArray, suv: NDArray[np.float32]) -> Index:
    """A first click for `target` (K, J, I): middle, hottest, an inner or any voxel; rarely just outside."""
    if rng.random() < FIRST_CLICK_MISSES:
        rim = ndimage.binary_dilation(target) & ~target
        if rim.any():
            return _any_voxel(rng, rim)
    kind = rng.random()
    if kind < FIRST_CLICK_MIDDLE:
        click = _index(int(_depth(target).argmax()), target.shape)
    elif kind < FIRST_CLICK_MIDDLE + FIRST_CLICK_HOTTEST:
        click = _index(int(np.where(target, suv, -np.inf).argmax()), target.shape)
    elif kind < FIRST_CLICK_MIDDLE + FIRST_CLICK_HOTTEST + FIRST_CLICK_ANYWHERE:
        click = _any_voxel(rng, target)
    else:
        click = _inner_voxel(rng, target)
    return _trembled(rng, click, target)


def sample_next_click(rng: np.random.Generator, target: MaskArray, predicted: MaskArray) -> tuple[Index, bool] | None:
    """A click after `predicted` and whether it is positive; None without an error.

    Most correct the largest error component; some another error, and some repeat what is right already.
    """
    errors = target != predicted
    if not errors.any():
        return None
    kind = rng.random()
    if kind < LATER_CLICK_REDUNDANT and (target & predicted).any():
        return _any_voxel(rng, target & predicted), True
    if kind < LATER_CLICK_REDUNDANT + LATER_CLICK_ANYWHERE:
        click = _any_voxel(rng, errors)
        return click, bool(target[click])
    missed, spurious = _largest_component(target & ~predicted), _largest_component(predicted & ~target)
    is_positive = bool(missed.sum() >= spurious.sum())
    error = missed if is_positive else spurious
    return _trembled(rng, _inner_voxel(rng, error), error), is_positive


def _trembled(rng: np.random.Generator, click: Index, meant: MaskArray) -> Index:
    """The click where a hand may have put it; still inside what was meant."""
    if rng.random() >= TREMBLING:
        return click
    moved = np.clip(np.rint(np.asarray(click) + rng.standard_normal(3)), 0, np.asarray(meant.shape) - 1).astype(int)
    k, j, i = (int(n) for n in moved)
    return (k, j, i) if meant[k, j, i] else click


def _largest_component(mask: MaskArray) -> MaskArray:
    labels, count = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    if count <= 1:
        return mask
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.asarray(labels == sizes.argmax())


def _depth(mask: MaskArray) -> NDArray[np.float64]:
    """Distance in voxels to the border; the image border counts as border.

    Only the box around the mask is looked at: the voxel outside of it that is nearest to one inside touches the box.
    """
    depth = np.zeros(mask.shape)
    box = VoxelBox.of_mask(mask).slices
    depth[box] = np.asarray(ndimage.distance_transform_edt(np.pad(mask[box], 1)))[1:-1, 1:-1, 1:-1]
    return depth


def _inner_voxel(rng: np.random.Generator, mask: MaskArray) -> Index:
    depth = _depth(mask)
    return _any_voxel(rng, depth >= INNER_SHARE_OF_DEPTH * depth.max())


def _any_voxel(rng: np.random.Generator, mask: MaskArray) -> Index:
    return _index(int(rng.choice(np.flatnonzero(mask))), mask.shape)


def _index(flat: int, shape: tuple[int, ...]) -> Index:
    k, j, i = np.unravel_index(flat, shape)
    return int(k), int(j), int(i)
