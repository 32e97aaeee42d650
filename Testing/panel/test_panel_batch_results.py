"""The tab Batch with the real command: studies are segmented, opened and corrected by a click."""

import csv
import json

import numpy as np
import pytest
import SimpleITK
import slicer
from batch_desk import ANSWER_S, BatchDesk
from panel_desk import PanelDesk
from site_model_maker import make_site_model

from SegAnyPETLib import compute_suv, read_pet_series
from SegAnyPETLib.phantom import body_phantom, centred_grid, write_phantom_series


@pytest.fixture
def two_small_studies(tmp_path):
    """Two small grids of the body as DICOM, with a focus above SUV 8 each."""
    for number in (1, 2):
        grid = centred_grid((20, 34, 38), (7.0, 9.0, 10.0), centre_lps_mm=(0.0, 0.0, -10.0 - 30.0 * number))
        write_phantom_series(body_phantom(grid=grid), tmp_path / "studies" / f"P{number}" / "PET")
    return tmp_path / "studies"


def table_of(folder, key):
    """The lines of one study in the table of lesions."""
    with (folder / "lesions.csv").open(encoding="utf-8-sig", newline="") as stream:
        return [row for row in csv.DictReader(stream) if row["study_key"] == key]


def labels_of(folder, key):
    path = folder / "studies" / key / "lesions.nii.gz"
    return SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))


def test_a_real_run_is_opened_corrected_by_a_click_and_its_result_replaced(
    a_slicer, engines, two_small_studies, tmp_path
):
    made = make_site_model("ours-2026")
    batch = BatchDesk(PanelDesk(a_slicer, engines, volume=False), tmp_path)
    batch.choose_model("ours-2026")
    a_slicer.dialogs.answer(str(two_small_studies))
    batch.panel.sources.addFolder()
    batch.ui.outPath.setCurrentPath(str(batch.out))
    batch.ui.thresholdBox.setValue(8.0)
    for name, action in batch.panel.form._actions.items():
        action.setChecked(name == "nifti")
    batch.press(batch.ui.findButton)
    batch.wait(lambda: len(batch.panel.table.lines) == 2, seconds=ANSWER_S)
    assert sorted(row[:2] for row in batch.rows()) == [["Waiting", "P1/PET"], ["Waiting", "P2/PET"]]
    batch.press(batch.ui.startButton)
    batch.wait(batch.has_ended, seconds=ANSWER_S)
    assert {line.state for line in batch.panel.table.lines} == {"done"}, batch.rows()

    number, first = next((n, line) for n, line in enumerate(batch.panel.table.lines) if line.lesions)
    batch.ui.studyTable.selectRow(number)
    batch.press(batch.ui.openButton)
    batch.wait(lambda: not batch.panel.correction.isBusy, seconds=ANSWER_S)
    editor = batch.module.segment.editor
    assert batch.module.ui.tabs.currentWidget() is batch.module.ui.segmentTab
    expected = compute_suv(read_pet_series(first.place), kind="bw")
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(editor.volumeNode), expected.array)
    found = labels_of(batch.out, first.key)
    assert len(editor.rows) == first.lesions == found.max()
    assert {row["model"] for row in table_of(batch.out, first.key)} == {"ours-2026"}
    about = json.loads((batch.out / "studies" / first.key / "study.json").read_text(encoding="utf-8"))
    assert (about["model"], about["weights_sha256"]) == ("ours-2026", made.spec.sha256)

    desk = batch.desk
    desk.volume = editor.volumeNode
    k, j, i = (int(n) for n in np.argwhere(found == 1)[0])
    editor.selectLesion(editor.rows[0].segmentID)
    before = desk.mask()
    np.testing.assert_array_equal(before, found == 1)
    left, posterior, superior = expected.grid.kji_to_lps((k + 2, j + 2, i + 2)).tolist()
    editor.addPoint((-left, -posterior, superior))
    desk.wait()
    after = desk.mask()
    assert (after != before).any()

    batch.show()
    batch.press(batch.ui.replaceButton)
    batch.wait(lambda: not batch.panel.correction.isBusy, seconds=ANSWER_S)
    assert "was replaced" in batch.ui.hintLabel.text
    np.testing.assert_array_equal(labels_of(batch.out, first.key) == 1, after)
    line = table_of(batch.out, first.key)[0]
    assert float(line["mtv_ml"]) == pytest.approx(after.sum() * expected.grid.voxel_volume_ml, rel=1e-6)
    assert "corrected" in batch.rows()[number][2]

    batch.panel.openStudy(first.key)  # it is in the scene already: shown at once
    assert not batch.panel.correction.isBusy
    assert batch.module.segment.editor.volumeNode is desk.volume
