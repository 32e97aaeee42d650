"""Slicer's own results are what the fast ways are held against."""

import numpy as np
import pytest
import slicer
import vtk
from lesion_scene import Desk, a_pet
from mrml_nodes import read_segment
from vtk.util.numpy_support import vtk_to_numpy

from SegAnyPETLib.mrml.segment_updates import surfaceName


@pytest.fixture
def a_desk(a_scene, rng):
    desk = Desk(a_pet(a_scene, rng))
    yield desk
    desk.editor.close()


def surface(desk, segment_id):
    """Points of the surface Slicer now holds."""
    polydata = desk.editor.segmentationNode.GetSegmentation().GetSegment(segment_id).GetRepresentation(surfaceName())
    return None if polydata is None else polydata.GetNumberOfPoints() and vtk_to_numpy(polydata.GetPoints().GetData())


def surface_by_slicer(desk, segment_id):
    """Points of the surface Slicer makes of the segment's voxels, in a segmentation of its own, as smooth as ours."""
    copy = desk.scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    copy.GetSegmentation().CopyConversionParameters(desk.editor.segmentationNode.GetSegmentation())
    copy.GetSegmentation().CopySegmentFromSegmentation(desk.editor.segmentationNode.GetSegmentation(), segment_id)
    copy.GetSegmentation().GetSegment(segment_id).RemoveRepresentation(surfaceName())
    assert copy.CreateClosedSurfaceRepresentation()
    polydata = copy.GetSegmentation().GetSegment(segment_id).GetRepresentation(surfaceName())
    points = vtk_to_numpy(polydata.GetPoints().GetData()).copy()
    desk.scene.RemoveNode(copy)
    return points


def sorted_rows(points):
    return points[np.lexsort(points.T)]


def test_surfaces_follow_at_a_later_tick_and_are_those_slicer_makes(a_desk):
    a_desk.click((10, 12, 12))
    first = a_desk.editor.selectedLesion
    a_desk.editor.segmentationNode.CreateClosedSurfaceRepresentation()
    before = surface(a_desk, first).copy()
    a_desk.editor.addPoint(a_desk.ras((10, 14, 19)), positive=True)
    a_desk.editor.tick()  # the answer comes: the voxels change, the surface stays
    np.testing.assert_array_equal(surface(a_desk, first), before)
    for _ in range(3):
        a_desk.editor.tick()
    after = surface(a_desk, first)
    assert len(after) > len(before)
    np.testing.assert_allclose(
        sorted_rows(after), sorted_rows(surface_by_slicer(a_desk, first)), atol=1e-3
    )  # Slicer keeps them in single precision


def test_a_new_lesion_has_a_surface_of_its_own_and_leaves_the_others_alone(a_desk):
    a_desk.click((10, 12, 12))
    first = a_desk.editor.selectedLesion
    a_desk.editor.segmentationNode.CreateClosedSurfaceRepresentation()
    a_desk.editor.tick()
    before = surface(a_desk, first).copy()
    second = a_desk.editor.addLesion()
    assert surface(a_desk, second) == 0
    np.testing.assert_array_equal(surface(a_desk, first), before)
    a_desk.click((16, 20, 24))
    for _ in range(3):
        a_desk.editor.tick()
    np.testing.assert_allclose(
        sorted_rows(surface(a_desk, second)), sorted_rows(surface_by_slicer(a_desk, second)), atol=1e-3
    )
    a_desk.editor.undo()
    for _ in range(3):
        a_desk.editor.tick()
    assert surface(a_desk, second) == 0


def test_nobody_hears_of_a_segment_whose_surface_is_missing(a_desk):
    """A 3D view that does makes them all anew, each from the whole layer: seconds in a large volume."""
    missing = []

    def look(node, _event):
        segmentation = node.GetSegmentation()
        ids = segmentation.GetSegmentIDs()
        missing.append([each for each in ids if segmentation.GetSegment(each).GetRepresentation(surfaceName()) is None])

    a_desk.click((10, 12, 12))
    a_desk.editor.addLesion()
    a_desk.click((16, 20, 24))
    a_desk.editor.showSurfaces(True)
    node, events = a_desk.editor.segmentationNode, slicer.vtkSegmentation
    heard = (events.SegmentAdded, events.SegmentModified, events.RepresentationModified,
             events.SourceRepresentationModified, vtk.vtkCommand.ModifiedEvent)  # fmt: skip
    tags = [node.AddObserver(event, look) for event in heard]
    a_desk.click((16, 21, 26))
    a_desk.editor.addLesion()
    a_desk.click((4, 6, 6))
    a_desk.editor.undo()
    for tag in tags:
        node.RemoveObserver(tag)
    assert len(missing) > 4
    assert missing == [[]] * len(missing)


