"""The engine beside the application: predictions are made in one child process, over pipes and shared memory.

`EngineClient` is what a graphical application uses; its calls return at once and its answers are fetched with `poll`.
`serve` is the other side, run by ``python -m SegAnyPETLib.worker``. No port is opened; the volume lies in shared
memory, everything else goes through the child's standard input and output (see `frames`).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from SegAnyPETLib.worker.client import EngineClient
    from SegAnyPETLib.worker.events import (
        EngineDied,
        EngineReady,
        Event,
        LesionPredicted,
        PredictionRefused,
        Prepared,
        UncertaintyReady,
    )
    from SegAnyPETLib.worker.serving import serve

# The child must take over its standard output before anything heavy is imported, so nothing is imported here.
_HOMES = {
    "EngineClient": "client",
    "EngineDied": "events",
    "EngineReady": "events",
    "Event": "events",
    "LesionPredicted": "events",
    "PredictionRefused": "events",
    "Prepared": "events",
    "UncertaintyReady": "events",
    "serve": "serving",
}

__all__ = [
    "EngineClient",
    "EngineDied",
    "EngineReady",
    "Event",
    "LesionPredicted",
    "PredictionRefused",
    "Prepared",
    "UncertaintyReady",
    "serve",
]


def __getattr__(name: str) -> Any:  # a module attribute may be anything
    if name not in _HOMES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
