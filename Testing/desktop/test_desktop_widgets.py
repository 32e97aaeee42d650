import pytest
import slicer


@pytest.fixture
def a_combo_box(a_slicer):
    box = slicer.qMRMLNodeComboBox()
    box.nodeTypes = ["vtkMRMLScalarVolumeNode"]
    box.addEnabled = box.removeEnabled = False
    box.setMRMLScene(a_slicer.scene)
    yield box
    box.setMRMLScene(None)


def volume(a_slicer, name, kind="vtkMRMLScalarVolumeNode"):
    return a_slicer.scene.AddNewNodeByClass(kind, name)


def test_the_first_node_is_chosen_and_told(a_slicer, a_combo_box):
    got = []
    a_combo_box.connect("currentNodeChanged(vtkMRMLNode*)", got.append)
    a_combo_box.connect("currentNodeChanged(bool)", got.append)
    a_combo_box.connect("currentNodeIDChanged(QString)", got.append)
    pet = volume(a_slicer, "PET")
    volume(a_slicer, "CT")
    assert got == [pet, True, pet.GetID()]
    assert a_combo_box.currentNode() is pet
    assert a_combo_box.currentNodeID == pet.GetID()
    assert a_combo_box.nodeTypes == ("vtkMRMLScalarVolumeNode",)
    assert a_combo_box.nodeCount() == 2


def test_in_place_of_a_removed_node_comes_the_next_or_last_or_none(a_slicer, a_combo_box):
    pet, ct, mr, late = (volume(a_slicer, name) for name in ("PET", "CT", "MR", "late PET"))
    a_combo_box.setCurrentNode(ct)
    a_slicer.scene.RemoveNode(ct)
    assert a_combo_box.currentNode() is mr
    a_combo_box.setCurrentNode(late)
    a_slicer.scene.RemoveNode(late)
    assert a_combo_box.currentNode() is mr
    a_combo_box.setCurrentNode(pet)
    a_slicer.scene.RemoveNode(pet)  # the first entry of all: QComboBox is left without a current one
    assert a_combo_box.currentNode() is None
    a_combo_box.setCurrentNode(mr)
    a_slicer.scene.Clear(0)
    assert a_combo_box.currentNode() is None


@pytest.mark.parametrize("entry", ["noneEnabled", "renameEnabled"])
def test_with_other_entries_nothing_is_chosen_by_itself(a_slicer, a_combo_box, entry):
    setattr(a_combo_box, entry, True)
    pet = volume(a_slicer, "PET")
    assert a_combo_box.currentNode() is None
    a_combo_box.setCurrentNode(pet)
    assert a_combo_box.currentNode() is pet
    a_combo_box.setCurrentNode(None)
    assert a_combo_box.currentNode() is None


def test_a_node_made_by_code_is_told_as_qmrmlnodecomboboxtest5_says(a_slicer, a_combo_box):
    got = []
    for name in ("nodeAdded", "nodeAddedByUser", "nodeAddedByUserAction"):
        a_combo_box.connect(f"{name}(vtkMRMLNode*)", lambda _node, name=name: got.append(name))
    a_combo_box.addNode()
    assert got == ["nodeAdded", "nodeAddedByUser"]


def test_kinds_hidden_nodes_and_attributes_are_respected(a_slicer, a_combo_box):
    a_combo_box.showChildNodeTypes = False
    volume(a_slicer, "labels", "vtkMRMLLabelMapVolumeNode")
    hidden = slicer.vtkMRMLScalarVolumeNode()
    hidden.SetHideFromEditors(True)
    a_slicer.scene.AddNode(hidden)
    assert a_combo_box.nodeCount() == 0
    a_combo_box.showChildNodeTypes = True
    assert a_combo_box.nodeCount() == 1
    a_combo_box.addAttribute("vtkMRMLScalarVolumeNode", "Modality", "PT")
    assert a_combo_box.nodeCount() == 0
    pet = slicer.vtkMRMLScalarVolumeNode()
    pet.SetAttribute("Modality", "PT")
    a_slicer.scene.AddNode(pet)
    a_combo_box.setCurrentNode(pet)
    pet.SetAttribute("Modality", "CT")
    pet.Modified()
    assert (a_combo_box.nodeCount(), a_combo_box.currentNode()) == (0, None)


def test_nodes_read_in_a_batch_are_there_at_its_end(a_slicer, a_combo_box):
    a_slicer.scene.StartState(a_slicer.scene.BatchProcessState)
    pet = volume(a_slicer, "PET")
    assert a_combo_box.currentNode() is None
    a_slicer.scene.EndState(a_slicer.scene.BatchProcessState)
    assert a_combo_box.currentNode() is pet


def test_a_new_name_is_shown(a_slicer, a_combo_box):
    got = []
    a_combo_box.connect("currentNodeRenamed(QString)", got.append)
    volume(a_slicer, "PET").SetName("PET 2")
    assert got == ["PET 2"]


