"""The bar of a batch run: studies done, studies that failed, time left."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from SegAnyPETLib.batch.runner import RunProgress

ENDED = ("done", "failed")
TO_COME = ("waiting", "running")


class BatchBar:
    """A bar on stderr; the time left is that of the studies ended so far, by this process."""

    def __init__(self, *, is_quiet: bool) -> None:
        from tqdm import tqdm

        self._bar = tqdm(total=0, unit="study", disable=is_quiet, file=sys.stderr, leave=False)

    def __enter__(self) -> BatchBar:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def show(self, progress: RunProgress) -> None:
        """Show how far the run is."""
        counts = progress.counts
        to_come = sum(counts.get(state, 0) for state in TO_COME)
        ended = sum(counts.get(state, 0) for state in ENDED)
        self._bar.initial = ended - progress.done_now  # done before: they say nothing about the speed of today
        self._bar.total = ended + to_come
        self._bar.n = ended
        failed = counts.get("failed", 0)
        self._bar.set_description_str(f"{progress.message}, {failed} failed" if failed else progress.message)
