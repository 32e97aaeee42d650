"""Real MRML nodes: volumes, markups and segments of 3D Slicer, tied to the library. Needs slicer and vtk.

Names follow Slicer's camelCase. All of it belongs to the main thread.
"""

from SegAnyPETLib.mrml.bridge import SegmentationBridge
from SegAnyPETLib.mrml.frames import gridFromVolumeNode, hasLinearTransformToWorld, lpsFromRAS, worldFromNode
from SegAnyPETLib.mrml.prompts import PlacedPoint, boxFromROI, pointsFromMarkups, seedFromSegment
from SegAnyPETLib.mrml.segments import (
    addSegment,
    addSegmentationNode,
    fitSegmentationToVolume,
    maskFromSegment,
    writeMaskToSegment,
)
from SegAnyPETLib.mrml.tables import writeMeasuresToTable
from SegAnyPETLib.mrml.terminology import setTerminology, terminologyFromSegment
from SegAnyPETLib.mrml.volumes import addVolumeNode, kindFromVolumeNode, suvVolumeFromNode

__all__ = [
    "PlacedPoint",
    "SegmentationBridge",
    "addSegment",
    "addSegmentationNode",
    "addVolumeNode",
    "boxFromROI",
    "fitSegmentationToVolume",
    "gridFromVolumeNode",
    "hasLinearTransformToWorld",
    "kindFromVolumeNode",
    "lpsFromRAS",
    "maskFromSegment",
    "pointsFromMarkups",
    "seedFromSegment",
    "setTerminology",
    "suvVolumeFromNode",
    "terminologyFromSegment",
    "worldFromNode",
    "writeMaskToSegment",
    "writeMeasuresToTable",
]
