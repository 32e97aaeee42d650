"""Builders of MRML nodes whose world positions are known by hand, not by the library."""

from __future__ import annotations

import numpy as np
import slicer
import vtk

LPS_FROM_RAS = np.diag(
    [-1.0, -1.0, 1.0, 1.0]
)  # written again on purpose: expected values come from outside the library

SHAPE_KJI = (14, 18, 22)


def rotation(degreesAboutXYZ):
    """Rotation matrix 3 x 3: about x, then y, then z."""
    result = np.eye(3)
    for axis, degrees in enumerate(degreesAboutXYZ):
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        a, b = [n for n in range(3) if n != axis]
        turn = np.eye(3)
        turn[a, a], turn[a, b], turn[b, a], turn[b, b] = c, -s, s, c
        result = turn @ result
    return result


def geometry(*, degrees=(0, 0, 0), spacing=(2.0, 2.5, 3.7), origin=(-40.0, 25.0, 310.0), flips=(1, 1, 1)):
    """IJK -> RAS matrix."""
    matrix = np.eye(4)
    matrix[:3, :3] = rotation(degrees) @ np.diag(np.multiply(spacing, flips))
    matrix[:3, 3] = origin
    return matrix


GEOMETRIES = {
    "axial, as DICOM": geometry(flips=(-1, -1, 1)),
    "oblique": geometry(degrees=(17, -9, 31)),
    "oblique, left-handed": geometry(degrees=(-12, 8, 40), flips=(1, 1, -1)),
    "sagittal": geometry(degrees=(90, 0, 90), spacing=(1.5, 3.0, 4.2)),
}


def add_volume(scene, array=None, *, matrix=None, name="PET", suv=None):
    """A scalar volume node; `suv` writes the units of that kind on it."""
    values = np.zeros(SHAPE_KJI, np.float32) if array is None else array
    node = slicer.util.addVolumeFromArray(values, name=name)
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(geometry() if matrix is None else matrix))
    if suv is not None:
        set_units(node, f"{{SUV{suv}}}" + ("cm2/ml" if suv == "bsa" else "g/ml"), "UCUM")
    return node


def set_units(node, value, scheme):
    code = slicer.vtkCodedEntry()
    code.SetValueSchemeMeaning(value, scheme, "")
    node.SetVoxelValueUnits(code)


def put_under(scene, node, *matrices):
    """Put the node under nested linear transforms, the last one directly above it; returns node -> world."""
    parent = None
    for matrix in matrices:
        transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
        transform.SetAndObserveTransformNodeID(parent)
        parent = transform.GetID()
    node.SetAndObserveTransformNodeID(parent)
    return np.linalg.multi_dot([np.eye(4), *matrices, np.eye(4)])


def put_under_nonlinear(scene, node):
    """Put the node under a displacement field."""
    source, target = vtk.vtkPoints(), vtk.vtkPoints()
    for point in [(0, 0, 0), (100, 0, 0), (0, 100, 0), (0, 0, 100), (100, 100, 100)]:
        source.InsertNextPoint(point)
        target.InsertNextPoint([value * 1.05 + 0.001 * value * value for value in point])
    spline = vtk.vtkThinPlateSplineTransform()
    spline.SetSourceLandmarks(source)
    spline.SetTargetLandmarks(target)
    spline.SetBasisToR()
    transform = scene.AddNewNodeByClass("vtkMRMLTransformNode", "Bend")
    transform.SetAndObserveTransformToParent(spline)
    node.SetAndObserveTransformNodeID(transform.GetID())
    return transform


def voxel_centres_lps(matrix, shape_kji=SHAPE_KJI):
    """World LPS (K, J, I, 3) of the voxel centres of a grid given by its IJK -> world RAS matrix."""
    k, j, i = np.meshgrid(*[np.arange(n, dtype=float) for n in shape_kji], indexing="ij")
    ijk1 = np.stack([i, j, k, np.ones_like(i)], axis=-1)
    return (ijk1 @ (LPS_FROM_RAS @ matrix).T)[..., :3]


def sphere(matrix, *, centre_lps, radius_mm, shape_kji=SHAPE_KJI):
    """Mask (K, J, I) of an analytic sphere given in world LPS mm."""
    return np.linalg.norm(voxel_centres_lps(matrix, shape_kji) - np.asarray(centre_lps), axis=-1) <= radius_mm


def add_segmentation(scene, volume, masks=(), *, name="Segmentation"):
    """A segmentation node with one segment per mask, made by Slicer's own functions."""
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.CreateDefaultDisplayNodes()
    node.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    ids = []
    for number, mask in enumerate(masks):
        ids.append(node.GetSegmentation().AddEmptySegment("", f"Segment {number}", (0.1 * number, 1, 0)))
        slicer.util.updateSegmentBinaryLabelmapFromArray(mask.astype(np.uint8), node, ids[-1], volume)
    return node, ids


def read_segment(node, segment_id, volume):
    """A segment on the volume's grid, by Slicer's own export."""
    own = slicer.vtkOrientedImageData()
    node.GetBinaryLabelmapRepresentation(segment_id, own)
    if own.IsEmpty() or own.GetScalarRange()[1] == 0:  # Slicer 5.12 cannot resample what holds no voxel, and raises
        return np.zeros(slicer.util.arrayFromVolume(volume).shape, dtype=bool)
    mask = slicer.util.arrayFromSegmentBinaryLabelmap(node, segment_id, volume).astype(bool)
    for display in slicer.util.getNodesByClass("vtkMRMLLabelMapVolumeDisplayNode"):
        if display.GetDisplayableNode() is None:  # Slicer 5.12 leaves it behind with each export
            slicer.mrmlScene.RemoveNode(display)
    return mask
