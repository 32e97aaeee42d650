"""The editor in a scene that is deleted from, closed, saved and loaded, and with an engine that fails."""

import csv

import numpy as np
import pytest
import slicer
from lesion_scene import Desk, a_pet
from mrml_nodes import GEOMETRIES, geometry, put_under

from SegAnyPETLib.data.segment import LYMPH_NODE
from SegAnyPETLib.errors import DeviceError
from SegAnyPETLib.worker.events import EngineDied, EngineReady, LesionPredicted

TILT = geometry(degrees=(11, 23, -5), spacing=(1, 1, 1), origin=(12.0, -7.0, 3.0))
FIDUCIALS = "vtkMRMLMarkupsFiducialNode"


@pytest.fixture
def a_scene_that_loads(a_scene):
    """A scene that can read a saved one: the application has its cache, for which a logic asks."""
    remote = slicer.vtkMRMLRemoteIOLogic()
    remote.SetMRMLScene(a_scene)
    return a_scene


def all_nodes(scene):
    return {scene.GetNthNode(n).GetID() for n in range(scene.GetNumberOfNodes())}


def save(scene, folder):
    """Write the scene with all its data into a folder, as Slicer's Save does; returns the .mrml file."""
    for n in range(scene.GetNumberOfNodesByClass("vtkMRMLStorableNode")):
        node = scene.GetNthNodeByClass(n, "vtkMRMLStorableNode")
        if not node.GetSaveWithScene() or node.IsA("vtkMRMLColorNode"):
            continue
        if node.GetStorageNode() is None:
            node.AddDefaultStorageNode()
        if node.GetStorageNode() is None:
            continue
        ending = node.GetStorageNode().GetDefaultWriteFileExtension()
        node.GetStorageNode().SetFileName(str(folder / f"{node.GetID()}.{ending}"))
        assert node.GetStorageNode().WriteData(node), node.GetID()
    file = folder / "scene.mrml"
    scene.SetURL(str(file))
    scene.SetRootDirectory(str(folder))
    assert scene.Commit(str(file))
    return file


def load(scene, file):
    scene.SetURL(str(file))
    scene.SetRootDirectory(str(file.parent))
    assert scene.Import()


def test_a_deleted_segment_takes_its_lesion_along_and_undo_brings_it_back(a_desk):
    a_desk.click((8, 10, 10))
    a_desk.click((12, 15, 18))
    mask, segmentID = a_desk.segment(), a_desk.editor.selectedLesion
    a_desk.editor.segmentationNode.GetSegmentation().RemoveSegment(segmentID)
    assert a_desk.editor.rows == ()
    a_desk.editor.selectLesion(None)
    assert a_desk.scene.GetNumberOfNodesByClass(FIDUCIALS) == 0
    a_desk.editor.undo()
    np.testing.assert_array_equal(a_desk.segment(segmentID), mask)
    assert a_desk.row(segmentID).clicks == 2


def test_a_panel_hears_of_a_deleted_segmentation_at_the_next_tick(a_desk):
    a_desk.click((8, 10, 10))
    told = []
    a_desk.editor.addListener(lambda: told.append(a_desk.editor.rows))
    a_desk.scene.RemoveNode(a_desk.editor.segmentationNode)
    a_desk.editor.tick()
    assert told[-1:] == [()]


def test_a_deleted_segmentation_takes_all_lesions_along_and_the_next_click_makes_another(a_desk):
    a_desk.click((8, 10, 10))
    a_desk.scene.RemoveNode(a_desk.editor.segmentationNode)
    a_desk.editor.tick()
    assert a_desk.editor.rows == ()
    assert a_desk.editor.burden.lesions == 0
    assert not a_desk.editor.canUndo
    assert a_desk.scene.GetNumberOfNodesByClass(FIDUCIALS) == 0
    a_desk.click((12, 15, 18))
    assert a_desk.segment()[12, 15, 18]


