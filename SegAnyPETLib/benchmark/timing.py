"""Seconds as they are experienced: wall clock, one warm-up, median of repeats."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from SegAnyPETLib.benchmark.scene import BenchmarkImage
from SegAnyPETLib.session import InteractiveSession, Point, SegmentationModel

OFFSETS_MM = ((6.0, 4.0, -5.0), (-7.0, 3.0, 4.0), (3.0, -8.0, 5.0), (-4.0, -5.0, -6.0))  # all inside the ball


@dataclass(frozen=True)
class SessionTiming:
    """Medians over repeats, in seconds.

    Attributes:
        first_click: `set_image`, one click and its mask; the image is encoded in it.
        next_click: A further click and its mask.
        session: An image and five clicks.
    """

    first_click: float
    next_click: float
    session: float


@dataclass(frozen=True)
class Duration:
    """Medians over repeats, in seconds.

    Attributes:
        wall: As experienced; other programs on the machine prolong it.
        cpu: Processor time of all threads of this process.
    """

    wall: float
    cpu: float


def time_alternating(actions: Sequence[Callable[[], Any]], *, repeats: int) -> tuple[Duration, ...]:
    """Time several actions in turn, after one round that does not count, so that all meet the same machine.

    Returns:
        One duration per action.
    """
    rounds = [[_duration(action) for action in actions] for _ in range(repeats + 1)][1:]
    return tuple(
        Duration(statistics.median(d.wall for d in column), statistics.median(d.cpu for d in column))
        for column in zip(*rounds, strict=True)
    )


def time_session(model: SegmentationModel, image: BenchmarkImage, *, repeats: int) -> SessionTiming:
    """Click five times into the ball, `repeats` times after a warm-up, each time with nothing encoded."""
    session = InteractiveSession(model)
    runs = [_run_session(session, image) for _ in range(repeats + 1)][1:]
    return SessionTiming(
        first_click=statistics.median(run[0] for run in runs),
        next_click=statistics.median(seconds for run in runs for seconds in run[1:]),
        session=statistics.median(sum(run) for run in runs),
    )


def _run_session(session: InteractiveSession, image: BenchmarkImage) -> list[float]:
    centre = image.ball_centre_lps_mm

    def first() -> None:
        session.set_image(image)
        _click(session, centre)

    seconds = [_duration(first).wall]
    for offset in OFFSETS_MM:
        place = (centre[0] + offset[0], centre[1] + offset[1], centre[2] + offset[2])
        seconds.append(_duration(lambda place=place: _click(session, place)).wall)  # type: ignore[misc]  # bound per loop
    return seconds


def _click(session: InteractiveSession, lps_mm: tuple[float, float, float]) -> None:
    session.add(Point(lps_mm=lps_mm))
    _ = session.predict().mask  # the mask itself, as a caller would use it


def _duration(action: Callable[[], Any]) -> Duration:
    wall, cpu = time.perf_counter(), time.process_time()
    action()
    return Duration(time.perf_counter() - wall, time.process_time() - cpu)
