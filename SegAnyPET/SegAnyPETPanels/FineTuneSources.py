"""Where cases come from: a folder, a list, segmentations of the open scene, or a batch run; the menu that asks."""

from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from SegAnyPETPanels.BatchRun import BatchRun
from SegAnyPETPanels.FineTuneSceneExport import segmentedVolumes
from SegAnyPETPanels.TickList import chooseTicked


class FineTuneSources:
    """The menu; what was chosen is told."""

    def __init__(self, ui, preferences, *, onFolder, onList, onScene):
        """Take over the button.

        Args:
            ui: The panel's named widgets.
            preferences: The user's `Preferences`.
            onFolder: Called with a folder to look for cases in, and folders with the PET of its results.
            onList: Called with the path of a manifest.
            onScene: Called with pairs as `segmentedVolumes` gives them, and a folder for their files.
        """
        self._ui, self._preferences = ui, preferences
        self._onFolder, self._onList, self._onScene = onFolder, onList, onScene
        menu = qt.QMenu(ui.casesButton)
        for text, choose in (
            (_("Folder with PET and labels..."), self.chooseFolder),
            (_("List of cases (CSV)..."), self.chooseList),
            (_("Segmentations of the open scene..."), self.chooseScene),
            (_("Results of a batch run, as corrected..."), self.chooseBatch),
        ):
            menu.addAction(text).connect("triggered()", choose)
        ui.casesButton.setMenu(menu)

    def chooseFolder(self):
        """Ask for a folder."""
        folder = self._folder(_("Folder with PET and labels"))
        if folder:
            self._onFolder(folder, ())

    def chooseList(self):
        """Ask for a manifest."""
        kinds = _("Lists of cases (*.csv);;All files (*)")
        path = qt.QFileDialog.getOpenFileName(self._ui.casesButton, _("List of cases"), "", kinds)
        if path:
            self._onList(path)

    def chooseScene(self):
        """Ask which segmentations of the scene, and for the folder their files go to."""
        found = segmentedVolumes()
        if not found:
            text = _("The scene holds no segmentation that was drawn on a volume. Segment lesions first, or load some.")
            slicer.util.infoDisplay(text)
            return
        names = [f"{node.GetName()} ({volume.GetName()})" for node, volume in found]
        ticked = chooseTicked(
            self._ui.casesButton,
            names,
            title=_("Segmentations of the open scene"),
            question=_("Tick those that are drawn with care. Each becomes a case: its PET in SUV and its lesions."),
        )
        folder = self._folder(_("Folder for the files of these cases")) if ticked else ""
        if folder:
            self._onScene([found[number] for number in ticked], folder)

    def chooseBatch(self):
        """Ask for the folder of a run; the places of its PET are known to the run, or asked for."""
        folder = self._folder(_("Folder of a batch run"), self._preferences.batchFolder)
        if folder:
            images = placesOfRun(folder) or [self._folder(_("Folder with the PET of these results"))]
            self._onFolder(folder, tuple(place for place in images if place))

    def _folder(self, title, start=""):
        return qt.QFileDialog.getExistingDirectory(self._ui.casesButton, title, start)


def placesOfRun(folder):
    """The folders a batch run found its studies in, as far as they are there."""
    run = BatchRun()
    run.look(folder)
    facts = run.facts()
    places = facts.sources if facts is not None else ()
    return [str(place) for place in places if Path(place).is_dir()]
