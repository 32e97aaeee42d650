"""The reference network with the golden weights, made once: generating 100 million numbers takes seconds."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from golden_rule import GOLDEN, published_shapes, rule_volume, rule_weights
from torch import Tensor, nn

from SegAnyPETLib.model import build_network


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Threads that wait for each other on a busy machine cost more here than they bring."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def golden_numbers() -> dict[str, np.ndarray]:
    with np.load(GOLDEN / "vit_b_ori_seed7_essentials.npz") as archive:
        return dict(archive)


@pytest.fixture(scope="session")
def golden_network() -> nn.Module:
    network = build_network("vit_b_ori")
    weights = rule_weights(published_shapes())
    network.load_state_dict({key: torch.from_numpy(value) for key, value in weights.items()}, strict=True)
    return network


@pytest.fixture(scope="session")
def golden_embedding(golden_network: nn.Module) -> Tensor:
    with torch.inference_mode():
        return golden_network.encode(torch.from_numpy(rule_volume()))


@pytest.fixture(scope="session")
def literal_encoder() -> ModuleType:
    path = Path(__file__).resolve().parents[2] / "oracles" / "literal_encoder.py"
    spec = importlib.util.spec_from_file_location("literal_encoder", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
