"""A tab around a long run: it follows the run of a folder, asks it to pause or stop, and survives without it."""

from abc import ABC, abstractmethod
from pathlib import Path

import qt
from slicer.i18n import tr as _

from SegAnyPETPanels.ErrorDisplay import shownErrors
from SegAnyPETPanels.PanelFiles import loadPanel, showIcon

POLL_MS = 500
BAR_STEPS = 1000


class RunPanel(ABC):
    """What the tabs with a run have in common; what is computed and shown is said by whoever derives."""

    def __init__(self, form, preferences, run):
        """Build the widgets; `_showFolder` brings them to life.

        Args:
            form: Name of the form.
            preferences: The user's `Preferences`.
            run: A `FolderRun`.
        """
        self._preferences, self.run = preferences, run
        self.state = None  # of the run, as last read
        self._notice = None  # icon and text the person has to know, until the next thing is done
        self._needsSetup = self._isShown = False
        self.widget, self.ui = loadPanel(form)
        self._timer = qt.QTimer()
        self._timer.setInterval(POLL_MS)
        self._timer.connect("timeout()", self.tick)

    def _showFolder(self, folder):
        """Follow the run of the folder that was used last, once the form can show it."""
        ui = self.ui
        ui.outPath.connect("currentPathChanged(QString)", self._folderChosen)
        ui.pauseButton.connect("clicked()", self.pause)
        ui.folderButton.connect("clicked()", self._openFolder)
        ui.outPath.setCurrentPath(folder)
        self.tick()

    # The panel's life

    def enter(self):
        """The module is shown."""
        self._isShown = True
        self._begun()

    def exit(self):
        """The module is left; a run goes on by itself, and what was begun is still waited for."""
        self._isShown = False

    def close(self):
        """The module goes away; a run goes on without it."""
        self._timer.stop()

    def setNeedsSetup(self, needed):
        """Whether packages are missing, so that nothing can be computed yet."""
        self._needsSetup = needed
        self.refresh()

    def tick(self):
        """See what the processes have done; called by a timer."""
        problem = self.run.problem()
        if problem:
            self._notice = ("Warning", problem)
        self._takeNews()
        self.state = self.run.state()
        if not (self._isShown or self._isWaiting):
            self._timer.stop()
        self.refresh()

    def _begun(self):
        """Something was begun that is to be followed."""
        self._timer.start()
        self.tick()

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

    def pause(self):
        """Wait at the next place where that is possible, or go on."""
        with self._shownErrors(_("The run could not be paused.")):
            self.run.ask("run" if self._isPauseAsked else "pause")
        self.tick()

    def stop(self):
        """End the run at the next place where that is possible; what is done stays."""
        with self._shownErrors(_("The run could not be stopped.")):
            self.run.ask("stop")
        self.tick()

    def _openFolder(self):
        qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(self.folder)))

    def _shownErrors(self, message):
        return shownErrors(message, also=(OSError,))

    # What the person sees

    @property
    def _isPauseAsked(self):
        return self.state is not None and self.state.isAlive and self.state.wish == "pause"

    def _showPause(self, canAsk):
        self.ui.pauseButton.setEnabled(canAsk)
        self.ui.pauseButton.setText(_("Continue") if self._isPauseAsked else _("Pause"))

    def _showBar(self, share, *, isEndless):
        """How far it is: a share from 0 to 1, None where nothing is to be shown; endless where nobody knows."""
        bar = self.ui.progressBar
        bar.setVisible(isEndless or share is not None)
        bar.setRange(0, 0 if isEndless else BAR_STEPS)
        if share is not None and not isEndless:
            bar.setValue(round(BAR_STEPS * share))

    def _showHint(self):
        picture, text = self._hint()
        showIcon(self.ui.hintIcon, picture)
        self.ui.hintLabel.setText(text)

    # What is different in each tab

    @abstractmethod
    def refresh(self):
        """Show everything as it is now."""

    @property
    @abstractmethod
    def _isWaiting(self):
        """Whether something besides the run was begun whose end is waited for."""

    @abstractmethod
    def _takeNews(self):
        """Take what has ended since the last look, besides the run."""

    @abstractmethod
    def _folderChosen(self, _path):
        """Show the run of another folder."""

    @abstractmethod
    def _hint(self):
        """The icon and the line that say what is going on, or what to do next."""
