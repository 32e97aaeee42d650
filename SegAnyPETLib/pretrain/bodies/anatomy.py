"""A random adult from the head to the middle of the thighs as a label map.

Sizes are the design values of reference adults (ICRP Publication 89, 2002: brain 1.4 l, liver 1.7 l, spleen 0.15 l,
kidneys 0.3 l together), each varied by about 12 %.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from SegAnyPETLib.pretrain.bodies.abdomen import paint_gut, paint_kidneys, paint_pelvis, paint_upper_abdomen
from SegAnyPETLib.pretrain.bodies.canvas import LOW_LPS_MM, VOXEL_MM, Canvas
from SegAnyPETLib.pretrain.bodies.chest_and_head import paint_chest, paint_head, paint_neck_glands
from SegAnyPETLib.pretrain.bodies.frame import Habitus, paint_outline, paint_skeleton
from SegAnyPETLib.pretrain.bodies.tissues import BODY_WALL, Tissue

Indices = NDArray[np.int64]
PLACES_PER_LABEL = 400
DOME_MM = 30.0  # z of the diaphragm's dome in the standard body


@dataclass(frozen=True, eq=False)
class Body:
    """One adult.

    Attributes:
        labels: uint8 (z, y, x) on a 2 mm grid, z to the head, y to posterior, x to the left; see `Tissue`.
        low_lps_mm: Centre of voxel (0, 0, 0), along x, y, z.
        habitus: Fat, arms, sex.
        dome_index: Slice of the diaphragm's dome.
        places: Label -> up to 400 random voxels (n, 3) of it, int16.
        chords: Body thickness in voxels: front to back (z, x), and side to side (z, y), float32.
    """

    labels: NDArray[np.uint8]
    low_lps_mm: tuple[float, float, float]
    habitus: Habitus
    dome_index: float
    places: dict[int, NDArray[np.int16]] = field(repr=False)
    chords: tuple[NDArray[np.float32], NDArray[np.float32]] = field(repr=False)

    def thickness_mm(self, z: Indices, y: Indices, x: Indices) -> NDArray[np.float32]:
        """Mean of the two chords of the body through the voxels at all `z`, `y` and `x`, (len(z), len(y), len(x))."""
        front_to_back, side_to_side = self.chords
        mean = front_to_back[np.ix_(z, x)][:, None, :] + side_to_side[np.ix_(z, y)][:, :, None]
        return np.asarray(0.5 * VOXEL_MM * mean, dtype=np.float32)


def build_body(seed: int) -> Body:
    """Build the body of `seed`; the same seed gives the same body. About 19 MB."""
    rng = np.random.default_rng([seed, 71])
    fat_mm = float(np.clip(rng.lognormal(np.log(15.0), 0.5), 5.0, 45.0))
    habitus = Habitus(fat_mm, arms_up=bool(rng.random() < 0.6), female=bool(rng.random() < 0.45))
    height, width = rng.normal(0.98 if habitus.female else 1.01, 0.035), rng.normal(1.0, 0.04)
    scale = (float(width), float(width * rng.normal(1.0, 0.03)), float(np.clip(height, 0.9, 1.07)))
    canvas = Canvas(rng, scale_lps=scale)
    paint_outline(canvas, habitus)
    paint_skeleton(canvas, habitus)
    paint_head(canvas)
    paint_neck_glands(canvas)
    paint_chest(canvas, habitus)
    paint_upper_abdomen(canvas)
    paint_gut(canvas)
    paint_kidneys(canvas)
    paint_pelvis(canvas, habitus)
    _paint_injection(canvas)
    dome_index = float((DOME_MM * scale[2] - LOW_LPS_MM[2]) / VOXEL_MM)
    low = (float(LOW_LPS_MM[0]), float(LOW_LPS_MM[1]), float(LOW_LPS_MM[2]))
    return Body(canvas.labels, low, habitus, dome_index, _places(rng, canvas.labels), _chords(canvas.labels))


def _paint_injection(canvas: Canvas) -> None:
    """The spot of extravasation on an arm; whether it takes up anything is drawn with the tracer."""
    arm = np.argwhere(canvas.labels[::8, ::8, ::8] == Tissue.MUSCLE)
    outermost = arm[np.abs(arm[:, 2] - canvas.labels.shape[2] / 16).argsort()[-40:]]
    spot = outermost[canvas.rng.integers(len(outermost))][::-1] * 8 * VOXEL_MM + LOW_LPS_MM
    semi = canvas.rng.uniform(5, 12, 3)
    canvas.ellipsoid(Tissue.INJECTION, spot / canvas.scale_lps, semi, over=BODY_WALL)


def _places(rng: np.random.Generator, labels: NDArray[np.uint8]) -> dict[int, NDArray[np.int16]]:
    places = {}
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is None:
            continue
        part = labels[box]
        flat = np.flatnonzero(part == label)
        chosen = rng.choice(flat, min(PLACES_PER_LABEL, flat.size), replace=False)
        low = [s.start for s in box]
        places[label] = (np.stack(np.unravel_index(chosen, part.shape), axis=1) + low).astype(np.int16)
    return places


def _chords(labels: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    inside = labels != Tissue.AIR
    return inside.sum(axis=1).astype(np.float32), inside.sum(axis=2).astype(np.float32)
