"""The tab Fine-tune: cases and what the checker says of them, a training beside Slicer, its curves, and its card."""

import json
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
import slicer
from fake_finetune import PIXEL
from panel_desk import PanelDesk
from scripted_module import unload_scripted_module
from vtk.util.numpy_support import vtk_to_numpy

FAKE = Path(__file__).with_name("fake_finetune.py")
ANSWER_S = 600.0  # of a real training on a busy machine
EMPTY, ADVICE = "its label is empty", "Draw the lesions, or remove the case."
REASON = "Becomes the default: on the validation cases Dice changed by +0.050 [+0.020, +0.080]."
PLAN = {
    "cases": [
        ("a", "p1", "HQ", "train"),
        ("b", "p2", "HQ", "train"),
        ("c", "p3", "HQ", "train"),
        ("d", "p4", "LQ", "train"),
        ("e", "p5", "HQ", "validation"),
    ],
    "findings": [("b", "error", EMPTY, ADVICE), ("d", "warning", "its label is 12 mm off", "Look at it.")],
    "times": {"quick": 70.0, "balanced": 240.0, "thorough": 5400.0},
    "card": {"name": "lite-cpcl-1", "decision": {"becomes_default": True, "reason": REASON, "caution": ""}},
}


class FineTuneDesk:
    """The tab, opened, with quick commands in place of the real ones."""

    def __init__(self, desk, folder, monkeypatch=None):
        self.desk, self.desktop, self.folder, self.out = desk, desk.desktop, folder, folder / "out"
        self.module = desk.widget.panel
        self.panel, self.ui = self.module.fineTune, self.module.fineTune.ui
        self.module.ui.tabs.setCurrentWidget(self.module.ui.fineTuneTab)
        self.desktop.process()
        self.panel.tick()
        if monkeypatch is not None:
            monkeypatch.setenv("SEGANYPET_HOME", str(folder / "home"))
            self.plan()
            import SegAnyPETLib.worker.python_command as commands

            command = [sys.executable, str(FAKE), str(folder / "plan.json")]
            monkeypatch.setattr(commands, "python_command", lambda module, *rest: [*command, module, *rest])

    def plan(self, **changes):
        (self.folder / "plan.json").write_text(json.dumps({**PLAN, **changes}), encoding="utf-8")

    def arguments(self):
        return json.loads((self.folder / "arguments.json").read_text(encoding="utf-8"))

    def find(self):
        self.desktop.dialogs.answer("/site")
        self.panel.cohort.sources.chooseFolder()
        self.wait(lambda: not self.panel.cohort.isBusy)
        self.desktop.process()

    def check(self):
        self.press(self.ui.checkButton)
        self.wait(lambda: not self.panel.cohort.isBusy)

    def press(self, button):
        self.desktop.press_button(button)

    def wait(self, condition, seconds=30):
        def met():
            if seconds == ANSWER_S:
                time.sleep(0.2)  # the real commands need the processor
            self.panel.tick()
            return condition()

        self.desktop.wait_until(met, seconds=seconds)

    def rows(self):
        table = self.ui.caseTable
        return [[table.item(row, column).text() for column in range(4)] for row in range(table.rowCount)]

    def choose(self, *cases):
        table = self.ui.caseTable
        table.clearSelection()
        for row, cells in enumerate(self.rows()):
            if cells[0] in cases:
                for column in range(4):
                    table.item(row, column).setSelected(True)

    def menu(self, button, text):
        """Choose from a button's menu."""
        action = next(action for action in button.menu().actions() if action.text == text)
        action.trigger()
        self.panel.tick()

    def ready(self):
        self.find()
        self.ui.outPath.setCurrentPath(str(self.out))
        self.desktop.process()

    def started(self):
        self.ready()
        self.press(self.ui.startButton)

    def has_ended(self):
        return self.panel.state is not None and self.panel.state.hasEnded


@pytest.fixture
def a_tuning(a_desk, tmp_path, monkeypatch):
    return FineTuneDesk(a_desk, tmp_path, monkeypatch)


def enabled(ui, *names):
    return [name for name in names if getattr(ui, f"{name}Button").enabled]


