"""Lesions that were segmented elsewhere, added to the scene so that the editor takes them over."""

from __future__ import annotations

from collections.abc import Sequence

from SegAnyPETLib.data.segment import Segment
from SegAnyPETLib.mrml.frames import Node, gridFromVolumeNode
from SegAnyPETLib.mrml.lesion_nodes import LesionRecord, addLesionNodes, newKey, parameterNodeOf, saveLesion
from SegAnyPETLib.mrml.segments import addSegment, addSegmentationNode, writeMaskToSegment
from SegAnyPETLib.mrml.terminology import setTerminology


def addSegmentedLesions(volumeNode: Node, segments: Sequence[Segment]) -> list[str]:
    """Add lesions to a volume that has none yet, as a loaded scene would: `LesionEditor.setVolume` then shows them.

    Nothing is predicted; the first click in a lesion continues from its mask.

    Args:
        volumeNode: The PET, in SUV; the editor must not have worked on it yet.
        segments: Their masks are (K, J, I) on the volume's own voxels.

    Returns:
        IDs of the segments, in the same order.

    Raises:
        GeometryError: A mask has another shape than the volume, or the volume's place cannot be used.
    """
    if not segments:
        return []
    grid = gridFromVolumeNode(volumeNode)
    parameterNode = parameterNodeOf(volumeNode.GetScene())
    segmentationNode = addSegmentationNode(volumeNode, name=f"{volumeNode.GetName()} lesions")
    added = []
    for segment in segments:
        segmentID = addSegment(segmentationNode, name=segment.label, colorRGB=segment.color_rgb)
        writeMaskToSegment(segment.mask, segmentationNode=segmentationNode, segmentID=segmentID, grid=grid)
        setTerminology(segmentationNode, segmentID, segment.terminology)
        nodes = addLesionNodes(volumeNode, name=segment.label, key=newKey())
        record = LesionRecord(nodes.key, segmentID, isEdited=True)
        saveLesion(parameterNode, nodes, record, volumeNode=volumeNode, segmentationNode=segmentationNode)
        added.append(segmentID)
    return added
