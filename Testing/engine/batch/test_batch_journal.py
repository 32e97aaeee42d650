"""The journal: what it keeps, who may write it, and what is in it about people."""

import os
import socket
import sqlite3
import subprocess
import sys

import pytest
from pretended_study import NAME, pretended_study

from SegAnyPETLib.batch.journal import MOST_DEATHS, Journal
from SegAnyPETLib.batch.outcome import StudyOutcome
from SegAnyPETLib.batch.settings import BatchSettings
from SegAnyPETLib.errors import InputError, OutputError, SessionError


def never(_trouble):
    return False


@pytest.fixture
def a_journal(tmp_path):
    settings = BatchSettings(kind="lbm", formats=("seg", "png"))
    journal = Journal.create(tmp_path / "journal.sqlite", settings=settings, sources=["/data"], version="9.9")
    yield journal
    journal.close()


def test_what_was_begun_can_be_read_by_others_while_the_driver_writes(a_journal, tmp_path):
    a_journal.add([pretended_study(1), pretended_study(2)])
    reader = Journal.open(tmp_path / "journal.sqlite", read_only=True)
    a_journal.claim(pretended_study(1).key, "somebody")
    assert [(row.state, row.attempts, row.worker) for row in reader.rows()] == [
        ("running", 1, "somebody"),
        ("waiting", 0, ""),
    ]
    run = reader.run()
    assert (run.settings.kind, run.settings.formats, run.sources, run.version) == (
        "lbm",
        ("seg", "png"),
        ("/data",),
        "9.9",
    )
    reader.ask("pause")
    assert a_journal.wish() == "pause"
    reader.close()


def test_a_study_is_noted_once_and_waits_again_when_a_slice_has_come(a_journal, tmp_path):
    study = pretended_study(1, folder=tmp_path)
    assert a_journal.add([study]) == 1
    a_journal.claim(study.key, "w")
    a_journal.finish(study.key, StudyOutcome(study.key, "done", lesions=3, seconds=1.5, output_hashes={"a": "b"}))
    assert a_journal.add([study]) == 0
    row = a_journal.row(study.key)
    assert (row.state, row.lesions, row.seconds, row.output_hashes) == ("done", 3, 1.5, {"a": "b"})
    study.pet.files[0].write_bytes(b"longer than before, as after a transfer that went on")
    a_journal.add([study])
    assert a_journal.row(study.key).state == "waiting"
    a_journal.recover(lambda key: pytest.fail("an older result must not count for other files"))
    assert a_journal.row(study.key).state == "waiting"


def test_unclear_and_impossible_studies_do_not_wait_and_no_uid_is_noted(a_journal, tmp_path):
    from dataclasses import replace

    clear = pretended_study(1)
    unclear = replace(pretended_study(2), doubts=(f"Two series fit: {pretended_study(2).pet.series_instance_uid}.",))
    impossible = replace(pretended_study(3), pet=None, problems=("There is no PET series.",))
    a_journal.add([clear, unclear, impossible])
    assert [row.state for row in a_journal.rows()] == ["waiting", "doubtful", "skipped"]
    assert "Two series fit" in a_journal.row(unclear.key).reason
    a_journal.close()
    content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"1.2.826" not in content.replace(str(clear.source).encode(), b"")


def test_a_run_that_deidentifies_notes_neither_places_nor_recognizable_patients(tmp_path):
    settings = BatchSettings(is_deidentified=True)
    journal = Journal.create(tmp_path / "journal.sqlite", settings=settings, sources=(), version="1")
    study = pretended_study(1)
    journal.add([study], salt=b"secret")
    journal.close()
    content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert NAME.encode() not in content
    assert study.patient_key.encode() not in content


def test_uids_are_noted_on_request(tmp_path):
    settings = BatchSettings(shows_uids=True)
    journal = Journal.create(tmp_path / "journal.sqlite", settings=settings, sources=(), version="1")
    journal.add([pretended_study(1)])
    assert journal.rows()[0].study_instance_uid == pretended_study(1).study_instance_uid
    journal.close()


