"""Networks, their registry and their weights: tensors in, tensors out. torch is loaded when a network is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from SegAnyPETLib.model.checkpoint import Checkpoint, load_checkpoint, read_checkpoint
    from SegAnyPETLib.model.download import download_model
    from SegAnyPETLib.model.load import Model, load_model
    from SegAnyPETLib.model.networks import build_network
    from SegAnyPETLib.model.site_file import export_model, import_model
    from SegAnyPETLib.model.site_models import default_model, is_site_model, set_default_model
    from SegAnyPETLib.model.spec import HubFile, ModelSpec, PreprocessingSpec, model_spec, registered_models
    from SegAnyPETLib.model.store import (
        DownloadRecord,
        InstalledModel,
        find_model,
        list_models,
        models_folder,
        remove_model,
        verify_model,
    )

_HOMES = {
    "Checkpoint": "checkpoint",
    "DownloadRecord": "store",
    "HubFile": "spec",
    "InstalledModel": "store",
    "Model": "load",
    "ModelSpec": "spec",
    "PreprocessingSpec": "spec",
    "build_network": "networks",
    "default_model": "site_models",
    "download_model": "download",
    "export_model": "site_file",
    "find_model": "store",
    "import_model": "site_file",
    "is_site_model": "site_models",
    "list_models": "store",
    "load_checkpoint": "checkpoint",
    "load_model": "load",
    "model_spec": "spec",
    "models_folder": "store",
    "read_checkpoint": "checkpoint",
    "registered_models": "spec",
    "remove_model": "store",
    "set_default_model": "site_models",
    "verify_model": "store",
}

__all__ = [
    "Checkpoint",
    "DownloadRecord",
    "HubFile",
    "InstalledModel",
    "Model",
    "ModelSpec",
    "PreprocessingSpec",
    "build_network",
    "default_model",
    "download_model",
    "export_model",
    "find_model",
    "import_model",
    "is_site_model",
    "list_models",
    "load_checkpoint",
    "load_model",
    "model_spec",
    "models_folder",
    "read_checkpoint",
    "registered_models",
    "remove_model",
    "set_default_model",
    "verify_model",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