def test_the_box_makes_nodes_of_its_kind(a_slicer, a_combo_box):
    a_combo_box.baseName = "Copy"
    first, second = a_combo_box.addNode(), a_combo_box.addNode()
    assert (first.GetName(), second.GetName()) == ("Copy", "Copy_1")
    assert a_combo_box.currentNode() is second
    a_combo_box.removeCurrentNode()
    assert a_combo_box.currentNode() is first


UI = """<ui version="4.0"><class>Panel</class><widget class="qMRMLWidget" name="Panel"><layout class="QVBoxLayout">
<item><widget class="qMRMLNodeComboBox" name="selector"><property name="nodeTypes"><stringlist notr="true">
<string>vtkMRMLScalarVolumeNode</string></stringlist></property>
<property name="noneEnabled"><bool>true</bool></property></widget></item><item>
<widget class="ctkCollapsibleButton" name="section">
<property name="text"><string>More</string></property><property name="collapsed"><bool>true</bool></property>
<layout class="QVBoxLayout"><item><widget class="QLabel" name="inside">
<property name="text"><string>Inside</string></property></widget></item></layout>
</widget></item><item><widget class="ctkSliderWidget" name="slider"><property name="maximum"><double>5.0</double>
</property><property name="value"><double>2.5</double></property></widget></item><item>
<widget class="ctkPathLineEdit" name="path"/></item><item><widget class="ctkColorPickerButton" name="color"/></item>
</layout></widget><customwidgets><customwidget><class>qMRMLWidget</class><extends>QWidget</extends><container>1</container>
</customwidget></customwidgets><connections><connection><sender>Panel</sender>
<signal>mrmlSceneChanged(vtkMRMLScene*)</signal><receiver>selector</receiver><slot>setMRMLScene(vtkMRMLScene*)</slot>
</connection></connections></ui>"""


@pytest.fixture
def a_panel(a_slicer, tmp_path):
    (tmp_path / "Panel.ui").write_text(UI)
    panel = slicer.util.loadUI(str(tmp_path / "Panel.ui"))
    panel.setMRMLScene(a_slicer.scene)
    panel.show()
    a_slicer.process()
    yield panel
    panel.setMRMLScene(None)
    panel.deleteLater()


def test_what_the_ui_file_says_arrives_in_the_widgets(a_slicer, a_panel):
    ui = slicer.util.childWidgetVariables(a_panel)
    assert ui.selector.nodeTypes == ("vtkMRMLScalarVolumeNode",)
    assert ui.selector.noneEnabled
    assert ui.selector.mrmlScene() is a_slicer.scene  # connected in the file
    assert (ui.slider.maximum, ui.slider.value) == (5.0, 2.5)
    assert ui.section.text == "More"
    assert ui.section.className() == "ctkCollapsibleButton"


def test_a_widget_without_a_stand_in_is_refused_by_name(a_slicer, tmp_path):
    (tmp_path / "Other.ui").write_text(UI.replace("ctkPathLineEdit", "ctkFancyWidget"))
    with pytest.raises(NotImplementedError, match="ctkFancyWidget"):
        slicer.util.loadUI(str(tmp_path / "Other.ui"))


def test_a_section_opens_and_closes(a_slicer, a_panel):
    ui, got = slicer.util.childWidgetVariables(a_panel), []
    ui.section.connect("contentsCollapsed(bool)", got.append)
    assert ui.section.collapsed
    assert not ui.inside.visible
    closed = ui.section.height
    ui.section.collapsed = False
    a_slicer.process()
    assert ui.inside.visible
    assert ui.section.height > closed
    ui.section.click()
    assert not ui.inside.visible
    assert got == [False, True]


def test_a_slider_tells_its_value_within_its_range(a_panel):
    ui, got = slicer.util.childWidgetVariables(a_panel), []
    ui.slider.connect("valueChanged(double)", got.append)
    ui.slider.value = 4
    ui.slider.value = 99
    assert got == [4.0, 5.0]


def test_a_path_is_typed_or_browsed(a_slicer, a_panel):
    ui, got = slicer.util.childWidgetVariables(a_panel), []
    ui.path.connect("currentPathChanged(QString)", got.append)
    ui.path.currentPath = "/data/a.nii"
    a_slicer.dialogs.answer("/data/b.nii", "")
    ui.path.browse()
    ui.path.browse()
    assert got == ["/data/a.nii", "/data/b.nii"]
    assert ui.path.currentPath == "/data/b.nii"


def test_a_colour_is_told_once(a_panel):
    import qt

    ui, got = slicer.util.childWidgetVariables(a_panel), []
    ui.color.connect("colorChanged(QColor)", got.append)
    ui.color.color = qt.QColor(255, 0, 0)
    ui.color.setColor(qt.QColor(255, 0, 0))
    assert got == [qt.QColor(255, 0, 0)]
    assert ui.color.color == qt.QColor(255, 0, 0)
