"""A part of a body with its uptake, on the 2 mm grid, in which lesions are put."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from SegAnyPETLib.pretrain.bodies.anatomy import Body
from SegAnyPETLib.pretrain.bodies.canvas import VOXEL_MM, interpolate

TEXTURE_MM = (16.0, 30.0)  # between the nodes of the lattice; correlated over about half of it


@dataclass(frozen=True, eq=False)
class Window:
    """Labels and uptake of a box of voxels; painting lesions changes the arrays.

    Attributes:
        start: Index in the body of the first voxel (z, y, x); may lie outside the body's array.
        labels: uint8 (z, y, x).
        uptake: SUV, float32 (z, y, x).
        lesions: Number of the lesion that holds each voxel, 0 for none, uint8 (z, y, x).
    """

    start: NDArray[np.int64]
    labels: NDArray[np.uint8]
    uptake: NDArray[np.float32]
    lesions: NDArray[np.uint8]


def cut_window(
    rng: np.random.Generator,
    body: Body,
    *,
    start: NDArray[np.int64],
    stop: NDArray[np.int64],
    table: NDArray[np.float32],
) -> Window:
    """Labels from `start` to `stop` (z, y, x) with textured uptake; outside of the array the end slices go on.

    Args:
        rng: Draws the texture, exp(5 to 12 % x a smooth field).
        body: Where to cut.
        start: First voxel.
        stop: Voxel after the last.
        table: SUV of every label, (128,).
    """
    index = [np.clip(np.arange(a, b), 0, n - 1) for a, b, n in zip(start, stop, body.labels.shape, strict=True)]
    inside = body.labels[tuple(slice(i[0], i[-1] + 1) for i in index)]
    pads = [(int((i == i[0]).sum()) - 1, int((i == i[-1]).sum()) - 1) for i in index]
    labels = np.pad(inside, pads, mode="edge") if np.any(pads) else inside
    nodes = [max(2, int(n * VOXEL_MM / rng.uniform(*TEXTURE_MM))) for n in labels.shape]
    lattice = rng.standard_normal(nodes, dtype=np.float32) * np.float32(1.4 * rng.uniform(0.05, 0.12))
    uptake = table[labels] * interpolate(np.exp(lattice), labels.shape)
    return Window(start, labels, uptake, np.zeros(labels.shape, dtype=np.uint8))
