"""What a test holds in its hand: `a_slicer`, Slicer with its views, to be driven like by a person."""

from __future__ import annotations

import atexit
import ctypes
import os
import sys
import time
import traceback
from contextlib import contextmanager
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
MODULE_FILE = REPOSITORY / "SegAnyPET" / "SegAnyPET.py"
_application = []


def keep_singletons() -> None:
    """Lend None, True and False so many references that they never run out.

    Each call of PySide6 6.12 that returns one of them takes a reference it does not own. They are immortal from Python
    3.12 on; before, Python ends with "deallocating None" after some ten thousand calls.
    """
    if sys.version_info < (3, 12):
        for each in (None, True, False):
            ctypes.c_ssize_t.from_address(id(each)).value += 2**40


def the_application():
    """The one application of this process; made when the first test asks for it (1 to 3 s)."""
    if not _application:
        keep_singletons()
        os.environ["QT_QPA_PLATFORM"] = "offscreen"
        os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")  # not to look for an X server first
        import qt_stand_in

        qt_stand_in.qt_module()
        import slicer_application

        _application.append(slicer_application.qSlicerApplication())
        atexit.register(slicer_application.finish, _application[0])
    return _application[0]


class LongestGap:
    """The longest time the event loop did not come round: how long the panel felt frozen.

    It looks as often as it can, which takes a core; with an interval in milliseconds gaps are longer by up to that.
    """

    def __init__(self, clock=time.perf_counter, *, interval_ms=0):
        from PySide6 import QtCore
        from vtk_widgets import ctkVTKAbstractView

        self.gaps_ms: list[float] = []
        self.drawing_ms: list[float] = []  # the part of each gap in which the views were drawn, by software here
        self._views, self._clock = ctkVTKAbstractView, clock
        self._last, self._drawn = clock(), self._views.secondsDrawing
        self._timer = QtCore.QTimer()
        self._timer.setTimerType(QtCore.Qt.PreciseTimer)
        self._timer.setInterval(interval_ms)
        QtCore.QObject.connect(self._timer, QtCore.SIGNAL("timeout()"), self._tick)

    def _tick(self):
        now = self._clock()
        self.gaps_ms.append(1000 * (now - self._last))
        self.drawing_ms.append(1000 * (self._views.secondsDrawing - self._drawn))
        self._last, self._drawn = now, self._views.secondsDrawing

    def start(self):
        self._last, self._drawn = self._clock(), self._views.secondsDrawing
        self._timer.start()

    def stop(self):
        self._tick()
        self._timer.stop()

    @property
    def longest_ms(self) -> float:
        return max(self.gaps_ms, default=0.0)

    @property
    def longest_without_drawing_ms(self) -> float:
        return max((gap - drawn for gap, drawn in zip(self.gaps_ms, self.drawing_ms, strict=True)), default=0.0)


class Reports:
    """What a desktop user would find in the error log: exceptions in slots and observers, Qt's and VTK's complaints."""

    def __init__(self, monkeypatch):
        import vtk
        from PySide6 import QtCore

        self.found: list[str] = []
        self._serious = (QtCore.QtMsgType.QtWarningMsg, QtCore.QtMsgType.QtCriticalMsg)
        monkeypatch.setattr(sys, "excepthook", self._exception)
        monkeypatch.setattr(sys, "unraisablehook", lambda each: self._exception(each.exc_type, each.exc_value, None))
        self._before = QtCore.qInstallMessageHandler(self._qt)
        self._window = vtk.vtkOutputWindow.GetInstance()
        self._tag = self._window.AddObserver("ErrorEvent", self._vtk)

    def _exception(self, kind, error, trace):
        self.found.append("".join(traceback.format_exception(kind, error, trace)))

    def _qt(self, kind, _context, text):
        if kind in self._serious and not text.startswith("This plugin does not support"):
            self.found.append(f"Qt: {text}")

    def _vtk(self, _window, _event, text=""):
        self.found.append(f"VTK: {text}")

    _vtk.CallDataType = "string0"

    def stop(self):
        from PySide6 import QtCore

        QtCore.qInstallMessageHandler(self._before)
        self._window.RemoveObserver(self._tag)


