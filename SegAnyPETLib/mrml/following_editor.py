"""The half of the editor that nobody calls: it follows the scene and the engine."""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from SegAnyPETLib.errors import GeometryError, PredictionCancelled, SegAnyPETError, SegAnyPETWarning, SUVError
from SegAnyPETLib.mrml import place_mode
from SegAnyPETLib.mrml.book_loading import (
    dropLesions,
    followRemovedNodes,
    followTransform,
    imageStateOf,
    loadLesions,
    takeImage,
)
from SegAnyPETLib.mrml.burden import BurdenSum
from SegAnyPETLib.mrml.click_sync import syncClicks, takeBackOutside
from SegAnyPETLib.mrml.engine import Engine
from SegAnyPETLib.mrml.frames import Node
from SegAnyPETLib.mrml.lesion import BookContext, Lesion
from SegAnyPETLib.mrml.lesion_book import LesionBook
from SegAnyPETLib.mrml.lesion_nodes import parameterNodeOf
from SegAnyPETLib.mrml.lesion_surfaces import refreshOneSurface
from SegAnyPETLib.mrml.measuring import Measuring
from SegAnyPETLib.mrml.overlap import OVERLAP_RULES
from SegAnyPETLib.mrml.scene_watch import SceneWatch
from SegAnyPETLib.mrml.segment_edits import followEdits
from SegAnyPETLib.mrml.uncertainty_overlay import UncertaintyOverlay
from SegAnyPETLib.mrml.volumes import suvVolumeFromNode
from SegAnyPETLib.worker.events import EngineDied, EngineReady, LesionPredicted, PredictionRefused, UncertaintyReady

if TYPE_CHECKING:
    from SegAnyPETLib.suv import SUVKind, SUVVolume

VOLUME_ROLE, KIND, MODEL, SELECTED, OVERLAP = "volume", "kind", "model", "selected", "overlap"
KINDS: tuple[SUVKind, ...] = ("bw", "lbm", "bsa", "ibw")
PAUSE_S = 1.0  # without anything done or answered: time for what takes longer than a frame
SPARE_S = 0.02  # at a time for what can wait
UNKNOWN_YET = "Where the model is unsure of this lesion is known after its next click."
STOPPED = "Stopped before the answer came. Click again, or undo."


