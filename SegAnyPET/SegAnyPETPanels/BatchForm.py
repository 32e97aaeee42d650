"""What a run is asked to do with each study: where lesions come from, and what is written."""

from dataclasses import dataclass, replace
from pathlib import Path

import ctk
import qt
from slicer.i18n import tr as _

from SegAnyPETPanels.ModelChoice import ModelChoice

SHORT_NAMES = {"seg": "SEG", "sr": "SR", "rtstruct": "RTSTRUCT", "seg.nrrd": "seg.nrrd", "nifti": "NIfTI", "png": "PNG"}
PROMPTS = "prompts"  # not a rule: a file says what is segmented
AS_IN_SEGMENT = ""  # in place of a model's name


@dataclass(frozen=True)
class Rule:
    """One way to find lesions.

    Attributes:
        name: For the preferences.
        title: In the list.
        text: As the command line has it, with a place for the threshold; empty for prompts.
        meaning: What it will do.
    """

    name: str
    title: str
    text: str
    meaning: str


def rules():
    """The ways to find lesions, the usual one first."""
    rest = " " + _(
        "Each focus is clicked by rule and segmented by the model; what is probably normal uptake is marked, never "
        "left out."
    )
    liver = _("Foci: above 1.5 times the liver's mean plus twice its deviation; the liver is found by itself.")
    blood = _("Foci: above twice the aorta's mean plus twice its deviation; the aorta is found by itself.")
    share = _("Foci: what reaches SUV 2.5; of each, the voxels above 41 % of its maximum.")
    fixed = _("Foci: everything of SUV {threshold:g} and more.")
    given = _("Points and boxes of the file are given to the model; masks of the file are refined by it.")
    return (
        Rule("suv", _("All foci above SUV"), "suv:{threshold}", fixed + rest),
        Rule("percent", _("All foci, 41 % of their maximum"), "percent:41", share + rest),
        Rule("percist", _("PERCIST 1.0, liver"), "percist", liver + rest),
        Rule("bloodpool", _("PERCIST 1.0, blood pool"), "percist:bloodpool", blood + rest),
        Rule(PROMPTS, _("What a file says"), "", given),
    )


def formatNames():
    """The files of a study, by the names of the command line."""
    return {
        "seg": _("DICOM SEG"),
        "sr": _("DICOM SR (measurement report)"),
        "rtstruct": _("DICOM RT Structure Set"),
        "seg.nrrd": _("Slicer segmentation (.seg.nrrd)"),
        "nifti": _("NIfTI"),
        "png": _("Report page (PNG)"),
    }


