"""Fine-tuning on a site's own cases, careful and careless labels together (cross prompting confident learning).

The names load on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from SegAnyPETLib.finetune.config import CPCLConfig, FineTuneConfig

_HOMES = {
    "CPCLConfig": "config",
    "FineTuneConfig": "config",
}

__all__ = [
    "CPCLConfig",
    "FineTuneConfig",
]


def __getattr__(name: str) -> Any:  # a module attribute may be anything
    if name not in _HOMES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
