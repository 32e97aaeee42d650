"""The plot view: lines and points of the chart its node names, drawn by VTK's charts as qMRMLPlotView.cxx has them."""

from __future__ import annotations

import slicer
import vtk
from PySide6 import QtCore, QtWidgets
from vtk_widgets import ctkVTKOpenGLNativeWidget

POLL_MS = 200  # the view looks whether something changed; the desktop observes every node


class qMRMLPlotView(ctkVTKOpenGLNativeWidget):
    """qMRMLPlotView.h as far as it shows charts of lines and points; no mouse."""

    _standsFor = "Libs/MRML/Widgets/qMRMLPlotView.h"

    def __init__(self, parent, node):
        super().__init__(parent)
        self._node, self._drawn = node, None
        self._renderer, self._chart = vtk.vtkRenderer(), vtk.vtkChartXY()
        self._renderer.SetBackground(1.0, 1.0, 1.0)
        self.renderWindow().AddRenderer(self._renderer)
        actor = vtk.vtkContextActor()
        actor.GetScene().AddItem(self._chart)
        actor.GetScene().SetRenderer(self._renderer)
        self._renderer.AddActor(actor)
        self._timer = QtCore.QTimer(self)
        self._timer.setInterval(POLL_MS)
        self._timer.timeout.connect(self._look)

    def mrmlPlotViewNode(self):
        return self._node

    def showEvent(self, _event):
        self._timer.start()  # not at once: the window has no size yet

    def hideEvent(self, _event):
        self._timer.stop()

    def _look(self):
        chart = self._node.GetPlotChartNode()
        count = 0 if chart is None else chart.GetNumberOfPlotSeriesNodes()
        found = [chart.GetNthPlotSeriesNode(n) for n in range(count)]
        series = [one for one in found if one is not None and one.GetTableNode() is not None]
        state = (
            self.renderWindow().GetSize(),
            chart and chart.GetMTime(),
            [(one.GetMTime(), one.GetTableNode().GetMTime()) for one in series],
        )
        if state == self._drawn:
            return
        self._drawn = state
        self._chart.ClearPlots()
        if chart is not None:
            self._show(chart, series)
        self._draw()

    def _show(self, chart, series):
        self._chart.SetTitle(chart.GetTitle())
        self._chart.SetShowLegend(True)
        for axis, title in ((vtk.vtkAxis.BOTTOM, chart.GetXAxisTitle()), (vtk.vtkAxis.LEFT, chart.GetYAxisTitle())):
            self._chart.GetAxis(axis).SetTitle(title)
        for one in series:
            table = one.GetTableNode().GetTable()
            if not table.GetNumberOfRows():
                continue
            plot = self._chart.AddPlot(vtk.vtkChart.LINE)
            plot.SetInputData(table, one.GetXColumnName(), one.GetYColumnName())
            plot.SetLabel(one.GetName())
            plot.SetColorF(*one.GetColor(), one.GetOpacity())
            plot.SetWidth(one.GetLineWidth())
            isLine = one.GetLineStyle() != slicer.vtkMRMLPlotSeriesNode.LineStyleNone
            isMarked = one.GetMarkerStyle() != slicer.vtkMRMLPlotSeriesNode.MarkerStyleNone
            plot.GetPen().SetLineType(vtk.vtkPen.SOLID_LINE if isLine else vtk.vtkPen.NO_PEN)
            plot.SetMarkerStyle(vtk.vtkPlotPoints.CIRCLE if isMarked else vtk.vtkPlotPoints.NONE)
            plot.SetMarkerSize(one.GetMarkerSize())
        self._chart.RecalculateBounds()
        axis = self._chart.GetAxis(vtk.vtkAxis.LEFT)
        axis.SetBehavior(vtk.vtkAxis.AUTO if chart.GetYAxisRangeAuto() else vtk.vtkAxis.FIXED)
        if not chart.GetYAxisRangeAuto():
            axis.SetRange(*chart.GetYAxisRange())

    def _finish(self):
        self._timer.stop()
        self._chart.ClearPlots()
        self.renderWindow().Finalize()


class qMRMLPlotWidget(QtWidgets.QWidget):
    """qMRMLPlotWidget.h without its bar."""

    _standsFor = "Libs/MRML/Widgets/qMRMLPlotWidget.h"

    def __init__(self, parent, node):
        super().__init__(parent)
        self._view = qMRMLPlotView(self, node)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._view)

    def plotView(self):
        return self._view

    def mrmlPlotViewNode(self):
        return self._view.mrmlPlotViewNode()
