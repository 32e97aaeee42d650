"""Real MRML nodes: volumes, markups and segments of 3D Slicer, tied to the library. Needs slicer and vtk.

Names follow Slicer's camelCase. All of it belongs to the main thread.
"""

from SegAnyPETLib.mrml.burden import Burden
from SegAnyPETLib.mrml.engine import Engine
from SegAnyPETLib.mrml.frames import gridFromVolumeNode, hasLinearTransformToWorld, lpsFromRAS, worldFromNode
from SegAnyPETLib.mrml.lesion_editor import LesionEditor
from SegAnyPETLib.mrml.lesion_rows import LesionRow
from SegAnyPETLib.mrml.pet_display import choosePETVolume, findCT, showPET
from SegAnyPETLib.mrml.prompts import PlacedPoint, boxFromROI, pointsFromMarkups, seedFromSegment
from SegAnyPETLib.mrml.segmented_lesions import addSegmentedLesions
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
    "Burden",
    "Engine",
    "LesionEditor",
    "LesionRow",
    "PlacedPoint",
    "addSegment",
    "addSegmentationNode",
    "addSegmentedLesions",
    "addVolumeNode",
    "boxFromROI",
    "choosePETVolume",
    "findCT",
    "fitSegmentationToVolume",
    "gridFromVolumeNode",
    "hasLinearTransformToWorld",
    "kindFromVolumeNode",
    "lpsFromRAS",
    "maskFromSegment",
    "pointsFromMarkups",
    "seedFromSegment",
    "setTerminology",
    "showPET",
    "suvVolumeFromNode",
    "terminologyFromSegment",
    "worldFromNode",
    "writeMaskToSegment",
    "writeMeasuresToTable",
]
