"""Keys that act only while the module is shown."""

from dataclasses import dataclass

import qt
from slicer.i18n import tr as _


@dataclass(frozen=True)
class Key:
    """One key and what it does.

    Attributes:
        sequence: As Qt writes it.
        name: Of the action; the panel has a method of this name.
        text: What it does, for the list in the panel.
    """

    sequence: str
    name: str
    text: str


def keys():
    """Every key, in the order in which the panel lists them."""
    return (
        Key("A", "toggleAdding", _("add clicks on or off")),
        Key("S", "toggleTakingAway", _("take-away clicks on or off")),
        Key("Q", "startNextLesion", _("next lesion")),
        Key("Ctrl+Z", "undo", _("undo")),
        Key("Ctrl+Y", "redo", _("redo")),
        Key("U", "toggleUncertainty", _("unsure places on or off")),
        Key("W", "lookWhereUnsure", _("go to the place the model is least sure of")),
        Key("Esc", "stopPlacing", _("stop clicking")),
    )


def keysAsText():
    """The list for the panel, as a small table."""
    rows = [(key.sequence, key.text) for key in keys()]
    rows.insert(2, (_("Ctrl+click"), _("the other of add and take away, once")))
    rows += [(_("Esc, drag a click"), _("move it")), (_("Esc, Delete over a click"), _("remove it"))]
    cells = "".join(f"<tr><td><b>{key}</b>&nbsp;&nbsp;</td><td>{text}</td></tr>" for key, text in rows)
    return f"<table>{cells}</table>"


class Shortcuts:
    """The keys on Slicer's main window; off until `enable`."""

    def __init__(self, mainWindow, actions):
        """Make the keys.

        Args:
            mainWindow: Slicer's main window, None where it has none; the keys act wherever in it the focus is, except
                in text fields, which take letters for themselves.
            actions: An object with a method for each key.
        """
        self._shortcuts = []
        for key in keys() if mainWindow is not None else ():
            shortcut = qt.QShortcut(qt.QKeySequence(key.sequence), mainWindow)
            # Where another action has the same key, Qt sends the second signal instead of the first.
            for signal in ("activated()", "activatedAmbiguously()"):
                shortcut.connect(signal, getattr(actions, key.name))
            shortcut.enabled = False
            self._shortcuts.append(shortcut)

    def enable(self):
        """The module is shown."""
        for shortcut in self._shortcuts:
            shortcut.enabled = True

    def disable(self):
        """The module is left: the keys are Slicer's again."""
        for shortcut in self._shortcuts:
            shortcut.enabled = False

    def remove(self):
        """The module goes away."""
        for shortcut in self._shortcuts:
            shortcut.setParent(None)
            shortcut.deleteLater()
        self._shortcuts = []
