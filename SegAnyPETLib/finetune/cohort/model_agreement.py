"""How well a model that is prompted from a label agrees with it."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from SegAnyPETLib.clicks import deepest_voxel
from SegAnyPETLib.errors import PromptError, SegAnyPETWarning
from SegAnyPETLib.finetune.cohort.cases import CohortCase
from SegAnyPETLib.finetune.signed_distance import label_offset_mm
from SegAnyPETLib.geometry import VoxelBox
from SegAnyPETLib.session import InteractiveSession, Point, SegmentationModel

MOST_LESIONS = 3  # of a case, the largest
OFFSET_LIMIT_MM = 12.0
MARGIN_VOXELS = 4


@dataclass(frozen=True)
class LesionAgreement:
    """One lesion of a label against the model.

    Attributes:
        volume_ml: Of the label.
        dice: Of label and answer.
        offset_mm: How far the label's border lies outside the answer's; None where there is no answer.
    """

    volume_ml: float
    dice: float
    offset_mm: float | None


def agreement_with(case: CohortCase, model: SegmentationModel) -> list[LesionAgreement]:
    """Click the deepest voxel of each of the three largest lesions once, and compare."""
    session = InteractiveSession(model)
    session.set_image(case.image)
    found = []
    for lesion in case.lesions[:MOST_LESIONS]:
        session.reset()
        deepest = np.add(deepest_voxel(lesion.mask, spacing_kji_mm=case.grid.spacing_kji_mm), lesion.box.start_kji)
        x, y, z = (float(value) for value in case.grid.kji_to_lps(deepest))
        session.add(Point((x, y, z), positive=True))
        answer = _answer(session, case)
        box = lesion.box.union(VoxelBox.of_mask(answer)).expanded(MARGIN_VOXELS).intersection(case.grid.box)
        own = lesion.placed_in(box)
        theirs = answer[box.slices]
        dice = 2 * int((own & theirs).sum()) / (int(own.sum()) + int(theirs.sum()))
        offset = label_offset_mm(own, theirs, spacing_kji_mm=case.grid.spacing_kji_mm, limit_mm=OFFSET_LIMIT_MM)
        found.append(LesionAgreement(lesion.volume_ml, dice, offset))
    return found


def _answer(session: InteractiveSession, case: CohortCase) -> NDArray[np.bool_]:
    """The mask for the prompts in force; an empty one where the model finds nothing."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SegAnyPETWarning)  # advice for who clicks, and nobody does
            return np.asarray(session.predict().mask)
    except PromptError:
        return np.zeros(case.grid.shape_kji, dtype=bool)
