"""The tab *Fine-tune*: a model learns from a site's own cases, in a process of its own while Slicer stays free."""

import slicer
from slicer.i18n import tr as _

from SegAnyPETPanels.FineTuneCard import cardText, isBetter, modelOf, picturePath, showPicture
from SegAnyPETPanels.FineTuneCases import LIST_NAME
from SegAnyPETPanels.FineTuneCohort import FineTuneCohort
from SegAnyPETPanels.FineTuneForm import FineTuneForm
from SegAnyPETPanels.FineTuneHints import casesText, checkedText, labelsText, runText
from SegAnyPETPanels.FineTunePlot import FineTunePlot
from SegAnyPETPanels.FineTuneRun import FineTuneRun
from SegAnyPETPanels.RunPanel import RunPanel


class FineTunePanel(RunPanel):
    """Shows a run and passes on what the person wants of it."""

    def __init__(self, preferences, *, useModel):
        """Build the panel; it shows the run of the folder that was used last.

        Args:
            preferences: The user's `Preferences`.
            useModel: Called with the name of a model that is to be segmented with from now on.
        """
        super().__init__("FineTunePanel", preferences, FineTuneRun())
        self._useModel, self.plot, self._wantsCurves = useModel, FineTunePlot(), False
        self.form = FineTuneForm(self.ui, preferences, onChanged=self._changed)
        self.cohort = FineTuneCohort(self.ui, preferences, onChanged=self._casesChanged, onBusy=self._begun)
        self.cases = self.cohort.cases
        self._connect()
        self._showFolder(preferences.fineTuneFolder)

    def _connect(self):
        ui = self.ui
        ui.timeButton.connect("clicked()", self.measureTime)
        ui.startButton.connect("clicked()", self.start)
        ui.stopButton.connect("clicked()", self.stop)
        ui.curvesButton.connect("clicked()", self.plot.openView)
        ui.useButton.connect("clicked()", self.useModel)
        ui.cardButton.connect("clicked()", self._showCard)

    # The panel's life

    def close(self):
        """The module goes away; a run goes on without it."""
        super().close()
        self.cohort.stop()
        self.form.timing.stop()
        self.plot.remove()

    def listModels(self):
        """Look again which models are here: one was chosen, made, brought or deleted."""
        self.form.listModels()

    @property
    def _isWaiting(self):
        return self.cohort.isBusy or self.form.timing.isRunning

    def _takeNews(self):
        self.cohort.poll()
        problem = self.form.poll()
        if problem:
            self._notice = ("Warning", problem)

    # What the person does

    def measureTime(self):
        """Find out how long it takes, in a process of its own; or end that."""
        with self._shownErrors(_("The time could not be measured.")):
            self._notice = self.cohort.notice = None
            if self.form.timing.isRunning:
                self.form.timing.stop()
            else:
                self.form.measure(self.cases)
        self._begun()

    def start(self):
        """Begin the run, or go on with it."""
        with self._shownErrors(_("The training could not be started.")):
            goesOn = self.run.canGoOn
            self._notice = self.cohort.notice = None
            self.form.timing.stop()
            arguments = [*self.form.arguments, "--preset", self.form.preset]
            if not goesOn:
                self.folder.mkdir(parents=True, exist_ok=True)
                path = self.folder / LIST_NAME  # the list as it is now: what it was trained with stays with the model
                self.cases.save(path)
                arguments = ["--cohort", str(path), *arguments]
            self.run.start(self.folder, arguments, goesOn=goesOn)
            self._wantsCurves = True
            self._preferences.fineTuneFolder = str(self.folder)
            self.ui.outPath.addCurrentPathToHistory()
        self._begun()

    def useModel(self):
        """Segment with the new model from now on."""
        card = self.run.card()
        name = modelOf(card)
        text = _("It was not proven that {name} is better than the model before. Use it all the same?")
        if isBetter(card) or slicer.util.confirmOkCancelDisplay(text.format(name=name)):
            self._useModel(name)
            told = _("{name} is used from now on. Settings > Model brings another back.")
            self._notice = (
                "Done",
                told.format(name=name),
            )
        self.refresh()

    def _showCard(self):
        card = self.run.card()
        showPicture(self.widget, picturePath(self.folder), str(card.get("name", "")))

    def _changed(self):
        self._notice = None
        self.refresh()

    def _casesChanged(self):
        self.form.forgetTimes()
        self._changed()

    def _folderChosen(self, _path):
        self._notice = None
        self.run.look(self.folder)
        if self.run.cohortPath is not None and self.run.isTaken:
            self._preferences.fineTuneFolder = str(self.folder)
            self.cohort.takeList(self.run.cohortPath)
        self.plot.remove()
        self.tick()

    # What the person sees

    def refresh(self):
        """Show everything as it is now."""
        self._showCurves()
        card = self.run.card()
        isFree = not self.isRunning
        self.cohort.setEnabled(isFree)
        self.form.setEnabled(isFree)
        self.ui.outPath.setEnabled(isFree)
        self._showButtons()
        self._showProgress()
        self._showResult(card if isFree else None)
        self._showHint()
        labels = checkedText(self.cases)
        if self.state is not None:  # a run knows better
            labels = labelsText(self.state.number("offset_mm"), self.state.number("belief"))
        self.ui.labelsLabel.setText(labels)
        self.ui.labelsLabel.setVisible(bool(labels))

    def _showCurves(self):
        if self.state is not None and self._isShown:
            self.plot.show(self.state.loss, self.state.dice)
            if self._wantsCurves and self.plot.chartNode is not None:
                self._wantsCurves = False
                self.plot.openView()

    def _missing(self):
        """What has still to be done before a training can start, in words."""
        if self._needsSetup:
            return _("First install what is missing: see Settings.")
        if not self.cases.lines:
            return _("Choose labelled cases: PET and label of at least some patients.")
        found = self.form.missing(self.cases)
        if found:
            return found
        if self.folder is None:
            return _("Choose the folder for the results.")
        return ""

    def _showButtons(self):
        ui, state, isRunning = self.ui, self.state, self.isRunning
        isBusy = isRunning or self.cohort.isBusy
        canGoOn = self.run.canGoOn
        canStart = not (isBusy or self._needsSetup) and (canGoOn or not (self._missing() or self.run.isTaken))
        ui.startButton.setEnabled(canStart)
        ui.startButton.setText(_("Go on") if canGoOn and not isRunning else _("Start"))
        canAsk = (
            isRunning
            and state is not None
            and state.wish != "stop"
            and state.phase in ("checking", "training", "paused")
        )
        self._showPause(canAsk)
        ui.stopButton.setEnabled(canAsk)
        ui.curvesButton.setEnabled(self.plot.chartNode is not None)
        isTiming = self.form.timing.isRunning
        hasCases = bool(self.cases.count(split="train")) and bool(self.form.base)
        ui.timeButton.setEnabled(isTiming or (hasCases and not isBusy and not self._needsSetup))
        ui.timeButton.setText(_("Cancel") if isTiming else _("How long?"))

    def _showProgress(self):
        state = self.state
        steps = state.number("steps") if state is not None else None
        share = (state.number("step") or 0) / steps if steps and not state.hasEnded else None
        hasNoEnd = self.isRunning and (not steps or state.phase == "comparing")
        self._showBar(share, isEndless=self._isWaiting or hasNoEnd)

    def _showResult(self, card):
        ui = self.ui
        ui.cardFrame.setVisible(card is not None)
        if card is not None:
            name = modelOf(card)
            ui.cardLabel.setText(cardText(card))
            ui.useButton.setEnabled(bool(name) and name != self._preferences.modelName)
            ui.cardButton.setEnabled(picturePath(self.folder) is not None)

    def _hint(self):
        if self.cohort.isBusy:
            return "Running", self.cohort.doing
        if self.form.timing.isRunning:
            return "Running", _("Measuring a few steps...")
        notice = self._notice or self.cohort.notice
        if notice:
            return notice
        if self.state is not None and (self.isRunning or self.run.isTaken):
            return runText(self.state)
        missing = self._missing()
        hasErrors = any(line.worst == "error" for line in self.cases.lines)
        isNext = not hasErrors and (self.cases.isChecked or missing == self.form.missing(self.cases))
        return ("Hint", missing) if missing and (isNext or not self.cases.lines) else casesText(self.cases)
