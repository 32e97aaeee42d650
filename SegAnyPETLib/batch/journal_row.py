"""What the journal says: one row for each study, the run itself, and the process that drives it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:
    from SegAnyPETLib.batch.settings import BatchSettings

State = Literal["waiting", "running", "done", "failed", "doubtful", "skipped"]
STATES: tuple[State, ...] = get_args(State)
Wish = Literal["run", "pause", "stop"]
WISHES: tuple[Wish, ...] = get_args(Wish)
IN_PROCESS = "this process"  # a worker that is the driver itself
KILLED = "killed"  # the kind of failure of a study whose process ended over it
MOST_DEATHS = 3  # a study whose worker died so often is failed instead of tried again


@dataclass(frozen=True)
class JournalRow:
    """One study of a run.

    Attributes:
        key: `FoundStudy.key`; nothing of the patient can be read from it.
        source: Where it lies, for the person at this machine; may hold names, so it is empty in a run that
            de-identifies. Never to be sent anywhere or logged.
        patient_key: The same for all studies of one patient.
        state: waiting, running, done, failed, doubtful (a person must choose the series) or skipped (cannot be done).
        reason: Why it failed, is doubtful or was skipped; empty otherwise.
        kind: Of a failure: the name of its error, ``MemoryError``, ``OSError``, ``killed`` or ``unexpected``.
        attempts: How often it was begun.
        deaths: How often the process that worked on it died.
        worker: Who worked on it last.
        lesions: Segments in its result; None until it is done.
        seconds: Time it took; None until it is done.
        input_hash: SHA-256 over the files read.
        output_hashes: Relative file -> SHA-256.
        model: Name of the model.
        weights_sha256: Of its weights file.
        version: Of the program that made the result.
        is_corrected: A person has changed the result since.
        updated_at: Seconds since 1970, UTC.
        study_instance_uid: None unless the run may show UIDs.
    """

    key: str
    source: str
    patient_key: str
    state: State
    reason: str = ""
    kind: str = ""
    attempts: int = 0
    deaths: int = 0
    worker: str = ""
    lesions: int | None = None
    seconds: float | None = None
    input_hash: str = ""
    output_hashes: Mapping[str, str] = field(default_factory=dict)
    model: str = ""
    weights_sha256: str = ""
    version: str = ""
    is_corrected: bool = False
    updated_at: float = 0.0
    study_instance_uid: str | None = None

    @classmethod
    def of_database(cls, facts: Mapping[str, Any]) -> JournalRow:  # SQLite values
        """The row that a query over all columns gave."""
        values = {name: facts[name] for name in cls.__dataclass_fields__}
        values["output_hashes"] = json.loads(values["output_hashes"])
        values["is_corrected"] = bool(values["is_corrected"])
        return cls(**values)


@dataclass(frozen=True)
class RunFacts:
    """What a journal was begun with.

    Attributes:
        settings: Of every study.
        sources: What the person gave.
        chosen_series: Series that a person chose where the rules leave a doubt, by their sixteen digits.
        version: Of the program.
        started_at: Seconds since 1970, UTC.
    """

    settings: BatchSettings
    sources: tuple[str, ...]
    chosen_series: tuple[str, ...]
    version: str
    started_at: float


@dataclass(frozen=True)
class DriverFacts:
    """The process that drives a run.

    Attributes:
        pid: Its process id; None where nobody drives the run.
        host: The machine it runs on.
        heartbeat_at: When it last wrote, seconds since 1970, UTC; 0 for never.
        dashboard: Address of Dask's dashboard; empty where there is none.
        message: What it wants a person to know, for example that the disk is full; empty for nothing.
        is_alive: Whether it is there still.
    """

    pid: int | None
    host: str
    heartbeat_at: float
    dashboard: str
    message: str
    is_alive: bool
