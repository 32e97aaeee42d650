"""Masks to segments and back.

Slicer keeps segments as labels in shared layers. `vtkSlicerSegmentationsModuleLogic.SetBinaryLabelmapToSegment` has
traps this file works around (Slicer 5.12):

- MODE_REPLACE with an extent drops the segment outside that extent; MODE_MERGE_MAX and MODE_MERGE_MASK cannot erase.
  A box is therefore rewritten as one erasing and one adding step, each with just the voxels that differ.
- A labelmap on another lattice makes it resample the whole layer, other segments included. A segment that is not on
  the volume's lattice is therefore first given a layer of its own.
- An array of the wrong shape is accepted silently by `slicer.util`; here it is an error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import slicer
import vtk
from numpy.typing import NDArray
from vtk.util.numpy_support import vtk_to_numpy

from SegAnyPETLib.errors import GeometryError
from SegAnyPETLib.geometry import FloatArray, Grid, VoxelBox
from SegAnyPETLib.mrml.frames import Node, arrayFromMatrix, lpsFromRAS, matrixFromArray, worldFromNode
from SegAnyPETLib.session.packed_mask import PackedMask

BoolArray = NDArray[np.bool_]
NOTHING = VoxelBox((0, 0, 0), (0, 0, 0))
SURFACE_SMOOTHING = "0.2"  # Slicer's 0.5 shrinks small lesions: a node of 16 mm, 2.2 ml, to 0.1 ml; with 0.2 to 1.6 ml
LATTICE_TOLERANCE = 1e-3  # voxels; two lattices closer than this over the whole image are the same


def addSegmentationNode(volumeNode: Node, *, name: str) -> Node:
    """Add a segmentation node that fits a volume (see `fitSegmentationToVolume`)."""
    segmentationNode = volumeNode.GetScene().AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    fitSegmentationToVolume(segmentationNode, volumeNode)
    return segmentationNode


def fitSegmentationToVolume(segmentationNode: Node, volumeNode: Node) -> None:
    """Prepare a segmentation without segments: the volume's transform and geometry, and something to show it.

    A segmentation that holds segments already is left as it is.
    """
    if segmentationNode.GetSegmentation().GetNumberOfSegments():
        return
    segmentationNode.CreateDefaultDisplayNodes()
    segmentationNode.SetAndObserveTransformNodeID(volumeNode.GetTransformNodeID())
    segmentationNode.SetReferenceImageGeometryParameterFromVolumeNode(volumeNode)
    smoothing = slicer.vtkBinaryLabelmapToClosedSurfaceConversionRule.GetSmoothingFactorParameterName()
    segmentationNode.GetSegmentation().SetConversionParameter(smoothing, SURFACE_SMOOTHING)


def addSegment(segmentationNode: Node, *, name: str, colorRGB: tuple[float, float, float] | None = None) -> str:
    """Add an empty segment and return its ID.

    Args:
        segmentationNode: Where to add it; the other segments are left alone.
        name: Shown to the user; need not be unique.
        colorRGB: 0 to 1 each; None lets Slicer choose.
    """
    segmentation = segmentationNode.GetSegmentation()
    return str(segmentation.AddEmptySegment("", name, colorRGB) if colorRGB else segmentation.AddEmptySegment("", name))


def maskFromSegment(segmentationNode: Node, segmentID: str, *, grid: Grid) -> BoolArray:
    """A segment as a mask (K, J, I) on `grid`, compared in world space.

    Exact where the segment lies on the grid's lattice, nearest neighbour elsewhere.

    Raises:
        GeometryError: There is no such segment, or a parent transform of the segmentation is not linear.
    """
    _segment(segmentationNode, segmentID)
    image = slicer.vtkOrientedImageData()
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    if not segmentationNode.GetBinaryLabelmapRepresentation(segmentID, image):
        # A segment stored as a surface is voxelized on the segmentation's own reference geometry.
        logic.GetSegmentBinaryLabelmapRepresentation(segmentationNode, segmentID, image, False)
    mask = np.zeros(grid.shape_kji, dtype=bool)
    if _isEmpty(image):
        return mask
    toSegment = gridToSegmentation(segmentationNode, grid)
    offset = _latticeOffset(image, toSegment, grid)
    if offset is None:
        reference = makeLabelmap(grid.box, toSegment, mask)
        resampled = slicer.vtkOrientedImageData()
        slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage(image, reference, resampled)
        image, offset = resampled, (0, 0, 0)
    return np.asarray(_arrayInBox(image, grid.box.shifted(offset)) != 0, dtype=bool)


def writeMaskToSegment(
    mask: BoolArray, *, segmentationNode: Node, segmentID: str, grid: Grid, box: VoxelBox | None = None
) -> None:
    """Make a segment equal to `mask` inside `box`, and leave everything else as it is.

    Other segments are never overwritten: where the mask meets one in the same layer, this segment moves to a layer of
    its own, and both hold the voxel. Only voxels that differ are touched, and nothing is announced when none does.

    Args:
        mask: (K, J, I) on `grid`; read, not kept.
        segmentationNode: Holds the segment; may be under another linear transform than the volume.
        segmentID: The segment to change.
        grid: The volume's grid in world LPS mm.
        box: The voxels to rewrite, cut to the grid; all of them when None. A segment that lies on another lattice than
            the volume is always rewritten whole.

    Raises:
        GeometryError: The mask does not fit the grid, there is no such segment, the segmentation stores surfaces, or
            its transform is not linear or shears the grid.
    """
    if mask.dtype != np.bool_ or mask.shape != grid.shape_kji:
        msg = (
            f"Expected a bool mask with the volume's shape (K, J, I) = {grid.shape_kji}; "
            f"found {mask.dtype} {mask.shape}. Resample the mask to the volume first."
        )
        raise GeometryError(msg)
    _write(lambda part: mask[part.slices], segmentationNode, segmentID, grid=grid, box=box)


def writePackedToSegment(
    packed: PackedMask, *, segmentationNode: Node, segmentID: str, grid: Grid, box: VoxelBox | None = None
) -> None:
    """As `writeMaskToSegment`, from a packed mask: nothing of the size of the volume is made.

    Raises:
        GeometryError: As in `writeMaskToSegment`.
    """
    if packed.shape_kji != grid.shape_kji:
        msg = (
            f"Expected a mask with the volume's shape (K, J, I) = {grid.shape_kji}; found {packed.shape_kji}. "
            "Choose the volume the mask was made on."
        )
        raise GeometryError(msg)
    _write(packed.inside, segmentationNode, segmentID, grid=grid, box=box)


def packedFromSegment(segmentationNode: Node, segmentID: str, *, grid: Grid) -> PackedMask:
    """A segment as a packed mask; only the part of the volume its layer reaches is looked at.

    Raises:
        GeometryError: As in `maskFromSegment`.
    """
    segment = _segment(segmentationNode, segmentID)
    layer = segment.GetRepresentation(_binaryName())
    if layer is None:
        return PackedMask.of(maskFromSegment(segmentationNode, segmentID, grid=grid))
    if _isEmpty(layer):
        return PackedMask.empty(grid.shape_kji)
    offset = _latticeOffset(layer, gridToSegmentation(segmentationNode, grid), grid)
    if offset is None:
        return PackedMask.of(maskFromSegment(segmentationNode, segmentID, grid=grid))
    box = _heldBox(layer).shifted([-n for n in offset]).intersection(grid.box)
    if box.is_empty:
        return PackedMask.empty(grid.shape_kji)
    part = _arrayInBox(layer, box.shifted(offset)) == segment.GetLabelValue()
    return PackedMask.of_part(np.asarray(part, dtype=bool), box, shape_kji=grid.shape_kji)


def partFromSegment(segmentationNode: Node, segmentID: str, *, grid: Grid, box: VoxelBox) -> BoolArray:
    """A segment in `box` (k, j, i) of the volume only; a new array.

    Raises:
        GeometryError: As in `maskFromSegment`.
    """
    found = layerOf(segmentationNode, segmentID, grid=grid, box=box)
    if found is None:
        return maskFromSegment(segmentationNode, segmentID, grid=grid)[box.slices]
    label = segmentationNode.GetSegmentation().GetSegment(segmentID).GetLabelValue()
    return np.asarray(found == label, dtype=bool)


def layerOf(segmentationNode: Node, segmentID: str, *, grid: Grid, box: VoxelBox) -> NDArray[np.generic] | None:
    """Labels of the segment's layer in `box` of the volume, 0 beyond the layer; None where it is on another lattice.

    Raises:
        GeometryError: There is no such segment, or a parent transform of the segmentation is not linear.
    """
    layer = _segment(segmentationNode, segmentID).GetRepresentation(_binaryName())
    if layer is None:
        return None
    if _isEmpty(layer):
        return np.zeros(box.shape_kji, dtype=np.uint8)
    offset = _latticeOffset(layer, gridToSegmentation(segmentationNode, grid), grid)
    return None if offset is None else _arrayInBox(layer, box.shifted(offset))


def reachOfLayer(segmentationNode: Node, segmentID: str, *, grid: Grid) -> VoxelBox | None:
    """Which voxels the segment's layer holds, as indices of the volume; None where it is on another lattice."""
    layer = _segment(segmentationNode, segmentID).GetRepresentation(_binaryName())
    if layer is None or _isEmpty(layer):
        return NOTHING if layer is not None else None
    offset = _latticeOffset(layer, gridToSegmentation(segmentationNode, grid), grid)
    return None if offset is None else _heldBox(layer).shifted([-n for n in offset])


