"""The training loop of the bundled network, to be read from top to bottom.

    python -m SegAnyPETLib.pretrain --help

A run killed at any moment resumes from its last checkpoint. Every step draws its own random generator from
(seed, step), so a resumed run sees what an uninterrupted one would have seen.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.losses import DiceCELoss
from safetensors.torch import load_file, save_file
from torch import Tensor

from SegAnyPETLib.data.atomic import write_atomically
from SegAnyPETLib.errors import WeightsError
from SegAnyPETLib.model.lite import LiteNetwork
from SegAnyPETLib.pretrain.config import TrainingConfig
from SegAnyPETLib.pretrain.curves import write_curves
from SegAnyPETLib.pretrain.real_cases import RealCase
from SegAnyPETLib.pretrain.simulate import (
    COARSE_MASK_PROMPT,
    DROP_MASK_PROMPT,
    Clicks,
    sample_batch,
    sample_mask_prompt,
    to_tensor,
)
from SegAnyPETLib.pretrain.synthetic import Scene, sample_scene

LOG = logging.getLogger(__name__)
VALIDATION_SCENES = 24
VALIDATION_SEED = 987_654
QUALITY_WEIGHT = 0.1


@dataclass
class _Run:
    """What a checkpoint holds: everything that changes while training."""

    config: TrainingConfig
    out: Path
    network: LiteNetwork
    optimizer: torch.optim.Optimizer
    averaged: dict[str, Tensor]
    history: list[dict[str, float]] = field(default_factory=list)

    def save(self, step: int) -> None:
        """Write checkpoint, history and curves after `step` steps."""
        state = {
            "config": _to_json(self.config),
            "step": step,
            "network": self.network.state_dict(),
            "averaged": self.averaged,
            "optimizer": self.optimizer.state_dict(),
            "history": self.history,
        }
        with write_atomically(self.out / "checkpoint.pt") as path:
            torch.save(state, path)
        with write_atomically(self.out / "history.json") as path:
            path.write_text(json.dumps({"config": asdict(self.config), "history": self.history}, indent=1))
        write_curves(self.history, self.out / "curves.png")

    def resume(self) -> int:
        """Take everything from the checkpoint, where there is one, and return the next step."""
        path = self.out / "checkpoint.pt"
        if not path.is_file():
            return 0
        state: dict[str, Any] = torch.load(path, weights_only=True)  # Any: a dictionary of mixed values by design
        if state["config"] != _to_json(self.config):
            msg = (
                f"{path} belongs to a run with other settings ({state['config']}). Choose another folder or delete it."
            )
            raise WeightsError(msg)
        self.network.load_state_dict(state["network"])
        for key, value in state["averaged"].items():
            self.averaged[key].copy_(value)
        self.optimizer.load_state_dict(state["optimizer"])
        self.history.extend(state["history"])
        return int(state["step"])


def train(
    config: TrainingConfig,
    out: Path,
    *,
    cases: Sequence[RealCase] = (),
    initial_weights: Path | None = None,
    device: str = "cpu",
) -> Path:
    """Train `lite` and return the file with its averaged weights.

    Args:
        config: The run's settings.
        out: Folder for checkpoint, history, curves and weights; a checkpoint in it is resumed.
        cases: Real cases for `config.real_share` of the steps.
        initial_weights: Weights to start from instead of random ones.
        device: "cpu" or "cuda".

    Raises:
        WeightsError: The folder holds a checkpoint of another configuration.
    """
    out.mkdir(parents=True, exist_ok=True)
    place = torch.device(device)
    torch.manual_seed(config.seed)
    network = LiteNetwork().to(place)
    if initial_weights is not None:
        network.load_state_dict(load_file(initial_weights))
    optimizer = torch.optim.AdamW(network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    averaged = {k: v.detach().clone() for k, v in network.state_dict().items()}
    run = _Run(config, out, network, optimizer, averaged)
    start = run.resume()
    validation = [sample_scene(np.random.default_rng([VALIDATION_SEED, n]), size=48) for n in range(VALIDATION_SCENES)]

    began = time.monotonic()
    recent: list[float] = []
    for step in range(start, config.steps):
        for group in optimizer.param_groups:
            group["lr"] = _learning_rate(config, step)
        rng = np.random.default_rng([config.seed, step])
        loss = _click_loss(network, rng, sample_batch(rng, config, cases), config, place)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch ships it untyped
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        decay = min(config.ema_decay, (1 + step) / (10 + step))
        for key, value in network.state_dict().items():
            averaged[key].lerp_(value, 1 - decay)
        recent.append(loss.item())
        if (step + 1) % config.validate_every == 0 or step + 1 == config.steps:
            dices = _validate(averaged, validation, place)
            run.history.append({"step": step + 1, "loss": float(np.mean(recent)), **dices})
            recent.clear()
            LOG.info("step %d, %.0f s: %s", step + 1, time.monotonic() - began, run.history[-1])
            run.save(step + 1)
    weights = out / "lite.safetensors"
    with write_atomically(weights) as path:
        save_file({k: v.contiguous().cpu() for k, v in averaged.items()}, path, metadata=_metadata(config))
    return weights


def _click_loss(
    network: LiteNetwork, rng: np.random.Generator, scenes: list[Scene], config: TrainingConfig, place: torch.device
) -> Tensor:
    """Loss after a random number of clicks; only the last one is differentiated."""
    volume, target = to_tensor(scenes, place)
    clicks = Clicks(rng, scenes)
    mask_logits = sample_mask_prompt(rng, scenes, place) if rng.random() < COARSE_MASK_PROMPT else None
    with torch.autocast(place.type, torch.bfloat16):
        embedding = network.encode(volume)
        with torch.no_grad():
            for _ in range(_earlier_clicks(rng, config)):
                points = clicks.to_tensors(place)
                logits = network.decode(embedding, points=points, mask_logits=mask_logits)[0].float()
                clicks.correct((logits[:, 0] > 0).cpu().numpy())
                mask_logits = None if rng.random() < DROP_MASK_PROMPT else logits
        logits, quality = network.decode(embedding, points=clicks.to_tensors(place), mask_logits=mask_logits)
    logits = logits.float()
    loss: Tensor = DiceCELoss(sigmoid=True, squared_pred=True)(logits, target)
    expected = _dice(logits.detach() > 0, target > 0.5)
    return loss + QUALITY_WEIGHT * ((quality.float()[:, 0] - expected) ** 2).mean()


def _earlier_clicks(rng: np.random.Generator, config: TrainingConfig) -> int:
    """How many clicks are answered before the one that is learnt from."""
    if config.single_click_share and rng.random() < config.single_click_share:
        return 0
    return int(rng.integers(config.max_clicks))


def _dice(a: Tensor, b: Tensor) -> Tensor:
    """Dice per batch item of boolean (B, ...)."""
    both = (a & b).flatten(1).sum(1)
    return 2 * both / (a.flatten(1).sum(1) + b.flatten(1).sum(1)).clamp(min=1)


@torch.no_grad()
def _validate(averaged: dict[str, Tensor], scenes: Sequence[Scene], place: torch.device) -> dict[str, float]:
    """Mean Dice of the averaged weights after one and three clicks on the fixed scenes."""
    network = LiteNetwork().to(place)
    network.load_state_dict(averaged)
    network.eval()
    dices: dict[int, list[float]] = {1: [], 3: []}
    for n, scene in enumerate(scenes):
        volume, target = to_tensor([scene], place)
        clicks = Clicks(np.random.default_rng([VALIDATION_SEED, n]), [scene])
        embedding, logits = network.encode(volume), None
        for count in (1, 2, 3):
            logits = network.decode(embedding, points=clicks.to_tensors(place), mask_logits=logits)[0]
            if count in dices:
                dices[count].append(float(_dice(logits > 0, target > 0.5)))
            clicks.correct((logits[:, 0] > 0).cpu().numpy())
    return {f"dice_{count}": float(np.mean(values)) for count, values in dices.items()}


def _learning_rate(config: TrainingConfig, step: int) -> float:
    warm_up = min(1.0, (step + 1) / max(1, config.warm_up_steps))
    cosine = 0.5 * (1 + math.cos(math.pi * step / config.steps))
    return config.learning_rate * warm_up * (0.01 + 0.99 * cosine)


def _metadata(config: TrainingConfig) -> dict[str, str]:
    return {"architecture": "lite", "config": _to_json(config)}


def _to_json(config: TrainingConfig) -> str:
    return json.dumps(asdict(config), sort_keys=True)
