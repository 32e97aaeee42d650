import ast
import importlib
import sys
import types
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
import slicer
from panel_desk import PanelDesk
from pythonqt_rules import offences_under
from slicer_desktop import MODULE_FILE

MODULE = MODULE_FILE.parent
FORMS = sorted((MODULE / "Resources" / "UI").glob("*.ui"))
SOURCES = sorted(MODULE.rglob("*.py"))


def test_the_module_says_what_it_is(a_slicer, engines):
    a_slicer.loadModule()
    module = slicer.modules.seganypet
    assert (module.title, module.categories) == ("SegAnyPET", ("Segmentation",))
    assert "research use only" in module.helpText
    assert "CC BY 3.0" in module.acknowledgementText
    assert not module.icon.isNull()


def test_the_self_test_makes_the_phantom_and_finds_it(a_slicer, engines):
    a_slicer.loadModule()
    sys.modules["SegAnyPET"].SegAnyPETTest().runTest()
    node = slicer.util.getNode("Phantom PET")
    assert node.GetVoxelValueUnits().GetCodeValue() == "{SUVbw}g/ml"
    assert node.GetImageData().GetDimensions() == (90, 60, 188)  # as the phantom's description says
    assert 10 < slicer.util.arrayFromVolume(node).max() < 60


def test_the_phantom_is_offered_as_sample_data(a_slicer, engines, monkeypatch):
    offered = []

    class SampleDataLogic:
        @staticmethod
        def registerCustomSampleDataSource(
            category="Custom", sampleName=None, uris=None, fileNames=None, nodeNames=None, customDownloader=None,
            thumbnailFileName=None, loadFileTypes=None, loadFiles=None, loadFileProperties=None, checksums=None,
            loadFileType=None,
        ):  # fmt: skip
            assert len(uris) == len(fileNames)  # as SampleDataSource asks
            offered.append((category, sampleName, thumbnailFileName, customDownloader))

    monkeypatch.setitem(sys.modules, "SampleData", types.SimpleNamespace(SampleDataLogic=SampleDataLogic))
    a_slicer.loadModule()
    slicer.app.startupCompleted.emit()
    category, name, thumbnail, _download = offered[-1]
    assert (category, name) == ("SegAnyPET", "SegAnyPETPhantom")
    assert (MODULE / "Resources" / "Icons" / "SegAnyPETPhantom.png").samefile(thumbnail)


def test_keys_act_only_while_the_module_is_shown(a_desk):
    a_desk.press("A")
    a_desk.desktop.leaveModule()
    assert a_desk.editor.placing is None  # left while placing: clicks are Slicer's again
    a_desk.desktop.press("A")
    a_desk.desktop.press("Q")
    assert a_desk.editor.placing is None
    assert len(a_desk.editor.rows) == 1
    slicer.util.selectModule("SegAnyPET")
    a_desk.press("A")
    assert a_desk.editor.placing is True


def test_every_key_is_listed_in_the_panel(a_desk):
    shortcuts = importlib.import_module("SegAnyPETPanels.Shortcuts")
    listed = shortcuts.keys()
    assert len(listed) == 8
    for key in listed:
        assert f"<b>{key.sequence}</b>" in a_desk.ui.keysLabel.text
        assert key.text in a_desk.ui.keysLabel.text


def test_the_memory_is_given_back_when_the_module_is_left_but_not_before_the_answer(a_desk):
    a_desk.press("A")
    a_desk.engine.isHeld = True
    a_desk.desktop.view("Red").click(a_desk.ras((11, 13, 15)))
    a_desk.desktop.leaveModule()
    a_desk.desktop.process(300)
    assert a_desk.engine.state == "working"
    a_desk.engine.isHeld = False
    a_desk.desktop.wait_until(lambda: a_desk.engine.state == "stopped")
    assert a_desk.mask().any()


def test_the_memory_is_given_back_after_the_minutes_that_were_chosen(a_desk, monkeypatch):
    a_desk.settings._ui.idleMinutes.setValue(3)
    assert a_desk.engine.state == "ready"
    clock = importlib.import_module("time").monotonic
    monkeypatch.setattr("SegAnyPETPanels.SegmentPanel.time.monotonic", lambda: clock() + 170)
    a_desk.panel.tick()
    assert a_desk.engine.state == "ready"
    monkeypatch.setattr("SegAnyPETPanels.SegmentPanel.time.monotonic", lambda: clock() + 190)
    a_desk.panel.tick()
    assert a_desk.engine.state == "stopped"


