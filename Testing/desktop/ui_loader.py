"""`qt.QUiLoader` as Slicer has it: it knows the CTK and qMRML widgets, and connects their signals.

A class that has no stand-in is refused by name, so that a panel cannot pass its tests on an empty widget.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

from PySide6 import QtCore, QtUiTools, QtWidgets
from qt_stand_in import split_signature

STAND_INS: dict[str, type] = {}


class UiLoader(QtUiTools.QUiLoader):
    """Follows Slicer's slicer.util.loadUI: `loader.load(file)`."""

    def createWidget(self, className, parent=None, name=""):
        if className not in STAND_INS:
            return super().createWidget(className, parent, name)
        widget = STAND_INS[className](parent)
        widget.setObjectName(name)
        return widget

    def load(self, device, parent=None):
        tree = ElementTree.fromstring(bytes(device.readAll().data()))
        unknown = sorted(
            {
                each.get("class")
                for each in tree.iter("widget")
                if each.get("class") not in STAND_INS and not hasattr(QtWidgets, each.get("class"))
            }
        )
        if unknown:
            msg = f"the harness has no stand-in for {', '.join(unknown)}; add one to Testing/desktop"
            raise NotImplementedError(msg)
        connections = [
            [each.findtext(part) for part in ("sender", "signal", "receiver", "slot")]
            for each in tree.iter("connection")
        ]
        for part in ("connections", "customwidgets"):  # Qt would look for C++ classes and their signals
            for each in tree.findall(part):
                tree.remove(each)
        buffer = QtCore.QBuffer()
        buffer.setData(ElementTree.tostring(tree))
        buffer.open(QtCore.QIODevice.ReadOnly)
        widget = super().load(buffer, parent)
        for connection in connections:
            self._connect(widget, *connection)
        return widget

    def _connect(self, widget, sender, signal, receiver, slot):
        objects = [
            widget if name == widget.objectName else widget.findChild(QtCore.QObject, name)
            for name in (sender, receiver)
        ]
        objects[0].connect(signal, getattr(objects[1], split_signature(slot)[0]))
