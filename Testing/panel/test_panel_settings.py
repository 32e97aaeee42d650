import importlib
import sys
import time
import types
from subprocess import CalledProcessError

import pytest
from hub_server import HubServer
from panel_desk import PanelDesk

CONTENT = bytes(range(256)) * 4000
LINKS = {"file": "seganypet_v1.pth", "repository": "YichiZhang98/SegAnyPET"}  # as models.json has them


@pytest.fixture
def a_settings(a_desk, monkeypatch, tmp_path):
    """The tab Settings, opened; weights go to a folder of the test."""
    monkeypatch.setenv("SEGANYPET_HOME", str(tmp_path / "home"))
    a_desk.widget.panel.ui.tabs.setCurrentWidget(a_desk.widget.panel.ui.settingsTab)
    a_desk.desktop.process()
    return a_desk.settings


@pytest.fixture
def a_hub():
    with HubServer(LINKS["repository"], LINKS["file"], CONTENT) as hub:
        yield hub


def choose(desk, settings, start):
    selector = settings._ui.modelSelector
    index = next(i for i in range(selector.count) if selector.itemText(i).startswith(start))
    selector.setCurrentIndex(index)
    desk.desktop.process()


def use_hub(settings, hub):
    downloads = importlib.import_module("SegAnyPETPanels.WeightsDownload")
    settings._download = downloads.WeightsDownload(endpoint=hub.endpoint)


def test_preferences_outlive_the_panel_and_damaged_ones_count_as_defaults(a_slicer):
    sys.path.insert(0, str(importlib.import_module("slicer_desktop").MODULE_FILE.parent))
    preferences = importlib.import_module("SegAnyPETPanels.Preferences")
    sys.path.pop(0)
    first = preferences.Preferences()
    assert (first.model, first.device, first.idleMinutes, first.prepareAhead) == ("lite", "auto", 10, True)
    first.device, first.idleMinutes, first.prepareAhead = "cpu", 25, False
    first.modelName, first.weightsFile = preferences.WEIGHTS_FILE, "/data/mine.safetensors"
    second = preferences.Preferences()
    assert (second.device, second.idleMinutes, second.prepareAhead) == ("cpu", 25, False)
    assert second.model == "/data/mine.safetensors"
    importlib.import_module("qt").QSettings().setValue("SegAnyPET/device", "abacus")
    importlib.import_module("qt").QSettings().setValue("SegAnyPET/idleMinutes", "soon")
    assert (second.device, second.idleMinutes) == ("auto", 10)


def test_another_device_means_another_engine_and_the_lesions_stay_with_their_undo(a_desk):
    a_desk.press("A")
    a_desk.click((11, 13, 15))
    first, mask = a_desk.engine, a_desk.mask()
    a_desk.settings._ui.deviceSelector.setCurrentIndex(1)
    a_desk.desktop.process()
    assert first.isClosed
    assert a_desk.engine.wanted == ("lite", "cpu")
    assert (a_desk.mask() == mask).all()
    a_desk.click((11, 13, 20))
    assert a_desk.editor.rows[0].clicks == 2
    a_desk.press("Ctrl+Z")
    assert (a_desk.mask() == mask).all()


def test_a_weights_file_of_the_users_own_is_loaded_once_it_is_there(a_desk, a_settings, tmp_path):
    choose(a_desk, a_settings, "A weights file")
    assert len(a_desk.engines) == 1
    a_settings._ui.weightsPath.setCurrentPath(str(tmp_path / "absent.safetensors"))
    assert len(a_desk.engines) == 1
    own = tmp_path / "own.safetensors"
    own.write_bytes(b"weights")
    a_settings._ui.weightsPath.setCurrentPath(str(own))
    assert a_desk.engine.wanted == (str(own), "auto")


def test_weights_are_downloaded_only_after_consent_that_names_licence_source_and_size(a_desk, a_settings, a_hub):
    use_hub(a_settings, a_hub)
    choose(a_desk, a_settings, "SegAnyPET v1")
    assert len(a_desk.engines) == 1  # its weights are absent: go on with the model there is
    a_desk.desktop.dialogs.answer("Cancel")
    a_desk.desktop.press_button(a_settings._ui.downloadButton)
    text = a_desk.desktop.dialogs.shown[-1].text
    for needed in ("Not stated by its authors", *LINKS.values(), "402 MB", "No image leaves this computer"):
        assert needed in text
    assert a_hub.requests == []


def test_downloaded_weights_are_there_checked_and_used(a_desk, a_settings, a_hub, tmp_path):
    use_hub(a_settings, a_hub)
    choose(a_desk, a_settings, "SegAnyPET v1")
    a_desk.desktop.dialogs.answer("OK")
    a_desk.desktop.press_button(a_settings._ui.downloadButton)
    assert a_settings._ui.downloadFrame.isVisible()
    a_desk.desktop.wait_until(lambda: not a_settings._download.isRunning, seconds=60)
    assert "as the hub stated" in a_settings._ui.downloadMessage.text
    weights = tmp_path / "home" / "models" / "seganypet" / LINKS["file"]
    assert weights.read_bytes() == CONTENT
    assert a_desk.engine.wanted == ("seganypet", "auto")
    a_desk.desktop.dialogs.answer("OK")
    a_desk.desktop.press_button(a_settings._ui.forgetButton)
    assert not weights.exists()


