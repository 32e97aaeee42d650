"""The tab Fine-tune: a training beside Slicer, its curves, and its card."""

import json

import pytest
import slicer
from finetune_desk import REASON, FineTuneDesk, enabled
from panel_desk import PanelDesk
from scripted_module import unload_scripted_module
from vtk.util.numpy_support import vtk_to_numpy


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
