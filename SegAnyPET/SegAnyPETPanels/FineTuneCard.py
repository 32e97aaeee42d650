"""What came of a run: its card, as words and as a picture."""

from pathlib import Path

import qt
from slicer.i18n import tr as _

from SegAnyPETPanels.FineTuneHints import labelsText
from SegAnyPETPanels.FineTuneRun import PICTURE, numberOf

SHOWN_PIXELS = 900  # most of a picture's height on the screen at once
SCROLL_PIXELS = 28


def cardText(card):
    """The decision and its reason.

    Args:
        card: What `card.json` says.
    """
    decision = card.get("decision")
    decision = decision if isinstance(decision, dict) else {}
    name = str(card.get("name", ""))
    title = _("{name}: better than before") if isBetter(card) else _("{name}: a candidate, not proven better")
    parts = [title.format(name=name), str(decision.get("reason", "")), str(decision.get("caution") or "")]
    labels = card.get("labels")
    labels = labels if isinstance(labels, dict) else {}
    parts.append(labelsText(numberOf(labels.get("offset_mm")), numberOf(labels.get("belief"))))
    doubted = labels.get("please_review")
    if isinstance(doubted, list) and doubted:
        parts.append(_("Please look at these labels again: {names}.").format(names=", ".join(map(str, doubted))))
    return "\n".join(part for part in parts if part)


def isBetter(card):
    """Whether the run's rule lets the new model take the place of the one before."""
    decision = card.get("decision")
    return isinstance(decision, dict) and decision.get("becomes_default") is True


def modelOf(card):
    """Name of the new model, where it is among the models of this computer; else empty."""
    from SegAnyPETLib.model import is_site_model

    name = card.get("name")
    return name if isinstance(name, str) and name and is_site_model(name) else ""


def picturePath(folder):
    """Path of the card's picture; None where there is none."""
    path = Path(folder) / PICTURE
    return path if path.is_file() else None


def showPicture(parent, path, title):
    """Show a picture in a window of its own, that is scrolled where it is too large.

    Args:
        parent: Widget above which it is shown.
        path: Of a PNG.
        title: Of the window.
    """
    dialog = qt.QDialog(parent)
    dialog.setWindowTitle(title)
    layout = qt.QVBoxLayout(dialog)
    label = qt.QLabel(dialog)
    pixmap = qt.QPixmap(str(path))
    if pixmap.isNull():
        label.setText(_("The picture cannot be read: {path}").format(path=path))
    else:
        label.setPixmap(pixmap)
    area = qt.QScrollArea(dialog)
    area.setWidget(label)
    layout.addWidget(area)
    buttons = qt.QDialogButtonBox(qt.QDialogButtonBox.Close, dialog)
    buttons.connect("rejected()", dialog.reject)
    layout.addWidget(buttons)
    size = label.sizeHint if not callable(label.sizeHint) else label.sizeHint()
    dialog.resize(size.width() + 2 * SCROLL_PIXELS, min(size.height() + 3 * SCROLL_PIXELS, SHOWN_PIXELS))
    dialog.exec_()
    dialog.deleteLater()
