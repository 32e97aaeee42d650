"""The run as a process of its own: started, found again by its journal, asked to pause or end, never waited for.

It belongs to nobody's window: closing Slicer does not end it, and opening the tab on its folder shows it again.
"""

import json
import os
import subprocess
import tempfile
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

from slicer.i18n import tr as _

from SegAnyPETLib.errors import InputError

JOURNAL = "journal.sqlite"
USUAL_ENDS = (0, 9, 130)  # of the command: done, some studies were not done, interrupted
ENDED_STATES = ("done", "failed", "doubtful", "skipped")
LINES_TOLD = 3
MOST_ENDS, FEWEST_GAPS, LONG_GAP = 50, 5, 5  # how the time left is estimated from when studies ended
_started = []  # processes outlive the panel; Python would complain of those it forgets while they run


@dataclass(frozen=True)
class RunState:
    """A run as its journal says.

    Attributes:
        rows: `JournalRow` objects.
        wish: What was asked for last: run, pause or stop.
        isAlive: Whether a process works on it.
        message: What that process is doing, in the journal's words.
        dashboard: Address of its dashboard; empty where it has none.
    """

    rows: tuple
    wish: str = "run"
    isAlive: bool = False
    message: str = ""
    dashboard: str = ""

    @property
    def ended(self):
        """How many studies need nothing more."""
        return sum(row.state in ENDED_STATES for row in self.rows)

    def count(self, state):
        """How many studies are in a state."""
        return sum(row.state == state for row in self.rows)

    @property
    def secondsLeft(self):
        """How long it will probably take; None while nothing is known."""
        left = len(self.rows) - self.ended
        if not left:
            return None
        ends = sorted(row.updated_at for row in self.rows if row.state == "done")[-MOST_ENDS:]
        gaps = [after - before for before, after in pairwise(ends)]
        if len(gaps) >= FEWEST_GAPS:
            usual = median(gaps)
            counted = [gap for gap in gaps if gap <= LONG_GAP * usual]  # longer ones were pauses
            return left * sum(counted) / len(counted)
        times = [row.seconds for row in self.rows if row.state == "done" and row.seconds is not None]
        workers = min(max(self.count("running"), 1), left)
        return median(times) * left / workers if times else None


class BatchRun:
    """One run at a time: the one of a folder."""

    def __init__(self):
        """Know of no run yet."""
        self._process = self._folder = self._console = None
        self._rows, self._counts = (), None  # as last read

    @property
    def folder(self):
        """Folder of the run; None before one was started or looked at."""
        return self._folder

    @property
    def isStarting(self):
        """Whether the process we started lives; it may not have a journal yet."""
        return self._process is not None and self._process.poll() is None

    def look(self, folder):
        """Look at the run of a folder, which may be of another day.

        Args:
            folder: Where its results are, or will be.
        """
        folder = Path(folder)
        if folder != self._folder:
            self._folder, self._process = folder, None
            self.readAgain()

    def start(self, folder, arguments):
        """Start a run, or go on with it.

        Args:
            folder: Where results go; it is made where it is not there.
            arguments: Of the command ``batch``, without the folder.

        Raises:
            OSError: The folder cannot be written, or the process not be started.
        """
        self.look(folder)
        self.readAgain()
        self._folder.mkdir(parents=True, exist_ok=True)
        self._forgetConsole()
        # Not in the folder of the run, which may be passed on: an error of the command line may name paths.
        handle, self._console = tempfile.mkstemp(prefix="SegAnyPET-", suffix=".txt")
        with os.fdopen(handle, "wb") as said:
            command = ["batch", *arguments, "--out", str(self._folder), "--quiet"]
            self._process = launch(command, stdout=subprocess.DEVNULL, stderr=said)
        _started.append(self._process)

    def state(self):
        """How the run is now; None where the folder has no journal that can be read yet."""
        for process in _started:
            process.poll()  # one that ended would else be there still, for who asks the system
        with self._journal() as journal:
            if journal is None:
                return None
            driver, counts = journal.driver(), journal.counts()
            isAlive = driver.is_alive or self.isStarting
            if counts != self._counts:  # reading a thousand rows takes longer than a frame
                self._rows, self._counts = tuple(journal.rows()), counts
            return RunState(self._rows, journal.wish(), isAlive, driver.message, driver.dashboard)

    def readAgain(self):
        """Read the rows next time although no study has changed its state: a result was corrected."""
        self._counts = None

    def facts(self):
        """What the run was begun with; None where there is no run."""
        with self._journal() as journal:
            return None if journal is None else journal.run()

    def ask(self, wish):
        """Ask the run to go on, to pause or to stop; one without a journal yet is ended.

        Args:
            wish: run, pause or stop.

        Raises:
            OutputError: The journal cannot be written.
        """
        with self._journal() as journal:
            if journal is not None:
                journal.ask(wish)
            elif wish == "stop" and self.isStarting:
                self._process.terminate()

    def problem(self):
        """Why the process we started ended before it had done its work; told once, empty where it did not."""
        if self._process is None or self._process.poll() is None:
            return ""
        isRefused = self._process.poll() not in USUAL_ENDS
        problem = lastLines(self._console) if isRefused else ""
        self._process = None
        self._forgetConsole()
        return problem

    def _forgetConsole(self):
        if self._console is not None:
            Path(self._console).unlink(missing_ok=True)
        self._console = None

    @contextmanager
    def _journal(self):
        from SegAnyPETLib.batch.journal import Journal

        path = None if self._folder is None else self._folder / JOURNAL
        if path is None or not path.is_file():
            yield None
            return
        try:
            journal = Journal.open(path, read_only=True)
        except InputError:  # it is being made, or of another version; the process says so in its log
            yield None
            return
        with closing(journal):
            yield journal


