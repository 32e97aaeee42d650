"""What the files of one study are made of, whether the model has just made it or a person has corrected it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from SegAnyPETLib.data.segment import LESION, LONGEST_LABEL, PALETTE_RGB, Algorithm, Code, Segment, Terminology
from SegAnyPETLib.version import __version__

if TYPE_CHECKING:
    from SegAnyPETLib.batch.lesion import Fact, StudyLesion, StudyResult
    from SegAnyPETLib.batch.settings import BatchSettings
    from SegAnyPETLib.data import PETSeries
    from SegAnyPETLib.suv import LesionMeasures, SUVVolume

PROGRAM = f"SegAnyPET {__version__}"
PHYSIOLOGICAL_RGB = (0.55, 0.55, 0.55)
_TISSUE = Code("85756007", "SCT", "Tissue")
PHYSIOLOGICAL = Terminology(_TISSUE, _TISSUE)  # uptake that is probably normal must not be coded as a neoplasm


@dataclass(frozen=True, eq=False)
class ContentLesion:
    """One lesion as it is written.

    Attributes:
        number: From 1, in the order of the study: its label value in NIfTI and its segment number in DICOM.
        label: Its name.
        mask: (K, J, I), not empty.
        measures: Of the mask.
        origin: Where it comes from.
        physiology: Why it is probably no lesion; None where nothing says so.
        terminology: What it is, where it was said.
        facts: What the rule measured.
        click_count: Prompts that led to it; None where they are not known.
        is_automatic: No person steered it.
        score: The model's confidence; None where a person changed the mask.
        volume_interval_ml: Where the true volume is expected.
        tracking_uid: Follows the lesion through all files.
        notices: What the session said.
        is_corrected: A person has changed it.
    """

    number: int
    label: str
    mask: NDArray[np.bool_] = field(repr=False)
    measures: LesionMeasures
    origin: str
    physiology: str | None
    terminology: Terminology | None
    facts: Mapping[str, Fact]
    click_count: int | None
    is_automatic: bool
    score: float | None
    volume_interval_ml: tuple[float, float] | None
    tracking_uid: str
    notices: tuple[str, ...]
    is_corrected: bool

    def segment(self, algorithm_name: str) -> Segment:
        """The lesion for the writers of masks, all with the same colour, codes and algorithm."""
        is_normal = self.physiology is not None
        return Segment(
            self.label,
            self.mask,
            PHYSIOLOGICAL_RGB if is_normal else PALETTE_RGB[(self.number - 1) % len(PALETTE_RGB)],
            terminology=self.terminology or (PHYSIOLOGICAL if is_normal else LESION),
            algorithm=Algorithm(algorithm_name, __version__, self.is_automatic),
            tracking_uid=self.tracking_uid,
        )


@dataclass(frozen=True, eq=False)
class StudyContent:
    """One study as it is written.

    Attributes:
        key: Of the study.
        patient_key: The same for all studies of one patient.
        fingerprint: Of the settings it was made with.
        study_instance_uid: None where tables may not hold it; the same for the next two.
        series_instance_uid: Of the PET series.
        study_date: YYYYMMDD.
        choice: How the PET series was chosen.
        series: The PET series.
        image: In SUV.
        rule: How the lesions were chosen.
        facts: References and thresholds of the rule.
        notes: What a reader must know.
        not_found: Labels of what the model found nothing for, and why.
        lesions: In order.
        model: Its name.
        weights_sha256: Of the model's weights.
        seconds: Time by step.
    """

    key: str
    patient_key: str
    fingerprint: str
    study_instance_uid: str | None
    series_instance_uid: str | None
    study_date: str | None
    choice: str
    series: PETSeries = field(repr=False)
    image: SUVVolume = field(repr=False)
    rule: str
    facts: Mapping[str, Fact]
    notes: tuple[str, ...]
    not_found: Mapping[str, str]
    lesions: tuple[ContentLesion, ...]
    model: str
    weights_sha256: str
    seconds: Mapping[str, float]

    def segments(self) -> list[Segment]:
        """All lesions for the writers of masks."""
        return [lesion.segment(self.algorithm_name) for lesion in self.lesions]

    @property
    def algorithm_name(self) -> str:
        """Program and model, as DICOM names what made the masks."""
        return f"SegAnyPET {self.model}"[:LONGEST_LABEL]

    def digest(self) -> str:
        """SHA-256 of what the files show; a result with another one needs other UIDs."""
        whole = hashlib.sha256()
        for lesion in self.lesions:
            whole.update(repr((lesion.label, lesion.tracking_uid, lesion.measures, lesion.is_corrected)).encode())
            whole.update(np.packbits(lesion.mask).tobytes())
        whole.update(repr((self.key, self.fingerprint, self.model, self.weights_sha256, PROGRAM, self.rule)).encode())
        return whole.hexdigest()


def content_of_result(result: StudyResult, settings: BatchSettings) -> StudyContent:
    """What a run has made, with UIDs where its settings allow them."""
    study, request = result.study, result.request
    return StudyContent(
        key=study.key,
        patient_key=study.patient_key,
        fingerprint=settings.fingerprint,
        study_instance_uid=study.study_instance_uid if settings.shows_uids else None,
        series_instance_uid=result.series.series_instance_uid if settings.shows_uids else None,
        study_date=study.study_date,
        choice=study.choice,
        series=result.series,
        image=result.image,
        rule=request.rule,
        facts=dict(request.facts),
        notes=request.notes,
        not_found=dict(result.not_found),
        lesions=tuple(_lesion(n, lesion, settings) for n, lesion in enumerate(result.lesions, start=1)),
        model=result.model,
        weights_sha256=result.weights_sha256,
        seconds=dict(result.seconds),
    )


def _lesion(number: int, lesion: StudyLesion, settings: BatchSettings) -> ContentLesion:
    request = lesion.request
    return ContentLesion(
        number=number,
        label=request.label,
        mask=lesion.mask,
        measures=lesion.measures,
        origin=request.origin,
        physiology=request.physiology,
        terminology=request.terminology,
        facts=dict(request.facts),
        click_count=len(request.prompts),
        is_automatic=settings.prompts is None and not lesion.is_corrected,
        score=lesion.score,
        volume_interval_ml=lesion.volume_interval_ml,
        tracking_uid=lesion.tracking_uid,
        notices=lesion.notices,
        is_corrected=lesion.is_corrected,
    )
