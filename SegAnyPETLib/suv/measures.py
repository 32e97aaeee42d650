"""What is read off a mask: SUVmax, SUVmean, SUVpeak, metabolic volume and total lesion glycolysis."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from SegAnyPETLib.data.segment import as_mask
from SegAnyPETLib.errors import SUVError
from SegAnyPETLib.geometry import VoxelBox
from SegAnyPETLib.suv.peak import PEAK_RADIUS_MM, find_peak

if TYPE_CHECKING:
    from SegAnyPETLib.suv.volume import SUVKind, SUVVolume

Float3 = tuple[float, float, float]


@dataclass(frozen=True)
class LesionMeasures:
    """Measures of one mask on one SUV volume.

    Attributes:
        kind: Which SUV: bw, lbm, bsa or ibw.
        suv_unit: Of every SUV here: ``g/ml``, for bsa ``cm2/ml``.
        voxel_count: Voxels in the mask.
        volume_ml: Their number times the volume of one.
        mtv_ml: Metabolic tumour volume; the same sum of voxels, under the name it is reported by.
        suv_max: Highest voxel.
        suv_max_lps_mm: Centre of that voxel; the first in K, J, I order where several are equal.
        suv_mean: Mean of the voxels.
        suv_sd: Their standard deviation, with division by their number.
        suv_median: Their median.
        suv_min: Lowest voxel.
        suv_peak: Highest mean in a 1 ml sphere (radius 6.2035 mm) whose centre lies in a voxel of the mask. Voxels
            count by the part inside the sphere, the centre is placed to a quarter of a millimetre or finer, and the
            sphere may leave the mask; beside a hotter organ it can therefore exceed `suv_max`.
        suv_peak_lps_mm: Centre of that sphere.
        suv_peak_is_truncated: The sphere leaves the image; the peak is the mean of the part inside.
        tlg: Total lesion glycolysis, SUVmean times MTV.
        tlg_unit: ``g``, for bsa ``cm2``.
        centroid_lps_mm: Mean position of the voxels.
    """

    kind: SUVKind
    suv_unit: str
    voxel_count: int
    volume_ml: float
    mtv_ml: float
    suv_max: float
    suv_max_lps_mm: Float3
    suv_mean: float
    suv_sd: float
    suv_median: float
    suv_min: float
    suv_peak: float
    suv_peak_lps_mm: Float3
    suv_peak_is_truncated: bool
    tlg: float
    tlg_unit: str
    centroid_lps_mm: Float3


def compute_measures(image: SUVVolume, mask: NDArray[Any]) -> LesionMeasures:  # any 0/1 dtype is accepted
    """Measure the voxels of `mask` on `image`; both stay as they are.

    Args:
        image: The SUV volume, (K, J, I).
        mask: Bool or 0/1, (K, J, I) on the grid of `image`.

    Raises:
        GeometryError: The mask does not fit the image, or holds other values than 0 and 1.
        SUVError: The mask is empty, or the image is not finite there.

    Source:
        Volume, MTV and TLG: DICOM PS3.16 codes 118565006, 126032 and 126033 (method 126030, sum of segmented voxel
        volumes). SUVpeak: Wahl et al. 2009, J Nucl Med 50 Suppl 1, 122S.
    """
    chosen = as_mask(mask, grid=image.grid)
    index = np.argwhere(chosen)
    if not len(index):
        msg = "Expected a mask with at least one voxel; found an empty one, which has no SUV. Segment something first."
        raise SUVError(msg)
    near = VoxelBox.of_mask(chosen).expanded(ceil(PEAK_RADIUS_MM / min(image.grid.spacing_ijk_mm)) + 1)
    region = image.array[near.intersection(image.grid.box).slices]
    if not np.isfinite(region).all():
        bad = int((~np.isfinite(region)).sum())
        msg = f"Expected finite SUVs in and around the mask; found {bad} voxels that are not. Check the image."
        raise SUVError(msg)
    values = image.array[chosen].astype(np.float64)
    peak = find_peak(image.array, chosen, grid=image.grid)
    volume_ml, mean = len(values) * image.grid.voxel_volume_ml, float(values.mean())
    return LesionMeasures(
        kind=image.kind,
        suv_unit=image.unit,
        voxel_count=len(values),
        volume_ml=volume_ml,
        mtv_ml=volume_ml,
        suv_max=float(values.max()),
        suv_max_lps_mm=_lps(image, index[values.argmax()]),
        suv_mean=mean,
        suv_sd=float(values.std()),
        suv_median=float(np.median(values)),
        suv_min=float(values.min()),
        suv_peak=peak.value,
        suv_peak_lps_mm=_lps(image, peak.centre_kji),
        suv_peak_is_truncated=peak.is_truncated,
        tlg=mean * volume_ml,
        tlg_unit=image.unit.removesuffix("/ml"),
        centroid_lps_mm=_lps(image, index.mean(axis=0)),
    )


def _lps(image: SUVVolume, kji: Any) -> Float3:  # anything numpy takes as three numbers
    x, y, z = (float(v) for v in image.grid.kji_to_lps(kji))
    return x, y, z
