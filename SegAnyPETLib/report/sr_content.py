"""The content of a measurement report: coded measures of each lesion and of the whole study, after TID 1500.

Codes: DICOM PS3.16, CID 85 (units of SUV), CID 7464 (derivations), CID 7466 (volume and glycolysis), CID 7469.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from SegAnyPETLib.data.segment import LEFT, RIGHT, Algorithm, Code, Terminology
from SegAnyPETLib.data.written_identity import derived_uid, one_dicom_value

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from SegAnyPETLib.data.pet_series import PETSeries
    from SegAnyPETLib.suv import LesionMeasures, SUVKind

# Name of the SUV, its unit, and the method it was computed by, for each kind. Lean body mass is by Janmahasatian.
SUV_CODES: dict[SUVKind, tuple[Code, Code, Code]] = {
    "bw": (
        Code("126401", "DCM", "SUVbw"),
        Code("g/ml{SUVbw}", "UCUM", "Standardized Uptake Value body weight"),
        Code("126410", "DCM", "SUV body weight calculation method"),
    ),
    "lbm": (
        Code("126405", "DCM", "SUVlbm(Janma)"),
        Code("g/ml{SUVlbm(Janma)}", "UCUM", "Standardized Uptake Value lean body mass (Janma)"),
        Code("126414", "DCM", "SUV lean body mass calculation Janmahasatian method"),
    ),
    "bsa": (
        Code("126403", "DCM", "SUVbsa"),
        Code("cm2/ml{SUVbsa}", "UCUM", "Standardized Uptake Value body surface area"),
        Code("126412", "DCM", "SUV body surface area calculation method"),
    ),
    "ibw": (
        Code("126404", "DCM", "SUVibw"),
        Code("g/ml{SUVibw}", "UCUM", "Standardized Uptake Value ideal body weight"),
        Code("126413", "DCM", "SUV ideal body weight calculation method"),
    ),
}
MEAN = Code("373098007", "SCT", "Mean")
MAXIMUM = Code("56851009", "SCT", "Maximum")
MINIMUM = Code("255605001", "SCT", "Minimum")
STANDARD_DEVIATION = Code("386136009", "SCT", "Standard Deviation")
MEDIAN = Code("373099004", "SCT", "Median")
PEAK = Code("126031", "DCM", "Peak Value Within ROI")
TOTAL = Code("255619001", "SCT", "Total")
VOLUME = Code("118565006", "SCT", "Volume")
METABOLIC_VOLUME = Code("126032", "DCM", "Metabolic Volume")
TOTAL_LESION_GLYCOLYSIS = Code("126033", "DCM", "Total Lesion Glycolysis")
VOXEL_SUM = Code("126030", "DCM", "Sum of segmented voxel method for volume")
DISTANCE = Code("121206", "DCM", "Distance")
LESION_COUNT = Code("246206008", "SCT", "Number of lesions")
LIBRARY = Code("111028", "DCM", "Image Library")
LIBRARY_GROUP = Code("126200", "DCM", "Image Library Group")
MODALITY = Code("121139", "DCM", "Modality")
PET = Code("PT", "DCM", "Positron emission tomography")
FRAME_OF_REFERENCE = Code("112227", "DCM", "Frame of Reference UID")
SOURCE = Code("260753009", "SCT", "Source")
COMMENT = Code("121106", "DCM", "Comment")
MILLILITER = Code("ml", "UCUM", "milliliter")
MILLIMETER = Code("mm", "UCUM", "millimeter")
NO_UNIT = Code("1", "UCUM", "no units")
MASS_UNITS = {"g": Code("g", "UCUM", "gram"), "cm2": Code("cm2", "UCUM", "square centimeter")}


@dataclass(frozen=True)
class SRFinding:
    """One lesion of a measurement report.

    Attributes:
        label: Its name.
        tracking_uid: The same as in the segmentation.
        segment_number: Its number in the segmentation, from 1.
        measures: Of its mask.
        terminology: What it is; its region is the finding site.
        note: What a reader must know of it, for example why it is probably no lesion.
        confidence: The model's own, 0 to 1; None where it has none.
        volume_interval_ml: Where the true volume is expected; None where nothing is known of it.
    """

    label: str
    tracking_uid: str
    segment_number: int
    measures: LesionMeasures
    terminology: Terminology
    note: str | None = None
    confidence: float | None = None
    volume_interval_ml: tuple[float, float] | None = None


@dataclass(frozen=True)
class SRBurden:
    """Sums over the lesions of a study; which of them are counted is the caller's choice, stated in `note`.

    Attributes:
        lesion_count: How many lesions are counted.
        mtv_ml: Sum of their metabolic volumes.
        tlg: Sum of their lesion glycolysis.
        tlg_unit: ``g``, for SUV by body surface area ``cm2``.
        dmax_mm: Distance between the two farthest lesions; None with fewer than two.
        note: What was counted and how, in words.
    """

    lesion_count: int
    mtv_ml: float
    tlg: float
    tlg_unit: str
    dmax_mm: float | None = None
    note: str | None = None


def concept(code: Code) -> Any:  # highdicom ships no types
    """A code as highdicom wants it."""
    import highdicom

    return highdicom.sr.CodedConcept(code.value, code.scheme, one_dicom_value(code.meaning))


def lesion_group(finding: SRFinding, segmentation: Dataset, *, source: PETSeries, algorithm: Algorithm) -> Any:
    """The measurements of one lesion, on its segment (TID 1411)."""
    from highdicom import sr

    terms = finding.terminology
    group = sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(
            uid=finding.tracking_uid, identifier=_tracking_id(segmentation, finding)
        ),
        referenced_segment=sr.ReferencedSegment(
            sop_class_uid=segmentation.SOPClassUID,
            sop_instance_uid=segmentation.SOPInstanceUID,
            segment_number=finding.segment_number,
            source_series=sr.SourceSeriesForSegmentation(source.series_instance_uid),
        ),
        finding_type=concept(terms.type),
        finding_category=concept(terms.category),
        finding_sites=_finding_sites(terms),
        method=concept(SUV_CODES[finding.measures.kind][2]),
        algorithm_id=_algorithm_id(algorithm),
        measurements=_measurements(finding),
    )
    notes = [finding.note]
    if finding.confidence is not None:
        notes.append(f"Confidence of the algorithm in its own segmentation: {finding.confidence:.2f} of 1.")
    if finding.volume_interval_ml is not None:
        low, high = finding.volume_interval_ml
        notes.append(f"The true volume is expected between {low:.4g} and {high:.4g} ml.")
    return _with_comments(group, notes)


def burden_group(burden: SRBurden, *, sop_instance_uid: str, algorithm: Algorithm) -> Any:  # highdicom has no types
    """The sums over the study, on no region of their own (TID 1501)."""
    from highdicom import sr

    measurements = [
        _measurement(LESION_COUNT, burden.lesion_count, NO_UNIT),
        _measurement(METABOLIC_VOLUME, burden.mtv_ml, MILLILITER, derivation=TOTAL, method=VOXEL_SUM),
        _measurement(TOTAL_LESION_GLYCOLYSIS, burden.tlg, MASS_UNITS[burden.tlg_unit], derivation=TOTAL),
    ]
    if burden.dmax_mm is not None:
        measurements.append(_measurement(DISTANCE, burden.dmax_mm, MILLIMETER, derivation=MAXIMUM))
    group = sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(
            uid=derived_uid(sop_instance_uid, "total tumour burden"), identifier="Total tumour burden"
        ),
        algorithm_id=_algorithm_id(algorithm),
        measurements=measurements,
    )
    return _with_comments(group, [burden.note])


def image_library(images: Sequence[Dataset]) -> Any:  # highdicom ships no types
    """The source images, and once for all of them what they are (TID 1600).

    highdicom repeats seventeen descriptors for each image; a whole-body series then takes half a minute to write.
    """
    from highdicom import sr

    of_context, contains = sr.RelationshipTypeValues.HAS_ACQ_CONTEXT, sr.RelationshipTypeValues.CONTAINS
    group = sr.ContainerContentItem(name=concept(LIBRARY_GROUP), relationship_type=contains)
    frame = sr.UIDRefContentItem(
        name=concept(FRAME_OF_REFERENCE), value=images[0].FrameOfReferenceUID, relationship_type=of_context
    )
    modality = sr.CodeContentItem(name=concept(MODALITY), value=concept(PET), relationship_type=of_context)
    listed = [
        sr.ImageContentItem(
            name=concept(SOURCE),
            referenced_sop_class_uid=image.SOPClassUID,
            referenced_sop_instance_uid=image.SOPInstanceUID,
            relationship_type=contains,
        )
        for image in images
    ]
    group.ContentSequence = sr.ContentSequence([modality, frame, *listed])
    library = sr.ContainerContentItem(name=concept(LIBRARY), relationship_type=contains)
    library.ContentSequence = sr.ContentSequence([group])
    return library


def _tracking_id(segmentation: Dataset, finding: SRFinding) -> str:
    """As the segmentation spells it."""
    numbered = {int(item.SegmentNumber): item for item in segmentation.SegmentSequence}
    return str(numbered[finding.segment_number].get("TrackingID") or one_dicom_value(finding.label))


def _finding_sites(terms: Terminology) -> Any:  # highdicom ships no types
    from highdicom import sr

    if terms.region is None:
        return None
    side = terms.type_modifier if terms.type_modifier in (LEFT, RIGHT) else None
    return [sr.FindingSite(concept(terms.region), laterality=None if side is None else concept(side))]


def _algorithm_id(algorithm: Algorithm) -> Any:  # highdicom ships no types
    from highdicom import sr

    return sr.AlgorithmIdentification(name=one_dicom_value(algorithm.name), version=one_dicom_value(algorithm.version))


def _measurements(finding: SRFinding) -> list[Any]:
    measures = finding.measures
    name, unit, method = SUV_CODES[measures.kind]
    derived = (
        (measures.suv_mean, MEAN),
        (measures.suv_max, MAXIMUM),
        (measures.suv_min, MINIMUM),
        (measures.suv_sd, STANDARD_DEVIATION),
        (measures.suv_median, MEDIAN),
        (measures.suv_peak, PEAK),
    )
    found = [_measurement(name, value, unit, derivation=how, method=method) for value, how in derived]
    found += [
        _measurement(VOLUME, measures.volume_ml, MILLILITER, method=VOXEL_SUM),
        _measurement(METABOLIC_VOLUME, measures.mtv_ml, MILLILITER, method=VOXEL_SUM),
        _measurement(TOTAL_LESION_GLYCOLYSIS, measures.tlg, MASS_UNITS[measures.tlg_unit]),
    ]
    return found


def _measurement(
    name: Code,
    value: float,
    unit: Code,
    *,
    derivation: Code | None = None,
    method: Code | None = None,
) -> Any:  # highdicom ships no types
    from highdicom import sr

    return sr.Measurement(
        name=concept(name),
        value=value,
        unit=concept(unit),
        derivation=None if derivation is None else concept(derivation),
        method=None if method is None else concept(method),
    )


def _with_comments(group: Any, notes: Sequence[str | None]) -> Any:  # highdicom ships no types
    """The group with notes as qualitative evaluations in words, which the template allows beside coded ones."""
    from highdicom import sr

    contained = sr.RelationshipTypeValues.CONTAINS
    for note in filter(None, notes):
        group[0].ContentSequence.append(
            sr.TextContentItem(name=concept(COMMENT), value=note, relationship_type=contained)
        )
    return group
