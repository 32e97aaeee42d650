"""Agreement of two masks: Dice, surface Dice, HD95, volume and uptake ratios.

Surfaces are the mask's own outermost voxels: those with a face neighbour outside the mask or on the image
border. Distances run between voxel centres in mm. MONAI's metrics follow the same definitions and are
the oracle of the tests; this module needs neither torch nor more than two distance transforms per pair.

Empty masks: two empty masks agree fully (Dice 1, surface Dice 1, HD95 0 mm). Where only one is empty, Dice
and surface Dice are 0, and HD95 is the diagonal of the image, the largest distance there can be: leaving
the case out would reward a method for finding nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from SegAnyPETLib.errors import GeometryError
from SegAnyPETLib.geometry import VoxelBox

BoolArray = NDArray[np.bool_]

FACE_NEIGHBOURS = ndimage.generate_binary_structure(3, 1)
# Spacings come from single precision headers: a distance of 4 mm must not fall out of a tolerance of 4 mm.
ROUNDING_MM = 1e-5


@dataclass(frozen=True)
class SurfaceDistances:
    """Distances between two surfaces, voxel centre to nearest voxel centre.

    Attributes:
        to_reference_mm: One value per surface voxel of the prediction; empty where a mask is empty.
        to_prediction_mm: One value per surface voxel of the reference; empty where a mask is empty.
        both_empty: True when neither mask has a voxel.
        diagonal_mm: Length of the image's diagonal, the worst case.
    """

    to_reference_mm: NDArray[np.float64]
    to_prediction_mm: NDArray[np.float64]
    both_empty: bool
    diagonal_mm: float

    def surface_dice(self, tolerance_mm: float) -> float:
        """Share of both surfaces that lies within `tolerance_mm` of the other one.

        Source:
            Nikolov et al. 2018 (arXiv 1809.04430), with surface voxels instead of surface elements.
        """
        count = self.to_reference_mm.size + self.to_prediction_mm.size
        if count == 0:
            return 1.0 if self.both_empty else 0.0
        limit = tolerance_mm + ROUNDING_MM
        near = np.count_nonzero(self.to_reference_mm <= limit) + np.count_nonzero(self.to_prediction_mm <= limit)
        return near / count

    def hausdorff_mm(self, percentile: float = 95.0) -> float:
        """The larger of the two directed `percentile` distances in mm (HD95)."""
        if self.to_reference_mm.size == 0:
            return 0.0 if self.both_empty else self.diagonal_mm
        directed = (np.percentile(distances, percentile) for distances in (self.to_reference_mm, self.to_prediction_mm))
        return float(max(directed))


def compute_dice(prediction: BoolArray, reference: BoolArray) -> float:
    """Twice the common voxels over the sum of both; 1 where both masks (K, J, I) are empty.

    Raises:
        GeometryError: The masks differ in shape.
    """
    _check_same_shape(prediction, reference)
    total = np.count_nonzero(prediction) + np.count_nonzero(reference)
    return 2.0 * float(np.count_nonzero(prediction & reference)) / total if total else 1.0


def compute_surface_distances(
    prediction: BoolArray, reference: BoolArray, *, spacing_kji_mm: Sequence[float]
) -> SurfaceDistances:
    """Distances between the surfaces of two masks.

    Args:
        prediction: (K, J, I).
        reference: (K, J, I).
        spacing_kji_mm: Voxel spacing along K, J, I in mm.

    Raises:
        GeometryError: The masks differ in shape.
    """
    _check_same_shape(prediction, reference)
    diagonal_mm = float(np.linalg.norm(np.multiply(prediction.shape, spacing_kji_mm)))
    box = VoxelBox.of_mask(prediction | reference)
    empty: NDArray[np.float64] = np.zeros(0)
    if not (prediction.any() and reference.any()):
        return SurfaceDistances(empty, empty, box.is_empty, diagonal_mm)
    # No surface reaches beyond the box of both, and there the erosion sees the same outside as in the image.
    surfaces = [_surface(mask[box.slices]) for mask in (prediction, reference)]
    distance_mm = [ndimage.distance_transform_edt(~surface, sampling=spacing_kji_mm) for surface in surfaces]
    return SurfaceDistances(distance_mm[1][surfaces[0]], distance_mm[0][surfaces[1]], False, diagonal_mm)


def _surface(mask: BoolArray) -> BoolArray:
    eroded: BoolArray = ndimage.binary_erosion(mask, structure=FACE_NEIGHBOURS)
    return mask & ~eroded


def _check_same_shape(prediction: BoolArray, reference: BoolArray) -> None:
    if prediction.shape != reference.shape:
        msg = f"Expected two masks of one shape; found {prediction.shape} and {reference.shape}."
        raise GeometryError(msg)


@dataclass(frozen=True)
class Agreement:
    """How well a predicted mask agrees with the reference, in one image.

    Attributes:
        dice: 0 to 1.
        surface_dice_4mm: 0 to 1, tolerance 4 mm.
        surface_dice_2mm: 0 to 1, tolerance 2 mm.
        hd95_mm: 95th percentile Hausdorff distance.
        volume_ratio: Predicted volume (MTV) over reference volume; its distance from 1 is the MTV's relative error.
        tlg_ratio: Predicted total lesion glycolysis over that of the reference.
        suv_mean_ratio: Mean SUV in the prediction over that in the reference; None for an empty prediction.
    """

    dice: float
    surface_dice_4mm: float
    surface_dice_2mm: float
    hd95_mm: float
    volume_ratio: float
    tlg_ratio: float | None
    suv_mean_ratio: float | None


def compute_agreement(
    prediction: BoolArray, reference: BoolArray, *, values_suv: NDArray[np.float32], spacing_kji_mm: Sequence[float]
) -> Agreement:
    """Every figure of `Agreement` for one pair of masks.

    Args:
        prediction: (K, J, I).
        reference: (K, J, I), not empty.
        values_suv: The image (K, J, I), in SUV.
        spacing_kji_mm: Voxel spacing along K, J, I in mm.

    Raises:
        GeometryError: The shapes differ, or the reference is empty (ratios to it do not exist).
    """
    if not reference.any():
        msg = "Expected a reference mask with at least one voxel; found an empty one. Leave this case out."
        raise GeometryError(msg)
    surfaces = compute_surface_distances(prediction, reference, spacing_kji_mm=spacing_kji_mm)
    voxels = int(np.count_nonzero(prediction)), int(np.count_nonzero(reference))
    uptake = (float(values_suv[mask].sum(dtype=np.float64)) for mask in (prediction, reference))
    tlg_ratio = _ratio(*uptake)
    volume_ratio = voxels[0] / voxels[1]
    return Agreement(
        dice=compute_dice(prediction, reference),
        surface_dice_4mm=surfaces.surface_dice(4.0),
        surface_dice_2mm=surfaces.surface_dice(2.0),
        hd95_mm=surfaces.hausdorff_mm(),
        volume_ratio=volume_ratio,
        tlg_ratio=tlg_ratio,
        suv_mean_ratio=tlg_ratio / volume_ratio if tlg_ratio is not None and voxels[0] else None,
    )


def _ratio(numerator: float, denominator: float) -> float | None:
    """The quotient; None where an uptake that is not positive leaves no meaning in it."""
    return numerator / denominator if denominator > 0 else None
