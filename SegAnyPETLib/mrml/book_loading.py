"""Lesions of a loaded scene, of a volume whose voxels or place changed, and of nodes that were deleted."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING

from SegAnyPETLib.errors import GeometryError, PromptError
from SegAnyPETLib.mrml.click_history import Click, LesionState, Result
from SegAnyPETLib.mrml.frames import Node, gridFromVolumeNode
from SegAnyPETLib.mrml.lesion import Lesion
from SegAnyPETLib.mrml.lesion_book import LesionBook
from SegAnyPETLib.mrml.lesion_clicks import readClicks
from SegAnyPETLib.mrml.lesion_nodes import (
    LesionNodes,
    LesionRecord,
    addLesionNodes,
    forgetLesion,
    parameterNodeOf,
    savedLesions,
)
from SegAnyPETLib.mrml.prompts import boxFromROI
from SegAnyPETLib.mrml.segments import packedFromSegment
from SegAnyPETLib.session import SeedMask
from SegAnyPETLib.session.packed_mask import PackedMask

if TYPE_CHECKING:
    from SegAnyPETLib.suv import SUVKind, SUVVolume


def imageStateOf(volumeNode: Node, kind: SUVKind | None) -> Hashable:
    """Differs when voxels, place or kind of the volume changed; voxels changed without ``Modified()`` go unnoticed.

    Raises:
        GeometryError: The volume has no voxels, or its place cannot be used.
    """
    grid = gridFromVolumeNode(volumeNode)
    voxels = volumeNode.GetImageData()
    scalars = voxels.GetPointData().GetScalars()
    return volumeNode.GetID(), voxels.GetMTime(), scalars.GetMTime(), grid, kind


def loadLesions(book: LesionBook) -> None:
    """Add the lesions that the scene's module node holds for the book's volume and the book does not know."""
    parameterNode = parameterNodeOf(book.scene)
    with book.writing():
        for nodes, record, segmentationNode in savedLesions(parameterNode, book.volumeNode):
            if record.key in book.lesions:
                continue
            if book.segmentationNode is None:
                book.segmentationNode = segmentationNode
            if segmentationNode is not book.segmentationNode or not book.hasSegment(record.segmentID):
                forgetLesion(parameterNode, record.key)
                nodes.remove()
                continue
            book.lesions[record.key] = _loaded(book, nodes, record)
    for lesion in book.lesions.values():
        book.save(lesion)


def takeImage(book: LesionBook, image: SUVVolume, *, imageState: Hashable) -> None:
    """Go on with other voxels or another place of the same volume.

    The segments stay as they are and are measured anew; the next click predicts on the new image. The history ends
    here, since its masks were those of the old one.
    """
    book.image, book.imageState = image, imageState
    book.history.clear()
    book.removed.clear()
    for lesion in book.lesions.values():
        lesion.request = None
        lesion.shown = packedFromSegment(book.segmentationNode, lesion.segmentID, grid=image.grid)
        seeds = [c for c in lesion.state.clicks if not isinstance(c.prompt, SeedMask) or _fits(book, c.prompt.packed)]
        clicks = readClicks(lesion.nodes, grid=image.grid, before=seeds).known
        lesion.state = LesionState(clicks, Result(lesion.shown), lesion.state.isEdited)
        book.save(lesion)


def followTransform(book: LesionBook) -> None:
    """Put segments and points under the transform the volume was put under, where they were under its old one.

    Where the volume has not moved, as after hardening, they stay as they are.
    """
    oldID, newID = book.transformID, book.volumeNode.GetTransformNodeID()
    book.transformID = newID
    if newID == oldID or gridFromVolumeNode(book.volumeNode).is_close(book.image.grid):
        return
    nodes = [node for lesion in book.lesions.values() for node in lesion.nodes.pointNodes]
    with book.writing():
        for node in [*nodes, book.segmentationNode]:
            if node is not None and node.GetTransformNodeID() == oldID:
                node.SetAndObserveTransformNodeID(newID)


def dropLesions(book: LesionBook) -> None:
    """Let go of all lesions: the volume or the segmentation is gone. Segments that are still there stay."""
    parameterNode = parameterNodeOf(book.scene)
    with book.writing():
        for lesion in book.lesions.values():
            book.context.engine.forget(lesion.key)
            lesion.nodes.remove()
            # The same scene may have been closed and loaded again: its record is then of the volume that was loaded.
            if parameterNode.GetNodeReference(f"{lesion.key}.volume") in (None, book.volumeNode):
                forgetLesion(parameterNode, lesion.key)
    book.lesions.clear()
    book.removed.clear()
    book.outside.clear()
    book.history.clear()
    book.selectedKey = None


def followRemovedNodes(book: LesionBook) -> set[str]:
    """Let go of nodes that were deleted; returns the keys of lesions whose clicks are to be read anew."""
    if book.segmentationNode is not None and book.segmentationNode.GetScene() is None:
        dropLesions(book)
        book.segmentationNode = None
    touched = set()
    for lesion in book.lesions.values():
        nodes = lesion.nodes
        if nodes.roiNode is not None and nodes.roiNode.GetScene() is None:
            nodes.roiNode = None
            touched.add(lesion.key)
        if not nodes.isInScene():
            with book.writing():
                made = addLesionNodes(book.volumeNode, name=str(lesion.segment.GetName()), key=lesion.key)
                nodes.replaceMissing(made)
            touched.add(lesion.key)
    return touched


def _loaded(book: LesionBook, nodes: LesionNodes, record: LesionRecord) -> Lesion:
    segment = book.segmentationNode.GetSegmentation().GetSegment(record.segmentID)
    shown = packedFromSegment(book.segmentationNode, record.segmentID, grid=book.image.grid)
    before = [Click(order, SeedMask.from_packed(mask)) for order, mask in record.seeds if _fits(book, mask)]
    before += _boxClick(nodes, record.boxOrder)
    clicks = readClicks(nodes, grid=book.image.grid, before=before).known
    state = LesionState(clicks, Result(shown), record.isEdited or (not clicks and not shown.box.is_empty))
    return Lesion(record.key, record.segmentID, segment, nodes, state, shown)


def _fits(book: LesionBook, mask: PackedMask) -> bool:
    return mask.shape_kji == book.image.grid.shape_kji and not mask.box.is_empty


def _boxClick(nodes: LesionNodes, order: int) -> list[Click]:
    """The box as a click with its saved order, where there is one that can be used."""
    if not order or nodes.roiNode is None:
        return []
    try:
        return [Click(order, boxFromROI(nodes.roiNode))]
    except (PromptError, GeometryError):
        return []  # `readClicks` says why
