"""Notices what changes in the scene, and says only that it did; what to do about it is the editor's business."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import slicer
import vtk

from SegAnyPETLib.mrml.frames import Node
from SegAnyPETLib.mrml.lesion import Lesion
from SegAnyPETLib.mrml.lesion_book import LesionBook
from SegAnyPETLib.mrml.node_observers import NodeObservers

QUIET_S = 0.3  # a person who paints, or a sequence that plays, is followed when it pauses for so long


class SceneWatch:
    """Observers on the scene, on a volume and on its lesions.

    Args:
        scene: The MRML scene.
        onPlaced: Called at once with a lesion when a point was placed or let go in a view.
        onRenamed: Called when name or colour of a segment changed.
        onLoaded: Called after nodes were loaded from a file.

    Attributes:
        nodesRemoved: Some node left the scene.
        touched: Keys of lesions whose nodes changed.
    """

    def __init__(
        self,
        scene: Node,
        *,
        onPlaced: Callable[[str], None],
        onRenamed: Callable[[], None],
        onLoaded: Callable[[], None],
    ) -> None:
        self._scene = scene
        self._onPlaced, self._onRenamed, self._onLoaded = onPlaced, onRenamed, onLoaded
        self._onNodes = NodeObservers()
        self._onScene = NodeObservers()
        self._book: LesionBook | None = None
        self._keyOfNode: dict[Node, str] = {}
        self._dragged: set[Node] = set()
        self._edited: float | None = None
        self._imageTouched: float | None = None
        self.nodesRemoved = False
        self.touched: set[str] = set()
        events = slicer.vtkMRMLScene
        self._onScene.watch(scene, self._sceneChanged, events.NodeRemovedEvent, events.EndCloseEvent)
        self._loadedTag = scene.AddObserver(events.EndImportEvent, lambda *_: self._onLoaded())

    def close(self) -> None:
        """Take all observers back."""
        self._onNodes.forgetAll()
        self._onScene.forgetAll()
        self._scene.RemoveObserver(self._loadedTag)

    def follow(self, book: LesionBook | None) -> None:
        """Watch the nodes of this book, and only these."""
        if book is not self._book:
            self.touched.clear()
            self._dragged.clear()
            self._edited = self._imageTouched = None
        self._book = book
        lesions = book.lesions.values() if book is not None else ()
        self._keyOfNode = {node: lesion.key for lesion in lesions for node in _placedNodes(lesion)}
        self._onNodes.keepOnly([*self._keyOfNode, *_observedOf(book)])
        for node in self._keyOfNode:
            self._watchPoints(node)
        if book is not None:
            self._watchVolume(book)

    def areEditsDue(self, *, now: bool) -> bool:
        """True once after segments changed elsewhere; with `now` without waiting for a pause."""
        due = self._isDue(self._edited, now)
        self._edited = None if due else self._edited
        return due

    def isImageDue(self, *, now: bool) -> bool:
        """True once after the volume changed; with `now` without waiting for a pause."""
        due = self._isDue(self._imageTouched, now)
        self._imageTouched = None if due else self._imageTouched
        return due

    @property
    def isImageUncertain(self) -> bool:
        """True while the volume is known to have changed and nobody has looked yet."""
        return self._imageTouched is not None

    def takeTouched(self) -> set[str]:
        """Keys of lesions whose nodes changed since the last call, without those being dragged now."""
        busy = {self._keyOfNode[node] for node in self._dragged if node in self._keyOfNode}
        taken, self.touched = self.touched - busy, self.touched & busy
        return taken

    def _isDue(self, since: float | None, now: bool) -> bool:
        return since is not None and (now or time.monotonic() - since >= QUIET_S)

    def _watchPoints(self, node: Node) -> None:
        events = slicer.vtkMRMLMarkupsNode
        callbacks: dict[int | str, Callable[..., None]] = {
            events.PointPositionDefinedEvent: self._placed,
            events.PointEndInteractionEvent: self._letGo,
            events.PointStartInteractionEvent: self._grabbed,
            events.PointModifiedEvent: self._moved,
            events.PointRemovedEvent: self._moved,
            vtk.vtkCommand.ModifiedEvent: self._moved,
            slicer.vtkMRMLTransformableNode.TransformModifiedEvent: self._moved,
        }
        self._onNodes.watchEach(node, callbacks)

    def _watchVolume(self, book: LesionBook) -> None:
        volume = slicer.vtkMRMLVolumeNode
        self._onNodes.watch(
            book.volumeNode,
            self._volumeChanged,
            volume.ImageDataModifiedEvent,
            slicer.vtkMRMLTransformableNode.TransformModifiedEvent,
            vtk.vtkCommand.ModifiedEvent,
        )
        if book.segmentationNode is not None and book.segmentationNode.GetSegmentation() is not None:
            events = slicer.vtkSegmentation
            self._onNodes.watchEach(
                book.segmentationNode.GetSegmentation(),
                {
                    events.SourceRepresentationModified: self._segmentsChanged,
                    events.RepresentationModified: self._segmentsChanged,
                    events.SegmentAdded: self._segmentsChanged,
                    events.SegmentRemoved: self._segmentsChanged,
                    events.SegmentModified: self._segmentNamed,
                },
            )

    def _isOurs(self) -> bool:
        return self._book is None or self._book.isWriting > 0 or self._scene.IsClosing() or self._scene.IsImporting()

    def _placed(self, node: Node, _event: str) -> None:
        if not self._isOurs() and node in self._keyOfNode:
            self._onPlaced(self._keyOfNode[node])

    def _grabbed(self, node: Node, _event: str) -> None:
        self._dragged.add(node)

    def _letGo(self, node: Node, event: str) -> None:
        self._dragged.discard(node)
        self._placed(node, event)

    def _moved(self, node: Node, _event: str) -> None:
        if not self._isOurs() and node in self._keyOfNode:
            self.touched.add(self._keyOfNode[node])

    def _volumeChanged(self, _node: Node, _event: str) -> None:
        self._imageTouched = time.monotonic()

    def _segmentsChanged(self, _segmentation: Node, _event: str) -> None:
        if not self._isOurs():
            self._edited = time.monotonic()

    def _segmentNamed(self, segmentation: Node, event: str) -> None:
        self._segmentsChanged(segmentation, event)
        if not self._isOurs():
            self._onRenamed()

    def _sceneChanged(self, _scene: Node, _event: str) -> None:
        self.nodesRemoved = True


def _placedNodes(lesion: Lesion) -> Iterable[Node]:
    return [node for node in (*lesion.nodes.pointNodes, lesion.nodes.roiNode) if node is not None]


def _observedOf(book: LesionBook | None) -> list[Node]:
    if book is None:
        return []
    segmentation = book.segmentationNode.GetSegmentation() if book.segmentationNode is not None else None
    return [book.volumeNode] if segmentation is None else [book.volumeNode, segmentation]
