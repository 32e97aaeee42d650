"""The panel in the harness: real MRML, views, keys and mouse clicks; an engine without a process."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest
from slicer_desktop import a_slicer  # noqa: F401  a fixture

TESTING = Path(__file__).resolve().parents[1]
sys.path += [str(TESTING / folder) for folder in ("mrml", "engine/model", "engine/worker")]  # builders, fakes

_CAN_RUN = "PythonQt" in sys.modules or all(importlib.util.find_spec(name) for name in ("slicer", "PySide6"))
collect_ignore_glob = [] if _CAN_RUN else ["test_panel_*.py"]


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.parent.name == "panel":
            item.add_marker(pytest.mark.slicer)


@pytest.fixture(autouse=True)
def _own_models(monkeypatch, tmp_path):
    """No model of the person who runs the tests, and no choice of theirs."""
    monkeypatch.setenv("SEGANYPET_HOME", str(tmp_path / "home"))


@pytest.fixture
def engines(monkeypatch):
    """Every engine the panel makes, instead of processes."""
    from panel_desk import PanelEngine

    import SegAnyPETLib.worker

    made = []

    def make(**wanted):
        made.append(PanelEngine(**wanted))
        return made[-1]

    monkeypatch.setattr(SegAnyPETLib.worker, "EngineClient", make)
    return made


@pytest.fixture
def a_desk(a_slicer, engines):  # noqa: F811
    """The module open on an oblique PET."""
    from panel_desk import PanelDesk

    return PanelDesk(a_slicer, engines)


@pytest.fixture
def a_batch(a_desk, tmp_path, monkeypatch):
    """The tab Batch with a quick run in place of the real one."""
    from batch_desk import BatchDesk

    return BatchDesk(a_desk, tmp_path, monkeypatch)


@pytest.fixture
def a_tuning(a_desk, tmp_path, monkeypatch):
    """The tab Fine-tune with quick commands in place of the real ones."""
    from finetune_desk import FineTuneDesk

    return FineTuneDesk(a_desk, tmp_path, monkeypatch)
