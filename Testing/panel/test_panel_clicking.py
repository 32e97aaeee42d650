import numpy as np
import pytest
import slicer
from mrml_nodes import add_segmentation, put_under_nonlinear, sphere
from panel_desk import MATRIX, RADIUS_MM, SHAPE, PanelDesk, a_pet

MIDDLE, LOWER, ASIDE = (11, 13, 15), (6, 13, 15), (11, 13, 20)


def test_the_pet_of_the_scene_is_chosen_by_itself_and_shown_from_suv_0_to_10(a_desk):
    assert a_desk.ui.volumeSelector.currentNode() is a_desk.volume
    assert a_desk.editor.volumeNode is a_desk.volume
    display = a_desk.volume.GetDisplayNode()
    assert (display.GetWindowLevelMin(), display.GetWindowLevelMax()) == (0, 10)
    assert a_desk.ui.unitsFrame.isVisible() is False


def test_a_pet_that_is_loaded_while_the_module_is_open_is_chosen_too(a_slicer, engines):
    desk = PanelDesk(a_slicer, engines, volume=False)
    assert "Load a PET" in desk.ui.hintLabel.text
    assert desk.ui.addButton.enabled is False
    volume = a_pet(a_slicer.scene)
    a_slicer.wait_until(lambda: desk.editor.volumeNode is volume)
    a_slicer.process()
    assert desk.ui.addButton.enabled is True


def test_a_key_and_a_click_make_a_lesion_whose_measures_are_in_the_table(a_desk):
    a_desk.press("A")
    assert a_desk.ui.addButton.checked
    a_desk.click(MIDDLE)
    mask, values = a_desk.mask(), slicer.util.arrayFromVolume(a_desk.volume)
    ball = sphere(MATRIX, centre_lps=a_desk.ras(MIDDLE) * [-1, -1, 1], radius_mm=RADIUS_MM, shape_kji=SHAPE)
    assert 2 * (mask & ball).sum() / (mask.sum() + ball.sum()) > 0.9  # the click is where the mouse was
    ml = mask.sum() * 2.0 * 2.5 * 3.7 / 1000
    name, suv_max, suv_mean, _suv_peak, mtv, tlg = a_desk.cells()
    assert name == "Lesion 1"
    assert (suv_max, suv_mean) == (f"{values[mask].max():.2f}", f"{values[mask].mean():.2f}")
    assert float(mtv) == pytest.approx(ml, abs=0.06)
    assert float(tlg) == pytest.approx(ml * values[mask].mean(), abs=0.06)
    assert f"MTV {mtv} ml, TLG {tlg} g" in a_desk.ui.burdenLabel.text


def test_every_view_can_be_clicked(a_desk):
    for view in ("Red", "Green", "Yellow"):
        a_desk.press("Q")
        a_desk.click(MIDDLE, view=view)
    masks = [a_desk.mask(row) for row in range(3)]
    assert all(mask[MIDDLE] for mask in masks)
    assert a_desk.ui.lesionTable.rowCount == 3


def test_take_away_makes_the_segment_smaller_and_ctrl_does_so_for_one_click(a_desk):
    a_desk.press("A")
    a_desk.click(MIDDLE)
    full = a_desk.mask().sum()
    a_desk.click(ASIDE, modifiers="ctrl")
    smaller = a_desk.mask()
    assert smaller.sum() < full
    assert not smaller[ASIDE]
    assert a_desk.ui.addButton.checked  # the next click adds again
    a_desk.press("S")
    assert a_desk.ui.removeButton.checked
    assert not a_desk.ui.addButton.checked
    a_desk.click((13, 13, 15))
    assert a_desk.mask().sum() < smaller.sum()
    assert (a_desk.editor.positiveNode.GetNumberOfDefinedControlPoints(), a_desk.editor.rows[0].clicks) == (1, 3)


def test_undo_and_redo_keys_take_back_and_do_again(a_desk):
    a_desk.press("A")
    a_desk.click(MIDDLE)
    first = a_desk.mask()
    a_desk.click(LOWER)
    second = a_desk.mask()
    assert not np.array_equal(first, second)
    a_desk.press("Ctrl+Z")
    np.testing.assert_array_equal(a_desk.mask(), first)
    a_desk.press("Ctrl+Y")
    np.testing.assert_array_equal(a_desk.mask(), second)


def test_a_deleted_lesion_comes_back_by_undo(a_desk):
    a_desk.press("A")
    a_desk.click(MIDDLE)
    before = a_desk.mask()
    a_desk.desktop.press_button(a_desk.ui.deleteButton)
    assert a_desk.ui.lesionTable.rowCount == 0
    a_desk.desktop.press_button(a_desk.ui.undoButton)
    np.testing.assert_array_equal(a_desk.mask(), before)


