"""A sign of life in a run's folder, for watchers that did not start the run and may be another program.

A number of a process would not do: after a restart of the computer it may be another's. A lock would not do on shared
folders. So a file is touched every two seconds, also while the run pauses or compares.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

ALIVE_NAME = "alive"
EVERY_S = 2.0
SILENT_S = 20.0  # without a touch, after which nobody works there: a busy disk may take seconds


@contextmanager
def beating(folder: Path, *, every_s: float = EVERY_S) -> Iterator[None]:
    """Touch the sign of life while the block runs, and remove it at its end.

    Args:
        folder: Of the run; it exists.
        every_s: Seconds between touches.
    """
    over, path = threading.Event(), folder / ALIVE_NAME

    def beat() -> None:
        while not over.is_set():
            with suppress(OSError):  # a full or absent disk is for the run itself to tell
                path.touch()
            over.wait(every_s)

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        with suppress(OSError):
            path.unlink(missing_ok=True)


def is_beating(folder: Path) -> bool:
    """True where a run shows a sign of life in a folder."""
    try:
        touched = (folder / ALIVE_NAME).stat().st_mtime
    except OSError:
        return False
    return abs(time.time() - touched) < SILENT_S
