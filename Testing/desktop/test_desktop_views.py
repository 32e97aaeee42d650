import numpy as np
import pytest
import slicer
import vtk


@pytest.fixture
def a_volume(a_slicer):
    """An oblique, anisotropic volume off the centre, shown in all slices."""
    node = a_slicer.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "PET")
    slicer.util.updateVolumeFromArray(node, np.random.default_rng(4).random((30, 40, 50), np.float32))
    turn = vtk.vtkTransform()
    turn.Translate(20, -35, 60)
    turn.RotateWXYZ(20, 0.3, 0.5, 0.8)
    turn.Scale(-2, -2.5, 3)
    node.SetIJKToRASMatrix(turn.GetMatrix())
    node.CreateDefaultDisplayNodes()
    a_slicer.showVolume(node)
    return node


def center_of(volume):
    bounds = [0.0] * 6
    volume.GetRASBounds(bounds)
    return np.array([(bounds[0] + bounds[1]) / 2, (bounds[2] + bounds[3]) / 2, (bounds[4] + bounds[5]) / 2])


def start_placing(a_slicer):
    node = a_slicer.scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "points")
    node.CreateDefaultDisplayNodes()
    slicer.modules.markups.logic().SetActiveList(node)
    interaction = a_slicer.app.applicationLogic().GetInteractionNode()
    interaction.SetPlaceModePersistence(1)
    interaction.SetCurrentInteractionMode(interaction.Place)
    return node


def positions(node):
    found = []
    for index in range(node.GetNumberOfControlPoints()):
        if node.GetNthControlPointPositionStatus(index) == node.PositionDefined:
            found.append(node.GetNthControlPointPositionWorld(index))
    return np.array(found)


@pytest.mark.parametrize("name", ["Red", "Green", "Yellow"])
def test_a_click_places_a_point_where_the_mouse_was(a_slicer, a_volume, name):
    points = start_placing(a_slicer)
    wanted = center_of(a_volume) + np.array([7.3, -11.1, 4.9])
    a_slicer.view(name).click(wanted)
    pixel = np.max(np.abs(a_slicer.view(name).node.GetFieldOfView()[:2])) / 300
    np.testing.assert_allclose(positions(points), [wanted], atol=pixel)


def test_a_click_in_an_oblique_slice_lies_in_that_slice(a_slicer, a_volume):
    view, points = a_slicer.view("Red"), start_placing(a_slicer)
    view.node.RotateToVolumePlane(a_volume)
    assert abs(view.node.GetSliceToRAS().GetElement(0, 1)) > 0.05  # not along the axes
    wanted = center_of(a_volume) + np.array([5.0, 9.0, -3.0])
    under_the_mouse = view.click(wanted)
    np.testing.assert_allclose(positions(points), [under_the_mouse], atol=1e-3)
    np.testing.assert_allclose(positions(points), [wanted], atol=1.0)


def test_a_point_is_dragged(a_slicer, a_volume):
    view, points = a_slicer.view("Green"), start_placing(a_slicer)
    start = np.array(view.click(center_of(a_volume)))
    interaction = a_slicer.app.applicationLogic().GetInteractionNode()
    interaction.SetCurrentInteractionMode(interaction.ViewTransform)
    moved = []
    points.AddObserver(slicer.vtkMRMLMarkupsNode.PointEndInteractionEvent, lambda *_: moved.append(1))
    end = view.drag(start, start + np.array([12.0, 0.0, -9.0]))
    np.testing.assert_allclose(positions(points), [end], atol=1.0)
    assert moved == [1]


def test_a_point_under_the_mouse_is_deleted_with_a_key(a_slicer, a_volume):
    view, points = a_slicer.view("Red"), start_placing(a_slicer)
    at = view.click(center_of(a_volume))
    interaction = a_slicer.app.applicationLogic().GetInteractionNode()
    interaction.SetCurrentInteractionMode(interaction.ViewTransform)
    view.moveTo(at)
    view.press("Delete")
    assert len(positions(points)) == 0


def test_the_wheel_turns_the_pages(a_slicer, a_volume):
    view = a_slicer.view("Red")
    before = view.node.GetSliceOffset()
    view.wheel(2)
    step = a_slicer.layoutManager.sliceWidget("Red").sliceLogic().GetLowestVolumeSliceSpacing()[2]
    assert abs(view.node.GetSliceOffset() - before) == pytest.approx(2 * step)
    view.wheel(-2)
    assert view.node.GetSliceOffset() == pytest.approx(before)


def test_the_right_button_zooms(a_slicer, a_volume):
    view, middle = a_slicer.view("Red"), center_of(a_volume)
    before = view.node.GetFieldOfView()[0]
    view.drag(middle, middle + np.array([0, -15, 0]), button="right")
    assert view.node.GetFieldOfView()[0] != pytest.approx(before, rel=0.02)


