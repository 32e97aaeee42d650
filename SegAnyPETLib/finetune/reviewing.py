"""What came of the careless labels: how far they are off, and which a person should look at.

The repair that training does, a few times more for every careless case.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from SegAnyPETLib.finetune.cohort_level import CohortLevel
from SegAnyPETLib.finetune.cohort_offset import CohortOffset
from SegAnyPETLib.finetune.config import FineTuneConfig
from SegAnyPETLib.finetune.crops import CropSource, LabelledCrop
from SegAnyPETLib.finetune.learning import PromptableNetwork, repair_labels

AT_ONCE = 2  # crops of either kind
LOOKS_PER_CASE = 3
STREAM = 88_003  # of the generators, apart from those of the steps


@dataclass(frozen=True)
class LabelReview:
    """What came of it.

    Attributes:
        offset_mm: By how much the careless labels lie outside what the careful ones teach; negative: inside.
        belief: Mean share in which repaired labels are (or would have been) believed, 0 to 1.
        looked_at: Careless cases, each of which was looked at.
        please_review: Names of those whose label and ensemble hardly overlap in most looks.
        level: Share of the hottest voxel to which careless labels were drawn, since they are of thresholds that are too
            high; None where they are not.
    """

    offset_mm: float
    belief: float
    looked_at: int
    please_review: tuple[str, ...]
    level: float | None = None


class ReviewedCrops(CropSource, Protocol):
    """Crops of a cohort, of which every careless case can be asked for."""

    @property
    def careless_cases(self) -> tuple[int, ...]:
        """Numbers of the cases `careless` draws from."""

    def careless_of(self, rng: np.random.Generator, number: int) -> LabelledCrop:
        """A crop of one of them."""


def review_labels(
    network: PromptableNetwork,
    source: ReviewedCrops,
    names: Sequence[str],
    config: FineTuneConfig,
    *,
    cohort: CohortOffset,
    level: CohortLevel,
    device: torch.device,
) -> LabelReview:
    """Look at every careless case some times.

    Args:
        network: In evaluation mode; the teacher, where one has repaired labels in training.
        source: Of the cohort's crops, with one careless case at least.
        names: Of the cases, by the number that crops carry.
        config: Of the run.
        cohort: What training has found out of the offset; what is found here is added.
        level: The same of thresholds.
        device: Where the network is.
    """
    cases = source.careless_cases
    left_out: Counter[int] = Counter()
    beliefs: dict[int, float] = {}
    for look in range(LOOKS_PER_CASE):
        for first in range(0, len(cases), AT_ONCE):
            chosen, key = cases[first : first + AT_ONCE], (config.seed, STREAM, look, first)
            rng = np.random.default_rng(key)
            careful, careless = source.careful(rng, AT_ONCE), [source.careless_of(rng, number) for number in chosen]
            careless = level.made_whole(careful, careless)
            repaired = repair_labels(
                network, careful, careless, cohort, key=(*key, 1), config=config.cpcl, device=device
            )
            for number, label in zip(chosen, repaired.labels, strict=True):
                left_out[number] += label.verdict == "left out"
                beliefs[number] = label.belief  # the last look, when most is known of the offset
    review = tuple(names[number] for number in cases if 2 * left_out[number] > LOOKS_PER_CASE)
    return LabelReview(cohort.mm, float(np.mean([*beliefs.values()])), len(cases), review, level.level)
