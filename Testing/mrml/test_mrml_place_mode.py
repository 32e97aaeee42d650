"""Clicks with the mouse in a real slice view: what the markups widget does is not ours, and we must live with it."""

import importlib.util

import numpy as np
import pytest
from lesion_scene import Desk
from mrml_nodes import GEOMETRIES, add_volume

if importlib.util.find_spec("PySide6") is None:
    pytest.skip("the views need PySide6", allow_module_level=True)

from slicer_desktop import a_slicer  # noqa: F401  a fixture

PREVIEW, DEFINED = 1, 2  # vtkMRMLMarkupsNode::PositionStatus


@pytest.fixture
def a_desk(a_slicer, rng):  # noqa: F811
    volume = add_volume(
        a_slicer.scene, rng.random((40, 46, 50), dtype=np.float32), matrix=GEOMETRIES["oblique"], suv="bw"
    )
    volume.CreateDefaultDisplayNodes()
    a_slicer.showVolume(volume)
    desk = Desk(volume)
    desk.red, desk.slicer = a_slicer.view("Red"), a_slicer
    yield desk
    desk.editor.close()


def statuses(node):
    return [node.GetNthControlPointPositionStatus(n) for n in range(node.GetNumberOfControlPoints())]


def click(desk, kji):
    desk.red.click(desk.ras(kji))
    desk.editor.tick()


def test_clicks_in_a_view_become_clicks_of_the_lesion_where_the_mouse_was(a_desk):
    a_desk.editor.startPlacing(True)
    places = [(18, 20, 20), (20, 22, 28)]
    for kji in places:
        click(a_desk, kji)
    a_desk.editor.startPlacing(False)
    click(a_desk, (21, 24, 33))
    assert a_desk.signs() == [True, True, False]
    given = np.array([prompt.lps_mm for prompt in a_desk.prompts]) * [-1, -1, 1]
    pixel = max(a_desk.red.node.GetFieldOfView()[:2]) / 300
    np.testing.assert_allclose(given[:2], [a_desk.ras(kji) for kji in places], atol=pixel)


def test_undo_and_redo_while_placing_leave_the_preview_point_to_the_view(a_desk, capfd):
    a_desk.editor.startPlacing(True)
    for kji in ((18, 20, 20), (20, 22, 28), (21, 24, 33)):
        click(a_desk, kji)
    node = a_desk.editor.positiveNode
    a_desk.red.moveTo(a_desk.ras((20, 20, 20)))
    assert statuses(node) == [DEFINED, DEFINED, DEFINED, PREVIEW]
    a_desk.editor.undo()
    a_desk.editor.undo()
    assert a_desk.editor.placing is True
    a_desk.red.moveTo(a_desk.ras((20, 21, 25)))
    assert statuses(node) == [DEFINED, PREVIEW]
    a_desk.editor.redo()
    a_desk.red.moveTo(a_desk.ras((20, 21, 27)))
    assert statuses(node) == [DEFINED, DEFINED, PREVIEW]
    click(a_desk, (19, 19, 24))
    assert a_desk.row().clicks == 3
    assert "ERR|" not in capfd.readouterr().err


def test_a_click_beside_the_volume_is_taken_back_and_placing_goes_on(a_desk, capfd):
    a_desk.editor.startPlacing(True)
    click(a_desk, (19, 19, 24))
    click(a_desk, (19, 22, -6))
    assert "outside" in a_desk.editor.message
    assert a_desk.row().clicks == 1
    a_desk.red.moveTo(a_desk.ras((20, 21, 27)))
    assert statuses(a_desk.editor.positiveNode) == [DEFINED, PREVIEW]
    click(a_desk, (20, 21, 27))
    assert a_desk.row().clicks == 2
    assert "ERR|" not in capfd.readouterr().err


def test_a_click_dragged_with_the_mouse_is_predicted_once_where_it_was_let_go(a_desk):
    a_desk.editor.startPlacing(True)
    click(a_desk, (19, 19, 24))
    a_desk.editor.stopPlacing()
    node = a_desk.editor.positiveNode
    a_desk.red.drag(np.array(node.GetNthControlPointPositionWorld(0)), a_desk.ras((19, 24, 24)))
    a_desk.editor.tick()
    assert a_desk.engine.predicted == 2
    position = np.array(a_desk.prompts[0].lps_mm) * [-1, -1, 1]
    np.testing.assert_allclose(position, node.GetNthControlPointPositionWorld(0), atol=1e-9)
    a_desk.editor.undo()
    pixel = max(a_desk.red.node.GetFieldOfView()[:2]) / 300
    np.testing.assert_allclose(node.GetNthControlPointPositionWorld(0), a_desk.ras((19, 19, 24)), atol=pixel)


def test_only_the_points_of_the_selected_lesion_are_shown(a_desk):
    a_desk.editor.startPlacing(True)
    click(a_desk, (19, 19, 24))
    first = a_desk.editor.positiveNode
    a_desk.editor.addLesion()
    click(a_desk, (20, 26, 34))
    assert a_desk.row().clicks == 1
    assert not first.GetDisplayNode().GetVisibility()
    assert a_desk.editor.positiveNode.GetDisplayNode().GetVisibility()
    assert statuses(first) == [DEFINED]  # no preview point was left behind
