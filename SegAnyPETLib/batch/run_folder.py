"""The folder of a run: beginning one, coming back to it, and its tables."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from SegAnyPETLib.batch.journal import Journal
from SegAnyPETLib.batch.outcome import StudyOutcome
from SegAnyPETLib.batch.settings import BatchSettings
from SegAnyPETLib.batch.study import hashed
from SegAnyPETLib.batch.study_run import STUDIES_FOLDER, hash_inputs
from SegAnyPETLib.data import write_atomically
from SegAnyPETLib.errors import InputError, OutputError
from SegAnyPETLib.version import __version__

if TYPE_CHECKING:
    from SegAnyPETLib.batch.journal_row import JournalRow, RunFacts
    from SegAnyPETLib.batch.study import FoundStudy

JOURNAL_NAME = "journal.sqlite"
SECRET_NAME = "identities.key"
_SECRET_BYTES = 32


def open_run(
    out: Path, *, settings: BatchSettings | None, sources: Sequence[str], must_exist: bool, redo: bool
) -> tuple[Journal, RunFacts]:
    """The journal of a new run, or of one that was begun before in the same way.

    Args:
        out: Folder of the run; made where it is absent.
        settings: None for those the run was begun with.
        sources: Empty for those the run was begun with.
        must_exist: Refuse to begin a new run.
        redo: Accept other settings, and let every study be done anew by `prepare_run`.

    Raises:
        InputError: The settings differ from those the run was begun with, or there is no run to resume, or nothing
            says where the studies are.
        OutputError: The folder cannot be written.
    """
    path = out / JOURNAL_NAME
    if not path.is_file():
        if must_exist:
            msg = f"Expected a run to resume in {out}; found no {JOURNAL_NAME}. Leave out --resume to begin one."
            raise InputError(msg)
        make_folder(out)
        settings = settings or BatchSettings()
        journal = Journal.create(path, settings=settings, sources=_noted(sources, settings), version=__version__)
    else:
        journal = Journal.open(path)
    facts = journal.run()
    differing = differences(facts.settings, settings) if settings is not None else []
    if differing and not redo:
        journal.close()
        msg = (
            f"Expected the settings that the run in {out} was begun with; found others: {'; '.join(differing)}. "
            "Choose another folder, or do all of it anew with --redo."
        )
        raise InputError(msg)
    facts = replace(facts, settings=settings or facts.settings, sources=tuple(sources) or facts.sources)
    if not facts.sources:
        journal.close()
        msg = f"Expected where the studies are; found nothing, and the run in {out} does not keep it. Give SOURCE."
        raise InputError(msg)
    return journal, facts


def note_settings(journal: Journal, facts: RunFacts) -> None:
    """Write down what the run goes on with; only its driver may."""
    noted = _noted(facts.sources, facts.settings)
    before = journal.run()
    if (before.settings, before.sources, before.chosen_series) != (facts.settings, noted, facts.chosen_series):
        journal.change(facts.settings, noted, facts.chosen_series)


def with_choices(facts: RunFacts, chosen_series: Sequence[str]) -> RunFacts:
    """The run with series that a person chose besides the earlier ones; a UID is kept as its sixteen digits."""
    digits = {hashed(name) if "." in name else name for name in chosen_series}
    return replace(facts, chosen_series=tuple(sorted({*facts.chosen_series, *digits})))


def _noted(sources: Sequence[str], settings: BatchSettings) -> tuple[str, ...]:
    """What of the sources is kept: no password, and no path, which may hold names, in a run that de-identifies."""
    from SegAnyPETLib.batch.finding import without_credentials

    if settings.is_deidentified and not settings.shows_uids:
        return ()
    return tuple(map(without_credentials, sources))


def make_folder(out: Path, *, mode: int = 0o777) -> Path:
    """Make a folder unless it is there.

    Raises:
        OutputError: It cannot be made.
    """
    try:
        out.mkdir(mode=mode, parents=True, exist_ok=True)
    except OSError as error:
        msg = f"Cannot make the folder {out}: {error.strerror}. Choose one you may write to."
        raise OutputError(msg) from error
    return out


def make_secret(out: Path, settings: BatchSettings) -> bytes:
    """The secret of a run that de-identifies, made where there is none yet; empty for other runs.

    New identifiers come from it and from the old ones: who has both the results and this file can tell whether a
    result is of a patient he knows. Keep it to add studies later; leave it out when results are passed on.

    Raises:
        OutputError: It cannot be written.
    """
    path = out / SECRET_NAME
    if settings.is_deidentified and not path.is_file():
        with write_atomically(path) as temporary:
            temporary.touch(mode=0o600)
            temporary.write_bytes(secrets.token_bytes(_SECRET_BYTES))
    return secret_of(out, settings)


def secret_of(out: Path, settings: BatchSettings) -> bytes:
    """The secret that `make_secret` made.

    Raises:
        InputError: It is not there any more.
    """
    if not settings.is_deidentified:
        return b""
    path = out / SECRET_NAME
    secret = path.read_bytes() if path.is_file() else b""
    if len(secret) != _SECRET_BYTES:
        msg = f"Expected the secret of this run, {SECRET_NAME}; found none. Put it back, or begin in a new folder."
        raise InputError(msg)
    return secret


def differences(before: BatchSettings, now: BatchSettings) -> list[str]:
    """Which settings that results depend on are others, as "name: before, now"."""
    found = []
    for name in (field.name for field in fields(BatchSettings)):
        values: dict[str, Any] = {name: getattr(now, name)}  # of whatever type the field has
        if replace(before, **values).fingerprint != before.fingerprint:
            found.append(f"{name}: {_text(getattr(before, name))} before, {_text(getattr(now, name))} now")
    return found


def _text(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def judge_study(out: Path, study: FoundStudy, settings: BatchSettings) -> StudyOutcome | None:
    """The outcome of a study whose outputs are complete and of these settings; None for any other."""
    outcome = judge_outputs(out, study.key, settings)
    if outcome is None or study.pet is None:
        return outcome
    return replace(outcome, input_hash=hash_inputs(study.pet))


def judge_outputs(out: Path, key: str, settings: BatchSettings) -> StudyOutcome | None:
    """The same for a study whose files are not at hand."""
    from SegAnyPETLib.batch.results import is_complete, read_study_json

    folder = out / STUDIES_FOLDER / key
    if not is_complete(folder, key=key, fingerprint=settings.fingerprint):
        return None
    return outcome_of_json(key, read_study_json(folder))


def outcome_of_json(key: str, facts: Mapping[str, Any]) -> StudyOutcome:  # JSON values
    """What `study.json` says about a study that was done."""
    seconds = facts.get("seconds") or {}
    return StudyOutcome(
        key,
        "done",
        lesions=len(facts.get("lesions") or ()),
        seconds=sum(seconds.values()),
        seconds_by_step=seconds,
        output_hashes=facts.get("files") or {},
        model=str(facts.get("model") or ""),
        weights_sha256=str(facts.get("weights_sha256") or ""),
        version=str(facts.get("program") or ""),
    )


def refresh_tables(out: Path, journal: Journal) -> bool:
    """Write the tables over all studies; leaves them alone when they would be the same.

    Returns:
        Whether they were written.

    Raises:
        OutputError: They cannot be written.
    """
    from SegAnyPETLib.batch.results import write_tables

    rows = journal.rows()
    facts = [[row.key, row.state, row.reason, sorted(row.output_hashes.items())] for row in rows]
    stamp = hashlib.sha256(json.dumps(facts).encode()).hexdigest()
    if stamp == journal.tables_stamp() and (out / "lesions.csv").is_file():
        return False
    folders = [out / STUDIES_FOLDER / row.key for row in rows if row.state == "done"]
    write_tables(out, folders, [_failure(row) for row in rows if row.state != "done"])
    journal.stamp_tables(stamp)
    return True


def _failure(row: JournalRow) -> dict[str, object]:
    return {
        "key": row.key,
        "patient_key": row.patient_key,
        "state": row.state,
        "reason": row.reason,
        "kind": row.kind,
        "study_instance_uid": row.study_instance_uid,
    }
