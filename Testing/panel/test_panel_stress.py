"""Thousands of seeded acts of a person, of others and of bad luck: nothing is raised, nothing left behind, all agree.

The long studies, on a quiet machine (they take minutes; a line every 500 acts, a summary at the end):

    pytest -m slow -s Testing/panel/test_panel_stress.py

SEGANYPET_STRESS_ACTIONS (10000) and SEGANYPET_STRESS_SEED (1) say how many and which.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import slicer
from engine_talk import SCRIPT
from random_acts import FIDUCIALS, assert_agreement
from stress_person import VOLUMES, MortalEngine, StressPerson

import SegAnyPETLib.worker
from SegAnyPETLib.mrml import scene_watch
from SegAnyPETLib.session.packed_mask import PackedMask
from SegAnyPETLib.worker.messages import to_micrometre

ACTIONS = int(os.environ.get("SEGANYPET_STRESS_ACTIONS", "10000"))
SEED = int(os.environ.get("SEGANYPET_STRESS_SEED", "1"))
FEW_ACTIONS, CHUNK, DRAW_EVERY = 150, 500, 25
LAST_ACTS = 25  # told with a failure


def kill_fake(engine, rng):
    engine.die(for_good=bool(rng.random() < 0.3))


def kill_child(engine, _rng):
    """kill -9, in mid-prediction or not."""
    child = engine._child
    if child is not None and child.pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child.pid, signal.SIGKILL)


class Balls:
    """What the child of `gated_ball_engine.py` has to answer, by sessions of our own."""

    def __init__(self):
        self._image = self._first = None

    def __call__(self, image, prompts):
        from gated_ball_engine import GatedBallModel

        from SegAnyPETLib.session import InteractiveSession

        if image is not self._image:
            self._image, self._first = image, InteractiveSession(GatedBallModel())
            self._first.set_image(image)
        session = self._first.sibling()
        for prompt in prompts:
            session.add(to_micrometre(prompt))  # as the client gives it to the child
        return session.predict().packed


def census():
    """Class of node -> how many are in the scene."""
    scene = slicer.mrmlScene
    return Counter(scene.GetNthNode(n).GetClassName() for n in range(scene.GetNumberOfNodes()))


def references(node, ending):
    """The reference roles of a node with this ending."""
    roles = [node.GetNthNodeReferenceRole(n) for n in range(node.GetNumberOfNodeReferenceRoles())]
    return [role for role in roles if role.endswith(ending)]


class Inspector:
    """Knows what must hold after every act.

    Args:
        person: Who acts.
        truth: Called with image and prompts: the mask the engine had to answer.
    """

    def __init__(self, person, truth):
        self.person, self._truth = person, truth
        self._known = {}  # lesion -> the state whose mask was compared last
        self._others = census()  # of Slicer's own nodes, as they were at first
        self.compared = 0

    def check(self):
        person = self.person
        assert not person.desktop.reports.found, person.desktop.reports.found[0]
        if person.isAway:
            return  # nothing is followed until the person comes back
        assert_agreement(person.desktop.scene, person.editor)
        self._check_nodes()
        self._check_answers()
        self._check_panel()

    def _check_nodes(self):
        """Nothing but what the editor should own, and what the person has put there."""
        found, editor = census(), self.person.editor
        parameters = editor.parameterNode
        lesions = sum(name.startswith("lesion.") for name in parameters.GetParameterNames())  # of all volumes
        volumes = len(VOLUMES) + editor._overlay.isShown
        segmentations = found["vtkMRMLSegmentationNode"]
        books = {book.segmentationNode for book in editor._books.values()}
        books |= {parameters.GetNodeReference(role) for role in references(parameters, ".segmentation")}
        for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
            # An empty one is not known any more after a scene was opened.
            assert node in books or (self.person.done["reopen"] and not node.GetSegmentation().GetNumberOfSegments())
        rois = found["vtkMRMLMarkupsROINode"]
        expected = {
            FIDUCIALS: 2 * lesions,
            "vtkMRMLMarkupsFiducialDisplayNode": 2 * lesions,
            "vtkMRMLScalarVolumeNode": volumes,
            "vtkMRMLScalarVolumeDisplayNode": volumes,
            "vtkMRMLSegmentationNode": segmentations,
            "vtkMRMLSegmentationDisplayNode": segmentations,
            "vtkMRMLMarkupsROINode": rois,
            "vtkMRMLMarkupsROIDisplayNode": rois,
            "vtkMRMLScriptedModuleNode": 1,
        }
        assert {name: found[name] for name in expected} == expected
        stored = [name for name in found if name.endswith("StorageNode") and name not in self._others]
        for name in stored:
            for node in slicer.util.getNodesByClass(name):
                assert node.GetStorableNode() is not None, f"{node.GetID()} stores nothing"
        others = {name: count for name, count in found.items() if name not in expected and name not in stored}
        more = {name: count for name, count in others.items() if count > self._others[name]}
        assert not more, f"more than at first: {more}"

    def _check_answers(self):
        """Each mask is what the engine says of the clicks, less what another lesion may have taken."""
        book = self.person.editor._book
        for lesion in book.lesions.values() if book is not None else ():
            state = lesion.state
            if self._known.get(lesion.key) is state or state.isEdited or not state.clicks:
                continue
            if state.result is None or state.result.score is None:
                continue  # loaded, or not answered
            self._known[lesion.key] = state
            wanted = self._truth(book.image, [click.prompt for click in state.clicks])
            if self.person.hasCut:
                assert not (lesion.shown.to_array() & ~wanted.to_array()).any()
            else:
                assert lesion.shown == wanted
            self.compared += 1

    def _check_panel(self):
        ui, editor = self.person.ui, self.person.editor
        rows, table = editor.rows, ui.lesionTable
        assert table.rowCount == len(rows)
        ids = [row.segmentID for row in rows]
        assert table.currentRow() == (ids.index(editor.selectedLesion) if editor.selectedLesion in ids else -1)
        for index, row in enumerate(rows):
            self._check_row(row, [table.item(index, column).text() for column in range(table.columnCount)])
        assert (ui.undoButton.enabled, ui.redoButton.enabled) == (editor.canUndo, editor.canRedo)
        assert (ui.addButton.checked, ui.removeButton.checked) == (editor.placing is True, editor.placing is False)
        assert ui.uncertaintyButton.checked == editor.isUncertaintyShown
        assert ui.volumeSelector.currentNode() is editor.volumeNode
        assert ui.roiSelector.currentNode() is editor.roiNode

    def _check_row(self, row, cells):
        editor = self.person.editor
        segment = editor.segmentationNode.GetSegmentation().GetSegment(row.segmentID)
        assert cells[0] == row.name == segment.GetName()
        mask = editor._book.lesionOf(row.segmentID).shown.to_array()
        if mask.any():
            values = slicer.util.arrayFromVolume(editor.volumeNode)[mask]
            assert cells[1:3] == [f"{values.max():.2f}", f"{values.mean(dtype=np.float64):.2f}"]
        else:
            assert set(cells[1:]) == {"\N{EN DASH}"}


def act_and_check(person, inspector, acts):
    """Do these acts, None for one by chance; a failure says which came before."""
    for number, name in enumerate(acts):
        try:
            person.act(name)
            person.settle()
            inspector.check()
        except BaseException as error:
            error.add_note(f"act {len(person.past)}, engine {person.engine.state}: {person.past[-LAST_ACTS:]}")
            raise
        if number % DRAW_EVERY == DRAW_EVERY - 1:
            person.desktop.render()


@pytest.fixture
def a_stress(a_slicer, monkeypatch, tmp_path):
    """Makes a person and who checks; drawing is left for every 25th act, for software draws here."""
    monkeypatch.setattr(scene_watch, "QUIET_S", 0.0)
    a_slicer.layoutManager.setRenderPaused(True)
    for node in slicer.util.getNodesByClass("vtkMRMLScriptedModuleNode"):  # singletons outlive a closed scene
        a_slicer.scene.RemoveNode(node)

    def make(engine, *, seed, kill, truth=None):
        monkeypatch.setattr(SegAnyPETLib.worker, "EngineClient", engine)
        person = StressPerson(a_slicer, np.random.default_rng(seed), tmp_path, kill=kill)
        person.settle()
        fake = lambda _image, prompts: PackedMask.of(person.engine.mask_of(prompts))  # noqa: E731
        return person, Inspector(person, truth or fake)

    yield make
    a_slicer.layoutManager.setRenderPaused(False)


def test_whatever_is_done_nothing_is_raised_or_left_behind_and_all_agree(a_stress):
    person, inspector = a_stress(MortalEngine, seed=1, kill=kill_fake)
    act_and_check(person, inspector, person.everything())
    act_and_check(person, inspector, [None] * (FEW_ACTIONS - len(person.past)))
    assert set(person.done) == {name.removeprefix("do_") for name in dir(person) if name.startswith("do_")}
    assert inspector.compared > 20


def tell(text):
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def megabytes():
    """Resident memory of this process; 0 where it is not known."""
    status = Path("/proc/self/statm")
    return int(status.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20 if status.exists() else 0


def study(person, inspector, capsys):
    started, memory = time.monotonic(), megabytes()
    for chunk in range(0, ACTIONS, CHUNK):
        act_and_check(person, inspector, [None] * min(CHUNK, ACTIONS - chunk))
        with capsys.disabled():
            tell(
                f"seed {SEED}: {len(person.past)} acts, {inspector.compared} masks compared, "
                f"{len(person.told)} messages, {time.monotonic() - started:.0f} s, {megabytes():.0f} MiB"
            )
    with capsys.disabled():
        tell(", ".join(f"{count} {name.replace('_', ' ')}" for name, count in person.done.most_common()))
        tell(
            f"No exception, no node too many, {inspector.compared} masks as the engine said. Memory {memory:.0f} MiB "
            f"before, {megabytes():.0f} MiB after. Messages: {Counter(each.text[:60] for each in person.told)}"
        )


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_ten_thousand_acts_with_an_engine_without_a_process(a_stress, capsys):
    study(*a_stress(MortalEngine, seed=SEED, kill=kill_fake), capsys)


@pytest.mark.slow
@pytest.mark.timeout(0)
@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_ten_thousand_acts_with_the_real_engine_that_is_killed_again_and_again(a_stress, capsys, tmp_path):
    client = SegAnyPETLib.worker.EngineClient
    command = [sys.executable, "-P", str(SCRIPT), str(tmp_path)]

    def engine(*, model, device):
        return client(model=model, device=device, command=command)

    person, inspector = a_stress(partial(engine), seed=SEED, kill=kill_child, truth=Balls())
    study(person, inspector, capsys)
    assert person.done["die"] > ACTIONS / 1000
