"""What does the studies of a run: threads of this process here, Dask's workers in `dask_runner`."""

from __future__ import annotations

import queue
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from SegAnyPETLib.batch.journal_row import IN_PROCESS
from SegAnyPETLib.batch.outcome import StudyOutcome

if TYPE_CHECKING:
    from SegAnyPETLib.batch.settings import BatchSettings
    from SegAnyPETLib.batch.study import FoundStudy

# One is read, one is segmented, one is written: more would hold memory and wait for the same model.
STUDIES_AT_ONCE = 3
Item = TypeVar("Item")


class StudyRunner(Protocol):
    """Does one study; a function of a module, so that Dask can send its name to workers."""

    def __call__(
        self, study: FoundStudy, *, settings: BatchSettings, out: Path, cancel: threading.Event
    ) -> StudyOutcome:
        """Never raises for what a study can cause."""


@dataclass(frozen=True)
class LostStudy:
    """A study whose worker process ended before it did.

    Attributes:
        key: Of the study.
        cause: What is known about it.
        deaths: How many processes ended over it.
    """

    key: str
    cause: str
    deaths: int = 1


class Engine(Protocol):
    """Takes studies and gives back how they ended, in any order."""

    @property
    def name(self) -> str:
        """For the journal's column of workers."""

    @property
    def dashboard(self) -> str:
        """Address of a page that shows the work; empty where there is none."""

    def capacity(self) -> int:
        """How many studies may be begun and not ended, now."""

    def submit(self, study: FoundStudy, *, must_redo: bool) -> None:
        """Begin a study; without `must_redo` a complete result of it counts, wherever it comes from."""

    def collect(self, timeout_s: float) -> list[StudyOutcome | LostStudy]:
        """What has ended since the last call; waits for the first for at most `timeout_s`.

        Raises:
            WorkerError: The engine is gone, and with it everything in flight.
        """

    def drop(self) -> None:
        """Ask the studies in flight to end soon; each is still given by `collect`."""

    def close(self) -> None:
        """Let go of threads and processes."""


def run_here(study: FoundStudy, *, settings: BatchSettings, out: Path, cancel: threading.Event) -> StudyOutcome:
    """The usual `StudyRunner`: with the models of this process."""
    from SegAnyPETLib.batch.loaded_models import MODELS
    from SegAnyPETLib.batch.study_run import run_study

    return run_study(study, settings=settings, out=out, models=MODELS, cancel=cancel)


class ThreadEngine:
    """Does studies in this process: reading the next and writing the last overlap with segmenting."""

    name = IN_PROCESS
    dashboard = ""

    def __init__(self, run_one: StudyRunner, *, settings: BatchSettings, out: Path) -> None:
        self._run_one = run_one
        self._settings = settings
        self._out = out
        self._cancel = threading.Event()
        self._ended: queue.SimpleQueue[StudyOutcome | LostStudy] = queue.SimpleQueue()
        self._threads = ThreadPoolExecutor(STUDIES_AT_ONCE, thread_name_prefix="study")

    def capacity(self) -> int:
        """Three: one for each stage."""
        return STUDIES_AT_ONCE

    def submit(self, study: FoundStudy, *, must_redo: bool) -> None:
        """Begin a study; that it has no result yet was seen before."""
        future = self._threads.submit(self._run_one, study, settings=self._settings, out=self._out, cancel=self._cancel)
        future.add_done_callback(lambda done: self._ended.put(outcome_of(done, study.key)))

    def collect(self, timeout_s: float) -> list[StudyOutcome | LostStudy]:
        """What has ended since the last call."""
        return drained(self._ended, timeout_s)

    def drop(self) -> None:
        """Ask the studies in flight to end before their next step."""
        self._cancel.set()

    def close(self) -> None:
        """Wait for the threads."""
        self._cancel.set()
        self._threads.shutdown(wait=True, cancel_futures=True)


def drained(ended: queue.SimpleQueue[Item], timeout_s: float) -> list[Item]:
    """Everything in a queue, after waiting for the first."""
    items: list[Item] = []
    try:
        items.append(ended.get(timeout=timeout_s))
        while True:
            items.append(ended.get_nowait())
    except queue.Empty:
        return items


def outcome_of(done: Future[StudyOutcome], key: str) -> StudyOutcome:
    """What a future holds, or what its error means."""
    error = done.exception() if not done.cancelled() else None
    if done.cancelled():
        return StudyOutcome(key, "dropped")
    if error is not None:
        reason = f"Unexpected {type(error).__name__} around the study. Please report it."
        return StudyOutcome(key, "failed", reason, "unexpected")
    return done.result()
