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
from SegAnyPETLib.pretrain.bodies.crops import Bodies, sample_body_scene
from SegAnyPETLib.pretrain.config import TrainingConfig
from SegAnyPETLib.pretrain.curves import write_curves
from SegAnyPETLib.pretrain.real_cases import RealCase
from SegAnyPETLib.pretrain.scene import Scene
from SegAnyPETLib.pretrain.simulate import (
    DROP_MASK_PROMPT,
    FIRST_MASK_PROMPT,
    SECOND_LOOK,
    Clicks,
    in_place,
    sample_mask_prompt,
    to_tensor,
)
from SegAnyPETLib.pretrain.synthetic import sample_scene
from SegAnyPETLib.pretrain.workers import Workers

LOG = logging.getLogger(__name__)
VALIDATION_SCENES = 48
VALIDATION_BODIES = 4
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
        state: dict[str, Any] = torch.load(
            path, weights_only=True, map_location="cpu"
        )  # Any: a dictionary of mixed values by design
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
    workers: int = 0,
) -> Path:
    """Train `lite` and return the file with its averaged weights.

    Args:
        config: The run's settings.
        out: Folder for checkpoint, history, curves and weights; a checkpoint in it is resumed.
        cases: Real cases for `config.real_share` of the steps.
        initial_weights: Weights to start from instead of random ones.
        device: "cpu" or "cuda".
        workers: Processes that draw crops and simulate clicks (see `Workers`); they do not change the result.

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
    validation = _validation_scenes()

    began = time.monotonic()
    recent: list[float] = []
    with Workers(config, cases, count=workers) as pool:
        for step, scenes in enumerate(pool.crops(start), start):
            for group in optimizer.param_groups:
                group["lr"] = _learning_rate(config, step)
            loss = _click_loss(network, step, scenes, config, place, pool)
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
    network: LiteNetwork,
    step: int,
    scenes: list[Scene],
    config: TrainingConfig,
    place: torch.device,
    pool: Workers,
) -> Tensor:
    """Loss after a random number of clicks; the first and the last are differentiated, those between are not."""
    rng = np.random.default_rng([config.seed, step, 1])
    volume, fraction = to_tensor(scenes, place)
    clicks = Clicks((config.seed, step, 2), scenes, apply=pool.map)
    mask_logits = sample_mask_prompt(rng, scenes, place) if rng.random() < FIRST_MASK_PROMPT else None
    count = int(rng.integers(config.max_clicks))  # clicks after the first
    losses: list[Tensor] = []
    with torch.autocast(place.type, torch.bfloat16):
        embedding = network.encode(volume)
        for click in range(count + 1):
            with torch.set_grad_enabled(click in (0, count)):
                logits, quality = network.decode(embedding, points=clicks.to_tensors(place), mask_logits=mask_logits)
            if click in (0, count):
                losses.append(_mask_loss(logits.float(), quality.float(), fraction))
            if click < count:
                answer = logits.detach().float()
                mask_logits = None if rng.random() < DROP_MASK_PROMPT else answer
                if mask_logits is None or rng.random() >= SECOND_LOOK:
                    clicks.correct((answer[:, 0] > 0).cpu().numpy())
    return losses[-1] + config.first_click_weight * sum(losses[:-1], losses[0].new_zeros(()))


def _mask_loss(logits: Tensor, quality: Tensor, fraction: Tensor) -> Tensor:
    """Dice and cross-entropy against the fractions, and how far the expected Dice is from the true one."""
    loss: Tensor = DiceCELoss(sigmoid=True, squared_pred=True)(logits, fraction)
    reached = _dice(logits.detach() > 0, fraction >= 0.5)
    return loss + QUALITY_WEIGHT * ((quality[:, 0] - reached) ** 2).mean()


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
        clicks = Clicks((VALIDATION_SEED, n), [scene], apply=in_place)
        embedding, logits = network.encode(volume), None
        for count in (1, 2, 3):
            logits = network.decode(embedding, points=clicks.to_tensors(place), mask_logits=logits)[0]
            if count in dices:
                dices[count].append(float(_dice(logits > 0, target >= 0.5)))
            clicks.correct((logits[:, 0] > 0).cpu().numpy())
    return {f"dice_{count}": float(np.mean(values)) for count, values in dices.items()}


def _validation_scenes() -> list[Scene]:
    """Half shapes, half crops of bodies that no training sees."""
    bodies = Bodies(VALIDATION_SEED, VALIDATION_BODIES)
    rngs = [np.random.default_rng([VALIDATION_SEED, n]) for n in range(VALIDATION_SCENES)]
    return [
        sample_body_scene(rng, size=48, bodies=bodies) if n % 2 else sample_scene(rng, size=48)
        for n, rng in enumerate(rngs)
    ]


def _learning_rate(config: TrainingConfig, step: int) -> float:
    warm_up = min(1.0, (step + 1) / max(1, config.warm_up_steps))
    cosine = 0.5 * (1 + math.cos(math.pi * step / config.steps))
    return config.learning_rate * warm_up * (0.01 + 0.99 * cosine)


def _metadata(config: TrainingConfig) -> dict[str, str]:
    return {"architecture": "lite", "config": _to_json(config)}


def _to_json(config: TrainingConfig) -> str:
    return json.dumps(asdict(config), sort_keys=True)
