import numpy as np
import pytest
import slicer
from fake_engine import FakeEngine
from lesion_scene import SHAPE, Desk
from mrml_nodes import add_segmentation

from SegAnyPETLib.data.segment import LYMPH_NODE


@pytest.fixture
def slicers_history(a_desk):
    """Slicer's own history of the segmentation, told of our changes as a panel does."""
    a_desk.editor.addLesion()
    history = slicer.vtkSegmentationHistory()
    history.SetMaximumNumberOfStates(200)
    history.SetSegmentation(a_desk.editor.segmentationNode.GetSegmentation())
    a_desk.editor.addBeforeChange(history.SaveState)
    return history


def points_of(desk):
    """Positions and signs in the fiducial nodes."""
    nodes = ((desk.editor.positiveNode, True), (desk.editor.negativeNode, False))
    return {
        (*np.round(node.GetNthControlPointPositionWorld(n), 6), sign)
        for node, sign in nodes
        for n in range(node.GetNumberOfControlPoints())
    }


def paint(desk, box):
    """Paint a box into the selected segment, as the Segment Editor does."""
    mask = desk.segment()
    mask[box] = True
    slicer.util.updateSegmentBinaryLabelmapFromArray(
        mask.astype(np.uint8), desk.editor.segmentationNode, desk.editor.selectedLesion, desk.volume
    )
    return mask


def test_undo_and_redo_restore_mask_points_and_measures_without_the_engine(a_desk):
    seen = []
    for kji, positive in (((8, 10, 10), True), ((12, 15, 18), True), ((9, 12, 14), False)):
        a_desk.click(kji, positive=positive)
        seen.append((a_desk.segment(), points_of(a_desk), a_desk.row().measures))
    predicted = a_desk.engine.predicted
    for mask, points, measures in reversed(seen[:-1]):
        a_desk.editor.undo()
        np.testing.assert_array_equal(a_desk.segment(), mask)
        assert points_of(a_desk) == points
        assert a_desk.row().measures == measures
    a_desk.editor.undo()
    assert not a_desk.segment().any()
    assert not a_desk.editor.canUndo
    a_desk.editor.undo()  # nothing left: nothing happens
    for mask, points, measures in seen:
        a_desk.editor.redo()
        np.testing.assert_array_equal(a_desk.segment(), mask)
        assert points_of(a_desk) == points
        assert a_desk.row().measures == measures
    assert not a_desk.editor.canRedo
    assert a_desk.engine.predicted == predicted


def test_a_hundred_and_twenty_clicks_can_be_undone_and_done_again(a_volume, rng):
    desk = Desk(a_volume, engine=FakeEngine(cube=5))
    seen = []
    for kji in rng.uniform((2, 2, 2), (19, 23, 27), (120, 3)):
        desk.click(kji, positive=bool(rng.random() < 0.8))
        seen.append(desk.row().measures)
    final = desk.segment()
    for left in reversed(range(120)):
        desk.editor.undo()
        assert desk.row().clicks == left
        assert desk.row().measures == (seen[left - 1] if left else None)
    assert not desk.segment().any()
    for _ in seen:
        desk.editor.redo()
    np.testing.assert_array_equal(desk.segment(), final)
    assert desk.engine.predicted == 120
    desk.editor.close()


def test_a_new_click_after_undo_forgets_what_was_undone(a_desk):
    a_desk.click((8, 10, 10))
    a_desk.click((12, 15, 18))
    a_desk.editor.undo()
    a_desk.click((14, 14, 14))
    assert not a_desk.editor.canRedo
    np.testing.assert_array_equal(a_desk.segment(), a_desk.engine.mask_of(a_desk.prompts))


def test_an_undo_while_an_answer_is_awaited_drops_that_answer(a_desk):
    a_desk.click((8, 10, 10))
    first = a_desk.segment()
    a_desk.engine.isHeld = True
    a_desk.click((12, 15, 18))
    a_desk.editor.undo()
    a_desk.engine.isHeld = False
    a_desk.editor.tick()
    np.testing.assert_array_equal(a_desk.segment(), first)
    assert a_desk.row().state == "ready"
    a_desk.editor.redo()  # its answer never came: it is asked for again
    assert a_desk.row().state == "working"
    a_desk.editor.tick()
    np.testing.assert_array_equal(a_desk.segment(), a_desk.engine.mask_of(a_desk.prompts))


