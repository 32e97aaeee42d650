import ast
import contextlib
import types
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
import slicer
import vtk
from ball_model import BallModel
from mrml_nodes import GEOMETRIES, SHAPE_KJI, add_segmentation, add_volume, read_segment
from scripted_module_stub import MODULE_FILE, load_module

from SegAnyPETLib.errors import SetupError, SUVError
from SegAnyPETLib.mrml.frames import gridFromVolumeNode

UI_FILE = MODULE_FILE.parent / "Resources" / "UI" / "SegAnyPET.ui"


@pytest.fixture
def the_module(a_scene, monkeypatch):
    return load_module(monkeypatch)


@pytest.fixture
def a_logic(the_module):
    logic = the_module.SegAnyPETLogic()
    logic.loadModel = BallModel
    return logic


def add_points(scene, volume, *points_kji):
    node = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "points")
    grid = gridFromVolumeNode(volume)
    for point in points_kji:
        node.AddControlPointWorld(vtk.vtkVector3d(*(grid.kji_to_lps(point) * [-1, -1, 1])))
    return node


def widget_names():
    return {element.get("name") for element in ElementTree.parse(UI_FILE).iter("widget")}


def test_the_module_describes_itself(the_module):
    parent = types.SimpleNamespace()
    the_module.SegAnyPET(parent)
    assert parent.title == "SegAnyPET"
    assert parent.categories == ["Segmentation"]
    assert "research use only" in parent.helpText
    assert parent.acknowledgementText


def test_the_self_test_runs(the_module):
    the_module.SegAnyPETTest().runTest()


def test_the_logic_makes_a_segment_from_a_point_and_updates_it(a_scene, a_logic):
    volume = add_volume(a_scene, np.ones(SHAPE_KJI, np.float32), matrix=GEOMETRIES["oblique"], suv="bw")
    points = add_points(a_scene, volume, (6, 8, 9))
    node, name, measures = a_logic.segment(volume, positiveNode=points)
    assert name == "Lesion 1"
    segmentID = node.GetSegmentation().GetNthSegmentID(0)
    first = read_segment(node, segmentID, volume)
    assert first[6, 8, 9]
    assert measures.voxel_count == first.sum()

    grid = gridFromVolumeNode(volume)
    points.AddControlPointWorld(vtk.vtkVector3d(*(grid.kji_to_lps((9, 12, 14)) * [-1, -1, 1])))
    assert a_logic.segment(volume, positiveNode=points, segmentationNode=node)[:2] == (node, "Lesion 1")
    second = read_segment(node, segmentID, volume)
    assert second[9, 12, 14]
    assert not first[9, 12, 14]
    assert node.GetSegmentation().GetNumberOfSegments() == 1


def test_another_list_of_points_makes_another_segment_and_going_back_updates_the_first(a_scene, a_logic):
    volume = add_volume(a_scene, np.ones(SHAPE_KJI, np.float32), matrix=GEOMETRIES["oblique"], suv="bw")
    one, two = add_points(a_scene, volume, (4, 5, 5)), add_points(a_scene, volume, (10, 13, 16))
    node, *_ = a_logic.segment(volume, positiveNode=one)
    assert a_logic.segment(volume, positiveNode=two, segmentationNode=node)[:2] == (node, "Lesion 2")
    ids = list(node.GetSegmentation().GetSegmentIDs())
    before = [read_segment(node, segmentID, volume) for segmentID in ids]
    assert before[0][4, 5, 5]
    assert before[1][10, 13, 16]
    assert a_logic.segment(volume, positiveNode=one, segmentationNode=node)[:2] == (node, "Lesion 1")
    for segmentID, mask in zip(ids, before, strict=True):
        np.testing.assert_array_equal(read_segment(node, segmentID, volume), mask)


