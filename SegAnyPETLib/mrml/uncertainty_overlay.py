"""The uncertainty of a lesion laid over the PET: bright where the model is unsure, so where a click helps most."""

from __future__ import annotations

import numpy as np
import slicer
from numpy.typing import NDArray

from SegAnyPETLib.geometry import Grid, VoxelBox
from SegAnyPETLib.mrml.frames import Node, lpsFromRAS, matrixFromArray
from SegAnyPETLib.mrml.lesion_nodes import removeWithDisplay
from SegAnyPETLib.mrml.pet_display import OURS, nodesOfClass

LOWEST_SHOWN_BITS = 0.2  # below, the model is surer than 97 %, and a veil over the whole region would hide the image
OPACITY = 0.6
NAMED_COLORS = ("Viridis", "Inferno", "Warm1")


class UncertaintyOverlay:
    """A volume of ours as the foreground of all slice views; what was shown before comes back when it is hidden."""

    def __init__(self) -> None:
        self._node: Node = None
        self._before: list[tuple[Node, str | None, str | None, float]] = []

    @property
    def isShown(self) -> bool:
        """True while the overlay is in the scene."""
        return self._node is not None and self._node.GetScene() is not None

    def show(self, bits: NDArray[np.float32], box: VoxelBox, *, volumeNode: Node, grid: Grid) -> None:
        """Show the entropy (k, j, i) in bits in `box` of the volume; an empty box hides the overlay."""
        if box.is_empty:
            self.hide()
            return
        if not self.isShown:
            self._node = _addNode(volumeNode.GetScene())
        slicer.util.updateVolumeFromArray(self._node, np.ascontiguousarray(bits, dtype=np.float32))
        self._node.SetIJKToRASMatrix(matrixFromArray(lpsFromRAS(grid.crop(box).ijk_to_lps)))
        if not self._before:
            self._layOver(volumeNode)

    def hide(self) -> None:
        """Remove the overlay and show what was shown before."""
        ours = self._node.GetID() if self.isShown else None
        for composite, background, foreground, opacity in self._before:
            if composite.GetScene() is not None and ours is not None and composite.GetForegroundVolumeID() == ours:
                scene = composite.GetScene()
                composite.SetForegroundVolumeID(foreground if scene.GetNodeByID(foreground or "") else None)
                composite.SetForegroundOpacity(opacity)
                if scene.GetNodeByID(background or ""):
                    composite.SetBackgroundVolumeID(background)
        self._before = []
        if self.isShown:
            removeWithDisplay(self._node)
        self._node = None

    def _layOver(self, volumeNode: Node) -> None:
        for composite in nodesOfClass(volumeNode.GetScene(), "vtkMRMLSliceCompositeNode"):
            before = (composite.GetBackgroundVolumeID(), composite.GetForegroundVolumeID())
            self._before.append((composite, *before, composite.GetForegroundOpacity()))
            if before[1] == volumeNode.GetID():  # a PET over a CT: the PET stays visible below
                composite.SetBackgroundVolumeID(before[1])
            composite.SetForegroundVolumeID(self._node.GetID())
            composite.SetForegroundOpacity(OPACITY)


def _addNode(scene: Node) -> Node:
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Uncertainty (bits)")
    node.SetAttribute(OURS, "uncertainty")
    node.SetHideFromEditors(True)
    node.SetSaveWithScene(False)
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetSaveWithScene(False)
    display.SetAutoWindowLevel(False)
    display.SetWindowLevel(1.0, 0.5)
    display.SetApplyThreshold(True)
    display.SetThreshold(LOWEST_SHOWN_BITS, 1.0)
    colors = {color.GetName(): color for color in nodesOfClass(scene, "vtkMRMLColorNode")}
    found = next((colors[name] for name in NAMED_COLORS if name in colors), None)
    if found is not None:
        display.SetAndObserveColorNodeID(found.GetID())
    return node
