"""What one step learns from: clicks on careful labels, on careless ones as they are, or on careless ones repaired."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from SegAnyPETLib.finetune.config import CPCLConfig, FineTuneConfig
from SegAnyPETLib.finetune.crops import LabelledCrop, to_masks, to_volumes
from SegAnyPETLib.finetune.ensemble import Ensemble, combine
from SegAnyPETLib.finetune.losses import consistency, weighted_dice_ce
from SegAnyPETLib.finetune.prompt_sets import FollowingClicks, sample_prompt_set, to_points
from SegAnyPETLib.finetune.rectification import (
    CohortOffset,
    RectifiedLabel,
    disagreement,
    label_offset_mm,
    rectify,
)

FIRST_CLICK_WEIGHT = 0.5  # of the loss after the first click, where more follow
Key = tuple[int, ...]  # seeds a generator


class PromptableNetwork(Protocol):
    """What is trained; `model.lite.LiteNetwork` is one."""

    def encode(self, volume: Tensor) -> Any:  # whatever `decode` wants
        """Features of ln(1 + SUV) (B, 1, D, H, W)."""

    def decode(
        self, embedding: Any, *, points: tuple[Tensor, Tensor] | None, mask_logits: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Logits (B, 1, D, H, W), and something else that is not used here."""


@dataclass(frozen=True, eq=False)
class Lesson:
    """What is to be answered to clicks on a batch.

    Attributes:
        targets: (K, J, I) bool each; clicks are made on them.
        weights: Of the voxels, (K, J, I) each; 1 everywhere where None.
    """

    targets: Sequence[NDArray[np.bool_]]
    weights: Sequence[NDArray[np.float32]] | None = None


def click_loss(
    network: PromptableNetwork,
    embedding: Any,  # of these crops
    crops: Sequence[LabelledCrop],
    lesson: Lesson,
    *,
    key: Key,
    max_clicks: int,
    device: torch.device,
) -> tuple[Tensor, Tensor]:
    """Loss per crop (B,) after the first and the last of some clicks, and the last logits; those between teach nothing.

    Source:
        Sofiiuk et al. 2022, RITM, arXiv:2102.06583 (iterative clicks, gradient of the last).
    """
    rng = np.random.default_rng(key)
    rngs = [np.random.default_rng((*key, n)) for n in range(len(crops))]
    target = to_masks(lesson.targets, device)
    weight = None if lesson.weights is None else to_masks(lesson.weights, device)
    clicks = FollowingClicks(rngs, lesson.targets, [crop.suv for crop in crops])
    last = int(rng.integers(max_clicks))
    losses: list[Tensor] = []
    logits: Tensor | None = None
    for click in range(last + 1):
        teaches = click in (0, last)
        with torch.set_grad_enabled(teaches):
            answer, _ = network.decode(embedding, points=to_points(clicks.sets, device), mask_logits=logits)
        if teaches:
            losses.append(weighted_dice_ce(answer.float(), target, weight))
        logits = answer.detach().float()
        if click < last:
            clicks.correct((logits[:, 0] > 0).cpu().numpy())
    first = FIRST_CLICK_WEIGHT * losses[0] if last else torch.zeros_like(losses[0])
    return losses[-1] + first, answer.float()


@torch.no_grad()
def ask_ensemble(
    teacher: PromptableNetwork, crops: Sequence[LabelledCrop], *, key: Key, prompt_sets: int, device: torch.device
) -> list[Ensemble]:
    """The teacher's answers to independent prompt sets made from the labels, one ensemble per crop."""
    embedding = teacher.encode(to_volumes(crops, device))
    rngs = [np.random.default_rng((*key, n)) for n in range(len(crops))]
    answers = []
    for _ in range(prompt_sets):
        sets = [sample_prompt_set(rng, crop.label) for rng, crop in zip(rngs, crops, strict=True)]
        logits, _ = teacher.decode(embedding, points=to_points(sets, device), mask_logits=None)
        answers.append(logits[:, 0].float().sigmoid().cpu().numpy())
    return [combine(np.stack([answer[n] for answer in answers])) for n in range(len(crops))]


@dataclass(frozen=True, eq=False)
class Repaired:
    """The careless crops of a step with what became of their labels."""

    labels: list[RectifiedLabel]
    ensembles: list[Ensemble]


def repair_labels(
    teacher: PromptableNetwork,
    careful: Sequence[LabelledCrop],
    careless: Sequence[LabelledCrop],
    cohort: CohortOffset,
    *,
    key: Key,
    config: CPCLConfig,
    device: torch.device,
) -> Repaired:
    """Note how far both kinds of labels are off the teacher, and repair the careless ones."""
    crops = [*careful, *careless]
    ensembles = ask_ensemble(teacher, crops, key=key, prompt_sets=config.prompt_sets, device=device)
    contradicted = []
    for n, (crop, ensemble) in enumerate(zip(crops, ensembles, strict=True)):
        spacing = crop.spacing_kji_mm
        offset = label_offset_mm(
            crop.label, ensemble.mean > 0.5, spacing_kji_mm=spacing, limit_mm=config.offset_limit_mm
        )
        contradicted.append(disagreement(crop.label, ensemble, spacing_kji_mm=spacing, config=config))
        cohort.add(is_careful=n < len(careful), offset_mm=offset, disagreement=contradicted[-1])
    kept = slice(len(careful), None)
    labels = [
        rectify(
            crop.label,
            ensemble,
            offset_mm=cohort.mm,
            excess_disagreement=cohort.excess(share),
            spacing_kji_mm=crop.spacing_kji_mm,
            config=config,
        )
        for crop, ensemble, share in zip(careless, ensembles[kept], contradicted[kept], strict=True)
    ]
    return Repaired(labels, ensembles[kept])


def repaired_loss(
    network: PromptableNetwork,
    embedding: Any,  # of the careless crops
    careless: Sequence[LabelledCrop],
    repaired: Repaired,
    *,
    key: Key,
    config: FineTuneConfig,
    device: torch.device,
) -> Tensor:
    """Loss per careless crop (B,): in shares from the label as it is and from the repaired one, and consistency."""
    belief = torch.tensor([label.belief for label in repaired.labels], device=device)
    is_used = torch.tensor([label.verdict != "left out" for label in repaired.labels], device=device)
    as_drawn, _ = click_loss(
        network,
        embedding,
        careless,
        Lesson([crop.label for crop in careless]),
        key=(*key, 0),
        max_clicks=config.max_clicks,
        device=device,
    )
    lesson = Lesson([label.target for label in repaired.labels], [label.weight for label in repaired.labels])
    anew, logits = click_loss(
        network, embedding, careless, lesson, key=(*key, 1), max_clicks=config.max_clicks, device=device
    )
    teacher = to_masks([ensemble.mean for ensemble in repaired.ensembles], device)
    together = (1 - belief) * as_drawn + belief * anew + config.cpcl.consistency * consistency(logits, teacher)
    return together * is_used