class BatchForm:
    """The upper part of the tab, below the sources."""

    def __init__(self, ui, preferences, *, onChanged):
        """Take over the widgets.

        Args:
            ui: The panel's named widgets.
            preferences: The user's `Preferences`.
            onChanged: Called after something was changed.
        """
        self._ui, self._preferences, self._onChanged = ui, preferences, onChanged
        self._rules = rules()
        self._actions = {}
        self._models, self._modelOfRun = ModelChoice(ui.modelSelector), ""
        ui.outPath.filters = ctk.ctkPathLineEdit.Dirs
        ui.promptsPath.filters = ctk.ctkPathLineEdit.Files
        self._fill()
        self.listModels()
        ui.ruleSelector.connect("currentIndexChanged(int)", self._ruleChosen)
        ui.thresholdBox.connect("valueChanged(double)", self._thresholdChosen)
        ui.promptsPath.connect("currentPathChanged(QString)", self._changed)
        ui.modelSelector.connect("currentIndexChanged(int)", self._modelChosen)
        ui.deidentifyBox.connect("toggled(bool)", self._changed)
        self._show()

    def _fill(self):
        from SegAnyPETLib.batch.settings import DEFAULT_FORMATS

        ui, names = self._ui, [rule.name for rule in self._rules]
        for rule in self._rules:
            ui.ruleSelector.addItem(rule.title)
        wanted = self._preferences.batchRule
        ui.ruleSelector.setCurrentIndex(names.index(wanted) if wanted in names else 0)
        ui.thresholdBox.setValue(self._preferences.batchThreshold)
        chosen = set(self._preferences.batchFormats) & set(formatNames()) or set(DEFAULT_FORMATS)
        menu = qt.QMenu(ui.formatsButton)
        for name, title in formatNames().items():
            action = menu.addAction(title)
            action.setCheckable(True)
            action.setChecked(name in chosen)
            action.connect("toggled(bool)", self._formatsChosen)
            self._actions[name] = action
        ui.formatsButton.setMenu(menu)

    @property
    def rule(self):
        """The chosen `Rule`."""
        return self._rules[max(self._ui.ruleSelector.currentIndex, 0)]

    @property
    def formats(self):
        """Names of the chosen formats."""
        return tuple(name for name, action in self._actions.items() if action.checked)

    @property
    def model(self):
        """The chosen model: a registered name, that of a site model, or the path of a weights file."""
        return self._models.name or self._preferences.model

    def listModels(self):
        """Look again which models are here; the choice stays."""
        usual = _("As in Segment: {model}").format(model=shortName(self._preferences.model))
        first, chosen = [(AS_IN_SEGMENT, usual)], self._modelOfRun or self._models.name
        if chosen and not isInstalled(chosen):  # a weights file of the run, or a model that was deleted since
            isFile = Path(chosen).is_file()
            first.append((chosen, shortName(chosen) if isFile else _("{model} (not here)").format(model=chosen)))
        self._models.offer(chosen, before=first)

    def forgetRun(self):
        """Another folder was chosen, which holds no run: its model is the usual one again, unless a person chose it."""
        if self._modelOfRun:
            self._modelOfRun = ""
            self._ui.modelSelector.setCurrentIndex(0)
            self.listModels()

    @property
    def missing(self):
        """What has still to be chosen, in words; empty where nothing has."""
        if self.rule.name == PROMPTS and not self._ui.promptsPath.currentPath.strip():
            return _("Choose the file with the prompts.")
        return "" if self.formats else _("Choose at least one kind of file to write.")

    def show(self, settings):
        """Show the settings of a run that was begun before.

        Args:
            settings: A `BatchSettings`.
        """
        ui, index = self._ui, self._indexOf(settings)
        if index is not None:
            ui.ruleSelector.setCurrentIndex(index)
        if settings.prompts is not None:
            ui.promptsPath.setCurrentPath(settings.prompts)
        elif settings.candidates.startswith("suv:"):
            ui.thresholdBox.setValue(float(settings.candidates.removeprefix("suv:")))
        for name, action in self._actions.items():
            action.setChecked(name in settings.formats)
        ui.deidentifyBox.setChecked(settings.is_deidentified)
        self._modelOfRun = settings.model
        self.listModels()

    def _indexOf(self, settings):
        """Which entry of the list a run was begun with; None for a rule of the command line that is not in it."""
        for index, rule in enumerate(self._rules):
            isPrompts = settings.prompts is not None
            if (rule.name == PROMPTS) is isPrompts and (
                isPrompts
                or rule.text == settings.candidates
                or ("{" in rule.text and settings.candidates[:4] == "suv:")
            ):
                return index
        return None

    def settings(self, before):
        """What the form says.

        Args:
            before: The `BatchSettings` of a run that is gone on with; what the form does not show stays.
        """
        text = self.rule.text.format(threshold=round(self._ui.thresholdBox.value, 1))
        isPrompts = self.rule.name == PROMPTS
        return replace(
            before,
            prompts=str(Path(self._ui.promptsPath.currentPath.strip()).absolute()) if isPrompts else None,
            candidates=before.candidates if isPrompts or sameRule(text, before.candidates) else text,
            formats=before.formats if set(before.formats) == set(self.formats) else self.formats,
            model=self.model,
            device=self._preferences.device,
            is_deidentified=self._ui.deidentifyBox.checked,
        )

    def setEnabled(self, enabled):
        """Whether the settings can be changed."""
        ui = self._ui
        rule = (ui.ruleSelector, ui.thresholdBox, ui.promptsPath)
        for widget in (*rule, ui.modelSelector, ui.formatsButton, ui.deidentifyBox):
            widget.setEnabled(enabled)

    def _show(self):
        ui, rule = self._ui, self.rule
        ui.thresholdBox.setVisible("{threshold" in rule.text)
        for widget in (ui.promptsPath, ui.promptsLabel):
            widget.setVisible(rule.name == PROMPTS)
        ui.ruleLabel.setText(rule.meaning.format(threshold=ui.thresholdBox.value))
        ui.formatsButton.setText(", ".join(SHORT_NAMES[name] for name in self.formats) or _("Nothing"))

    def _changed(self, _value=None):
        self._show()
        self._onChanged()

    def _ruleChosen(self, _index):
        self._preferences.batchRule = self.rule.name
        self._changed()

    def _modelChosen(self, _index):
        self._modelOfRun = ""
        self._changed()

    def _thresholdChosen(self, suv):
        self._preferences.batchThreshold = suv
        self._changed()

    def _formatsChosen(self, _checked):
        self._preferences.batchFormats = self.formats
        self._changed()


def argumentsOf(settings):
    """Settings as the command line wants them.

    Args:
        settings: A `BatchSettings`.
    """
    chosen = ["--candidates", settings.candidates] if settings.prompts is None else ["--prompts", settings.prompts]
    found = [*chosen, "--format", ",".join(settings.formats), "--kind", settings.kind]
    found += ["--model", settings.model, "--device", settings.device, "--precision", settings.precision]
    found += ["--deidentify"] if settings.is_deidentified else []
    return [*found, "--show-uids"] if settings.shows_uids else found


def shortName(model):
    """A model's name, or its file's without the folder."""
    return Path(model).name


def isInstalled(name):
    """Whether a model of that name is here with its weights."""
    from SegAnyPETLib.model import list_models

    return any(model.spec.name == name and model.origin != "absent" for model in list_models())


def sameRule(text, other):
    """Whether two rules mean the same, as 4 and 4.0 do."""
    from SegAnyPETLib.batch.prompting import parse_candidate_rule

    return parse_candidate_rule(text) == parse_candidate_rule(other)
