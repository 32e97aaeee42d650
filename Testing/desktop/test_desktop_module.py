import sys

import numpy as np
import pytest
import slicer

MODULE = """
import qt
import slicer
from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import *


class SmallPanel(ScriptedLoadableModule):
    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("Small panel")
        self.parent.categories = ["Segmentation"]


class SmallPanelWidget(ScriptedLoadableModuleWidget):
    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        self.calls = ["setup"]
        self.button = qt.QPushButton(_("Press"))
        self.button.connect("clicked(bool)", self.onPressed)
        self.edit = qt.QLineEdit()
        self.layout.addWidget(self.button)
        self.layout.addWidget(self.edit)
        self.shortcut = qt.QShortcut(qt.QKeySequence("A"), slicer.util.mainWindow())
        self.shortcut.connect("activated()", self.onKey)
        self.undo = qt.QShortcut(qt.QKeySequence("Ctrl+Z"), slicer.util.mainWindow())
        self.undo.connect("activated()", lambda: self.calls.append("undo"))

    def onPressed(self):
        self.calls.append("pressed")

    def onKey(self):
        self.calls.append("key")

    def enter(self):
        self.calls.append("enter")
        self.shortcut.enabled = True

    def exit(self):
        self.calls.append("exit")
        self.shortcut.enabled = False

    def cleanup(self):
        self.calls.append("cleanup")
        self.shortcut.deleteLater()
        self.undo.deleteLater()


class SmallPanelLogic(ScriptedLoadableModuleLogic):
    pass


class SmallPanelTest(ScriptedLoadableModuleTest):
    def runTest(self):
        self.delayDisplay("running")
        slicer.selfTestsRun = True
"""


@pytest.fixture
def a_module_file(tmp_path):
    (tmp_path / "SmallPanel.py").write_text(MODULE)
    return tmp_path / "SmallPanel.py"


@pytest.fixture
def a_panel(a_slicer, a_module_file):
    return a_slicer.loadModule(a_module_file)


def test_a_module_is_set_up_entered_and_left(a_slicer, a_panel):
    assert a_panel.calls == ["setup", "enter"]
    assert slicer.util.getModule("SmallPanel").title == "Small panel"
    assert slicer.modules.smallpanel.categories == ("Segmentation",)
    assert slicer.modules.SmallPanelWidget is a_panel
    assert "Small panel" in a_slicer.texts.seen
    a_slicer.leaveModule()
    slicer.util.selectModule("SmallPanel")
    assert a_panel.calls == ["setup", "enter", "exit", "enter"]


def test_a_module_is_cleaned_up_when_slicer_ends(a_slicer, a_panel, a_module_file):
    a_slicer._finish()
    a_slicer._modules.clear()
    assert a_panel.calls == ["setup", "enter", "exit", "cleanup"]
    assert "SmallPanel" not in sys.modules
    assert str(a_module_file.parent) not in sys.path


def test_a_module_that_cannot_be_loaded_leaves_nothing_behind(a_slicer, tmp_path):
    (tmp_path / "Broken.py").write_text("import SegAnyPETNoSuchThing")
    with pytest.raises(ModuleNotFoundError, match="SegAnyPETNoSuchThing"):
        a_slicer.loadModule(tmp_path / "Broken.py")
    assert "Broken" not in sys.modules
    assert str(tmp_path) not in sys.path
    assert a_slicer.app.moduleManager().module("Broken") is None


def test_a_button_is_pressed_with_the_mouse(a_slicer, a_panel):
    a_slicer.press_button(a_panel.button)
    assert a_panel.calls[-1] == "pressed"
    a_panel.button.enabled = False
    with pytest.raises(AssertionError, match="not enabled"):
        a_slicer.press_button(a_panel.button)


def test_shortcuts_act_in_the_module_only_and_not_while_typing(a_slicer, a_panel):
    a_slicer.press("A")
    a_slicer.press("Ctrl+Z")
    assert a_panel.calls[2:] == ["key", "undo"]
    a_panel.edit.setFocus()
    a_slicer.press("A")
    assert a_panel.calls[2:] == ["key", "undo"]
    assert a_panel.edit.text == "a"
    a_slicer.leaveModule()
    a_slicer.press("A")
    assert a_panel.calls[-1] == "exit"


def test_shortcuts_act_while_the_mouse_is_in_a_view(a_slicer, a_panel):
    a_slicer.view("Red").press("A")
    assert a_panel.calls[-1] == "key"


def test_a_logic_keeps_its_parameters_in_one_node(a_slicer, a_panel):
    logic = sys.modules["SmallPanel"].SmallPanelLogic()
    node = logic.getParameterNode()
    assert node is logic.getParameterNode()
    assert node.GetSingletonTag() == "SmallPanel"
    assert node.GetAttribute("ModuleName") == "SmallPanel"


