"""The Slicer module SegAnyPET. Its panels are in `SegAnyPETPanels`, what they do is in `SegAnyPETLib`."""

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
from slicer.util import VTKObservationMixin

# Installed, SegAnyPETLib lies beside this file; run from source, beside this folder, where Slicer does not look.
_SOURCE = Path(__file__).resolve().parents[1]
if (_SOURCE / "SegAnyPETLib" / "__init__.py").is_file() and str(_SOURCE) not in sys.path:
    sys.path.append(str(_SOURCE))


class SegAnyPET(ScriptedLoadableModule):
    """What Slicer shows about the module."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = "SegAnyPET"
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        self.parent.dependencies = ["Markups", "SampleData", "Segmentations"]
        self.parent.contributors = ["SegAnyPET contributors"]
        self.parent.helpText = _(
            "Press Add, click a lesion in any view: its segment and its SUV measures appear. Click again to correct "
            "it, press Next lesion for the next. Every click can be moved, deleted and undone. Save the scene to go on "
            "another day. For research use only, not for diagnosis."
        )
        self.parent.acknowledgementText = _(
            "The reference network is that of SegAnyPET, built on SAM-Med3D. The bundled model was trained on "
            "synthetic PET and on the Soft-tissue-Sarcoma collection of The Cancer Imaging Archive (CC BY 3.0)."
        )
        slicer.app.connect("startupCompleted()", self.registerSampleStudy)

    def registerSampleStudy(self):
        """Offer the phantom as sample data; Slicer calls this once all modules are there."""
        from SegAnyPETPanels.SampleStudy import registerSampleStudy

        registerSampleStudy()


class SegAnyPETWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Puts the panels into Slicer's module area and tells them what happens in Slicer."""

    def __init__(self, parent=None):
        VTKObservationMixin.__init__(self)
        ScriptedLoadableModuleWidget.__init__(self, parent)

    def setup(self):
        """Build the panels; Slicer calls this when the module is first opened."""
        ScriptedLoadableModuleWidget.setup(self)
        from SegAnyPETPanels.ModulePanel import ModulePanel

        self.logic = SegAnyPETLogic()
        self.panel = ModulePanel(self.logic)
        self.layout.addWidget(self.panel.widget)
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.EndImportEvent, self.onSceneEndImport)
        self.addObserver(scene, scene.NodeAddedEvent, self.onNodeAdded)

    def cleanup(self):
        """Slicer calls this before the module goes away."""
        self.removeObservers()
        self.panel.close()
        self.logic.close()

    def enter(self):
        """Slicer calls this when the module is shown."""
        self.panel.enter()

    def exit(self):
        """Slicer calls this when another module is shown."""
        self.panel.exit()

    def onSceneStartClose(self, _scene, _event):
        """Nothing is clicked while the scene goes away."""
        self.panel.segment.stopPlacing()

    def onSceneEndImport(self, _scene, _event):
        """Lesions of a loaded scene come back."""
        self.panel.segment.sceneOpened()

    def onNodeAdded(self, _scene, _event):
        """It may be the PET."""
        self.panel.segment.sceneGrew()

    def onReload(self):
        """Forget the library and the panels too, so that Reload shows every change."""
        for name in [name for name in sys.modules if name.split(".")[0] in ("SegAnyPETLib", "SegAnyPETPanels")]:
            del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)


class SegAnyPETLogic(ScriptedLoadableModuleLogic):
    """Segments without a panel: an editor over the scene, and the engine beside Slicer."""

    def __init__(self):
        ScriptedLoadableModuleLogic.__init__(self)
        self.editor = self.engine = None

    def useEngine(self, engine):
        """Edit the present scene with this engine; lesions stay, or come back.

        Args:
            engine: An `EngineClient`; it is closed by `close` or when another takes its place.

        Returns:
            The editor, the same one for every engine.
        """
        from SegAnyPETLib.mrml import LesionEditor

        if self.editor is None:
            self.editor = LesionEditor(slicer.mrmlScene, engine)
            self.editor.restore()
        else:
            self.editor.setEngine(engine)
            self.engine.close()
        self.engine = engine
        return self.editor

    def close(self):
        """End editor and engine; nodes stay in the scene."""
        for each in (self.editor, self.engine):
            if each is not None:
                each.close()
        self.editor = self.engine = None


class SegAnyPETTest(ScriptedLoadableModuleTest):
    """The self-test behind Reload and Test; the real tests are in the repository's Testing folder."""

    def runTest(self):
        """The phantom can be made, and is found as the scene's PET; no model is needed."""
        slicer.mrmlScene.Clear(0)
        from SegAnyPETPanels.SampleStudy import addPhantom

        from SegAnyPETLib.mrml import choosePETVolume

        phantom = addPhantom()
        self.assertIs(choosePETVolume(slicer.mrmlScene), phantom)  # noqa: PT009  unittest is Slicer's way
