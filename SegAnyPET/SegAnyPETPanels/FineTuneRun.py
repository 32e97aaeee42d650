"""The training of a folder, followed by the lines it writes."""

import json
import math
from dataclasses import dataclass, field

from SegAnyPETPanels.DetachedProcess import readJSON
from SegAnyPETPanels.FineTuneCases import LIST_NAME
from SegAnyPETPanels.FolderRun import FolderRun

PLAN, CARD, PICTURE = "run.json", "card.json", "card.png"
ENDS = ("done", "stopped", "failed")
MOST_POINTS = 2000  # of a curve; from there on every second one goes
READ_AT_ONCE = 1 << 20  # bytes in one look, so that a long file takes several
LONGEST_CARD = 16 << 20


@dataclass
class Curve:
    """Values over steps, thinned where they become too many to draw."""

    steps: list = field(default_factory=list)
    values: list = field(default_factory=list)
    every: int = 1

    def add(self, step, value):
        """Append one point; from a step that comes again, as a resumed run's, what was there is replaced."""
        while self.steps and self.steps[-1] >= step:
            self.steps.pop()
            self.values.pop()
        if self.steps and step - self.steps[-1] < self.every:
            return
        self.steps.append(step)
        self.values.append(value)
        if len(self.steps) > MOST_POINTS:
            del self.steps[1::2], self.values[1::2]
            self.every *= 2


@dataclass(frozen=True)
class TrainingState:
    """A run as its folder says.

    Attributes:
        line: The newest line of its progress, a mapping.
        loss: `Curve` of the loss.
        dice: `Curve` of the validation Dice.
        wish: What was asked for last: run, pause or stop.
        isAlive: Whether a process works on it.
    """

    line: dict
    loss: Curve
    dice: Curve
    wish: str = "run"
    isAlive: bool = False

    @property
    def phase(self):
        """What is being done, as the run calls it."""
        return str(self.line.get("phase", ""))

    @property
    def hasEnded(self):
        """Whether the run came to an end of its own."""
        return self.phase in ENDS and not self.isAlive

    def number(self, name):
        """A number of the newest line; None where it has none."""
        return numberOf(self.line.get(name))


class FineTuneRun(FolderRun):
    """One run at a time: the one of a folder."""

    usualEnds = (0, 130)  # done, interrupted

    def start(self, folder, arguments, *, goesOn):
        """Start a run, or go on with it.

        Args:
            folder: Where results go; it is made where it is not there.
            arguments: Of the command ``finetune``, without the folder.
            goesOn: Whether to go on where the folder's run stopped.

        Raises:
            OSError: The folder cannot be made, or the process not be started.
            OutputError: The wish cannot be written.
        """
        from SegAnyPETLib.finetune.run_progress import write_wish

        self._lookAndMake(folder)
        write_wish(self.folder, "run")
        self._launch("finetune", ["--resume"] if goesOn else arguments)  # a run keeps what it was begun with

    def _read(self):
        from SegAnyPETLib.finetune.heartbeat import is_beating
        from SegAnyPETLib.finetune.run_progress import read_wish

        self._readOn()
        isAlive = self.isStarting or is_beating(self.folder)
        if not (self._line or isAlive):
            return None
        return TrainingState(self._line, self._loss, self._dice, read_wish(self.folder), isAlive)

    def ask(self, wish):
        """Ask the run to go on, to pause or to stop.

        Args:
            wish: run, pause or stop.

        Raises:
            OutputError: The wish cannot be written.
        """
        from SegAnyPETLib.finetune.run_progress import write_wish

        write_wish(self.folder, wish)

    def card(self):
        """What came of it; None while there is no card."""
        if self.folder is None:
            return None
        path = self.folder / CARD
        try:
            changed = path.stat().st_mtime_ns
        except OSError:
            return None
        if changed != self._cardChanged:
            found = readJSON(path, most=LONGEST_CARD)
            self._card, self._cardChanged = found if isinstance(found, dict) else None, changed
        return self._card

    @property
    def canGoOn(self):
        """Whether the folder holds a run that was begun and has no card yet."""
        return self.folder is not None and (self.folder / PLAN).is_file() and not (self.folder / CARD).is_file()

    @property
    def isTaken(self):
        """Whether the folder holds a run, so that no other can begin there."""
        return self.folder is not None and (self.folder / PLAN).is_file()

    @property
    def cohortPath(self):
        """The list that a run of the folder is or was trained with; None where there is none."""
        path = None if self.folder is None else self.folder / LIST_NAME
        return path if path is not None and path.is_file() else None

    def _forget(self):
        self._line, self._loss, self._dice = {}, Curve(), Curve()
        self._place, self._rest = 0, b""
        self._card = self._cardChanged = None

    def _readOn(self):
        """Read what was appended since the last look, and understand the whole lines of it."""
        from SegAnyPETLib.finetune.run_progress import PROGRESS_NAME

        path = self.folder / PROGRESS_NAME
        try:
            if path.stat().st_size < self._place:  # begun anew
                self._forget()
            with path.open("rb") as stream:
                stream.seek(self._place)
                new = stream.read(READ_AT_ONCE)
        except OSError:
            return
        self._place += len(new)
        *lines, self._rest = (self._rest + new).split(b"\n")
        for line in lines:
            self._take(line)
        if len(self._rest) > READ_AT_ONCE:  # no run writes such a line
            self._rest = b""

    def _take(self, text):
        try:
            line = json.loads(text)
        except (ValueError, RecursionError):
            return
        if not isinstance(line, dict):
            return
        self._line = line
        step = numberOf(line.get("step"))
        for curve, name in ((self._loss, "loss"), (self._dice, "validation_dice")):
            value = numberOf(line.get(name))
            isNew = curve is self._loss or not curve.values or value != curve.values[-1]
            if step and value is not None and isNew:
                curve.add(step, value)


def numberOf(value):
    """A finite number; None for anything else."""
    isNumber = isinstance(value, int | float) and not isinstance(value, bool)
    return value if isNumber and math.isfinite(value) else None
