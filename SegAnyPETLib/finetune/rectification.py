"""Repairing careless labels: where a confident ensemble disagrees, and by how much a cohort draws too large or small.

Cross prompting gives an ensemble. Against it the careful labels show what is usual, and the careless ones how far they
are off: the whole cohort by an offset of its borders, which is taken back, and a single case by what it contradicts
even then. Only where a case contradicts more than careful ones do, the ensemble replaces its label; a teacher that is
no better than the labels would else spoil them. How far a repaired label is believed depends on both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from SegAnyPETLib.finetune.config import CPCLConfig
from SegAnyPETLib.finetune.ensemble import Ensemble
from SegAnyPETLib.finetune.signed_distance import (
    Spacing,
    border_voxels,
    box_around,
    has_border,
    moved_share,
    signed_distance_mm,
    within_mm,
)

Verdict = Literal["used", "doubtful", "left out"]
DOUBTFUL_WEIGHT = 0.25
UNSURE_LESS = 0.5  # of the weight, where the ensemble replaced the rest of the label but is not sure itself


@dataclass(frozen=True, eq=False)
class RectifiedLabel:
    """What to learn from instead of a careless label.

    Attributes:
        target: (K, J, I) bool; clicks are made on it.
        share: (K, J, I) float32, 0 to 1: how much of a voxel is thought to belong to the lesion.
        weight: (K, J, I) float32, 1; less where the ensemble replaced others and was not sure itself.
        belief: 0: learn from the label as it is; 1: learn from `share`. Between them both are learned, in parts.
        trust: How far the ensemble replaced the label, 0 to 1.
        verdict: ``doubtful`` where the volume changed by more than a factor of three (weights are then a quarter),
            ``left out`` where label and ensemble hardly overlap: a person should look.
        changed: Share of the label's voxels, by number, in which the target differs from it.
    """

    target: NDArray[np.bool_]
    share: NDArray[np.float32]
    weight: NDArray[np.float32]
    belief: float
    trust: float
    verdict: Verdict
    changed: float


def label_offset_mm(
    label: NDArray[np.bool_],
    teacher: NDArray[np.bool_],
    *,
    spacing_kji_mm: Spacing,
    limit_mm: float,
    cut_share: float = 0.0,
) -> float | None:
    """By how much the label's border lies outside the teacher's, in mm; None where either has no border.

    The mean of the label's signed distance over the voxels on both sides of the teacher's border, less the same of the
    teacher's own, so that equal masks have an offset of 0.

    Args:
        label: (K, J, I).
        teacher: (K, J, I), what the label is compared with.
        spacing_kji_mm: Voxel size along k, j, i.
        limit_mm: Each voxel counts at most so much: a missing part is no offset.
        cut_share: Of the voxels with the least and with the greatest difference that are left out, each below one
            half. With a quarter, offsets well below a voxel come out too small: most voxels are then the same in both.
    """
    if not has_border(label) or not has_border(teacher):
        return None
    box = box_around(label | teacher, reach_mm=0.0, spacing_kji_mm=spacing_kji_mm)
    label, teacher = label[box], teacher[box]
    at = border_voxels(teacher)
    theirs = signed_distance_mm(label, spacing_kji_mm=spacing_kji_mm)[at]
    own = signed_distance_mm(teacher, spacing_kji_mm=spacing_kji_mm)[at]
    return float(stats.trim_mean(np.clip(theirs - own, -limit_mm, limit_mm), cut_share))


def is_comparable(label: NDArray[np.bool_], teacher: NDArray[np.bool_], config: CPCLConfig) -> bool:
    """False where they hardly overlap: such a label is elsewhere, which is no offset, and a person should look."""
    both = int((label & teacher).sum())
    return 2 * both >= config.least_overlap * (int(label.sum()) + int(teacher.sum()))


def belief_in_offset(offset_mm: float, config: CPCLConfig) -> float:
    """How far labels with this offset should be repaired: 0 within the dead zone, towards 1 for large ones."""
    beyond = max(abs(offset_mm) - config.offset_dead_zone_mm, 0.0)
    return float(-np.expm1(-((beyond / config.offset_scale_mm) ** 2)))


def belief_in_disagreement(disagreement: float, config: CPCLConfig) -> float:
    """The same for one case, from the share of sure voxels that its label contradicts beyond what careful ones do."""
    beyond = max(disagreement - config.disagreement_dead_zone, 0.0)
    return float(-np.expm1(-((beyond / config.disagreement_scale) ** 2)))


def disagreement(label: NDArray[np.bool_], ensemble: Ensemble, *, spacing_kji_mm: Spacing, config: CPCLConfig) -> float:
    """Voxels near the label of which the ensemble is sure and which the label has otherwise, over the label's size."""
    sure = ensemble.total_bits < config.sure_below_bits
    near = within_mm(label | (ensemble.mean > 0.5), reach_mm=config.near_mm, spacing_kji_mm=spacing_kji_mm)
    wrong = sure & near & (label != (ensemble.mean > 0.5))
    return float(wrong.sum() / max(int(label.sum()), int((ensemble.mean > 0.5).sum()), 1))


