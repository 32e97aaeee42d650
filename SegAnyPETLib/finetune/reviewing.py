"""What the trained model thinks of the careless labels: how far they are off, and which a person should look at.

The same repair that training does, once more over all careless cases with the weights that are kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from SegAnyPETLib.finetune.config import FineTuneConfig
from SegAnyPETLib.finetune.crops import CropSource
from SegAnyPETLib.finetune.learning import PromptableNetwork, repair_labels
from SegAnyPETLib.finetune.rectification import CohortOffset

AT_ONCE = 2  # crops of either kind
LOOKS_PER_CASE = 3
STREAM = 88_003  # of the generators, apart from those of the steps


@dataclass(frozen=True)
class LabelReview:
    """What came of it.

    Attributes:
        offset_mm: By how much the careless labels lie outside what the careful ones teach; negative: inside.
        belief: Mean share in which repaired labels were (or would have been) believed, 0 to 1.
        looked_at: Careless cases that were looked at.
        please_review: Names of those whose label and ensemble hardly overlap in most looks.
    """

    offset_mm: float
    belief: float
    looked_at: int
    please_review: tuple[str, ...]


def review_labels(
    network: PromptableNetwork,
    source: CropSource,
    names: Sequence[str],
    config: FineTuneConfig,
    *,
    careless_cases: int,
    device: torch.device,
) -> LabelReview:
    """Look at every careless case some times.

    Args:
        network: In evaluation mode, with the weights that are kept.
        source: Of the cohort's crops.
        names: Of the cases, by the number that crops carry.
        config: Of the run.
        careless_cases: How many there are to be seen.
        device: Where the network is.
    """
    cohort = CohortOffset(config.cpcl)
    looks: Counter[int] = Counter()
    left_out: Counter[int] = Counter()
    beliefs: list[float] = []
    for turn in range(-(-careless_cases * LOOKS_PER_CASE // AT_ONCE)):
        rng = np.random.default_rng([config.seed, STREAM, turn])
        careful, careless = source.careful(rng, AT_ONCE), source.careless(rng, AT_ONCE)
        key = (config.seed, STREAM, turn, 1)
        repaired = repair_labels(network, careful, careless, cohort, key=key, config=config.cpcl, device=device)
        for crop, label in zip(careless, repaired.labels, strict=True):
            looks[crop.case] += 1
            left_out[crop.case] += label.verdict == "left out"
            beliefs.append(label.belief)
    doubted = sorted(case for case, count in looks.items() if 2 * left_out[case] > count)
    review = tuple(names[case] if 0 <= case < len(names) else f"number {case}" for case in doubted)
    return LabelReview(cohort.mm, float(np.mean(beliefs)) if beliefs else 0.0, len(looks), review)
