"""What PythonQt refuses and PySide6 allows, found in the source: a panel must not pass here and fail on the desktop.

Keyword arguments: PythonQtSlot.cpp and the constructors in PythonQtClassWrapper.cpp take none for Qt's methods.
"""

from __future__ import annotations

import ast
import enum
import functools
import inspect
import logging
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

import qt_stand_in
from PySide6 import QtCore

QT_MODULES = {"qt", "ctk"}
# Their methods may have the name of one of Qt's and do take keywords.
PYTHON_CLASSES = (str, bytes, list, dict, set, Path, subprocess.Popen, logging.Logger, threading.Thread)


@dataclass(frozen=True)
class Offence:
    """A line PythonQt would not run."""

    line: int
    text: str


@functools.cache
def qt_method_names() -> frozenset[str]:
    """Names of methods of Qt's classes that nothing else is likely to have."""
    names: set[str] = set()
    for part in qt_stand_in.PARTS:
        for cls in filter(inspect.isclass, (getattr(part, name) for name in dir(part))):
            names |= {name for name in dir(cls) if not name.startswith("_")}
    for cls in (*PYTHON_CLASSES, enum.IntFlag):
        names -= set(dir(cls))
    return frozenset(names)


def chain_of(node: ast.expr) -> list[str]:
    """`self.ui.addButton.setText` as its names; anything that is no name is `()`."""
    names = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    names.append(node.id if isinstance(node, ast.Name) else "()")
    return names[::-1]


def is_qt_call(node: ast.Call) -> bool:
    names = chain_of(node.func)
    if names[0] in QT_MODULES:
        return True
    if names[0] == "slicer" and len(names) > 1:
        # qMRML and qSlicer widgets and what the application gives out; slicer.util and slicer.packaging are Python.
        return names[1].startswith(("qMRML", "qSlicer")) or names[1] == "app"
    if len(names) == 1:
        return False
    return names[-1] in qt_method_names() or "ui" in names[:-1]


def scoped_enum(node: ast.Attribute) -> bool:
    """`qt.Qt.AlignmentFlag.AlignLeft`: Qt 6's way; PythonQt knows `qt.Qt.AlignLeft` only."""
    names = chain_of(node)
    if len(names) != 4 or names[0] != "qt":
        return False
    found = qt_stand_in.qt_module()
    for name in names[1:3]:
        found = getattr(found, name, None)
    return isinstance(found, type) and not issubclass(found, QtCore.QObject)


def offences_in(source: str) -> list[Offence]:
    """Every offence in a source text, in the order of lines."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and node.keywords and is_qt_call(node):
            found.append(Offence(node.lineno, f"keyword argument for {ast.unparse(node.func)}, which PythonQt refuses"))
        elif isinstance(node, ast.Attribute) and scoped_enum(node):
            found.append(Offence(node.lineno, f"{ast.unparse(node)} is Qt 6 only; leave out the enum's name"))
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
            if any(name.split(".")[0] in {"PySide6", "PyQt5", "PyQt6", "shiboken6"} for name in names):
                found.append(Offence(node.lineno, "Slicer has neither PySide nor PyQt; import qt"))
    return sorted(found, key=lambda each: each.line)


def offences_under(folder: Path) -> dict[str, list[Offence]]:
    """The offences of every file below a folder."""
    files = sorted(folder.rglob("*.py"))
    found = {str(path.relative_to(folder)): offences_in(path.read_text(encoding="utf-8")) for path in files}
    return {path: offences for path, offences in found.items() if offences}