def test_next_lesion_uses_an_empty_one_before_it_makes_another(a_desk):
    for _ in range(3):
        a_desk.press("Q")
    assert a_desk.ui.lesionTable.rowCount == 1
    a_desk.click(MIDDLE)
    a_desk.press("Q")
    assert a_desk.ui.lesionTable.rowCount == 2
    assert a_desk.ui.lesionTable.currentRow() == 1


def test_escape_ends_place_mode_so_that_clicks_are_slicers_again(a_desk):
    a_desk.press("A")
    a_desk.press("Esc")
    assert a_desk.editor.placing is None
    assert not a_desk.ui.addButton.checked
    a_desk.click(MIDDLE)
    assert a_desk.editor.rows[0].clicks == 0


def test_place_mode_ended_in_slicers_toolbar_lets_the_button_spring_back(a_desk):
    a_desk.press("A")
    interaction = a_desk.desktop.scene.GetNodeByID("vtkMRMLInteractionNodeSingleton")
    interaction.SetCurrentInteractionMode(interaction.ViewTransform)
    a_desk.desktop.wait_until(lambda: not a_desk.ui.addButton.checked)


def test_choosing_a_row_lets_clicks_go_to_that_lesion(a_desk):
    a_desk.press("A")
    a_desk.click(MIDDLE)
    a_desk.press("Q")
    a_desk.click(LOWER)
    a_desk.ui.lesionTable.selectRow(0)
    a_desk.desktop.process()
    a_desk.click(ASIDE)
    assert [row.clicks for row in a_desk.editor.rows] == [2, 1]


def test_a_name_written_into_the_table_is_the_segments_and_letters_are_letters_there(a_desk):
    a_desk.press("A")
    a_desk.click(MIDDLE)
    a_desk.press("Esc")
    table = a_desk.ui.lesionTable
    table.editItem(table.item(0, 0))
    a_desk.desktop.process()
    for key in ("s", "a", "q", "u", "Return"):
        a_desk.desktop.press(key)
    a_desk.desktop.process()
    row = a_desk.editor.rows[0]
    assert row.name == "saqu"
    assert a_desk.editor.segmentationNode.GetSegmentation().GetSegment(row.segmentID).GetName() == "saqu"
    assert a_desk.editor.placing is None
    assert len(a_desk.editor.rows) == 1


def test_an_empty_name_is_not_taken(a_desk):
    a_desk.press("A")
    a_desk.click(MIDDLE)
    a_desk.ui.lesionTable.item(0, 0).setText("  ")
    a_desk.desktop.process()
    assert a_desk.cells()[0] == a_desk.editor.rows[0].name == "Lesion 1"


def test_a_name_that_is_typed_again_or_emptied_fills_the_row_once(a_desk):
    a_desk.press("A")
    a_desk.click(MIDDLE)
    changes = []
    a_desk.ui.lesionTable.connect("cellChanged(int,int)", lambda *cell: changes.append(cell))
    item = a_desk.ui.lesionTable.item(0, 0)
    item.setText(f" {item.text()} ")
    assert item.text() == a_desk.editor.rows[0].name
    assert changes == [(0, 0)]


def test_double_clicking_a_measure_shows_the_hottest_voxel(a_desk):
    a_desk.press("A")
    a_desk.click(MIDDLE)
    mask, values = a_desk.mask(), slicer.util.arrayFromVolume(a_desk.volume)
    hottest = np.unravel_index(np.argmax(np.where(mask, values, -1)), SHAPE)
    a_desk.ui.lesionTable.cellDoubleClicked.emit(0, 1)
    a_desk.desktop.process()
    for view in ("Red", "Green", "Yellow"):
        node = a_desk.desktop.view(view).node
        normal = [node.GetSliceToRAS().GetElement(row, 2) for row in range(3)]
        centre = [node.GetSliceToRAS().GetElement(row, 3) for row in range(3)]
        assert np.dot(normal, a_desk.ras(hottest)) == pytest.approx(np.dot(normal, centre), abs=0.01)


def test_the_kind_of_a_lesion_is_written_into_its_segment(a_desk):
    a_desk.press("A")
    a_desk.click(MIDDLE)
    selector = a_desk.ui.terminologySelector
    assert selector.currentText == "Lesion"
    index = selector.findText("Lymph node")
    selector.setCurrentIndex(index)
    selector.activated.emit(index)
    a_desk.desktop.process()
    assert a_desk.editor.rows[0].terminology.type.value == "59441001"  # SNOMED CT: lymph node
    a_desk.press("Q")
    assert selector.currentText == "Lesion"


