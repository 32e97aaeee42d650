"""Runs on Dask's workers: one dies, the driver dies, the scheduler dies."""

import logging
import os
import signal
import threading
from collections import Counter
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import dask
import pretended_study
import pytest
from distributed import LocalCluster
from pretended_study import NAME, run_pretended, search_many
from test_batch_runner import done_so_far, start_driver, wait_until, written  # noqa: F401  start_driver is a fixture

from SegAnyPETLib.batch import dask_runner
from SegAnyPETLib.batch.dask_runner import DaskEngine, gpu_count, sensible_workers
from SegAnyPETLib.batch.journal import Journal
from SegAnyPETLib.batch.run_folder import JOURNAL_NAME
from SegAnyPETLib.batch.runner import run_batch
from SegAnyPETLib.batch.settings import BatchSettings
from SegAnyPETLib.errors import InputError, WorkerError

# A worker that is killed leaves sockets that Python notices later, in whichever test runs then.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")


def run(what, out, scheduler, **options):
    options = {"search": search_many, "run_one": run_pretended} | options
    return run_batch([what, str(out.parent)], out=out, scheduler=scheduler, **options)


@pytest.fixture(scope="module")
def a_scheduler():
    """A scheduler with one worker, as a site would run it."""
    with LocalCluster(
        n_workers=1, threads_per_worker=2, dashboard_address="127.0.0.1:0", silence_logs=logging.CRITICAL
    ) as cluster:
        yield cluster


def test_two_workers_outlive_a_study_that_kills_them(tmp_path):
    out = tmp_path / "out"
    messages = []
    retries = dask.config.get("distributed.scheduler.allowed-failures")
    summary = run("8 3=kill once,5=kill", out, "local", workers=2, on_message=messages.append)
    rows = {row.key: row for row in summary.rows}
    killer, once = (pretended_study.pretended_study(number).key for number in (5, 3))
    assert summary.counts == {"done": 7, "failed": 1}
    assert (rows[killer].kind, rows[killer].deaths) == ("killed", 3)
    assert rows[once].deaths >= 1
    assert "3 times" in rows[killer].reason
    assert max(written(out).values()) == 1
    assert not [text for text in messages if "dashboard" in text]  # bokeh is not among the requirements
    assert NAME not in (out / "log.txt").read_text()
    assert dask.config.get("distributed.scheduler.allowed-failures") == retries  # of other users of Dask here


def test_workers_end_with_their_driver_and_the_run_is_resumed(tmp_path, start_driver):  # noqa: F811  the fixture
    out = tmp_path / "out"
    driver = start_driver("24 slow", out, "local")
    wait_until(lambda: done_so_far(out) >= 3)
    children = children_of(driver.pid)
    assert len(children) >= 2
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    wait_until(lambda: not any(is_running(pid) for pid in children), timeout_s=10)
    summary = run("24 slow", out, "none")
    assert summary.counts == {"done": 24}
    assert max(written(out).values()) == 1
    assert {row.deaths for row in summary.rows} == {0}


def test_a_scheduler_somewhere_is_used_by_its_address_and_obeys_stop(tmp_path, a_scheduler):
    out = tmp_path / "out"

    def ask():
        wait_until(lambda: done_so_far(out) >= 2)
        with closing(Journal.open(out / JOURNAL_NAME, read_only=True)) as journal:
            journal.ask("stop")

    person = threading.Thread(target=ask)
    person.start()
    summary = run("30 slow", out, a_scheduler.scheduler_address)
    person.join()
    assert summary.was_stopped
    assert summary.counts["waiting"] > 10
    assert "running" not in summary.counts
    summary = run("30 slow", out, a_scheduler.scheduler_address)
    assert summary.counts == {"done": 30}
    assert max(Counter(written(out)).values()) == 1


def test_names_of_people_do_not_reach_other_machines_beyond_the_paths_of_files(tmp_path):
    study = replace(pretended_study.pretended_study(1, behaviour="WB for Anna Schmitt"), source="/mnt/ANNA")
    bare = dask_runner._bare(study)
    assert (bare.source, bare.pet.description) == ("", "")
    assert bare.key == study.key


def test_a_scheduler_that_goes_away_ends_the_run_with_a_word(tmp_path, monkeypatch):
    monkeypatch.setattr(dask_runner, "CONNECT_S", 2.0)
    with LocalCluster(
        n_workers=1, threads_per_worker=2, dashboard_address="127.0.0.1:0", silence_logs=logging.CRITICAL
    ) as cluster:
        engine = DaskEngine.at(cluster.scheduler_address, run_pretended, settings=BatchSettings(), out=tmp_path)
        assert engine.capacity() == 2
        assert engine.dashboard == ""
    with pytest.raises(WorkerError, match="resume"):
        wait_until(lambda: engine.capacity() < 0)
    engine.close()


@pytest.mark.parametrize("address", ["nowhere", "tcp://127.0.0.1:9"])
def test_an_address_where_nothing_answers_is_refused(tmp_path, monkeypatch, address):
    monkeypatch.setattr(dask_runner, "CONNECT_S", 0.5)
    with pytest.raises(InputError, match="scheduler"):
        run("1", tmp_path / "out", address)


@pytest.mark.parametrize(("cores", "gpus", "workers"), [(1, 0, 1), (2, 0, 1), (8, 0, 2), (64, 0, 16), (8, 2, 2)])
def test_workers_suit_the_machine(cores, gpus, workers):
    assert sensible_workers(cores, gpus) == workers


def test_gpus_are_counted_as_they_are_offered(tmp_path, monkeypatch):
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'GPU 0: A (UUID: x)'\necho 'GPU 1: A (UUID: y)'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    for visible, count in ((None, 2), ("1", 1), ("", 0)):
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        if visible is not None:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        assert gpu_count() == count
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    assert [dask_runner._gpu_of(name, 2) for name in (0, 1)] == ["4", "7"]


def children_of(pid):
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended meanwhile
            continue
        if int(fields[1]) == pid:
            found.append(int(path.parent.name))
    return found


def is_running(pid):
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
