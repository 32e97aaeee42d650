"""The tab *Batch*: whole studies, segmented by a process of its own while Slicer stays free."""

import html
import re

import slicer
from slicer.i18n import tr as _

from SegAnyPETPanels.BatchCorrection import BatchCorrection
from SegAnyPETPanels.BatchForm import BatchForm, argumentsOf
from SegAnyPETPanels.BatchHints import foundText, runText
from SegAnyPETPanels.BatchLines import linesOfFound, linesOfRows
from SegAnyPETPanels.BatchRun import BatchRun, StudySearch
from SegAnyPETPanels.BatchSources import BatchSources, Source
from SegAnyPETPanels.BatchTable import BatchTable
from SegAnyPETPanels.RunPanel import RunPanel


class BatchPanel(RunPanel):
    """Shows a run and passes on what the person wants of it."""

    def __init__(self, preferences, *, getEditor, showStudy):
        """Build the panel; it shows the run of the folder that was used last.

        Args:
            preferences: The user's `Preferences`.
            getEditor: Returns the present `LesionEditor`.
            showStudy: Called with a volume node that is to be shown and corrected in Segment.
        """
        super().__init__("BatchPanel", preferences, BatchRun())
        self.search = StudySearch()
        self._found = ()  # lines of the last search, until a run begins
        self.correction = BatchCorrection(getEditor=getEditor, showStudy=showStudy)
        self.form = BatchForm(self.ui, preferences, onChanged=self.refresh)
        self.sources = BatchSources(self.ui, onChanged=self._sourcesChanged)
        self.table = BatchTable(self.ui.studyTable, onSelected=self._showButtons, onOpened=self.openStudy)
        self._connect()
        self._showFolder(preferences.batchFolder)

    def _connect(self):
        ui = self.ui
        ui.findButton.connect("clicked()", self.findStudies)
        ui.startButton.connect("clicked()", self.start)
        ui.cancelButton.connect("clicked()", self.cancel)
        ui.openButton.connect("clicked()", self._openSelected)
        ui.replaceButton.connect("clicked()", self.replaceResult)

    # The panel's life

    def close(self):
        """The module goes away; a run goes on without it."""
        super().close()
        self.search.stop()
        self.correction.stop()

    def listModels(self):
        """Look again which models are here: one was chosen, made, brought or deleted."""
        self.form.listModels()

    @property
    def _isWaiting(self):
        return self.search.isRunning or self.correction.isBusy

    def _takeNews(self):
        answer = self.search.poll()
        if answer is not None:
            self._takeFound(*answer)
        told = self.correction.poll()
        if told is not None:
            self._notice = told
            self.run.readAgain()

    # What the person does

    def findStudies(self):
        """Look what a run would do, in a process of its own."""
        with self._shownErrors(_("The studies could not be looked for.")):
            self._found, self._notice = (), None
            self.search.look(self.folder, self._arguments())
        self._begun()

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

    def cancel(self):
        """End the search, or the run; what is done stays."""
        if self.search.isRunning:
            self.search.stop()
            self.tick()
        else:
            self.stop()

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
            self._begun()

    def replaceResult(self):
        """Write the corrected lesions over the results of the study that is open."""
        with self._shownErrors(_("The result could not be replaced.")):
            self._notice = None
            self.correction.replace(sources=self._sourceArguments())
        self._begun()

    def _openSelected(self):
        if self.table.selected is not None:
            self.openStudy(self.table.selected.key)

    def _folderChosen(self, _path):
        self._found, self._notice = (), None
        self.run.look(self.folder)
        facts = self.run.facts()
        if facts is None:
            self.form.forgetRun()
        else:
            self._preferences.batchFolder = str(self.folder)
            self.form.show(facts.settings)
            self.sources.show(Source(text) for text in facts.sources)
        self.tick()

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

    # What the person sees

    def refresh(self):
        """Show everything as it is now."""
        rows = self.state.rows if self.state is not None else ()
        places = [source.text for source in self.sources.sources]
        self.table.show(self._found or linesOfRows(rows, places))
        self._showButtons()
        self._showProgress()
        self._showHint()
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
        self._showPause(self.state is not None and self.state.isAlive and self.state.wish != "stop")
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
        hasRows = self.state is not None and bool(self.state.rows)
        share = self.state.ended / len(self.state.rows) if hasRows and not self._found else None
        self._showBar(share, isEndless=self._isWaiting or (self.isRunning and not hasRows))

    def _hint(self):
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
