"""The table of cases: their quality, what they are used for, and what the checker found."""

from slicer.i18n import tr as _

from SegAnyPETPanels.LineTable import LineTable, widest

CASE_LETTERS = 14
BESIDE_WORD = 16  # pixels around a word without an icon
PICTURES = {"error": "Failed", "warning": "Warning", "note": "Done", "good": "Done", "": "Waiting"}
TINTS = {"error": "bad", "warning": "doubtful", "good": "good", "note": "good"}


def severityName(severity):
    """A severity in words; what is not known is shown as it is."""
    return {"error": _("Error"), "warning": _("Look"), "note": _("Note")}.get(severity, severity)


def splitName(split):
    """What a case is used for, in words."""
    return {"train": _("Training"), "validation": _("Validation"), "test": _("Test")}.get(split, split)


class FineTuneTable(LineTable):
    """A QTableWidget that shows `CaseLine` objects."""

    def __init__(self, table, *, onSelected, onOpened):
        """Take over a table.

        Args:
            table: A QTableWidget with the columns of the form.
            onSelected: Called when other rows are chosen.
            onOpened: Called with a case when its row is double-clicked.
        """
        super().__init__(table, pictures=PICTURES, onSelected=onSelected, onOpened=onOpened)
        splits = [splitName(split) for split in ("train", "validation", "test")]
        title = table.horizontalHeaderItem(1).text()
        metrics = table.fontMetrics()
        narrow = [widest(metrics, texts) + BESIDE_WORD for texts in ([title], splits)]
        self.setWidths((CASE_LETTERS * metrics.averageCharWidth(), *narrow))

    def texts(self, line):
        """Case, quality, split, and what the checker found."""
        return line.key, line.quality, splitName(line.split), foundText(line)

    def explanation(self, line):
        """Everything, where cells are too narrow."""
        said = [f"{severityName(kind)}: {message}. {advice}" for kind, message, advice in line.findings]
        lines = [line.place, _("Patient: {name}").format(name=line.patient), *(said or [foundText(line)])]
        if line.picture:
            lines.append(_("Double-click to see it."))
        return "\n".join(text for text in lines if text)

    def look(self, line):
        """The names of a row's icon and of its tint."""
        state = line.worst or ("good" if line.isChecked else "")
        return state, TINTS.get(state)


def foundText(line):
    """What the checker found, as far as a cell can hold it."""
    if not line.findings:
        return _("No problem found") if line.isChecked else _("Not checked yet")
    kind, message, _rest = line.findings[0]
    text = f"{severityName(kind)}: {message}"
    others = len(line.findings) - 1
    return _("{text} (and {count} more)").format(text=text, count=others) if others else text
