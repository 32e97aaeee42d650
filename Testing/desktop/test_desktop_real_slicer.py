"""What can be known here of how tests run in the real desktop."""

import subprocess
import sys

import numpy as np
import pytest
import run_in_slicer
import slicer
from real_slicer import RealSliceMouse, RealSlicer, is_inside_slicer


@pytest.fixture
def some_points(a_slicer):
    """A volume in the slices, and a list of points that clicks go to."""
    volume = a_slicer.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "PET")
    slicer.util.updateVolumeFromArray(volume, np.random.default_rng(4).random((30, 40, 50), np.float32))
    volume.SetSpacing(3.0, 2.0, 2.5)
    volume.SetOrigin(-60.0, 20.0, 35.0)
    volume.CreateDefaultDisplayNodes()
    a_slicer.showVolume(volume)
    node = a_slicer.scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "points")
    node.CreateDefaultDisplayNodes()
    slicer.modules.markups.logic().SetActiveList(node)
    return node


def set_mode(a_slicer, name):
    interaction = a_slicer.app.applicationLogic().GetInteractionNode()
    interaction.SetPlaceModePersistence(1)
    interaction.SetCurrentInteractionMode(getattr(interaction, name))


@pytest.mark.parametrize("name", ["Red", "Green", "Yellow"])
def test_the_real_mouse_speaks_vtk_as_the_stand_in_speaks_qt(a_slicer, some_points, name):
    mouse = RealSliceMouse(a_slicer, a_slicer.layoutManager.sliceWidget(name))
    set_mode(a_slicer, "Place")
    wanted = np.array([10.0, 55.0, 70.0])
    at = mouse.click(wanted)
    np.testing.assert_allclose(at, wanted, atol=0.5)
    np.testing.assert_allclose(some_points.GetNthControlPointPositionWorld(0), at, atol=1e-3)
    set_mode(a_slicer, "ViewTransform")
    aside = {"Red": (9, 9, 0), "Green": (9, 0, 9), "Yellow": (0, 9, 9)}[name]
    end = mouse.drag(at, np.add(at, aside), steps=3)
    np.testing.assert_allclose(some_points.GetNthControlPointPositionWorld(0), end, atol=1.0)
    mouse.moveTo(end)
    mouse.press("Delete")
    assert some_points.GetNumberOfControlPoints() == 0
    mouse.leave()


def test_a_test_that_needs_what_is_not_there_skips_and_says_what(a_slicer):
    desktop = RealSlicer()
    assert desktop.scene is a_slicer.scene
    with pytest.raises(pytest.skip.Exception, match=r"a_slicer\.dialogs"):
        desktop.dialogs.answer("OK")
    assert not is_inside_slicer()


def test_without_pytest_the_person_is_told_how_to_get_it(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "pytest", None)
    assert run_in_slicer.main([]) == 2
    assert 'pip_install("pytest")' in capsys.readouterr().err


def test_pytest_collects_the_panels_tests_without_the_plugins_of_the_repository(tmp_path):
    wanted = run_in_slicer.arguments([str(run_in_slicer.TESTING / "panel" / "test_packaging_files.py")], tmp_path)
    command = [sys.executable, "-m", "pytest", *wanted, "--collect-only", "-q", "-p", "no:hypothesispytest"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "test_packaging_files.py::" in done.stdout
    assert "warning" not in done.stdout.lower(), done.stdout