def test_what_has_to_be_chosen_is_said_and_no_button_does_nothing(a_tuning):
    ui = a_tuning.ui
    names = ("check", "save", "quality", "split", "remove", "picture", "start", "pause", "stop", "curves", "time")
    assert "Choose labelled cases" in ui.hintLabel.text
    assert enabled(ui, "cases", *names) == ["cases"]
    assert not ui.cardFrame.visible
    a_tuning.find()
    assert enabled(ui, *names) == ["check", "save", "time"]
    a_tuning.ui.outPath.setCurrentPath(str(a_tuning.out))
    assert enabled(ui, *names) == ["check", "save", "start", "time"]
    a_tuning.choose("b")
    assert enabled(ui, *names) == ["check", "save", "quality", "split", "remove", "start", "time"]


def test_cases_of_a_folder_are_found_by_a_process_and_nothing_is_written_there(a_tuning):
    a_tuning.find()
    assert a_tuning.rows()[3] == ["d", "LQ", "Training", "Not checked yet"]
    assert "3 careful and 1 careless for training, 1 to validate" in a_tuning.ui.hintLabel.text
    assert a_tuning.arguments()[:3] == ["cohort", "propose", "/site"]
    assert not Path(a_tuning.arguments()[4]).is_relative_to("/site")


def test_a_folder_without_cases_says_why(a_tuning):
    a_tuning.plan(**{"proposal fails": "Expected PET with labels below /site; found none."})
    a_tuning.find()
    assert "found none" in a_tuning.ui.hintLabel.text
    assert a_tuning.rows() == []


def test_findings_are_shown_per_case_with_words_and_colours(a_tuning):
    a_tuning.find()
    a_tuning.check()
    table = a_tuning.ui.caseTable
    assert [row[3] for row in a_tuning.rows()] == [
        "No problem found",
        f"Error: {EMPTY}",
        "No problem found",
        "Look: its label is 12 mm off",
        "No problem found",
    ]
    good, bad, doubtful = (table.item(row, 3).background().color() for row in (0, 1, 3))
    assert good.green() > good.red()
    assert bad.red() > 2 * bad.green()
    assert doubtful.red() > doubtful.green() > doubtful.blue()
    assert ADVICE in table.item(1, 0).toolTip()
    assert "1 have errors" in a_tuning.ui.hintLabel.text


def test_a_double_click_shows_the_page_of_pictures_with_the_case(a_tuning):
    a_tuning.find()
    a_tuning.check()
    a_tuning.desktop.dialogs.answer("reject")
    a_tuning.panel.cohort.showCase("d")
    assert a_tuning.desktop.dialogs.shown[-1].title == "Case d"
    picture = Path(a_tuning.panel.cohort.table.lines[3].picture)
    assert picture.is_file()
    a_tuning.panel.close()
    assert not picture.exists()  # nothing of a patient is left behind


def test_quality_and_purpose_are_changed_for_rows_and_saved_where_the_person_says(a_tuning):
    a_tuning.find()
    a_tuning.choose("b", "c")
    a_tuning.menu(a_tuning.ui.qualityButton, "LQ: careless, by threshold or program")
    a_tuning.choose("e")
    a_tuning.menu(a_tuning.ui.splitButton, "Test")
    assert [row[1:3] for row in a_tuning.rows()] == [
        ["HQ", "Training"],
        ["LQ", "Training"],
        ["LQ", "Training"],
        ["LQ", "Training"],
        ["HQ", "Test"],
    ]
    assert a_tuning.ui.listLabel.text == "not saved"
    a_tuning.desktop.dialogs.answer(str(a_tuning.folder / "mine"))
    a_tuning.press(a_tuning.ui.saveButton)
    assert a_tuning.ui.listLabel.text == ""
    lines = (a_tuning.folder / "mine.csv").read_text(encoding="utf-8").splitlines()
    assert [line.split(",")[4:6] for line in lines[1:]] == [
        ["HQ", "train"],
        ["LQ", "train"],
        ["LQ", "train"],
        ["LQ", "train"],
        ["HQ", "test"],
    ]


def test_a_check_can_be_ended(a_tuning):
    a_tuning.plan(**{"check seconds": 60})
    a_tuning.find()
    a_tuning.press(a_tuning.ui.checkButton)
    assert a_tuning.ui.checkButton.text == "Cancel"
    a_tuning.press(a_tuning.ui.checkButton)
    assert not a_tuning.panel.cohort.isBusy
    assert a_tuning.ui.checkButton.text == "Check cases"


