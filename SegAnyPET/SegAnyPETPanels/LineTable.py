"""A table with one line of data per row, filled anew only where something changed, so that hundreds stay fluent."""

import qt

from SegAnyPETPanels.PanelFiles import icon
from SegAnyPETPanels.RowTints import tint

ROW_PIXELS = 24
BESIDE_TEXT = 36  # pixels for an icon and the space around it


class LineTable:
    """A QTableWidget that shows frozen objects with a `key`; what a row looks like is said by whoever derives."""

    def __init__(self, table, *, pictures, onSelected, onOpened):
        """Take over a table.

        Args:
            table: A QTableWidget with the columns of the form.
            pictures: Names of icons by what `look` calls them.
            onSelected: Called when other rows are chosen.
            onOpened: Called with a key when its row is double-clicked.
        """
        self._table, self._onOpened = table, onOpened
        self._lines = ()
        self._icons = {name: icon(picture) for name, picture in pictures.items()}
        header = table.horizontalHeader()
        header.setSectionResizeMode(qt.QHeaderView.Interactive)
        header.setSectionResizeMode(table.columnCount - 1, qt.QHeaderView.Stretch)
        header.setHighlightSections(False)
        header.setDefaultAlignment(qt.Qt.AlignLeft | qt.Qt.AlignVCenter)
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
        """The chosen line that was chosen last; None where none is."""
        index = self._table.currentRow()
        isChosen = 0 <= index < len(self._lines) and bool(self._table.selectedItems())
        return self._lines[index] if isChosen else None

    @property
    def allSelected(self):
        """All chosen lines, from the top."""
        indices = sorted({item.row() for item in self._table.selectedItems()})
        return [self._lines[index] for index in indices if index < len(self._lines)]

    def setWidths(self, widths):
        """Give the first columns widths, as texts they have to hold.

        Args:
            widths: For each column the texts of which the widest counts, or pixels.
        """
        metrics, header = self._table.fontMetrics(), self._table.horizontalHeader()
        for column, wanted in enumerate(widths):
            isPixels = isinstance(wanted, int)
            header.resizeSection(column, wanted if isPixels else widest(metrics, wanted) + BESIDE_TEXT)

    def show(self, lines):
        """Show these rows; selection and scrolling stay.

        Args:
            lines: Frozen objects with a `key`.
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

    def texts(self, line):
        """The cells of a row."""
        raise NotImplementedError

    def explanation(self, line):
        """What the tool tip says: everything, where cells are too narrow."""
        raise NotImplementedError

    def look(self, line):
        """The names of a row's icon and of its tint; None for none."""
        raise NotImplementedError

    def _fill(self, index, line):
        hint, (picture, color) = self.explanation(line), self.look(line)
        background = tint(color)
        for column, text in enumerate(self.texts(line)):
            item = self._table.item(index, column)
            if item is None:
                item = qt.QTableWidgetItem()
                self._table.setItem(index, column, item)
            item.setText(text)
            item.setToolTip(hint)
            item.setBackground(background)
            if column == 0:
                item.setIcon(self._icons.get(picture, qt.QIcon()))

    def _opened(self, index, _column):
        if 0 <= index < len(self._lines):
            self._onOpened(self._lines[index].key)


def widest(metrics, texts):
    """Pixels of the widest of some texts."""
    return max(metrics.horizontalAdvance(text) for text in texts)
