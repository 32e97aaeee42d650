"""Modal dialogs that do not wait for a person: each is recorded and closed with an answer that the test has given.

A dialog for which no answer was given is closed as with Escape and makes the test fail.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

from PySide6 import QtGui, QtWidgets

MESSAGE_KINDS = ("information", "question", "warning", "critical")
FILE_KINDS = ("getOpenFileName", "getOpenFileNames", "getSaveFileName", "getExistingDirectory")
INPUT_KINDS = ("getText", "getItem", "getInt", "getDouble", "getMultiLineText")


@dataclass(frozen=True)
class ShownDialog:
    """What a person would have seen."""

    kind: str
    title: str = ""
    text: str = ""
    details: str = ""
    dialog: Any = None


class Dialogs:
    """The recorder; `answer` before the dialog comes, `shown` after it."""

    def __init__(self) -> None:
        self.shown: list[ShownDialog] = []
        self.unanswered: list[ShownDialog] = []
        self.opened: list[str] = []  # what was handed to the desktop to open: documents, addresses
        self._answers: deque = deque()

    def answer(self, *answers) -> None:
        """Answers for the next dialogs, in their order.

        For a message box or menu the text of the button or action ("Yes", "OK"); for a file dialog a path, a list of
        paths or "" (cancelled); for an input dialog the value; for any other "accept" or "reject". A function is called
        with the dialog and returns such an answer.
        """
        self._answers.extend(answers)

    def unused(self) -> list:
        """Answers for dialogs that never came."""
        return list(self._answers)

    def take(self, shown: ShownDialog, fallback):
        self.shown.append(shown)
        if not self._answers:
            self.unanswered.append(shown)
            return fallback
        answer = self._answers.popleft()
        return answer(shown.dialog) if callable(answer) else answer

    def install(self, monkeypatch) -> None:
        """Take the place of everything in Qt that waits for a person."""
        for name in ("exec", "exec_"):
            monkeypatch.setattr(QtWidgets.QDialog, name, self._run_dialog_of, raising=False)
            monkeypatch.setattr(QtWidgets.QMenu, name, self._run_menu_of, raising=False)
        for kind in MESSAGE_KINDS:
            monkeypatch.setattr(QtWidgets.QMessageBox, kind, staticmethod(self._message_of(kind)))
        for kind in FILE_KINDS:
            monkeypatch.setattr(QtWidgets.QFileDialog, kind, staticmethod(self._file_of(kind)))
        for kind in INPUT_KINDS:
            monkeypatch.setattr(QtWidgets.QInputDialog, kind, staticmethod(self._input_of(kind)))
        monkeypatch.setattr(QtGui.QDesktopServices, "openUrl", staticmethod(self._open))
        monkeypatch.setattr(QtWidgets.QColorDialog, "getColor", staticmethod(self._color))

    @property
    def _run_dialog_of(self):
        return lambda dialog, *_: self._run_dialog(dialog)

    @property
    def _run_menu_of(self):
        return lambda menu, *_: self._run_menu(menu)

    def _run_dialog(self, dialog):
        if isinstance(dialog, QtWidgets.QMessageBox):
            return self._run_message_box(dialog)
        shown = ShownDialog(dialog.className(), title=dialog.windowTitle, text=_texts_in(dialog), dialog=dialog)
        answer = self.take(shown, "reject")
        dialog.done(_result_code(answer))
        return _result_code(answer)

    def _run_message_box(self, box):
        shown = ShownDialog("QMessageBox", box.windowTitle, f"{box.text}\n{box.informativeText}".strip(),
                            box.detailedText, box)  # fmt: skip
        answer = self.take(shown, None)
        button = _button_of(box, answer)
        if button is None:
            box.done(0)
            return QtWidgets.QMessageBox.Cancel
        button.click()
        return box.standardButton(button)

    def _run_menu(self, menu):
        names = [action.text.replace("&", "") for action in menu.actions()]
        answer = self.take(ShownDialog("QMenu", menu.title, "\n".join(names), dialog=menu), None)
        if answer is None:
            return None
        action = menu.actions()[names.index(answer)]
        action.trigger()
        return action

    def _message_of(self, kind):
        def show(_parent, title, text, buttons=QtWidgets.QMessageBox.Ok, *_):
            answer = self.take(ShownDialog(kind, title, text), "Cancel")
            chosen = getattr(QtWidgets.QMessageBox, "Ok" if answer == "OK" else answer)
            if not chosen & buttons and answer != "Cancel":
                msg = f"the message '{text}' has no button '{answer}'"
                raise AssertionError(msg)
            return chosen

        return show

    def _file_of(self, kind):
        def ask(_parent=None, caption="", folder="", types="", *_):
            empty = [] if kind.endswith("Names") else ""
            # PythonQt returns the path alone, PySide6 would add the chosen type of file.
            return self.take(ShownDialog(kind, caption, types, str(folder)), empty)

        return ask

    def _input_of(self, kind):
        return lambda _parent, title, label, *_: self.take(ShownDialog(kind, title, label), None)

    def _open(self, url):
        self.opened.append(url.toString())
        return True

    def _color(self, initial=None, *_):
        return self.take(ShownDialog("getColor"), initial)


def _texts_in(dialog) -> str:
    return "\n".join(label.text for label in dialog.findChildren(QtWidgets.QLabel))


def _result_code(answer) -> int:
    if isinstance(answer, int):
        return answer
    return {"accept": 1, "OK": 1, "reject": 0, "Cancel": 0}[answer]


def _button_of(box, answer):
    if answer is None:
        return None
    names = {button.text.replace("&", ""): button for button in box.buttons()}
    if answer not in names:
        msg = f"the message '{box.text}' has the buttons {sorted(names)}, not '{answer}'"
        raise AssertionError(msg)
    return names[answer]
