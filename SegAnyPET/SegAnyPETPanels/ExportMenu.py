"""The button *Export*: lesions and table for other programs."""

import qt
from slicer.i18n import tr as _

from SegAnyPETPanels.ErrorDisplay import shownErrors


class ExportMenu:
    """Asks where to, and lets the editor write."""

    def __init__(self, button, getEditor):
        """Give the button its menu.

        Args:
            button: A push button.
            getEditor: Returns the present editor.
        """
        self._button, self._getEditor = button, getEditor
        self._menu = qt.QMenu(button)
        for text, write in (
            (_("Table (CSV)..."), self.exportTable),
            (_("Segmentation (.seg.nrrd)..."), self.exportSegNrrd),
            (_("One mask per lesion (NIfTI)..."), self.exportNifti),
            (_("DICOM SEG..."), self.exportDicomSeg),
            (_("DICOM RT Structure Set..."), self.exportRTStruct),
        ):
            self._menu.addAction(text).connect("triggered()", write)
        button.setMenu(self._menu)

    def exportTable(self):
        """One line per lesion, for spreadsheets."""
        path = self._askFile(_("Save the table"), "lesions.csv", _("Table (*.csv)"))
        if path:
            with self._errors():
                self._getEditor().exportTable(path)

    def exportSegNrrd(self):
        """All lesions as Slicer's own file."""
        path = self._askFile(_("Save the segmentation"), "lesions.seg.nrrd", _("Segmentation (*.seg.nrrd)"))
        if path:
            with self._errors():
                self._getEditor().exportSegNrrd(path)

    def exportNifti(self):
        """One file per lesion."""
        folder = qt.QFileDialog.getExistingDirectory(self._button, _("Folder for the masks"))
        if folder:
            with self._errors():
                self._getEditor().exportNifti(folder)

    def exportDicomSeg(self):
        """All lesions as DICOM SEG; the PET's DICOM files tell patient and study."""
        self._exportForSeries(
            _("Save as DICOM SEG"), "lesions.dcm", lambda path, source: self._getEditor().exportDicomSeg(path, source)
        )

    def exportRTStruct(self):
        """All lesions as contours for planning systems."""
        self._exportForSeries(
            _("Save as DICOM RT Structure Set"),
            "lesions.rtstruct.dcm",
            lambda path, source: self._getEditor().exportRTStruct(path, source),
        )

    def _exportForSeries(self, title, name, write):
        source = qt.QFileDialog.getExistingDirectory(self._button, _("Folder with the DICOM files of this PET"))
        path = self._askFile(title, name, _("DICOM (*.dcm)")) if source else ""
        if path:
            from SegAnyPETLib import read_pet_series

            with self._errors():
                write(path, read_pet_series(source))

    def _askFile(self, title, name, kind):
        return qt.QFileDialog.getSaveFileName(self._button, title, name, kind)

    def _errors(self):
        return shownErrors(_("The lesions could not be exported."))
