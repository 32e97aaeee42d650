"""`slicer.ScriptedLoadableModule`, `slicer.i18n` and `slicer.packaging` for tests, and how Slicer loads a module file.

Written anew after Base/Python/slicer/ScriptedLoadableModule.py, i18n.py, packaging.py and
qSlicerScriptedLoadableModule(Widget|Factory).cxx, whose names and arguments they keep.
"""

from __future__ import annotations

import importlib.util
import sys
import types
import unittest
from pathlib import Path

import qt_stand_in
import slicer
from PySide6 import QtCore, QtGui, QtWidgets
from qmrml_widgets import qMRMLWidget


class ScriptedLoadableModule:
    """Base class of a module."""

    def __init__(self, parent):
        self.parent = parent
        self.moduleName = type(self).__name__
        folder = Path(parent.path).parent
        for extension in (".svg", ".png"):
            icon = folder / "Resources" / "Icons" / f"{self.moduleName}{extension}"
            if icon.is_file():
                parent.icon = QtGui.QIcon(str(icon))
                break

    def resourcePath(self, filename):
        return str(Path(self.parent.path).parent / "Resources" / filename)

    def runTest(self, msec=100, **arguments):
        test = getattr(sys.modules[type(self).__module__], f"{self.moduleName}Test")()
        test.messageDelay = msec
        test.runTest(**arguments)


class ScriptedLoadableModuleWidget:
    """Base class of a module's panel."""

    def __init__(self, parent=None):
        self.moduleName = type(self).__name__.removesuffix("Widget")
        self.developerMode = slicer.util.settingsValue("Developer/DeveloperMode", False, converter=slicer.util.toBool)
        self.parent = parent
        self.layout = parent.layout()
        slicer.app.moduleManager().connect("moduleAboutToBeUnloaded(QString)", self._onModuleAboutToBeUnloaded)

    def resourcePath(self, filename):
        return str(Path(slicer.util.modulePath(self.moduleName)).parent / "Resources" / filename)

    def setup(self):
        pass

    def cleanup(self):
        pass

    def _onModuleAboutToBeUnloaded(self, moduleName):
        if moduleName == self.moduleName:
            self.cleanup()
            slicer.app.moduleManager().disconnect("moduleAboutToBeUnloaded(QString)", self._onModuleAboutToBeUnloaded)


class ScriptedLoadableModuleLogic:
    """Base class of a module's logic."""

    def __init__(self, parent=None):
        self.moduleName = type(self).__name__.removesuffix("Logic")
        self.isSingletonParameterNode = True

    def getParameterNode(self):
        scene = slicer.mrmlScene
        node = scene.GetSingletonNode(self.moduleName, "vtkMRMLScriptedModuleNode")
        if node is None:
            node = scene.CreateNodeByClass("vtkMRMLScriptedModuleNode")
            node.UnRegister(None)
            node.SetSingletonTag(self.moduleName)
            node.SetName(scene.GenerateUniqueName(self.moduleName))
            node = scene.AddNode(node)
        node.SetAttribute("ModuleName", self.moduleName)
        return node


class ScriptedLoadableModuleTest(unittest.TestCase):
    """Base class of a module's self-test."""

    messageDelay = 0

    def delayDisplay(self, message, requestedDelay=None, msec=None):
        slicer.app.processEvents()

    def runTest(self):
        pass


def _value(name, kind, *, writable=True):
    def get(self):
        return self._values[name]

    def put(self, value):
        self._values[name] = tuple(value) if kind == "QStringList" else value

    return QtCore.Property(kind, get, put if writable else None)


class qSlicerScriptedLoadableModule(QtCore.QObject):
    """qSlicerScriptedLoadableModule.h: what the application knows of a module, `parent` of the module's class."""

    _standsFor = "Base/QTGUI/qSlicerScriptedLoadableModule.h"

    def __init__(self, path, pythonModule):
        super().__init__(slicer.app)
        self._values = {"path": str(path), "name": path.stem, "title": "", "categories": (), "dependencies": ()}
        self._values |= {"contributors": (), "helpText": "", "acknowledgementText": "", "icon": QtGui.QIcon()}
        self._values |= {"hidden": False, "index": -1, "associatedNodeTypes": ()}
        self._pythonModule, self._widget = pythonModule, None

    name, path = _value("name", str, writable=False), _value("path", str, writable=False)
    title, helpText, acknowledgementText = (
        _value("title", str),
        _value("helpText", str),
        _value("acknowledgementText", str),
    )
    categories, dependencies = _value("categories", "QStringList"), _value("dependencies", "QStringList")
    contributors = _value("contributors", "QStringList")
    associatedNodeTypes = _value("associatedNodeTypes", "QStringList")
    icon, hidden, index = _value("icon", QtGui.QIcon), _value("hidden", bool), _value("index", int)

    def logic(self):
        return None

    def widgetRepresentation(self):
        """Made when first asked for, as in Slicer."""
        if self._widget is None:
            self._widget = qSlicerScriptedLoadableModuleWidget(self._values["name"], self._pythonModule)
            setattr(slicer.modules, f"{self._values['name']}Widget", self._widget.self())
            self._widget.self().setup()
        return self._widget


class qSlicerScriptedLoadableModuleWidget(qMRMLWidget):
    """qSlicerScriptedLoadableModuleWidget.h: the widget that holds a panel and calls its class."""

    _standsFor = "Base/QTGUI/qSlicerScriptedLoadableModuleWidget.h"

    def __init__(self, name, pythonModule):
        super().__init__()
        self.setObjectName(f"{name}ModuleWidget")
        QtWidgets.QVBoxLayout(self)
        self.setMRMLScene(slicer.mrmlScene)
        self._entered = False
        self._self = getattr(pythonModule, f"{name}Widget")(self)

    def self(self):
        return self._self

    def _call(self, name):
        if hasattr(self._self, name):  # Slicer calls them where they exist
            getattr(self._self, name)()

    def enter(self):
        self._entered = True
        self._call("enter")

    def exit(self):
        self._entered = False
        self._call("exit")


