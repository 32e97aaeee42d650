"""The lesions in 3D: surfaces that are made one by one when nothing else is to be done."""

from __future__ import annotations

from SegAnyPETLib.mrml.lesion import Lesion
from SegAnyPETLib.mrml.lesion_book import LesionBook
from SegAnyPETLib.mrml.segment_updates import dropSurfaces, isSurfaceShown, refreshSurface, startSurfaces

LARGE_VOXELS = 300_000  # of its box: from there on a surface takes longer than 40 ms


def showSurfaces(book: LesionBook, shown: bool) -> bool:
    """Let the lesions have surfaces, still empty ones, or none; False where nothing had to be done."""
    present = book.inOrder()
    if not present or shown == areSurfacesShown(book):
        return False
    with book.writing():
        if shown:
            startSurfaces(book.segmentationNode, [lesion.segmentID for lesion in present])
        else:
            dropSurfaces(book.segmentationNode)
    for lesion in present:
        lesion.surfaceOf = None
    return True


def areSurfacesShown(book: LesionBook) -> bool:
    """True when the segmentation has surfaces, of whatever age."""
    node = book.segmentationNode
    return node is not None and node.GetScene() is not None and isSurfaceShown(node)


def areSurfacesCurrent(book: LesionBook) -> bool:
    """True when each lesion has the surface of what it shows."""
    return areSurfacesShown(book) and not _stale(book)


def refreshOneSurface(book: LesionBook, *, isPause: bool) -> bool:
    """Make one surface anew that no longer fits its lesion, a large one only while nobody does anything.

    Returns:
        False where there was none to make.
    """
    if not areSurfacesShown(book):
        return False
    due = [lesion for lesion in _stale(book) if isPause or _size(lesion) < LARGE_VOXELS]
    if not due:
        return False
    lesion = min(due, key=_size)
    with book.writing():
        refreshSurface(
            lesion.shown, segmentationNode=book.segmentationNode, segmentID=lesion.segmentID, grid=book.image.grid
        )
    lesion.surfaceOf = lesion.shown
    return True


def _stale(book: LesionBook) -> list[Lesion]:
    return [lesion for lesion in book.inOrder() if lesion.surfaceOf is not lesion.shown]


def _size(lesion: Lesion) -> int:
    k, j, i = lesion.shown.box.shape_kji
    return k * j * i
