"""`slicer.app`, its layout manager and module manager.

After qSlicerCoreApplication.h, qSlicerApplication.h, qMRMLLayoutManager.h and qSlicerModuleManager.h. One application
lives as long as the process, as on the desktop; its scene is closed between tests.
"""

from __future__ import annotations

import tempfile
import types

import slicer
from main_window import qSlicerMainWindow
from plot_views import qMRMLPlotWidget
from PySide6 import QtCore, QtWidgets
from qt_stand_in import QSettings
from slice_views import qMRMLSliceWidget, qMRMLThreeDWidget
from slicer_scene import make_scene
from subject_hierarchy import SubjectHierarchyFollower

# Name, orientation, colour: vtkMRMLLayoutLogic's Four-Up.
SLICES = (
    ("Red", "Axial", (0.952941, 0.290196, 0.200000), (0, 0)),
    ("Green", "Coronal", (0.431373, 0.690196, 0.294118), (1, 0)),
    ("Yellow", "Sagittal", (0.929412, 0.835294, 0.298039), (1, 1)),
)
ONE_UP = {4: "1", 6: "Red", 7: "Yellow", 8: "Green"}  # vtkMRMLLayoutNode::SlicerLayoutOneUp...
FOUR_UP = 3
VIEW_FACTORIES = ("vtkMRMLThreeDViewDisplayableManagerFactory", "vtkMRMLSliceViewDisplayableManagerFactory")


class qSlicerLayoutManager(QtCore.QObject):
    """qMRMLLayoutManager.h: Four-Up and the layouts with one view; any other shows as Four-Up."""

    _standsFor = "Libs/MRML/Widgets/qMRMLLayoutManager.h"
    layoutChanged = QtCore.Signal(int)

    def __init__(self, viewport, scene, applicationLogic):
        super().__init__(viewport)
        self._layout, self._slices, self._scene = FOUR_UP, {}, scene
        grid = QtWidgets.QGridLayout(viewport)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(2)
        for name, orientation, color, cell in SLICES:
            logic = slicer.vtkMRMLSliceLogic()
            logic.SetMRMLScene(scene)
            logic.SetMRMLApplicationLogic(applicationLogic)
            applicationLogic.GetSliceLogics().AddItem(logic)
            node = logic.AddSliceNode(name)
            node.SetOrientation(orientation)
            node.SetLayoutColor(*color)
            node.SetLayoutLabel(name[0])
            node.SetMappedInLayout(1)
            self._slices[name] = qMRMLSliceWidget(viewport, logic)
            grid.addWidget(self._slices[name], *cell)
        self._viewLogic = slicer.vtkMRMLViewLogic()
        self._viewLogic.SetMRMLScene(scene)
        self._viewLogic.SetMRMLApplicationLogic(applicationLogic)
        applicationLogic.GetViewLogics().AddItem(self._viewLogic)
        self._threeD = qMRMLThreeDWidget(viewport, self._viewLogic.AddViewNode("1"))
        self._threeD.mrmlViewNode().SetMappedInLayout(1)
        grid.addWidget(self._threeD, 0, 1)
        plotNode = slicer.vtkMRMLPlotViewNode()
        plotNode.SetLayoutName("PlotView1")
        plotNode.SetSingletonTag("PlotView1")
        scene.AddNode(plotNode)
        self._plot = qMRMLPlotWidget(viewport, plotNode)
        self._plot.hide()
        grid.addWidget(self._plot, 0, 1)
        plotNode.AddObserver("ModifiedEvent", lambda *_: QtCore.QTimer.singleShot(0, self._plotChanged))
        self._applicationLogic = applicationLogic

    def _plotChanged(self):
        """Without a layout node, a chart that is shown is what says that there is to be a plot view: Four-Up Plot."""
        node = self._plot.mrmlPlotViewNode()
        self._plot.setVisible(node.GetPlotChartNodeID() is not None and self._layout not in ONE_UP)
        self._threeD.setVisible(self._layout in (FOUR_UP, 4) and not self._plot.isVisibleTo(self._plot.parent()))

    def plotWidget(self, which):
        return self._plot if which in (0, "PlotView1") else None

    def sliceViewNames(self):
        return tuple(self._slices)

    def sliceWidget(self, name):
        return self._slices.get(name)

    def threeDWidget(self, which):
        return self._threeD if which in (0, "1", "View1") else None

    def mrmlSliceLogics(self):
        return self._applicationLogic.GetSliceLogics()

    def mrmlScene(self):
        return self._scene

    def activeMRMLThreeDViewNode(self):
        return self._threeD.mrmlViewNode()

    threeDViewCount = QtCore.Property(int, lambda self: 1)
    tableViewCount = QtCore.Property(int, lambda self: 0)
    plotViewCount = QtCore.Property(int, lambda self: int(self._plot.isVisibleTo(self._plot.parent())))

    def setLayout(self, layout):
        self._layout = layout
        for name, widget in {**self._slices, "1": self._threeD}.items():
            widget.setVisible(ONE_UP.get(layout, name) == name)
        self._plot.hide()
        self.layoutChanged.emit(layout)

    layout = QtCore.Property(int, lambda self: self._layout, setLayout)

    def resetSliceViews(self):
        for widget in self._slices.values():
            widget.fitSliceToBackground()

    def resetThreeDViews(self):
        self._threeD.threeDView().resetFocalPoint()

    def _views(self):
        return [*(widget.sliceView() for widget in self._slices.values()), self._threeD.threeDView()]

    def setRenderPaused(self, paused):
        for view in self._views():
            view.pauseRender() if paused else view.resumeRender()

    def pauseRender(self):
        self.setRenderPaused(True)

    def resumeRender(self):
        self.setRenderPaused(False)


