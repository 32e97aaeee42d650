"""Volumes under the editor: transformed, refused, left and come back to, changed, frame of a sequence."""

import numpy as np
import pytest
import slicer
import vtk
from lesion_scene import SHAPE, Desk, a_pet
from mrml_nodes import (
    GEOMETRIES,
    add_volume,
    geometry,
    put_under,
    put_under_nonlinear,
)

from SegAnyPETLib.errors import GeometryError, SUVError

TILT = geometry(degrees=(11, 23, -5), spacing=(1, 1, 1), origin=(12.0, -7.0, 3.0))
TURN = geometry(degrees=(0, 0, 35), spacing=(1, 1, 1), origin=(-3.0, 40.0, 8.0))


def test_a_volume_put_under_a_transform_takes_its_lesions_and_clicks_along(a_scene, a_volume, a_desk):
    a_desk.click((10, 12, 14))
    before = a_desk.segment()
    put_under(a_scene, a_volume, TILT)
    a_desk.click((12, 14, 18))
    assert a_desk.editor.segmentationNode.GetTransformNodeID() == a_volume.GetTransformNodeID()
    np.testing.assert_allclose(
        a_desk.editor.positiveNode.GetNthControlPointPositionWorld(0), a_desk.ras((10, 12, 14)), atol=1e-6
    )
    after = a_desk.segment()
    assert before[10, 12, 14]
    assert after[before].mean() > 0.9  # the first ball is where it was in the volume
    np.testing.assert_array_equal(after, a_desk.engine.mask_of(a_desk.prompts))


def test_hardening_a_transform_moves_nothing(a_scene, rng):
    volume = a_pet(a_scene, rng)
    put_under(a_scene, volume, TILT)
    desk = Desk(volume)
    desk.click((10, 12, 14))
    bounds = np.zeros(6)
    desk.editor.segmentationNode.GetRASBounds(bounds)
    volume.HardenTransform()
    desk.click((12, 14, 18))
    desk.editor.undo()
    after = np.zeros(6)
    desk.editor.segmentationNode.GetRASBounds(after)
    np.testing.assert_allclose(after, bounds, atol=1e-6)
    np.testing.assert_array_equal(desk.segment(), desk.engine.mask_of(desk.prompts[:1]))


def test_a_nonlinear_transform_is_refused_with_advice_and_a_placed_click_waits(a_scene, a_volume, a_desk):
    a_desk.click((10, 12, 14))
    place, predicted = a_desk.ras((12, 14, 18)), a_desk.engine.predicted
    transform = put_under_nonlinear(a_scene, a_volume)
    a_desk.editor.positiveNode.AddControlPointWorld(vtk.vtkVector3d(*place))
    a_desk.editor.tick()
    assert "Harden" in a_desk.editor.message
    with pytest.raises(GeometryError, match="Harden"):
        a_desk.editor.addPoint(place, positive=True)
    assert a_desk.engine.predicted == predicted
    a_volume.SetAndObserveTransformNodeID(None)
    a_scene.RemoveNode(transform)
    a_desk.editor.selectLesion(a_desk.editor.selectedLesion)
    a_desk.editor.tick()
    assert a_desk.row().clicks == 2
    np.testing.assert_array_equal(a_desk.segment(), a_desk.engine.mask_of(a_desk.prompts))


def test_a_volume_that_cannot_be_used_is_refused_and_the_present_one_stays(a_scene, a_volume, a_desk):
    a_desk.click((10, 12, 14))
    for volume, error in (
        (add_volume(a_scene, np.full(SHAPE, 2.0, np.float32), name="no units"), SUVError),
        (a_scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty"), GeometryError),
    ):
        with pytest.raises(error):
            a_desk.editor.setVolume(volume)
        assert a_desk.editor.volumeNode is a_volume
    a_desk.click((12, 14, 18))
    assert a_desk.row().clicks == 2


def test_a_volume_without_units_is_taken_in_the_kind_that_was_stated(a_scene, rng):
    volume = a_pet(a_scene, rng, suv=None)
    desk = Desk(a_pet(a_scene, rng))
    desk.editor.setVolume(volume, kind="bsa")
    assert desk.engine.image.kind == "bsa"
    assert desk.editor.burden.suv_unit == "cm2/ml"


def test_each_volume_keeps_its_lesions_and_history(a_scene, rng, a_volume, a_desk):
    a_desk.click((10, 12, 14))
    first, firstNode = a_desk.segment(), a_desk.editor.segmentationNode
    other = a_pet(a_scene, rng, matrix=GEOMETRIES["sagittal"], name="second PET")
    a_desk.editor.setVolume(other)
    assert a_desk.editor.rows == ()
    assert not a_desk.editor.canUndo
    a_desk.click((5, 6, 7))
    assert a_desk.editor.segmentationNode is not firstNode
    a_desk.editor.setVolume(a_volume)
    np.testing.assert_array_equal(a_desk.segment(), first)
    a_desk.editor.undo()
    assert not a_desk.segment().any()


def test_the_answer_for_a_volume_that_was_left_is_dropped_and_asked_anew_on_return(a_scene, rng, a_volume, a_desk):
    a_desk.engine.isHeld = True
    a_desk.click((10, 12, 14))
    a_desk.editor.setVolume(a_pet(a_scene, rng, name="other"))
    a_desk.engine.isHeld = False
    a_desk.editor.tick()
    assert a_desk.editor.rows == ()
    a_desk.editor.setVolume(a_volume)
    a_desk.editor.tick()
    assert a_desk.segment()[10, 12, 14]


def test_the_selected_frame_of_a_sequence_is_what_is_clicked_in(a_scene, rng):
    frames = [np.full(SHAPE, value, np.float32) + 0.1 * rng.random(SHAPE, dtype=np.float32) for value in (1.0, 4.0)]
    logic = slicer.vtkSlicerSequencesLogic()
    logic.SetMRMLScene(a_scene)
    sequence = a_scene.AddNewNodeByClass("vtkMRMLSequenceNode", "dynamic PET")
    for number, values in enumerate(frames):
        sequence.SetDataNodeAtValue(add_volume(a_scene, values, matrix=GEOMETRIES["oblique"], suv="bw"), str(number))
    browser = a_scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", "browser")
    browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
    logic.UpdateAllProxyNodes()
    proxy = browser.GetProxyNode(sequence)
    desk = Desk(proxy, kind="bw")  # Slicer copies the voxels of a frame into the proxy, but not their units
    desk.click((10, 12, 14))
    assert 1.0 < desk.row().measures.suv_mean < 1.2
    browser.SetSelectedItemNumber(1)
    logic.UpdateProxyNodesFromSequences(browser)
    desk.editor.selectLesion(desk.editor.selectedLesion)
    desk.editor.tick()
    assert 4.0 < desk.row().measures.suv_mean < 4.2


def test_changed_voxels_are_measured_anew_and_the_next_click_predicts_on_them(a_volume, a_desk):
    a_desk.click((10, 12, 14))
    mask = a_desk.segment()
    slicer.util.updateVolumeFromArray(a_volume, np.full(SHAPE, 2.0, np.float32))
    a_desk.click((12, 14, 18))
    assert a_desk.engine.images == 2
    assert a_desk.row().measures.suv_max == 2.0
    assert a_desk.segment()[mask].all()
