"""The training loop of all methods, to be read from top to bottom."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from SegAnyPETLib.finetune.config import FineTuneConfig
from SegAnyPETLib.finetune.crops import CropSource, to_volumes
from SegAnyPETLib.finetune.learning import Lesson, click_loss, repair_labels, repaired_loss
from SegAnyPETLib.finetune.losses import ramp
from SegAnyPETLib.finetune.rectification import CohortOffset

LOWEST_RATE = 0.1  # of the learning rate, at the end of the cosine


@dataclass
class TrainingState:
    """Everything that changes while training.

    Attributes:
        network: What is trained.
        optimizer: Of its parameters.
        averaged: Running averages of its weights; these are kept.
        teacher: A copy of the network that repairs labels; None where nothing is repaired.
        cohort: How far the careless labels are off.
        step: Steps done.
        history: What each step said.
    """

    network: nn.Module
    optimizer: torch.optim.Optimizer
    averaged: dict[str, Tensor]
    teacher: nn.Module | None
    cohort: CohortOffset
    step: int = 0
    history: list[dict[str, float]] = field(default_factory=list)


def start(network: nn.Module, config: FineTuneConfig) -> TrainingState:
    """Ready for the first step; parameters that need no gradient are left alone."""
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=config.learning_rate, weight_decay=config.weight_decay)
    teacher = None
    if config.method == "cpcl":
        teacher = copy.deepcopy(network).requires_grad_(False).eval()
    averaged = {key: value.detach().clone() for key, value in network.state_dict().items()}
    return TrainingState(network, optimizer, averaged, teacher, CohortOffset(config.cpcl))


def train(
    state: TrainingState,
    source: CropSource,
    config: FineTuneConfig,
    *,
    device: torch.device,
    after_step: Callable[[TrainingState], bool] | None = None,
) -> dict[str, Tensor]:
    """Train to the end, or until `after_step` says so.

    Every step draws its own random generators from (seed, step), so that a resumed run sees what an uninterrupted one
    would have seen.

    Args:
        state: From `start`, or of an interrupted run.
        source: Draws the crops.
        config: Of the run.
        device: Where the network is.
        after_step: Called with the state after each step; True ends the training.

    Returns:
        The averaged weights.
    """
    network: Any = state.network  # an `nn.Module` with the members of `PromptableNetwork`
    network.train()
    for step in range(state.step, config.steps):
        for group in state.optimizer.param_groups:
            group["lr"] = learning_rate(config, step)
        loss, facts = _loss(state, source, config, step, device)
        state.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch ships it untyped
        nn.utils.clip_grad_norm_(network.parameters(), config.gradient_clip)
        state.optimizer.step()
        _average(state, config, step)
        state.step = step + 1
        state.history.append({"step": step + 1, "loss": loss.item(), **facts})
        if after_step is not None and after_step(state):
            break
    return state.averaged


def _loss(
    state: TrainingState, source: CropSource, config: FineTuneConfig, step: int, device: torch.device
) -> tuple[Tensor, dict[str, float]]:
    network: Any = state.network
    rng, key = np.random.default_rng([config.seed, step]), (config.seed, step, 1)
    half = config.batch // 2
    careful = source.careful(rng, config.batch if config.method == "hq" else config.batch - half)
    careless = [] if config.method == "hq" else source.careless(rng, half)
    if config.method != "cpcl":
        crops = careful + careless
        lesson = Lesson([crop.label for crop in crops])
        embedding = network.encode(to_volumes(crops, device))
        losses, _ = click_loss(network, embedding, crops, lesson, key=key, max_clicks=config.max_clicks, device=device)
        return losses.mean(), {}
    lesson = Lesson([crop.label for crop in careful])
    embedding = network.encode(to_volumes(careful, device))
    taught, _ = click_loss(network, embedding, careful, lesson, key=key, max_clicks=config.max_clicks, device=device)
    share = ramp(
        step,
        steps=config.steps,
        warm_up_share=config.cpcl.warm_up_share,
        ramp_share=config.cpcl.ramp_share,
    )
    if share == 0 or state.teacher is None:
        return taught.mean(), {"careless_share": 0.0}
    teacher: Any = state.teacher
    repaired = repair_labels(teacher, careful, careless, state.cohort, key=(*key, 2), config=config.cpcl, device=device)
    embedding = network.encode(to_volumes(careless, device))
    from_careless = repaired_loss(network, embedding, careless, repaired, key=(*key, 3), config=config, device=device)
    facts = {
        "careless_share": share,
        "offset_mm": state.cohort.mm,
        "belief": float(np.mean([label.belief for label in repaired.labels])),
        "changed": float(np.mean([label.changed for label in repaired.labels])),
        "left_out": float(np.mean([label.verdict == "left out" for label in repaired.labels])),
    }
    return (taught.mean() + share * from_careless.mean()) / (1 + share), facts


@torch.no_grad()
def _average(state: TrainingState, config: FineTuneConfig, step: int) -> None:
    """Let the averages, and the teacher, follow the network; faster at first."""
    decay = min(config.average_decay, 1 - 1 / (step + 2))
    weights = state.network.state_dict()
    for name, value in weights.items():
        state.averaged[name].lerp_(value, 1 - decay)
    if state.teacher is not None:
        decay = min(config.cpcl.teacher_decay, 1 - 1 / (step + 2))
        for name, value in state.teacher.state_dict().items():
            value.lerp_(weights[name], 1 - decay)


def learning_rate(config: FineTuneConfig, step: int) -> float:
    """Linear warm-up, then a cosine down to a tenth."""
    warm_up = min(1.0, (step + 1) / max(1, config.warm_up_steps))
    cosine = 0.5 * (1 + math.cos(math.pi * step / config.steps))
    return config.learning_rate * warm_up * (LOWEST_RATE + (1 - LOWEST_RATE) * cosine)
