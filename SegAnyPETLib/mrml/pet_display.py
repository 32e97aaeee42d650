"""Which volume is the PET, which one its CT, and how both are shown."""

from __future__ import annotations

import re

import numpy as np

from SegAnyPETLib.errors import SUVError
from SegAnyPETLib.mrml.frames import Node
from SegAnyPETLib.mrml.volumes import kindFromVolumeNode

SUV_WINDOW = (0.0, 10.0)  # usual for FDG: liver about 2, lesions mostly above 4
FUSION_OPACITY = 0.5
AIR_HU = -500.0  # every CT holds values below, no PET does
OURS = "SegAnyPET.overlay"  # attribute of volumes that only show something of ours

_PET_NAME = re.compile(r"(?:^|[^a-z])(pet|pt|suv|fdg|psma)(?:[^a-z]|$)", re.IGNORECASE)
_CT_NAME = re.compile(r"(?:^|[^a-z])ct(?:[^a-z]|$)", re.IGNORECASE)


def choosePETVolume(scene: Node) -> Node | None:
    """The volume that most likely is the PET: by its units, its DICOM modality, its name; None where none is likely."""
    best = max(((_likelyPET(node), -place, node) for place, node in enumerate(_volumes(scene))), default=None)
    return best[2] if best is not None and best[0] > 0 else None


def findCT(scene: Node, petNode: Node) -> Node | None:
    """The CT that covers most of the PET; None where no CT meets it."""
    best = max(
        ((_sharedVolume(node, petNode), -place, node) for place, node in enumerate(_volumes(scene)) if _isCT(node)),
        default=None,
    )
    return best[2] if best is not None and best[0] > 0 else None


def showPET(volumeNode: Node, *, ctNode: Node = None) -> None:
    """Show the PET from SUV 0 to 10 in all slice views: alone in inverted grey, over a CT in colours at 50 %."""
    scene = volumeNode.GetScene()
    if volumeNode.GetDisplayNode() is None:
        volumeNode.CreateDefaultDisplayNodes()
    display = volumeNode.GetDisplayNode()
    low, high = SUV_WINDOW
    display.SetAutoWindowLevel(False)
    display.SetWindowLevel(high - low, (high + low) / 2)
    names = ("PET-Heat", "PET-DICOM") if ctNode is not None else ("InvertedGrey",)
    colorNode = _colorNode(scene, names)
    if colorNode is not None:
        display.SetAndObserveColorNodeID(colorNode.GetID())
    for composite in nodesOfClass(scene, "vtkMRMLSliceCompositeNode"):
        wasModifying = composite.StartModify()
        composite.SetBackgroundVolumeID((ctNode or volumeNode).GetID())
        composite.SetForegroundVolumeID(volumeNode.GetID() if ctNode is not None else None)
        composite.SetForegroundOpacity(FUSION_OPACITY if ctNode is not None else 0.0)
        composite.EndModify(wasModifying)


def nodesOfClass(scene: Node, className: str) -> list[Node]:
    """All nodes of a class, in the order of the scene."""
    return [scene.GetNthNodeByClass(n, className) for n in range(scene.GetNumberOfNodesByClass(className))]


def _volumes(scene: Node) -> list[Node]:
    found = nodesOfClass(scene, "vtkMRMLScalarVolumeNode")
    return [
        node
        for node in found
        if node.GetImageData() is not None
        and not node.IsA("vtkMRMLLabelMapVolumeNode")
        and not node.GetHideFromEditors()
        and not node.GetAttribute(OURS)
    ]


def _likelyPET(volumeNode: Node) -> int:
    """3: its units are SUV; 2: its DICOM modality is PT; 1: its name says so; 0: it is something else."""
    try:
        if kindFromVolumeNode(volumeNode) is not None:
            return 3
    except SUVError:
        return 0  # its units are none of SUV
    modality = _modality(volumeNode)
    if modality:
        return 2 if modality == "PT" else 0
    return int(bool(_PET_NAME.search(volumeNode.GetName() or "")))


def _isCT(volumeNode: Node) -> bool:
    modality = _modality(volumeNode)
    if modality:
        return modality == "CT"
    if _likelyPET(volumeNode) == 3:
        return False
    units = volumeNode.GetVoxelValueUnits()
    if units is not None and "hnsf" in (units.GetCodeValue() or ""):
        return True
    return bool(_CT_NAME.search(volumeNode.GetName() or "")) or volumeNode.GetImageData().GetScalarRange()[0] < AIR_HU


def _modality(volumeNode: Node) -> str:
    return volumeNode.GetAttribute("DICOM.Modality") or ""


def _sharedVolume(first: Node, second: Node) -> float:
    """Volume in mm3 of the common part of both nodes' bounding boxes in the world."""
    bounds = np.zeros((2, 6))
    for row, node in zip(bounds, (first, second), strict=True):
        node.GetRASBounds(row)
    low, high = bounds[:, ::2].max(axis=0), bounds[:, 1::2].min(axis=0)
    return float(np.clip(high - low, 0.0, None).prod())


def _colorNode(scene: Node, names: tuple[str, ...]) -> Node | None:
    for name in names:
        found = next((node for node in nodesOfClass(scene, "vtkMRMLColorNode") if node.GetName() == name), None)
        if found is not None:
            return found
    return None
