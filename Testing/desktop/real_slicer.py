"""`a_slicer` inside the real desktop: the same acts on the application's own widgets, as far as that goes.

Written after Slicer's sources (583e9b37) and never seen running: see README, *Inside Slicer*. What a test needs and is
not here makes it skip, and say what was missing.
"""

from __future__ import annotations

import sys
import time
import traceback
from contextlib import contextmanager

import pytest
import slicer
import vtk

MODULE = "SegAnyPET"


class RealSliceMouse:
    """The mouse over a slice view, from VTK's events on: those of Qt before them are Slicer's own business."""

    def __init__(self, desktop, widget):
        self._desktop, self.node = desktop, widget.mrmlSliceNode()
        self._interactor = widget.sliceView().interactor()
        self._isInside = False

    def pixel(self, ras):
        """Where in the view a world position is (VTK's pixels, y up)."""
        inverse = vtk.vtkMatrix4x4()
        vtk.vtkMatrix4x4.Invert(self.node.GetXYToRAS(), inverse)
        return tuple(round(value) for value in inverse.MultiplyPoint((*ras, 1.0))[:2])

    def ras(self, x, y):
        """The world position under a pixel."""
        return self.node.GetXYToRAS().MultiplyPoint((x, y, 0.0, 1.0))[:3]

    def _say(self, x, y, modifiers, *events):
        held = (modifiers or "").lower()
        self._interactor.SetEventInformation(x, y, int("ctrl" in held), int("shift" in held), chr(0), 0, None)
        self._interactor.SetAltKey(int("alt" in held))
        for event in events if self._isInside else ("EnterEvent", *events):
            self._interactor.InvokeEvent(event)
        self._isInside = True

    def _go(self, ras):
        self.node.JumpSliceByOffsetting(*ras)
        x, y = self.pixel(ras)
        width, height = self._interactor.GetRenderWindow().GetSize()
        isInside = 0 <= x < width and 0 <= y < height
        assert isInside, f"{ras} is outside the view {self.node.GetName()}"
        return x, y

    def moveTo(self, ras, *, modifiers=None):
        """Move the mouse there; gives the world position under the pixel."""
        x, y = self._go(ras)
        self._say(x, y, modifiers, "MouseMoveEvent")
        self._desktop.process()
        return self.ras(x, y)

    def click(self, ras, *, button="left", modifiers=None):
        """Move there, press and let go."""
        x, y = self._go(ras)
        name = button.capitalize()
        self._say(x, y, modifiers, "MouseMoveEvent", f"{name}ButtonPressEvent", f"{name}ButtonReleaseEvent")
        self._desktop.process()
        return self.ras(x, y)

    def drag(self, start_ras, end_ras, *, button="left", modifiers=None, steps=5):
        """Press at one position, move, let go at another in the same slice."""
        (x, y), name = self._go(start_ras), button.capitalize()
        end_x, end_y = self.pixel(end_ras)
        self._say(x, y, modifiers, "MouseMoveEvent", f"{name}ButtonPressEvent")
        for step in range(1, steps + 1):
            at = round(x + (end_x - x) * step / steps), round(y + (end_y - y) * step / steps)
            self._say(*at, modifiers, "MouseMoveEvent")
            self._desktop.process()
        self._say(*at, modifiers, f"{name}ButtonReleaseEvent")
        self._desktop.process()
        return self.ras(*at)

    def press(self, key):
        """A key that is for the view, such as Delete."""
        self._interactor.SetKeyEventInformation(0, 0, chr(0), 1, key)
        self._interactor.InvokeEvent("KeyPressEvent")
        self._desktop.process()

    def leave(self):
        """Move the mouse out."""
        if self._isInside:
            self._interactor.InvokeEvent("LeaveEvent")
        self._isInside = False


class RealSlicer:
    """The running application, with the members of `ASlicer` it can have."""

    def __init__(self):
        self.app, self.scene = slicer.app, slicer.mrmlScene
        self.layoutManager, self.window = slicer.app.layoutManager(), slicer.util.mainWindow()
        self._views = {}

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return pytest.skip(f"inside Slicer a test cannot have a_slicer.{name}")

    def view(self, name):
        """The slice view Red, Green or Yellow."""
        for other in self._views.values():
            other.leave()
        if name not in self._views:
            self._views[name] = RealSliceMouse(self, self.layoutManager.sliceWidget(name))
        return self._views[name]

    def loadModule(self):
        """A panel as new, so that it uses what the test has put in the engine's place."""
        slicer.util.selectModule("")
        slicer.util.reloadScriptedModule(MODULE)
        slicer.util.selectModule(MODULE)
        self.process()
        return getattr(slicer.modules, f"{MODULE}Widget")

    def leaveModule(self):
        """Choose another module."""
        slicer.util.selectModule("Data")
        self.process()

    def press(self, key):
        """Let the enabled shortcut of this key act; a key that is none is not sent anywhere."""
        for shortcut in slicer.util.findChildren(self.window, className="QShortcut"):
            if shortcut.enabled and shortcut.key.toString() == key:
                shortcut.activated()
        self.process()

    def press_button(self, button):
        """Click a button that is there and enabled."""
        assert button.visible, f"{button.name} is hidden"
        assert button.enabled, f"{button.name} is not enabled"
        button.click()
        self.process()

    def process(self, milliseconds=0):
        """Let the event loop run."""
        end = time.monotonic() + milliseconds / 1000
        self.app.processEvents()
        while time.monotonic() < end:
            time.sleep(0.001)
            self.app.processEvents()

    def wait_until(self, condition, *, seconds=20.0):
        """Let the event loop run until the condition holds; fails after the time."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"still not so after {seconds} s"
            self.process(2)

    def showVolume(self, node):
        """Put a volume in the background of all slice views and fit them to it."""
        slicer.util.setSliceViewerLayers(background=node, fit=True)
        self.process()

    def saveScene(self, path):
        """File > Save, as MRB."""
        assert slicer.util.saveScene(str(path))

    def closeScene(self):
        """File > Close scene."""
        self.scene.Clear(0)
        self.process()

    def openScene(self, path):
        """File > Close scene, then open an MRB."""
        self.closeScene()
        assert slicer.util.loadScene(str(path))
        self.process()


def is_inside_slicer():
    """True in the Python of the running desktop."""
    return "PythonQt" in sys.modules


@contextmanager
def running_real_slicer(monkeypatch, _folder):
    """The application with an empty scene; fails at the end for exceptions in slots and observers."""
    found = []
    monkeypatch.setattr(sys, "excepthook", lambda *error: found.append("".join(traceback.format_exception(*error))))
    slicer.mrmlScene.Clear(0)
    desktop = RealSlicer()
    yield desktop
    desktop.leaveModule()
    desktop.closeScene()
    assert not found, "\n".join(found)
