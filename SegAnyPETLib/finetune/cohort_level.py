"""Whether a site's careless labels are of thresholds that are too high, and giving them back what these leave out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from SegAnyPETLib.finetune.cohort_difference import difference_of
from SegAnyPETLib.finetune.config import CPCLConfig
from SegAnyPETLib.finetune.crops import SYNTHETIC_CASE, LabelledCrop
from SegAnyPETLib.finetune.uptake_level import best_threshold, drawn_to_level

LevelLook = tuple[int, float, float]  # case, level of the best threshold, its overlap (Dice)


class CohortLevel:
    """The newest looks at labels of either kind, and what follows from them.

    Attributes:
        careful: Looks at careful labels, the oldest first.
        careless: The same of careless ones.
    """

    def __init__(self, config: CPCLConfig) -> None:
        self._config = config
        self.careful: list[LevelLook] = []
        self.careless: list[LevelLook] = []

    def made_whole(self, careful: Sequence[LabelledCrop], careless: Sequence[LabelledCrop]) -> list[LabelledCrop]:
        """Look at the labels of both, and return the careless crops with what their labels leave out, if that is known.

        Made-up lesions are no measure for how a site's people draw, and do not count.
        """
        for kept, crops in ((self.careful, careful), (self.careless, careless)):
            kept += [self._look(crop) for crop in crops if crop.case != SYNTHETIC_CASE]
            del kept[: -self._config.looks_remembered]
        level = self.level
        return [self._drawn_to(level, crop) for crop in careless] if level is not None else list(careless)

    @property
    def level(self) -> float | None:
        """The careful labels' level, as a share of a lesion's hottest voxel; None where careless ones reach it too.

        None while there are too few cases, where most careless labels are not what a threshold gives, or where their
        level is not higher by more than a dead zone and the error of the difference.
        """
        careful, careless = _by_case(self.careful), _by_case(self.careless)
        higher = difference_of(careful[:, 0], careless[:, 0], fewest_cases=self._config.fewest_cases)
        if higher is None or np.median(careless[:, 1]) < self._config.threshold_overlap:
            return None
        least = self._config.level_dead_zone + self._config.level_standard_errors * higher.error
        return float(np.median(careful[:, 0])) if higher.size > least else None

    def _look(self, crop: LabelledCrop) -> LevelLook:
        return crop.case, *best_threshold(
            crop.label, crop.suv, spacing_kji_mm=crop.spacing_kji_mm, near_mm=self._config.near_mm
        )

    def _drawn_to(self, level: float, crop: LabelledCrop) -> LabelledCrop:
        label = drawn_to_level(
            crop.label, crop.suv, level=level, spacing_kji_mm=crop.spacing_kji_mm, reach_mm=self._config.near_mm
        )
        return replace(crop, label=label)


def _by_case(looks: Sequence[LevelLook]) -> NDArray[np.float64]:
    """Mean level and overlap of each case (N, 2)."""
    cases = sorted({case for case, _level, _overlap in looks})
    return np.array([np.mean([look[1:] for look in looks if look[0] == case], axis=0) for case in cases]).reshape(-1, 2)
