"""Seeded random actions of a person: whatever is done, scene, editor and engine agree afterwards."""

import os

import numpy as np
import pytest
import slicer
import vtk
from fake_engine import FakeEngine
from lesion_scene import SHAPE, Desk, a_pet
from mrml_nodes import GEOMETRIES, read_segment

from SegAnyPETLib.errors import DeviceError, SegAnyPETError

ACTIONS = int(os.environ.get("SEGANYPET_RANDOM_ACTIONS", "200"))
SEEDS = [int(seed) for seed in os.environ.get("SEGANYPET_RANDOM_SEEDS", "1").split(",")]
FIDUCIALS = "vtkMRMLMarkupsFiducialNode"


class Person:
    """Does what people do, at random."""

    def __init__(self, scene, rng):
        self.scene, self.rng = scene, rng
        self.volumes = [a_pet(scene, rng), a_pet(scene, rng, matrix=GEOMETRIES["sagittal"], name="PET 2")]
        self.desk = Desk(self.volumes[0], engine=FakeEngine(cube=7))
        self.editor = self.desk.editor
        self.engine = self.desk.engine

    def place(self):
        return self.desk.ras(self.rng.uniform((1, 1, 1), np.array(SHAPE) - 2))

    def node(self):
        return self.editor.positiveNode if self.rng.random() < 0.7 else self.editor.negativeNode

    def act(self):
        names = [name.removeprefix("do_") for name in dir(self) if name.startswith("do_")]
        weights = np.array([8.0 if name in {"click", "point", "undo", "redo", "tick"} else 1.0 for name in names])
        name = self.rng.choice(names, p=weights / weights.sum())
        getattr(self, f"do_{name}")()
        return name

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
        node = self.editor.segmentationNode
        if node is not None and node.GetSegmentation().GetNumberOfSegments():
            node.GetSegmentation().RemoveSegment(node.GetSegmentation().GetNthSegmentID(0))

    def do_delete_segmentation(self):
        if self.editor.segmentationNode is not None and self.rng.random() < 0.3:
            self.scene.RemoveNode(self.editor.segmentationNode)

    def do_paint(self):
        node, segment_id = self.editor.segmentationNode, self.editor.selectedLesion
        if segment_id is None or node is None or node.GetSegmentation().GetSegment(segment_id) is None:
            return
        mask = read_segment(node, segment_id, self.editor.volumeNode)
        k, j, i = self.rng.integers((0, 0, 0), np.array(SHAPE) - 3)
        mask[k : k + 3, j : j + 3, i : i + 3] ^= True
        slicer.util.updateSegmentBinaryLabelmapFromArray(
            mask.astype(np.uint8), node, segment_id, self.editor.volumeNode
        )

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


def assert_agreement(person):
    """Segments, markups and prompts say the same."""
    editor = person.editor
    assert person.scene.GetNumberOfNodesByClass(FIDUCIALS) == 2 * sum(
        len(book.lesions) for book in editor._books.values()
    )
    if editor.volumeNode is None:
        assert editor.rows == ()
        return
    for lesion in editor._book.lesions.values():
        found = read_segment(editor.segmentationNode, lesion.segmentID, editor.volumeNode)
        np.testing.assert_array_equal(found, lesion.shown.to_array())
        assert lesion.request is None
        points = [click.prompt for click in lesion.state.clicks if hasattr(click.prompt, "positive")]
        placed = {
            (*np.round(np.array(node.GetNthControlPointPositionWorld(n)) * [-1, -1, 1], 5) + 0.0, sign)
            for node, sign in zip(lesion.nodes.pointNodes, (True, False), strict=True)
            for n in range(node.GetNumberOfControlPoints())
        }
        assert placed == {(*np.round(np.array(p.lps_mm), 5) + 0.0, p.positive) for p in points}
        if lesion.state.result is not None:
            assert lesion.state.result.mask == lesion.shown
    burden = sum((lesion.shown.to_array() for lesion in editor._book.lesions.values()), np.zeros(SHAPE, int)) > 0
    spacing = editor.volumeNode.GetSpacing()
    assert editor.burden.mtv_ml == pytest.approx(burden.sum() * np.prod(spacing) / 1000)


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
            assert_agreement(person)
    for volume in person.volumes:
        a_scene.RemoveNode(volume)
    person.editor.tick()
    assert a_scene.GetNumberOfNodesByClass(FIDUCIALS) == 0
    assert a_scene.GetNumberOfNodesByClass("vtkMRMLMarkupsFiducialDisplayNode") == 0
    person.editor.close()
    said = capfd.readouterr().err
    assert "ERR|" not in said, said
