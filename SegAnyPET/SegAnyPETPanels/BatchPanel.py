"""The tab *Batch*: whole studies, segmented by a process of its own while Slicer stays free."""

import html
import re
from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from SegAnyPETPanels.BatchCorrection import BatchCorrection
from SegAnyPETPanels.BatchForm import BatchForm, argumentsOf
from SegAnyPETPanels.BatchHints import foundText, runText
from SegAnyPETPanels.BatchLines import linesOfFound, linesOfRows
from SegAnyPETPanels.BatchRun import BatchRun, StudySearch
from SegAnyPETPanels.BatchSources import BatchSources, Source
from SegAnyPETPanels.BatchTable import BatchTable
from SegAnyPETPanels.ErrorDisplay import shownErrors
from SegAnyPETPanels.PanelFiles import loadPanel, showIcon

POLL_MS = 500
BAR_STEPS = 1000


class BatchPanel:
    """Shows a run and passes on what the person wants of it."""

    def __init__(self, preferences, *, getEditor, showStudy):
        """Build the panel; it shows the run of the folder that was used last.

        Args:
            preferences: The user's `Preferences`.
            getEditor: Returns the present `LesionEditor`.
            showStudy: Called with a volume node that is to be shown and corrected in Segment.
        """
        self._preferences = preferences
        self.run, self.search = BatchRun(), StudySearch()
        self.state = None  # of the run, as last read
        self._found = ()  # lines of the last search, until a run begins
        self._notice = None  # icon and text the person has to know, until the next thing is done
        self._needsSetup = self._isShown = False
        self.widget, self.ui = loadPanel("BatchPanel")
        self.correction = BatchCorrection(getEditor=getEditor, showStudy=showStudy)
        self.form = BatchForm(self.ui, preferences, onChanged=self.refresh)
        self.sources = BatchSources(self.ui, onChanged=self._sourcesChanged)
        self.table = BatchTable(self.ui.studyTable, onSelected=self._showButtons, onOpened=self.openStudy)
        self._connect()
        self._timer = qt.QTimer()
        self._timer.setInterval(POLL_MS)
        self._timer.connect("timeout()", self.tick)
        self.ui.outPath.setCurrentPath(preferences.batchFolder)
        self.tick()

    def _connect(self):
        ui = self.ui
        ui.outPath.connect("currentPathChanged(QString)", self._folderChosen)
        ui.findButton.connect("clicked()", self.findStudies)
        ui.startButton.connect("clicked()", self.start)
        ui.pauseButton.connect("clicked()", self.pause)
        ui.cancelButton.connect("clicked()", self.cancel)
        ui.openButton.connect("clicked()", self._openSelected)
        ui.replaceButton.connect("clicked()", self.replaceResult)
        ui.folderButton.connect("clicked()", self._openFolder)

    # The panel's life

    def enter(self):
        """The module is shown."""
        self._isShown = True
        self._timer.start()
        self.tick()

    def exit(self):
        """The module is left; a run goes on by itself, and what is being opened is still waited for."""
        self._isShown = False

    def close(self):
        """The module goes away; a run goes on without it."""
        self._timer.stop()
        self.search.stop()
        self.correction.stop()

    def setNeedsSetup(self, needed):
        """Whether packages are missing, so that nothing can be segmented yet."""
        self._needsSetup = needed
        self.refresh()

    def listModels(self):
        """Look again which models are here: one was chosen, made, brought or deleted."""
        self.form.listModels()

    def tick(self):
        """See what the processes have done; called by a timer."""
        self.state = self.run.state()
        answer = self.search.poll()
        if answer is not None:
            self._takeFound(*answer)
        problem = self.run.problem()
        if problem:
            self._notice = ("Warning", problem)
        told = self.correction.poll()
        if told is not None:
            self._notice = told
            self.run.readAgain()
            self.state = self.run.state()
        if not (self._isShown or self.search.isRunning or self.correction.isBusy):
            self._timer.stop()
        self.refresh()

    @property
    def folder(self):
        """Folder of the results; None while none was chosen."""
        text = self.ui.outPath.currentPath.strip()
        return Path(text) if text else None

    @property
    def isRunning(self):
        """Whether a process works on the run."""
        return self.run.isStarting or (self.state is not None and self.state.isAlive)

    # What the person does

    def findStudies(self):
        """Look what a run would do, in a process of its own."""
        with self._shownErrors(_("The studies could not be looked for.")):
            self._found, self._notice = (), None
            self.search.look(self.folder, self._arguments())
        self._timer.start()
        self.refresh()

    def start(self):
        """Begin the run, or go on with it."""
        with self._shownErrors(_("The run could not be started.")):
            isAccepted = self._isRunAccepted()
            if isAccepted is False:
                return
            self.search.stop()
            self._notice = None
            self.run.start(self.folder, [*self._arguments(), *([] if isAccepted else ["--redo"])])
            self._found = ()
            self._preferences.batchFolder = str(self.folder)
            self.ui.outPath.addCurrentPathToHistory()
        self.tick()

    def pause(self):
        """Begin no other study, or go on."""
        with self._shownErrors(_("The run could not be paused.")):
            self.run.ask("run" if self.state is not None and self.state.wish == "pause" else "pause")
        self.tick()

    def cancel(self):
        """End the search, or the run; what is done stays."""
        with self._shownErrors(_("The run could not be stopped.")):
            if self.search.isRunning:
                self.search.stop()
            else:
                self.run.ask("stop")
        self.tick()

    def openStudy(self, key):
        """Show a study that is done, with its result, for correction in Segment.

        Args:
            key: Of its row.
        """
        line = next((line for line in self.table.lines if line.key == key), None)
        if line is not None and line.state == "done" and not self.correction.isBusy:
            with self._shownErrors(_("The study could not be opened.")):
                self._notice = None
                name = re.split(r"[\\/]", line.title.rstrip("\\/"))[-1] or key
                self.correction.open(self.folder, key, name=name, sources=self._sourceArguments())
            self._timer.start()
            self.refresh()

    def replaceResult(self):
        """Write the corrected lesions over the results of the study that is open."""
        with self._shownErrors(_("The result could not be replaced.")):
            self._notice = None
            self.correction.replace(sources=self._sourceArguments())
        self._timer.start()
        self.refresh()

    def _openSelected(self):
        if self.table.selected is not None:
            self.openStudy(self.table.selected.key)

    def _openFolder(self):
        qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(self.folder)))

    def _folderChosen(self, _path):
        self._found, self._notice = (), None
        if self.folder is not None:
            self.run.look(self.folder)
            facts = self.run.facts()
            if facts is not None:
                self._preferences.batchFolder = str(self.folder)
                self.form.show(facts.settings)
                self.sources.show(Source(text) for text in facts.sources)
            else:
                self.form.forgetRun()
        self.state = self.run.state() if self.folder is not None else None
        self.refresh()

    def _sourcesChanged(self):
        self._found = ()
        self.refresh()

    def _sourceArguments(self):
        return self.sources.arguments(self.folder)

    def _arguments(self):
        """Sources and settings for the command; what the form does not show is as in the run that goes on."""
        from SegAnyPETLib.batch.settings import BatchSettings

        facts = self.run.facts()
        wanted = self.form.settings(BatchSettings() if facts is None else facts.settings)
        return [*self._sourceArguments(), *argumentsOf(wanted)]

    def _isRunAccepted(self):
        """Whether to go on with what the folder holds; None where all of it is to be done anew."""
        facts = self.run.facts()
        if facts is None:
            return True
        from SegAnyPETLib.batch.run_folder import differences

        differing = differences(facts.settings, self.form.settings(facts.settings))
        text = _("This folder holds a run with other settings:\n\n{settings}\n\nDo all of its studies anew?")
        if not differing:
            return True
        return None if slicer.util.confirmOkCancelDisplay(text.format(settings="\n".join(differing))) else False

    def _takeFound(self, answer, problem):
        self._notice = ("Warning", problem) if problem else None
        studies = answer.get("studies", []) if isinstance(answer, dict) else []
        places = [source.text for source in self.sources.sources]
        self._found = tuple(linesOfFound(studies, places))

    def _shownErrors(self, message):
        return shownErrors(message, also=(OSError,))

    # What the person sees

    def refresh(self):
        """Show everything as it is now."""
        rows = self.state.rows if self.state is not None else ()
        places = [source.text for source in self.sources.sources]
        self.table.show(self._found or linesOfRows(rows, places))
        self._showButtons()
        self._showProgress()
        picture, text = self._hint()
        showIcon(self.ui.hintIcon, picture)
        self.ui.hintLabel.setText(text)
        address = self.state.dashboard if self.state is not None and self.state.isAlive else ""
        isAddress = address.startswith(("http://", "https://"))
        self.ui.dashboardLabel.setText(f'<a href="{html.escape(address)}">{_("Workers")}</a>' if isAddress else "")

    def _missing(self):
        """What has still to be chosen before anything can be done, in words."""
        if self._needsSetup:
            return _("First install what is missing: see Settings.")
        if not self.sources.sources:
            return _("Add the studies: a folder with everything below it, a ZIP, a server, or Slicer's DICOM database.")
        if self.folder is None:
            return _("Choose the folder for the results.")
        return self.form.missing

    def _showButtons(self):
        ui, isBusy = self.ui, self.isRunning or self.search.isRunning
        canStart = not isBusy and not self._missing()
        ui.findButton.setEnabled(canStart)
        ui.startButton.setEnabled(canStart)
        ui.pauseButton.setEnabled(self.state is not None and self.state.isAlive and self.state.wish != "stop")
        isPaused = self.state is not None and self.state.isAlive and self.state.wish == "pause"
        ui.pauseButton.setText(_("Continue") if isPaused else _("Pause"))
        ui.cancelButton.setEnabled(
            isBusy and (self.state is None or self.state.wish != "stop" or self.search.isRunning)
        )
        self.sources.setEnabled(not isBusy)
        self.form.setEnabled(not isBusy)
        ui.outPath.setEnabled(not isBusy)
        line = self.table.selected
        ui.openButton.setEnabled(line is not None and line.state == "done" and not self.correction.isBusy)
        ui.replaceButton.setEnabled(self.correction.canReplace and not self.correction.isBusy)
        ui.folderButton.setEnabled(self.folder is not None and self.folder.is_dir())

    def _showProgress(self):
        bar, state = self.ui.progressBar, self.state
        isEndless = self.search.isRunning or self.correction.isBusy or (self.isRunning and not (state and state.rows))
        bar.setVisible(isEndless or bool(state and state.rows and not self._found))
        bar.setRange(0, 0 if isEndless else BAR_STEPS)
        if not isEndless and state and state.rows:
            bar.setValue(BAR_STEPS * state.ended // len(state.rows))

    def _hint(self):
        """The icon and the line that say what is going on, or what to do next."""
        if self.correction.isBusy:
            return "Running", self.correction.doing
        if self.search.isRunning:
            return "Running", _("Looking for studies...")
        if self._notice:
            return self._notice
        if self.isRunning or (self.state is not None and not self._found):
            return runText(self.state, isRunning=self.isRunning)
        if self._found:
            return foundText(self._found)
        missing = self._missing()
        return "Hint", missing or _("Press Find studies to see what would be done, or Start.")
