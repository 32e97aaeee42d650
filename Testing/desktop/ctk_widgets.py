"""The module `ctk`: stand-ins for the CTK widgets that our panels use, after CTK's headers in Libs/Widgets.

A panel sees the properties, slots and signals of the headers; how a widget looks is only like it.
"""

from __future__ import annotations

import types

from PySide6 import QtCore, QtGui, QtWidgets
from PySide6.QtCore import Property, Signal

HEADER_HEIGHT = 22


class ctkCollapsibleButton(QtWidgets.QAbstractButton):
    """ctkCollapsibleButton.h: a checked button is an open section."""

    _standsFor = "Libs/Widgets/ctkCollapsibleButton.h"
    contentsCollapsed = Signal(bool)

    def __init__(self, parent=None, *_):
        # CTK also takes the text first.
        text, parent = (parent, None) if isinstance(parent, str) else ("", parent)
        self._forcing = False
        super().__init__(parent)
        self.setCheckable(True)
        self.setChecked(True)
        self.setText(text)
        self.setSizePolicy(QtWidgets.QSizePolicy.Minimum, QtWidgets.QSizePolicy.Preferred)
        self.setContentsMargins(0, HEADER_HEIGHT, 0, 0)
        QtCore.QObject.connect(self, QtCore.SIGNAL("toggled(bool)"), self._show_contents)

    def _show_contents(self, opened):
        for child in self.children():
            if isinstance(child, QtWidgets.QWidget):
                self._show_child(child)
        self.updateGeometry()
        self.contentsCollapsed.emit(not opened)

    def _show_child(self, child):
        wanted = child.property("visibilityToParent")
        self._forcing = True
        child.setVisible(self.checked and wanted is not False)
        self._forcing = False

    def childEvent(self, event):
        child = event.child()
        if event.type() == QtCore.QEvent.ChildAdded and isinstance(child, QtWidgets.QWidget):
            child.installEventFilter(self)
            if not self.checked:
                self._show_child(child)
        super().childEvent(event)

    def eventFilter(self, child, event):
        """What was shown or hidden by itself stays so when the section opens again (ctkCollapsibleButton.cpp)."""
        shown = event.type() == QtCore.QEvent.ShowToParent
        if not self._forcing and (shown or event.type() == QtCore.QEvent.HideToParent):
            child.setProperty("visibilityToParent", shown)
            if shown and not self.checked:
                self._show_child(child)
        return False

    def _collapsed(self):
        return not self.checked

    def setCollapsed(self, collapsed):
        self.setChecked(not collapsed)

    collapsed = Property(bool, _collapsed, setCollapsed, notify=contentsCollapsed)

    def minimumSizeHint(self):
        layout = self.layout()
        if layout is None or not self.checked:
            return QtCore.QSize(60, HEADER_HEIGHT)
        return layout.totalMinimumSize()

    def sizeHint(self):
        layout = self.layout()
        return QtCore.QSize(60, HEADER_HEIGHT) if layout is None or not self.checked else layout.totalSizeHint()

    def hitButton(self, position):
        return position.y() < HEADER_HEIGHT

    def paintEvent(self, _event):
        painter = QtWidgets.QStylePainter(self)
        option = QtWidgets.QStyleOptionButton()
        option.initFrom(self)
        option.rect = QtCore.QRect(0, 0, self.width, HEADER_HEIGHT)
        painter.drawControl(QtWidgets.QStyle.CE_PushButtonBevel, option)
        arrow = QtWidgets.QStyle.PE_IndicatorArrowDown if self.checked else QtWidgets.QStyle.PE_IndicatorArrowRight
        option.rect = QtCore.QRect(5, (HEADER_HEIGHT - 12) // 2, 12, 12)
        painter.drawPrimitive(arrow, option)
        area = QtCore.QRect(HEADER_HEIGHT, 0, self.width - HEADER_HEIGHT, HEADER_HEIGHT)
        painter.drawText(area, QtCore.Qt.AlignVCenter | QtCore.Qt.TextShowMnemonic, self.text)


def _number(name):
    return Property(
        int if name == "decimals" else float,
        lambda self: getattr(self._spinBox, name),
        lambda self, value: setattr(self._spinBox, name, value),
    )


class ctkSliderWidget(QtWidgets.QWidget):
    """ctkSliderWidget.h: a slider and a spin box for one number."""

    _standsFor = "Libs/Widgets/ctkSliderWidget.h"
    valueChanged = Signal(float)
    _STEPS = 1000

    def __init__(self, parent=None):
        super().__init__(parent)
        self._slider = QtWidgets.QSlider(QtCore.Qt.Horizontal, self)
        self._spinBox = QtWidgets.QDoubleSpinBox(self)
        self._slider.setRange(0, self._STEPS)
        self._spinBox.setMaximum(99)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._slider)
        layout.addWidget(self._spinBox)
        QtCore.QObject.connect(self._slider, QtCore.SIGNAL("valueChanged(int)"), self._slide)
        QtCore.QObject.connect(self._spinBox, QtCore.SIGNAL("valueChanged(double)"), self._changed)

    def _slide(self, position):
        low, high = self._spinBox.minimum, self._spinBox.maximum
        self._spinBox.setValue(low + (high - low) * position / self._STEPS)

    def _changed(self, value):
        low, high = self._spinBox.minimum, self._spinBox.maximum
        self._slider.blockSignals(True)
        self._slider.setValue(round(self._STEPS * (value - low) / ((high - low) or 1)))
        self._slider.blockSignals(False)
        self.valueChanged.emit(value)

    def setValue(self, value):
        self._spinBox.setValue(value)

    decimals, singleStep = _number("decimals"), _number("singleStep")
    minimum, maximum, value = _number("minimum"), _number("maximum"), _number("value")
    pageStep = Property(float, lambda self: 10.0, lambda self, value: None)
    tracking = Property(bool, lambda self: self._slider.tracking, lambda self, on: self._slider.setTracking(on))
    suffix = Property(str, lambda self: self._spinBox.suffix, lambda self, text: self._spinBox.setSuffix(text))
    prefix = Property(str, lambda self: self._spinBox.prefix, lambda self, text: self._spinBox.setPrefix(text))


