"""How many crops are in memory at once, and what happens when they are too many."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import torch

from SegAnyPETLib.errors import DeviceError, SegAnyPETWarning
from SegAnyPETLib.finetune.distributed import part_of
from SegAnyPETLib.model.device import is_out_of_memory

Answer = TypeVar("Answer")


@dataclass
class Pieces:
    """The pieces a step is cut into. It is halved again where memory fails, and stays so: the step is the same.

    Attributes:
        crops: How many crops one piece has at most.
        was_halved: Whether memory failed once.
    """

    crops: int
    was_halved: bool = False

    def of(self, count: int) -> Iterator[range]:
        """Cut a list of so many crops, as evenly as can be."""
        parts = -(-count // self.crops)
        for n in range(parts):
            yield part_of(count, index=n, parts=parts)

    def of_both(self, first: int, second: int) -> list[tuple[range, range]]:
        """Cut two lists: one piece with all, where they fit, else pieces of the one and then of the other."""
        if first + second <= self.crops:
            return [(range(first), range(second))]
        nothing = range(0)
        return [(piece, nothing) for piece in self.of(first)] + [(nothing, piece) for piece in self.of(second)]

    def run(self, work: Callable[[], Answer]) -> Answer:
        """Do a piece of work that begins anew each time, with smaller pieces where memory fails.

        Raises:
            DeviceError: Memory does not suffice for one crop.
        """
        while True:
            try:
                return work()
            except (RuntimeError, MemoryError) as error:  # torch's out-of-memory error is a RuntimeError
                if not is_out_of_memory(error):
                    raise
                if self.crops == 1:
                    msg = (
                        "Expected enough memory to learn from one crop at a time; there was not. Close other programs, "
                        "train fewer parts (decoder), or use a smaller model."
                    )
                    raise DeviceError(msg) from error
            self._halve()  # outside of the handler, which would keep the failed call's tensors alive

    def _halve(self) -> None:
        before, self.crops, self.was_halved = self.crops, self.crops // 2, True
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        warnings.warn(
            f"The memory does not suffice for {before} crops at once; training goes on, slower, with {self.crops} at a "
            "time. Each step still learns from all of them, so the result is the same but for rounding.",
            SegAnyPETWarning,
            stacklevel=4,
        )