def test_a_saved_scene_brings_volume_lesions_and_clicks_back(a_desk, tmp_path):
    a_desk.press("A")
    a_desk.click((11, 13, 15))
    a_desk.click((11, 13, 20), modifiers="ctrl")
    a_desk.editor.renameLesion(a_desk.editor.rows[0].segmentID, "Node 4R")
    mask, cells = a_desk.mask(), a_desk.cells()
    a_desk.desktop.saveScene(tmp_path / "study.mrb")
    a_desk.desktop.closeScene()
    assert a_desk.ui.lesionTable.rowCount == 0
    assert a_desk.ui.volumeSelector.currentNode() is None
    a_desk.desktop.openScene(tmp_path / "study.mrb")
    a_desk.wait()
    a_desk.desktop.wait_until(lambda: a_desk.ui.lesionTable.rowCount == 1 and a_desk.cells()[1] != "\N{EN DASH}")
    a_desk.volume = a_desk.editor.volumeNode
    assert a_desk.ui.volumeSelector.currentNode() is a_desk.volume
    np.testing.assert_array_equal(a_desk.mask(), mask)
    assert a_desk.cells()[:3] == ["Node 4R", *cells[1:3]]
    assert a_desk.editor.rows[0].clicks == 2


def test_a_failed_engine_is_announced_and_can_be_tried_again(a_desk):
    from SegAnyPETLib.worker import EngineDied

    a_desk.press("A")
    a_desk.engine.isHeld = True
    a_desk.desktop.view("Red").click(a_desk.ras((11, 13, 15)))
    a_desk.engine._waiting.clear()
    a_desk.engine.events.append(EngineDied("The graphics card was taken away.", restarting=False))
    a_desk.engine.hasFailed, a_desk.engine.isHeld = True, False
    a_desk.desktop.wait_until(lambda: "taken away" in a_desk.ui.hintLabel.text)
    assert "cannot be used" in a_desk.ui.engineLabel.text
    a_desk.desktop.press_button(a_desk.ui.retryButton)
    a_desk.wait()
    assert a_desk.mask().any()
    assert a_desk.ui.retryButton.isVisible() is False


def test_a_running_segmentation_is_shown_and_can_be_stopped(a_desk):
    a_desk.press("A")
    a_desk.click((11, 13, 15))
    mask = a_desk.mask()
    a_desk.engine.isHeld = True
    a_desk.desktop.view("Red").click(a_desk.ras((11, 13, 20)))
    a_desk.desktop.wait_until(lambda: a_desk.ui.cancelButton.isVisible())
    assert a_desk.ui.engineLabel.text == "Segmenting..."
    a_desk.desktop.press_button(a_desk.ui.cancelButton)
    a_desk.engine.isHeld = False
    a_desk.desktop.wait_until(lambda: "Stopped" in a_desk.ui.hintLabel.text)
    assert (a_desk.mask() == mask).all()
    assert a_desk.ui.cancelButton.isVisible() is False
    a_desk.desktop.press_button(a_desk.ui.retryButton)
    a_desk.wait()
    assert a_desk.mask()[11, 13, 20]


def test_exports_are_written_where_the_user_says(a_desk, tmp_path):
    a_desk.press("A")
    a_desk.click((11, 13, 15))
    menu = importlib.import_module("SegAnyPETPanels.ExportMenu")
    export = menu.ExportMenu(a_desk.ui.exportButton, lambda: a_desk.editor)
    table, segmentation, folder = tmp_path / "a.csv", tmp_path / "a.seg.nrrd", tmp_path / "masks"
    folder.mkdir()
    a_desk.desktop.dialogs.answer(str(table), str(segmentation), str(folder), "", str(folder), "")
    export.exportTable()
    export.exportSegNrrd()
    export.exportNifti()
    export.exportDicomSeg()  # cancelled
    export.exportRTStruct()  # cancelled where the file is asked for
    assert "Lesion 1" in table.read_text(encoding="utf-8")
    assert segmentation.is_file()
    assert len(list(folder.glob("*.nii.gz"))) == 1


