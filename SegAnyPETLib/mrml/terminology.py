"""The coded meaning of a segment, as Slicer keeps it in a tag.

The tag is "context~category~type~type modifier~region context~region~region modifier", a code "scheme^value^meaning". is read and written as text because Slicer's terminology logic wants its lists loaded, which only the desktop does.
"""

from __future__ import annotations

import slicer
import vtk

from SegAnyPETLib.data.segment import Code, Terminology
from SegAnyPETLib.mrml.frames import Node

CATEGORY_CONTEXT = "Segmentation category and type - DICOM master list"  # the lists Slicer looks the codes up in
REGION_CONTEXT = "Anatomic codes - DICOM master list"
NO_CODE = "^^"


def setTerminology(segmentationNode: Node, segmentID: str, terminology: Terminology) -> None:
    """Write a segment's terminology tag."""
    parts = (
        CATEGORY_CONTEXT,
        _text(terminology.category),
        _text(terminology.type),
        NO_CODE,
        REGION_CONTEXT,
        _text(terminology.region) if terminology.region else NO_CODE,
        NO_CODE,
    )
    segment = segmentationNode.GetSegmentation().GetSegment(segmentID)
    segment.SetTag(slicer.vtkSegment.GetTerminologyEntryTagName(), "~".join(parts))


def terminologyFromSegment(segmentationNode: Node, segmentID: str) -> Terminology | None:
    """A segment's terminology; None where it has none. Modifiers are left aside."""
    segment = segmentationNode.GetSegmentation().GetSegment(segmentID)
    value = vtk.reference("")
    if not segment.GetTag(slicer.vtkSegment.GetTerminologyEntryTagName(), value):
        return None
    parts = str(value).split("~")
    if len(parts) != 7 or NO_CODE in parts[1:3]:
        return None
    region = None if parts[5] == NO_CODE else _code(parts[5])
    return Terminology(_code(parts[1]), _code(parts[2]), region)


def _text(code: Code) -> str:
    return f"{code.scheme}^{code.value}^{code.meaning}"


def _code(text: str) -> Code:
    scheme, value, meaning = text.split("^")
    return Code(value, scheme, meaning)
