"""Which model computes: the default of the commands at first, what Settings says then, another one for a run."""

from batch_desk import BatchDesk
from panel_desk import PanelDesk
from site_model_maker import make_site_model

from SegAnyPETLib.model import remove_model, set_default_model


def run_anew(batch, name):
    """A run from the beginning in a folder of its own."""
    batch.ui.outPath.setCurrentPath(str(batch.folder / name))
    batch.press(batch.ui.startButton)
    batch.wait(batch.has_ended)


def test_slicer_begins_with_the_default_of_the_commands_in_every_tab(a_slicer, engines, tmp_path, monkeypatch):
    make_site_model("ours")
    set_default_model("ours")
    batch = BatchDesk(PanelDesk(a_slicer, engines), tmp_path, monkeypatch)
    assert batch.desk.engine.wanted[0] == "ours"
    assert batch.ui.modelSelector.currentText == "As in Segment: ours"
    assert batch.module.settings._ui.modelSelector.currentText.startswith("lite, fine-tuned")
    assert batch.module.fineTune.form.base == "ours"
    set_default_model("lite")  # by a command, meanwhile: nothing changes under the hands of who works
    batch.run_to_the_end()
    assert batch.model_asked_for() == "ours"


def test_a_default_that_is_gone_is_an_error_and_not_silently_another_model(a_slicer, engines, tmp_path, monkeypatch):
    folder = make_site_model("ours").path.parent
    set_default_model("ours")
    for file in folder.iterdir():
        file.unlink()
    batch = BatchDesk(PanelDesk(a_slicer, engines), tmp_path, monkeypatch)
    assert batch.desk.engine.wanted[0] == "default"  # which no engine can load; it says why
    settings = batch.module.settings._ui
    assert settings.modelSelector.currentIndex == -1
    assert "not here" in settings.modelFacts.text
    settings.modelSelector.setCurrentIndex(0)
    assert batch.desk.engine.wanted[0] == "lite"


def test_a_run_takes_the_model_of_segment_until_another_is_chosen(a_batch):
    make_site_model("ours")
    a_batch.module.settings.chooseModel("ours")
    a_batch.show()
    assert a_batch.ui.modelSelector.currentText == "As in Segment: ours"
    a_batch.run_to_the_end()
    assert a_batch.model_asked_for() == "ours"
    a_batch.choose_model("lite")
    run_anew(a_batch, "other")
    assert a_batch.model_asked_for() == "lite"
    assert a_batch.panel.run.facts().settings.model == "lite"


def test_only_models_whose_weights_are_here_can_be_chosen_and_new_ones_appear(a_batch):
    assert [text.split(":")[0] for text in a_batch.models()] == ["As in Segment", "lite"]
    make_site_model("ours")
    a_batch.module.ui.tabs.setCurrentWidget(a_batch.module.ui.fineTuneTab)
    a_batch.show()
    assert [text.split(":")[0] for text in a_batch.models()] == ["As in Segment", "lite", "ours"]
    base = a_batch.module.fineTune.ui.baseSelector
    assert [base.itemText(index).split(":")[0] for index in range(base.count)] == ["lite", "ours"]


def test_a_run_that_goes_on_keeps_its_model_and_the_next_folder_takes_the_usual_one(a_batch):
    make_site_model("ours")
    a_batch.show()
    a_batch.module.ui.tabs.setCurrentWidget(a_batch.module.ui.segmentTab)
    a_batch.show()
    a_batch.choose_model("ours")
    a_batch.run_to_the_end()
    a_batch.ui.modelSelector.setCurrentIndex(0)
    a_batch.ui.outPath.setCurrentPath(str(a_batch.folder / "empty"))
    a_batch.ui.outPath.setCurrentPath(str(a_batch.out))
    assert a_batch.ui.modelSelector.currentText.startswith("ours: ")
    a_batch.press(a_batch.ui.startButton)  # as it was begun: nothing is asked
    a_batch.wait(a_batch.has_ended)
    assert a_batch.model_asked_for() == "ours"
    a_batch.ui.outPath.setCurrentPath(str(a_batch.folder / "empty"))
    assert a_batch.ui.modelSelector.currentText == "As in Segment: lite"


def test_a_run_whose_model_was_deleted_says_so_and_goes_on_with_no_other_unasked(a_batch):
    make_site_model("ours")
    a_batch.module.ui.tabs.setCurrentWidget(a_batch.module.ui.segmentTab)
    a_batch.show()
    a_batch.choose_model("ours")
    a_batch.run_to_the_end()
    remove_model("ours")
    a_batch.ui.outPath.setCurrentPath(str(a_batch.folder / "empty"))
    a_batch.ui.outPath.setCurrentPath(str(a_batch.out))
    assert a_batch.ui.modelSelector.currentText == "ours (not here)"
    a_batch.ui.modelSelector.setCurrentIndex(0)
    a_batch.desktop.dialogs.answer("Cancel")
    a_batch.press(a_batch.ui.startButton)
    assert "model: ours before, lite now" in a_batch.desktop.dialogs.shown[-1].text
