"""The harness tests itself where the wheels of Slicer and Qt are installed."""

from __future__ import annotations

import importlib.util

import pytest
from slicer_desktop import a_slicer  # noqa: F401  a fixture

_WHEELS = all(importlib.util.find_spec(name) for name in ("slicer", "PySide6"))
collect_ignore_glob = [] if _WHEELS else ["test_desktop_*.py"]


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.parent.name == "desktop":
            item.add_marker(pytest.mark.slicer)
