"""How careless labels differ from careful ones in something that was measured of both, and how sure that is."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Difference(NamedTuple):
    """Of careless labels from careful ones, in the unit of what was measured.

    Attributes:
        size: Median of the careless less median of the careful cases.
        error: Standard error, of the difference of their means.
        careful: Number of cases with careful labels it is from.
        careless: The same with careless ones.
    """

    size: float
    error: float
    careful: int
    careless: int


def difference_of(
    careful: NDArray[np.float64], careless: NDArray[np.float64], *, fewest_cases: int
) -> Difference | None:
    """Compare one value per case; None while there are fewer cases of either kind.

    Medians, since one tumour in four is often unlike the others. Several looks at one case are one: four careful cases
    that were looked at forty times are still four.
    """
    if min(len(careful), len(careless)) < fewest_cases:
        return None
    error = float(np.sqrt(careful.var(ddof=1) / len(careful) + careless.var(ddof=1) / len(careless)))
    return Difference(float(np.median(careless) - np.median(careful)), error, len(careful), len(careless))
