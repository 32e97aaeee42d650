import sys

import pytest


@pytest.fixture
def qt(a_slicer):
    import qt

    return qt


def test_properties_are_values_and_cannot_be_called(qt):
    button = qt.QPushButton("Add")
    assert (button.text, button.enabled, button.checked) == ("Add", True, False)
    button.text = "Take away"
    button.enabled = False
    assert (button.text, button.isEnabled()) == ("Take away", False)
    with pytest.raises(TypeError, match="not callable"):
        button.text()


def test_a_property_refuses_what_it_cannot_hold(qt):
    label = qt.QLabel("a")
    with pytest.raises(ValueError, match="enabled"):
        label.enabled = object()
    with pytest.raises(AttributeError, match="not writable"):
        qt.QSpinBox().cleanText = "3"


def test_a_method_of_the_class_stays_a_method(a_slicer, qt):
    called = []
    qt.QTimer.singleShot(0, lambda: called.append(1))
    a_slicer.wait_until(lambda: called)


def test_a_slot_gets_the_arguments_of_the_signature_as_far_as_it_takes_them(qt):
    button, got = qt.QPushButton(), []
    button.checkable = True
    button.connect("clicked()", lambda: got.append("none"))
    button.connect("clicked(bool)", lambda: got.append("none taken"))
    button.connect("clicked(bool)", got.append)
    button.connect("clicked( bool )", lambda checked, more=5: got.append((checked, more)))
    button.click()
    assert got == ["none", "none taken", True, (True, 5)]


def test_a_slot_may_be_named_at_its_object(qt):
    button, box = qt.QPushButton(), qt.QCheckBox()
    button.connect("clicked()", box, "toggle()")
    button.click()
    assert box.checked


def test_disconnect_ends_what_connect_began(qt):
    button, got = qt.QPushButton(), []

    def slot():
        got.append(1)

    button.connect("clicked()", slot)
    assert button.disconnect("clicked()", slot)
    button.click()
    assert got == []
    assert not button.disconnect("clicked()", slot)


def test_an_unknown_signal_is_refused(qt):
    with pytest.raises(ValueError, match="no signal 'pushed"):
        qt.QPushButton().connect("pushed()", print)
    with pytest.raises(ValueError, match="no signature"):
        qt.QPushButton().connect("clicked", print)


def test_texts_of_a_combo_box_are_signalled_under_their_old_name(qt):
    box, got = qt.QComboBox(), []
    box.addItems(["a", "b"])
    box.connect("currentIndexChanged(QString)", got.append)
    box.connect("currentIndexChanged(int)", got.append)
    box.currentIndex = 1
    assert sorted(got, key=str) == [1, "b"]


def test_an_exception_in_a_slot_is_reported(a_slicer, qt):
    button = qt.QPushButton()
    button.connect("clicked()", lambda: 1 / 0)
    with a_slicer.expectedErrors() as errors:
        button.click()
    assert len(errors) == 1
    assert "ZeroDivisionError" in errors[0]


def test_an_exception_in_an_observer_is_reported(a_slicer):
    node = a_slicer.scene.AddNewNodeByClass("vtkMRMLTextNode")
    node.AddObserver("ModifiedEvent", lambda *_: {}["none"])
    with a_slicer.expectedErrors() as errors:
        node.SetName("other")
    assert any("KeyError" in error for error in errors)


def test_what_vtk_and_qt_complain_of_is_reported(a_slicer, qt):
    widget = qt.QWidget()
    qt.QVBoxLayout(widget)
    with a_slicer.expectedErrors() as errors:
        a_slicer.scene.AddNewNodeByClass("vtkMRMLNoSuchNode")
        qt.QHBoxLayout(widget)
    assert [error.split(":")[0] for error in errors] == ["VTK", "Qt"]
    assert "vtkMRMLNoSuchNode" in errors[0]
    assert "already has a layout" in errors[1]


