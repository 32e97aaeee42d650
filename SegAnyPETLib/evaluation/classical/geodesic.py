"""Geodesic segmentation: every voxel goes to the seeds it reaches over the smallest change of uptake.

Source:
    Criminisi, Sharp, Blake 2008, "GeoS: geodesic image segmentation", ECCV; here as shortest paths (Dijkstra 1959) in
    a graph whose edges cost their length and the change of uptake along them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import dijkstra

from SegAnyPETLib.evaluation.classical.placed_clicks import BoolArray, FloatArray, PlacedClicks
from SegAnyPETLib.evaluation.classical.seeded_block import (
    BACKGROUND,
    FOREGROUND,
    face_edges,
    log_uptake,
    make_seeded_block,
)

# Tuned by hand on the sarcoma cases after one and five clicks: a floor should be as high as it can be made.
REACH_MM = 100.0
CHANGE_WEIGHT_MM = 300.0  # a change of uptake by a factor e costs like this many mm of way


def geodesic(
    values_suv: FloatArray,
    clicks: PlacedClicks,
    spacing_kji_mm: Sequence[float],
    *,
    seed_radii_mm: tuple[float, float],
) -> BoolArray:
    """Voxels whose cheapest path to a seed of the object costs less than that to a seed of the background.

    Args:
        values_suv: (K, J, I) in SUV.
        clicks: All of them; empty mask without a positive one.
        spacing_kji_mm: Voxel spacing along K, J, I in mm.
        seed_radii_mm: Radius of the ball of seeds of the first positive click, and of all other clicks.

    Returns:
        (K, J, I); every clicked voxel is on its side.
    """
    if not clicks.positive:
        return np.zeros(values_suv.shape, dtype=bool)
    block = make_seeded_block(values_suv, clicks, spacing_kji_mm, reach_mm=REACH_MM, seed_radii_mm=seed_radii_mm)
    edges = face_edges(block.values.shape, block.spacing_kji_mm)
    uptake = log_uptake(block, smoothing_fwhm_mm=0.0).ravel()
    cost = edges.length_mm + CHANGE_WEIGHT_MM * np.abs(uptake[edges.first] - uptake[edges.second])
    graph = sparse.coo_array((cost, (edges.first, edges.second)), shape=(uptake.size,) * 2).tocsr()
    labels = block.labels.ravel()
    to_object, to_background = (
        dijkstra(graph, directed=False, indices=np.flatnonzero(labels == label), min_only=True)
        for label in (FOREGROUND, BACKGROUND)
    )
    return block.in_image((to_object < to_background).reshape(block.values.shape), values_suv.shape)
