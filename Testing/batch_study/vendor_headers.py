"""A phantom's slices under the header of one of three vendors, as their scanners write it.

What differs in the field and decides about SUV: which start tag of the radiopharmaceutical there is, whether the series
time is the start of the scan, private tags, bed positions with their own acquisition times, character sets, UIDs.
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian, RLELossless
from study_recipes import CHARACTER_SETS, Recipe

from SegAnyPETLib.phantom import Acquisition, Phantom, write_phantom_series

LATE_S = 2400  # how long after the scan a late series was made
_MODELS = {
    "GE": ("GE MEDICAL SYSTEMS", "Discovery 690"),
    "Siemens": ("SIEMENS", "Biograph128_mCT"),
    "Philips": ("Philips Medical Systems", "Ingenuity TF PET/CT"),
}
_TURNED = {"HFS": ("102540001", "headfirst"), "FFS": ("102541007", "feet-first"), "HFP": ("102540001", "headfirst")}


def pet_slices(recipe: Recipe, phantom: Phantom, scratch: Path) -> list[Dataset]:
    """The slices of the phantom in the order k = 0, 1, ... of its grid, with the vendor's header.

    Args:
        recipe: The study.
        phantom: Its truth.
        scratch: A folder that does not exist; the plain series is left in it.
    """
    acquisition = recipe.acquisition
    write_phantom_series(phantom, scratch, acquisition=acquisition)
    slices = [pydicom.dcmread(path) for path in sorted(scratch.iterdir())]
    for k, dataset in enumerate(slices):
        _identify(dataset, recipe, k)
        _position(dataset, recipe)
        _times(dataset, recipe, acquisition, is_second_bed=k >= len(slices) // 2)
        {"GE": _ge, "Siemens": _siemens, "Philips": _philips}[recipe.style.vendor](dataset, recipe, acquisition)
        _encode(dataset, recipe)
    return slices


def identify_patient(dataset: Dataset, recipe: Recipe) -> None:
    """Patient and study, the same in all series of a study."""
    acquisition = recipe.acquisition
    characters, name = CHARACTER_SETS[recipe.character_set]
    dataset.SpecificCharacterSet = characters
    if not characters:
        del dataset.SpecificCharacterSet
    dataset.PatientName, dataset.PatientID = name, recipe.patient_id
    dataset.PatientBirthDate = f"19{recipe.patient % 60 + 30}0{recipe.patient % 9 + 1}11"
    dataset.StudyInstanceUID = recipe.uid("study")
    dataset.FrameOfReferenceUID = recipe.uid("frame of reference")
    dataset.StudyDate = acquisition.injected_at.strftime("%Y%m%d")
    dataset.StudyTime = acquisition.injected_at.strftime("%H%M%S")
    dataset.AccessionNumber = f"A{recipe.number:06d}"


def rename(dataset: Dataset, recipe: Recipe, *, series: str, k: int) -> None:
    """Another series of the same study: its UIDs, also those of the slice."""
    dataset.SeriesInstanceUID = recipe.uid(f"series {series}")
    dataset.SOPInstanceUID = recipe.uid(f"series {series} slice {k}")
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID


def _identify(dataset: Dataset, recipe: Recipe, k: int) -> None:
    identify_patient(dataset, recipe)
    rename(dataset, recipe, series="PET", k=k)
    dataset.Manufacturer, dataset.ManufacturerModelName = _MODELS[recipe.style.vendor]
    dataset.SeriesNumber = 4


def _position(dataset: Dataset, recipe: Recipe) -> None:
    dataset.PatientPosition = recipe.posture
    value, meaning = _TURNED[recipe.posture]
    relation = dataset.PatientGantryRelationshipCodeSequence[0]
    relation.CodeValue, relation.CodeMeaning = value, meaning
    if recipe.posture == "HFP":
        modifier = dataset.PatientOrientationCodeSequence[0].PatientOrientationModifierCodeSequence[0]
        modifier.CodeValue, modifier.CodeMeaning = "1240000", "prone"


def _times(dataset: Dataset, recipe: Recipe, acquisition: Acquisition, *, is_second_bed: bool) -> None:
    """The phantom is decay corrected to its start, whatever time the series claims to be of."""
    if recipe.style.times == "beds" and is_second_bed:
        begun = acquisition.started_at + timedelta(seconds=acquisition.frame_s)
        _acquired(dataset, begun)
        reference = float(dataset.FrameReferenceTime) + 1000 * acquisition.frame_s
        dataset.FrameReferenceTime = f"{reference:.6f}"
        dataset.DecayFactor = (
            f"{float(dataset.DecayFactor) * math.exp(acquisition.decay_per_s * acquisition.frame_s):.9f}"
        )
    if recipe.style.times == "late series":
        made = acquisition.started_at + timedelta(seconds=LATE_S)
        dataset.SeriesDate, dataset.SeriesTime = made.strftime("%Y%m%d"), made.strftime("%H%M%S")


def _acquired(dataset: Dataset, moment: datetime) -> None:
    dataset.AcquisitionDate, dataset.AcquisitionTime = moment.strftime("%Y%m%d"), moment.strftime("%H%M%S.%f")
    dataset.ContentDate, dataset.ContentTime = dataset.AcquisitionDate, dataset.AcquisitionTime


def _drug(dataset: Dataset) -> Dataset:
    return dataset.RadiopharmaceuticalInformationSequence[0]


def _ge(dataset: Dataset, _recipe: Recipe, acquisition: Acquisition) -> None:
    """The private scan date-time is what the values are corrected to; whole seconds; both start tags."""
    dataset.SeriesDescription = "PET AC 3D"
    block = dataset.private_block(0x0009, "GEMS_PETD_01", create=True)
    block.add_new(0x0D, "DT", acquisition.started_at.strftime("%Y%m%d%H%M%S.00"))
    drug = _drug(dataset)
    drug.RadiopharmaceuticalStartTime = acquisition.injected_at.strftime("%H%M%S.00")
    drug.RadiopharmaceuticalStartDateTime = acquisition.injected_at.strftime("%Y%m%d%H%M%S.00")


def _siemens(dataset: Dataset, recipe: Recipe, acquisition: Acquisition) -> None:
    """Only the start date-time; a private date-time of decay correction that repeats the series time."""
    dataset.SeriesDescription = "PET WB AC"
    block = dataset.private_block(0x0071, "SIEMENS MED PT", create=True)
    block.add_new(0x22, "DT", dataset.SeriesDate + dataset.SeriesTime)
    del _drug(dataset).RadiopharmaceuticalStartTime
    if recipe.style.units == "GML":
        del dataset.SUVType  # by the standard its absence means body weight


def _philips(dataset: Dataset, recipe: Recipe, acquisition: Acquisition) -> None:
    """Only the start time, without a date; counts with private factors, one of which may be 0 or absent."""
    dataset.SeriesDescription = "[WB_CTAC] Body"
    del _drug(dataset).RadiopharmaceuticalStartDateTime
    _drug(dataset).RadiopharmaceuticalStartTime = acquisition.injected_at.strftime("%H%M%S")
    if recipe.style.units == "CNTS":
        block = dataset.private_block(0x7053, "Philips PET Private Group")
        if recipe.style.factors == "activity only":
            block[0x00].value = "0.000000"
        if recipe.style.factors == "SUV only":
            del block[0x09]


def _encode(dataset: Dataset, recipe: Recipe) -> None:
    if recipe.syntax == "implicit":
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    elif recipe.syntax == "RLE":
        dataset.compress(RLELossless, generate_instance_uid=False)
