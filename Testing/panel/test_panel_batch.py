"""The tab Batch: a run beside Slicer, its rows, and what a person asks of it."""

import os
import subprocess
import sys
import time
from pathlib import Path

import slicer
from batch_desk import FAILED, FAKE, UNCLEAR, BatchDesk
from panel_desk import PanelDesk
from scripted_module import unload_scripted_module


def test_what_has_to_be_chosen_is_said_and_no_button_does_nothing(a_batch):
    ui = a_batch.ui
    assert "Add the studies" in ui.hintLabel.text
    buttons = (ui.findButton, ui.startButton, ui.pauseButton, ui.cancelButton, ui.openButton, ui.replaceButton)
    assert not any(button.enabled for button in buttons)
    a_batch.choose()
    assert ui.startButton.enabled
    assert ui.findButton.enabled
    ui.ruleSelector.setCurrentIndex(ui.ruleSelector.count - 1)
    assert "prompts" in ui.hintLabel.text
    assert not ui.startButton.enabled
    ui.promptsPath.setCurrentPath("/data/points.csv")
    assert ui.startButton.enabled


def test_studies_are_found_by_a_process_and_unclear_ones_say_why(a_batch):
    a_batch.choose()
    a_batch.press(a_batch.ui.findButton)
    a_batch.wait(lambda: len(a_batch.rows()) == 5)
    assert a_batch.rows()[0][:2] == ["Waiting", "a"]
    assert a_batch.rows()[2] == ["Unclear", "c", UNCLEAR]
    assert "3 to be segmented, 1 unclear, 1 left out" in a_batch.ui.hintLabel.text
    assert not a_batch.out.exists()  # nothing was written
    assert "--dry-run" in a_batch.arguments()


def test_a_run_fills_its_rows_with_state_reason_lesions_and_time(a_batch):
    a_batch.run_to_the_end()
    assert a_batch.rows() == [
        ["Done", "a", "3 lesions, 12 s"],
        ["Failed", "b", FAILED],
        ["Unclear", "c", UNCLEAR],
        ["Done", "d", "1 lesion, 12 s"],
        ["Left out", "e", "There is no PET series."],
    ]
    table = a_batch.ui.studyTable
    assert FAILED in table.item(1, 0).toolTip()
    tints = [table.item(row, 1).background().color() for row in (0, 1)]
    assert tints[0].green() > tints[0].red()
    assert tints[1].red() > tints[1].green()
    assert max(tint.alpha() for tint in tints) < 128  # text stays readable on light and on dark
    assert "2 of 5 done, 1 failed, 1 unclear, 1 left out" in a_batch.ui.hintLabel.text
    assert a_batch.ui.progressBar.value == a_batch.ui.progressBar.maximum


def test_the_command_line_has_what_the_form_says(a_batch):
    a_batch.ui.thresholdBox.setValue(3.5)
    a_batch.panel.form._actions["png"].setChecked(False)
    a_batch.ui.deidentifyBox.setChecked(True)
    a_batch.run_to_the_end()
    given = a_batch.arguments()
    assert given[:2] == ["batch", "/data"]
    assert given[given.index("--candidates") + 1] == "suv:3.5"
    assert "png" not in given[given.index("--format") + 1].split(",")
    assert given[given.index("--model") + 1] == "lite"
    assert "--deidentify" in given


def test_pause_begins_no_other_study_continue_goes_on_and_cancel_ends(a_batch):
    studies = [{"source": f"/data/{n}", "lesions": 1} for n in range(60)]
    a_batch.plan({"studies": studies, "seconds": 0.05})
    a_batch.choose()
    a_batch.press(a_batch.ui.startButton)
    a_batch.wait(lambda: a_batch.panel.state and a_batch.panel.state.count("done") >= 2)
    assert "left" in a_batch.ui.hintLabel.text
    a_batch.press(a_batch.ui.pauseButton)
    a_batch.wait(lambda: "Paused" in a_batch.ui.hintLabel.text)
    before = a_batch.panel.state.count("done")
    a_batch.desktop.process(300)
    a_batch.panel.tick()
    assert a_batch.panel.state.count("done") == before
    assert a_batch.ui.pauseButton.text == "Continue"
    a_batch.press(a_batch.ui.pauseButton)
    a_batch.wait(lambda: a_batch.panel.state.count("done") > before)
    a_batch.press(a_batch.ui.cancelButton)
    a_batch.wait(a_batch.has_ended)
    assert a_batch.panel.state.count("waiting")
    assert "Start goes on" in a_batch.ui.hintLabel.text


