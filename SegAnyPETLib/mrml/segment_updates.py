"""Rewriting a lesion's segment within a frame of the display, also in a volume of 400 x 400 x 400.

What costs time in Slicer 5.12, and what is done about it (400^3, one core):

- Slicer cuts a shared layer to its segments with every change, or makes it grow, and copies it (150 ms): ours is made
  as large as the volume when the second lesion needs it, and voxels are written in place.
- A segment that meets another in its layer is moved with a copy of the whole layer (500 ms): it gets a small layer.
- Every surface is dropped with any change, and made anew from the whole layer as soon as a 3D view hears of it (150 ms
  each): all are taken off meanwhile, nobody hears of it before they are back, and the one that changed is made later,
  from the lesion's own box, by Slicer's own rule, so with the same points.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import slicer
import vtk

from SegAnyPETLib.geometry import Grid, VoxelBox
from SegAnyPETLib.mrml.frames import Node
from SegAnyPETLib.mrml.segments import (
    addSegment,
    gridToSegmentation,
    layerOf,
    makeLabelmap,
    reachOfLayer,
    viewOfLayer,
    writePackedToSegment,
)
from SegAnyPETLib.session.packed_mask import PackedMask

HEARD_FIRST = 1000.0  # priority of an observer; Slicer's own have 0
MARGIN = 4  # voxels around a mask in a layer of its own, so that it need not grow with every click


def addEmptySegment(segmentationNode: Node, *, name: str, colorRGB: tuple[float, float, float]) -> str:
    """As `addSegment`; where surfaces are shown, without making one from the layer the new segment shares."""
    if not isSurfaceShown(segmentationNode):
        return addSegment(segmentationNode, name=name, colorRGB=colorRGB)
    segmentation = segmentationNode.GetSegmentation()
    with _surfacesKept(segmentation):
        added = addSegment(segmentationNode, name=name, colorRGB=colorRGB)
        segmentation.GetSegment(added).AddRepresentation(surfaceName(), vtk.vtkPolyData())
    segmentation.InvokeEvent(slicer.vtkSegmentation.SegmentAdded, added)
    return added


def updateSegment(
    mask: PackedMask, *, before: PackedMask, segmentationNode: Node, segmentID: str, grid: Grid, box: VoxelBox
) -> None:
    """Make a segment that holds `before` hold `mask`, which differs from it only in `box`.

    Raises:
        GeometryError: The segmentation stores surfaces, or its transform cannot be used.
    """
    segmentation = segmentationNode.GetSegmentation()
    with _surfacesKept(segmentation):
        _updateVoxels(mask, before, segmentationNode, segmentID, grid=grid, box=box)
    if isSurfaceShown(segmentationNode):
        segmentation.InvokeEvent(slicer.vtkSegmentation.SourceRepresentationModified, segmentID)
        segmentation.InvokeEvent(slicer.vtkSegmentation.RepresentationModified, segmentID)


def isSurfaceShown(segmentationNode: Node) -> bool:
    """True when the segmentation has surfaces, so that they should follow."""
    return bool(segmentationNode.GetSegmentation().ContainsRepresentation(surfaceName()))


def startSurfaces(segmentationNode: Node, segmentIDs: Sequence[str]) -> None:
    """Show surfaces: these segments get empty ones, to be made by `refreshSurface`, all others their own at once."""
    segmentation = segmentationNode.GetSegmentation()
    with _unheard(segmentation):
        for segmentID in segmentIDs:
            segmentation.GetSegment(segmentID).AddRepresentation(surfaceName(), vtk.vtkPolyData())
    segmentationNode.CreateClosedSurfaceRepresentation()
    segmentation.InvokeEvent(slicer.vtkSegmentation.ContainedRepresentationNamesModified)


def dropSurfaces(segmentationNode: Node) -> None:
    """Show no surfaces any more."""
    segmentationNode.RemoveClosedSurfaceRepresentation()


def refreshSurface(mask: PackedMask, *, segmentationNode: Node, segmentID: str, grid: Grid) -> None:
    """Make the surface of one segment anew, from its box alone."""
    segmentation = segmentationNode.GetSegmentation()
    surface = vtk.vtkPolyData()
    if not mask.box.is_empty:
        box = mask.box.expanded(1)
        alone, part = slicer.vtkSegmentation(), slicer.vtkSegment()
        alone.SetSourceRepresentationName(binaryName())
        alone.CopyConversionParameters(segmentation)
        labelmap = makeLabelmap(box, gridToSegmentation(segmentationNode, grid), mask.inside(box))
        part.AddRepresentation(binaryName(), labelmap)
        part.SetLabelValue(1)
        alone.AddSegment(part, segmentID)
        alone.CreateRepresentation(surfaceName(), True)
        surface.ShallowCopy(part.GetRepresentation(surfaceName()))
    segmentation.GetSegment(segmentID).AddRepresentation(surfaceName(), surface)


def binaryName() -> str:
    """Of the representation by voxels."""
    return str(slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName())


def surfaceName() -> str:
    """Of the representation by closed surfaces."""
    return str(slicer.vtkSegmentationConverter.GetSegmentationClosedSurfaceRepresentationName())


@contextmanager
def _surfacesKept(segmentation: Node) -> Iterator[None]:
    """Take all surfaces off while voxels change: they are then shown as they were, and not made anew or dropped."""
    segments = [segmentation.GetSegment(segmentID) for segmentID in segmentation.GetSegmentIDs()]
    kept = [(segment, segment.GetRepresentation(surfaceName())) for segment in segments]
    kept = [(segment, surface) for segment, surface in kept if surface is not None]
    if not kept:
        yield
        return
    with _unheard(segmentation):
        for segment, _surface in kept:
            segment.RemoveRepresentation(surfaceName())
        try:
            yield
        finally:
            for segment, surface in kept:
                segment.AddRepresentation(surfaceName(), surface)


@contextmanager
def _unheard(segmentation: Node) -> Iterator[None]:
    """Let nobody hear what happens to the segments: a view that hears of a missing surface makes it at once."""
    events = slicer.vtkSegmentation
    tags: list[int] = []

    def keepFromOthers(_caller: Node, _event: str) -> None:
        for command in map(segmentation.GetCommand, tags):
            command.SetAbortFlag(1)

    tags += [
        segmentation.AddObserver(event, keepFromOthers, HEARD_FIRST)
        for event in (
            events.SegmentAdded,
            events.SegmentModified,
            events.RepresentationModified,
            events.SourceRepresentationModified,
            events.ContainedRepresentationNamesModified,
            vtk.vtkCommand.ModifiedEvent,
        )
    ]
    try:
        yield
    finally:
        for tag in tags:
            segmentation.RemoveObserver(tag)


def _updateVoxels(
    mask: PackedMask, before: PackedMask, segmentationNode: Node, segmentID: str, *, grid: Grid, box: VoxelBox
) -> None:
    """Write the voxels, in the layer the segment has where it may stay there."""
    segmentation = segmentationNode.GetSegmentation()
    segment, sharing = segmentation.GetSegment(segmentID), list[str]()
    segmentation.GetSegmentIDsSharingBinaryLabelmapRepresentation(segmentID, sharing, True)
    labels = layerOf(segmentationNode, segmentID, grid=grid, box=box)
    reach = reachOfLayer(segmentationNode, segmentID, grid=grid)
    if labels is None or reach is None or labels.dtype != np.uint8:  # above 255 segments Slicer takes 16 bit
        writePackedToSegment(mask, segmentationNode=segmentationNode, segmentID=segmentID, grid=grid, box=box)
        return
    new, own = mask.inside(box), segment.GetLabelValue()
    if len(sharing) > 1 and (new & (labels != 0) & (labels != own)).any():
        _writeInPlace(segmentationNode, segmentID, PackedMask.empty(grid.shape_kji), grid=grid, box=before.box)
        _giveOwnLayer(segmentationNode, segment, mask, grid=grid)
    elif reach.intersection(box) == box:
        _writeInPlace(segmentationNode, segmentID, mask, grid=grid, box=box)
    elif len(sharing) == 1:
        _giveOwnLayer(segmentationNode, segment, mask, grid=grid)
    else:
        _widen(segmentationNode, sharing, grid=grid, reach=reach)
        _writeInPlace(segmentationNode, segmentID, mask, grid=grid, box=box)


def _writeInPlace(segmentationNode: Node, segmentID: str, mask: PackedMask, *, grid: Grid, box: VoxelBox) -> None:
    """Write into the layer itself, which reaches over the box; voxels of other segments stay."""
    if box.is_empty:
        return
    segmentation = segmentationNode.GetSegmentation()
    layer = segmentation.GetSegment(segmentID).GetRepresentation(binaryName())
    part = viewOfLayer(layer, segmentationNode, grid=grid, box=box)
    new, label = mask.inside(box), segmentation.GetSegment(segmentID).GetLabelValue()
    part[(part == label) & ~new] = 0
    part[new & (part == 0)] = label
    layer.GetPointData().GetScalars().Modified()
    layer.Modified()  # so that everybody who reads the segment hears of it
    segmentation.InvokeEvent(slicer.vtkSegmentation.RepresentationModified, segmentID)  # and the slices are drawn anew


def _giveOwnLayer(segmentationNode: Node, segment: Node, mask: PackedMask, *, grid: Grid) -> None:
    """A small layer with just this mask."""
    box = mask.box.expanded(MARGIN).intersection(grid.box)
    layer = makeLabelmap(box, gridToSegmentation(segmentationNode, grid), mask.inside(box))
    segment.SetLabelValue(1)
    segment.AddRepresentation(binaryName(), layer)
    layer.Modified()


def _widen(segmentationNode: Node, sharing: Sequence[str], *, grid: Grid, reach: VoxelBox) -> None:
    """Let a layer that several segments share reach over the whole volume, and as far beyond it as it did."""
    whole = makeLabelmap(grid.box.union(reach), gridToSegmentation(segmentationNode, grid), 0)
    labels = layerOf(segmentationNode, sharing[0], grid=grid, box=reach)
    if labels is not None and not reach.is_empty:
        viewOfLayer(whole, segmentationNode, grid=grid, box=reach)[...] = labels
    for segmentID in sharing:
        segmentationNode.GetSegmentation().GetSegment(segmentID).AddRepresentation(binaryName(), whole)