def viewOfLayer(layer: Node, segmentationNode: Node, *, grid: Grid, box: VoxelBox) -> NDArray[Any]:  # any label type
    """The layer's own labels in `box`, which it reaches over, to be written to.

    Raises:
        GeometryError: The layer is on another lattice, or does not reach over the box.
    """
    offset = _latticeOffset(layer, gridToSegmentation(segmentationNode, grid), grid)
    held = _heldBox(layer)
    if offset is None or held.intersection(box.shifted(offset)) != box.shifted(offset):
        msg = f"Expected a layer that reaches over {box}; found one over {held}. Please report this."
        raise GeometryError(msg)
    values = vtk_to_numpy(layer.GetPointData().GetScalars()).reshape(held.shape_kji)
    part: NDArray[Any] = values[box.shifted(offset).shifted([-start for start in held.start_kji]).slices]
    return part


def labelsOf(layer: Node) -> NDArray[Any]:  # any label type
    """The layer's own labels, flat, to be read or written; none for an empty one."""
    labels: NDArray[Any] = vtk_to_numpy(layer.GetPointData().GetScalars()) if not _isEmpty(layer) else np.zeros(0)
    return labels


def makeLabelmap(box: VoxelBox, matrix: FloatArray, labels: NDArray[Any] | int) -> Node:  # bool or labels up to 255
    """A vtkOrientedImageData of 8 bit whose extent is `box` and whose (i, j, k) lie where `matrix` says.

    Args:
        box: (k, j, i).
        matrix: From (i, j, k, 1) to the segmentation's own RAS, see `gridToSegmentation`.
        labels: Its voxels in the box, or one value for all.
    """
    (k, j, i), (kStop, jStop, iStop) = box.start_kji, box.stop_kji
    image = slicer.vtkOrientedImageData()
    image.SetExtent(i, iStop - 1, j, jStop - 1, k, kStop - 1)
    image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
    vtk_to_numpy(image.GetPointData().GetScalars()).reshape(box.shape_kji)[...] = labels
    image.SetGeometryFromImageToWorldMatrix(matrixFromArray(matrix))
    return image


