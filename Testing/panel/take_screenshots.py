"""Takes the pictures of the panel: `python Testing/panel/take_screenshots.py`.

`--batch-only` and `--finetune-only` take those of one tab.

The module in the harness of `Testing/desktop` with the bundled model, on the phantom study. Lesions are clicked with
the mouse in the axial view: in the middle, then in the middle of the largest error in that slice. To be run again
whenever the panel or the weights change; look at the pictures, and at the Dice it writes.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "Testing" / "desktop"))

SCREENSHOTS = REPOSITORY / "Resources" / "Screenshots"
SIZE = (1200, 860)  # pixels of the window
LESIONS = {  # as the phantom calls it -> as the pictures call it; the last one that is corrected is looked at
    "lung nodule": "Lung nodule",
    "liver metastasis": "Liver",
    "bone metastasis": "Vertebra",
    "lobulated nodal mass": "Nodal mass",
    "necrotic thigh mass": "Thigh mass",
    "lesion at the heart": "Beside the heart",
}
MOST_CLICKS, GOOD_DICE = 3, 0.85
ARCHIVE = "/data/PET archive 2025/"
BATCH_STUDIES = [  # rows for the picture of the tab Batch
    {"source": ARCHIVE + "P001/PETCT 2025-01-14", "lesions": 7},
    {"source": ARCHIVE + "P002/PETCT 2025-01-15", "lesions": 1},
    {
        "source": ARCHIVE + "P003/PETCT 2025-01-15",
        "error": "Expected Patient Weight (0010,1030) for SUVbw; found none. State it, or choose another SUV.",
    },
    {"source": ARCHIVE + "P004/PETCT 2025-01-20", "lesions": 0},
    {
        "source": ARCHIVE + "P005/PETCT 2025-01-22",
        "doubts": ["Two PET series fit equally well: PET AC 2 mm and PET AC 4 mm. Give a list with one of them."],
    },
    {"source": ARCHIVE + "P006/PETCT 2025-01-27", "lesions": 23},
    {"source": ARCHIVE + "P007/MR 2025-01-28", "problems": ["There is no PET series that can be used."]},
    *({"source": f"{ARCHIVE}P{n:03d}/PETCT 2025-02-{n:02d}", "lesions": n % 9} for n in range(8, 29)),
]
FINETUNE_PLAN = {  # cases, findings and a training for the picture of the tab Fine-tune
    "cases": [
        *(
            (f"case{n:02d}", f"P{n:03d}", "HQ" if n < 12 else "LQ", "validation" if n in (3, 7) else "train")
            for n in range(1, 19)
        ),
    ],
    "findings": [
        (
            "case04",
            "warning",
            "its border does not follow the uptake: SUV 3.1 just inside, 2.9 just outside",
            "Look at it.",
        ),
        ("case06", "note", "its voxels are 5.30 x 5.30 x 3.00 mm, unusual for PET", "Check the image."),
        ("case09", "warning", "its label fits the image better 12 mm away, +12 mm to the head", "Register it again."),
        ("case13", "note", "3 of its 3 lesions are what a threshold gives: 41 %", "Nothing: CPCL is made for them."),
    ],
    "times": {"quick": 190.0, "balanced": 1260.0, "thorough": 4700.0},
    "steps": 120,
    "seconds": 0.05,
    "card": {},
}
FINETUNE_STEP = 76  # at which the picture is taken
NEAR_MM, WHOLE_MM = 150.0, 700.0  # from top to bottom of a view
OVERVIEW_RAS = (0.0, 5.0, -125.0)  # the coronal plane that most lesions meet
ANSWER_S = 120.0  # on a busy machine


class Person:
    """Somebody who knows the truth, at the panel."""

    def __init__(self, desktop):
        from SegAnyPETLib.phantom import body_phantom

        self.desktop, self.phantom = desktop, body_phantom()
        self.panel = desktop.loadModule().panel.segment
        self.ui, self.editor = self.panel.ui, self.panel.editor

    def load_phantom(self):
        self.desktop.press_button(self.ui.phantomButton)
        self.wait(lambda: self.panel.engine.state == "ready")

    def segment(self, name):
        """Click a lesion, then correct it until it is good; returns where it was clicked, in RAS mm."""
        from SegAnyPETLib.clicks import deepest_voxel, next_click
        from SegAnyPETLib.evaluation import compute_dice

        truth = next(lesion.mask for lesion in self.phantom.lesions if lesion.name == name)
        spacing = self.phantom.grid.spacing_kji_mm
        self.desktop.press("Q")
        kji, positive, clicked, dice = deepest_voxel(truth, spacing_kji_mm=spacing), True, [], 0.0
        plane = slice(kji[0], kji[0] + 1)
        while len(clicked) < MOST_CLICKS and dice < GOOD_DICE:
            self.click(kji, positive=positive)
            clicked.append(self.ras(kji))
            found = self.mask()
            dice = compute_dice(found, truth)
            following = next_click(truth[plane], found[plane], spacing_kji_mm=spacing)
            if following is None:
                break
            (_, j, i), positive = following
            kji = (kji[0], j, i)
        self.editor.renameLesion(self.editor.selectedLesion, LESIONS[name])
        sys.stdout.write(f"{LESIONS[name]}: {len(clicked)} clicks, Dice {dice:.2f}\n")
        return clicked

    def click(self, kji, *, positive):
        before = self.row().clicks
        self.desktop.view("Red").click(self.ras(kji), modifiers=None if positive else "ctrl")
        self.wait(lambda: self.row().clicks == before + 1 and self.row().state != "working")

    def row(self):
        return next(row for row in self.editor.rows if row.segmentID == self.editor.selectedLesion)

    def mask(self):
        from SegAnyPETLib.mrml.segments import maskFromSegment

        return maskFromSegment(self.editor.segmentationNode, self.editor.selectedLesion, grid=self.phantom.grid)

    def ras(self, kji):
        left, posterior, superior = self.phantom.grid.kji_to_lps(kji).tolist()
        return -left, -posterior, superior

    def look_at(self, clicked):
        """One lesion near in two views, most of them in the third, all in 3D."""
        middle = [sum(place) / len(clicked) for place in zip(*clicked, strict=True)]
        for name, place, height in (
            ("Red", middle, NEAR_MM),
            ("Yellow", clicked[0], NEAR_MM),
            ("Green", OVERVIEW_RAS, WHOLE_MM),
        ):
            view = self.desktop.view(name)
            view.node.SetFieldOfView(height * view.view.width / view.view.height, height, 1.0)
            view.node.JumpSliceByCentering(*place)
        threeD = self.desktop.layoutManager.activeMRMLThreeDViewNode()
        threeD.SetBoxVisible(False)
        threeD.SetAxisLabelsVisible(False)
        self.desktop.layoutManager.resetThreeDViews()

    def wait_until_all_is_shown(self):
        """Answers, measures, surfaces: nothing is under way any more."""
        for name in ("Red", "Yellow", "Green"):
            self.desktop.view(name).leave()
        self.wait(lambda: all(row.state == "ready" and row.measures for row in self.editor.rows))
        self.wait(lambda: self.panel.engine.state == "ready")
        self.desktop.process(1000)

    def wait(self, condition):
        self.desktop.wait_until(condition, seconds=ANSWER_S)


def dark_palette():
    """White on dark grey, like Slicer's dark style."""
    from PySide6.QtGui import QColor, QPalette

    palette = QPalette(QColor("#323232"))
    palette.setColor(QPalette.Base, QColor("#1e1e1e"))
    palette.setColor(QPalette.Highlight, QColor("#3c8fdc"))
    for role in (QPalette.Text, QPalette.WindowText, QPalette.ButtonText):
        palette.setColor(QPalette.Disabled, role, QColor("#8a8a8a"))
    return palette


