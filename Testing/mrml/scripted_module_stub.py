"""As much of Slicer's scripted module machinery as loading SegAnyPET.py and running its logic takes."""

from __future__ import annotations

import importlib.util
import sys
import types
import unittest
from pathlib import Path

MODULE_FILE = Path(__file__).resolve().parents[2] / "SegAnyPET" / "SegAnyPET.py"


class ScriptedLoadableModule:
    def __init__(self, parent):
        self.parent = parent


class ScriptedLoadableModuleWidget:
    def __init__(self, parent=None):
        self.parent = parent

    def setup(self):
        pass


class ScriptedLoadableModuleLogic:
    def __init__(self, parent=None):
        self.parent = parent


class ScriptedLoadableModuleTest(unittest.TestCase):
    pass


def load_module(monkeypatch):
    """SegAnyPET.py as a module, imported anew."""
    base = types.ModuleType("slicer.ScriptedLoadableModule")
    for each in (
        ScriptedLoadableModule,
        ScriptedLoadableModuleWidget,
        ScriptedLoadableModuleLogic,
        ScriptedLoadableModuleTest,
    ):
        setattr(base, each.__name__, each)
    texts = types.ModuleType("slicer.i18n")
    texts.tr = lambda text: text
    texts.translate = lambda _context, text: text
    monkeypatch.setitem(sys.modules, base.__name__, base)
    monkeypatch.setitem(sys.modules, texts.__name__, texts)
    spec = importlib.util.spec_from_file_location("SegAnyPET", MODULE_FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
