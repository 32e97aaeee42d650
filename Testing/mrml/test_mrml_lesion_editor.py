"""The editor of lesions: clicks, boxes and seeds in, segments, rows and measures out."""

import numpy as np
import pytest
import slicer
import vtk
from lesion_scene import RADIUS_MM, SHAPE, Desk, a_pet, dice
from mrml_nodes import (
    GEOMETRIES,
    add_segmentation,
    geometry,
    put_under,
    read_segment,
    sphere,
)

from SegAnyPETLib.data.segment import LESION, LYMPH_NODE
from SegAnyPETLib.errors import PromptError, SessionError
from SegAnyPETLib.mrml import gridFromVolumeNode, terminologyFromSegment

TILT = geometry(degrees=(11, 23, -5), spacing=(1, 1, 1), origin=(12.0, -7.0, 3.0))
TURN = geometry(degrees=(0, 0, 35), spacing=(1, 1, 1), origin=(-3.0, 40.0, 8.0))


def roi_around(scene, desk, kji, *, size=(30, 30, 30)):
    node = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode")
    node.SetCenter(desk.ras(kji))
    node.SetSize(size)
    return node


@pytest.mark.parametrize("transforms", [(), (TILT,), (TILT, TURN)], ids=["in the world", "transformed", "nested"])
@pytest.mark.parametrize("name", GEOMETRIES)
def test_a_click_gives_the_analytic_sphere_at_its_world_place(a_scene, rng, name, transforms):
    volume = a_pet(a_scene, rng, matrix=GEOMETRIES[name])
    matrix = put_under(a_scene, volume, *transforms) @ GEOMETRIES[name]
    desk = Desk(volume)
    desk.click((10.2, 12.7, 14.1))
    centre = (matrix @ (14.1, 12.7, 10.2, 1))[:3] * [-1, -1, 1]
    ideal = sphere(matrix, centre_lps=centre, radius_mm=RADIUS_MM, shape_kji=SHAPE)
    assert dice(desk.segment(), ideal) > 0.93
    np.testing.assert_array_equal(desk.segment(), desk.engine.mask_of(desk.prompts))


def test_a_placed_point_is_asked_at_once_and_shown_at_the_tick_that_brings_the_answer(a_desk):
    a_desk.editor.addLesion()
    a_desk.engine.isHeld = True
    a_desk.place((10, 12, 14))
    assert a_desk.row().state == "working"
    assert not a_desk.segment().any()
    a_desk.engine.isHeld = False
    a_desk.editor.tick()
    assert a_desk.row().state == "ready"
    assert a_desk.segment()[10, 12, 14]


def test_points_under_their_own_transform_count_at_their_world_place(a_scene, a_desk):
    a_desk.editor.addLesion()
    put_under(a_scene, a_desk.editor.positiveNode, TILT)
    a_desk.place((10, 12, 14))
    centre = (GEOMETRIES["oblique"] @ (14, 12, 10, 1))[:3] * [-1, -1, 1]
    ideal = sphere(GEOMETRIES["oblique"], centre_lps=centre, radius_mm=RADIUS_MM, shape_kji=SHAPE)
    assert dice(a_desk.segment(), ideal) > 0.93


def test_a_negative_point_takes_away_and_the_segment_is_as_if_written_whole(a_desk):
    a_desk.click((10, 12, 12))
    a_desk.click((11, 13, 17))
    before = a_desk.segment()
    a_desk.click((11, 13, 17), positive=False)
    assert before[11, 13, 17]
    assert not a_desk.segment()[11, 13, 17]
    np.testing.assert_array_equal(a_desk.segment(), a_desk.engine.mask_of(a_desk.prompts))


def test_clicks_in_turn_on_both_lists_keep_their_order(a_desk):
    a_desk.editor.addLesion()
    for kji, positive in (((10, 12, 12), True), ((12, 12, 18), False), ((9, 12, 16), True)):
        a_desk.place(kji, positive=positive, tick=False)
    a_desk.editor.tick()
    assert a_desk.signs() == [True, False, True]
    assert a_desk.engine.predicted == 1  # the newest request replaced those before it
    assert a_desk.row().clicks == 3


