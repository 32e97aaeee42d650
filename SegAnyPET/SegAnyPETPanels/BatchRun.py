"""The run of many studies, as its journal says, and the search that tells beforehand what it would do."""

from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from SegAnyPETLib.errors import InputError
from SegAnyPETPanels.DetachedProcess import JSONCommand
from SegAnyPETPanels.FolderRun import FolderRun

JOURNAL = "journal.sqlite"
ENDED_STATES = ("done", "failed", "doubtful", "skipped")
MOST_ENDS, FEWEST_GAPS, LONG_GAP = 50, 5, 5  # how the time left is estimated from when studies ended


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


class BatchRun(FolderRun):
    """One run at a time: the one of a folder."""

    usualEnds = (0, 9, 130)  # done, some studies were not done, interrupted

    def start(self, folder, arguments):
        """Start a run, or go on with it.

        Args:
            folder: Where results go; it is made where it is not there.
            arguments: Of the command ``batch``, without the folder.

        Raises:
            OSError: The folder cannot be written, or the process not be started.
        """
        self._lookAndMake(folder)
        self.readAgain()
        self._launch("batch", arguments)

    def _read(self):
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
            elif wish == "stop":
                self._own.terminate()

    def _forget(self):
        self._rows, self._counts = (), None  # as last read

    @contextmanager
    def _journal(self):
        from SegAnyPETLib.batch.journal import Journal

        path = None if self.folder is None else self.folder / JOURNAL
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


class StudySearch(JSONCommand):
    """What a run would do, found out by a process that writes nothing."""

    def look(self, folder, arguments):
        """Begin to look; another search is ended.

        Args:
            folder: Where results would go.
            arguments: Of the command ``batch``, without the folder.

        Raises:
            OSError: The process cannot be started.
        """
        self.start(["batch", *arguments, "--out", str(folder), "--dry-run", "--json"])
