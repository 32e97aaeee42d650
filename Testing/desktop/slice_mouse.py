"""The mouse over a slice view, in world positions."""

from __future__ import annotations

import vtk
from PySide6 import QtCore, QtGui, QtWidgets

BUTTONS = {"left": QtCore.Qt.LeftButton, "middle": QtCore.Qt.MiddleButton, "right": QtCore.Qt.RightButton}
MODIFIERS = {
    "ctrl": QtCore.Qt.ControlModifier,
    "shift": QtCore.Qt.ShiftModifier,
    "alt": QtCore.Qt.AltModifier,
}


def modifiers_of(names):
    """Qt's modifiers of "ctrl", "ctrl+shift" or none."""
    held = QtCore.Qt.NoModifier
    for name in (names or "").lower().split("+"):
        held |= MODIFIERS[name] if name else QtCore.Qt.NoModifier
    return held


class SliceMouse:
    """One slice view, at which a person points with the mouse."""

    def __init__(self, desktop, widget):
        self._desktop, self.widget = desktop, widget
        self.view = widget.sliceView().VTKWidget()
        self.node = widget.mrmlSliceNode()
        self._inside = False

    @property
    def frames(self):
        """How often the view has been drawn."""
        return self.widget.sliceView()._renders

    def pixel(self, ras):
        """Where in the widget a world position is (Qt's pixels, y down) and how far from the slice, in mm."""
        inverse = vtk.vtkMatrix4x4()
        vtk.vtkMatrix4x4.Invert(self.node.GetXYToRAS(), inverse)
        x, y, *_ = inverse.MultiplyPoint((*ras, 1.0))
        to_slice = vtk.vtkMatrix4x4()
        vtk.vtkMatrix4x4.Invert(self.node.GetSliceToRAS(), to_slice)
        return x, self.view.height - 1 - y, to_slice.MultiplyPoint((*ras, 1.0))[2]

    def ras(self, x, y):
        """The world position under a pixel of the widget."""
        return self.node.GetXYToRAS().MultiplyPoint((x, self.view.height - 1 - y, 0.0, 1.0))[:3]

    def _pixel_in_view(self, ras):
        self.node.JumpSliceByOffsetting(*ras)  # a person scrolls there first
        x, y, away = self.pixel(ras)
        x, y = round(x), round(y)
        assert abs(away) < 1e-3, f"{ras} is {away:.3f} mm off the slice"
        inside = 0 <= x < self.view.width and 0 <= y < self.view.height
        assert inside, f"{ras} is outside the view {self.node.GetName()} (pixel {x}, {y}); fit or move the slice first"
        return x, y

    def _send(self, kind, x, y, button, buttons, modifiers):
        at = QtCore.QPointF(x, y)
        everywhere = QtCore.QPointF(self.view.mapToGlobal(QtCore.QPoint(x, y)))
        event = QtGui.QMouseEvent(kind, at, everywhere, button, buttons, modifiers)
        QtWidgets.QApplication.sendEvent(self.view, event)

    def _move(self, x, y, *, buttons=None, modifiers=None):
        none = QtCore.Qt.NoButton
        if not self._inside:
            self._desktop._leave_other_views(self)
            at = QtCore.QPointF(x, y)
            QtWidgets.QApplication.sendEvent(self.view, QtGui.QEnterEvent(at, at, at))
            self._inside = True
        self._send(QtCore.QEvent.MouseMove, x, y, none, buttons or none, modifiers or QtCore.Qt.NoModifier)

    def moveTo(self, ras, *, modifiers=None):
        """Move the mouse there. Returns the world position under the pixel."""
        x, y = self._pixel_in_view(ras)
        self._move(x, y, modifiers=modifiers_of(modifiers))
        self._desktop.process()
        return self.ras(x, y)

    def leave(self):
        if self._inside:
            QtWidgets.QApplication.sendEvent(self.view, QtCore.QEvent(QtCore.QEvent.Leave))
            self._inside = False

    def click(self, ras, *, button="left", modifiers=None, double=False):
        """Move there, press and let go. Returns the world position under the pixel, where a point should be."""
        x, y = self._pixel_in_view(ras)
        held, which = modifiers_of(modifiers), BUTTONS[button]
        self._move(x, y, modifiers=held)
        self._press(x, y, which, held)
        self._send(QtCore.QEvent.MouseButtonRelease, x, y, which, QtCore.Qt.NoButton, held)
        if double:
            self._send(QtCore.QEvent.MouseButtonDblClick, x, y, which, which, held)
            self._send(QtCore.QEvent.MouseButtonRelease, x, y, which, QtCore.Qt.NoButton, held)
        self._desktop.process()
        return self.ras(x, y)

    def _press(self, x, y, which, held):
        self.view.setFocus()
        self._send(QtCore.QEvent.MouseButtonPress, x, y, which, which, held)

    def drag(self, start_ras, end_ras, *, button="left", modifiers=None, steps=5):
        """Press at one position, move, let go at another. Both lie in the slice through the first."""
        x, y = self._pixel_in_view(start_ras)
        end_x, end_y, _ = self.pixel(end_ras)
        held, which = modifiers_of(modifiers), BUTTONS[button]
        self._move(x, y, modifiers=held)
        self._press(x, y, which, held)
        for step in range(1, steps + 1):
            at = round(x + (end_x - x) * step / steps), round(y + (end_y - y) * step / steps)
            self._move(*at, buttons=which, modifiers=held)
            self._desktop.process()
        self._send(QtCore.QEvent.MouseButtonRelease, *at, which, QtCore.Qt.NoButton, held)
        self._desktop.process()
        return self.ras(*at)

    def wheel(self, steps=1):
        """Turn the wheel; forward is positive."""
        x, y = self.view.width // 2, self.view.height // 2
        self._move(x, y)
        for _ in range(abs(steps)):
            at = QtCore.QPointF(x, y)
            turned = QtCore.QPoint(0, 120 if steps > 0 else -120)
            event = QtGui.QWheelEvent(at, at, QtCore.QPoint(), turned, QtCore.Qt.NoButton, QtCore.Qt.NoModifier,
                                      QtCore.Qt.NoScrollPhase, False)  # fmt: skip
            QtWidgets.QApplication.sendEvent(self.view, event)
        self._desktop.process()

    def press(self, key):
        """Press a key with the mouse over this view."""
        self.view.setFocus()
        self._desktop.press(key, widget=self.view)
