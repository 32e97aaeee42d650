"""Random walker segmentation with the clicks as seeds.

Source:
    Grady 2006, "Random walks for image segmentation", IEEE PAMI 28:1768.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import cg

from SegAnyPETLib.evaluation.classical.placed_clicks import BoolArray, FloatArray, PlacedClicks
from SegAnyPETLib.evaluation.classical.seeded_block import (
    FOREGROUND,
    UNKNOWN,
    SeededBlock,
    face_edges,
    log_uptake,
    make_seeded_block,
)

# Tuned by hand on the sarcoma cases after one and five clicks: a floor should be as high as it can be made.
REACH_MM = 80.0
BETA = 300.0
SMOOTHING_FWHM_MM = 6.0
SMALLEST_WEIGHT = 1e-4  # keeps the system solvable where every neighbour differs
TOLERANCE = 1e-6  # of the residual; at 1e-3 voxels behind a sharp border keep the solver's first guess
MOST_ITERATIONS = 2000


def random_walker(
    values_suv: FloatArray,
    clicks: PlacedClicks,
    spacing_kji_mm: Sequence[float],
    *,
    seed_radii_mm: tuple[float, float],
) -> BoolArray:
    """Voxels from which a random walker reaches the seeds of the object before those of the background.

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
    return block.in_image(walk_probability(block) > 0.5, values_suv.shape)


def walk_probability(block: SeededBlock) -> NDArray[np.float64]:
    """Probability (K, J, I) that a walker starting at a voxel meets a seed of the object first.

    The Dirichlet problem of Grady's equation 10, with edge weights exp(-beta (difference of log uptake)^2) over the
    squared distance of the voxels, solved by conjugate gradients.
    """
    edges = face_edges(block.values.shape, block.spacing_kji_mm)
    uptake = log_uptake(block, smoothing_fwhm_mm=SMOOTHING_FWHM_MM).ravel()
    step = uptake[edges.first] - uptake[edges.second]
    weight = (np.exp(-BETA * step**2) + SMALLEST_WEIGHT) / edges.length_mm**2
    labels = block.labels.ravel()
    degree = np.bincount(edges.first, weight, labels.size) + np.bincount(edges.second, weight, labels.size)
    unknown = labels == UNKNOWN
    number = np.cumsum(unknown) - 1
    free = unknown[edges.first] & unknown[edges.second]
    pairs = number[edges.first[free]], number[edges.second[free]]
    off_diagonal = sparse.coo_array((weight[free], pairs), shape=(int(unknown.sum()),) * 2)
    laplacian = (sparse.diags_array(degree[unknown]) - off_diagonal - off_diagonal.T).tocsr()
    from_seeds = np.zeros(labels.size)
    for here, there in ((edges.first, edges.second), (edges.second, edges.first)):
        reached = unknown[here] & (labels[there] == FOREGROUND)
        from_seeds += np.bincount(here[reached], weight[reached], labels.size)
    # Scaled to a unit diagonal: voxels behind a border have tiny weights, whose errors would else look small.
    scale = 1.0 / np.sqrt(degree[unknown])
    system = sparse.diags_array(scale) @ laplacian @ sparse.diags_array(scale)
    # A solve that runs out of iterations leaves a mask that is a little off; it is a floor, not a result.
    solution, _ = cg(system, scale * from_seeds[unknown], rtol=TOLERANCE, maxiter=MOST_ITERATIONS)
    probability: NDArray[np.float64] = (labels == FOREGROUND).astype(np.float64)
    probability[unknown] = scale * solution
    return np.asarray(probability.reshape(block.values.shape), dtype=np.float64)
