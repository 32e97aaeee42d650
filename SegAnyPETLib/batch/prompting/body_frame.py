"""Where the body is in a PET, told from the PET alone: its extent along the axis and its middle at each height."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from SegAnyPETLib.batch.prompting.suv_names import typical_limit
from SegAnyPETLib.geometry import Grid
from SegAnyPETLib.suv import SUVVolume

BODY_SUVBW = 0.15  # half of what subcutaneous fat takes up, and more than what scatter leaves in the air
SAMPLE_MM = 8.0
HEIGHT_STEP_MM = 10.0
WINDOW_MM = 25.0  # the middle at a height is that of a slab this far up and down
FEWEST_SAMPLES = 200

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class BodyFrame:
    """The body's extent, in LPS mm.

    Attributes:
        points_lps_mm: (n, 3), places in the body, about `SAMPLE_MM` apart.
        lowest_mm: z of its lower end, or of the image's.
        highest_mm: z of its upper end, or of the image's.
    """

    points_lps_mm: FloatArray = field(repr=False)
    lowest_mm: float
    highest_mm: float

    @property
    def height_mm(self) -> float:
        """How much of the body the image shows, along the patient's axis."""
        return self.highest_mm - self.lowest_mm

    def share_of_height(self, z_mm: float) -> float:
        """0 at the lower end, 1 at the upper end."""
        return (z_mm - self.lowest_mm) / self.height_mm

    def from_middle_mm(self, point_lps_mm: tuple[float, float, float]) -> tuple[float, float]:
        """How far a place lies to the patient's left and to his back of the body's middle at that height."""
        x, y, z = point_lps_mm
        near = np.abs(self.points_lps_mm[:, 2] - z) <= WINDOW_MM
        slab = self.points_lps_mm[near] if near.any() else self.points_lps_mm
        (low_x, low_y), (high_x, high_y) = np.percentile(slab[:, :2], (2, 98), axis=0)
        return float(x - (low_x + high_x) / 2), float(y - (low_y + high_y) / 2)


def find_body(image: SUVVolume) -> BodyFrame | None:
    """The largest connected part with uptake; None where the image shows hardly any body."""
    steps = [max(1, round(SAMPLE_MM / s)) for s in image.grid.spacing_kji_mm]
    sampled = image.array[tuple(slice(None, None, n) for n in steps)]
    labels, count = ndimage.label(sampled >= typical_limit(BODY_SUVBW, image))
    sizes = np.bincount(labels.ravel(), minlength=2)[1:]
    if not count or sizes.max() < FEWEST_SAMPLES:
        return None
    index = np.argwhere(labels == 1 + int(sizes.argmax())) * steps
    points = image.grid.kji_to_lps(index)
    return BodyFrame(points, *_extent(points, image.grid))


def _extent(points: FloatArray, grid: Grid) -> tuple[float, float]:
    """Lower and upper end, half a sample beyond the outermost samples but within the image's own reach."""
    low, high = grid.bounds_lps_mm
    z = points[:, 2]
    return max(float(z.min()) - SAMPLE_MM / 2, low[2]), min(float(z.max()) + SAMPLE_MM / 2, high[2])