def test_a_deleted_list_of_points_takes_its_clicks_along_and_undo_brings_them_back(a_desk):
    a_desk.click((8, 10, 10))
    a_desk.click((8, 10, 14), positive=False)
    mask = a_desk.segment()
    a_desk.scene.RemoveNode(a_desk.editor.negativeNode)
    a_desk.editor.tick()
    a_desk.editor.tick()
    assert a_desk.row().clicks == 1
    assert a_desk.editor.negativeNode.GetScene() is a_desk.scene
    a_desk.editor.undo()
    np.testing.assert_array_equal(a_desk.segment(), mask)
    assert a_desk.editor.negativeNode.GetNumberOfControlPoints() == 1


def test_a_deleted_volume_leaves_its_segments_and_no_node_of_ours(a_scene, a_desk):
    a_desk.click((8, 10, 10))
    a_desk.editor.startPlacing(positive=True)
    segmentation, displayOfVolume = a_desk.editor.segmentationNode, a_desk.volume.GetDisplayNode()
    a_desk.editor.showUncertainty(True)
    a_desk.editor.tick()
    a_scene.RemoveNode(a_desk.volume)
    a_desk.editor.tick()
    assert a_desk.editor.volumeNode is None
    assert a_desk.editor.rows == ()
    assert a_desk.editor.placing is None
    assert segmentation.GetSegmentation().GetNumberOfSegments() == 1
    left = [a_scene.GetNodeByID(nodeID) for nodeID in all_nodes(a_scene)]
    assert not [node for node in left if node.IsA("vtkMRMLMarkupsNode") or node.IsA("vtkMRMLMarkupsDisplayNode")]
    assert [node for node in left if node.IsA("vtkMRMLScalarVolumeDisplayNode")] in ([], [displayOfVolume])


def test_the_answer_for_a_lesion_that_is_gone_is_dropped(a_desk):
    a_desk.engine.isHeld = True
    a_desk.click((8, 10, 10))
    a_desk.editor.removeLesion(a_desk.editor.selectedLesion)
    assert a_desk.engine.forgotten
    a_desk.engine.isHeld = False
    a_desk.editor.tick()
    assert a_desk.editor.rows == ()


def test_an_answer_that_was_overtaken_is_dropped(a_desk):
    a_desk.click((8, 10, 10))
    first = a_desk.segment()
    (key,) = a_desk.engine.prompts
    stale = LesionPredicted(key, 0, None, None, None, 0.0, None, None, (), 0.0)
    a_desk.engine.events.append(stale)
    a_desk.editor.tick()
    np.testing.assert_array_equal(a_desk.segment(), first)


def test_closing_the_scene_leaves_an_editor_that_goes_on(a_scene, rng, a_desk):
    a_desk.click((8, 10, 10))
    a_desk.editor.startPlacing(positive=True)
    a_scene.Clear(0)
    a_desk.editor.tick()
    assert a_desk.editor.volumeNode is None
    assert a_desk.editor.rows == ()
    a_desk.volume = a_pet(a_scene, rng)
    a_desk.editor.setVolume(a_desk.volume)
    a_desk.click((8, 10, 10))
    assert a_desk.segment()[8, 10, 10]


def models_in(table):
    with table.open(encoding="utf-8") as stream:
        return [line["model"] for line in csv.DictReader(stream)]


