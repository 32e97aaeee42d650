"""Seconds as they are experienced: wall clock, one warm-up, median of repeats."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
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


def median_seconds(action: Callable[[], Any], *, repeats: int, warm_up: bool = True) -> float:
    """Median wall clock of `action`, by default after one run that does not count."""
    if warm_up:
        action()
    return statistics.median(_seconds(action) for _ in range(repeats))


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

    seconds = [_seconds(first)]
    for offset in OFFSETS_MM:
        place = (centre[0] + offset[0], centre[1] + offset[1], centre[2] + offset[2])
        seconds.append(_seconds(lambda place=place: _click(session, place)))  # type: ignore[misc]  # bound per loop
    return seconds


def _click(session: InteractiveSession, lps_mm: tuple[float, float, float]) -> None:
    session.add(Point(lps_mm=lps_mm))
    _ = session.predict().mask  # the mask itself, as a caller would use it


def _seconds(action: Callable[[], Any]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started
