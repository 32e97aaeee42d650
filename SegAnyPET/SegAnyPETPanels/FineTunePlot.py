"""The curves of a run as nodes of the scene, shown in Slicer's own plot view. They are not saved with the scene."""

import slicer
from slicer.i18n import tr as _

SMOOTHED_POINTS = 15  # of the loss that one point of the smoothed curve is the mean of
STEP = "Step"
ROOM = 1.3
FEWEST_POINTS = 2  # of a curve in the chart: VTK takes fewer for an error each time it draws
LOSS_RGB, DICE_RGB = (0.93, 0.55, 0.14), (0.23, 0.56, 0.84)  # told apart by everybody, on light and on dark


class FineTunePlot:
    """Two tables, three series and one chart, made when there is something to show."""

    def __init__(self):
        """Make nothing yet."""
        self._nodes, self._shown = {}, None

    @property
    def chartNode(self):
        """The chart; None before anything was shown or after the scene was closed."""
        node = self._nodes.get("chart")
        return node if node is not None and node.GetScene() is not None else None

    def show(self, loss, dice):
        """Show these curves; nothing happens where they are as before.

        Args:
            loss: `Curve` of the loss.
            dice: `Curve` of the validation Dice.
        """
        state = (len(loss.steps), loss.steps[-1:], loss.values[-1:], len(dice.steps), dice.steps[-1:])
        if self.chartNode is None:
            if not loss.steps:
                return
            self._make()
        elif state == self._shown:
            return
        self._shown = state
        means = smoothed(loss.values)
        fill(self._nodes["lossTable"], {STEP: loss.steps, "loss": loss.values, "smoothed": means})
        fill(self._nodes["diceTable"], {STEP: dice.steps, "dice": dice.values})
        # Room above the curves for the legend, which the plot view puts there; a few steps may lie above, or one of
        # them would press the curves together.
        self._nodes["chart"].SetYAxisRange(0.0, ROOM * max([1.0, *means]))
        for name, curve in (("loss", loss), ("smoothed", loss), ("dice", dice)):
            if len(curve.steps) >= FEWEST_POINTS:
                self._addToChart(self._nodes[name])

    def openView(self):
        """Bring a layout with a plot view, and the chart in it."""
        if self.chartNode is not None:
            slicer.modules.plots.logic().ShowChartInLayout(self.chartNode)

    def remove(self):
        """Take the nodes out of the scene."""
        for node in self._nodes.values():
            if node.GetScene() is not None:
                node.GetScene().RemoveNode(node)
        self._nodes, self._shown = {}, None

    def _make(self):
        self.remove()
        self._add("lossTable", "vtkMRMLTableNode", _("Fine-tuning: loss"))
        self._add("diceTable", "vtkMRMLTableNode", _("Fine-tuning: validation"))
        fill(self._nodes["lossTable"], {STEP: [], "loss": [], "smoothed": []})
        fill(self._nodes["diceTable"], {STEP: [], "dice": []})
        chart = self._add("chart", "vtkMRMLPlotChartNode", _("Fine-tuning"))
        chart.SetTitle(_("Fine-tuning"))
        chart.SetYAxisRangeAuto(False)
        chart.SetXAxisTitle(_("Step"))
        chart.SetYAxisTitle(_("Loss, Dice"))
        kind = slicer.vtkMRMLPlotSeriesNode
        for name, table, column, title, color in (
            ("loss", "lossTable", "loss", _("Loss"), LOSS_RGB),
            ("smoothed", "lossTable", "smoothed", _("Loss, smoothed"), LOSS_RGB),
            ("dice", "diceTable", "dice", _("Validation Dice"), DICE_RGB),
        ):
            series = self._add(name, "vtkMRMLPlotSeriesNode", title)
            series.SetAndObserveTableNodeID(self._nodes[table].GetID())
            series.SetXColumnName(STEP)
            series.SetYColumnName(column)
            series.SetPlotType(kind.PlotTypeScatter)
            series.SetColor(*color)
            series.SetOpacity(0.35 if name == "loss" else 1.0)
            series.SetLineStyle(kind.LineStyleNone if name == "loss" else kind.LineStyleSolid)
            series.SetMarkerStyle(kind.MarkerStyleNone if name == "smoothed" else kind.MarkerStyleCircle)
            series.SetMarkerSize(4 if name == "loss" else 8)
            series.SetLineWidth(2.5)

    def _addToChart(self, series):
        chart = self._nodes["chart"]
        known = [chart.GetNthPlotSeriesNodeID(n) for n in range(chart.GetNumberOfPlotSeriesNodes())]
        if series.GetID() not in known:
            chart.AddAndObservePlotSeriesNodeID(series.GetID())

    def _add(self, key, className, name):
        node = slicer.mrmlScene.AddNewNodeByClass(className, name)
        node.SetSaveWithScene(False)
        node.SetHideFromEditors(True)  # of no use anywhere else
        self._nodes[key] = node
        return node


def fill(tableNode, columns):
    """Give a table these columns, all of numbers and equally long; one change is told.

    Args:
        tableNode: A vtkMRMLTableNode.
        columns: Name -> values.
    """
    import vtk
    from vtk.util.numpy_support import numpy_to_vtk

    table = vtk.vtkTable()
    for name, values in columns.items():
        column = numpy_to_vtk(floats(values), 1)
        column.SetName(name)
        table.AddColumn(column)
    tableNode.SetAndObserveTable(table)


def floats(values):
    """Values as an array of floats."""
    import numpy as np

    return np.asarray(values, dtype=np.float64)


def smoothed(values):
    """The mean of each value and those before it, so that no point knows of later ones."""
    import numpy as np

    sums = np.cumsum([0.0, *values])
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(0, ends - SMOOTHED_POINTS)
    return (sums[ends] - sums[starts]) / (ends - starts) if len(values) else np.zeros(0)
