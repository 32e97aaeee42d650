"""From a volume that Slicer loaded from DICOM in Bq/ml to one in SUV."""

from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _


def dicomSourceOf(volumeNode, parent):
    """Where the volume's DICOM files are: Slicer's DICOM database knows it, else the user is asked.

    Args:
        volumeNode: The volume as Slicer loaded it.
        parent: Widget above which a folder is asked for.

    Returns:
        A file of the series or a folder; None where the user chose none.
    """
    uids = (volumeNode.GetAttribute("DICOM.instanceUIDs") or "").split()
    path = slicer.dicomDatabase.fileForInstance(uids[0]) if uids and hasattr(slicer, "dicomDatabase") else ""
    if not path or not Path(path).is_file():
        path = qt.QFileDialog.getExistingDirectory(parent, _("Folder with the DICOM files of this PET"))
    return Path(path) if path else None


def addSUVVolume(volumeNode, source):
    """Compute SUVbw from the DICOM header and add it to the scene.

    Args:
        volumeNode: The volume as Slicer loaded it; it stays as it is.
        source: A file of the series, or its folder.

    Returns:
        The new volume node.

    Raises:
        DICOMError: The series cannot be used; the message says why.
        SUVError: The header allows no trustworthy SUV.
    """
    from SegAnyPETLib import compute_suv, read_pet_series
    from SegAnyPETLib.mrml import addVolumeNode

    image = compute_suv(read_pet_series(source), kind="bw")
    return addVolumeNode(slicer.mrmlScene, image, name=f"{volumeNode.GetName()} SUVbw")