def take(desktop, _folder, _monkeypatch):
    person = Person(desktop)
    desktop.resize(*SIZE)
    person.load_phantom()
    clicked = [person.segment(name) for name in LESIONS]
    corrected = max(n for n, places in enumerate(clicked) if len(places) > 1)  # the last one that was
    person.editor.selectLesion(person.editor.rows[corrected].segmentID)
    person.ui.keysButton.collapsed = False
    person.wait_until_all_is_shown()
    person.look_at(clicked[corrected])
    take_both(desktop, "slicer")


def take_batch(desktop, folder, monkeypatch):
    """The tab Batch in the middle of a run that segments nothing: its rows are made up, its looks are real."""
    import SegAnyPETLib.worker.python_command as commands

    script = str(REPOSITORY / "Testing" / "panel" / "fake_batch.py")
    monkeypatch.setattr(commands, "python_command", lambda _module, *rest: [sys.executable, script, *rest])
    (folder / "plan.json").write_text(json.dumps({"studies": BATCH_STUDIES, "seconds": 0.4}), encoding="utf-8")
    module = desktop.loadModule().panel
    desktop.resize(*SIZE)
    desktop.press_button(module.segment.ui.phantomButton)
    module.ui.tabs.setCurrentWidget(module.ui.batchTab)
    panel = module.batch
    desktop.dialogs.answer("/data/PET archive 2025")
    panel.sources.addFolder()
    panel.ui.outPath.setCurrentPath(str(folder / "Results"))
    desktop.press_button(panel.ui.startButton)
    desktop.wait_until(lambda: panel.state is not None and panel.state.ended >= 9, seconds=ANSWER_S)
    desktop.process(600)
    panel._timer.stop()  # both pictures show the same moment, and a folder that is not here
    panel.ui.outPath.blockSignals(True)
    panel.ui.outPath.setCurrentPath("/data/Results/archive 2025")
    take_both(desktop, "batch")
    panel.run.ask("stop")
    desktop.wait_until(lambda: not panel.run.isStarting, seconds=ANSWER_S)


