"""The slice views and the 3D view: Slicer's own displayable managers in the widgets of `vtk_widgets.py`.

After qMRMLSliceView.cxx and qMRMLThreeDView.cxx. Markups, segmentations and slices in them are drawn, and clicks in
them understood, by the code the desktop runs.
"""

from __future__ import annotations

import slicer
import vtk
from PySide6 import QtGui, QtWidgets
from vtk_widgets import ctkVTKAbstractView

SLICE_MANAGERS = (
    "vtkMRMLVolumeGlyphSliceDisplayableManager",
    "vtkMRMLModelSliceDisplayableManager",
    "vtkMRMLCrosshairDisplayableManager",
    "vtkMRMLOrientationMarkerDisplayableManager",
    "vtkMRMLRulerDisplayableManager",
    "vtkMRMLScalarBarDisplayableManager",
    "vtkMRMLMarkupsDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager2D",
    "vtkMRMLTransformsDisplayableManager2D",
)
THREED_MANAGERS = (
    "vtkMRMLCameraDisplayableManager",
    "vtkMRMLViewDisplayableManager",
    "vtkMRMLModelDisplayableManager",
    "vtkMRMLThreeDReformatDisplayableManager",
    "vtkMRMLCrosshairDisplayableManager3D",
    "vtkMRMLOrientationMarkerDisplayableManager",
    "vtkMRMLRulerDisplayableManager",
    "vtkMRMLMarkupsDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager3D",
)


class qMRMLSliceView(ctkVTKAbstractView):
    """qMRMLSliceView.h, drawing the image of the slice logic as ctkVTKSliceView does."""

    _standsFor = "Libs/MRML/Widgets/qMRMLSliceView.h"

    def __init__(self, parent, logic):
        super().__init__(parent)
        self._logic = logic
        self._mapper = vtk.vtkImageMapper()
        self._mapper.SetColorWindow(255)
        self._mapper.SetColorLevel(127.5)
        self._actor = vtk.vtkActor2D()
        self._actor.SetMapper(self._mapper)
        self._actor.GetProperty().SetDisplayLocationToBackground()
        self._renderer.AddViewProp(self._actor)
        self.interactor().SetInteractorStyle(vtk.vtkInteractorStyleUser())
        style = slicer.vtkMRMLSliceViewInteractorStyle()
        style.SetSliceLogic(logic)
        factory = slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance()
        self._install(factory, SLICE_MANAGERS, style, logic.GetSliceNode())
        self._logicTag = logic.AddObserver("ModifiedEvent", self._updateImage)
        self._updateImage()

    def mrmlSliceNode(self):
        return self._logic.GetSliceNode()

    def _updateImage(self, *_):
        connection = self._logic.GetImageDataConnection()
        self._mapper.SetInputConnection(connection)
        self._actor.SetVisibility(connection is not None)
        self.scheduleRender()

    def _resized(self, *_):
        self._logic.ResizeSliceNode(*self.renderWindow().GetSize())
        self.scheduleRender()

    def _finish(self):
        self._logic.RemoveObserver(self._logicTag)
        self._mapper.SetInputConnection(None)
        super()._finish()


class qMRMLThreeDView(ctkVTKAbstractView):
    """qMRMLThreeDView.h."""

    _standsFor = "Libs/MRML/Widgets/qMRMLThreeDView.h"

    def __init__(self, parent, node):
        super().__init__(parent)
        self._node = node
        self._renderer.SetGradientBackground(True)
        self.interactor().SetInteractorStyle(vtk.vtkInteractorStyle3D())
        factory = slicer.vtkMRMLThreeDViewDisplayableManagerFactory.GetInstance()
        self._install(factory, THREED_MANAGERS, slicer.vtkMRMLThreeDViewInteractorStyle(), node)

    def mrmlViewNode(self):
        return self._node

    def resetFocalPoint(self):
        self._renderer.ResetCamera()
        self.scheduleRender()

    def resetCamera(self):
        self.resetFocalPoint()


class qMRMLSliceWidget(QtWidgets.QWidget):
    """qMRMLSliceWidget.h without the bar above the slice (its sliders are moved through the slice node)."""

    _standsFor = "Libs/MRML/Widgets/qMRMLSliceWidget.h"

    def __init__(self, parent, logic):
        super().__init__(parent)
        self._logic, self._view = logic, qMRMLSliceView(self, logic)
        _frame(self, self._view, logic.GetSliceNode().GetLayoutColor())

    def sliceView(self):
        return self._view

    def sliceLogic(self):
        return self._logic

    def mrmlSliceNode(self):
        return self._logic.GetSliceNode()

    def mrmlSliceCompositeNode(self):
        return self._logic.GetSliceCompositeNode()

    def interactorStyle(self):
        return self._view.interactorObserver()

    def fitSliceToBackground(self):
        self._logic.FitSliceToBackground()


class qMRMLThreeDWidget(QtWidgets.QWidget):
    """qMRMLThreeDWidget.h without its bar."""

    _standsFor = "Libs/MRML/Widgets/qMRMLThreeDWidget.h"

    def __init__(self, parent, node):
        super().__init__(parent)
        self._node, self._view = node, qMRMLThreeDView(self, node)
        _frame(self, self._view, node.GetLayoutColor())

    def threeDView(self):
        return self._view

    def mrmlViewNode(self):
        return self._node


def _frame(widget, view, color):
    bar = QtWidgets.QFrame(widget)
    bar.setFixedHeight(4)
    bar.setStyleSheet(f"background: {QtGui.QColor.fromRgbF(*color).name()}")
    layout = QtWidgets.QVBoxLayout(widget)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(0)
    layout.addWidget(bar)
    layout.addWidget(view)
