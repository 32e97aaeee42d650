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
from SegAnyPETLib.benchmark.timing import median_seconds, time_session
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
        "encode_s": _time_encoder(model, repeats),
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
    """The reference network with weights from a seed; first the session, then its encoder computed literally."""
    model = UntrainedModel("seganypet")
    image = benchmark_image(USUAL_SHAPE_KJI, USUAL_SPACING_MM)
    measured = {
        "weights": "drawn from a seed (nothing is downloaded); speed does not depend on them",
        "image_shape_kji": USUAL_SHAPE_KJI,
        "encode_s": _time_encoder(model, repeats),
        **_named(asdict(time_session(model, image, repeats=repeats))),
        "peak_memory_mb": peak_memory_mb(),
    }
    return measured | _measure_literal(model, min(repeats, LITERAL_REPEATS))


def _measure_literal(model: UntrainedModel, repeats: int) -> dict[str, Any]:
    literal = load_literal_encoder()
    if literal is None:
        reason = "Testing/oracles/literal_encoder.py is in a checkout of the source only"
        return {"literal_encode_s": None, "literal_absent": reason}
    import torch

    volume = torch.randn((1, 1, *model.spec.preprocessing.roi_shape), generator=torch.Generator().manual_seed(1))

    def encode_literally() -> Any:  # a torch tensor
        with torch.inference_mode():
            return _literal_embedding(literal, model, volume)

    difference = (encode_literally() - model.encode(volume)).abs().max().item()
    return {
        "literal_encode_s": median_seconds(encode_literally, repeats=repeats, warm_up=False),
        "literal_largest_difference": difference,
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


def _time_encoder(model: SegmentationModel, repeats: int) -> float:
    import torch

    preprocessing = model.spec.preprocessing
    volume = torch.randn((1, 1, *preprocessing.roi_shape), generator=torch.Generator().manual_seed(1))
    return median_seconds(lambda: model.encode(volume), repeats=repeats)


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
