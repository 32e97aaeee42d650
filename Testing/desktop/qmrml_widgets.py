"""Stand-ins for the qMRML widgets that our panels use, after Slicer's headers in Libs/MRML/Widgets."""

from __future__ import annotations

import vtk
from PySide6 import QtCore, QtWidgets
from PySide6.QtCore import Property, Signal


class qMRMLWidget(QtWidgets.QWidget):
    """qMRMLWidget.h: a widget that knows the scene and tells it to others."""

    _standsFor = "Libs/MRML/Widgets/qMRMLWidget.h"
    _signals = {"mrmlSceneChanged(vtkMRMLScene*)": "mrmlSceneChanged(PyObject)"}
    mrmlSceneChanged = Signal(object)

    def __init__(self, parent=None, *_):
        super().__init__(parent)
        self._scene = None

    def mrmlScene(self):
        return self._scene

    def setMRMLScene(self, scene):
        if scene is self._scene:
            return
        self._scene = scene
        self.mrmlSceneChanged.emit(scene)


def _setting(name, kind):
    def get(self):
        value = self._settings[name]
        return tuple(value) if kind == "QStringList" else value  # PythonQt gives string lists as tuples

    def put(self, value):
        self._settings[name] = value
        self._update()

    return Property(kind, get, put)


class qMRMLNodeComboBox(QtWidgets.QWidget):
    """qMRMLNodeComboBox.cxx: chooses one of the scene's nodes, and follows the scene.

    Which node it chooses by itself follows from QComboBox (rowsInserted, rowsRemoved), where "None" stands before and
    "Rename current", "Create new" ... behind the nodes. The first node is chosen only where there are no such entries.
    In place of the removed current node comes the one after it, or the last; nothing, if it was the first of all.
    """

    _standsFor = "Libs/MRML/Widgets/qMRMLNodeComboBox.h"
    _signals = {
        "currentNodeChanged(vtkMRMLNode*)": "currentNodeChanged(PyObject)",
        "currentNodeChanged(bool)": "currentNodeIsValid(bool)",
        "nodeActivated(vtkMRMLNode*)": "nodeActivated(PyObject)",
        "nodeAdded(vtkMRMLNode*)": "nodeAdded(PyObject)",
        "nodeAddedByUser(vtkMRMLNode*)": "nodeAdded(PyObject)",
        "nodeAddedByUserAction(vtkMRMLNode*)": "nodeAddedByUserAction(PyObject)",
        "nodeAboutToBeRemoved(vtkMRMLNode*)": "nodeAboutToBeRemoved(PyObject)",
    }
    currentNodeChanged, currentNodeIDChanged, currentNodeIsValid = Signal(object), Signal(str), Signal(bool)
    nodeActivated, nodeAdded, nodeAddedByUserAction = Signal(object), Signal(object), Signal(object)
    nodeAboutToBeRemoved, currentNodeRenamed = Signal(object), Signal(str)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._settings = {"nodeTypes": (), "showChildNodeTypes": True, "hideChildNodeTypes": (), "showHidden": False}
        self._settings |= {"baseName": "", "noneEnabled": False, "noneDisplay": "None", "addEnabled": True}
        self._settings |= {"removeEnabled": True, "editEnabled": False, "renameEnabled": False}
        self._settings |= {"selectNodeUponCreation": True}
        self._attributes, self._nodes, self._current, self._scene, self._observed = [], [], None, None, []
        self._box = QtWidgets.QComboBox(self)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._box)
        QtCore.QObject.connect(self._box, QtCore.SIGNAL("activated(int)"), self._activated)
        QtCore.QObject.connect(self, QtCore.SIGNAL("destroyed()"), self._observed.clear)

    nodeTypes = _setting("nodeTypes", "QStringList")
    hideChildNodeTypes = _setting("hideChildNodeTypes", "QStringList")
    showChildNodeTypes, showHidden = _setting("showChildNodeTypes", bool), _setting("showHidden", bool)
    baseName, noneDisplay = _setting("baseName", str), _setting("noneDisplay", str)
    noneEnabled, addEnabled = _setting("noneEnabled", bool), _setting("addEnabled", bool)
    removeEnabled, editEnabled = _setting("removeEnabled", bool), _setting("editEnabled", bool)
    renameEnabled = _setting("renameEnabled", bool)
    selectNodeUponCreation = _setting("selectNodeUponCreation", bool)

    def setNodeTypes(self, types):
        self.nodeTypes = list(types)

    def setNoneEnabled(self, enabled):
        self.noneEnabled = enabled

    def mrmlScene(self):
        return self._scene

    def setMRMLScene(self, scene):
        if scene is self._scene:
            return
        for observed, tag in self._observed:
            observed.RemoveObserver(tag)
        self._scene, self._observed = scene, []
        if scene is not None:
            events = (("NodeAddedEvent", self._added), ("NodeRemovedEvent", self._removed),
                      ("EndBatchProcessEvent", self._batchEnded))  # fmt: skip
            self._observed = [(scene, scene.AddObserver(getattr(scene, name), call)) for name, call in events]
            self._observed.append((scene, scene.AddObserver(scene.NodeAboutToBeRemovedEvent, self._aboutToBeRemoved)))
        self._update()

    def addAttribute(self, nodeType, name, value=None):
        self._attributes.append((nodeType, name, value))
        self._update()

    def removeAttribute(self, nodeType, name):
        self._attributes = [each for each in self._attributes if each[:2] != (nodeType, name)]
        self._update()

    def _accepts(self, node):
        settings = self._settings
        if not any(node.GetClassName() == kind for kind in settings["nodeTypes"]) and not (
            settings["showChildNodeTypes"]
            and any(node.IsA(kind) for kind in settings["nodeTypes"])
            and not any(node.IsA(kind) for kind in settings["hideChildNodeTypes"])
        ):
            return False
        if node.GetHideFromEditors() and not settings["showHidden"]:
            return False
        return all(
            node.GetAttribute(name) is not None and value in (None, node.GetAttribute(name))
            for kind, name, value in self._attributes
            if node.IsA(kind)
        )

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _added(self, _scene, _event, node):
        if self._scene.IsBatchProcessing() or node is None or not self._accepts(node):
            return
        self._update()
        self.nodeAdded.emit(node)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _aboutToBeRemoved(self, _scene, _event, node):
        if node in self._nodes:
            self.nodeAboutToBeRemoved.emit(node)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _removed(self, _scene, _event, node):
        if node in self._nodes and not self._scene.IsBatchProcessing():
            self._update()

    def _batchEnded(self, *_):
        self._update()

    def _update(self, *_):
        before, row = self._nodes, self._row_of(self._current)
        self._nodes = [] if self._scene is None else [node for node in self._all_nodes() if self._accepts(node)]
        self._follow(self._nodes)
        current = self._current
        if current is not None and current not in self._nodes:
            current = self._in_place_of(row)
        elif current is None and not before and self._nodes and not self._entries_beside_nodes():
            current = self._nodes[0]
        self._fill(current)
        self._choose(current)

    def _all_nodes(self):
        return [self._scene.GetNthNode(index) for index in range(self._scene.GetNumberOfNodes())]

    def _entries_beside_nodes(self):
        return any(self._settings[f"{name}Enabled"] for name in ("none", "add", "remove", "edit", "rename"))

    def _row_of(self, node):
        return self._nodes.index(node) + self._settings["noneEnabled"] if node in self._nodes else -1

    def _in_place_of(self, row):
        """The node that becomes current when the one in this row has gone."""
        index = row - self._settings["noneEnabled"]
        if row == 0 or not self._nodes:
            return None
        return self._nodes[min(index, len(self._nodes) - 1)]

    def _follow(self, nodes):
        """Names are shown as they are now."""
        for observed, tag in self._observed:
            if observed is not self._scene:
                observed.RemoveObserver(tag)
        self._observed = [pair for pair in self._observed if pair[0] is self._scene]
        self._observed += [(node, node.AddObserver("ModifiedEvent", self._renamed)) for node in nodes]

    def _renamed(self, node, _event):
        if not self._accepts(node):  # an attribute has changed
            self._update()
            return
        row = self._row_of(node)
        if row >= 0 and self._box.itemText(row) != node.GetName():
            self._box.setItemText(row, node.GetName())
            if node is self._current:
                self.currentNodeRenamed.emit(node.GetName())

    def _fill(self, current):
        self._box.blockSignals(True)
        self._box.clear()
        if self._settings["noneEnabled"]:
            self._box.addItem(self._settings["noneDisplay"])
        self._box.addItems([node.GetName() or "" for node in self._nodes])
        self._box.setCurrentIndex(self._row_of(current) if current else self._settings["noneEnabled"] - 1)
        self._box.blockSignals(False)

    def _choose(self, node):
        if node is self._current:
            return
        self._current = node
        self.currentNodeChanged.emit(node)
        self.currentNodeIsValid.emit(node is not None)
        self.currentNodeIDChanged.emit(node.GetID() if node else "")

    def _activated(self, row):
        row -= self._settings["noneEnabled"]
        node = self._nodes[row] if row >= 0 else None
        self._choose(node)
        self.nodeActivated.emit(node)

    def nodeCount(self):
        return len(self._nodes)

    def nodeFromIndex(self, index):
        return self._nodes[index] if 0 <= index < len(self._nodes) else None

    def currentNode(self):
        return self._current

    def _currentNodeID(self):
        return self._current.GetID() if self._current else ""

    def setCurrentNode(self, node):
        if isinstance(node, str):
            node = self._scene.GetNodeByID(node) if self._scene and node else None
        node = node if node in self._nodes else None
        self._fill(node)
        self._choose(node)

    def setCurrentNodeID(self, nodeID):
        self.setCurrentNode(nodeID)

    def setCurrentNodeIndex(self, index):
        self.setCurrentNode(self.nodeFromIndex(index))

    currentNodeID = Property(str, _currentNodeID, setCurrentNodeID, notify=currentNodeIDChanged)

    def addNode(self, nodeType=None):
        settings = self._settings
        nodeType = nodeType or settings["nodeTypes"][0]
        if nodeType not in settings["nodeTypes"]:
            return None
        node = self._scene.CreateNodeByClass(nodeType)
        node.UnRegister(None)
        for kind, name, value in self._attributes:
            if node.IsA(kind):
                node.SetAttribute(name, value)
        node.SetName(self._scene.GetUniqueNameByString(settings["baseName"] or node.GetNodeTagName()))
        self._scene.AddNode(node)
        if settings["selectNodeUponCreation"]:
            self.setCurrentNode(node)
        return node

    def removeCurrentNode(self):
        if self._current is not None:
            self._scene.RemoveNode(self._current)


WIDGETS = (qMRMLWidget, qMRMLNodeComboBox)
