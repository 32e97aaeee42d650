"""A study of a run, opened with its result to be corrected by clicks, and written back.

Reading a study takes seconds, so a process of its own does it and leaves arrays in a folder only the user can read;
they are gone once the scene has them.
"""

import tempfile
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from SegAnyPETLib.errors import SegAnyPETError, SessionError
from SegAnyPETPanels.DetachedProcess import lastLinesOf, launch

PROCESS = "SegAnyPETLib.batch.correcting"
FOLDER, STUDY = "SegAnyPET.batchFolder", "SegAnyPET.batchStudy"  # attributes of a volume that was opened here
TRACKING = "SegAnyPET.trackingUID"  # tag of a segment: the lesion of the result it was, whatever it is called now


class BatchCorrection:
    """One study at a time is read or written."""

    def __init__(self, *, getEditor, showStudy):
        """Prepare.

        Args:
            getEditor: Returns the present `LesionEditor`.
            showStudy: Called with the volume node of the study, once it is in the scene.
        """
        self._getEditor, self._showStudy = getEditor, showStudy
        self._process = self._scratch = self._finish = None
        self.doing = ""  # what is going on, in words

    @property
    def isBusy(self):
        """Whether a study is being read or written."""
        return self._process is not None

    @property
    def canReplace(self):
        """Whether the volume that is worked on is a study of a run."""
        editor = self._getEditor()
        node = None if editor is None else editor.volumeNode
        return node is not None and bool(node.GetAttribute(STUDY)) and Path(node.GetAttribute(FOLDER)).is_dir()

    def open(self, folder, key, *, name, sources):
        """Show a study; one that is in the scene already is not read again.

        Args:
            folder: Of the run.
            key: Of the study.
            name: For its volume node.
            sources: Where the run found its studies.

        Raises:
            OSError: The process cannot be started.
        """
        for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"):
            if node.GetAttribute(STUDY) == key and node.GetAttribute(FOLDER) == str(folder):
                self._showStudy(node)
                return
        self._start(
            ["open", str(folder), key], sources, _("Reading the study..."), lambda: self._addStudy(folder, key, name)
        )

    def replace(self, *, sources):
        """Write the lesions of the volume that is worked on over its study's result.

        Args:
            sources: Where the run found its studies.

        Raises:
            SessionError: The model has not answered yet, or no lesion is left.
            OSError: The process cannot be started.
        """
        editor = self._getEditor()
        editor.tick()  # what was painted just now counts
        rows = editor.rows
        if any(row.state == "working" for row in rows):
            msg = _("The model has not answered the last click yet. Wait a moment, then press Replace result again.")
            raise SessionError(msg)
        node = editor.volumeNode
        arguments = ["replace", node.GetAttribute(FOLDER), node.GetAttribute(STUDY)]
        self._scratchFolder()
        self._writeLesions(editor, [row for row in rows if row.state != "empty"])
        told = ("Done", _("The result of {name} was replaced, and its rows of the tables.").format(name=node.GetName()))
        self._start(arguments, sources, _("Writing the corrected result..."), lambda: told)

    def poll(self):
        """Icon and text of what is to be told once the process ended; None while there is nothing."""
        if self._process is None or self._process.poll() is None:
            return None
        finish, code = self._finish, self._process.poll()
        try:
            return finish() if code == 0 else ("Warning", lastLinesOf(self._path("problems.txt")))
        except SegAnyPETError as error:  # what the process left cannot be used
            return "Warning", str(error)
        finally:
            self._end()

    def stop(self):
        """Wait for what is being written, drop what is being read."""
        if self._process is not None:
            if "open" in self._process.args:
                self._process.terminate()
            self._process.wait()
            self._end()

    def _start(self, arguments, sources, doing, finish):
        self._scratchFolder()
        with self._path("problems.txt").open("wb") as problems:
            command = [*arguments, self._scratch.name, *sources]
            self._process = launch(command, stdout=problems, stderr=problems, module=PROCESS)
        self.doing, self._finish = doing, finish

    def _addStudy(self, folder, key, name):
        """Add what the process has read to the scene, as if it was loaded with its lesions; tells nothing."""
        from SegAnyPETLib.batch.exchange import read_image, read_lesions
        from SegAnyPETLib.mrml import addSegmentedLesions, addVolumeNode

        scratch = Path(self._scratch.name)
        node = addVolumeNode(slicer.mrmlScene, read_image(scratch), name=name)
        node.SetAttribute(FOLDER, str(folder))
        node.SetAttribute(STUDY, key)
        segments = [lesion.segment() for lesion in read_lesions(scratch)]
        added = addSegmentedLesions(node, segments)
        self._showStudy(node)
        segmentation = None if not added else self._getEditor().segmentationNode.GetSegmentation()
        for segmentID, segment in zip(added, segments, strict=True):
            if segment.tracking_uid:
                segmentation.GetSegment(segmentID).SetTag(TRACKING, segment.tracking_uid)

    def _writeLesions(self, editor, rows):
        from SegAnyPETLib.batch.exchange import ExchangedLesion, write_lesions
        from SegAnyPETLib.data.segment import LESION, Segment
        from SegAnyPETLib.mrml import gridFromVolumeNode, maskFromSegment

        node, grid = editor.segmentationNode, gridFromVolumeNode(editor.volumeNode)

        def lesions():
            for row in rows:
                mask = maskFromSegment(node, row.segmentID, grid=grid)
                tracking = trackingOf(node.GetSegmentation().GetSegment(row.segmentID))
                yield ExchangedLesion.of(
                    Segment(labelOf(row.name), mask, row.colorRGB, row.terminology or LESION, tracking_uid=tracking)
                )

        write_lesions(Path(self._scratch.name), lesions())

    def _scratchFolder(self):
        if self._scratch is None:
            self._scratch = tempfile.TemporaryDirectory(prefix="SegAnyPET-")

    def _path(self, name):
        return Path(self._scratch.name) / name

    def _end(self):
        self._process = self._finish = None
        self._scratch.cleanup()
        self._scratch = None


def labelOf(name):
    """A segment's name as DICOM can hold it: one line of at most 64 characters."""
    from SegAnyPETLib.data.segment import LONGEST_LABEL

    label = "".join(letter if letter.isprintable() else " " for letter in name).strip()
    return label[:LONGEST_LABEL].strip() or _("Lesion")


def trackingOf(segment):
    """Which lesion of the result a segment was; None for one that was added since."""
    import vtk

    value = vtk.reference("")
    return str(value) if segment.GetTag(TRACKING, value) else None
