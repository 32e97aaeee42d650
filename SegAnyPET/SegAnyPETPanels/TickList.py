"""A question of which of several things are meant."""

import qt


def chooseTicked(parent, names, *, title, question):
    """Let the person tick lines of a list; all are ticked at first.

    Args:
        parent: Widget above which it is asked.
        names: One line each.
        title: Of the window.
        question: Above the list.

    Returns:
        Numbers of the ticked lines; none where the person cancelled.
    """
    dialog = qt.QDialog(parent)
    dialog.setWindowTitle(title)
    layout = qt.QVBoxLayout(dialog)
    layout.addWidget(qt.QLabel(question, dialog))
    listed = qt.QListWidget(dialog)
    listed.setObjectName("tickList")
    for name in names:
        item = qt.QListWidgetItem(name)
        item.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsUserCheckable)
        item.setCheckState(qt.Qt.Checked)
        listed.addItem(item)
    layout.addWidget(listed)
    buttons = qt.QDialogButtonBox(qt.QDialogButtonBox.Ok | qt.QDialogButtonBox.Cancel, dialog)
    buttons.connect("accepted()", dialog.accept)
    buttons.connect("rejected()", dialog.reject)
    layout.addWidget(buttons)
    dialog.resize(480, 360)
    isAccepted = bool(dialog.exec_())
    ticked = [n for n in range(len(names)) if listed.item(n).checkState() == qt.Qt.Checked]
    dialog.deleteLater()
    return ticked if isAccepted else []