class StudySearch:
    """What a run would do, found out by a process that writes nothing."""

    def __init__(self):
        """Search for nothing yet."""
        self._process = self._scratch = None

    @property
    def isRunning(self):
        """Whether a search was started and its end not yet seen."""
        return self._process is not None

    def start(self, folder, arguments):
        """Begin to look.

        Args:
            folder: Where results would go.
            arguments: Of the command ``batch``, without the folder.

        Raises:
            OSError: The process cannot be started.
        """
        self.stop()
        self._scratch = tempfile.TemporaryDirectory(prefix="SegAnyPET-")
        with self._path("found.json").open("wb") as found, self._path("problems.txt").open("wb") as problems:
            self._process = launch(
                ["batch", *arguments, "--out", str(folder), "--dry-run", "--json"], stdout=found, stderr=problems
            )

    def poll(self):
        """What was found, once it ended: the parsed answer and why there is none; None while it goes on."""
        if self._process is None or self._process.poll() is None:
            return None
        code = self._process.poll()
        try:
            answer, problem = json.loads(self._path("found.json").read_text(encoding="utf-8")), ""
        except ValueError:
            answer, problem = None, ""
        if answer is None or code != 0:
            problem = lastLines(self._path("problems.txt"))
        self._end()
        return answer, problem

    def stop(self):
        """End the search; nothing happens where none runs."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._end()

    def _path(self, name):
        return Path(self._scratch.name) / name

    def _end(self):
        self._process = None
        self._scratch.cleanup()


def launch(arguments, *, stdout, stderr, module="SegAnyPETLib"):
    """Start one of our modules in a process that does not end with Slicer.

    Args:
        arguments: After the module's name.
        stdout: A file for what it says.
        stderr: A file for what goes wrong.
        module: The module to run; the command line.

    Returns:
        The process.
    """
    from SegAnyPETLib.worker.python_command import no_console, python_command, python_environment

    return subprocess.Popen(
        python_command(module, *arguments),
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        env=python_environment(),
        creationflags=no_console() | getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        start_new_session=True,  # closing Slicer, or the terminal it was started from, is not for the run
    )


def lastLines(path):
    """The end of a log, which says why a process ended."""
    try:
        lines = Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    said = [line.strip() for line in lines if line.strip()][-LINES_TOLD:]
    return "\n".join(said) or _("The process ended without saying why.")