def test_a_segment_the_user_deleted_is_made_again(a_scene, a_logic):
    volume = add_volume(a_scene, np.ones(SHAPE_KJI, np.float32), suv="bw")
    points = add_points(a_scene, volume, (6, 8, 9))
    node, *_ = a_logic.segment(volume, positiveNode=points)
    node.GetSegmentation().RemoveAllSegments()
    a_logic.segment(volume, positiveNode=points, segmentationNode=node)
    assert node.GetSegmentation().GetNumberOfSegments() == 1


def test_a_closed_scene_leaves_nothing_behind(a_scene, a_logic):
    volume = add_volume(a_scene, np.ones(SHAPE_KJI, np.float32), suv="bw")
    a_logic.segment(volume, positiveNode=add_points(a_scene, volume, (6, 8, 9)))
    a_scene.Clear(0)
    volume = add_volume(a_scene, np.ones(SHAPE_KJI, np.float32), suv="bw")
    node, name, _ = a_logic.segment(volume, positiveNode=add_points(a_scene, volume, (6, 8, 9)))
    assert node.GetScene() is a_scene
    assert name == "Lesion 1"


def test_other_segments_of_the_chosen_segmentation_stay(a_scene, a_logic):
    volume = add_volume(a_scene, np.ones(SHAPE_KJI, np.float32), suv="bw")
    organ = np.ones(SHAPE_KJI, bool)
    node, (organID,) = add_segmentation(a_scene, volume, [organ])
    a_logic.segment(volume, positiveNode=add_points(a_scene, volume, (6, 8, 9)), segmentationNode=node)
    np.testing.assert_array_equal(read_segment(node, organID, volume), organ)


def test_unknown_units_are_an_error_that_the_panel_can_show(a_scene, a_logic):
    volume = add_volume(a_scene, np.ones(SHAPE_KJI, np.float32))
    points = add_points(a_scene, volume, (6, 8, 9))
    with pytest.raises(SUVError, match="units"):
        a_logic.segment(volume, positiveNode=points)
    node, *_ = a_logic.segment(volume, positiveNode=points, kind="bw")
    assert node.GetSegmentation().GetNumberOfSegments() == 1


class StandIn:
    """A widget of the panel, as far as the module's own code uses it."""

    def __init__(self):
        self.text, self.enabled, self.currentIndex, self.node, self.connected = "", None, 0, None, {}

    def connect(self, signal, slot):
        self.connected[signal] = slot

    def currentNode(self):
        return self.node

    def setCurrentNode(self, node):
        self.node = node
        self.connected.get("currentNodeChanged(vtkMRMLNode*)", lambda _node: None)(node)


@pytest.fixture
def a_panel(the_module, monkeypatch):
    """The module's widget after setup, its Qt widgets replaced by stand-ins; errors are raised, not shown."""
    ui = types.SimpleNamespace(**{name: StandIn() for name in widget_names()})
    monkeypatch.setattr(slicer.util, "loadUI", lambda path: types.SimpleNamespace(setMRMLScene=lambda _scene: path))
    monkeypatch.setattr(slicer.util, "childWidgetVariables", lambda _widget: ui)
    monkeypatch.setattr(slicer.util, "tryWithErrorDisplay", lambda _message, **_options: contextlib.nullcontext())
    widget = the_module.SegAnyPETWidget()
    widget.layout = types.SimpleNamespace(addWidget=lambda _widget: None)
    widget.resourcePath = lambda name: str(MODULE_FILE.parent / "Resources" / name)
    widget.setup()
    widget.logic.loadModel = BallModel
    return widget


def test_the_button_waits_for_a_volume_and_points_or_a_roi(a_scene, a_panel):
    button = a_panel.ui.segmentButton
    assert button.enabled is False
    volume = add_volume(a_scene, np.ones(SHAPE_KJI, np.float32), suv="bw")
    a_panel.ui.volumeSelector.setCurrentNode(volume)
    assert button.enabled is False
    for selector in (a_panel.ui.positiveSelector, a_panel.ui.roiSelector):
        selector.setCurrentNode(add_points(a_scene, volume, (6, 8, 9)))
        assert button.enabled is True
        selector.setCurrentNode(None)
        assert button.enabled is False


