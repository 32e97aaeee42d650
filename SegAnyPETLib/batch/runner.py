"""One run over many studies: found, done in any order, noted in the journal, put into tables.

The driver, the process that calls `run_batch`, may be killed at any moment. What was done stays done, and what was
under way is looked at when the run is resumed: complete results count, the rest is done anew.
"""

from __future__ import annotations

import pickle
import shutil
import time
import warnings
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from SegAnyPETLib.batch.dask_runner import DaskEngine, usual_scheduler
from SegAnyPETLib.batch.engine import Engine, LostStudy, StudyRunner, ThreadEngine, run_here
from SegAnyPETLib.batch.identifiers import without_identifiers
from SegAnyPETLib.batch.journal_row import KILLED, MOST_DEATHS
from SegAnyPETLib.batch.run_control import RunControl
from SegAnyPETLib.batch.run_folder import (
    judge_outputs,
    judge_study,
    make_folder,
    make_secret,
    note_settings,
    open_run,
    refresh_tables,
    with_choices,
)
from SegAnyPETLib.batch.run_log import RunLog, readers_silenced
from SegAnyPETLib.errors import InputError, SegAnyPETError

if TYPE_CHECKING:
    from SegAnyPETLib.batch.journal import Journal, JournalRow
    from SegAnyPETLib.batch.journal_row import RunFacts
    from SegAnyPETLib.batch.outcome import StudyOutcome
    from SegAnyPETLib.batch.settings import BatchSettings
    from SegAnyPETLib.batch.study import FoundStudy

LOOK_S = 0.2  # how soon a wish is heard
DROP_S = 30.0  # how long studies may take to end when the run is stopped
WORKSPACE = ".found"  # what was unpacked or fetched; readable by its owner only, removed when nothing waits any more
ENOUGH_DEATHS = MOST_DEATHS - 1  # the next one decides, so it must be nobody else's
NOT_FOUND = "It was not found again in the sources."
Search = Callable[[Sequence[str], Path], Iterable["FoundStudy"]]


@dataclass(frozen=True)
class RunProgress:
    """How far a run is.

    Attributes:
        counts: How many studies are in each state.
        done_now: How many this process has brought to an end, well or not.
        message: What it is doing, or what it waits for.
    """

    counts: Mapping[str, int]
    done_now: int
    message: str


@dataclass(frozen=True)
class RunSummary:
    """How a run ended.

    Attributes:
        rows: Every study.
        counts: How many are in each state.
        done_now: How many this process brought to an end.
        seconds: Time it took.
        was_stopped: It was asked to stop before all was done.
        was_interrupted: A signal asked so.
    """

    rows: tuple[JournalRow, ...]
    counts: Mapping[str, int]
    done_now: int
    seconds: float
    was_stopped: bool
    was_interrupted: bool


def run_batch(
    sources: Sequence[str],
    *,
    out: Path,
    settings: BatchSettings | None = None,
    scheduler: str = "auto",
    workers: int | None = None,
    chosen_series: Sequence[str] = (),
    must_exist: bool = False,
    redo: bool = False,
    on_progress: Callable[[RunProgress], None] | None = None,
    on_message: Callable[[str], None] | None = None,
    search: Search | None = None,
    run_one: StudyRunner = run_here,
) -> RunSummary:
    """Do every study of the sources that is not done yet.

    Args:
        sources: See `batch.finding.find_studies`; empty for those the run was begun with.
        out: Folder of the run.
        settings: None for those the run was begun with.
        scheduler: "none" for this process, "local" for worker processes on this machine, "auto" for the faster of
            both here, or the address of a Dask scheduler.
        workers: How many worker processes, for "local"; None for as many as suit the machine.
        chosen_series: Which series to use where the rules leave a doubt, by UID or by the digits that the doubt shows;
            kept for when the run is resumed.
        must_exist: Resume a run, never begin one.
        redo: Do everything anew, with other settings where they are others.
        on_progress: Told whenever a study ended.
        on_message: Told what a person must know, for example that the disk is full.
        search: Finds the studies, in place of the usual one.
        run_one: Does one study, in place of the usual one.

    Returns:
        How the run ended. That studies failed is no error of the run.

    Raises:
        InputError: Settings, sources or scheduler cannot be used.
        ModelError: The model is not here.
        OutputError: Another process drives this run, or the folder, the journal or the tables cannot be written.
        SessionError: Another process has taken the run over, since this one gave no sign for a minute.
        WorkerError: Dask's scheduler is gone.
    """
    started = time.perf_counter()
    journal, facts = open_run(out, settings=settings, sources=sources, must_exist=must_exist, redo=redo)
    facts = with_choices(facts, chosen_series)
    log = RunLog(out, show=on_message)
    control = RunControl(journal, log)
    with _driving(journal, control):
        note_settings(journal, facts)
        scheduler = usual_scheduler(facts.settings) if scheduler == "auto" else scheduler
        run = _Run(journal, facts, out, control, log, on_progress, has_workers=scheduler != "none")
        run.prepare(search or partial(_search, log, facts.chosen_series), redo=redo)
        run.drive(lambda: _engine(scheduler, run_one, facts.settings, out, workers))
        run.end()
        return run.summary(time.perf_counter() - started)


