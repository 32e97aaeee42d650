"""The SQLite file under the journal: its tables, its opening, and writing that outlasts a full disk."""

from __future__ import annotations

import os
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from SegAnyPETLib.data.living_process import may_be_alive
from SegAnyPETLib.errors import InputError, OutputError

SCHEMA = "seganypet-journal/1"
BUSY_S = 10.0  # a panel may ask while the driver writes; each transaction takes milliseconds
DEAD_AFTER_S = 60.0  # a driver of another machine that has not written for so long is dead
_TABLES = """
CREATE TABLE run (
    only INTEGER PRIMARY KEY CHECK (only = 1), schema TEXT NOT NULL, settings TEXT NOT NULL,
    fingerprint TEXT NOT NULL, sources TEXT NOT NULL,
    chosen_series TEXT NOT NULL DEFAULT '[]', version TEXT NOT NULL, started_at REAL NOT NULL);
CREATE TABLE studies (
    key TEXT PRIMARY KEY, position INTEGER NOT NULL, source TEXT NOT NULL DEFAULT '',
    patient_key TEXT NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL DEFAULT '', kind TEXT NOT NULL DEFAULT '',
    attempts INTEGER NOT NULL DEFAULT 0, deaths INTEGER NOT NULL DEFAULT 0, worker TEXT NOT NULL DEFAULT '',
    lesions INTEGER, seconds REAL, files_stamp TEXT NOT NULL DEFAULT '', input_hash TEXT NOT NULL DEFAULT '',
    output_hashes TEXT NOT NULL DEFAULT '{}', model TEXT NOT NULL DEFAULT '',
    weights_sha256 TEXT NOT NULL DEFAULT '', version TEXT NOT NULL DEFAULT '',
    is_corrected INTEGER NOT NULL DEFAULT 0, must_redo INTEGER NOT NULL DEFAULT 0,
    updated_at REAL NOT NULL, study_instance_uid TEXT);
CREATE TABLE control (
    only INTEGER PRIMARY KEY CHECK (only = 1), wish TEXT NOT NULL, pid INTEGER, host TEXT NOT NULL DEFAULT '',
    token TEXT NOT NULL DEFAULT '', heartbeat_at REAL NOT NULL DEFAULT 0, dashboard TEXT NOT NULL DEFAULT '',
    message TEXT NOT NULL DEFAULT '', tables_stamp TEXT NOT NULL DEFAULT '');
"""
Patience = Callable[[str], bool]


def give_up(_trouble: str) -> bool:
    """The patience of those who would rather be told: none."""
    return False


class JournalDatabase:
    """A connection that several threads of one process may use.

    Attributes:
        patience: Asked with a sentence when the disk is full or the file cannot be written; True tries again.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, *, patience: Patience = give_up) -> None:
        self.path = path
        self.patience = patience
        self._connection = connection
        self._connection.row_factory = sqlite3.Row
        self._lock = threading.RLock()

    @classmethod
    def create(cls, path: Path, *first: tuple[str, tuple[object, ...]]) -> JournalDatabase:
        """Make a new file with its tables and first rows; it appears whole or not at all.

        Args:
            path: Of the file.
            first: Statements with their values that fill the tables.

        Raises:
            OutputError: There is one already, or it cannot be written.
        """
        if path.exists():
            msg = f"Expected no journal at {path}; found one. Resume that run, or choose another folder."
            raise OutputError(msg)
        temporary = path.with_name(f".{path.name}-{os.getpid()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.unlink(missing_ok=True)
            connection = sqlite3.connect(temporary)
            connection.executescript(_TABLES)
            for statement, values in first:
                connection.execute(statement, values)
            connection.commit()
            connection.close()
            temporary.replace(path)
        except (OSError, sqlite3.Error) as error:
            temporary.unlink(missing_ok=True)
            msg = f"Cannot write the journal {path}: {error}. Free space, or choose a folder you may write to."
            raise OutputError(msg) from error
        return cls.open(path)

    @classmethod
    def open(cls, path: Path, *, read_only: bool = False) -> JournalDatabase:
        """Open a file that `create` made.

        Raises:
            InputError: There is none, or it is no journal.
        """
        if not path.is_file():
            msg = f"Expected a journal of a batch run at {path}; found none. Give the folder of a run."
            raise InputError(msg)
        try:
            return cls(path, _read_only(path) if read_only else _writable(path))
        except sqlite3.Error as error:
            msg = f"Expected a journal of a batch run at {path}; it cannot be opened: {error}. Is it a copy of one?"
            raise InputError(msg) from error

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The connection, for queries.

        Raises:
            InputError: The file is damaged, or no journal.
        """
        with self._lock:
            try:
                yield self._connection
            except sqlite3.Error as error:
                msg = f"Expected a journal of a batch run at {self.path}; it cannot be read: {error}."
                raise InputError(msg) from error

    def write(self, *work: tuple[str, tuple[object, ...]]) -> int:
        """Do statements in one transaction; gives how many rows the last one changed.

        Raises:
            OutputError: They cannot be written, and `patience` is used up.
        """
        while True:
            try:
                with self._lock:
                    return self._transaction(work)
            except sqlite3.OperationalError as error:
                trouble = f"Cannot write the journal {self.path.name}: {error}. Free space on its disk."
                if not self.patience(trouble):
                    raise OutputError(trouble) from error

    def _transaction(self, work: tuple[tuple[str, tuple[object, ...]], ...]) -> int:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            changed = 0
            for statement, values in work:
                changed = self._connection.execute(statement, values).rowcount
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        return changed

    @property
    def mode(self) -> str:
        """``wal``, or another of SQLite's journal modes where the file system refuses it."""
        with self.reading() as connection:
            return str(connection.execute("PRAGMA journal_mode").fetchone()[0])

    def close(self) -> None:
        """Close the connection; nothing is lost by not calling it."""
        with self._lock:
            self._connection.close()


def _writable(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    # Write-ahead: readers never wait for the driver. Network file systems refuse it; the default mode then serves.
    connection.execute("PRAGMA journal_mode=WAL").fetchone()
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("SELECT schema FROM run").fetchone()
    return connection


def _read_only(path: Path) -> sqlite3.Connection:
    address = path.absolute().as_uri()
    for options in ("?mode=ro", "?mode=ro&immutable=1"):  # the second for a folder that may not be written
        connection = sqlite3.connect(
            address + options, uri=True, timeout=BUSY_S, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute("SELECT schema FROM run").fetchone()
        except sqlite3.OperationalError:
            connection.close()
            if "immutable" in options:
                raise
        else:
            break
    return connection


def is_driver_alive(pid: int | None, host: str, heartbeat_at: float) -> bool:
    """Whether the process that last drove a run is there still.

    On this machine its process id says so at once; of another machine only the age of its heartbeat is known.
    """
    if pid is None or time.time() - heartbeat_at > DEAD_AFTER_S:
        return False
    return host != socket.gethostname() or may_be_alive(pid)
