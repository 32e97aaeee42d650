"""Segments as DICOM RT Structure Set: closed contours on the slices of the PET series, for planning systems."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ImplicitVRLittleEndian
from pydicom.valuerep import format_number_as_ds

from SegAnyPETLib.data.atomic import write_atomically
from SegAnyPETLib.data.dicom_seg_output import OURSELVES
from SegAnyPETLib.data.dicom_values import number, tag_text, text
from SegAnyPETLib.data.enhanced_pet import frame_headers
from SegAnyPETLib.data.nifti_output import require_ending
from SegAnyPETLib.data.planes import Plane, plane_of
from SegAnyPETLib.data.segment import (
    ALTERED_STRUCTURE,
    ANATOMICAL_STRUCTURE,
    LONGEST_LABEL,
    LYMPH_NODE,
    Code,
    Segment,
    Terminology,
    given_segments,
    require_segments,
)
from SegAnyPETLib.data.source_images import PATIENT_AND_STUDY, read_source_images
from SegAnyPETLib.data.voxel_contours import trace_contours
from SegAnyPETLib.data.written_identity import new_uid_unless, one_dicom_value, stamp_times
from SegAnyPETLib.errors import InconsistentSeriesError, MissingTagError
from SegAnyPETLib.version import __version__

if TYPE_CHECKING:
    from SegAnyPETLib.data.pet_series import PETSeries
    from SegAnyPETLib.geometry import Grid

RT_STRUCTURE_SET = "1.2.840.10008.5.1.4.1.1.481.3"
# Retired, but what RT Referenced Study Sequence names a study by (PS3.3 C.8.8.5.4).
DETACHED_STUDY_MANAGEMENT = "1.2.840.10008.3.1.2.3.1"
SERIES_NUMBER_OFFSET = 2000  # beside a SEG of the same series, which has 1000 more than the series
DECIMALS_MM = 6
LARGEST_SHIFT = 0.25  # of the smallest voxel edge: an image farther from its place in the grid is another one
LONGEST_CODE_VALUE = 16
_ADVICE = "Use the original files instead of a reduced copy, or write .seg.nrrd."


@dataclass(frozen=True)
class _Slice:
    """An image contours lie on: its plane, and its reference."""

    plane: Plane
    image: Dataset
    frame_number: int | None  # None for a single-frame image

    def reference(self) -> Dataset:
        item = Dataset()
        item.ReferencedSOPClassUID = self.image.SOPClassUID
        item.ReferencedSOPInstanceUID = self.image.SOPInstanceUID
        if self.frame_number is not None:
            item.ReferencedFrameNumber = self.frame_number
        return item

    def points_lps_mm(self, points_ji: NDArray[np.float64]) -> NDArray[np.float64]:
        """LPS mm (n, 3) of indices (n, 2) as (j, i), in the plane of this very image."""
        plane = self.plane
        along_i = np.multiply(plane.row_axis, plane.spacing_ij_mm[0])
        along_j = np.multiply(plane.column_axis, plane.spacing_ij_mm[1])
        return np.asarray(plane.position_lps_mm + points_ji @ np.stack([along_j, along_i]))


def write_rtstruct(
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
    """Write one mask, or several segments, as a DICOM RT Structure Set that refers to its source series.

    Each segment is a region (ROI) with its label, colour, codes and algorithm; a label that occurs again gets a number,
    since planning systems know regions by name. Lesions and lymph nodes are of type GTV, other anatomy is ORGAN. The
    contours are CLOSED_PLANAR, in the planes of the images, along the edges of the voxels: the voxels whose centres
    they enclose are those of the mask, and area times slice distance is the volume. Holes are made by a keyhole, the
    one way that readers of CLOSED_PLANAR only, readers that unite contours and readers that XOR them all understand.

    Args:
        path: Ends in .dcm.
        mask: One lesion, (K, J, I) on the grid of `source`; leave out when `segments` are given.
        source: The series as read; its files must still be where they were.
        label: Name of the one lesion, by default ``Lesion``.
        segments: Instead of `mask` and `label`: one per region.
        series_instance_uid: Of the new series; a random one by default.
        sop_instance_uid: Of the new object; a random one by default.
        written_at: When it was made, by default now.

    Raises:
        GeometryError: A mask does not fit the series.
        OutputError: Both or neither of `mask` and `segments` are given, one is empty, or the file cannot be written.
        MissingTagError: The source lacks a UID that the contours must refer to.
        InconsistentSeriesError: The files are not those that were read.
        DICOMError: The source files are gone or damaged.

    Source:
        DICOM PS3.3 A.19, C.8.8.5, C.8.8.6 (keyhole: C.8.8.6.3) and C.8.8.8.
    """
    path = Path(path)
    require_ending(path, (".dcm",))
    chosen = require_segments(given_segments(mask, label=label, segments=segments), source.grid)
    with warnings.catch_warnings(), write_atomically(path) as temporary:
        # Their remarks are about the source's own values (names without carets, long IDs), which are repeated.
        warnings.filterwarnings("ignore", category=UserWarning, module=r"pydicom\.")
        slices = _slices(source)
        result = _structure_set(slices, chosen, source)
        result.SeriesInstanceUID = new_uid_unless(series_instance_uid)
        result.SOPInstanceUID = new_uid_unless(sop_instance_uid)
        stamp_times(result, written_at or datetime.now(), prefixes=("InstanceCreation", "Series", "StructureSet"))
        result.save_as(temporary, enforce_file_format=True)
    return path


def _slices(source: PETSeries) -> list[_Slice]:
    images = read_source_images(source, result="RT Structure Set")
    for image in images:
        for keyword in ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID"):
            if not text(image, keyword):
                raise MissingTagError(
                    keyword, tag_text(keyword), needed_for="an RT Structure Set, which refers to it", advice=_ADVICE
                )
    names = [file.name for file in source.source_files]
    if source.is_multiframe:
        frames = frame_headers(images[0], name=names[0])
        numbers = source.frame_numbers
        planes = [plane_of(frames[n - 1], name=f"frame {n} of {names[0]}") for n in numbers]
        slices = [_Slice(plane, images[0], n) for plane, n in zip(planes, numbers, strict=True)]
    else:
        slices = [_Slice(plane_of(image, name=name), image, None) for image, name in zip(images, names, strict=True)]
    _check_places(slices, source.grid)
    return slices


def _check_places(slices: Sequence[_Slice], grid: Grid) -> None:
    """Refuse images that are not where the series was read: the contours would lie elsewhere than the mask."""
    tolerance_mm = LARGEST_SHIFT * min(grid.spacing_ijk_mm)
    for k, item in enumerate(slices):
        expected, found = grid.kji_to_lps((k, 0, 0)), item.plane.position_lps_mm
        if item.plane.shape_ji != grid.shape_kji[1:] or np.abs(expected - found).max() > tolerance_mm:
            msg = (
                f"Expected {item.plane.name} at {np.round(expected, 2).tolist()} mm with (rows, columns) "
                f"{grid.shape_kji[1:]}, as slice {k} of the series was read; found {found} mm with "
                f"{item.plane.shape_ji}. The files have changed: read the series again."
            )
            raise InconsistentSeriesError(msg)


def _structure_set(slices: Sequence[_Slice], segments: Sequence[Segment], source: PETSeries) -> Dataset:
    result = _patient_study_and_series(slices[0].image)
    _describe_set(result, slices, source)
    names = _region_names(segments)
    frame_of_reference = slices[0].image.FrameOfReferenceUID
    regions, contours, observations = list[Dataset](), list[Dataset](), list[Dataset]()
    for number_of_region, (segment, name) in enumerate(zip(segments, names, strict=True), start=1):
        region = _region(segment, name, source.grid)
        region.ROINumber, region.ReferencedFrameOfReferenceUID = number_of_region, frame_of_reference
        outlined = _outlined(segment, slices, source.grid)
        observation = _observation(segment.terminology)
        observation.ObservationNumber = number_of_region
        outlined.ReferencedROINumber = observation.ReferencedROINumber = number_of_region
        regions.append(region)
        contours.append(outlined)
        observations.append(observation)
    result.StructureSetROISequence = regions
    result.ROIContourSequence = contours
    result.RTROIObservationsSequence = observations
    result.ApprovalStatus = "UNAPPROVED"
    return result


def _patient_study_and_series(image: Dataset) -> Dataset:
    result = Dataset()
    result.file_meta = FileMetaDataset()
    # Explicit VR holds at most 64 KiB of Contour Data, which a large ragged region exceeds.
    result.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    result.SpecificCharacterSet = "ISO_IR 192"  # labels are Unicode, whatever the source was written in
    for keyword in PATIENT_AND_STUDY:
        if keyword in image:
            result.add(image[keyword])
    result.SOPClassUID = RT_STRUCTURE_SET
    result.Modality = "RTSTRUCT"
    result.SeriesNumber = SERIES_NUMBER_OFFSET + int(number(image, "SeriesNumber") or 0)
    result.SeriesDescription = "SegAnyPET contours"
    result.OperatorsName = ""
    result.Manufacturer = result.ManufacturerModelName = "SegAnyPET"
    result.SoftwareVersions = __version__
    result.InstanceNumber = 1
    return result


def _describe_set(result: Dataset, slices: Sequence[_Slice], source: PETSeries) -> None:
    """Label of the set, and the frame of reference, study, series and images it belongs to."""
    image = slices[0].image
    result.StructureSetLabel = "SegAnyPET"
    result.StructureSetName = "Lesions segmented on PET"
    series, study, frame = Dataset(), Dataset(), Dataset()
    series.SeriesInstanceUID = source.series_instance_uid
    series.ContourImageSequence = [item.reference() for item in slices]
    study.ReferencedSOPClassUID = DETACHED_STUDY_MANAGEMENT
    study.ReferencedSOPInstanceUID = image.StudyInstanceUID
    study.RTReferencedSeriesSequence = [series]
    frame.FrameOfReferenceUID = image.FrameOfReferenceUID
    frame.RTReferencedStudySequence = [study]
    result.ReferencedFrameOfReferenceSequence = [frame]


def _region_names(segments: Sequence[Segment]) -> list[str]:
    """The labels, without the backslash that separates values in DICOM, numbered from the second of a kind."""
    names: list[str] = []
    for segment in segments:
        label = one_dicom_value(segment.label)
        name, occurrence = label, 1
        while name in names:
            occurrence += 1
            ending = f" ({occurrence})"
            name = label[: LONGEST_LABEL - len(ending)] + ending
        names.append(name)
    return names


def _region(segment: Segment, name: str, grid: Grid) -> Dataset:
    algorithm = segment.algorithm or OURSELVES
    item = Dataset()
    item.ROIName = name
    item.ROIVolume = f"{np.count_nonzero(segment.mask) * grid.voxel_volume_ml:.6g}"
    item.ROIGenerationAlgorithm = "AUTOMATIC" if algorithm.is_automatic else "SEMIAUTOMATIC"
    item.ROIGenerationDescription = one_dicom_value(f"{algorithm.name} {algorithm.version}")
    return item


def _outlined(segment: Segment, slices: Sequence[_Slice], grid: Grid) -> Dataset:
    item = Dataset()
    item.ROIDisplayColor = [round(255 * part) for part in segment.color_rgb]
    item.SourcePixelPlanesCharacteristicsSequence = [_pixel_planes(grid)]
    item.ContourSequence = list(_contours(segment, slices))
    for count, contour in enumerate(item.ContourSequence, start=1):
        contour.ContourNumber = count
    return item


def _contours(segment: Segment, slices: Sequence[_Slice]) -> Iterator[Dataset]:
    for k in np.flatnonzero(segment.mask.any(axis=(1, 2))).tolist():
        for polygon_ji in trace_contours(segment.mask[k]):
            points = np.round(slices[k].points_lps_mm(polygon_ji), DECIMALS_MM) + 0.0  # no -0.0
            contour = Dataset()
            contour.ContourImageSequence = [slices[k].reference()]
            contour.ContourGeometricType = "CLOSED_PLANAR"
            contour.NumberOfContourPoints = len(points)
            contour.ContourData = points.ravel().tolist()
            yield contour


def _pixel_planes(grid: Grid) -> Dataset:
    """The grid the contours were made on (C.8.8.6.4): a receiver that wants voxels can make the same ones."""
    direction = np.asarray(grid.direction)
    item = Dataset()
    item.PixelSpacing = [format_number_as_ds(grid.spacing_ijk_mm[n]) for n in (1, 0)]
    item.SpacingBetweenSlices = format_number_as_ds(grid.spacing_ijk_mm[2])
    item.ImageOrientationPatient = [format_number_as_ds(float(v)) for v in (*direction[:, 0], *direction[:, 1])]
    item.ImagePositionPatient = [format_number_as_ds(v) for v in grid.origin_lps_mm]
    return item


def _observation(terms: Terminology) -> Dataset:
    item = Dataset()
    if terms.region is not None:
        item.AnatomicRegionSequence = [_concept(terms.region)]
    item.SegmentedPropertyCategoryCodeSequence = [_concept(terms.category)]
    identified = _concept(terms.type)
    if terms.type_modifier is not None:
        identified.SegmentedPropertyTypeModifierCodeSequence = [_concept(terms.type_modifier)]
    item.RTROIIdentificationCodeSequence = [identified]
    item.RTROIInterpretedType = _interpreted_type(terms)
    item.ROIInterpreter = ""
    return item


def _interpreted_type(terms: Terminology) -> str:
    """GTV for what is diseased and for lymph nodes, which are segmented because they are; ORGAN for other anatomy."""
    if _is_same(terms.category, ALTERED_STRUCTURE) or _is_same(terms.type, LYMPH_NODE.type):
        return "GTV"
    return "ORGAN" if _is_same(terms.category, ANATOMICAL_STRUCTURE) else ""


def _is_same(code: Code, other: Code) -> bool:
    return (code.value, code.scheme) == (other.value, other.scheme)


def _concept(code: Code) -> Dataset:
    item = Dataset()
    setattr(item, "CodeValue" if len(code.value) <= LONGEST_CODE_VALUE else "LongCodeValue", code.value)
    item.CodingSchemeDesignator, item.CodeMeaning = code.scheme, one_dicom_value(code.meaning)
    return item
