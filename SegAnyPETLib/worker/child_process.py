"""One child process: started, written to, read from, and brought to its end."""

from __future__ import annotations

import queue
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO

from SegAnyPETLib.errors import WorkerError
from SegAnyPETLib.worker.frames import Frame, read_frame, write_frame
from SegAnyPETLib.worker.python_command import no_console, python_command, python_environment

GRACE_S = 2.0  # to end after its input was closed; a call of the network may not be interrupted for as long
LINES_KEPT = 20

LateFrame = Callable[[], Frame | None]  # made in the writing thread; None: nothing is to be written


@dataclass(frozen=True)
class Ending:
    """How a child ended.

    Attributes:
        reason: In words.
        last_lines: Of its standard error.
    """

    reason: str
    last_lines: tuple[str, ...]


def default_command() -> list[str]:
    """How the engine is started: Slicer's Python inside of Slicer, else the Python that runs this."""
    return python_command("SegAnyPETLib.worker")


class ChildProcess:
    """A child that speaks frames.

    Args:
        command: Program and arguments.
        environment: Variables added to this process's own.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._command = list(command)
        self._environment = dict(environment)
        self._outbox: queue.SimpleQueue[Frame | LateFrame | None] = queue.SimpleQueue()
        self._last_lines: deque[str] = deque(maxlen=LINES_KEPT)
        self._process: subprocess.Popen[bytes] | None = None
        self._has_ended = threading.Event()

    @property
    def pid(self) -> int | None:
        """Of the process, once it runs."""
        return self._process.pid if self._process is not None else None

    def send(self, frame: Frame | LateFrame) -> None:
        """Have a frame written, in order; returns at once."""
        self._outbox.put(frame)

    def stop(self) -> None:
        """Have the child end, by closing its input; killed after `GRACE_S`. Returns at once."""
        self._outbox.put(Frame("bye"))
        self._outbox.put(None)
        killer = threading.Timer(GRACE_S, self._kill)
        killer.daemon = True
        killer.start()

    def wait_until_ended(self, seconds: float) -> bool:
        """Block until `run` is done; False where that takes longer."""
        return self._has_ended.wait(seconds)

    def run(self, received: Callable[[Frame], None]) -> Ending:
        """Start the child and hand over what it says until it ends; blocks, so it is for a thread of its own.

        Args:
            received: Called for each frame; a `WorkerError` it raises ends the child.
        """
        try:
            return self._run(received)
        except (OSError, ValueError) as error:  # from the start of the process
            return Ending(f"The engine could not be started: {error}", ())
        finally:
            self._has_ended.set()

    def _run(self, received: Callable[[Frame], None]) -> Ending:
        process = self._start()
        stdin, stdout, stderr = _pipes(process)
        threads = [
            threading.Thread(target=self._write, args=(stdin,), name="SegAnyPET writes", daemon=True),
            threading.Thread(target=self._listen, args=(stderr,), name="SegAnyPET listens", daemon=True),
        ]
        for thread in threads:
            thread.start()
        reason = ""
        try:
            while (frame := read_frame(stdout)) is not None:
                received(frame)
        except WorkerError as error:
            reason = str(error)
            process.kill()
        self._outbox.put(None)
        code = self._wait(process)
        stdout.close()
        for thread in threads:
            thread.join(GRACE_S)
        return Ending(reason or _how_it_ended(code), tuple(self._last_lines))

    def _start(self) -> subprocess.Popen[bytes]:
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**python_environment(), **self._environment},
            creationflags=no_console(),
            start_new_session=True,  # Ctrl+C in the terminal Slicer was started from is not for the engine
        )
        return self._process

    def _write(self, pipe: IO[bytes]) -> None:
        try:
            with suppress(OSError), pipe:  # the child is gone: the reading thread says so
                while (item := self._outbox.get()) is not None:
                    frame = item if isinstance(item, Frame) else item()
                    if frame is not None:
                        write_frame(pipe, frame)
        except WorkerError as error:
            self._last_lines.append(str(error))
            self._kill()

    def _listen(self, pipe: IO[bytes]) -> None:
        with pipe:
            for line in pipe:
                self._last_lines.append(line.decode(errors="replace").rstrip())

    def _wait(self, process: subprocess.Popen[bytes]) -> int:
        try:
            return process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    def _kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes], IO[bytes]]:
    if process.stdin is None or process.stdout is None or process.stderr is None:
        msg = "Expected a process with three pipes; found fewer. Please report this."
        raise WorkerError(msg)
    return process.stdin, process.stdout, process.stderr


def _how_it_ended(code: int) -> str:
    if code == -getattr(signal, "SIGKILL", 9):
        return "The engine was killed, by the system perhaps because memory ran out."
    if code < 0:
        return f"The engine crashed ({signal.strsignal(-code) or -code})."
    return f"The engine ended by itself (exit code {code})."
