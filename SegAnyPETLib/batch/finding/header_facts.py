"""What choosing a series needs to know of one image, taken from its header; the header itself is not kept."""

from __future__ import annotations

from dataclasses import dataclass

from pydicom.dataset import FileDataset

from SegAnyPETLib.batch.study import hashed
from SegAnyPETLib.data.ct_series import CT_IMAGE
from SegAnyPETLib.data.dicom_values import number, text, texts
from SegAnyPETLib.data.planes import is_static, plane_axes, plane_position
from SegAnyPETLib.data.series_choice import MULTIFRAME_CLASSES, attenuation_corrected, reason_to_ignore
from SegAnyPETLib.errors import DICOMError

Vector = tuple[float, ...]
_LOCALIZERS = ("LOCALIZER", "SCOUT", "TOPOGRAM")


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """One image.

    Attributes:
        study_instance_uid: Study Instance UID (0020,000D).
        series_instance_uid: Series Instance UID (0020,000E).
        sop_instance_uid: SOP Instance UID (0008,0018).
        patient_key: Stands for the patient, see `patient_key`.
        study_date: Study Date (0008,0020), as written.
        modality: Modality (0008,0060).
        description: Series Description (0008,103E), or an empty text.
        series_time: Series Time (0008,0031) as written, to tell series apart for a person.
        units: Units (0054,1001).
        image_type: Image Type (0008,0008) in capitals.
        frame_of_reference: Frame of Reference UID (0020,0052).
        is_attenuation_corrected: None where the header does not say.
        is_static: False for a slice of a gated or dynamic series.
        is_multiframe: One object holds the whole volume.
        is_colour: Several samples a pixel: a picture of the screen, not a measurement.
        announced_slices: Number of Slices (0054,0081).
        position_lps_mm: Of its first pixel; None where the header has no usable place.
        axes: Unit vectors along rows and columns; None as above.
        reason_aside: Why it can be no slice of a PET or CT volume; None where it can be.
    """

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    patient_key: str
    study_date: str | None
    modality: str
    description: str
    series_time: str | None
    units: str | None
    image_type: tuple[str, ...]
    frame_of_reference: str | None
    is_attenuation_corrected: bool | None
    is_static: bool
    is_multiframe: bool
    is_colour: bool
    announced_slices: float | None
    position_lps_mm: Vector | None
    axes: tuple[Vector, Vector] | None
    reason_aside: str | None


def facts_of(dataset: FileDataset) -> ImageFacts | None:
    """The facts of one header; None where it names no study, series or instance and so belongs nowhere."""
    study, series = text(dataset, "StudyInstanceUID"), text(dataset, "SeriesInstanceUID")
    instance = text(dataset, "SOPInstanceUID")
    if not study or not series or not instance:
        return None
    position, axes = _place(dataset)
    return ImageFacts(
        study_instance_uid=study,
        series_instance_uid=series,
        sop_instance_uid=instance,
        patient_key=patient_key(dataset),
        study_date=text(dataset, "StudyDate"),
        modality=text(dataset, "Modality") or "(none)",
        description=text(dataset, "SeriesDescription") or "",
        series_time=text(dataset, "SeriesTime"),
        units=text(dataset, "Units"),
        image_type=tuple(word.upper() for word in texts(dataset, "ImageType")),
        frame_of_reference=text(dataset, "FrameOfReferenceUID"),
        is_attenuation_corrected=_attenuation_corrected(dataset),
        is_static=is_static(dataset),
        is_multiframe=text(dataset, "SOPClassUID") in MULTIFRAME_CLASSES,
        is_colour=(_number(dataset, "SamplesPerPixel") or 1) != 1,
        announced_slices=_number(dataset, "NumberOfSlices"),
        position_lps_mm=position,
        axes=axes,
        reason_aside=_reason_aside(dataset),
    )


def patient_key(dataset: FileDataset) -> str:
    """The same for all studies of one patient.

    Patient ID with its issuer names the patient (DICOM PS3.3 C.7.1.1); where it is empty, name and birth date do,
    and where these are empty too, every study counts as another patient: two patients must never become one.
    """
    identifier = text(dataset, "PatientID")
    if identifier:
        return hashed("id", identifier, text(dataset, "IssuerOfPatientID") or "")
    name, born = text(dataset, "PatientName"), text(dataset, "PatientBirthDate")
    if name and born:
        return hashed("name", name, born)
    return hashed("study", text(dataset, "StudyInstanceUID") or "")


def _reason_aside(dataset: FileDataset) -> str | None:
    """A damaged tag is no reason: reading the series will say what is wrong with it."""
    if text(dataset, "Modality") != "CT":
        return reason_to_ignore(dataset)
    if text(dataset, "SOPClassUID") != CT_IMAGE:
        return "CT file(s) that are no single CT slices"
    words = [word.upper() for word in texts(dataset, "ImageType")]
    if any(known in word for word in words for known in _LOCALIZERS):
        return "CT localizer(s)"
    return None


def _attenuation_corrected(dataset: FileDataset) -> bool | None:
    try:
        return attenuation_corrected(dataset)
    except DICOMError:
        return None


def _number(dataset: FileDataset, keyword: str) -> float | None:
    try:
        return number(dataset, keyword)
    except DICOMError:
        return None


def _place(dataset: FileDataset) -> tuple[Vector | None, tuple[Vector, Vector] | None]:
    try:
        return plane_position(dataset, name="the image"), plane_axes(dataset, name="the image")
    except DICOMError:
        return None, None
