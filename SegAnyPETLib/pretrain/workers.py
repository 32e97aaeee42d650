"""Who draws crops and simulates clicks while the network learns: a thread, or processes that keep a GPU busy.

What is drawn depends on the run's seed and the step alone, so the number of workers does not change the weights.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from types import TracebackType
from typing import TypeVar

import numpy as np

from SegAnyPETLib.pretrain.bodies.crops import Bodies
from SegAnyPETLib.pretrain.config import TrainingConfig
from SegAnyPETLib.pretrain.real_cases import RealCase
from SegAnyPETLib.pretrain.scene import Scene
from SegAnyPETLib.pretrain.simulate import sample_batch

Item = TypeVar("Item")
Result = TypeVar("Result")

CROPS_STREAM = 0  # of the random numbers of a step; the clicks have others


class _Source:
    """What crops are drawn from; each process has its own bodies, built when first asked for."""

    def __init__(self, config: TrainingConfig, cases: Sequence[RealCase]) -> None:
        self._config = config
        self._cases = cases
        self._bodies = Bodies(config.seed, config.bodies)

    def draw(self, step: int) -> list[Scene]:
        rng = np.random.default_rng([self._config.seed, step, CROPS_STREAM])
        return sample_batch(rng, self._config, self._cases, self._bodies)


_sources: list[_Source] = []  # one in each worker process, which has no other place to keep its bodies


def _prepare(config: TrainingConfig, cases: Sequence[RealCase]) -> None:
    _sources.append(_Source(config, cases))


def _draw(step: int) -> list[Scene]:
    return _sources[0].draw(step)


class Workers:
    """Draws crops ahead and applies functions to the crops of a step; use it in a `with` statement.

    Args:
        config: Of the run.
        cases: Real cases, if any.
        count: Processes for crops, and as many again for clicks; 0 for a thread and no processes.
    """

    def __init__(self, config: TrainingConfig, cases: Sequence[RealCase], *, count: int) -> None:
        self._config = config
        self._draw: Callable[[int], list[Scene]] = _draw if count else _Source(config, cases).draw
        self._ahead = 2 * count if count else 1
        self._drawers: Executor
        self._clickers: Executor | None = None
        if count:
            context = get_context("spawn")  # a fork would copy the state of CUDA and of OpenMP
            self._drawers = ProcessPoolExecutor(count, context, initializer=_prepare, initargs=(config, list(cases)))
            self._clickers = ProcessPoolExecutor(count, context)
        else:
            self._drawers = ThreadPoolExecutor(1)

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pool in (self._drawers, self._clickers):
            if pool is not None:
                pool.shutdown(cancel_futures=True)

    def crops(self, start: int) -> Iterator[list[Scene]]:
        """The crops of each step from `start`, drawn while earlier steps are learnt."""
        drawn: deque[Future[list[Scene]]] = deque()
        following = iter(range(start, self._config.steps))
        for _ in range(start, self._config.steps):
            while len(drawn) <= self._ahead and (step := next(following, None)) is not None:
                drawn.append(self._drawers.submit(self._draw, step))
            yield drawn.popleft().result()

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """`function` of each item, in order."""
        return list(self._clickers.map(function, items) if self._clickers else map(function, items))
