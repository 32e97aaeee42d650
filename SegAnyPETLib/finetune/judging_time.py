"""How much is judged in a run, and how long that takes."""

from __future__ import annotations

import time

from SegAnyPETLib.finetune.comparing import dice_by_click
from SegAnyPETLib.finetune.forgetting import BUNDLED_COUNT, one_case
from SegAnyPETLib.session.protocols import SegmentationModel

MOST_VALIDATED = 12  # lesions judged while training; all are judged at the end
SECONDS_PER_JUDGED = 2.0  # of one lesion with `lite`, all clicks, until one was measured


def count_judged(lesions: float, validations: float) -> float:
    """How many times a lesion is judged: while training, and before and after at the end with the bundled cases.

    Args:
        lesions: Of the validation cases.
        validations: That are still to come.
    """
    return validations * min(lesions, MOST_VALIDATED) + 2 * (lesions + BUNDLED_COUNT)


def judging_seconds_per_lesion(model: SegmentationModel) -> float:
    """How long a model takes here for all clicks at one lesion, measured on a made-up one."""
    case = one_case()
    begun = time.perf_counter()
    dice_by_click(model, [case])
    return time.perf_counter() - begun
