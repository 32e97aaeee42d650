"""Where the first click goes: into the middle, as the standard says, or where users click instead."""

from __future__ import annotations

import zlib
from typing import Literal

import numpy as np
from scipy import ndimage

from SegAnyPETLib.clicks import deepest_voxel
from SegAnyPETLib.errors import InputError
from SegAnyPETLib.evaluation.cases import Case

FirstClick = Literal["deepest", "random", "hottest", "jittered", "outside"]
DRAWN: tuple[FirstClick, ...] = ("random", "jittered", "outside")  # these depend on a seed
FACE_NEIGHBOURS = ndimage.generate_binary_structure(3, 1)

Index = tuple[int, int, int]


def place_first_click(case: Case, *, kind: FirstClick, jitter_mm: float, seed: int) -> Index:
    """The voxel (k, j, i) of the first click; a drawn one depends on the seed and the case's name alone.

    deepest   the voxel deepest inside the reference
    random    any voxel of the reference, all equally likely
    hottest   the voxel of the reference with the highest SUV
    jittered  the voxel nearest to the place `jitter_mm` away from the deepest one, in a direction drawn evenly from the
              sphere; not drawn again where that leaves the reference (users miss too), but kept in the image
    outside   any voxel that touches the reference with a face and is not part of it

    Raises:
        InputError: "outside" is asked for and the reference fills the image.
    """
    spacing = case.image.grid.spacing_kji_mm
    generator = np.random.default_rng([seed, zlib.crc32(case.name.encode()), 1])
    if kind in ("deepest", "jittered"):
        middle = deepest_voxel(case.reference, spacing_kji_mm=spacing)
        if kind == "deepest":
            return middle
        direction = generator.standard_normal(3)
        offset = jitter_mm * direction / np.linalg.norm(direction) / np.asarray(spacing)
        place = np.clip(np.rint(middle + offset), 0, np.asarray(case.reference.shape) - 1)
        return int(place[0]), int(place[1]), int(place[2])
    if kind == "outside":
        allowed = np.flatnonzero(ndimage.binary_dilation(case.reference, FACE_NEIGHBOURS) & ~case.reference)
        if not allowed.size:
            msg = f"Expected a voxel outside the reference of case {case.name} to click at; it fills the image."
            raise InputError(msg)
    else:
        allowed = np.flatnonzero(case.reference)
    if kind == "hottest":
        flat = allowed[np.argmax(case.image.array.reshape(-1)[allowed])]
    else:
        flat = allowed[generator.integers(allowed.size)]
    k, j, i = (int(index) for index in np.unravel_index(flat, case.reference.shape))
    return k, j, i
