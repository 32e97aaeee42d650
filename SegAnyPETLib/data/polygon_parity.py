"""Fill closed polygons on one slice by the even-odd rule.

A pixel is inside when a ray from its centre crosses an odd number of edges. All polygons of a slice count together, so
a polygon inside another cuts a hole, as does a keyhole.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from SegAnyPETLib.errors import DICOMError

MOST_CROSSINGS = 200_000_000  # of rays and edges in one slice: seconds; a drawn contour has thousands
_AT_ONCE = 4_000_000
_DECIMALS = 4  # of a pixel: an edge through a pixel's centre must not depend on how its decimals were rounded


def fill_even_odd(polygons_ji: Sequence[NDArray[np.float64]], shape_ji: tuple[int, int]) -> NDArray[np.bool_]:
    """The pixels whose centres lie inside.

    A centre on an edge is inside where the edge is a left or upper one, so polygons that share an edge share no pixel.

    Args:
        polygons_ji: Each (n, 2): continuous indices (j, i), integers at pixel centres; may reach beyond the slice.
        shape_ji: Rows and columns.

    Returns:
        Bool (J, I).

    Raises:
        DICOMError: The polygons have more edges than any drawn contour.

    Source:
        M. Shimrat, Algorithm 112: position of point relative to polygon, Comm. ACM 5 (1962) 434.
    """
    rows, columns = shape_ji
    toggles = np.zeros(rows * (columns + 1), dtype=np.int64)
    total = 0
    for polygon in polygons_ji:
        points = np.round(polygon, _DECIMALS)
        start, stop = points, np.roll(points, -1, axis=0)
        first = np.clip(np.ceil(np.minimum(start[:, 0], stop[:, 0])), 0, rows).astype(np.int64)
        counts = np.clip(np.ceil(np.maximum(start[:, 0], stop[:, 0])), 0, rows).astype(np.int64) - first
        total += int(counts.sum())
        if total > MOST_CROSSINGS:
            msg = f"Expected contours that a person could draw; one slice has more than {MOST_CROSSINGS} crossings."
            raise DICOMError(msg)
        crossed = np.flatnonzero(counts)
        for part in np.array_split(crossed, 1 + int(counts.sum()) // _AT_ONCE):
            toggles += _toggles(start[part], stop[part], first[part], counts[part], shape_ji)
    inside = np.cumsum(toggles.reshape(rows, columns + 1), axis=1)[:, :columns] % 2 == 1
    return np.asarray(inside)


def _toggles(
    start: NDArray[np.float64],
    stop: NDArray[np.float64],
    first: NDArray[np.int64],
    counts: NDArray[np.int64],
    shape_ji: tuple[int, int],
) -> NDArray[np.int64]:
    """How often each pixel is the first of its row behind an edge; one more column for edges behind all."""
    rows, columns = shape_ji
    edge = np.repeat(np.arange(len(first)), counts)
    within = np.arange(len(edge)) - np.repeat(np.cumsum(counts) - counts, counts)
    row = first[edge] + within
    (j0, i0), (j1, i1) = start[edge].T, stop[edge].T
    at = np.round(i0 + (row - j0) / (j1 - j0) * (i1 - i0), _DECIMALS)
    column = np.clip(np.ceil(at), 0, columns).astype(np.int64)
    return np.bincount(row * (columns + 1) + column, minlength=rows * (columns + 1))
