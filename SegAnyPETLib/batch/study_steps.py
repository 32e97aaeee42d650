"""The five steps of a study, each made by another part; tests put simpler ones in their place."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from SegAnyPETLib.batch.lesion import LesionRequest, StudyRequest, StudyResult
    from SegAnyPETLib.batch.settings import BatchSettings
    from SegAnyPETLib.batch.study import FoundStudy
    from SegAnyPETLib.data import PETSeries
    from SegAnyPETLib.session.protocols import SegmentationModel
    from SegAnyPETLib.suv import LesionMeasures, SUVVolume


class Segmented(Protocol):
    """What a study needs of one segmented lesion."""

    @property
    def mask(self) -> NDArray[np.bool_]:
        """(K, J, I); empty where the model found nothing."""

    @property
    def score(self) -> float:
        """The model's confidence, 0 to 1."""

    @property
    def volume_interval_ml(self) -> tuple[float, float] | None:
        """Where the true volume is expected; None where the model is not calibrated."""

    @property
    def reason(self) -> str | None:
        """Why nothing was found; None where something was."""

    @property
    def notices(self) -> tuple[str, ...]:
        """What the session said."""


@dataclass(frozen=True)
class StudySteps:
    """How a study is read, converted, prompted, segmented, measured and written."""

    read: Callable[[FoundStudy], PETSeries]
    convert: Callable[[PETSeries, BatchSettings], SUVVolume]
    request: Callable[[FoundStudy, SUVVolume, BatchSettings], StudyRequest]
    segment: Callable[
        [SUVVolume, Sequence[LesionRequest], SegmentationModel, threading.Event | None], Sequence[Segmented]
    ]
    measure: Callable[[SUVVolume, NDArray[np.bool_]], LesionMeasures]
    write: Callable[[Path, StudyResult, BatchSettings], Mapping[str, str]]


def usual_steps() -> StudySteps:
    """Those of the product."""
    return StudySteps(_read, _convert, _request, _segment, _measure, _write)


def _read(study: FoundStudy) -> PETSeries:
    from SegAnyPETLib.batch.finding import read_found_pet

    return read_found_pet(study)


def _convert(series: PETSeries, settings: BatchSettings) -> SUVVolume:
    from SegAnyPETLib.suv import compute_suv

    return compute_suv(series, kind=settings.kind)


def _request(study: FoundStudy, image: SUVVolume, settings: BatchSettings) -> StudyRequest:
    from SegAnyPETLib.batch.prompting import request_lesions

    return request_lesions(study, image, settings=settings)


def _segment(
    image: SUVVolume, requests: Sequence[LesionRequest], model: SegmentationModel, cancel: threading.Event | None
) -> Sequence[Segmented]:
    from SegAnyPETLib.batch.segmenting import segment_lesions

    return segment_lesions(image, requests, model=model, cancel=cancel)


def _measure(image: SUVVolume, mask: NDArray[np.bool_]) -> LesionMeasures:
    from SegAnyPETLib.suv import compute_measures

    return compute_measures(image, mask)


def _write(folder: Path, result: StudyResult, settings: BatchSettings) -> Mapping[str, str]:
    from SegAnyPETLib.batch.results import write_study
    from SegAnyPETLib.batch.run_folder import secret_of

    salt = secret_of(folder.parents[1], settings)  # of the folder of the run
    return write_study(folder, result, settings=settings, salt=salt)
