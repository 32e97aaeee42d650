"""All lesions of one volume: nodes, segments, clicks and results kept in agreement, with one history."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING

import slicer

from SegAnyPETLib.data.segment import LESION, Terminology
from SegAnyPETLib.errors import GeometryError, SegAnyPETError
from SegAnyPETLib.mrml.click_history import Change, ClickHistory, LesionState, Result, Step
from SegAnyPETLib.mrml.frames import Node
from SegAnyPETLib.mrml.lesion import BookContext, Lesion
from SegAnyPETLib.mrml.lesion_clicks import writeClicks
from SegAnyPETLib.mrml.lesion_nodes import (
    LesionRecord,
    addLesionNodes,
    forgetLesion,
    newKey,
    parameterNodeOf,
    saveLesion,
)
from SegAnyPETLib.mrml.overlap import placeMask
from SegAnyPETLib.mrml.place_mode import pausedPlacing
from SegAnyPETLib.mrml.segment_updates import addEmptySegment, updateSegment
from SegAnyPETLib.mrml.segments import (
    addSegmentationNode,
    fitSegmentationToVolume,
    packedFromSegment,
)
from SegAnyPETLib.mrml.terminology import setTerminology
from SegAnyPETLib.session import Box, SeedMask
from SegAnyPETLib.session.packed_mask import PackedMask

if TYPE_CHECKING:
    from SegAnyPETLib.suv import LesionMeasures, SUVKind, SUVVolume
    from SegAnyPETLib.worker import LesionPredicted

# Told apart by people with colour vision deficiency too: Okabe and Ito, 2008, without black and yellow.
COLORS = (
    (0.84, 0.37, 0.00),
    (0.34, 0.71, 0.91),
    (0.00, 0.62, 0.45),
    (0.80, 0.47, 0.65),
    (0.90, 0.62, 0.00),
    (0.00, 0.45, 0.70),
)


class LesionBook:
    """The lesions of one volume.

    Args:
        volumeNode: The PET.
        image: Its voxels.
        imageState: Tells whether they are still the same.
        kind: As the person stated it; None: as the node says.
        context: Shared with the books of other volumes.

    Attributes:
        transformID: Of the transform the volume was under when it was read.
        segmentationNode: Holds the segments; None before the first lesion.
        lesions: By key.
        removed: Lesions that undo can bring back.
        selectedKey: The lesion that is worked on.
        history: Over all lesions.
        outside: Points that lie outside the volume and are to be taken back.
        isWriting: Above 0 while we change nodes and segments ourselves.
    """

    def __init__(
        self, volumeNode: Node, image: SUVVolume, *, imageState: Hashable, kind: SUVKind | None, context: BookContext
    ) -> None:
        self.volumeNode = volumeNode
        self.scene = volumeNode.GetScene()
        self.image = image
        self.imageState = imageState
        self.transformID = volumeNode.GetTransformNodeID()
        self.kind = kind
        self.context = context
        self.segmentationNode: Node = None
        self.lesions: dict[str, Lesion] = {}
        self.removed: dict[str, Lesion] = {}
        self.selectedKey: str | None = None
        self.history = ClickHistory()
        self.outside: list[tuple[Lesion, Node, str]] = []
        self.isWriting = 0

    @property
    def selected(self) -> Lesion | None:
        """The lesion that is worked on."""
        return self.lesions.get(self.selectedKey or "")

    def lesionOf(self, segmentID: str | None) -> Lesion | None:
        """The lesion of a segment."""
        return next((lesion for lesion in self.lesions.values() if lesion.segmentID == segmentID), None)

    def inOrder(self) -> list[Lesion]:
        """The lesions whose segments are there, in the order of the segments."""
        if self.segmentationNode is None or self.segmentationNode.GetScene() is None:
            return []
        places = {segmentID: n for n, segmentID in enumerate(self.segmentationNode.GetSegmentation().GetSegmentIDs())}
        present = [lesion for lesion in self.lesions.values() if lesion.segmentID in places]
        return sorted(present, key=lambda lesion: places[lesion.segmentID])

    def hasSegment(self, segmentID: str) -> bool:
        """True while the segmentation is there and holds the segment."""
        node = self.segmentationNode
        isThere = node is not None and node.GetScene() is not None
        return isThere and node.GetSegmentation().GetSegment(segmentID) is not None

    @contextmanager
    def writing(self) -> Iterator[None]:
        """What happens to nodes and segments inside is our own doing."""
        self.isWriting += 1
        try:
            yield
        finally:
            self.isWriting -= 1

    def addLesion(self, terminology: Terminology = LESION) -> Lesion:
        """A new, empty lesion with its segment and nodes."""
        self.announceChange()
        with self.writing():
            self._ensureSegmentation()
            segmentation = self.segmentationNode.GetSegmentation()
            names = [segmentation.GetNthSegment(n).GetName() for n in range(segmentation.GetNumberOfSegments())]
            number = next(n for n in count(len(names) + 1) if f"Lesion {n}" not in names)
            color = COLORS[(number - 1) % len(COLORS)]
            segmentID = addEmptySegment(self.segmentationNode, name=f"Lesion {number}", colorRGB=color)
            setTerminology(self.segmentationNode, segmentID, terminology)
        empty = PackedMask.empty(self.image.grid.shape_kji)
        return self._enter(segmentID, LesionState((), Result(empty)), empty)

    def adoptSegment(self, segmentID: str) -> Lesion:
        """Make a lesion of a segment that is there already; its first click starts from what the segment holds.

        Raises:
            GeometryError: There is no such segment.
        """
        if self.segmentationNode is None:
            msg = f"Expected a segment of the volume's lesions; found no '{segmentID}'. Add a lesion first."
            raise GeometryError(msg)
        mask = packedFromSegment(self.segmentationNode, segmentID, grid=self.image.grid)
        return self._enter(segmentID, LesionState((), Result(mask), not mask.box.is_empty), mask)

    def _enter(self, segmentID: str, state: LesionState, shown: PackedMask) -> Lesion:
        segment = self.segmentationNode.GetSegmentation().GetSegment(segmentID)
        key = newKey()
        with self.writing():
            nodes = addLesionNodes(self.volumeNode, name=segment.GetName(), key=key)
        self.lesions[key] = Lesion(key, segmentID, segment, nodes, state, shown)
        self.save(self.lesions[key])
        return self.lesions[key]

    def removeLesion(self, lesion: Lesion) -> None:
        """Take a lesion and its segment away; can be undone."""
        self.history.add(Step({lesion.key: Change(lesion.state, None)}))
        self.announceChange()
        self.takeAway(lesion)

    def takeAway(self, lesion: Lesion) -> None:
        """Take a lesion away without a step of the history."""
        del self.lesions[lesion.key]
        self.removed[lesion.key] = lesion
        lesion.request = None
        self.context.engine.forget(lesion.key)
        with self.writing():
            lesion.nodes.remove()
            forgetLesion(parameterNodeOf(self.scene), lesion.key)
            if self.hasSegment(lesion.segmentID):
                lesion.row = self.segmentationNode.GetSegmentation().GetSegmentIndex(lesion.segmentID)
                self.segmentationNode.GetSegmentation().RemoveSegment(lesion.segmentID)
        if self.selectedKey == lesion.key:
            self.selectedKey = None

    def bringBack(self, lesion: Lesion) -> None:
        """Bring back a removed lesion with its nodes and segment, which are still without clicks and voxels."""
        with self.writing():
            self._ensureSegmentation()
            segmentation = self.segmentationNode.GetSegmentation()
            if segmentation.GetSegment(lesion.segmentID) is None:
                again = slicer.vtkSegment()
                again.DeepCopyMetadata(lesion.segment)
                segmentation.AddSegment(again, lesion.segmentID)
                if 0 <= lesion.row < segmentation.GetNumberOfSegments():
                    segmentation.SetSegmentIndex(lesion.segmentID, lesion.row)
            lesion.segment = segmentation.GetSegment(lesion.segmentID)
            lesion.shown = packedFromSegment(self.segmentationNode, lesion.segmentID, grid=self.image.grid)
            lesion.nodes = addLesionNodes(self.volumeNode, name=lesion.segment.GetName(), key=lesion.key)
        del self.removed[lesion.key]
        self.lesions[lesion.key] = lesion

    def _ensureSegmentation(self) -> None:
        if self.segmentationNode is None or self.segmentationNode.GetScene() is None:
            self.segmentationNode = addSegmentationNode(self.volumeNode, name=f"{self.volumeNode.GetName()} lesions")
        fitSegmentationToVolume(self.segmentationNode, self.volumeNode)

    def enterState(self, lesion: Lesion, state: LesionState) -> None:
        """A person did something: note the step, and show the state or ask for its mask."""
        self.history.add(Step({lesion.key: Change(lesion.state, state)}))
        if not state.clicks and state.result is None:
            state.result = Result(PackedMask.empty(self.image.grid.shape_kji))
        if state.result is not None and state.result.mask != lesion.shown:
            self.announceChange()
        self.setState(lesion, state)

    def setState(self, lesion: Lesion, state: LesionState) -> None:
        """Show a state where its mask is known, else ask for it."""
        lesion.state, lesion.failure = state, ""
        if state.result is None:
            self.ask(lesion)
        else:
            if lesion.request is not None:
                lesion.request = None
                if all(other.request is None for other in self.lesions.values()):
                    self.context.engine.cancel()
            self.show(lesion, state.result.mask)
        self.save(lesion)

    def ask(self, lesion: Lesion) -> None:
        """Ask the engine for the mask of the clicks in force."""
        prompts = [click.prompt for click in lesion.state.clicks]
        try:
            lesion.request = self.context.engine.predict(lesion.key, prompts, shown=lesion.shown)
        except SegAnyPETError as error:
            lesion.request, lesion.failure = None, str(error)

    def announceChange(self) -> None:
        """Let Slicer's own history save the segments before they change."""
        for callback in self.context.beforeChange:
            callback()

    def show(self, lesion: Lesion, mask: PackedMask) -> None:
        """Make the segment hold the mask; only the box that differs is rewritten."""
        try:
            self._writeSegment(lesion.segmentID, mask, lesion.shown)
        except GeometryError as error:
            lesion.failure = str(error)
            return
        lesion.shown = mask

    def _writeSegment(self, segmentID: str, mask: PackedMask, before: PackedMask) -> None:
        box = before.difference_box(mask)
        if not box.is_empty:
            with self.writing():
                updateSegment(
                    mask,
                    before=before,
                    segmentationNode=self.segmentationNode,
                    segmentID=segmentID,
                    grid=self.image.grid,
                    box=box,
                )

    def applyPrediction(self, event: LesionPredicted) -> bool:
        """Show an answer; False where it is for a lesion that is gone, or for clicks that are no longer in force."""
        lesion = self.lesions.get(event.lesion)
        if lesion is None or lesion.request != event.request:
            return False
        lesion.request, lesion.failure, lesion.answered = None, "", lesion.state
        if lesion.state.result is not None:
            return True  # asked again only so that the engine knows it; what is shown stays
        placed = placeMask(
            event.packed,
            self.segmentationNode,
            lesion.segmentID,
            grid=self.image.grid,
            rule=self.context.overlap,
            known={other.segmentID: other.shown for other in self.lesions.values()},
        )
        lesion.state.result = Result(
            placed.mask,
            event.measures if placed.mask == event.packed else None,
            event.score,
            event.volume_interval_ml,
            event.hint,
            event.notices,
        )
        self.announceChange()
        self._take(placed.taken, self.history.stepThatMade(lesion.key, lesion.state))
        self.show(lesion, placed.mask)
        return True

    def _take(self, taken: Mapping[str, tuple[PackedMask, PackedMask]], step: Step | None) -> None:
        """Write the other segments that lost voxels, as part of `step`."""
        for segmentID, (before, after) in taken.items():
            other = self.lesionOf(segmentID)
            self._writeSegment(segmentID, after, before)
            if other is None:
                if step is not None:
                    step.others.setdefault(segmentID, (before, after))
                continue
            known = other.state.result or Result(before)
            state = LesionState(other.state.clicks, replace(known, mask=after, measures=None), other.state.isEdited)
            if step is not None:
                first = step.lesions.get(other.key)
                step.lesions[other.key] = Change(first.before if first else other.state, state)
            other.answered = state if other.answered is other.state else other.answered
            other.state, other.shown = state, after

    def undo(self) -> None:
        """Take back the newest step; the caller has made sure that there is one."""
        step = self.history.undo()
        self._goTo({key: change.before for key, change in step.lesions.items()}, step, which=0)

    def redo(self) -> None:
        """Do again what was undone last."""
        step = self.history.redo()
        self._goTo({key: change.after for key, change in step.lesions.items()}, step, which=1)

    def _goTo(self, states: Mapping[str, LesionState | None], step: Step, *, which: int) -> None:
        self.announceChange()
        for segmentID, masks in step.others.items():
            if self.hasSegment(segmentID):
                self._writeSegment(segmentID, masks[which], masks[1 - which])
        for key, state in states.items():
            self.restoreState(key, state)
        self.selectedKey = next((key for key in states if key in self.lesions), self.selectedKey)

    def restoreState(self, key: str, state: LesionState | None) -> None:
        """Bring a lesion, its nodes and its segment to a state it once had; None takes it away."""
        lesion = self.lesions.get(key) or self.removed.get(key)
        if lesion is None:
            return
        if state is None:
            if key in self.lesions:
                self.takeAway(lesion)
            return
        if key in self.removed:
            self.bringBack(lesion)
        with self.writing(), pausedPlacing(lesion.nodes.pointNodes):
            writeClicks(lesion.nodes, state.clicks)
        self.setState(lesion, state)

    def nextUnmeasured(self) -> PackedMask | None:
        """A mask on show that no model made as it is, so that its measures are not known."""
        for lesion in self.lesions.values():
            result = lesion.state.result
            if result is None or result.measures is not None or result.mask.box.is_empty:
                continue
            if lesion.unmeasurable is not result.mask:
                return result.mask
        return None

    def takeMeasures(self, mask: PackedMask, measures: LesionMeasures | None) -> bool:
        """Note the measures of a mask; False where no lesion shows it any more."""
        for lesion in self.lesions.values():
            result = lesion.state.result
            if result is not None and result.mask is mask:
                lesion.unmeasurable = mask if measures is None else None
                lesion.state.result = replace(result, measures=measures)
                return True
        return False

    def save(self, lesion: Lesion) -> None:
        """Write into the module's node what a saved scene needs of a lesion."""
        clicks = lesion.state.clicks
        boxOrder = next((click.order for click in clicks if isinstance(click.prompt, Box)), 0)
        seeds = tuple((click.order, click.prompt.packed) for click in clicks if isinstance(click.prompt, SeedMask))
        record = LesionRecord(lesion.key, lesion.segmentID, boxOrder, seeds, lesion.state.isEdited)
        saveLesion(
            parameterNodeOf(self.scene),
            lesion.nodes,
            record,
            volumeNode=self.volumeNode,
            segmentationNode=self.segmentationNode,
        )