def test_unsure_places_are_shown_and_hidden(a_desk):
    a_desk.press("A")
    a_desk.click(MIDDLE)
    a_desk.press("U")
    assert a_desk.ui.uncertaintyButton.checked
    composite = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")[0]
    assert composite.GetForegroundVolumeID()
    a_desk.press("U")
    assert not a_desk.ui.uncertaintyButton.checked
    assert not composite.GetForegroundVolumeID()


def test_the_key_for_the_least_sure_place_shows_it_in_all_slices(a_desk):
    a_desk.press("A")
    a_desk.click(MIDDLE)
    (row,) = a_desk.editor.rows
    left, posterior, superior = row.hint.lps_mm
    a_desk.press("W")
    for name in ("Red", "Green", "Yellow"):
        x, y, away = a_desk.desktop.view(name).pixel((-left, -posterior, superior))
        view = a_desk.desktop.view(name).view
        assert (x, y) == pytest.approx((view.width / 2, view.height / 2), abs=2)
        assert away == pytest.approx(0, abs=0.1)
    assert "W" in a_desk.ui.hintLabel.text


def test_the_overlap_rule_and_unsure_places_after_a_saved_scene_was_opened(a_desk, tmp_path):
    a_desk.press("A")
    a_desk.click(MIDDLE)
    a_desk.ui.overlapSelector.setCurrentIndex(2)
    a_desk.desktop.saveScene(tmp_path / "saved.mrb")
    a_desk.desktop.closeScene()
    a_desk.editor.overlap = "keep"
    a_desk.desktop.openScene(tmp_path / "saved.mrb")
    a_desk.desktop.process()
    assert (a_desk.editor.overlap, a_desk.ui.overlapSelector.currentIndex) == ("lock", 2)
    a_desk.desktop.wait_until(lambda: a_desk.ui.uncertaintyButton.enabled)  # once it is measured
    a_desk.press("U")
    assert "after its next click" in a_desk.ui.hintLabel.text


def test_lesions_are_surfaces_in_3d_until_that_is_switched_off(a_desk):
    a_desk.press("A")
    a_desk.click(MIDDLE)
    segmentation = a_desk.editor.segmentationNode.GetSegmentation()
    assert segmentation.ContainsRepresentation("Closed surface")
    a_desk.desktop.press_button(a_desk.ui.surfaceButton)
    assert not segmentation.ContainsRepresentation("Closed surface")


def frames_once_still(desk, view):
    """How often the view was drawn, once nothing draws it any more."""
    drawn = None
    while drawn != view.frames:
        drawn = view.frames
        desk.desktop.process(400)
    return drawn


@pytest.mark.parametrize("isSurfaceShown", [False, True])
def test_slices_are_drawn_when_an_answer_comes_though_nobody_moves_the_mouse(a_desk, isSurfaceShown):
    a_desk.press("A")
    if a_desk.ui.surfaceButton.checked != isSurfaceShown:
        a_desk.desktop.press_button(a_desk.ui.surfaceButton)
    a_desk.click(MIDDLE)
    a_desk.engine.isHeld = True
    view = a_desk.desktop.view("Red")
    view.click(a_desk.ras(ASIDE))
    drawn = frames_once_still(a_desk, view)
    a_desk.engine.isHeld = False
    a_desk.desktop.wait_until(lambda: view.frames > drawn)


def test_a_click_outside_the_volume_is_refused_with_a_word_that_goes_with_the_next_click(a_desk):
    a_desk.press("A")
    a_desk.desktop.view("Red").click(a_desk.ras(MIDDLE))
    a_desk.wait()
    outside = 1.1 * a_desk.ras((11, 13, 0)) - 0.1 * a_desk.ras((11, 13, 29))
    a_desk.desktop.view("Red").click(outside)
    a_desk.wait()
    assert a_desk.editor.rows[0].clicks == 1
    assert "outside" in a_desk.ui.hintLabel.text
    a_desk.click(LOWER)
    assert "outside" not in a_desk.ui.hintLabel.text


