"""Slicer's main window: module selector, module panel, the place of the views.

After qSlicerMainWindow.h, qSlicerModuleSelectorToolBar.h and qSlicerModulePanel.cxx.
"""

from __future__ import annotations

import slicer
from ctk_widgets import ctkCollapsibleButton
from PySide6 import QtCore, QtWidgets

PANEL_WIDTH = 400


class qSlicerModuleSelectorToolBar(QtWidgets.QToolBar):
    """qSlicerModuleSelectorToolBar.h: leaves one module and enters another."""

    _standsFor = "Base/QTGUI/qSlicerModuleSelectorToolBar.h"
    moduleSelected = QtCore.Signal(str)

    def __init__(self, parent):
        super().__init__(parent)
        self._selected = ""

    selectedModule = QtCore.Property(str, lambda self: self._selected)

    def selectModule(self, name):
        if name == self._selected:
            return
        self._selected = name
        self.window()._panel.setModule(slicer.app.moduleManager().module(name))
        self.moduleSelected.emit(name)


class qSlicerModulePanel(QtWidgets.QDockWidget):
    """qSlicerModulePanel.cxx: help of the module, its panel below it, as wide as the panel needs."""

    _standsFor = "Base/QTGUI/qSlicerModulePanel.h"

    def __init__(self, parent):
        super().__init__("Modules", parent)
        self.setFeatures(QtWidgets.QDockWidget.NoDockWidgetFeatures)
        self._shown = None
        self._scroll = QtWidgets.QScrollArea(self)
        self._scroll.setWidgetResizable(True)
        self._contents = QtWidgets.QWidget()
        self._layout = QtWidgets.QVBoxLayout(self._contents)
        self._help = ctkCollapsibleButton("Help && Acknowledgement")
        self._help.setCollapsed(True)
        self._helpText = QtWidgets.QTextBrowser()
        QtWidgets.QVBoxLayout(self._help).addWidget(self._helpText)
        self._layout.addWidget(self._help)
        self._layout.addStretch()
        self._scroll.setWidget(self._contents)
        self._contents.installEventFilter(self)
        self.setWidget(self._scroll)
        self.setFixedWidth(PANEL_WIDTH)

    def setModule(self, module):
        """Leave the one module, enter the other."""
        if self._shown is not None:
            self._shown.exit()
            self._shown.setParent(None)
        panel = getattr(module, "widgetRepresentation", None)  # the C++ modules have none here
        self._shown = panel() if panel is not None else None
        if self._shown is None:
            return
        self._helpText.setHtml(module.helpText + "<br>" + module.acknowledgementText)
        self._shown.layout().setContentsMargins(0, 0, 0, 0)
        self._layout.insertWidget(1, self._shown, 1)
        self._shown.setVisible(True)
        self._shown.enter()

    def eventFilter(self, contents, event):
        """As wide as what is in it needs (qSlicerModulePanel::minimumSizeHint)."""
        if event.type() == QtCore.QEvent.LayoutRequest:
            needed = self._layout.totalMinimumSize().width() + self._scroll.verticalScrollBar().sizeHint.width() + 4
            self.setFixedWidth(max(PANEL_WIDTH, needed))
        return False


class qSlicerMainWindow(QtWidgets.QMainWindow):
    """qSlicerMainWindow.h: the module panel at the left, the views at the right, a status bar."""

    _standsFor = "Base/QTApp/qSlicerMainWindow.h"

    def __init__(self):
        super().__init__()
        self.setObjectName("qSlicerMainWindow")
        self.setWindowTitle("3D Slicer")
        self._selector, self._panel = qSlicerModuleSelectorToolBar(self), qSlicerModulePanel(self)
        self.addDockWidget(QtCore.Qt.LeftDockWidgetArea, self._panel)
        self._viewport = QtWidgets.QWidget(self)
        self.setCentralWidget(self._viewport)
        self.statusBar()

    def moduleSelector(self):
        return self._selector
