"""A run as a process of its own: started, watched, killed; its memory and its progress."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from SegAnyPETLib.batch.journal import Journal, JournalRow
from SegAnyPETLib.errors import SegAnyPETError

LOOK_EVERY_S = 1.0
ENDED = ("done", "failed", "doubtful", "skipped")
MIB = 1024**2


@dataclass(frozen=True)
class Look:
    """One look at a run.

    Attributes:
        at_s: Since the watch began.
        driver_mib: Resident memory of the driver.
        workers_mib: Of each process below it, the largest first.
        counts: Studies by state.
    """

    at_s: float
    driver_mib: float
    workers_mib: tuple[float, ...]
    counts: dict[str, int]

    @property
    def ended(self) -> int:
        """Studies that need no more work."""
        return sum(count for state, count in self.counts.items() if state in ENDED)


@dataclass
class Watch:
    """A run that is watched.

    Attributes:
        out: Its folder.
        looks: One a second.
        events: When something was done to it: seconds since the watch began, and what.
    """

    out: Path
    looks: list[Look] = field(default_factory=list)
    events: list[tuple[float, str]] = field(default_factory=list)
    _began: float = field(default_factory=time.monotonic)

    @property
    def now_s(self) -> float:
        """Since the watch began."""
        return time.monotonic() - self._began

    def note(self, what: str) -> None:
        """Keep an event, and tell the person who waits."""
        self.events.append((self.now_s, what))
        sys.stderr.write(f"{self.now_s:8.1f} s  {what}\n")

    def run(
        self, command: Sequence[str], *, log: Path, until: Callable[[Look], bool] | None = None, limit_s: float
    ) -> tuple[psutil.Popen, int | None]:
        """Start a driver and watch it until it ends, `until` says so, or the time is over.

        Returns:
            The process and its exit status; None while it runs.
        """
        with log.open("ab") as stream:
            process = psutil.Popen(command, stdout=stream, stderr=stream, stdin=subprocess.DEVNULL)
        self.note(f"driver started, process {process.pid}")
        status = self.go_on(process, until=until, limit_s=limit_s)
        return process, status

    def go_on(
        self, process: psutil.Popen, *, until: Callable[[Look], bool] | None = None, limit_s: float
    ) -> int | None:
        """Watch a driver that runs already; see `run`."""
        end = time.monotonic() + limit_s
        while time.monotonic() < end:
            try:
                status = process.wait(timeout=LOOK_EVERY_S)
            except psutil.TimeoutExpired:
                look = self._look(process)
                self.looks.append(look)
                if until is not None and until(look):
                    return None
                continue
            self.note(f"driver ended with status {status}")
            return int(status)
        self.note(f"still running after {limit_s:.0f} s")
        return None

    def rows(self) -> list[JournalRow]:
        """The journal; empty before there is one."""
        try:
            journal = Journal.open(self.out / "journal.sqlite", read_only=True)
        except SegAnyPETError:
            return []
        try:
            return journal.rows()
        finally:
            journal.close()

    def _look(self, process: psutil.Popen) -> Look:
        counts: dict[str, int] = {}
        for row in self.rows():
            counts[row.state] = counts.get(row.state, 0) + 1
        sizes = [memory_mib(each) for each in workers_of(process)]
        return Look(self.now_s, memory_mib(process), tuple(sorted(sizes, reverse=True)), counts)


def workers_of(process: psutil.Process) -> list[psutil.Process]:
    """Processes below the driver that do work; the small ones that only watch over others are left out."""
    try:
        below = process.children(recursive=True)
    except psutil.Error:
        return []
    return sorted((each for each in below if memory_mib(each) > 60), key=memory_mib, reverse=True)


def memory_mib(process: psutil.Process) -> float:
    """Resident memory, 0 where the process is gone."""
    try:
        return float(process.memory_info().rss) / MIB
    except psutil.Error:
        return 0.0


def kill(process: psutil.Process) -> None:
    """As a power cut would."""
    with contextlib.suppress(psutil.Error, ProcessLookupError):
        os.kill(process.pid, signal.SIGKILL)


def wait_for_orphans(processes: Sequence[psutil.Process], *, limit_s: float) -> tuple[float, int]:
    """How long processes outlive their driver, and how many had to be ended here."""
    began = time.monotonic()
    _gone, alive = psutil.wait_procs(list(processes), timeout=limit_s)
    for each in alive:
        kill(each)
    return time.monotonic() - began, len(alive)
