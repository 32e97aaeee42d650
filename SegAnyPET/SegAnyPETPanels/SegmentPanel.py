"""The tab *Segment*: clicking lesions, and the table of what was found."""

import time

import qt
import slicer
from slicer.i18n import tr as _

from SegAnyPETPanels.EngineStatus import engineStatus
from SegAnyPETPanels.ErrorDisplay import shownErrors
from SegAnyPETPanels.ExportMenu import ExportMenu
from SegAnyPETPanels.Hints import nextStep
from SegAnyPETPanels.LesionTable import LesionTable, amount
from SegAnyPETPanels.PanelFiles import icon, loadPanel, showIcon
from SegAnyPETPanels.PromptSources import PromptSources
from SegAnyPETPanels.Shortcuts import keysAsText
from SegAnyPETPanels.Terminologies import terminologies
from SegAnyPETPanels.ViewEvents import ViewEvents
from SegAnyPETPanels.VolumeChoice import VolumeChoice

BUSY_MS, IDLE_MS = 15, 250  # how often the engine is asked for answers
PREPARE_EVERY_MS = 50
ICONS = {
    "addButton": "Add",
    "removeButton": "TakeAway",
    "nextButton": "NextLesion",
    "undoButton": "Undo",
    "redoButton": "Redo",
    "uncertaintyButton": "Unsure",
    "deleteButton": "Delete",
    "exportButton": "Export",
}


