"""Somebody who does at random what people, other modules and bad luck do to the panel."""

from __future__ import annotations

import time

import numpy as np
import slicer
from mrml_nodes import GEOMETRIES, add_volume, geometry
from panel_desk import PanelEngine
from random_acts import RandomActor, delete_a_segment, paint_a_cube

from SegAnyPETLib.errors import WorkerError
from SegAnyPETLib.mrml import gridFromVolumeNode
from SegAnyPETLib.mrml.lesion_nodes import removeWithDisplay
from SegAnyPETLib.worker.events import EngineDied, PredictionRefused

VOLUMES = {  # no two alike: turned, mirrored and under a transform, thick slices the other way round
    "Oblique PET": ("oblique", (14, 18, 22), False),
    "Mirrored PET": ("oblique, left-handed", (17, 13, 19), True),
    "Sagittal PET": ("sagittal", (16, 12, 15), False),
}
TABLE = geometry(degrees=(5, 20, -10), spacing=(1.0, 1.0, 1.0), origin=(30.0, -12.0, 7.0))
CUBE = 5
VIEWS = ("Red", "Green", "Yellow")
AWAY = {"enter", "paint", "delete_segment", "delete_segmentation", "delete_volume", "close_scene", "die"}
PATIENCE_S = 120.0
OFTEN = {"click": 25.0, "undo": 8.0, "redo": 5.0, "there_and_back": 2.0, "drag": 4.0, "delete_click": 3.0,
         "next_lesion": 3.0, "row": 3.0, "enter": 8.0, "paint": 2.0, "volume": 2.0, "close_scene": 0.15,
         "reopen": 0.3, "delete_volume": 0.3, "delete_segmentation": 0.3, "new_engine": 0.3, "leave": 0.5,
         "die": 0.5, "fit": 0.5}  # fmt: skip


class MortalEngine(PanelEngine):
    """The engine without a process, which can be killed all the same."""

    def __init__(self, *, model, device):
        super().__init__(model=model, device=device, cube=CUBE)

    def die(self, *, for_good):
        self.events.append(EngineDied("It was killed.", restarting=not for_good))
        if for_good:
            self.hasFailed = True
            refused = [PredictionRefused(key, n, WorkerError("killed")) for key, (n, _) in self._waiting.items()]
            self.events += refused
            self._waiting.clear()