def test_a_study_that_kills_its_worker_fails_at_the_third_time(a_journal):
    study = pretended_study(1)
    a_journal.add([study])
    states = []
    for _ in range(3):
        a_journal.claim(study.key, "w")
        a_journal.lose(study.key, "a worker process ended")
        states.append(a_journal.row(study.key).state)
    assert states == ["waiting", "waiting", "failed"]
    row = a_journal.row(study.key)
    assert (row.kind, row.deaths, row.attempts) == ("killed", MOST_DEATHS, 3)
    assert "3 times" in row.reason
    a_journal.retry([study.key])
    a_journal.lose(study.key, "again")
    assert a_journal.row(study.key).state == "failed"


def test_a_second_driver_is_refused_while_the_first_lives_and_takes_over_when_it_is_dead(a_journal, tmp_path):
    a_journal.take(patience=never)
    second = Journal.open(tmp_path / "journal.sqlite")
    with pytest.raises(OutputError, match=rf"process {os.getpid()} on {socket.gethostname()}"):
        second.take(patience=never)
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    with sqlite3.connect(tmp_path / "journal.sqlite") as connection:
        connection.execute("UPDATE control SET pid = ?", (child.pid,))
    connection.close()
    assert not second.driver().is_alive
    second.take(patience=never)
    assert second.driver().is_alive
    with pytest.raises(SessionError, match="taken it over"):
        a_journal.beat()
    second.leave()
    assert second.driver().pid is None
    second.close()


def test_a_driver_of_another_machine_counts_as_dead_after_a_minute_without_a_sign(a_journal, tmp_path):
    a_journal.take(patience=never)
    with sqlite3.connect(tmp_path / "journal.sqlite") as connection:
        connection.execute("UPDATE control SET host = 'elsewhere', pid = 1")
    assert a_journal.driver().is_alive
    with sqlite3.connect(tmp_path / "journal.sqlite") as connection:
        connection.execute("UPDATE control SET heartbeat_at = heartbeat_at - 61")
    connection.close()
    assert not a_journal.driver().is_alive


def test_a_full_disk_is_outwaited(a_journal):
    troubles = []

    def patience(trouble):
        troubles.append(trouble)
        connection.execute("PRAGMA max_page_count = 100000")  # somebody made room
        return True

    a_journal.take(patience=patience)
    connection = a_journal._database._connection
    connection.execute("PRAGMA max_page_count = 1")  # SQLite's own way to have a full disk
    a_journal.add([pretended_study(number) for number in range(300)])
    assert len(a_journal.rows()) == 300
    assert len(troubles) == 1
    assert "database or disk is full" in troubles[0]


def test_without_patience_a_full_disk_is_an_error_and_nothing_is_half_written(a_journal):
    a_journal._database._connection.execute("PRAGMA max_page_count = 1")
    with pytest.raises(OutputError, match="full"):
        a_journal.add([pretended_study(number) for number in range(300)])
    assert a_journal.rows() == []


def test_what_is_no_journal_is_refused_with_a_word(tmp_path):
    path = tmp_path / "journal.sqlite"
    with pytest.raises(InputError, match="found none"):
        Journal.open(path)
    path.write_bytes(b"SQLite format 3\0 but not really" * 40)
    for read_only in (False, True):
        with pytest.raises(InputError, match="cannot be opened"):
            Journal.open(path, read_only=read_only)


def test_a_journal_in_a_folder_that_may_not_be_written_can_be_read(a_journal, tmp_path):
    a_journal.add([pretended_study(1)])
    a_journal.close()
    tmp_path.chmod(0o555)
    try:
        reader = Journal.open(tmp_path / "journal.sqlite", read_only=True)
        assert len(reader.rows()) == 1
        reader.close()
    finally:
        tmp_path.chmod(0o755)


def test_a_correction_by_a_person_is_noted(a_journal):
    study = pretended_study(1)
    a_journal.add([study])
    a_journal.correct(study.key, lesions=2, output_hashes={"page.png": "new"})
    row = a_journal.row(study.key)
    assert (row.state, row.is_corrected, row.lesions, row.output_hashes) == ("done", True, 2, {"page.png": "new"})


def test_an_unknown_study_is_an_error(a_journal):
    with pytest.raises(InputError, match="abc"):
        a_journal.row("abc")
    with pytest.raises(InputError, match="abc"):
        a_journal.claim("abc", "w")
