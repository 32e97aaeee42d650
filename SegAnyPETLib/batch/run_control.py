"""The driver's pulse: it says every second that it lives, hears what people ask for, and outwaits a full disk."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from SegAnyPETLib.errors import OutputError, SessionError

if TYPE_CHECKING:
    from SegAnyPETLib.batch.journal import Journal
    from SegAnyPETLib.batch.journal_row import Wish
    from SegAnyPETLib.batch.run_log import RunLog

BEAT_S = 1.0
PATIENCE_S = 2.0  # between two attempts to write a journal on a full disk


class RunControl:
    """Whether the run should go on; made by its driver, used from all its threads."""

    def __init__(self, journal: Journal, log: RunLog) -> None:
        self._journal = journal
        self._log = log
        self._stop = threading.Event()
        self._ended = threading.Event()
        self._lost: SessionError | None = None
        self._last_trouble = ""
        self._last_trouble_at = 0.0

    @property
    def is_interrupted(self) -> bool:
        """A signal asked to end."""
        return self._stop.is_set()

    def interrupt(self) -> None:
        """End soon, as a signal asks."""
        self._stop.set()

    def wish(self) -> Wish:
        """What to do now.

        Raises:
            SessionError: Another process has taken the run over.
        """
        if self._lost is not None:
            raise self._lost
        return "stop" if self._stop.is_set() else self._journal.wish()

    def patience(self, trouble: str) -> bool:
        """Wait until the journal can be written, saying so once a minute; False once the run is to stop."""
        now = time.monotonic()
        if trouble != self._last_trouble or now - self._last_trouble_at > 60:
            self._last_trouble, self._last_trouble_at = trouble, now
            self._log.write(f"paused: {trouble} The run goes on by itself then.", is_shown=True)
        return not self._stop.wait(PATIENCE_S) and not self._ended.is_set()

    @contextmanager
    def beating(self) -> Iterator[None]:
        """Write the heartbeat in a thread of its own: searching and starting workers take minutes."""
        thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()

    def _beat(self) -> None:
        while not self._ended.wait(BEAT_S):
            try:
                self._journal.beat()
            except SessionError as error:
                self._lost = error
                return
            except OutputError:
                return  # patience is used up: the run is stopping, and says so itself

    @contextmanager
    def hearing_signals(self) -> Iterator[None]:
        """Let SIGINT and SIGTERM end the run cleanly; a second one ends it at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def hear(number: int, _frame: FrameType | None) -> None:
            if self._stop.is_set():
                raise KeyboardInterrupt
            self._stop.set()

        before = {number: signal.signal(number, hear) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
