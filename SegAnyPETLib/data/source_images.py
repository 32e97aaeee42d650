"""The headers of a series that was read, for results that must refer to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from SegAnyPETLib.errors import DICOMError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from SegAnyPETLib.data.pet_series import PETSeries

# What a result repeats of patient, study and frame of reference (PS3.3 C.7.1, C.7.2 and C.7.4.1).
PATIENT_AND_STUDY = (
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "TypeOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "OtherPatientIDsSequence",
    "PatientSpeciesDescription",
    "PatientSpeciesCodeSequence",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "DeidentificationMethodCodeSequence",
    "ClinicalTrialSponsorName",
    "ClinicalTrialProtocolID",
    "ClinicalTrialProtocolName",
    "ClinicalTrialSiteID",
    "ClinicalTrialSiteName",
    "ClinicalTrialSubjectID",
    "ClinicalTrialSubjectReadingID",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "StudyInstanceUID",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "StudyDescription",
    "AccessionNumber",
    "IssuerOfAccessionNumberSequence",
    "ReferringPhysicianName",
    "FrameOfReferenceUID",
    "PositionReferenceIndicator",
)
# Type 2 attributes that anonymizers remove; a result must repeat them, and the standard allows them to be empty.
_MAY_BE_EMPTY = (
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ReferringPhysicianName",
    "PositionReferenceIndicator",
)


def read_source_images(source: PETSeries, *, result: str) -> list[Dataset]:
    """The headers of the source, in slice order; one for a multi-frame object. Absent type 2 attributes are empty.

    Args:
        source: The series as read.
        result: What refers to it, for the message.

    Raises:
        DICOMError: A file is gone or damaged.
    """
    import pydicom

    files = source.source_files[:1] if source.is_multiframe else source.source_files
    images: list[Dataset] = []
    for file in files:
        try:
            image = pydicom.dcmread(file, stop_before_pixels=True)
        except (OSError, pydicom.errors.InvalidDicomError) as error:
            msg = f"The {result} must refer to {file}, which cannot be read any more ({error}). Put the series back."
            raise DICOMError(msg) from error
        for keyword in _MAY_BE_EMPTY:
            if keyword not in image:
                setattr(image, keyword, "")
        images.append(image)
    return images
