"""Markups and segments as prompts of a session, all in world LPS mm.

A control point carries no time of placement. Within one markups node the order of the list is the order of placement;
between two nodes it is known only to who has watched, as the editor does (see `lesion_clicks`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import slicer

from SegAnyPETLib.errors import GeometryError, PromptError
from SegAnyPETLib.geometry import Grid
from SegAnyPETLib.mrml.frames import Node, hasLinearTransformToWorld, lpsFromRAS
from SegAnyPETLib.mrml.segments import maskFromSegment
from SegAnyPETLib.session import Box, Point, SeedMask


@dataclass(frozen=True)
class PlacedPoint:
    """A control point that has been placed.

    Attributes:
        nodeID: MRML ID of its markups node.
        controlPointID: ID of the control point, which stays when the point is moved or others are deleted.
        prompt: The point as a prompt.
    """

    nodeID: str
    controlPointID: str
    prompt: Point


def pointsFromMarkups(markupsNode: Node, *, positive: bool) -> list[PlacedPoint]:
    """The placed control points of a markups node, in the order of its list, at their world positions.

    Points that are still being placed (preview), were skipped, or had their position removed are left out.

    Args:
        markupsNode: Any markups node; fiducials are meant.
        positive: True when its points say "this belongs to the lesion".
    """
    placed = []
    for index in range(markupsNode.GetNumberOfControlPoints()):
        if markupsNode.GetNthControlPointPositionStatus(index) != slicer.vtkMRMLMarkupsNode.PositionDefined:
            continue
        x, y, z = lpsFromRAS(markupsNode.GetNthControlPointPositionWorld(index)).tolist()
        point = Point(lps_mm=(x, y, z), positive=positive)
        placed.append(PlacedPoint(markupsNode.GetID(), markupsNode.GetNthControlPointID(index), point))
    return placed


def boxFromROI(roiNode: Node) -> Box:
    """The box around a ROI, along the world axes.

    The session's boxes run along the LPS axes. A rotated ROI gives the smallest such box that holds it, so nothing the
    user enclosed is lost, but its corners reach further than the ROI.

    Raises:
        PromptError: The ROI is not placed, has no volume, or means its outside.
        GeometryError: A parent transform is not linear, so that the ROI has no straight edges in the world.
    """
    name = roiNode.GetName()
    if roiNode.GetInsideOut():
        msg = f"Expected a ROI that means its inside; '{name}' is set to 'inside out'. Switch that off."
        raise PromptError(msg)
    if not hasLinearTransformToWorld(roiNode):
        msg = f"Expected only linear transforms above ROI '{name}'. Harden the transform, or place the ROI anew."
        raise GeometryError(msg)
    if roiNode.GetNumberOfDefinedControlPoints() == 0 or not min(roiNode.GetSize()) > 0:
        msg = f"Expected a placed ROI with a volume; '{name}' has size {roiNode.GetSize()} mm. Draw it in a view first."
        raise PromptError(msg)
    boundsRAS = np.zeros(6)
    roiNode.GetRASBounds(boundsRAS)  # along the world axes, parent transforms included
    corners = lpsFromRAS(boundsRAS.reshape(3, 2).T)
    low, high = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
    return Box(lps_mm_min=(low[0], low[1], low[2]), lps_mm_max=(high[0], high[1], high[2]))


def seedFromSegment(segmentationNode: Node, segmentID: str, *, grid: Grid) -> SeedMask:
    """An existing segment as a seed, on `grid` (nearest neighbour where the segment has another grid).

    Raises:
        PromptError: The segment is empty, or lies outside the grid.
        GeometryError: A parent transform of the segmentation is not linear, or there is no such segment.
    """
    mask = maskFromSegment(segmentationNode, segmentID, grid=grid)
    if not mask.any():
        msg = (
            f"Expected a segment that overlaps the volume; '{segmentID}' of '{segmentationNode.GetName()}' has no "
            "voxel in it. Choose a segment of the same patient position, or paint one."
        )
        raise PromptError(msg)
    return SeedMask(mask=mask)
