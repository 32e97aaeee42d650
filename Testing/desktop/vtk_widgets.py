"""The widgets under a view: one gives Qt's mouse and keys to a VTK window, one decides when that window is drawn.

After QVTKInteractorAdapter.cxx (which event a mouse or key makes) and CTK's ctkVTKAbstractView.cpp (its VTKWidget()
gets the events, not the view itself; renders are gathered, 60 a second at most).
"""

from __future__ import annotations

import time

import vtk
from PySide6 import QtCore, QtGui, QtWidgets
from vtkmodules.util.numpy_support import vtk_to_numpy

MILLISECONDS_BETWEEN_RENDERS = 1000 // 60  # ctkVTKAbstractView::maximumUpdateRate
BUTTONS = {
    QtCore.Qt.LeftButton: "LeftButton",
    QtCore.Qt.MiddleButton: "MiddleButton",
    QtCore.Qt.RightButton: "RightButton",
}
KEY_SYMBOLS = {
    QtCore.Qt.Key_Delete: "Delete",
    QtCore.Qt.Key_Backspace: "BackSpace",
    QtCore.Qt.Key_Escape: "Escape",
    QtCore.Qt.Key_Return: "Return",
    QtCore.Qt.Key_Space: "space",
    QtCore.Qt.Key_Left: "Left",
    QtCore.Qt.Key_Right: "Right",
    QtCore.Qt.Key_Up: "Up",
    QtCore.Qt.Key_Down: "Down",
    QtCore.Qt.Key_Shift: "Shift_L",
    QtCore.Qt.Key_Control: "Control_L",
    QtCore.Qt.Key_Alt: "Alt_L",
}


class ctkVTKOpenGLNativeWidget(QtWidgets.QWidget):
    """The widget the mouse is over: shows what an offscreen VTK window has drawn and forwards Qt's events to it."""

    _standsFor = "CTK Libs/Visualization/VTK/Widgets/ctkVTKOpenGLNativeWidget.h"

    def __init__(self, parent):
        super().__init__(parent)
        self.setMouseTracking(True)
        self.setFocusPolicy(QtCore.Qt.StrongFocus)
        self.setMinimumSize(64, 64)
        self._window = vtk.vtkRenderWindow()
        self._window.SetOffScreenRendering(1)
        self._window.SetMultiSamples(0)
        self._window.SetSize(64, 64)
        self._interactor = vtk.vtkGenericRenderWindowInteractor()
        self._interactor.SetRenderWindow(self._window)
        self._image, self._pixels = None, vtk.vtkUnsignedCharArray()

    def renderWindow(self):
        return self._window

    def interactor(self):
        return self._interactor

    def _draw(self):
        self._window.Render()
        width, height = self._window.GetSize()
        self._window.GetPixelData(0, 0, width - 1, height - 1, 0, self._pixels, 0)
        data = vtk_to_numpy(self._pixels).reshape(height, width, 3)[::-1].copy()
        self._image = QtGui.QImage(data.data, width, height, 3 * width, QtGui.QImage.Format_RGB888).copy()
        self.update()

    def paintEvent(self, _event):
        if self._image is not None:
            QtGui.QPainter(self).drawImage(0, 0, self._image)

    def resizeEvent(self, event):
        size = event.size()
        self._window.SetSize(size.width(), size.height())
        self._interactor.SetSize(size.width(), size.height())
        self._interactor.ConfigureEvent()

    def _say(self, event, *names, repeat=0):
        held, position = event.modifiers(), event.position()
        self._interactor.SetEventInformationFlipY(
            round(position.x()),
            round(position.y()),
            int(bool(held & QtCore.Qt.ControlModifier)),
            int(bool(held & QtCore.Qt.ShiftModifier)),
            chr(0),
            repeat,
            None,
        )
        self._interactor.SetAltKey(int(bool(held & QtCore.Qt.AltModifier)))
        for name in names:
            self._interactor.InvokeEvent(name)

    def enterEvent(self, _event):
        self._interactor.InvokeEvent("EnterEvent")

    def leaveEvent(self, _event):
        self._interactor.InvokeEvent("LeaveEvent")

    def mouseMoveEvent(self, event):
        self._say(event, "MouseMoveEvent")

    def mousePressEvent(self, event):
        self._say(event, f"{BUTTONS[event.button()]}PressEvent")

    def mouseReleaseEvent(self, event):
        self._say(event, f"{BUTTONS[event.button()]}ReleaseEvent")

    def mouseDoubleClickEvent(self, event):
        name = BUTTONS[event.button()]
        self._say(event, f"{name}PressEvent", f"{name}DoubleClickEvent", repeat=1)

    def wheelEvent(self, event):
        self._say(event, "MouseWheelForwardEvent" if event.angleDelta().y() > 0 else "MouseWheelBackwardEvent")

    def _key(self, event, *names):
        text, held = event.text(), event.modifiers()
        self._interactor.SetKeyEventInformation(
            int(bool(held & QtCore.Qt.ControlModifier)),
            int(bool(held & QtCore.Qt.ShiftModifier)),
            text if len(text) == 1 and ord(text) < 128 else chr(0),
            event.count(),
            KEY_SYMBOLS.get(QtCore.Qt.Key(event.key()), text or "None"),
        )
        for name in names:
            self._interactor.InvokeEvent(name)

    def keyPressEvent(self, event):
        self._key(event, "KeyPressEvent", "CharEvent")

    def keyReleaseEvent(self, event):
        self._key(event, "KeyReleaseEvent")


