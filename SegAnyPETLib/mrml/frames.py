"""Where MRML nodes lie in the world, in the library's own frame.

Slicer works in RAS, the library in LPS; `lpsFromRAS` is the only place that turns one into the other. Parent
transforms are followed up to the world, so that nothing downstream ever sees a transform again.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
import vtk
from numpy.typing import ArrayLike

from SegAnyPETLib.errors import GeometryError
from SegAnyPETLib.geometry import LPS_FROM_RAS, FloatArray, Grid

Node = Any  # MRML and VTK objects come without type information


def lpsFromRAS(pointsOrMatrix: ArrayLike) -> FloatArray:
    """Turn RAS mm into LPS mm (or back: it is its own inverse).

    Args:
        pointsOrMatrix: Points (..., 3), or a 4 x 4 matrix whose result is in RAS.

    Returns:
        The same points in LPS, or the matrix that ends in LPS.
    """
    values = np.asarray(pointsOrMatrix, dtype=np.float64)
    return LPS_FROM_RAS @ values if values.shape == (4, 4) else values * np.diag(LPS_FROM_RAS)[:3]


def hasLinearTransformToWorld(node: Node) -> bool:
    """True when `node` has no parent transform, or only linear ones up to the world.

    Where it is false a panel can offer to harden the transform (``node.HardenTransform()``).
    """
    transformNode = node.GetParentTransformNode()
    return transformNode is None or bool(transformNode.IsTransformToWorldLinear())


def worldFromNode(node: Node) -> FloatArray:
    """4 x 4 matrix from the node's own RAS to world RAS, all parent transforms concatenated.

    Raises:
        GeometryError: A parent transform is not linear.
    """
    if not hasLinearTransformToWorld(node):
        msg = (
            f"Expected only linear transforms above '{node.GetName()}'; found the non-linear transform "
            f"'{node.GetParentTransformNode().GetName()}'. Harden it first: in the Data module right-click "
            f"'{node.GetName()}' and choose 'Harden transform', or call HardenTransform() on the node."
        )
        raise GeometryError(msg)
    transformNode = node.GetParentTransformNode()
    if transformNode is None:
        return np.eye(4)
    matrix = vtk.vtkMatrix4x4()
    transformNode.GetMatrixTransformToWorld(matrix)
    return arrayFromMatrix(matrix)


def gridFromVolumeNode(volumeNode: Node) -> Grid:
    """The volume's voxel grid in world LPS mm, parent transforms included.

    Raises:
        GeometryError: The node holds no 3D image, a parent transform is not linear, or the transforms shear or stretch
            the volume so that its axes are no longer perpendicular.
    """
    image = volumeNode.GetImageData()
    if image is None or image.GetNumberOfPoints() == 0:
        msg = f"Expected a volume with voxels; '{volumeNode.GetName()}' holds none. Load or choose another volume."
        raise GeometryError(msg)
    ijkToRAS = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(ijkToRAS)
    firstVoxel = np.eye(4)
    firstVoxel[:3, 3] = image.GetExtent()[::2]  # arrays start at the extent's first voxel, which need not be 0
    matrix = worldFromNode(volumeNode) @ arrayFromMatrix(ijkToRAS) @ firstVoxel
    try:
        return Grid.from_ijk_to_lps(lpsFromRAS(matrix), shape_kji=image.GetDimensions()[::-1])
    except GeometryError as error:
        msg = f"The grid of volume '{volumeNode.GetName()}' (with its transforms) cannot be used. {error}"
        raise GeometryError(msg) from error


def arrayFromMatrix(matrix: Node) -> FloatArray:
    """A vtkMatrix4x4 as an array (4, 4)."""
    return np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])


def matrixFromArray(array: ArrayLike) -> Node:
    """An array (4, 4) as a vtkMatrix4x4."""
    return slicer.util.vtkMatrixFromArray(np.asarray(array, dtype=np.float64))