def test_the_cursor_is_followed_in_world_positions(a_slicer, a_volume):
    crosshair = a_slicer.scene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
    at, found = a_slicer.view("Yellow").moveTo(center_of(a_volume)), [0.0, 0.0, 0.0]
    assert crosshair.GetCursorPositionRAS(found)
    np.testing.assert_allclose(found, at, atol=1e-3)
    a_slicer.view("Yellow").leave()
    assert not crosshair.GetCursorPositionRAS(found)


def test_modifiers_reach_the_view(a_slicer, a_volume):
    held, interactor = [], a_slicer.view("Red").view.interactor()

    def note(caller, _event):
        held.append((caller.GetControlKey(), caller.GetShiftKey(), caller.GetAltKey()))

    tag = interactor.AddObserver("LeftButtonPressEvent", note, 100.0)  # before the view takes it
    for modifiers in (None, "ctrl", "shift", "ctrl+shift", "alt"):
        a_slicer.view("Red").click(center_of(a_volume), modifiers=modifiers)
    interactor.RemoveObserver(tag)
    assert held == [(0, 0, 0), (1, 0, 0), (0, 1, 0), (1, 1, 0), (0, 0, 1)]


def test_a_point_outside_the_view_cannot_be_clicked(a_slicer, a_volume):
    with pytest.raises(AssertionError, match="outside the view"):
        a_slicer.view("Red").click(center_of(a_volume) + np.array([900, 0, 0]))


def test_views_are_drawn_soon_after_something_changed_and_not_else(a_slicer, a_volume):
    view = a_slicer.view("Red")
    a_slicer.render()
    a_slicer.process(40)
    before = view.frames
    a_slicer.process(60)
    assert view.frames == before
    for _ in range(5):
        view.node.SetSliceOffset(view.node.GetSliceOffset() + 0.5)
    a_slicer.process(60)
    assert before < view.frames <= before + 2  # gathered


def test_nothing_is_drawn_while_rendering_is_paused(a_slicer, a_volume):
    view = a_slicer.view("Red")
    a_slicer.render()
    a_slicer.layoutManager.pauseRender()
    before = view.frames
    view.node.SetSliceOffset(view.node.GetSliceOffset() + 2)
    a_slicer.process(40)
    assert view.frames == before
    a_slicer.layoutManager.resumeRender()
    a_slicer.process(40)
    assert view.frames > before


def picture_of(a_slicer, widget):
    a_slicer.render()
    image = widget.grab().toImage().convertToFormat(widget.grab().toImage().Format.Format_RGB888)
    data = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
    return data[:, : 3 * image.width()].reshape(image.height(), image.width(), 3).astype(int)


def test_a_segment_is_seen_where_it_is_and_in_3d(a_slicer, a_volume):
    widget = a_slicer.view("Red").view
    a_slicer.view("Red").node.JumpSliceByOffsetting(*center_of(a_volume))
    display = a_volume.GetDisplayNode()
    display.AutoWindowLevelOff()
    display.SetWindowLevel(1000.0, 0.0)  # plain grey
    threeD = a_slicer.layoutManager.threeDWidget(0).threeDView()
    empty = picture_of(a_slicer, threeD)
    node = a_slicer.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "lesions")
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(a_volume)
    segment = node.GetSegmentation().AddEmptySegment("lesion", "Lesion", (1.0, 0.0, 0.0))
    mask = np.zeros((30, 40, 50), np.uint8)
    mask[10:20, 14:26, 18:32] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, node, segment, a_volume)
    node.CreateClosedSurfaceRepresentation()
    a_slicer.layoutManager.resetThreeDViews()
    picture = picture_of(a_slicer, widget)
    x, y, _ = a_slicer.view("Red").pixel(center_of(a_volume))
    red, green, blue = picture[round(y), round(x)]
    assert red > green + 30
    assert red > blue + 30
    corner = picture[5, 5]
    assert corner[0] == corner[1] == corner[2]
    changed = np.abs(picture_of(a_slicer, threeD) - empty).sum(axis=2) > 30
    assert changed.mean() > 0.01


def test_the_next_test_starts_with_an_empty_scene_and_plain_slices(a_slicer):
    assert a_slicer.scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 0
    assert a_slicer.scene.GetNumberOfNodesByClass("vtkMRMLMarkupsNode") == 0
    interaction = a_slicer.app.applicationLogic().GetInteractionNode()
    assert interaction.GetCurrentInteractionMode() == interaction.ViewTransform
    for name, orientation in (("Red", "Axial"), ("Green", "Coronal"), ("Yellow", "Sagittal")):
        widget = a_slicer.layoutManager.sliceWidget(name)
        assert widget.mrmlSliceNode().GetOrientation() == orientation
        assert widget.mrmlSliceCompositeNode().GetBackgroundVolumeID() is None
