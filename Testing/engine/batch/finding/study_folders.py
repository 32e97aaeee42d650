"""Studies of PET and CT on disk, oblique and anisotropic, with UIDs that tell studies apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from pet_dicom_builder import CT_IMAGE, ROOT_UID, SPACING_IJK, file_meta, pet_slices, stored_values, write_slices


def study_uid(study: int) -> str:
    return f"{ROOT_UID}.100.{study}"


def series_uid(series: int, *, study: int = 1) -> str:
    return f"{study_uid(study)}.{series}"


def add_series(
    folder: Path, series: int, *, study: int = 1, count: int = 5, first: float = 0.0, **tags: Any
) -> list[Path]:
    """One series of `count` slices; it starts `first` slice distances further along the normal than others do."""
    tags = {
        "StudyInstanceUID": study_uid(study),
        "SeriesInstanceUID": series_uid(series, study=study),
        "SOPInstanceUID": lambda k: f"{series_uid(series, study=study)}.{k + 1}",
        "FrameOfReferenceUID": f"{study_uid(study)}.999",
        "PatientID": f"PATIENT{study}",
        "StudyID": str(study),
        "SeriesNumber": series,
        **tags,
    }
    stored = tags.pop("stored", None)
    slices = pet_slices(stored=stored_values(count) if stored is None else stored, series=series, **tags)
    for dataset in slices:
        position = np.asarray(dataset.ImagePositionPatient, dtype=float) if "ImagePositionPatient" in dataset else None
        if first and position is not None:
            row, column = np.reshape(np.asarray(dataset.ImageOrientationPatient, dtype=float), (2, 3))
            moved = position + np.cross(row, column) * first * SPACING_IJK[2]
            dataset.ImagePositionPatient = [f"{value:.8g}" for value in moved]
        dataset.file_meta = file_meta(dataset.SOPClassUID, dataset.SOPInstanceUID)
    return write_slices(folder, slices)


def add_ct(folder: Path, series: int = 50, **tags: Any) -> list[Path]:
    """A CT beside the PET: the same frame of reference, the same place unless told otherwise."""
    return add_series(
        folder,
        series,
        **{
            "Modality": "CT",
            "SOPClassUID": CT_IMAGE,
            "SeriesDescription": "CT",
            "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
            "SeriesType": "",
            "Units": "",
            **tags,
        },
    )
