"""Range and mean of all voxels of an image in one look: a whole-body PET has 64 million, and a person waits."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import ceil, fsum, isfinite

import numpy as np
from numpy.typing import NDArray

CHUNK = 2**18  # voxels; 1 MiB stays in a core's cache, so that each is fetched from memory once
MOST_THREADS = 4  # NumPy lets go of Python's lock; beyond four, memory is what limits


@dataclass(frozen=True)
class ValueSummary:
    """What an image holds.

    Attributes:
        low: The lowest value; NaN where there is one, infinite for no values at all.
        high: The highest value, likewise.
        mean_of_positive: Mean of the voxels above zero; 0 where there are none.
    """

    low: float
    high: float
    mean_of_positive: float

    @property
    def is_finite(self) -> bool:
        """False where a voxel is NaN or infinite."""
        return isfinite(self.low) and isfinite(self.high)


def summarize_values(array: NDArray[np.float32]) -> ValueSummary:
    """Look at every voxel of an array of any shape, in a few threads where it is large."""
    flat = np.ravel(array)
    chunks = max(1, ceil(flat.size / CHUNK))
    threads = min(MOST_THREADS, os.cpu_count() or 1, chunks)
    each = ceil(chunks / threads) * CHUNK
    spans = [flat[start : start + each] for start in range(0, max(1, flat.size), each)]
    if len(spans) == 1:
        looked = [_look_at(spans[0])]
    else:
        with ThreadPoolExecutor(threads) as pool:
            looked = list(pool.map(_look_at, spans))
    low = float(np.min([span.low for span in looked]))
    high = float(np.max([span.high for span in looked]))
    count = sum(span.count for span in looked)
    total = fsum(value for span in looked for value in span.sums) if isfinite(low) and isfinite(high) else np.nan
    return ValueSummary(low, high, total / count if count else 0.0)


@dataclass(frozen=True)
class _Span:
    low: float
    high: float
    count: int  # of voxels above zero
    sums: tuple[float, ...]  # of these, one for each chunk: summed up at the end, they do not depend on the threads


def _look_at(span: NDArray[np.float32]) -> _Span:
    low, high, count, sums = np.inf, -np.inf, 0, []
    is_positive = np.empty(min(CHUNK, span.size), dtype=bool)
    positive = np.empty(is_positive.shape, dtype=span.dtype)
    with np.errstate(all="ignore"):  # what is not finite is told by the range
        for start in range(0, span.size, CHUNK):
            chunk = span[start : start + CHUNK]
            lowest = chunk.min()
            low, high = np.minimum(low, lowest), np.maximum(high, chunk.max())
            count += int(np.count_nonzero(np.greater(chunk, 0, out=is_positive[: chunk.size])))
            kept = chunk if lowest >= 0 else np.maximum(chunk, 0, out=positive[: chunk.size])
            sums.append(float(kept.sum()))  # pairwise in float32: good to six digits
    return _Span(float(low), float(high), count, tuple(sums))
