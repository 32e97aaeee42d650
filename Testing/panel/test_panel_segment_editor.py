"""Our clicks in the undo of Slicer's Segment Editor: its logic is the desktop's own, only its widget stands in."""

import types

import numpy as np
import pytest
import slicer


class SegmentEditorWidget:
    """qMRMLSegmentEditorWidget.h, as far as the module asks for it; in the desktop it calls the same logic."""

    def __init__(self, scene):
        self._logic = slicer.vtkSlicerSegmentEditorLogic()
        self._logic.SetMRMLScene(scene)
        self._logic.SetSegmentEditorNode(scene.AddNewNodeByClass("vtkMRMLSegmentEditorNode"))
        self._logic.SetMaximumNumberOfUndoStates(10)  # SegmentEditor.py
        self.saved = 0

    def setSegmentationNode(self, node):
        self._logic.SetSegmentationNode(node)

    def segmentationNodeID(self):
        node = self._logic.GetSegmentationNode()
        return node.GetID() if node is not None else ""

    def saveStateForUndo(self):
        self.saved += 1
        assert self._logic.SaveStateForUndo()

    def undo(self):
        assert self._logic.CanUndo()
        self._logic.Undo()

    def redo(self):
        assert self._logic.CanRedo()
        self._logic.Redo()


@pytest.fixture
def a_segment_editor(a_desk, monkeypatch):
    """The Segment Editor was opened once, on the lesions of the desk."""
    a_desk.press("A")
    editor = SegmentEditorWidget(a_desk.desktop.scene)
    editor.setSegmentationNode(a_desk.editor.segmentationNode)
    made = types.SimpleNamespace(editor=editor)
    monkeypatch.setattr(slicer.modules, "SegmentEditorWidget", made, raising=False)
    return editor


def test_its_undo_and_redo_take_clicks_back_and_bring_them_again(a_desk, a_segment_editor):
    masks = []
    for kji in ((11, 13, 15), (6, 13, 15)):
        a_desk.click(kji)
        masks.append(a_desk.mask())
    a_segment_editor.undo()
    a_desk.desktop.wait_until(lambda: a_desk.editor.rows[0].clicks == 1)
    np.testing.assert_array_equal(a_desk.mask(), masks[0])
    assert a_desk.editor.positiveNode.GetNumberOfDefinedControlPoints() == 1
    a_segment_editor.redo()
    a_desk.desktop.wait_until(lambda: a_desk.editor.rows[0].clicks == 2)
    np.testing.assert_array_equal(a_desk.mask(), masks[1])


def test_undos_in_the_segment_editor_are_followed_when_the_person_comes_back(a_desk, a_segment_editor):
    masks = []
    for kji in ((11, 13, 15), (6, 13, 15), (13, 18, 8)):
        a_desk.click(kji)
        masks.append(a_desk.mask())
    a_desk.desktop.leaveModule()
    a_desk.desktop.process(100)
    a_segment_editor.undo()
    a_segment_editor.undo()
    slicer.util.selectModule("SegAnyPET")
    a_desk.desktop.wait_until(lambda: a_desk.editor.rows[0].clicks == 1)
    np.testing.assert_array_equal(a_desk.mask(), masks[0])
    a_desk.press("Ctrl+Y")
    np.testing.assert_array_equal(a_desk.mask(), masks[1])


def test_an_editor_of_another_segmentation_is_left_alone(a_desk, a_segment_editor):
    a_desk.click((11, 13, 15))
    saved = a_segment_editor.saved
    assert saved > 0
    other = a_desk.desktop.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Organs")
    a_segment_editor.setSegmentationNode(other)
    a_desk.click((6, 13, 15))
    assert a_segment_editor.saved == saved
    a_segment_editor.setSegmentationNode(None)
    a_desk.click((13, 18, 8))
    assert a_segment_editor.saved == saved
