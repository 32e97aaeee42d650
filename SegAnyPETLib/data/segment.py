"""A segment: a mask with its name, colour and coded meaning, as Slicer and DICOM want it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from SegAnyPETLib.errors import GeometryError, OutputError
from SegAnyPETLib.geometry import Grid


@dataclass(frozen=True)
class Code:
    """A coded concept.

    Attributes:
        value: For example ``108369006``.
        scheme: Coding scheme designator, usually ``SCT`` (SNOMED CT).
        meaning: In English, as the scheme words it.
    """

    value: str
    scheme: str
    meaning: str


ALTERED_STRUCTURE = Code("49755003", "SCT", "Morphologically Abnormal Structure")
ANATOMICAL_STRUCTURE = Code("123037004", "SCT", "Anatomical Structure")


@dataclass(frozen=True)
class Terminology:
    """What a segment is, in the terms DICOM SEG and Slicer share.

    Attributes:
        category: Segmented property category.
        type: Segmented property type.
        region: Anatomic region, where known.
    """

    category: Code
    type: Code
    region: Code | None = None


LESION = Terminology(ALTERED_STRUCTURE, Code("108369006", "SCT", "Neoplasm"))
PRIMARY_TUMOUR = Terminology(ALTERED_STRUCTURE, Code("372087000", "SCT", "Primary malignant neoplasm"))
METASTASIS = Terminology(ALTERED_STRUCTURE, Code("14799000", "SCT", "Neoplasm, Secondary"))
LYMPH_NODE = Terminology(ANATOMICAL_STRUCTURE, Code("59441001", "SCT", "Lymph node"))

_ORGAN_CODES = {
    "aorta": ("15825003", "Aorta"),
    "bladder": ("89837001", "Urinary bladder"),
    "brain": ("12738006", "Brain"),
    "heart": ("80891009", "Heart"),
    "kidney": ("64033007", "Kidney"),
    "left kidney": ("18639004", "Left kidney"),
    "left lung": ("44029006", "Left lung"),
    "left ventricle": ("87878005", "Left ventricle of heart"),
    "liver": ("10200004", "Liver"),
    "lung": ("39607008", "Lung"),
    "myocardium": ("74281007", "Myocardium"),
    "pancreas": ("15776009", "Pancreas"),
    "right kidney": ("9846003", "Right kidney"),
    "right lung": ("3341006", "Right lung"),
    "spine": ("421060004", "Vertebral column"),
    "spleen": ("78961009", "Spleen"),
    "stomach": ("69695003", "Stomach"),
}
ORGAN_TERMS: dict[str, Terminology] = {
    name: Terminology(ANATOMICAL_STRUCTURE, Code(value, "SCT", meaning))
    for name, (value, meaning) in _ORGAN_CODES.items()
}


@dataclass(frozen=True)
class Algorithm:
    """What made the mask.

    Attributes:
        name: For example the model's name.
        version: Of that model or program.
        is_automatic: True when no person steered it; clicks make it semi-automatic.
    """

    name: str
    version: str
    is_automatic: bool = False


@dataclass(frozen=True)
class Segment:
    """One segment on a grid that travels beside it.

    Attributes:
        label: Shown to people; not empty.
        mask: (K, J, I), bool or 0/1; kept as bool, read-only, never changed.
        color_rgb: Display colour, each part 0 to 1.
        terminology: Its coded meaning.
        algorithm: What made it; needed for DICOM SEG.
        tracking_uid: Follows one lesion through studies; made from nothing where None.

    Raises:
        GeometryError: The mask is not three-dimensional or holds other values than 0 and 1.
        OutputError: The label is empty or a colour is outside 0 to 1.
    """

    label: str
    mask: NDArray[np.bool_]
    color_rgb: tuple[float, float, float] = (0.90, 0.25, 0.20)
    terminology: Terminology = field(default=LESION)
    algorithm: Algorithm | None = None
    tracking_uid: str | None = None

    def __post_init__(self) -> None:
        if not self.label.strip():
            msg = "Expected a label that people can read; found an empty one. Name the segment."
            raise OutputError(msg)
        if len(self.color_rgb) != 3 or not all(0 <= part <= 1 for part in self.color_rgb):
            msg = f"Expected a colour of red, green, blue between 0 and 1; found {self.color_rgb}."
            raise OutputError(msg)
        view = as_mask(self.mask).view()
        view.setflags(write=False)
        object.__setattr__(self, "mask", view)


def as_mask(mask: ArrayLike, *, grid: Grid | None = None) -> NDArray[np.bool_]:
    """The mask as bool (K, J, I), not copied when it is bool already.

    Raises:
        GeometryError: It is not three-dimensional, holds other values than 0 and 1, or does not fit `grid`.
    """
    array = np.asarray(mask)
    if array.ndim != 3:
        msg = f"Expected a mask with three axes (K, J, I); found shape {array.shape}."
        raise GeometryError(msg)
    if grid is not None and array.shape != grid.shape_kji:
        msg = (
            f"Expected a mask on the image's grid, shape (K, J, I) = {grid.shape_kji}; found {array.shape}. "
            "Resample the mask to the image, or check the order of its axes."
        )
        raise GeometryError(msg)
    if array.dtype == np.bool_:
        return array
    result: NDArray[np.bool_] = np.equal(array, 1)
    if not ((array == 0) | result).all():
        msg = f"Expected a mask of 0 and 1; found dtype {array.dtype} with other values. Choose one label or threshold."
        raise GeometryError(msg)
    return result


def require_segments(segments: Sequence[Segment], grid: Grid) -> tuple[Segment, ...]:
    """The segments, checked: at least one, all on `grid`, none empty.

    Raises:
        OutputError: There is no segment, or one has no voxel.
        GeometryError: A mask does not fit the grid.
    """
    if not segments:
        msg = "Expected at least one segment to write; found none."
        raise OutputError(msg)
    for segment in segments:
        as_mask(segment.mask, grid=grid)
        if not segment.mask.any():
            msg = f"Segment {segment.label!r} has no voxel, so there is nothing to write. Leave it out or redo it."
            raise OutputError(msg)
    return tuple(segments)
