"""The table of lesions: one row each, changed in place so that selection and scrolling stay."""

import qt
from slicer.i18n import tr as _

SWATCH_PIXELS, ROW_PIXELS = 12, 24
NOTHING, WAITING = "\N{EN DASH}", "\N{HORIZONTAL ELLIPSIS}"


class LesionTable:
    """A QTableWidget that shows the editor's rows."""

    def __init__(self, table, *, onSelected, onRenamed, onOpened):
        """Take over a table.

        Args:
            table: A QTableWidget with the columns of the form.
            onSelected: Called with a segment's ID when the user chooses its row.
            onRenamed: Called with a segment's ID and the new name.
            onOpened: Called with a segment's ID when the user double-clicks one of its measures.
        """
        self._table = table
        self._onSelected, self._onRenamed, self._onOpened = onSelected, onRenamed, onOpened
        self._rows = ()
        header = table.horizontalHeader()
        header.setSectionResizeMode(qt.QHeaderView.ResizeToContents)
        header.setSectionResizeMode(0, qt.QHeaderView.Stretch)
        header.setDefaultAlignment(qt.Qt.AlignCenter)
        header.setHighlightSections(False)
        table.verticalHeader().hide()
        table.verticalHeader().setDefaultSectionSize(ROW_PIXELS)
        table.setEditTriggers(qt.QAbstractItemView.DoubleClicked | qt.QAbstractItemView.EditKeyPressed)
        table.connect("itemSelectionChanged()", self._selected)
        table.connect("cellChanged(int,int)", self._changed)
        table.connect("cellDoubleClicked(int,int)", self._opened)

    def show(self, rows, selected):
        """Show these rows, and which of them is chosen.

        Args:
            rows: The editor's `LesionRow` objects.
            selected: ID of the chosen segment, or None.
        """
        blocked = self._table.blockSignals(True)
        if self._table.rowCount != len(rows):
            self._table.setRowCount(len(rows))
            self._rows = self._rows[: len(rows)]
        for index, row in enumerate(rows):
            if index >= len(self._rows) or self._rows[index] != row:
                self._fill(index, row)
        self._rows = tuple(rows)
        ids = [row.segmentID for row in rows]
        if selected in ids:
            if self._table.currentRow() != ids.index(selected) or not self._table.selectedItems():
                self._table.selectRow(ids.index(selected))
        else:
            self._table.clearSelection()
            self._table.setCurrentCell(-1, -1)
        self._table.blockSignals(blocked)

    def _fill(self, index, row):
        swatch = qt.QPixmap(SWATCH_PIXELS, SWATCH_PIXELS)
        swatch.fill(qt.QColor.fromRgbF(*row.colorRGB))
        name = self._item(index, 0)
        name.setText(row.name)
        name.setIcon(qt.QIcon(swatch))
        name.setToolTip(rowExplanation(row))
        for column, text in enumerate(measureTexts(row), start=1):
            item = self._item(index, column)
            item.setText(text)
            item.setToolTip(intervalExplanation(row) if column == 4 else "")

    def _item(self, index, column):
        item = self._table.item(index, column)
        if item is None:
            item = qt.QTableWidgetItem()
            if column > 0:
                item.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsSelectable)
                item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
            self._table.setItem(index, column, item)
        return item

    def _selected(self):
        index = self._table.currentRow()
        if 0 <= index < len(self._rows):
            self._onSelected(self._rows[index].segmentID)

    def _changed(self, index, column):
        if column == 0 and index < len(self._rows):
            row = self._rows[index]
            name = self._table.item(index, 0).text().strip()
            if name and name != row.name:
                self._onRenamed(row.segmentID, name)
            else:
                blocked = self._table.blockSignals(True)  # filling a cell changes it
                self._fill(index, row)
                self._table.blockSignals(blocked)

    def _opened(self, index, column):
        if column > 0 and index < len(self._rows):
            self._onOpened(self._rows[index].segmentID)


def measureTexts(row):
    """SUVmax, SUVmean, SUVpeak, MTV and TLG as shown; dots while nothing is known yet."""
    measures = row.measures
    if measures is None:
        return (WAITING if row.state == "working" else NOTHING,) * 5
    suv = tuple(f"{value:.2f}" for value in (measures.suv_max, measures.suv_mean, measures.suv_peak))
    return (*suv, amount(measures.mtv_ml), amount(measures.tlg))


def amount(value):
    """A volume or TLG with three digits or so."""
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 1000 else f"{value:.0f}"


def rowExplanation(row):
    """What there is to say about a lesion beyond its measures."""
    states = {
        "working": _("Being segmented."),
        "empty": _("Empty: the model found no lesion at these clicks. Click in the middle of the lesion."),
        "failed": row.message,
        "ready": row.message,
    }
    lines = [states[row.state], _("Clicks: {count}").format(count=row.clicks)]
    if row.score is not None:
        lines.append(_("Expected agreement with a reader (Dice): {score:.2f}").format(score=row.score))
    return "\n".join(line for line in lines if line)


def intervalExplanation(row):
    """Between which volumes the true one probably lies."""
    if row.volumeIntervalMl is None:
        return ""
    low, high = row.volumeIntervalMl
    return _("Probably between {low} and {high} ml").format(low=amount(low), high=amount(high))
