"""Repairing careless labels: borders that lie too far out or in, and where a confident ensemble disagrees.

Labels of thresholds that are too high have been drawn down before (`cohort_level`). By how much a label is too large or
too small is known from the image and the careful labels (`cohort_offset`), and is taken back. Cross prompting gives an
ensemble; the careful labels show what is usually off it. Only where a case contradicts it more than careful ones do,
even then, the ensemble replaces its label; a teacher that is no better than the labels would else spoil them. How far
a repaired label is believed depends on both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from SegAnyPETLib.finetune.config import CPCLConfig
from SegAnyPETLib.finetune.ensemble import Ensemble
from SegAnyPETLib.finetune.signed_distance import Spacing, moved_share, within_mm

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
        offset_mm: By how much the label is too large, negative where it is too small.
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
