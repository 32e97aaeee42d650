"""The nodes of one lesion, and how the lesion is found again in a loaded scene.

A lesion has two fiducial nodes, one for each sign, and perhaps a ROI. One script node of the module (a singleton, saved
with the scene) refers to them by role: ``<key>.positive``, ``<key>.negative``, ``<key>.box``, ``<key>.volume`` and
``<key>.segmentation``; what is no node stands in its parameter ``lesion.<key>`` as JSON. Keys are random, so that two
scenes can be loaded one upon the other.
"""

from __future__ import annotations

import base64
import json
import uuid
import zlib
from dataclasses import dataclass, field

import slicer

from SegAnyPETLib.geometry import VoxelBox
from SegAnyPETLib.mrml.frames import Node
from SegAnyPETLib.mrml.place_mode import POINTS
from SegAnyPETLib.session.packed_mask import PackedMask

MODULE = "SegAnyPET"
PARAMETER_PREFIX = "lesion."
ROLES = ("positive", "negative", "box", "volume", "segmentation")
# Told apart by lightness too: yellow for "belongs to it", blue for "does not" (Okabe and Ito, 2008).
SIGN_COLORS = {True: (0.94, 0.89, 0.26), False: (0.34, 0.71, 0.91)}
GLYPH_SCALE = 2.0  # percent of the view


@dataclass(eq=False)
class LesionNodes:
    """What a person places for one lesion."""

    key: str
    positiveNode: Node
    negativeNode: Node
    roiNode: Node = None

    def __post_init__(self) -> None:
        # Kept by hand: a node that was deleted no longer says which display node it leaves behind.
        self._displays = [node.GetDisplayNode() for node in self.pointNodes]

    @property
    def pointNodes(self) -> tuple[Node, Node]:
        """Both fiducial nodes, the positive one first."""
        return self.positiveNode, self.negativeNode

    def isInScene(self) -> bool:
        """False where a person deleted one of the fiducial nodes."""
        return all(node.GetScene() is not None for node in self.pointNodes)

    def replaceMissing(self, made: LesionNodes) -> None:
        """Take from a fresh pair the nodes that were deleted here; the others of the pair are removed again."""
        for place, name in enumerate(("positiveNode", "negativeNode")):
            fresh = getattr(made, name)
            if getattr(self, name).GetScene() is None:
                setattr(self, name, fresh)
                _remove(self._displays[place])
                self._displays[place] = fresh.GetDisplayNode()
            else:
                removeWithDisplay(fresh)

    def setVisible(self, visible: bool) -> None:
        """Show or hide the points in the views."""
        for node in self.pointNodes:
            if node.GetDisplayNode() is not None:
                node.GetDisplayNode().SetVisibility(visible)

    def setName(self, name: str) -> None:
        """Name the nodes after their lesion."""
        for node, sign in zip(self.pointNodes, "+-", strict=True):
            node.SetName(f"{name} {sign}")

    def remove(self) -> None:
        """Take the fiducial nodes out of the scene; a ROI belongs to the person who drew it and stays."""
        for node in self.pointNodes:
            removeWithDisplay(node)
        for display in self._displays:
            _remove(display)


@dataclass(frozen=True)
class LesionRecord:
    """What a saved scene says of one lesion beside its nodes.

    Attributes:
        key: Of the lesion.
        segmentID: In the lesion's segmentation.
        boxOrder: Place of the ROI among the clicks; 0 without one.
        seeds: Order and mask of each seed.
        isEdited: The segment holds what the clicks do not say.
    """

    key: str
    segmentID: str
    boxOrder: int = 0
    seeds: tuple[tuple[int, PackedMask], ...] = field(default=())
    isEdited: bool = False

    def toText(self) -> str:
        """As JSON."""
        seeds = [{"order": order, **_seedFields(mask)} for order, mask in self.seeds]
        values = {"segment": self.segmentID, "box": self.boxOrder, "seeds": seeds, "edited": self.isEdited}
        return json.dumps(values)

    @classmethod
    def fromText(cls, key: str, text: str) -> LesionRecord:
        """From JSON.

        Raises:
            ValueError: The text was not written by `toText`.
        """
        try:
            values = json.loads(text)
            seeds = tuple((int(seed["order"]), _seedMask(seed)) for seed in values["seeds"])
            return cls(key, str(values["segment"]), int(values["box"]), seeds, bool(values["edited"]))
        except (KeyError, TypeError, zlib.error) as error:
            msg = f"Expected a lesion as SegAnyPET writes it; found {text[:80]!r}. Its clicks cannot be restored."
            raise ValueError(msg) from error


def newKey() -> str:
    """A name for a lesion that no other lesion has."""
    return uuid.uuid4().hex[:12]