def test_methods_say_what_they_need(a_tuning):
    a_tuning.ready()
    a_tuning.choose("a", "b")
    a_tuning.menu(a_tuning.ui.qualityButton, "LQ: careless, by threshold or program")
    assert not a_tuning.ui.startButton.enabled  # CPCL with one careful case
    a_tuning.ui.methodSelector.setCurrentIndex(1)
    assert "mistakes are learned too" in a_tuning.ui.methodLabel.text
    assert a_tuning.ui.startButton.enabled
    assert a_tuning.module.preferences.fineTuneMethod == "plain"


def test_the_time_each_choice_takes_is_measured_and_forgotten_with_the_method(a_tuning):
    a_tuning.find()
    a_tuning.press(a_tuning.ui.timeButton)
    a_tuning.wait(lambda: not a_tuning.panel.form.timing.isRunning)
    selector = a_tuning.ui.presetSelector
    assert [selector.itemText(n) for n in range(3)] == [
        "Quick, about 1 min",
        "Balanced, about 4 min",
        "Thorough, about 1 h 30 min",
    ]
    a_tuning.ui.methodSelector.setCurrentIndex(2)
    assert selector.itemText(0) == "Quick"


def columns(table_node):
    table = table_node.GetTable()
    return {
        table.GetColumnName(n): vtk_to_numpy(table.GetColumn(n)).tolist() for n in range(table.GetNumberOfColumns())
    }


def test_a_training_shows_steps_curves_and_what_the_careless_labels_are_worth(a_tuning):
    a_tuning.started()
    a_tuning.wait(lambda: a_tuning.panel.state and (a_tuning.panel.state.number("step") or 0) >= 12)
    assert "of 30, validation Dice 0." in a_tuning.ui.hintLabel.text
    assert "left" in a_tuning.ui.hintLabel.text
    assert "1.4 mm too large" in a_tuning.ui.labelsLabel.text
    assert "mostly believed (67 %)" in a_tuning.ui.labelsLabel.text
    assert enabled(a_tuning.ui, "start", "cases", "quality", "check") == []
    given = a_tuning.arguments()
    assert given[0] == "finetune"
    listed = (a_tuning.out / "cohort.csv").read_text(encoding="utf-8")
    assert given[given.index("--cohort") + 1] == str(a_tuning.out / "cohort.csv")
    assert len(listed.splitlines()) == 6
    assert [given[given.index(f"--{name}") + 1] for name in ("base", "method", "preset")] == ["lite", "cpcl", "quick"]

    a_tuning.wait(a_tuning.has_ended)
    chart = a_tuning.panel.plot.chartNode
    names = [chart.GetNthPlotSeriesNode(n).GetName() for n in range(chart.GetNumberOfPlotSeriesNodes())]
    assert names == ["Loss", "Loss, smoothed", "Validation Dice"]
    written = [json.loads(line) for line in (a_tuning.out / "progress.jsonl").read_text().splitlines()]
    steps = [line for line in written if line["phase"] == "training"]
    loss = columns(chart.GetNthPlotSeriesNode(0).GetTableNode())
    assert loss["Step"] == [line["step"] for line in steps]
    assert loss["loss"] == [line["loss"] for line in steps]
    assert loss["smoothed"][1] == pytest.approx((steps[0]["loss"] + steps[1]["loss"]) / 2)
    dice = columns(chart.GetNthPlotSeriesNode(2).GetTableNode())
    assert dice["Step"] == [5, 10, 15, 20, 25, 30]
    a_tuning.desktop.process()
    assert slicer.app.layoutManager().plotViewCount == 1
    assert (
        slicer.app.layoutManager().plotWidget(0).mrmlPlotViewNode().GetPlotChartNode() is chart
    )  # a layout with a plot view came by itself
    assert not chart.GetSaveWithScene()


def test_closing_the_scene_brings_the_curves_back(a_tuning):
    a_tuning.started()
    a_tuning.wait(a_tuning.has_ended)
    a_tuning.desktop.closeScene()
    a_tuning.panel.tick()
    a_tuning.press(a_tuning.ui.curvesButton)
    assert a_tuning.panel.plot.chartNode.GetScene() is slicer.mrmlScene


