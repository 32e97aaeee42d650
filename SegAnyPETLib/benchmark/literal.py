"""The published encoder computed literally, which a checkout keeps as the oracle of its tests."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

ORACLE = Path(__file__).resolve().parents[2] / "Testing" / "oracles" / "literal_encoder.py"


def load_literal_encoder(path: Path = ORACLE) -> ModuleType | None:
    """The oracle's module; None where the library was installed without its tests."""
    if not path.is_file():
        return None
    spec = importlib.util.spec_from_file_location("literal_encoder", path)
    if spec is None or spec.loader is None:
        return None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
