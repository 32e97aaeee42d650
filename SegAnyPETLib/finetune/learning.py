"""What one step learns from: clicks on careful labels, on careless ones as they are, or on careless ones repaired."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from SegAnyPETLib.finetune.cohort_offset import CohortOffset
from SegAnyPETLib.finetune.config import CPCLConfig, FineTuneConfig
from SegAnyPETLib.finetune.crops import SYNTHETIC_CASE, LabelledCrop, to_masks, to_volumes
from SegAnyPETLib.finetune.distributed import ALONE, Processes
from SegAnyPETLib.finetune.ensemble import Ensemble, combine
from SegAnyPETLib.finetune.losses import consistency, weighted_dice_ce
from SegAnyPETLib.finetune.memory import Pieces
from SegAnyPETLib.finetune.prompt_sets import FollowingClicks, sample_prompt_set, to_points
from SegAnyPETLib.finetune.rectification import (
    RectifiedLabel,
    disagreement,
    is_comparable,
    rectify,
)
from SegAnyPETLib.finetune.uptake_edge import edge_offset_mm

FIRST_CLICK_WEIGHT = 0.5  # of the loss after the first click, where more follow
Key = tuple[int, ...]  # seeds a generator


class PromptableNetwork(Protocol):
    """What is trained; `model.lite.LiteNetwork` is one."""

    def encode(self, volume: Tensor) -> Any:  # whatever `decode` wants
        """Features of crops (B, 1, D, H, W), their intensities as in a session."""

    def decode(
        self, embedding: Any, *, points: tuple[Tensor, Tensor] | None, mask_logits: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Logits (B, 1, D, H, W), and something else that is not used here."""


@dataclass(frozen=True, eq=False)
class Lesson:
    """What is to be answered to clicks on a batch.

    Attributes:
        targets: (K, J, I) bool each; clicks are made on them.
        shares: What is to be answered, (K, J, I) each, 0 to 1; the targets where None.
        weights: Of the voxels, (K, J, I) each; 1 everywhere where None.
        first: Number of the first crop among all crops of the step, of which this may be a piece; it seeds the clicks.
    """

    targets: Sequence[NDArray[np.bool_]]
    shares: Sequence[NDArray[np.float32]] | None = None
    weights: Sequence[NDArray[np.float32]] | None = None
    first: int = 0


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
    rngs = [np.random.default_rng((*key, lesson.first + n)) for n in range(len(crops))]
    target = to_masks(lesson.targets if lesson.shares is None else lesson.shares, device)
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
    teacher: PromptableNetwork,
    crops: Sequence[LabelledCrop],
    *,
    key: Key,
    prompt_sets: int,
    device: torch.device,
    numbers: Sequence[int] | None = None,
) -> list[Ensemble]:
    """The teacher's answers to independent prompt sets made from the labels, one ensemble per crop.

    `numbers` are those of the crops among all of the step, where these are a piece; they seed the prompt sets.
    """
    embedding = teacher.encode(to_volumes(crops, device))
    rngs = [np.random.default_rng((*key, n)) for n in (range(len(crops)) if numbers is None else numbers)]
    answers = []
    for _ in range(prompt_sets):
        sets = [sample_prompt_set(rng, crop.label) for rng, crop in zip(rngs, crops, strict=True)]
        logits, _ = teacher.decode(embedding, points=to_points(sets, device), mask_logits=None)
        answers.append(logits[:, 0].float().sigmoid().cpu().numpy())
    return [combine(np.stack([answer[n] for answer in answers])) for n in range(len(crops))]


@dataclass(frozen=True, eq=False)
class Repaired:
    """The careless crops of a step that this process looks at, with what became of their labels.

    Attributes:
        labels: Repaired.
        ensembles: What they were repaired from.
        first: Number of the first one among all careless crops of the step.
    """

    labels: list[RectifiedLabel]
    ensembles: list[Ensemble]
    first: int = 0

    def piece(self, numbers: range) -> Repaired:
        """Some of them, that follow each other."""
        chosen = slice(numbers.start, numbers.stop)
        return Repaired(self.labels[chosen], self.ensembles[chosen], self.first + numbers.start)


