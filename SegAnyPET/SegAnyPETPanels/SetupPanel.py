"""First run: what is missing, installing it with the user's consent, going on after a restart."""

import slicer
from slicer.i18n import tr as _

from SegAnyPETLib.errors import SetupError
from SegAnyPETPanels import Dependencies
from SegAnyPETPanels.ErrorDisplay import shownErrors
from SegAnyPETPanels.PanelFiles import loadPanel


class SetupPanel:
    """The part *Set-up* of the settings."""

    def __init__(self, preferences, *, onChanged):
        """Build the panel.

        Args:
            preferences: The user's `Preferences`.
            onChanged: Called after something was installed or looked for.
        """
        self._preferences, self._onChanged = preferences, onChanged
        self.widget, self._ui = loadPanel("SetupPanel")
        self.missing = []
        self._ui.restartButton.hide()
        self._ui.installButton.connect("clicked()", self.install)
        self._ui.checkButton.connect("clicked()", self.check)
        self._ui.restartButton.connect("clicked()", self._restart)
        self.check()

    @property
    def isComplete(self):
        """Whether everything is there."""
        return not self.missing

    def check(self):
        """Look which packages are missing."""
        try:
            self.missing = Dependencies.missing()
            text = _("Everything the module needs is installed.")
            if self.missing:
                text = _("Missing: {names}. They are downloaded from PyPI, torch by the PyTorch extension.").format(
                    names=", ".join(self.missing)
                )
        except SetupError as error:
            self.missing, text = [str(error)], str(error)
        if self.isComplete:
            self._preferences.setupPending = False
        self._ui.packagesLabel.setText(text)
        self._ui.installButton.setVisible(not self.isComplete)
        self._onChanged()

    def install(self):
        """Install what is missing; a restart in between does not end it."""
        self._preferences.setupPending = True
        with shownErrors(_("SegAnyPET could not be set up.")):
            try:
                if not Dependencies.install():
                    self._preferences.setupPending = False  # declined: do not ask again by ourselves
            except SetupError as error:
                self._ui.restartButton.setVisible(error.restart_required)
                raise
        self.check()

    def resume(self):
        """Go on with a set-up that a restart interrupted."""
        if self._preferences.setupPending and not self.isComplete:
            self.install()

    def _restart(self):
        if slicer.util.confirmOkCancelDisplay(_("Restart Slicer now? What is not saved in the scene is lost.")):
            slicer.util.restart()