class ctkColorPickerButton(QtWidgets.QPushButton):
    """ctkColorPickerButton.h: shows a colour, asks for another when pressed."""

    _standsFor = "Libs/Widgets/ctkColorPickerButton.h"
    colorChanged = Signal(QtGui.QColor)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._color, self._displayName = QtGui.QColor(), True
        QtCore.QObject.connect(self, QtCore.SIGNAL("clicked()"), self.changeColor)

    def _get(self):
        return self._color

    def setColor(self, color):
        if color == self._color:
            return
        self._color = QtGui.QColor(color)
        self._show()
        self.colorChanged.emit(self._color)

    def _show(self):
        pixmap = QtGui.QPixmap(16, 16)
        pixmap.fill(self._color)
        self.setIcon(QtGui.QIcon(pixmap))
        self.setText(self._color.name() if self._displayName else "")

    def _setDisplayName(self, shown):
        self._displayName = shown
        self._show()

    def changeColor(self):
        color = QtWidgets.QColorDialog.getColor(self._color, self)
        if color.isValid():
            self.setColor(color)

    color = Property(QtGui.QColor, _get, setColor, notify=colorChanged)
    displayColorName = Property(bool, lambda self: self._displayName, _setDisplayName)


class ctkPathLineEdit(QtWidgets.QWidget):
    """ctkPathLineEdit.h: a path in an editable list, with a button to browse."""

    _standsFor = "Libs/Widgets/ctkPathLineEdit.h"
    currentPathChanged = Signal(str)
    validInputChanged = Signal(bool)
    Files, Dirs = 0x002, 0x001  # QDir::Filters

    def __init__(self, parent=None):
        super().__init__(parent)
        self._box, self._button = QtWidgets.QComboBox(self), QtWidgets.QToolButton(self)
        self._filters, self._nameFilters, self._settingKey = self.Files, [], ""
        self._box.setEditable(True)
        self._button.setText("…")
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._box)
        layout.addWidget(self._button)
        QtCore.QObject.connect(self._box, QtCore.SIGNAL("editTextChanged(QString)"), self.currentPathChanged.emit)
        QtCore.QObject.connect(self._button, QtCore.SIGNAL("clicked()"), self.browse)

    def browse(self):
        dialog = QtWidgets.QFileDialog
        ask = dialog.getExistingDirectory if self._filters & self.Dirs else dialog.getOpenFileName
        path = ask(self, "Select a file to save ", self._get(), ";;".join(self._nameFilters))
        if path:
            self.setCurrentPath(path)

    def _get(self):
        return self._box.currentText

    def setCurrentPath(self, path):
        self._box.setEditText(path)

    def addCurrentPathToHistory(self):
        if self._get() and self._box.findText(self._get()) < 0:
            self._box.addItem(self._get())

    def comboBox(self):
        return self._box

    currentPath = Property(str, _get, setCurrentPath, notify=currentPathChanged)
    filters = Property(int, lambda self: self._filters, lambda self, value: setattr(self, "_filters", int(value)))
    nameFilters = Property(
        "QStringList", lambda self: self._nameFilters, lambda self, value: setattr(self, "_nameFilters", list(value))
    )
    settingKey = Property(str, lambda self: self._settingKey, lambda self, value: setattr(self, "_settingKey", value))
    showHistoryButton = Property(bool, lambda self: False, lambda self, value: None)
    showBrowseButton = Property(
        bool, lambda self: self._button.isVisibleTo(self), lambda self, shown: self._button.setVisible(shown)
    )


class ctkMessageBox(QtWidgets.QMessageBox):
    """ctkMessageBox.h: a message box that can be told not to come again. Here it always comes."""

    _standsFor = "Libs/Widgets/ctkMessageBox.h"

    def __init__(self, parent=None):
        super().__init__(parent)
        self._dontShowAgain, self._settingsKey, self._visible = False, "", False

    dontShowAgain = Property(
        bool, lambda self: self._dontShowAgain, lambda self, value: setattr(self, "_dontShowAgain", value)
    )
    dontShowAgainSettingsKey = Property(
        str, lambda self: self._settingsKey, lambda self, value: setattr(self, "_settingsKey", value)
    )
    dontShowAgainVisible = Property(
        bool, lambda self: self._visible, lambda self, value: setattr(self, "_visible", value)
    )


WIDGETS = (ctkCollapsibleButton, ctkSliderWidget, ctkColorPickerButton, ctkPathLineEdit, ctkMessageBox)


def ctk_module() -> types.ModuleType:
    """The module to be imported as `ctk`."""
    module = types.ModuleType("ctk", __doc__)
    for cls in WIDGETS:
        setattr(module, cls.__name__, cls)
    return module
