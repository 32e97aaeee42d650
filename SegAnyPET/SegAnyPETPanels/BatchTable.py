"""The table of studies: one row each, filled anew only where something changed, so that hundreds stay fluent."""

from dataclasses import dataclass

import qt
from slicer.i18n import tr as _

from SegAnyPETPanels.PanelFiles import icon

ROW_PIXELS = 24
BESIDE_TEXT = 36  # pixels for an icon and the space around it
TITLE_LETTERS = 24
STATE, STUDY, RESULT = range(3)
PICTURES = {
    "done": "Done",
    "failed": "Failed",
    "running": "Running",
    "waiting": "Waiting",
    "doubtful": "Warning",
    "skipped": "Skipped",
}
# Red, green, blue and how much of it lies over the table's own colour, so that text stays readable in any style.
TINTS = {
    "done": (47, 158, 87, 60),
    "failed": (210, 80, 75, 75),
    "running": (58, 143, 214, 50),
    "doubtful": (224, 142, 30, 65),
}


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


class BatchTable:
    """A QTableWidget that shows `StudyLine` objects."""

    def __init__(self, table, *, onSelected, onOpened):
        """Take over a table.

        Args:
            table: A QTableWidget with the columns of the form.
            onSelected: Called when another row is chosen.
            onOpened: Called with a key when its row is double-clicked.
        """
        self._table, self._onOpened = table, onOpened
        self._lines = ()
        self._icons = {state: icon(name) for state, name in PICTURES.items()}
        header = table.horizontalHeader()
        header.setSectionResizeMode(qt.QHeaderView.Interactive)
        header.setSectionResizeMode(RESULT, qt.QHeaderView.Stretch)
        header.setHighlightSections(False)
        header.setDefaultAlignment(qt.Qt.AlignLeft | qt.Qt.AlignVCenter)
        widest = max(table.fontMetrics().horizontalAdvance(stateName(state)) for state in PICTURES)
        header.resizeSection(STATE, widest + BESIDE_TEXT)
        header.resizeSection(STUDY, TITLE_LETTERS * table.fontMetrics().averageCharWidth())
        table.verticalHeader().hide()
        table.verticalHeader().setDefaultSectionSize(ROW_PIXELS)
        table.connect("itemSelectionChanged()", onSelected)
        table.connect("cellDoubleClicked(int,int)", self._opened)

    @property
    def lines(self):
        """What is shown."""
        return self._lines

    @property
    def selected(self):
        """The chosen `StudyLine`; None where none is."""
        index = self._table.currentRow()
        isChosen = 0 <= index < len(self._lines) and bool(self._table.selectedItems())
        return self._lines[index] if isChosen else None

    def show(self, lines):
        """Show these rows; selection and scrolling stay.

        Args:
            lines: `StudyLine` objects.
        """
        lines = tuple(lines)
        if lines == self._lines:
            return
        known, self._lines = self._lines, lines
        blocked = self._table.blockSignals(True)
        if self._table.rowCount != len(lines):
            self._table.setRowCount(len(lines))
        if [line.key for line in known[: len(lines)]] != [line.key for line in lines[: len(known)]]:
            self._table.clearSelection()  # another list: what was chosen is not there any more
        for index, line in enumerate(lines):
            if index >= len(known) or known[index] != line:
                self._fill(index, line)
        self._table.blockSignals(blocked)

    def _fill(self, index, line):
        hint = explanation(line)
        tint = qt.QBrush(qt.QColor(*TINTS[line.state])) if line.state in TINTS else qt.QBrush()
        for column, text in enumerate(texts(line)):
            item = self._table.item(index, column)
            if item is None:
                item = qt.QTableWidgetItem()
                self._table.setItem(index, column, item)
            item.setText(text)
            item.setToolTip(hint)
            item.setBackground(tint)
            if column == STATE:
                item.setIcon(self._icons.get(line.state, qt.QIcon()))

    def _opened(self, index, _column):
        if 0 <= index < len(self._lines):
            self._onOpened(self._lines[index].key)


def texts(line):
    """The cells of a row: state, study, and what came of it."""
    return stateName(line.state), line.title, result(line)


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


def duration(seconds):
    """A time in words, as exact as anybody needs it."""
    if seconds < 59.5:
        return _("{number} s").format(number=round(seconds))
    if seconds < 3570:
        return _("{number} min").format(number=round(seconds / 60))
    hours, minutes = divmod(round(seconds / 60), 60)
    return _("{hours} h {minutes} min").format(hours=hours, minutes=minutes)