def test_a_volume_without_units_asks_for_them(a_slicer, engines):
    desk = PanelDesk(a_slicer, engines, volume=False)
    desk.volume = a_pet(a_slicer.scene, suv=None)
    desk.ui.volumeSelector.setCurrentNode(desk.volume)
    a_slicer.process()
    assert desk.ui.unitsFrame.isVisible()
    assert "units" in desk.ui.unitsMessage.text
    assert desk.ui.hardenButton.isVisible() is False
    assert desk.ui.addButton.enabled is False
    assert desk.volume.GetDisplayNode().GetWindowLevelMax() != 10  # a window of SUV would say nothing
    desk.ui.kindSelector.setCurrentIndex(2)
    a_slicer.process()
    assert desk.volume.GetDisplayNode().GetWindowLevelMax() == 10
    assert desk.ui.unitsFrame.isVisible() is False
    desk.press("A")
    desk.click(MIDDLE)
    assert desk.editor.rows[0].measures.kind == "lbm"


def test_a_volume_under_a_bent_transform_is_refused_and_hardened_on_wish(a_desk):
    transform = put_under_nonlinear(a_desk.desktop.scene, a_desk.volume)
    a_desk.ui.volumeSelector.setCurrentNode(None)
    a_desk.ui.volumeSelector.setCurrentNode(a_desk.volume)
    a_desk.desktop.process()
    assert "arden" in a_desk.ui.unitsMessage.text
    assert a_desk.editor.volumeNode is None
    assert a_desk.ui.kindSelector.isVisible() is False
    a_desk.desktop.press_button(a_desk.ui.hardenButton)
    assert a_desk.volume.GetParentTransformNode() is None
    assert a_desk.ui.unitsFrame.isVisible() is False
    assert a_desk.editor.volumeNode is a_desk.volume
    a_desk.desktop.scene.RemoveNode(transform)


def test_a_refused_volume_is_tried_again_once_its_transform_is_gone(a_desk):
    put_under_nonlinear(a_desk.desktop.scene, a_desk.volume)
    a_desk.ui.volumeSelector.setCurrentNode(None)
    a_desk.ui.volumeSelector.setCurrentNode(a_desk.volume)
    assert a_desk.editor.volumeNode is None
    a_desk.volume.SetAndObserveTransformNodeID(None)
    a_desk.desktop.wait_until(lambda: a_desk.editor.volumeNode is a_desk.volume)
    assert a_desk.ui.unitsFrame.isVisible() is False


def test_a_box_is_a_prompt(a_desk):
    roi = a_desk.desktop.scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "Box")
    roi.SetCenter(*a_desk.ras(MIDDLE))
    roi.SetSize(24, 24, 24)
    a_desk.ui.roiSelector.setCurrentNode(roi)
    a_desk.wait()
    assert a_desk.editor.rows[0].clicks == 1
    a_desk.press("Q")
    assert a_desk.ui.roiSelector.currentNode() is None
    assert a_desk.editor.rows[0].clicks == 1


def test_an_existing_segment_is_a_prompt(a_desk):
    ball = sphere(MATRIX, centre_lps=a_desk.ras(MIDDLE) * [-1, -1, 1], radius_mm=8.0, shape_kji=SHAPE)
    node, _ids = add_segmentation(a_desk.desktop.scene, a_desk.volume, [ball])
    a_desk.ui.promptsButton.collapsed = False
    a_desk.ui.seedSegmentationSelector.setCurrentNode(node)
    a_desk.desktop.process()
    assert a_desk.ui.seedSegmentSelector.currentText == "Segment 0"
    a_desk.desktop.press_button(a_desk.ui.seedButton)
    a_desk.wait()
    assert a_desk.editor.rows[0].clicks == 1


def test_what_happens_to_other_segments_is_passed_on(a_desk):
    rules = []
    for index in range(3):
        a_desk.ui.overlapSelector.setCurrentIndex(index)
        rules.append(a_desk.editor.overlap)
    assert rules == ["keep", "overwrite", "lock"]


def test_the_place_under_the_cursor_is_prepared_only_while_placing_and_wished(a_desk):
    view, prepared = a_desk.desktop.view("Red"), a_desk.engine.prepared
    view.moveTo(a_desk.ras(LOWER))
    a_desk.desktop.process(80)
    assert prepared == []
    a_desk.press("A")
    view.moveTo(a_desk.ras(LOWER))
    view.moveTo(a_desk.ras(MIDDLE))
    a_desk.desktop.process(80)
    np.testing.assert_allclose(prepared[-1], a_desk.ras(MIDDLE) * [-1, -1, 1], atol=2.0)
    a_desk.settings._ui.prepareBox.setChecked(False)
    count = len(prepared)
    view.moveTo(a_desk.ras(ASIDE))
    a_desk.desktop.process(80)
    assert len(prepared) == count
