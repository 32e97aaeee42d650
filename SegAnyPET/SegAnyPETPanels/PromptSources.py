"""Prompts that are no clicks, a box and a segment, and what happens to other segments."""

from slicer.i18n import tr as _

from SegAnyPETPanels.ErrorDisplay import shownErrors

OVERLAPS = ("keep", "overwrite", "lock")  # in the order of the panel's list


class PromptSources:
    """The foldable part of the segment panel."""

    def __init__(self, ui, getEditor, *, ensureLesion):
        """Take over the part's widgets.

        Args:
            ui: The panel's named widgets.
            getEditor: Returns the present editor.
            ensureLesion: Starts a lesion where none is chosen; False where that cannot be.
        """
        self._ui, self._getEditor, self._ensureLesion = ui, getEditor, ensureLesion
        self._segmentIDs = []
        ui.roiSelector.connect("currentNodeChanged(vtkMRMLNode*)", self._boxChosen)
        ui.seedSegmentationSelector.connect("currentNodeChanged(vtkMRMLNode*)", self.refreshSegments)
        ui.promptsButton.connect("contentsCollapsed(bool)", self.refreshSegments)
        ui.seedButton.connect("clicked()", self._useSeed)
        ui.overlapSelector.connect("currentIndexChanged(int)", self._overlapChosen)
        self.refreshSegments()

    def refresh(self, editor):
        """Show what the editor has."""
        for widget, show in (
            (self._ui.overlapSelector, lambda widget: widget.setCurrentIndex(OVERLAPS.index(editor.overlap))),
            (self._ui.roiSelector, lambda widget: widget.setCurrentNode(editor.roiNode)),
        ):
            blocked = widget.blockSignals(True)
            show(widget)
            widget.blockSignals(blocked)

    def refreshSegments(self, _changed=None):
        """List the segments of the chosen segmentation as they are now."""
        node = self._ui.seedSegmentationSelector.currentNode()
        segmentation = None if node is None else node.GetSegmentation()
        self._segmentIDs = [] if segmentation is None else list(segmentation.GetSegmentIDs())
        self._ui.seedSegmentSelector.clear()
        for segmentID in self._segmentIDs:
            self._ui.seedSegmentSelector.addItem(segmentation.GetSegment(segmentID).GetName())
        self._ui.seedButton.setEnabled(bool(self._segmentIDs))

    def _boxChosen(self, roiNode):
        if roiNode is None and self._getEditor().selectedLesion is None:
            return
        with shownErrors(_("The box could not be used.")):
            if self._ensureLesion():
                self._getEditor().setBox(roiNode)

    def _useSeed(self):
        index = self._ui.seedSegmentSelector.currentIndex
        node = self._ui.seedSegmentationSelector.currentNode()
        with shownErrors(_("The segment could not be used.")):
            if node is not None and 0 <= index < len(self._segmentIDs) and self._ensureLesion():
                self._getEditor().useSegmentAsSeed(node, self._segmentIDs[index])

    def _overlapChosen(self, index):
        self._getEditor().overlap = OVERLAPS[index]
