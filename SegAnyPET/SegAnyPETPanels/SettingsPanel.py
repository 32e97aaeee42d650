"""The tab *Settings*: model, device, memory, set-up."""

from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from SegAnyPETPanels.ErrorDisplay import shownErrors
from SegAnyPETPanels.PanelFiles import loadPanel
from SegAnyPETPanels.Preferences import DEVICES, WEIGHTS_FILE
from SegAnyPETPanels.SetupPanel import SetupPanel
from SegAnyPETPanels.WeightsDownload import WeightsDownload

POLL_MS = 200
NOTHING = -1  # Qt's index of no entry


class SettingsPanel:
    """Shows preferences and writes them; what needs another engine is told."""

    def __init__(self, preferences, *, onEngineChanged, onSetupChanged, download=None):
        """Build the panel.

        Args:
            preferences: The user's `Preferences`.
            onEngineChanged: Called after the model or the device was changed.
            onSetupChanged: Called after packages were installed or looked for.
            download: What gets weights; a `WeightsDownload` when None.
        """
        self._preferences, self._onEngineChanged = preferences, onEngineChanged
        self._download = download or WeightsDownload()
        self._models = ()
        self.widget, self._ui = loadPanel("SettingsPanel")
        self.setup = SetupPanel(preferences, onChanged=onSetupChanged)
        self._ui.setupGroupLayout.addWidget(self.setup.widget)
        self._timer = qt.QTimer()
        self._timer.setInterval(POLL_MS)
        self._timer.connect("timeout()", self._followDownload)
        self._ui.downloadFrame.hide()
        self._ui.downloadMessage.hide()
        self._listModels()
        self._ui.deviceSelector.setCurrentIndex(DEVICES.index(preferences.device))
        self._ui.idleMinutes.setValue(preferences.idleMinutes)
        self._ui.prepareBox.setChecked(preferences.prepareAhead)
        self._ui.weightsPath.setCurrentPath(preferences.weightsFile)
        self._connect()

    def close(self):
        """The module goes away."""
        self._timer.stop()
        self._download.stop()

    def chooseModel(self, name):
        """Use a model from now on, for example one that was just trained.

        Args:
            name: Of a model that is here.
        """
        self._preferences.modelName = name
        self._listModels()
        self._onEngineChanged()

    def _connect(self):
        ui = self._ui
        ui.modelSelector.connect("currentIndexChanged(int)", self._modelChosen)
        ui.weightsPath.connect("currentPathChanged(QString)", self._weightsFileChosen)
        ui.deviceSelector.connect("currentIndexChanged(int)", self._deviceChosen)
        ui.idleMinutes.connect("valueChanged(int)", self._idleChosen)
        ui.prepareBox.connect("toggled(bool)", self._prepareChosen)
        ui.downloadButton.connect("clicked()", self._startDownload)
        ui.stopDownloadButton.connect("clicked()", self._stopDownload)
        ui.folderButton.connect("clicked()", self._openFolder)
        ui.forgetButton.connect("clicked()", self._deleteWeights)

    def _listModels(self):
        """Fill the list of models, and show the one that is chosen."""
        from SegAnyPETLib.model import list_models

        self._models = list_models()
        selector = self._ui.modelSelector
        blocked = selector.blockSignals(True)
        selector.clear()
        for model in self._models:
            absent = _(" (not downloaded)") if model.origin == "absent" else ""
            selector.addItem(model.spec.title + absent)
        selector.addItem(_("A weights file of my own"))
        names = [model.spec.name for model in self._models] + [WEIGHTS_FILE]
        wanted = self._preferences.modelName
        selector.setCurrentIndex(names.index(wanted) if wanted in names else NOTHING)
        selector.blockSignals(blocked)
        self._showModel()

    @property
    def _chosenModel(self):
        """The registry's model that is chosen; None for a file."""
        index = self._ui.modelSelector.currentIndex
        return self._models[index] if 0 <= index < len(self._models) else None

    def _showModel(self):
        model, ui = self._chosenModel, self._ui
        isFile = ui.modelSelector.currentIndex == len(self._models)
        for widget in (ui.weightsPath, ui.weightsPathLabel):
            widget.setVisible(isFile)
        canDownload = model is not None and model.spec.hub_file is not None
        isHere = model is not None and model.origin != "absent"
        ui.downloadButton.setVisible(canDownload and not isHere)
        ui.folderButton.setVisible(canDownload)
        ui.forgetButton.setVisible(canDownload and isHere)
        other = _("Its licence is yours to know.") if isFile else _("The chosen model is not here any more.")
        ui.modelFacts.setText(other if model is None else modelFacts(model))

    def _modelChosen(self, _index):
        model = self._chosenModel
        self._preferences.modelName = WEIGHTS_FILE if model is None else model.spec.name
        self._ui.downloadMessage.hide()
        self._showModel()
        if model is None and not Path(self._preferences.weightsFile).is_file():
            return
        if model is None or model.origin != "absent":
            self._onEngineChanged()

    def _weightsFileChosen(self, path):
        self._preferences.weightsFile = path
        if self._chosenModel is None and Path(path).is_file():
            self._onEngineChanged()

    def _deviceChosen(self, index):
        self._preferences.device = DEVICES[index]
        self._onEngineChanged()

    def _idleChosen(self, minutes):
        self._preferences.idleMinutes = minutes

    def _prepareChosen(self, wanted):
        self._preferences.prepareAhead = wanted

    def _startDownload(self):
        model = self._chosenModel
        if slicer.util.confirmOkCancelDisplay(consentText(model), _("Download weights")):
            self._ui.downloadMessage.hide()
            self._ui.downloadBar.setRange(0, 0)
            self._ui.downloadFrame.show()
            self._ui.downloadButton.setEnabled(False)
            self._ui.modelSelector.setEnabled(False)
            self._download.start(model.spec.name)
            self._timer.start()

    def _followDownload(self):
        state = self._download.poll()
        if state.expected:
            self._ui.downloadBar.setRange(0, 1000)  # bytes of large files do not fit Qt's integers
            self._ui.downloadBar.setValue(int(1000 * state.here / state.expected))
        if state.isDone:
            self._endDownload(state.problem or _("The weights are here and as the hub stated them."))
            if not state.problem:
                self._onEngineChanged()

    def _stopDownload(self):
        self._download.stop()
        self._endDownload(_("Stopped. What has arrived is kept; the next try goes on from there."))

    def _endDownload(self, message):
        self._timer.stop()
        self._ui.downloadFrame.hide()
        self._ui.downloadButton.setEnabled(True)
        self._ui.modelSelector.setEnabled(True)
        self._ui.downloadMessage.setText(message)
        self._ui.downloadMessage.show()
        self._listModels()

    def _openFolder(self):
        folder = self._chosenModel.path.parent
        folder.mkdir(parents=True, exist_ok=True)
        qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(folder)))

    def _deleteWeights(self):
        from SegAnyPETLib.model import remove_model

        name = self._chosenModel.spec.name
        if slicer.util.confirmOkCancelDisplay(_("Delete the downloaded weights of {name}?").format(name=name)):
            with shownErrors(_("The weights could not be deleted.")):
                remove_model(name)
            self._listModels()


def modelFacts(model):
    """Licence, training data and measured agreement of a model, as rich text."""
    spec = model.spec
    lines = [
        _("<b>Licence:</b> {text}").format(text=spec.licence),
        _("<b>Trained on:</b> {text}").format(text=spec.training_data),
        spec.notes,
    ]
    if model.origin == "absent" and spec.hub_file is not None:
        text = _("<b>Without internet:</b> copy {file} into the folder that Open folder shows.")
        lines.append(text.format(file=spec.hub_file.filename))
    return "<br>".join(line for line in lines if line)


def consentText(model):
    """What the user agrees to before a download."""
    spec = model.spec
    return _(
        "{title}\n\nSource: {repository} on the Hugging Face hub, file {file}\nSize: {size}\nLicence: {licence}\n"
        "Trained on: {data}\n{notes}\n\nThe server learns your network address and the versions of Python and of this "
        "module. No image leaves this computer. Download?"
    ).format(
        title=spec.title,
        repository=spec.hub_file.repository,
        file=spec.hub_file.filename,
        size=spec.size_text,
        licence=spec.licence,
        data=spec.training_data,
        notes=spec.notes,
    )