def test_a_saved_scene_comes_back_and_work_goes_on(a_scene_that_loads, rng, tmp_path):
    scene = a_scene_that_loads
    volume = a_pet(scene, rng)
    put_under(scene, volume, TILT)
    desk = Desk(volume)
    desk.engine.events.append(EngineReady("lite", "cpu", "0", 1.0))
    desk.click((8, 10, 10))
    desk.click((9, 11, 13), positive=False)
    desk.click((12, 15, 18))
    desk.editor.renameLesion(desk.editor.selectedLesion, "Hilum")
    desk.editor.setLesionTerminology(desk.editor.selectedLesion, LYMPH_NODE)
    desk.editor.addLesion()
    roi = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "Box")
    roi.CreateDefaultDisplayNodes()
    roi.SetCenter(desk.ras((14, 17, 22)))
    roi.SetSize(24, 24, 24)
    desk.editor.setBox(roi)
    desk.editor.tick()
    rows, prompts = desk.editor.rows, dict(desk.engine.prompts)
    masks = [desk.segment(row.segmentID) for row in rows]
    file = save(scene, tmp_path)
    desk.editor.close()
    scene.Clear(0)

    desk = Desk(None, scene=scene)
    load(scene, file)
    desk.volume = desk.editor.volumeNode
    assert desk.volume is not None
    assert desk.editor.parameterNode.GetParameter("model") == "lite"
    assert [(row.name, row.terminology, row.clicks) for row in desk.editor.rows] == [
        (row.name, row.terminology, row.clicks) for row in rows
    ]
    for row, mask in zip(rows, masks, strict=True):
        np.testing.assert_array_equal(desk.segment(row.segmentID), mask)
    assert desk.engine.predicted == 0
    assert models_in(desk.editor.exportTable(tmp_path / "table.csv")) == ["lite", "lite"]
    for _ in range(4):
        desk.editor.tick()
    assert desk.editor.burden.mtv_ml == pytest.approx((masks[0] | masks[1]).sum() * 2.0 * 2.5 * 3.7 / 1000)
    desk.editor.selectLesion(rows[0].segmentID)
    desk.click((12, 14, 17))
    given = desk.prompts
    assert [p.positive for p in given] == [True, False, True, True]
    (before,) = [p for p in prompts.values() if len(p) == 3]
    for now, then in zip(given, before, strict=False):
        np.testing.assert_allclose(now.lps_mm, then.lps_mm, atol=1e-3)  # markups are saved with few digits
    desk.editor.selectLesion(rows[1].segmentID)
    desk.click((14, 17, 22))
    assert desk.signs() == ["Box", True]
    desk.editor.close()


def test_seeds_and_painted_voxels_are_saved_too(a_scene_that_loads, rng, tmp_path):
    scene = a_scene_that_loads
    desk = Desk(a_pet(scene, rng))
    desk.click((8, 10, 10))
    painted = desk.segment()
    painted[16:19, 20:23, 20:25] = True
    slicer.util.updateSegmentBinaryLabelmapFromArray(
        painted.astype(np.uint8), desk.editor.segmentationNode, desk.editor.selectedLesion, desk.volume
    )
    desk.click((9, 11, 12))  # the painting is now a seed
    second = desk.segment()
    second[2:4, 2:4, 2:4] = True
    slicer.util.updateSegmentBinaryLabelmapFromArray(
        second.astype(np.uint8), desk.editor.segmentationNode, desk.editor.selectedLesion, desk.volume
    )
    desk.editor.selectLesion(desk.editor.selectedLesion)
    file = save(scene, tmp_path)
    scene.Clear(0)
    load(scene, file)
    desk.volume = desk.editor.volumeNode
    desk.editor.selectLesion(desk.editor.rows[0].segmentID)
    np.testing.assert_array_equal(desk.segment(), second)
    assert models_in(desk.editor.exportTable(tmp_path / "table.csv")) == ["edited by hand"]
    desk.click((10, 12, 14))
    assert desk.signs() == [True, "SeedMask", True, "SeedMask", True]
    np.testing.assert_array_equal(desk.prompts[1].mask, painted)
    np.testing.assert_array_equal(desk.prompts[3].mask, second)
    desk.editor.close()


def test_a_scene_loaded_beside_the_present_one_brings_its_lesions_and_takes_none(a_scene_that_loads, rng, tmp_path):
    scene = a_scene_that_loads
    first = Desk(a_pet(scene, rng, name="first PET"))
    first.click((8, 10, 10))
    mask = first.segment()
    file = save(scene, tmp_path)
    scene.Clear(0)
    first.editor.tick()
    second = a_pet(scene, rng, name="second PET", matrix=GEOMETRIES["sagittal"])
    first.volume = second
    first.editor.setVolume(second)
    first.click((5, 6, 7))
    kept = first.segment()
    load(scene, file)
    loaded = scene.GetFirstNodeByName("first PET")
    first.editor.setVolume(second)
    np.testing.assert_array_equal(first.segment(first.editor.rows[0].segmentID), kept)
    first.editor.setVolume(loaded)
    first.volume = loaded
    assert [row.clicks for row in first.editor.rows] == [1]
    np.testing.assert_array_equal(first.segment(first.editor.rows[0].segmentID), mask)
    first.editor.close()


