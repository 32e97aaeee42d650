"""A real MRML scene without the desktop."""

from __future__ import annotations

import types

import numpy as np
import pytest

try:
    import slicer
except ImportError:
    slicer = None

# Without the wheels `test_slicer_wheels.py` remains and says why. No folder of ours may be named `slicer`: the wheel's
# package takes every folder of its name into its path, and imports what lies there.
collect_ignore_glob = [] if hasattr(slicer, "vtkMRMLScene") else ["test_mrml_*.py", "test_module_*.py"]


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.parent.name == "mrml":
            item.add_marker(pytest.mark.slicer)


@pytest.fixture
def a_scene(monkeypatch):
    """The scene, logics and default nodes Slicer starts with, reachable as in the application."""
    scene = slicer.vtkMRMLScene()
    applicationLogic = slicer.vtkSlicerApplicationLogic()
    applicationLogic.SetMRMLScene(scene)
    applicationLogic.GetColorLogic().SetMRMLScene(scene)
    applicationLogic.GetColorLogic().AddDefaultColorNodes()
    applicationLogic.SetModuleLogic("Colors", applicationLogic.GetColorLogic())
    modules = types.SimpleNamespace()
    for name, logic in (
        ("Volumes", slicer.vtkSlicerVolumesLogic()),
        ("Markups", slicer.vtkSlicerMarkupsLogic()),
        ("Segmentations", slicer.vtkSlicerSegmentationsModuleLogic()),
    ):
        logic.SetMRMLScene(scene)
        logic.SetMRMLApplicationLogic(applicationLogic)
        applicationLogic.SetModuleLogic(name, logic)
        setattr(modules, name.lower(), types.SimpleNamespace(logic=lambda logic=logic: logic))
    monkeypatch.setattr(slicer, "mrmlScene", scene, raising=False)
    monkeypatch.setattr(slicer, "modules", modules, raising=False)
    yield scene
    scene.Clear(1)


@pytest.fixture
def rng():
    return np.random.default_rng(20260)