def test_a_stopped_download_goes_on_where_it_was(a_desk, a_settings, a_hub):
    use_hub(a_settings, a_hub)
    a_hub.drops.append(300_000)
    choose(a_desk, a_settings, "SegAnyPET v1")
    a_desk.desktop.dialogs.answer("OK", "OK")
    a_desk.desktop.press_button(a_settings._ui.downloadButton)
    a_desk.desktop.wait_until(lambda: a_hub.downloads(), seconds=60)
    a_desk.desktop.press_button(a_settings._ui.stopDownloadButton)
    assert "goes on from there" in a_settings._ui.downloadMessage.text
    assert len(a_desk.engines) == 1
    a_desk.desktop.press_button(a_settings._ui.downloadButton)
    a_desk.desktop.wait_until(lambda: not a_settings._download.isRunning, seconds=60)
    assert "as the hub stated" in a_settings._ui.downloadMessage.text


def test_a_download_that_fails_says_what_to_do(a_desk, a_settings, a_hub):
    use_hub(a_settings, a_hub)
    a_hub.hub_status, a_hub.error_code = 404, "RepoNotFound"
    choose(a_desk, a_settings, "SegAnyPET v1")
    a_desk.desktop.dialogs.answer("OK")
    a_desk.desktop.press_button(a_settings._ui.downloadButton)
    a_desk.desktop.wait_until(lambda: not a_settings._download.isRunning, seconds=60)
    assert "copy seganypet_v1.pth to" in a_settings._ui.downloadMessage.text
    assert len(a_desk.engines) == 1


class TorchExtension(types.ModuleType):
    """What the PyTorch extension gives, as far as it is used."""

    def __init__(self, packaging, *, agrees=True, fails=False):
        super().__init__("PyTorchUtils")

        class PyTorchUtilsLogic:
            def installTorch(self, askConfirmation=False, forceComputationBackend=None, torchVersionRequirement=None):
                assert askConfirmation
                assert torchVersionRequirement.startswith(">=")
                if fails:
                    raise CalledProcessError(1, ["pip"])
                if agrees:
                    packaging.missing.remove("torch")
                return object() if agrees else None

        self.PyTorchUtilsLogic = PyTorchUtilsLogic


def test_missing_packages_are_named_and_installed_after_the_user_agreed(a_slicer, engines, monkeypatch):
    a_slicer.packaging.missing = ["torch", "safetensors"]
    monkeypatch.setitem(sys.modules, "PyTorchUtils", TorchExtension(a_slicer.packaging))
    desk = PanelDesk(a_slicer, engines)
    assert desk.ui.setupFrame.isVisible()
    assert desk.ui.addButton.enabled is False
    assert desk.engine.state == "stopped"  # it could not start without torch
    for name in ("torch>=", "safetensors>="):
        assert name in desk.settings.setup._ui.packagesLabel.text
    a_slicer.press_button(desk.ui.setupButton)
    assert a_slicer.packaging.missing == []
    assert not [name for name in a_slicer.packaging.installed if name.startswith("torch")]  # the extension did that
    assert desk.ui.setupFrame.isVisible() is False
    desk.widget.panel.ui.tabs.setCurrentIndex(0)
    desk.press("A")
    desk.click((11, 13, 15))
    assert desk.mask().any()


def test_without_the_pytorch_extension_the_user_is_told_what_to_install(a_slicer, engines, monkeypatch):
    a_slicer.packaging.missing = ["torch"]
    monkeypatch.setitem(sys.modules, "PyTorchUtils", None)
    desk = PanelDesk(a_slicer, engines)
    a_slicer.dialogs.answer("OK")
    a_slicer.press_button(desk.ui.setupButton)
    assert "Extensions Manager" in a_slicer.dialogs.shown[-1].text
    assert desk.settings.setup._ui.restartButton.isVisible()
    assert desk.widget.panel.preferences.setupPending


@pytest.mark.parametrize("who", ["torch", "packages"])
def test_a_user_who_declines_is_not_asked_again_by_itself(a_slicer, engines, monkeypatch, who):
    a_slicer.packaging.missing = ["torch"] if who == "torch" else ["tqdm"]
    a_slicer.packaging.declined = True
    monkeypatch.setitem(sys.modules, "PyTorchUtils", TorchExtension(a_slicer.packaging, agrees=False))
    desk = PanelDesk(a_slicer, engines)
    a_slicer.press_button(desk.ui.setupButton)
    assert not desk.widget.panel.preferences.setupPending
    assert desk.ui.addButton.enabled is False


def test_a_failed_installation_is_shown_and_goes_on_after_a_restart(a_slicer, engines, monkeypatch):
    a_slicer.packaging.missing = ["torch"]
    monkeypatch.setitem(sys.modules, "PyTorchUtils", TorchExtension(a_slicer.packaging, fails=True))
    desk = PanelDesk(a_slicer, engines)
    a_slicer.dialogs.answer("OK")
    a_slicer.press_button(desk.ui.setupButton)
    assert "installation failed" in a_slicer.dialogs.shown[-1].text
    # After the restart the module is opened again; this time it works.
    monkeypatch.setitem(sys.modules, "PyTorchUtils", TorchExtension(a_slicer.packaging))
    a_slicer.leaveModule()
    desk.widget.enter()
    a_slicer.process()
    assert a_slicer.packaging.missing == []
    assert not desk.widget.panel.preferences.setupPending
    desk.widget.exit()


def test_an_installation_that_needs_nothing_is_quick(a_desk):
    begun = time.perf_counter()
    a_desk.settings.setup.check()
    assert time.perf_counter() - begun < 1.0
    assert a_desk.settings.setup._ui.installButton.isVisible() is False
