"""The tab Fine-tune with the real commands."""

import numpy as np
import pytest
import SimpleITK
from finetune_desk import ANSWER_S, FineTuneDesk
from panel_desk import PanelDesk


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
