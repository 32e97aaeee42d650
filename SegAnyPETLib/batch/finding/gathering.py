"""Sort images into studies and series while they are found, keeping no more of each than a choice needs."""

from __future__ import annotations

import os
from array import array
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from SegAnyPETLib.batch.finding.header_facts import ImageFacts, Vector, facts_of
from SegAnyPETLib.data.dicom_files import read_header_if_dicom, series_of_damaged_file
from SegAnyPETLib.errors import DICOMError

SAME_PLACE_MM = 0.05  # as the reader of slices has it: closer slices lie at one place
SAME_COSINES = 0.01  # headers round cosines; a turned projection differs by more
USED_MODALITIES = ("PT", "CT")


@dataclass
class SeriesFacts:
    """One series as far as it was found.

    Attributes:
        first: Its first image; it speaks for the others.
        place: Where that one was found, for people.
        files: SOP instance (hashed, to save memory) -> file.
        distances_mm: Of the images along the normal of the first.
        has_several_orientations: Its images are not parallel: no stack of slices.
        lowest: Place along the normal, and position, of the image that lies lowest.
        highest: The same of the highest.
    """

    first: ImageFacts
    place: str
    files: dict[int, str] = field(default_factory=dict)
    distances_mm: array[float] = field(default_factory=lambda: array("d"))
    has_several_orientations: bool = False
    lowest: tuple[float, Vector] | None = None
    highest: tuple[float, Vector] | None = None

    def add(self, facts: ImageFacts, file: str) -> bool:
        """Take one more image; False where the same one is there already."""
        instance = hash(facts.sop_instance_uid)
        if instance in self.files:
            return False
        self.files[instance] = file
        if facts.position_lps_mm is not None and facts.axes is not None and self.first.axes is not None:
            cosines = np.abs(np.subtract(facts.axes, self.first.axes)).max()
            self.has_several_orientations |= bool(cosines > SAME_COSINES)
            self._place(facts.position_lps_mm)
        return True

    @property
    def normal(self) -> Vector | None:
        """Unit vector across the slices; None where the header has no orientation."""
        return None if self.first.axes is None else tuple(np.cross(*self.first.axes).tolist())

    @property
    def extent_mm(self) -> float | None:
        """Distance between the outermost slices; None where unknown, as for multi-frame objects."""
        if self.lowest is None or self.highest is None:
            return None
        return self.highest[0] - self.lowest[0]

    @property
    def has_several_images_at_one_place(self) -> bool:
        """True for gated, dynamic and doubled series, whatever their header says."""
        steps = np.diff(np.sort(np.asarray(self.distances_mm)))
        return bool((steps < SAME_PLACE_MM).any())

    def _place(self, position: Vector) -> None:
        distance = float(np.dot(position, self.normal or ()))
        if self.lowest is None or distance < self.lowest[0]:
            self.lowest = distance, position
        if self.highest is None or distance > self.highest[0]:
            self.highest = distance, position
        self.distances_mm.append(distance)


@dataclass
class StudyFacts:
    """One study as far as it was found.

    Attributes:
        study_instance_uid: Study Instance UID (0020,000D).
        patient_keys: Of its images; more than one is a mixture.
        study_date: YYYYMMDD, None where the header has none.
        place: Where its first image was found, for people.
        series: Its PET and CT series.
        aside: Images that are of neither, or no slices, by reason.
        failures: What could not be fetched from a peer.
    """

    study_instance_uid: str
    place: str
    study_date: str | None
    patient_keys: set[str] = field(default_factory=set)
    series: dict[str, SeriesFacts] = field(default_factory=dict)
    aside: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def of_modality(self, modality: str) -> list[SeriesFacts]:
        """Its series of one modality, in the order in which they were found."""
        return [series for series in self.series.values() if series.first.modality == modality]


@dataclass
class Gathering:
    """Everything found so far.

    Attributes:
        studies: Study Instance UID -> study.
        damaged: Series Instance UID -> files of it that cannot be read; the empty text for unknown series.
        aside: What was left aside, by reason, for the person who started the search.
        on_file: Called with the number of files read so far, before each; what it raises ends the search.
        files_read: That number.
    """

    studies: dict[str, StudyFacts] = field(default_factory=dict)
    damaged: dict[str, list[str]] = field(default_factory=dict)
    aside: Counter[str] = field(default_factory=Counter)
    on_file: Callable[[int], None] | None = None
    files_read: int = 0

    def add(self, path: Path, *, place: str, only_study: str | None = None) -> None:
        """Read one file's header, once, and sort it in; what is damaged or no DICOM file is counted.

        Args:
            path: The file.
            place: Where it lies, for people.
            only_study: Leave images of other studies aside.
        """
        self.files_read += 1
        if self.on_file is not None:
            self.on_file(self.files_read)
        try:
            dataset = read_header_if_dicom(path)
            facts = None if dataset is None else facts_of(dataset)
        except (DICOMError, OSError):
            self.aside["damaged file(s)"] += 1
            self.damaged.setdefault(series_of_damaged_file(path) or "", []).append(str(path))
            return
        if dataset is None:
            self.aside["file(s) that are not DICOM"] += 1
        elif facts is None:
            self.aside["DICOM file(s) that belong to no study"] += 1
        elif only_study in (None, facts.study_instance_uid):
            self._sort_in(facts, os.fspath(path), place)

    def fail(self, study_instance_uid: str, reason: str, *, place: str) -> None:
        """Note that a part of a study could not be fetched."""
        self._study(study_instance_uid, place, None).failures.append(reason)

    def _sort_in(self, facts: ImageFacts, file: str, place: str) -> None:
        study = self._study(facts.study_instance_uid, place, facts.study_date)
        study.patient_keys.add(facts.patient_key)
        if facts.reason_aside is not None or facts.modality not in USED_MODALITIES:
            study.aside[facts.reason_aside or f"file(s) of modality {facts.modality}"] += 1
            return
        series = study.series.get(facts.series_instance_uid)
        if series is None:
            series = study.series[facts.series_instance_uid] = SeriesFacts(facts, place)
        if not series.add(facts, file):
            self.aside["copies of images found before"] += 1

    def _study(self, uid: str, place: str, study_date: str | None) -> StudyFacts:
        study = self.studies.setdefault(uid, StudyFacts(uid, place, study_date))
        study.study_date = study.study_date or study_date
        return study
