"""One volume, its markups and one segment, tied to a session."""

from __future__ import annotations

import threading
from collections.abc import Hashable

from SegAnyPETLib.data.segment import LESION
from SegAnyPETLib.errors import SessionError
from SegAnyPETLib.geometry import VoxelBox
from SegAnyPETLib.mrml.frames import Node, gridFromVolumeNode
from SegAnyPETLib.mrml.prompts import boxFromROI, pointsFromMarkups, seedFromSegment
from SegAnyPETLib.mrml.segments import (
    BoolArray,
    addSegment,
    addSegmentationNode,
    fitSegmentationToVolume,
    writeMaskToSegment,
)
from SegAnyPETLib.mrml.tables import writeMeasuresToTable
from SegAnyPETLib.mrml.terminology import setTerminology
from SegAnyPETLib.mrml.volumes import suvVolumeFromNode
from SegAnyPETLib.session import InteractiveSession, Prediction, Prompt
from SegAnyPETLib.suv import SUVKind, SUVVolume
from SegAnyPETLib.suv.measures import LesionMeasures, compute_measures

NOTHING = VoxelBox((0, 0, 0), (0, 0, 0))
# Told apart by people with colour vision deficiency too: Okabe and Ito, 2008, without black and yellow.
COLORS = (
    (0.84, 0.37, 0.00),
    (0.34, 0.71, 0.91),
    (0.00, 0.62, 0.45),
    (0.80, 0.47, 0.65),
    (0.90, 0.62, 0.00),
    (0.00, 0.45, 0.70),
)