def parameterNodeOf(scene: Node) -> Node:
    """The module's node in this scene, made where there is none."""
    node = scene.GetSingletonNode(MODULE, "vtkMRMLScriptedModuleNode")
    if node is None:
        node = slicer.vtkMRMLScriptedModuleNode()
        node.SetSingletonTag(MODULE)
        node.SetModuleName(MODULE)
        node.SetName(MODULE)
        node = scene.AddNode(node)
    return node


def addLesionNodes(volumeNode: Node, *, name: str, key: str) -> LesionNodes:
    """A pair of empty fiducial nodes that move with the volume."""
    nodes = []
    for positive in (True, False):
        node = volumeNode.GetScene().AddNewNodeByClass(POINTS, "SegAnyPET points")
        node.SetAndObserveTransformNodeID(volumeNode.GetTransformNodeID())
        node.SetHideFromEditors(True)  # two nodes per lesion would bury everything else in Slicer's lists
        nodes.append(node)
        _dress(node, positive)
    made = LesionNodes(key, *nodes)
    made.setName(name)
    return made


def saveLesion(
    parameterNode: Node, nodes: LesionNodes, record: LesionRecord, *, volumeNode: Node, segmentationNode: Node
) -> None:
    """Write what a saved scene needs of a lesion; nothing is touched where nothing changed."""
    wanted = dict(
        zip(
            ROLES,
            (nodes.positiveNode, nodes.negativeNode, nodes.roiNode, volumeNode, segmentationNode),
            strict=True,
        )
    )
    for role, node in wanted.items():
        newID = None if node is None else node.GetID()
        if parameterNode.GetNodeReferenceID(f"{nodes.key}.{role}") != newID:
            parameterNode.SetNodeReferenceID(f"{nodes.key}.{role}", newID)
    parameterNode.SetParameter(PARAMETER_PREFIX + nodes.key, record.toText())


def removeWithDisplay(node: Node) -> None:
    """Take a node out of its scene with its display and storage nodes, which Slicer 5.12 would leave behind."""
    scene = node.GetScene()
    if scene is None:
        return
    beside = [node.GetNthDisplayNode(n) for n in range(node.GetNumberOfDisplayNodes())] + [node.GetStorageNode()]
    scene.RemoveNode(node)
    for other in beside:
        _remove(other)


def forgetLesion(parameterNode: Node, key: str) -> None:
    """Take a lesion out of what is saved."""
    for role in ROLES:
        parameterNode.SetNodeReferenceID(f"{key}.{role}", None)
    parameterNode.UnsetParameter(PARAMETER_PREFIX + key)


def savedLesions(parameterNode: Node, volumeNode: Node) -> list[tuple[LesionNodes, LesionRecord, Node]]:
    """The lesions of a volume that a scene holds, with their segmentation, which may be None.

    A fiducial node that is missing is made anew; a record that cannot be read is left out.
    """
    found = []
    for name in parameterNode.GetParameterNames():
        key = name.removeprefix(PARAMETER_PREFIX)
        if key == name or parameterNode.GetNodeReference(f"{key}.volume") is not volumeNode:
            continue
        try:
            record = LesionRecord.fromText(key, parameterNode.GetParameter(name))
        except ValueError:
            forgetLesion(parameterNode, key)
            continue
        positive, negative, roi, _volume, segmentation = (
            parameterNode.GetNodeReference(f"{key}.{role}") for role in ROLES
        )
        if positive is None or negative is None:
            made = addLesionNodes(volumeNode, name=key, key=key)
            for empty, loaded in ((made.positiveNode, positive), (made.negativeNode, negative)):
                if loaded is not None:
                    removeWithDisplay(empty)
            positive, negative = positive or made.positiveNode, negative or made.negativeNode
        found.append((LesionNodes(key, positive, negative, roi), record, segmentation))
    return found


def _remove(node: Node) -> None:
    if node is not None and node.GetScene() is not None:
        node.GetScene().RemoveNode(node)


def _dress(node: Node, positive: bool) -> None:
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    for setColor in (display.SetColor, display.SetSelectedColor):
        setColor(*SIGN_COLORS[positive])
    display.SetGlyphType(display.Sphere3D if positive else display.ThickCross2D)
    display.SetGlyphScale(GLYPH_SCALE)
    display.SetPointLabelsVisibility(False)
    display.SetPropertiesLabelVisibility(False)


def _seedFields(mask: PackedMask) -> dict[str, object]:
    bits = base64.b64encode(zlib.compress(mask.bits)).decode("ascii")
    return {"shape": mask.shape_kji, "start": mask.box.start_kji, "stop": mask.box.stop_kji, "bits": bits}


def _seedMask(fields: dict[str, list[int] | str]) -> PackedMask:
    shape, start, stop = ((int(n[0]), int(n[1]), int(n[2])) for n in (fields["shape"], fields["start"], fields["stop"]))
    bits = zlib.decompress(base64.b64decode(str(fields["bits"])))
    return PackedMask(shape, VoxelBox(start, stop), bits)