def load_scripted_module(path: Path) -> qSlicerScriptedLoadableModule:
    """Import a module's file and tell the module manager, as Slicer does at start-up."""
    name = path.stem
    if str(path.parent) not in sys.path:  # qSlicerScriptedLoadableModuleFactory.cxx
        sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(name, path)
    pythonModule = importlib.util.module_from_spec(spec)
    sys.modules[name] = pythonModule
    try:
        spec.loader.exec_module(pythonModule)
    except BaseException:
        _forget_python_module(path)
        raise
    module = qSlicerScriptedLoadableModule(path, pythonModule)
    module._instance = getattr(pythonModule, name)(module)
    slicer.app.moduleManager()._add(module)
    setattr(slicer.modules, f"{name}Instance", module._instance)
    return module


def unload_scripted_module(module: qSlicerScriptedLoadableModule) -> None:
    """What happens to a module when Slicer ends."""
    manager = slicer.app.moduleManager()
    name = module.name
    if slicer.util.mainWindow().moduleSelector().selectedModule == name:
        slicer.util.mainWindow().moduleSelector().selectModule("")
    manager.moduleAboutToBeUnloaded.emit(name)
    qt_stand_in.disconnect_receiver(slicer.app, module._instance)
    del manager._modules[name]
    if module._widget is not None:
        module._widget.deleteLater()
    module.deleteLater()
    _forget_python_module(Path(module.path))


def _forget_python_module(path: Path) -> None:
    """The next test imports the module, and what lies beside it, anew."""
    if str(path.parent) in sys.path:
        sys.path.remove(str(path.parent))
    beside = {each.stem for each in path.parent.iterdir()}
    for each in [each for each in sys.modules if each.split(".")[0] in beside and each.startswith(path.stem)]:
        if each.split(".")[0] == path.stem or _lies_under(sys.modules[each], path.parent):
            del sys.modules[each]


def _lies_under(module: types.ModuleType, folder: Path) -> bool:
    file = getattr(module, "__file__", None)
    return file is not None and folder in Path(file).parents


def scripted_module() -> types.ModuleType:
    """The module to be imported as `slicer.ScriptedLoadableModule`."""
    module = types.ModuleType("slicer.ScriptedLoadableModule", __doc__)
    for each in (
        ScriptedLoadableModule,
        ScriptedLoadableModuleWidget,
        ScriptedLoadableModuleLogic,
        ScriptedLoadableModuleTest,
    ):
        setattr(module, each.__name__, each)
    module.__all__ = [name for name in vars(module) if name.startswith("Scripted")]
    return module


def i18n_module() -> types.ModuleType:
    """The module to be imported as `slicer.i18n`: texts stay as they are, and are remembered."""
    module = types.ModuleType("slicer.i18n", __doc__)
    module.seen = set()

    def tr(text):
        module.seen.add(text)
        return text

    def translate(context, text):
        module.seen.add(text)
        return text

    module.tr, module.translate = tr, translate
    return module


def sample_data_module() -> types.ModuleType:
    """The module to be imported as `SampleData`: remembers what was registered (SampleData.py)."""
    module = types.ModuleType("SampleData", __doc__)
    module.registered = []

    class SampleDataLogic:
        @staticmethod
        def registerCustomSampleDataSource(
            category="Custom", sampleName=None, uris=None, fileNames=None, nodeNames=None, customDownloader=None,
            thumbnailFileName=None, loadFileType=None, loadFiles=None, loadFileProperties=None, checksums=None,
        ):  # fmt: skip
            module.registered.append(dict(locals()))

    module.SampleDataLogic = SampleDataLogic
    return module


class Packaging(types.ModuleType):
    """`slicer.packaging`: says what is missing as told by a test, and records what would be installed."""

    def __init__(self):
        super().__init__("slicer.packaging", __doc__)
        self.missing: list[str] = []
        self.installed: list[str] = []
        self.declined = False

    def load_requirements(self, path):
        from packaging.requirements import Requirement

        lines = (line.strip() for line in Path(path).read_text(encoding="utf-8").splitlines())
        return [Requirement(line) for line in lines if line and not line.startswith(("#", "-"))]

    def pip_check(self, req):
        return not self._missing_of(req)

    def pip_ensure(
        self, requirements, constraints=None, skip_packages=None, prompt_install=True, prompt_restart=True,
        requester=None, skip_in_testing=True, show_progress=True,
    ):  # fmt: skip
        missing = self._missing_of(requirements)
        if missing and prompt_install and self.declined:
            msg = "User declined package installation"
            raise RuntimeError(msg)
        self.pip_install([str(each) for each in missing])

    def pip_install(
        self, requirements, constraints=None, no_deps_requirements=None, skip_packages=None, blocking=True,
        show_progress=True, requester=None, logCallback=None, completedCallback=None,
    ):  # fmt: skip
        names = requirements.split() if isinstance(requirements, str) else [str(each) for each in requirements]
        self.installed += names
        self.missing = [name for name in self.missing if not any(each.startswith(name) for each in names)]
        if not blocking and completedCallback is not None:
            completedCallback(0)

    def isPipInstallInProgress(self):
        return False

    def _missing_of(self, requirements):
        from packaging.requirements import Requirement

        listed = requirements if isinstance(requirements, list) else [requirements]
        found = [each if isinstance(each, Requirement) else Requirement(each) for each in listed]
        return [each for each in found if each.name in self.missing]