class SegmentationBridge:
    """Keeps a session in step with MRML nodes, and a segment in step with the session.

    The markups are the truth: `updateFromMarkups` undoes and adds prompts until the session has just those. Where a
    prompt of long ago was moved or deleted, the later ones are given again.

    Order: points of one markups node count in the order of its list. Between nodes the order is that in which the
    bridge first saw them; so call `updateFromMarkups` after each click. What it sees for the first time at once is
    taken as seed, ROI, positive points, negative points.

    MRML belongs to the main thread. `predict` does everything there; to keep the application alive call
    `updateFromMarkups`, then ``session.predict`` in a worker, then `show` on the main thread again.

    Attributes:
        session: The session; the bridge manages its image and prompts.
        volumeNode: The PET, in SUV, possibly under linear transforms.
        kind: Which SUV the volume holds; None takes it from the units on the node.
        positiveNode: Markups node with points in the lesion, or None.
        negativeNode: Markups node with points outside it, or None.
        roiNode: ROI around the lesion, or None.
        segmentationNode: Where the result goes; made at the first result when None.
        segmentID: The segment that is rewritten; made at the first result when None.
        terminology: Meaning of the segments that are made.
    """

    def __init__(
        self,
        session: InteractiveSession,
        volumeNode: Node,
        *,
        kind: SUVKind | None = None,
        segmentationNode: Node = None,
        segmentID: str | None = None,
    ) -> None:
        self.session = session
        self.volumeNode = volumeNode
        self.kind = kind
        self.positiveNode: Node = None
        self.negativeNode: Node = None
        self.roiNode: Node = None
        self.segmentationNode = segmentationNode
        self.segmentID = segmentID
        self.terminology = LESION
        self._image: SUVVolume | None = None
        self._imageState: Hashable = None
        self._seed: Prompt | None = None
        self._order: list[Hashable] = []
        self._unwritten: VoxelBox | None = None  # None: the segment was never written

    @property
    def image(self) -> SUVVolume:
        """The volume as the session has it.

        Raises:
            SessionError: `updateFromMarkups` has not been called.
        """
        if self._image is None:
            msg = "Expected a volume in the session; found none. Call updateFromMarkups() first."
            raise SessionError(msg)
        return self._image

    @property
    def segmentName(self) -> str:
        """The segment's name as shown to the user; empty before the first result."""
        if self.segmentationNode is None or self.segmentID is None:
            return ""
        return str(self.segmentationNode.GetSegmentation().GetSegment(self.segmentID).GetName())

    def startSegment(self, *, segmentationNode: Node = None, segmentID: str | None = None) -> None:
        """Go on to another lesion of the same volume; what was encoded is kept.

        Args:
            segmentationNode: Where the next results go; None keeps the present one.
            segmentID: The segment to rewrite; None adds one. The first result replaces what an existing one held: give
                it to `useSeed` to continue from it.
        """
        self.segmentationNode = segmentationNode or self.segmentationNode
        self.segmentID = segmentID
        self._seed = None
        self._unwritten = None
        if self._image is not None:
            self.session.reset()

    def useSeed(self, segmentationNode: Node, segmentID: str) -> None:
        """Start from a segment as it is now; painting in it later changes nothing here.

        Raises:
            PromptError: It has no voxel in the volume.
            GeometryError: There is no such segment, or a transform is not linear.
        """
        self._seed = seedFromSegment(segmentationNode, segmentID, grid=gridFromVolumeNode(self.volumeNode))

    def updateFromMarkups(self) -> bool:
        """Give the session the volume and the prompts as they are in the scene now.

        Voxels changed in place without ``Modified()`` on the image are not noticed.

        Returns:
            True when something changed, so that `predict` is worth calling.

        Raises:
            SUVError: It is not known which SUV the volume holds.
            GeometryError: The volume's or a ROI's geometry cannot be used.
            PromptError: A point lies outside the volume, or a ROI is unusable. Earlier prompts are kept.
        """
        imageChanged = self._updateImage()
        wanted = self._promptsInOrder()
        given = self.session.prompts
        common = 0
        while common < min(len(given), len(wanted)) and given[common] == wanted[common]:
            common += 1
        for _ in given[common:]:
            self._note(self.session.undo())
        for prompt in wanted[common:]:
            self.session.add(prompt)
        return imageChanged or common < max(len(given), len(wanted))

    def predict(self, *, cancel: threading.Event | None = None) -> Prediction:
        """Bring the session up to date, predict, and show the result in the segment.

        Raises:
            SessionError: There is no prompt; a segment that was written before is then empty.
            PredictionCancelled: `cancel` was set; the segment stays.
            SegAnyPETError: As in `updateFromMarkups`.
        """
        self.updateFromMarkups()
        if not self.session.prompts:
            if self.segmentID is not None:
                self._write(self.session.mask)
            msg = (
                f"Expected a point or a ROI for '{self.volumeNode.GetName()}'; found none. "
                "Place a point in the lesion, in a slice view."
            )
            raise SessionError(msg)
        prediction = self.session.predict(cancel=cancel)
        self.show(prediction)
        return prediction

    def show(self, prediction: Prediction) -> None:
        """Write the session's newest prediction to the segment, only where voxels changed since the last one.

        A segment or segmentation that was deleted meanwhile is made anew.

        Raises:
            GeometryError: The segmentation stores surfaces, or its transform cannot be used.
        """
        self._note(prediction.changed)
        self._write(prediction.mask)

    def measure(self, *, tableNode: Node = None) -> LesionMeasures:
        """Measure the session's mask, and write the segment's row of `tableNode` where one is given.

        Raises:
            SessionError: There is no volume in the session.
            SUVError: The mask is empty.
        """
        measures = compute_measures(self.image, self.session.mask)
        if tableNode is not None and self.segmentID is not None:
            writeMeasuresToTable(tableNode, measures, segmentID=self.segmentID, segmentName=self.segmentName)
        return measures

    def _note(self, changed: VoxelBox) -> None:
        if self._unwritten is not None:
            self._unwritten = self._unwritten.union(changed)

    def _write(self, mask: BoolArray) -> None:
        if self.segmentationNode is None or self.segmentationNode.GetScene() is None:
            self.segmentationNode = addSegmentationNode(self.volumeNode, name=f"{self.volumeNode.GetName()} lesions")
        fitSegmentationToVolume(self.segmentationNode, self.volumeNode)
        segmentation = self.segmentationNode.GetSegmentation()
        if self.segmentID is None or segmentation.GetSegment(self.segmentID) is None:
            number = segmentation.GetNumberOfSegments()
            self.segmentID = addSegment(
                self.segmentationNode, name=f"Lesion {number + 1}", colorRGB=COLORS[number % len(COLORS)]
            )
            setTerminology(self.segmentationNode, self.segmentID, self.terminology)
            self._unwritten = None
        writeMaskToSegment(
            mask,
            segmentationNode=self.segmentationNode,
            segmentID=self.segmentID,
            grid=self.image.grid,
            box=self._unwritten,
        )
        self._unwritten = NOTHING

    def _updateImage(self) -> bool:
        """Give the session the volume when its voxels, place or kind changed."""
        grid = gridFromVolumeNode(self.volumeNode)
        voxels = self.volumeNode.GetImageData()
        scalars = voxels.GetPointData().GetScalars()
        state = (self.volumeNode.GetID(), voxels.GetMTime(), scalars.GetMTime(), grid, self.kind)
        if state == self._imageState:
            return False
        self._image = suvVolumeFromNode(self.volumeNode, kind=self.kind)
        self.session.set_image(self._image)
        self._imageState = state
        self._unwritten = None
        return True

    def _promptsInOrder(self) -> list[Prompt]:
        """The prompts in the scene, in the order in which they were first seen."""
        found: dict[Hashable, Prompt] = {}
        if self._seed is not None:
            found["seed"] = self._seed
        if self.roiNode is not None:
            found[self.roiNode.GetID()] = boxFromROI(self.roiNode)
        for node, positive in ((self.positiveNode, True), (self.negativeNode, False)):
            for placed in pointsFromMarkups(node, positive=positive) if node is not None else []:
                found[placed.nodeID, placed.controlPointID] = placed.prompt
        known = [key for key in self._order if key in found]
        self._order = known + [key for key in found if key not in set(known)]
        return [found[key] for key in self._order]
