"""Where a label's border lies against the edge of uptake in the image, which no network need know.

Along the normals of a lesion's border, uptake rises steepest at one place. How far outside of it somebody draws differs
from tumour to tumour and from site to site, but whoever draws with care does it alike. So the difference between the
careful and the careless labels of a site tells by how much the careless ones are off; a network that is still learning
the site scatters far more (Testing/cpcl_study/README.md).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, stats

from SegAnyPETLib.finetune.signed_distance import (
    Spacing,
    border_voxels,
    box_around,
    has_border,
    signed_distance_mm,
)

SAMPLES_PER_VOXEL = 4  # along the normals
SMOOTHING_VOXELS = 0.5  # standard deviation, of uptake along them
NORMAL_SMOOTHING_VOXELS = 1.0  # of the distances whose gradients they are
HOT_QUANTILE = 0.9  # of uptake in the label; a cold core is no reason to call a lesion cold
FLAT = 1e-3  # length of a gradient of distances below which it has no direction

Floats = NDArray[np.floating]


def edge_offset_mm(
    label: NDArray[np.bool_],
    suv: NDArray[np.float32],
    *,
    spacing_kji_mm: Spacing,
    reach_mm: float,
    cut_share: float,
) -> float | None:
    """By how much a label's border lies outside the edge of uptake, in mm.

    From every voxel of the border inside the label, log(1 + SUV) is read along the normal; the edge is where it rises
    most inwards.

    Args:
        label: (K, J, I).
        suv: (K, J, I), SUV.
        spacing_kji_mm: Voxel size along k, j, i.
        reach_mm: How far to either side of the label's border the edge is looked for.
        cut_share: Of the places with the least and with the greatest offset that are left out, each below one half: a
            neighbour's edge, or that of a missing part, is not the lesion's.

    Returns:
        The offset; None where the label has no border, or is no warmer than its surroundings, so that it has no edge.

    Source:
        The greatest gradient as a lesion's border in PET: Geets et al. 2007, Eur J Nucl Med Mol Imaging 34:1427-1438.
    """
    if not has_border(label):
        return None
    box = box_around(label, reach_mm=reach_mm, spacing_kji_mm=spacing_kji_mm)
    label, uptake = label[box], np.log1p(np.maximum(suv[box], 0))
    depth = signed_distance_mm(label, spacing_kji_mm=spacing_kji_mm)
    if np.quantile(uptake[label], HOT_QUANTILE) <= np.median(uptake[~label & (depth > -reach_mm)]):
        return None
    start, inwards = _normals(label, depth, spacing_kji_mm)
    step = min(spacing_kji_mm) / SAMPLES_PER_VOXEL
    count = int(np.ceil(reach_mm / step))
    places = np.arange(-count, count + 1) * step  # depths, positive inside
    ahead = places - depth[tuple(start.T)][:, None]
    at = start[:, None] + ahead[..., None] * inwards[:, None] / spacing_kji_mm
    along = ndimage.map_coordinates(uptake, np.moveaxis(at, -1, 0), order=1, mode="nearest")
    rises = np.diff(ndimage.gaussian_filter1d(along, SMOOTHING_VOXELS * SAMPLES_PER_VOXEL, axis=1), axis=1)
    rises = rises[rises.max(axis=1, initial=0) > 0]
    if not len(rises):
        return None
    edges = (places[1:] + places[:-1])[rises.argmax(axis=1)] / 2
    return float(stats.trim_mean(edges, cut_share))


def _normals(label: NDArray[np.bool_], depth: Floats, spacing_kji_mm: Spacing) -> tuple[NDArray[np.intp], Floats]:
    """The border's voxels inside the label (N, 3), and unit vectors (N, 3) in mm that point inwards there."""
    smooth = ndimage.gaussian_filter(depth, NORMAL_SMOOTHING_VOXELS)
    start = np.argwhere(border_voxels(label) & label)
    inwards = np.stack([_slope(smooth, axis, size)[tuple(start.T)] for axis, size in enumerate(spacing_kji_mm)], axis=1)
    length = np.linalg.norm(inwards, axis=1)
    has_direction = length > FLAT
    return start[has_direction], inwards[has_direction] / length[has_direction, None]


def _slope(values: Floats, axis: int, size_mm: float) -> Floats:
    """Per mm; 0 along an axis of a single voxel."""
    if values.shape[axis] < 2:
        return np.zeros_like(values)
    return np.asarray(np.gradient(values, size_mm, axis=axis))