def _write(
    wanted: Callable[[VoxelBox], BoolArray],
    segmentationNode: Node,
    segmentID: str,
    *,
    grid: Grid,
    box: VoxelBox | None,
) -> None:
    """Make the segment equal to `wanted(box)` inside `box`."""
    segment = _segment(segmentationNode, segmentID)
    toSegment = gridToSegmentation(segmentationNode, grid)
    offset = _prepareLayer(segmentationNode, segmentID, toSegment, grid)
    if offset is None:
        box, offset = None, (0, 0, 0)
    box = grid.box if box is None else box.intersection(grid.box)
    if box.is_empty:
        return
    layer = segment.GetRepresentation(_binaryName())
    own = _arrayInBox(layer, box.shifted(offset)) == segment.GetLabelValue()
    new = wanted(box)
    erase, add = own & ~new, new & ~own
    matrix = toSegment if _isEmpty(layer) else _imageToWorld(layer)
    box = box.shifted(offset)
    if erase.any():
        _eraseFromSegment(segmentationNode, segmentID, erase, box, matrix)
    if add.any():
        _addToSegment(segmentationNode, segmentID, add, box, matrix)


def _segment(segmentationNode: Node, segmentID: str) -> Node:
    segment = segmentationNode.GetSegmentation().GetSegment(segmentID)
    if segment is None:
        known = list(segmentationNode.GetSegmentation().GetSegmentIDs())
        msg = (
            f"Expected a segment of '{segmentationNode.GetName()}'; found no '{segmentID}' among {known}. "
            "It may have been deleted: choose or add another."
        )
        raise GeometryError(msg)
    return segment