class FollowingEditor:
    """Keeps the lesions in step with nodes, segments and answers; see `LesionEditor` for what a person does.

    Args:
        scene: The MRML scene.
        engine: Predicts; the editor never waits for it and does not start or end it.

    Attributes:
        engineReady: What the engine said when it had loaded its model; None until then.
    """

    def __init__(self, scene: Node, engine: Engine) -> None:
        self._scene = scene
        self._context = BookContext(engine)
        self._books: dict[Node, LesionBook] = {}
        self._book: LesionBook | None = None
        self._imageProblem = ""
        self._listeners: list[Callable[[], None]] = []
        self._overlay = UncertaintyOverlay()
        self._measuring = Measuring()
        self._burdenSum = BurdenSum()
        self._isUncertaintyWanted = False
        self._busyAt = 0.0  # when somebody did something, or an answer came
        self._uncertaintyRequest: int | None = None
        self.engineReady: EngineReady | None = None
        self._watch = SceneWatch(
            scene, onPlaced=self._onPlaced, onRenamed=self._notify, onLoaded=self._restoreAfterLoading
        )

    @property
    def volumeNode(self) -> Node:
        """The PET that is worked on; None where there is none."""
        return self._inScene(self._book.volumeNode) if self._book is not None else None

    @property
    def segmentationNode(self) -> Node:
        """Holds the segments of the present volume; None before its first lesion."""
        return self._inScene(self._book.segmentationNode) if self._book is not None else None

    @property
    def parameterNode(self) -> Node:
        """The module's node, saved with the scene; panels may keep parameters of their own in it."""
        return parameterNodeOf(self._scene)

    @property
    def message(self) -> str:
        """The newest notice to the person, for example that a click was outside; empty when there is none."""
        return self._context.message

    def _inScene(self, node: Node) -> Node:
        return node if node is not None and node.GetScene() is self._scene else None

    def clearMessage(self) -> None:
        """The person has read the message."""
        self._context.message = ""

    def addListener(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` after anything a panel shows has changed; returns what ends that."""
        self._listeners.append(callback)

        def remove() -> None:
            if callback in self._listeners:
                self._listeners.remove(callback)

        return remove

    def addBeforeChange(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` before segments are rewritten; returns what ends that.

        For the Segment Editor's ``saveStateForUndo``: its history then holds our changes too, and undoing them there
        undoes the click here.
        """
        self._context.beforeChange.append(callback)

        def remove() -> None:
            if callback in self._context.beforeChange:
                self._context.beforeChange.remove(callback)

        return remove

    def setEngine(self, engine: Engine) -> None:
        """Go on with another engine, for example after another model was chosen; what was unanswered is asked anew."""
        self._context.engine = engine
        self.engineReady = None
        if self._book is not None:
            self._giveImage(self._book)
        self._notify()

    def tick(self) -> None:
        """Take over what happened in the scene and what the engine answered; for a timer, never waits."""
        changed = self._settle(now=False)
        if self._book is not None:
            changed |= takeBackOutside(self._book)
        for event in self._context.engine.poll():
            changed |= self._apply(event)
        if not changed and self._book is not None:
            changed = self._doWhatCanWait(self._book)
        if changed:
            self._notify()

    def _doWhatCanWait(self, book: LesionBook) -> bool:
        """One piece of what matters less than a click; True when a panel shows it."""
        waiting = book.nextUnmeasured()
        if waiting is not None:
            self._measuring.start(book.image, waiting)
        now = time.monotonic()
        isPause = now - self._busyAt >= PAUSE_S
        while waiting is None and refreshOneSurface(book, isPause=isPause) and time.monotonic() - now < SPARE_S:
            pass
        measured = self._measuring.take()
        return measured is not None and book.takeMeasures(*measured)

    def restore(self) -> None:
        """Take over the volume, lesions, clicks and boxes of a scene that was loaded; nothing is predicted."""
        self._followRemovals()
        for book in self._books.values():
            loadLesions(book)
        saved = self.parameterNode.GetParameter(OVERLAP)
        self._context.overlap = next((rule for rule in OVERLAP_RULES if rule == saved), self._context.overlap)
        volumeNode = self.parameterNode.GetNodeReference(VOLUME_ROLE)
        if volumeNode is not None and volumeNode is not self.volumeNode:
            kind = next((kind for kind in KINDS if kind == self.parameterNode.GetParameter(KIND)), None)
            try:
                self._enterVolume(volumeNode, kind)
            except (SUVError, GeometryError) as error:
                self._context.message = str(error)
        self._notify()

    def close(self) -> None:
        """Let go of scene and engine; the nodes stay as they are."""
        self._overlay.hide()
        self._watch.close()
        self._listeners.clear()
        self._context.beforeChange.clear()
        self._books.clear()
        self._book = None

    @contextlib.contextmanager
    def _acting(self) -> Iterator[None]:
        """Something a person does: first catch up with the scene, afterwards tell the listeners."""
        self._settle(now=True)
        try:
            yield
        finally:
            self._notify()

    def _notify(self) -> None:
        self._busyAt = time.monotonic()
        self._watch.follow(self._book)
        if self._book is not None:
            selected = self._book.selected
            for lesion in self._book.lesions.values():
                lesion.nodes.setVisible(lesion is selected)
        for callback in list(self._listeners):
            callback()

    def _settle(self, *, now: bool) -> bool:
        """Follow what changed in the scene; with `now` without waiting for painting or playing to pause."""
        if self._scene.IsClosing() or self._scene.IsImporting():
            return False
        changed = self._followRemovals() if self._watch.nodesRemoved else False
        book = self._book
        if book is None:
            return changed
        if self._watch.isImageDue(now=now):
            changed |= self._followImage(book)
        if self._imageProblem or self._watch.isImageUncertain:
            return changed  # clicks wait until it is known where the volume lies
        if self._watch.areEditsDue(now=now):
            changed |= followEdits(book)
        for key in self._watch.takeTouched():
            lesion = book.lesions.get(key)
            if lesion is not None:
                changed |= syncClicks(book, lesion)
        return changed

    def _onPlaced(self, key: str) -> None:
        self._watch.touched.add(key)
        if self._book is not None and key in self._book.lesions:
            self._select(self._book.lesions[key])
        self._settle(now=True)
        if self._imageProblem:
            self._context.message = self._imageProblem
        self._notify()

    def _select(self, lesion: Lesion | None) -> None:
        book = self._book
        if book is None:
            return
        before = book.selected
        book.selectedKey = lesion.key if lesion is not None else None
        self.parameterNode.SetParameter(SELECTED, book.selectedKey or "")
        if lesion is not before:
            placed = place_mode.placedNode(self._scene)
            if before is not None and lesion is not None and placed in before.nodes.pointNodes:
                place_mode.startPlacing(lesion.nodes.pointNodes[before.nodes.pointNodes.index(placed)])
            self._askUncertainty()

    def _readImage(self, volumeNode: Node, kind: SUVKind | None) -> SUVVolume:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", SegAnyPETWarning)
            image = suvVolumeFromNode(volumeNode, kind=kind)
        self._context.message = " ".join(str(warning.message) for warning in caught) or self._context.message
        return image

    def _enterVolume(self, volumeNode: Node, kind: SUVKind | None) -> None:
        """Make a volume the present one; raises without having changed anything where it cannot be used."""
        book = self._books.get(volumeNode)
        state = imageStateOf(volumeNode, kind)
        if book is None:
            image = self._readImage(volumeNode, kind)
            book = LesionBook(volumeNode, image, imageState=state, kind=kind, context=self._context)
            self._books[volumeNode] = book
            loadLesions(book)
            book.selectedKey = self.parameterNode.GetParameter(SELECTED) or next(iter(book.lesions), None)
        elif book.imageState != state:
            image = self._readImage(volumeNode, kind)
            book.kind = kind
            takeImage(book, image, imageState=state)
        elif book is self._book:
            return
        self._leaveVolume()
        self._book = book
        self.parameterNode.SetNodeReferenceID(VOLUME_ROLE, volumeNode.GetID())
        self.parameterNode.SetParameter(KIND, kind or "")
        self._watch.follow(book)
        self._giveImage(book)

    def _leaveVolume(self) -> None:
        self._imageProblem = ""
        self._overlay.hide()
        if self._book is None:
            return
        place_mode.stopPlacing(self._scene)
        for lesion in self._book.lesions.values():
            lesion.request = None
            lesion.nodes.setVisible(False)
        self._book = None
        self._watch.follow(None)

    def _giveImage(self, book: LesionBook) -> None:
        self._context.engine.set_image(book.image)
        for lesion in book.lesions.values():
            lesion.request = lesion.answered = None
            if lesion.state.result is None:
                book.ask(lesion)

    def _followImage(self, book: LesionBook) -> bool:
        """Read the volume again where its voxels or its place changed."""
        try:
            state = imageStateOf(book.volumeNode, book.kind)
            if state == book.imageState:
                self._imageProblem = ""
                return False
            followTransform(book)
            image = self._readImage(book.volumeNode, book.kind)
        except (GeometryError, SUVError) as error:
            self._imageProblem = self._context.message = str(error)
            return True
        self._imageProblem = ""
        takeImage(book, image, imageState=state)
        self._giveImage(book)
        return True

    def _followRemovals(self) -> bool:
        """Let go of volumes, segmentations and markups that were deleted."""
        self._watch.nodesRemoved = False
        changed = False
        for volumeNode, book in list(self._books.items()):
            if volumeNode.GetScene() is not self._scene:
                if book is self._book:
                    self._leaveVolume()
                dropLesions(book)
                del self._books[volumeNode]
                changed = True
            else:
                segmentationNode, touched = book.segmentationNode, followRemovedNodes(book)
                self._watch.touched |= touched
                changed |= bool(touched) or book.segmentationNode is not segmentationNode
        return changed

    def _restoreAfterLoading(self) -> None:
        if not self._scene.IsClosing():
            self.restore()

    def _apply(self, event: Any) -> bool:  # one of the engine's event classes
        """Take over one event; True when a panel shows it."""
        book = self._book
        if isinstance(event, LesionPredicted):
            done = book is not None and book.applyPrediction(event)
            if done and book is not None and book.selectedKey == event.lesion:
                self._askUncertainty()
            return done
        if isinstance(event, PredictionRefused):
            return book is not None and self._refused(book, event)
        if isinstance(event, EngineReady):
            self.engineReady = event
            self.parameterNode.SetParameter(MODEL, event.model)
            return True
        if isinstance(event, EngineDied):
            self._context.message = event.reason
            if not event.restarting and book is not None:
                for lesion in book.lesions.values():
                    if lesion.request is not None:
                        lesion.request, lesion.failure = None, event.reason
            return True
        if isinstance(event, UncertaintyReady) and event.request == self._uncertaintyRequest and book is not None:
            self._uncertaintyRequest = None
            self._overlay.show(event.bits, event.box, volumeNode=book.volumeNode, grid=book.image.grid)
            return True
        return False

    def _refused(self, book: LesionBook, event: PredictionRefused) -> bool:
        if event.request == self._uncertaintyRequest:
            self._uncertaintyRequest = None
            self._overlay.hide()
            return True
        lesion = book.lesions.get(event.lesion)
        if lesion is None or lesion.request != event.request:
            return False
        lesion.request = None
        lesion.failure = STOPPED if isinstance(event.error, PredictionCancelled) else str(event.error)
        return True

    def _askUncertainty(self) -> None:
        """Ask for the overlay of the selected lesion; it is hidden where no answer of the engine is on show."""
        self._uncertaintyRequest = None
        lesion = self._book.selected if self._book is not None else None
        if not self._isUncertaintyWanted or lesion is None or lesion.answered is not lesion.state:
            self._overlay.hide()
            if self._isUncertaintyWanted and lesion is not None and lesion.request is None:
                self._askAgain(lesion)
            return
        try:
            self._uncertaintyRequest = self._context.engine.ask_uncertainty(lesion.key)
        except SegAnyPETError as error:
            self._context.message = str(error)

    def _askAgain(self, lesion: Lesion) -> None:
        """After an undo the engine holds another answer: ask for this one again, which leaves the mask as it is."""
        result = lesion.state.result
        if self._book is None or result is None:
            return
        if result.score is not None and lesion.state.clicks:
            self._book.ask(lesion)
        elif not lesion.shown.box.is_empty:  # from a saved scene, or painted: asking would change it
            self._context.message = UNKNOWN_YET
