"""Classical interactive segmentation, given the same clicks as the method under evaluation.

Every method takes all clicks so far, positive and negative, and never the reference. Public names: `ClassicalMethod`,
`PlacedClicks`, `classical_methods`.
"""

from __future__ import annotations

from functools import partial

from SegAnyPETLib.evaluation.classical.geodesic import geodesic
from SegAnyPETLib.evaluation.classical.placed_clicks import ClassicalMethod, PlacedClicks, Segmenter
from SegAnyPETLib.evaluation.classical.random_walker import random_walker
from SegAnyPETLib.evaluation.classical.thresholds import (
    Level,
    clicked_threshold,
    fixed_suv,
    fraction_of_maximum,
    nestle,
)

__all__ = ["ClassicalMethod", "PlacedClicks", "classical_methods"]

LEVELS: dict[str, Level] = {
    "threshold_41_percent": fraction_of_maximum(0.41),
    "threshold_50_percent": fraction_of_maximum(0.50),
    "suv_2.5": fixed_suv(2.5),
    "suv_4.0": fixed_suv(4.0),
    "nestle": nestle,
}
SEED_RADII_MM = {"random_walker": (12.0, 8.0), "random_walker_6_mm_seeds": (6.0, 6.0)}


def classical_methods() -> dict[str, ClassicalMethod]:
    """Every classical method by name, each new and without image."""
    segmenters: dict[str, Segmenter] = {}
    for name, level in LEVELS.items():
        segmenters[name] = partial(clicked_threshold, level=level, is_filled=False)
        segmenters[f"{name}_filled"] = partial(clicked_threshold, level=level, is_filled=True)
    for name, radii in SEED_RADII_MM.items():
        segmenters[name] = partial(random_walker, seed_radii_mm=radii)
    segmenters["geodesic"] = partial(geodesic, seed_radii_mm=SEED_RADII_MM["random_walker"])
    return {name: ClassicalMethod(segment) for name, segment in segmenters.items()}
