"""The Slicer module SegAnyPET: points in a PET volume become a segment. What it does is in `SegAnyPETLib.mrml`."""

import sys
from pathlib import Path

import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)

# Installed, SegAnyPETLib lies beside this file; run from source, beside this folder, where Slicer does not look.
_SOURCE = Path(__file__).resolve().parents[1]
if (_SOURCE / "SegAnyPETLib" / "__init__.py").is_file() and str(_SOURCE) not in sys.path:
    sys.path.append(str(_SOURCE))

KINDS = (None, "bw", "lbm", "bsa", "ibw")  # in the order of the panel's list; None: as the volume says


class SegAnyPET(ScriptedLoadableModule):
    """What Slicer shows about the module."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = "SegAnyPET"
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        self.parent.dependencies = ["Markups", "Segmentations"]
        self.parent.contributors = ["SegAnyPET contributors"]
        self.parent.helpText = _(
            "Choose a PET volume in SUV, place one or a few points in a lesion, and press Segment. Where the segment "
            "is wrong, add points to the lesion or to the background and press Segment again. Another list of lesion "
            "points makes another segment. For research use only, not for diagnosis."
        )
        self.parent.acknowledgementText = _(
            "The reference network is that of SegAnyPET, built on SAM-Med3D. The bundled model was trained on "
            "synthetic PET and on the Soft-tissue-Sarcoma collection of The Cancer Imaging Archive (CC BY 3.0)."
        )


class SegAnyPETWidget(ScriptedLoadableModuleWidget):
    """The panel: it collects what is chosen, calls the logic, and shows what went wrong."""

    def setup(self):
        """Build the panel; Slicer calls this when the module is first opened."""
        ScriptedLoadableModuleWidget.setup(self)
        panel = slicer.util.loadUI(self.resourcePath("UI/SegAnyPET.ui"))
        self.layout.addWidget(panel)
        self.ui = slicer.util.childWidgetVariables(panel)
        panel.setMRMLScene(slicer.mrmlScene)
        self.logic = SegAnyPETLogic()
        for selector in (self.ui.volumeSelector, self.ui.positiveSelector, self.ui.roiSelector):
            selector.connect("currentNodeChanged(vtkMRMLNode*)", self.onSelectionChanged)
        self.ui.segmentButton.connect("clicked(bool)", self.onSegment)
        self.onSelectionChanged()

    def onSelectionChanged(self, _node=None):
        """Allow pressing Segment only where there is something to segment."""
        prompted = self.ui.positiveSelector.currentNode() or self.ui.roiSelector.currentNode()
        self.ui.segmentButton.enabled = bool(self.ui.volumeSelector.currentNode() and prompted)

    def onSegment(self, _checked=False):
        """Segment at the chosen points."""
        with slicer.util.tryWithErrorDisplay(_("The lesion could not be segmented."), waitCursor=True):
            segmentationNode, name, measures = self.logic.segment(
                self.ui.volumeSelector.currentNode(),
                kind=KINDS[self.ui.kindSelector.currentIndex],
                positiveNode=self.ui.positiveSelector.currentNode(),
                negativeNode=self.ui.negativeSelector.currentNode(),
                roiNode=self.ui.roiSelector.currentNode(),
                segmentationNode=self.ui.segmentationSelector.currentNode(),
            )
            self.ui.segmentationSelector.setCurrentNode(segmentationNode)
            text = _("{name}: SUVmax {m.suv_max:.2f}, MTV {m.mtv_ml:.1f} ml, TLG {m.tlg:.1f} {m.tlg_unit}")
            if measures is None:
                text = _("{name} is empty: the model found no lesion at these points. Add a point in its hottest part.")
            self.ui.statusLabel.text = text.format(name=name, m=measures)


class SegAnyPETLogic(ScriptedLoadableModuleLogic):
    """Segments without a panel."""

    def __init__(self):
        ScriptedLoadableModuleLogic.__init__(self)
        self.loadModel = loadBundledModel  # called when the first lesion is segmented
        self._model = self._bridge = None
        self._lesion, self._segmentIDs = None, {}  # a lesion: its points (or ROI) and the segmentation it goes to

    def segment(
        self, volumeNode, *, kind=None, positiveNode=None, negativeNode=None, roiNode=None, segmentationNode=None
    ):
        """Segment the lesion of these points, or bring its segment up to date.

        Returns:
            The segmentation node, the segment's name, and its measures (None where the segment is empty).
        """
        from SegAnyPETLib.mrml import SegmentationBridge
        from SegAnyPETLib.session import InteractiveSession

        if self._model is None:
            self._model = self.loadModel()
        if self._bridge is None or self._bridge.volumeNode is not volumeNode:
            self._bridge = SegmentationBridge(InteractiveSession(self._model), volumeNode)
            self._lesion, self._segmentIDs = None, {}
        bridge = self._bridge
        lesion = (positiveNode or roiNode, segmentationNode or bridge.segmentationNode)
        if lesion != self._lesion:
            bridge.startSegment(segmentationNode=lesion[1], segmentID=self._segmentIDs.get(lesion))
        bridge.kind, bridge.positiveNode = kind, positiveNode
        bridge.negativeNode, bridge.roiNode = negativeNode, roiNode
        prediction = bridge.predict()
        self._lesion = (lesion[0], bridge.segmentationNode)
        self._segmentIDs[self._lesion] = bridge.segmentID
        measures = bridge.measure() if prediction.mask.any() else None
        return bridge.segmentationNode, bridge.segmentName, measures


def loadBundledModel():
    """The model that comes with the extension."""
    from SegAnyPETLib import load_model
    from SegAnyPETLib.errors import SetupError

    try:
        return load_model("lite", device="auto")
    except ModuleNotFoundError as error:
        msg = _(
            "The Python package '{name}' is needed. Install torch with the extension PyTorch (module PyTorch Utils), "
            "other packages with slicer.util.pip_install('{name}') in the Python console, and try again."
        ).format(name=error.name)
        raise SetupError(msg) from error


class SegAnyPETTest(ScriptedLoadableModuleTest):
    """The self-test behind Reload and Test; the real tests are in the repository's Testing folder."""

    def runTest(self):
        """Read a volume's grid through the library, without a model."""
        import numpy as np

        from SegAnyPETLib.mrml import gridFromVolumeNode

        volumeNode = slicer.util.addVolumeFromArray(np.zeros((4, 5, 6), np.float32))
        self.assertEqual(gridFromVolumeNode(volumeNode).shape_kji, (4, 5, 6))  # noqa: PT009  unittest is Slicer's way
        slicer.mrmlScene.RemoveNode(volumeNode)