def test_a_record_that_cannot_be_read_is_left_out(a_desk):
    a_desk.click((8, 10, 10))
    (key,) = a_desk.engine.prompts
    a_desk.editor.parameterNode.SetParameter(f"lesion.{key}", "{broken")
    again = Desk(a_desk.volume)
    assert again.editor.rows == ()
    again.editor.close()


def test_a_refusal_is_shown_with_its_reason_and_can_be_asked_again(a_desk):
    a_desk.engine.fails_with = DeviceError("Out of memory. Choose the CPU.")
    a_desk.click((8, 10, 10))
    assert (a_desk.row().state, a_desk.row().message) == ("failed", "Out of memory. Choose the CPU.")
    a_desk.engine.fails_with = None
    a_desk.editor.retry()
    a_desk.editor.tick()
    assert (a_desk.row().state, a_desk.row().message) == ("ready", "")
    assert a_desk.segment()[8, 10, 10]


def test_cancelling_leaves_the_mask_and_says_so(a_desk):
    a_desk.click((8, 10, 10))
    first = a_desk.segment()
    a_desk.engine.isHeld = True
    a_desk.click((12, 15, 18))
    a_desk.engine.cancel()
    a_desk.engine.isHeld = False
    a_desk.editor.tick()
    assert a_desk.row().state == "failed"
    assert "Stopped" in a_desk.row().message
    np.testing.assert_array_equal(a_desk.segment(), first)
    a_desk.editor.undo()
    assert a_desk.row().state == "ready"


def test_an_engine_that_died_for_good_fails_what_was_awaited_and_another_one_goes_on(a_desk):
    a_desk.click((8, 10, 10))
    a_desk.engine.isHeld = True
    a_desk.click((12, 15, 18))
    a_desk.engine._waiting.clear()
    a_desk.engine.isHeld = False
    a_desk.engine.events.append(EngineDied("killed", restarting=True))
    a_desk.editor.tick()
    assert (a_desk.row().state, a_desk.editor.message) == ("working", "killed")
    a_desk.engine.events.append(EngineDied("killed three times", restarting=False))
    a_desk.editor.tick()
    assert (a_desk.row().state, a_desk.row().message) == ("failed", "killed three times")
    other = Desk(a_desk.volume).engine
    a_desk.editor.setEngine(other)
    a_desk.editor.tick()
    assert a_desk.row().state == "ready"
    np.testing.assert_array_equal(a_desk.segment(), other.mask_of(list(other.prompts.values())[-1]))


def test_a_closed_editor_observes_nothing_and_leaves_the_nodes(a_scene, a_desk):
    a_desk.click((8, 10, 10))
    mask, node, nodes = a_desk.segment(), a_desk.editor.segmentationNode, all_nodes(a_scene)
    segmentID, points = a_desk.editor.selectedLesion, a_desk.editor.positiveNode
    a_desk.editor.close()
    assert all_nodes(a_scene) == nodes
    points.RemoveAllControlPoints()
    predicted = a_desk.engine.predicted
    a_desk.editor.tick()
    assert a_desk.engine.predicted == predicted
    assert slicer.util.arrayFromSegmentBinaryLabelmap(node, segmentID, a_desk.volume).astype(bool).sum() == mask.sum()


def test_a_listener_hears_of_every_change_until_it_leaves(a_desk):
    heard = []
    leave = a_desk.editor.addListener(lambda: heard.append(a_desk.editor.rows))
    a_desk.click((8, 10, 10))
    assert heard[-1][0].state == "ready"
    count = len(heard)
    a_desk.editor.tick()
    assert len(heard) == count  # nothing happened
    leave()
    leave()
    a_desk.click((12, 15, 18))
    assert len(heard) == count