def test_the_history_runs_over_all_lesions_and_selects_the_one_it_changes(a_desk):
    a_desk.click((8, 10, 10))
    first = a_desk.editor.selectedLesion
    second = a_desk.editor.addLesion()
    a_desk.click((14, 17, 22))
    a_desk.editor.selectLesion(first)
    a_desk.click((6, 8, 9))
    a_desk.editor.undo()
    a_desk.editor.undo()
    assert a_desk.editor.selectedLesion == second
    assert not a_desk.segment(second).any()
    assert a_desk.segment(first).any()


def test_moves_and_deletions_are_steps_of_their_own(a_desk):
    a_desk.click((8, 10, 10))
    a_desk.click((12, 15, 18))
    before = points_of(a_desk)
    a_desk.editor.positiveNode.SetNthControlPointPositionWorld(0, a_desk.ras((6, 6, 6)))
    a_desk.editor.tick()
    moved = points_of(a_desk)
    a_desk.editor.positiveNode.RemoveNthControlPoint(0)
    a_desk.editor.tick()
    assert a_desk.row().clicks == 1
    a_desk.editor.undo()
    assert points_of(a_desk) == moved
    a_desk.editor.undo()
    assert points_of(a_desk) == before
    assert a_desk.signs() == [True]  # the engine was not asked
    a_desk.click((14, 14, 14))
    places = np.array([prompt.lps_mm for prompt in a_desk.prompts]) * [-1, -1, 1]
    expected = [a_desk.ras(kji) for kji in ((8, 10, 10), (12, 15, 18), (14, 14, 14))]
    np.testing.assert_allclose(places, expected, atol=1e-6)  # a point that comes back keeps its place in the order


def test_boxes_and_seeds_are_undone_and_a_deleted_roi_comes_back(a_scene, a_volume, a_desk):
    roi = a_scene.AddNewNodeByClass("vtkMRMLMarkupsROINode")
    roi.SetCenter(a_desk.ras((10, 12, 14)))
    roi.SetSize(30, 32, 34)
    a_desk.editor.setBox(roi)
    a_desk.editor.tick()
    boxed = a_desk.segment()
    node, (segmentID,) = add_segmentation(a_scene, a_volume, [boxed])
    a_desk.editor.useSegmentAsSeed(node, segmentID)
    a_desk.editor.tick()
    assert a_desk.signs() == ["Box", "SeedMask"]
    a_desk.editor.undo()
    np.testing.assert_array_equal(a_desk.segment(), boxed)
    a_scene.RemoveNode(roi)
    a_desk.editor.tick()
    assert not a_desk.segment().any()
    assert a_desk.editor.roiNode is None
    a_desk.editor.undo()
    np.testing.assert_array_equal(a_desk.segment(), boxed)
    assert a_desk.editor.roiNode.GetScene() is a_scene
    np.testing.assert_allclose(a_desk.editor.roiNode.GetSize(), (30, 32, 34))
    np.testing.assert_allclose(a_desk.editor.roiNode.GetCenter(), a_desk.ras((10, 12, 14)), atol=1e-6)
    a_desk.editor.undo()
    assert not a_desk.editor.canUndo


def test_a_removed_lesion_comes_back_with_everything(a_desk):
    a_desk.click((8, 10, 10))
    a_desk.click((12, 15, 18), positive=False)
    segmentID = a_desk.editor.selectedLesion
    a_desk.editor.renameLesion(segmentID, "Hilum")
    a_desk.editor.setLesionTerminology(segmentID, LYMPH_NODE)
    row, mask, points = a_desk.row(), a_desk.segment(), points_of(a_desk)
    a_desk.editor.removeLesion(segmentID)
    assert a_desk.editor.rows == ()
    assert a_desk.editor.segmentationNode.GetSegmentation().GetSegment(segmentID) is None
    a_desk.editor.undo()
    assert a_desk.row() == row
    np.testing.assert_array_equal(a_desk.segment(), mask)
    assert points_of(a_desk) == points
    a_desk.editor.undo()  # and the clicks before the removal are still to be undone
    assert a_desk.row().clicks == 1
    a_desk.editor.redo()
    a_desk.editor.redo()
    assert a_desk.editor.rows == ()


def test_a_painted_stroke_is_a_step_and_the_next_click_continues_from_it(a_desk):
    a_desk.click((8, 10, 10))
    before = a_desk.segment()
    painted = paint(a_desk, np.s_[16:19, 20:23, 20:25])
    a_desk.click((9, 11, 12))
    assert a_desk.signs() == [True, "SeedMask", True]
    np.testing.assert_array_equal(a_desk.prompts[1].mask, painted)
    a_desk.editor.undo()
    np.testing.assert_array_equal(a_desk.segment(), painted)
    a_desk.editor.undo()
    np.testing.assert_array_equal(a_desk.segment(), before)
    a_desk.editor.redo()
    a_desk.editor.redo()
    assert a_desk.row().clicks == 3


