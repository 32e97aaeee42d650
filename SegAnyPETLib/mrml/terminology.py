"""The coded meaning of a segment in the scene, read and written as text.

Slicer's terminology logic would do it too, but wants its lists loaded, which only the desktop does.
"""

from __future__ import annotations

import slicer
import vtk

from SegAnyPETLib.data.segment import Terminology
from SegAnyPETLib.data.slicer_terminology import slicer_terminology_entry, terminology_of_entry
from SegAnyPETLib.mrml.frames import Node


def setTerminology(segmentationNode: Node, segmentID: str, terminology: Terminology) -> None:
    """Write a segment's terminology tag."""
    segment = segmentationNode.GetSegmentation().GetSegment(segmentID)
    segment.SetTag(slicer.vtkSegment.GetTerminologyEntryTagName(), slicer_terminology_entry(terminology))


def terminologyFromSegment(segmentationNode: Node, segmentID: str) -> Terminology | None:
    """A segment's terminology; None where it has none. A region's modifier is left aside."""
    segment = segmentationNode.GetSegmentation().GetSegment(segmentID)
    value = vtk.reference("")
    if not segment.GetTag(slicer.vtkSegment.GetTerminologyEntryTagName(), value):
        return None
    return terminology_of_entry(str(value))
