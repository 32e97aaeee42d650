"""Volume nodes as SUV volumes, and SUV volumes as nodes.

Nothing is converted here: the node must already hold SUV. Which SUV is read from the units on the node, or stated by
the caller; it is never guessed from the values. Slicer's own DICOM reading leaves a PET in Bq/ml and sets no units, and
its DCMTK reader rounds rescaled PET to whole numbers (5.12): for DICOM use `read_pet_series` and `compute_suv`, then
`addVolumeNode`.
"""

from __future__ import annotations

import warnings
from typing import Any

import slicer
from numpy.typing import NDArray

from SegAnyPETLib.errors import GeometryError, SegAnyPETWarning, SUVError
from SegAnyPETLib.mrml.frames import Node, gridFromVolumeNode, lpsFromRAS, matrixFromArray
from SegAnyPETLib.suv import SUVKind, SUVProvenance, SUVVolume
from SegAnyPETLib.suv.plausibility import plausibility_doubts

UNITS = {  # UCUM code and meaning, as Slicer's PET extension writes them
    "bw": ("{SUVbw}g/ml", "Standardized Uptake Value body weight"),
    "lbm": ("{SUVlbm}g/ml", "Standardized Uptake Value lean body mass"),
    "bsa": ("{SUVbsa}cm2/ml", "Standardized Uptake Value body surface area"),
    "ibw": ("{SUVibw}g/ml", "Standardized Uptake Value ideal body weight"),
}
QUANTITY = ("126400", "DCM", "Standardized Uptake Value")

# DICOM PS3.16 CID 85 puts the annotation last; both orders are in use.
_KIND_OF_UNIT: dict[str, SUVKind] = {
    "{SUVbw}g/ml": "bw",
    "g/ml{SUVbw}": "bw",
    "{SUVlbm}g/ml": "lbm",
    "g/ml{SUVlbm}": "lbm",
    "g/ml{SUVlbm(Janma)}": "lbm",
    "{SUVbsa}cm2/ml": "bsa",
    "cm2/ml{SUVbsa}": "bsa",
    "{SUVibw}g/ml": "ibw",
    "g/ml{SUVibw}": "ibw",
}


def suvVolumeFromNode(volumeNode: Node, *, kind: SUVKind | None = None) -> SUVVolume:
    """A scalar volume node that holds SUV, on its grid in the world.

    A float32 node is not copied: the result is a read-only view of the node's voxels and changes with them.

    Args:
        volumeNode: Three-dimensional, one value per voxel, under no or linear transforms.
        kind: Which SUV it holds, where the node does not say.

    Raises:
        SUVError: The node does not say which SUV it holds and `kind` is not given, both contradict each other, the
            units are no SUV, a voxel is not finite, or the values cannot be SUV (a CT, Bq/ml, an empty volume).
        GeometryError: The node is not a 3D scalar volume, or its grid cannot be used (see `gridFromVolumeNode`).

    Warns:
        SegAnyPETWarning: The values are unusual for SUV.
    """
    grid = gridFromVolumeNode(volumeNode)
    found = kindFromVolumeNode(volumeNode)
    if kind is not None and found is not None and kind != found:
        name = volumeNode.GetName()
        msg = f"The units of volume '{name}' say SUV{found}; SUV{kind} was chosen. Choose SUV{found}."
        raise SUVError(msg)
    stated = kind or found
    if stated is None:
        msg = (
            f"Volume '{volumeNode.GetName()}' does not say in which units its voxels are. If they are SUV, choose "
            "which (SUVbw, SUVlbm, SUVbsa or SUVibw); if they are Bq/ml, convert the DICOM series to SUV first."
        )
        raise SUVError(msg)
    image = SUVVolume(_voxels(volumeNode), grid, stated)
    doubts = plausibility_doubts(image.values, name=f"Volume '{volumeNode.GetName()}'")
    for doubt in doubts:
        warnings.warn(doubt, SegAnyPETWarning, stacklevel=2)
    source = "volume node, units on the node" if found else "volume node, units stated by the user"
    return image.with_provenance(SUVProvenance(source, "none, values are SUV", warnings=doubts))


def kindFromVolumeNode(volumeNode: Node) -> SUVKind | None:
    """Which SUV the units on the node say; None where it has no units.

    Raises:
        SUVError: It has units, and they are not SUV.
    """
    code = volumeNode.GetVoxelValueUnits()
    value = code.GetCodeValue() if code is not None else None
    if not value:
        return None
    if value not in _KIND_OF_UNIT:
        msg = (
            f"Expected SUV in volume '{volumeNode.GetName()}'; its units are '{value}'. "
            "Convert the DICOM series to SUV first, or choose the volume that holds SUV."
        )
        raise SUVError(msg)
    return _KIND_OF_UNIT[value]


def addVolumeNode(scene: Node, image: SUVVolume, *, name: str) -> Node:
    """Add an SUV volume to the scene, its units written on the node; the voxels are copied.

    Args:
        scene: The MRML scene.
        image: Its grid becomes the node's IJK to RAS matrix, without a transform.
        name: Of the node.
    """
    volumeNode = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    volumeNode.SetIJKToRASMatrix(matrixFromArray(lpsFromRAS(image.grid.ijk_to_lps)))
    slicer.util.updateVolumeFromArray(volumeNode, image.array)
    quantity, units = slicer.vtkCodedEntry(), slicer.vtkCodedEntry()
    quantity.SetValueSchemeMeaning(*QUANTITY)
    code, meaning = UNITS[image.kind]
    units.SetValueSchemeMeaning(code, "UCUM", meaning)
    volumeNode.SetVoxelValueQuantity(quantity)
    volumeNode.SetVoxelValueUnits(units)
    volumeNode.CreateDefaultDisplayNodes()
    return volumeNode


def _voxels(volumeNode: Node) -> NDArray[Any]:  # of any scalar type
    array: NDArray[Any] = slicer.util.arrayFromVolume(volumeNode)
    if array.ndim != 3 or volumeNode.GetImageData().GetNumberOfScalarComponents() != 1 or min(array.shape) < 2:
        msg = (
            f"Expected a 3D volume with one value per voxel; '{volumeNode.GetName()}' has shape {array.shape}. "
            "Choose one frame, or one component."
        )
        raise GeometryError(msg)
    view = array.view()
    view.setflags(write=False)
    return view
