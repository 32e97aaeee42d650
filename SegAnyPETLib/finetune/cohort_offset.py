"""By how much a site's careless labels are too large or too small, from looks at them and at its careful ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from SegAnyPETLib.finetune.cohort_difference import Difference, difference_of
from SegAnyPETLib.finetune.config import CPCLConfig

Look = tuple[int, float | None, float]  # case, offset in mm where there is an edge of uptake, disagreement


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
        """Note how far one label lies outside the edge of uptake (None without one), and what it contradicts."""
        kept = self.careful if is_careful else self.careless
        kept.append((case, offset_mm, disagreement))
        del kept[: -self._config.looks_remembered]

    @property
    def mm(self) -> float:
        """By how much they are off as a whole, drawn towards 0 by its error; 0 while there are too few cases."""
        return self._drawn_to_zero(self._difference(_values(self.careful), _values(self.careless)))

    def of_case(self, case: int) -> float:
        """By how much the label of one careless case is off, in mm; the cohort's offset where its own is not known.

        A case's own difference from the other careless ones counts in so far as careless labels scatter more than
        careful ones: what careful labels scatter as well is the tumours', not the mistakes'.

        Source:
            The best linear guess from a mean and two variances (empirical Bayes: Efron and Morris 1975, J Am Stat
            Assoc 70:311).
        """
        careful, careless = _values(self.careful), _values(self.careless)
        difference = self._difference(careful, careless)
        whole = self._drawn_to_zero(difference)
        own = [mm for one, mm, _ in self.careless if one == case and mm is not None]
        if not own or difference is None:
            return whole
        scatter = float(careless.var(ddof=1))
        usual = self._config.careful_scatter**2 * float(careful.var(ddof=1))
        share = max(scatter - usual, 0.0) / scatter if scatter else 0.0
        return whole + share * float(np.mean(own) - np.median(careless))

    @property
    def usual_disagreement(self) -> float:
        """What nine of ten looks at careful labels contradict at most."""
        known = [share for _case, _mm, share in self.careful]
        return float(np.quantile(known, 0.9)) if known else 0.0

    def _difference(self, careful: NDArray[np.float64], careless: NDArray[np.float64]) -> Difference | None:
        return difference_of(careful, careless, fewest_cases=self._config.fewest_cases)

    def _drawn_to_zero(self, difference: Difference | None) -> float:
        if difference is None:
            return 0.0
        rest = max(abs(difference.size) - self._config.standard_errors * difference.error, 0.0)
        return float(np.sign(difference.size) * rest)


def _values(looks: list[Look]) -> NDArray[np.float64]:
    """Mean offset in mm of each case that has one (N,)."""
    by_case: dict[int, list[float]] = {}
    for case, mm, _ in looks:
        if mm is not None:
            by_case.setdefault(case, []).append(mm)
    return np.array([np.mean(values) for values in by_case.values()])
