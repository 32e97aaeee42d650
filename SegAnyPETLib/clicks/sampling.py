"""Random clicks for training: what people do, mistakes included.

The mixture follows the click simulation of interactive-segmentation training (Sofiiuk et al. 2022, RITM,
arXiv:2102.06583) with two habits of PET readers added: clicking the middle, and clicking the hottest spot.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

INNER_SHARE_OF_DEPTH = 0.5  # "inner" voxels are at least this deep, as a share of the greatest depth
FIRST_CLICK_MIDDLE = 0.45
FIRST_CLICK_HOTTEST = 0.2
FIRST_CLICK_ANYWHERE = 0.1  # the rest: an inner voxel
LATER_CLICK_ANYWHERE = 0.15  # the rest: an inner voxel of the largest error

MaskArray = NDArray[np.bool_]


def sample_first_click(rng: np.random.Generator, target: MaskArray, suv: NDArray[np.float32]) -> tuple[int, int, int]:
    """A first click in `target` (K, J, I): the middle, the hottest voxel, an inner voxel, or any voxel."""
    kind = rng.random()
    if kind < FIRST_CLICK_MIDDLE:
        depth = _depth(target)
        return _index(int(depth.argmax()), target.shape)
    if kind < FIRST_CLICK_MIDDLE + FIRST_CLICK_HOTTEST:
        return _index(int(np.where(target, suv, -np.inf).argmax()), target.shape)
    if kind < FIRST_CLICK_MIDDLE + FIRST_CLICK_HOTTEST + FIRST_CLICK_ANYWHERE:
        return _any_voxel(rng, target)
    return _inner_voxel(rng, target)


def sample_next_click(
    rng: np.random.Generator, target: MaskArray, predicted: MaskArray
) -> tuple[tuple[int, int, int], bool] | None:
    """A correcting click in the largest error component and whether it is positive; None without an error."""
    errors = target != predicted
    if not errors.any():
        return None
    if rng.random() < LATER_CLICK_ANYWHERE:
        click = _any_voxel(rng, errors)
        return click, bool(target[click])
    components = [_largest_component(target & ~predicted), _largest_component(predicted & ~target)]
    missed, spurious = components
    is_positive = missed.sum() >= spurious.sum()
    return _inner_voxel(rng, missed if is_positive else spurious), bool(is_positive)


def _largest_component(mask: MaskArray) -> MaskArray:
    labels, count = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    if count <= 1:
        return mask
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.asarray(labels == sizes.argmax())


def _depth(mask: MaskArray) -> NDArray[np.float64]:
    """Distance in voxels to the border; the image border counts as border."""
    return np.asarray(ndimage.distance_transform_edt(np.pad(mask, 1)))[1:-1, 1:-1, 1:-1]


def _inner_voxel(rng: np.random.Generator, mask: MaskArray) -> tuple[int, int, int]:
    depth = _depth(mask)
    return _any_voxel(rng, depth >= INNER_SHARE_OF_DEPTH * depth.max())


def _any_voxel(rng: np.random.Generator, mask: MaskArray) -> tuple[int, int, int]:
    return _index(int(rng.choice(np.flatnonzero(mask))), mask.shape)


def _index(flat: int, shape: tuple[int, ...]) -> tuple[int, int, int]:
    k, j, i = np.unravel_index(flat, shape)
    return int(k), int(j), int(i)
