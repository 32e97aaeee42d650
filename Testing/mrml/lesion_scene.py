"""An editor on a volume with an engine that answers at the next tick, and how a person acts on it."""

from __future__ import annotations

import numpy as np
import vtk
from fake_engine import FakeEngine
from mrml_nodes import GEOMETRIES, add_volume, read_segment

from SegAnyPETLib.mrml import LesionEditor, gridFromVolumeNode

SHAPE = (22, 26, 30)
RADIUS_MM = 12.0


def a_pet(scene, rng, *, matrix=None, name="PET", suv="bw"):
    """A volume of noise that is unmistakably SUV; oblique unless said otherwise."""
    matrix = GEOMETRIES["oblique"] if matrix is None else matrix
    return add_volume(scene, rng.random(SHAPE, dtype=np.float32), matrix=matrix, name=name, suv=suv)


class Desk:
    """An editor with its engine and volume."""

    def __init__(self, volume, *, scene=None, engine=None, kind=None):
        self.scene = scene or volume.GetScene()
        self.volume = volume
        self.engine = engine or FakeEngine(radius_mm=RADIUS_MM)
        self.editor = LesionEditor(self.scene, self.engine)
        if volume is not None:
            self.editor.setVolume(volume, kind=kind)

    def ras(self, kji):
        """World RAS of a voxel index of the volume, by its grid as the library reads it (tested for itself)."""
        return gridFromVolumeNode(self.editor.volumeNode or self.volume).kji_to_lps(kji) * [-1, -1, 1]

    def place(self, kji, *, positive=True, tick=True):
        """Place a control point, as a view does."""
        node = self.editor.positiveNode if positive else self.editor.negativeNode
        index = node.AddControlPointWorld(vtk.vtkVector3d(*self.ras(kji)))
        if tick:
            self.editor.tick()
        return index

    def click(self, kji, *, positive=True):
        """Click by code and wait for the answer."""
        self.editor.addPoint(self.ras(kji), positive=positive)
        self.editor.tick()

    def segment(self, segment_id=None):
        """What a segment holds, by Slicer's own export."""
        return read_segment(self.editor.segmentationNode, segment_id or self.editor.selectedLesion, self.volume)

    def row(self, segment_id=None):
        wanted = segment_id or self.editor.selectedLesion
        return next(row for row in self.editor.rows if row.segmentID == wanted)

    @property
    def prompts(self):
        """The prompts the engine was given last."""
        return list(self.engine.prompts.values())[-1]

    def signs(self):
        return [getattr(prompt, "positive", type(prompt).__name__) for prompt in self.prompts]


def dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())
