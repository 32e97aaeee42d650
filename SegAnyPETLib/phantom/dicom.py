"""A phantom as a PET Image Storage series, one file a slice, with every attribute the standard asks for."""

from __future__ import annotations

import hashlib
import math
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, PositronEmissionTomographyImageStorage, generate_uid
from pydicom.valuerep import format_number_as_ds

from SegAnyPETLib.data.atomic import write_folder_atomically
from SegAnyPETLib.errors import SUVError
from SegAnyPETLib.phantom.acquisition import COUNTS_PER_BQML, Acquisition
from SegAnyPETLib.phantom.objects import Phantom

LARGEST_STORED = 32767  # signed 16 bit, as most scanners write


def write_phantom_series(
    phantom: Phantom,
    folder: Path | str,
    *,
    acquisition: Acquisition | None = None,
    power_of_two_slopes: bool = False,
) -> Path:
    """Write the phantom as a valid PET DICOM series of int16 slices, each with its own rescale slope.

    Reading it back gives each activity within half a step of its slice's slope, which is the slice's maximum / 32767.
    With `power_of_two_slopes` the slope is the next power of two instead; activities that are whole multiples of it
    then come back bit for bit. The same phantom and acquisition give the same bytes, UIDs included.

    Args:
        phantom: What to write; its grid may have any orientation.
        folder: New or empty; appears only when complete.
        acquisition: Patient, dose, times, Units and DecayCorrection; by default 70 kg, 350 MBq of F-18, 60 min.
        power_of_two_slopes: Trade up to one bit of precision for exactness.

    Returns:
        The folder.

    Raises:
        OutputError: The folder is in use or cannot be written.
        SUVError: An activity is negative or not finite.
    """
    acquisition = acquisition or Acquisition()
    values = phantom.activity_suv.astype(np.float64)
    if not np.isfinite(values).all() or values.min() < 0:
        msg = f"Expected finite activity of at least 0; found {values.min()} to {values.max()}. Correct the phantom."
        raise SUVError(msg)
    values *= acquisition.stored_per_suv
    shared = _series_dataset(phantom, acquisition, uid_seed=_fingerprint(phantom, acquisition, power_of_two_slopes))
    with write_folder_atomically(folder) as temporary:
        for k, plane in enumerate(values):
            slice_dataset = _slice_dataset(shared, phantom, plane, k, power_of_two_slopes)
            slice_dataset.save_as(temporary / f"slice-{k + 1:04d}.dcm", enforce_file_format=True)
    return Path(folder)


def _fingerprint(phantom: Phantom, acquisition: Acquisition, power_of_two_slopes: bool) -> str:
    digest = hashlib.sha256(phantom.activity_suv.tobytes())
    digest.update(repr((phantom.grid, acquisition, power_of_two_slopes)).encode())
    return digest.hexdigest()


def _uid(seed: str, role: str) -> str:
    return str(generate_uid(entropy_srcs=[seed, role]))


def _ds(value: float) -> str:
    return str(format_number_as_ds(float(value)))


def _code(value: str, scheme: str, meaning: str) -> Sequence:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return Sequence([item])


def _series_dataset(phantom: Phantom, acquisition: Acquisition, *, uid_seed: str) -> Dataset:
    """Everything that is the same in all slices."""
    dataset = Dataset()
    _add_patient_and_study(dataset, acquisition, uid_seed)
    _add_series(dataset, phantom, acquisition, uid_seed)
    dataset.RadiopharmaceuticalInformationSequence = Sequence([_radiopharmaceutical(acquisition)])
    _add_frame_timing(dataset, acquisition)
    _add_pixel_description(dataset, phantom)
    return dataset


def _add_patient_and_study(dataset: Dataset, acquisition: Acquisition, uid_seed: str) -> None:
    dataset.SOPClassUID = PositronEmissionTomographyImageStorage
    dataset.PatientName = "SegAnyPET^Phantom"
    dataset.PatientID = "SEGANYPET-PHANTOM"
    dataset.PatientBirthDate = ""
    dataset.PatientSex = acquisition.sex
    dataset.PatientSize = _ds(acquisition.height_m)
    dataset.PatientWeight = _ds(acquisition.weight_kg)
    dataset.StudyInstanceUID = _uid(uid_seed, "study")
    dataset.StudyDate, dataset.StudyTime = _date(acquisition.injected_at), _time(acquisition.injected_at)
    dataset.StudyID = "1"
    dataset.StudyDescription = "Synthetic PET phantom"
    dataset.AccessionNumber = ""
    dataset.ReferringPhysicianName = ""