class SegmentPanel:
    """Shows an editor and passes on what the person does; it knows neither masks nor nodes of its own."""

    def __init__(self, preferences, *, onSetup, addPhantom):
        """Build the panel; `useEditor` brings it to life.

        Args:
            preferences: The user's `Preferences`.
            onSetup: Called when the user wants to install what is missing.
            addPhantom: Adds the phantom study to the scene and returns its volume node.
        """
        self._preferences, self._addPhantom = preferences, addPhantom
        self.editor = self.engine = self._removeListener = None
        self._needsSetup = self._isShown = self._refreshDue = self._sceneGrew = self._fitThreeD = False
        self._shownPlacing = self._shownEngine = None
        self._rowStates = set()  # of the lesions, when they were last shown
        self._told = ("", 0)  # the editor's message that is shown, and how many clicks there were then
        self._usedAt = time.monotonic()
        self._cursor = None  # where it was last, while the engine is not yet told
        self.widget, self.ui = loadPanel("SegmentPanel")
        self.widget.setMRMLScene(slicer.mrmlScene)
        self._views = ViewEvents(onCursor=self._cursorMoved, onControlClick=self._controlClicked)
        self._volumes = VolumeChoice(self.ui, self._getEditor, onChosen=self._changed)
        self._prompts = PromptSources(self.ui, self._getEditor, ensureLesion=self._ensureLesion)
        self._table = LesionTable(
            self.ui.lesionTable, onSelected=self._select, onRenamed=self._rename, onOpened=self._jumpTo
        )
        self._export = ExportMenu(self.ui.exportButton, self._getEditor)
        self._dress()
        self._connect(onSetup)
        self._timer = qt.QTimer()
        self._timer.setInterval(IDLE_MS)
        self._timer.connect("timeout()", self.tick)

    def _dress(self):
        for name, picture in ICONS.items():
            getattr(self.ui, name).setIcon(icon(picture))
        showIcon(self.ui.setupIcon, "Warning")
        self.ui.setupFrame.hide()
        self.ui.keysLabel.setText(keysAsText())
        for name, _terminology in terminologies():
            self.ui.terminologySelector.addItem(name)

    def _connect(self, onSetup):
        ui = self.ui
        ui.setupButton.connect("clicked()", onSetup)
        ui.addButton.connect("clicked()", self.toggleAdding)
        ui.removeButton.connect("clicked()", self.toggleTakingAway)
        ui.nextButton.connect("clicked()", self.startNextLesion)
        ui.undoButton.connect("clicked()", self.undo)
        ui.redoButton.connect("clicked()", self.redo)
        ui.uncertaintyButton.connect("clicked()", self.toggleUncertainty)
        ui.deleteButton.connect("clicked()", self._deleteLesion)
        ui.phantomButton.connect("clicked()", self._loadPhantom)
        ui.cancelButton.connect("clicked()", self._cancel)
        ui.retryButton.connect("clicked()", self._tryAgain)
        ui.surfaceButton.connect("clicked()", self._showSurfaces)
        ui.terminologySelector.connect("activated(int)", self._terminologyChosen)

    def _getEditor(self):
        return self.editor

    # The panel's life

    def useEditor(self, editor, engine):
        """Show this editor from now on.

        Args:
            editor: A `LesionEditor`.
            engine: The `EngineClient` it uses.
        """
        self._release()
        self.editor, self.engine = editor, engine
        self._removeListener = editor.addListener(self._changed)
        self._volumes.showVolumeOf(editor)
        self._changed()

    def _release(self):
        if self._removeListener is not None:
            self._removeListener()
        self._removeListener = None

    def enter(self):
        """The module is shown."""
        self._isShown = True
        self._views.start()
        self._volumes.lookForVolume()
        self._usedAt = time.monotonic()
        self._timer.start()
        self._changed()

    def exit(self):
        """The module is left; what is being computed is finished, then the memory is given back."""
        self._isShown = False
        self._views.stop()
        self.stopPlacing()

    def close(self):
        """The module goes away."""
        self._timer.stop()
        self._views.stop()
        self._release()
        for selector in (self.ui.volumeSelector, self.ui.ctSelector, self.ui.roiSelector):
            selector.blockSignals(True)  # forgetting the scene is not choosing another volume
        self.widget.setMRMLScene(None)

    def setNeedsSetup(self, needed):
        """Whether packages are missing, so that nothing can be segmented yet."""
        self._needsSetup = needed
        self._changed()

    def sceneGrew(self):
        """A node was added; it may be the PET, once it is loaded completely."""
        self._sceneGrew = True

    def sceneOpened(self):
        """A scene was loaded, and the editor has its lesions again."""
        self._volumes.showVolumeOf(self.editor)
        self._changed()

    def tick(self):
        """Fetch what the engine has done; called by a timer."""
        self.editor.tick()
        if self._sceneGrew and self._isShown:
            self._sceneGrew = False
            self._volumes.lookForVolume()
        self._volumes.retry()
        if self._fitThreeD and self.editor.areSurfacesCurrent:
            self._fitThreeD = False
            qt.QTimer.singleShot(0, slicer.util.resetThreeDViews)  # once the views know the surfaces
        self._restWhenUnused()
        self._showEngine()
        if self.editor.placing != self._shownPlacing:  # place mode was ended by Slicer's toolbar or the right button
            self._changed()

    def _restWhenUnused(self):
        if self.engine.state == "working":
            self._usedAt = time.monotonic()
        unused = time.monotonic() - self._usedAt
        isTired = not self._isShown or unused > 60 * self._preferences.idleMinutes
        if isTired and self.engine.state == "ready":
            self.engine.rest()
        if not self._isShown and self.engine.state in ("stopped", "failed"):
            self._timer.stop()

    # What the person does

    def toggleAdding(self):
        """Let clicks add to the lesion, or stop."""
        self._togglePlacing(True)

    def toggleTakingAway(self):
        """Let clicks take away from the lesion, or stop."""
        self._togglePlacing(False)

    def _togglePlacing(self, positive):
        if self.editor.placing is positive:
            self.editor.stopPlacing()
        elif self._ensureLesion():
            self.editor.startPlacing(positive)
        self._changed()  # also where nothing could be started: the button springs back

    def _ensureLesion(self):
        if self.editor.volumeNode is None or self._needsSetup:
            return False
        if self.editor.selectedLesion is None:
            self.editor.addLesion()
        self._usedAt = time.monotonic()
        return True

    def startNextLesion(self):
        """Clicks belong to a new lesion from now on; one without clicks is used before another is made."""
        if self.editor.volumeNode is None or self._needsSetup:
            return
        unused = [row.segmentID for row in self.editor.rows if not row.clicks and row.state == "empty"]
        if unused:
            self.editor.selectLesion(unused[0])
        else:
            self.editor.addLesion()
        self.editor.startPlacing(True)
        self._changed()

    def undo(self):
        """Take back what was done last."""
        if self.editor.canUndo:
            self.editor.undo()

    def redo(self):
        """Do again what was taken back last."""
        if self.editor.canRedo:
            self.editor.redo()

    def stopPlacing(self):
        """Let clicks mean what they usually mean in Slicer."""
        self.editor.stopPlacing()
        self._changed()

    def toggleUncertainty(self):
        """Show or hide where the model is unsure."""
        if self.ui.uncertaintyButton.enabled:
            self.editor.showUncertainty(not self.editor.isUncertaintyShown)

    def lookWhereUnsure(self):
        """Show the place of the chosen lesion where the next click would tell most."""
        hint = next((row.hint for row in self.editor.rows if row.segmentID == self.editor.selectedLesion), None)
        if hint is not None:
            self._showPlace(hint.lps_mm)

    def _select(self, segmentID):
        self.editor.selectLesion(segmentID)

    def _rename(self, segmentID, name):
        self.editor.renameLesion(segmentID, name)

    def _jumpTo(self, segmentID):
        """Show the lesion's hottest voxel in all slices."""
        measures = next(row.measures for row in self.editor.rows if row.segmentID == segmentID)
        if measures is not None:
            self._showPlace(measures.suv_max_lps_mm)

    def _showPlace(self, lps):
        left, posterior, superior = lps
        slicer.modules.markups.logic().JumpSlicesToLocation(-left, -posterior, superior, True)

    def _deleteLesion(self):
        self.editor.removeLesion(self.editor.selectedLesion)

    def _terminologyChosen(self, index):
        self.editor.setLesionTerminology(self.editor.selectedLesion, terminologies()[index][1])

    def _cancel(self):
        self.engine.cancel()

    def _tryAgain(self):
        self.engine.start()
        self.editor.retry()

    def _loadPhantom(self):
        with shownErrors(_("The phantom could not be made."), isLong=True):
            self.ui.volumeSelector.setCurrentNode(self._addPhantom())

    def _cursorMoved(self, ras):
        if self._cursor is None:
            qt.QTimer.singleShot(PREPARE_EVERY_MS, self._prepare)
        self._cursor = ras

    def _prepare(self):
        ras, self._cursor = self._cursor, None
        if self._isShown and self._preferences.prepareAhead and self.editor.placing is not None:
            self._usedAt = time.monotonic()
            self.editor.prepare(ras)

    def _controlClicked(self, ras):
        placing = self.editor.placing
        if placing is None:
            return False
        with shownErrors(_("This click could not be used.")):
            self.editor.addPoint(ras, positive=not placing)
        return True

    # What the person sees

    def _changed(self):
        """Show everything anew, once, when the present event is done."""
        if not self._refreshDue:
            self._refreshDue = True
            qt.QTimer.singleShot(0, self._refresh)

    def _refresh(self):
        self._refreshDue = False
        if self._removeListener is None:
            return
        rows, selected = self.editor.rows, self.editor.selectedLesion
        self._rowStates = {row.state for row in rows}
        self._table.show(rows, selected)
        self._prompts.refresh(self.editor)
        row = next((row for row in rows if row.segmentID == selected), None)
        self._showButtons(row)
        self._showSurfaces()
        self._showHint(row, self._message(rows))
        self._showBurden()
        self._showEngine()

    def _showButtons(self, row):
        ui, placing = self.ui, self.editor.placing
        canClick = self.editor.volumeNode is not None and not self._needsSetup
        ui.setupFrame.setVisible(self._needsSetup)
        for button in (ui.addButton, ui.removeButton, ui.nextButton):
            button.setEnabled(canClick)
        self._shownPlacing = placing
        self._press(ui.addButton, placing is True)
        self._press(ui.removeButton, placing is False)
        ui.undoButton.setEnabled(self.editor.canUndo)
        ui.redoButton.setEnabled(self.editor.canRedo)
        ui.uncertaintyButton.setEnabled(row is not None and row.measures is not None)
        self._press(ui.uncertaintyButton, self.editor.isUncertaintyShown)
        for widget in (ui.deleteButton, ui.terminologySelector, ui.terminologyLabel):
            widget.setEnabled(row is not None)
        ui.exportButton.setEnabled(self.editor.burden.lesions > 0)
        known = [terminology for _name, terminology in terminologies()]
        found = row is not None and row.terminology in known
        ui.terminologySelector.setCurrentIndex(known.index(row.terminology) if found else -1)

    def _press(self, button, pressed):
        """Show a button as pressed, in bold too: in dark styles a pressed one is hardly darker than others."""
        button.setChecked(pressed)
        font = button.font
        font.setBold(pressed)
        button.setFont(font)

    def _showSurfaces(self):
        """Show the lesions in 3D or not; once all surfaces are there, they are brought into view."""
        wanted = self.ui.surfaceButton.checked
        if (self.editor.burden.lesions or not wanted) and self.editor.showSurfaces(wanted):
            self._fitThreeD = wanted

    def _message(self, rows):
        """What the editor has to say, until the person went on clicking."""
        clicks = sum(row.clicks for row in rows)
        message, clicksThen = self._told
        if self.editor.message != message:
            self._told = (self.editor.message, clicks)
        elif message and clicks != clicksThen:
            self.editor.clearMessage()
            self._told = ("", clicks)
        return self._told[0]

    def _showHint(self, row, message):
        hasVolume = self.editor.volumeNode is not None
        picture, text = nextStep(
            hasVolume=hasVolume,
            isRefused=self._volumes.isRefused,
            needsSetup=self._needsSetup,
            placing=self.editor.placing,
            row=row,
        )
        if message:
            picture, text = "Warning", message
        showIcon(self.ui.hintIcon, picture)
        self.ui.hintLabel.setText(text)
        self.ui.phantomButton.setVisible(not hasVolume and not self._volumes.isRefused)

    def _showBurden(self):
        burden = self.editor.burden
        self.ui.burdenLabel.setVisible(burden.lesions > 0)
        text = _("<b>All lesions ({count}):</b> MTV {mtv} ml, TLG {tlg} {unit}")
        self.ui.burdenLabel.setText(
            text.format(count=burden.lesions, mtv=amount(burden.mtv_ml), tlg=amount(burden.tlg), unit=burden.tlg_unit)
        )

    def _showEngine(self):
        ui, state = self.ui, self.engine.state
        self._timer.setInterval(BUSY_MS if state in ("starting", "working") else IDLE_MS)
        isSegmenting = state == "working" and "working" in self._rowStates
        if state == "working" and not isSegmenting:
            state = "ready"  # it prepares the place under the cursor, which is nothing to wait for
        text = engineStatus(state, self.editor.engineReady)
        hasFailed = state == "failed" or "failed" in self._rowStates
        if (text, hasFailed) != self._shownEngine:
            self._shownEngine = (text, hasFailed)
            ui.engineLabel.setText(text)
            ui.engineBar.setVisible(isSegmenting or state == "starting")
            ui.cancelButton.setVisible(isSegmenting)
            ui.retryButton.setVisible(hasFailed)
