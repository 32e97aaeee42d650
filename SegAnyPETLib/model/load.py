"""From a name or a path to a model that is ready to be asked."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from SegAnyPETLib.errors import DeviceError, ModelError, SegAnyPETWarning, WeightsError
from SegAnyPETLib.model.checkpoint import load_checkpoint, read_checkpoint
from SegAnyPETLib.model.device import is_out_of_memory, move, resolve_device
from SegAnyPETLib.model.site_file import is_site_file, load_site_model, site_network, spec_of_site_file
from SegAnyPETLib.model.site_models import DEFAULT_WORD, default_model, is_site_model
from SegAnyPETLib.model.spec import ModelSpec, architecture_preprocessing, registered_models
from SegAnyPETLib.model.store import check_hash, find_model, how_to_get, list_models

Engine = Literal["torch", "openvino"]
Precision = Literal["float32", "bfloat16"]
Answer = TypeVar("Answer")

# Of `lite` on one AMD EPYC core a call for two costs 0.93 of two calls for one each, and more bring nothing. On a GPU
# it is a start: it is halved where memory does not suffice.
CPU_BATCH = 2
GPU_BATCH = 16


class Model:
    """A network with its weights on a device; tensors in, tensors out, without gradients, deterministic.

    If the device's memory is used up, the model moves to the CPU once, says so by a `SegAnyPETWarning`, and stays
    there. One model may serve several sessions, but one call at a time.

    Attributes:
        spec: What is known about the model.
        network: The network; do not train it while sessions use it.
        batch_size: How many regions or sets of prompts are best given in one call; lowered where memory fails.
        precision: `float32`, or `bfloat16` for the layers that allow it; answers are float32 in either case.
        weights_path: The file its weights were read from, None for a network made in memory.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        spec: ModelSpec,
        device: torch.device,
        precision: Precision = "float32",
        weights_path: Path | None = None,
    ) -> None:
        self.spec = spec
        self.precision = precision
        self.weights_path = weights_path
        self._device = device
        self._encoder: Callable[[Tensor], Any] | None = None
        self._asks_for_less = False
        self.batch_size = CPU_BATCH if device.type == "cpu" else GPU_BATCH
        self.network: Any = network.eval()  # nn.Module knows nothing of encode and decode
        self._or_on_the_cpu(self.network.to)

    @property
    def device(self) -> torch.device:
        """Where the network is now; after running out of memory, the CPU."""
        return self._device

    @contextmanager
    def batching(self) -> Iterator[None]:
        """For calls that give several regions or sets of prompts at once and can be made with fewer.

        Where memory does not suffice for one, it raises `DeviceError`; the model stays where it is.
        """
        self._asks_for_less = True
        try:
            yield
        finally:
            self._asks_for_less = False

    def use_encoder(self, encoder: Callable[[Tensor], Any]) -> None:
        """Let something faster than the network's own `encode` make the embeddings.

        Args:
            encoder: Maps a volume (B, 1, D, H, W) on the CPU to the embedding `decode` takes.
        """
        self._encoder = encoder

    def encode(self, volume: Tensor | NDArray[np.floating]) -> Any:
        """Embed a volume.

        Args:
            volume: (B, 1, D, H, W) with the sizes of `spec.preprocessing.roi_shape`, normalized as it says. It is
                converted to float32 and not changed.

        Returns:
            The embedding, on the model's device; only `decode` looks inside.

        Raises:
            GeometryError: The volume has another shape.
            DeviceError: The memory is used up, also on the CPU.
        """
        tensor = _to_float(volume)
        if self._encoder is not None:
            return move(self._encoder(tensor.cpu()), self._device)

        def ask(device: torch.device) -> Any:
            with self._inference(device):
                return self.network.encode(tensor.to(device))

        return self._or_on_the_cpu(ask)

    def decode(
        self, embedding: Any, *, points: tuple[Any, Any] | None = None, mask_logits: Any = None
    ) -> tuple[Tensor, Tensor]:
        """Predict masks for P sets of prompts.

        Args:
            embedding: What `encode` returned.
            points: Coordinates (P, N, 3) in voxels along the tensor's D, H, W axes and labels (P, N): 1 positive,
                0 negative, -1 ignored; arrays or tensors.
            mask_logits: Logits of an earlier mask, (P, 1, d, h, w) with the sizes of `spec.preprocessing.mask_shape`;
                array or tensor.

        Returns:
            Logits (P, C, d, h, w), channel 0 the single mask, and predicted quality (P, C), float32 on the CPU.

        Raises:
            PromptError: The prompts have another shape.
            DeviceError: The memory is used up, also on the CPU.
        """
        if points is not None:
            coordinates, labels = points
            points = _to_float(coordinates), _to_float(labels)
        if mask_logits is not None:
            mask_logits = _to_float(mask_logits)

        def ask(device: torch.device) -> tuple[Tensor, Tensor]:
            with self._inference(device):
                logits, quality = self.network.decode(
                    move(embedding, device), points=move(points, device), mask_logits=move(mask_logits, device)
                )
                return logits.float().cpu(), quality.float().cpu()

        return self._or_on_the_cpu(ask)

    def _or_on_the_cpu(self, ask: Callable[[torch.device], Answer]) -> Answer:
        try:
            return ask(self._device)
        except (RuntimeError, MemoryError) as error:  # torch's out-of-memory error is a RuntimeError
            if not is_out_of_memory(error):
                raise
            reason = (str(error) or "out of memory").splitlines()[0]
            if self._device.type == "cpu" or self._asks_for_less:
                message = (
                    f"Expected enough memory for {self.spec.name}, found: {reason}. "
                    "Close other programs, or use a smaller model."
                )
                raise DeviceError(message) from error
        # Outside of the handler, which would keep the failed call's tensors alive.
        self._fall_back_to_cpu(reason)
        return self._or_on_the_cpu(ask)

    def _fall_back_to_cpu(self, reason: str) -> None:
        warnings.warn(
            f"The memory of {self._device} is used up ({reason}); {self.spec.name} goes on, slower, on the CPU.",
            SegAnyPETWarning,
            stacklevel=4,
        )
        self._device = torch.device("cpu")
        self.batch_size = CPU_BATCH
        self.network = self.network.to(self._device)
        torch.cuda.empty_cache()

    @contextmanager
    def _inference(self, device: torch.device) -> Iterator[None]:
        """No gradients; on a GPU the same algorithm and full float32 every time: equal clicks give equal masks."""
        with (
            torch.inference_mode(),
            torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False),
            nullcontext() if self.precision == "float32" else torch.autocast(device.type, dtype=torch.bfloat16),
        ):
            yield


