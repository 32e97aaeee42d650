"""Seeded random actions of a person: whatever is done, scene, editor and engine agree afterwards."""

import os

import numpy as np
import pytest
import slicer
import vtk
from fake_engine import FakeEngine
from lesion_scene import SHAPE, Desk, a_pet
from mrml_nodes import GEOMETRIES
from random_acts import FIDUCIALS, RandomActor, assert_agreement, delete_a_segment, paint_a_cube

from SegAnyPETLib.errors import DeviceError, SegAnyPETError

ACTIONS = int(os.environ.get("SEGANYPET_RANDOM_ACTIONS", "200"))
SEEDS = [int(seed) for seed in os.environ.get("SEGANYPET_RANDOM_SEEDS", "1").split(",")]


class Person(RandomActor):
    """Does what people do, at random."""

    OFTEN = dict.fromkeys(("click", "point", "undo", "redo", "tick"), 8.0)

    def __init__(self, scene, rng):
        super().__init__(rng)
        self.scene = scene
        self.volumes = [a_pet(scene, rng), a_pet(scene, rng, matrix=GEOMETRIES["sagittal"], name="PET 2")]
        self.desk = Desk(self.volumes[0], engine=FakeEngine(cube=7))
        self.editor = self.desk.editor
        self.engine = self.desk.engine

    def place(self):
        return self.desk.ras(self.rng.uniform((1, 1, 1), np.array(SHAPE) - 2))

    def node(self):
        return self.editor.positiveNode if self.rng.random() < 0.7 else self.editor.negativeNode

    def do_click(self):
        self.editor.addPoint(self.place(), positive=bool(self.rng.random() < 0.7))

    def do_point(self):
        if self.node() is not None:
            self.node().AddControlPointWorld(vtk.vtkVector3d(*self.place()))

    def do_outside(self):
        if self.node() is not None:
            self.node().AddControlPointWorld(vtk.vtkVector3d(5000, 0, 0))

    def do_move(self):
        node = self.node()
        if node is not None and node.GetNumberOfControlPoints():
            node.SetNthControlPointPositionWorld(int(self.rng.integers(node.GetNumberOfControlPoints())), self.place())

    def do_delete(self):
        node = self.node()
        if node is not None and node.GetNumberOfControlPoints():
            node.RemoveNthControlPoint(int(self.rng.integers(node.GetNumberOfControlPoints())))

    def do_delete_list(self):
        if self.node() is not None:
            self.scene.RemoveNode(self.node())

    def do_undo(self):
        self.editor.undo()

    def do_redo(self):
        self.editor.redo()

    def do_tick(self):
        self.engine.isHeld = bool(self.rng.random() < 0.3)
        self.editor.tick()

    def do_new_lesion(self):
        self.editor.addLesion()

    def do_select(self):
        rows = self.editor.rows
        self.editor.selectLesion(self.rng.choice([row.segmentID for row in rows]) if rows else None)

    def do_remove_lesion(self):
        for row in self.editor.rows[:1]:
            self.editor.removeLesion(row.segmentID)

    def do_delete_segment(self):
        delete_a_segment(self.editor)

    def do_delete_segmentation(self):
        if self.editor.segmentationNode is not None and self.rng.random() < 0.3:
            self.scene.RemoveNode(self.editor.segmentationNode)

    def do_paint(self):
        paint_a_cube(self.editor, self.rng)

    def do_box(self):
        roi = self.scene.AddNewNodeByClass("vtkMRMLMarkupsROINode")
        roi.SetCenter(self.place())
        roi.SetSize(self.rng.uniform(10, 40, 3))
        self.editor.setBox(roi)

    def do_no_box(self):
        if self.editor.roiNode is not None and self.rng.random() < 0.5:
            self.scene.RemoveNode(self.editor.roiNode)
        else:
            self.editor.setBox(None)

    def do_seed(self):
        for row in self.editor.rows[-1:]:
            self.editor.useSegmentAsSeed(self.editor.segmentationNode, row.segmentID)

    def do_overlap(self):
        self.editor.overlap = str(self.rng.choice(["overwrite", "keep", "lock"]))

    def do_place_mode(self):
        self.editor.startPlacing(bool(self.rng.random() < 0.5))

    def do_no_place_mode(self):
        self.editor.stopPlacing()

    def do_volume(self):
        self.editor.setVolume(self.volumes[int(self.rng.integers(2))])

    def do_delete_volume(self):
        if self.rng.random() < 0.3:
            which = int(self.rng.integers(2))
            self.scene.RemoveNode(self.volumes[which])
            self.volumes[which] = a_pet(self.scene, self.rng, name=f"PET {which}")

    def do_voxels(self):
        if self.editor.volumeNode is not None:
            values = self.rng.random(SHAPE, dtype=np.float32)
            slicer.util.updateVolumeFromArray(self.editor.volumeNode, values)

    def do_close_scene(self):
        if self.rng.random() < 0.2:
            self.scene.Clear(0)
            self.volumes = [a_pet(self.scene, self.rng, name=f"PET {n}") for n in (1, 2)]

    def do_uncertainty(self):
        self.editor.showUncertainty(bool(self.rng.random() < 0.5))

    def do_fail(self):
        self.engine.fails_with = DeviceError("out of memory")
        self.editor.tick()
        self.engine.fails_with = None

    def do_cancel(self):
        self.engine.cancel()


def settle(person):
    """Let every answer arrive."""
    person.engine.isHeld = False
    person.editor.selectLesion(person.editor.selectedLesion) if person.editor.volumeNode else person.editor.tick()
    person.editor.retry()
    for _ in range(40):
        person.editor.tick()


@pytest.mark.parametrize("seed", SEEDS)
def test_random_actions_leave_scene_editor_and_engine_in_agreement(a_scene, seed, monkeypatch, capfd):
    from SegAnyPETLib.mrml import scene_watch

    monkeypatch.setattr(scene_watch, "QUIET_S", 0.0)
    person = Person(a_scene, np.random.default_rng(seed))
    log = []
    for number in range(ACTIONS):
        try:
            log.append(person.act())
        except SegAnyPETError as error:  # said to the person; the editor must go on
            log.append(f"{log[-1] if log else ''} said: {error}")
        if person.editor.volumeNode is None or person.editor.volumeNode.GetScene() is None:
            person.editor.tick()
            person.editor.setVolume(person.volumes[0])
            person.editor.addLesion()
        if number % 10 == 9:
            settle(person)
            assert_agreement(a_scene, person.editor)
    for volume in person.volumes:
        a_scene.RemoveNode(volume)
    person.editor.tick()
    assert a_scene.GetNumberOfNodesByClass(FIDUCIALS) == 0
    assert a_scene.GetNumberOfNodesByClass("vtkMRMLMarkupsFiducialDisplayNode") == 0
    person.editor.close()
    said = capfd.readouterr().err
    assert "ERR|" not in said, said