def test_leaving_closing_the_scene_and_a_new_slicer_leave_the_run_alone(a_slicer, engines, tmp_path, monkeypatch):
    first = BatchDesk(PanelDesk(a_slicer, engines), tmp_path, monkeypatch)
    first.plan({"studies": [{"source": f"/data/{n}", "lesions": 1} for n in range(40)], "seconds": 0.05})
    first.choose()
    first.press(first.ui.startButton)
    first.wait(lambda: first.panel.state and first.panel.state.count("done") >= 1)
    a_slicer.closeScene()
    a_slicer.leaveModule()
    unload_scripted_module(a_slicer._modules.pop())  # Slicer ends
    second = BatchDesk(PanelDesk(a_slicer, engines), tmp_path, monkeypatch)
    assert second.ui.outPath.currentPath == str(first.out)
    assert second.panel.isRunning
    assert [source.text for source in second.panel.sources.sources] == ["/data"]
    second.press(second.ui.cancelButton)
    second.wait(second.has_ended)
    assert second.panel.state.count("done") >= 1


def test_a_run_that_cannot_begin_says_why(a_batch):
    a_batch.plan({"fails": "Expected a rule for candidates; found suv:x."})
    a_batch.choose()
    a_batch.press(a_batch.ui.startButton)
    a_batch.wait(lambda: "Expected a rule" in a_batch.ui.hintLabel.text)
    assert a_batch.ui.startButton.enabled


def test_a_folder_that_cannot_be_written_is_an_error_with_words(a_batch):
    a_batch.choose()
    (a_batch.folder / "file").write_text("")
    a_batch.ui.outPath.setCurrentPath(str(a_batch.folder / "file" / "out"))
    a_batch.desktop.dialogs.answer("OK")
    a_batch.press(a_batch.ui.startButton)
    assert "could not be started" in a_batch.desktop.dialogs.shown[-1].text


def test_what_was_chosen_is_there_again_in_the_next_panel(a_batch):
    a_batch.ui.ruleSelector.setCurrentIndex(1)
    a_batch.panel.form._actions["nifti"].setChecked(False)
    preferences = a_batch.module.preferences
    assert preferences.batchRule == "percent"
    assert "nifti" not in preferences.batchFormats


def test_hundreds_of_rows_are_touched_only_where_they_changed(a_batch, monkeypatch):
    from SegAnyPETPanels.BatchTable import BatchTable, StudyLine

    filled = []
    real = BatchTable._fill
    monkeypatch.setattr(
        BatchTable, "_fill", lambda table, index, line: (filled.append(index), real(table, index, line))
    )
    lines = [StudyLine(f"{n:016x}", "waiting", f"/data/study {n}") for n in range(800)]
    a_batch.panel.table.show(lines)
    assert len(filled) == 800
    del filled[:]
    a_batch.ui.studyTable.selectRow(500)
    lines[3] = StudyLine(lines[3].key, "done", lines[3].title, 2, 10.0)
    a_batch.panel.table.show(lines)
    assert filled == [3]
    assert a_batch.panel.table.selected == lines[500]


class Database:
    """Slicer's DICOM database with two PET studies and one without."""

    isOpen = True  # noqa: N815  Qt's name

    def __init__(self, folder):
        self.folder = folder

    def patients(self):
        return ("1", "2")

    def studiesForPatient(self, patient):
        return {"1": ("1.1", "1.2"), "2": ("1.3",)}[patient]

    def seriesForStudy(self, study):
        return (f"{study}.PT", f"{study}.CT", f"{study}.SR") if study != "1.2" else ("1.2.MR",)

    def fieldForSeries(self, field, series):
        assert field == "Modality"
        return series[-2:]

    def filesForSeries(self, series):
        file = self.folder / f"{series}.dcm"
        file.touch()
        return str(file), str(self.folder / "deleted since.dcm")

    def nameForPatient(self, patient):
        return f"Phantom {patient}"

    def fieldForStudy(self, field, _study):
        assert field == "StudyDate"
        return "20260102"

    def descriptionForStudy(self, _study):
        return "PET/CT"


