"""Weights and inputs made by the rule of Testing/golden/README.md, so that parity needs no stored weights."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
SEED = 7


def published_shapes() -> dict[str, tuple[int, ...]]:
    """Name and shape of every entry of the published checkpoints."""
    entries = json.loads((GOLDEN / "vit_b_ori_keys.json").read_text(encoding="utf-8"))
    return {key: tuple(shape) for key, shape in entries.items()}


def rule_weights(shapes: Mapping[str, tuple[int, ...]], *, scale: float = 0.02) -> dict[str, NDArray[np.float32]]:
    """One array for every key. A `scale` above 0.02 makes attention peaked, as in trained weights."""
    weights = {}
    for key, shape in shapes.items():
        generator = np.random.default_rng(zlib.crc32(key.encode()) + SEED)
        normal = generator.standard_normal(shape).astype(np.float32)
        if key.endswith("gaussian_matrix"):
            weights[key] = normal
        elif len(shape) == 1 and key.endswith(".weight"):
            weights[key] = np.float32(1) + np.float32(0.02) * normal
        else:
            weights[key] = np.float32(scale) * normal
    return weights


def rule_volume() -> NDArray[np.float32]:
    return np.random.default_rng(SEED).standard_normal((1, 1, 128, 128, 128)).astype(np.float32)


def rule_mask_prompt() -> NDArray[np.float32]:
    return (np.random.default_rng(SEED + 1).standard_normal((1, 1, 32, 32, 32)) * 4).astype(np.float32)
