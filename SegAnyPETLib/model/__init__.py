"""Networks, their registry and their weights: tensors in, tensors out. torch is loaded when a network is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from SegAnyPETLib.model.networks import build_network
    from SegAnyPETLib.model.spec import HubFile, ModelSpec, PreprocessingSpec, model_spec, registered_models

__all__ = [
    "HubFile",
    "ModelSpec",
    "PreprocessingSpec",
    "build_network",
    "model_spec",
    "registered_models",
]

_HOMES = {
    "HubFile": "spec",
    "ModelSpec": "spec",
    "PreprocessingSpec": "spec",
    "build_network": "networks",
    "model_spec": "spec",
    "registered_models": "spec",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
