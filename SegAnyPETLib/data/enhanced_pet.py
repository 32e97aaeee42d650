"""Enhanced PET: one file, many frames, each value looked up in its functional group.

Each frame's header is flattened into one data set, the way a single slice would have written it; everything behind
is then shared with single slices. What Enhanced PET says in other words (units, corrections, decay) is translated.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.tag import BaseTag

from SegAnyPETLib.data.dicom_files import read_with_pixels
from SegAnyPETLib.data.dicom_values import items, number, text
from SegAnyPETLib.data.pet_header import PETHeader, SliceHeader, series_header
from SegAnyPETLib.data.pixels import rescaled, stored_planes
from SegAnyPETLib.data.planes import check_static, plane_of
from SegAnyPETLib.data.slice_stack import stack_planes
from SegAnyPETLib.errors import InconsistentSeriesError, MissingTagError
from SegAnyPETLib.geometry import Grid

_MACROS = (
    "PixelMeasuresSequence",
    "PlanePositionSequence",
    "PlaneOrientationSequence",
    "PixelValueTransformationSequence",
    "FrameContentSequence",
    "SegmentIdentificationSequence",
)
_UNASSIGNED_SHARED = "UnassignedSharedConvertedAttributesSequence"
_UNASSIGNED_PER_FRAME = "UnassignedPerFrameConvertedAttributesSequence"
_CORRECTIONS = {"AttenuationCorrected": "ATTN", "DecayCorrected": "DECY", "ScatterCorrected": "SCAT"}
# UCUM unit -> (Units, SUV Type); the annotation in braces stands before or behind the unit, by year of the standard.
_UNITS_OF_UCUM = {
    ("Bq/ml", ""): ("BQML", None),
    ("", "counts"): ("CNTS", None),
    ("g/ml", "SUVbw"): ("GML", "BW"),
    ("g/ml", "SUVlbm"): ("GML", "LBM"),
    ("g/ml", "SUVlbm(James128)"): ("GML", "LBMJAMES128"),
    ("g/ml", "SUVlbm(Janma)"): ("GML", "LBMJANMA"),
    ("g/ml", "SUVibw"): ("GML", "IBW"),
    ("cm2/ml", "SUVbsa"): ("CM2ML", "BSA"),
}
MOST_FRAMES = 65_536
ENHANCED_PET = "1.2.840.10008.5.1.4.1.1.130"
_NOT_FLATTENED = (0x52009229, 0x52009230)
_Elements = dict[BaseTag, DataElement | RawDataElement]


def read_multiframe(path: Path) -> tuple[NDArray[np.float32], Grid, PETHeader, tuple[int, ...]]:
    """Read an Enhanced PET or Legacy Converted Enhanced PET file that holds one volume.

    Returns:
        Values float32 (K, J, I), read-only; grid; header; and the frame of slice k in the file, from 1.

    Raises:
        MissingTagError: A tag of the geometry or of the values is absent.
        InconsistentSeriesError: Frames do not make up one volume, or are not as many as announced.
        DICOMError: The file is damaged.
    """
    dataset = read_with_pixels(path)
    frames = frame_headers(dataset, name=path.name)
    names = [f"frame {n + 1} of {path.name}" for n in range(len(frames))]
    for frame, name in zip(frames, names, strict=True):
        check_static(frame, name=name)
    planes = [plane_of(frame, name=name) for frame, name in zip(frames, names, strict=True)]
    order, grid = stack_planes([replace(plane, sop_instance_uid=None) for plane in planes])
    header = _translated(dataset, [frames[n] for n in order], names=[names[n] for n in order])
    stored = stored_planes(dataset, frames=len(frames), name=path.name)
    values = np.empty(grid.shape_kji, dtype=np.float32)
    for k, n in enumerate(order):
        item = header.slices[k]
        slope, intercept = item.rescale_slope, item.rescale_intercept
        values[k] = rescaled(stored[n], slope=slope, intercept=intercept, name=names[n])
    values.setflags(write=False)
    return values, grid, header, tuple(n + 1 for n in order)


def frame_headers(dataset: Dataset, *, name: str, least: int = 2) -> list[Dataset]:
    """The header of each frame, as a single slice would have written it.

    Args:
        dataset: A multi-frame object.
        name: What to call it in messages.
        least: How many frames it must have; a volume needs two.

    Raises:
        InconsistentSeriesError: Frames are not as many as announced.
    """
    shared = items(dataset, "SharedFunctionalGroupsSequence")[:1]
    per_frame = items(dataset, "PerFrameFunctionalGroupsSequence")
    announced = number(dataset, "NumberOfFrames")
    if announced is None or announced != len(per_frame) or not least <= len(per_frame) <= MOST_FRAMES:
        msg = (
            f"{name} announces {announced or 'no'} frames in NumberOfFrames (0028,0008) and describes "
            f"{len(per_frame)} in PerFrameFunctionalGroupsSequence (5200,9230); expected the same number, at least "
            f"{least}. Export the series again."
        )
        raise InconsistentSeriesError(msg)
    top: _Elements = {}
    for group in shared:
        top |= _first_item(group, _UNASSIGNED_SHARED)
    top |= {tag: e for tag, e in dataset.items() if tag not in _NOT_FLATTENED and tag.group != 0x7FE0}
    for group in shared:
        top |= _of_group(group)
    return [Dataset(top | _first_item(group, _UNASSIGNED_PER_FRAME) | _of_group(group)) for group in per_frame]


def _of_group(group: Dataset) -> _Elements:
    elements: _Elements = {}
    for macro in _MACROS:
        elements |= _first_item(group, macro)
    mapping = group.get_item("RealWorldValueMappingSequence", keep_deferred=True)
    return elements if mapping is None else {**elements, mapping.tag: mapping}


def _first_item(group: Dataset, keyword: str) -> _Elements:
    return {tag: element for item in items(group, keyword)[:1] for tag, element in item.items()}


def _translated(dataset: FileDataset, frames: list[Dataset], *, names: list[str]) -> PETHeader:
    header = series_header(frames, names=names)
    flags = {name for keyword, name in _CORRECTIONS.items() if text(dataset, keyword) == "YES"}
    header = replace(header, corrected_image=tuple(sorted({*header.corrected_image, *flags})))
    if text(dataset, "SOPClassUID") == ENHANCED_PET:
        header = replace(header, is_dose_in_mbq=True)
    if header.units is None:
        header = _mapped_to_real_world(header, frames, names=names)
    if header.decay_correction is None and header.units == "BQML":
        header = replace(header, decay_correction=_decay_correction(dataset, header))
    return header


def _decay_correction(dataset: FileDataset, header: PETHeader) -> str | None:
    corrected = text(dataset, "DecayCorrected")
    if corrected == "YES" and header.decay_corrected_to is None:
        raise MissingTagError(
            keyword="DecayCorrectionDateTime",
            tag="(0018,9701)",
            needed_for="the activity of a decay corrected Enhanced PET image",
            advice="Export the series again.",
        )
    return {"YES": "START", "NO": "NONE"}.get(corrected or "")


def _mapped_to_real_world(header: PETHeader, frames: list[Dataset], *, names: list[str]) -> PETHeader:
    mapped = [_real_world(frame, item) for frame, item in zip(frames, header.slices, strict=True)]
    units = {(units, suv_type) for units, suv_type, _ in mapped}
    if len(units) > 1:
        msg = f"Frames of {names[0]} and others map to different units: {sorted(str(u) for u in units)}. Export again."
        raise InconsistentSeriesError(msg)
    return replace(header, units=mapped[0][0], suv_type=mapped[0][1], slices=tuple(item for _, _, item in mapped))


def _real_world(frame: Dataset, item: SliceHeader) -> tuple[str | None, str | None, SliceHeader]:
    """Units and slope by Real World Value Mapping; activity is preferred to SUV, so that SUV is computed one way."""
    choices = []
    for mapping in items(frame, "RealWorldValueMappingSequence"):
        codes = items(mapping, "MeasurementUnitsCodeSequence")
        found = _units_of(text(codes[0], "CodeValue") or "") if codes else None
        slope, intercept = number(mapping, "RealWorldValueSlope"), number(mapping, "RealWorldValueIntercept")
        if found is not None and slope is not None:
            choices.append((found, replace(item, rescale_slope=slope, rescale_intercept=intercept or 0.0)))
    if not choices:
        return None, None, item
    known = list(_UNITS_OF_UCUM.values())
    (units, suv_type), chosen = min(choices, key=lambda choice: known.index(choice[0]))
    return units, suv_type, chosen


def _units_of(ucum: str) -> tuple[str, str | None] | None:
    annotation = "".join(re.findall(r"\{(.*?)\}", ucum))
    return _UNITS_OF_UCUM.get((re.sub(r"\{.*?\}", "", ucum), annotation))
