"""PET series and the segmentations that refer to them, from headers only."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pydicom.dataset import Dataset, FileDataset

from SegAnyPETLib.data.dicom_files import read_header_if_dicom
from SegAnyPETLib.data.dicom_seg_input import SEGMENTATION_CLASSES
from SegAnyPETLib.data.dicom_values import items, text
from SegAnyPETLib.data.rtstruct_input import RT_STRUCTURE_SET
from SegAnyPETLib.data.series_choice import attenuation_corrected, reason_to_ignore
from SegAnyPETLib.errors import DICOMError
from SegAnyPETLib.finetune.cohort.manifest import CohortEntry, Quality


@dataclass
class FoundPET:
    """A PET series.

    Attributes:
        uid: Series Instance UID.
        patient: A number that stands for the Patient ID.
        frame: UID of its frame of reference.
        is_corrected: For attenuation; None where the header does not say.
        folders: Where its files lie.
    """

    uid: str
    patient: str
    frame: str | None
    is_corrected: bool | None
    folders: set[Path] = field(default_factory=set)

    @property
    def place(self) -> Path:
        """The folder that holds all its files."""
        return Path(os.path.commonpath(self.folders))


@dataclass(frozen=True)
class _FoundLabel:
    path: Path
    series: tuple[str, ...]
    frame: str | None


class DICOMFinds:
    """What headers say; patients are numbered in the order they are met, and their identifiers go nowhere else."""

    def __init__(self) -> None:
        self.series: dict[str, FoundPET] = {}
        self._labels: list[_FoundLabel] = []
        self._patients: dict[tuple[str | None, str | None], str] = {}
        self._unreadable = 0

    def add(self, paths: Iterable[Path]) -> None:
        """Read the headers of all that are DICOM files."""
        for path in paths:
            try:
                dataset = read_header_if_dicom(path)
                if dataset is not None:
                    self._sort_in(path, dataset)
            except (DICOMError, OSError):
                self._unreadable += 1

    def entries(self, quality: Quality, notes: list[str]) -> list[CohortEntry]:
        """A case for each label that refers to a PET series found so far."""
        made: list[CohortEntry] = []
        lost, uncertain = 0, 0
        for label in self._labels:
            fitting = self._fitting(label)
            if len(fitting) != 1:
                lost += not fitting
                uncertain += len(fitting) > 1
                continue
            series = fitting[0]
            name = f"dicom_{len(made) + 1:03d}"
            made.append(CohortEntry(name, series.patient, series.place, label.path, quality, series=series.uid))
        if lost:
            notes.append(f"{lost} DICOM segmentations refer to no PET series in this folder; they were left out.")
        if uncertain:
            notes.append(
                f"{uncertain} DICOM segmentations fit several PET series; they were left out. Add them by hand."
            )
        if self._unreadable:
            notes.append(f"{self._unreadable} DICOM files cannot be read; `cohort check` says where that matters.")
        return made

    def _sort_in(self, path: Path, dataset: FileDataset) -> None:
        sop_class = text(dataset, "SOPClassUID")
        if sop_class in SEGMENTATION_CLASSES or sop_class == RT_STRUCTURE_SET:
            self._labels.append(_FoundLabel(path, _referenced_series(dataset), _frame(dataset)))
            return
        uid = text(dataset, "SeriesInstanceUID")
        if uid is None or reason_to_ignore(dataset) is not None:
            return
        if uid not in self.series:
            patient = text(dataset, "PatientID"), text(dataset, "IssuerOfPatientID")
            number = self._patients.setdefault(patient, f"dicom patient {len(self._patients) + 1}")
            self.series[uid] = FoundPET(uid, number, _frame(dataset), attenuation_corrected(dataset))
        self.series[uid].folders.add(path.parent)

    def _fitting(self, label: _FoundLabel) -> list[FoundPET]:
        """The series it refers to; else those in its frame of reference, attenuation corrected before others."""
        named = [self.series[uid] for uid in label.series if uid in self.series]
        if named:
            return named[:1]
        near = [one for one in self.series.values() if label.frame is not None and one.frame == label.frame]
        corrected = [one for one in near if one.is_corrected]
        return corrected if len(corrected) == 1 else near


def _frame(dataset: Dataset) -> str | None:
    found = text(dataset, "FrameOfReferenceUID")
    for item in items(dataset, "ReferencedFrameOfReferenceSequence")[:1]:
        found = found or text(item, "FrameOfReferenceUID")
    return found


def _referenced_series(dataset: Dataset) -> tuple[str, ...]:
    found = [text(item, "SeriesInstanceUID") for item in items(dataset, "ReferencedSeriesSequence")]
    for frame in items(dataset, "ReferencedFrameOfReferenceSequence"):
        for study in items(frame, "RTReferencedStudySequence"):
            found += [text(item, "SeriesInstanceUID") for item in items(study, "RTReferencedSeriesSequence")]
    return tuple(uid for uid in found if uid is not None)
