"""A run over many studies in one process: nothing is lost, nothing is done twice, nothing stops it."""

import csv
import errno
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pretended_study
import pytest
from pretended_study import NAME, run_pretended, search_many

from SegAnyPETLib.batch import runner
from SegAnyPETLib.batch.journal import Journal
from SegAnyPETLib.batch.results import is_complete
from SegAnyPETLib.batch.run_folder import JOURNAL_NAME
from SegAnyPETLib.batch.runner import run_batch
from SegAnyPETLib.batch.settings import BatchSettings
from SegAnyPETLib.errors import InputError, OutputError


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def run(what, out, **options):
    options = {"scheduler": "none", "search": search_many, "run_one": run_pretended} | options
    return run_batch([what, str(out.parent)], out=out, **options)


@pytest.fixture
def start_driver():
    """Starts drivers as processes of their own, and ends those that are left."""
    started = []

    def start(what, out, scheduler="none"):
        started.append(driver_process(what, out, scheduler))
        return started[-1]

    yield start
    for driver in started:
        driver.kill()
        driver.wait()


def driver_process(what, out, scheduler):
    script = Path(pretended_study.__file__)
    words = [sys.executable, str(script), what, str(out.parent), str(out), scheduler]
    return subprocess.Popen(
        words, cwd=Path(__file__).parents[3], env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    )


def done_so_far(out):
    if not (out / JOURNAL_NAME).is_file():
        return -1
    with closing(Journal.open(out / JOURNAL_NAME, read_only=True)) as journal:
        return journal.counts().get("done", 0)


def wait_until(condition, *, timeout_s=30.0):
    until = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.01)


def written(out):
    return Counter((out / "written.txt").read_text().split())


def snapshot(out):
    """Every file of the results with its content and its time."""
    names = [path for path in out.rglob("*") if path.is_file() and not path.name.startswith(("journal", "log"))]
    return {path.relative_to(out): (path.read_bytes(), path.stat().st_mtime_ns) for path in names}


