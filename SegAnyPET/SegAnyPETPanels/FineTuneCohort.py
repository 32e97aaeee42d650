"""The upper part of the tab Fine-tune: choosing cases, looking at what the checker says, and changing the list."""

import qt
from slicer.i18n import tr as _

from SegAnyPETLib.errors import SegAnyPETError
from SegAnyPETPanels.ErrorDisplay import shownErrors
from SegAnyPETPanels.FineTuneCard import showPicture
from SegAnyPETPanels.FineTuneCases import FineTuneCases
from SegAnyPETPanels.FineTuneSceneExport import SceneExport
from SegAnyPETPanels.FineTuneSources import FineTuneSources
from SegAnyPETPanels.FineTuneTable import FineTuneTable, splitName


class FineTuneCohort:
    """The list of cases and the buttons around it."""

    def __init__(self, ui, preferences, *, onChanged, onBusy):
        """Take over the widgets.

        Args:
            ui: The panel's named widgets.
            preferences: The user's `Preferences`.
            onChanged: Called after the list, or what is known of it, was changed.
            onBusy: Called after something was begun that is to be polled.
        """
        self._ui, self._preferences = ui, preferences
        self._onChanged, self._onBusy = onChanged, onBusy
        self._export, self._problems, self._isEnabled = None, [], True
        self.notice = None  # icon and text the person has to know, until the next thing is done
        self.cases = FineTuneCases()
        self.table = FineTuneTable(ui.caseTable, onSelected=self.refresh, onOpened=self.showCase)
        self.sources = FineTuneSources(
            ui, preferences, onFolder=self.findCases, onList=self.takeList, onScene=self.takeScene
        )
        self._addMenus()
        ui.checkButton.connect("clicked()", self.check)
        ui.saveButton.connect("clicked()", self.save)
        ui.removeButton.connect("clicked()", self.remove)
        ui.pictureButton.connect("clicked()", self._showSelected)

    def _addMenus(self):
        menu = qt.QMenu(self._ui.qualityButton)
        for quality, text in (("HQ", _("HQ: drawn with care")), ("LQ", _("LQ: careless, by threshold or program"))):
            menu.addAction(text).connect("triggered()", lambda quality=quality: self.change(quality=quality))
        self._ui.qualityButton.setMenu(menu)
        menu = qt.QMenu(self._ui.splitButton)
        for split in ("train", "validation", "test"):
            menu.addAction(splitName(split)).connect("triggered()", lambda split=split: self.change(split=split))
        menu.addSeparator()
        menu.addAction(_("All anew, by patient")).connect("triggered()", self.splitAnew)
        self._ui.splitButton.setMenu(menu)

    @property
    def isBusy(self):
        """Whether cases are being found, checked or written."""
        return self._export is not None or self.cases.isBusy

    @property
    def doing(self):
        """What is going on, in words."""
        return _("Writing the cases of the scene...") if self._export is not None else self.cases.doing

    def stop(self):
        """End what is going on."""
        self._export = None
        self.cases.stop()

    def poll(self):
        """Go on with what was begun; to be called often."""
        if self._export is not None:
            self._exportNext()
            return
        told = self.cases.poll()
        if told is not None:
            self.notice = ("Warning", told) if told else None
            self._onChanged()

    # What the person does

    def findCases(self, folder, images=()):
        """Look for cases below a folder.

        Args:
            folder: With PET and labels, or of a batch run.
            images: Folders with the PET of that run.
        """
        with shownErrors(_("Cases could not be looked for."), also=(OSError,)):
            self.notice = None
            self.cases.find(folder, images)
        self._onBusy()

    def takeList(self, path):
        """Take a list that was written before.

        Args:
            path: Of the manifest.
        """
        with shownErrors(_("The list could not be read.")):
            odd = self.cases.look(path)
            self.notice = ("Warning", odd) if odd else None
        self._onChanged()

    def takeScene(self, chosen, folder):
        """Write segmentations of the scene as cases.

        Args:
            chosen: Pairs of segmentation node and volume node.
            folder: For their files.
        """
        with shownErrors(_("The cases could not be written."), also=(OSError,)):
            self.notice, self._problems = None, []
            self._export = SceneExport(chosen, folder, secret=self._preferences.patientSecret)
        self._onBusy()

    def check(self):
        """Check the cases, or end what is going on."""
        if self.isBusy:
            self.stop()
        else:
            with shownErrors(_("The cases could not be checked."), also=(OSError,)):
                self.notice = None
                self.cases.check()
        self._onBusy()

    def save(self):
        """Write the list where the person wants it."""
        kinds = _("Lists of cases (*.csv)")
        path = qt.QFileDialog.getSaveFileName(self._ui.saveButton, _("Save list"), self.cases.path, kinds)
        if path:
            with shownErrors(_("The list could not be written.")):
                self.cases.save(path if path.lower().endswith(".csv") else f"{path}.csv")
        self._onChanged()

    def change(self, *, quality=None, split=None):
        """Change the chosen rows.

        Args:
            quality: HQ or LQ; None for no change.
            split: train, validation or test; None for no change.
        """
        self.cases.change({line.key for line in self.table.allSelected}, quality=quality, split=split)
        self.notice = None
        self._onChanged()

    def splitAnew(self):
        """Draw anew which patients are for what."""
        told = self.cases.splitAnew()
        self.notice = ("Hint", told) if told else None
        self._onChanged()

    def remove(self):
        """Take the chosen rows out of the list."""
        self.cases.remove({line.key for line in self.table.allSelected})
        self.notice = None
        self._onChanged()

    def showCase(self, case):
        """Show the picture of a case.

        Args:
            case: Its name.
        """
        line = next((line for line in self.table.lines if line.key == case), None)
        if line is not None and line.picture:
            showPicture(self._ui.caseTable, line.picture, _("Case {name}").format(name=case))

    def _showSelected(self):
        if self.table.selected is not None:
            self.showCase(self.table.selected.key)

    def _exportNext(self):
        export = self._export
        if export.hasMore:
            try:
                export.step()
            except SegAnyPETError as error:  # the others are written all the same; told at the end
                self._problems.append(str(error))
            return
        self._export = None
        if export.written:
            with shownErrors(_("The list of these cases could not be written.")):
                self.takeList(export.finish())
        if self._problems:
            self.notice = ("Warning", " ".join(self._problems))
        self._onChanged()

    # What the person sees

    def setEnabled(self, enabled):
        """Whether the list can be changed."""
        self._isEnabled = enabled
        self.refresh()

    def refresh(self):
        """Show the list and which buttons do something."""
        ui, cases = self._ui, self.cases
        self.table.show(cases.lines)
        hasCases, canChange = bool(cases.lines), self._isEnabled and not self.isBusy
        isChosen = canChange and bool(self.table.allSelected)
        ui.casesButton.setEnabled(canChange)
        ui.checkButton.setEnabled(self.isBusy or (canChange and hasCases))
        ui.checkButton.setText(_("Cancel") if self.isBusy else _("Check cases"))
        ui.saveButton.setEnabled(canChange and hasCases)
        ui.qualityButton.setEnabled(isChosen)
        ui.removeButton.setEnabled(isChosen)
        ui.splitButton.setEnabled(isChosen)
        line = self.table.selected
        ui.pictureButton.setEnabled(line is not None and bool(line.picture))
        ui.listLabel.setText(_("not saved") if hasCases and cases.isChanged else "")