def test_pressing_the_button_segments_with_what_is_chosen_and_shows_where(a_scene, a_panel):
    volume = add_volume(a_scene, np.ones(SHAPE_KJI, np.float32))
    points = add_points(a_scene, volume, (6, 8, 9))
    a_panel.ui.volumeSelector.setCurrentNode(volume)
    a_panel.ui.positiveSelector.setCurrentNode(points)
    with pytest.raises(SUVError):
        a_panel.ui.segmentButton.connected["clicked(bool)"](False)
    a_panel.ui.kindSelector.currentIndex = 1
    a_panel.ui.segmentButton.connected["clicked(bool)"](False)
    node = a_panel.ui.segmentationSelector.currentNode()
    assert read_segment(node, node.GetSegmentation().GetNthSegmentID(0), volume)[6, 8, 9]
    assert a_panel.ui.statusLabel.text.startswith("Lesion 1: SUVmax 1.00, MTV ")
    a_panel.ui.negativeSelector.setCurrentNode(add_points(a_scene, volume, (6, 8, 9)))
    a_panel.ui.segmentButton.connected["clicked(bool)"](False)
    assert node.GetSegmentation().GetNumberOfSegments() == 1
    assert not read_segment(node, node.GetSegmentation().GetNthSegmentID(0), volume)[6, 8, 9]
    assert "is empty" in a_panel.ui.statusLabel.text


def test_a_missing_package_is_reported_with_what_to_do(the_module, monkeypatch):
    import SegAnyPETLib.model

    def fail(*_arguments, **_options):
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr(SegAnyPETLib.model, "load_model", fail, raising=False)
    with pytest.raises(SetupError, match=r"'torch'.*PyTorch"):
        the_module.loadBundledModel()


def test_the_list_of_kinds_has_the_order_of_the_panel(the_module):
    kinds = [
        element.findtext("property/string")
        for element in ElementTree.parse(UI_FILE).iterfind(".//widget[@name='kindSelector']/item")
    ]
    assert [kind.removeprefix("SUV") for kind in kinds[1:]] == list(the_module.KINDS[1:])
    assert len(kinds) == len(the_module.KINDS)


def test_every_widget_the_module_uses_is_in_the_ui_file():
    tree = ast.parse(MODULE_FILE.read_text(encoding="utf-8"))
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute) and node.value.attr == "ui"
    }
    assert used
    assert used <= widget_names()


def test_every_node_selector_is_given_the_scene():
    connected = {element.findtext("receiver") for element in ElementTree.parse(UI_FILE).iter("connection")}
    selectors = {
        element.get("name")
        for element in ElementTree.parse(UI_FILE).iter("widget")
        if element.get("class") == "qMRMLNodeComboBox"
    }
    assert connected == selectors


def test_node_types_in_the_ui_file_exist_in_slicer():
    for element in ElementTree.parse(UI_FILE).iterfind(".//property[@name='nodeTypes']/stringlist/string"):
        assert hasattr(slicer, element.text)


def test_no_qt_call_has_keyword_arguments():
    # PythonQt refuses them; ours and slicer.util's functions are Python and may have them.
    tree = ast.parse(MODULE_FILE.read_text(encoding="utf-8"))
    python = {"segment", "tryWithErrorDisplay", "format", "load_model", "SegmentationBridge", "startSegment"}
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.keywords):
        name = call.func.attr if isinstance(call.func, ast.Attribute) else call.func.id
        assert name in python, f"line {call.lineno}: {name} has keyword arguments"


def test_importing_the_module_loads_nothing_heavy():
    imported = {
        alias.name.partition(".")[0]
        for node in ast.parse(MODULE_FILE.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in ([ast.alias(node.module)] if isinstance(node, ast.ImportFrom) else node.names)
    }
    assert imported <= {"sys", "pathlib", "slicer"}
