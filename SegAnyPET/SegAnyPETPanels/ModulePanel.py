"""The whole panel: the tabs, the keys, and the engine they share."""

import slicer

from SegAnyPETPanels.BatchPanel import BatchPanel
from SegAnyPETPanels.FineTunePanel import FineTunePanel
from SegAnyPETPanels.PanelFiles import loadPanel
from SegAnyPETPanels.Preferences import Preferences
from SegAnyPETPanels.SampleStudy import addPhantom
from SegAnyPETPanels.SegmentEditorUndo import saveForSegmentEditor
from SegAnyPETPanels.SegmentPanel import SegmentPanel
from SegAnyPETPanels.SettingsPanel import SettingsPanel
from SegAnyPETPanels.Shortcuts import Shortcuts


def engineClient(preferences):
    """The engine the user wants; it is started by the first click or `start`."""
    from SegAnyPETLib.worker import EngineClient

    return EngineClient(model=preferences.model, device=preferences.device)


class ModulePanel:
    """Puts the tabs together; one engine and one editor at a time."""

    def __init__(self, logic):
        """Build the panel and start editing the present scene.

        Args:
            logic: The module's logic, which has the editor.
        """
        self._logic = logic
        self._isShown = False
        self.settings = self.batch = self.fineTune = None
        self.preferences = Preferences()
        self.widget, self.ui = loadPanel("SegAnyPET")
        self.segment = SegmentPanel(self.preferences, onSetup=self._showSetup, addPhantom=addPhantom)
        self.ui.segmentTabLayout.addWidget(self.segment.widget)
        self.useNewEngine()
        editor = logic.editor
        editor.addBeforeChange(lambda: saveForSegmentEditor(editor.segmentationNode))
        self.batch = BatchPanel(self.preferences, getEditor=lambda: logic.editor, showStudy=self._showVolume)
        self.ui.batchTabLayout.addWidget(self.batch.widget)
        self.fineTune = FineTunePanel(self.preferences, useModel=self._useModel)
        self.ui.fineTuneTabLayout.addWidget(self.fineTune.widget)
        self.settings = SettingsPanel(
            self.preferences, onEngineChanged=self.useNewEngine, onSetupChanged=self._setupChanged
        )
        self.ui.settingsTabLayout.addWidget(self.settings.widget)
        self.ui.tabs.connect("currentChanged(int)", lambda _index: self._listModels())
        self._shortcuts = Shortcuts(slicer.util.mainWindow(), self.segment)
        self._setupChanged()

    def useNewEngine(self):
        """Go on with an engine as the preferences say; lesions and their history stay as they are."""
        engine = engineClient(self.preferences)
        self.segment.useEditor(self._logic.useEngine(engine), engine)
        self._listModels()
        self._warmUp()

    def enter(self):
        """The module is shown."""
        self._isShown = True
        self._listModels()
        self._shortcuts.enable()
        self.segment.enter()
        self.batch.enter()
        self.fineTune.enter()
        self._warmUp()
        self.settings.setup.resume()

    def exit(self):
        """The module is left."""
        self._isShown = False
        self._shortcuts.disable()
        self.segment.exit()
        self.batch.exit()
        self.fineTune.exit()

    def close(self):
        """The module goes away."""
        self._shortcuts.remove()
        self.segment.close()
        self.batch.close()
        self.fineTune.close()
        self.settings.close()

    def _warmUp(self):
        """Load the model while the person looks for the first lesion."""
        canStart = self.settings is not None and self.settings.setup.isComplete
        if self._isShown and canStart and self._logic.engine.state == "stopped":
            self._logic.engine.start()

    def _showVolume(self, volumeNode):
        """Work on a volume in Segment."""
        self.segment.ui.volumeSelector.setCurrentNode(volumeNode)
        self.ui.tabs.setCurrentWidget(self.ui.segmentTab)

    def _useModel(self, name):
        """Segment with another model from now on."""
        self.settings.chooseModel(name)

    def _listModels(self):
        """Fill lists of models anew: elsewhere one may have been chosen, made, brought or deleted."""
        for panel in (self.batch, self.fineTune):
            if panel is not None:
                panel.listModels()

    def _showSetup(self):
        self.ui.tabs.setCurrentWidget(self.ui.settingsTab)
        self.settings.setup.install()

    def _setupChanged(self):
        if self.settings is not None:
            self.segment.setNeedsSetup(not self.settings.setup.isComplete)
            self.batch.setNeedsSetup(not self.settings.setup.isComplete)
            self.fineTune.setNeedsSetup(not self.settings.setup.isComplete)
            self._warmUp()
