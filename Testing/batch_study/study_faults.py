"""What can be wrong with a study, and what a run should then say about it."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import RLELossless
from study_recipes import Recipe
from vendor_headers import rename

State = Literal["done", "failed", "doubtful", "skipped", "absent"]


@dataclass(frozen=True)
class Outcome:
    """What should come of a study.

    Attributes:
        state: As in the journal; absent where there is no study to be found.
        words: Each must be in the reason, in any letter case.
    """

    state: State
    words: tuple[str, ...] = ()


OUTCOMES = {
    "sound": Outcome("done"),
    "no lesions": Outcome("done"),
    "two reconstructions": Outcome("doubtful", ("2",)),
    "missing slice": Outcome("failed", ("missing",)),
    "no weight": Outcome("failed", ("PatientWeight",)),
    "not corrected": Outcome("skipped", ("attenuation",)),
    "truncated file": Outcome("failed", ("truncated",)),
    "no PET": Outcome("skipped", ("PET",)),
    "mixed patients": Outcome("skipped", ("patient",)),
    "no dose": Outcome("failed", ("RadionuclideTotalDose",)),
    "corrupt pixels": Outcome("failed", ("decoded",)),
    "doubled slice": Outcome("skipped", ("dynamic",)),
    "not DICOM": Outcome("absent"),
    "gated": Outcome("skipped", ("gated",)),
    "intercept": Outcome("failed", ("RescaleIntercept",)),
    "slope not a number": Outcome("failed", ("RescaleSlope",)),
    "empty folder": Outcome("absent"),
    "slope too large": Outcome("failed", ("RescaleSlope",)),
    "no permission": Outcome("failed", ("permission",)),
}


def spoil_slices(fault: str | None, pet: list[Dataset], recipe: Recipe) -> list[Dataset]:
    """The slices of the PET series with a fault of the header; sound ones where the fault is another."""
    change = _SLICE_FAULTS.get(fault or "")
    return pet if change is None else change(pet, recipe)


def spoil_file(fault: str | None, files: list[Path], recipe: Recipe) -> None:
    """A fault of one written file of the PET series."""
    path = files[len(files) // 3]
    if fault == "truncated file":
        data = path.read_bytes()
        path.write_bytes(data[: len(data) - 1201])
    elif fault == "slope not a number":
        _write_over_slope(path)
    elif fault == "no permission":
        path.chmod(0)


def can_be_made(fault: str | None) -> bool:
    """Nothing can be kept from root, and Windows knows no such permissions."""
    return fault != "no permission" or (hasattr(os, "geteuid") and os.geteuid() != 0)


def not_dicom(folder: Path) -> None:
    """What people keep beside images; one file claims to be DICOM and is not."""
    folder.mkdir(parents=True)
    (folder / "report.pdf").write_bytes(b"%PDF-1.4\n")
    (folder / "notes.txt").write_text("nothing to see\n", encoding="utf-8")
    (folder / "IM0001").write_bytes(bytes(range(256)) * 8)


def _without(keyword: str) -> Callable[[list[Dataset], Recipe], list[Dataset]]:
    def change(pet: list[Dataset], _recipe: Recipe) -> list[Dataset]:
        for dataset in pet:
            del dataset[keyword]
        return pet

    return change


def _missing_slice(pet: list[Dataset], _recipe: Recipe) -> list[Dataset]:
    return [dataset for k, dataset in enumerate(pet) if k != len(pet) // 2]


def _doubled_slice(pet: list[Dataset], recipe: Recipe) -> list[Dataset]:
    twin = copy.deepcopy(pet[5])
    rename(twin, recipe, series="PET", k=1000)
    twin.RescaleSlope = f"{1.3 * float(pet[5].RescaleSlope):.9g}"
    return [*pet, twin]


def _no_dose(pet: list[Dataset], _recipe: Recipe) -> list[Dataset]:
    for dataset in pet:
        del dataset.RadiopharmaceuticalInformationSequence[0].RadionuclideTotalDose
    return pet


def _not_corrected(pet: list[Dataset], _recipe: Recipe) -> list[Dataset]:
    for dataset in pet:
        dataset.CorrectedImage = [word for word in dataset.CorrectedImage if word not in ("ATTN", "SCAT")]
        dataset.SeriesDescription = "PET NAC"
    return pet


def _gated(pet: list[Dataset], _recipe: Recipe) -> list[Dataset]:
    for dataset in pet:
        dataset.SeriesType = ["GATED", "IMAGE"]
    return pet


def _intercept(pet: list[Dataset], _recipe: Recipe) -> list[Dataset]:
    for dataset in pet:
        dataset.RescaleIntercept = "-12.5"
    return pet


def _mixed_patients(pet: list[Dataset], recipe: Recipe) -> list[Dataset]:
    for dataset in pet[len(pet) // 2 :]:
        dataset.PatientID = recipe.patient_id + "-OTHER"
    return pet


def _slope_too_large(pet: list[Dataset], _recipe: Recipe) -> list[Dataset]:
    pet[len(pet) // 2].RescaleSlope = "3e38"
    return pet


def _corrupt_pixels(pet: list[Dataset], recipe: Recipe) -> list[Dataset]:
    """One slice says that it is run-length encoded, and is noise."""
    dataset = pet[len(pet) // 2]
    noise = np.random.default_rng(recipe.number).integers(0, 256, 900, dtype=np.uint8).tobytes()
    dataset.PixelData = encapsulate([noise])
    dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True
    dataset.file_meta.TransferSyntaxUID = RLELossless
    return pet


_SLICE_FAULTS: dict[str, Callable[[list[Dataset], Recipe], list[Dataset]]] = {
    "missing slice": _missing_slice,
    "doubled slice": _doubled_slice,
    "no weight": _without("PatientWeight"),
    "no dose": _no_dose,
    "not corrected": _not_corrected,
    "gated": _gated,
    "intercept": _intercept,
    "mixed patients": _mixed_patients,
    "slope too large": _slope_too_large,
    "corrupt pixels": _corrupt_pixels,
}


def _write_over_slope(path: Path) -> None:
    """pydicom refuses to write such a number; a converter once did not."""
    data = path.read_bytes()
    for tag in (b"\x28\x00\x53\x10DS", b"\x28\x00\x53\x10"):
        place = data.find(tag)
        if place >= 0:
            break
    start = place + 8
    length = int.from_bytes(data[start - 2 : start] if tag.endswith(b"DS") else data[start - 4 : start], "little")
    path.write_bytes(data[:start] + b"NaN".ljust(length) + data[start + length :])