def test_an_export_that_fails_says_why(a_desk, tmp_path):
    a_desk.press("A")
    a_desk.click((11, 13, 15))
    menu = importlib.import_module("SegAnyPETPanels.ExportMenu")
    a_desk.desktop.dialogs.answer(str(tmp_path / "nowhere" / "a.csv"), "OK")
    menu.ExportMenu(a_desk.ui.exportButton, lambda: a_desk.editor).exportTable()
    assert "could not be exported" in a_desk.desktop.dialogs.shown[-1].text
    assert "nowhere" in a_desk.desktop.dialogs.shown[-1].text


def test_reloading_forgets_library_and_panels(a_desk, monkeypatch):
    reloaded = []
    base = sys.modules["slicer.ScriptedLoadableModule"].ScriptedLoadableModuleWidget
    monkeypatch.setattr(base, "onReload", lambda self: reloaded.append(set(sys.modules)), raising=False)
    kept = {name: module for name, module in sys.modules.items() if name.startswith("SegAnyPET")}
    a_desk.widget.onReload()
    sys.modules.update(kept)
    (names,) = reloaded
    assert not [name for name in names if name.split(".")[0] in ("SegAnyPETLib", "SegAnyPETPanels")]


def test_no_scene_no_lesion_no_crash(a_slicer, engines):
    desk = PanelDesk(a_slicer, engines, volume=False)
    for key in ("A", "S", "Q", "U", "Ctrl+Z", "Ctrl+Y", "Esc"):
        desk.press(key)
    assert desk.editor.rows == ()
    a_slicer.closeScene()


def test_importing_the_module_loads_nothing_heavy():
    for path in SOURCES:
        imported = set()
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module)
        ours = {name for name in imported if name.startswith("SegAnyPETLib")}
        assert ours <= {"SegAnyPETLib.errors"}, path.name
        known = {"qt", "ctk", "slicer", "SegAnyPETPanels", "SegAnyPETLib"} | set(sys.stdlib_module_names)
        assert {name.split(".")[0] for name in imported} <= known, path.name


def test_nothing_that_pythonqt_refuses():
    assert offences_under(MODULE) == {}


def test_files_are_short_and_only_the_module_lies_in_its_folder():
    lengths = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}
    assert lengths["SegAnyPET.py"] <= 150
    assert max(lengths.values()) <= 400
    assert [path.name for path in MODULE.glob("*.py")] == ["SegAnyPET.py"]  # Slicer loads every .py there as a module


@pytest.mark.parametrize("form", FORMS, ids=lambda path: path.stem)
def test_forms_explain_every_control_and_give_every_node_selector_the_scene(form):
    tree = ElementTree.parse(form)
    controls = {
        "QPushButton",
        "QToolButton",
        "QComboBox",
        "QCheckBox",
        "QSpinBox",
        "qMRMLNodeComboBox",
        "ctkPathLineEdit",
    }
    widgets = {each.get("name"): each for each in tree.iter("widget")}
    for name, each in widgets.items():
        if each.get("class") in controls:
            assert each.findtext("property[@name='toolTip']/string"), f"{name} has no tool tip"
    for kind in tree.iterfind(".//property[@name='nodeTypes']/stringlist/string"):
        assert hasattr(slicer, kind.text)
    selectors = {name for name, each in widgets.items() if each.get("class") == "qMRMLNodeComboBox"}
    assert {each.findtext("receiver") for each in tree.iter("connection")} == selectors


def test_every_icon_that_is_named_is_there_and_can_be_drawn(a_slicer):
    from PySide6 import QtGui

    folder = MODULE / "Resources" / "Icons"
    source = "".join(path.read_text(encoding="utf-8") for path in SOURCES)
    for path in folder.glob("*.svg"):
        assert f'"{path.stem}"' in source, f"{path.name} is not used"
        image = QtGui.QIcon(str(path)).pixmap(24, 24).toImage()
        assert any(image.pixelColor(x, y).alpha() for x in range(24) for y in range(24))
    size = QtGui.QImage(str(folder / "SegAnyPET.png")).size()
    assert (size.width(), size.height()) == (128, 128)
    size = QtGui.QImage(str(folder / "SegAnyPETPhantom.png")).size()
    assert (size.width(), size.height()) == (260, 280)
