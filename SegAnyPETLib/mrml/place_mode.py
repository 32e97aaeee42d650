"""Slicer's place mode: which node the next click in a view goes to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import slicer

from SegAnyPETLib.mrml.frames import Node

POINTS = "vtkMRMLMarkupsFiducialNode"


def startPlacing(pointsNode: Node) -> None:
    """Let clicks in the views place control points of `pointsNode` until `stopPlacing`."""
    scene = pointsNode.GetScene()
    selectionNode, interactionNode = _singletons(scene)
    if selectionNode is None or interactionNode is None:
        return
    if placedNode(scene) is not pointsNode:
        stopPlacing(scene)  # so that the preview point of the node before is taken away
    selectionNode.SetReferenceActivePlaceNodeClassName(POINTS)
    selectionNode.SetActivePlaceNodeID(pointsNode.GetID())
    interactionNode.SetPlaceModePersistence(1)
    interactionNode.SetCurrentInteractionMode(slicer.vtkMRMLInteractionNode.Place)


def stopPlacing(scene: Node) -> None:
    """Let clicks in the views mean what they usually mean."""
    _selectionNode, interactionNode = _singletons(scene)
    if interactionNode is not None and interactionNode.GetCurrentInteractionMode() == interactionNode.Place:
        interactionNode.SetPlaceModePersistence(0)
        interactionNode.SetCurrentInteractionMode(slicer.vtkMRMLInteractionNode.ViewTransform)


def placedNode(scene: Node) -> Node | None:
    """The node that clicks now go to; None outside place mode, or where they go to nothing of this kind."""
    selectionNode, interactionNode = _singletons(scene)
    if selectionNode is None or interactionNode is None:
        return None
    if interactionNode.GetCurrentInteractionMode() != interactionNode.Place:
        return None
    return scene.GetNodeByID(selectionNode.GetActivePlaceNodeID() or "")


@contextmanager
def pausedPlacing(pointsNodes: tuple[Node, ...]) -> Iterator[None]:
    """Leave place mode while control points of these nodes are added or removed by code.

    The view's widget knows its preview point by its place in the list, and would go on with a wrong one (Slicer 5.12).
    """
    scenes = [node.GetScene() for node in pointsNodes if node is not None and node.GetScene() is not None]
    node = placedNode(scenes[0]) if scenes else None
    if node is None or node not in pointsNodes:
        yield
        return
    stopPlacing(scenes[0])
    try:
        yield
    finally:
        if node.GetScene() is not None:
            startPlacing(node)


def _singletons(scene: Node) -> tuple[Node, Node]:
    """Selection and interaction node; None where the scene has none."""
    return scene.GetNodeByID("vtkMRMLSelectionNodeSingleton"), scene.GetNodeByID("vtkMRMLInteractionNodeSingleton")