def test_pause_holds_continue_goes_on_and_stop_keeps_the_best(a_tuning):
    a_tuning.plan(steps=100_000)
    a_tuning.started()
    a_tuning.wait(lambda: a_tuning.panel.state and a_tuning.panel.state.phase == "training")
    a_tuning.press(a_tuning.ui.pauseButton)
    a_tuning.wait(lambda: "Paused" in a_tuning.ui.hintLabel.text)
    before = a_tuning.panel.state.number("step")
    a_tuning.desktop.process(300)
    a_tuning.panel.tick()
    assert a_tuning.panel.state.number("step") == before
    assert a_tuning.ui.pauseButton.text == "Continue"
    a_tuning.press(a_tuning.ui.pauseButton)
    a_tuning.wait(lambda: a_tuning.panel.state.number("step") > before)
    a_tuning.press(a_tuning.ui.stopButton)
    a_tuning.wait(a_tuning.has_ended)
    assert a_tuning.panel.run.card() is not None
    assert "card is below" in a_tuning.ui.hintLabel.text


def test_a_new_slicer_shows_the_training_that_went_on_without_it(a_slicer, engines, tmp_path, monkeypatch):
    first = FineTuneDesk(PanelDesk(a_slicer, engines), tmp_path, monkeypatch)
    first.plan(steps=100_000)
    first.started()
    first.wait(lambda: first.panel.state and first.panel.state.phase == "training")
    a_slicer.leaveModule()
    unload_scripted_module(a_slicer._modules.pop())  # Slicer ends
    second = FineTuneDesk(PanelDesk(a_slicer, engines), tmp_path, monkeypatch)
    assert second.ui.outPath.currentPath == str(first.out)
    assert second.panel.isRunning
    assert not second.panel.run.isStarting  # it is known by its sign of life, not as our own process
    assert len(second.rows()) == 5
    assert len(second.panel.state.loss.steps) >= 1
    second.press(second.ui.stopButton)
    second.wait(second.has_ended)


def test_an_interrupted_training_goes_on_and_its_curves_are_one(a_tuning):
    a_tuning.plan(**{"dies at": 12})
    a_tuning.started()
    a_tuning.wait(lambda: a_tuning.panel.state and not a_tuning.panel.isRunning and a_tuning.panel.run.isTaken)
    assert "interrupted" in a_tuning.ui.hintLabel.text
    assert a_tuning.ui.startButton.text == "Go on"
    a_tuning.plan()
    a_tuning.press(a_tuning.ui.startButton)
    a_tuning.wait(a_tuning.has_ended)
    assert a_tuning.arguments() == ["finetune", "--resume", "--out", str(a_tuning.out), "--quiet"]
    assert a_tuning.panel.state.loss.steps == list(range(1, 31))


def test_a_training_that_cannot_begin_says_why(a_tuning):
    a_tuning.plan(**{"training fails": "Expected a cohort without errors; found 1."})
    a_tuning.started()
    a_tuning.wait(lambda: "without errors" in a_tuning.ui.hintLabel.text)
    assert a_tuning.ui.startButton.enabled


def test_a_folder_that_cannot_be_written_is_an_error_with_words(a_tuning):
    a_tuning.find()
    (a_tuning.folder / "file").write_text("")
    a_tuning.ui.outPath.setCurrentPath(str(a_tuning.folder / "file" / "out"))
    a_tuning.desktop.dialogs.answer("OK")
    a_tuning.press(a_tuning.ui.startButton)
    assert "could not be started" in a_tuning.desktop.dialogs.shown[-1].text


def test_the_card_says_decision_and_reason_and_its_model_becomes_the_panels(a_tuning, monkeypatch):
    import SegAnyPETLib.model

    monkeypatch.setattr(SegAnyPETLib.model, "is_site_model", lambda name: name == "lite-cpcl-1")
    a_tuning.started()
    a_tuning.wait(a_tuning.has_ended)
    assert "lite-cpcl-1: better than before" in a_tuning.ui.cardLabel.text
    assert REASON in a_tuning.ui.cardLabel.text
    assert not a_tuning.ui.startButton.enabled  # the folder is taken
    a_tuning.desktop.dialogs.answer("reject")
    a_tuning.press(a_tuning.ui.cardButton)
    assert a_tuning.desktop.dialogs.shown[-1].title == "lite-cpcl-1"
    a_tuning.press(a_tuning.ui.useButton)
    assert a_tuning.module.preferences.modelName == "lite-cpcl-1"
    assert a_tuning.desk.engine.wanted[0] == "lite-cpcl-1"
    assert not a_tuning.ui.useButton.enabled


