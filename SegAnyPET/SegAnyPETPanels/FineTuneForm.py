"""How it is trained: method, base model, how long, and where the results go."""

import tempfile
from pathlib import Path

import ctk
from slicer.i18n import tr as _

from SegAnyPETPanels.DetachedProcess import JSONCommand
from SegAnyPETPanels.Duration import duration
from SegAnyPETPanels.FineTuneCases import LIST_NAME
from SegAnyPETPanels.ModelChoice import ModelChoice
from SegAnyPETPanels.Preferences import METHODS, PRESETS

TIMING = "SegAnyPETLib.finetune.estimating"


def methodTexts():
    """Title and meaning of each method, in the order of the list."""
    return {
        "cpcl": (
            _("Repair careless labels (CPCL)"),
            _(
                "Measures how far careful and careless labels lie outside the edge of uptake, takes the difference "
                "back from the careless ones, and replaces what the model surely contradicts."
            ),
        ),
        "plain": (
            _("All labels as they are"),
            _("Learns from careful and careless labels alike: their common mistakes are learned too."),
        ),
        "hq": (
            _("Careful labels only"),
            _("Leaves careless cases out: nothing wrong is learned from them, and nothing else either."),
        ),
    }


def presetNames():
    """The presets in words, in the order of the list."""
    return {"quick": _("Quick"), "balanced": _("Balanced"), "thorough": _("Thorough")}


class FineTuneForm:
    """The middle part of the tab."""

    def __init__(self, ui, preferences, *, onChanged):
        """Take over the widgets.

        Args:
            ui: The panel's named widgets.
            preferences: The user's `Preferences`.
            onChanged: Called after something was changed.
        """
        self._ui, self._preferences, self._onChanged = ui, preferences, onChanged
        self._models, self._seconds = ModelChoice(ui.baseSelector), {}
        self.timing, self._scratch = JSONCommand(), None
        ui.outPath.filters = ctk.ctkPathLineEdit.Dirs
        for name in METHODS:
            ui.methodSelector.addItem(methodTexts()[name][0])
        for name in PRESETS:
            ui.presetSelector.addItem(presetNames()[name])
        ui.methodSelector.setCurrentIndex(METHODS.index(preferences.fineTuneMethod))
        ui.presetSelector.setCurrentIndex(PRESETS.index(preferences.fineTunePreset))
        self.listModels()
        ui.methodSelector.connect("currentIndexChanged(int)", self._methodChosen)
        ui.presetSelector.connect("currentIndexChanged(int)", self._presetChosen)
        ui.baseSelector.connect("currentIndexChanged(int)", self._baseChosen)
        self._show()

    @property
    def method(self):
        """cpcl, plain or hq."""
        return METHODS[max(self._ui.methodSelector.currentIndex, 0)]

    @property
    def preset(self):
        """quick, balanced or thorough."""
        return PRESETS[max(self._ui.presetSelector.currentIndex, 0)]

    @property
    def base(self):
        """Name of the model that is trained on; empty where no model is here."""
        return self._models.name

    @property
    def arguments(self):
        """What the form says, as the command line wants it; the preset apart."""
        return ["--base", self.base, "--method", self.method, "--device", self._preferences.device]

    def listModels(self):
        """Fill the list of models whose weights are here; the one of the preferences is chosen at first."""
        before = self.base
        self._models.offer(before or self._preferences.modelName)
        if self.base != before:
            self.forgetTimes()

    def missing(self, cases):
        """What speaks against starting, in words; empty where nothing does.

        Args:
            cases: The `FineTuneCases`.
        """
        from SegAnyPETLib.finetune.config import FEWEST_CASES

        careful = cases.count(split="train", quality="HQ")
        careless = cases.count(split="train", quality="LQ")
        if not self.base:
            return _("No model is here to begin with: see Settings.")
        if not careful + careless:
            return _("No case is for training: choose rows, and Use for > Training.")
        if self.method != "hq" and not careless:
            return _("No case is marked as careless (LQ): choose the method for careful labels only.")
        if self.method == "hq" and not careful:
            return _("There is no careful label (HQ) for training. Choose another method, or mark cases as HQ.")
        if self.method == "cpcl" and careful < FEWEST_CASES:
            text = _("To know how far careless labels are off, {count} careful cases (HQ) are needed for training.")
            return text.format(count=FEWEST_CASES)
        return ""

    def measure(self, cases):
        """Find out by a few steps how long each preset takes, in a process of its own.

        Args:
            cases: The `FineTuneCases`.

        Raises:
            OSError: The process cannot be started, or the list not be handed to it.
        """
        self._scratch = tempfile.TemporaryDirectory(prefix="SegAnyPET-")
        listPath = Path(self._scratch.name) / LIST_NAME
        cases.writeCopy(listPath)
        self.timing.start([str(listPath), *self.arguments], module=TIMING)

    def poll(self):
        """Why no time could be found out, once that ended, or an empty text; None while there is no news."""
        told = self.timing.poll()
        if told is None:
            return None
        self._scratch.cleanup()
        answer, problem = told
        found = answer.get("seconds") if isinstance(answer, dict) else None
        if isinstance(found, dict):
            self._seconds = {name: float(found[name]) for name in PRESETS if isinstance(found.get(name), int | float)}
            self._show()
        return problem

    def forgetTimes(self):
        """The times are of another cohort, model or method."""
        if self._seconds:
            self._seconds = {}
            self._show()

    def setEnabled(self, enabled):
        """Whether the settings can be changed."""
        ui = self._ui
        for widget in (ui.methodSelector, ui.baseSelector, ui.presetSelector):
            widget.setEnabled(enabled)

    def _show(self):
        ui = self._ui
        ui.methodLabel.setText(methodTexts()[self.method][1])
        for index, name in enumerate(PRESETS):
            text, seconds = presetNames()[name], self._seconds.get(name)
            if seconds is not None:
                text = _("{preset}, about {time}").format(preset=text, time=duration(seconds))
            ui.presetSelector.setItemText(index, text)

    def _methodChosen(self, _index):
        self._preferences.fineTuneMethod = self.method
        self.forgetTimes()
        self._show()
        self._onChanged()

    def _baseChosen(self, _index):
        self.forgetTimes()
        self._onChanged()

    def _presetChosen(self, _index):
        self._preferences.fineTunePreset = self.preset
        self._onChanged()
