"""The image encoder compiled by OpenVINO for the CPU, optionally in bfloat16, where an embedding is most of the time.

bfloat16 moves the embedding by 5e-2 (its standard deviation is 1): judge it by the Dice of the masks with the weights
in use, never by the logits.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from SegAnyPETLib.errors import DeviceError, ModelError, SetupError
from SegAnyPETLib.model.promptable_vit import PromptableViT
from SegAnyPETLib.model.spec import ModelSpec

_PRECISION_HINTS = {"float32": "f32", "bfloat16": "bf16"}


def compile_encoder(
    network: object, *, spec: ModelSpec, device: torch.device, precision: str
) -> Callable[[Tensor], Tensor]:
    """Compile the image encoder of a network; about ten seconds and three times the weights' memory while it runs.

    Args:
        network: A `PromptableViT` on the CPU.
        spec: Its description, for messages.
        device: The model's device; only the CPU is supported.
        precision: `float32` or `bfloat16`.

    Returns:
        A function from a volume (B, 1, D, H, W) to the embedding.

    Raises:
        SetupError: OpenVINO is not installed.
        ModelError: The architecture has no OpenVINO encoder.
        DeviceError: The device is not the CPU.
    """
    if not isinstance(network, PromptableViT):
        message = f"Expected architecture vit_b_ori for engine openvino, found {spec.architecture}. Use engine torch."
        raise ModelError(message)
    if device.type != "cpu":
        message = f"Expected device cpu for engine openvino, found {device}. Use engine torch on a GPU."
        raise DeviceError(message)
    graph, runtime = _convert(network)
    settings = {
        "INFERENCE_PRECISION_HINT": _PRECISION_HINTS[precision],
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
    }
    compiled = runtime.compile_model(graph, "CPU", settings)

    def encode(volume: Tensor) -> Tensor:
        network.image_encoder.require_shape(volume)
        parts = [torch.from_numpy(compiled(one.unsqueeze(0).numpy())[0].copy()) for one in volume]
        return torch.cat(parts)

    return encode


def _convert(network: PromptableViT) -> tuple[Any, Any]:  # OpenVINO ships no types
    """The encoder as an OpenVINO graph, and a runtime to compile it.

    The front end is called directly: `openvino.convert_model` would send usage statistics over the network.
    """
    try:
        import openvino
        from openvino.frontend import FrontEndManager
        from openvino.frontend.pytorch.fx_decoder import TorchFXPythonDecoder
    except ImportError as error:
        message = "Expected OpenVINO to be installed for engine openvino. Say: pip install 'seganypet[fast]'."
        raise SetupError(message) from error
    size = network.image_encoder.config.image_size
    with torch.no_grad(), _quiet():
        program = torch.export.export(network.image_encoder, (torch.zeros(1, 1, size, size, size),))
        frontend = FrontEndManager().load_by_framework("pytorch")
        # Named, because the front end does not keep its decoder alive (OpenVINO 2026.4).
        decoder = TorchFXPythonDecoder.from_exported_program(program)
        graph = frontend.convert(frontend.load(decoder))
    return graph, openvino.Core()


@contextmanager
def _quiet() -> Iterator[None]:
    """Without OpenVINO 2026.4's remarks on torch 2.13: two operators we do not use, and a deprecated class of torch."""

    def is_ours_to_hear(record: logging.LogRecord) -> bool:
        return "decomp table" not in record.getMessage()

    logging.getLogger().addFilter(is_ours_to_hear)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        logging.getLogger().removeFilter(is_ours_to_hear)