def test_a_painted_lesion_is_measured_without_the_engine(a_volume, a_desk):
    a_desk.click((8, 10, 10))
    painted = paint(a_desk, np.s_[16:19, 20:23, 20:25])
    a_desk.editor.selectLesion(a_desk.editor.selectedLesion)
    a_desk.editor.tick()
    values = slicer.util.arrayFromVolume(a_volume)[painted]
    measures = a_desk.row().measures
    assert measures.voxel_count == painted.sum()
    assert measures.suv_mean == pytest.approx(values.mean(dtype=float), rel=1e-6)
    assert a_desk.engine.predicted == 1


def test_local_measures_are_those_of_the_whole_image(a_desk, rng):
    from SegAnyPETLib.mrml.lesion_rows import measureMask
    from SegAnyPETLib.session.packed_mask import PackedMask
    from SegAnyPETLib.suv import compute_measures

    mask = np.zeros(SHAPE, bool)
    mask[0:3, 20:26, 11:14] = rng.random((3, 6, 3)) < 0.6  # at a border, where the sphere of the peak is cut
    measured = measureMask(a_desk.engine.image, PackedMask.of(mask))
    whole = compute_measures(a_desk.engine.image, mask)
    for name in ("suv_max", "suv_mean", "suv_peak", "suv_peak_is_truncated", "mtv_ml", "tlg", "voxel_count"):
        assert getattr(measured, name) == pytest.approx(getattr(whole, name), rel=1e-12)
    np.testing.assert_allclose(measured.suv_peak_lps_mm, whole.suv_peak_lps_mm, atol=1e-9)


def test_slicers_undo_takes_the_click_back_too(a_desk, slicers_history):
    a_desk.click((8, 10, 10))
    first, points = a_desk.segment(), points_of(a_desk)
    a_desk.click((12, 15, 18))
    second, morePoints = a_desk.segment(), points_of(a_desk)
    assert slicers_history.RestorePreviousState()
    np.testing.assert_array_equal(a_desk.segment(), first)
    a_desk.editor.selectLesion(a_desk.editor.selectedLesion)
    assert a_desk.row().clicks == 1
    assert points_of(a_desk) == points
    assert a_desk.editor.canRedo
    assert slicers_history.RestoreNextState()
    a_desk.editor.selectLesion(a_desk.editor.selectedLesion)
    assert points_of(a_desk) == morePoints
    np.testing.assert_array_equal(a_desk.segment(), second)
    assert not a_desk.editor.canRedo
    a_desk.editor.undo()
    np.testing.assert_array_equal(a_desk.segment(), first)


def test_slicers_undo_follows_within_ticks_while_nobody_acts(a_desk, slicers_history, monkeypatch):
    from SegAnyPETLib.mrml import scene_watch

    monkeypatch.setattr(scene_watch, "QUIET_S", 0.0)
    a_desk.click((8, 10, 10))
    a_desk.click((12, 15, 18))
    slicers_history.RestorePreviousState()
    a_desk.editor.tick()
    assert a_desk.row().clicks == 1


def test_our_undo_is_a_state_of_slicers_history(a_desk, slicers_history):
    a_desk.click((8, 10, 10))
    a_desk.click((12, 15, 18))
    second = a_desk.segment()
    a_desk.editor.undo()
    slicers_history.RestorePreviousState()  # takes our undo back
    np.testing.assert_array_equal(a_desk.segment(), second)
    a_desk.editor.selectLesion(a_desk.editor.selectedLesion)
    assert a_desk.row().clicks == 2


def test_a_segment_that_slicers_undo_removes_and_redo_brings_back_keeps_its_clicks(a_desk, slicers_history):
    a_desk.click((8, 10, 10))
    slicers_history.SaveState()
    second = a_desk.editor.addLesion()
    a_desk.click((14, 17, 22))
    mask = a_desk.segment(second)
    while a_desk.editor.segmentationNode.GetSegmentation().GetSegment(second) is not None:
        assert slicers_history.RestorePreviousState()
    a_desk.editor.tick()
    a_desk.editor.selectLesion(None)
    assert [row.name for row in a_desk.editor.rows] == ["Lesion 1"]
    while a_desk.editor.segmentationNode.GetSegmentation().GetSegment(second) is None:
        assert slicers_history.RestoreNextState()
    if slicers_history.IsRestoreNextStateAvailable():
        slicers_history.RestoreNextState()
    a_desk.editor.selectLesion(second)
    np.testing.assert_array_equal(a_desk.segment(second), mask)
    assert a_desk.row(second).clicks == 1
