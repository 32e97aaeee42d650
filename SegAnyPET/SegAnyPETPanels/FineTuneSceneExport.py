"""Segmentations of the open scene as cases: a PET and its labels written to a folder the person chooses.

Names of files and cases are numbers, since names of nodes often are those of patients. Cases of one patient are known
as such by a code that nobody can turn back without this computer's settings.
"""

import hashlib
import hmac
import re
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from SegAnyPETLib.errors import InputError
from SegAnyPETPanels.FineTuneCases import LIST_NAME

PATIENT_LETTERS = 8
CASE = re.compile(r"case(\d+)")


def segmentedVolumes():
    """What of the scene can be a case: pairs of a segmentation node and the volume it was drawn on."""
    found = []
    role = slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
    for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
        volume = node.GetNodeReference(role)
        isImage = volume is not None and volume.IsA("vtkMRMLScalarVolumeNode")
        if isImage and not volume.IsA("vtkMRMLLabelMapVolumeNode") and node.GetSegmentation().GetNumberOfSegments():
            found.append((node, volume))
    return found


class SceneExport:
    """Writes one case after the other, so that Slicer stays usable in between."""

    def __init__(self, chosen, folder, *, secret):
        """Prepare.

        Args:
            chosen: Pairs as `segmentedVolumes` gives them.
            folder: For the files; cases that are there already stay.
            secret: Text that codes of patients depend on, the same for all exports of this computer.

        Raises:
            InputError: The list in the folder is damaged.
        """
        from SegAnyPETLib.finetune.cohort.manifest import read_manifest

        self._waiting, self._folder, self._secret = list(chosen), Path(folder), secret
        self.path = self._folder / LIST_NAME
        self._known = list(read_manifest(self.path).entries) if self.path.is_file() else []
        self.written = 0

    @property
    def hasMore(self):
        """Whether a case is still to be written."""
        return bool(self._waiting)

    def step(self):
        """Write the next case.

        Raises:
            SegAnyPETError: It cannot be one: no SUV, no lesion, or the folder cannot be written. It is left out.
        """
        segmentationNode, volumeNode = self._waiting.pop(0)
        self._known.append(self._write(segmentationNode, volumeNode))
        self.written += 1

    def finish(self):
        """Write the list of all cases of the folder.

        Returns:
            Its path.

        Raises:
            SegAnyPETError: No case could be written, or the list cannot be.
        """
        from SegAnyPETLib.finetune.cohort.manifest import Manifest, write_manifest
        from SegAnyPETPanels.FineTuneCases import splitByPatient

        manifest = Manifest(tuple(self._known))
        return write_manifest(splitByPatient(manifest), self.path)

    def _write(self, segmentationNode, volumeNode):
        from SegAnyPETLib.data.nifti_output import write_labels_nifti, write_volume_nifti
        from SegAnyPETLib.data.seg_nrrd_output import write_seg_nrrd
        from SegAnyPETLib.finetune.cohort.manifest import CohortEntry
        from SegAnyPETLib.mrml import suvVolumeFromNode

        image = suvVolumeFromNode(volumeNode)
        segments = lesionSegments(segmentationNode, image.grid)
        if not segments:
            msg = _("'{name}' holds no lesion with a voxel on its PET; it was left out.")
            raise InputError(msg.format(name=segmentationNode.GetName()))
        numbers = [int(found.group(1)) for entry in self._known if (found := CASE.fullmatch(entry.case))]
        name = f"case{max(numbers, default=0) + 1:03d}"
        place = self._folder / f"{name}_pet.nii"  # not compressed: that takes seconds, and Slicer waits
        write_volume_nifti(place, image.array, grid=image.grid)
        labels = numbered([segment.mask for segment in segments])
        if labels is None:  # lesions share voxels, for which a label map has no place
            label = write_seg_nrrd(self._folder / f"{name}_label.seg.nrrd", segments, grid=image.grid)
        else:
            label = write_labels_nifti(self._folder / f"{name}_label.nii.gz", labels, grid=image.grid)
        return CohortEntry(name, patientCode(volumeNode, self._secret) or name, place, label, "HQ", "train")


def lesionSegments(segmentationNode, grid):
    """The lesions of a segmentation that have a voxel, as `Segment` objects on a grid; anatomy is left out."""
    from SegAnyPETLib.data.segment import LESION, LONGEST_LABEL, Segment
    from SegAnyPETLib.finetune.cohort.cases import is_lesion
    from SegAnyPETLib.mrml import maskFromSegment, terminologyFromSegment

    found = []
    for number, segmentID in enumerate(segmentationNode.GetSegmentation().GetSegmentIDs(), start=1):
        terminology = terminologyFromSegment(segmentationNode, segmentID) or LESION
        mask = maskFromSegment(segmentationNode, segmentID, grid=grid)
        segment = Segment(f"Lesion {number}"[:LONGEST_LABEL], mask, terminology=terminology)
        if mask.any() and is_lesion(segment):
            found.append(segment)
    return found


def numbered(masks):
    """A label map with 1, 2 and so on; None where two masks share a voxel."""
    import numpy as np

    labels = np.zeros(masks[0].shape, dtype=np.uint16)
    for number, mask in enumerate(masks, start=1):
        if labels[mask].any():
            return None
        labels[mask] = number
    return labels


def patientCode(volumeNode, secret):
    """A code for the patient a volume belongs to in the subject hierarchy; empty where it belongs to none."""
    hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
    words = slicer.vtkMRMLSubjectHierarchyConstants
    item = hierarchy.GetItemByDataNode(volumeNode)
    patient = hierarchy.GetItemAncestorAtLevel(item, words.GetDICOMLevelPatient()) if item else 0
    if not patient:
        return ""
    known = hierarchy.GetItemUID(patient, words.GetDICOMUIDName()) or hierarchy.GetItemName(patient)
    code = hmac.new(secret.encode(), known.encode(), hashlib.sha256).hexdigest()[:PATIENT_LETTERS]
    return f"patient-{code}"
