"""The training loop of all methods, to be read from top to bottom.

A step: draw crops; repair the labels of the careless ones (cpcl); gradients, a piece of the crops after the other; add
the gradients of all processes; move the weights; let averages and teacher follow; validate now and then.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from SegAnyPETLib.finetune.cohort_level import CohortLevel
from SegAnyPETLib.finetune.cohort_offset import CohortOffset
from SegAnyPETLib.finetune.config import FineTuneConfig
from SegAnyPETLib.finetune.crops import CropSource, LabelledCrop, to_volumes
from SegAnyPETLib.finetune.distributed import ALONE, Processes
from SegAnyPETLib.finetune.learning import Lesson, Repaired, click_loss, repair_labels, repaired_loss
from SegAnyPETLib.finetune.lora import merge_lora
from SegAnyPETLib.finetune.losses import ramp
from SegAnyPETLib.finetune.memory import Pieces
from SegAnyPETLib.finetune.trained_parts import ParameterGroup, set_training_mode

LOWEST_RATE = 0.1  # of the learning rate, at the end of the cosine


@dataclass
class Best:
    """The best of the validations so far.

    Attributes:
        score: What the validation gave; higher is better.
        step: Steps done by then.
        weights: The averaged weights of that step.
        worse_since: Validations after it.
    """

    score: float
    step: int
    weights: dict[str, Tensor]
    worse_since: int = 0


@dataclass
class TrainingState:
    """Everything that changes while training.

    Attributes:
        network: What is trained.
        optimizer: Of its parameters.
        averaged: Running averages of its weights; these are kept.
        teacher: A copy of the network that repairs labels; None where nothing is repaired.
        cohort: How far the careless labels are off.
        level: Whether they are of thresholds that are too high.
        step: Steps done.
        history: What each step said.
        pieces: How many crops are in memory at once.
        scaler: Keeps small gradients of float16 above zero; does nothing otherwise.
        best: Of the validations; None before the first.
        base: Weights before training, where the loss pulls towards them.
    """

    network: nn.Module
    optimizer: torch.optim.Optimizer
    averaged: dict[str, Tensor]
    teacher: nn.Module | None
    cohort: CohortOffset
    level: CohortLevel
    step: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    pieces: Pieces = field(default_factory=lambda: Pieces(2**31))
    scaler: torch.amp.GradScaler = field(default_factory=lambda: torch.amp.GradScaler(enabled=False))
    best: Best | None = None
    base: dict[str, Tensor] | None = None


@dataclass(frozen=True)
class _Where:
    """What does not change while training."""

    device: torch.device
    processes: Processes
    precision: AbstractContextManager[Any]  # entered many times


def start(
    network: nn.Module, config: FineTuneConfig, *, groups: Sequence[ParameterGroup] | None = None
) -> TrainingState:
    """Ready for the first step; parameters that need no gradient are left alone.

    Args:
        network: On the device it is trained on; SegAnyPET's comes from `trainable_vit.trainable_copy`.
        config: Of the run.
        groups: Which parameters learn at which rate, from `trained_parts.prepare_network`; all at one where None.
    """
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    groups = groups or [ParameterGroup("all", tuple(trained))]
    optimizer = torch.optim.AdamW(
        [{"params": list(group.parameters), "rate": group.rate} for group in groups],
        lr=config.learning_rate,
        weight_decay=config.weight_decay,
    )
    teacher = None
    if config.method == "cpcl":
        teacher = copy.deepcopy(network).requires_grad_(False).eval()
    averaged = {key: value.detach().clone() for key, value in network.state_dict().items()}
    state = TrainingState(network, optimizer, averaged, teacher, CohortOffset(config.cpcl), CohortLevel(config.cpcl))
    state.pieces = Pieces(-(-config.batch // config.accumulation))
    is_half = config.precision == "float16" and bool(trained) and trained[0].device.type == "cuda"
    state.scaler = torch.amp.GradScaler(enabled=is_half)
    if config.pull_to_base:
        state.base = {key: value.detach().clone() for key, value in network.named_parameters() if value.requires_grad}
    return state


def train(
    state: TrainingState,
    source: CropSource,
    config: FineTuneConfig,
    *,
    device: torch.device,
    after_step: Callable[[TrainingState], bool] | None = None,
    validate: Callable[[dict[str, Tensor]], float] | None = None,
    processes: Processes = ALONE,
) -> dict[str, Tensor]:
    """Train to the end, or until `after_step` says so, or until the validations get no better.

    Every step draws its own random generators from (seed, step), so that a resumed run sees what an uninterrupted one
    would have seen. Where memory does not suffice, fewer crops are in it at once; the history says so (``at_once``).

    Args:
        state: From `start`, or of an interrupted run.
        source: Draws the crops; the same in all processes.
        config: Of the run.
        device: Where the network is.
        after_step: Called with the state after each step, in every process; True, from any, ends the training.
        validate: Gives a score of plain weights (low-rank changes merged), higher is better; called by the first
            process every `config.validate_every` steps and after the last.
        processes: That train together; each has `config.batch` crops of a step.

    Returns:
        The averaged weights; those of the best validation where there was one.

    Raises:
        DeviceError: Memory does not suffice for a single crop.
    """
    where = _Where(device, processes, _precision(config, device))
    trained = [parameter for parameter in state.network.parameters() if parameter.requires_grad]
    set_training_mode(state.network)
    for step in range(state.step, config.steps):
        for group in state.optimizer.param_groups:
            group["lr"] = learning_rate(config, step) * group.get("rate", 1.0)
        taught, careless = _draw(source, config, step, processes)
        careless = state.level.made_whole(taught, careless) if careless else []
        repaired, facts = _repair(state, taught, careless, config, step, where)
        loss = state.pieces.run(lambda: _gradients(state, taught, careless, repaired, config, step, where))  # noqa: B023  called at once
        processes.add_gradients(trained)
        state.scaler.unscale_(state.optimizer)
        _pull_to_base(state, config)
        nn.utils.clip_grad_norm_(state.network.parameters(), config.gradient_clip)
        state.scaler.step(state.optimizer)
        state.scaler.update()
        _average(state, config, step)
        state.step = step + 1
        state.history.append({"step": step + 1, "loss": processes.added(loss), **facts})
        if state.pieces.was_halved:
            state.history[-1]["at_once"] = state.pieces.crops
        is_over = _validate(state, config, validate, processes)
        if after_step is not None:
            is_over |= processes.any(after_step(state))
        if is_over:
            break
    return state.averaged if state.best is None else state.best.weights


def _draw(
    source: CropSource, config: FineTuneConfig, step: int, processes: Processes
) -> tuple[list[LabelledCrop], list[LabelledCrop]]:
    """The crops of all processes: those whose labels are learned as they are, and those whose labels are repaired."""
    rng = np.random.default_rng([config.seed, step])
    count = config.batch * processes.count
    if config.method == "hq":
        return source.careful(rng, count), []
    careless_count = min(max(int(config.careless_share * count), 1), count - 1)
    careful, careless = source.careful(rng, count - careless_count), source.careless(rng, careless_count)
    return (careful, careless) if repair_share(config, step) > 0 else (careful + careless, [])


def _repair(
    state: TrainingState,
    careful: list[LabelledCrop],
    careless: list[LabelledCrop],
    config: FineTuneConfig,
    step: int,
    where: _Where,
) -> tuple[Repaired | None, dict[str, float]]:
    """The careless labels of this process, repaired; None where they are learned as they are (yet)."""
    if not careless or state.teacher is None:
        return None, {}
    teacher: Any = state.teacher  # an `nn.Module` with the members of `PromptableNetwork`
    with where.precision:
        repaired = repair_labels(
            teacher,
            careful,
            careless,
            state.cohort,
            key=(config.seed, step, 1, 2),
            config=config.cpcl,
            share=repair_share(config, step),
            device=where.device,
            pieces=state.pieces,
            processes=where.processes,
        )
    own = where.processes.part(len(careless))
    said = np.zeros((len(careless), 3))
    said[list(own)] = [(label.belief, label.changed, label.verdict == "left out") for label in repaired.labels]
    means = [float(np.mean(column)) for column in where.processes.together(said, own).T.copy()]
    return repaired, {"offset_mm": state.cohort.mm} | dict(zip(("belief", "changed", "left_out"), means, strict=True))


def _gradients(
    state: TrainingState,
    taught: list[LabelledCrop],
    careless: list[LabelledCrop],
    repaired: Repaired | None,
    config: FineTuneConfig,
    step: int,
    where: _Where,
) -> float:
    """Leave the gradients of this process's crops in the parameters, and return its part of the loss.

    The loss is the mean over all crops of all processes; so the parts of the processes and the pieces add up.
    """
    network: Any = state.network
    key, clicks, device = (config.seed, step, 1), config.max_clicks, where.device
    own, own_careless = where.processes.part(len(taught)), where.processes.part(len(careless) if repaired else 0)
    state.optimizer.zero_grad(set_to_none=True)
    count = len(taught) + (len(careless) if repaired else 0)
    total = 0.0
    for piece, careless_piece in state.pieces.of_both(len(own), len(own_careless)):
        loss: Any = 0.0  # a number only before the first term
        with where.precision:
            if piece:
                crops = [taught[own[n]] for n in piece]
                lesson = Lesson([crop.label for crop in crops], first=own[piece.start])
                embedding = network.encode(to_volumes(crops, device))
                losses, _ = click_loss(network, embedding, crops, lesson, key=key, max_clicks=clicks, device=device)
                loss = losses.sum() / count
            if careless_piece and repaired is not None:
                crops, labels = [careless[own_careless[n]] for n in careless_piece], repaired.piece(careless_piece)
                embedding = network.encode(to_volumes(crops, device))
                losses = repaired_loss(network, embedding, crops, labels, key=(*key, 3), config=config, device=device)
                loss = loss + losses.sum() / count
        state.scaler.scale(loss).backward()
        total += loss.item()
    return total


def repair_share(config: FineTuneConfig, step: int) -> float:
    """How far repairs are believed in a step; 0 where nothing is repaired (yet)."""
    cpcl = config.cpcl
    if config.method != "cpcl":
        return 0.0
    return ramp(step, steps=config.steps, warm_up_share=cpcl.warm_up_share, ramp_share=cpcl.ramp_share)


def _precision(config: FineTuneConfig, device: torch.device) -> AbstractContextManager[Any]:
    if config.precision == "float32" or device.type != "cuda":
        return nullcontext()
    # It remembers converted weights until it is left; the first use must be one that learns, as `click_loss` has it.
    return torch.autocast("cuda", dtype=torch.bfloat16 if config.precision == "bfloat16" else torch.float16)


@torch.no_grad()
def _pull_to_base(state: TrainingState, config: FineTuneConfig) -> None:
    """Add the gradient of half the squared distance from the weights before training."""
    if state.base is None:
        return
    for name, parameter in state.network.named_parameters():
        if parameter.grad is not None and name in state.base:
            parameter.grad.add_(parameter - state.base[name], alpha=config.pull_to_base)


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


def _validate(
    state: TrainingState,
    config: FineTuneConfig,
    validate: Callable[[dict[str, Tensor]], float] | None,
    processes: Processes,
) -> bool:
    """Score the averaged weights where it is time for it, keep the best, and say whether patience is at its end."""
    is_time = config.validate_every and (state.step % config.validate_every == 0 or state.step == config.steps)
    if validate is None or not is_time:
        return False
    own = validate(merge_lora(state.network, state.averaged)) if processes.writes else None
    score = processes.from_first(own)
    state.history[-1]["validation"] = score
    if state.best is None or score > state.best.score:
        weights = {name: value.clone() for name, value in state.averaged.items()}
        state.best = Best(score, state.step, weights)
        return False
    state.best.worse_since += 1
    return 0 < config.patience <= state.best.worse_since


def learning_rate(config: FineTuneConfig, step: int) -> float:
    """Linear warm-up, then a cosine down to a tenth."""
    warm_up = min(1.0, (step + 1) / max(1, config.warm_up_steps))
    cosine = 0.5 * (1 + math.cos(math.pi * step / config.steps))
    return config.learning_rate * warm_up * (LOWEST_RATE + (1 - LOWEST_RATE) * cosine)
