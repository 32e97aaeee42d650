"""A segment: a mask with its name, colour and coded meaning, as Slicer and DICOM want it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from SegAnyPETLib.errors import GeometryError, OutputError
from SegAnyPETLib.geometry import Grid

LONGEST_LABEL = 64
# Of the lesions of a study, in turn.
PALETTE_RGB = (
    (0.90, 0.25, 0.20),
    (0.20, 0.55, 0.90),
    (0.25, 0.75, 0.35),
    (0.95, 0.70, 0.15),
    (0.65, 0.40, 0.85),
    (0.15, 0.75, 0.75),
    (0.95, 0.50, 0.65),
    (0.60, 0.60, 0.25),
)


@dataclass(frozen=True)
class Code:
    """A coded concept.

    Attributes:
        value: For example ``108369006``.
        scheme: Coding scheme designator, usually ``SCT`` (SNOMED CT).
        meaning: In English, as the scheme words it.

    Raises:
        OutputError: A part is empty or holds a character that separates codes in Slicer's files.
    """

    value: str
    scheme: str
    meaning: str

    def __post_init__(self) -> None:
        for part in (self.value, self.scheme, self.meaning):
            if not part.strip() or not part.isprintable() or set(part) & set("~^|"):
                msg = f"Expected printable text without ~ ^ | in a code; found {part!r} in {self}."
                raise OutputError(msg)


ALTERED_STRUCTURE = Code("49755003", "SCT", "Morphologically Abnormal Structure")
ANATOMICAL_STRUCTURE = Code("123037004", "SCT", "Anatomical Structure")


@dataclass(frozen=True)
class Terminology:
    """What a segment is, in the terms DICOM SEG and Slicer share.

    Attributes:
        category: Segmented property category.
        type: Segmented property type.
        region: Anatomic region, where known.
        type_modifier: Usually the side, for paired organs.
    """

    category: Code
    type: Code
    region: Code | None = None
    type_modifier: Code | None = None


LEFT = Code("7771000", "SCT", "Left")
RIGHT = Code("24028007", "SCT", "Right")

LESION = Terminology(ALTERED_STRUCTURE, Code("108369006", "SCT", "Neoplasm"))
PRIMARY_TUMOUR = Terminology(ALTERED_STRUCTURE, Code("372087000", "SCT", "Neoplasm, Primary"))
METASTASIS = Terminology(ALTERED_STRUCTURE, Code("14799000", "SCT", "Neoplasm, Secondary"))
LYMPH_NODE = Terminology(ANATOMICAL_STRUCTURE, Code("59441001", "SCT", "Lymph node"))


def _organ(value: str, meaning: str, side: Code | None = None) -> Terminology:
    return Terminology(ANATOMICAL_STRUCTURE, Code(value, "SCT", meaning), type_modifier=side)


ORGAN_TERMS: dict[str, Terminology] = {
    "aorta": _organ("15825003", "Aorta"),
    "bladder": _organ("89837001", "Urinary bladder"),
    "brain": _organ("12738006", "Brain"),
    "heart": _organ("80891009", "Heart"),
    "left kidney": _organ("64033007", "Kidney", LEFT),
    "left lung": _organ("39607008", "Lung", LEFT),
    "left ventricle": _organ("87878005", "Left ventricle"),
    "liver": _organ("10200004", "Liver"),
    "myocardium": _organ("74281007", "Myocardium"),
    "pancreas": _organ("15776009", "Pancreas"),
    "right kidney": _organ("64033007", "Kidney", RIGHT),
    "right lung": _organ("39607008", "Lung", RIGHT),
    "spine": _organ("421060004", "Spine"),
    "spleen": _organ("78961009", "Spleen"),
    "stomach": _organ("69695003", "Stomach"),
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
        label: Shown to people; one line of at most 64 characters, which is what DICOM holds.
        mask: (K, J, I), bool or 0/1; kept as bool, read-only, never changed.
        color_rgb: Display colour, each part 0 to 1.
        terminology: Its coded meaning.
        algorithm: What made it; needed for DICOM SEG.
        tracking_uid: Follows one lesion through studies; made from nothing where None.

    Raises:
        GeometryError: The mask is not three-dimensional or holds other values than 0 and 1.
        OutputError: The label cannot be shown or a colour is outside 0 to 1.
    """

    label: str
    mask: NDArray[np.bool_]
    color_rgb: tuple[float, float, float] = (0.90, 0.25, 0.20)
    terminology: Terminology = field(default=LESION)
    algorithm: Algorithm | None = None
    tracking_uid: str | None = None

    def __post_init__(self) -> None:
        if not self.label.strip() or not self.label.isprintable() or len(self.label) > LONGEST_LABEL:
            msg = f"Expected one line of 1 to {LONGEST_LABEL} characters as label; found {self.label!r}."
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


def given_segments(
    mask: ArrayLike | None, *, label: str | None, segments: Sequence[Segment] | None
) -> Sequence[Segment]:
    """The segments, or one made of `mask` and `label`, by default ``Lesion``.

    Raises:
        OutputError: Both or neither of `mask` and `segments` are given, or a label beside segments.
        GeometryError: The mask is not three-dimensional or holds other values than 0 and 1.
    """
    if (mask is None) == (segments is None):
        found = "neither" if mask is None else "both"
        msg = f"Expected either one mask or segments; found {found}. Give one of them."
        raise OutputError(msg)
    if segments is not None:
        if label is not None:
            msg = f"Expected a label only for a single mask; found {label!r} beside segments, which have their own."
            raise OutputError(msg)
        return segments
    return [Segment(label or "Lesion", as_mask(np.asarray(mask)))]


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