def _add_series(dataset: Dataset, phantom: Phantom, acquisition: Acquisition, uid_seed: str) -> None:
    start = acquisition.started_at
    dataset.Modality = "PT"
    dataset.SeriesInstanceUID = _uid(uid_seed, "series")
    dataset.FrameOfReferenceUID = _uid(uid_seed, "frame of reference")
    dataset.PositionReferenceIndicator = ""
    dataset.SeriesNumber = 1
    dataset.SeriesDescription = "Synthetic PET phantom, attenuation corrected"
    dataset.SeriesDate, dataset.SeriesTime = _date(start), _time(start)
    dataset.AcquisitionDate, dataset.AcquisitionTime = _date(start), _time(start)
    dataset.ContentDate, dataset.ContentTime = _date(start), _time(start)
    dataset.PatientOrientationCodeSequence = _code("102538003", "SCT", "recumbent")
    dataset.PatientOrientationCodeSequence[0].PatientOrientationModifierCodeSequence = _code(
        "40199007", "SCT", "supine"
    )
    dataset.PatientGantryRelationshipCodeSequence = _code("102540001", "SCT", "headfirst")
    dataset.BodyPartExamined = "WHOLEBODY"
    dataset.Manufacturer = "SegAnyPET"
    dataset.ManufacturerModelName = "Analytic phantom"
    dataset.SoftwareVersions = "1"
    dataset.Units = acquisition.units
    if acquisition.units == "GML":
        dataset.SUVType = "BW"
    elif acquisition.units == "CM2ML":
        dataset.SUVType = "BSA"
    elif acquisition.units == "CNTS":
        _add_philips_factors(dataset, acquisition)
    dataset.CountsSource = "EMISSION"
    dataset.SeriesType = ["STATIC", "IMAGE"]
    dataset.NumberOfSlices = phantom.grid.shape_kji[0]
    corrections = ["NORM", "DTIM", "ATTN", "SCAT", "RAN", "RADL"]
    dataset.CorrectedImage = corrections if acquisition.decay_correction == "NONE" else [*corrections, "DECY"]
    dataset.DecayCorrection = acquisition.decay_correction
    dataset.CollimatorType = "NONE"


def _add_philips_factors(dataset: Dataset, acquisition: Acquisition) -> None:
    block = dataset.private_block(0x7053, "Philips PET Private Group", create=True)
    block.add_new(0x00, "DS", _ds(1.0 / acquisition.stored_per_suv))
    block.add_new(0x09, "DS", _ds(1.0 / COUNTS_PER_BQML))


def _radiopharmaceutical(acquisition: Acquisition) -> Dataset:
    item = Dataset()
    item.Radiopharmaceutical = "Fluorodeoxyglucose"
    item.RadiopharmaceuticalCodeSequence = _code("35321007", "SCT", "Fluorodeoxyglucose F^18^")
    item.RadionuclideCodeSequence = _code("77004003", "SCT", "^18^Fluorine")
    item.RadiopharmaceuticalRoute = "Intravenous route"
    item.RadiopharmaceuticalStartTime = _time(acquisition.injected_at)
    item.RadiopharmaceuticalStartDateTime = acquisition.injected_at.strftime("%Y%m%d%H%M%S.%f")
    item.RadionuclideTotalDose = _ds(acquisition.dose_bq)
    item.RadionuclideHalfLife = _ds(acquisition.half_life_s)
    item.RadionuclidePositronFraction = "0.9673"
    return item


def _add_frame_timing(dataset: Dataset, acquisition: Acquisition) -> None:
    # Frame Reference Time: when, after the start, the decaying activity equals its mean over the frame.
    reference_s = math.log(acquisition.frame_decay) / acquisition.decay_per_s
    dataset.FrameReferenceTime = _ds(1000 * reference_s)
    dataset.ActualFrameDuration = round(1000 * acquisition.frame_s)
    factor = acquisition.frame_decay
    if acquisition.decay_correction == "ADMIN":
        factor *= math.exp(acquisition.decay_per_s * acquisition.uptake_s)
    if acquisition.decay_correction != "NONE":
        dataset.DecayFactor = _ds(factor)


def _add_pixel_description(dataset: Dataset, phantom: Phantom) -> None:
    grid = phantom.grid
    direction = np.asarray(grid.direction)
    dataset.ImageType = ["ORIGINAL", "PRIMARY"]
    dataset.ImageOrientationPatient = [_ds(v) for v in (*direction[:, 0], *direction[:, 1])]
    dataset.PixelSpacing = [_ds(grid.spacing_ijk_mm[1]), _ds(grid.spacing_ijk_mm[0])]
    dataset.SliceThickness = _ds(grid.spacing_ijk_mm[2])
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = grid.shape_kji[1], grid.shape_kji[2]
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 16, 15
    dataset.PixelRepresentation = 1
    dataset.LossyImageCompression = "00"


def _slice_dataset(
    shared: Dataset, phantom: Phantom, plane: NDArray[np.float64], k: int, power_of_two_slopes: bool
) -> Dataset:
    dataset = Dataset()
    dataset.update(shared)
    dataset.SOPInstanceUID = _uid(shared.SeriesInstanceUID, f"slice {k}")
    dataset.InstanceNumber = dataset.ImageIndex = k + 1
    dataset.ImagePositionPatient = [_ds(v) for v in phantom.grid.kji_to_lps((k, 0, 0))]
    slope = _slope(float(plane.max()), power_of_two_slopes)
    dataset.RescaleIntercept, dataset.RescaleSlope = "0", slope
    dataset.PixelData = np.rint(plane / float(slope)).astype("<i2").tobytes()
    dataset["PixelData"].VR = "OW"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


def _slope(largest: float, power_of_two: bool) -> str:
    """Rescale Slope as written: DICOM gives it 16 characters, so the pixels are scaled by the rounded number."""
    if largest <= 0:
        return "1"
    finest = largest / LARGEST_STORED
    if power_of_two:
        return _ds(2.0 ** math.ceil(math.log2(finest)))
    text = _ds(finest)
    while largest / float(text) > LARGEST_STORED + 0.5:
        finest *= 1 + 1e-7
        text = _ds(finest)
    return text


def _date(moment: datetime) -> str:
    return moment.strftime("%Y%m%d")


def _time(moment: datetime) -> str:
    return moment.strftime("%H%M%S.%f")
