"""Tiny PET DICOM series made in code: any orientation, any tag, oblique and off-centre unless told otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

PET_IMAGE = "1.2.840.10008.5.1.4.1.1.128"
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
ROOT_UID = "1.2.826.0.1.3680043.8.498.20250101"
COUNT, ROWS, COLUMNS = 5, 4, 6
SPACING_IJK = (4.0, 3.0, 2.5)
ORIGIN = (-31.5, 12.25, 407.75)
DELETED = object()  # a tag with this value is left out


def oblique_axes(angles: Sequence[float] = (0.3, -0.4, 0.5)) -> np.ndarray:
    """Right-handed rotation matrix with columns i, j, k."""
    matrix = np.eye(3)
    for axis, angle in enumerate(angles):
        turn = np.eye(3)
        a, b = [n for n in range(3) if n != axis]
        turn[a, a] = turn[b, b] = np.cos(angle)
        turn[a, b], turn[b, a] = -np.sin(angle), np.sin(angle)
        matrix = matrix @ turn
    return matrix


def stored_values(count: int = COUNT, rows: int = ROWS, columns: int = COLUMNS) -> np.ndarray:
    """Different integers in every voxel, (K, J, I): 1000 k + 100 j + i + 1."""
    k, j, i = np.mgrid[:count, :rows, :columns]
    return (1000 * k + 100 * j + i + 1).astype(np.int16)


def drug(**tags: Any) -> Dataset:
    """One item of the Radiopharmaceutical Information Sequence: 370 MBq of F-18 at 10:00."""
    item = Dataset()
    set_tags(
        item,
        {
            "Radiopharmaceutical": "FDG",
            "RadiopharmaceuticalStartTime": "100000.00",
            "RadiopharmaceuticalStartDateTime": "20250101100000.00",
            "RadionuclideTotalDose": "370000000",
            "RadionuclideHalfLife": "6586.2",
            "RadionuclidePositronFraction": "0.97",
            "RadionuclideCodeSequence": [code("C-111A1", "SRT", "^18^Fluorine")],
            **tags,
        },
    )
    return item


def code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def set_tags(dataset: Dataset, tags: dict[str, Any]) -> None:
    for keyword, value in tags.items():
        if value is DELETED:
            if keyword in dataset:
                delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)


def pet_slices(
    *,
    stored: np.ndarray | None = None,
    slopes: Sequence[float | str] | float | str = "0.5",
    axes: np.ndarray | None = None,
    spacing_ijk: Sequence[float] = SPACING_IJK,
    origin: Sequence[float] = ORIGIN,
    drug_tags: dict[str, Any] | None = None,
    series: int = 1,
    **tags: Any,
) -> list[FileDataset]:
    """The slices of one series, k = 0 first. A callable tag is called with k; `DELETED` leaves a tag out."""
    stored = stored_values() if stored is None else stored
    axes = oblique_axes() if axes is None else axes
    count = len(stored)
    slopes = [slopes] * count if isinstance(slopes, float | str) else slopes
    slices = []
    for k in range(count):
        dataset = _common(stored[k], series=series)
        dataset.SOPInstanceUID = f"{ROOT_UID}.{series}.{k + 1}"
        dataset.InstanceNumber = k + 1
        position = np.asarray(origin) + axes[:, 2] * spacing_ijk[2] * k
        dataset.ImagePositionPatient = [decimal(v) for v in position]
        dataset.ImageOrientationPatient = [decimal(v) for v in (*axes[:, 0], *axes[:, 1])]
        dataset.PixelSpacing = [decimal(spacing_ijk[1]), decimal(spacing_ijk[0])]
        dataset.RescaleSlope, dataset.RescaleIntercept = slopes[k], "0"
        dataset.RadiopharmaceuticalInformationSequence = [drug(**(drug_tags or {}))]
        set_tags(dataset, {name: v(k) if isinstance(v, Callable) else v for name, v in tags.items()})
        slices.append(dataset)
    return slices


def write_slices(folder: Path, slices: Iterable[Dataset], *, names: Sequence[str] | None = None) -> list[Path]:
    """Save each slice; the default names say nothing of the order."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for n, dataset in enumerate(slices):
        path = folder / (names[n] if names else f"{(7 * n + 3) % 101:03d}-{n}.dcm")
        dataset.save_as(path, enforce_file_format=True)
        paths.append(path)
    return paths


def decimal(value: float) -> str:
    """A DS value: at most 16 characters."""
    for digits in range(16, 0, -1):
        text = f"{float(value):.{digits}g}"
        if len(text) <= 16:
            return text
    raise ValueError(value)


def file_meta(sop_class: str, instance: str, syntax: UID = ExplicitVRLittleEndian) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = sop_class, instance
    meta.TransferSyntaxUID = syntax
    return meta


def _common(plane: np.ndarray, *, series: int) -> FileDataset:
    dataset = FileDataset("", {}, file_meta=file_meta(PET_IMAGE, f"{ROOT_UID}.9"), preamble=b"\0" * 128)
    signed = plane.dtype.kind == "i"
    set_tags(
        dataset,
        {
            "SOPClassUID": PET_IMAGE,
            "Modality": "PT",
            "ImageType": ["ORIGINAL", "PRIMARY"],
            "PatientID": "NOBODY",
            "PatientName": "Nobody^Phantom",
            "StudyInstanceUID": f"{ROOT_UID}.100",
            "SeriesInstanceUID": f"{ROOT_UID}.{series}",
            "SeriesDescription": f"PET number {series}",
            "FrameOfReferenceUID": f"{ROOT_UID}.200",
            "SeriesType": ["STATIC", "IMAGE"],
            "StudyDate": "20250101",
            "SeriesDate": "20250101",
            "AcquisitionDate": "20250101",
            "StudyTime": "110000",
            "SeriesTime": "110000.00",
            "AcquisitionTime": "110000.00",
            "Manufacturer": "Phantom Works",
            "PatientWeight": "74",
            "PatientSize": "1.75",
            "PatientSex": "M",
            "Units": "BQML",
            "DecayCorrection": "START",
            "CorrectedImage": ["NORM", "DTIM", "ATTN", "SCAT", "DECY", "RAN"],
            "ActualFrameDuration": "300000",
            "FrameReferenceTime": "150000",
            "NumberOfFrames": DELETED,
            "SamplesPerPixel": 1,
            "PhotometricInterpretation": "MONOCHROME2",
            "Rows": plane.shape[0],
            "Columns": plane.shape[1],
            "BitsAllocated": 8 * plane.dtype.itemsize,
            "BitsStored": 8 * plane.dtype.itemsize,
            "HighBit": 8 * plane.dtype.itemsize - 1,
            "PixelRepresentation": int(signed),
        },
    )
    dataset.PixelData = plane.astype(plane.dtype.newbyteorder("<")).tobytes()
    dataset["PixelData"].VR = "OW" if plane.dtype.itemsize > 1 else "OB"
    return dataset
