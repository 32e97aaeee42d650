"""Segmentations as DICOM SEG that refers to the PET series it was drawn on."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydicom.uid import UID

from SegAnyPETLib.data.atomic import write_atomically
from SegAnyPETLib.data.nifti_output import require_ending
from SegAnyPETLib.data.segment import Algorithm, Code, Segment, given_segments, require_segments
from SegAnyPETLib.data.source_images import read_source_images
from SegAnyPETLib.data.written_identity import derived_uid, new_uid_unless, one_dicom_value, stamp_times
from SegAnyPETLib.errors import DICOMError
from SegAnyPETLib.version import __version__

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from SegAnyPETLib.data.pet_series import PETSeries

ARTIFICIAL_INTELLIGENCE = Code("123110", "DCM", "Artificial Intelligence")  # CID 7162, algorithm families
OURSELVES = Algorithm("SegAnyPET", __version__)
SERIES_NUMBER_OFFSET = 1000  # beside the source series in a list, and never equal to one of the scanner's


def write_dicom_seg(
    path: Path | str,
    mask: NDArray[Any] | None = None,  # any 0/1 dtype
    *,
    source: PETSeries,
    label: str | None = None,
    segments: Sequence[Segment] | None = None,
    series_instance_uid: str | None = None,
    sop_instance_uid: str | None = None,
    written_at: datetime | None = None,
) -> Path:
    """Write one mask, or several segments, as a binary DICOM SEG on the grid of its source series.

    Each segment is one lesion with its label, colour, SNOMED codes, algorithm, tracking identifier and UID; the type is
    SEMIAUTOMATIC unless its algorithm says that nobody steered it. Segments may overlap. Frames without a voxel are
    left out; the others refer to their source image. A backslash in a label, which DICOM cannot hold, becomes a slash.
    With both UIDs and the time given, the same segments give the same bytes.

    Args:
        path: Ends in .dcm.
        mask: One lesion, (K, J, I) on the grid of `source`; leave out when `segments` are given.
        source: The series as read; its files must still be where they were.
        label: Name of the one lesion, by default ``Lesion``.
        segments: Instead of `mask` and `label`: one per lesion.
        series_instance_uid: Of the new series; a random one by default.
        sop_instance_uid: Of the new object; a random one by default. Where it is given, segments without a tracking
            UID get one derived from it.
        written_at: When it was made, by default now.

    Raises:
        GeometryError: A mask does not fit the series.
        OutputError: Both or neither of `mask` and `segments` are given, one is empty, or the file cannot be written.
        DICOMError: The source files are gone or lack what a SEG must refer to.

    Source:
        DICOM PS3.3 A.51 and C.8.20; categories of PS3.16 CID 7150, 7151 and 7159.
    """
    path = Path(path)
    require_ending(path, (".dcm",))
    chosen = require_segments(given_segments(mask, label=label, segments=segments), source.grid)
    planes = np.stack([segment.mask for segment in chosen], axis=-1).astype(np.uint8)
    with warnings.catch_warnings(), write_atomically(path) as temporary:
        # Their remarks are about the source's own values (names without carets, long IDs), which are repeated.
        warnings.filterwarnings("ignore", category=UserWarning, module=r"(pydicom|highdicom)\.")
        images = read_source_images(source, result="SEG")
        if source.is_multiframe:
            planes = _in_frame_order(planes, source, images[0])
        if sop_instance_uid is not None:
            chosen = tuple(_tracked(segment, sop_instance_uid, n) for n, segment in enumerate(chosen, start=1))
        result = _segmentation(images, planes, chosen)
        _identify(result, new_uid_unless(series_instance_uid), new_uid_unless(sop_instance_uid))
        stamp_times(result, written_at or datetime.now(), prefixes=("InstanceCreation", "Content"))
        result.save_as(temporary, enforce_file_format=True)
    return path


def _tracked(segment: Segment, sop_instance_uid: str, number: int) -> Segment:
    if segment.tracking_uid is not None:
        return segment
    return replace(segment, tracking_uid=derived_uid(sop_instance_uid, "tracking", str(number)))


def _identify(result: Dataset, series_instance_uid: str, sop_instance_uid: str) -> None:
    """Set the UIDs, also that of the dimensions, which highdicom makes at random."""
    result.SeriesInstanceUID = series_instance_uid
    result.SOPInstanceUID = result.file_meta.MediaStorageSOPInstanceUID = UID(sop_instance_uid)
    dimensions = derived_uid(sop_instance_uid, "dimensions")
    for item in (*result.DimensionOrganizationSequence, *result.DimensionIndexSequence):
        item.DimensionOrganizationUID = dimensions


def _in_frame_order(planes: NDArray[np.uint8], source: PETSeries, image: Dataset) -> NDArray[np.uint8]:
    """Slices put where their frames are in the source object; frames that are no slice stay empty."""
    ordered = np.zeros((int(image.NumberOfFrames), *planes.shape[1:]), dtype=np.uint8)
    ordered[np.asarray(source.frame_numbers) - 1] = planes
    return ordered


def _segmentation(images: list[Dataset], planes: NDArray[np.uint8], segments: Sequence[Segment]) -> Any:  # untyped
    import highdicom

    first = images[0]
    try:
        result = highdicom.seg.Segmentation(
            source_images=images,
            pixel_array=planes,
            segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
            segment_descriptions=[_description(n, segment) for n, segment in enumerate(segments, start=1)],
            series_instance_uid=highdicom.UID(),
            series_number=SERIES_NUMBER_OFFSET + int(first.get("SeriesNumber") or 0),
            sop_instance_uid=highdicom.UID(),
            instance_number=1,
            manufacturer="SegAnyPET",
            manufacturer_model_name="SegAnyPET",
            software_versions=__version__,
            device_serial_number="none",
            content_label="SEGMENTATION",
            content_description="Lesions segmented on PET",
            # Labels are Unicode, whatever the source was written in; highdicom refuses the empty first value of it.
            specific_character_set="ISO_IR 192",
        )
    except (AttributeError, KeyError, ValueError, TypeError) as error:
        msg = (
            f"The source series lacks or contradicts something a SEG must repeat: {error}. "
            "Use the original files instead of a reduced copy, or write .seg.nrrd."
        )
        raise DICOMError(msg) from error
    result.SeriesDescription = "SegAnyPET segmentation"
    result.ContentCreatorName = ""  # of type 2, and highdicom leaves it out
    return result


def _description(number: int, segment: Segment) -> Any:  # highdicom ships no types
    import highdicom

    algorithm = segment.algorithm or OURSELVES
    values = highdicom.seg.SegmentAlgorithmTypeValues
    terms = segment.terminology
    description = highdicom.seg.SegmentDescription(
        segment_number=number,
        segment_label=one_dicom_value(segment.label),
        segmented_property_category=_concept(terms.category),
        segmented_property_type=_concept(terms.type),
        algorithm_type=values.AUTOMATIC if algorithm.is_automatic else values.SEMIAUTOMATIC,
        algorithm_identification=highdicom.AlgorithmIdentificationSequence(
            name=one_dicom_value(algorithm.name),
            family=_concept(ARTIFICIAL_INTELLIGENCE),
            version=one_dicom_value(algorithm.version),
        ),
        tracking_uid=segment.tracking_uid or highdicom.UID(),
        tracking_id=one_dicom_value(segment.label),
        anatomic_regions=None if terms.region is None else [_concept(terms.region)],
        display_color=highdicom.color.CIELabColor.from_rgb(*(round(255 * part) for part in segment.color_rgb)),
    )
    if terms.type_modifier is not None:
        typed = description.SegmentedPropertyTypeCodeSequence[0]
        typed.SegmentedPropertyTypeModifierCodeSequence = [_concept(terms.type_modifier)]
    return description


def _concept(code: Code) -> Any:  # highdicom ships no types
    import highdicom

    return highdicom.sr.CodedConcept(code.value, code.scheme, one_dicom_value(code.meaning))
