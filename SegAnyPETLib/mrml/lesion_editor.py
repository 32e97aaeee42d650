"""`LesionEditor`: lesions clicked in a PET volume, as a panel sees them; without Qt."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import vtk
from numpy.typing import ArrayLike

from SegAnyPETLib.data.segment import LESION, Terminology
from SegAnyPETLib.errors import GeometryError, PromptError, SessionError
from SegAnyPETLib.mrml import exports, place_mode
from SegAnyPETLib.mrml.burden import NO_BURDEN, Burden
from SegAnyPETLib.mrml.click_history import Click, LesionState
from SegAnyPETLib.mrml.click_sync import OUTSIDE, nextOrder, syncClicks
from SegAnyPETLib.mrml.following_editor import OVERLAP, FollowingEditor
from SegAnyPETLib.mrml.frames import Node, gridFromVolumeNode, lpsFromRAS
from SegAnyPETLib.mrml.lesion import Lesion
from SegAnyPETLib.mrml.lesion_book import LesionBook
from SegAnyPETLib.mrml.lesion_rows import LesionRow, rowOf
from SegAnyPETLib.mrml.lesion_surfaces import areSurfacesCurrent, showSurfaces
from SegAnyPETLib.mrml.overlap import OVERLAP_RULES, OverlapRule
from SegAnyPETLib.mrml.prompts import seedFromSegment
from SegAnyPETLib.mrml.terminology import setTerminology, terminologyFromSegment

if TYPE_CHECKING:
    from SegAnyPETLib.data import PETSeries
    from SegAnyPETLib.suv import SUVKind


class LesionEditor(FollowingEditor):
    """Clicks become lesions: segments with measures, with undo, in agreement with the scene.

    Markups are what a person places; each lesion has a fiducial node for either sign. The engine predicts elsewhere,
    so a click returns at once and its mask appears at a later `tick`. All of it belongs to the main thread.

    Args:
        scene: The MRML scene.
        engine: Predicts; the editor neither starts nor ends it.

    Example:
        >>> editor = LesionEditor(slicer.mrmlScene, engine)      # doctest: +SKIP
        >>> editor.setVolume(choosePETVolume(slicer.mrmlScene))  # doctest: +SKIP
        >>> editor.startPlacing(True)                            # doctest: +SKIP
        >>> timer.connect("timeout()", editor.tick)              # doctest: +SKIP
    """

    def setVolume(self, volumeNode: Node, *, kind: SUVKind | None = None) -> None:
        """Work on a PET; its lesions and their history come back when it was worked on before.

        Args:
            volumeNode: In SUV, under no or linear transforms; None to work on nothing.
            kind: Which SUV it holds, where the node does not say.

        Raises:
            SUVError: It is not known which SUV the volume holds, or its values cannot be SUV.
            GeometryError: Its grid or its transform cannot be used. In both cases nothing was changed.
        """
        with self._acting():
            if volumeNode is None:
                self._leaveVolume()
                self.parameterNode.SetNodeReferenceID("volume", None)
            else:
                self._enterVolume(volumeNode, kind)

    @property
    def selectedLesion(self) -> str | None:
        """Segment ID of the lesion that is worked on; None where none is, or its segment was deleted."""
        book, lesion = self._book, self._book.selected if self._book is not None else None
        return (
            lesion.segmentID if book is not None and lesion is not None and book.hasSegment(lesion.segmentID) else None
        )

    @property
    def positiveNode(self) -> Node:
        """Fiducial node for points in the selected lesion; None where none is selected."""
        lesion = self._book.selected if self._book is not None else None
        return lesion.nodes.positiveNode if lesion is not None else None

    @property
    def negativeNode(self) -> Node:
        """Fiducial node for points outside the selected lesion; None where none is selected."""
        lesion = self._book.selected if self._book is not None else None
        return lesion.nodes.negativeNode if lesion is not None else None

    @property
    def roiNode(self) -> Node:
        """The selected lesion's box; None where it has none."""
        lesion = self._book.selected if self._book is not None else None
        return lesion.nodes.roiNode if lesion is not None else None

    def addLesion(self, *, terminology: Terminology = LESION) -> str:
        """Start a lesion and select it; returns its segment's ID.

        Raises:
            SessionError: No volume was chosen.
        """
        with self._acting():
            lesion = self._requireBook().addLesion(terminology)
            self._select(lesion)
        return lesion.segmentID

    def selectLesion(self, segmentID: str | None) -> None:
        """Work on this lesion; a segment that is none yet becomes one, and its first click continues from it.

        Raises:
            GeometryError: The segmentation has no such segment.
            SessionError: No volume was chosen.
        """
        with self._acting():
            book = self._requireBook()
            if segmentID is None:
                place_mode.stopPlacing(self._scene)
                self._select(None)
            else:
                self._select(book.lesionOf(segmentID) or book.adoptSegment(segmentID))

    def removeLesion(self, segmentID: str) -> None:
        """Remove a lesion with its segment and clicks; `undo` brings it back. Nothing happens where there is none."""
        with self._acting():
            lesion = self._lesion(segmentID)
            if lesion is None or self._book is None:
                return
            wasSelected = lesion is self._book.selected
            if place_mode.placedNode(self._scene) in lesion.nodes.pointNodes:
                place_mode.stopPlacing(self._scene)
            self._book.removeLesion(lesion)
            if wasSelected:
                self._select(next(reversed(self._book.inOrder()), None))

    def renameLesion(self, segmentID: str, name: str) -> None:
        """Rename a lesion; an empty name is not taken."""
        with self._acting():
            lesion = self._lesion(segmentID)
            if lesion is not None and name.strip():
                lesion.segment.SetName(name.strip())
                lesion.nodes.setName(name.strip())

    def setLesionTerminology(self, segmentID: str, terminology: Terminology) -> None:
        """Say what a lesion is."""
        with self._acting():
            if self._book is not None and self._lesion(segmentID) is not None and self._book.hasSegment(segmentID):
                setTerminology(self._book.segmentationNode, segmentID, terminology)

    def addPoint(self, ras: ArrayLike, *, positive: bool = True) -> None:
        """Click by code, in world RAS mm; a lesion is started where none is selected.

        Raises:
            PromptError: The point lies outside the volume.
            GeometryError: The volume was put under a transform that cannot be used.
            SessionError: No volume was chosen.
        """
        with self._acting():
            book = self._requireUsableBook()
            if not book.image.grid.contains_kji(book.image.grid.lps_to_kji(lpsFromRAS(ras))):
                raise PromptError(OUTSIDE.format(name=book.volumeNode.GetName()))
            lesion = self._ensureLesion(book)
            with place_mode.pausedPlacing(lesion.nodes.pointNodes), book.writing():
                node = lesion.nodes.pointNodes[0 if positive else 1]
                node.AddControlPointWorld(vtk.vtkVector3d(*[float(value) for value in lpsFromRAS(lpsFromRAS(ras))]))
            syncClicks(book, lesion)

    def startPlacing(self, positive: bool = True) -> None:
        """Let clicks in the views add to the selected lesion, or take away; a lesion is started where none is.

        Raises:
            GeometryError: The volume was put under a transform that cannot be used.
            SessionError: No volume was chosen.
        """
        with self._acting():
            lesion = self._ensureLesion(self._requireUsableBook())
            self._watch.follow(self._book)
            place_mode.startPlacing(lesion.nodes.pointNodes[0 if positive else 1])

    def stopPlacing(self) -> None:
        """Let clicks in the views mean what they usually mean."""
        with self._acting():
            place_mode.stopPlacing(self._scene)

    @property
    def placing(self) -> bool | None:
        """True while clicks add, False while they take away, None outside place mode."""
        node = place_mode.placedNode(self._scene)
        if node is None or node not in (self.positiveNode, self.negativeNode):
            return None
        return node is self.positiveNode

    def setBox(self, roiNode: Node) -> None:
        """Give the selected lesion a ROI as box, or take it away with None; it counts once it was drawn.

        Raises:
            GeometryError: The volume was put under a transform that cannot be used.
            SessionError: No volume was chosen.
        """
        with self._acting():
            book = self._requireUsableBook()
            lesion = self._ensureLesion(book)
            lesion.nodes.roiNode = roiNode
            book.save(lesion)
            syncClicks(book, lesion)

    def useSegmentAsSeed(self, segmentationNode: Node, segmentID: str) -> None:
        """Start or continue the selected lesion from a segment as it is now.

        Raises:
            PromptError: It has no voxel in the volume.
            GeometryError: There is no such segment, or a transform is not linear.
            SessionError: No volume was chosen.
        """
        with self._acting():
            book = self._requireUsableBook()
            seed = seedFromSegment(segmentationNode, segmentID, grid=gridFromVolumeNode(book.volumeNode))
            lesion = self._ensureLesion(book)
            clicks = lesion.state.clicks
            book.enterState(lesion, LesionState((*clicks, Click(nextOrder(clicks), seed))))

    @property
    def canUndo(self) -> bool:
        """True when there is a step to take back."""
        return self._book is not None and self._book.history.lastDone is not None

    @property
    def canRedo(self) -> bool:
        """True when a step was taken back and nothing was done since."""
        return self._book is not None and self._book.history.lastUndone is not None

    def undo(self) -> None:
        """Take back the newest click, move, deletion, box, seed, edit or removal in this volume, with its mask."""
        self._step(lambda book: book.undo(), lambda: self.canUndo)

    def redo(self) -> None:
        """Do again what was undone last."""
        self._step(lambda book: book.redo(), lambda: self.canRedo)

    def prepare(self, ras: ArrayLike) -> None:
        """The cursor is here in place mode: a first click may follow. Nothing happens outside the volume."""
        book = self._book
        self._busyAt = time.monotonic()
        if book is None or self._imageProblem:
            return
        x, y, z = lpsFromRAS(ras).tolist()
        if book.image.grid.contains_kji(book.image.grid.lps_to_kji((x, y, z))):
            self._context.engine.prepare((x, y, z))

    def retry(self) -> None:
        """Ask again for every lesion whose answer did not come."""
        with self._acting():
            for lesion in self._book.lesions.values() if self._book is not None else ():
                if lesion.failure and lesion.state.result is None and self._book is not None:
                    lesion.failure = ""
                    self._book.ask(lesion)

    @property
    def overlap(self) -> OverlapRule:
        """What a lesion does to other segments: ``overwrite``, ``keep`` (both hold the voxel) or ``lock``."""
        return self._context.overlap

    @overlap.setter
    def overlap(self, rule: OverlapRule) -> None:
        if rule not in OVERLAP_RULES:
            msg = f"Expected one of {', '.join(OVERLAP_RULES)}; found {rule!r}."
            raise PromptError(msg)
        self._context.overlap = rule
        self.parameterNode.SetParameter(OVERLAP, rule)

    @property
    def rows(self) -> tuple[LesionRow, ...]:
        """One row per lesion of the volume, in the order of the segments."""
        book = self._book
        if book is None:
            return ()
        return tuple(
            rowOf(lesion, terminology=terminologyFromSegment(book.segmentationNode, lesion.segmentID))
            for lesion in book.inOrder()
        )

    @property
    def burden(self) -> Burden:
        """All lesions of the volume together."""
        book = self._book
        return NO_BURDEN if book is None else self._burdenSum.of(book.image, book.lesions.values())

    def showUncertainty(self, shown: bool) -> None:
        """Lay the uncertainty of the selected lesion over the slices, now and after each answer; or remove it."""
        with self._acting():
            self._isUncertaintyWanted = bool(shown)
            self._askUncertainty()

    @property
    def isUncertaintyShown(self) -> bool:
        """True after `showUncertainty(True)`."""
        return self._isUncertaintyWanted

    def showSurfaces(self, shown: bool) -> bool:
        """Show the lesions in 3D too, or not: their surfaces follow at later ticks, large ones in a pause.

        Returns:
            False where that was so already.
        """
        return self._book is not None and showSurfaces(self._book, bool(shown))

    @property
    def areSurfacesCurrent(self) -> bool:
        """True when surfaces are shown and all of them follow what the segments hold."""
        return self._book is not None and areSurfacesCurrent(self._book)

    def exportTable(self, path: Path | str) -> Path:
        """Write the measures as CSV.

        Raises:
            OutputError: No lesion holds a voxel, or the file cannot be written.
            SessionError: No volume was chosen.
        """
        return exports.exportTable(self._settledBook(), path, model=self.parameterNode.GetParameter("model"))

    def exportNifti(self, folder: Path | str) -> list[Path]:
        """Write one mask per lesion into a folder.

        Raises:
            OutputError: No lesion holds a voxel, or a file cannot be written.
            SessionError: No volume was chosen.
        """
        return exports.exportNifti(self._settledBook(), folder)

    def exportSegNrrd(self, path: Path | str) -> Path:
        """Write all lesions as one .seg.nrrd.

        Raises:
            OutputError: No lesion holds a voxel, the name has another ending, or the file cannot be written.
            SessionError: No volume was chosen.
        """
        return exports.exportSegNrrd(self._settledBook(), path)

    def exportDicomSeg(self, path: Path | str, source: PETSeries) -> Path:
        """Write all lesions as one DICOM SEG that refers to the PET series the volume was made from.

        Raises:
            GeometryError: The volume's voxels are not those of the series.
            OutputError: No lesion holds a voxel, the name has another ending, or the file cannot be written.
            DICOMError: The files of the series are gone, or lack what a SEG must refer to.
            SessionError: No volume was chosen.
        """
        model = self.parameterNode.GetParameter("model")
        return exports.exportDicomSeg(self._settledBook(), path, source, model=model)

    def exportRTStruct(self, path: Path | str, source: PETSeries) -> Path:
        """Write all lesions as contours of one DICOM RT Structure Set, for planning systems.

        Raises:
            GeometryError: The volume's voxels are not those of the series.
            OutputError: No lesion holds a voxel, the name has another ending, or the file cannot be written.
            DICOMError: The files of the series are gone, have changed, or lack what contours must refer to.
            SessionError: No volume was chosen.
        """
        model = self.parameterNode.GetParameter("model")
        return exports.exportRTStruct(self._settledBook(), path, source, model=model)

    def _step(self, go: Callable[[LesionBook], None], isPossible: Callable[[], bool]) -> None:
        with self._acting():
            if self._book is None or not isPossible():
                return
            go(self._book)
            self._select(self._book.selected)
            self._askUncertainty()

    def _lesion(self, segmentID: str) -> Lesion | None:
        return self._book.lesionOf(segmentID) if self._book is not None else None

    def _ensureLesion(self, book: LesionBook) -> Lesion:
        lesion = book.selected
        if lesion is None:
            lesion = book.addLesion()
            self._select(lesion)
        return lesion

    def _requireBook(self) -> LesionBook:
        if self._book is None:
            msg = "Expected a PET volume; none was chosen. Load one and choose it."
            raise SessionError(msg)
        return self._book

    def _requireUsableBook(self) -> LesionBook:
        book = self._requireBook()
        if self._imageProblem:
            raise GeometryError(self._imageProblem)
        return book

    def _settledBook(self) -> LesionBook:
        self._settle(now=True)
        return self._requireBook()