class ASlicer:
    """Slicer, with an empty scene and Four-Up views."""

    def __init__(self, application, dialogs, packaging, texts, reports):
        self.app, self.dialogs, self.packaging, self.texts = application, dialogs, packaging, texts
        self.reports = reports
        self.scene, self.layoutManager = application.mrmlScene(), application.layoutManager()
        self.window = application._window
        self._views, self._modules = {}, []
        application._restarts = 0

    @property
    def restarts(self):
        """How often the application was told to start anew."""
        return self.app._restarts

    @property
    def sampleData(self):
        """What was registered with the module Sample Data."""
        return sys.modules["SampleData"].registered

    def finishStartup(self):
        """All modules are loaded; modules register their sample data now."""
        self.app.startupCompleted.emit()
        self.process()

    def view(self, name):
        """The slice view Red, Green or Yellow, to point at with the mouse."""
        from slice_mouse import SliceMouse

        if name not in self._views:
            self._views[name] = SliceMouse(self, self.layoutManager.sliceWidget(name))
        return self._views[name]

    def _leave_other_views(self, view):
        for each in self._views.values():
            if each is not view:
                each.leave()

    def loadModule(self, path=MODULE_FILE, *, select=True):
        """Load a scripted module from its file and open it. Returns the Python object of its panel."""
        import scripted_module
        import slicer

        module = scripted_module.load_scripted_module(Path(path))
        self._modules.append(module)
        if select:
            slicer.util.selectModule(module.name)
        self.process()
        return module.widgetRepresentation().self()

    def leaveModule(self):
        """Choose another module: exit() of the panel."""
        self.window.moduleSelector().selectModule("")
        self.process()

    def press(self, key, *, widget=None):
        """Press a key or a chord ("Ctrl+Z"), as a person with the focus where it is."""
        from PySide6 import QtCore, QtGui, QtTest

        sequence = QtGui.QKeySequence(key)
        assert sequence.count() == 1, f"{key!r} is no key"
        combination = sequence[0]
        target = widget or self.app.focusWidget() or self.window
        if not self.window.isActiveWindow:
            self.window.activateWindow()
            QtTest.QTest.qWaitForWindowActive(self.window, 1000)
        held = combination.keyboardModifiers()
        if len(key) == 1 and key.isupper():
            held = QtCore.Qt.NoModifier
        QtTest.QTest.keyClick(target, combination.key(), held)
        self.process()

    def press_button(self, button):
        """Click a button with the mouse; it must be there and enabled."""
        from PySide6 import QtCore, QtTest

        assert button.isVisible(), f"{button.name} is hidden"
        assert button.enabled, f"{button.name} is not enabled"
        QtTest.QTest.mouseClick(button, QtCore.Qt.LeftButton)
        self.process()

    def process(self, milliseconds=0):
        """Let the event loop run."""
        from PySide6 import QtTest

        if milliseconds:
            QtTest.QTest.qWait(milliseconds)
        self.app.processEvents()
        self.app.sendPostedEvents(None, 52)  # QEvent::DeferredDelete: deleteLater
        self.app.processEvents()

    def wait_until(self, condition, *, seconds=20.0):
        """Let the event loop run until the condition holds; fails after the time."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"still not so after {seconds} s"
            self.process(2)

    def render(self):
        """Draw everything that waits to be drawn."""
        for view in self.layoutManager._views():
            view.forceRender()
        self.process()

    def screenshot(self, path, *, widget=None):
        """The whole window, or one widget, as PNG."""
        self.render()
        assert (widget or self.window).grab().save(str(path)), f"{path} could not be written"

    def resize(self, width, height):
        self.window.resize(width, height)
        self.process(50)

    def showVolume(self, node):
        """Put a volume in the background of all slice views and fit them to it."""
        import slicer

        slicer.util.setSliceViewerLayers(background=node, fit=True)
        self.process()

    def saveScene(self, path):
        """File > Save, as MRB."""
        assert self.scene.WriteToMRB(str(path))

    def closeScene(self):
        """File > Close scene."""
        self.scene.Clear(0)
        self.process()

    def openScene(self, path):
        """File > Close scene, then open an MRB."""
        self.closeScene()
        assert self.scene.ReadFromMRB(str(path), False)
        self.process()

    @contextmanager
    def longestGap(self, clock=time.perf_counter):
        """Record how long the event loop did not come round while the block ran."""
        recorder = LongestGap(clock)
        recorder.start()
        try:
            yield recorder
        finally:
            recorder.stop()

    @contextmanager
    def expectedErrors(self):
        """Errors in here go to the list that is given, and do not fail the test."""
        before, self.reports.found = self.reports.found, []
        try:
            yield self.reports.found
            self.process()
        finally:
            self.reports.found = before

    def _finish(self):
        import scripted_module

        for module in self._modules:
            scripted_module.unload_scripted_module(module)
        for each in self._views.values():
            each.leave()
        self.process()


def complaints(desktop) -> list[str]:
    """What happened in a test that no desktop user should see."""
    import qt_stand_in

    found = [f"an error that nobody caught:\n{text}" for text in desktop.reports.found]
    found += [f"a dialog that no test answered: {each}" for each in desktop.dialogs.unanswered]
    found += [f"an answer that no dialog took: {each!r}" for each in desktop.dialogs.unused()]
    found += [f"an attribute set on a Qt object: {each}" for each in qt_stand_in.stray_attributes()]
    return found


def _install_modules(monkeypatch, application):
    """`qt`, `ctk` and the parts of `slicer` that no wheel has."""
    import ctk_widgets
    import qmrml_widgets
    import qt_stand_in
    import scripted_module
    import slicer
    import slicer.util
    import slicer_application
    import ui_loader

    qt, packaging, texts = qt_stand_in.qt_module(), scripted_module.Packaging(), scripted_module.i18n_module()
    qt.QUiLoader = ui_loader.UiLoader
    for cls in (*ctk_widgets.WIDGETS, *qmrml_widgets.WIDGETS):
        ui_loader.STAND_INS[cls.__name__] = cls
    made = (scripted_module.scripted_module(), scripted_module.sample_data_module(), ctk_widgets.ctk_module())
    for module in (qt, packaging, texts, *made):
        monkeypatch.setitem(sys.modules, module.__name__, module)
        if module.__name__.startswith("slicer."):
            monkeypatch.setattr(slicer, module.__name__.split(".")[1], module, raising=False)
    for cls in (*qmrml_widgets.WIDGETS, scripted_module.qSlicerScriptedLoadableModule):
        monkeypatch.setattr(slicer, cls.__name__, cls, raising=False)
    monkeypatch.setattr(slicer, "app", application, raising=False)
    monkeypatch.setattr(slicer, "mrmlScene", application.mrmlScene(), raising=False)
    modules = slicer_application.scripted_modules_namespace(application)
    monkeypatch.setattr(slicer, "modules", modules, raising=False)
    return packaging, texts


@contextmanager
def running_slicer(monkeypatch, folder):
    """Slicer with its four views; at the end fails for what a person would have to report as a bug.

    Settings and temporary files go into the folder.
    """
    application = the_application()
    import slicer_application
    from PySide6 import QtCore
    from qt_dialogs import Dialogs

    settings = QtCore.QSettings
    settings.setDefaultFormat(settings.IniFormat)
    settings.setPath(settings.IniFormat, settings.UserScope, str(folder / "settings"))
    packaging, texts = _install_modules(monkeypatch, application)
    if not hasattr(application, "_window"):
        application._open()
    dialogs = Dialogs()
    dialogs.install(monkeypatch)
    application.temporaryPath = str(folder)
    reports = Reports(monkeypatch)
    desktop = ASlicer(application, dialogs, packaging, texts, reports)
    slicer_application.close_scene(application)
    desktop.process()
    yield desktop
    desktop._finish()
    slicer_application.close_scene(application)
    desktop.process()
    reports.stop()
    found = complaints(desktop)
    assert not found, "\n".join(found)


@pytest.fixture
def a_slicer(monkeypatch, tmp_path):
    """`running_slicer` for a test; inside the desktop, the desktop."""
    from real_slicer import is_inside_slicer, running_real_slicer

    running = running_real_slicer if is_inside_slicer() else running_slicer
    with running(monkeypatch, tmp_path) as desktop:
        yield desktop