class StressPerson(RandomActor):
    """Acts on the open module; what others do to the scene is among it.

    Attributes:
        hasCut: Lesions took voxels from each other, so that not every mask is the engine's.
        told: Messages that were shown.
    """

    OFTEN = OFTEN

    def __init__(self, desktop, rng, folder, *, kill):
        super().__init__(rng)
        self.desktop, self.folder, self.kill = desktop, folder, kill
        self.isAway, self.hasCut, self.told = False, False, []
        self.addVolumes()
        self.widget = desktop.loadModule()
        self.panel = self.widget.panel.segment
        self.ui = self.panel.ui
        self.ui.promptsButton.collapsed = False

    @property
    def editor(self):
        return self.panel.editor

    @property
    def engine(self):
        return self.panel.engine

    def addVolumes(self):
        """The volumes that are not in the scene, as if they were loaded now."""
        for name, (which, shape, isMoved) in VOLUMES.items():
            if slicer.mrmlScene.GetFirstNodeByName(name) is None:
                values = 12 * np.random.default_rng(len(name)).random(shape, dtype=np.float32)
                node = add_volume(self.desktop.scene, values, matrix=GEOMETRIES[which], name=name, suv="bw")
                node.SetAndObserveTransformNodeID(self._table().GetID() if isMoved else None)

    def _table(self):
        found = slicer.mrmlScene.GetFirstNodeByName("Table")
        if found is None:
            found = self.desktop.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Table")
            found.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(TABLE))
        return found

    @property
    def volumes(self):
        return [slicer.mrmlScene.GetFirstNodeByName(name) for name in VOLUMES]

    def possible(self):
        return [name for name in super().possible() if (name in AWAY if self.isAway else name != "enter")]

    def everything(self):
        """Each thing that can be done once, by chance, with clicks in between."""
        for name in self.rng.permutation(super().possible()):
            if self.isAway and name not in AWAY:
                yield "enter"
            if not self.isAway:
                yield "click"
            if (name == "enter") == self.isAway or name in AWAY:
                yield str(name)

    # Where and how the person points

    def _place(self):
        """Somewhere in the volume, world RAS."""
        grid = gridFromVolumeNode(self.editor.volumeNode)
        return grid.kji_to_lps(self.rng.uniform((1, 1, 1), np.array(grid.shape_kji) - 2)) * [-1, -1, 1]

    def _see(self, ras):
        """A view in which the place can be pointed at, scrolled there; None where it is in none."""
        view = self.desktop.view(str(self.rng.choice(VIEWS)))
        for _ in range(2):
            view.node.JumpSliceByOffsetting(*ras)
            x, y, _away = view.pixel(ras)
            if 2 <= x < view.view.width - 2 and 2 <= y < view.view.height - 2:
                return view
            slicer.util.resetSliceViews()
        return None

    def _startPlacing(self):
        wanted = self.chance(0.7)
        if self.editor.placing is not wanted:
            self.desktop.press("A" if wanted else "S")

    def _clickAt(self, ras):
        view = self._see(ras)
        if view is not None:
            view.click(ras, modifiers="ctrl" if self.chance(0.2) else None)

    def _pointOnShow(self):
        """Where a click of the selected lesion is, out of place mode, so that it can be grabbed; None without one."""
        nodes = [node for node in (self.editor.positiveNode, self.editor.negativeNode) if node is not None]
        self.desktop.press("Esc")
        found = [
            node.GetNthControlPointPositionWorld(n)
            for node in nodes
            for n in range(node.GetNumberOfControlPoints())
            if node.GetNthControlPointPositionStatus(n) == node.PositionDefined
        ]
        return found[int(self.rng.integers(len(found)))] if found else None

    # What the person does

    def do_click(self):
        if self.editor.volumeNode is not None:
            self._startPlacing()
            self._clickAt(self._place())

    def do_click_outside(self):
        if self.editor.volumeNode is not None:
            self._startPlacing()
            first, second = self._place(), self._place()
            self._clickAt(second + 3 * (second - first))

    def do_click_twice(self):
        """The second click supersedes the first."""
        self.do_click()
        self.do_click()

    def do_drag(self):
        start = self._pointOnShow()
        view = self._see(start) if start is not None else None
        if view is not None:
            x, y, _away = view.pixel(start)
            end = np.clip(np.add((x, y), self.rng.integers(-40, 40, 2)), 2, (view.view.width - 2, view.view.height - 2))
            view.drag(start, view.ras(*end.tolist()), steps=2)

    def do_delete_click(self):
        at = self._pointOnShow()
        view = self._see(at) if at is not None else None
        if view is not None:
            view.moveTo(at)
            view.press("Delete")

    def do_rest(self):
        """The cursor rests where a click may follow."""
        if self.editor.volumeNode is not None:
            self._startPlacing()
            ras = self._place()
            view = self._see(ras)
            if view is not None:
                view.moveTo(ras)
                self.desktop.process(60)

    def do_undo(self):
        self._takeBack("Ctrl+Z", self.editor.canUndo)

    def do_redo(self):
        self._takeBack("Ctrl+Y", self.editor.canRedo)

    def _takeBack(self, key, isPossible):
        before = self.fingerprint()
        self.desktop.press(key)
        self.settle()
        assert (self.fingerprint() != before) == isPossible, f"{key} although {isPossible=}"

    def do_there_and_back(self):
        """Undo and redo some steps: everything is as before."""
        before, steps = self.fingerprint(), 0
        while self.editor.canUndo and steps < 4:
            self.desktop.press("Ctrl+Z")
            self.settle()
            steps += 1
        for _ in range(steps):
            self.desktop.press("Ctrl+Y")
            self.settle()
        assert self.fingerprint() == before

    def do_next_lesion(self):
        self.desktop.press("Q")

    def do_escape(self):
        self.desktop.press("Esc")

    def do_row(self):
        if self.ui.lesionTable.rowCount:
            self.ui.lesionTable.selectRow(int(self.rng.integers(self.ui.lesionTable.rowCount)))

    def do_rename(self):
        table = self.ui.lesionTable
        if table.rowCount:
            name = "" if self.chance(0.2) else f"Node {self.rng.integers(99)}"
            table.item(int(self.rng.integers(table.rowCount)), 0).setText(name)

    def do_open_row(self):
        if self.ui.lesionTable.rowCount:
            self.ui.lesionTable.cellDoubleClicked.emit(int(self.rng.integers(self.ui.lesionTable.rowCount)), 1)

    def do_kind(self):
        selector = self.ui.terminologySelector
        if selector.enabled:
            index = int(self.rng.integers(selector.count))
            selector.setCurrentIndex(index)
            selector.activated.emit(index)

    def do_delete_lesion(self):
        if self.ui.deleteButton.enabled:
            self.desktop.press_button(self.ui.deleteButton)

    def do_box(self):
        if self.editor.volumeNode is not None:
            roi = self.desktop.scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "Box")
            roi.CreateDefaultDisplayNodes()
            roi.SetCenter(self._place())
            roi.SetSize(self.rng.uniform(4, 40, 3))
            self.ui.roiSelector.setCurrentNode(roi)

    def do_no_box(self):
        roi = self.editor.roiNode
        if roi is not None and self.chance(0.5):
            removeWithDisplay(roi)
        else:
            self.ui.roiSelector.setCurrentNode(None)

    def do_seed(self):
        self.ui.seedSegmentationSelector.setCurrentNode(self.editor.segmentationNode)
        if self.ui.seedButton.enabled:
            selector = self.ui.seedSegmentSelector
            selector.setCurrentIndex(int(self.rng.integers(selector.count)))
            self.desktop.press_button(self.ui.seedButton)

    def do_overlap(self):
        self.ui.overlapSelector.setCurrentIndex(int(self.rng.integers(3)))
        self.hasCut |= self.editor.overlap != "keep"

    def do_unsure(self):
        self.desktop.press("U")

    def do_surfaces(self):
        self.desktop.press_button(self.ui.surfaceButton)

    def do_stop_it(self):
        """Stop what is computed, where the button is there in time."""
        self.hold(True)
        self.do_click()
        self.panel.tick()
        self.desktop.process()
        if self.ui.cancelButton.isVisible():
            self.desktop.press_button(self.ui.cancelButton)

    def do_fit(self):
        slicer.util.resetSliceViews()

    def do_volume(self):
        self.ui.volumeSelector.setCurrentNode(self.volumes[int(self.rng.integers(len(VOLUMES)))])

    def do_new_engine(self):
        """As after another device was chosen."""
        self.widget.panel.useNewEngine()

    def do_leave(self):
        self.desktop.leaveModule()
        self.isAway = True

    def do_enter(self):
        slicer.util.selectModule("SegAnyPET")
        self.isAway = False

    # What others do, and what happens

    def do_paint(self):
        paint_a_cube(self.editor, self.rng)

    def do_delete_segment(self):
        delete_a_segment(self.editor)

    def do_delete_segmentation(self):
        if self.editor.segmentationNode is not None:
            removeWithDisplay(self.editor.segmentationNode)

    def do_delete_volume(self):
        name = str(self.rng.choice(list(VOLUMES)))
        removeWithDisplay(slicer.mrmlScene.GetFirstNodeByName(name))
        while (left := slicer.mrmlScene.GetFirstNodeByName(f"{name} lesions")) is not None:
            removeWithDisplay(left)
        self.settle()
        self.addVolumes()

    def do_close_scene(self):
        self.desktop.closeScene()
        self.hasCut = self.editor.overlap != "keep"
        self.addVolumes()

    def do_reopen(self):
        self.desktop.saveScene(self.folder / "stress.mrb")
        self.desktop.openScene(self.folder / "stress.mrb")
        # Slicer 5.12 now and then cannot read its own subject hierarchy, none of our code at work, and rebuilds it.
        reports = self.desktop.reports
        reports.found = [text for text in reports.found if "vtkMRMLSubjectHierarchyNode" not in text]
        self.addVolumes()

    def do_die(self):
        if not self.isAway:
            self.hold(True)
            self.do_click()
        self.kill(self.engine, self.rng)

    def hold(self, isHeld):
        """Let a fake engine think until `settle`."""
        if isinstance(self.engine, PanelEngine):
            self.engine.isHeld = isHeld

    # Afterwards

    def settle(self):
        """Let answers arrive and everything be shown; failed rows are tried again, as a person would."""
        self.hold(False)
        end = time.monotonic() + PATIENCE_S
        while True:
            self.desktop.process()
            if self.isAway:
                break
            self.panel.tick()
            self.desktop.process(0 if isinstance(self.engine, PanelEngine) else 1)
            if self._isQuiet():
                break
            if self.ui.retryButton.isVisible() and self.engine.state != "working":
                self.desktop.press_button(self.ui.retryButton)
            assert time.monotonic() < end, f"still {self.engine.state}: {self.editor.rows}"
        self.told += self.desktop.dialogs.unanswered
        self.desktop.dialogs.unanswered.clear()

    def _isQuiet(self):
        engine, watch, book = self.engine, self.editor._watch, self.editor._book
        events = engine.events if isinstance(engine, PanelEngine) else engine._events
        isIdle = engine.state in ("ready", "stopped") and not events
        isFollowed = not (watch.touched or watch.nodesRemoved or watch._edited or watch._imageTouched)
        isFollowed = isFollowed and not self.panel._refreshDue
        if book is None:
            return isIdle and isFollowed
        hasAnswers = not book.outside and not any(each.request or each.failure for each in book.lesions.values())
        return isIdle and isFollowed and hasAnswers and book.nextUnmeasured() is None

    def fingerprint(self):
        """The lesions of the volume: their clicks, and what their segments hold."""
        if self.editor._book is None:
            return None
        lesions = self.editor._book.inOrder()
        return [(each.segmentID, each.shown, [click.prompt for click in each.state.clicks]) for each in lesions]
