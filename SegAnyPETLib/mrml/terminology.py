"""The coded meaning of a segment, as Slicer keeps it in a tag.

The tag is "context~category~type~type modifier~region context~region~region modifier", a code "scheme^value^meaning".
It is read and written as text because Slicer's terminology logic wants its lists loaded, which only the desktop does.
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
        _text(terminology.type_modifier),
        REGION_CONTEXT,
        _text(terminology.region),
        NO_CODE,
    )
    segment = segmentationNode.GetSegmentation().GetSegment(segmentID)
    segment.SetTag(slicer.vtkSegment.GetTerminologyEntryTagName(), "~".join(parts))


def terminologyFromSegment(segmentationNode: Node, segmentID: str) -> Terminology | None:
    """A segment's terminology; None where it has none. A region's modifier is left aside."""
    segment = segmentationNode.GetSegmentation().GetSegment(segmentID)
    value = vtk.reference("")
    if not segment.GetTag(slicer.vtkSegment.GetTerminologyEntryTagName(), value):
        return None
    parts = str(value).split("~")
    if len(parts) != 7:
        return None
    category, kind, modifier, region = (_code(parts[n]) for n in (1, 2, 3, 5))
    if category is None or kind is None:
        return None
    return Terminology(category, kind, region=region, type_modifier=modifier)


def _text(code: Code | None) -> str:
    return NO_CODE if code is None else f"{code.scheme}^{code.value}^{code.meaning}"


def _code(text: str) -> Code | None:
    """None where Slicer has no code, or one without scheme, value or meaning."""
    parts = text.split("^")
    if len(parts) != 3 or not all(part.strip() for part in parts):
        return None
    scheme, value, meaning = parts
    return Code(value, scheme, meaning)