def test_a_candidate_is_used_only_after_a_question(a_tuning, monkeypatch):
    import SegAnyPETLib.model

    monkeypatch.setattr(SegAnyPETLib.model, "is_site_model", lambda _name: True)
    decision = {"becomes_default": False, "reason": "Kept as a candidate.", "caution": "Few patients."}
    a_tuning.plan(
        card={
            "name": "lite-hq-2",
            "decision": decision,
            "labels": {"please_review": ["d"], "offset_mm": -0.8, "belief": 0.1},
        }
    )
    a_tuning.started()
    a_tuning.wait(a_tuning.has_ended)
    assert "look at these labels again: d" in a_tuning.ui.cardLabel.text
    assert "0.8 mm too small" in a_tuning.ui.cardLabel.text
    assert "hardly used" in a_tuning.ui.cardLabel.text
    a_tuning.desktop.dialogs.answer("Cancel")
    a_tuning.press(a_tuning.ui.useButton)
    assert "not proven" in a_tuning.desktop.dialogs.shown[-1].text
    assert a_tuning.module.preferences.modelName == "lite"


def test_a_long_progress_file_is_read_piece_by_piece_and_nonsense_in_it_is_passed_over(a_tuning, monkeypatch):
    monkeypatch.setattr("SegAnyPETPanels.FineTuneRun.READ_AT_ONCE", 100)
    a_tuning.out.mkdir()
    lines = [json.dumps({"phase": "training", "step": n, "steps": 9, "loss": 1 / n}) for n in range(1, 10)]
    lines[4:4] = ["not json", "[1]", '{"step": "many", "loss": NaN}', '{"step": true, "loss": null}']
    (a_tuning.out / "progress.jsonl").write_text("\n".join(lines) + '\n{"step": 10', encoding="utf-8")
    a_tuning.ui.outPath.setCurrentPath(str(a_tuning.out))
    looks = 0
    while a_tuning.panel.state is None or len(a_tuning.panel.state.loss.steps) < 9:
        a_tuning.panel.tick()
        looks += 1
        assert looks < 50
    assert looks > 3
    assert a_tuning.panel.state.loss.values == [1 / n for n in range(1, 10)]


def test_curves_stay_small_enough_to_draw(a_tuning):
    assert a_tuning.panel  # the panels can be imported
    from SegAnyPETPanels.FineTuneRun import MOST_POINTS, Curve

    curve = Curve()
    for step in range(1, 20_001):
        curve.add(step, float(step))
    assert MOST_POINTS / 4 < len(curve.steps) <= MOST_POINTS
    assert curve.steps == curve.values
    assert curve.steps[0] == 1
    assert curve.steps[-1] > 19_900


def test_segmentations_of_the_scene_become_cases_with_the_voxels_they_have(a_tuning):
    desk = a_tuning.desk
    a_tuning.module.ui.tabs.setCurrentWidget(a_tuning.module.ui.segmentTab)
    desk.press("Q")
    desk.click((9, 11, 12))
    expected = desk.mask()
    folder = a_tuning.folder / "scene"
    folder.mkdir()
    a_tuning.desktop.dialogs.answer("accept", str(folder))
    a_tuning.panel.cohort.sources.chooseScene()
    a_tuning.wait(lambda: not a_tuning.panel.cohort.isBusy)
    assert [row[:3] for row in a_tuning.rows()] == [["case001", "HQ", "Training"]]
    image = SimpleITK.ReadImage(str(folder / "case001_pet.nii"))
    label = SimpleITK.ReadImage(str(folder / "case001_label.nii.gz"))
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(image), slicer.util.arrayFromVolume(desk.volume))
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(label) > 0, expected)
    k, j, i = (int(n) for n in np.argwhere(expected)[0])
    left, posterior, superior = label.TransformIndexToPhysicalPoint((i, j, k))
    np.testing.assert_allclose((-left, -posterior, superior), desk.ras((k, j, i)), atol=1e-3)
    assert not [path for path in folder.iterdir() if "PET" in path.name]  # names of nodes may be those of patients

    a_tuning.desktop.dialogs.answer("accept", str(folder))  # another day, the same folder: cases are added
    a_tuning.panel.cohort.sources.chooseScene()
    a_tuning.wait(lambda: not a_tuning.panel.cohort.isBusy)
    assert [row[0] for row in a_tuning.rows()] == ["case001", "case002"]


def test_a_scene_without_segmentations_says_what_to_do(a_tuning):
    slicer.mrmlScene.Clear(0)
    a_tuning.desktop.dialogs.answer("OK")
    a_tuning.panel.cohort.sources.chooseScene()
    assert "Segment lesions first" in a_tuning.desktop.dialogs.shown[-1].text


