"""The module `qt` as PythonQt shows it inside Slicer, made of PySide6.

PythonQt gives Python the properties of an object as values (`label.text`, not `label.text()`), connects with Qt's
signatures (`button.connect("clicked(bool)", f)`), and refuses new attributes on objects that Qt made. PySide6 does none
of that by itself, so its classes are changed here, once per process. What follows PythonQt: PythonQtInstanceWrapper.cpp
(attributes), PythonQtSignalReceiver.cpp (arguments of a slot), PythonQtClassInfo.cpp (properties come before slots).
"""

from __future__ import annotations

import builtins
import functools
import gc
import inspect
import re
import types
from collections.abc import Callable, Iterator

import shiboken6
from PySide6 import QtCore, QtGui, QtSvg, QtTest, QtWidgets

PARTS = (QtCore, QtGui, QtWidgets, QtSvg, QtTest)

# Signals of Qt 5 that a panel may name and that Qt 6 calls otherwise.
RENAMED = {
    "currentIndexChanged(QString)": "currentTextChanged(QString)",
    "activated(QString)": "textActivated(QString)",
    "buttonClicked(int)": "idClicked(int)",
}

_connections: dict[int, list[tuple[str, Callable, str, Callable]]] = {}
_being_read: set[tuple[int, str]] = set()
_attribute = QtCore.QObject.__getattribute__


class QtProperty:
    """A Qt property read and written as a value; asked from the class, what the class had under that name."""

    def __init__(self, name: str, *, writable: bool, original: object) -> None:
        self.name, self.writable, self.original = name, writable, original

    def __get__(self, instance, owner=None):
        if instance is None:
            return self if self.original is None else self.original
        asked = (id(instance), self.name)
        if asked in _being_read and self.original is not None:
            # Reading makes Qt call a virtual method (sizeHint), and PySide6 looks here whether Python overrides it.
            return self.original.__get__(instance, owner)
        _being_read.add(asked)
        try:
            return QtCore.QObject.property(instance, self.name)
        finally:
            _being_read.discard(asked)

    def __set__(self, instance, value) -> None:
        if not self.writable:
            msg = f"Property '{self.name}' of type '{type(instance).__name__}' is not writable"
            raise AttributeError(msg)
        if not QtCore.QObject.setProperty(instance, self.name, value):
            msg = f"Property '{self.name}' of '{type(instance).__name__}' does not accept {value!r}"
            raise ValueError(msg)


def qt_classes() -> Iterator[type]:
    """Every QObject class of the parts of Qt that stand behind `qt`."""
    for part in PARTS:
        for name in dir(part):  # not vars(): PySide6 makes most types when they are first asked for
            found = getattr(part, name)
            if isinstance(found, type) and issubclass(found, QtCore.QObject) and hasattr(found, "staticMetaObject"):
                yield found


def make_properties(cls: type) -> None:
    meta = cls.staticMetaObject
    for index in range(meta.propertyCount()):
        found = meta.property(index)
        name = found.name()
        if index >= meta.propertyOffset() or callable(cls.__dict__.get(name)):
            original = cls.__dict__.get(name)
            setattr(cls, name, QtProperty(name, writable=found.isWritable(), original=original))


def split_signature(signature: str) -> tuple[str, list[str]]:
    match = re.fullmatch(r"2?\s*(\w+)\s*\((.*)\)\s*", signature)
    if not match:
        msg = f"'{signature}' is no signature of a signal; write its arguments too, as in 'clicked(bool)'"
        raise ValueError(msg)
    return match[1], [part.strip() for part in match[2].split(",") if part.strip()]


def find_signal(sender: QtCore.QObject, signature: str) -> tuple[str, int]:
    """The signal's full signature and how many arguments were asked of it.

    Raises:
        ValueError: The sender has no such signal; PythonQt refuses it too.
    """
    name, types_ = split_signature(RENAMED.get(signature, signature))
    found = f"{name}({','.join(types_)})"
    for cls in type(sender).__mro__:
        found = cls.__dict__.get("_signals", {}).get(found, found)
    normal = QtCore.QMetaObject.normalizedSignature(found).data().decode()
    if sender.metaObject().indexOfSignal(normal) < 0:
        msg = f"{type(sender).__name__} has no signal '{signature}'"
        raise ValueError(msg)
    return QtCore.SIGNAL(normal), len(types_)


def arguments_taken(slot: Callable) -> int | None:
    """How many arguments a function or method takes at most; None where PythonQt passes all that the signal has."""
    function = slot.__func__ if inspect.ismethod(slot) else slot
    if not inspect.isfunction(function) or function.__code__.co_flags & inspect.CO_VARARGS:
        return None
    return function.__code__.co_argcount - inspect.ismethod(slot)


