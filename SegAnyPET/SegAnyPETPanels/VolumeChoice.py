"""Which volume is segmented, and what to do where its units are not known."""

import slicer
from slicer.i18n import tr as _

from SegAnyPETLib.errors import GeometryError, SUVError
from SegAnyPETPanels.ErrorDisplay import shownErrors
from SegAnyPETPanels.PanelFiles import icon, showIcon
from SegAnyPETPanels.SUVConversion import addSUVVolume, dicomSourceOf

KINDS = (None, "bw", "lbm", "bsa", "ibw")  # in the order of the panel's list


class VolumeChoice:
    """The upper part of the segment panel."""

    def __init__(self, ui, getEditor, *, onChosen):
        """Take over the part's widgets.

        Args:
            ui: The panel's named widgets.
            getEditor: Returns the present editor.
            onChosen: Called after another volume was chosen or refused.
        """
        self._ui, self._getEditor, self._onChosen = ui, getEditor, onChosen
        self._refusedState = None  # of the node when it was refused: a change is worth another try
        showIcon(ui.unitsIcon, "Warning")
        ui.showButton.setIcon(icon("Show"))
        ui.unitsFrame.hide()
        ui.volumeSelector.connect("currentNodeChanged(vtkMRMLNode*)", self._volumeChosen)
        ui.ctSelector.connect("currentNodeChanged(vtkMRMLNode*)", self._show)
        ui.showButton.connect("clicked()", self._show)
        ui.kindSelector.connect("currentIndexChanged(int)", self._kindChosen)
        ui.convertButton.connect("clicked()", self._convert)
        ui.hardenButton.connect("clicked()", self._harden)

    @property
    def isRefused(self):
        """Whether the chosen volume cannot be segmented as it is."""
        return self._refusedState is not None

    def lookForVolume(self):
        """Choose the scene's PET where nothing is chosen yet."""
        from SegAnyPETLib.mrml import choosePETVolume

        if self._ui.volumeSelector.currentNode() is None:
            node = choosePETVolume(slicer.mrmlScene)
            if node is not None:
                self._ui.volumeSelector.setCurrentNode(node)

    def showVolumeOf(self, editor):
        """Show the volume the editor has, for example after a scene was opened."""
        if editor.volumeNode is not None:
            blocked = self._ui.volumeSelector.blockSignals(True)
            self._ui.volumeSelector.setCurrentNode(editor.volumeNode)
            self._ui.volumeSelector.blockSignals(blocked)

    def retry(self):
        """Try a refused volume again where it was changed since."""
        node = self._ui.volumeSelector.currentNode()
        if node is not None and self.isRefused and self._stateOf(node) != self._refusedState:
            self._choose(node)

    def _volumeChosen(self, node):
        blocked = self._ui.kindSelector.blockSignals(True)
        self._ui.kindSelector.setCurrentIndex(0)
        self._ui.kindSelector.blockSignals(blocked)
        if node is not None and node is self._getEditor().volumeNode:
            return
        self._choose(node)

    def _kindChosen(self, index):
        node = self._ui.volumeSelector.currentNode()
        if node is not None:
            self._choose(node, KINDS[index])

    def _choose(self, node, kind=None):
        self._refusedState = None
        try:
            self._getEditor().setVolume(node, kind=kind)
            self._present(node)
        except (SUVError, GeometryError) as error:
            self._getEditor().setVolume(None)  # rather than go on with the volume before, which is not shown any more
            self._refusedState = self._stateOf(node)
            self._ui.unitsMessage.setText(str(error))
            self._ui.hardenButton.setVisible(self._isBent(node))
            self._ui.convertButton.setVisible(isinstance(error, SUVError))
            self._ui.kindSelector.setVisible(isinstance(error, SUVError))
        self._ui.unitsFrame.setVisible(self.isRefused)
        self._onChosen()

    def _present(self, node):
        """Show a volume that was accepted, over its CT; the window of SUV would say nothing of another."""
        from SegAnyPETLib.mrml import findCT

        if node is None:
            return
        blocked = self._ui.ctSelector.blockSignals(True)
        self._ui.ctSelector.setCurrentNode(findCT(slicer.mrmlScene, node))
        self._ui.ctSelector.blockSignals(blocked)
        self._show()
        slicer.util.resetSliceViews()

    def _show(self, _node=None):
        from SegAnyPETLib.mrml import showPET

        node = self._ui.volumeSelector.currentNode()
        if node is not None:
            showPET(node, ctNode=self._ui.ctSelector.currentNode())

    def _convert(self):
        node = self._ui.volumeSelector.currentNode()
        source = dicomSourceOf(node, self._ui.unitsFrame)
        if source is not None:
            with shownErrors(_("SUV could not be computed."), isLong=True):
                self._ui.volumeSelector.setCurrentNode(addSUVVolume(node, source))

    def _harden(self):
        node = self._ui.volumeSelector.currentNode()
        node.HardenTransform()
        self._choose(node)

    @staticmethod
    def _isBent(node):
        from SegAnyPETLib.mrml import hasLinearTransformToWorld

        return not hasLinearTransformToWorld(node)

    @staticmethod
    def _stateOf(node):
        transform = node.GetParentTransformNode()
        return node.GetMTime(), None if transform is None else transform.GetMTime()
