"""The tab Fine-tune: where cases come from, what the checker says of them, and the list a person makes of them."""

from pathlib import Path

import numpy as np
import SimpleITK
import slicer
from fake_finetune import PIXEL
from finetune_desk import ADVICE, EMPTY


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


def test_what_concerns_all_cases_is_said_until_the_list_is_changed(a_tuning):
    a_tuning.plan(findings=[("", "note", "the careless labels are too large", "Learn with cpcl.")])
    a_tuning.find()
    a_tuning.check()
    assert {row[3] for row in a_tuning.rows()} == {"No problem found"}
    assert a_tuning.ui.labelsLabel.text == "The careless labels are too large. Learn with cpcl."
    assert a_tuning.ui.labelsLabel.visible
    a_tuning.choose("a")
    a_tuning.menu(a_tuning.ui.qualityButton, "LQ: careless, by threshold or program")
    assert not a_tuning.ui.labelsLabel.visible


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