def test_a_picture_that_cannot_be_read_says_so(a_tuning):
    from SegAnyPETPanels.FineTuneCard import showPicture

    place = a_tuning.folder / "broken.png"
    place.write_bytes(PIXEL[:20])
    a_tuning.desktop.dialogs.answer("reject")
    showPicture(a_tuning.panel.widget, place, "Broken")
    assert a_tuning.desktop.dialogs.shown[-1].title == "Broken"


def write_sphere(folder, number, *, radius_mm=9.0):
    """A small PET with one hot sphere, and the label somebody drew on it."""
    shape, spacing, centre = (24, 26, 28), (4.0, 3.5, 3.0), np.array((44.0, 48.0, 40.0 + number))
    mm = np.stack(np.indices(shape), axis=-1) * spacing
    away = np.linalg.norm(mm - centre, axis=-1)
    rng = np.random.default_rng(number)
    suv = 1.0 + 7.0 / (1 + np.exp((away - 9.0) / 2.0)) + 0.15 * rng.standard_normal(shape)
    place = folder / f"P{number}"
    place.mkdir(parents=True)
    for name, values in (("pet", suv.astype(np.float32)), ("seg", (away < radius_mm).astype(np.uint8))):
        image = SimpleITK.GetImageFromArray(values)
        image.SetSpacing(spacing[::-1])
        SimpleITK.WriteImage(image, str(place / f"{name}.nii.gz"))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_real_training_of_a_few_steps_ends_with_a_card_and_a_model(a_slicer, engines, tmp_path, monkeypatch):
    """The real commands: cases are found and checked, the bundled model trains, its card is shown, it is used."""
    monkeypatch.setenv("SEGANYPET_HOME", str(tmp_path / "home"))
    for number in range(1, 7):
        write_sphere(tmp_path / "site", number, radius_mm=12.0 if number > 4 else 9.0)
    before = sorted(path.stat().st_mtime_ns for path in (tmp_path / "site").rglob("*"))
    tuning = FineTuneDesk(PanelDesk(a_slicer, engines), tmp_path)
    a_slicer.dialogs.answer(str(tmp_path / "site"))
    tuning.panel.cohort.sources.chooseFolder()
    tuning.wait(lambda: not tuning.panel.cohort.isBusy, seconds=ANSWER_S)
    assert len(tuning.rows()) == 6, tuning.ui.hintLabel.text
    tuning.choose(*(row[0] for row in tuning.rows()[4:]))
    tuning.menu(tuning.ui.qualityButton, "LQ: careless, by threshold or program")
    tuning.choose(*(row[0] for row in tuning.rows()))
    tuning.menu(tuning.ui.splitButton, "Training")
    tuning.choose(tuning.rows()[0][0])
    tuning.menu(tuning.ui.splitButton, "Validation")
    tuning.press(tuning.ui.checkButton)
    tuning.wait(lambda: not tuning.panel.cohort.isBusy, seconds=ANSWER_S)
    assert "Not checked yet" not in [row[3] for row in tuning.rows()], tuning.ui.hintLabel.text
    assert all(line.picture for line in tuning.panel.cohort.table.lines)

    tuning.press(tuning.ui.timeButton)
    tuning.wait(lambda: not tuning.panel.form.timing.isRunning, seconds=ANSWER_S)
    assert "about" in tuning.ui.presetSelector.itemText(2), tuning.ui.hintLabel.text

    tuning.ui.outPath.setCurrentPath(str(tuning.out))
    assert tuning.ui.startButton.enabled, tuning.ui.hintLabel.text
    tuning.press(tuning.ui.startButton)
    tuning.wait(lambda: tuning.panel.state and (tuning.panel.state.number("step") or 0) >= 2, seconds=ANSWER_S)
    tuning.press(tuning.ui.stopButton)
    tuning.wait(tuning.has_ended, seconds=ANSWER_S)
    assert tuning.panel.plot.chartNode is not None
    card = tuning.panel.run.card()
    assert card["decision"]["reason"] in tuning.ui.cardLabel.text
    tuning.desktop.dialogs.answer("OK")  # one validation case proves nothing
    tuning.press(tuning.ui.useButton)
    assert tuning.module.preferences.modelName == card["name"]
    assert sorted(path.stat().st_mtime_ns for path in (tmp_path / "site").rglob("*")) == before
