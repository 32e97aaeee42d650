"""A long run of the command line whose results, progress and end stand in a folder.

It belongs to nobody's window: closing Slicer does not end it, and looking at its folder finds it again.
"""

from abc import ABC, abstractmethod
from pathlib import Path

from SegAnyPETPanels.DetachedProcess import DetachedRun, reapEnded


class FolderRun(ABC):
    """One run at a time: the one of a folder; what stands in the folder is known to whoever derives."""

    usualEnds = (0,)  # exit codes of the command that are no problem

    def __init__(self):
        """Know of no run yet."""
        self._own, self.folder = DetachedRun(), None
        self._forget()

    @property
    def isStarting(self):
        """Whether the process we started lives; it may not have written anything yet."""
        return self._own.isAlive

    def look(self, folder):
        """Look at the run of a folder, which may be of another day.

        Args:
            folder: Where its results are, or will be; None for nowhere.
        """
        folder = Path(folder) if folder else None
        if folder != self.folder:
            self.folder = folder
            self._own.leave()
            self._forget()

    def state(self):
        """How the run is now, with `wish` and `isAlive`; None where the folder holds none that can be read yet."""
        reapEnded()
        return None if self.folder is None else self._read()

    @abstractmethod
    def ask(self, wish):
        """Ask the run to go on, to pause or to stop.

        Args:
            wish: run, pause or stop.

        Raises:
            OutputError: The wish cannot be written.
        """

    def problem(self):
        """Why the process we started ended before it had done its work; told once, empty where it did not."""
        return self._own.problem(usualEnds=self.usualEnds)

    def _lookAndMake(self, folder):
        """Look at a folder, and make it where it is not there."""
        self.look(folder)
        self.folder.mkdir(parents=True, exist_ok=True)

    def _launch(self, command, arguments):
        """Start a command of ours, which works on the folder."""
        self._own.start([command, *arguments, "--out", str(self.folder), "--quiet"])

    @abstractmethod
    def _read(self):
        """The state of the folder's run."""

    @abstractmethod
    def _forget(self):
        """Drop what was read of the run before."""
