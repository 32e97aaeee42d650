"""The journal of a run: every study with its state, in an SQLite file that survives the death of any process.

One process, the driver, takes the run and writes; others read at any time, and may ask it to pause or stop.
The files of a study are not kept here. A resumed run looks through its sources again: files may have come or gone
since, and a list of paths names patients more often than not.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from SegAnyPETLib.batch.identifiers import without_identifiers
from SegAnyPETLib.batch.journal_database import SCHEMA, JournalDatabase, Patience, is_driver_alive
from SegAnyPETLib.batch.journal_row import (
    IN_PROCESS,
    KILLED,
    MOST_DEATHS,
    WISHES,
    DriverFacts,
    JournalRow,
    RunFacts,
    State,
    Wish,
)
from SegAnyPETLib.batch.settings import BatchSettings
from SegAnyPETLib.batch.study import hashed
from SegAnyPETLib.errors import InputError, OutputError, SessionError

if TYPE_CHECKING:
    from SegAnyPETLib.batch.outcome import StudyOutcome
    from SegAnyPETLib.batch.study import FoundStudy

__all__ = ["MOST_DEATHS", "DriverFacts", "Journal", "JournalRow", "RunFacts", "State", "Wish"]

Judge = Callable[[str], "StudyOutcome | None"]


class Journal:
    """One run's journal; safe to use from several threads."""

    def __init__(self, database: JournalDatabase) -> None:
        self._database = database
        self._token = ""

    @classmethod
    def create(cls, path: Path | str, *, settings: BatchSettings, sources: Sequence[str], version: str) -> Journal:
        """Begin a new run.

        Raises:
            OutputError: There is a journal already, or it cannot be written.
        """
        facts = json.dumps(settings.to_dict(), sort_keys=True)
        database = JournalDatabase.create(
            Path(path),
            (
                "INSERT INTO run (only, schema, settings, fingerprint, sources, version, started_at) "
                "VALUES (1, ?, ?, ?, ?, ?, ?)",
                (SCHEMA, facts, settings.fingerprint, json.dumps(list(sources)), version, time.time()),
            ),
            ("INSERT INTO control (only, wish) VALUES (1, 'run')", ()),
        )
        return cls(database)

    @classmethod
    def open(cls, path: Path | str, *, read_only: bool = False) -> Journal:
        """Open a run's journal, while it runs or later.

        Args:
            path: `journal.sqlite` in the folder of the run.
            read_only: Leave the file alone; `ask` works nevertheless.

        Raises:
            InputError: There is none, it is no journal, or of another version of this program.
        """
        journal = cls(JournalDatabase.open(Path(path), read_only=read_only))
        journal._check_schema()
        return journal

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    # What everybody may read

    def run(self) -> RunFacts:
        """What the run was begun with."""
        facts = self._one("SELECT settings, sources, chosen_series, version, started_at FROM run")
        settings = BatchSettings.from_dict(json.loads(facts["settings"]))
        sources, chosen = (tuple(json.loads(facts[name])) for name in ("sources", "chosen_series"))
        return RunFacts(settings, sources, chosen, facts["version"], facts["started_at"])

    def rows(self) -> list[JournalRow]:
        """Every study, in the order they were found."""
        with self._database.reading() as connection:
            found = connection.execute("SELECT * FROM studies ORDER BY position").fetchall()
        return [JournalRow.of_database(dict(facts)) for facts in found]

    def row(self, key: str) -> JournalRow:
        """One study.

        Raises:
            InputError: There is no such study in this run.
        """
        return JournalRow.of_database(dict(self._one("SELECT * FROM studies WHERE key = ?", key)))

    def counts(self) -> dict[str, int]:
        """How many studies are in each state that occurs."""
        with self._database.reading() as connection:
            found = connection.execute("SELECT state, count(*) FROM studies GROUP BY state").fetchall()
        return dict(map(tuple, found))

    def wish(self) -> Wish:
        """What a person asked the driver to do."""
        wish: Wish = self._one("SELECT wish FROM control")["wish"]
        return wish

    def ask(self, wish: Wish) -> None:
        """Ask the driver to run, to pause (finish the studies begun, begin no more) or to stop; from any process.

        Raises:
            InputError: It is none of these.
            OutputError: The journal cannot be written.
        """
        if wish not in WISHES:
            msg = f"Expected one of {', '.join(WISHES)}; found {wish!r}."
            raise InputError(msg)
        database = JournalDatabase.open(self._database.path)  # this journal may be open for reading only
        try:
            database.write(("UPDATE control SET wish = ?", (wish,)))
        finally:
            database.close()

    def driver(self) -> DriverFacts:
        """Who drives the run, and whether he is there still."""
        facts = self._one("SELECT * FROM control")
        alive = is_driver_alive(facts["pid"], facts["host"], facts["heartbeat_at"])
        names = ("pid", "host", "heartbeat_at", "dashboard", "message")
        return DriverFacts(**{name: facts[name] for name in names}, is_alive=alive)

    # What the driver does

    def take(self, *, patience: Patience) -> None:
        """Become the driver; what an earlier one asked for is forgotten.

        Args:
            patience: Asked with a sentence when the journal cannot be written; True tries again.

        Raises:
            OutputError: Another process drives this run, or the journal cannot be written.
        """
        driver = self.driver()
        if driver.is_alive and self._one("SELECT token FROM control")["token"] != self._token:
            msg = (
                f"Expected a run that nobody drives; process {driver.pid} on {driver.host} works on it. "
                "Wait for it, or ask it to stop."
            )
            raise OutputError(msg)
        token = uuid.uuid4().hex
        seen = self._one("SELECT token FROM control")["token"]
        self._database.patience = patience
        changed = self._database.write(
            (
                "UPDATE control SET pid = ?, host = ?, token = ?, heartbeat_at = ?, wish = 'run', dashboard = '', "
                "message = '' WHERE token = ?",
                (os.getpid(), socket.gethostname(), token, time.time(), seen),
            )
        )
        if not changed:
            msg = "Expected a run that nobody drives; another process took it just now. Wait for it."
            raise OutputError(msg)
        self._token = token

    def beat(self, *, dashboard: str | None = None, message: str | None = None) -> None:
        """Say that the driver lives, and what a person should know.

        Raises:
            SessionError: Another process has taken the run over.
        """
        changed = self._database.write(
            (
                "UPDATE control SET heartbeat_at = ?, dashboard = coalesce(?, dashboard), "
                "message = coalesce(?, message) WHERE token = ?",
                (time.time(), dashboard, message, self._token),
            )
        )
        if not changed:
            msg = "Expected to drive this run still; another process has taken it over. This one ends."
            raise SessionError(msg)

    def leave(self) -> None:
        """Drive the run no longer."""
        self._database.write(
            ("UPDATE control SET pid = NULL, token = '', dashboard = '' WHERE token = ?", (self._token,))
        )
        self._token = ""

    def add(self, studies: Iterable[FoundStudy], *, salt: bytes = b"") -> int:
        """Note studies that were found, each once; a known one waits again where its files are others than before.

        Args:
            studies: As they were found.
            salt: Secret of a run that de-identifies, see `run_folder.secret_of`.

        Returns:
            How many are new.
        """
        shows_uids = self.run().settings.shows_uids
        hides_sources = self.run().settings.is_deidentified and not shows_uids
        before = self._one("SELECT count(*) AS number, coalesce(max(position) + 1, 0) AS next FROM studies")
        work = []
        for position, study in enumerate(studies, start=before["next"]):
            state, reason = _first_state(study)
            if not shows_uids:
                reason = without_identifiers(reason, study)
            source = "" if hides_sources else study.source
            uid = study.study_instance_uid if shows_uids else None
            patient_key = hashed(study.patient_key, salt.hex()) if salt else study.patient_key
            work.append(
                (
                    _ADD,
                    (
                        *(study.key, position, source, patient_key, state, reason),
                        *(_files_stamp(study), time.time(), uid),
                    ),
                )
            )
        if work:
            self._database.write(*work)
        return int(self._one("SELECT count(*) AS number FROM studies")["number"]) - int(before["number"])

    def recover(self, judge: Judge) -> None:
        """Set right what a driver left that died: whatever is complete is done, the rest waits again.

        Args:
            judge: Gives the outcome of a study whose outputs are complete, None for the others.
        """
        for row in self.rows():
            if row.state not in ("waiting", "running"):
                continue
            outcome = None if self.must_redo(row.key) else judge(row.key)
            if outcome is not None:
                self.finish(row.key, outcome)
            elif row.state == "running" and row.worker == IN_PROCESS:
                self.lose(row.key, "the program ended while it worked on this study")
            elif row.state == "running":  # workers have processes of their own: the study did not end the driver
                self.release(row.key)

    def retry(self, keys: Iterable[str]) -> None:
        """Let failed studies wait again; those that killed their workers get one more attempt."""
        for key in keys:
            self._update(key, "state = 'waiting', deaths = min(deaths, ?)", MOST_DEATHS - 1)

    def must_redo(self, key: str) -> bool:
        """Whether an older result of the study does not count: it is to be done anew, or its files have changed."""
        return bool(self._one("SELECT must_redo FROM studies WHERE key = ?", key)["must_redo"])

    def skip(self, key: str, reason: str) -> None:
        """Note that a study cannot be done now, and why; it waits again when a later search finds it."""
        self._update(key, "state = 'skipped', reason = ?, kind = ''", reason)

    def change(self, settings: BatchSettings, sources: Sequence[str], chosen_series: Sequence[str]) -> None:
        """Go on with other settings and sources; see `redo` where results depend on them."""
        facts = json.dumps(settings.to_dict(), sort_keys=True)
        self._database.write(
            (
                "UPDATE run SET settings = ?, fingerprint = ?, sources = ?, chosen_series = ?",
                (facts, settings.fingerprint, json.dumps(list(sources)), json.dumps(list(chosen_series))),
            )
        )

    def redo(self) -> None:
        """Let every study that can be done wait again; results stay until they are replaced."""
        self._database.write(
            (
                "UPDATE studies SET state = 'waiting', reason = '', kind = '', deaths = 0, must_redo = 1 "
                "WHERE state IN ('done', 'failed', 'running', 'waiting')",
                (),
            ),
        )

    def forget(self, key: str) -> None:
        """Leave out a study that was never done and goes by another key now, with the series that a person chose."""
        self._database.write(("DELETE FROM studies WHERE key = ? AND state = 'doubtful'", (key,)))

    def claim(self, key: str, worker: str) -> None:
        """Note that a study is begun."""
        self._update(key, "state = 'running', attempts = attempts + 1, worker = ?, reason = '', kind = ''", worker)

    def finish(self, key: str, outcome: StudyOutcome) -> None:
        """Note that a study is done, and its outputs."""
        self._update(
            key,
            "state = 'done', reason = '', kind = '', must_redo = 0, is_corrected = 0, lesions = ?, seconds = ?, "
            "input_hash = ?, output_hashes = ?, model = ?, weights_sha256 = ?, version = ?, "
            "worker = coalesce(nullif(?, ''), worker)",
            *(outcome.lesions, outcome.seconds, outcome.input_hash, json.dumps(dict(outcome.output_hashes))),
            *(outcome.model, outcome.weights_sha256, outcome.version, outcome.worker),
        )

    def fail(self, key: str, reason: str, kind: str, *, worker: str = "") -> None:
        """Note that a study failed, and why."""
        self._update(
            key,
            "state = 'failed', reason = ?, kind = ?, worker = coalesce(nullif(?, ''), worker)",
            *(reason, kind, worker),
        )

    def release(self, key: str) -> None:
        """Let a study that was begun wait again, through no fault of its own."""
        self._update(key, "state = 'waiting', attempts = max(attempts - 1, 0)")

    def lose(self, key: str, cause: str, *, deaths: int = 1) -> None:
        """The process that worked on a study died: try again, or fail where that happened too often."""
        deaths += self.row(key).deaths
        if deaths >= MOST_DEATHS:
            reason = f"Its process ended {deaths} times ({cause}); too little memory is the likely cause. "
            reason += "Run again with --scheduler local --workers 1 to give it another try in a process of its own."
            self._update(key, "state = 'failed', deaths = ?, reason = ?, kind = ?", deaths, reason, KILLED)
        else:
            self._update(key, "state = 'waiting', deaths = ?", deaths)

    def tables_stamp(self) -> str:
        """What `stamp_tables` noted last; empty before."""
        return str(self._one("SELECT tables_stamp FROM control")["tables_stamp"])

    def stamp_tables(self, stamp: str) -> None:
        """Note what the tables over all studies were written from."""
        self._database.write(("UPDATE control SET tables_stamp = ?", (stamp,)))

    def correct(self, key: str, *, lesions: int, output_hashes: Mapping[str, str]) -> None:
        """Note that a person changed the result of a study, and its new outputs."""
        self._update(
            key,
            "state = 'done', reason = '', kind = '', is_corrected = 1, lesions = ?, output_hashes = ?",
            lesions,
            json.dumps(dict(output_hashes)),
        )

    def _update(self, key: str, assignments: str, *values: object) -> None:
        changed = self._database.write(
            (f"UPDATE studies SET {assignments}, updated_at = ? WHERE key = ?", (*values, time.time(), key))
        )
        if not changed:
            msg = f"Expected a study of this run; {key} is none."
            raise InputError(msg)

    def _one(self, query: str, *values: object) -> sqlite3.Row:
        with self._database.reading() as connection:
            found: sqlite3.Row | None = connection.execute(query, values).fetchone()
        if found is None:
            msg = f"Expected {', '.join(map(str, values)) or 'a run'} in the journal; found nothing."
            raise InputError(msg)
        return found

    def _check_schema(self) -> None:
        schema = self._one("SELECT schema FROM run")["schema"]
        if schema != SCHEMA:
            msg = f"Expected a journal of the form {SCHEMA}; found {schema}. Use the version of the program it is of."
            raise InputError(msg)


# A study known from before keeps its row; it waits again when its files have changed or its doubt is gone.
_ADD = """
INSERT INTO studies (key, position, source, patient_key, state, reason, files_stamp, updated_at, study_instance_uid)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (key) DO UPDATE SET
    state = excluded.state, reason = excluded.reason, source = excluded.source, kind = '',
    must_redo = max(must_redo, state = 'done'), deaths = 0, files_stamp = excluded.files_stamp,
    updated_at = excluded.updated_at
WHERE files_stamp != excluded.files_stamp OR state IN ('doubtful', 'skipped')
"""


def _first_state(study: FoundStudy) -> tuple[State, str]:
    if study.problems:
        return "skipped", " ".join(study.problems)
    if study.doubts:  # first: while a person must choose, there is no series
        return "doubtful", " ".join(study.doubts)
    return ("skipped", "There is no PET series that can be used.") if study.pet is None else ("waiting", "")


def _files_stamp(study: FoundStudy) -> str:
    """Changes when slices came or went, without reading any file: names and sizes, whatever the folder is called."""
    facts: list[Any] = []
    for series in (study.pet, study.ct):
        if series is not None:
            facts += sorted((path.name, path.stat().st_size if path.is_file() else -1) for path in series.files)
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()