def test_a_module_runs_its_self_test(a_slicer, a_panel, monkeypatch):
    monkeypatch.setattr(slicer, "selfTestsRun", False, raising=False)
    slicer.modules.SmallPanelInstance.runTest()
    assert slicer.selfTestsRun


def test_what_was_registered_at_start_is_remembered(a_slicer):
    import SampleData

    a_slicer.app.connect(
        "startupCompleted()",
        lambda: SampleData.SampleDataLogic.registerCustomSampleDataSource(category="PET", sampleName="Phantom"),
    )
    a_slicer.finishStartup()
    assert [each["sampleName"] for each in a_slicer.sampleData] == ["Phantom"]


def test_packages_are_not_installed_but_noted(a_slicer, tmp_path):
    (tmp_path / "requirements.txt").write_text("# for the engine\nmonai>=1.5\nnumpy>=2.0\n")
    wanted = slicer.packaging.load_requirements(tmp_path / "requirements.txt")
    a_slicer.packaging.missing = ["monai"]
    assert not slicer.packaging.pip_check(wanted)
    a_slicer.packaging.declined = True
    with pytest.raises(RuntimeError):
        slicer.packaging.pip_ensure(wanted, requester="SegAnyPET")
    a_slicer.packaging.declined = False
    slicer.packaging.pip_ensure(wanted, requester="SegAnyPET")
    assert a_slicer.packaging.installed == ["monai>=1.5"]
    assert slicer.packaging.pip_check(wanted)


def test_the_longest_gap_is_what_a_slot_took(a_slicer):
    import qt

    now, done = [100.0], []  # seconds; a clock that only the slots below move, for a busy machine is no measure

    def slot(seconds):
        now[0] += seconds
        done.append(seconds)

    with a_slicer.longestGap(lambda: now[0]) as gap:
        for seconds in (0.010, 0.080, 0.020):
            qt.QTimer.singleShot(0, lambda seconds=seconds: slot(seconds))
            a_slicer.wait_until(lambda seconds=seconds: seconds in done)
            a_slicer.process(5)
    assert gap.longest_ms == pytest.approx(80)
    assert sum(gap.gaps_ms) == pytest.approx(110)


def test_drawing_is_taken_off_the_gap_it_was_in(a_slicer):
    with a_slicer.longestGap() as gap:
        a_slicer.layoutManager.sliceWidget("Red").sliceView().forceRender()
    drawn = sum(gap.drawing_ms)
    assert 0 < drawn <= gap.longest_ms
    assert gap.longest_without_drawing_ms == pytest.approx(gap.longest_ms - drawn)


def test_the_window_is_photographed_with_its_panel_and_views(a_slicer, a_panel, tmp_path):
    import qt

    node = a_slicer.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "noise")
    slicer.util.updateVolumeFromArray(node, np.random.default_rng(3).random((20, 30, 40), np.float32))
    node.CreateDefaultDisplayNodes()
    a_slicer.showVolume(node)

    a_slicer.screenshot(tmp_path / "window.png")
    image = qt.QImage(str(tmp_path / "window.png"))
    assert (image.width(), image.height()) == (1100, 720)
    at = {name: a_slicer.view(name).view.mapTo(a_slicer.window, qt.QPoint(60, 60)) for name in ("Red", "Yellow")}
    button = a_panel.button.mapTo(a_slicer.window, qt.QPoint(0, 0))
    red = {image.pixel(at["Red"].x() + step, at["Red"].y() + step) for step in range(100)}
    drawn = {image.pixel(button.x() + step, button.y() + 10) for step in range(a_panel.button.width)}
    assert len(red) > 5  # the noise of the volume
    assert len(drawn) > 5  # the letters of the button


def test_a_scene_is_saved_closed_and_opened_again(a_slicer, tmp_path):
    node = a_slicer.scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "points")
    node.AddControlPoint(1.0, 2.0, 3.0)
    a_slicer.saveScene(tmp_path / "scene.mrb")
    a_slicer.closeScene()
    assert a_slicer.scene.GetFirstNodeByName("points") is None
    a_slicer.openScene(tmp_path / "scene.mrb")
    found = a_slicer.scene.GetFirstNodeByName("points")
    np.testing.assert_allclose(found.GetNthControlPointPositionWorld(0), [1, 2, 3])


def test_nodes_have_items_in_the_subject_hierarchy(a_slicer):
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(a_slicer.scene)
    node = a_slicer.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "lesions")
    item = hierarchy.GetItemByDataNode(node)
    assert hierarchy.GetItemName(item) == "lesions"
    a_slicer.scene.RemoveNode(node)
    assert hierarchy.GetItemDataNode(item) is None
