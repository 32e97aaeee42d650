"""The three measurements of `seganypet bench`; each runs in a process of its own, so that its peak memory is its own.

`python -m SegAnyPETLib.benchmark.measurements NAME --repeats N` prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from types import ModuleType
from typing import Any

from SegAnyPETLib.benchmark.literal import load_literal_encoder
from SegAnyPETLib.benchmark.machine import peak_memory_mb
from SegAnyPETLib.benchmark.scene import UntrainedModel, benchmark_image
from SegAnyPETLib.benchmark.timing import time_alternating, time_session
from SegAnyPETLib.errors import WeightsError
from SegAnyPETLib.model import load_model
from SegAnyPETLib.session import SegmentationModel

USUAL_SHAPE_KJI, USUAL_SPACING_MM = (220, 168, 168), 4.0  # a whole-body study at a common voxel size
LARGE_SHAPE_KJI, LARGE_SPACING_MM = (400, 400, 400), 2.0
LITERAL_REPEATS = 3  # each takes many seconds; more would change the median little


def measure_lite(repeats: int) -> dict[str, Any]:
    """The bundled network on a whole-body study of usual size."""
    model, weights = _lite_model()
    image = benchmark_image(USUAL_SHAPE_KJI, USUAL_SPACING_MM)
    return {
        "weights": weights,
        "image_shape_kji": USUAL_SHAPE_KJI,
        **_time_encoder(model, repeats),
        **_named(asdict(time_session(model, image, repeats=repeats))),
        "peak_memory_mb": peak_memory_mb(),
    }


def measure_whole_body(repeats: int) -> dict[str, Any]:
    """The bundled network on 400 x 400 x 400 voxels."""
    model, weights = _lite_model()
    image = benchmark_image(LARGE_SHAPE_KJI, LARGE_SPACING_MM)
    return {
        "weights": weights,
        "image_shape_kji": LARGE_SHAPE_KJI,
        **_named(asdict(time_session(model, image, repeats=repeats))),
        "peak_memory_mb": peak_memory_mb(),
    }


def measure_vit_b(repeats: int) -> dict[str, Any]:
    """The reference network with weights from a seed; its session, then its encoder beside the literal one."""
    model = UntrainedModel("seganypet")
    image = benchmark_image(USUAL_SHAPE_KJI, USUAL_SPACING_MM)
    measured = {
        "weights": "drawn from a seed (nothing is downloaded); speed does not depend on them",
        "image_shape_kji": USUAL_SHAPE_KJI,
        **_time_encoder(model, repeats),
        **_named(asdict(time_session(model, image, repeats=repeats))),
        "peak_memory_mb": peak_memory_mb(),
    }
    return measured | {"encoders": _compare_encoders(model, min(repeats, LITERAL_REPEATS))}


def _compare_encoders(model: UntrainedModel, repeats: int) -> dict[str, Any]:
    """Ours and the literal one, in turn and on one thread: two threads wait for each other on a busy machine."""
    import torch

    literal = load_literal_encoder()
    if literal is None:
        return {"absent": "Testing/oracles/literal_encoder.py is in a checkout of the source only"}
    volume = _random_volume(model)

    def encode_literally() -> Any:  # a torch tensor
        with torch.inference_mode():
            return _literal_embedding(literal, model, volume)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        ours, theirs = time_alternating([lambda: model.encode(volume), encode_literally], repeats=repeats)
    finally:
        torch.set_num_threads(threads)
    return {
        "ours_s": ours.wall,
        "ours_cpu_s": ours.cpu,
        "literal_s": theirs.wall,
        "literal_cpu_s": theirs.cpu,
        "largest_difference": (encode_literally() - model.encode(volume)).abs().max().item(),
    }


def _literal_embedding(literal: ModuleType, model: UntrainedModel, volume: Any) -> Any:  # torch tensors
    from SegAnyPETLib.model.image_encoder import EncoderConfig

    config, prefix = EncoderConfig(), "image_encoder."
    state = {
        name.removeprefix(prefix): value
        for name, value in model.network.state_dict().items()
        if name.startswith(prefix)
    }
    return literal.literal_encode(
        state, volume, heads=config.heads, window=config.window, global_blocks=config.global_blocks
    )


def _time_encoder(model: SegmentationModel, repeats: int) -> dict[str, float]:
    import torch

    volume = _random_volume(model)
    (encode,) = time_alternating([lambda: model.encode(volume)], repeats=repeats)
    return {"threads": torch.get_num_threads(), "encode_s": encode.wall}


def _random_volume(model: SegmentationModel) -> Any:  # a torch tensor
    import torch

    return torch.randn((1, 1, *model.spec.preprocessing.roi_shape), generator=torch.Generator().manual_seed(1))


def _lite_model() -> tuple[SegmentationModel, str]:
    try:
        return load_model("lite", device="cpu"), "bundled"
    except WeightsError:
        return UntrainedModel("lite"), "drawn from a seed: the bundled file is absent"


def _named(timing: dict[str, float]) -> dict[str, float]:
    return {f"{name}_s": seconds for name, seconds in timing.items()}


MEASUREMENTS: dict[str, Callable[[int], dict[str, Any]]] = {
    "lite": measure_lite,
    "whole_body_lite": measure_whole_body,
    "vit_b": measure_vit_b,
}


def main() -> None:
    """Run one measurement and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=tuple(MEASUREMENTS))
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    sys.stdout.write(json.dumps(MEASUREMENTS[options.name](options.repeats)) + "\n")


if __name__ == "__main__":
    main()
