"""`log.txt` of a run: what happened when, without identifiers."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

LOG_NAME = "log.txt"
NOTHING_TOLD = logging.CRITICAL + 1


@contextmanager
def readers_silenced() -> Iterator[None]:
    """Let pydicom log nothing meanwhile: it quotes values of the patient, and we say ourselves what is wrong."""
    reader = logging.getLogger("pydicom")
    before = reader.level
    reader.setLevel(NOTHING_TOLD)
    try:
        yield
    finally:
        reader.setLevel(before)


class RunLog:
    """Appends lines to a file; a full disk never stops the run for the sake of its log.

    Attributes:
        show: Given every line as well, for a person who watches.
    """

    def __init__(self, folder: Path, *, show: Callable[[str], None] | None = None) -> None:
        self._path = folder / LOG_NAME
        self._lock = threading.Lock()
        self.show = show

    def write(self, text: str, *, is_shown: bool = False) -> None:
        """Note a sentence with the time in UTC.

        Args:
            text: Holds neither UIDs nor paths, unless the settings of the run allow them.
            is_shown: Tell the person who watches, too.
        """
        line = f"{datetime.now(UTC).isoformat(timespec='seconds')} {text.strip()}\n"
        with self._lock, suppress(OSError), self._path.open("a", encoding="utf-8") as stream:
            stream.write(line)
        if is_shown and self.show is not None:
            self.show(text)