def _prepareLayer(segmentationNode: Node, segmentID: str, toSegment: FloatArray, grid: Grid) -> tuple[int, ...] | None:
    """Make sure the segment's layer is on the grid's lattice.

    Returns:
        Voxels (k, j, i) to add to a grid index to get the layer's; None when the segment was given a new, empty layer.
    """
    segmentation = segmentationNode.GetSegmentation()
    if segmentation.GetSourceRepresentationName() != _binaryName():
        msg = (
            f"Expected segments stored as voxels; '{segmentationNode.GetName()}' stores "
            f"'{segmentation.GetSourceRepresentationName()}'. Converting would change its other segments: "
            "choose or make another segmentation for the result."
        )
        raise GeometryError(msg)
    layer = segmentation.GetSegment(segmentID).GetRepresentation(_binaryName())
    if _isEmpty(layer):
        return (0, 0, 0)
    offset = _latticeOffset(layer, toSegment, grid)
    if offset is None:
        segmentation.SeparateSegmentLabelmap(segmentID)  # does nothing where the layer is not shared
        segmentation.ClearSegment(segmentID)
    return offset


def _eraseFromSegment(
    segmentationNode: Node, segmentID: str, erase: BoolArray, box: VoxelBox, matrix: FloatArray
) -> None:
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    shared: list[str] = []
    segmentationNode.GetSegmentation().GetSegmentIDsSharingBinaryLabelmapRepresentation(segmentID, shared, False)
    # MODE_MERGE_MIN takes away only this segment's voxels; naming the others keeps the layer from being split.
    modifier = makeLabelmap(box, matrix, ~erase)
    logic.SetBinaryLabelmapToSegment(
        modifier, segmentationNode, segmentID, logic.MODE_MERGE_MIN, modifier.GetExtent(), False, shared
    )


def _addToSegment(segmentationNode: Node, segmentID: str, add: BoolArray, box: VoxelBox, matrix: FloatArray) -> None:
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    tight = VoxelBox.of_mask(add)
    modifier = makeLabelmap(tight.shifted(box.start_kji), matrix, add[tight.slices])
    logic.SetBinaryLabelmapToSegment(
        modifier, segmentationNode, segmentID, logic.MODE_MERGE_MASK, modifier.GetExtent(), False, []
    )


def gridToSegmentation(segmentationNode: Node, grid: Grid) -> FloatArray:
    """4 x 4 matrix from the grid's (i, j, k, 1) to the segmentation node's own RAS.

    Raises:
        GeometryError: A transform is not linear, or shears the grid.
    """
    matrix = np.linalg.inv(worldFromNode(segmentationNode)) @ lpsFromRAS(grid.ijk_to_lps)
    Grid.from_ijk_to_lps(matrix, shape_kji=grid.shape_kji)  # refuses a transform that shears the grid
    return matrix


def _latticeOffset(image: Node, toSegment: FloatArray, grid: Grid) -> tuple[int, int, int] | None:
    """Whole voxels (k, j, i) from the grid's index to the image's; None when they are not on one lattice."""
    difference = np.linalg.inv(_imageToWorld(image)) @ toSegment
    offset = np.round(difference[:3, 3])
    corners = np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)]) * grid.shape_kji[::-1]
    moved = corners @ difference[:3, :3].T + difference[:3, 3]
    if np.abs(moved - corners - offset).max() > LATTICE_TOLERANCE:
        return None
    i, j, k = (int(value) for value in offset)
    return k, j, i


def _arrayInBox(image: Node, box: VoxelBox) -> NDArray[np.generic]:
    """The image's values in `box` (its own indices), 0 where the box reaches beyond its extent."""
    held = _heldBox(image)
    common = held.intersection(box)
    if held.is_empty or common.is_empty:
        return np.zeros(box.shape_kji, dtype=np.uint8)
    values = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(held.shape_kji)
    found = np.zeros(box.shape_kji, dtype=values.dtype)
    toBox = common.shifted([-start for start in box.start_kji])
    toHeld = common.shifted([-start for start in held.start_kji])
    found[toBox.slices] = values[toHeld.slices]
    return found


def _heldBox(image: Node) -> VoxelBox:
    extent = image.GetExtent()
    return VoxelBox((extent[4], extent[2], extent[0]), (extent[5] + 1, extent[3] + 1, extent[1] + 1))


def _imageToWorld(image: Node) -> FloatArray:
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    return arrayFromMatrix(matrix)


def _isEmpty(image: Node) -> bool:
    return bool(image.GetPointData().GetScalars() is None or image.IsEmpty())


def _binaryName() -> str:
    return str(slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName())
