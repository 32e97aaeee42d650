"""From the image's grid to the tensor a network sees, and back.

Public names: `Region`, `TensorAxes`, `Normalization`, `tensor_direction`, `normalize`, `resample_linear`,
`resample_to_region`, `resample_from_region`, `average_groups`, `averaging_factors`, `voxels_inside`.
"""

from SegAnyPETLib.preprocess.normalize import Normalization, normalize
from SegAnyPETLib.preprocess.region import Region, TensorAxes, tensor_direction
from SegAnyPETLib.preprocess.resample import (
    average_groups,
    averaging_factors,
    resample_from_region,
    resample_linear,
    resample_to_region,
    voxels_inside,
)

__all__ = [
    "Normalization",
    "Region",
    "TensorAxes",
    "average_groups",
    "averaging_factors",
    "normalize",
    "resample_from_region",
    "resample_linear",
    "resample_to_region",
    "tensor_direction",
    "voxels_inside",
]
