"""One run in a folder, and a sign that it lives, for watchers that did not start it and may be another program.

The lock of the folder says who may work there. Watchers do not try it: that would keep a run from beginning at this
very moment, and on shared folders a lock may be seen by one machine alone. So a file is touched every two seconds, also
while the run pauses or compares.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from SegAnyPETLib.data.folder_lock import locked_folder
from SegAnyPETLib.errors import OutputError

ALIVE_NAME = "alive"
EVERY_S = 2.0
SILENT_S = 20.0  # without a touch, after which nobody works there: a busy disk may take seconds


@contextmanager
def working_alone(folder: Path) -> Iterator[None]:
    """Be the only run of a folder, and show signs of life, while the block runs.

    Args:
        folder: Of the run; made where it is not there.

    Raises:
        OutputError: Another run works there, or the folder cannot be written; nothing was changed.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"Cannot use the folder {folder}: {error.strerror}. Choose a folder you may write to."
        raise OutputError(msg) from error
    with locked_folder(folder, shows_life=lambda: is_beating(folder)), beating(folder):
        yield


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