def load_model(
    name_or_path: str | Path,
    *,
    device: str = "auto",
    architecture: str | None = None,
    engine: Engine = "torch",
    precision: Precision = "float32",
    models_folder: Path | None = None,
) -> Model:
    """Load a registered model whose weights are here, or weights from a file. Nothing is ever downloaded.

    Args:
        name_or_path: A name out of `registered_models()` or of a site model, `default` for the one that
            `set_default_model` chose, or the path of a `.safetensors` or `.pth` file.
        device: `auto`, `cpu`, `cuda`, `cuda:1` or `mps`.
        architecture: Architecture of a file's weights, when it cannot be recognized.
        engine: What computes the embedding: torch, or OpenVINO on an Intel or AMD CPU.
        precision: `bfloat16` is faster on some processors and less exact; whether it does is measured by
            `seganypet bench`, whether it matters by the Dice of `seganypet evaluate`, not by the logits.
        models_folder: Where downloaded weights are; the user's own folder when not given.

    Raises:
        ModelError: No model has that name, or there is no such engine or precision, or not for this architecture.
        WeightsError: The weights are absent, damaged or of another network; the message says how to get them.
        DeviceError: There is no such device.
        SetupError: The engine is not installed.
    """
    if engine not in ("torch", "openvino") or precision not in ("float32", "bfloat16"):
        message = f"Expected engine torch or openvino and precision float32 or bfloat16, found {engine}, {precision}."
        raise ModelError(message)
    chosen = resolve_device("cpu" if engine == "openvino" and device == "auto" else device)
    network, spec, path = _load(str(name_or_path), architecture=architecture, models_folder=models_folder)
    model = Model(
        network,
        spec=spec,
        device=chosen,
        precision=precision if engine == "torch" else "float32",
        weights_path=path,
    )
    if engine == "openvino":
        from SegAnyPETLib.model.openvino_encoder import compile_encoder

        model.use_encoder(compile_encoder(model.network, spec=model.spec, device=chosen, precision=precision))
    return model


def _load(
    name_or_path: str, *, architecture: str | None, models_folder: Path | None
) -> tuple[nn.Module, ModelSpec, Path]:
    if name_or_path == DEFAULT_WORD:
        name_or_path = default_model(folder=models_folder)
    if is_site_model(name_or_path, folder=models_folder):
        network, installed = load_site_model(name_or_path, folder=models_folder)
        return network, installed.spec, installed.path
    if any(spec.name == name_or_path for spec in registered_models()):
        installed = find_model(name_or_path, folder=models_folder)
        if installed.origin == "absent":
            message = f"Expected the weights of {name_or_path} at {installed.path}, found nothing. "
            raise WeightsError(message + how_to_get(installed))
        check_hash(installed)
        network = load_checkpoint(installed.path, architecture=installed.spec.architecture)
        return network, installed.spec, installed.path
    path = Path(name_or_path)
    if not path.is_file() and not path.suffix:
        known = ", ".join(one.spec.name for one in list_models(folder=models_folder))
        message = f"Expected a model ({known}) or the path of a weights file, found {name_or_path!r}."
        raise ModelError(message)
    checkpoint = read_checkpoint(path)
    if is_site_file(checkpoint):
        network, about = site_network(path, folder=models_folder)
        return network, spec_of_site_file(path, about), path
    architecture = architecture or checkpoint.architecture
    spec = ModelSpec(
        name=path.stem,
        title=f"Weights from {path.name}",
        architecture=architecture,
        preprocessing=checkpoint.preprocessing or architecture_preprocessing(architecture),
        licence=checkpoint.metadata.get("licence", "Not stated in the file"),
        training_data=checkpoint.metadata.get("training_data", "Not stated in the file"),
    )
    return load_checkpoint(checkpoint, architecture=architecture), spec, path


def _to_float(values: Any) -> Tensor:  # an array, a tensor or nested lists
    if isinstance(values, Tensor):
        return values.to(torch.float32)
    return torch.from_numpy(np.array(values, dtype=np.float32))  # a copy: torch refuses read-only and flipped arrays
