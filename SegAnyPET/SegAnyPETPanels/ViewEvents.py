"""What the mouse does in the views, beyond placing points: where the cursor is, and clicks with Ctrl."""

import slicer

ABOVE_SLICER = 10.0  # priority: before the view's own interaction, which blends volumes with Ctrl and drag
CONTROL_CLICK = "LeftButtonPressEvent"


class ViewEvents:
    """Observes crosshair and slice views between `start` and `stop`."""

    def __init__(self, *, onCursor, onControlClick):
        """Remember whom to tell.

        Args:
            onCursor: Called with the position under the cursor, RAS mm, whenever it moves in a slice view.
            onControlClick: Called with that position when it is clicked with Ctrl; True keeps the click from Slicer.
        """
        self._onCursor, self._onControlClick = onCursor, onControlClick
        self._observed = []  # (object, tag)
        self._layoutManager = None

    def start(self):
        """Observe the views there are; views that appear later are noticed."""
        self.stop()
        self._crosshair = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
        if self._crosshair is not None:
            event = slicer.vtkMRMLCrosshairNode.CursorPositionModifiedEvent
            self._observed.append((self._crosshair, self._crosshair.AddObserver(event, self._moved)))
        self._layoutManager = slicer.app.layoutManager()
        if self._layoutManager is not None:
            self._layoutManager.connect("layoutChanged(int)", self._observeViews)
            self._observeViews()

    def stop(self):
        """Let go of everything."""
        for observed, tag in self._observed:
            observed.RemoveObserver(tag)
        self._observed = []
        if self._layoutManager is not None:
            self._layoutManager.disconnect("layoutChanged(int)", self._observeViews)
            self._layoutManager = None

    def _observeViews(self, _layout=None):
        known = [observed for observed, _tag in self._observed]
        for name in self._layoutManager.sliceViewNames():
            interactor = self._layoutManager.sliceWidget(name).sliceView().interactor()
            if interactor not in known:
                tag = interactor.AddObserver(CONTROL_CLICK, self._pressed, ABOVE_SLICER)
                self._observed.append((interactor, tag))

    def _position(self):
        ras = [0.0, 0.0, 0.0]
        return tuple(ras) if self._crosshair is not None and self._crosshair.GetCursorPositionRAS(ras) else None

    def _moved(self, _caller, _event):
        position = self._position()
        if position is not None:
            self._onCursor(position)

    def _pressed(self, interactor, _event):
        position = self._position() if interactor.GetControlKey() else None
        if position is not None and self._onControlClick(position):
            tag = next(tag for observed, tag in self._observed if observed is interactor)
            interactor.GetCommand(tag).AbortFlagOn()
