"""Where the panels' files lie: forms made with Qt Designer, and icons."""

from pathlib import Path

import qt
import slicer

RESOURCES = Path(__file__).resolve().parents[1] / "Resources"
ICON_PIXELS = 20


def loadPanel(name):
    """A form as a widget, and its named children."""
    widget = slicer.util.loadUI(str(RESOURCES / "UI" / f"{name}.ui"))
    return widget, slicer.util.childWidgetVariables(widget)


def icon(name):
    """An icon that can be read on a light and on a dark background."""
    return qt.QIcon(str(RESOURCES / "Icons" / f"{name}.svg"))


def showIcon(label, name):
    """Show an icon on a label."""
    label.setPixmap(icon(name).pixmap(ICON_PIXELS, ICON_PIXELS))
