"""The items of the subject hierarchy, which Qt plugins make on the desktop.

After qSlicerSubjectHierarchyPluginLogic.cxx: a node that can be shown gets an item when it is added or a scene has been
read, and loses it when it is removed.
"""

from __future__ import annotations

import slicer
import vtk

OWNED = (
    "vtkMRMLVolumeNode",
    "vtkMRMLSegmentationNode",
    "vtkMRMLMarkupsNode",
    "vtkMRMLModelNode",
    "vtkMRMLTransformNode",
    "vtkMRMLTableNode",
    "vtkMRMLTextNode",
)


class SubjectHierarchyFollower:
    """Keeps the items like the nodes."""

    def __init__(self, scene) -> None:
        self._scene = scene
        scene.AddObserver(scene.NodeAddedEvent, self._added)
        scene.AddObserver(scene.NodeAboutToBeRemovedEvent, self._removed)
        scene.AddObserver(scene.EndImportEvent, self._imported)

    def _hierarchy(self):
        return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(self._scene)

    def _own(self, node) -> None:
        if node.GetHideFromEditors() or not any(node.IsA(kind) for kind in OWNED):
            return
        hierarchy = self._hierarchy()
        if hierarchy is not None and not hierarchy.GetItemByDataNode(node):
            hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _added(self, _scene, _event, node) -> None:
        if node.IsA("vtkMRMLSubjectHierarchyNode"):
            slicer.vtkMRMLSubjectHierarchyNode.ResolveSubjectHierarchy(self._scene)
        elif not self._scene.IsImporting():
            self._own(node)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _removed(self, _scene, _event, node) -> None:
        if self._scene.IsClosing() or not any(node.IsA(kind) for kind in OWNED):
            return
        hierarchy = self._hierarchy()
        item = hierarchy.GetItemByDataNode(node) if hierarchy is not None else 0
        if item:
            hierarchy.RemoveItem(item, False, False)

    def _imported(self, *_) -> None:
        for index in range(self._scene.GetNumberOfNodes()):
            self._own(self._scene.GetNthNode(index))