def take_finetune(desktop, folder, monkeypatch):
    """The tab Fine-tune amid a training that trains nothing: its numbers are made up, its looks are real."""
    import SegAnyPETLib.worker.python_command as commands

    plan = folder / "plan.json"
    command = [sys.executable, str(REPOSITORY / "Testing" / "panel" / "fake_finetune.py"), str(plan)]
    monkeypatch.setattr(commands, "python_command", lambda module, *rest: [*command, module, *rest])
    plan.write_text(json.dumps(FINETUNE_PLAN), encoding="utf-8")
    module = desktop.loadModule().panel
    desktop.resize(*SIZE)
    desktop.press_button(module.segment.ui.phantomButton)
    module.ui.tabs.setCurrentWidget(module.ui.fineTuneTab)
    panel = module.fineTune
    desktop.dialogs.answer("/data/PET with labels")
    panel.cohort.sources.chooseFolder()
    desktop.wait_until(lambda: not panel.cohort.isBusy, seconds=ANSWER_S)
    for button in (panel.ui.checkButton, panel.ui.timeButton):
        desktop.press_button(button)
        desktop.wait_until(lambda: not (panel.cohort.isBusy or panel.form.timing.isRunning), seconds=ANSWER_S)
    panel.ui.outPath.setCurrentPath(str(folder / "Training"))
    desktop.press_button(panel.ui.startButton)
    reached = f"of {FINETUNE_PLAN['steps']}"
    desktop.wait_until(
        lambda: (
            panel.state and (panel.state.number("step") or 0) >= FINETUNE_STEP and reached in panel.ui.hintLabel.text
        ),
        seconds=ANSWER_S,
    )
    desktop.process(600)
    panel._timer.stop()  # the picture in both styles shows the same step
    panel.ui.outPath.blockSignals(True)
    panel.ui.outPath.setCurrentPath("/data/Models/2025-11 soft tissue")
    take_both(desktop, "finetune")
    panel.run.ask("stop")
    desktop.wait_until(lambda: not panel.run.isStarting, seconds=ANSWER_S)


def take_both(desktop, name):
    """The window in the light and in the dark style."""
    light = desktop.app.palette()
    for style, palette in (("light", light), ("dark", dark_palette())):
        desktop.app.setPalette(palette)
        desktop.process(400)
        desktop.screenshot(SCREENSHOTS / f"{name}_{style}.png")
    desktop.app.setPalette(light)


def main():
    from slicer_desktop import running_slicer

    takes = {"--batch-only": take_batch, "--finetune-only": take_finetune}
    wanted = [takes[word] for word in sys.argv if word in takes] or [take, *takes.values()]
    for take_pictures in wanted:
        with (
            pytest.MonkeyPatch.context() as monkeypatch,
            tempfile.TemporaryDirectory() as folder,
            running_slicer(monkeypatch, Path(folder)) as desktop,
        ):
            take_pictures(desktop, Path(folder), monkeypatch)


if __name__ == "__main__":
    main()
