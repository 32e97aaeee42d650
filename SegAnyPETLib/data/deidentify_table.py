"""What the basic confidentiality profile does to each attribute of the objects we write.

An attribute that is not listed here is removed, wherever it stands. Actions follow DICOM PS3.15 Table E.1-1 (column
Basic Profile); where it leaves a choice between removing, emptying and a dummy, the object's own module decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from SegAnyPETLib.data import segment
from SegAnyPETLib.data.segment import Code, Terminology

# Nested data sets: each item is treated by this same table.
SEQUENCES = frozenset(
    [
        "ContentTemplateSequence",
        "ContourImageSequence",
        "ContourSequence",
        "CurrentRequestedProcedureEvidenceSequence",
        "DerivationImageSequence",
        "DimensionIndexSequence",
        "DimensionOrganizationSequence",
        "FrameContentSequence",
        "MeasuredValueSequence",
        "PerFrameFunctionalGroupsSequence",
        "PixelMeasuresSequence",
        "PlaneOrientationSequence",
        "PlanePositionSequence",
        "ROIContourSequence",
        "RTROIObservationsSequence",
        "RTReferencedSeriesSequence",
        "RTReferencedStudySequence",
        "ReferencedFrameOfReferenceSequence",
        "ReferencedInstanceSequence",
        "ReferencedPerformedProcedureStepSequence",
        "ReferencedSOPSequence",
        "ReferencedSeriesSequence",
        "SegmentIdentificationSequence",
        "SegmentSequence",
        "SegmentationAlgorithmIdentificationSequence",
        "SharedFunctionalGroupsSequence",
        "SourceImageSequence",
        "SourcePixelPlanesCharacteristicsSequence",
        "StructureSetROISequence",
    ]
)
# Codes: kept where the code is one of the standard, with the meaning that the standard gives it.
CODE_SEQUENCES = frozenset(
    [
        "AlgorithmFamilyCodeSequence",
        "AnatomicRegionSequence",
        "ConceptCodeSequence",
        "ConceptNameCodeSequence",
        "DerivationCodeSequence",
        "MeasurementUnitsCodeSequence",
        "PerformedProcedureCodeSequence",
        "PurposeOfReferenceCodeSequence",
        "RTROIIdentificationCodeSequence",
        "SegmentedPropertyCategoryCodeSequence",
        "SegmentedPropertyTypeCodeSequence",
        "SegmentedPropertyTypeModifierCodeSequence",
    ]
)
# Kept: numbers, geometry, pixels of masks. Nothing in them is text.
NUMBERS = frozenset(
    [
        "BitsAllocated",
        "BitsStored",
        "Columns",
        "ContourData",
        "ContourNumber",
        "DimensionIndexPointer",
        "DimensionIndexValues",
        "FloatingPointValue",
        "FunctionalGroupPointer",
        "HighBit",
        "ImageOrientationPatient",
        "ImagePositionPatient",
        "InstanceNumber",
        "MaximumFractionalValue",
        "NumberOfContourPoints",
        "NumberOfFrames",
        "NumericValue",
        "ObservationNumber",
        "PixelData",
        "PixelRepresentation",
        "PixelSpacing",
        "ROIDisplayColor",
        "ROINumber",
        "ROIVolume",
        "RecommendedDisplayCIELabValue",
        "ReferencedFrameNumber",
        "ReferencedROINumber",
        "ReferencedSegmentNumber",
        "Rows",
        "SamplesPerPixel",
        "SegmentNumber",
        "SeriesNumber",
        "SliceThickness",
        "SpacingBetweenSlices",
    ]
)
# Replaced by a hash, the same for the same UID everywhere.
UIDS = frozenset(
    [
        "DimensionOrganizationUID",
        "FrameOfReferenceUID",
        "ReferencedFrameOfReferenceUID",
        "ReferencedSOPInstanceUID",
        "SOPInstanceUID",
        "SeriesInstanceUID",
        "StudyInstanceUID",
        "TrackingUID",
        "UID",
    ]
)
# Kept where the standard itself defines the UID.
CLASS_UIDS = frozenset(["ReferencedSOPClassUID", "SOPClassUID"])
# Code strings: kept where the value is one of these.
WORDS = frozenset(
    [
        "ALGORITHM",
        "AUTOMATIC",
        "BINARY",
        "CLOSED_PLANAR",
        "CODE",
        "COMPLETE",
        "CONTAINER",
        "CONTAINS",
        "CONTINUOUS",
        "DCMR",
        "DERIVED",
        "FRACTIONAL",
        "GTV",
        "IDENTITY",
        "IMAGE",
        "INFERRED",
        "LABELMAP",
        "MANUAL",
        "MONOCHROME2",
        "NO",
        "NUM",
        "OCCUPANCY",
        "ORGAN",
        "PARTIAL",
        "PRELIMINARY",
        "PRIMARY",
        "PROBABILITY",
        "REORIENTED_ONLY",
        "RTSTRUCT",
        "SEG",
        "SEGMENTATION",
        "SEMIAUTOMATIC",
        "SEPARATE",
        "SR",
        "TEXT",
        "UIDREF",
        "UNAPPROVED",
        "UNDEFINED",
        "UNVERIFIED",
        "YES",
        "00",
        "1411",
        "1500",
        "1501",
    ]
) | {"HAS ACQ CONTEXT", "HAS CONCEPT MOD", "HAS OBS CONTEXT", "HAS PROPERTIES"}
CODE_STRINGS = frozenset(
    [
        "ApprovalStatus",
        "CompletionFlag",
        "ContinuityOfContent",
        "ContourGeometricType",
        "ImageType",
        "LossyImageCompression",
        "MappingResource",
        "Modality",
        "PhotometricInterpretation",
        "PreliminaryFlag",
        "PresentationLUTShape",
        "ROIGenerationAlgorithm",
        "RTROIInterpretedType",
        "RelationshipType",
        "SegmentAlgorithmType",
        "SegmentationFractionalType",
        "SegmentationType",
        "SegmentsOverlap",
        "SpatialLocationsPreserved",
        "TemplateIdentifier",
        "ValueType",
        "VerificationFlag",
    ]
)
# Text of ours or of the model: kept where the caller vouches for it, else this instead.
TEXTS = {
    "AlgorithmName": "REMOVED",
    "AlgorithmVersion": "REMOVED",
    "ContentLabel": "SEGMENTATION",
    "DeviceSerialNumber": "REMOVED",
    "DimensionDescriptionLabel": "REMOVED",
    "Manufacturer": "REMOVED",
    "ManufacturerModelName": "REMOVED",
    "SegmentAlgorithmName": "REMOVED",
    "SoftwareVersions": "REMOVED",
    "StructureSetLabel": "SEGMENTATION",
}
OUR_TEXTS = frozenset(
    ["SegAnyPET", "SEGMENTATION", "none", "Image Position Patient", "Referenced Segment Number", "Frame Number"]
)
# Present and empty (Z), since the modules ask for them.
EMPTY = frozenset(
    [
        "AccessionNumber",
        "ContentCreatorName",
        "ContentDescription",
        "OperatorsName",
        "PatientBirthDate",
        "PatientSex",
        "PositionReferenceIndicator",
        "ROIInterpreter",
        "ReferringPhysicianName",
        "StructureSetDate",
        "StructureSetTime",
        "StudyDate",
        "StudyID",
        "StudyTime",
    ]
)
# Must have a value (D); this one tells nothing.
DUMMIES = {"ContentDate": "19000101", "ContentTime": "000000"}
# What each text of a report may be named by, as (code value, scheme); other texts are removed with their item.
TRACKING_IDENTIFIER = ("112039", "DCM")
TRACKING_UID = ("112040", "DCM")
REPORT_TEXTS = {
    ("121013", "DCM"),  # device observer name
    ("121014", "DCM"),  # its manufacturer
    ("121015", "DCM"),  # its model name
    ("111001", "DCM"),  # algorithm name
    ("111003", "DCM"),  # algorithm version
}
REPORT_VALUES = ("CONTAINER", "CODE", "NUM", "TEXT", "UIDREF", "IMAGE")
OTHER = Code("74964007", "SCT", "Other")
_MORE_CODES = {
    ("en-US", "RFC5646"): {"English (United States)"},
    ("82918005", "SCT"): {"Positron emission tomography"},
    ("246206008", "SCT"): {"Number of lesions"},
    ("{pixels}", "UCUM"): {"Pixels"},
    ("{-1:1}", "UCUM"): {"{-1:1}"},
    ("ml", "UCUM"): {"milliliter"},
    ("g", "UCUM"): {"gram"},
    ("cm2", "UCUM"): {"square centimeter"},
    (OTHER.value, OTHER.scheme): {OTHER.meaning},
}


@cache
def standard_codes() -> dict[tuple[str, str], set[str]]:
    """The meanings of each code, by (value, scheme), that DICOM's context groups or this program know."""
    # pydicom offers its dictionary through attributes of one name each; only the table itself can be searched by code.
    from pydicom.sr._concepts_dict import concepts

    known = {code: set(meanings) for code, meanings in _MORE_CODES.items()}
    by_scheme: Mapping[str, Mapping[str, Mapping[str, tuple[str, list[int]]]]] = concepts  # type: ignore[assignment]
    for scheme, names in by_scheme.items():
        for codes in names.values():
            for value, (meaning, _) in codes.items():
                known.setdefault((value, scheme), set()).add(meaning)
    named = (segment.LESION, segment.PRIMARY_TUMOUR, segment.METASTASIS, segment.LYMPH_NODE)
    for terms in (*named, *segment.ORGAN_TERMS.values()):
        for code in _codes_of(terms):
            known.setdefault((code.value, code.scheme), set()).add(code.meaning)
    return known


def _codes_of(terms: Terminology) -> list[Code]:
    return [code for code in (terms.category, terms.type, terms.region, terms.type_modifier) if code is not None]
