"""Where the clicked object of one window ends: at its own surface, or cut by a face of the region."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from SegAnyPETLib.geometry import Grid, VoxelBox
from SegAnyPETLib.session.canvas import Canvas, Window
from SegAnyPETLib.session.postprocess import NEIGHBOURS_26, components_at
from SegAnyPETLib.session.region_network import Click

BoolArray = NDArray[np.bool_]

FACE_SHARE = 0.02  # of the width: an object within this of a face touches it (convolutions fade towards the border)


@dataclass(frozen=True)
class Face:
    """One face of a window: tensor axis 0 to 2, and sign -1 for its low or +1 for its high end."""

    axis: int
    sign: int


FACES = tuple(Face(axis, sign) for axis in range(3) for sign in (-1, 1))


def clicked_object(window: Window, clicks: Sequence[Click]) -> BoolArray:
    """The parts of the window's own mask (d, h, w) that a positive click in it touches."""
    positive = [c.lps_mm for c in clicks if c.positive and window.region.contains(c.lps_mm)]
    if not positive:
        return np.zeros(window.logits.shape, dtype=bool)
    return components_at(window.logits >= 0, window.grid.lps_to_kji(positive))


def is_cut(window: Window, found: BoolArray, *, canvas: Canvas, image_grid: Grid) -> bool:
    """True when the object `found` runs through any face of the window; see `voxels_cut`."""
    return any(voxels_cut(window, found, face, canvas=canvas, image_grid=image_grid) for face in FACES)


def voxels_cut(window: Window, found: BoolArray, face: Face, *, canvas: Canvas, image_grid: Grid) -> int:
    """How many voxels of the object `found` run through a face of the window, 0 when it does not cut the object.

    A voxel counts when it touches the face and the image goes on beyond it, inside the limits of the canvas. The face
    cuts nothing when other windows of the same spacing carry the object on at half or more of these voxels.
    """
    beyond = _points_beyond(window, found, face)
    beyond = beyond[_open_to(beyond, canvas, image_grid)]
    return len(beyond) if len(beyond) and _share_known_as_object(beyond, window, canvas) < 0.5 else 0


def outgrows(window: Window, coarse: Window, clicks: Sequence[Click]) -> bool:
    """True when a part of the clicked object, as the coarser window sees it, lies both in and outside `window`."""
    labels, _ = ndimage.label(clicked_object(coarse, clicks), structure=NEIGHBOURS_26)
    index = np.argwhere(labels)
    kji = window.grid.lps_to_kji(coarse.grid.kji_to_lps(index))
    inside = (kji >= -0.5).all(axis=1) & (kji <= np.asarray(window.logits.shape) - 0.5).all(axis=1)
    part = labels[tuple(index.T)]
    return bool(np.intersect1d(part[inside], part[~inside]).size)


def extent_lps_mm(window: Window, found: BoolArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lowest and highest LPS coordinate the object reaches, outer voxel faces included; `found` is not empty."""
    box = VoxelBox.of_mask(found)
    faces = np.stack([np.asarray(box.start_kji) - 0.5, np.asarray(box.stop_kji) - 0.5])
    lps = window.grid.kji_to_lps(faces)
    return lps.min(axis=0), lps.max(axis=0)


def _points_beyond(window: Window, found: BoolArray, face: Face) -> NDArray[np.float64]:
    """LPS points (N, 3) one voxel outside the face, opposite to the object's voxels that touch it."""
    layers = np.moveaxis(found, face.axis, 0)
    thickness = max(1, math.ceil(FACE_SHARE * len(layers)))
    touching = (layers[:thickness] if face.sign < 0 else layers[-thickness:]).any(axis=0)
    outside = -1.0 if face.sign < 0 else float(len(layers))
    return window.grid.kji_to_lps(np.insert(np.argwhere(touching).astype(np.float64), face.axis, outside, axis=1))


def _open_to(points_lps: NDArray[np.float64], canvas: Canvas, image_grid: Grid) -> BoolArray:
    kji = image_grid.lps_to_kji(points_lps)
    is_open = (kji >= -0.5).all(axis=1) & (kji <= np.asarray(image_grid.shape_kji) - 0.5).all(axis=1)
    if canvas.limits:
        is_open &= np.any([box.contains(points_lps) for box in canvas.limits], axis=0)
    return np.asarray(is_open)


def _share_known_as_object(points_lps: NDArray[np.float64], window: Window, canvas: Canvas) -> float:
    """Share of the points at which another window of the same spacing says: object."""
    known = np.zeros(len(points_lps), dtype=bool)
    for other in canvas.windows:
        if other.region == window.region or other.region.spacing_mm != window.region.spacing_mm:
            continue
        index = np.floor(other.grid.lps_to_kji(points_lps) + 0.5).astype(int)
        inside = ((index >= 0) & (index < other.logits.shape)).all(axis=1)
        known[inside] |= other.logits[tuple(index[inside].T)] >= 0
    return float(known.mean())
