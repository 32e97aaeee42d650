"""A real MRML scene without the desktop."""

from __future__ import annotations

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
    from slicer_scene import make_scene  # of Testing/desktop, which drives the panel in the same scene

    scene, _applicationLogic, modules = make_scene()
    monkeypatch.setattr(slicer, "mrmlScene", scene, raising=False)
    monkeypatch.setattr(slicer, "modules", modules, raising=False)
    yield scene
    scene.Clear(1)


@pytest.fixture
def rng():
    return np.random.default_rng(20260)


@pytest.fixture
def a_volume(a_scene, rng):
    """A PET."""
    from lesion_scene import a_pet

    return a_pet(a_scene, rng)


@pytest.fixture
def a_desk(a_volume):
    """An editor on that PET, with an engine that answers with spheres."""
    from lesion_scene import Desk

    desk = Desk(a_volume)
    yield desk
    desk.editor.close()
