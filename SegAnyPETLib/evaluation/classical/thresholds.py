"""Threshold regions around the clicks.

Each positive click adds the component of its own threshold region that is nearest to it, within 20 mm. Then holes are
filled, where asked for. Then every voxel that is nearer to a negative click than to any positive one is taken away.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from SegAnyPETLib.evaluation.baselines import NEIGHBOURS_26, SEARCH_RADIUS_MM, distance_from, fill_holes
from SegAnyPETLib.evaluation.classical.placed_clicks import (
    BoolArray,
    FloatArray,
    PlacedClicks,
    distance_to_nearest,
)

# SUV from which on a voxel belongs to the region of a click; given are the values (K, J, I) in SUV and the distance of
# every voxel from that click in mm.
Level = Callable[[FloatArray, NDArray[np.float64]], float]

NESTLE_BETA = 0.15
NESTLE_CORE = 0.70
BACKGROUND_REACH_MM = 60.0


def fraction_of_maximum(fraction: float) -> Level:
    """A share of the highest SUV within 20 mm of the click; infinite where that is not positive."""

    def level(values_suv: FloatArray, distance_mm: NDArray[np.float64]) -> float:
        maximum = _maximum_nearby(values_suv, distance_mm)
        return fraction * maximum if maximum > 0 else float("inf")

    return level


def fixed_suv(suv: float) -> Level:
    """The same SUV everywhere."""
    return lambda values_suv, distance_mm: suv


def nestle(values_suv: FloatArray, distance_mm: NDArray[np.float64]) -> float:
    """0.15 times the mean SUV of the hot core, plus the background.

    The hot core is what within 20 mm of the click has at least 70 % of the highest SUV there. The background, which
    Nestle et al. measured in a region placed by hand, is the median SUV of what lies within 60 mm of the click and
    below 41 % of that highest SUV.

    Source:
        Nestle et al. 2005, J Nucl Med 46:1342.
    """
    maximum = _maximum_nearby(values_suv, distance_mm)
    if maximum <= 0:
        return float("inf")
    core = values_suv[(distance_mm <= SEARCH_RADIUS_MM) & (values_suv >= NESTLE_CORE * maximum)]
    cold = values_suv[(distance_mm <= BACKGROUND_REACH_MM) & (values_suv < 0.41 * maximum)]
    background = float(np.median(cold)) if cold.size else 0.0
    return NESTLE_BETA * float(core.mean()) + background


def clicked_threshold(
    values_suv: FloatArray,
    clicks: PlacedClicks,
    spacing_kji_mm: Sequence[float],
    *,
    level: Level,
    is_filled: bool,
) -> BoolArray:
    """The threshold regions of all clicks together (see this module for the rules).

    Args:
        values_suv: (K, J, I) in SUV.
        clicks: All of them.
        spacing_kji_mm: Voxel spacing along K, J, I in mm.
        level: The threshold of each positive click.
        is_filled: Fill holes in 3D, then slice by slice.
    """
    mask = np.zeros(values_suv.shape, dtype=bool)
    for click in clicks.positive:
        distance_mm = distance_from(click, values_suv.shape, spacing_kji_mm)
        mask |= _nearest_component(values_suv >= level(values_suv, distance_mm), distance_mm)
    if is_filled and mask.any():
        mask = fill_holes(mask)
    if clicks.negative:
        to_positive, to_negative = (
            distance_to_nearest(group, values_suv.shape, spacing_kji_mm) for group in (clicks.positive, clicks.negative)
        )
        mask &= to_negative >= to_positive
    return mask


def _maximum_nearby(values_suv: FloatArray, distance_mm: NDArray[np.float64]) -> float:
    return float(values_suv[distance_mm <= SEARCH_RADIUS_MM].max())


def _nearest_component(above: BoolArray, distance_mm: NDArray[np.float64]) -> BoolArray:
    """The 26-component of `above` nearest to a click; empty where none comes within 20 mm."""
    to_above = np.where(above, distance_mm, np.inf)
    nearest = np.argmin(to_above)
    if to_above.flat[nearest] > SEARCH_RADIUS_MM:
        return np.zeros(above.shape, dtype=bool)
    labels, _ = ndimage.label(above, structure=NEIGHBOURS_26)
    component: BoolArray = labels == labels.flat[nearest]
    return component
