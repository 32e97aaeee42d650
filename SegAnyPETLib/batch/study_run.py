"""One study from its files to its results, whatever happens on the way."""

from __future__ import annotations

import hashlib
import threading
import time
import traceback
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from SegAnyPETLib.batch.identifiers import without_identifiers
from SegAnyPETLib.batch.outcome import StudyOutcome
from SegAnyPETLib.batch.study_steps import StudySteps, usual_steps
from SegAnyPETLib.errors import InputError, PredictionCancelled, SegAnyPETError
from SegAnyPETLib.version import __version__

if TYPE_CHECKING:
    from SegAnyPETLib.batch.lesion import LesionRequest, StudyLesion, StudyRequest
    from SegAnyPETLib.batch.loaded_models import LoadedModels
    from SegAnyPETLib.batch.settings import BatchSettings
    from SegAnyPETLib.batch.study import FoundStudy, SeriesFiles
    from SegAnyPETLib.batch.study_steps import Segmented
    from SegAnyPETLib.suv import SUVVolume

STUDIES_FOLDER = "studies"
NOTHING_FOUND = "the model found nothing at its prompts"


def run_study(
    study: FoundStudy,
    *,
    settings: BatchSettings,
    out: Path,
    models: LoadedModels,
    cancel: threading.Event | None = None,
    steps: StudySteps | None = None,
) -> StudyOutcome:
    """Read, prompt, segment, measure and write one study; nothing but the end of the process escapes.

    Args:
        study: As it was found.
        settings: Of the run.
        out: Folder of the run; the results come to ``studies/<key>`` in it, whole or not at all.
        models: Of this process.
        cancel: Set it from another thread to drop the study; what it has begun to write it finishes.
        steps: In place of the usual ones.

    Returns:
        How it ended: done, dropped, or failed with a reason.
    """
    work = _Work(study, settings, models, steps or usual_steps(), cancel)
    try:
        return work.run(out / STUDIES_FOLDER / study.key)
    except PredictionCancelled:
        return StudyOutcome(study.key, "dropped")
    except SegAnyPETError as error:
        return _failure(work, str(error), type(error).__name__, str(out))
    except MemoryError:
        reason = "There was not enough memory for this study. Run it alone or with fewer workers."
        return _failure(work, reason, "MemoryError", str(out))
    except OSError as error:
        reason = f"Files could not be read or written: {error.strerror or type(error).__name__}."
        return _failure(work, reason, "OSError", str(out))
    except Exception as error:  # noqa: BLE001  a bug in one study must not end the run of a thousand
        reason = f"Unexpected {type(error).__name__}; the log of the run says where. Please report it."
        failed = _failure(work, reason, "unexpected", str(out))
        text = traceback.format_exc()
        if not settings.shows_uids:  # only where in the program: the error's own words may quote the patient
            text = "".join(traceback.format_tb(error.__traceback__)) + type(error).__name__
        return replace(failed, traceback=text)


def _failure(work: _Work, reason: str, kind: str, out: str) -> StudyOutcome:
    study, settings = work.study, work.settings
    if not settings.shows_uids:
        reason = without_identifiers(reason, study, out, settings.prompts or "")
    return StudyOutcome(
        study.key, "failed", reason, kind, seconds=sum(work.seconds.values()), seconds_by_step=work.seconds
    )


@dataclass(eq=False)
class _Work:
    """One study while it is worked on."""

    study: FoundStudy
    settings: BatchSettings
    models: LoadedModels
    steps: StudySteps
    cancel: threading.Event | None
    seconds: dict[str, float] = field(default_factory=dict)

    def run(self, folder: Path) -> StudyOutcome:
        from SegAnyPETLib.batch.lesion import StudyResult

        study, settings, steps = self.study, self.settings, self.steps
        if study.pet is None:
            msg = "Expected a study with a PET series; found none. Choose a series first."
            raise InputError(msg)
        with self._step("reading"):
            input_hash = hash_inputs(study.pet)
            series = steps.read(study)
            image = steps.convert(series, settings)
        with self._step("prompting"):
            request = steps.request(study, image, settings)
        with self._step("loading"):
            loaded = self.models.get(settings)
        with self._step("waiting"):
            self.models.in_use.acquire()
        try:
            with self._step("segmenting"):
                segmented = steps.segment(image, request.lesions, loaded.model, self.cancel)
        finally:
            self.models.in_use.release()
        with self._step("measuring"):
            lesions, not_found = self._measured(image, request, segmented)
        result = StudyResult(
            *(study, series, image, request, lesions, not_found, loaded.name, loaded.weights_sha256, dict(self.seconds))
        )
        with self._step("writing"):
            folder.parent.mkdir(parents=True, exist_ok=True)
            hashes = steps.write(folder, result, settings)
        return StudyOutcome(
            study.key,
            "done",
            lesions=len(lesions),
            seconds=sum(seconds for name, seconds in self.seconds.items() if name != "waiting"),
            seconds_by_step=self.seconds,
            input_hash=input_hash,
            output_hashes=dict(hashes),
            model=loaded.name,
            weights_sha256=loaded.weights_sha256,
            version=__version__,
        )

    def _measured(
        self, image: SUVVolume, request: StudyRequest, segmented: Sequence[Segmented]
    ) -> tuple[tuple[StudyLesion, ...], dict[str, str]]:
        from SegAnyPETLib.batch.lesion import StudyLesion

        found: list[StudyLesion] = []
        not_found: dict[str, str] = {}
        for asked, answer in zip(request.lesions, segmented, strict=True):
            mask = np.ascontiguousarray(answer.mask, dtype=np.bool_)
            if not mask.any():
                not_found[asked.label] = answer.reason or NOTHING_FOUND
                continue
            mask.setflags(write=False)
            measures = self.steps.measure(image, mask)
            uid = tracking_uid(self.study, asked, rule=request.rule)
            interval = answer.volume_interval_ml
            found.append(StudyLesion(asked, mask, measures, answer.score, interval, uid, tuple(answer.notices)))
        return tuple(found), not_found

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        """Time a step; before it begins, the study may be dropped."""
        if self.cancel is not None and self.cancel.is_set():
            msg = "The run was asked to stop; this study was dropped and can be done later."
            raise PredictionCancelled(msg)
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = time.perf_counter() - started


def hash_inputs(series: SeriesFiles) -> str:
    """SHA-256 over the contents of a series, whatever its files are called and in whatever order they come."""
    hashes = []
    for path in series.files:
        with path.open("rb") as stream:
            hashes.append(hashlib.file_digest(stream, "sha256").digest())
    return hashlib.sha256(b"".join(sorted(hashes))).hexdigest()


def tracking_uid(study: FoundStudy, request: LesionRequest, *, rule: str) -> str:
    """Tracking Unique Identifier (0062,0021) of a lesion: the same one whenever it is asked for in the same way.

    Source:
        DICOM PS3.5 annex B.2: a UUID as a decimal number under 2.25. The UUID is made of the names by RFC 9562,
        version 5.
    """
    series = study.pet.series_instance_uid if study.pet is not None else ""
    name = "\0".join((study.study_instance_uid, series, rule, request.origin, request.label))
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, name).int}"