@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_moved_point_gives_the_mask_of_clicking_there_at_once(a_volume, which):
    kji = [(8, 10, 10), (12, 15, 18), (10, 9, 20)]
    moved, direct = Desk(a_volume), Desk(a_volume)
    for place in kji:
        moved.click(place)
    moved.editor.positiveNode.SetNthControlPointPositionWorld(which, moved.ras((14, 14, 14)))
    moved.editor.tick()
    kji[which] = (14, 14, 14)
    for place in kji:
        direct.click(place)
    for a, b in zip(moved.prompts, direct.prompts, strict=True):
        np.testing.assert_allclose(a.lps_mm, b.lps_mm, atol=1e-9)
    np.testing.assert_array_equal(moved.segment(), direct.segment())


def test_a_point_that_is_dragged_is_predicted_when_it_is_let_go(a_desk):
    a_desk.click((8, 10, 10))
    node, predicted = a_desk.editor.positiveNode, a_desk.engine.predicted
    node.InvokeEvent(slicer.vtkMRMLMarkupsNode.PointStartInteractionEvent)
    for step in range(4):
        node.SetNthControlPointPositionWorld(0, a_desk.ras((8, 10, 11 + step)))
        a_desk.editor.tick()
    assert a_desk.engine.predicted == predicted
    node.InvokeEvent(slicer.vtkMRMLMarkupsNode.PointEndInteractionEvent)
    a_desk.editor.tick()
    assert a_desk.engine.predicted == predicted + 1
    a_desk.editor.undo()
    np.testing.assert_allclose(node.GetNthControlPointPositionWorld(0), a_desk.ras((8, 10, 10)), atol=1e-9)


def test_a_deleted_point_takes_its_part_of_the_mask_along(a_desk):
    a_desk.click((8, 10, 10))
    first = a_desk.segment()
    a_desk.click((14, 17, 22))
    a_desk.editor.positiveNode.RemoveNthControlPoint(1)
    a_desk.editor.tick()
    np.testing.assert_array_equal(a_desk.segment(), first)


def test_without_points_the_segment_is_empty_without_asking_the_engine(a_desk):
    a_desk.click((8, 10, 10))
    predicted = a_desk.engine.predicted
    a_desk.editor.positiveNode.RemoveAllControlPoints()
    a_desk.editor.tick()
    assert not a_desk.segment().any()
    assert a_desk.engine.predicted == predicted
    assert a_desk.row().state == "empty"


def test_a_point_placed_outside_the_volume_is_taken_back_with_a_word(a_desk):
    a_desk.click((8, 10, 10))
    before = a_desk.segment()
    a_desk.place((8, 10, 31))
    assert a_desk.editor.positiveNode.GetNumberOfControlPoints() == 1
    assert "outside" in a_desk.editor.message
    np.testing.assert_array_equal(a_desk.segment(), before)
    assert a_desk.row().clicks == 1


def test_a_point_dragged_out_of_the_volume_goes_back_to_where_it_was(a_desk):
    a_desk.click((8, 10, 10))
    a_desk.editor.positiveNode.SetNthControlPointPositionWorld(0, a_desk.ras((8, 10, 300)))
    a_desk.editor.tick()
    position = a_desk.editor.positiveNode.GetNthControlPointPositionWorld(0)
    np.testing.assert_allclose(position, a_desk.ras((8, 10, 10)), atol=1e-9)
    assert "outside" in a_desk.editor.message
    assert a_desk.engine.predicted == 1


def test_a_click_by_code_outside_the_volume_is_an_error_and_starts_no_lesion(a_desk):
    with pytest.raises(PromptError, match="outside"):
        a_desk.editor.addPoint(a_desk.ras((8, 10, 31)), positive=True)
    assert a_desk.editor.rows == ()


def test_without_a_volume_a_click_says_what_to_do(a_scene, a_desk):
    a_desk.editor.setVolume(None)
    with pytest.raises(SessionError, match="choose"):
        a_desk.editor.addPoint((0, 0, 0), positive=True)
    assert a_desk.editor.rows == ()