class qSlicerModuleFactoryManager(QtCore.QObject):
    """qSlicerModuleFactoryManager.h: says which modules are loaded."""

    _standsFor = "Base/QTCore/qSlicerModuleFactoryManager.h"

    def loadedModuleNames(self):
        return self.parent().modulesNames()


class qSlicerModuleManager(QtCore.QObject):
    """qSlicerModuleManager.h."""

    _standsFor = "Base/QTCore/qSlicerModuleManager.h"
    moduleLoaded, moduleAboutToBeUnloaded = QtCore.Signal(str), QtCore.Signal(str)

    def __init__(self, parent):
        super().__init__(parent)
        self._modules, self._factory = {}, qSlicerModuleFactoryManager(self)

    def module(self, name):
        return self._modules.get(name)

    def modulesNames(self):
        return tuple(self._modules)

    def factoryManager(self):
        return self._factory

    def _add(self, module):
        self._modules[module.name] = module
        setattr(slicer.modules, module.name.lower(), module)
        self.moduleLoaded.emit(module.name)


class qSlicerApplication(QtWidgets.QApplication):
    """qSlicerCoreApplication.h and qSlicerApplication.h."""

    _standsFor = "Base/QTGUI/qSlicerApplication.h"
    startupCompleted = QtCore.Signal()

    def __init__(self):
        super().__init__(["Slicer"])
        self.setOrganizationName("slicer.org")
        self.setApplicationName("Slicer")
        self.setStyle("Fusion")
        self._scene, self._logic, self._coreModules = make_scene()
        self._hierarchy = SubjectHierarchyFollower(self._scene)
        self._testing, self._temporary, self._restarts = False, tempfile.gettempdir(), 0

    def _open(self):
        """The main window, once `slicer.app` can be asked for this object."""
        self._moduleManager = qSlicerModuleManager(self)
        for module in vars(self._coreModules).values():
            self._moduleManager._modules[module.name] = module
        for name in VIEW_FACTORIES:
            getattr(slicer, name).GetInstance().SetMRMLApplicationLogic(self._logic)
        self._window = qSlicerMainWindow()
        self._layoutManager = qSlicerLayoutManager(self._window._viewport, self._scene, self._logic)
        self._window.resize(1100, 720)
        self._window.show()

    def mrmlScene(self):
        return self._scene

    def applicationLogic(self):
        return self._logic

    def moduleLogic(self, name):
        return self._logic.GetModuleLogic(name)

    def layoutManager(self):
        return self._layoutManager

    def moduleManager(self):
        return self._moduleManager

    def testingEnabled(self):
        return self._testing

    def settings(self):
        return QSettings()

    userSettings = revisionUserSettings = settings

    def pauseRender(self):
        self._layoutManager.pauseRender()

    def resumeRender(self):
        self._layoutManager.resumeRender()

    def restart(self):
        self._restarts += 1

    def moduleDocumentationUrl(self, name):
        return f"{self.documentationBaseUrl}user_guide/modules/{name.lower()}.html"

    temporaryPath = QtCore.Property(
        str, lambda self: self._temporary, lambda self, path: setattr(self, "_temporary", path)
    )
    majorVersion, minorVersion = QtCore.Property(int, lambda self: 5), QtCore.Property(int, lambda self: 12)
    revision = QtCore.Property(str, lambda self: "34000")
    os = QtCore.Property(str, lambda self: "linux")
    documentationBaseUrl = QtCore.Property(str, lambda self: "https://slicer.readthedocs.io/en/latest/")
    slicerUserSettingsFilePath = QtCore.Property(str, lambda self: QSettings().fileName())


def close_scene(application: qSlicerApplication) -> None:
    """File > Close scene, and the views as after start-up."""
    application.mrmlScene().Clear(0)
    layout = application.layoutManager()
    layout._plot.mrmlPlotViewNode().SetPlotChartNodeID(None)
    layout.setLayout(FOUR_UP)
    for name, orientation, _color, _cell in SLICES:
        widget = layout.sliceWidget(name)
        node, composite = widget.mrmlSliceNode(), widget.mrmlSliceCompositeNode()
        node.SetOrientation(orientation)
        for layer in ("Background", "Foreground", "Label"):
            getattr(composite, f"Set{layer}VolumeID")(None)
        composite.SetForegroundOpacity(0.0)
        composite.SetLinkedControl(0)
        size = widget.sliceView().renderWindow().GetSize()
        node.SetFieldOfView(250.0 * size[0] / size[1], 250.0, 1.0)
        node.SetDimensions(*size, 1)
        node.SetSliceOffset(0.0)


def scripted_modules_namespace(application: qSlicerApplication) -> types.SimpleNamespace:
    """A fresh `slicer.modules` with the C++ modules only."""
    return types.SimpleNamespace(**vars(application._coreModules))


def finish(application: qSlicerApplication) -> None:
    """Take the views apart before Python takes everything apart in any order."""
    for view in [*application._layoutManager._views(), application._layoutManager._plot.plotView()]:
        view._finish()
    application._window.close()
    for name in VIEW_FACTORIES:
        getattr(slicer, name).GetInstance().SetMRMLApplicationLogic(None)
    application._scene.Clear(1)