class ctkVTKAbstractView(QtWidgets.QWidget):
    """A view: holds the widget above, and draws soon after somebody asked for it."""

    _standsFor = "CTK Libs/Visualization/VTK/Widgets/ctkVTKAbstractView.h"
    secondsDrawing = 0.0  # by all views: what a test of our own speed takes off

    def __init__(self, parent=None):
        super().__init__(parent)
        self._widget = ctkVTKOpenGLNativeWidget(self)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._widget)
        self._renderer = vtk.vtkRenderer()
        self.renderWindow().AddRenderer(self._renderer)
        self.interactor().AddObserver("RenderEvent", self.scheduleRender)
        self.interactor().AddObserver("ConfigureEvent", self._resized)
        self._group, self._style, self._scene = None, None, None
        self._pauses, self._renders, self._renderEnabled, self._tags = 0, 0, True, []
        self._timer = QtCore.QTimer(self)
        self._timer.setSingleShot(True)
        QtCore.QObject.connect(self._timer, QtCore.SIGNAL("timeout()"), self._requestRender)

    def _install(self, factory, names, style, node):
        """qMRMLSliceView::initDisplayableManagers, with those that loadable modules register."""
        for name in names:
            if not factory.IsDisplayableManagerRegistered(name):
                factory.RegisterDisplayableManager(name)
        self._group = factory.InstantiateDisplayableManagers(self._renderer)
        self._group.AddObserver("UpdateEvent", self.scheduleRender)
        self._group.SetMRMLDisplayableNode(node)
        style.SetDisplayableManagers(self._group)
        style.SetInteractor(self.interactor())
        self._style = style
        self.interactor().Initialize()
        self._scene = node.GetScene()
        for event, call in (("StartBatchProcessEvent", self._batchStarted), ("EndBatchProcessEvent", self._batchEnded)):
            self._tags.append(self._scene.AddObserver(getattr(self._scene, event), call))

    def _batchStarted(self, *_):
        self._renderEnabled = False

    def _batchEnded(self, *_):
        self._renderEnabled = True
        self.scheduleRender()

    def VTKWidget(self):
        return self._widget

    def renderWindow(self):
        return self._widget.renderWindow()

    def interactor(self):
        return self._widget.interactor()

    def interactorObserver(self):
        return self._style

    def displayableManagerByClassName(self, name):
        return self._group.GetDisplayableManagerByClassName(name)

    def scheduleRender(self, *_):
        if self._renderEnabled and not self._timer.isActive():
            self._timer.start(MILLISECONDS_BETWEEN_RENDERS)

    def pauseRender(self):
        self._pauses += 1
        return self._pauses

    def resumeRender(self):
        self._pauses -= 1
        if self._pauses == 0:
            self.scheduleRender()
        return self._pauses

    def _requestRender(self):
        if self._pauses == 0:
            self.forceRender()

    def forceRender(self):
        self._timer.stop()
        if not self._renderEnabled or not self.isVisible():
            return
        started = time.perf_counter()
        self._widget._draw()
        ctkVTKAbstractView.secondsDrawing += time.perf_counter() - started
        self._renders += 1

    def showEvent(self, _event):
        self.scheduleRender()

    def _resized(self, *_):
        self.scheduleRender()

    def _finish(self):
        """Let go of the VTK window while everything it needs still lives."""
        self._timer.stop()
        for tag in self._tags:
            self._scene.RemoveObserver(tag)
        self._style.SetInteractor(None)
        self._group.SetMRMLDisplayableNode(None)
        self.renderWindow().Finalize()
