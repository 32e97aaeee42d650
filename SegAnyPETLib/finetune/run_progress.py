"""How a run speaks with whoever watches it: lines in a file, and wishes from another.

`progress.jsonl` gets one JSON object per line; `wish` may hold `run`, `pause` or `stop` and is read between steps. Both
are plain files, so the watcher may start later, end earlier, and be another program.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from SegAnyPETLib.errors import InputError, OutputError

Phase = Literal["checking", "training", "paused", "comparing", "done", "stopped", "failed"]
Wish = Literal["run", "pause", "stop"]
WISHES: tuple[Wish, ...] = ("run", "pause", "stop")
PROGRESS_NAME, WISH_NAME = "progress.jsonl", "wish"
POLL_S = 0.5
LONGEST_WISH = 64


@dataclass(frozen=True)
class ProgressLine:
    """Where a run is.

    Attributes:
        phase: What is being done.
        step: Optimizer steps done.
        steps: Of so many.
        loss: Of the newest step; None before the first.
        validation_dice: Newest, mean over clicks; None before the first.
        offset_mm: By how much the careless labels are too large; None where nothing is repaired (yet).
        belief: In repaired labels, 0 to 1.
        seconds_left: Until the end of the run, as far as it can be told.
        message: For people.
    """

    phase: Phase
    step: int = 0
    steps: int = 0
    loss: float | None = None
    validation_dice: float | None = None
    offset_mm: float | None = None
    belief: float | None = None
    seconds_left: float | None = None
    message: str = ""

    def to_json(self) -> str:
        """One line, without its end."""
        plain = {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in asdict(self).items()
        }
        return json.dumps(plain, ensure_ascii=False)


class ProgressFile:
    """Appends lines, each flushed at once, and tells a listener too.

    Args:
        folder: Of the run.
        listener: Called with each line.
    """

    def __init__(self, folder: Path, listener: Callable[[ProgressLine], None] | None = None) -> None:
        self._path = folder / PROGRESS_NAME
        self._listener = listener

    def write(self, line: ProgressLine) -> None:
        """Append one line.

        Raises:
            OutputError: The file cannot be written.
        """
        try:
            with self._path.open("a", encoding="utf-8") as stream:
                stream.write(line.to_json() + "\n")
        except OSError as error:
            msg = f"Cannot write {self._path}: {error.strerror}. Free space, then go on with --resume."
            raise OutputError(msg) from error
        if self._listener is not None:
            self._listener(line)


def read_wish(folder: Path) -> Wish:
    """What is wished now; `run` where nothing or nonsense is."""
    try:
        with (folder / WISH_NAME).open("rb") as stream:
            text = stream.read(LONGEST_WISH).decode("utf-8", "replace").strip()
    except OSError:
        return "run"
    return next((wish for wish in WISHES if wish == text), "run")


def write_wish(folder: Path, wish: Wish) -> None:
    """Ask the run in a folder to pause, go on or stop.

    Raises:
        InputError: There is no such wish.
        OutputError: The file cannot be written.
    """
    from SegAnyPETLib.data.atomic import write_atomically

    if wish not in WISHES:
        msg = f"Expected a wish among {', '.join(WISHES)}; found {wish!r}."
        raise InputError(msg)
    with write_atomically(folder / WISH_NAME) as temporary:
        temporary.write_text(wish + "\n", encoding="utf-8")


def wait_while_paused(
    folder: Path, *, on_pause: Callable[[], None], agreed: Callable[[Wish], Wish] = lambda wish: wish
) -> bool:
    """Return at once, or when the pause is over; True where the run shall stop.

    Args:
        folder: Of the run.
        on_pause: Called once when a pause begins.
        agreed: Makes one wish of those that several processes read; asked again and again while the run pauses.
    """
    is_paused = False
    while (wish := agreed(read_wish(folder))) == "pause":
        if not is_paused:
            on_pause()
        is_paused = True
        time.sleep(POLL_S)
    return wish == "stop"
