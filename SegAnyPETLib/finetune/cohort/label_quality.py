"""What a label's own shape and the uptake along its border say of how it was drawn; no model is needed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from SegAnyPETLib.finetune.cohort.cases import CohortCase, CohortLesion
from SegAnyPETLib.finetune.cohort.label_place import BorderShells
from SegAnyPETLib.geometry import VoxelBox

FIXED_SUVS = (2.5, 3.0, 4.0)
SHARES_OF_MAXIMUM = (0.40, 0.41, 0.42, 0.45, 0.50, 0.60)
FEWEST_VOXELS = 60  # below it a label agrees with some threshold by chance
FEWEST_IF_UNUSUAL = 500  # the same for thresholds that are not in common use
EQUAL_DICE = 0.999  # a careful label of an even, hot lesion may reach 0.998
AROUND_MM = 15.0  # how far around a lesion a threshold may look
CROSS = ndimage.generate_binary_structure(3, 1)


@dataclass(frozen=True)
class ThresholdMask:
    """A threshold that gives the label.

    Attributes:
        low_suv: The threshold lies above this value,
        high_suv: and at most at this one.
        dice: Overlap of label and threshold mask.
        maximum_suv: Hottest voxel of the label.
    """

    low_suv: float
    high_suv: float
    dice: float
    maximum_suv: float

    @property
    def usual_name(self) -> str | None:
        """What a reader would call it; None for a threshold that is not in common use."""
        for suv in FIXED_SUVS:
            if self.low_suv < suv <= self.high_suv:
                return f"SUV {suv:g}"
        for share in SHARES_OF_MAXIMUM:
            if self.low_suv < share * self.maximum_suv <= self.high_suv:
                return f"{100 * share:.0f} % of the hottest voxel"
        return None

    @property
    def name(self) -> str:
        """The usual name, or the values."""
        share = 100 * self.high_suv / self.maximum_suv
        return self.usual_name or f"SUV {self.high_suv:.2f}, {share:.0f} % of the hottest voxel"


@dataclass(frozen=True)
class Border:
    """Uptake along the border of a label.

    Attributes:
        inside_suv: Mean within 6 mm inside.
        outside_suv: Mean within 6 mm outside.
    """

    inside_suv: float
    outside_suv: float

    @property
    def ratio(self) -> float:
        """Inside over outside; about 1 where the border does not follow the uptake."""
        return self.inside_suv / max(self.outside_suv, 1e-3)


def border_of(case: CohortCase, shells: BorderShells) -> Border:
    """Of all lesions together.

    Args:
        case: The case.
        shells: Of its label; neither is empty.
    """
    inside, outside = (float(case.suv[tuple(places.T)].mean()) for places in (shells.inside, shells.outside))
    return Border(inside, outside)


def as_threshold(case: CohortCase, lesion: CohortLesion, label: NDArray[np.bool_]) -> ThresholdMask | None:
    """The threshold whose mask around the lesion is the lesion, if there is one.

    Voxels that touch the lesion by a face and belong to no lesion are what a threshold must have left out.
    """
    if int(lesion.mask.sum()) < FEWEST_VOXELS:
        return None
    box = lesion.box.expanded(1).intersection(case.grid.box)
    own = lesion.placed_in(box)
    values = case.suv[box.slices]
    beside = ndimage.binary_dilation(own, CROSS) & ~own & ~label[box.slices]
    if not beside.any():
        return None
    inner, outer = np.sort(values[own]), np.sort(values[beside])
    # For a threshold at each value of the lesion: what of the lesion it misses, and what beside it adds.
    missed = np.arange(len(inner))
    added = len(outer) - np.searchsorted(outer, inner, side="left")
    dice = 2 * (len(inner) - missed) / (2 * len(inner) - missed + added)
    best = int(dice.argmax())
    if dice[best] < EQUAL_DICE:
        return None
    below = outer[outer < inner[best]]
    low = float(max(below[-1] if len(below) else 0.0, inner[best - 1] if best else 0.0))
    found = ThresholdMask(low, float(inner[best]), float(dice[best]), float(inner[-1]))
    return found if found.usual_name is not None or len(inner) >= FEWEST_IF_UNUSUAL else None


def threshold_volume_ml(case: CohortCase, lesion: CohortLesion, *, share: float) -> float:
    """Volume above a share of the lesion's hottest voxel that hangs together with it, within 15 mm of the lesion.

    Source:
        Boellaard et al. 2015, EANM guidelines 2.0, Eur J Nucl Med Mol Imaging 42, 328-354: 41 % of the maximum.
    """
    spacing = case.grid.spacing_kji_mm
    box = lesion.box.expanded(int(np.ceil(AROUND_MM / min(spacing))) + 1).intersection(case.grid.box)
    own = lesion.placed_in(box)
    values = case.suv[box.slices]
    near = ndimage.distance_transform_edt(~own, sampling=spacing) <= AROUND_MM
    hottest = float(values[own].max())
    parts, _ = ndimage.label(near & (values >= share * hottest))
    seed = np.unravel_index(int(np.where(own, values, -np.inf).argmax()), own.shape)
    return int((parts == parts[seed]).sum()) * case.grid.voxel_volume_ml


def unevenness(label: NDArray[np.bool_]) -> tuple[float, float, float]:
    """Share of the label that a median over three neighbours changes, along k, j and i.

    A label whose slices do not fit each other, or miss some, changes much along one axis and little along the others.
    """
    box = VoxelBox.of_mask(label)
    padded = np.pad(label[box.slices], 1)
    changed = []
    for axis in range(3):
        line = np.moveaxis(padded, axis, 0).astype(np.uint8)
        median = (line[:-2] + line[1:-1] + line[2:]) >= 2
        changed.append(float((median != (line[1:-1] > 0)).sum()) / max(1, int(label.sum())))
    return changed[0], changed[1], changed[2]
