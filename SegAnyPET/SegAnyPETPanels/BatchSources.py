"""Where a run looks for studies: folders, files, servers, and studies of Slicer's DICOM database."""

from dataclasses import dataclass, field
from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from SegAnyPETPanels.TickList import chooseTicked

PET, CT = "PT", "CT"  # what a run reads of a study in the database
LIST_NAME = "slicer_database_{number}.files.txt"
ADDRESSES = "dicomweb+https://server/dicom-web\ndimse://TITLE@server:104"


@dataclass(frozen=True)
class Source:
    """One place.

    Attributes:
        text: A path or an address; for studies of the database what they are called.
        files: Of the studies of the database; none for other places.
    """

    text: str
    files: tuple[str, ...] = field(default=(), repr=False)


class BatchSources:
    """The list of sources, and the menu that adds to it."""

    def __init__(self, ui, *, onChanged):
        """Take over the widgets.

        Args:
            ui: The panel's named widgets.
            onChanged: Called after the list was changed.
        """
        self._ui, self._onChanged = ui, onChanged
        self.sources = ()
        menu = qt.QMenu(ui.addSourceButton)
        for text, add in (
            (_("Folder..."), self.addFolder),
            (_("ZIP, DICOMDIR or list of paths..."), self.addFile),
            (_("Server (DICOMweb or DIMSE)..."), self.addAddress),
            (_("Studies of Slicer's DICOM database..."), self.addFromDatabase),
        ):
            menu.addAction(text).connect("triggered()", add)
        ui.addSourceButton.setMenu(menu)
        ui.removeSourceButton.connect("clicked()", self.remove)
        ui.sourceList.connect("itemSelectionChanged()", self._showButtons)
        self._showButtons()

    def setEnabled(self, enabled):
        """Whether the list can be changed."""
        self._ui.addSourceButton.setEnabled(enabled)
        self._ui.sourceList.setEnabled(enabled)
        self._showButtons()

    def show(self, sources):
        """Show these sources instead.

        Args:
            sources: `Source` objects.
        """
        self.sources = tuple(sources)
        self._ui.sourceList.clear()
        for source in self.sources:
            item = qt.QListWidgetItem(source.text)
            item.setToolTip(source.text)
            self._ui.sourceList.addItem(item)
        self._showButtons()
        self._onChanged()

    def addFolder(self):
        """Ask for a folder."""
        self._add(qt.QFileDialog.getExistingDirectory(self._ui.sourceList, _("Folder with studies")))

    def addFile(self):
        """Ask for a file that holds studies or names them."""
        kinds = _("Studies (*.zip *.txt *.csv *.dcm DICOMDIR);;All files (*)")
        self._add(qt.QFileDialog.getOpenFileName(self._ui.sourceList, _("ZIP, DICOMDIR or list of paths"), "", kinds))

    def addAddress(self):
        """Ask for the address of a server."""
        text = _("Address of the server, for example\n{examples}").format(examples=ADDRESSES)
        self._add((qt.QInputDialog.getText(self._ui.sourceList, _("Server"), text) or "").strip())

    def addFromDatabase(self):
        """Ask which studies of Slicer's DICOM database."""
        studies = databaseStudies()
        if not studies:
            slicer.util.infoDisplay(
                _("Slicer's DICOM database holds no study with a PET. Import some with the module DICOM first.")
            )
            return
        chosen = chooseTicked(
            self._ui.sourceList,
            [name for _study, name in studies],
            title=_("Studies of Slicer's DICOM database"),
            question=_("Tick the studies to be segmented:"),
        )
        files = tuple(file for number in chosen for file in filesOfStudy(studies[number][0]))
        if files:
            name = _("Slicer's DICOM database: {count} studies").format(count=len(chosen))
            self.show((*self.sources, Source(name, files)))

    def remove(self):
        """Take the chosen source out of the list."""
        row = self._ui.sourceList.currentRow
        if 0 <= row < len(self.sources):
            self.show((*self.sources[:row], *self.sources[row + 1 :]))

    def arguments(self, folder):
        """The sources as the command line wants them.

        Args:
            folder: Where lists of the database's files are written; they are needed as long as the run.
        """
        found = []
        for number, source in enumerate(self.sources, start=1):
            text = source.text
            if source.files:
                path = Path(folder) / LIST_NAME.format(number=number)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text("\n".join(source.files) + "\n", encoding="utf-8")
                text = str(path)
            found.append(text)
        return found

    def _add(self, text):
        if text and text not in [source.text for source in self.sources]:
            self.show((*self.sources, Source(text)))

    def _showButtons(self):
        isChosen = bool(self._ui.sourceList.selectedItems())
        self._ui.removeSourceButton.setEnabled(isChosen and self._ui.sourceList.enabled)


def databaseStudies():
    """Studies of Slicer's DICOM database that have a PET, as pairs of Study Instance UID and a name for people."""
    database = getattr(slicer, "dicomDatabase", None)
    if database is None or not database.isOpen:
        return []
    found = []
    for patient in database.patients():
        for study in database.studiesForPatient(patient):
            if any(database.fieldForSeries("Modality", series) == PET for series in database.seriesForStudy(study)):
                parts = (
                    database.nameForPatient(patient),
                    database.fieldForStudy("StudyDate", study),
                    database.descriptionForStudy(study),
                )
                found.append((study, ", ".join(part for part in parts if part) or study))
    return found


def filesOfStudy(study):
    """The files of a study's PET and CT series in Slicer's DICOM database, as far as they are there."""
    database = slicer.dicomDatabase
    return [
        file
        for series in database.seriesForStudy(study)
        if database.fieldForSeries("Modality", series) in (PET, CT)
        for file in database.filesForSeries(series)
        if Path(file).is_file()  # the database may know files that were deleted since
    ]