def test_every_bad_study_says_why_and_the_others_are_done(out):
    summary = run("9 1=suv,3=bug,4=memory,6=disk full", out)
    assert summary.counts == {"done": 5, "failed": 4}
    assert [row.kind for row in summary.rows if row.state == "failed"] == [
        "SUVError",
        "unexpected",
        "MemoryError",
        "OSError",
    ]
    with (out / "studies.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert Counter(row["state"] for row in rows) == {"done": 5, "failed": 4}
    assert all(row["reason"] for row in rows if row["state"] == "failed")
    log = (out / "log.txt").read_text()
    assert "KeyError" in log
    for text in (log, (out / "studies.csv").read_text()):
        assert NAME not in text
        assert "1.2.826" not in text


def test_running_twice_changes_nothing(out):
    run("6 2=suv", out)
    before = snapshot(out)
    time.sleep(0.02)
    summary = run("6 2=suv", out)
    after = snapshot(out)
    del before[Path("begun.txt")], after[Path("begun.txt")]  # the failed study was tried again
    assert after == before
    assert summary.counts == {"done": 5, "failed": 1}
    assert written(out).most_common(1)[0][1] == 1


def test_killed_at_any_moment_no_study_is_lost_or_repeated(out, start_driver):
    chance = random.Random(5)
    for kill in range(4):
        driver = start_driver("60", out)
        already = max(done_so_far(out), 0)
        enough = already + chance.randrange(2, 12)
        wait_until(lambda enough=enough: done_so_far(out) >= enough)
        time.sleep(chance.random() * 0.01)
        driver.send_signal(signal.SIGKILL)
        assert driver.wait() == -signal.SIGKILL, f"the driver had ended before kill {kill}"
    summary = run("60", out)
    assert summary.counts == {"done": 60}
    assert max(written(out).values()) == 1
    fingerprint = BatchSettings().fingerprint
    assert all(is_complete(out / "studies" / row.key, key=row.key, fingerprint=fingerprint) for row in summary.rows)
    assert all(row.input_hash and row.output_hashes for row in summary.rows)


def test_a_study_that_kills_the_program_fails_at_the_third_time_and_takes_no_other_with_it(out, start_driver):
    for _ in range(3):
        assert start_driver("8 3=kill", out).wait(60) == -signal.SIGKILL
    for _ in range(2):  # the last also shows that it is not tried again
        summary = run("8 3=kill", out)
        assert summary.counts == {"done": 7, "failed": 1}
    (row,) = (row for row in summary.rows if row.state == "failed")
    assert row.key == pretended_study.pretended_study(3).key
    assert (row.kind, row.attempts, row.deaths) == ("killed", 3, 3)


def test_pause_lets_the_begun_end_and_run_goes_on(out):
    states = []

    def ask():
        wait_until(lambda: done_so_far(out) >= 2)
        with closing(Journal.open(out / JOURNAL_NAME, read_only=True)) as journal:
            journal.ask("pause")
            wait_until(lambda: journal.driver().message == "paused" and not journal.counts().get("running"))
            states.append(journal.counts())
            time.sleep(0.5)
            states.append(journal.counts())
            journal.ask("run")

    person = threading.Thread(target=ask)
    person.start()
    summary = run("20 slow", out)
    person.join()
    assert summary.counts == {"done": 20}
    assert states[0] == states[1]
    assert states[0]["waiting"] > 0


def test_stop_ends_within_a_second_and_a_later_run_does_the_rest(out):
    stopped_at = []

    def ask():
        wait_until(lambda: done_so_far(out) >= 2)
        with closing(Journal.open(out / JOURNAL_NAME, read_only=True)) as journal:
            journal.ask("stop")
        stopped_at.append(time.monotonic())

    person = threading.Thread(target=ask)
    person.start()
    summary = run("30 slow", out)
    assert time.monotonic() - stopped_at[0] < 1.5
    person.join()
    assert summary.was_stopped
    assert summary.counts.get("running", 0) == 0
    assert summary.counts["waiting"] > 0
    assert run("30", out, search=lambda *_: search_many(["30", str(out.parent)], None)).counts == {"done": 30}
    assert max(written(out).values()) == 1


def test_a_signal_ends_the_run_cleanly(out, start_driver):
    driver = start_driver("40 slow", out)
    wait_until(lambda: done_so_far(out) >= 1)
    driver.send_signal(signal.SIGTERM)
    assert driver.wait(20) == 0
    with closing(Journal.open(out / JOURNAL_NAME, read_only=True)) as journal:
        assert set(journal.counts()) == {"done", "waiting"}
        assert journal.driver().pid is None
    assert (out / "lesions.csv").is_file()


def test_a_second_driver_is_refused_while_the_first_works(out, start_driver):
    driver = start_driver("40 slow", out)
    wait_until(lambda: done_so_far(out) >= 1)
    with pytest.raises(OutputError, match=rf"process {driver.pid} on .* works on it"):
        run("40 slow", out)


def test_other_settings_are_refused_by_name_and_redo_does_everything_anew(out):
    run("3", out)
    first = written(out)
    other = replace(BatchSettings(), candidates="percent:41", formats=("seg",))
    with pytest.raises(InputError, match=r"candidates: suv:4.0 before, percent:41 now; formats: .* before, seg now"):
        run("3", out, settings=other)
    run("3", out, settings=replace(BatchSettings(), device="cpu"))
    assert written(out) == first
    assert run("3", out, settings=other, redo=True).counts == {"done": 3}
    assert set(written(out).values()) == {2}
    assert run("3", out, settings=other).done_now == 0


def test_resuming_takes_settings_and_sources_from_the_run(out):
    settings = BatchSettings(kind="lbm")
    run("3", out, settings=settings)
    summary = run_batch((), out=out, scheduler="none", must_exist=True, search=search_many, run_one=run_pretended)
    assert summary.counts == {"done": 3}
    with pytest.raises(InputError, match="a run to resume"):
        run("3", out.parent / "elsewhere", must_exist=True)


def test_a_study_that_is_found_no_more_is_told(out):
    run("4 2=suv,3=suv", out)
    summary = run("3", out)
    assert summary.counts == {"done": 3, "failed": 1}
    run("2", out, redo=True)
    assert {row.reason for row in run("2", out).rows if row.state == "skipped"} == {runner.NOT_FOUND}


def test_a_result_somebody_damaged_is_not_taken_for_done_after_a_crash(out):
    rows = run("2", out).rows
    page = out / "studies" / rows[0].key / "page.png"
    page.write_bytes(b"other")
    with sqlite3.connect(out / JOURNAL_NAME) as connection:
        connection.execute("UPDATE studies SET state = 'running', worker = 'this process'")
    connection.close()
    run("2", out)
    assert written(out) == {rows[0].key: 2, rows[1].key: 1}


def test_a_study_folder_that_may_not_be_written_is_a_reason(out, monkeypatch):
    def refuse(folder, _result, _settings):
        raise PermissionError(errno.EACCES, "Permission denied", str(folder))

    monkeypatch.setattr(pretended_study, "_write", refuse)
    summary = run("2", out)
    assert {row.reason for row in summary.rows} == {"Files could not be read or written: Permission denied."}
    monkeypatch.undo()
    assert run("2", out).counts == {"done": 2}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_ends_the_run_with_a_word(tmp_path):
    tmp_path.chmod(0o555)
    with pytest.raises(OutputError, match="may write"):
        run("2", tmp_path / "out")


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="Choose one"):
        run("2", tmp_path / "file" / "out")


def test_a_full_disk_under_the_journal_pauses_the_run_and_loses_nothing(out, monkeypatch):
    messages = []
    real = Journal.finish
    limited = []

    def finish(self, key, outcome):
        if not limited:  # from now on the journal cannot grow; room is made when somebody was told
            limited.append(self._database._connection)
            limited[0].execute("PRAGMA max_page_count = 1")
            outcome = replace(outcome, output_hashes={str(index): "0" * 64 for index in range(2000)})
        real(self, key, outcome)

    def told(message):
        messages.append(message)
        limited[0].execute("PRAGMA max_page_count = 100000")

    monkeypatch.setattr(Journal, "finish", finish)
    assert run("6", out, on_message=told).counts == {"done": 6}
    assert len(messages) == 1
    assert "full" in messages[0]
    assert max(written(out).values()) == 1


def test_the_table_follows_a_study_that_failed_before_and_is_done_now(out):
    run("2 1=suv", out)
    run("2", out)
    with (out / "studies.csv").open(newline="") as stream:
        assert {row["state"] for row in csv.DictReader(stream)} == {"done"}


def test_at_most_three_studies_are_in_memory(out):
    most, now, lock = [0], [0], threading.Lock()

    def counted(study, **options):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        try:
            return run_pretended(study, **options)
        finally:
            with lock:
                now[0] -= 1

    run("12 slow", out, run_one=counted)
    assert 1 < most[0] <= 3


def test_what_was_unpacked_is_gone_when_nothing_waits(out):
    def search(sources, workspace):
        (workspace / "unpacked.dcm").write_bytes(b"")
        assert workspace.stat().st_mode & 0o777 == 0o700
        return search_many(sources, workspace)

    run("2", out, search=search)
    assert not (out / runner.WORKSPACE).exists()
    shutil.rmtree(out)