def test_a_roi_is_a_box_and_follows_when_it_is_changed(a_scene, a_desk):
    roi = roi_around(a_scene, a_desk, (10, 12, 14))
    a_desk.editor.setBox(roi)
    a_desk.editor.tick()
    inside = a_desk.segment()
    assert inside.any()
    a_desk.click((10, 12, 14))
    assert a_desk.signs() == ["Box", True]
    low = np.array(a_desk.prompts[0].lps_mm_min)
    roi.SetSize(20, 20, 20)
    a_desk.editor.tick()
    np.testing.assert_allclose(np.array(a_desk.prompts[0].lps_mm_min) - low, (5, 5, 5), atol=1e-9)
    a_desk.editor.setBox(None)
    a_desk.editor.tick()
    assert a_desk.signs() == [True]


def test_a_roi_that_is_not_drawn_yet_waits(a_scene, a_desk):
    roi = a_scene.AddNewNodeByClass("vtkMRMLMarkupsROINode")
    a_desk.editor.setBox(roi)
    a_desk.editor.tick()
    assert a_desk.row().state == "empty"
    roi.SetCenter(a_desk.ras((10, 12, 14)))
    roi.SetSize(30, 30, 30)
    a_desk.editor.tick()
    assert a_desk.segment().any()


def test_an_existing_segment_is_a_seed_and_stays_as_it_was(a_scene, a_volume, a_desk):
    centre = gridFromVolumeNode(a_volume).kji_to_lps((10, 12, 14))
    old = sphere(GEOMETRIES["oblique"], centre_lps=centre, radius_mm=9, shape_kji=SHAPE)
    node, (segmentID,) = add_segmentation(a_scene, a_volume, [old])
    a_desk.editor.useSegmentAsSeed(node, segmentID)
    a_desk.editor.tick()
    ideal = sphere(GEOMETRIES["oblique"], centre_lps=centre, radius_mm=RADIUS_MM, shape_kji=SHAPE)
    assert dice(a_desk.segment(), ideal) > 0.8
    np.testing.assert_array_equal(read_segment(node, segmentID, a_volume), old)


def test_a_segment_that_was_painted_becomes_a_lesion_and_its_first_click_continues_from_it(a_scene, a_volume, a_desk):
    a_desk.click((5, 6, 6))
    painted = np.zeros(SHAPE, bool)
    painted[12:16, 14:18, 18:24] = True
    node = a_desk.editor.segmentationNode
    segmentID = node.GetSegmentation().AddEmptySegment("", "Painted")
    slicer.util.updateSegmentBinaryLabelmapFromArray(painted.astype(np.uint8), node, segmentID, a_volume)
    a_desk.editor.selectLesion(segmentID)
    np.testing.assert_array_equal(a_desk.segment(), painted)
    a_desk.click((13, 15, 20))
    np.testing.assert_array_equal(a_desk.prompts[0].mask, painted)
    assert a_desk.signs() == ["SeedMask", True]


def test_the_next_lesion_has_its_own_nodes_segment_and_colour_and_encodes_nothing_twice(a_desk):
    a_desk.click((10, 12, 14))
    encoded, first, nodes = a_desk.engine.model.encoded, a_desk.segment(), a_desk.editor.positiveNode
    firstID = a_desk.editor.selectedLesion
    secondID = a_desk.editor.addLesion(terminology=LYMPH_NODE)
    a_desk.click((10, 12, 14))
    assert a_desk.engine.model.encoded == encoded
    assert a_desk.editor.selectedLesion == secondID != firstID
    assert a_desk.editor.positiveNode is not nodes
    assert not nodes.GetDisplayNode().GetVisibility()
    np.testing.assert_array_equal(a_desk.segment(firstID), first)
    rows = a_desk.editor.rows
    assert [row.name for row in rows] == ["Lesion 1", "Lesion 2"]
    assert [row.terminology for row in rows] == [LESION, LYMPH_NODE]
    assert rows[0].colorRGB != rows[1].colorRGB


def test_rows_follow_names_given_here_and_in_slicers_own_table(a_desk):
    a_desk.click((10, 12, 14))
    told = []
    a_desk.editor.addListener(lambda: told.append(a_desk.row().name))
    a_desk.editor.renameLesion(a_desk.editor.selectedLesion, "Axilla left")
    segment = a_desk.editor.segmentationNode.GetSegmentation().GetSegment(a_desk.editor.selectedLesion)
    assert segment.GetName() == "Axilla left"
    segment.SetName("Hilum")
    assert told[-1] == "Hilum"
    a_desk.editor.setLesionTerminology(a_desk.editor.selectedLesion, LYMPH_NODE)
    assert terminologyFromSegment(a_desk.editor.segmentationNode, a_desk.editor.selectedLesion) == LYMPH_NODE
    assert a_desk.row().terminology == LYMPH_NODE