def repair_labels(
    teacher: PromptableNetwork,
    careful: Sequence[LabelledCrop],
    careless: Sequence[LabelledCrop],
    cohort: CohortOffset,
    *,
    key: Key,
    config: CPCLConfig,
    device: torch.device,
    share: float = 1.0,
    pieces: Pieces | None = None,
    processes: Processes = ALONE,
) -> Repaired:
    """Note how far both kinds of labels are off the teacher, and repair the careless ones.

    Repairs are believed by `share` of what they would be by themselves, 0 to 1 (see `losses.ramp`).

    Where several processes train, each asks about its part of the crops, all note what all found, and each repairs its
    own part.
    """
    crops, own = [*careful, *careless], processes.part(len(careless))
    numbers = [*processes.part(len(careful)), *(len(careful) + n for n in own)]
    pieces = pieces or Pieces(len(numbers))

    def ask() -> list[Ensemble]:
        answers: list[Ensemble] = []
        for piece in pieces.of(len(numbers)):
            some = [numbers[n] for n in piece]
            asked = [crops[n] for n in some]
            answers += ask_ensemble(
                teacher, asked, key=key, prompt_sets=config.prompt_sets, device=device, numbers=some
            )
        return answers

    ensembles = dict(zip(numbers, pieces.run(ask), strict=True))
    found = np.zeros((len(crops), 2))
    for n, ensemble in ensembles.items():
        found[n] = _difference(crops[n], ensemble, config)
    found = processes.together(found, numbers)
    _note(cohort, crops, found, careful=len(careful))
    kept = [len(careful) + n for n in own]
    labels = [
        rectify(
            crops[n].label,
            ensembles[n],
            offset_mm=cohort.of_case(crops[n].case),
            usual_disagreement=cohort.usual_disagreement,
            spacing_kji_mm=crops[n].spacing_kji_mm,
            config=config,
        )
        for n in kept
    ]
    labels = [replace(label, belief=share * label.belief) for label in labels]
    return Repaired(labels, [ensembles[n] for n in kept], own.start)


def _note(cohort: CohortOffset, crops: Sequence[LabelledCrop], found: NDArray[np.float64], *, careful: int) -> None:
    """Add offset and disagreement (N, 2) of crops, of which the first ones are careful; NaN is not known."""
    for n, (offset, contradicted) in enumerate(found.tolist()):
        is_real = crops[n].case != SYNTHETIC_CASE  # made-up lesions are no measure for how a site's people draw
        if is_real and not np.isnan(contradicted):
            offset_mm = None if np.isnan(offset) else offset
            cohort.add(crops[n].case, is_careful=n < careful, offset_mm=offset_mm, disagreement=contradicted)


def _difference(crop: LabelledCrop, ensemble: Ensemble, config: CPCLConfig) -> tuple[float, float]:
    """How far a label lies outside the edge of uptake, in mm, and what of the ensemble it contradicts.

    NaN where there is no edge; both where label and ensemble hardly overlap: such a label is elsewhere.
    """
    spacing = crop.spacing_kji_mm
    if not is_comparable(crop.label, ensemble.mean > 0.5, config):
        return np.nan, np.nan
    offset = edge_offset_mm(
        crop.label,
        crop.suv,
        spacing_kji_mm=spacing,
        reach_mm=config.edge_reach_mm,
        cut_share=config.offset_cut_share,
    )
    contradicted = disagreement(crop.label, ensemble, spacing_kji_mm=spacing, config=config)
    return np.nan if offset is None else offset, contradicted


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
        Lesson([crop.label for crop in careless], first=repaired.first),
        key=(*key, 0),
        max_clicks=config.max_clicks,
        device=device,
    )
    lesson = Lesson(
        [label.target for label in repaired.labels],
        shares=[label.share for label in repaired.labels],
        weights=[label.weight for label in repaired.labels],
        first=repaired.first,
    )
    anew, logits = click_loss(
        network, embedding, careless, lesson, key=(*key, 1), max_clicks=config.max_clicks, device=device
    )
    teacher = to_masks([ensemble.mean for ensemble in repaired.ensembles], device)
    together = (1 - belief) * as_drawn + belief * anew + config.cpcl.consistency * consistency(logits, teacher)
    return together * is_used
