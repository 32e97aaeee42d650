"""The table of studies: one row each."""

from dataclasses import dataclass

from slicer.i18n import tr as _

from SegAnyPETPanels.Duration import duration
from SegAnyPETPanels.LineTable import LineTable

TITLE_LETTERS = 24
PICTURES = {
    "done": "Done",
    "failed": "Failed",
    "running": "Running",
    "waiting": "Waiting",
    "doubtful": "Warning",
    "skipped": "Skipped",
}
TINTS = {"done": "good", "failed": "bad", "running": "busy", "doubtful": "doubtful"}


def stateName(state):
    """A state in words; what is not known is shown as it is."""
    return {
        "done": _("Done"),
        "failed": _("Failed"),
        "running": _("Running"),
        "waiting": _("Waiting"),
        "doubtful": _("Unclear"),
        "skipped": _("Left out"),
    }.get(state, state)


@dataclass(frozen=True)
class StudyLine:
    """One row.

    Attributes:
        key: Names the study in the run.
        state: One of the journal's states.
        title: Which study it is, for the person at the screen.
        lesions: How many were segmented; None while that is not known.
        seconds: How long it took; None while that is not known.
        reason: Why it failed, is unclear or was left out; or what is done with it.
        isCorrected: A person has changed the result.
        place: Where it lies, for the tool tip.
    """

    key: str
    state: str
    title: str
    lesions: int | None = None
    seconds: float | None = None
    reason: str = ""
    isCorrected: bool = False
    place: str = ""


class BatchTable(LineTable):
    """A QTableWidget that shows `StudyLine` objects."""

    def __init__(self, table, *, onSelected, onOpened):
        """Take over a table.

        Args:
            table: A QTableWidget with the columns of the form.
            onSelected: Called when another row is chosen.
            onOpened: Called with a key when its row is double-clicked.
        """
        super().__init__(table, pictures=PICTURES, onSelected=onSelected, onOpened=onOpened)
        states = [stateName(state) for state in PICTURES]
        self.setWidths((states, TITLE_LETTERS * table.fontMetrics().averageCharWidth()))

    def texts(self, line):
        """State, study, and what came of it."""
        return stateName(line.state), line.title, result(line)

    def explanation(self, line):
        """Everything, where cells are too narrow."""
        return explanation(line)

    def look(self, line):
        """The names of a row's icon and of its tint."""
        return line.state, TINTS.get(line.state)


def result(line):
    """What came of a study: the reason, or how many lesions in which time."""
    if line.reason or line.lesions is None:
        return line.reason
    words = {0: _("No lesion"), 1: _("1 lesion")}
    found = words.get(line.lesions) or _("{count} lesions").format(count=line.lesions)
    if line.isCorrected:
        return _("{found}, corrected").format(found=found)
    return found if line.seconds is None else f"{found}, {duration(line.seconds)}"


def explanation(line):
    """What the tool tip says: everything, where cells are too narrow."""
    found = result(line)
    lines = [line.place or line.title, f"{stateName(line.state)}: {found}" if found else stateName(line.state)]
    if line.state == "done":
        lines.append(_("Double-click to open it with its result."))
    return "\n".join(lines)