def test_a_new_attribute_on_an_object_of_qt_is_noticed(a_slicer, qt):
    from qt_stand_in import stray_attributes

    label = qt.QLabel()
    label.textt = "a slip of the pen"
    assert stray_attributes() == ["QLabel.textt = 'a slip of the pen'"]
    del label.textt

    class Own(qt.QLabel):
        pass

    own = Own()
    own.free = 1  # a class of one's own may
    assert stray_attributes() == []


def test_all_that_a_user_would_have_to_report_ends_a_test_badly(a_slicer, qt):
    import slicer
    from slicer_desktop import complaints

    assert complaints(a_slicer) == []
    label, button = qt.QLabel(), qt.QPushButton()
    label.textt = "slip"
    button.connect("clicked()", lambda: {}["none"])
    button.click()
    slicer.util.confirmYesNoDisplay("Erase all?")
    a_slicer.dialogs.answer("left over")
    found = "\n".join(complaints(a_slicer))
    for part in ("KeyError", "Erase all?", "left over", "QLabel.textt"):
        assert part in found
    del label.textt
    a_slicer.reports.found.clear()
    a_slicer.dialogs.unanswered.clear()
    a_slicer.dialogs._answers.clear()


def test_settings_come_back_as_after_a_restart(qt):
    qt.QSettings().setValue("SegAnyPET/Rest", True)
    qt.QSettings().setValue("SegAnyPET/Seconds", 30)
    qt.QSettings().setValue("SegAnyPET/Folder", "a, b")
    settings = qt.QSettings()
    assert settings.value("SegAnyPET/Rest") == "true"
    assert settings.value("SegAnyPET/Seconds") == "30"
    assert settings.value("SegAnyPET/Folder") == "a, b"
    assert settings.value("SegAnyPET/Other", 7) == 7


def test_settings_of_another_test_are_not_seen(qt):
    assert not qt.QSettings().contains("SegAnyPET/Rest")


def test_dialogs_take_their_answers_in_order(a_slicer, qt):
    import slicer

    a_slicer.dialogs.answer("Yes", "Cancel", "/data/out", ["a.nii"], "Liver", "OK")
    assert slicer.util.confirmYesNoDisplay("Download the weights?")
    assert not slicer.util.confirmOkCancelDisplay("Go on?")
    assert qt.QFileDialog.getExistingDirectory(None, "Folder") == "/data/out"
    assert qt.QFileDialog.getOpenFileNames(None, "Files") == ["a.nii"]
    assert qt.QInputDialog.getText(None, "Name", "Name:") == "Liver"
    slicer.util.errorDisplay("It failed.", detailedText="Traceback")
    assert [each.text for each in a_slicer.dialogs.shown[:2]] == ["Download the weights?", "Go on?"]
    assert (a_slicer.dialogs.shown[-1].text, a_slicer.dialogs.shown[-1].details) == ("It failed.", "Traceback")


def test_a_dialog_without_an_answer_is_closed_and_noted(a_slicer):
    import slicer

    assert not slicer.util.confirmYesNoDisplay("Erase all?")
    assert [each.text for each in a_slicer.dialogs.unanswered] == ["Erase all?"]
    a_slicer.dialogs.unanswered.clear()


def test_a_menu_does_what_was_chosen_in_it(a_slicer, qt):
    menu, got = qt.QMenu(), []
    for text in ("&NIfTI", "Table"):
        menu.addAction(text).connect("triggered()", lambda text=text: got.append(text))
    a_slicer.dialogs.answer("NIfTI")
    menu.exec_(qt.QPoint())
    assert got == ["&NIfTI"]


def test_an_address_is_not_opened_but_noted(a_slicer, qt):
    qt.QDesktopServices.openUrl(qt.QUrl("https://example.org/help"))
    assert a_slicer.dialogs.opened == ["https://example.org/help"]


def test_qt_does_not_use_up_pythons_references_to_none(a_slicer):
    for _ in range(2000):
        a_slicer.app.sendPostedEvents(None, 52)
    assert sys.getrefcount(None) > 100_000