def test_studies_of_slicers_database_are_ticked_and_their_files_listed_for_the_run(a_batch, monkeypatch):
    import qt

    database = Database(a_batch.folder)
    monkeypatch.setattr(slicer, "dicomDatabase", database, raising=False)

    def untick_the_second(dialog):
        listed = dialog.findChild(qt.QListWidget, "tickList")
        assert [listed.item(n).text() for n in range(listed.count)] == [
            "Phantom 1, 20260102, PET/CT",
            "Phantom 2, 20260102, PET/CT",
        ]
        listed.item(1).setCheckState(qt.Qt.Unchecked)
        return "accept"

    a_batch.desktop.dialogs.answer(untick_the_second)
    a_batch.panel.sources.addFromDatabase()
    a_batch.ui.outPath.setCurrentPath(str(a_batch.out))
    a_batch.press(a_batch.ui.startButton)
    a_batch.wait(a_batch.has_ended)
    listed = Path(a_batch.arguments()[1])
    assert listed.parent == a_batch.out
    assert listed.name.endswith(".files.txt")  # each line is one file, none of them a person's choice of a series
    wanted = [str(a_batch.folder / name) for name in ("1.1.PT.dcm", "1.1.CT.dcm")]
    assert listed.read_text(encoding="utf-8").splitlines() == wanted


def test_other_settings_in_a_folder_that_was_used_are_named_before_all_is_done_anew(a_batch):
    a_batch.run_to_the_end()
    a_batch.ui.thresholdBox.setValue(6.0)
    a_batch.desktop.dialogs.answer("Cancel")
    a_batch.press(a_batch.ui.startButton)
    assert "suv:4.0 before, suv:6.0 now" in a_batch.desktop.dialogs.shown[-1].text
    assert not a_batch.panel.isRunning
    a_batch.desktop.dialogs.answer("OK")
    a_batch.press(a_batch.ui.startButton)
    a_batch.wait(a_batch.has_ended)
    assert "--redo" in a_batch.arguments()
    a_batch.ui.thresholdBox.setValue(4.0)
    a_batch.press(a_batch.ui.startButton)  # as it was begun: nothing is asked
    a_batch.wait(a_batch.has_ended)
    assert "--redo" not in a_batch.arguments()


def test_without_a_database_or_a_pet_in_it_the_user_is_told(a_batch):
    a_batch.desktop.dialogs.answer("OK")
    a_batch.panel.sources.addFromDatabase()
    assert "module DICOM" in a_batch.desktop.dialogs.shown[-1].text


def test_a_run_outlives_the_process_that_started_it_and_leaves_no_temporary_file(tmp_path):
    program = (
        "import sys; from SegAnyPETPanels.DetachedProcess import DetachedRun\n"
        "import SegAnyPETLib.worker.python_command as commands\n"
        'late = \'import time,sys; time.sleep(0.5); open(sys.argv[1], "w").write("here")\'\n'
        "commands.python_command = lambda module, *rest: [sys.executable, '-c', late, *rest]\n"
        f"DetachedRun().start([{str(tmp_path / 'mark')!r}])\n"
    )
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    paths = [str(FAKE.parents[2] / "SegAnyPET"), str(FAKE.parents[2]), str(tmp_path)]
    (tmp_path / "slicer").mkdir()
    (tmp_path / "slicer" / "i18n.py").write_text("tr = str\n")
    (tmp_path / "slicer" / "__init__.py").write_text("")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "TMPDIR": str(temporary)}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)
    end = time.monotonic() + 20
    while not (tmp_path / "mark").exists():
        assert time.monotonic() < end
        time.sleep(0.02)
    assert list(temporary.iterdir()) == []