def test_measures_and_burden_are_those_of_the_voxels_and_shared_voxels_count_once(a_volume, a_desk):
    a_desk.click((10, 12, 12))
    a_desk.editor.addLesion()
    a_desk.click((10, 13, 15))
    values, voxel_ml = slicer.util.arrayFromVolume(a_volume), 2.0 * 2.5 * 3.7 / 1000
    masks = [a_desk.segment(row.segmentID) for row in a_desk.editor.rows]
    for row, mask in zip(a_desk.editor.rows, masks, strict=True):
        assert row.measures.suv_max == pytest.approx(values[mask].max())
        assert row.measures.suv_mean == pytest.approx(values[mask].mean(dtype=float), rel=1e-6)
        assert row.measures.mtv_ml == pytest.approx(mask.sum() * voxel_ml)
    both = masks[0] | masks[1]
    assert both.sum() < masks[0].sum() + masks[1].sum()
    burden = a_desk.editor.burden
    assert burden.mtv_ml == pytest.approx(both.sum() * voxel_ml)
    assert burden.tlg == pytest.approx(values[both].sum(dtype=float) * voxel_ml, rel=1e-6)
    assert (burden.lesions, burden.suv_unit, burden.tlg_unit) == (2, "g/ml", "g")


def test_only_the_changed_box_of_a_segment_is_rewritten(a_desk, monkeypatch):
    from SegAnyPETLib.mrml import lesion_book

    boxes = []
    write = lesion_book.updateSegment
    monkeypatch.setattr(
        lesion_book, "updateSegment", lambda mask, **given: (boxes.append(given["box"]), write(mask, **given))
    )
    a_desk.click((5, 6, 6))
    before = a_desk.segment()
    a_desk.click((5, 6, 9))
    changed = np.argwhere(before ^ a_desk.segment())
    assert boxes[-1].start_kji == tuple(changed.min(axis=0))
    assert boxes[-1].stop_kji == tuple(changed.max(axis=0) + 1)


def test_a_cursor_in_the_volume_prepares_and_one_outside_does_not(a_desk):
    a_desk.editor.prepare(a_desk.ras((10, 12, 14)))
    a_desk.editor.prepare(a_desk.ras((10, 12, 90)))
    np.testing.assert_allclose(a_desk.engine.prepared, [a_desk.ras((10, 12, 14)) * [-1, -1, 1]])


def test_placing_goes_to_the_selected_lesion_and_follows_it_and_stops(a_scene, a_desk):
    editor = a_desk.editor
    selection = a_scene.GetNodeByID("vtkMRMLSelectionNodeSingleton")
    interaction = a_scene.GetNodeByID("vtkMRMLInteractionNodeSingleton")
    editor.startPlacing(positive=False)
    assert interaction.GetCurrentInteractionMode() == interaction.Place
    assert interaction.GetPlaceModePersistence()
    assert selection.GetActivePlaceNodeID() == editor.negativeNode.GetID()
    assert editor.placing is False
    editor.addLesion()
    assert selection.GetActivePlaceNodeID() == editor.negativeNode.GetID()
    editor.startPlacing(positive=True)
    assert editor.placing is True
    editor.stopPlacing()
    assert interaction.GetCurrentInteractionMode() == interaction.ViewTransform
    assert editor.placing is None


def test_an_unknown_overlap_rule_is_refused(a_desk):
    with pytest.raises(PromptError, match="overwrite, keep, lock"):
        a_desk.editor.overlap = "replace"


def test_control_points_without_a_place_count_for_nothing(a_desk):
    a_desk.click((10, 12, 14))
    node = a_desk.editor.positiveNode
    node.AddControlPoint(vtk.vtkVector3d(0, 0, 0))
    node.UnsetNthControlPointPosition(1)
    a_desk.editor.tick()
    assert a_desk.row().clicks == 1