def test_without_surfaces_none_are_made(a_desk):
    a_desk.click((10, 12, 12))
    for _ in range(3):
        a_desk.editor.tick()
    assert surface(a_desk, a_desk.editor.selectedLesion) is None


def test_lesions_share_one_layer_of_the_volumes_size_until_they_meet(a_desk):
    a_desk.click((5, 6, 6))
    first = a_desk.editor.selectedLesion
    segmentation = a_desk.editor.segmentationNode.GetSegmentation()
    mask = a_desk.segment(first)
    a_desk.editor.addLesion()
    a_desk.click((17, 20, 24))
    assert segmentation.GetNumberOfLayers() == 1
    layer = segmentation.GetLayerDataObject(0, "Binary labelmap")
    assert layer.GetDimensions() == a_desk.volume.GetImageData().GetDimensions()
    a_desk.click((17, 5, 24))
    assert segmentation.GetLayerDataObject(0, "Binary labelmap") is layer
    np.testing.assert_array_equal(a_desk.segment(first), mask)
    a_desk.editor.addLesion()
    a_desk.click((6, 7, 8))  # meets the first
    assert (a_desk.segment() & mask).any()
    np.testing.assert_array_equal(a_desk.segment(), a_desk.engine.mask_of(a_desk.prompts))
    np.testing.assert_array_equal(a_desk.segment(first), mask)
    assert segmentation.GetNumberOfLayers() == 2
    assert np.prod(segmentation.GetLayerDataObject(1, "Binary labelmap").GetDimensions()) < mask.size / 2


def test_a_lesion_that_comes_to_meet_another_leaves_nothing_in_the_shared_layer(a_desk):
    a_desk.click((5, 6, 6))
    first, mask = a_desk.editor.selectedLesion, a_desk.segment()
    a_desk.editor.addLesion()
    a_desk.click((10, 12, 20))
    alone = a_desk.segment()
    a_desk.click((6, 8, 9))
    np.testing.assert_array_equal(a_desk.segment(), a_desk.engine.mask_of(a_desk.prompts))
    np.testing.assert_array_equal(a_desk.segment(first), mask)
    layer = a_desk.editor.segmentationNode.GetSegmentation().GetLayerDataObject(0, "Binary labelmap")
    assert np.count_nonzero(vtk_to_numpy(layer.GetPointData().GetScalars())) == mask.sum()
    a_desk.editor.undo()
    np.testing.assert_array_equal(a_desk.segment(), alone)


@pytest.mark.parametrize("where", [np.s_[16:19, 20:23, 20:25], np.s_[10:12, 12:14, 12:14]], ids=["beside", "inside"])
@pytest.mark.parametrize("foreign", [False, True], ids=["only lesions", "with an organ"])
def test_a_stroke_in_any_lesion_is_noticed(a_desk, where, foreign):
    a_desk.click((10, 12, 12))
    first = a_desk.editor.selectedLesion
    if foreign:
        a_desk.editor.segmentationNode.GetSegmentation().AddEmptySegment("", "Organ")
    a_desk.editor.addLesion()
    a_desk.click((3, 4, 24))
    before = a_desk.segment(first)
    mask = before.copy()
    mask[where] ^= True
    node = a_desk.editor.segmentationNode
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask.astype(np.uint8), node, first, a_desk.volume)
    a_desk.editor.selectLesion(first)
    a_desk.editor.undo()
    assert a_desk.row(first).clicks == 1
    np.testing.assert_array_equal(read_segment(node, first, a_desk.volume), before)


