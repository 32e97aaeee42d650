"""The models of one process: each loaded once, asked by one study at a time."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from SegAnyPETLib.errors import WeightsError

if TYPE_CHECKING:
    from SegAnyPETLib.batch.settings import BatchSettings
    from SegAnyPETLib.session.protocols import SegmentationModel


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A model that is ready to be asked.

    Attributes:
        model: Asked by one thread at a time, the one that holds `LoadedModels.in_use`.
        name: Of the registry, or of the weights file without its folder.
        weights_sha256: Of the weights file; empty for a model made in memory.
    """

    model: SegmentationModel
    name: str
    weights_sha256: str


class LoadedModels:
    """Loads each model once and keeps it.

    Attributes:
        in_use: Held while a study is segmented, so that one process computes for one study at a time while it reads
            the next and writes the last.
    """

    def __init__(self) -> None:
        self.in_use = threading.Lock()
        self._loading = threading.Lock()
        self._loaded: dict[tuple[str, ...], LoadedModel] = {}

    def get(self, settings: BatchSettings) -> LoadedModel:
        """The model that the settings name.

        Raises:
            ModelError: It cannot be used; see `load_model`.
            SetupError: Its engine is not installed.
        """
        wanted = (settings.model, settings.device, settings.engine, settings.precision)
        with self._loading:
            if wanted not in self._loaded:
                self._loaded[wanted] = _load(settings)
            return self._loaded[wanted]


def check_model_is_here(settings: BatchSettings) -> None:
    """Find out before a run, in a moment and without torch, whether its model can be loaded at all.

    Raises:
        ModelError: No model has that name.
        WeightsError: Its weights are absent; the message says how to get them.
    """
    from SegAnyPETLib.model import find_model
    from SegAnyPETLib.model.store import how_to_get

    if Path(settings.model).is_file():
        return
    installed = find_model(settings.model)
    if installed.origin == "absent":
        msg = f"Expected the weights of {settings.model}; found none. {how_to_get(installed)}"
        raise WeightsError(msg)


def _load(settings: BatchSettings) -> LoadedModel:
    from SegAnyPETLib.model import load_model
    from SegAnyPETLib.model.load import Engine, Precision
    from SegAnyPETLib.model.store import hash_file

    engine: Engine = "openvino" if settings.engine == "openvino" else "torch"
    precision: Precision = "bfloat16" if settings.precision == "bfloat16" else "float32"
    model = load_model(settings.model, device=settings.device, engine=engine, precision=precision)
    weights = hash_file(model.weights_path) if model.weights_path is not None else ""
    return LoadedModel(model, model.spec.name, weights)


MODELS = LoadedModels()  # of this process; a worker does many studies with it
