"""Control points and ROIs as clicks in the order they were given, and clicks put back into the nodes.

The order is kept in the description of each control point, so that it is saved with the scene and stays when a point
is moved. A point without a description of ours was just placed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import slicer
import vtk

from SegAnyPETLib.errors import GeometryError, PromptError
from SegAnyPETLib.geometry import Grid
from SegAnyPETLib.mrml.click_history import Click, ROIPlace
from SegAnyPETLib.mrml.frames import Node, arrayFromMatrix, lpsFromRAS, matrixFromArray
from SegAnyPETLib.mrml.lesion_nodes import LesionNodes
from SegAnyPETLib.mrml.prompts import boxFromROI, pointsFromMarkups
from SegAnyPETLib.session import Box, Point, Prompt

DESCRIPTION = "SegAnyPET click {}"
_ORDER = re.compile(r"SegAnyPET click (\d+)")
SAME_PLACE_MM = 1e-6  # a position that went through a transform and back differs by about 1e-13


@dataclass(frozen=True, eq=False)
class ReadClicks:
    """What stands in the nodes of a lesion.

    Attributes:
        known: Clicks with an order, by order; points without one are not among them.
        new: Control points that were just placed: node and ID, in the order of their list, positive ones first.
        outside: Control points outside the volume: node and ID.
        problem: Why the ROI cannot be used; empty where it can.
    """

    known: tuple[Click, ...]
    new: tuple[tuple[Node, str], ...]
    outside: tuple[tuple[Node, str], ...]
    problem: str = ""


def readClicks(nodes: LesionNodes, *, grid: Grid, before: Sequence[Click]) -> ReadClicks:
    """Read the nodes of a lesion; seeds, which have no node, are taken over from the clicks `before`."""
    known: dict[int, Click] = {click.order: click for click in before if not isinstance(click.prompt, Point | Box)}
    new, outside = [], []
    for node, positive in zip(nodes.pointNodes, (True, False), strict=True):
        for placed in pointsFromMarkups(node, positive=positive):
            where = (node, placed.controlPointID)
            order = orderOf(node, placed.controlPointID)
            if not grid.contains_kji(grid.lps_to_kji(placed.prompt.lps_mm)):
                outside.append(where)
            elif order is None or order in known:  # copied points carry the order of the one they were copied from
                new.append(where)
            else:
                known[order] = Click(order, placed.prompt)
    problem = _readBox(nodes, known, before)
    old = {click.order: click for click in before}
    clicks = tuple(_unlessSame(known[order], old.get(order)) for order in sorted(known))
    return ReadClicks(clicks, tuple(new), tuple(outside), problem)


def setOrder(node: Node, controlPointID: str, order: int, *, positive: bool) -> Click:
    """Write the order of a point that was just placed."""
    node.SetNthControlPointDescription(node.GetNthControlPointIndexByID(controlPointID), DESCRIPTION.format(order))
    return Click(order, Point(_positionOf(node, controlPointID), positive))


def writeClicks(nodes: LesionNodes, clicks: Sequence[Click]) -> None:
    """Make the nodes hold just these clicks; points that are there already are only moved."""
    for node, positive in zip(nodes.pointNodes, (True, False), strict=True):
        wanted = {
            click.order: click.prompt
            for click in clicks
            if isinstance(click.prompt, Point) and click.prompt.positive == positive
        }
        _writePoints(node, wanted)
    boxes = [click for click in clicks if isinstance(click.prompt, Box)]
    nodes.roiNode = _placeROI(nodes, boxes[-1]) if boxes else None


def putBack(node: Node, controlPointID: str, clicks: Sequence[Click]) -> None:
    """Move a point back to where it was among `clicks`; one that was not among them is taken away."""
    index = node.GetNthControlPointIndexByID(controlPointID)
    if index < 0:
        return
    order = orderOf(node, controlPointID)
    old = next((c.prompt for c in clicks if c.order == order and isinstance(c.prompt, Point)), None)
    if old is None:
        node.RemoveNthControlPoint(index)
    else:
        node.SetNthControlPointPositionWorld(index, lpsFromRAS(old.lps_mm))


def roiPlace(roiNode: Node) -> ROIPlace:
    """Where a ROI stands."""
    matrix = arrayFromMatrix(roiNode.GetObjectToNodeMatrix())
    return ROIPlace(
        roiNode.GetID(), tuple(roiNode.GetCenter()), tuple(roiNode.GetSize()), tuple(matrix.ravel().tolist())
    )


def _readBox(nodes: LesionNodes, known: dict[int, Click], before: Sequence[Click]) -> str:
    """Add the ROI to `known`; returns why it cannot be used."""
    roiNode = nodes.roiNode
    if roiNode is None or roiNode.GetScene() is None or not roiNode.GetNumberOfDefinedControlPoints():
        return ""  # not there, or still being drawn
    old = next((click for click in before if isinstance(click.prompt, Box)), None)
    try:
        box = boxFromROI(roiNode)
    except (PromptError, GeometryError) as error:
        return str(error)
    order = old.order if old is not None else 1 + max((c.order for c in (*before, *known.values())), default=0)
    known[order] = Click(order, box, roiPlace(roiNode))
    return ""


def orderOf(node: Node, controlPointID: str) -> int | None:
    """The place of a point among the clicks; None for one that was just placed."""
    text = node.GetNthControlPointDescription(node.GetNthControlPointIndexByID(controlPointID))
    match = _ORDER.fullmatch(text)
    return int(match[1]) if match else None


def _unlessSame(click: Click, old: Click | None) -> Click:
    """The click as it was, where it only went through a transform and back."""
    if old is None or not _isSame(click.prompt, old.prompt):
        return click
    return old if click.roi == old.roi else replace(old, roi=click.roi)


def _isSame(first: Prompt, second: Prompt) -> bool:
    if isinstance(first, Point) and isinstance(second, Point):
        return first.positive == second.positive and _isNear(first.lps_mm, second.lps_mm)
    if isinstance(first, Box) and isinstance(second, Box):
        return _isNear(first.lps_mm_min, second.lps_mm_min) and _isNear(first.lps_mm_max, second.lps_mm_max)
    return first is second


def _isNear(first: tuple[float, ...], second: tuple[float, ...]) -> bool:
    return bool(np.abs(np.subtract(first, second)).max() <= SAME_PLACE_MM)


def _positionOf(node: Node, controlPointID: str) -> tuple[float, float, float]:
    index = node.GetNthControlPointIndexByID(controlPointID)
    x, y, z = lpsFromRAS(node.GetNthControlPointPositionWorld(index)).tolist()
    return x, y, z


def _writePoints(node: Node, wanted: dict[int, Point]) -> None:
    missing = dict(wanted)
    for index in reversed(range(node.GetNumberOfControlPoints())):
        if node.GetNthControlPointPositionStatus(index) != slicer.vtkMRMLMarkupsNode.PositionDefined:
            continue
        controlPointID = node.GetNthControlPointID(index)
        point = missing.pop(orderOf(node, controlPointID) or 0, None)
        if point is None:
            node.RemoveNthControlPoint(index)
        elif not _isNear(_positionOf(node, controlPointID), point.lps_mm):
            node.SetNthControlPointPositionWorld(index, lpsFromRAS(point.lps_mm))
    for order, point in sorted(missing.items()):
        index = node.AddControlPointWorld(vtk.vtkVector3d(*lpsFromRAS(point.lps_mm)))
        node.SetNthControlPointDescription(index, DESCRIPTION.format(order))


def _placeROI(nodes: LesionNodes, click: Click) -> Node:
    """The ROI of a box, put where it stood; made anew where it was deleted."""
    scene, place = nodes.positiveNode.GetScene(), click.roi
    roiNode = scene.GetNodeByID(place.nodeID) if place is not None else None
    if roiNode is None:
        roiNode = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "Box")
        roiNode.CreateDefaultDisplayNodes()
    if place is not None and roiPlace(roiNode) != replace(place, nodeID=roiNode.GetID()):
        roiNode.GetObjectToNodeMatrix().DeepCopy(matrixFromArray(np.reshape(place.objectToNode, (4, 4))))
        roiNode.SetSize(place.size)
        roiNode.SetCenter(place.center)
    return roiNode