def test_a_large_mask_is_measured_in_a_thread_and_arrives_at_a_tick(a_desk, monkeypatch):
    from SegAnyPETLib.mrml import measuring

    monkeypatch.setattr(measuring, "AT_ONCE_VOXELS", 10)
    threads = []
    start = measuring.threading.Thread
    monkeypatch.setattr(measuring.threading, "Thread", lambda **given: threads.append(start(**given)) or threads[-1])
    a_desk.click((10, 12, 12))
    mask = a_desk.segment()
    mask[16:19, 20:23, 20:25] = True
    slicer.util.updateSegmentBinaryLabelmapFromArray(
        mask.astype(np.uint8), a_desk.editor.segmentationNode, a_desk.editor.selectedLesion, a_desk.volume
    )
    a_desk.editor.selectLesion(a_desk.editor.selectedLesion)
    a_desk.editor.tick()
    threads[0].join()
    a_desk.editor.tick()
    assert a_desk.row().measures.voxel_count == mask.sum()


def test_an_organ_that_reaches_beyond_the_volume_loses_nothing_when_its_layer_grows(a_scene, rng):
    volume = a_pet(a_scene, rng)
    desk = Desk(volume)
    first = desk.editor.addLesion()
    node = desk.editor.segmentationNode
    organ = node.GetSegmentation().AddEmptySegment("", "Organ")
    larger = slicer.vtkOrientedImageData()
    larger.SetExtent(-6, 8, -4, 10, -5, 3)  # of the same lattice
    larger.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
    vtk_to_numpy(larger.GetPointData().GetScalars())[:] = 1
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    larger.SetGeometryFromImageToWorldMatrix(matrix)
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    assert logic.SetBinaryLabelmapToSegment(larger, node, organ, logic.MODE_REPLACE)
    sharing = []
    node.GetSegmentation().GetSegmentIDsSharingBinaryLabelmapRepresentation(first, sharing, False)
    assert sharing == [organ]
    desk.editor.selectLesion(first)
    desk.click((14, 17, 22))
    layer = node.GetSegmentation().GetSegment(organ).GetRepresentation("Binary labelmap")
    label = node.GetSegmentation().GetSegment(organ).GetLabelValue()
    assert np.count_nonzero(vtk_to_numpy(layer.GetPointData().GetScalars()) == label) == 15 * 15 * 9
    np.testing.assert_array_equal(desk.segment(first), desk.engine.mask_of(desk.prompts))
    desk.editor.close()


def test_surfaces_that_are_asked_for_follow_one_by_one_and_are_those_slicer_makes(a_desk):
    ids = []
    for kji in ((6, 8, 8), (14, 18, 22), (10, 12, 14)):
        ids.append(a_desk.editor.addLesion())
        a_desk.click(kji)
    assert a_desk.editor.showSurfaces(True)
    assert not a_desk.editor.showSurfaces(True)
    assert not a_desk.editor.areSurfacesCurrent
    assert [surface(a_desk, segment_id) for segment_id in ids] == [0, 0, 0]
    for _ in range(4):
        a_desk.editor.tick()
    assert a_desk.editor.areSurfacesCurrent
    for segment_id in ids:
        by_slicer = sorted_rows(surface_by_slicer(a_desk, segment_id))
        np.testing.assert_allclose(sorted_rows(surface(a_desk, segment_id)), by_slicer, atol=1e-3)
    assert a_desk.editor.showSurfaces(False)
    assert surface(a_desk, ids[0]) is None
    assert not a_desk.editor.areSurfacesCurrent


def test_a_segment_that_is_no_lesion_gets_its_surface_from_slicer_at_once(a_desk):
    a_desk.click((10, 12, 12))
    node = a_desk.editor.segmentationNode
    foreign = node.GetSegmentation().AddEmptySegment("", "Liver", (1, 0, 0))
    mask = np.zeros_like(a_desk.segment())
    mask[3:8, 4:9, 18:25] = True
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask.astype(np.uint8), node, foreign, a_desk.volume)
    a_desk.editor.showSurfaces(True)
    assert len(surface(a_desk, foreign)) > 20


def test_a_large_surface_waits_for_a_pause(a_desk, monkeypatch):
    from SegAnyPETLib.mrml import following_editor, lesion_surfaces

    first = a_desk.editor.addLesion()
    a_desk.click((10, 12, 12))
    a_desk.editor.showSurfaces(True)
    monkeypatch.setattr(lesion_surfaces, "LARGE_VOXELS", 10)
    for _ in range(5):
        a_desk.editor.tick()
    assert surface(a_desk, first) == 0
    monkeypatch.setattr(following_editor, "PAUSE_S", 0.0)
    a_desk.editor.tick()
    assert len(surface(a_desk, first)) > 20
