"""Masks measured beside the application: a small one at once, a large one in a thread."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING

from SegAnyPETLib.mrml.lesion_rows import measureMask
from SegAnyPETLib.session.packed_mask import PackedMask

if TYPE_CHECKING:
    from SegAnyPETLib.suv import LesionMeasures, SUVVolume

AT_ONCE_VOXELS = 8000  # about 15 ms; the peak of a lesion of a litre takes more than a second


class Measuring:
    """One mask at a time; the image is only read, and no node is touched."""

    def __init__(self) -> None:
        self._done: queue.SimpleQueue[tuple[PackedMask, LesionMeasures | None]] = queue.SimpleQueue()
        self._isBusy = False

    def start(self, image: SUVVolume, mask: PackedMask) -> None:
        """Measure a mask; nothing happens while another is being measured."""
        if self._isBusy:
            return
        self._isBusy = True
        if mask.voxel_count <= AT_ONCE_VOXELS:
            self._measure(image, mask)
        else:
            threading.Thread(target=self._measure, args=(image, mask), name="measures", daemon=True).start()

    def take(self) -> tuple[PackedMask, LesionMeasures | None] | None:
        """What was measured since the last call."""
        if self._done.empty():
            return None
        self._isBusy = False
        return self._done.get()

    def _measure(self, image: SUVVolume, mask: PackedMask) -> None:
        self._done.put((mask, measureMask(image, mask)))