@contextmanager
def _driving(journal: Journal, control: RunControl) -> Iterator[None]:
    """Take the run, keep its heart beating, and leave it however the work ends.

    Raises:
        OutputError: Another process drives this run.
    """
    try:
        journal.take(patience=control.patience)
        with control.hearing_signals(), control.beating(), readers_silenced(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # those that matter are in the results; others may quote the patient
            yield
    finally:
        with suppress(SegAnyPETError):  # on a full disk the next driver sees that this process is gone
            journal.leave()
        journal.close()


def _search(log: RunLog, chosen: Sequence[str], sources: Sequence[str], workspace: Path) -> Iterable[FoundStudy]:
    from SegAnyPETLib.batch.finding import search_sources

    found = search_sources(sources, workspace=workspace, chosen_series=chosen)
    log.write(f"search: {found}")
    return found.studies


def _engine(scheduler: str, run_one: StudyRunner, settings: BatchSettings, out: Path, workers: int | None) -> Engine:
    if run_one is run_here:
        from SegAnyPETLib.batch.loaded_models import check_model_is_here

        check_model_is_here(settings)
    if scheduler == "none":
        return ThreadEngine(run_one, settings=settings, out=out)
    if scheduler == "local":
        return DaskEngine.on_this_machine(run_one, settings=settings, out=out, workers=workers)
    if "://" not in scheduler:
        msg = f"Expected a scheduler auto, none, local or an address such as tcp://host:8786; found {scheduler!r}."
        raise InputError(msg)
    return DaskEngine.at(scheduler, run_one, settings=settings, out=out)


class _Run:
    """A run while its driver works on it."""

    def __init__(
        self,
        journal: Journal,
        facts: RunFacts,
        out: Path,
        control: RunControl,
        log: RunLog,
        on_progress: Callable[[RunProgress], None] | None,
        *,
        has_workers: bool,
    ) -> None:
        self.journal, self.facts, self.out = journal, facts, out
        self.control, self.log = control, log
        self.done_now = 0
        self.was_stopped = False
        self.has_workers = has_workers
        self._on_progress = on_progress
        self._shelf: dict[str, bytes] = {}
        self._waiting: deque[str] = deque()
        self._suspects: set[str] = set()
        self._flying: set[str] = set()

    def prepare(self, search: Search, *, redo: bool) -> None:
        """Find the studies, and settle which of them wait."""
        self._say("looking for studies")
        if redo:
            self.journal.redo()
        # One that killed its process is tried again only where that process is not this one.
        retried = [row for row in self.journal.rows() if row.state == "failed"]
        retried = [row for row in retried if row.kind != KILLED or self.has_workers]
        workspace = make_folder(self.out / WORKSPACE, mode=0o700)
        found = {study.key: study for study in search(self.facts.sources, workspace)}
        self.journal.add(found.values(), salt=make_secret(self.out, self.facts.settings))
        # Paths of a thousand studies take hundreds of megabytes as objects, a few when packed.
        self._shelf = {key: zlib.compress(pickle.dumps(study), 1) for key, study in found.items()}
        del found
        self.journal.recover(self._judge)
        self.journal.retry(row.key for row in retried if row.key in self._shelf)
        for row in self.journal.rows():
            if row.state == "waiting" and row.key not in self._shelf:
                self.journal.skip(row.key, NOT_FOUND)
            elif row.state == "doubtful" and row.key not in self._shelf:
                self.journal.forget(row.key)
        waiting = [row for row in self.journal.rows() if row.state == "waiting"]
        self._suspects = {row.key for row in waiting if row.deaths >= ENOUGH_DEATHS}
        self._check_prompts(len(waiting))
        self._waiting = deque(row.key for row in sorted(waiting, key=lambda row: row.deaths))
        self.log.write(f"{len(self._shelf)} studies found, {len(self._waiting)} to do")

    def _check_prompts(self, number: int) -> None:
        """Refuse clicks of one patient for the studies of several.

        Raises:
            InputError: The prompts do not say which study they are for, and there are several.
        """
        from SegAnyPETLib.batch.prompting import is_for_one_study

        prompts = self.facts.settings.prompts
        if prompts is not None and len(self._shelf) > 1 and number and is_for_one_study(prompts):
            msg = (
                f"Expected prompts that say which study they are for; found one file without that, and "
                f"{len(self._shelf)} studies. Give a folder with a file for each study, or a table with a column study."
            )
            raise InputError(msg)

    def _judge(self, key: str) -> StudyOutcome | None:
        """What became of a study that a dead driver had begun: its outcome where the results are complete."""
        if key not in self._shelf:
            return judge_outputs(self.out, key, self.facts.settings)
        return judge_study(self.out, self._study(key), self.facts.settings)

    def drive(self, start_engine: Callable[[], Engine]) -> None:
        """Do the studies that wait, until none does or a person asks to stop."""
        if not self._waiting:
            return
        self._say("starting")
        engine = start_engine()
        try:
            self.journal.beat(dashboard=engine.dashboard)
            if engine.dashboard:
                self.log.write(f"dashboard: {engine.dashboard}", is_shown=True)
            self._until_done(engine)
        finally:
            engine.close()

    def _until_done(self, engine: Engine) -> None:
        message = ""
        while self._waiting or self._flying:
            wish = self.control.wish()
            if wish == "stop":
                self._drop(engine)
                return
            if wish == "run":
                self._begin_some(engine)
            now = "paused" if wish == "pause" else "working" if self._flying else "waiting for workers"
            if now != message:
                message = now
                self._say(message)
            for ended in engine.collect(LOOK_S):
                self._settle(ended)
                self._say(message)

    def _begin_some(self, engine: Engine) -> None:
        """Begin studies as far as there is room; one that a process died over goes alone, so that no other suffers."""
        room = engine.capacity() - len(self._flying)
        while self._waiting and room > 0:
            key = self._waiting[0]
            if self._flying and (key in self._suspects or self._flying & self._suspects):
                return
            self._waiting.popleft()
            self.journal.claim(key, engine.name)
            self._flying.add(key)
            engine.submit(self._study(key), must_redo=self.journal.must_redo(key))
            room -= 1

    def _study(self, key: str) -> FoundStudy:
        study: FoundStudy = pickle.loads(zlib.decompress(self._shelf[key]))  # packed in this process
        return study

    def _settle(self, ended: StudyOutcome | LostStudy) -> None:
        key = ended.key
        self._flying.discard(key)
        if isinstance(ended, LostStudy):
            self.journal.lose(key, ended.cause, deaths=ended.deaths)
            self.log.write(f"{key}: {ended.cause}")
            row = self.journal.row(key)
            if row.state == "waiting":
                self._waiting.append(key)
                self._suspects |= {key} if row.deaths >= ENOUGH_DEATHS else set()
            else:
                self.done_now += 1
        elif ended.ending == "dropped":
            self.journal.release(key)
            self._waiting.append(key)
        elif ended.ending == "failed":
            reason = ended.reason
            if not self.facts.settings.shows_uids:  # again: the worker does not know what the series is called
                reason = without_identifiers(reason, self._study(key))
            self.journal.fail(key, reason, ended.kind, worker=ended.worker)
            self.log.write(f"{key}: failed ({ended.kind}): {reason}\n{ended.traceback}")
            self.done_now += 1
        else:
            self.journal.finish(key, ended)
            self.log.write(f"{key}: done, {ended.lesions} lesions, {ended.seconds:.1f} s")
            self.done_now += 1

    def _drop(self, engine: Engine) -> None:
        """End the studies in flight: those that are writing finish, the others wait for the next time."""
        self.was_stopped = True
        self._say("stopping")
        engine.drop()
        until = time.monotonic() + DROP_S
        while self._flying and time.monotonic() < until:
            for ended in engine.collect(LOOK_S):
                self._settle(ended)
        for key in sorted(self._flying):
            self.journal.release(key)

    def end(self) -> None:
        """Write the tables, and remove what was unpacked once nothing waits for it."""
        refresh_tables(self.out, self.journal)
        counts = self.journal.counts()
        if not counts.get("waiting") and not counts.get("running"):
            shutil.rmtree(self.out / WORKSPACE, ignore_errors=True)
        self._say("stopped" if self.was_stopped else "ended")
        self.log.write(f"{'stopped' if self.was_stopped else 'ended'}: {dict(counts)}")

    def summary(self, seconds: float) -> RunSummary:
        """How the run ended."""
        rows, counts = tuple(self.journal.rows()), self.journal.counts()
        return RunSummary(rows, counts, self.done_now, seconds, self.was_stopped, self.control.is_interrupted)

    def _say(self, message: str) -> None:
        self.journal.beat(message=message)
        if self._on_progress is not None:
            self._on_progress(RunProgress(self.journal.counts(), self.done_now, message))
