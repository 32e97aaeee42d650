"""The scene, logics and default nodes Slicer starts with: qSlicerCoreApplication and vtkSlicerApplicationLogic."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
import types

import slicer
import vtk

LOGICS = (
    ("Volumes", "vtkSlicerVolumesLogic"),
    ("Markups", "vtkSlicerMarkupsLogic"),
    ("Segmentations", "vtkSlicerSegmentationsModuleLogic"),
    ("SubjectHierarchy", "vtkSlicerSubjectHierarchyModuleLogic"),
    ("Plots", "vtkSlicerPlotsLogic"),
    ("Models", "vtkSlicerModelsLogic"),
    ("Transforms", "vtkSlicerTransformLogic"),
    ("Sequences", "vtkSlicerSequencesLogic"),
)


class LoadableModule:
    """As much of a C++ module (`slicer.modules.volumes`) as our code asks for: its name and its logic."""

    def __init__(self, name: str, logic) -> None:
        self.name, self._logic = name, logic

    def logic(self):
        return self._logic


@functools.cache
def cache_folder() -> str:
    """One folder for this process, removed with it."""
    folder = tempfile.mkdtemp(prefix="slicer-cache-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _remote_logic_for(scene):
    """Without a cache folder no MRB can be read. The logic returned must live as long as the scene."""
    remote = slicer.vtkMRMLRemoteIOLogic()
    remote.GetCacheManager().SetRemoteCacheDirectory(cache_folder())
    remote.SetMRMLScene(scene)
    remote.AddDataIOToScene()
    return remote


def make_scene() -> tuple:
    """A scene with the application's singletons.

    Returns:
        The scene, the application logic, and a namespace with the modules that have a logic.
    """
    scene = slicer.vtkMRMLScene()
    crosshair = slicer.vtkMRMLCrosshairNode()
    crosshair.SetCrosshairName("default")
    scene.AddNode(crosshair)
    application = slicer.vtkSlicerApplicationLogic()
    application.SetMRMLScene(scene)  # makes the selection and the interaction node
    colors = application.GetColorLogic()
    colors.SetMRMLScene(scene)
    colors.AddDefaultColorNodes()
    application.SetModuleLogic("Colors", colors)
    application.SetSliceLogics(vtk.vtkCollection())
    application.SetViewLogics(vtk.vtkCollection())
    modules = types.SimpleNamespace(colors=LoadableModule("Colors", colors))
    for name, logic_class in LOGICS:
        if not hasattr(slicer, logic_class):
            continue
        logic = getattr(slicer, logic_class)()
        logic.SetMRMLScene(scene)
        logic.SetMRMLApplicationLogic(application)
        application.SetModuleLogic(name, logic)
        setattr(modules, name.lower(), LoadableModule(name, logic))
    modules.remoteio = LoadableModule("RemoteIO", _remote_logic_for(scene))
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene, True)
    return scene, application, modules
