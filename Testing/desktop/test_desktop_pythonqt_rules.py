import pytest
from pythonqt_rules import offences_in, offences_under
from slicer_desktop import REPOSITORY


@pytest.mark.parametrize(
    "line",
    [
        "qt.QLabel('a', parent=self)",
        "label = qt.QPushButton(text='x')",
        "self.ui.addButton.setText(text='x')",
        "self.table.setItem(0, 0, item=x)",
        "layout.addWidget(button, stretch=1)",
        "box.itemAt(0).widget().setVisible(visible=True)",
        "slicer.qMRMLNodeComboBox(parent=None)",
        "slicer.app.layoutManager(x=1)",
        "ctk.ctkSliderWidget(parent=None)",
        "qt.QTimer.singleShot(0, slot=f)",
        "a = qt.Qt.AlignmentFlag.AlignLeft",
        "a = qt.QSizePolicy.Policy.Preferred",
        "from PySide6 import QtCore",
        "import PySide6.QtWidgets",
    ],
)
def test_what_pythonqt_refuses_is_found(line):
    assert [each.line for each in offences_in(f"x = 1\n{line}\n")] == [2]


@pytest.mark.parametrize(
    "line",
    [
        "qt.QLabel('a')",
        "slicer.util.errorDisplay('no', detailedText='why')",
        "slicer.packaging.pip_ensure(names, requester='SegAnyPET')",
        "self.editor.addPoint(ras, positive=True)",
        "'{a}'.format(a=1)",
        "self.ui = Namespace(a=1)",
        "super().__init__(engine=None)",
        "a = qt.Qt.AlignLeft | qt.QSizePolicy.Preferred",
        "a = qt.QEvent.KeyPress",
        "sorted(names, key=len)",
    ],
)
def test_what_pythonqt_allows_is_left_alone(line):
    assert offences_in(line) == []


def test_our_panels_hold_nothing_that_pythonqt_refuses():
    assert offences_under(REPOSITORY / "SegAnyPET") == {}