def rectify(
    label: NDArray[np.bool_],
    ensemble: Ensemble,
    *,
    offset_mm: float,
    usual_disagreement: float,
    spacing_kji_mm: Spacing,
    config: CPCLConfig,
) -> RectifiedLabel:
    """Repair one careless label.

    Args:
        label: As it was drawn, (K, J, I), with at least one voxel.
        ensemble: Of the teacher's answers to prompts made from the label.
        offset_mm: Of the whole cohort against the careful cases, positive where its labels are too large.
        usual_disagreement: What careful labels contradict, see `disagreement`.
        spacing_kji_mm: Voxel size along k, j, i.
        config: Thresholds.
    """
    teacher = ensemble.mean > 0.5
    moved = moved_share(label, outward_mm=-offset_mm, spacing_kji_mm=spacing_kji_mm)
    if (moved > 0.5).sum() < config.smallest_voxels:
        moved = label.astype(np.float32)
    contradicted = disagreement(moved > 0.5, ensemble, spacing_kji_mm=spacing_kji_mm, config=config)
    trust = belief_in_disagreement(contradicted - usual_disagreement, config)
    near = within_mm(label | teacher, reach_mm=config.near_mm, spacing_kji_mm=spacing_kji_mm)
    sure = (ensemble.total_bits < config.sure_below_bits) & near
    answered = np.where(sure, teacher, ensemble.mean)
    share = np.where(near, (1 - trust) * moved + trust * answered, moved).astype(np.float32)
    if (share > 0.5).sum() < config.smallest_voxels:
        share, trust = moved, 0.0
    weight = np.where(sure | ~near, 1.0, 1.0 - UNSURE_LESS * trust).astype(np.float32)
    verdict, weight = _verdict(label, teacher, share > 0.5, weight, config)
    belief = max(belief_in_offset(offset_mm, config), trust)
    changed = float(((share > 0.5) != label).sum() / max(int(label.sum()), 1))
    return RectifiedLabel(share > 0.5, share, weight, belief, trust, verdict, changed)


Look = tuple[int, float, float]  # case, offset in mm, disagreement


class CohortOffset:
    """The offset of the careless labels against the careful ones, from the newest looks at them.

    Attributes:
        careful: Looks at careful labels, the oldest first.
        careless: The same of careless ones.
    """

    def __init__(self, config: CPCLConfig) -> None:
        self._config = config
        self.careful: list[Look] = []
        self.careless: list[Look] = []

    def add(self, case: int, *, is_careful: bool, offset_mm: float | None, disagreement: float) -> None:
        """Note what one label is off against the teacher; nothing where it has no border."""
        if offset_mm is None:
            return
        kept = self.careful if is_careful else self.careless
        kept.append((case, offset_mm, disagreement))
        del kept[: -self._config.looks_remembered]

    @property
    def mm(self) -> float:
        """Mean of the careless less mean of the careful cases, drawn towards 0 by its own standard error.

        Several looks at one case are one: four careful cases that were looked at forty times are still four.
        """
        careful, careless = _means_by_case(self.careful), _means_by_case(self.careless)
        if min(len(careful), len(careless)) < self._config.fewest_cases:
            return 0.0
        difference = float(careless.mean() - careful.mean())
        error = float(np.sqrt(careful.var(ddof=1) / len(careful) + careless.var(ddof=1) / len(careless)))
        return float(np.sign(difference) * max(abs(difference) - self._config.standard_errors * error, 0.0))

    @property
    def usual_disagreement(self) -> float:
        """What nine of ten looks at careful labels contradict at most."""
        known = [share for _case, _mm, share in self.careful]
        return float(np.quantile(known, 0.9)) if known else 0.0


def _means_by_case(looks: list[Look]) -> NDArray[np.float64]:
    return np.array([np.mean([mm for one, mm, _ in looks if one == case]) for case in {look[0] for look in looks}])


def _verdict(
    label: NDArray[np.bool_],
    teacher: NDArray[np.bool_],
    target: NDArray[np.bool_],
    weight: NDArray[np.float32],
    config: CPCLConfig,
) -> tuple[Verdict, NDArray[np.float32]]:
    if not is_comparable(label, teacher, config):
        return "left out", np.zeros_like(weight)
    ratio = target.sum() / max(int(label.sum()), 1)
    if not 1 / config.largest_volume_ratio <= ratio <= config.largest_volume_ratio:
        return "doubtful", weight * np.float32(DOUBTFUL_WEIGHT)
    return "used", weight