def as_slot(slot: Callable, count: int) -> Callable:
    taken = arguments_taken(slot)
    count = count if taken is None else min(count, taken)

    def call(*arguments) -> None:
        slot(*arguments[:count])

    return call


def _receiver(slot, member) -> Callable:
    """`connect(signal, object, "slot(arguments)")` is as good as `connect(signal, object.slot)`."""
    return slot if member is None else getattr(slot, split_signature(member)[0])


def _forget(pointer: int, *_arguments) -> None:
    _connections.pop(pointer, None)


def _connect(sender, signature: str, slot, member=None) -> bool:
    if isinstance(signature, QtCore.QObject):  # PySide6's own QTimer.singleShot comes here
        return bool(QtCore.QObject.connect(signature, slot, member))
    slot = _receiver(slot, member)
    if not callable(slot):
        msg = f"{slot!r} cannot be called"
        raise TypeError(msg)
    signal, count = find_signal(sender, signature)
    made = as_slot(slot, count)
    QtCore.QObject.connect(sender, signal, made)
    pointer = shiboken6.getCppPointer(sender)[0]
    if pointer not in _connections:
        _connections[pointer] = []
        _attribute(sender, "destroyed").connect(functools.partial(_forget, pointer))
    _connections[pointer].append((signature.replace(" ", ""), slot, signal, made))
    return True


def _disconnect(sender, signature: str, slot=None, member=None) -> bool:
    kept, found = [], False
    slot = None if slot is None else _receiver(slot, member)
    for known in _connections.get(shiboken6.getCppPointer(sender)[0], []):
        if known[0] == signature.replace(" ", "") and (slot is None or known[1] == slot):
            QtCore.QObject.disconnect(sender, known[2], known[3])
            found = True
        else:
            kept.append(known)
    if found:
        _connections[shiboken6.getCppPointer(sender)[0]] = kept
    return found


def disconnect_receiver(sender, receiver) -> None:
    """Take all methods of an object that goes away from the signals of one that stays."""
    for signature, slot, *_rest in list(_connections.get(shiboken6.getCppPointer(sender)[0], [])):
        if getattr(slot, "__self__", None) is receiver:
            _disconnect(sender, signature, slot)


def _get_attribute(self, name: str):
    # PySide6 answers these two before it looks at the class; they cannot be set as methods.
    if name == "connect":
        return functools.partial(_connect, self)
    if name == "disconnect":
        return functools.partial(_disconnect, self)
    return _attribute(self, name)


class QSettings(QtCore.QSettings):
    """Settings that give back what they would after a restart: text.

    Slicer keeps them in an INI file. Within one process Qt returns the type that was written, after a restart the text
    `true`; a panel must live with the latter, so the tests know no other.
    """

    def setValue(self, key, value) -> None:
        super().setValue(key, _as_written(value))

    def value(self, key, default=None):
        return super().value(key, default)


def _as_written(value):
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list | tuple):
        values = [_as_written(each) for each in value]
        return values if len(values) > 1 else "".join(values)
    return value


@functools.cache
def qt_module() -> types.ModuleType:
    """The module to be imported as `qt`: everything of Qt in one flat namespace."""
    for cls in qt_classes():
        make_properties(cls)
    # PySide6 reads the source of every module imported after it, for a feature not used here; torch has thousands.
    builtins.__import__ = getattr(builtins, "__orig_import__", builtins.__import__)
    QtCore.QObject.__getattribute__ = _get_attribute
    QtCore.QObject.name = QtProperty("objectName", writable=True, original=None)
    QtCore.QObject.className = lambda self: self.metaObject().className()
    QtCore.QObject.delete = shiboken6.delete
    module = types.ModuleType("qt", __doc__)
    for part in PARTS:
        for name in dir(part):
            if not name.startswith("_"):
                setattr(module, name, getattr(part, name))
    module.QSettings = QSettings
    return module


@functools.cache
def is_made_by_qt(cls: type) -> bool:
    """Whether this is a class of Qt or a stand-in for one; a class of the panel's own may have what it likes."""
    return issubclass(cls, QtCore.QObject) and (cls.__module__.startswith("PySide6.") or "_standsFor" in vars(cls))


def stray_attributes() -> list[str]:
    """Attributes set on objects that Qt made, or on our stand-ins; PythonQt would have raised AttributeError."""
    stray = []
    for each in gc.get_objects():
        cls = type(each)  # not isinstance(): that would ask each object, and some answer with a warning
        if not is_made_by_qt(cls) or not shiboken6.isValid(each):
            continue
        stands_in = "_standsFor" in vars(cls)
        for name, value in vars(each).items():
            if not isinstance(value, QtCore.SignalInstance) and not (stands_in and name.startswith("_")):
                stray.append(f"{cls.__name__}.{name} = {value!r}"[:200])
    return stray
